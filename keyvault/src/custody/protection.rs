//! What a passphrase protects in a file: Argon2id (RFC 9106) over the passphrase, XAES-256-GCM under what it gives, every clear field
//! as associated data, and a checksum that finds a slip of the hand before the passphrase is asked for.
//!
//! Share envelopes and officers' key files are made of it. Left out: files that a person's smart card opens; they will be other
//! values of `protection`.

use argon2::{Algorithm, Argon2, Params, Version};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::custody::passphrase;
use crate::error::Error;
use crate::store::sealing::{self, NONCE_LEN};

/// The one protection that there is: a passphrase, stretched with Argon2id.
pub(crate) const PASSPHRASE: &str = "argon2id";

/// How much work a guess at a passphrase costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
}

impl Cost {
    /// The second recommended set of RFC 9106, section 4: 64 MiB, 3 passes.
    pub const STANDARD: Self = Self {
        memory_kib: 64 * 1024,
        passes: 3,
    };
    /// For a rehearsal's officers, whose passphrases may be anything.
    pub const REHEARSAL: Self = Self {
        memory_kib: 8 * 1024,
        passes: 1,
    };
    /// Largest memory that a file may ask for, so that a changed one cannot exhaust the machine: 1 GiB.
    const MAX_KIB: u32 = 1024 * 1024;
    /// Most passes that a file may ask for.
    const MAX_PASSES: u32 = 16;

    /// Whether a file may ask for it.
    pub(crate) fn is_fair(self) -> bool {
        self.memory_kib <= Self::MAX_KIB && self.passes <= Self::MAX_PASSES && self.params().is_some()
    }

    fn params(self) -> Option<Params> {
        Params::new(self.memory_kib, self.passes, 1, Some(32)).ok()
    }
}

/// Cost, salt and nonce of one protected value; all of them stand in clear beside it.
pub(crate) struct Protection {
    pub(crate) cost: Cost,
    pub(crate) salt: [u8; 16],
    pub(crate) nonce: [u8; NONCE_LEN],
}

impl Protection {
    /// A fresh one.
    pub(crate) fn draw(cost: Cost, rng: &mut impl CryptoRng) -> Self {
        let (mut salt, mut nonce) = ([0; 16], [0; NONCE_LEN]);
        rng.fill_bytes(&mut salt);
        rng.fill_bytes(&mut nonce);
        Self { cost, salt, nonce }
    }

    /// The one of a file, from its hex digits; none for what is none.
    pub(crate) fn of(cost: Cost, salt: &str, nonce: &str) -> Option<Self> {
        Some(Self {
            cost,
            salt: array(salt)?,
            nonce: array(nonce)?,
        })
    }

    /// Seals a value under a passphrase that was judged, bound to the clear fields of its file.
    pub(crate) fn seal(&self, passphrase: &[u8], clear: &[u8], value: &[u8]) -> Result<Vec<u8>, Error> {
        let key = self.stretch(&passphrase::normal(passphrase)?)?;
        sealing::encrypt(&key, &self.nonce, clear, value)
    }

    /// Opens what [`Protection::seal`] made under the same passphrase, however it was typed; none for another one.
    pub(crate) fn open(
        &self,
        passphrase: &[u8],
        clear: &[u8],
        sealed: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        for candidate in passphrase::candidates(passphrase) {
            let key = self.stretch(&candidate)?;
            if let Some(value) = sealing::decrypt(&key, &self.nonce, clear, sealed) {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// The key that a passphrase gives.
    pub(crate) fn stretch(&self, passphrase: &[u8]) -> Result<Zeroizing<[u8; 32]>, Error> {
        let failed = Error::SelfTestFailed { what: "Argon2id" };
        let params = self.cost.params().ok_or_else(|| failed.clone())?;
        let mut key = Zeroizing::new([0u8; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase, &self.salt, &mut *key)
            .map_err(|_| failed)?;
        Ok(key)
    }
}

/// Clear fields, each with its length: bound to the value by AEAD and to typing by the checksum.
pub(crate) fn joined(fields: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields {
        out.extend_from_slice(&(field.len() as u64).to_be_bytes());
        out.extend_from_slice(field);
    }
    out
}

/// Four bytes over everything that stands in the file.
pub(crate) fn checksum(clear: &[u8], sealed: &str) -> String {
    let digest = Sha256::new().chain_update(clear).chain_update(sealed).finalize();
    hex::encode(&digest[..4])
}

/// Bytes from their hex digits.
pub(crate) fn array<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0u8; N];
    hex::decode_to_slice(text, &mut out).ok()?;
    Some(out)
}
