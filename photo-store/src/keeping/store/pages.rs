//! Pages of papers, and who looked at them.

use photo_store_protocol::{
    Actor, CaseNumber, FailureCode, PageId, PageLooked, PageStatus, PaperCode, PersonId,
};

use crate::error::Error;
use crate::keeping::store::rows::{one, page_id, parsed, person_id};
use crate::keeping::store::transaction::{Snapshot, Transaction, on_engine, write_on_engine};

/// A page as it is announced before its object is written.
#[derive(Debug, Clone)]
pub(crate) struct NewPageRow {
    pub(crate) page: PageId,
    pub(crate) case: CaseNumber,
    pub(crate) person: PersonId,
    pub(crate) paper: PaperCode,
    /// Keyed digest of case, paper and submitted bytes.
    pub(crate) digest: [u8; 32],
    pub(crate) by: Actor,
    pub(crate) at: i64,
}

/// A page that is kept.
#[derive(Debug, Clone)]
pub(crate) struct PageRow {
    pub(crate) case: CaseNumber,
    pub(crate) person: PersonId,
    pub(crate) status: PageStatus,
    pub(crate) sealed: SealedPage,
}

/// A page's object and its key.
#[derive(Debug, Clone)]
pub(crate) struct SealedPage {
    /// Version of the rule that made it.
    pub(crate) version: u32,
    pub(crate) object: String,
    pub(crate) wrapped_key: Vec<u8>,
}

type Row = (
    Vec<u8>,
    String,
    Vec<u8>,
    String,
    i64,
    String,
    i64,
    i64,
    i64,
    String,
    Vec<u8>,
);

fn page_row(row: Row) -> Result<PageRow, Error> {
    let (id, case, person, paper, at, by, width, height, version, object, wrapped_key) = row;
    let number = |value: i64| u32::try_from(value).map_err(|_| Error::IndexDamaged("pages"));
    Ok(PageRow {
        case: parsed(&case, "case_number")?,
        person: person_id(&person)?,
        status: PageStatus {
            page: page_id(&id)?,
            paper: parsed(&paper, "paper")?,
            received_at: at,
            by: parsed(&by, "submitted_by")?,
            width: number(width)?,
            height: number(height)?,
        },
        sealed: SealedPage {
            version: number(version)?,
            object,
            wrapped_key,
        },
    })
}

impl Snapshot {
    /// A page that is kept; `None` for one that is not complete or was destroyed.
    pub(crate) async fn page(&mut self, page: PageId) -> Result<Option<PageRow>, Error> {
        const SELECT_PAGE: &str = "SELECT id, case_number, person, paper, received_at, submitted_by, width, height, \
             version, object, wrapped_key FROM pages WHERE id = $1 AND state = 'KEPT'";
        let row: Option<Row> = on_engine!(self, |c| sqlx::query_as(SELECT_PAGE)
            .bind(page.as_bytes().as_slice())
            .fetch_optional(c))?;
        row.map(page_row).transpose()
    }

    /// The pages of a case that are kept, in the order in which they came.
    pub(crate) async fn pages(&mut self, case: &CaseNumber) -> Result<Vec<PageRow>, Error> {
        const SELECT_PAGES: &str = "SELECT id, case_number, person, paper, received_at, submitted_by, width, height, \
             version, object, wrapped_key FROM pages WHERE case_number = $1 AND state = 'KEPT' ORDER BY received_at, id";
        let rows: Vec<Row> = on_engine!(self, |c| sqlx::query_as(SELECT_PAGES)
            .bind(case.as_str())
            .fetch_all(c))?;
        rows.into_iter().map(page_row).collect()
    }

    /// The page of a case that came of these bytes, complete or announced.
    pub(crate) async fn same_page(
        &mut self,
        case: &CaseNumber,
        digest: &[u8; 32],
    ) -> Result<Option<PageId>, Error> {
        const SELECT_SAME: &str =
            "SELECT id FROM pages WHERE case_number = $1 AND digest = $2 AND state <> 'SHREDDED'";
        let row: Option<Vec<u8>> = on_engine!(self, |c| sqlx::query_scalar(SELECT_SAME)
            .bind(case.as_str())
            .bind(digest.as_slice())
            .fetch_optional(c))?;
        row.map(|id| page_id(&id)).transpose()
    }

    /// Pages that stand in a state and came before this instant.
    pub(crate) async fn pages_before(&mut self, state: &str, before: i64) -> Result<Vec<PageId>, Error> {
        const SELECT_OLDER: &str = "SELECT id FROM pages WHERE state = $1 AND received_at < $2";
        let rows: Vec<Vec<u8>> = on_engine!(self, |c| sqlx::query_scalar(SELECT_OLDER)
            .bind(state)
            .bind(before)
            .fetch_all(c))?;
        rows.iter().map(|id| page_id(id)).collect()
    }

