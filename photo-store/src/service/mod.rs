//! The store's operations, each whole or not at all.
//!
//! Order of a submission: same bytes of the same person? -> checks -> announced in the index -> data keys from the vault ->
//! sealed objects -> completed in the index. Whatever breaks in between leaves a photo that nobody can see; the announced
//! row is taken back at once, or by [`Service::housekeep`] after a crash. Order of a read: open case of the photo's owner ->
//! record of the read, durable -> data key -> object -> answer. Left out: a cache of pictures; a read costs a few
//! milliseconds, and what is not kept needs not be forgotten.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::TryStreamExt as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use keyvault_protocol::{DataKey, PhotoKeyContext, WrappedKey};
use object_store::{ObjectStore, ObjectStoreExt as _};
use photo_store_protocol::{
    Actor, CaseNumber, Confirm, Erase, FailureCode, Judgement, OpenCase, PersonId, PhotoId, PhotoState,
    PhotoStatus, Picture, Profile, Read, ReadRecord, Receipt, ReceiptInfo, ReceiptNumber, ReceiptPeriod,
    ReceiptState, Release, ReleaseToken, ServiceStatus, Submission, Submit, TakeReceipt, Verdict,
};
use rand_core::TryCryptoRng;
use sha2::{Digest as _, Sha256};
use tokio::sync::{OnceCell, Semaphore};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::keeping::seal;
use crate::keeping::store::{Announcement, PhotoRow, ReadEntry, ReleaseRow, SealedRendition, Store};
use crate::keeping::vault::Vault;
use crate::picture::faces::Faces;
use crate::picture::ingest;
use crate::picture::judge::{Judged, judge};
use crate::picture::normalise::{self, Rendition};
use crate::picture::rules::Rules;

/// Renditions that are sealed; the others are made from `print` when they are read.
const KEPT: [Profile; 2] = [Profile::Ga461, Profile::Print];
/// Pictures decoded at one time: each takes up to 250 MB while it is judged.
const DECODING_AT_ONCE: usize = 1;
/// A release is valid for at most this many minutes.
const RELEASE_MINUTES_MAX: u32 = 60;
/// An announced photo that is not completed after this many seconds was broken off.
const BROKEN_OFF_AFTER: i64 = 3_600;
/// A photo that waits for its confirmation is shredded after this many seconds (90 days, the longest receipt).
const WAITS_AT_MOST: i64 = 90 * 86_400;
/// How often a submission announces its photo, when others take the announcement back.
const ANNOUNCEMENTS: usize = 3;
const SECONDS_PER_DAY: i64 = 86_400;
/// The most lines of the record of reads in one answer.
const READS_MAX: i64 = 1_000;
const DIGEST_KEY: &str = "digest-1";

/// What tells the time: seconds since 1970-01-01T00:00:00Z.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> i64;
}

