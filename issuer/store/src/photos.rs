//! Which photos were taken for an application, and which are to end by an order. Left out: the pictures, and who read them
//! (the photo store's).

use permit_domain::{ApplicationId, PermitId, PersonId, StaffId};

use crate::{
    entry::Entry,
    error::Error,
    rows::value,
    transaction::{Appended, Snapshot, Transaction, on_engine, write_on_engine},
};

/// That a photo is to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhotoErasure {
    /// The photo, 32 hex digits.
    pub photo: String,
    /// The application under which that was requested.
    pub application: ApplicationId,
    /// Number of the order that demands it.
    pub order: String,
    /// Who requested it.
    pub requested_by: StaffId,
    /// Who approved it; `None`: nobody yet.
    pub approved_by: Option<StaffId>,
}

/// A photo whose warnings wait for a colleague of who took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhotoToConfirm {
    /// The application for which it was taken.
    pub application: ApplicationId,
    /// The photo, 32 hex digits.
    pub photo: String,
    /// Who took it, and may not confirm it.
    pub taken_by: StaffId,
}

#[derive(sqlx::FromRow)]
struct ToConfirmRow {
    application: String,
    photo: String,
    taken_by: String,
}

impl TryFrom<ToConfirmRow> for PhotoToConfirm {
    type Error = Error;

    fn try_from(row: ToConfirmRow) -> Result<Self, Error> {
        Ok(Self {
            application: value(&row.application, "photos_to_confirm.application")?,
            photo: row.photo,
            taken_by: value(&row.taken_by, "photos_to_confirm.taken_by")?,
        })
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    photo: String,
    application: String,
    order_number: String,
    requested_by: String,
    approved_by: Option<String>,
}

impl TryFrom<Row> for PhotoErasure {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            photo: row.photo,
            application: value(&row.application, "photo_erasures.application")?,
            order: row.order_number,
            requested_by: value(&row.requested_by, "photo_erasures.requested_by")?,
            approved_by: row
                .approved_by
                .map(|by| value(&by, "photo_erasures.approved_by"))
                .transpose()?,
        })
    }
}

impl Snapshot {
    /// Whether a photo was taken for an application, or came onto a card by it.
    ///
    /// # Errors
    /// Outages.
    pub async fn is_photo_of(&mut self, application: ApplicationId, photo: &str) -> Result<bool, Error> {
        const FOUND: &str = "SELECT count(*) FROM application_photos WHERE application = $1 AND photo = $2";
        let found: i64 = on_engine!(self, |c| sqlx::query_scalar(FOUND)
            .bind(application.to_string())
            .bind(photo)
            .fetch_one(c))?;
        Ok(found > 0)
    }

    /// The photo of an application that waits for a colleague.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn photo_to_confirm(
        &mut self,
        application: ApplicationId,
    ) -> Result<Option<PhotoToConfirm>, Error> {
        const OF: &str = "SELECT application, photo, taken_by FROM photos_to_confirm WHERE application = $1";
        let row: Option<ToConfirmRow> = on_engine!(self, |c| sqlx::query_as(OF)
            .bind(application.to_string())
            .fetch_optional(c))?;
        row.map(TryInto::try_into).transpose()
    }

    /// Photos that wait for a colleague of who took them, of cases that are not over; those taken first first, at most `limit`.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn photos_to_confirm(&mut self, limit: u32) -> Result<Vec<PhotoToConfirm>, Error> {
        const ALL: &str = "
            SELECT p.application, p.photo, p.taken_by FROM photos_to_confirm p JOIN applications a ON a.id = p.application
            WHERE a.state NOT IN ('REFUSED', 'WITHDRAWN') ORDER BY p.taken_at, p.application LIMIT $1";
        let rows: Vec<ToConfirmRow> =
            on_engine!(self, |c| sqlx::query_as(ALL).bind(i64::from(limit)).fetch_all(c))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Every permit that a person ever had.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn permits_of_person(&mut self, person: PersonId) -> Result<Vec<PermitId>, Error> {
        const OF: &str = "SELECT id FROM permits WHERE person = $1 ORDER BY created_at, id";
        let ids: Vec<String> = on_engine!(self, |c| sqlx::query_scalar(OF)
            .bind(person.to_string())
            .fetch_all(c))?;
        ids.iter().map(|id| value(id, "permits.id")).collect()
    }

    /// Whether a photo is to end: what was requested last.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn photo_erasure(&mut self, photo: &str) -> Result<Option<PhotoErasure>, Error> {
        const SELECT: &str = "
            SELECT photo, application, order_number, requested_by, approved_by FROM photo_erasures WHERE photo = $1";
        let row: Option<Row> = on_engine!(self, |c| sqlx::query_as(SELECT).bind(photo).fetch_optional(c))?;
        row.map(TryInto::try_into).transpose()
    }
}

