//! The domain from outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may die"
)]

mod changes;
mod counting;
mod life_cycles;
mod payments;
mod refuses;
mod schema;
mod typed;
