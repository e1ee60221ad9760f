//! Bytes as hex digits: lower case out, either case in, spaces between bytes ignored by [`bytes`].

/// The bytes as lower-case hex.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(digit.into(), 16));
        }
    }
    text
}

/// Any number of bytes; spaces may stand between the digits. None for anything else.
#[must_use]
pub fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text
        .chars()
        .filter(|c| *c != ' ')
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<Vec<u8>>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty()
        .then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// Exactly `N` bytes without spaces.
#[must_use]
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != N.checked_mul(2)? {
        return None;
    }
    bytes(text)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_goes_there_and_back_and_nothing_else_does() {
        assert_eq!(encode(&[0x00, 0x9A, 0xFF]), "009aff");
        assert_eq!(decode("009AfF"), Some([0x00, 0x9A, 0xFF]));
        assert_eq!(bytes("00 A4 04"), Some(vec![0x00, 0xA4, 0x04]));
        for text in ["0", "0g", "00 a", "é0"] {
            assert_eq!(bytes(text), None, "{text:?}");
        }
        for text in ["", "00", "009aff0", "009aff00", "00 9a"] {
            assert_eq!(decode::<3>(text), None, "{text:?}");
        }
    }
}
