//! Identifiers that we give out: card number, card serial, and opaque ids of 16 bytes (UUID version 7, RFC 9562).
//!
//! Left out: the citizen number and the credit code, which others give out.

use std::fmt;
use std::str::FromStr;

pub use card_applet_spec::codes::Serial as CardSerial;
use jiff::Timestamp;
use uuid::Uuid;

use crate::codes::{Division, is_province, serde_by_text};
use crate::error::Error;

/// An opaque id of 16 bytes; in text a UUID in lower case with hyphens.
macro_rules! opaque_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id: UUID version 7 from a time (milliseconds count) and ten random bytes.
            #[must_use]
            pub fn new(at: Timestamp, random: [u8; 10]) -> Self {
                let millis = u64::try_from(at.as_millisecond()).unwrap_or_default();
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
            }

            /// The 16 bytes, as they stand on the card.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// From 16 bytes that were read somewhere.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                let wrong = Error::Identifier { what: $what };
                let id: Uuid = text.parse().map_err(|_| wrong.clone())?;
                // One spelling only: ids are compared as text elsewhere.
                if id.hyphenated().to_string() == text { Ok(Self(id)) } else { Err(wrong) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        serde_by_text!($name);
    };
}

opaque_id! {
    /// The permit: outlives its cards.
    PermitId, "permit id"
}
opaque_id! {
    /// An application.
    ApplicationId, "application id"
}
opaque_id! {
    /// A production order.
    OrderId, "production order id"
}
opaque_id! {
    /// An order to change a card that its holder has.
    ChangeId, "change id"
}
opaque_id! {
    /// A person, as the ledger and the photo store call them.
    PersonId, "person id"
}

/// A province: the first two digits of GB/T 2260.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Province([u8; 2]);

impl Province {
    /// The two digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl TryFrom<&Division> for Province {
    type Error = Error;

    fn try_from(division: &Division) -> Result<Self, Error> {
        division.as_str().get(..2).unwrap_or_default().parse()
    }
}

impl FromStr for Province {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.as_bytes() {
            &[a, b] if is_province(text) => Ok(Self([a, b])),
            _ => Err(Error::Division),
        }
    }
}

impl fmt::Display for Province {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The number printed on a card: 13 digits, province (2), running number (10), check digit (ISO 7064 MOD 11,10).
///
/// Given out once in a province and never again, whatever becomes of the card.
///
/// ```
/// use permit_domain::{CardNumber, Province};
/// let number = CardNumber::new("44".parse::<Province>()?, 1)?;
/// assert_eq!(number.as_str().len(), 13);
/// assert_eq!(number.as_str().parse::<CardNumber>()?, number);
/// # Ok::<(), permit_domain::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CardNumber(String);

impl CardNumber {
    /// The highest running number of a province.
    pub const MAX_RUNNING: u64 = 9_999_999_999;

    /// The number with this running number, 1 to [`Self::MAX_RUNNING`].
    ///
    /// # Errors
    /// [`Error::CardNumbersExhausted`] beyond it.
    pub fn new(province: Province, running: u64) -> Result<Self, Error> {
        if running == 0 || running > Self::MAX_RUNNING {
            return Err(Error::CardNumbersExhausted);
        }
        let body = format!("{province}{running:010}");
        let check = mod_11_10(body.bytes().map(|b| b - b'0'));
        Ok(Self(format!("{body}{check}")))
    }

    /// The 13 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// ISO 7064 MOD 11,10: the check digit of these digits.
fn mod_11_10(digits: impl Iterator<Item = u8>) -> u8 {
    let mut product = 10;
    for digit in digits {
        let sum = (product + digit) % 10;
        product = (if sum == 0 { 10 } else { sum }) * 2 % 11;
    }
    (11 - product) % 10
}

impl FromStr for CardNumber {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = Error::Identifier { what: "card number" };
        if text.len() != 13 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong);
        }
        let (Some(province), Some(running)) = (text.get(..2), text.get(2..12)) else {
            return Err(wrong);
        };
        let running = running.parse().map_err(|_| wrong.clone())?;
        let number =
            Self::new(province.parse().map_err(|_| wrong.clone())?, running).map_err(|_| wrong.clone())?;
        if number.0 == text { Ok(number) } else { Err(wrong) }
    }
}

impl fmt::Display for CardNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_by_text!(CardNumber);

/// The number of a form of paper: division (6), year (2), running number (5), check digit (ISO 7064 MOD 11,10). Shown in groups, such as
/// `440305-26-00012-7`; read with or without the hyphens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PaperNumber(String);

impl PaperNumber {
    /// The highest running number of a division and year.
    pub const MAX_RUNNING: u32 = 99_999;

