//! The work of the office that needs no card on a reader: applications, decisions, orders, cards in use, settlement.
//!
//! [`office::Office`] does it. Clock, random source and connections are arguments. Left out: making and changing cards
//! (crate `issuer-production`), HTTP (crate `issuer-api`), and SQL (crate `issuer-store`).

mod attempts;
pub mod authenticators;
pub mod card_back;
pub mod card_content;
mod challenge;
pub mod changes;
pub mod closing;
pub mod collection;
mod completion;
pub mod connection;
pub mod counters;
pub mod dashboard;
mod decision;
pub mod drafts;
mod ended;
pub mod error;
pub mod evaluation;
pub mod fault;
pub mod find_case;
pub mod frozen_case;
mod frozen_change;
pub mod frozen_photo;
pub mod hashed_id;
pub mod holder;
pub mod identity;
mod intake;
pub mod loads;
mod looks;
pub mod loss;
pub mod mandate;
pub mod office;
mod on_file;
mod ordering;
pub mod paper;
pub mod photo;
pub mod proposal;
pub mod random;
pub mod readiness;
pub mod recovery;
mod requests;
pub mod scans;
pub mod scrap;
pub mod service;
pub mod session;
pub mod settlement;
pub mod sign_in;
pub mod sign_in_error;
pub mod signing_error;
pub mod signing_keys;
pub mod slip;
pub mod staff;
pub mod stock;
pub mod terminals;
pub mod updates;
pub mod vault_seen;
pub mod webauthn;
mod withdrawal;
pub mod work;

#[cfg(test)]
mod tests;
