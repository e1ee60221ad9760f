//! Office, production, API and program against the real vault, photo store, ledger and card: one fixture for all of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may die"
)]

mod api;
mod authenticator;
mod browser;
mod card_back;
mod cards;
mod chief;
mod fixture;
mod page_times;
mod pages;
mod pages_corrected;
mod pages_in_use;
mod pages_of_papers;
mod pages_of_stock;
mod pages_typed;
mod photos;
mod postgres_dump;
mod production;
mod program;
mod sign_in;
mod signing;
mod vault_away;
mod withdrawal;
mod years;
