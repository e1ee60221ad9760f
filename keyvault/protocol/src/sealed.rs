//! Sealing a secret to a P-256 key: ephemeral ECDH, HKDF-SHA-256 (RFC 5869), AES-256-GCM (SP 800-38D).
//!
//! `02 || suite 01 || ephemeral point 65 || salt 16 || ciphertext || tag 16`. What the two keys have in common is extracted by HKDF with
//! salt `SHA-256(ephemeral || receiver)`; key and nonce of a value are expanded from it with info `"YZT-SEAL-2" || salt || purpose`.
//! The ephemeral key serves a connection or one value; the salt is drawn for each value, so no key meets two. The context is
//! authenticated, not sent. Left out: authentication of the sender, which the stream or a signature inside gives, and the sealed
//! box of bundles and lot files, which the card specification defines.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use p256::elliptic_curve::Generate;
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::{PublicKey, SecretKey};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

use crate::error::Error;
use crate::wire::PointBytes;

/// Version byte of the format.
const VERSION: u8 = 2;
/// Suite 1: P-256, SHA-256, AES-256-GCM.
const SUITE: u8 = 1;
/// Bytes of the salt.
const SALT: usize = 16;
/// Bytes before the ciphertext.
const HEAD: usize = 2 + 65 + SALT;
/// Bytes that sealing adds.
pub const OVERHEAD: usize = HEAD + 16;

/// What a sealed value is for: a value for one purpose does not open for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// A custodian's share, to the vault.
    Share,
    /// A data key of a photo, to the photo store.
    PhotoKey,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Share => b"share",
            Self::PhotoKey => b"photo key",
        }
    }
}

/// The uncompressed point of a key.
#[must_use]
pub fn point_of(key: &PublicKey) -> PointBytes {
    let mut out = [0u8; 65];
    out.copy_from_slice(key.to_sec1_point(false).as_bytes());
    out
}

/// A fresh P-256 key.
#[must_use]
pub fn fresh_key(rng: &mut impl CryptoRng) -> SecretKey {
    SecretKey::generate_from_rng(rng)
}

/// What a sender's ephemeral key and a receiver's key have in common.
pub type Common = Zeroizing<[u8; 32]>;

/// The sender's part: an ephemeral key for this receiver, of which the public half is left, and what it has in common with the receiver's.
///
/// # Errors
/// [`Error::NotOpened`] when `receiver` is no point of P-256.
pub fn agree(receiver: &PointBytes, rng: &mut impl CryptoRng) -> Result<(PointBytes, Common), Error> {
    let public = PublicKey::from_sec1_bytes(receiver).map_err(|_| Error::NotOpened)?;
    let ephemeral = fresh_key(rng);
    let point = point_of(&ephemeral.public_key());
    Ok((point, common(&ephemeral, &public, &point, receiver)))
}

/// The receiver's part: what its key has in common with the sender's ephemeral one.
///
/// # Errors
/// [`Error::NotOpened`] when `ephemeral` is no point of P-256.
pub fn agreed(receiver: &SecretKey, ephemeral: &PointBytes) -> Result<Common, Error> {
    let public = PublicKey::from_sec1_bytes(ephemeral).map_err(|_| Error::NotOpened)?;
    let own = point_of(&receiver.public_key());
    Ok(common(receiver, &public, ephemeral, &own))
}

