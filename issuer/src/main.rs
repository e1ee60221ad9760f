//! Program `issuer`: reads its arguments, gives the clock and the random source, and runs one command of the library.

use std::process::ExitCode;

use clap::Parser as _;
use getrandom::SysRng;
use issuer::command;
use issuer::command::Arguments;
use issuer_office::random::Random;
use program_contract::Clock;
use rand_core::UnwrapErr;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    // Usage that is not understood has to be told as one object too, so this is looked for before it is parsed.
    let json_asked = std::env::args_os().any(|argument| argument == "--json");
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => return command::usage(&error, json_asked),
        Err(help) => {
            return if help.print().is_err() {
                ExitCode::from(2)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    // A machine without a random source makes no keys and no cards: it stops.
    command::run(arguments, &machine_clock(), &Random::new(UnwrapErr(SysRng)))
}

#[expect(clippy::disallowed_methods, reason = "main is where time comes from")]
fn machine_clock() -> Clock {
    Clock::new(jiff::Timestamp::now)
}
