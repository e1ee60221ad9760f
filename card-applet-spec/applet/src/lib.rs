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
mod error;
mod manufacture;
mod memory;
mod storage;
mod update;

pub use applet::Applet;
pub use error::Error;
pub use manufacture::{Blank, manufacture};
pub use memory::{MEMORY_LEN, Memory, MemoryFault};
