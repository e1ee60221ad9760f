//! From a file to a sealed photo with its receipt.
//!
//! Order: same bytes of the same person? -> checks -> announced in the index -> data keys from the vault -> sealed
//! objects -> completed in the index. Whatever breaks in between leaves a photo that nobody can see; the announced row is
//! taken back at once, or by [`Service::housekeep`] after a crash.

use hmac::{Hmac, KeyInit as _, Mac as _};
use keyvault_protocol::{DataKey, PhotoKeyContext, WrappedKey};
use photo_store_protocol::{
    CameraFrame, Confirm, FailureCode, Judgement, MAX_CAMERA_FRAME_BYTES, PersonId, PhotoId, PhotoState,
    PhotoStatus, Picture, Receipt, ReceiptNumber, ReceiptPeriod, Submission, Submit, Verdict,
};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::keeping::objects;
use crate::keeping::seal;
use crate::keeping::store::photos::{Announcement, PhotoRow, SealedRendition};
use crate::keeping::store::transaction::{Snapshot, Transaction};
use crate::keeping::vault::key_context;
use crate::service::{Service, known};

/// How often a submission announces its photo, when others take the announcement back.
const ANNOUNCEMENTS: usize = 3;
const SECONDS_PER_DAY: i64 = 86_400;
/// Name of the key of the digests by which the same bytes are found again.
const DIGEST_KEY: &str = "digest-1";

/// What stands in the index for the same bytes of the same person.
enum Standing {
    /// Nothing, or what no longer counts.
    Nothing,
    /// A photo that is announced and not completed: by a run that broke off, or by another counter just now.
    Announced(Box<PhotoRow>),
    /// A photo that counts.
    Held(Box<PhotoStatus>),
    /// A photo whose receipt opens nothing any more: expired unused, or used for a case that is closed.
    Spent(PhotoId),
}

/// How the last step of a submission ended.
enum Completion {
    /// This run completed the photo.
    Done(Box<PhotoStatus>),
    /// Another run completed it first; nothing was changed.
    ByAnother(Box<PhotoStatus>),
    /// The announcement that this run had adopted was taken back by the one that made it.
    TakenBack,
}

impl Service {
    /// Judges, normalises and seals a photo.
    pub async fn submit(&self, mut submit: Submit) -> Result<Submission, Error> {
        let file = Zeroizing::new(std::mem::take(&mut submit.file));
        let digest = self.digest(submit.person, &file).await?;
        let now = self.now();
        let mut index = self.store.read().await?;
        if let Standing::Held(photo) = standing(&mut index, submit.person, &digest, now).await? {
            return Ok(held(*photo, true));
        }
        drop(index);

        let place = self.decoding.acquire().await.map_err(|_| Error::Decoder)?;
        let (judgement, renditions) = self.decoder.judge(file, &self.rules).await?;
        drop(place);
        if judgement.verdict == Verdict::Refuse {
            return Ok(Submission::Refused(judgement));
        }

        let new = Announcement {
            photo: PhotoId::from_bytes(self.random()?),
            person: submit.person,
            digest,
            by: submit.by.clone(),
            at: now,
            period: submit.period,
        };
        for _ in 0..ANNOUNCEMENTS {
            if let Some(submission) = self.announce_and_seal(&new, &judgement, &renditions).await? {
                return Ok(submission);
            }
        }
        Err(Error::Index(Box::new(sqlx::Error::RowNotFound)))
    }

    /// What the checks say of what a camera sees. Nothing is kept; nothing is said while a photo is judged.
    pub async fn judge_frame(&self, mut seen: CameraFrame) -> Result<Option<Judgement>, Error> {
        let file = Zeroizing::new(std::mem::take(&mut seen.file));
        if file.len() > MAX_CAMERA_FRAME_BYTES {
            return Err(Error::Refused(FailureCode::TooLarge));
        }
        let Ok(_place) = self.decoding.try_acquire() else {
            return Ok(None);
        };
        self.decoder.hint(file).await.map(Some)
    }

