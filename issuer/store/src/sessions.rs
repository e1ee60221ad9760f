//! Sessions of people at the command line: the digest of what each of them holds, whose it is, until when.

use jiff::Timestamp;
use permit_domain::{Digest, StaffId};

use crate::{
    error::Error,
    rows::{instant, millis, value},
    transaction::{Snapshot, Transaction, on_engine, write_on_engine},
};

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Whose it is.
    pub account: StaffId,
    /// Digest of the token that opened it: it ends with that token.
    pub token_sha256: String,
    /// When it began.
    pub since: Timestamp,
    /// When it ends.
    pub until: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    account: String,
    token_sha256: String,
    since: i64,
    until: i64,
}

impl Snapshot {
    /// The session of this secret.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn session(&mut self, secret: Digest) -> Result<Option<Session>, Error> {
        const SELECT: &str = "SELECT account, token_sha256, since, until FROM sessions WHERE secret = $1";
        let row: Option<Row> = on_engine!(self, |c| sqlx::query_as(SELECT)
            .bind(secret.as_bytes().to_vec())
            .fetch_optional(c))?;
        let session = |row: Row| {
            Ok(Session {
                account: value(&row.account, "sessions.account")?,
                token_sha256: row.token_sha256,
                since: instant(row.since, "sessions.since")?,
                until: instant(row.until, "sessions.until")?,
            })
        };
        row.map(session).transpose()
    }
}

impl Transaction {
    /// Begins a session, and forgets those that ended before it began.
    ///
    /// # Errors
    /// Outages.
    pub async fn insert_session(&mut self, secret: Digest, session: &Session) -> Result<(), Error> {
        const ENDED: &str = "DELETE FROM sessions WHERE until < $1";
        const INSERT: &str =
            "INSERT INTO sessions (secret, account, token_sha256, since, until) VALUES ($1, $2, $3, $4, $5)";
        let since = millis(session.since);
        write_on_engine!(self, |c| sqlx::query(ENDED).bind(since).execute(c))?;
        write_on_engine!(self, |c| sqlx::query(INSERT)
            .bind(secret.as_bytes().to_vec())
            .bind(session.account.as_str())
            .bind(&session.token_sha256)
            .bind(since)
            .bind(millis(session.until))
            .execute(c))?;
        Ok(())
    }

    /// Ends a session.
    ///
    /// # Errors
    /// Outages.
    pub async fn delete_session(&mut self, secret: Digest) -> Result<(), Error> {
        const DELETE: &str = "DELETE FROM sessions WHERE secret = $1";
        write_on_engine!(self, |c| sqlx::query(DELETE)
            .bind(secret.as_bytes().to_vec())
            .execute(c))?;
        Ok(())
    }
}
