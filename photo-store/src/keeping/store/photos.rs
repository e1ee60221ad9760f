//! Photos and their renditions.

use photo_store_protocol::{
    Actor, CaseNumber, Judgement, PersonId, PhotoId, PhotoState, PhotoStatus, Profile, Receipt, ReceiptPeriod,
};

use crate::error::Error;
use crate::keeping::store::rows::{one, parsed, person_id, photo_id};
use crate::keeping::store::transaction::{Snapshot, Transaction, on_engine, write_on_engine};

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
    pub(crate) person: PersonId,
    /// How long its receipt shall be valid.
    pub(crate) period: ReceiptPeriod,
    /// What the wire shows of it.
    pub(crate) status: PhotoStatus,
}

impl Snapshot {
    /// The person's photo with these bytes, neither shredded nor superseded.
    pub async fn same_bytes(
        &mut self,
        person: PersonId,
        digest: &[u8; 32],
    ) -> Result<Option<PhotoRow>, Error> {
        const SELECT_SAME: &str = "SELECT id FROM photos WHERE person = $1 AND digest = $2 \
             AND state NOT IN ('SHREDDED', 'SUPERSEDED')";
        let found: Option<Vec<u8>> = on_engine!(self, |c| sqlx::query_scalar(SELECT_SAME)
            .bind(person.as_bytes().as_slice())
            .bind(digest.as_slice())
            .fetch_optional(c))?;
        match found {
            Some(id) => self.photo(photo_id(&id)?).await,
            None => Ok(None),
        }
    }

