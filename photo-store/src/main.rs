//! The program `photo-store`: `check` and `normalise` a file, `serve` the store on a Unix socket.
//!
//! Contract: `docs/contracts.md`. This is the one place that takes time and randomness from the machine.

use std::process::ExitCode;

use getrandom::SysRng;
use program_contract::Clock;

#[expect(clippy::disallowed_methods, reason = "main takes the machine's clock")]
fn main() -> ExitCode {
    photo_store::run(&Clock::machine(), SysRng)
}
