//! The reference card as something to hold: in process behind the same trait as a PC/SC reader, or behind pcscd's virtual
//! reader in a namespace of its own; with a memory that survives a restart, and with every fault that a real card meets.
//!
//! Nothing here is a mock: the card is crate `card-applet`, byte for byte the one that the specification describes, and
//! the reader is Debian's `vsmartcard-vpcd` under a real `pcscd`. What is imitated is the hand that inserts, pulls and
//! swaps the card, and the power that fails.
//!
//! | module | content |
//! |---|---|
//! | [`pcscd`] | a private PC/SC service per run: namespaces, service and card, gone when its owner is gone |
//! | [`slot`] | one virtual reader: insert, pull, swap, mute, faults on the line |
//! | [`control`] | the same by a Unix socket, JSON lines |
//! | [`chip`] | what lies on a reader: our card, a foreign card, a dead one |
//!
//! Left out on purpose: this crate never goes into a production program (only `permit` and `hardware-tests` may name it),
//! and the card's memory file is not encrypted: it stands for a chip that an attacker has already opened.

pub mod chip;
pub mod control;
mod error;
pub mod hand;
pub mod pcscd;
pub mod slot;

pub use error::Error;
