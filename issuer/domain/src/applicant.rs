//! The applicant: the facts of one application, checked. The data of Decree 663 articles 4 and 9, and no others.
//!
//! Left out: the photo (its store holds it), and whether a paper is true (the reviewer's work).

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;

use crate::age::full_years;
use crate::citizen::CitizenNumber;
use crate::codes::{Division, Education, EvidenceCode, Nation, Sex, Tier, Title, serde_by_text};
use crate::error::Error;
use crate::printable;

/// A name as on the identity card: letters of any script, middle dots (U+00B7), hyphens, apostrophes, single spaces;
/// 1 to 120 bytes of UTF-8, which is what the card holds. It has one form (NFC), and look-alikes of the middle dot are
/// turned into it. What is typed for a card is checked for more: [`crate::ApplicantForm::into_applicant`].
///
/// `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonName(String);

impl PersonName {
    /// The most bytes of UTF-8 that the card holds.
    pub const MAX_BYTES: usize = 120;

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PersonName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let name = printable::composed_name(text);
        let allowed =
            |c: char| c.is_alphabetic() || matches!(c, printable::MIDDLE_DOT | '-' | '\'' | '\u{2019}' | ' ');
        if let Some((before, character)) = name.chars().enumerate().find(|(_, sign)| !allowed(*sign)) {
            let place = before + 1;
            return Err(Error::NameCharacter { character, place });
        }
        let right = (1..=Self::MAX_BYTES).contains(&name.len())
            && name.starts_with(char::is_alphabetic)
            && name.ends_with(char::is_alphabetic)
            && !name.contains("  ");
        if right { Ok(Self(name)) } else { Err(Error::Name) }
    }
}

impl fmt::Display for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonName(..)")
    }
}

serde_by_text!(PersonName);

/// An address as printed: 4 characters to 210 bytes of UTF-8, no control characters, in one form (NFC). What is typed for a
/// card is checked for more: [`crate::ApplicantForm::into_applicant`]. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// The most bytes of UTF-8 that the card holds.
    pub const MAX_BYTES: usize = 210;

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let text = printable::composed(text);
        let right = text.len() <= Self::MAX_BYTES
            && text.chars().count() >= 4
            && text.trim() == text
            && !text.chars().any(char::is_control);
        if right {
            Ok(Self(text))
        } else {
            Err(Error::Address)
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(..)")
    }
}

serde_by_text!(Address);

/// From a day to a day, both included; an open end is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    from: Option<Date>,
    to: Option<Date>,
}

impl Validity {
    /// # Errors
    /// [`Error::Reversed`] when `to` lies before `from`.
    pub fn new(from: Option<Date>, to: Option<Date>) -> Result<Self, Error> {
        match (from, to) {
            (Some(from), Some(to)) if to < from => Err(Error::Reversed),
            _ => Ok(Self { from, to }),
        }
    }

    /// First day.
    #[must_use]
    pub const fn from(&self) -> Option<Date> {
        self.from
    }

    /// Last day.
    #[must_use]
    pub const fn to(&self) -> Option<Date> {
        self.to
    }

    /// Whether it covers the day.
    #[must_use]
    pub fn covers(&self, day: Date) -> bool {
        self.from.is_none_or(|from| from <= day) && self.to.is_none_or(|to| day <= to)
    }
}

/// A paper that the applicant showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Its kind.
    pub code: EvidenceCode,
    /// When it holds.
    pub validity: Validity,
}

/// The registration of the residence: Decree 663 articles 2 and 9. Starts the half-year clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Where.
    pub address: Address,
    /// The county-level division of the address.
    pub division: Division,
    /// The day on which the registration was filed.
    pub registered_on: Date,
}

/// One applicant's facts, every one parsed, and the ones that repeat each other in agreement.
///
/// Made by [`crate::ApplicantForm::into_applicant`]. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applicant {
    /// GB 11643.
    pub citizen_number: CitizenNumber,
    /// As on the identity card.
    pub name: PersonName,
    /// Agrees with the citizen number, unless 0 or 9.
    pub sex: Sex,
    /// GB/T 3304.
    pub nation: Nation,
    /// Agrees with the citizen number.
    pub birth_date: Date,
    /// The place of permanent registration.
    pub hukou_address: Address,
    /// The residence, registered.
    pub residence: Registration,
    /// Papers, in the order of the file.
    pub evidence: Vec<Evidence>,
    /// Months of social insurance paid in the jurisdiction.
    pub insurance_months: u16,
    /// GB/T 4658.
    pub education: Education,
    /// The highest one.
    pub title: Title,
    /// The tier asked for; `None` asks for the highest one whose conditions are met.
    pub requested_tier: Option<Tier>,
}

impl Applicant {
    /// Full years of age on the day.
    #[must_use]
    pub fn age(&self, at: Date) -> i16 {
        full_years(self.birth_date, at)
    }

    /// The papers of these kinds that hold on the day.
    pub fn evidence_in_force<'a>(
        &'a self,
        codes: &'a [EvidenceCode],
        at: Date,
    ) -> impl Iterator<Item = &'a Evidence> {
        self.evidence
            .iter()
            .filter(move |e| codes.contains(&e.code) && e.validity.covers(at))
    }
}

impl fmt::Debug for Applicant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Applicant(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("李娜")]
    #[case("阿卜杜热合曼·阿卜杜外力")]
    #[case("𠮷田")]
    #[case("Anna-Maria O'Neil")]
    fn names_of_all_nations_are_names(#[case] text: &str) {
        assert_eq!(text.parse::<PersonName>().unwrap().as_str(), text);
    }

    #[rstest]
    #[case("", None)]
    #[case(" 李娜", None)]
    #[case("李娜1", Some(('1', 3)))]
    #[case("李\u{0}娜", Some(('\u{0}', 2)))]
    #[case("·李", None)]
    #[case("李<b>", Some(('<', 2)))]
    fn what_is_no_name_is_refused_and_a_character_by_its_place(
        #[case] text: &str,
        #[case] found: Option<(char, usize)>,
    ) {
        let error = found.map_or(Error::Name, |(character, place)| Error::NameCharacter {
            character,
            place,
        });
        assert_eq!(text.parse::<PersonName>(), Err(error));
    }

    #[test]
    fn a_name_ends_where_the_card_ends() {
        assert!("李".repeat(40).parse::<PersonName>().is_ok());
        assert!("李".repeat(41).parse::<PersonName>().is_err());
    }

    proptest! {
        #[test]
        fn a_name_or_address_reads_back_and_never_panics(text in "\\PC*") {
            if let Ok(name) = text.parse::<PersonName>() {
                prop_assert_eq!(name.as_str().parse::<PersonName>(), Ok(name.clone()));
            }
            if let Ok(address) = text.parse::<Address>() {
                prop_assert_eq!(address.as_str().parse::<Address>(), Ok(address.clone()));
            }
        }
    }
}
