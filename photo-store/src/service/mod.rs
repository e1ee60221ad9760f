//! The store's operations, each whole or not at all.
//!
//! | module | operations |
//! |---|---|
//! | [`submit`] | judge, seal, confirm |
//! | [`cases`] | receipts, and the cases that they open |
//! | [`pages`] | pages of papers, from the scan to the end of their case |
//! | [`read`] | reads and releases; on record first |
//! | [`retention`] | the end of a photo, and what a crash left |
//!
//! An operation opens a transaction of the index, reads, decides, writes and commits; pictures, the vault and the objects
//! are worked on while none is open. Left out: a cache of pictures; a read costs a few milliseconds, and what is not kept needs not be forgotten.

mod cases;
mod pages;
mod read;
mod retention;
mod submit;

use std::sync::{Mutex, PoisonError};

use keyvault_protocol::DataKey;
use photo_picture::rules::Rules;
use photo_store_protocol::{FailureCode, PersonId, PhotoId, PhotoState, PhotoStatus, ServiceStatus};
use program_contract::Clock;
use rand_core::TryCryptoRng;
use tokio::sync::{OnceCell, Semaphore};

use crate::decoding::Decoder;
use crate::error::Error;
use crate::keeping::objects::Objects;
use crate::keeping::store::index::Store;
use crate::keeping::store::photos::PhotoRow;
use crate::keeping::vault::Vault;

/// The most photos of one person in one answer; nobody is photographed that often.
const PHOTOS_MAX: i64 = 100;
/// Pictures decoded at one time: each takes up to 250 MB while it is judged.
const DECODING_AT_ONCE: usize = 1;

/// A source of randomness that cannot be predicted; only the program decides which.
trait Randomness: Send {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Error>;
}

impl<R: TryCryptoRng + Send> Randomness for R {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.try_fill_bytes(bytes).map_err(|_| Error::Random)
    }
}

/// The photo store at work.
pub struct Service {
    rules: Rules,
    decoder: Decoder,
    store: Store,
    objects: Objects,
    vault: Vault,
    clock: Clock,
    random: Mutex<Box<dyn Randomness>>,
    digest_key: OnceCell<DataKey>,
    decoding: Semaphore,
}

impl core::fmt::Debug for Service {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Service(..)")
    }
}

impl Service {
    /// Puts the store together from its parts.
    ///
    /// # Errors
    /// [`Error::Picture`] when the program's own data is damaged.
    pub fn new(
        store: Store,
        objects: Objects,
        vault: Vault,
        decoder: Decoder,
        clock: Clock,
        random: impl TryCryptoRng + Send + 'static,
    ) -> Result<Self, Error> {
        Ok(Self {
            rules: Rules::built_in()?,
            decoder,
            store,
            objects,
            vault,
            clock,
            random: Mutex::new(Box::new(random)),
            digest_key: OnceCell::new(),
            decoding: Semaphore::new(DECODING_AT_ONCE),
        })
    }

    /// How the store is.
    ///
    /// # Errors
    /// As every operation here: an [`Error`] whose code says what to do; nothing was changed.
    pub async fn status(&self) -> Result<ServiceStatus, Error> {
        let (now, vault) = (self.now(), self.vault.state().await);
        let mut index = self.store.read().await?;
        Ok(ServiceStatus {
            now,
            vault,
            sealed: index.count(PhotoState::Sealed).await?,
            waiting: index.count(PhotoState::Waiting).await?,
            rules: self.rules.version.clone(),
        })
    }

    /// What is known about a photo.
    pub async fn photo(&self, photo: PhotoId) -> Result<PhotoStatus, Error> {
        Ok(known(self.store.read().await?.photo(photo).await?)?.status)
    }

    /// What is known about each of a person's photos, the newest first.
    pub async fn photos(&self, person: PersonId) -> Result<Vec<PhotoStatus>, Error> {
        let rows = self.store.read().await?.photos_of(person, PHOTOS_MAX).await?;
        Ok(rows
            .into_iter()
            .map(|row| row.status)
            .filter(|status| status.state != PhotoState::Received)
            .collect())
    }

    fn random<const N: usize>(&self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        // A thread that panicked while drawing left the source as good as before.
        self.random
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Now, in seconds since 1970-01-01T00:00:00Z.
    fn now(&self) -> i64 {
        self.clock.now().as_second()
    }
}

/// A photo that was at least announced and completed; an announced one does not exist for callers.
fn known(row: Option<PhotoRow>) -> Result<PhotoRow, Error> {
    match row {
        Some(row) if row.status.state != PhotoState::Received => Ok(row),
        _ => Err(Error::Refused(FailureCode::UnknownPhoto)),
    }
}
