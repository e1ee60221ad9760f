//! What a client's key stood for, so that it does not stand for something else. Left out: work whose own id is the key's.

use permit_domain::Digest;

use crate::{
    error::Error,
    rows::digest,
    transaction::{Snapshot, Transaction, on_engine, write_on_engine},
};

/// How long a key is known, milliseconds: 30 days.
const KNOWN: i64 = 30 * 86_400 * 1_000;

impl Snapshot {
    /// The request that a key did; `None`: it did none that is known.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn request(&mut self, id: &[u8; 16]) -> Result<Option<Digest>, Error> {
        const SELECT: &str = "SELECT request FROM requests WHERE id = $1";
        let found: Option<Vec<u8>> = on_engine!(self, |c| sqlx::query_scalar(SELECT)
            .bind(id.to_vec())
            .fetch_optional(c))?;
        found
            .map(|request| digest(request, "requests.request"))
            .transpose()
    }
}

impl Transaction {
    /// Keeps what a key did, and forgets what others did more than 30 days ago. No entry: the work has its own.
    ///
    /// # Errors
    /// Outages.
    pub async fn keep_request(&mut self, id: &[u8; 16], request: Digest) -> Result<(), Error> {
        const FORGET: &str = "DELETE FROM requests WHERE done_at < $1";
        const INSERT: &str =
            "INSERT INTO requests (id, request, done_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        let at = self.millis();
        write_on_engine!(self, |c| sqlx::query(FORGET)
            .bind(at.saturating_sub(KNOWN))
            .execute(c))?;
        write_on_engine!(self, |c| sqlx::query(INSERT)
            .bind(id.to_vec())
            .bind(request.as_bytes().to_vec())
            .bind(at)
            .execute(c))?;
        Ok(())
    }
}
