//! Receipts, and the cases that they open.

use photo_store_protocol::{Actor, CaseNumber, PersonId, PhotoId, Receipt, ReceiptNumber};

use crate::error::Error;
use crate::keeping::store::rows::{one, parsed, person_id, photo_id};
use crate::keeping::store::transaction::{Snapshot, Transaction, on_engine, write_on_engine};

/// A receipt's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReceiptRow {
    /// Its photo.
    pub(crate) photo: PhotoId,
    /// From this instant on it is expired.
    pub(crate) expires_at: i64,
    /// The case that it was used for, and when.
    pub(crate) used: Option<(CaseNumber, i64)>,
}

/// The latest row of a case number, which stays with its person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CaseRow {
    /// For whom it was opened.
    pub(crate) person: PersonId,
    /// Whether it is open now.
    pub(crate) is_open: bool,
    /// When it was opened last.
    pub(crate) opened_at: i64,
}

impl Snapshot {
    /// A receipt; `None` when there is none of this number.
    pub(crate) async fn receipt(&mut self, number: ReceiptNumber) -> Result<Option<ReceiptRow>, Error> {
        type Row = (Vec<u8>, i64, Option<String>, Option<i64>);
        const SELECT_RECEIPT: &str =
            "SELECT photo, expires_at, used_case, used_at FROM receipts WHERE number = $1";
        let row: Option<Row> = on_engine!(self, |c| sqlx::query_as(SELECT_RECEIPT)
            .bind(number.compact())
            .fetch_optional(c))?;
        row.map(|(photo, expires_at, used_case, used_at)| {
            let used = match (used_case, used_at) {
                (Some(case), Some(at)) => Some((parsed(&case, "used_case")?, at)),
                (None, None) => None,
                _ => return Err(Error::IndexDamaged("used_at")),
            };
            Ok(ReceiptRow {
                photo: photo_id(&photo)?,
                expires_at,
                used,
            })
        })
        .transpose()
    }

    /// Whether the case that a receipt was used for is open still. One that was closed is over for the receipt, also when somebody
    /// opened it again.
    pub(crate) async fn serves(&mut self, (case, used_at): &(CaseNumber, i64)) -> Result<bool, Error> {
        let row = self.case(case).await?;
        Ok(row.is_some_and(|row| row.is_open && row.opened_at <= *used_at))
    }

    /// A case; `None` when none of this number was ever opened.
    pub(crate) async fn case(&mut self, case: &CaseNumber) -> Result<Option<CaseRow>, Error> {
        const SELECT_CASE: &str =
            "SELECT person, opened_at, closed_at FROM cases WHERE number = $1 ORDER BY seq DESC LIMIT 1";
        let row: Option<(Vec<u8>, i64, Option<i64>)> = on_engine!(self, |c| sqlx::query_as(SELECT_CASE)
            .bind(case.as_str())
            .fetch_optional(c))?;
        row.map(|(person, opened_at, closed_at)| {
            Ok(CaseRow {
                person: person_id(&person)?,
                is_open: closed_at.is_none(),
                opened_at,
            })
        })
        .transpose()
    }
}

impl Transaction {
    /// Adds a photo's receipt.
    pub(crate) async fn add_receipt(&mut self, photo: PhotoId, receipt: &Receipt) -> Result<(), Error> {
        const INSERT_RECEIPT: &str = "INSERT INTO receipts (number, photo, expires_at) VALUES ($1, $2, $3)";
        write_on_engine!(self, |c| sqlx::query(INSERT_RECEIPT)
            .bind(receipt.number.compact())
            .bind(photo.as_bytes().as_slice())
            .bind(receipt.expires_at)
            .execute(c))?;
        Ok(())
    }

    /// Uses a receipt for a case.
    pub(crate) async fn use_receipt(
        &mut self,
        number: ReceiptNumber,
        case: &CaseNumber,
        by: &Actor,
        at: i64,
    ) -> Result<(), Error> {
        const USE_RECEIPT: &str =
            "UPDATE receipts SET used_case = $2, used_by = $3, used_at = $4 WHERE number = $1";
        let rows = write_on_engine!(self, |c| sqlx::query(USE_RECEIPT)
            .bind(number.compact())
            .bind(case.as_str())
            .bind(by.as_str())
            .bind(at)
            .execute(c))?;
        one(rows, "receipts")
    }

    /// Opens a case; none of this number is open.
    pub(crate) async fn open_case(
        &mut self,
        case: &CaseNumber,
        person: PersonId,
        by: &Actor,
        at: i64,
    ) -> Result<(), Error> {
        const INSERT_CASE: &str =
            "INSERT INTO cases (number, person, opened_by, opened_at) VALUES ($1, $2, $3, $4)";
        write_on_engine!(self, |c| sqlx::query(INSERT_CASE)
            .bind(case.as_str())
            .bind(person.as_bytes().as_slice())
            .bind(by.as_str())
            .bind(at)
            .execute(c))?;
        Ok(())
    }

    /// Closes the open case of this number.
    pub(crate) async fn close_case(&mut self, case: &CaseNumber, by: &Actor, at: i64) -> Result<(), Error> {
        const CLOSE_CASE: &str =
            "UPDATE cases SET closed_by = $2, closed_at = $3 WHERE number = $1 AND closed_at IS NULL";
        let rows = write_on_engine!(self, |c| sqlx::query(CLOSE_CASE)
            .bind(case.as_str())
            .bind(by.as_str())
            .bind(at)
            .execute(c))?;
        one(rows, "cases")
    }
}
