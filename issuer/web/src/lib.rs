//! The pages of the counter: a clerk takes an application, judges the photo, decides, signs off, makes and hands over a card in the
//! browser. One file per page, over `issuer-office`; templates in `templates/`, style and scripts in `assets/`.
//!
//! Beside them the pages for everybody: where a case stands (`status`), and whether a card's code is genuine (`check`), both without a
//! session.
//!
//! Pages are made here and read by people: forms that work without scripts, Chinese or English, a strict content security policy.
//! Who acts is a session, never a field. Left out: TLS (a proxy ends it), the HTTP API for programs (crate `issuer-api`), the reader
//! itself (whoever runs the pages lends a [`Desk`]).

mod accounts;
mod allow;
mod answer;
mod assets;
mod authenticator;
mod camera;
mod case;
mod cases;
mod change;
mod chart;
mod check;
mod closing;
mod cookies;
mod correction;
mod counter;
mod dashboard;
mod decide;
mod desk;
mod doctor;
mod draft;
mod enrolment;
mod evaluations;
mod events;
mod everybody;
mod faces;
mod facts;
mod failure;
mod form;
mod frame;
mod holder;
mod identity;
mod intake;
mod kept_list;
mod kit;
mod lists;
mod live;
mod load;
mod notice;
mod order;
mod page_words;
mod paper;
mod person;
mod photo;
mod proof;
mod public;
mod reading;
mod roles;
mod routes;
mod scanned;
mod scans;
mod scraps;
mod settlement;
mod sign_in;
mod signing;
mod signing_keys;
mod stands;
mod status;
mod stock;
mod terminals;
mod tries;
mod typed;
mod uncollected;
mod view;
mod whence;

pub use counter::Counter;
pub use desk::{AtReader, Desk, FacesHere, OrderHere, PurseSeen, Written};
pub use identity::{IdentityDocument, IdentityReader, Reading, SimulatedIdentityReader};
pub use public::Public;
