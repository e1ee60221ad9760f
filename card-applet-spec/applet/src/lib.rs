//! The reference card: a state machine over a [`Memory`] and a random source, as in `../../spec/`.
//!
//! It behaves as a real card must, byte for byte, and keeps its promises when power fails at any write. Left out on
//! purpose: everything physical (contactless protocol, timing, tamper resistance) and the platform around an applet
//! (its security domain, loading). No std, no allocator.
#![no_std]

mod answer;
mod applet;
mod card;
mod command;
mod control;
mod door_f;
mod door_i;
mod door_s;
mod manufacture;
mod memory;
mod storage;
mod update;

pub use applet::Applet;
pub use manufacture::{Blank, manufacture};
pub use memory::{MEMORY_LEN, Memory, MemoryFault};

/// What can go wrong outside of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The memory could not be read or written, or is too small.
    Memory,
    /// The memory holds no card: it was never manufactured, or both control blocks are damaged.
    NotACard,
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Memory => "the card's memory cannot be read or written",
            Self::NotACard => "this memory holds no card",
        })
    }
}

impl core::error::Error for Error {}

impl From<MemoryFault> for Error {
    fn from(_: MemoryFault) -> Self {
        Self::Memory
    }
}
