//! What the specification crate does: published and own vectors, parsers, terminal files, updates.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::similar_names,
    reason = "a test may die"
)]

#[cfg(feature = "meter")]
mod meter;
mod own_vectors;
mod parsers;
mod published_vectors;
mod support;
mod terminal_files;
mod updates;
