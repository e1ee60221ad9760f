//! The end of a photo: by an order, by its time, or because it never became one.

use photo_store_protocol::{Erase, PhotoState, PhotoStatus};

use crate::error::Error;
use crate::service::Service;

/// An announced photo that is not completed after this many seconds was broken off.
const BROKEN_OFF_AFTER: i64 = 3_600;
/// A photo that waits for its confirmation is shredded after this many seconds (90 days, the longest receipt).
const WAITS_AT_MOST: i64 = 90 * 86_400;

impl Service {
    /// Destroys a photo's wrapped keys, then removes its objects. Erasing twice is the same as once.
    pub async fn erase(&self, erase: &Erase) -> Result<PhotoStatus, Error> {
        self.known(erase.photo).await?;
        let objects = self
            .store
            .shred(erase.photo, &erase.by, &erase.case, self.now())
            .await?;
        self.objects.remove(objects.iter().map(String::as_str)).await;
        Ok(self.known(erase.photo).await?.status)
    }

    /// Clears what a crash or a forgotten confirmation left: announced photos older than an hour, and photos that
    /// waited longer than 90 days. Answers how many.
    pub async fn housekeep(&self) -> Result<usize, Error> {
        let now = self.now();
        let leftovers = self
            .store
            .leftovers(now - BROKEN_OFF_AFTER, now - WAITS_AT_MOST)
            .await?;
        for (photo, state) in &leftovers {
            if *state == PhotoState::Received {
                self.store.withdraw(*photo).await?;
                self.objects
                    .remove_unnamed(*photo, &self.store.objects(*photo).await?)
                    .await?;
            } else {
                let by = "photo-store".parse().map_err(Error::Refused)?;
                let case = "RETENTION-90-DAYS".parse().map_err(Error::Refused)?;
                let objects = self.store.shred(*photo, &by, &case, now).await?;
                self.objects.remove(objects.iter().map(String::as_str)).await;
            }
        }
        Ok(leftovers.len())
    }
}
