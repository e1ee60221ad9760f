//! How the vault is reached: the socket, the gate that every request passes, the operations behind it, and the isolation of
//! the process.

mod gate;
pub mod isolation;
mod operations;
mod socket;

pub use socket::{connection, listen};
