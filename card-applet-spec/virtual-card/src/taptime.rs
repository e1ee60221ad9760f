//! The tap-time model: the real applet goes through every door and command in this process, what it does is counted, and
//! the counts become milliseconds on cards that others have measured (`docs/taptime.md`).
//!
//! | module | content |
//! |---|---|
//! | `issuer` | the people around the card: personalisation, terminals |
//! | [`work`] | what a Java Card would do where the reference card did that |
//! | [`cards`] | measured cards and their sources |
//! | [`time`] | assumptions, link, milliseconds |
//! | [`report`] | the uses of a card, their counts and milliseconds |
//! | [`gate`] | a whole passage of a gate, with the terminal's part |
//! | [`chart`] | the drawings of the page |
//!
//! Left out on purpose: the time of this machine, which says nothing about a card; waiting-time extensions, retries of
//! the link, and (but for the passage of a gate) the terminal's own work.

pub mod cards;
pub mod chart;
pub mod gate;
mod issuer;
pub mod report;
pub mod time;
pub mod work;

pub use report::{Command, Outcome, Report, Row, SCHEMA, Scenario, TARGETS, Target};
