//! Keys: what the vault holds, where it lies in memory, what may be derived from it.

pub mod arena;
pub mod check;
pub(crate) mod material;
pub(crate) mod photo;
pub mod random;
pub(crate) mod sealed_box;
pub mod self_test;
pub(crate) mod version;
