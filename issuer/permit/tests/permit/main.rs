//! `permit` from outside, by the contracts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may die"
)]

mod demo;
mod faults;
mod handbook;
mod up;
