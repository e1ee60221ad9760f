//! Durable rows, each sealed alone.

pub mod sealing;
pub(crate) mod sql;
pub mod xaes;
