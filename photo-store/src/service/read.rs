//! Reads of a picture, at once or by a release.
//!
//! Order: open case of the photo's owner -> record of the read, durable -> data key -> object -> answer.

use keyvault_protocol::WrappedKey;
use photo_store_protocol::{
    Actor, FailureCode, PersonId, PhotoState, Picture, Profile, Purpose, Read, ReadRecord, Release,
    ReleaseToken,
};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::keeping::seal;
use crate::keeping::store::photos::PhotoRow;
use crate::keeping::store::reads::{ReadEntry, ReleaseRow};
use crate::keeping::store::transaction::{Snapshot, Transaction};
use crate::keeping::vault::key_context;
use crate::service::{Service, known};

/// A release is valid for at most this many minutes.
const RELEASE_MINUTES_MAX: u32 = 60;
/// The most lines of the record of reads in one answer.
const READS_MAX: i64 = 1_000;

impl Service {
    /// Reads a rendition; on record first.
    pub async fn read(&self, read: Read) -> Result<Picture, Error> {
        let now = self.now();
        let row = on_record(self.store.begin().await?, &read, None, None, now).await?;
        self.picture(&row, read.profile).await
    }

    /// Allows another person a read for some minutes.
    pub async fn release(&self, release: &Release) -> Result<ReleaseToken, Error> {
        if release.minutes == 0 || release.minutes > RELEASE_MINUTES_MAX {
            return Err(Error::Refused(FailureCode::BadField));
        }
        let token = ReleaseToken::from_bytes(self.random()?);
        let now = self.now();
        let mut index = self.store.begin().await?;
        let row = known(index.photo(release.read.photo).await?)?;
        if let Some(code) = refusal(&mut index, &row, &release.read).await? {
            return Err(Error::Refused(code));
        }
        let kept = ReleaseRow {
            read: release.read.clone(),
            by: release.by.clone(),
            expires_at: now + i64::from(release.minutes) * 60,
        };
        index.add_release(&token_digest(&token), &kept, now).await?;
        index.commit().await?;
        Ok(token)
    }

    /// Redeems a release.
    pub async fn redeem(&self, token: &ReleaseToken, reader: &Actor) -> Result<Picture, Error> {
        let now = self.now();
        let mut index = self.store.begin().await?;
        let Some(release) = index.release(&token_digest(token)).await? else {
            return Err(Error::Refused(FailureCode::TokenInvalid));
        };
        let refused = if release.read.reader != *reader {
            Some(FailureCode::TokenInvalid)
        } else if now >= release.expires_at {
            Some(FailureCode::TokenExpired)
        } else {
            None
        };
        let tried = Read {
            reader: reader.clone(),
            ..release.read
        };
        let row = on_record(index, &tried, Some(release.by), refused, now).await?;
        self.picture(&row, tried.profile).await
    }

    /// Who read a person's photos.
    pub async fn reads(&self, person: PersonId) -> Result<Vec<ReadRecord>, Error> {
        self.store.read().await?.reads(person, READS_MAX).await
    }

    /// The picture of a read that is on record.
    async fn picture(&self, row: &PhotoRow, profile: Profile) -> Result<Picture, Error> {
        let kept = if profile == Profile::Ga461 {
            Profile::Ga461
        } else {
            Profile::Print
        };
        let jpeg = self.open(row, kept).await?;
        let rule = self.rules.profile(profile)?;
        if profile == kept {
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
        // Made by a decoder that read a stranger's bytes: decoded by one again.
        self.decoder.make(profile, jpeg, &self.rules).await
    }

    async fn open(&self, row: &PhotoRow, profile: Profile) -> Result<Zeroizing<Vec<u8>>, Error> {
        let photo = row.status.photo;
        let mut index = self.store.read().await?;
        let Some(rendition) = index.rendition(photo, profile).await? else {
            // Erased since the read was put on record.
            let row = index.photo(photo).await?;
            return Err(match row {
                Some(row) if row.status.state == PhotoState::Shredded => {
                    Error::Refused(FailureCode::Shredded)
                }
                _ => Error::IndexDamaged("renditions"),
            });
        };
        drop(index);
        let context = key_context(photo, row.person, profile, rendition.version);
        let mut session = self.vault.session().await?;
        let key = session
            .open_key(&context, &WrappedKey::from_bytes(rendition.wrapped_key))
            .await?;
        let object = self.objects.get(&rendition.object).await?;
        seal::open(&key, &context, object.as_ref())
    }
}

/// Decides a read and puts it on record, refused or not: from then on it counts, whether or not the bytes reach the reader.
/// `refused` is what was decided about its release.
async fn on_record(
    mut index: Transaction,
    read: &Read,
    released_by: Option<Actor>,
    refused: Option<FailureCode>,
    now: i64,
) -> Result<PhotoRow, Error> {
    let row = known(index.photo(read.photo).await?)?;
    let refused = match refused {
        Some(code) => Some(code),
        None => refusal(&mut index, &row, read).await?,
    };
    let record = ReadRecord {
        at: now,
        photo: read.photo,
        profile: read.profile,
        purpose: read.purpose,
        case: read.case.clone(),
        reader: read.reader.clone(),
        refused,
    };
    index
        .record_read(&ReadEntry {
            record,
            person: row.person,
            released_by,
        })
        .await?;
    index.commit().await?;
    match refused {
        Some(code) => Err(Error::Refused(code)),
        None => Ok(row),
    }
}

/// Why a photo may not be read for a case; `None` where it may.
async fn refusal(index: &mut Snapshot, row: &PhotoRow, read: &Read) -> Result<Option<FailureCode>, Error> {
    match row.status.state {
        PhotoState::Sealed | PhotoState::Superseded => {}
        // Who confirms its warnings sees it first.
        PhotoState::Waiting if read.purpose == Purpose::Review => {}
        PhotoState::Shredded => return Ok(Some(FailureCode::Shredded)),
        _ => return Ok(Some(FailureCode::NotConfirmed)),
    }
    // Another person's case and no case are told apart by nobody who has neither.
    let is_open_for_the_owner = index
        .case(&read.case)
        .await?
        .is_some_and(|case| case.is_open && case.person == row.person);
    Ok((!is_open_for_the_owner).then_some(FailureCode::CaseNotOpen))
}

fn token_digest(token: &ReleaseToken) -> [u8; 32] {
    Sha256::digest(token.expose()).into()
}
