//! The authority: who may ask, versions of role keys, certificates, and who signs what.

pub(crate) mod asker;
pub(crate) mod callers;
pub(crate) mod ceilings;
pub(crate) mod certificates;
pub(crate) mod requests;
pub(crate) mod role_keys;
pub(crate) mod signers;
