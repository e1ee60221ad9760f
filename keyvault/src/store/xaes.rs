//! XAES-256-GCM (C2SP xaes-256-gcm): AES-256-GCM with a 192-bit nonce, one derived key per nonce.
//!
//! A nonce of 192 random bits has no practical limit, so a restored or cloned store cannot run into one (claim K7).

use aes::Aes256;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead, Payload};
use zeroize::{Zeroize, Zeroizing};

/// Nonce length in bytes.
pub const NONCE_LEN: usize = 24;
/// Bytes that sealing adds behind the plaintext.
pub const TAG_LEN: usize = 16;

/// A value did not open, or was too long to seal. Deliberately one opaque value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opaque;

/// Encrypts: ciphertext, then tag.
///
/// # Errors
/// [`Opaque`] when the plaintext is longer than AES-GCM allows (64 GiB).
pub fn encrypt(
    key: &[u8; 32],
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, Opaque> {
    let (cipher, nonce) = derive(key, nonce);
    cipher
        .encrypt(&nonce.into(), Payload { msg: plaintext, aad })
        .map_err(|_| Opaque)
}

/// Decrypts what [`encrypt`] made under the same key, nonce and associated data.
///
/// # Errors
/// [`Opaque`] for any other input.
pub fn decrypt(
    key: &[u8; 32],
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Opaque> {
    let (cipher, nonce) = derive(key, nonce);
    let payload = Payload { msg: ciphertext, aad };
    cipher
        .decrypt(&nonce.into(), payload)
        .map(Zeroizing::new)
        .map_err(|_| Opaque)
}

/// The derived cipher and the 96-bit nonce below it: CMAC of two fixed blocks, as in SP 800-108.
fn derive(key: &[u8; 32], nonce: &[u8; NONCE_LEN]) -> (Aes256Gcm, [u8; 12]) {
    let (head, tail) = nonce.split_at(12);
    let aes = Aes256::new(&Array(*key));
    let mut subkey = Array([0u8; 16]);
    aes.encrypt_block(&mut subkey);
    let mut doubled = u128::from_be_bytes(subkey.into());
    // Doubling in GF(2^128) under a mask: the top bit is a function of the key.
    let carry = (doubled >> 127).wrapping_neg();
    doubled = (doubled << 1) ^ (carry & 0x87);
    subkey.zeroize();

    let mut derived = Zeroizing::new([0u8; 32]);
    for (counter, half) in (1u8..).zip(derived.chunks_exact_mut(16)) {
        let mut block = [0u8; 16];
        block[1] = counter;
        block[2] = b'X';
        block[4..].copy_from_slice(head);
        let mut block = Array((u128::from_be_bytes(block) ^ doubled).to_be_bytes());
        aes.encrypt_block(&mut block);
        half.copy_from_slice(&block);
        block.zeroize();
    }
    doubled.zeroize();
    let mut short = [0u8; 12];
    short.copy_from_slice(tail);
    (Aes256Gcm::new(&Array(*derived)), short)
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

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
        assert_eq!(decrypt(&[9; 32], &[8; 24], b"aae", &sealed), Err(Opaque));
        assert_eq!(decrypt(&[9; 32], &[7; 24], b"aad", &sealed), Err(Opaque));
        assert_eq!(decrypt(&[8; 32], &[8; 24], b"aad", &sealed), Err(Opaque));
        for position in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[position] ^= 0x80;
            assert_eq!(decrypt(&[9; 32], &[8; 24], b"aad", &changed), Err(Opaque));
        }
    }
}
