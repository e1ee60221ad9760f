//! The `keyvault` program: `init`, `serve`, `unseal`, `seal`, `status`, and what an administrator asks of an open vault.
//!
//! Standard output holds the result only. No secret in arguments or environment: passphrases come from files or standard
//! input.

use std::process::ExitCode;

use keyvault::keys::arena::heap::Heap;
use program_contract::Clock;

mod command;

/// Every block is wiped when it is given back, and what a secret is worked with in lies where keys are.
#[global_allocator]
static HEAP: Heap = Heap;

fn main() -> ExitCode {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the program takes the machine's time"
    )]
    let clock = Clock::machine();
    command::run(&clock)
}
