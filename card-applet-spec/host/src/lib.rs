//! An issuer's side of door I for tests: memory that tears ([`Ram`]), masters in the open as only a vault holds them
//! ([`Host`]), scripts step by step, taps and door S from a terminal's side, and a record of what a card does.
//!
//! The card's own tests and the fuzz targets use it. Left out on purpose: the conformance suite and the independent
//! reader, which share nothing with it, so that one mistake is not made twice.
#![allow(
    missing_docs,
    missing_debug_implementations,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    clippy::new_without_default,
    clippy::too_many_lines,
    reason = "test support: it may die, and its names say what they are"
)]

mod dice;
mod host;
mod watch;

pub use dice::Dice;
pub use host::*;
#[cfg(feature = "meter")]
pub use watch::{Event, events};
