//! Keys of photos: a data key per photo, profile and version, wrapped by the photo key-encryption key with the context
//! as associated data. The vault never sees a photo.

use jiff::Timestamp;
use keyvault_protocol::{Counted, PhotoKeyContext, WrappedKey};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::audit::journal::Event;
use crate::error::Error;
use crate::open::transaction::{Core, Open, Transaction};
use crate::store::sealing;

/// Longest name of a profile in bytes.
const MAX_PROFILE: usize = 32;

/// Makes a data key and its wrapping. The journal has the entry before the key leaves.
pub(crate) async fn new_key(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    context: &PhotoKeyContext,
) -> Result<(Zeroizing<[u8; 32]>, WrappedKey), Error> {
    let associated = associated_data(core, context)?;
    let mut key = Zeroizing::new([0u8; 32]);
    fill(&mut core.rng, &mut key);
    let wrapped = sealing::seal_under(
        open.keys.photo_kek()?.expose(),
        open.ring.nonce.expose(),
        &associated,
        &*key,
        &mut core.rng,
    )?;
    let mut transaction = Transaction::default();
    transaction.spend(Counted::NewPhotoKeys, 1);
    transaction.note(Event::PhotoKeyMade {
        photo: context.photo_id,
        profile: context.profile.clone(),
    });
    open.apply(core, now, transaction).await?;
    Ok((key, WrappedKey::from_bytes(wrapped)))
}

/// Unwraps a data key under the context that it was made for.
pub(crate) async fn open_key(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    context: &PhotoKeyContext,
    wrapped: &WrappedKey,
) -> Result<Zeroizing<[u8; 32]>, Error> {
    let associated = associated_data(core, context)?;
    let plain = sealing::open_under(open.keys.photo_kek()?.expose(), &associated, wrapped.as_bytes())
        .map_err(|_| Error::NotWrappedHere)?;
    let mut key = Zeroizing::new([0u8; 32]);
    if plain.len() != key.len() {
        return Err(Error::NotWrappedHere);
    }
    key.copy_from_slice(&plain);
    let mut transaction = Transaction::default();
    transaction.spend(Counted::OpenedPhotoKeys, 1);
    transaction.note(Event::PhotoKeyOpened {
        photo: context.photo_id,
        profile: context.profile.clone(),
    });
    open.apply(core, now, transaction).await?;
    Ok(key)
}

fn fill(rng: &mut (impl CryptoRng + ?Sized), key: &mut [u8; 32]) {
    rng.fill_bytes(key);
}

/// The instance is left out: a photo's wrapping must open after a restore too.
fn associated_data(core: &Core, context: &PhotoKeyContext) -> Result<Vec<u8>, Error> {
    let profile = context.profile.as_bytes();
    let plain = profile
        .iter()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-');
    if profile.is_empty() || profile.len() > MAX_PROFILE || !plain {
        return Err(Error::BadContent {
            what: "a profile is named by 1 to 32 lower-case letters, digits and `-`",
        });
    }
    let mut out = b"YZT-PHOTO-KEY-1".to_vec();
    for field in [
        &core.header.vault[..],
        &context.photo_id,
        &context.person,
        profile,
        &context.version.to_be_bytes(),
    ] {
        out.extend_from_slice(&(field.len() as u64).to_be_bytes());
        out.extend_from_slice(field);
    }
    Ok(out)
}