    /// Who looked at the pages of a person's cases, the newest first, at most `limit`.
    pub(crate) async fn page_looks(
        &mut self,
        person: PersonId,
        limit: i64,
    ) -> Result<Vec<PageLooked>, Error> {
        type Row = (i64, Vec<u8>, String, String, String, String, Option<String>);
        const SELECT_LOOKS: &str = "SELECT at, page, paper, purpose, case_number, reader, refused FROM page_looks \
             WHERE person = $1 ORDER BY seq DESC LIMIT $2";
        let rows: Vec<Row> = on_engine!(self, |c| sqlx::query_as(SELECT_LOOKS)
            .bind(person.as_bytes().as_slice())
            .bind(limit)
            .fetch_all(c))?;
        rows.into_iter()
            .map(|(at, page, paper, purpose, case, reader, refused)| {
                let refused = refused
                    .map(|code| FailureCode::from_code(&code).ok_or(Error::IndexDamaged("refused")))
                    .transpose()?;
                Ok(PageLooked {
                    at,
                    page: page_id(&page)?,
                    paper: parsed(&paper, "paper")?,
                    purpose: parsed(&purpose, "purpose")?,
                    case: parsed(&case, "case_number")?,
                    reader: parsed(&reader, "reader")?,
                    refused,
                })
            })
            .collect()
    }
}

impl Transaction {
    /// Announces a page.
    pub(crate) async fn announce_page(&mut self, new: &NewPageRow) -> Result<(), Error> {
        const INSERT_PAGE: &str = "INSERT INTO pages (id, case_number, person, paper, digest, state, received_at, submitted_by) \
             VALUES ($1, $2, $3, $4, $5, 'RECEIVED', $6, $7)";
        write_on_engine!(self, |c| sqlx::query(INSERT_PAGE)
            .bind(new.page.as_bytes().as_slice())
            .bind(new.case.as_str())
            .bind(new.person.as_bytes().as_slice())
            .bind(new.paper.as_str())
            .bind(new.digest.as_slice())
            .bind(new.at)
            .bind(new.by.as_str())
            .execute(c))?;
        Ok(())
    }

    /// Completes an announced page; `false` where its announcement was taken back meanwhile.
    pub(crate) async fn complete_page(
        &mut self,
        page: PageId,
        (width, height): (u32, u32),
        sealed: &SealedPage,
    ) -> Result<bool, Error> {
        const COMPLETE_PAGE: &str = "UPDATE pages SET state = 'KEPT', width = $2, height = $3, version = $4, object = $5, \
             wrapped_key = $6 WHERE id = $1 AND state = 'RECEIVED'";
        let rows = write_on_engine!(self, |c| sqlx::query(COMPLETE_PAGE)
            .bind(page.as_bytes().as_slice())
            .bind(i64::from(width))
            .bind(i64::from(height))
            .bind(i64::from(sealed.version))
            .bind(sealed.object.as_str())
            .bind(sealed.wrapped_key.as_slice())
            .execute(c))?;
        Ok(rows == 1)
    }

    /// Takes an announcement back that was not completed.
    pub(crate) async fn withdraw_page(&mut self, page: PageId) -> Result<(), Error> {
        const DELETE_PAGE: &str = "DELETE FROM pages WHERE id = $1 AND state = 'RECEIVED'";
        write_on_engine!(self, |c| sqlx::query(DELETE_PAGE)
            .bind(page.as_bytes().as_slice())
            .execute(c))?;
        Ok(())
    }

    /// Destroys a page's wrapped key: its object cannot be read as soon as this is committed.
    pub(crate) async fn shred_page(&mut self, page: PageId, by: &Actor, at: i64) -> Result<(), Error> {
        const SHRED_PAGE: &str = "UPDATE pages SET state = 'SHREDDED', object = NULL, wrapped_key = NULL, shredded_by = $2, \
             shredded_at = $3 WHERE id = $1 AND state = 'KEPT'";
        let rows = write_on_engine!(self, |c| sqlx::query(SHRED_PAGE)
            .bind(page.as_bytes().as_slice())
            .bind(by.as_str())
            .bind(at)
            .execute(c))?;
        one(rows, "pages")
    }

    /// Puts a look on record.
    pub(crate) async fn record_look(&mut self, person: PersonId, look: &PageLooked) -> Result<(), Error> {
        const INSERT_LOOK: &str = "INSERT INTO page_looks (at, page, paper, person, purpose, case_number, reader, refused) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        write_on_engine!(self, |c| sqlx::query(INSERT_LOOK)
            .bind(look.at)
            .bind(look.page.as_bytes().as_slice())
            .bind(look.paper.as_str())
            .bind(person.as_bytes().as_slice())
            .bind(look.purpose.as_str())
            .bind(look.case.as_str())
            .bind(look.reader.as_str())
            .bind(look.refused.map(FailureCode::as_str))
            .execute(c))?;
        Ok(())
    }
}
