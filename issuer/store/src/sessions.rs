//! Sessions of people, at the command line and at the counter's pages: the digest of what each of them holds, whose it is, how it
//! was opened, until when, and when its person was last there.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use permit_domain::{Digest, StaffId};

use crate::{
    error::Error,
    rows::{instant, millis, value},
    transaction::{Snapshot, Transaction, on_engine, write_on_engine},
};

/// How a session was opened, and with it what it may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenedBy {
    /// By a token at the command line.
    Command,
    /// By choosing a sample member of staff, in a rehearsal.
    Sample,
    /// By an authenticator.
    Authenticator,
    /// By a token, to enrol authenticators.
    InvitedByToken,
    /// By the code of a recovery, to enrol authenticators.
    InvitedByCode,
    /// By the only authenticator of an account, to enrol the second.
    HalfEnrolled,
}

impl OpenedBy {
    const ALL: [Self; 6] = [
        Self::Command,
        Self::Sample,
        Self::Authenticator,
        Self::InvitedByToken,
        Self::InvitedByCode,
        Self::HalfEnrolled,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Command => "COMMAND",
            Self::Sample => "SAMPLE",
            Self::Authenticator => "AUTHENTICATOR",
            Self::InvitedByToken => "INVITED_BY_TOKEN",
            Self::InvitedByCode => "INVITED_BY_CODE",
            Self::HalfEnrolled => "HALF_ENROLLED",
        }
    }

    /// Whether it is for enrolling authenticators alone.
    #[must_use]
    pub const fn enrols_alone(self) -> bool {
        matches!(
            self,
            Self::InvitedByToken | Self::InvitedByCode | Self::HalfEnrolled
        )
    }
}

impl fmt::Display for OpenedBy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for OpenedBy {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|way| way.name() == text).ok_or(())
    }
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Whose it is.
    pub account: StaffId,
    /// Digest of the token that its account had when it was opened: it ends with that token.
    pub token_sha256: String,
    /// How it was opened.
    pub opened_by: OpenedBy,
    /// When it began.
    pub since: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// When it was last used, to a few minutes.
    pub seen_at: Timestamp,
    /// When its person last proved to be there.
    pub proved_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct Row {
    account: String,
    token_sha256: String,
    opened_by: String,
    since: i64,
    until: i64,
    seen_at: i64,
    proved_at: Option<i64>,
}

impl Snapshot {
    /// The session of this secret.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn session(&mut self, secret: Digest) -> Result<Option<Session>, Error> {
        const SELECT: &str = "
            SELECT account, token_sha256, opened_by, since, until, seen_at, proved_at FROM sessions WHERE secret = $1";
        let row: Option<Row> = on_engine!(self, |c| sqlx::query_as(SELECT)
            .bind(secret.as_bytes().to_vec())
            .fetch_optional(c))?;
        let session = |row: Row| {
            Ok(Session {
                account: value(&row.account, "sessions.account")?,
                token_sha256: row.token_sha256,
                opened_by: value(&row.opened_by, "sessions.opened_by")?,
                since: instant(row.since, "sessions.since")?,
                until: instant(row.until, "sessions.until")?,
                seen_at: instant(row.seen_at, "sessions.seen_at")?,
                proved_at: row
                    .proved_at
                    .map(|at| instant(at, "sessions.proved_at"))
                    .transpose()?,
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
        const INSERT: &str = "
            INSERT INTO sessions (secret, account, token_sha256, opened_by, since, until, seen_at, proved_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let since = millis(session.since);
        write_on_engine!(self, |c| sqlx::query(ENDED).bind(since).execute(c))?;
        write_on_engine!(self, |c| sqlx::query(INSERT)
            .bind(secret.as_bytes().to_vec())
            .bind(session.account.as_str())
            .bind(&session.token_sha256)
            .bind(session.opened_by.name())
            .bind(since)
            .bind(millis(session.until))
            .bind(millis(session.seen_at))
            .bind(session.proved_at.map(millis))
            .execute(c))?;
        Ok(())
    }

    /// Keeps that a session was used now.
    ///
    /// # Errors
    /// Outages.
    pub async fn saw_session(&mut self, secret: Digest, at: Timestamp) -> Result<(), Error> {
        const SAW: &str = "UPDATE sessions SET seen_at = $1 WHERE secret = $2 AND seen_at < $1";
        let at = millis(at);
        write_on_engine!(self, |c| sqlx::query(SAW)
            .bind(at)
            .bind(secret.as_bytes().to_vec())
            .execute(c))?;
        Ok(())
    }

    /// Keeps that the person of a session proved now to be there.
    ///
    /// # Errors
    /// Outages.
    pub async fn proved_session(&mut self, secret: Digest, at: Timestamp) -> Result<(), Error> {
        const PROVED: &str =
            "UPDATE sessions SET proved_at = $1, seen_at = $1 WHERE secret = $2 AND since <= $1";
        let at = millis(at);
        write_on_engine!(self, |c| sqlx::query(PROVED)
            .bind(at)
            .bind(secret.as_bytes().to_vec())
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

    /// Ends every session of an account.
    ///
    /// # Errors
    /// Outages.
    pub async fn delete_sessions_of(&mut self, account: &StaffId) -> Result<(), Error> {
        const DELETE: &str = "DELETE FROM sessions WHERE account = $1";
        write_on_engine!(self, |c| sqlx::query(DELETE).bind(account.as_str()).execute(c))?;
        Ok(())
    }
}
