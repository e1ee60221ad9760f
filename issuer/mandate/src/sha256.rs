//! SHA-256 over several parts. FIPS 180-4.

use sha2::{Digest as _, Sha256};

/// 32 bytes of SHA-256.
pub(crate) type Digest = [u8; 32];

/// The digest of these parts, one behind the other.
pub(crate) fn sha256(parts: &[&[u8]]) -> Digest {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}