    /// A photo with its receipt; `None` when there is none of this id.
    pub(crate) async fn photo(&mut self, photo: PhotoId) -> Result<Option<PhotoRow>, Error> {
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
            Option<i64>,
        );
        const SELECT_PHOTO: &str = "SELECT p.person, p.state, p.judgement, p.received_at, p.submitted_by, p.receipt_days, \
             p.confirmed_by, p.confirmed_at, r.number, r.expires_at, \
             (SELECT MAX(e.received_at) FROM photos e WHERE e.person = p.person AND e.digest = p.digest \
             AND e.id <> p.id AND e.received_at <= p.received_at AND e.state IN ('SUPERSEDED', 'SHREDDED')) \
             FROM photos p LEFT JOIN receipts r ON r.photo = p.id WHERE p.id = $1";
        let row: Option<Row> = on_engine!(self, |c| sqlx::query_as(SELECT_PHOTO)
            .bind(photo.as_bytes().as_slice())
            .fetch_optional(c))?;
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
            given_before,
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
                given_before,
            },
        }))
    }

    /// A person's photos, the newest first, at most `limit`.
    pub(crate) async fn photos_of(&mut self, person: PersonId, limit: i64) -> Result<Vec<PhotoRow>, Error> {
        const SELECT_OF: &str =
            "SELECT id FROM photos WHERE person = $1 ORDER BY received_at DESC, id DESC LIMIT $2";
        let ids: Vec<Vec<u8>> = on_engine!(self, |c| sqlx::query_scalar(SELECT_OF)
            .bind(person.as_bytes().as_slice())
            .bind(limit)
            .fetch_all(c))?;
        let mut rows = Vec::new();
        for id in ids {
            rows.extend(self.photo(photo_id(&id)?).await?);
        }
        Ok(rows)
    }

    /// A person's sealed photos.
    pub(crate) async fn sealed(&mut self, person: PersonId) -> Result<Vec<PhotoId>, Error> {
        const SELECT_SEALED: &str = "SELECT id FROM photos WHERE person = $1 AND state = 'SEALED'";
        let rows: Vec<Vec<u8>> = on_engine!(self, |c| sqlx::query_scalar(SELECT_SEALED)
            .bind(person.as_bytes().as_slice())
            .fetch_all(c))?;
        rows.iter().map(|id| photo_id(id)).collect()
    }

    /// Photos that stand in a state and were received before this instant.
    pub(crate) async fn received_before(
        &mut self,
        state: PhotoState,
        before: i64,
    ) -> Result<Vec<PhotoId>, Error> {
        const SELECT_OLDER: &str = "SELECT id FROM photos WHERE state = $1 AND received_at < $2";
        let rows: Vec<Vec<u8>> = on_engine!(self, |c| sqlx::query_scalar(SELECT_OLDER)
            .bind(state.as_str())
            .bind(before)
            .fetch_all(c))?;
        rows.iter().map(|id| photo_id(id)).collect()
    }

    /// How many photos stand in a state.
    pub(crate) async fn count(&mut self, state: PhotoState) -> Result<u64, Error> {
        const COUNT: &str = "SELECT COUNT(*) FROM photos WHERE state = $1";
        let count: i64 = on_engine!(self, |c| sqlx::query_scalar(COUNT)
            .bind(state.as_str())
            .fetch_one(c))?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// A photo's sealed rendition.
    pub async fn rendition(
        &mut self,
        photo: PhotoId,
        profile: Profile,
    ) -> Result<Option<SealedRendition>, Error> {
        const SELECT_RENDITION: &str =
            "SELECT version, object, wrapped_key FROM renditions WHERE photo = $1 AND profile = $2";
        let row: Option<(i64, String, Vec<u8>)> = on_engine!(self, |c| sqlx::query_as(SELECT_RENDITION)
            .bind(photo.as_bytes().as_slice())
            .bind(profile.as_str())
            .fetch_optional(c))?;
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
    pub(crate) async fn objects(&mut self, photo: PhotoId) -> Result<Vec<String>, Error> {
        const SELECT_OBJECTS: &str = "SELECT object FROM renditions WHERE photo = $1";
        on_engine!(self, |c| sqlx::query_scalar(SELECT_OBJECTS)
            .bind(photo.as_bytes().as_slice())
            .fetch_all(c))
    }
}

impl Transaction {
    /// Adds a photo, received.
    pub async fn announce(&mut self, new: &Announcement) -> Result<(), Error> {
        const INSERT_PHOTO: &str = "INSERT INTO photos (id, person, digest, state, received_at, submitted_by, receipt_days) \
             VALUES ($1, $2, $3, 'RECEIVED', $4, $5, $6)";
        write_on_engine!(self, |c| sqlx::query(INSERT_PHOTO)
            .bind(new.photo.as_bytes().as_slice())
            .bind(new.person.as_bytes().as_slice())
            .bind(new.digest.as_slice())
            .bind(new.at)
            .bind(new.by.as_str())
            .bind(new.period.days())
            .execute(c))?;
        Ok(())
    }

    /// Removes a photo that has no rendition.
    pub(crate) async fn delete_photo(&mut self, photo: PhotoId) -> Result<(), Error> {
        const DELETE_PHOTO: &str = "DELETE FROM photos WHERE id = $1";
        let rows = write_on_engine!(self, |c| sqlx::query(DELETE_PHOTO)
            .bind(photo.as_bytes().as_slice())
            .execute(c))?;
        one(rows, "photos")
    }

    /// Writes a photo's state.
    pub(crate) async fn set_state(&mut self, photo: PhotoId, state: PhotoState) -> Result<(), Error> {
        const SET_STATE: &str = "UPDATE photos SET state = $2 WHERE id = $1";
        let rows = write_on_engine!(self, |c| sqlx::query(SET_STATE)
            .bind(photo.as_bytes().as_slice())
            .bind(state.as_str())
            .execute(c))?;
        one(rows, "photos")
    }

    /// Writes what the checks found.
    pub(crate) async fn set_judgement(&mut self, photo: PhotoId, judgement: &Judgement) -> Result<(), Error> {
        const SET_JUDGEMENT: &str = "UPDATE photos SET judgement = $2 WHERE id = $1";
        let judgement = minicbor::to_vec(judgement).map_err(|_| Error::IndexDamaged("judgement"))?;
        let rows = write_on_engine!(self, |c| sqlx::query(SET_JUDGEMENT)
            .bind(photo.as_bytes().as_slice())
            .bind(judgement.as_slice())
            .execute(c))?;
        one(rows, "photos")
    }

    /// Writes who confirmed every warning, and when.
    pub(crate) async fn set_confirmed(&mut self, photo: PhotoId, by: &Actor, at: i64) -> Result<(), Error> {
        const SET_CONFIRMED: &str = "UPDATE photos SET confirmed_by = $2, confirmed_at = $3 WHERE id = $1";
        let rows = write_on_engine!(self, |c| sqlx::query(SET_CONFIRMED)
            .bind(photo.as_bytes().as_slice())
            .bind(by.as_str())
            .bind(at)
            .execute(c))?;
        one(rows, "photos")
    }

    /// Adds a sealed rendition with its key.
    pub(crate) async fn add_rendition(
        &mut self,
        photo: PhotoId,
        rendition: &SealedRendition,
    ) -> Result<(), Error> {
        const INSERT_RENDITION: &str = "INSERT INTO renditions (photo, profile, version, object, wrapped_key) VALUES ($1, $2, $3, $4, $5)";
        write_on_engine!(self, |c| sqlx::query(INSERT_RENDITION)
            .bind(photo.as_bytes().as_slice())
            .bind(rendition.profile.as_str())
            .bind(i64::from(rendition.version))
            .bind(rendition.object.as_str())
            .bind(rendition.wrapped_key.as_slice())
            .execute(c))?;
        Ok(())
    }

    /// Destroys a photo's wrapped keys, releases and judgement: its objects are unreadable as soon as this is committed.
    pub(crate) async fn shred(
        &mut self,
        photo: PhotoId,
        by: &Actor,
        case: &CaseNumber,
        at: i64,
    ) -> Result<(), Error> {
        const DELETE_RENDITIONS: &str = "DELETE FROM renditions WHERE photo = $1";
        const DELETE_RELEASES: &str = "DELETE FROM releases WHERE photo = $1";
        const SHRED: &str = "UPDATE photos SET state = 'SHREDDED', judgement = NULL, shredded_by = $2, shredded_at = $3, \
             shredded_case = $4 WHERE id = $1";
        for statement in [DELETE_RENDITIONS, DELETE_RELEASES] {
            write_on_engine!(self, |c| sqlx::query(statement)
                .bind(photo.as_bytes().as_slice())
                .execute(c))?;
        }
        let rows = write_on_engine!(self, |c| sqlx::query(SHRED)
            .bind(photo.as_bytes().as_slice())
            .bind(by.as_str())
            .bind(at)
            .bind(case.as_str())
            .execute(c))?;
        one(rows, "photos")
    }
}
