//! Every function of the store, on both engines: SQLite in a folder of the test, and one PostgreSQL for the program.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod authenticators;
mod cases;
mod counters;
mod drafts;
mod faults;
mod ledger;
mod migration;
mod people;
mod photos;
mod reads;
mod stages;
mod vault_seen;
