//! From a file to a sealed photo with its receipt.
//!
//! Order: same bytes of the same person? -> checks -> announced in the index -> data keys from the vault -> sealed
//! objects -> completed in the index. Whatever breaks in between leaves a photo that nobody can see; the announced row is
//! taken back at once, or by [`Service::housekeep`] after a crash.

use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use keyvault_protocol::{DataKey, PhotoKeyContext, WrappedKey};
use photo_store_protocol::{
    Confirm, FailureCode, Judgement, PersonId, PhotoId, PhotoState, PhotoStatus, Profile, Receipt,
    ReceiptNumber, ReceiptPeriod, Submission, Submit, Verdict,
};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::keeping::objects;
use crate::keeping::seal;
use crate::keeping::store::{Announcement, PhotoRow, SealedRendition};
use crate::keeping::vault::key_context;
use crate::picture::judge::{Judged, judge};
use crate::picture::normalise::Rendition;
use crate::service::Service;

/// Renditions that are sealed; the others are made from `print` when they are read.
const KEPT: [Profile; 2] = [Profile::Ga461, Profile::Print];
/// How often a submission announces its photo, when others take the announcement back.
const ANNOUNCEMENTS: usize = 3;
const SECONDS_PER_DAY: i64 = 86_400;
/// Name of the key of the digests by which the same bytes are found again.
const DIGEST_KEY: &str = "digest-1";

impl Service {
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

        let now = self.now();
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
                    self.objects
                        .remove_unnamed(photo, &self.store.objects(photo).await?)
                        .await?;
                }
                let photo = self.known(photo).await?.status;
                Ok(Some(Submission::Held {
                    photo,
                    already_held: false,
                }))
            }
            Ok(false) => {
                // Another run completed the same bytes first; its objects count, ours were never named.
                self.objects
                    .remove(written.iter().map(|rendition| rendition.object.as_str()))
                    .await;
                Ok(self.store.photo(photo).await?.map(|row| Submission::Held {
                    photo: row.status,
                    already_held: true,
                }))
            }
            Err(error) => {
                self.objects
                    .remove(written.iter().map(|rendition| rendition.object.as_str()))
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
            .confirm(confirm.photo, &confirm.by, self.now(), &receipt)
            .await?
        {
            return Err(Error::Refused(FailureCode::NothingToConfirm));
        }
        Ok(self.known(confirm.photo).await?.status)
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
            None => Ok(self.now() >= receipt.expires_at),
            Some(case) => Ok(!matches!(self.store.case(case).await?, Some((_, true)))),
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
            expires_at: self.now() + period.days() * SECONDS_PER_DAY,
        })
    }
}
