//! The program `photo-store`: `check` and `normalise` a file, `serve` the store on a Unix socket.
//!
//! Contract: the project's page of command-line contracts. Standard output holds the result only; the exit code says how
//! it went (0 done, 1 refused, 2 usage, 3 a service is absent, 5 damaged or misconfigured).

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(std::env::args_os().collect())
}
