//! The card in process and behind a private `pcscd`, the terminal side against it, and the programs `virtual-card` and `card-reader`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "a test may die"
)]

mod card;
mod command_line;
mod pcsc_fixture;
mod personalisation;
mod private_service;
mod reader_bundle;
mod reader_door_f;
mod reader_door_s;
mod reader_fixture;
mod reader_program;
mod reader_purchase;
mod reader_stolen;
mod reader_terminal;
mod reader_updates;
mod resuming_issuer;
mod taptime;