/// Seals `plaintext` to `receiver` for one purpose and context.
///
/// # Errors
/// [`Error::NotOpened`] when `receiver` is no point of P-256.
pub fn seal(
    receiver: &PointBytes,
    purpose: Purpose,
    context: &[u8],
    plaintext: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, Error> {
    let (ephemeral, common) = agree(receiver, rng)?;
    seal_under((&ephemeral, &common), purpose, context, plaintext, rng)
}

/// Seals by an ephemeral key and what it has in common with the receiver's ([`agree`]).
///
/// # Errors
/// [`Error::NotOpened`], for a value that AES-GCM cannot take.
pub fn seal_under(
    (ephemeral, common): (&PointBytes, &[u8; 32]),
    purpose: Purpose,
    context: &[u8],
    plaintext: &[u8],
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, Error> {
    let mut salt = [0; SALT];
    rng.fill_bytes(&mut salt);
    let keys = derive(common, &salt, purpose)?;
    let payload = Payload {
        msg: plaintext,
        aad: context,
    };
    let sealed = cipher(&keys)?
        .encrypt(&nonce(&keys)?, payload)
        .map_err(|_| Error::NotOpened)?;
    Ok([&[VERSION, SUITE][..], ephemeral, &salt, &sealed].concat())
}

/// Opens what [`seal`] made, for the same purpose and context.
///
/// # Errors
/// [`Error::NotOpened`], one opaque outcome for every cause.
pub fn open(
    receiver: &SecretKey,
    purpose: Purpose,
    context: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let common = agreed(receiver, ephemeral(sealed)?)?;
    open_under(&common, purpose, context, sealed)
}

/// The ephemeral key of a sealed value.
///
/// # Errors
/// [`Error::NotOpened`] when it has another form.
pub fn ephemeral(sealed: &[u8]) -> Result<&PointBytes, Error> {
    match sealed {
        [VERSION, SUITE, rest @ ..] => rest.first_chunk().ok_or(Error::NotOpened),
        _ => Err(Error::NotOpened),
    }
}

/// Opens by what the two keys have in common ([`agreed`]).
///
/// # Errors
/// As [`open`].
pub fn open_under(
    common: &[u8; 32],
    purpose: Purpose,
    context: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let (head, body) = sealed.split_at_checked(HEAD).ok_or(Error::NotOpened)?;
    let salt = head.last_chunk().ok_or(Error::NotOpened)?;
    let keys = derive(common, salt, purpose)?;
    let payload = Payload {
        msg: body,
        aad: context,
    };
    cipher(&keys)?
        .decrypt(&nonce(&keys)?, payload)
        .map(Zeroizing::new)
        .map_err(|_| Error::NotOpened)
}

fn common(secret: &SecretKey, public: &PublicKey, ephemeral: &PointBytes, receiver: &PointBytes) -> Common {
    let salt = Sha256::new()
        .chain_update(ephemeral)
        .chain_update(receiver)
        .finalize();
    let shared = secret.diffie_hellman(public);
    let (mut extracted, _) = Hkdf::<Sha256>::extract(Some(&salt), shared.raw_secret_bytes());
    let common = Zeroizing::new(extracted.into());
    extracted.zeroize();
    common
}

fn derive(common: &[u8; 32], salt: &[u8; SALT], purpose: Purpose) -> Result<Zeroizing<[u8; 44]>, Error> {
    let mut keys = Zeroizing::new([0u8; 44]);
    Hkdf::<Sha256>::from_prk(common)
        .map_err(|_| Error::NotOpened)?
        .expand_multi_info(&[b"YZT-SEAL-2", salt, purpose.label()], &mut *keys)
        .map_err(|_| Error::NotOpened)?;
    Ok(keys)
}

fn cipher(keys: &[u8; 44]) -> Result<Aes256Gcm, Error> {
    Aes256Gcm::new_from_slice(&keys[..32]).map_err(|_| Error::NotOpened)
}

fn nonce(keys: &[u8; 44]) -> Result<Nonce<aes_gcm::aead::consts::U12>, Error> {
    Nonce::try_from(&keys[32..]).map_err(|_| Error::NotOpened)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_sealed_value_opens_only_with_its_key_purpose_and_context() {
        let mut rng = StdRng::seed_from_u64(1);
        let key = fresh_key(&mut rng);
        let point = point_of(&key.public_key());
        let sealed = seal(&point, Purpose::Share, b"vault 1", b"secret", &mut rng).unwrap();
        assert_eq!(sealed.len(), 6 + OVERHEAD);
        assert_eq!(
            *open(&key, Purpose::Share, b"vault 1", &sealed).unwrap(),
            b"secret"
        );
        assert!(open(&key, Purpose::PhotoKey, b"vault 1", &sealed).is_err());
        assert!(open(&key, Purpose::Share, b"vault 2", &sealed).is_err());
        assert!(open(&fresh_key(&mut rng), Purpose::Share, b"vault 1", &sealed).is_err());
        let (ephemeral, common) = agree(&point, &mut rng).unwrap();
        let [first, second] = [(); 2].map(|()| {
            let by = (&ephemeral, &*common);
            seal_under(by, Purpose::PhotoKey, b"", b"secret", &mut rng).unwrap()
        });
        assert_ne!(first[HEAD..], second[HEAD..], "one key met two values");
        for value in [first, second] {
            assert_eq!(*open(&key, Purpose::PhotoKey, b"", &value).unwrap(), b"secret");
        }
        for position in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[position] ^= 1;
            assert!(
                open(&key, Purpose::Share, b"vault 1", &changed).is_err(),
                "byte {position}"
            );
        }
        for length in 0..sealed.len() {
            assert!(open(&key, Purpose::Share, b"vault 1", &sealed[..length]).is_err());
        }
    }
}
