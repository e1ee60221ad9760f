//! The issuing office: applications, decisions, production of cards, and its HTTP API.
//!
//! [`office::Office`] is the work without a card, [`production::Production`] the work with one, [`api::Api`] the HTTP
//! face of both, [`artwork`] what is printed, [`command`] the program. All of them take their clock, random source and
//! connections as arguments.

pub mod api;
pub mod artwork;
mod atomic;
pub mod cards;
pub mod clock;
pub mod command;
pub mod content;
pub mod installation;
pub mod office;
mod photo_fault;
pub mod production;
pub mod random;
pub mod service_key;
pub mod settlement;
pub mod staff;
pub mod stream;
