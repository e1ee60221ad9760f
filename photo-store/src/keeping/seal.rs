//! Sealing of one rendition: AES-256-GCM (NIST SP 800-38D) under a data key of its own.
//!
//! A sealed object is a version byte (1), a nonce of 12 bytes, and the cipher text with its tag of 16 bytes. The
//! associated data binds photo, person, profile and version, each of fixed length or with a length before it, so that an
//! object moved to another photo does not open. A data key seals one object once, so its nonce cannot repeat.

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use keyvault_protocol::{DataKey, PhotoKeyContext};
use zeroize::Zeroizing;

use crate::error::Error;

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 12;
const LABEL: &[u8] = b"yzt.photo/1";

/// Seals a rendition's bytes.
///
/// # Errors
/// [`Error::Seal`] when the cipher refuses, which it does only for sizes that no photo has.
pub(crate) fn seal(
    key: &DataKey,
    nonce: [u8; NONCE_BYTES],
    context: &PhotoKeyContext,
    bytes: &[u8],
) -> Result<Vec<u8>, Error> {
    let payload = Payload {
        msg: bytes,
        aad: &associated_data(context),
    };
    let sealed = cipher(key)?
        .encrypt(&Nonce::from(nonce), payload)
        .map_err(|_| Error::Seal)?;
    Ok([&[VERSION], nonce.as_slice(), &sealed].concat())
}

/// Opens a sealed object.
///
/// # Errors
/// [`Error::Seal`] for a damaged object, another photo's, or another version: the cause is not told apart.
pub(crate) fn open(
    key: &DataKey,
    context: &PhotoKeyContext,
    object: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let (&VERSION, rest) = object.split_first().ok_or(Error::Seal)? else {
        return Err(Error::Seal);
    };
    let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(Error::Seal)?;
    let payload = Payload {
        msg: sealed,
        aad: &associated_data(context),
    };
    cipher(key)?
        .decrypt(&Nonce::from(*nonce), payload)
        .map(Zeroizing::new)
        .map_err(|_| Error::Seal)
}

fn cipher(key: &DataKey) -> Result<Aes256Gcm, Error> {
    Aes256Gcm::new_from_slice(key.expose()).map_err(|_| Error::Seal)
}

fn associated_data(context: &PhotoKeyContext) -> Vec<u8> {
    let profile = context.profile.as_bytes();
    let length = u8::try_from(profile.len()).unwrap_or(u8::MAX);
    [
        LABEL,
        &context.photo_id,
        &context.person,
        &[length],
        profile,
        &context.version.to_be_bytes(),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> PhotoKeyContext {
        PhotoKeyContext {
            photo_id: [1; 16],
            person: [2; 16],
            profile: "ga461".to_owned(),
            version: 1,
        }
    }

    #[test]
    fn an_object_opens_only_for_its_own_photo_person_profile_and_version() {
        let key = DataKey::new([7; 32]);
        let object = seal(&key, [9; 12], &context(), b"picture").unwrap();
        assert_eq!(open(&key, &context(), &object).unwrap().as_slice(), b"picture");
        let others = [
            PhotoKeyContext {
                photo_id: [3; 16],
                ..context()
            },
            PhotoKeyContext {
                person: [3; 16],
                ..context()
            },
            PhotoKeyContext {
                profile: "print".to_owned(),
                ..context()
            },
            PhotoKeyContext {
                version: 2,
                ..context()
            },
        ];
        for other in others {
            assert!(matches!(open(&key, &other, &object), Err(Error::Seal)));
        }
    }

    #[test]
    fn any_single_bit_flipped_in_an_object_is_found() {
        let key = DataKey::new([7; 32]);
        let object = seal(&key, [9; 12], &context(), b"picture").unwrap();
        for bit in 0..object.len() * 8 {
            let mut damaged = object.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&key, &context(), &damaged).is_err(), "bit {bit}");
        }
        assert!(open(&key, &context(), &[]).is_err());
        assert!(open(&key, &context(), &object[..12]).is_err());
    }
}
