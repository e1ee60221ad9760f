//! Key derivation (chapter 04): SP 800-108r1 counter mode with AES-CMAC and key control, SP 800-56C r2 one-step with
//! SHA-256, and the named derivations. SCP03's own derivation is in [`crate::scp03`].

use zeroize::{Zeroize, Zeroizing};

use crate::bytes::Bytes;
use crate::bytes::Write;
use crate::codes::{Region, Role, Serial};
use crate::crypto::{Hash, Key16, Key32};
use crate::error::Error;

/// KDF108: fills `out` from `master` for `label` and the `context` fields (each at most 255 bytes).
///
/// # Errors
/// [`Error::TooLong`] when label and context exceed 128 bytes, or `out` 255 blocks.
pub fn kdf108(master: &Key32, label: &str, context: &[&[u8]], out: &mut [u8]) -> Result<(), Error> {
    let mut fixed = Bytes::<160>::new();
    fixed.put(label.as_bytes())?;
    fixed.put(&[0x00])?;
    for field in context {
        let length = u8::try_from(field.len()).map_err(|_| Error::TooLong { what: "KDF context" })?;
        fixed.put(&[length])?;
        fixed.put(field)?;
    }
    let bits = u32::try_from(out.len())
        .ok()
        .and_then(|bytes| bytes.checked_mul(8));
    fixed.put(&bits.ok_or(Error::TooLong { what: "KDF output" })?.to_be_bytes())?;
    let mut k0 = master.cmac(&[&fixed]);
    for (i, chunk) in (1_u32..=u32::MAX).zip(out.chunks_mut(16)) {
        let mut block = master.cmac(&[&i.to_be_bytes(), &fixed, &k0]);
        for (to, from) in chunk.iter_mut().zip(block) {
            *to = from;
        }
        block.zeroize();
    }
    k0.zeroize();
    Ok(())
}

/// KDF56C: fills `out` from the shared secrets `z` for `label` and the transcript hash.
pub fn kdf56c(z: &[&[u8]], label: &str, transcript: &[u8; 32], out: &mut [u8]) {
    for (i, chunk) in (1_u32..=u32::MAX).zip(out.chunks_mut(32)) {
        let mut hash = Hash::new();
        hash.update(&i.to_be_bytes());
        for part in z {
            hash.update(part);
        }
        hash.update(label.as_bytes());
        hash.update(transcript);
        let mut block = hash.finish();
        for (to, from) in chunk.iter_mut().zip(block) {
            *to = from;
        }
        block.zeroize();
    }
}

/// Three AES-128 keys for one card: ENC, MAC, DEK of door I, or U-ENC, U-MAC, U-RCPT of updates.
#[derive(Debug)]
pub struct KeySet {
    /// ENC, or U-ENC.
    pub enc: Key16,
    /// MAC, or U-MAC.
    pub mac: Key16,
    /// DEK, or U-RCPT.
    pub dek: Key16,
}

impl KeySet {
    /// From 48 bytes, ENC first.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 48]) -> Self {
        let part = |skip: usize| {
            let mut key = Zeroizing::new([0; 16]);
            for (to, from) in key.iter_mut().zip(bytes.iter().skip(skip)) {
                *to = *from;
            }
            Key16::new(*key)
        };
        Self {
            enc: part(0),
            mac: part(16),
            dek: part(32),
        }
    }

    /// A second owner of the same keys.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self {
            enc: self.enc.duplicate(),
            mac: self.mac.duplicate(),
            dek: self.dek.duplicate(),
        }
    }

    fn derive(master: &Key32, label: &str, serial: &Serial) -> Result<Self, Error> {
        let mut bytes = Zeroizing::new([0; 48]);
        kdf108(master, label, &[&serial.0], &mut *bytes)?;
        Ok(Self::from_bytes(&bytes))
    }
}

fn key16(master: &Key32, label: &str, context: &[&[u8]]) -> Result<Key16, Error> {
    let mut bytes = Zeroizing::new([0; 16]);
    kdf108(master, label, context, &mut *bytes)?;
    Ok(Key16::new(*bytes))
}

/// Transport keys of a blank, from the lot transport master.
///
/// # Errors
/// Never for these sizes; the type is that of [`kdf108`].
pub fn transport_keys(lot_master: &Key32, serial: &Serial) -> Result<KeySet, Error> {
    KeySet::derive(lot_master, "YZT transport", serial)
}

/// Issuance keys of a card, from the issuance master.
///
/// # Errors
/// As [`transport_keys`].
pub fn issuance_keys(issuance_master: &Key32, serial: &Serial) -> Result<KeySet, Error> {
    KeySet::derive(issuance_master, "YZT issuance", serial)
}

/// U-ENC, U-MAC, U-RCPT of a card, from the issuance master.
///
/// # Errors
/// As [`transport_keys`].
pub fn update_keys(issuance_master: &Key32, serial: &Serial) -> Result<KeySet, Error> {
    KeySet::derive(issuance_master, "YZT update", serial)
}

/// U-ENC, U-MAC, U-RCPT of a generation: 0 since the personalisation ([`update_keys`]), one more with every rewrite that
/// made the updates before it void.
///
/// # Errors
/// As [`transport_keys`].
pub fn update_keys_of(issuance_master: &Key32, serial: &Serial, generation: u32) -> Result<KeySet, Error> {
    if generation == 0 {
        return update_keys(issuance_master, serial);
    }
    let mut bytes = Zeroizing::new([0; 48]);
    let context: [&[u8]; 2] = [&serial.0, &generation.to_be_bytes()];
    kdf108(issuance_master, "YZT update", &context, &mut *bytes)?;
    Ok(KeySet::from_bytes(&bytes))
}

/// Group key G of one of the 256 cohorts.
///
/// # Errors
/// As [`transport_keys`].
pub fn group_key(
    group_master: &Key32,
    role: Role,
    region: Region,
    kv: u8,
    cohort: u8,
) -> Result<Key16, Error> {
    key16(
        group_master,
        "YZT group",
        &[&[role.code()], &region.to_bytes(), &[kv], &[cohort]],
    )
}

/// Per-card tap key M.
///
/// # Errors
/// As [`transport_keys`].
pub fn tap_key(
    tap_master: &Key32,
    role: Role,
    region: Region,
    kv: u8,
    pid: &[u8; 16],
) -> Result<Key16, Error> {
    key16(
        tap_master,
        "YZT tap",
        &[&[role.code()], &region.to_bytes(), &[kv], pid],
    )
}

/// Per-card record key.
///
/// # Errors
/// As [`transport_keys`].
pub fn record_key(
    record_master: &Key32,
    role: Role,
    region: Region,
    kv: u8,
    pid: &[u8; 16],
) -> Result<Key32, Error> {
    let mut bytes = [0; 32];
    kdf108(
        record_master,
        "YZT record",
        &[&[role.code()], &region.to_bytes(), &[kv], pid],
        &mut bytes,
    )?;
    let key = Key32::new(bytes);
    bytes.zeroize();
    Ok(key)
}

/// Ktac: known to card and vault only.
///
/// # Errors
/// As [`transport_keys`].
pub fn tac_key(tac_master: &Key32, role: Role, kv: u8, pid: &[u8; 16]) -> Result<Key16, Error> {
    key16(tac_master, "YZT tac", &[&[role.code()], &[kv], pid])
}
