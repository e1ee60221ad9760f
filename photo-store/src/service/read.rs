//! Reads of a picture, at once or by a release.
//!
//! Order: open case of the photo's owner -> record of the read, durable -> data key -> object -> answer.

use std::sync::Arc;

use keyvault_protocol::WrappedKey;
use photo_store_protocol::{
    Actor, FailureCode, PersonId, PhotoState, Picture, Profile, Read, ReadRecord, Release, ReleaseToken,
};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::keeping::seal;
use crate::keeping::store::{PhotoRow, ReadEntry, ReleaseRow};
use crate::keeping::vault::key_context;
use crate::picture::{ingest, normalise};
use crate::service::Service;

/// A release is valid for at most this many minutes.
const RELEASE_MINUTES_MAX: u32 = 60;
/// The most lines of the record of reads in one answer.
const READS_MAX: i64 = 1_000;

impl Service {
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
        let now = self.now();
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
        } else if self.now() >= release.expires_at {
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
            at: self.now(),
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

    async fn open(&self, row: &PhotoRow, profile: Profile) -> Result<Zeroizing<Vec<u8>>, Error> {
        let photo = row.status.photo;
        let Some(rendition) = self.store.rendition(photo, profile).await? else {
            return Err(Error::IndexDamaged("renditions"));
        };
        let context = key_context(photo, row.person, profile, rendition.version);
        let mut session = self.vault.session().await?;
        let key = session
            .open_key(&context, &WrappedKey::from_bytes(rendition.wrapped_key))
            .await?;
        let object = self.objects.get(&rendition.object).await?;
        seal::open(&key, &context, object.as_ref())
    }
}

fn token_digest(token: &ReleaseToken) -> [u8; 32] {
    Sha256::digest(token.expose()).into()
}
