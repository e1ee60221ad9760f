//! The work of the office that needs no card on a reader: applications, decisions, orders, cards in use, settlement.
//!
//! [`office::Office`] does it. Clock, random source and connections are arguments. Left out: making and changing cards
//! (crate `issuer-production`), HTTP (crate `issuer-api`), and SQL (crate `issuer-store`).

pub mod card_content;
pub mod changes;
pub mod connection;
pub mod error;
pub mod fault;
pub mod office;
pub mod random;
pub mod readiness;
pub mod settlement;
pub mod staff;
