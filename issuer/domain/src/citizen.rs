//! The citizen number: GB 11643-1999, 18 characters, check by ISO 7064 MOD 11-2.
//!
//! Left out: the old number of 15 digits (a desk upgrades it on paper), and the list of divisions: a person born in a
//! division that was abolished keeps its code, so only the province is checked.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;

use crate::codes::{Division, Sex, is_province};
use crate::error::Error;

const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CHECKS: [u8; 11] = *b"10X98765432";

/// A citizen number whose shape, division, birthday and check character are right.
///
/// `Debug` hides it; `Display` shows it, so a log must never format it with `{}`.
///
/// ```
/// use permit_domain::{CitizenNumber, Sex};
/// let number: CitizenNumber = "440106199003071012".parse()?;
/// assert_eq!(number.birth_date().to_string(), "1990-03-07");
/// assert_eq!(number.sex(), Sex::Male);
/// # Ok::<(), permit_domain::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CitizenNumber {
    text: String,
    birth: Date,
}

impl CitizenNumber {
    /// The 18 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Digits 7 to 14.
    #[must_use]
    pub const fn birth_date(&self) -> Date {
        self.birth
    }

    /// Digit 17: odd for men, even for women.
    #[must_use]
    pub fn sex(&self) -> Sex {
        match self.text.as_bytes().get(16) {
            Some(d) if d % 2 == 1 => Sex::Male,
            _ => Sex::Female,
        }
    }

    /// Digits 1 to 6: where the number was given out, perhaps abolished since.
    pub fn division(&self) -> Result<Division, Error> {
        self.text.get(..6).unwrap_or_default().parse()
    }
}

impl FromStr for CitizenNumber {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bytes: &[u8; 18] = text
            .as_bytes()
            .try_into()
            .map_err(|_| Error::CitizenNumberShape)?;
        let (digits, last) = (&bytes[..17], bytes[17]);
        if !digits.iter().all(u8::is_ascii_digit) || !(last.is_ascii_digit() || last == b'X') {
            return Err(Error::CitizenNumberShape);
        }
        if !is_province(text.get(..2).unwrap_or_default()) {
            return Err(Error::CitizenNumberDivision);
        }
        let number = |range: std::ops::Range<usize>| {
            digits[range]
                .iter()
                .fold(0_i16, |sum, d| sum * 10 + i16::from(d - b'0'))
        };
        // Two digits always fit an i8.
        let small = |range| i8::try_from(number(range)).unwrap_or_default();
        let birth = Date::new(number(6..10), small(10..12), small(12..14))
            .map_err(|_| Error::CitizenNumberBirthday)?;
        // The numbers began in 1984 for people then alive.
        if birth.year() < 1800 {
            return Err(Error::CitizenNumberBirthday);
        }
        let sum: u32 = digits
            .iter()
            .zip(WEIGHTS)
            .map(|(d, w)| u32::from(d - b'0') * w)
            .sum();
        if CHECKS[(sum % 11) as usize] != last {
            return Err(Error::CitizenNumberCheck);
        }
        Ok(Self {
            text: text.to_owned(),
            birth,
        })
    }
}

impl fmt::Display for CitizenNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for CitizenNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CitizenNumber(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    // The two examples of GB 11643-1999 itself.
    #[case("11010519491231002X", "1949-12-31", Sex::Female)]
    #[case("440524188001010014", "1880-01-01", Sex::Male)]
    // 120223 is a division that was abolished.
    #[case("120223198902021249", "1989-02-02", Sex::Female)]
    #[case("130132199210293822", "1992-10-29", Sex::Female)]
    // Synthetic, with the provinces of Hong Kong and Taiwan.
    #[case("440106199003071012", "1990-03-07", Sex::Male)]
    #[case("440305198511120028", "1985-11-12", Sex::Female)]
    #[case("810000199001010019", "1990-01-01", Sex::Male)]
    #[case("830000198808080025", "1988-08-08", Sex::Female)]
    fn gb_11643_the_numbers_that_pass(#[case] text: &str, #[case] born: &str, #[case] sex: Sex) {
        let number: CitizenNumber = text.parse().unwrap();
        assert_eq!(number.to_string(), text);
        assert_eq!(number.birth_date().to_string(), born);
        assert_eq!(number.sex(), sex);
        assert_eq!(number.division().unwrap().as_str(), &text[..6]);
    }

    #[rstest]
    #[case("130402198207290622", Error::CitizenNumberCheck)]
    #[case("440106199003071013", Error::CitizenNumberCheck)]
    #[case("110105194912310021", Error::CitizenNumberCheck)]
    #[case("11010519491231002x", Error::CitizenNumberShape)]
    #[case("1101051949123100X2", Error::CitizenNumberShape)]
    #[case("110105491231002", Error::CitizenNumberShape)]
    #[case("", Error::CitizenNumberShape)]
    #[case("440106199013071012", Error::CitizenNumberBirthday)]
    #[case("440106199002301012", Error::CitizenNumberBirthday)]
    #[case("440106190002291012", Error::CitizenNumberBirthday)]
    #[case("440106000003071012", Error::CitizenNumberBirthday)]
    #[case("990106199003071012", Error::CitizenNumberDivision)]
    #[case("４40106199003071", Error::CitizenNumberShape)]
    fn gb_11643_the_numbers_that_fail(#[case] text: &str, #[case] error: Error) {
        assert_eq!(text.parse::<CitizenNumber>(), Err(error));
    }

    #[test]
    fn debug_shows_no_digit() {
        let number: CitizenNumber = "440106199003071012".parse().unwrap();
        assert_eq!(format!("{number:?}"), "CitizenNumber(..)");
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_refused_and_never_panics(text in "\\PC*") {
            if let Ok(number) = text.parse::<CitizenNumber>() {
                prop_assert_eq!(number.to_string(), text);
            }
        }

        #[test]
        fn every_single_digit_typed_wrong_is_found(place in 0_usize..18, add in 1_u8..10) {
            let mut bytes = *b"440106199003071012";
            bytes[place] = b'0' + (bytes[place] - b'0' + add) % 10;
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            prop_assert!(text.parse::<CitizenNumber>().is_err());
        }
    }
}
