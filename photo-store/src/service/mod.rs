//! The store's operations, each whole or not at all.
//!
//! | module | operations |
//! |---|---|
//! | [`submit`] | judge, seal, confirm |
//! | [`cases`] | receipts, and the cases that they open |
//! | [`read`] | reads and releases; on record first |
//! | [`retention`] | the end of a photo, and what a crash left |
//!
//! Left out: a cache of pictures; a read costs a few milliseconds, and what is not kept needs not be forgotten.

mod cases;
mod read;
mod retention;
mod submit;

use std::sync::{Arc, Mutex, PoisonError};

use keyvault_protocol::DataKey;
use photo_store_protocol::{FailureCode, PhotoId, PhotoState, PhotoStatus, ServiceStatus};
use program_contract::Clock;
use rand_core::TryCryptoRng;
use tokio::sync::{OnceCell, Semaphore};

use crate::error::Error;
use crate::keeping::objects::Objects;
use crate::keeping::store::{PhotoRow, Store};
use crate::keeping::vault::Vault;
use crate::picture::faces::Faces;
use crate::picture::rules::Rules;

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
    rules: Arc<Rules>,
    faces: Arc<Faces>,
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
    /// [`Error::Rules`] when the program's own data is damaged.
    pub fn new(
        store: Store,
        objects: Objects,
        vault: Vault,
        clock: Clock,
        random: impl TryCryptoRng + Send + 'static,
    ) -> Result<Self, Error> {
        Ok(Self {
            rules: Arc::new(Rules::built_in()?),
            faces: Arc::new(Faces::new()?),
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
        Ok(ServiceStatus {
            now: self.now(),
            vault: self.vault.state().await,
            sealed: self.store.count(PhotoState::Sealed).await?,
            waiting: self.store.count(PhotoState::Waiting).await?,
            rules: self.rules.version.clone(),
        })
    }

    /// What is known about a photo.
    pub async fn photo(&self, photo: PhotoId) -> Result<PhotoStatus, Error> {
        Ok(self.known(photo).await?.status)
    }

    /// A photo that was at least announced and completed; an announced one does not exist for callers.
    async fn known(&self, photo: PhotoId) -> Result<PhotoRow, Error> {
        match self.store.photo(photo).await? {
            Some(row) if row.status.state != PhotoState::Received => Ok(row),
            _ => Err(Error::Refused(FailureCode::UnknownPhoto)),
        }
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
