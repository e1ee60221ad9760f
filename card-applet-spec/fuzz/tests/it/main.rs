//! The bodies of the fuzz targets on stable: what the fuzzer once found stays found.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may die"
)]

mod replay;
