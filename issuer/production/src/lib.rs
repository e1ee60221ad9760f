//! Production of a card, from a blank to the holder's hand, and changes of a card at the counter.
//!
//! [`Production`] does it with the card on a [`Station`]. Left out: the printer (faces are files), and every key of a card:
//! the vault writes, this crate carries cipher text.

mod allocate;
mod change;
mod draw;
mod encode;
mod ended_list;
mod enrolment;
mod error;
mod hand_over;
mod pipe;
mod production;
mod purse;
mod readers;
mod run;
mod service_key;
mod station;
mod terminal;
mod verify;

pub use draw::{FaceDigests, Faces};
pub use ended_list::{EndedList, LIST_DAYS};
pub use enrolment::check_enrolment;
pub use error::ProductionError;
pub use hand_over::HolderChecked;
pub use production::{Production, Settings};
pub use readers::check_reader;
pub use run::{Observer, StepReport};
pub use service_key::{ServiceKey, ServiceKeyError};
pub use station::Station;
pub use terminal::{Counter, pinned};
