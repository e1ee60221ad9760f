//! Issue and read over PC/SC, faults, the conformance suite and its mutants, the Java Card, an independent reader, software of
//! other people, and the edges among our crates.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "a test may die"
)]

mod conformance;
mod conformance_mutants;
mod faults;
mod foreign;
mod house;
mod independent;
mod issue_and_read;
mod java_card;
