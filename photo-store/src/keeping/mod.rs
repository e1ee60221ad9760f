//! What is kept, and how: sealed objects, their keys at the vault, and the index.
//!
//! | module | what it does |
//! |---|---|
//! | [`seal`] | one AES-256-GCM key per object |
//! | [`vault`] | where those keys are made, wrapped and opened |
//! | [`store`] | the index on SQLite or PostgreSQL: all SQL of the crate |

pub mod seal;
pub mod store;
pub mod vault;