    /// Announces, seals and completes a photo. `None` when it had adopted the announcement of another run, which broke
    /// off and took it back meanwhile: nothing is kept then, and the next attempt announces anew.
    async fn announce_and_seal(
        &self,
        new: &Announcement,
        judgement: &Judgement,
        renditions: &[Picture],
    ) -> Result<Option<Submission>, Error> {
        let row = match self.announce(new).await? {
            Standing::Held(photo) => return Ok(Some(held(*photo, true))),
            Standing::Announced(row) => row,
            Standing::Nothing | Standing::Spent(_) => return Err(Error::IndexDamaged("photos")),
        };
        let photo = row.status.photo;
        let mut written = Vec::new();
        let completed = async {
            self.seal_all(photo, new.person, renditions, &mut written).await?;
            let receipt = (judgement.verdict == Verdict::Accept)
                .then(|| self.receipt_for(row.period))
                .transpose()?;
            self.complete(photo, judgement, &written, receipt.as_ref()).await
        }
        .await;
        let objects = || written.iter().map(|rendition| rendition.object.as_str());
        match completed {
            Ok(Completion::Done(status)) => {
                if photo != new.photo {
                    // An earlier run broke off after it had announced the photo; its objects have no keys.
                    let named = self.store.read().await?.objects(photo).await?;
                    self.objects.remove_unnamed(photo, &named).await?;
                }
                Ok(Some(held(*status, false)))
            }
            Ok(Completion::ByAnother(status)) => {
                // Its objects count, ours were never named.
                self.objects.remove(objects()).await;
                Ok(Some(held(*status, true)))
            }
            Ok(Completion::TakenBack) => {
                self.objects.remove(objects()).await;
                Ok(None)
            }
            Err(error) => {
                // A commit whose answer was lost may have happened: what the index names stays.
                match self.named(photo).await {
                    Ok(named) => {
                        let unnamed = objects().filter(|object| !named.iter().any(|kept| kept == object));
                        self.objects.remove(unnamed).await;
                    }
                    Err(error) => tracing::warn!(%error, %photo, "sealed objects without keys are left"),
                }
                // Only the run that announced it takes it back; where even that fails, housekeeping does.
                if photo == new.photo
                    && let Err(error) = self.withdraw(photo).await
                {
                    tracing::warn!(%error, %photo, "an announced photo could not be withdrawn; housekeeping will");
                }
                Err(error)
            }
        }
    }

    /// Announces a photo before its objects are written, unless these bytes are announced or held already.
    async fn announce(&self, new: &Announcement) -> Result<Standing, Error> {
        let mut index = self.store.begin().await?;
        match standing(&mut index, new.person, &new.digest, new.at).await? {
            Standing::Nothing => {}
            // Only now, after the judgement: a photo that today's rules refuse leaves the old one as it is.
            Standing::Spent(old) => index.set_state(old, PhotoState::Superseded).await?,
            standing => return Ok(standing),
        }
        index.announce(new).await?;
        let standing = standing(&mut index, new.person, &new.digest, new.at).await?;
        index.commit().await?;
        Ok(standing)
    }

    /// Completes an announced photo: judgement, renditions with their keys, and either the receipt (`SEALED`) or none
    /// (`WAITING`).
    async fn complete(
        &self,
        photo: PhotoId,
        judgement: &Judgement,
        renditions: &[SealedRendition],
        receipt: Option<&Receipt>,
    ) -> Result<Completion, Error> {
        let mut index = self.store.begin().await?;
        let Some(row) = index.photo(photo).await? else {
            return Ok(Completion::TakenBack);
        };
        if row.status.state != PhotoState::Received {
            return Ok(Completion::ByAnother(Box::new(row.status)));
        }
        index.set_judgement(photo, judgement).await?;
        for rendition in renditions {
            index.add_rendition(photo, rendition).await?;
        }
        match receipt {
            Some(receipt) => give_receipt(&mut index, photo, row.person, receipt).await?,
            None => index.set_state(photo, PhotoState::Waiting).await?,
        }
        let row = known(index.photo(photo).await?)?;
        index.commit().await?;
        Ok(Completion::Done(Box::new(row.status)))
    }

    /// Records that a named person looked at every warning, and gives the receipt.
    pub async fn confirm(&self, confirm: &Confirm) -> Result<PhotoStatus, Error> {
        let now = self.now();
        let mut index = self.store.begin().await?;
        let row = known(index.photo(confirm.photo).await?)?;
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
        let receipt = self.receipt_from(now, row.period)?;
        index.set_confirmed(confirm.photo, &confirm.by, now).await?;
        give_receipt(&mut index, confirm.photo, row.person, &receipt).await?;
        let row = known(index.photo(confirm.photo).await?)?;
        index.commit().await?;
        Ok(row.status)
    }

    async fn named(&self, photo: PhotoId) -> Result<Vec<String>, Error> {
        self.store.read().await?.objects(photo).await
    }

