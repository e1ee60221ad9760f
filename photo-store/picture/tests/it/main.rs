//! What the checks say about pictures that counters get, and what the renditions look like.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a test fails by panicking; its pictures are small"
)]

mod made;
mod pictures;
