//! The terminal side: PC/SC transport, typed sessions for the three doors, and the card-reader program.
//!
//! A card is a [`Card`] typed by what has been done to it. Door F is [`Terminal::tap`]; door S is
//! [`Card::present`], [`Card::agree`] and the reads behind it, which alone make [`Genuine`] values; a payment is a
//! [`Till`]; door I is the vault's,
//! whose commands [`relay`] carries. The normative text is `../spec/`; every byte comes from `card-applet-spec`.
//!
//! Left out: keys of the issuer (they never leave the vault), and any record of who was where.

pub mod bundle;
pub mod card;
pub mod counter;
pub mod counting;
pub mod door_f;
pub mod door_s;
pub mod enrol;
pub mod error;
pub mod folder;
pub mod genuine;
pub mod journal;
pub mod purchase;
pub mod relay;
pub mod tape;
pub mod transport;
pub mod updates;

pub use bundle::{Bundle, StaleList};
pub use card::{Card, Connected, Selected};
pub use counter::{CardOnCounter, CounterError};
pub use counting::{Counting, Counts, Stopwatch};
pub use door_f::{Tapped, Terminal};
pub use door_s::{Presented, Secure};
pub use enrol::{Pinned, TerminalKey, TerminalName};
pub use error::{Check, Error, MaterialError, Reason, Refusal, Step, Told};
pub use folder::Folder;
pub use genuine::{Admission, Chip, DataGroups, Evidence, Genuine};
pub use journal::Journal;
pub use purchase::{Moment, Outcome, Till};
pub use updates::Updates;
