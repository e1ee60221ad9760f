//! Program `issuer`: reads its arguments, gives the clock and the random source, and runs one command of the library.

use std::process::ExitCode;

use clap::Parser as _;

use issuer::clock::Clock;
use issuer::command::{self, Arguments};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(help) => {
            let shown = help.print();
            return if help.use_stderr() || shown.is_err() {
                ExitCode::from(2)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    command::run(arguments, &machine_clock())
}

#[expect(clippy::disallowed_methods, reason = "main is where time comes from")]
fn machine_clock() -> Clock {
    Clock::new(jiff::Timestamp::now)
}
