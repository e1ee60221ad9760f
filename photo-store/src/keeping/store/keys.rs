//! Keys of the store itself, wrapped by the vault.

use crate::error::Error;
use crate::keeping::store::transaction::{Snapshot, Transaction, on_engine, write_on_engine};

impl Snapshot {
    /// The key of this name, wrapped.
    pub(crate) async fn key(&mut self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        const SELECT_KEY: &str = "SELECT wrapped_key FROM store_keys WHERE name = $1";
        on_engine!(self, |c| sqlx::query_scalar(SELECT_KEY)
            .bind(name)
            .fetch_optional(c))
    }
}

impl Transaction {
    /// Keeps a key; there is none of this name.
    pub(crate) async fn add_key(&mut self, name: &str, wrapped: &[u8]) -> Result<(), Error> {
        const INSERT_KEY: &str = "INSERT INTO store_keys (name, wrapped_key) VALUES ($1, $2)";
        write_on_engine!(self, |c| sqlx::query(INSERT_KEY)
            .bind(name)
            .bind(wrapped)
            .execute(c))?;
        Ok(())
    }
}
