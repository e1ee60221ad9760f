//! Forms that somebody types and has not filed, and how people want to see the pages. Each row is one person's own; none has an entry in
//! the ledger. Left out: what the fields mean.

use jiff::Timestamp;
use permit_domain::{ApplicationId, StaffId};

use crate::{
    error::Error,
    rows::{instant, millis, value},
    transaction::{Snapshot, Transaction, on_engine, write_on_engine},
};

/// A form that is not filed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The application that it files.
    pub application: ApplicationId,
    /// Whose it is.
    pub account: StaffId,
    /// How often it was saved: 1 and on.
    pub version: i64,
    /// The fields as they were typed, JSON.
    pub fields: String,
    /// When it was last saved.
    pub saved_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    application: String,
    account: String,
    version: i64,
    fields: String,
    saved_at: i64,
}

impl TryFrom<Row> for Draft {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            application: value(&row.application, "drafts.application")?,
            account: value(&row.account, "drafts.account")?,
            version: row.version,
            fields: row.fields,
            saved_at: instant(row.saved_at, "drafts.saved_at")?,
        })
    }
}

impl Snapshot {
    /// A draft, whosever it is.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn draft(&mut self, application: ApplicationId) -> Result<Option<Draft>, Error> {
        const SELECT: &str =
            "SELECT application, account, version, fields, saved_at FROM drafts WHERE application = $1";
        let row: Option<Row> = on_engine!(self, |c| sqlx::query_as(SELECT)
            .bind(application.to_string())
            .fetch_optional(c))?;
        row.map(TryInto::try_into).transpose()
    }

    /// The drafts of a person, the newest first.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn drafts_of(&mut self, account: &StaffId) -> Result<Vec<Draft>, Error> {
        const SELECT: &str = "
            SELECT application, account, version, fields, saved_at FROM drafts
            WHERE account = $1 ORDER BY saved_at DESC, application";
        let rows: Vec<Row> = on_engine!(self, |c| sqlx::query_as(SELECT)
            .bind(account.as_str())
            .fetch_all(c))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// How a person wants to see the pages, as it was given.
    ///
    /// # Errors
    /// Outages.
    pub async fn view_of(&mut self, account: &StaffId) -> Result<Option<String>, Error> {
        const SELECT: &str = "SELECT shows FROM views WHERE account = $1";
        on_engine!(self, |c| sqlx::query_scalar(SELECT)
            .bind(account.as_str())
            .fetch_optional(c))
    }
}

impl Transaction {
    /// Writes a draft over the one that is there.
    ///
    /// # Errors
    /// Outages; [`Error::Refused`] for fields without end.
    pub async fn save_draft(&mut self, draft: &Draft) -> Result<(), Error> {
        const SAVE: &str = "
            INSERT INTO drafts (application, account, version, fields, saved_at) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (application) DO UPDATE
            SET version = excluded.version, fields = excluded.fields, saved_at = excluded.saved_at";
        write_on_engine!(self, |c| sqlx::query(SAVE)
            .bind(draft.application.to_string())
            .bind(draft.account.as_str())
            .bind(draft.version)
            .bind(&draft.fields)
            .bind(millis(draft.saved_at))
            .execute(c))?;
        Ok(())
    }

    /// Takes a draft away, if it is there.
    ///
    /// # Errors
    /// Outages.
    pub async fn delete_draft(&mut self, application: ApplicationId) -> Result<(), Error> {
        const DELETE: &str = "DELETE FROM drafts WHERE application = $1";
        write_on_engine!(self, |c| sqlx::query(DELETE)
            .bind(application.to_string())
            .execute(c))?;
        Ok(())
    }

    /// Takes every draft away that was last saved before `then`, whosever it is.
    ///
    /// # Errors
    /// Outages.
    pub async fn delete_drafts_before(&mut self, then: Timestamp) -> Result<(), Error> {
        const DELETE: &str = "DELETE FROM drafts WHERE saved_at < $1";
        write_on_engine!(self, |c| sqlx::query(DELETE).bind(millis(then)).execute(c))?;
        Ok(())
    }

    /// Keeps how a person wants to see the pages.
    ///
    /// # Errors
    /// Outages; [`Error::Refused`] for more than 64 characters.
    pub async fn keep_view(&mut self, account: &StaffId, shows: &str) -> Result<(), Error> {
        const KEEP: &str = "
            INSERT INTO views (account, shows) VALUES ($1, $2)
            ON CONFLICT (account) DO UPDATE SET shows = excluded.shows";
        write_on_engine!(self, |c| sqlx::query(KEEP)
            .bind(account.as_str())
            .bind(shows)
            .execute(c))?;
        Ok(())
    }
}
