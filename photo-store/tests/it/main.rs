//! The photo store from outside: what the program prints, what the operations do on both engines
//! with the real key vault, and what is left when disk, mount, vault or process fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking; its pictures are small"
)]

mod command_line;
mod operations;
mod pages;
mod serving;
mod store;
mod support;
