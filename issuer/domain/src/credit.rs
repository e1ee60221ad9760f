//! The unified social credit code of an organisation: GB 32100-2015, with the organisation code of GB 11714 inside.
//!
//! Left out: the meaning of the first two characters (who registered, which class): the registers change them.

use std::fmt;
use std::str::FromStr;

use crate::codes::is_province;
use crate::error::Error;

const SYMBOLS: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
/// 3^(i - 1) mod 31.
const WEIGHTS: [usize; 17] = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];
/// GB 11714.
const ORGANISATION_WEIGHTS: [usize; 8] = [3, 7, 9, 10, 5, 8, 4, 2];

/// A unified social credit code whose symbols, division and two check characters are right.
///
/// ```
/// let code: permit_domain::CreditCode = "91440300708461136T".parse()?;
/// assert_eq!(code.organisation(), "708461136");
/// # Ok::<(), permit_domain::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CreditCode(String);

impl CreditCode {
    /// The 18 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nine characters of GB 11714, check character included.
    #[must_use]
    pub fn organisation(&self) -> &str {
        self.0.get(8..17).unwrap_or_default()
    }
}

impl FromStr for CreditCode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bytes: &[u8; 18] = text.as_bytes().try_into().map_err(|_| Error::CreditCodeShape)?;
        let mut values = [0; 18];
        for (value, byte) in values.iter_mut().zip(bytes) {
            *value = SYMBOLS
                .iter()
                .position(|s| s == byte)
                .ok_or(Error::CreditCodeShape)?;
        }
        // 10 is the central register.
        let province = text.get(2..4).unwrap_or_default();
        if !bytes[2..8].iter().all(u8::is_ascii_digit) || !(province == "10" || is_province(province)) {
            return Err(Error::CreditCodeDivision);
        }
        let sum: usize = bytes[8..16]
            .iter()
            .zip(ORGANISATION_WEIGHTS)
            // GB 11714 counts A to Z as 10 to 35, without gaps.
            .map(|(b, w)| {
                w * usize::from(if b.is_ascii_digit() {
                    b - b'0'
                } else {
                    b - b'A' + 10
                })
            })
            .sum();
        let check = match 11 - sum % 11 {
            10 => b'X',
            11 => b'0',
            // One digit always fits.
            n => b'0' + u8::try_from(n).unwrap_or_default(),
        };
        if bytes[16] != check {
            return Err(Error::CreditCodeOrganisation);
        }
        let sum: usize = values.iter().zip(WEIGHTS).map(|(v, w)| v * w).sum();
        if values[17] != (31 - sum % 31) % 31 {
            return Err(Error::CreditCodeCheck);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for CreditCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("914403001922038216")]
    #[case("91440300708461136T")]
    #[case("91110000600037341L")]
    #[case("91350100M000100Y43")]
    fn gb_32100_the_codes_that_pass(#[case] text: &str) {
        assert_eq!(text.parse::<CreditCode>().unwrap().to_string(), text);
    }

    #[rstest]
    #[case("914403001922038217", Error::CreditCodeCheck)]
    #[case("914403001922038226", Error::CreditCodeOrganisation)]
    #[case("91990300708461136T", Error::CreditCodeDivision)]
    #[case("9144030070846113IT", Error::CreditCodeShape)]
    #[case("91440300708461136t", Error::CreditCodeShape)]
    #[case("9144030070846113", Error::CreditCodeShape)]
    fn gb_32100_the_codes_that_fail(#[case] text: &str, #[case] error: Error) {
        assert_eq!(text.parse::<CreditCode>(), Err(error));
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_refused_and_never_panics(text in "[0-9A-Zé]{0,19}") {
            if let Ok(code) = text.parse::<CreditCode>() {
                prop_assert_eq!(code.to_string(), text);
            }
        }
    }
}
