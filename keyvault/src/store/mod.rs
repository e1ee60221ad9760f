//! Durable rows, each sealed alone.

pub(crate) mod commitment;
pub(crate) mod sealing;
pub(crate) mod sql;
pub(crate) mod staged;
