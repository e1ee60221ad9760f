//! Sealing of single values: every secret column is encrypted alone, with its place as associated data.
//!
//! `version 01 || suite 01 || nonce 24 || XAES-256-GCM ciphertext || tag 16`. The associated data names vault,
//! instance, table, row id, row version and term, so a value put back into another row, an older version of the row, or
//! another vault does not open. The nonce is `HMAC-SHA-256(nonce key, fresh random || place || SHA-256(plaintext))`: it
//! stays distinct when the random source fails, and when a machine is copied with its random state.

use hmac::{Hmac, Mac};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use xaes_256_gcm::Xaes256Gcm;
use xaes_256_gcm::aead::{Aead, KeyInit, Payload};
use zeroize::Zeroizing;

use crate::error::Error;

/// Version of the format of sealed values.
const VERSION: u8 = 1;
/// Suite 1: AES-256, SHA-256, P-256. Suite 2 is kept for SM4, SM3, SM2.
pub(crate) const SUITE: u8 = 1;
/// Length of a nonce in bytes. So many random ones have no practical limit: a restored or cloned store cannot run into one
/// (claim K7).
pub(crate) const NONCE_LEN: usize = 24;
/// Bytes before the ciphertext.
const HEAD: usize = 2 + NONCE_LEN;

/// Where a value stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// Number of the vault.
    pub(crate) vault: &'a [u8; 16],
    /// Number of the instance: a restored copy gets another.
    pub(crate) instance: &'a [u8; 16],
    /// Table.
    pub(crate) table: &'a str,
    /// Row.
    pub(crate) id: &'a [u8],
    /// Version of the row, from 1.
    pub(crate) row_version: i64,
    /// Barrier term of the key; 0 for values under the root key or above it.
    pub(crate) term: i64,
}

impl Place<'_> {
    fn associated_data(&self) -> Vec<u8> {
        let mut out = b"YZT-ROW-1".to_vec();
        for field in [
            &[VERSION, SUITE][..],
            self.vault,
            self.instance,
            self.table.as_bytes(),
            self.id,
            &self.row_version.to_be_bytes(),
            &self.term.to_be_bytes(),
        ] {
            out.extend_from_slice(&(field.len() as u64).to_be_bytes());
            out.extend_from_slice(field);
        }
        out
    }
}

