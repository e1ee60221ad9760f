//! What the office decides in its transactions, on both engines: SQLite in a folder of the test, and one PostgreSQL for the
//! program. Work with the vault, the photo store and cards is tested in the program's own tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod cards_in_use;
mod cases;
mod chief;
mod counters;
mod drafts;
mod ledger;
mod paper;
#[path = "../../../store/tests/store/people.rs"]
mod people;
mod photos;
#[path = "../../../store/tests/store/reads.rs"]
mod reads;
mod signing;
mod slips;
#[path = "../../../store/tests/store/stages.rs"]
mod stages;
mod stock;
mod vault_seen;
mod work;
