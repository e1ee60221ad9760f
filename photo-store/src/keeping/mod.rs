//! What is kept, and how: sealed objects, their keys at the vault, and the index.
//!
//! | module | what it does |
//! |---|---|
//! | [`folder`] | where everything is on a disk |
//! | [`identity`] | who the store is to its vault, and which vault is its own |
//! | [`objects`] | the sealed objects |
//! | [`seal`] | one AES-256-GCM key per object |
//! | [`vault`] | where those keys are made, wrapped and opened |
//! | [`store`] | the index on SQLite or PostgreSQL: all SQL of the crate |

pub(crate) mod folder;
pub(crate) mod identity;
pub mod objects;
pub(crate) mod seal;
pub mod store;
pub mod vault;
