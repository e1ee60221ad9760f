//! The reference card as something to hold: in process behind the same trait as a PC/SC reader, or behind pcscd's virtual
//! reader in a namespace of its own; with a memory that survives a restart, and with every fault that a real card meets.
//!
//! Nothing here is a mock: the card is crate `card-applet`, byte for byte the one that the specification describes, and
//! the reader is Debian's `vsmartcard-vpcd` under a real `pcscd`. What is imitated is the manipulator that inserts, pulls and
//! swaps the card, and the power that fails.
//!
//! | module | content |
//! |---|---|
//! | [`card`], [`memory`], [`random`] | our card: applet, memory in RAM or a file, torn writes, random source |
//! | [`java_card`] | the same card as a Java Card applet, in a process of its own |
//! | [`model`] | which of the two a memory file holds |
//! | [`blank`] | making blanks from the vault's lot file |
//! | [`chip`] | what else can lie on a reader: a foreign card, a dead one |
//! | [`in_process`] | the card behind the transport trait, without a service |
//! | [`fault`], [`tape`] | cuts and flipped bits around any transport; what went over it |
//! | [`slot`], [`manipulator`], [`control`] | one virtual reader: insert, pull, swap; by a Unix socket too |
//! | `meter`, `taptime` | counting what the card computes, and what that takes on real cards (feature `taptime`) |
//! | [`pcscd`] | a private PC/SC service per run: namespaces, service and card, gone when its owner is gone |
//!
//! Left out on purpose: this crate never goes into a production program (only `permit` and `hardware-tests` may name it),
//! and the card's memory file is not encrypted: it stands for a chip that an attacker has already opened.

pub mod blank;
pub mod card;
pub mod chip;
pub mod control;
mod error;
pub mod fault;
pub mod in_process;
pub mod java_card;
pub mod manipulator;
pub mod memory;
#[cfg(feature = "taptime")]
pub mod meter;
pub mod model;
pub mod pcscd;
pub mod random;
pub mod slot;
pub mod tape;
#[cfg(feature = "taptime")]
pub mod taptime;

pub use card::Card;
pub use error::Error;
pub use in_process::InProcess;
pub use java_card::JavaCard;
pub use memory::CardMemory;
pub use random::CardRandom;
