//! How the vault is reached: the socket, the gate that every request passes, the operations behind it, and the isolation of
//! the process.

mod answers;
mod gate;
pub mod isolation;
mod operations;
mod pool;
mod socket;
#[cfg(test)]
mod tests;

pub use socket::{Server, listen};
