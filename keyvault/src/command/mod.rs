//! The commands of the program.

mod arguments;
mod ask;
mod confirm;
mod custody;
mod files;
mod officer;
mod place;
mod relay;
mod request;
mod serve;
mod share;
mod shown;

use std::process::ExitCode;

use keyvault::keys::arena::heap::{self, Shelter};
use keyvault::keys::arena::stack;
use keyvault::keys::self_test;
use program_contract::{Clock, Failure, Outcome};

use crate::command::arguments::{Arguments, Ask, Command, RequestCommand};
use crate::command::place::{PROGRAM, Place, random, runtime};

/// Arguments in, exit code out.
pub(crate) fn run(clock: &Clock) -> ExitCode {
    let arguments = match PROGRAM.arguments::<Arguments>("yzt.keyvault/1") {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let (schema, json) = (arguments.command.schema(), arguments.json);
    PROGRAM.end(schema, json, dispatch(arguments, clock, schema))
}

fn dispatch(arguments: Arguments, clock: &Clock, schema: &'static str) -> Result<Outcome, Failure> {
    let Arguments {
        dir,
        socket,
        json,
        at,
        key,
        anchors,
        key_passphrase_file,
        command,
    } = arguments;
    // Who comes and goes is what a relay has to tell.
    let level = if matches!(command, Command::Relay(_)) {
        "info"
    } else {
        "warn"
    };
    tracing_subscriber::fmt()
        // Colours for people, not for files.
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_writer(std::io::stderr)
        // A log that cannot be written is lost: said on the same stream, it would be a panic.
        .log_internal_errors(false)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("KEYVAULT_LOG").unwrap_or_else(|_| level.into()),
        )
        .init();
    let place = Place {
        dir,
        socket,
        at,
        key,
        anchors,
        key_passphrase_file,
        clock: clock.clone(),
    };
    // Before the first passphrase, share or key: `init` and `unseal` hold those too.
    keyvault::serve::isolation::forbid_dumps()?;
    match command {
        Command::Init(init) => protected(|| custody::init(&place, clock, init, schema)),
        Command::Serve {
            end_with_parent,
            allow_user,
        } => match serve::serve(
            &place,
            clock,
            &allow_user,
            end_with_parent,
            json.then_some(schema),
        )? {},
        Command::Relay(command) => relay::relay(command, json.then_some(schema)),
        Command::Share(command) => protected(|| share::share(&place, command, schema)),
        Command::Ask(ask @ (Ask::Unseal { .. } | Ask::Seal { .. })) => {
            protected(|| runtime()?.block_on(ask::ask(&place, ask, schema)))
        }
        Command::Officer(command) => protected(|| officer::officer(command, schema)),
        Command::Key(command) => protected(|| officer::key(command, schema)),
        Command::Request(signing @ (RequestCommand::Sign { .. } | RequestCommand::Submit { .. })) => {
            protected(|| request::request(&place, clock, signing, schema))
        }
        Command::Request(command) => request::request(&place, clock, command, schema),
        Command::Ask(ask) => runtime()?.block_on(ask::ask(&place, ask, schema)),
    }
}

/// Does what handles passphrases and shares on stack and heap of the arena's kind.
fn protected(work: impl FnOnce() -> Result<Outcome, Failure> + Send) -> Result<Outcome, Failure> {
    // Where that is not allowed, what holds secrets is locked all the same, or the command ends here.
    let _ = keyvault::serve::isolation::forbid_swap();
    heap::open()?;
    self_test::run(&mut random())?;
    stack::run(|| {
        let _here = Shelter::enter();
        let outcome = work();
        stack::wipe();
        outcome
    })?
}
