//! What every program of the system promises: how it ends and what it prints ([`outcome`]), which time it works with
//! ([`clock`], [`day`]), in which language it speaks ([`language`]), files that are there whole or not at all ([`file`]), and how a
//! person writes money ([`money`]) and gives a secret ([`secret`]), whose a place is ([`user`]), and what a screen does not show
//! ([`unseen`]). [`documents`] holds what is written about a program's commands
//! against them.
//! The text of the promise is `docs/contracts.md`.
//!
//! The ground floor of everything that runs on a computer. Left out: what a service and its client say to each other
//! (crate `service-contract`), and everything about cards.

pub mod clock;
pub mod day;
pub mod documents;
pub mod file;
pub mod language;
pub mod money;
pub mod outcome;
pub mod secret;
pub mod unseen;
mod usage;
pub mod user;

pub use clock::{Clock, Founded, NotARehearsal};
pub use language::Language;
pub use outcome::{Exit, Failing, Failure, FailureParts, Outcome, Program};
