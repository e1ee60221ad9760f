//! Bytes as hex digits: lower case out, either case in. Left out on purpose: constant time; key files are read at a desk.

/// The bytes as lower-case hex.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    // Filled to the end without growing, so that a caller who wipes the string wipes every copy.
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(digit.into(), 16));
        }
    }
    text
}

/// Exactly `N` bytes from exactly `2 N` digits. Absence of that form is `None`.
#[must_use]
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != N.checked_mul(2)? {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            *byte = *byte << 4 | u8::try_from(char::from(*digit).to_digit(16)?).ok()?;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_goes_there_and_back_and_nothing_else_does() {
        assert_eq!(encode(&[0x00, 0x9A, 0xFF]), "009aff");
        assert_eq!(decode("009AfF"), Some([0x00, 0x9A, 0xFF]));
        for text in ["", "00", "009aff0", "009aff00", "+09aff", "é9aff", "00 aff"] {
            assert_eq!(decode::<3>(text), None, "{text:?}");
        }
    }
}
