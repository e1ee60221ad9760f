//! The program `card-reader` without a reader.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may die"
)]

mod command_line;
