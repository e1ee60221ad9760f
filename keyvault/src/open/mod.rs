//! The open vault.

pub(crate) mod callers;
pub(crate) mod folder;
pub(crate) mod freshness;
pub(crate) mod group;
pub(crate) mod opening;
pub(crate) mod transaction;
pub(crate) mod walk;