/// A source of randomness that cannot be predicted; only the program decides which.
pub trait Randomness: Send {
    /// Fills the bytes.
    ///
    /// # Errors
    /// [`Error::Random`] when the source failed.
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
    objects: Arc<dyn ObjectStore>,
    vault: Vault,
    clock: Arc<dyn Clock>,
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
        objects: Arc<dyn ObjectStore>,
        vault: Vault,
        clock: Arc<dyn Clock>,
        random: Box<dyn Randomness>,
    ) -> Result<Self, Error> {
        Ok(Self {
            rules: Arc::new(Rules::built_in()?),
            faces: Arc::new(Faces::new()?),
            store,
            objects,
            vault,
            clock,
            random: Mutex::new(random),
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
            now: self.clock.now(),
            vault: self.vault.state().await,
            sealed: self.store.count(PhotoState::Sealed).await?,
            waiting: self.store.count(PhotoState::Waiting).await?,
            rules: self.rules.version.clone(),
        })
    }

    /// Judges, normalises and seals a photo.
    pub async fn submit(&self, mut submit: Submit) -> Result<Submission, Error> {
        let file = Zeroizing::new(std::mem::take(&mut submit.file));
        let digest = self.digest(submit.person, &file).await?;
        let mut spent = None;
        if let Some(row) = self.store.same_bytes(submit.person, &digest).await?
            && row.status.state != PhotoState::Received
        {
            if !self.is_spent(&row).await? {
                return Ok(Submission::Held {
                    photo: row.status,
                    already_held: true,
                });
            }
            spent = Some(row.status.photo);
        }

        let (judged, renditions) = self.judge(file).await?;
        let judgement = judged.judgement;
        if judgement.verdict == Verdict::Refuse {
            return Ok(Submission::Refused(judgement));
        }

        let now = self.clock.now();
        let new = Announcement {
            photo: PhotoId::from_bytes(self.random()?),
            person: submit.person,
            digest,
            by: submit.by.clone(),
            at: now,
            period: submit.period,
        };
        // Only after the judgement: a photo that today's rules refuse leaves the old one as it is.
        if let Some(old) = spent {
            self.store.supersede(old).await?;
        }
        for _ in 0..ANNOUNCEMENTS {
            if let Some(submission) = self.announce_and_seal(&new, &judgement, &renditions).await? {
                return Ok(submission);
            }
        }
        Err(Error::Index(Box::new(sqlx::Error::RowNotFound)))
    }

    /// Announces, seals and completes a photo. `None` when it had adopted the announcement of another run, which broke
    /// off and took it back meanwhile: nothing is kept then, and the next attempt announces anew.
    async fn announce_and_seal(
        &self,
        new: &Announcement,
        judgement: &Judgement,
        renditions: &[Rendition],
    ) -> Result<Option<Submission>, Error> {
        let row = self.store.announce(new).await?;
        let photo = row.status.photo;
        let mut written = Vec::new();
        let completed = async {
            self.seal_all(photo, new.person, renditions, &mut written).await?;
            let receipt = (judgement.verdict == Verdict::Accept)
                .then(|| self.receipt_for(row.period))
                .transpose()?;
            self.store
                .complete(photo, judgement, &written, receipt.as_ref())
                .await
        }
        .await;
        match completed {
            Ok(true) => {
                if photo != new.photo {
                    // An earlier run broke off after it had announced the photo; its objects have no keys.
                    self.remove_unnamed(photo).await?;
                }
                let photo = self.known(photo).await?.status;
                Ok(Some(Submission::Held {
                    photo,
                    already_held: false,
                }))
            }
            Ok(false) => {
                // Another run completed the same bytes first; its objects count, ours were never named.
                self.remove_objects(written.iter().map(|rendition| rendition.object.as_str()))
                    .await;
                Ok(self.store.photo(photo).await?.map(|row| Submission::Held {
                    photo: row.status,
                    already_held: true,
                }))
            }
            Err(error) => {
                self.remove_objects(written.iter().map(|rendition| rendition.object.as_str()))
                    .await;
                // Only the run that announced it takes it back; where even that fails, housekeeping does.
                if photo == new.photo
                    && let Err(error) = self.store.withdraw(photo).await
                {
                    tracing::warn!(%error, %photo, "an announced photo could not be withdrawn; housekeeping will");
                }
                Err(error)
            }
        }
    }

    /// Records that a named person looked at every warning, and gives the receipt.
    pub async fn confirm(&self, confirm: &Confirm) -> Result<PhotoStatus, Error> {
        let row = self.known(confirm.photo).await?;
        match row.status.state {
            PhotoState::Waiting => {}
            PhotoState::Shredded => return Err(Error::Refused(FailureCode::Shredded)),
            _ if row.status.confirmed_by.as_ref() == Some(&confirm.by) => return Ok(row.status),
            _ => return Err(Error::Refused(FailureCode::NothingToConfirm)),
        }
        let mut asked = row
            .status
            .judgement
            .as_ref()
            .ok_or(Error::IndexDamaged("judgement"))?
            .warnings();
        let mut given = confirm.warnings.clone();
        asked.sort_unstable();
        given.sort_unstable();
        given.dedup();
        if asked != given {
            return Err(Error::Refused(FailureCode::WrongWarnings));
        }
        let receipt = self.receipt_for(row.period)?;
        if !self
            .store
            .confirm(confirm.photo, &confirm.by, self.clock.now(), &receipt)
            .await?
        {
            return Err(Error::Refused(FailureCode::NothingToConfirm));
        }
        Ok(self.known(confirm.photo).await?.status)
    }

    /// What is known about a photo.
    pub async fn photo(&self, photo: PhotoId) -> Result<PhotoStatus, Error> {
        Ok(self.known(photo).await?.status)
    }

    /// What can be done with a receipt.
    pub async fn receipt(&self, number: ReceiptNumber) -> Result<ReceiptInfo, Error> {
        let row = self
            .store
            .receipt(number)
            .await?
            .ok_or(Error::Refused(FailureCode::UnknownReceipt))?;
        let photo = self.known(row.photo).await?;
        let state = if photo.status.state == PhotoState::Shredded {
            ReceiptState::Shredded
        } else if row.used_case.is_some() {
            ReceiptState::Used
        } else if self.clock.now() >= row.expires_at {
            ReceiptState::Expired
        } else {
            ReceiptState::Valid
        };
        Ok(ReceiptInfo {
            state,
            expires_at: row.expires_at,
            photo: row.photo,
        })
    }

    /// Uses a receipt for a case, once, and opens the case.
    pub async fn take_receipt(&self, take: &TakeReceipt) -> Result<PhotoStatus, Error> {
        let refused = |code| Err(Error::Refused(code));
        let Some(receipt) = self.store.receipt(take.number).await? else {
            return refused(FailureCode::UnknownReceipt);
        };
        let row = self.known(receipt.photo).await?;
        if row.person != take.person {
            return refused(FailureCode::WrongPerson);
        }
        if row.status.state == PhotoState::Shredded {
            return refused(FailureCode::Shredded);
        }
        match &receipt.used_case {
            Some(case) if *case == take.case => return Ok(row.status),
            Some(_) => return refused(FailureCode::ReceiptUsed),
            None => {}
        }
        let now = self.clock.now();
        if now >= receipt.expires_at {
            return refused(FailureCode::ReceiptExpired);
        }
        self.case_may_be_of(&take.case, take.person).await?;
        if !self
            .store
            .take_receipt(take.number, &take.case, take.person, &take.by, now)
            .await?
        {
            return refused(FailureCode::ReceiptUsed);
        }
        Ok(row.status)
    }

    /// Opens a case for a person without a receipt.
    pub async fn open_case(&self, open: &OpenCase) -> Result<(), Error> {
        self.case_may_be_of(&open.case, open.person).await?;
        self.store
            .open_case(&open.case, open.person, &open.by, self.clock.now())
            .await
    }

    /// Closes a case.
    pub async fn close_case(&self, case: &CaseNumber, by: &Actor) -> Result<(), Error> {
        self.store.close_case(case, by, self.clock.now()).await
    }

    /// Reads a rendition; on record first.
    pub async fn read(&self, read: Read) -> Result<Picture, Error> {
        self.read_for(read, None).await
    }

    /// Allows another person a read for some minutes.
    pub async fn release(&self, release: &Release) -> Result<ReleaseToken, Error> {
        if release.minutes == 0 || release.minutes > RELEASE_MINUTES_MAX {
            return Err(Error::Refused(FailureCode::BadField));
        }
        let row = self.known(release.read.photo).await?;
        self.may_read(&row, &release.read).await?;
        let token = ReleaseToken::from_bytes(self.random()?);
        let now = self.clock.now();
        let kept = ReleaseRow {
            read: release.read.clone(),
            by: release.by.clone(),
            expires_at: now + i64::from(release.minutes) * 60,
        };
        self.store.add_release(&token_digest(&token), &kept, now).await?;
        Ok(token)
    }

    /// Redeems a release.
    pub async fn redeem(&self, token: &ReleaseToken, reader: &Actor) -> Result<Picture, Error> {
        let Some(release) = self.store.release(&token_digest(token)).await? else {
            return Err(Error::Refused(FailureCode::TokenInvalid));
        };
        let refusal = if release.read.reader != *reader {
            Some(FailureCode::TokenInvalid)
        } else if self.clock.now() >= release.expires_at {
            Some(FailureCode::TokenExpired)
        } else {
            None
        };
        if let Some(code) = refusal {
            let row = self.known(release.read.photo).await?;
            let tried = Read {
                reader: reader.clone(),
                ..release.read
            };
            self.record(&tried, row.person, Some(release.by), Some(code))
                .await?;
            return Err(Error::Refused(code));
        }
        self.read_for(release.read, Some(release.by)).await
    }

    /// Who read a person's photos.
    pub async fn reads(&self, person: PersonId) -> Result<Vec<ReadRecord>, Error> {
        self.store.reads(person, READS_MAX).await
    }

    /// Destroys a photo's wrapped keys, then removes its objects. Erasing twice is the same as once.
    pub async fn erase(&self, erase: &Erase) -> Result<PhotoStatus, Error> {
        self.known(erase.photo).await?;
        let objects = self
            .store
            .shred(erase.photo, &erase.by, &erase.case, self.clock.now())
            .await?;
        self.remove_objects(objects.iter().map(String::as_str)).await;
        Ok(self.known(erase.photo).await?.status)
    }

    /// Clears what a crash or a forgotten confirmation left: announced photos older than an hour, and photos that
    /// waited longer than 90 days. Answers how many.
    pub async fn housekeep(&self) -> Result<usize, Error> {
        let now = self.clock.now();
        let leftovers = self
            .store
            .leftovers(now - BROKEN_OFF_AFTER, now - WAITS_AT_MOST)
            .await?;
        for (photo, state) in &leftovers {
            if *state == PhotoState::Received {
                self.store.withdraw(*photo).await?;
                self.remove_unnamed(*photo).await?;
            } else {
                let by = "photo-store".parse().map_err(Error::Refused)?;
                let case = "RETENTION-90-DAYS".parse().map_err(Error::Refused)?;
                let objects = self.store.shred(*photo, &by, &case, now).await?;
                self.remove_objects(objects.iter().map(String::as_str)).await;
            }
        }
        Ok(leftovers.len())
    }

    /// Whether a photo's receipt opens nothing any more: expired unused, or used for a case that is closed.
    async fn is_spent(&self, row: &PhotoRow) -> Result<bool, Error> {
        let Some(receipt) = &row.status.receipt else {
            return Ok(false);
        };
        let receipt = self
            .store
            .receipt(receipt.number)
            .await?
            .ok_or(Error::IndexDamaged("receipts"))?;
        match &receipt.used_case {
            None => Ok(self.clock.now() >= receipt.expires_at),
            Some(case) => Ok(!matches!(self.store.case(case).await?, Some((_, true)))),
        }
    }

    async fn read_for(&self, read: Read, released_by: Option<Actor>) -> Result<Picture, Error> {
        let row = self.known(read.photo).await?;
        if let Err(error) = self.may_read(&row, &read).await {
            if let Error::Refused(code) = &error {
                self.record(&read, row.person, released_by, Some(*code)).await?;
            }
            return Err(error);
        }
        // From here on the read counts, whether or not the bytes reach the reader.
        self.record(&read, row.person, released_by, None).await?;
        let kept = if read.profile == Profile::Ga461 {
            Profile::Ga461
        } else {
            Profile::Print
        };
        let jpeg = self.open(&row, kept).await?;
        let rule = self.rules.profile(read.profile)?;
        if read.profile == kept {
            let (version, width, height, dpi) = (rule.version, rule.width, rule.height, rule.dpi);
            return Ok(Picture {
                profile: kept,
                version,
                width,
                height,
                dpi,
                jpeg: jpeg.to_vec(),
            });
        }
        let rules = Arc::clone(&self.rules);
        let made = tokio::task::spawn_blocking(move || {
            // Our own file: what does not decode now was exchanged under a valid seal, which cannot be.
            let decoded = ingest::read(&jpeg).map_err(|_| Error::Picture)?;
            normalise::from_finished(&decoded.raster, read.profile, &rules)
        })
        .await
        .map_err(|_| Error::Picture)??;
        Ok(Picture {
            profile: made.profile,
            version: made.version,
            width: made.width,
            height: made.height,
            dpi: made.dpi,
            jpeg: made.jpeg.to_vec(),
        })
    }

    async fn record(
        &self,
        read: &Read,
        person: PersonId,
        released_by: Option<Actor>,
        refused: Option<FailureCode>,
    ) -> Result<(), Error> {
        let record = ReadRecord {
            at: self.clock.now(),
            photo: read.photo,
            profile: read.profile,
            purpose: read.purpose,
            case: read.case.clone(),
            reader: read.reader.clone(),
            refused,
        };
        self.store
            .record_read(&ReadEntry {
                record,
                person,
                released_by,
            })
            .await
    }

    async fn may_read(&self, row: &PhotoRow, read: &Read) -> Result<(), Error> {
        match row.status.state {
            PhotoState::Sealed | PhotoState::Superseded => {}
            PhotoState::Shredded => return Err(Error::Refused(FailureCode::Shredded)),
            _ => return Err(Error::Refused(FailureCode::NotConfirmed)),
        }
        match self.store.case(&read.case).await? {
            Some((person, true)) if person == row.person => Ok(()),
            // Another person's case and no case are told apart by nobody who has neither.
            _ => Err(Error::Refused(FailureCode::CaseNotOpen)),
        }
    }

    async fn case_may_be_of(&self, case: &CaseNumber, person: PersonId) -> Result<(), Error> {
        match self.store.case(case).await? {
            Some((owner, _)) if owner != person => Err(Error::Refused(FailureCode::WrongPerson)),
            _ => Ok(()),
        }
    }

    /// A photo that was at least announced and completed; an announced one does not exist for callers.
    async fn known(&self, photo: PhotoId) -> Result<PhotoRow, Error> {
        match self.store.photo(photo).await? {
            Some(row) if row.status.state != PhotoState::Received => Ok(row),
            _ => Err(Error::Refused(FailureCode::UnknownPhoto)),
        }
    }

    /// Judges on a thread of its own; a decoder that panics costs this photo and nothing else.
    async fn judge(&self, file: Zeroizing<Vec<u8>>) -> Result<(Judged, Vec<Rendition>), Error> {
        let _place = self.decoding.acquire().await.map_err(|_| Error::Picture)?;
        let (rules, faces) = (Arc::clone(&self.rules), Arc::clone(&self.faces));
        tokio::task::spawn_blocking(move || {
            let judged = judge(&file, &rules, &faces)?;
            let renditions = match &judged.portrait {
                Some(portrait) => KEPT
                    .iter()
                    .map(|profile| portrait.rendition(*profile, &rules))
                    .collect::<Result<_, _>>()?,
                None => Vec::new(),
            };
            Ok((judged, renditions))
        })
        .await
        .map_err(|_| Error::Picture)?
    }

    /// Seals each rendition under a key of its own. What was written stands in `written`, also when a later one fails.
    async fn seal_all(
        &self,
        photo: PhotoId,
        person: PersonId,
        renditions: &[Rendition],
        written: &mut Vec<SealedRendition>,
    ) -> Result<(), Error> {
        let mut session = self.vault.session().await?;
        for rendition in renditions {
            let context = context(photo, person, rendition.profile, rendition.version);
            let (key, wrapped) = session.new_key(&context).await?;
            let sealed = seal::seal(&key, self.random()?, &context, &rendition.jpeg)?;
            // One folder a photo, and never the same name twice: a broken-off run and its repetition do not share an
            // object, and what the index does not name is found by the photo.
            let attempt = u64::from_be_bytes(self.random()?);
            let object = format!("{}/{}.{attempt:016x}", folder(photo), rendition.profile);
            written.push(SealedRendition {
                profile: rendition.profile,
                version: rendition.version,
                object: object.clone(),
                wrapped_key: wrapped.as_bytes().to_vec(),
            });
            self.objects.put(&object.into(), sealed.into()).await?;
        }
        Ok(())
    }

    async fn open(&self, row: &PhotoRow, profile: Profile) -> Result<Zeroizing<Vec<u8>>, Error> {
        let photo = row.status.photo;
        let Some(rendition) = self.store.rendition(photo, profile).await? else {
            return Err(Error::IndexDamaged("renditions"));
        };
        let context = context(photo, row.person, profile, rendition.version);
        let mut session = self.vault.session().await?;
        let key = session
            .open_key(&context, &WrappedKey::from_bytes(rendition.wrapped_key))
            .await?;
        let object = self.objects.get(&rendition.object.into()).await?.bytes().await?;
        seal::open(&key, &context, &object)
    }

    /// Removes a photo's objects that the index does not name.
    async fn remove_unnamed(&self, photo: PhotoId) -> Result<(), Error> {
        let named = self.store.objects(photo).await?;
        let prefix = object_store::path::Path::from(folder(photo));
        let there: Vec<object_store::ObjectMeta> = self.objects.list(Some(&prefix)).try_collect().await?;
        let unnamed = there.iter().map(|object| object.location.as_ref());
        self.remove_objects(unnamed.filter(|name| !named.iter().any(|known| known == name)))
            .await;
        Ok(())
    }

    /// Removes objects as well as that goes: without their keys they are noise.
    async fn remove_objects<'a>(&self, names: impl Iterator<Item = &'a str> + Send) {
        for name in names {
            if let Err(error) = self.objects.delete(&name.into()).await
                && !matches!(error, object_store::Error::NotFound { .. })
            {
                tracing::warn!(
                    object = name,
                    "a sealed object without a key could not be removed"
                );
            }
        }
    }

    /// The keyed digest by which the same bytes of the same person are found again. Keyed, so that a copy of the index
    /// does not tell whether somebody's known picture is in it.
    async fn digest(&self, person: PersonId, file: &[u8]) -> Result<[u8; 32], Error> {
        let key = self.digest_key.get_or_try_init(|| self.load_digest_key()).await?;
        let mut mac = <Hmac<Sha256>>::new_from_slice(key.expose()).map_err(|_| Error::Seal)?;
        mac.update(person.as_bytes());
        mac.update(file);
        Ok(mac.finalize().into_bytes().into())
    }

    async fn load_digest_key(&self) -> Result<DataKey, Error> {
        let context = PhotoKeyContext {
            photo_id: [0; 16],
            person: [0; 16],
            profile: DIGEST_KEY.to_owned(),
            version: 1,
        };
        let mut session = self.vault.session().await?;
        let wrapped = if let Some(wrapped) = self.store.key(DIGEST_KEY).await? {
            wrapped
        } else {
            let (_, wrapped) = session.new_key(&context).await?;
            self.store.keep_key(DIGEST_KEY, wrapped.as_bytes()).await?
        };
        session.open_key(&context, &WrappedKey::from_bytes(wrapped)).await
    }

    fn receipt_for(&self, period: ReceiptPeriod) -> Result<Receipt, Error> {
        let number = ReceiptNumber::from_random(self.random()?);
        Ok(Receipt {
            number,
            expires_at: self.clock.now() + period.days() * SECONDS_PER_DAY,
        })
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
}

fn context(photo: PhotoId, person: PersonId, profile: Profile, version: u32) -> PhotoKeyContext {
    PhotoKeyContext {
        photo_id: *photo.as_bytes(),
        person: *person.as_bytes(),
        profile: profile.as_str().to_owned(),
        version,
    }
}

/// A photo's folder in the object store, in a tree of two levels of 256.
fn folder(photo: PhotoId) -> String {
    let name = photo.to_string();
    format!("{}/{}/{name}", &name[..2], &name[2..4])
}

fn token_digest(token: &ReleaseToken) -> [u8; 32] {
    Sha256::digest(token.expose()).into()
}
