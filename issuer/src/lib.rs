//! The program of the issuing office: its commands ([`command`]), its installation ([`installation`]), and in a
//! rehearsal the key files of its staff ([`rehearsal`]).
//!
//! The work is done by the crates below it: `issuer-office` without a card, `issuer-production` with one, `issuer-api` over
//! HTTP. Clock and random source are arguments.

pub mod command;
pub mod installation;
pub mod rehearsal;
