//! Who read which photo, and who released one to whom.

use photo_store_protocol::{Actor, FailureCode, PersonId, Profile, Purpose, Read, ReadRecord};

use crate::error::Error;
use crate::keeping::store::rows::{parsed, photo_id};
use crate::keeping::store::transaction::{Snapshot, Transaction, on_engine, write_on_engine};

/// A read to be put on record.
#[derive(Debug, Clone)]
pub(crate) struct ReadEntry {
    /// What the record shows.
    pub(crate) record: ReadRecord,
    /// Whose photo.
    pub(crate) person: PersonId,
    /// Who released it, where a release was redeemed.
    pub(crate) released_by: Option<Actor>,
}

/// A release's row.
#[derive(Debug, Clone)]
pub(crate) struct ReleaseRow {
    /// The read that it allows.
    pub(crate) read: Read,
    /// Who released it.
    pub(crate) by: Actor,
    /// From this instant on it is expired.
    pub(crate) expires_at: i64,
}

impl Snapshot {
    /// Who read a person's photos, the newest first, at most `limit`.
    pub(crate) async fn reads(&mut self, person: PersonId, limit: i64) -> Result<Vec<ReadRecord>, Error> {
        type Row = (i64, Vec<u8>, String, String, String, String, Option<String>);
        const SELECT_READS: &str = "SELECT at, photo, profile, purpose, case_number, reader, refused FROM reads \
             WHERE person = $1 ORDER BY seq DESC LIMIT $2";
        let rows: Vec<Row> = on_engine!(self, |c| sqlx::query_as(SELECT_READS)
            .bind(person.as_bytes().as_slice())
            .bind(limit)
            .fetch_all(c))?;
        rows.into_iter()
            .map(|(at, photo, profile, purpose, case, reader, refused)| {
                let refused = refused
                    .map(|code| FailureCode::from_code(&code).ok_or(Error::IndexDamaged("refused")))
                    .transpose()?;
                Ok(ReadRecord {
                    at,
                    photo: photo_id(&photo)?,
                    profile: parsed(&profile, "profile")?,
                    purpose: parsed(&purpose, "purpose")?,
                    case: parsed(&case, "case")?,
                    reader: parsed(&reader, "reader")?,
                    refused,
                })
            })
            .collect()
    }

    /// A release by the digest of its token; expired ones too, so that the answer can say so.
    pub(crate) async fn release(&mut self, token_digest: &[u8; 32]) -> Result<Option<ReleaseRow>, Error> {
        type Row = (Vec<u8>, String, String, String, String, String, i64);
        const SELECT_RELEASE: &str = "SELECT photo, profile, purpose, case_number, reader, released_by, expires_at \
             FROM releases WHERE token_digest = $1";
        let row: Option<Row> = on_engine!(self, |c| sqlx::query_as(SELECT_RELEASE)
            .bind(token_digest.as_slice())
            .fetch_optional(c))?;
        row.map(|(photo, profile, purpose, case, reader, by, expires_at)| {
            let read = Read {
                photo: photo_id(&photo)?,
                profile: parsed::<Profile>(&profile, "profile")?,
                purpose: parsed::<Purpose>(&purpose, "purpose")?,
                case: parsed(&case, "case")?,
                reader: parsed(&reader, "reader")?,
            };
            Ok(ReleaseRow {
                read,
                by: parsed(&by, "released_by")?,
                expires_at,
            })
        })
        .transpose()
    }
}

impl Transaction {
    /// Puts a read on record.
    pub(crate) async fn record_read(&mut self, entry: &ReadEntry) -> Result<(), Error> {
        const INSERT_READ: &str = "INSERT INTO reads (at, photo, person, profile, purpose, case_number, reader, \
             released_by, refused) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let record = &entry.record;
        write_on_engine!(self, |c| sqlx::query(INSERT_READ)
            .bind(record.at)
            .bind(record.photo.as_bytes().as_slice())
            .bind(entry.person.as_bytes().as_slice())
            .bind(record.profile.as_str())
            .bind(record.purpose.as_str())
            .bind(record.case.as_str())
            .bind(record.reader.as_str())
            .bind(entry.released_by.as_ref().map(Actor::as_str))
            .bind(record.refused.map(FailureCode::as_str))
            .execute(c))?;
        Ok(())
    }

    /// Keeps a release by the digest of its token.
    pub(crate) async fn add_release(
        &mut self,
        token_digest: &[u8; 32],
        release: &ReleaseRow,
        at: i64,
    ) -> Result<(), Error> {
        const INSERT_RELEASE: &str = "INSERT INTO releases (token_digest, photo, profile, purpose, case_number, reader, \
             released_by, released_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let read = &release.read;
        write_on_engine!(self, |c| sqlx::query(INSERT_RELEASE)
            .bind(token_digest.as_slice())
            .bind(read.photo.as_bytes().as_slice())
            .bind(read.profile.as_str())
            .bind(read.purpose.as_str())
            .bind(read.case.as_str())
            .bind(read.reader.as_str())
            .bind(release.by.as_str())
            .bind(at)
            .bind(release.expires_at)
            .execute(c))?;
        Ok(())
    }
}
