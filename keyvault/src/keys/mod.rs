//! Keys: what the vault holds, where it lies in memory, what may be derived from it.

pub mod arena;
pub(crate) mod check;
pub(crate) mod material;
pub(crate) mod photo;
pub(crate) mod sealed_box;
pub(crate) mod version;
