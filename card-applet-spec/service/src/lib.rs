//! What the services of the system and their clients have in common, whatever they speak about: [`frame`]s on a byte
//! stream.
//!
//! Left out: the messages themselves (`keyvault-protocol`, `photo-store-protocol`), and encryption: the stream is a local
//! socket, or ends a TLS session.

pub mod frame;

pub use frame::FrameError;
