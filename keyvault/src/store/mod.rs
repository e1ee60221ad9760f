//! Durable rows, each sealed alone.

pub(crate) mod commitment;
pub mod sealing;
pub(crate) mod sql;
