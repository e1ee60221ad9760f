//! Ids that follow from what they stand for: UUID version 8 (RFC 9562, section 5.8).

use sha2::{Digest as _, Sha256};

/// A UUID version 8 of a hash.
#[must_use]
pub fn uuid8(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let mut number = [0; 16];
    number.copy_from_slice(&hash.finalize()[..16]);
    number[6] = (number[6] & 0x0f) | 0x80;
    number[8] = (number[8] & 0x3f) | 0x80;
    number
}
