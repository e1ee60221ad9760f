//! The pages of the counter: a clerk takes an application, judges the photo, decides, signs off, makes and hands over a card in the
//! browser. One file per page, over `issuer-office`; templates in `templates/`, style and scripts in `assets/`.
//!
//! Pages are made here and read by people: forms that work without scripts, Chinese or English, a strict content security policy.
//! Who acts is a session, never a field. Left out: TLS (a proxy ends it), the HTTP API for programs (crate `issuer-api`), the reader
//! itself (whoever runs the pages lends a [`Desk`]), signing in with an authenticator.

mod answer;
mod assets;
mod case;
mod change;
mod cookies;
mod counter;
mod decide;
mod desk;
mod failure;
mod form;
mod frame;
mod holder;
mod intake;
mod lists;
mod notice;
mod order;
mod person;
mod photo;
mod routes;
mod sign_in;
mod stands;

pub use counter::Counter;
pub use desk::{AtReader, Desk, Written};