    /// The number with this running number, 1 to [`Self::MAX_RUNNING`]; the last two digits of the year count.
    ///
    /// # Errors
    /// [`Error::Identifier`] beyond it.
    pub fn new(division: &Division, year: i16, running: u32) -> Result<Self, Error> {
        if running == 0 || running > Self::MAX_RUNNING {
            return Err(Error::Identifier { what: "paper form" });
        }
        let body = format!("{division}{:02}{running:05}", year.rem_euclid(100));
        let check = mod_11_10(body.bytes().map(|b| b - b'0'));
        Ok(Self(format!("{body}{check}")))
    }

    /// Whose it is: 6 digits.
    #[must_use]
    pub fn division(&self) -> &str {
        self.0.get(..6).unwrap_or_default()
    }

    /// The 14 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PaperNumber {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = Error::Identifier { what: "paper form" };
        let plain: String = text.chars().filter(|sign| *sign != '-').collect();
        if plain.len() != 14 || !plain.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong);
        }
        let part = |range| plain.get(range).ok_or_else(|| wrong.clone());
        let division: Division = part(0..6)?.parse().map_err(|_| wrong.clone())?;
        let year = part(6..8)?.parse().map_err(|_| wrong.clone())?;
        let running = part(8..13)?.parse().map_err(|_| wrong.clone())?;
        let number = Self::new(&division, year, running)?;
        if number.0 == plain { Ok(number) } else { Err(wrong) }
    }
}

impl fmt::Display for PaperNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_str();
        for (index, length) in [6, 2, 5].into_iter().enumerate() {
            let (group, behind) = rest.split_at_checked(length).unwrap_or((rest, ""));
            write!(f, "{}{group}", if index == 0 { "" } else { "-" })?;
            rest = behind;
        }
        write!(f, "-{rest}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn iso_7064_mod_11_10_the_example_of_the_standard() {
        assert_eq!(mod_11_10([0, 7, 9, 4].into_iter()), 5);
    }

    #[test]
    fn the_running_number_ends() {
        let gd: Province = "44".parse().unwrap();
        assert!(CardNumber::new(gd, CardNumber::MAX_RUNNING).is_ok());
        assert_eq!(
            CardNumber::new(gd, CardNumber::MAX_RUNNING + 1),
            Err(Error::CardNumbersExhausted)
        );
        assert_eq!(CardNumber::new(gd, 0), Err(Error::CardNumbersExhausted));
    }

    #[test]
    fn an_id_has_one_spelling() {
        let id = PermitId::new(Timestamp::from_second(1_790_000_000).unwrap(), [7; 10]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().to_uppercase().parse::<PermitId>().is_err());
        assert_eq!(PermitId::from_bytes(*id.as_bytes()), id);
    }

    proptest! {
        #[test]
        fn a_card_number_reads_back(running in 1_u64..=CardNumber::MAX_RUNNING) {
            let number = CardNumber::new("44".parse().unwrap(), running).unwrap();
            prop_assert_eq!(number.as_str().parse::<CardNumber>(), Ok(number));
        }

        #[test]
        fn a_number_of_paper_reads_back_in_groups_and_a_wrong_digit_is_found(
            running in 1_u32..=PaperNumber::MAX_RUNNING, place in 8_usize..14, add in 1_u8..10
        ) {
            let number = PaperNumber::new(&"440305".parse().unwrap(), 2026, running).unwrap();
            prop_assert_eq!(number.to_string().parse::<PaperNumber>(), Ok(number.clone()));
            prop_assert_eq!(number.to_string().matches('-').count(), 3);
            let mut bytes = number.as_str().as_bytes().to_vec();
            bytes[place] = b'0' + (bytes[place] - b'0' + add) % 10;
            prop_assert!(String::from_utf8(bytes).unwrap().parse::<PaperNumber>().is_err());
        }

        #[test]
        fn one_digit_typed_wrong_is_found(running in 1_u64..=CardNumber::MAX_RUNNING, place in 0_usize..13, add in 1_u8..10) {
            let number = CardNumber::new("44".parse().unwrap(), running).unwrap();
            let mut bytes = number.as_str().as_bytes().to_vec();
            bytes[place] = b'0' + (bytes[place] - b'0' + add) % 10;
            prop_assert!(String::from_utf8(bytes).unwrap().parse::<CardNumber>().is_err());
        }

        #[test]
        fn any_text_parses_or_is_refused_and_never_panics(text in "\\PC*") {
            let _ = text.parse::<CardNumber>();
            let _ = text.parse::<PaperNumber>();
            let _ = text.parse::<CardSerial>();
            let _ = text.parse::<OrderId>();
        }
    }
}
