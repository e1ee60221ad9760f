//! The index: which photos, renditions, receipts, cases and releases there are, and who read what.
//!
//! All SQL of the crate is in this module, each text beside the function that uses it, one text for SQLite and
//! PostgreSQL. SQLite runs with a write-ahead log, full synchronisation, one connection and overwriting of deleted rows.
//! Left out: pictures (they are sealed objects) and any name or citizen number of a holder.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use photo_store_protocol::{
    Actor, CaseNumber, FailureCode, Judgement, PersonId, PhotoId, PhotoState, PhotoStatus, Profile, Purpose,
    ReadRecord, Receipt, ReceiptNumber, ReceiptPeriod,
};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::error::Error;

/// How long a statement waits for the lock of another process, and a connection for a free place.
const PATIENCE: Duration = Duration::from_secs(5);
/// Connections to PostgreSQL of one store.
const POSTGRES_CONNECTIONS: u32 = 8;

/// The index on one of two engines.
#[derive(Debug, Clone)]
pub enum Store {
    /// One file.
    Sqlite(sqlx::SqlitePool),
    /// A server.
    Postgres(sqlx::PgPool),
}

/// The same statements on either engine's pool.
macro_rules! on_engine {
    ($store:expr, $pool:ident => $body:expr) => {
        match $store {
            Store::Sqlite($pool) => $body,
            Store::Postgres($pool) => $body,
        }
    };
}

/// A sealed rendition's place and key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRendition {
    /// Which.
    pub(crate) profile: Profile,
    /// Version of the profile.
    pub(crate) version: u32,
    /// Name of the object.
    pub object: String,
    /// Its data key, wrapped by the vault.
    pub(crate) wrapped_key: Vec<u8>,
}

/// A photo as it is announced before its objects are written.
#[derive(Debug, Clone)]
pub struct Announcement {
    /// The photo's new id.
    pub photo: PhotoId,
    /// Whose.
    pub person: PersonId,
    /// Keyed digest of the submitted bytes.
    pub digest: [u8; 32],
    /// Who submits it.
    pub by: Actor,
    /// When.
    pub at: i64,
    /// How long its receipt shall be valid.
    pub period: ReceiptPeriod,
}

/// A photo's row.
#[derive(Debug, Clone, PartialEq)]
pub struct PhotoRow {
    /// Whose.
    pub person: PersonId,
    /// How long its receipt shall be valid.
    pub period: ReceiptPeriod,
    /// What the wire shows of it.
    pub status: PhotoStatus,
}

/// A receipt's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReceiptRow {
    /// Its photo.
    pub photo: PhotoId,
    /// From this instant on it is expired.
    pub(crate) expires_at: i64,
    /// The case that it was used for.
    pub(crate) used_case: Option<CaseNumber>,
}

/// A read to be put on record.
#[derive(Debug, Clone)]
pub(crate) struct ReadEntry {
    /// What the record shows.
    pub(crate) record: ReadRecord,
    /// Whose photo.
    pub person: PersonId,
    /// Who released it, where a release was redeemed.
    pub(crate) released_by: Option<Actor>,
}

/// A release's row.
#[derive(Debug, Clone)]
pub(crate) struct ReleaseRow {
    /// The read that it allows.
    pub(crate) read: photo_store_protocol::Read,
    /// Who released it.
    pub by: Actor,
    /// From this instant on it is expired.
    pub(crate) expires_at: i64,
}

impl Store {
    /// Opens (or makes) the index in a file and brings it to this version.
    ///
    /// # Errors
    /// `INDEX_DAMAGED` for a file that is no database, `INDEX_READ_ONLY`, `STORAGE_FULL` or `INDEX_UNAVAILABLE`.
    pub async fn open_file(path: &Path) -> Result<Self, Error> {
        only_ours(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE)
            // Deleted rows hold wrapped keys: they are overwritten, not only unlinked.
            .pragma("secure_delete", "ON");
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            .connect_with(options)
            .await?;
        sqlx::migrate!("./migrations/sqlite")
            .run(&pool)
            .await
            .map_err(migration_error)?;
        Ok(Self::Sqlite(pool))
    }

