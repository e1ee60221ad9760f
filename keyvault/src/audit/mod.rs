//! What the vault wrote down of its own doings.

pub(crate) mod journal;
pub(crate) mod reading;