    /// Seals each rendition under a key of its own. What was written stands in `written`, also when a later one fails.
    async fn seal_all(
        &self,
        photo: PhotoId,
        person: PersonId,
        renditions: &[Picture],
        written: &mut Vec<SealedRendition>,
    ) -> Result<(), Error> {
        let mut session = self.vault.session().await?;
        for rendition in renditions {
            let context = key_context(photo, person, rendition.profile, rendition.version);
            let (key, wrapped) = session.new_key(&context).await?;
            let sealed = seal::seal(&key, self.random()?, &context, &rendition.jpeg)?;
            let object = objects::name(photo, rendition.profile, u64::from_be_bytes(self.random()?));
            written.push(SealedRendition {
                profile: rendition.profile,
                version: rendition.version,
                object: object.clone(),
                wrapped_key: wrapped.as_bytes().to_vec(),
            });
            self.objects.put(&object, sealed).await?;
        }
        Ok(())
    }

    /// The keyed digest by which the same bytes of the same person are found again. Keyed, so that a copy of the index
    /// does not tell whether somebody's known picture is in it.
    async fn digest(&self, person: PersonId, file: &[u8]) -> Result<[u8; 32], Error> {
        let key = self.digest_key().await?;
        let mut mac = <Hmac<Sha256>>::new_from_slice(key.expose()).map_err(|_| Error::Seal)?;
        mac.update(person.as_bytes());
        mac.update(file);
        Ok(mac.finalize().into_bytes().into())
    }

    /// The key of the digests by which the same bytes are found again.
    pub(super) async fn digest_key(&self) -> Result<&DataKey, Error> {
        self.digest_key.get_or_try_init(|| self.load_digest_key()).await
    }

    async fn load_digest_key(&self) -> Result<DataKey, Error> {
        let context = PhotoKeyContext {
            photo_id: [0; 16],
            person: [0; 16],
            profile: DIGEST_KEY.to_owned(),
            version: 1,
        };
        let mut session = self.vault.session().await?;
        let kept = self.store.read().await?.key(DIGEST_KEY).await?;
        let wrapped = if let Some(wrapped) = kept {
            wrapped
        } else {
            let (_, fresh) = session.new_key(&context).await?;
            self.keep_key(DIGEST_KEY, fresh.as_bytes()).await?
        };
        session.open_key(&context, &WrappedKey::from_bytes(wrapped)).await
    }

    /// Keeps a key of the store unless there is one by now, and answers the one that counts.
    async fn keep_key(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, Error> {
        let mut index = self.store.begin().await?;
        if let Some(kept) = index.key(name).await? {
            return Ok(kept);
        }
        index.add_key(name, fresh).await?;
        index.commit().await?;
        Ok(fresh.to_vec())
    }

    fn receipt_for(&self, period: ReceiptPeriod) -> Result<Receipt, Error> {
        self.receipt_from(self.now(), period)
    }

    fn receipt_from(&self, now: i64, period: ReceiptPeriod) -> Result<Receipt, Error> {
        let number = ReceiptNumber::from_random(self.random()?);
        Ok(Receipt {
            number,
            expires_at: now + period.days() * SECONDS_PER_DAY,
        })
    }
}

fn held(photo: PhotoStatus, already_held: bool) -> Submission {
    Submission::Held { photo, already_held }
}

async fn standing(
    index: &mut Snapshot,
    person: PersonId,
    digest: &[u8; 32],
    now: i64,
) -> Result<Standing, Error> {
    let Some(row) = index.same_bytes(person, digest).await? else {
        return Ok(Standing::Nothing);
    };
    if row.status.state == PhotoState::Received {
        return Ok(Standing::Announced(Box::new(row)));
    }
    let spent = match &row.status.receipt {
        None => false,
        Some(receipt) => {
            let receipt = index
                .receipt(receipt.number)
                .await?
                .ok_or(Error::IndexDamaged("receipts"))?;
            match &receipt.used {
                None => now >= receipt.expires_at,
                Some(used) => !index.serves(used).await?,
            }
        }
    };
    Ok(if spent {
        Standing::Spent(row.status.photo)
    } else {
        Standing::Held(Box::new(row.status))
    })
}

/// Seals a photo with its receipt. It supersedes the person's earlier one.
async fn give_receipt(
    index: &mut Transaction,
    photo: PhotoId,
    person: PersonId,
    receipt: &Receipt,
) -> Result<(), Error> {
    for earlier in index.sealed(person).await? {
        index.set_state(earlier, PhotoState::Superseded).await?;
    }
    index.set_state(photo, PhotoState::Sealed).await?;
    index.add_receipt(photo, receipt).await
}
