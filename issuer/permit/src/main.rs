//! `permit demo` and `permit up`: the whole installation on one machine, no hardware needed. `permit photo` and
//! `permit hand-over` ask the one that `permit up` runs.
//!
//! Results on standard output, prose on standard error; `--json` prints exactly one object; exit codes as the contracts
//! say. The vault and the photo store run as child processes, and the card lies behind a private PC/SC service; all of
//! them end with this program, however it ends.

mod arguments;
mod case;
mod demo;
mod failure;
mod folder;
mod installation;
mod local_socket;
mod officers;
mod photo;
mod private_pcscd;
mod process;
mod reads;
mod report;
mod samples;
mod showing;
mod signing;
mod stranger;
mod terminals;
mod up;
mod vault;
mod walk;

use std::process::ExitCode;

use program_contract::language::Words;
use program_contract::{Clock, Failure, Program};

use crate::arguments::{Arguments, Command, Common};

const PROGRAM: Program = Program::new("permit");

fn main() -> ExitCode {
    let arguments = match PROGRAM.arguments::<Arguments>("yzt.permit/1") {
        Ok(arguments) => arguments,
        Err(ended) => return ended,
    };
    #[expect(clippy::disallowed_methods, reason = "main is where time comes from")]
    let clock = Clock::machine();
    match &arguments.command {
        Command::Demo(demo) => started(demo::SCHEMA, &demo.common, async {
            let outcome = Box::pin(demo::run(demo, &clock)).await;
            Ok(PROGRAM.end(demo::SCHEMA, demo.common.json, outcome))
        }),
        Command::Up(up) => started(up::SCHEMA, &up.common, async {
            Box::pin(up::run(up, &clock, PROGRAM)).await?;
            Ok(ExitCode::SUCCESS)
        }),
        Command::Photo(photo) => PROGRAM.end(local_socket::PHOTO, photo.json, local_socket::photo(photo)),
        Command::HandOver(over) => {
            PROGRAM.end(local_socket::HAND_OVER, over.json, local_socket::hand_over(over))
        }
    }
}

/// Runs a command that starts an installation.
fn started(
    schema: &'static str,
    common: &Common,
    command: impl Future<Output = Result<ExitCode, Failure>>,
) -> ExitCode {
    // A PC/SC client is pointed at its service when it is spawned: the outer process starts the service and runs this
    // program again as its client.
    let ended = if common.no_pcsc || common.reader.is_some() || private_pcscd::is_client() {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| failure::machine(Words("运行时无法启动", "the runtime does not start"), &error))
            .and_then(|runtime| runtime.block_on(command))
    } else {
        private_pcscd::run_as_client(common)
    };
    ended.unwrap_or_else(|failure| PROGRAM.end(schema, common.json, Err(failure)))
}
