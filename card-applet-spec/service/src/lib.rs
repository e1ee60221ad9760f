//! What the services of the system and their clients have in common, whatever they speak about: [`frame`]s on a byte
//! stream, [`operation`]s that tie a request to its answer, its policy and its door, and who listens at a [`socket`].
//!
//! Left out: the messages themselves (`keyvault-protocol`, `photo-store-protocol`), and encryption: the stream is a local
//! socket, or ends a TLS session.

pub mod frame;
pub mod operation;
pub mod socket;
pub mod table;

pub use frame::FrameError;
pub use operation::{Answer, Caller, Ceiling, Hands, Journal, Kind, Listed, Operation, Policy, answered};

// The macros of `operation` name it, so that a protocol needs no dependency for them.
#[doc(hidden)]
pub use minicbor;
