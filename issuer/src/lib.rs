//! The issuing office: applications, decisions, production of cards, and its HTTP API.

pub mod artwork;
mod atomic;
pub mod clock;
pub mod command;
