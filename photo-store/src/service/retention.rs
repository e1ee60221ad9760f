//! The end of a photo: by an order, by its time, or because it never became one.

use photo_store_protocol::{
    Actor, CaseNumber, Erase, FailureCode, PhotoId, PhotoState, PhotoStatus, TakeBack,
};

use crate::error::Error;
use crate::keeping::store::transaction::Transaction;
use crate::service::{Service, known};

/// An announced photo that is not completed after this many seconds was broken off.
const BROKEN_OFF_AFTER: i64 = 3_600;
/// A photo that waits for its confirmation is shredded after this many seconds (90 days, the longest receipt).
const WAITS_AT_MOST: i64 = 90 * 86_400;

impl Service {
    /// Destroys a photo's wrapped keys, then removes its objects. Erasing twice is the same as once.
    pub async fn erase(&self, erase: &Erase) -> Result<PhotoStatus, Error> {
        let now = self.now();
        let mut index = self.store.begin().await?;
        let row = known(index.photo(erase.photo).await?)?;
        if row.status.state == PhotoState::Shredded {
            return Ok(row.status);
        }
        self.shred(index, erase.photo, &erase.by, &erase.case, now).await
    }

    /// Destroys a photo that no case has used: a mistake at the camera, or the holder's wish. Taking it back twice is the
    /// same as once.
    pub async fn take_back(&self, take: &TakeBack) -> Result<PhotoStatus, Error> {
        let now = self.now();
        let case = "TAKEN-BACK".parse().map_err(Error::Refused)?;
        let mut index = self.store.begin().await?;
        let row = known(index.photo(take.photo).await?)?;
        if row.person != take.person {
            return Err(Error::Refused(FailureCode::WrongPerson));
        }
        if row.status.state == PhotoState::Shredded {
            return Ok(row.status);
        }
        if let Some(receipt) = &row.status.receipt {
            let receipt = index.receipt(receipt.number).await?;
            if receipt.is_some_and(|receipt| receipt.used.is_some()) {
                return Err(Error::Refused(FailureCode::PhotoInUse));
            }
        }
        self.shred(index, take.photo, &take.by, &case, now).await
    }

    /// Clears what a crash or a forgotten confirmation left: announced photos older than an hour, and photos that
    /// waited longer than 90 days; and pages of papers, likewise. Answers how many.
    pub async fn housekeep(&self) -> Result<usize, Error> {
        let now = self.now();
        let mut index = self.store.read().await?;
        let broken_off = index
            .received_before(PhotoState::Received, now - BROKEN_OFF_AFTER)
            .await?;
        let forgotten = index
            .received_before(PhotoState::Waiting, now - WAITS_AT_MOST)
            .await?;
        drop(index);
        for photo in &broken_off {
            self.withdraw(*photo).await?;
            let named = self.store.read().await?.objects(*photo).await?;
            self.objects.remove_unnamed(*photo, &named).await?;
        }
        let by = "photo-store".parse().map_err(Error::Refused)?;
        let case = "RETENTION-90-DAYS".parse().map_err(Error::Refused)?;
        for photo in &forgotten {
            let mut index = self.store.begin().await?;
            // Somebody may have confirmed it meanwhile.
            let row = index.photo(*photo).await?;
            if row.is_some_and(|row| row.status.state == PhotoState::Waiting) {
                self.shred(index, *photo, &by, &case, now).await?;
            }
        }
        let pages = self.housekeep_pages().await?;
        Ok(broken_off.len() + forgotten.len() + pages)
    }

    /// Takes back an announcement that was not completed. A photo that was completed meanwhile stays.
    pub(super) async fn withdraw(&self, photo: PhotoId) -> Result<(), Error> {
        let mut index = self.store.begin().await?;
        let row = index.photo(photo).await?;
        if row.is_some_and(|row| row.status.state == PhotoState::Received) {
            index.delete_photo(photo).await?;
        }
        index.commit().await
    }

    async fn shred(
        &self,
        mut index: Transaction,
        photo: PhotoId,
        by: &Actor,
        case: &CaseNumber,
        now: i64,
    ) -> Result<PhotoStatus, Error> {
        let objects = index.objects(photo).await?;
        index.shred(photo, by, case, now).await?;
        let row = known(index.photo(photo).await?)?;
        index.commit().await?;
        // Without their keys the objects are noise already; from here on nothing fails.
        self.store.overwrite_deleted(&photo).await;
        self.objects.remove(objects.iter().map(String::as_str)).await;
        Ok(row.status)
    }
}
