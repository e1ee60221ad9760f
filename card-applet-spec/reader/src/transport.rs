//! How a command reaches a card: one small trait, its errors, and PC/SC as its everyday implementation ([`PcscTransport`]).
//!
//! A transport carries one command APDU (ISO/IEC 7816-4, short form) and brings one answer: body and status word.
//! It knows nothing of sessions, keys or status words. The other implementation, the card in process, lives in crate
//! `virtual-card`, because no production program may contain a card.
//!
//! Left out on purpose: logical channels, extended length (the specification has neither), waiting for card events
//! (a terminal polls by connecting), and any retry: only the caller knows whether a command may be sent twice.

mod error;
mod pcsc;
mod way;

pub use self::error::{Outcome, TransportError};
pub use self::pcsc::{Connect, ListedReader, PcscTransport};
pub use self::way::{Transport, check_command};
