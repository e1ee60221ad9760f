//! The reference card as its host and everybody else meets it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::too_many_lines,
    reason = "a test may die"
)]

mod cases;
mod life_cycle;
mod life_model;
mod no_std;
mod points;
mod purse;
mod purse_model;
mod scripts;
mod sessions;
mod strangers;
mod torn_writes;
mod updates;
