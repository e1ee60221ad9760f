//! The photo receipt number: what an applicant carries from the camera to the counter (Guangdong's practice).
//!
//! Sixteen characters: fifteen random ones from a 32-character alphabet without I, L, O and U (75 bits: a number cannot
//! be guessed), and one check character by ISO 7064 MOD 37,36 over the first fifteen, which finds every single mistyped
//! character and every exchange of neighbours. Shown in four groups of four. Left out: any meaning. The number tells
//! neither person, place nor day.

use core::fmt;
use core::str::FromStr;

use crate::codes::FailureCode;

/// The alphabet of the random part: digits and capitals without I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// The alphabet of ISO 7064 MOD 37,36, in which the check character is computed.
const MOD_37_36: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// Characters before the check character.
const BODY: usize = 15;

/// A photo receipt number whose check character fits.
///
/// Text form: four groups of four capitals and digits with hyphens, such as `7K2M-9QXC-0HTA-VB3F`. Parsing ignores
/// hyphens, spaces and case, and reads I and L as 1 and O as 0 in the first fifteen places.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct ReceiptNumber(#[cbor(n(0), encode_with = "encode", decode_with = "decode")] [u8; BODY + 1]);

impl ReceiptNumber {
    /// A number from 15 random bytes (the low five bits of each are used).
    #[must_use]
    pub fn from_random(random: [u8; BODY]) -> Self {
        let mut characters = [0u8; BODY + 1];
        for (place, byte) in characters.iter_mut().zip(random) {
            *place = ALPHABET[usize::from(byte & 0x1f)];
        }
        characters[BODY] = check_character(&characters[..BODY]);
        Self(characters)
    }

    /// The sixteen characters without hyphens, as an index keeps them.
    #[must_use]
    pub fn compact(&self) -> String {
        self.0.iter().map(|&byte| char::from(byte)).collect()
    }
}

impl fmt::Display for ReceiptNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            if place > 0 && place % 4 == 0 {
                f.write_str("-")?;
            }
            write!(f, "{}", char::from(*byte))?;
        }
        Ok(())
    }
}

// A receipt number opens a photo to its bearer's application, so logs show only that there is one.
impl fmt::Debug for ReceiptNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReceiptNumber(..)")
    }
}

impl FromStr for ReceiptNumber {
    type Err = FailureCode;

    fn from_str(text: &str) -> Result<Self, FailureCode> {
        let mut characters = [0u8; BODY + 1];
        let mut filled = 0;
        for character in text
            .chars()
            .filter(|c| !matches!(c, '-' | ' ' | '\u{2010}' | '\u{3000}'))
        {
            let upper =
                u8::try_from(character.to_ascii_uppercase()).map_err(|_| FailureCode::ReceiptMistyped)?;
            let read = match upper {
                b'I' | b'L' if filled < BODY => b'1',
                b'O' if filled < BODY => b'0',
                other => other,
            };
            let known = if filled < BODY {
                ALPHABET.contains(&read)
            } else {
                MOD_37_36.contains(&read)
            };
            let place = characters
                .get_mut(filled)
                .filter(|_| known)
                .ok_or(FailureCode::ReceiptMistyped)?;
            *place = read;
            filled += 1;
        }
        let fits = filled == characters.len() && check_character(&characters[..BODY]) == characters[BODY];
        if fits {
            Ok(Self(characters))
        } else {
            Err(FailureCode::ReceiptMistyped)
        }
    }
}

/// ISO 7064 hybrid system MOD 37,36: the character that makes the whole string leave 1.
fn check_character(body: &[u8]) -> u8 {
    let mut product = 36u32;
    for byte in body {
        let value = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' => byte - b'A' + 10,
            _ => 0,
        };
        let sum = (product + u32::from(value)) % 36;
        product = (if sum == 0 { 36 } else { sum }) * 2 % 37;
    }
    let check = (37 - product) % 36;
    MOD_37_36.iter().copied().nth(check as usize).unwrap_or(b'0')
}

fn encode<C, W: minicbor::encode::Write>(
    number: &[u8; BODY + 1],
    e: &mut minicbor::Encoder<W>,
    _: &mut C,
) -> Result<(), minicbor::encode::Error<W::Error>> {
    e.bytes(number)?.ok()
}

fn decode<C>(d: &mut minicbor::Decoder<'_>, _: &mut C) -> Result<[u8; BODY + 1], minicbor::decode::Error> {
    let text = core::str::from_utf8(d.bytes()?).map_err(minicbor::decode::Error::custom)?;
    ReceiptNumber::from_str(text)
        .map(|number| number.0)
        .map_err(|_| minicbor::decode::Error::message("a receipt number's check character does not fit"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_check_character_meets_the_worked_example_of_the_standards_users() {
        // Global Release Identifier, the published example of ISO 7064 MOD 37,36: A1-2425G-ABC1234002-M.
        assert_eq!(check_character(b"A12425GABC1234002"), b'M');
    }

    proptest! {
        #[test]
        fn a_number_survives_being_written_down_and_typed_in(random: [u8; 15]) {
            let number = ReceiptNumber::from_random(random);
            prop_assert_eq!(number.to_string().parse::<ReceiptNumber>(), Ok(number));
            prop_assert_eq!(number.compact().to_lowercase().parse::<ReceiptNumber>(), Ok(number));
            let bytes = minicbor::to_vec(number).unwrap();
            prop_assert_eq!(minicbor::decode::<ReceiptNumber>(&bytes).unwrap(), number);
        }

        #[test]
        fn one_mistyped_character_is_always_found(random: [u8; 15], place in 0usize..15, shift in 1usize..32) {
            let number = ReceiptNumber::from_random(random);
            let mut typed = number.compact().into_bytes();
            let old = ALPHABET.iter().position(|c| *c == typed[place]).unwrap();
            typed[place] = ALPHABET[(old + shift) % 32];
            let typed = String::from_utf8(typed).unwrap();
            prop_assert_eq!(typed.parse::<ReceiptNumber>(), Err(FailureCode::ReceiptMistyped));
        }

        #[test]
        fn any_text_is_refused_or_read_without_a_panic(text in ".{0,40}") {
            let _ = text.parse::<ReceiptNumber>();
        }
    }
}