impl Transaction {
    /// Stores that a photo was taken for an application, or came onto a card by it. The same again changes nothing. The entry of
    /// the ledger is the caller's.
    ///
    /// # Errors
    /// Outages.
    pub async fn photo_belongs(&mut self, application: ApplicationId, photo: &str) -> Result<(), Error> {
        const INSERT: &str = "
            INSERT INTO application_photos (application, photo) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        write_on_engine!(self, |c| sqlx::query(INSERT)
            .bind(application.to_string())
            .bind(photo)
            .execute(c))?;
        Ok(())
    }

    /// Stores that a photo waits for a colleague of who took it, in place of an earlier one of its application. The entry of the
    /// ledger is the caller's.
    ///
    /// # Errors
    /// Outages.
    pub async fn photo_waits(&mut self, waiting: &PhotoToConfirm) -> Result<(), Error> {
        const SET: &str = "
            INSERT INTO photos_to_confirm (application, photo, taken_by, taken_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (application) DO UPDATE SET photo = excluded.photo, taken_by = excluded.taken_by,
                taken_at = excluded.taken_at";
        let at = self.millis();
        write_on_engine!(self, |c| sqlx::query(SET)
            .bind(waiting.application.to_string())
            .bind(waiting.photo.as_str())
            .bind(waiting.taken_by.as_str())
            .bind(at)
            .execute(c))?;
        Ok(())
    }

    /// Stores that no photo of an application waits for a colleague any more. The entry of the ledger is the caller's.
    ///
    /// # Errors
    /// Outages.
    pub async fn no_photo_waits(&mut self, application: ApplicationId) -> Result<(), Error> {
        const DELETE: &str = "DELETE FROM photos_to_confirm WHERE application = $1";
        write_on_engine!(self, |c| sqlx::query(DELETE)
            .bind(application.to_string())
            .execute(c))?;
        Ok(())
    }

    /// Stores that a photo is to end, in place of what was requested before, or that somebody approved it.
    ///
    /// # Errors
    /// Outages.
    pub async fn set_photo_erasure(
        &mut self,
        erasure: &PhotoErasure,
        (role, actor): (&str, &str),
    ) -> Result<Appended, Error> {
        const SET: &str = "
            INSERT INTO photo_erasures (photo, application, order_number, requested_by, approved_by, requested_at,
                                        changed_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT (photo) DO UPDATE SET application = excluded.application, order_number = excluded.order_number,
                requested_by = excluded.requested_by, approved_by = excluded.approved_by, changed_at = excluded.changed_at";
        let at = self.millis();
        write_on_engine!(self, |c| sqlx::query(SET)
            .bind(erasure.photo.as_str())
            .bind(erasure.application.to_string())
            .bind(erasure.order.as_str())
            .bind(erasure.requested_by.as_str())
            .bind(erasure.approved_by.as_ref().map(StaffId::as_str))
            .bind(at)
            .bind(at)
            .execute(c))?;
        self.append(Entry {
            role,
            actor,
            action: match erasure.approved_by {
                Some(_) => "photo erasure APPROVED",
                None => "photo erasure REQUESTED",
            },
            subject: &erasure.photo,
            detail: &format!(
                r#"{{"application":"{}","order":"{}"}}"#,
                erasure.application, erasure.order
            ),
        })
        .await
    }
}
