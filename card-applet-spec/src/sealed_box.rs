//! The sealed box (chapter 08): bytes for the holder of one P-256 key.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use cipher::Array;
use rand_core::CryptoRng;
use zeroize::Zeroize;

use crate::bytes::{Reader, SliceWriter, Write};
use crate::codes::{SUITE, VERSION};
use crate::crypto::{Key32, PrivateKey, PublicKey, sha256};
use crate::error::Error;
use crate::kdf::kdf56c;

/// Magic of a terminal bundle.
pub const BUNDLE: [u8; 4] = *b"YZTB";
/// Magic of a lot file.
pub const LOT: [u8; 4] = *b"YZTL";
/// Magic of an update batch.
pub const UPDATES: [u8; 4] = *b"YZTU";

/// Length of what stands before the cipher text.
pub const HEAD_LEN: usize = 4 + 2 + 65 + 12;
/// Length of the tag behind it.
pub const TAG_LEN: usize = 16;
const AAD_LEN: usize = 4 + 2 + 65;
const LABEL: &str = "YZT-BOX-1";

fn box_key(shared: &[u8; 32], aad: &[u8; AAD_LEN], receiver: &PublicKey) -> Key32 {
    let transcript = sha256(&[aad, &receiver.to_point65()]);
    let mut bytes = [0; 32];
    kdf56c(&[shared], LABEL, &transcript, &mut bytes);
    let key = Key32::new(bytes);
    bytes.zeroize();
    key
}

/// Seals `message` in place; gives head and tag: a box is head, the changed message, tag.
///
/// # Errors
/// [`Error::Crypto`] when sealing fails, which it does not for any length below 64 GiB.
pub fn seal(
    magic: [u8; 4],
    receiver: &PublicKey,
    message: &mut [u8],
    rng: &mut impl CryptoRng,
) -> Result<([u8; HEAD_LEN], [u8; TAG_LEN]), Error> {
    let ephemeral = PrivateKey::generate(rng);
    let mut nonce = [0; 12];
    rng.fill_bytes(&mut nonce);
    seal_with(magic, receiver, message, &ephemeral, nonce)
}

/// As [`seal`], with ephemeral key and nonce given: for the vectors. Never use a pair twice.
///
/// # Errors
/// As [`seal`].
pub fn seal_with(
    magic: [u8; 4],
    receiver: &PublicKey,
    message: &mut [u8],
    ephemeral: &PrivateKey,
    nonce: [u8; 12],
) -> Result<([u8; HEAD_LEN], [u8; TAG_LEN]), Error> {
    let mut aad = [0; AAD_LEN];
    let mut writer = SliceWriter::new(&mut aad);
    writer.put(&magic)?;
    writer.put(&[VERSION, SUITE])?;
    writer.put(&ephemeral.public().to_point65())?;
    let key = box_key(&ephemeral.agree(receiver), &aad, receiver);
    let tag = Aes256Gcm::new(&Array(*key.expose()))
        .encrypt_inout_detached(&Array(nonce), &aad, message.into())
        .map_err(|_| Error::Crypto)?;
    let mut head = [0; HEAD_LEN];
    let mut writer = SliceWriter::new(&mut head);
    writer.put(&aad)?;
    writer.put(&nonce)?;
    Ok((head, tag.into()))
}

/// Opens a box in place; gives the message inside `sealed`.
///
/// # Errors
/// [`Error::Malformed`] for another magic, version or suite; [`Error::Crypto`] when it is not for this key or was changed.
pub fn open<'a>(magic: [u8; 4], receiver: &PrivateKey, sealed: &'a mut [u8]) -> Result<&'a mut [u8], Error> {
    const WHAT: Error = Error::Malformed { what: "sealed box" };
    let (head, rest) = sealed.split_at_mut_checked(HEAD_LEN).ok_or(WHAT)?;
    let (message, tag) = rest.split_last_chunk_mut::<TAG_LEN>().ok_or(WHAT)?;
    let mut reader = Reader::new(head, "sealed box");
    let aad: [u8; AAD_LEN] = reader.array()?;
    let nonce: [u8; 12] = reader.array()?;
    let mut reader = Reader::new(&aad, "sealed box");
    if reader.array()? != magic || reader.array()? != [VERSION, SUITE] {
        return Err(WHAT);
    }
    let ephemeral = PublicKey::from_point65(&reader.array()?)?;
    let key = box_key(&receiver.agree(&ephemeral), &aad, &receiver.public());
    Aes256Gcm::new(&Array(*key.expose()))
        .decrypt_inout_detached(&Array(nonce), &aad, (&mut *message).into(), &Array(*tag))
        .map_err(|_| Error::Crypto)?;
    Ok(message)
}