/// Seals `plaintext` for its place.
pub(crate) fn seal(
    key: &[u8; 32],
    nonce_key: &[u8; 32],
    place: &Place<'_>,
    plaintext: &[u8],
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Vec<u8>, Error> {
    seal_under(key, nonce_key, &place.associated_data(), plaintext, rng)
}

/// Opens what [`seal`] made for the same place.
pub(crate) fn open(key: &[u8; 32], place: &Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    open_under(key, &place.associated_data(), sealed)
}

/// As [`seal`], for a value that has no row (a wrapped key that somebody else stores).
pub(crate) fn seal_under(
    key: &[u8; 32],
    nonce_key: &[u8; 32],
    associated: &[u8],
    plaintext: &[u8],
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Vec<u8>, Error> {
    let nonce = hedged_nonce(nonce_key, associated, plaintext, rng)?;
    let ciphertext = encrypt(key, &nonce, associated, plaintext)?;
    let mut out = Vec::with_capacity(HEAD + ciphertext.len());
    out.extend_from_slice(&[VERSION, SUITE]);
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&ciphertext);
    Ok(out)
}

/// Opens what [`seal_under`] made.
pub(crate) fn open_under(
    key: &[u8; 32],
    associated: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let damaged = Error::Damaged {
        what: "a sealed value does not open",
    };
    let Some(([VERSION, SUITE, nonce @ ..], ciphertext)) = sealed.split_first_chunk::<HEAD>() else {
        return Err(damaged);
    };
    decrypt(key, nonce, associated, ciphertext).ok_or(damaged)
}

/// XAES-256-GCM (C2SP xaes-256-gcm): ciphertext, then 16 bytes of tag.
pub(crate) fn encrypt(
    key: &[u8; 32],
    nonce: &[u8; NONCE_LEN],
    associated: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, Error> {
    let payload = Payload {
        msg: plaintext,
        aad: associated,
    };
    Xaes256Gcm::new(key.into())
        .encrypt(nonce.into(), payload)
        .map_err(|_| Error::SelfTestFailed { what: "XAES-256-GCM" })
}

/// Opens what [`encrypt`] made under the same key, nonce and associated data; none for anything else.
pub(crate) fn decrypt(
    key: &[u8; 32],
    nonce: &[u8; NONCE_LEN],
    associated: &[u8],
    ciphertext: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let payload = Payload {
        msg: ciphertext,
        aad: associated,
    };
    Xaes256Gcm::new(key.into())
        .decrypt(nonce.into(), payload)
        .ok()
        .map(Zeroizing::new)
}

fn hedged_nonce(
    nonce_key: &[u8; 32],
    associated: &[u8],
    plaintext: &[u8],
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<[u8; NONCE_LEN], Error> {
    let mut fresh = [0u8; 32];
    rng.fill_bytes(&mut fresh);
    let mut mac = Hmac::<Sha256>::new_from_slice(nonce_key).map_err(|_| Error::SelfTestFailed {
        what: "HMAC takes a key of 32 bytes",
    })?;
    mac.update(&fresh);
    mac.update(&Sha256::digest(associated));
    mac.update(&Sha256::digest(plaintext));
    let full = mac.finalize().into_bytes();
    let mut nonce = [0u8; NONCE_LEN];
    nonce.copy_from_slice(&full[..NONCE_LEN]);
    Ok(nonce)
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    /// The two vectors in the text of C2SP xaes-256-gcm: with MSB(L) = 0 and 1.
    #[test]
    fn c2sp_xaes_256_gcm_vectors() {
        let nonce = b"ABCDEFGHIJKLMNOPQRSTUVWX";
        assert_eq!(
            encrypt(&[1; 32], nonce, b"", b"XAES-256-GCM").unwrap(),
            hex!("ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271")
        );
        assert_eq!(
            encrypt(&[3; 32], nonce, b"c2sp.org/XAES-256-GCM", b"XAES-256-GCM").unwrap(),
            hex!("986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d")
        );
    }

    #[test]
    fn a_changed_byte_anywhere_does_not_open() {
        let sealed = encrypt(&[9; 32], &[8; 24], b"aad", b"plain").unwrap();
        assert_eq!(*decrypt(&[9; 32], &[8; 24], b"aad", &sealed).unwrap(), b"plain");
        assert_eq!(decrypt(&[9; 32], &[8; 24], b"aae", &sealed), None);
        assert_eq!(decrypt(&[9; 32], &[7; 24], b"aad", &sealed), None);
        assert_eq!(decrypt(&[8; 32], &[8; 24], b"aad", &sealed), None);
        for position in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[position] ^= 0x80;
            assert_eq!(decrypt(&[9; 32], &[8; 24], b"aad", &changed), None);
        }
    }

    fn place(id: &[u8]) -> Place<'_> {
        Place {
            vault: &[1; 16],
            instance: &[2; 16],
            table: "key",
            id,
            row_version: 3,
            term: 1,
        }
    }

    #[test]
    fn a_row_opens_in_its_place_only() {
        let mut rng = StdRng::seed_from_u64(1);
        let sealed = seal(&[3; 32], &[4; 32], &place(b"a"), b"secret", &mut rng).unwrap();
        assert_eq!(*open(&[3; 32], &place(b"a"), &sealed).unwrap(), b"secret");
        for elsewhere in [
            place(b"b"),
            Place {
                vault: &[9; 16],
                ..place(b"a")
            },
            Place {
                instance: &[9; 16],
                ..place(b"a")
            },
            Place {
                table: "card",
                ..place(b"a")
            },
            Place {
                row_version: 2,
                ..place(b"a")
            },
            Place {
                term: 2,
                ..place(b"a")
            },
        ] {
            assert!(open(&[3; 32], &elsewhere, &sealed).is_err(), "{elsewhere:?}");
        }
        for position in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[position] ^= 1;
            assert!(open(&[3; 32], &place(b"a"), &changed).is_err(), "byte {position}");
        }
    }

    #[test]
    fn nonces_differ_by_content_even_when_the_random_source_repeats_itself() {
        let nonce = |id: &[u8], text: &[u8]| {
            let mut rng = StdRng::seed_from_u64(1);
            seal(&[3; 32], &[4; 32], &place(id), text, &mut rng).unwrap()[2..26].to_vec()
        };
        assert_eq!(nonce(b"a", b"x"), nonce(b"a", b"x"));
        assert_ne!(nonce(b"a", b"x"), nonce(b"a", b"y"));
        assert_ne!(nonce(b"a", b"x"), nonce(b"b", b"x"));
    }
}
