//! What the vault signs and certifies with: versions of role keys, certificates.

pub(crate) mod role_keys;
