//! What can go wrong with a card outside of an answer.

use crate::memory::MemoryFault;

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