    /// Opens the index on a PostgreSQL server and brings it to this version.
    ///
    /// # Errors
    /// `INDEX_UNAVAILABLE` when the server cannot be reached or the URL is none.
    pub async fn open_server(url: &str) -> Result<Self, Error> {
        let pool = PgPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS)
            .acquire_timeout(PATIENCE)
            // What was answered is durable, whatever the server's default.
            .connect_with(PgConnectOptions::from_str(url)?.options([("synchronous_commit", "on")]))
            .await?;
        sqlx::migrate!("./migrations/postgres")
            .run(&pool)
            .await
            .map_err(migration_error)?;
        Ok(Self::Postgres(pool))
    }

    /// Closes every connection; SQLite folds its write-ahead log into the file.
    pub async fn close(&self) {
        on_engine!(self, pool => pool.close().await);
    }

    /// The person's photo with these bytes, neither shredded nor superseded.
    pub async fn same_bytes(&self, person: PersonId, digest: &[u8; 32]) -> Result<Option<PhotoRow>, Error> {
        const SELECT_SAME: &str = "SELECT id FROM photos WHERE person = $1 AND digest = $2 \
             AND state NOT IN ('SHREDDED', 'SUPERSEDED')";
        let found: Option<(Vec<u8>,)> = on_engine!(self, pool => {
            sqlx::query_as(SELECT_SAME)
                .bind(person.as_bytes().as_slice())
                .bind(digest.as_slice())
                .fetch_optional(pool)
                .await?
        });
        match found {
            Some((id,)) => self.photo(photo_id(&id)?).await,
            None => Ok(None),
        }
    }

    /// Announces a photo before its objects are written. Answers the photo that now stands for these bytes: the new
    /// one, or the one that a run before (perhaps a broken-off one) or another counter announced.
    pub async fn announce(&self, new: &Announcement) -> Result<PhotoRow, Error> {
        const INSERT_PHOTO: &str = "INSERT INTO photos (id, person, digest, state, received_at, submitted_by, receipt_days) \
             VALUES ($1, $2, $3, 'RECEIVED', $4, $5, $6) ON CONFLICT DO NOTHING";
        on_engine!(self, pool => {
            sqlx::query(INSERT_PHOTO)
                .bind(new.photo.as_bytes().as_slice())
                .bind(new.person.as_bytes().as_slice())
                .bind(new.digest.as_slice())
                .bind(new.at)
                .bind(new.by.as_str())
                .bind(new.period.days())
                .execute(pool)
                .await?;
        });
        self.same_bytes(new.person, &new.digest)
            .await?
            .ok_or(Error::IndexDamaged("photos"))
    }

    /// Supersedes a sealed photo, so that the same bytes can become a new one.
    pub(crate) async fn supersede(&self, photo: PhotoId) -> Result<(), Error> {
        const RETIRE: &str = "UPDATE photos SET state = 'SUPERSEDED' WHERE id = $1 AND state = 'SEALED'";
        on_engine!(self, pool => {
            sqlx::query(RETIRE).bind(photo.as_bytes().as_slice()).execute(pool).await?;
        });
        Ok(())
    }

    /// Takes back an announcement whose objects could not be written. A photo that was sealed meanwhile stays.
    pub(crate) async fn withdraw(&self, photo: PhotoId) -> Result<(), Error> {
        const DELETE_ANNOUNCED: &str = "DELETE FROM photos WHERE id = $1 AND state = 'RECEIVED'";
        on_engine!(self, pool => {
            sqlx::query(DELETE_ANNOUNCED).bind(photo.as_bytes().as_slice()).execute(pool).await?;
        });
        Ok(())
    }

    /// Completes an announced photo in one transaction: judgement, renditions with their keys, and either the receipt
    /// (`SEALED`) or none (`WAITING`). `false` when another run completed it first: then nothing was changed.
    pub(crate) async fn complete(
        &self,
        photo: PhotoId,
        judgement: &Judgement,
        renditions: &[SealedRendition],
        receipt: Option<&Receipt>,
    ) -> Result<bool, Error> {
        const COMPLETE: &str =
            "UPDATE photos SET state = $2, judgement = $3 WHERE id = $1 AND state = 'RECEIVED'";
        const INSERT_RENDITION: &str = "INSERT INTO renditions (photo, profile, version, object, wrapped_key) VALUES ($1, $2, $3, $4, $5)";
        let judgement = minicbor::to_vec(judgement).map_err(|_| Error::IndexDamaged("judgement"))?;
        let state = if receipt.is_some() {
            PhotoState::Sealed
        } else {
            PhotoState::Waiting
        };
        on_engine!(self, pool => {
            let mut transaction = pool.begin().await?;
            let changed = sqlx::query(COMPLETE)
                .bind(photo.as_bytes().as_slice())
                .bind(state.as_str())
                .bind(judgement)
                .execute(&mut *transaction)
                .await?
                .rows_affected();
            if changed == 0 {
                return Ok(false);
            }
            for rendition in renditions {
                sqlx::query(INSERT_RENDITION)
                    .bind(photo.as_bytes().as_slice())
                    .bind(rendition.profile.as_str())
                    .bind(i64::from(rendition.version))
                    .bind(rendition.object.as_str())
                    .bind(rendition.wrapped_key.as_slice())
                    .execute(&mut *transaction)
                    .await?;
            }
            if let Some(receipt) = receipt {
                sqlx::query(INSERT_RECEIPT)
                    .bind(receipt.number.compact())
                    .bind(photo.as_bytes().as_slice())
                    .bind(receipt.expires_at)
                    .execute(&mut *transaction)
                    .await?;
                sqlx::query(SUPERSEDE).bind(photo.as_bytes().as_slice()).execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
        });
        Ok(true)
    }

    /// Records a named person's confirmation and gives the receipt, in one transaction. `false` when the photo no longer
    /// waits: then nothing was changed.
    pub(crate) async fn confirm(
        &self,
        photo: PhotoId,
        by: &Actor,
        at: i64,
        receipt: &Receipt,
    ) -> Result<bool, Error> {
        const CONFIRM: &str = "UPDATE photos SET state = 'SEALED', confirmed_by = $2, confirmed_at = $3 \
             WHERE id = $1 AND state = 'WAITING'";
        on_engine!(self, pool => {
            let mut transaction = pool.begin().await?;
            let changed = sqlx::query(CONFIRM)
                .bind(photo.as_bytes().as_slice())
                .bind(by.as_str())
                .bind(at)
                .execute(&mut *transaction)
                .await?
                .rows_affected();
            if changed == 0 {
                return Ok(false);
            }
            sqlx::query(INSERT_RECEIPT)
                .bind(receipt.number.compact())
                .bind(photo.as_bytes().as_slice())
                .bind(receipt.expires_at)
                .execute(&mut *transaction)
                .await?;
            sqlx::query(SUPERSEDE).bind(photo.as_bytes().as_slice()).execute(&mut *transaction).await?;
            transaction.commit().await?;
        });
        Ok(true)
    }

    /// A photo with its receipt; `None` when there is none of this id.
    pub(crate) async fn photo(&self, photo: PhotoId) -> Result<Option<PhotoRow>, Error> {
        type Row = (
            Vec<u8>,
            String,
            Option<Vec<u8>>,
            i64,
            String,
            i64,
            Option<String>,
            Option<i64>,
            Option<String>,
            Option<i64>,
        );
        const SELECT_PHOTO: &str = "SELECT p.person, p.state, p.judgement, p.received_at, p.submitted_by, p.receipt_days, \
             p.confirmed_by, p.confirmed_at, r.number, r.expires_at \
             FROM photos p LEFT JOIN receipts r ON r.photo = p.id WHERE p.id = $1";
        let row: Option<Row> = on_engine!(self, pool => {
            sqlx::query_as(SELECT_PHOTO).bind(photo.as_bytes().as_slice()).fetch_optional(pool).await?
        });
        let Some((
            person,
            state,
            judgement,
            received_at,
            by,
            days,
            confirmed_by,
            confirmed_at,
            number,
            expires_at,
        )) = row
        else {
            return Ok(None);
        };
        let judgement = judgement
            .map(|bytes| minicbor::decode(&bytes).map_err(|_| Error::IndexDamaged("judgement")))
            .transpose()?;
        let receipt = match (number, expires_at) {
            (Some(number), Some(expires_at)) => Some(Receipt {
                number: parsed(&number, "receipt")?,
                expires_at,
            }),
            _ => None,
        };
        Ok(Some(PhotoRow {
            person: person_id(&person)?,
            period: match days {
                30 => ReceiptPeriod::Days30,
                60 => ReceiptPeriod::Days60,
                90 => ReceiptPeriod::Days90,
                _ => return Err(Error::IndexDamaged("receipt_days")),
            },
            status: PhotoStatus {
                photo,
                state: parsed(&state, "state")?,
                judgement,
                received_at,
                submitted_by: parsed(&by, "submitted_by")?,
                confirmed_by: confirmed_by
                    .map(|name| parsed(&name, "confirmed_by"))
                    .transpose()?,
                confirmed_at,
                receipt,
            },
        }))
    }

    /// A photo's sealed rendition.
    pub async fn rendition(
        &self,
        photo: PhotoId,
        profile: Profile,
    ) -> Result<Option<SealedRendition>, Error> {
        const SELECT_RENDITION: &str =
            "SELECT version, object, wrapped_key FROM renditions WHERE photo = $1 AND profile = $2";
        let row: Option<(i64, String, Vec<u8>)> = on_engine!(self, pool => {
            sqlx::query_as(SELECT_RENDITION)
                .bind(photo.as_bytes().as_slice())
                .bind(profile.as_str())
                .fetch_optional(pool)
                .await?
        });
        row.map(|(version, object, wrapped_key)| {
            let version = u32::try_from(version).map_err(|_| Error::IndexDamaged("version"))?;
            Ok(SealedRendition {
                profile,
                version,
                object,
                wrapped_key,
            })
        })
        .transpose()
    }

    /// Names of a photo's objects.
    pub(crate) async fn objects(&self, photo: PhotoId) -> Result<Vec<String>, Error> {
        let rows: Vec<(String,)> = on_engine!(self, pool => {
            sqlx::query_as(SELECT_OBJECTS).bind(photo.as_bytes().as_slice()).fetch_all(pool).await?
        });
        Ok(rows.into_iter().map(|(object,)| object).collect())
    }

    /// A receipt; `None` when there is none of this number.
    pub(crate) async fn receipt(&self, number: ReceiptNumber) -> Result<Option<ReceiptRow>, Error> {
        const SELECT_RECEIPT: &str = "SELECT photo, expires_at, used_case FROM receipts WHERE number = $1";
        let row: Option<(Vec<u8>, i64, Option<String>)> = on_engine!(self, pool => {
            sqlx::query_as(SELECT_RECEIPT).bind(number.compact()).fetch_optional(pool).await?
        });
        row.map(|(photo, expires_at, used_case)| {
            let used_case = used_case.map(|case| parsed(&case, "used_case")).transpose()?;
            Ok(ReceiptRow {
                photo: photo_id(&photo)?,
                expires_at,
                used_case,
            })
        })
        .transpose()
    }

    /// Uses a receipt for a case and opens that case, in one transaction. `false` when the receipt was used meanwhile:
    /// then nothing was changed.
    pub(crate) async fn take_receipt(
        &self,
        number: ReceiptNumber,
        case: &CaseNumber,
        person: PersonId,
        by: &Actor,
        at: i64,
    ) -> Result<bool, Error> {
        const USE_RECEIPT: &str = "UPDATE receipts SET used_case = $2, used_by = $3, used_at = $4 \
             WHERE number = $1 AND used_case IS NULL";
        on_engine!(self, pool => {
            let mut transaction = pool.begin().await?;
            let changed = sqlx::query(USE_RECEIPT)
                .bind(number.compact())
                .bind(case.as_str())
                .bind(by.as_str())
                .bind(at)
                .execute(&mut *transaction)
                .await?
                .rows_affected();
            if changed == 0 {
                return Ok(false);
            }
            sqlx::query(INSERT_CASE)
                .bind(case.as_str())
                .bind(person.as_bytes().as_slice())
                .bind(by.as_str())
                .bind(at)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
        });
        Ok(true)
    }

    /// Opens a case; it may be open already.
    pub(crate) async fn open_case(
        &self,
        case: &CaseNumber,
        person: PersonId,
        by: &Actor,
        at: i64,
    ) -> Result<(), Error> {
        on_engine!(self, pool => {
            sqlx::query(INSERT_CASE)
                .bind(case.as_str())
                .bind(person.as_bytes().as_slice())
                .bind(by.as_str())
                .bind(at)
                .execute(pool)
                .await?;
        });
        Ok(())
    }

    /// Closes a case; it may be closed already.
    pub(crate) async fn close_case(&self, case: &CaseNumber, by: &Actor, at: i64) -> Result<(), Error> {
        const CLOSE_CASE: &str =
            "UPDATE cases SET closed_by = $2, closed_at = $3 WHERE number = $1 AND closed_at IS NULL";
        on_engine!(self, pool => {
            sqlx::query(CLOSE_CASE).bind(case.as_str()).bind(by.as_str()).bind(at).execute(pool).await?;
        });
        Ok(())
    }

    /// For whom a case was ever opened (a number stays with its person), and whether it is open now.
    pub(crate) async fn case(&self, case: &CaseNumber) -> Result<Option<(PersonId, bool)>, Error> {
        const SELECT_CASE: &str =
            "SELECT person, closed_at FROM cases WHERE number = $1 ORDER BY seq DESC LIMIT 1";
        let row: Option<(Vec<u8>, Option<i64>)> = on_engine!(self, pool => {
            sqlx::query_as(SELECT_CASE).bind(case.as_str()).fetch_optional(pool).await?
        });
        row.map(|(person, closed_at)| Ok((person_id(&person)?, closed_at.is_none())))
            .transpose()
    }

    /// Puts a read on record; durable when this returns.
    pub(crate) async fn record_read(&self, entry: &ReadEntry) -> Result<(), Error> {
        const INSERT_READ: &str = "INSERT INTO reads (at, photo, person, profile, purpose, case_number, reader, \
             released_by, refused) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let record = &entry.record;
        on_engine!(self, pool => {
            sqlx::query(INSERT_READ)
                .bind(record.at)
                .bind(record.photo.as_bytes().as_slice())
                .bind(entry.person.as_bytes().as_slice())
                .bind(record.profile.as_str())
                .bind(record.purpose.as_str())
                .bind(record.case.as_str())
                .bind(record.reader.as_str())
                .bind(entry.released_by.as_ref().map(Actor::as_str))
                .bind(record.refused.map(FailureCode::as_str))
                .execute(pool)
                .await?;
        });
        Ok(())
    }

    /// Who read a person's photos, the newest first, at most `limit`.
    pub(crate) async fn reads(&self, person: PersonId, limit: i64) -> Result<Vec<ReadRecord>, Error> {
        type Row = (i64, Vec<u8>, String, String, String, String, Option<String>);
        const SELECT_READS: &str = "SELECT at, photo, profile, purpose, case_number, reader, refused FROM reads \
             WHERE person = $1 ORDER BY seq DESC LIMIT $2";
        let rows: Vec<Row> = on_engine!(self, pool => {
            sqlx::query_as(SELECT_READS).bind(person.as_bytes().as_slice()).bind(limit).fetch_all(pool).await?
        });
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

    /// Keeps a release by the digest of its token.
    pub(crate) async fn add_release(
        &self,
        token_digest: &[u8; 32],
        release: &ReleaseRow,
        at: i64,
    ) -> Result<(), Error> {
        const INSERT_RELEASE: &str = "INSERT INTO releases (token_digest, photo, profile, purpose, case_number, reader, \
             released_by, released_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let read = &release.read;
        on_engine!(self, pool => {
            sqlx::query(INSERT_RELEASE)
                .bind(token_digest.as_slice())
                .bind(read.photo.as_bytes().as_slice())
                .bind(read.profile.as_str())
                .bind(read.purpose.as_str())
                .bind(read.case.as_str())
                .bind(read.reader.as_str())
                .bind(release.by.as_str())
                .bind(at)
                .bind(release.expires_at)
                .execute(pool)
                .await?;
        });
        Ok(())
    }

    /// A release by the digest of its token; expired ones too, so that the answer can say so.
    pub(crate) async fn release(&self, token_digest: &[u8; 32]) -> Result<Option<ReleaseRow>, Error> {
        type Row = (Vec<u8>, String, String, String, String, String, i64);
        const SELECT_RELEASE: &str = "SELECT photo, profile, purpose, case_number, reader, released_by, expires_at \
             FROM releases WHERE token_digest = $1";
        let row: Option<Row> = on_engine!(self, pool => {
            sqlx::query_as(SELECT_RELEASE).bind(token_digest.as_slice()).fetch_optional(pool).await?
        });
        row.map(|(photo, profile, purpose, case, reader, by, expires_at)| {
            let read = photo_store_protocol::Read {
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

    /// Destroys a photo's wrapped keys, releases and judgement, and answers the names of its objects, which are
    /// unreadable from now on. On SQLite the deleted rows are overwritten and the log is folded in; on PostgreSQL the
    /// table is vacuumed. Copies in backups end by the backup policy.
    pub async fn shred(
        &self,
        photo: PhotoId,
        by: &Actor,
        case: &CaseNumber,
        at: i64,
    ) -> Result<Vec<String>, Error> {
        const DELETE_RENDITIONS: &str = "DELETE FROM renditions WHERE photo = $1";
        const DELETE_RELEASES: &str = "DELETE FROM releases WHERE photo = $1";
        const SHRED: &str = "UPDATE photos SET state = 'SHREDDED', judgement = NULL, shredded_by = $2, shredded_at = $3, \
             shredded_case = $4 WHERE id = $1 AND state <> 'SHREDDED'";
        let objects: Vec<(String,)> = on_engine!(self, pool => {
            let mut transaction = pool.begin().await?;
            let objects =
                sqlx::query_as(SELECT_OBJECTS).bind(photo.as_bytes().as_slice()).fetch_all(&mut *transaction).await?;
            for statement in [DELETE_RENDITIONS, DELETE_RELEASES] {
                sqlx::query(statement).bind(photo.as_bytes().as_slice()).execute(&mut *transaction).await?;
            }
            sqlx::query(SHRED)
                .bind(photo.as_bytes().as_slice())
                .bind(by.as_str())
                .bind(at)
                .bind(case.as_str())
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            objects
        });
        let cleaned = match self {
            Self::Sqlite(pool) => sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
                .execute(pool)
                .await
                .map(|_| ()),
            Self::Postgres(pool) => sqlx::query("VACUUM renditions").execute(pool).await.map(|_| ()),
        };
        // The shredding itself is committed: an error here would say that it is not, and keep the objects.
        if let Err(error) = cleaned {
            tracing::warn!(%error, %photo, "shredded; the index will overwrite the deleted rows later than usual");
        }
        Ok(objects.into_iter().map(|(object,)| object).collect())
    }

    /// Photos that were announced before `before` and never completed, and photos that waited for a confirmation since
    /// before `waiting_before`.
    pub(crate) async fn leftovers(
        &self,
        before: i64,
        waiting_before: i64,
    ) -> Result<Vec<(PhotoId, PhotoState)>, Error> {
        const SELECT_LEFTOVERS: &str = "SELECT id, state FROM photos WHERE (state = 'RECEIVED' AND received_at < $1) \
             OR (state = 'WAITING' AND received_at < $2)";
        let rows: Vec<(Vec<u8>, String)> = on_engine!(self, pool => {
            sqlx::query_as(SELECT_LEFTOVERS).bind(before).bind(waiting_before).fetch_all(pool).await?
        });
        rows.into_iter()
            .map(|(id, state)| Ok((photo_id(&id)?, parsed(&state, "state")?)))
            .collect()
    }

    /// How many photos stand in a state.
    pub(crate) async fn count(&self, state: PhotoState) -> Result<u64, Error> {
        const COUNT: &str = "SELECT COUNT(*) FROM photos WHERE state = $1";
        let (count,): (i64,) = on_engine!(self, pool => {
            sqlx::query_as(COUNT).bind(state.as_str()).fetch_one(pool).await?
        });
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// A key of the store itself, wrapped by the vault.
    pub(crate) async fn key(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        const SELECT_KEY: &str = "SELECT wrapped_key FROM store_keys WHERE name = $1";
        let row: Option<(Vec<u8>,)> = on_engine!(self, pool => {
            sqlx::query_as(SELECT_KEY).bind(name).fetch_optional(pool).await?
        });
        Ok(row.map(|(key,)| key))
    }

    /// Keeps a key of the store unless there is one, and answers the one that counts.
    pub(crate) async fn keep_key(&self, name: &str, wrapped: &[u8]) -> Result<Vec<u8>, Error> {
        const INSERT_KEY: &str =
            "INSERT INTO store_keys (name, wrapped_key) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        on_engine!(self, pool => {
            sqlx::query(INSERT_KEY).bind(name).bind(wrapped).execute(pool).await?;
        });
        self.key(name).await?.ok_or(Error::IndexDamaged("store_keys"))
    }
}

const SELECT_OBJECTS: &str = "SELECT object FROM renditions WHERE photo = $1";
const INSERT_RECEIPT: &str = "INSERT INTO receipts (number, photo, expires_at) VALUES ($1, $2, $3)";
/// A newly sealed photo supersedes the person's earlier one.
const SUPERSEDE: &str = "UPDATE photos SET state = 'SUPERSEDED' WHERE state = 'SEALED' AND id <> $1 \
     AND person = (SELECT person FROM photos WHERE id = $1)";
const INSERT_CASE: &str =
    "INSERT INTO cases (number, person, opened_by, opened_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";

/// Makes the file readable by its owner only before SQLite opens it, which gives its log and its shared memory the same
/// mode; files that an earlier version left open to others are closed.
fn only_ours(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    // Where it cannot be made, SQLite says why.
    let _ = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let open_to_others =
            std::fs::metadata(&name).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0);
        if open_to_others {
            std::fs::set_permissions(&name, std::fs::Permissions::from_mode(0o600))
                .map_err(|_| Error::Refused(FailureCode::IndexReadOnly))?;
        }
    }
    Ok(())
}

fn photo_id(bytes: &[u8]) -> Result<PhotoId, Error> {
    bytes
        .try_into()
        .map(PhotoId::from_bytes)
        .map_err(|_| Error::IndexDamaged("photo"))
}

fn person_id(bytes: &[u8]) -> Result<PersonId, Error> {
    bytes
        .try_into()
        .map(PersonId::from_bytes)
        .map_err(|_| Error::IndexDamaged("person"))
}

fn parsed<T: FromStr>(text: &str, column: &'static str) -> Result<T, Error> {
    text.parse().map_err(|_| Error::IndexDamaged(column))
}

fn migration_error(error: sqlx::migrate::MigrateError) -> Error {
    match error {
        sqlx::migrate::MigrateError::Execute(error)
        | sqlx::migrate::MigrateError::ExecuteMigration(error, _) => error.into(),
        _ => Error::IndexDamaged("migrations"),
    }
}
