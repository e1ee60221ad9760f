//! Program `issuer`: reads its arguments, gives the clock and the random source, and runs one command of the library.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use getrandom::SysRng;
use issuer::command;
use issuer::command::Arguments;
use issuer_office::random::Random;
use program_contract::Clock;
use rand_core::UnwrapErr;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let arguments = match command::PROGRAM.arguments::<Arguments>("yzt.issuer/1") {
        Ok(arguments) => arguments,
        Err(ended) => return ended,
    };
    // Who sits at a terminal is told in prose.
    let level = if std::io::stderr().is_terminal() {
        "error"
    } else {
        "info"
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // A log that cannot be written is lost: said on the same stream, it would be a panic.
        .log_internal_errors(false)
        .init();
    #[expect(clippy::disallowed_methods, reason = "main is where time comes from")]
    let clock = Clock::machine();
    // A machine without a random source makes no keys and no cards: it stops.
    command::run(arguments, &clock, &Random::new(UnwrapErr(SysRng)))
}
