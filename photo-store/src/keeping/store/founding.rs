//! Under which vault the store was founded.

use crate::error::Error;
use crate::keeping::store::transaction::{Snapshot, Transaction, on_engine, write_on_engine};

impl Snapshot {
    /// Number of the vault; none in a store of before there was such a row.
    pub(crate) async fn founded_under(&mut self) -> Result<Option<[u8; 16]>, Error> {
        const SELECT: &str = "SELECT vault FROM founding WHERE id = 1";
        let vault: Option<Vec<u8>> = on_engine!(self, |c| sqlx::query_scalar(SELECT).fetch_optional(c))?;
        vault
            .map(|vault| {
                vault
                    .try_into()
                    .map_err(|_| Error::IndexDamaged("founding.vault"))
            })
            .transpose()
    }

    /// Whether the index has no photo, whatever became of it.
    pub(crate) async fn is_empty(&mut self) -> Result<bool, Error> {
        const COUNT: &str = "SELECT count(*) FROM photos";
        let photos: i64 = on_engine!(self, |c| sqlx::query_scalar(COUNT).fetch_one(c))?;
        Ok(photos == 0)
    }
}

impl Transaction {
    /// Writes it down, once.
    pub(crate) async fn found_under(&mut self, vault: &[u8; 16]) -> Result<(), Error> {
        const INSERT: &str = "INSERT INTO founding (id, vault) VALUES (1, $1)";
        write_on_engine!(self, |c| sqlx::query(INSERT).bind(&vault[..]).execute(c))?;
        Ok(())
    }
}
