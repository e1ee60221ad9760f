//! Sealing a secret to a P-256 key: ephemeral ECDH, HKDF-SHA-256 (RFC 5869), AES-256-GCM (SP 800-38D).
//!
//! `01 || suite 01 || ephemeral point 65 || ciphertext || tag 16`. Key and nonce come from HKDF with salt
//! `SHA-256(ephemeral || receiver)` and info `"YZT-SEAL-1" || purpose`; each ephemeral key is used once, so the nonce
//! never repeats. The context is authenticated, not sent. Left out: authentication of the sender, which the stream or
//! a signature inside gives, and the sealed box of
//! bundles and lot files, which the card specification defines.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use p256::elliptic_curve::Generate;
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::{PublicKey, SecretKey};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::wire::PointBytes;

/// Version byte of the format.
const VERSION: u8 = 1;
/// Suite 1: P-256, SHA-256, AES-256-GCM.
const SUITE: u8 = 1;
/// Bytes before the ciphertext.
const HEAD: usize = 2 + 65;
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
    let public = PublicKey::from_sec1_bytes(receiver).map_err(|_| Error::NotOpened)?;
    let ephemeral = fresh_key(rng);
    let point = point_of(&ephemeral.public_key());
    let keys = derive(&ephemeral, &public, &point, receiver, purpose)?;
    let sealed = cipher(&keys)?
        .encrypt(
            &nonce(&keys)?,
            Payload {
                msg: plaintext,
                aad: context,
            },
        )
        .map_err(|_| Error::NotOpened)?;
    let mut out = Vec::with_capacity(HEAD + sealed.len());
    out.extend_from_slice(&[VERSION, SUITE]);
    out.extend_from_slice(&point);
    out.extend_from_slice(&sealed);
    Ok(out)
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
    let (head, body) = sealed.split_at_checked(HEAD).ok_or(Error::NotOpened)?;
    let [VERSION, SUITE, point @ ..] = head else {
        return Err(Error::NotOpened);
    };
    let point: &PointBytes = point.try_into().map_err(|_| Error::NotOpened)?;
    let public = PublicKey::from_sec1_bytes(point).map_err(|_| Error::NotOpened)?;
    let own = point_of(&receiver.public_key());
    let keys = derive(receiver, &public, point, &own, purpose)?;
    cipher(&keys)?
        .decrypt(
            &nonce(&keys)?,
            Payload {
                msg: body,
                aad: context,
            },
        )
        .map(Zeroizing::new)
        .map_err(|_| Error::NotOpened)
}

fn derive(
    secret: &SecretKey,
    public: &PublicKey,
    ephemeral: &PointBytes,
    receiver: &PointBytes,
    purpose: Purpose,
) -> Result<Zeroizing<[u8; 44]>, Error> {
    let shared = secret.diffie_hellman(public);
    let salt = Sha256::new()
        .chain_update(ephemeral)
        .chain_update(receiver)
        .finalize();
    let mut keys = Zeroizing::new([0u8; 44]);
    Hkdf::<Sha256>::new(Some(&salt), shared.raw_secret_bytes())
        .expand_multi_info(&[b"YZT-SEAL-1", purpose.label()], &mut *keys)
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
