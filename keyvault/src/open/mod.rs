//! The open vault.

pub(crate) mod transaction;
