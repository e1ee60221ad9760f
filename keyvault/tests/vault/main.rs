//! The vault from outside: custody of the shares, cards written through a client, and the program.
#![allow(clippy::too_many_lines, reason = "a test tells one story from top to bottom")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod callers;
mod cards;
mod ceilings;
mod changes;
mod channel;
mod custody;
mod freshness;
mod gate;
mod handbooks;
mod memory;
mod operations;
mod program;
mod relay;
mod requests;
mod settlement;
mod support;
mod terminals;
mod time;
mod torn;
mod versions;
