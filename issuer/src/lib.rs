//! The program of the issuing office: its commands ([`command`]) and its installation ([`installation`]).
//!
//! The work is done by the crates below it: `issuer-office` without a card, `issuer-production` with one, `issuer-api` over
//! HTTP. Clock and random source are arguments.

pub mod command;
pub mod installation;
