//! How an account comes back whose authenticators are lost: who asked, who confirmed, and the digest of the code.

use jiff::Timestamp;
use permit_domain::{Digest, StaffId};

use crate::{
    error::Error,
    rows::{damaged, digest, instant, millis, value},
    transaction::{Snapshot, Transaction, on_engine, write_on_engine},
};

/// A recovery that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// Whose account comes back.
    pub account: StaffId,
    /// Who asked for it.
    pub asked_by: StaffId,
    /// When.
    pub asked_at: Timestamp,
    /// Once it was confirmed.
    pub confirmed: Option<ConfirmedRecovery>,
}

/// What the second person did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmedRecovery {
    /// Who confirmed.
    pub by: StaffId,
    /// Digest of the code.
    pub code: Digest,
    /// When the code ends.
    pub until: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    account: String,
    asked_by: String,
    asked_at: i64,
    confirmed_by: Option<String>,
    code: Option<Vec<u8>>,
    code_until: Option<i64>,
}

impl TryFrom<Row> for Recovery {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let confirmed = match (row.confirmed_by, row.code, row.code_until) {
            (None, None, None) => None,
            (Some(by), Some(code), Some(until)) => Some(ConfirmedRecovery {
                by: value(&by, "recoveries.confirmed_by")?,
                code: digest(code, "recoveries.code")?,
                until: instant(until, "recoveries.code_until")?,
            }),
            _ => return Err(damaged("recoveries")),
        };
        Ok(Self {
            account: value(&row.account, "recoveries.account")?,
            asked_by: value(&row.asked_by, "recoveries.asked_by")?,
            asked_at: instant(row.asked_at, "recoveries.asked_at")?,
            confirmed,
        })
    }
}

impl Snapshot {
    /// The recovery of an account.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn recovery(&mut self, account: &StaffId) -> Result<Option<Recovery>, Error> {
        const OF: &str = "
            SELECT account, asked_by, asked_at, confirmed_by, code, code_until FROM recoveries WHERE account = $1";
        let row: Option<Row> = on_engine!(self, |c| sqlx::query_as(OF)
            .bind(account.as_str())
            .fetch_optional(c))?;
        row.map(TryInto::try_into).transpose()
    }
}

impl Transaction {
    /// Keeps a recovery as it stands, in the place of the one before of this account.
    ///
    /// # Errors
    /// Outages.
    pub async fn set_recovery(&mut self, recovery: &Recovery) -> Result<(), Error> {
        const SET: &str = "
            INSERT INTO recoveries (account, asked_by, asked_at, confirmed_by, code, code_until)
            VALUES ($1, $2, $3, $4, $5, $6)";
        self.delete_recovery(&recovery.account).await?;
        let confirmed = recovery.confirmed.as_ref();
        write_on_engine!(self, |c| sqlx::query(SET)
            .bind(recovery.account.as_str())
            .bind(recovery.asked_by.as_str())
            .bind(millis(recovery.asked_at))
            .bind(confirmed.map(|confirmed| confirmed.by.as_str()))
            .bind(confirmed.map(|confirmed| confirmed.code.as_bytes().to_vec()))
            .bind(confirmed.map(|confirmed| millis(confirmed.until)))
            .execute(c))?;
        Ok(())
    }

    /// Ends the recovery of an account.
    ///
    /// # Errors
    /// Outages.
    pub async fn delete_recovery(&mut self, account: &StaffId) -> Result<(), Error> {
        const DELETE: &str = "DELETE FROM recoveries WHERE account = $1";
        write_on_engine!(self, |c| sqlx::query(DELETE).bind(account.as_str()).execute(c))?;
        Ok(())
    }
}
