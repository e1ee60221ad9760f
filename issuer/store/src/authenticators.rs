//! Authenticators of people, the key under which their challenges are made, and which challenges were answered.

use jiff::Timestamp;
use permit_domain::{Digest, StaffId};

use crate::{
    error::Error,
    rows::{damaged, instant, millis, number, value},
    transaction::{Snapshot, Transaction, on_engine, write_on_engine},
};

/// An authenticator of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticator {
    /// The id under which it knows its key, 16 to 1023 bytes.
    pub credential: Vec<u8>,
    /// Whose it is.
    pub account: StaffId,
    /// Its P-256 key, SEC 1 uncompressed.
    pub public_key: [u8; 65],
    /// The counter of its last answer.
    pub counter: u32,
    /// What its person calls it.
    pub label: String,
    /// What opened the enrolment: `TOKEN`, `CODE`, `AUTHENTICATOR` or `SAMPLE`.
    pub invitation: String,
    /// Since when.
    pub enrolled_at: Timestamp,
    /// When it was removed.
    pub removed_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct Row {
    credential: Vec<u8>,
    account: String,
    public_key: Vec<u8>,
    counter: i64,
    label: String,
    invitation: String,
    enrolled_at: i64,
    removed_at: Option<i64>,
}

impl TryFrom<Row> for Authenticator {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            credential: row.credential,
            account: value(&row.account, "authenticators.account")?,
            public_key: row
                .public_key
                .try_into()
                .map_err(|_| damaged("authenticators.public_key"))?,
            counter: number(row.counter, "authenticators.counter")?,
            label: row.label,
            invitation: row.invitation,
            enrolled_at: instant(row.enrolled_at, "authenticators.enrolled_at")?,
            removed_at: row
                .removed_at
                .map(|at| instant(at, "authenticators.removed_at"))
                .transpose()?,
        })
    }
}

impl Snapshot {
    /// The authenticator with this id, also one that was removed.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn authenticator(&mut self, credential: &[u8]) -> Result<Option<Authenticator>, Error> {
        const ONE: &str = "
            SELECT credential, account, public_key, counter, label, invitation, enrolled_at, removed_at
            FROM authenticators WHERE credential = $1";
        let row: Option<Row> = on_engine!(self, |c| sqlx::query_as(ONE)
            .bind(credential.to_vec())
            .fetch_optional(c))?;
        row.map(TryInto::try_into).transpose()
    }

    /// Every authenticator that an account ever had, the oldest first.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn authenticators_of(&mut self, account: &StaffId) -> Result<Vec<Authenticator>, Error> {
        const OF: &str = "
            SELECT credential, account, public_key, counter, label, invitation, enrolled_at, removed_at
            FROM authenticators WHERE account = $1 ORDER BY enrolled_at, credential";
        let rows: Vec<Row> = on_engine!(self, |c| sqlx::query_as(OF).bind(account.as_str()).fetch_all(c))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The key under which challenges are made, if one was drawn yet.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn sign_in_key(&mut self) -> Result<Option<[u8; 32]>, Error> {
        const KEY: &str = "SELECT key FROM sign_in_key WHERE id = 1";
        let key: Option<Vec<u8>> = on_engine!(self, |c| sqlx::query_scalar(KEY).fetch_optional(c))?;
        key.map(|key| key.try_into().map_err(|_| damaged("sign_in_key.key")))
            .transpose()
    }
}

impl Transaction {
    /// Enrols an authenticator.
    ///
    /// # Errors
    /// [`Error::Exists`] for one that is or was enrolled; outages.
    pub async fn insert_authenticator(&mut self, new: &Authenticator) -> Result<(), Error> {
        const INSERT: &str = "
            INSERT INTO authenticators (credential, account, public_key, counter, label, invitation, enrolled_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
        let written = write_on_engine!(self, |c| sqlx::query(INSERT)
            .bind(new.credential.clone())
            .bind(new.account.as_str())
            .bind(new.public_key.to_vec())
            .bind(i64::from(new.counter))
            .bind(&new.label)
            .bind(&new.invitation)
            .bind(millis(new.enrolled_at))
            .execute(c))?;
        match written {
            1 => Ok(()),
            _ => Err(Error::Exists {
                what: "authenticator",
            }),
        }
    }

    /// Keeps the counter of its last answer.
    ///
    /// # Errors
    /// Outages.
    pub async fn set_authenticator_counter(&mut self, credential: &[u8], counter: u32) -> Result<(), Error> {
        const SET: &str = "UPDATE authenticators SET counter = $1 WHERE credential = $2";
        write_on_engine!(self, |c| sqlx::query(SET)
            .bind(i64::from(counter))
            .bind(credential.to_vec())
            .execute(c))?;
        Ok(())
    }

    /// Removes authenticators of an account: the one with this id, or all of them. How many were removed.
    ///
    /// # Errors
    /// Outages.
    pub async fn remove_authenticators(
        &mut self,
        account: &StaffId,
        credential: Option<&[u8]>,
    ) -> Result<u64, Error> {
        const ONE: &str = "
            UPDATE authenticators SET removed_at = $1 WHERE account = $2 AND removed_at IS NULL AND credential = $3";
        const ALL: &str = "
            UPDATE authenticators SET removed_at = $1 WHERE account = $2 AND removed_at IS NULL";
        let at = self.millis();
        match credential {
            Some(credential) => write_on_engine!(self, |c| sqlx::query(ONE)
                .bind(at)
                .bind(account.as_str())
                .bind(credential.to_vec())
                .execute(c)),
            None => write_on_engine!(self, |c| sqlx::query(ALL)
                .bind(at)
                .bind(account.as_str())
                .execute(c)),
        }
    }

    /// Keeps the key under which challenges are made; one that is there stays.
    ///
    /// # Errors
    /// Outages.
    pub async fn keep_sign_in_key(&mut self, key: [u8; 32]) -> Result<(), Error> {
        const INSERT: &str = "INSERT INTO sign_in_key (id, key) VALUES (1, $1) ON CONFLICT DO NOTHING";
        write_on_engine!(self, |c| sqlx::query(INSERT).bind(key.to_vec()).execute(c))?;
        Ok(())
    }

    /// Takes a challenge as answered, and forgets those that are too old to be answered. Whether nobody answered it before.
    ///
    /// # Errors
    /// Outages.
    pub async fn answer_challenge(&mut self, challenge: Digest, until: Timestamp) -> Result<bool, Error> {
        const FORGET: &str = "DELETE FROM answered_challenges WHERE until < $1";
        const INSERT: &str =
            "INSERT INTO answered_challenges (challenge, until) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        let at = self.millis();
        write_on_engine!(self, |c| sqlx::query(FORGET).bind(at).execute(c))?;
        let written = write_on_engine!(self, |c| sqlx::query(INSERT)
            .bind(challenge.as_bytes().to_vec())
            .bind(millis(until))
            .execute(c))?;
        Ok(written == 1)
    }
}
