//! The list of card numbers that count no more, whole and signed by the office's service key, so that whoever checks the code on a card's
//! back asks for no number.
//!
//! Text, ASCII, a line feed behind each line: `YZT-ENDED-1`, `signer` and the document signer's 130 hex digits, `day` and `YYYY-MM-DD`,
//! `count` and how many, the numbers in ascending order, `signature` and 128 hex digits (ECDSA P-256 over SHA-256 of every byte before this
//! line, r || s). Left out: why a number is on it, and since when.

use jiff::civil::Date;
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{Signature, VerifyingKey};
use permit_domain::CardNumber;

use crate::service_key::ServiceKey;

const FORM: &str = "YZT-ENDED-1";
/// For how many days behind its own a list says that a number is not on it.
pub const LIST_DAYS: i32 = 3;

/// A list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedList {
    /// Signs the codes of the cards that it speaks of, `04 || X || Y`.
    pub signer: [u8; 65],
    /// When it was made.
    pub day: Date,
    /// Numbers that count no more, ascending.
    pub numbers: Vec<CardNumber>,
}

impl EndedList {
    /// The whole text.
    #[must_use]
    pub fn signed(&self, key: &ServiceKey) -> String {
        let mut text = format!(
            "{FORM}\nsigner {}\nday {}\ncount {}\n",
            hex::encode(self.signer),
            self.day,
            self.numbers.len()
        );
        for number in &self.numbers {
            text.push_str(number.as_str());
            text.push('\n');
        }
        let signature: Signature = key.signer().sign(text.as_bytes());
        text.push_str("signature ");
        text.push_str(&hex::encode(signature.to_bytes()));
        text.push('\n');
        text
    }

    /// Takes a list apart that `office`, a point `04 || X || Y`, signed; nothing for any other text.
    #[must_use]
    pub fn verified(text: &str, office: &[u8; 65]) -> Option<Self> {
        let at = text.rfind("signature ")?;
        let (said, signature) = text.split_at(at);
        let signature = signature.strip_prefix("signature ")?.strip_suffix('\n')?;
        let signature = Signature::from_slice(&hex::decode(signature).ok()?).ok()?;
        let key = VerifyingKey::from_sec1_bytes(office).ok()?;
        key.verify(said.as_bytes(), &signature).ok()?;
        let mut lines = said.strip_suffix('\n')?.split('\n');
        if lines.next()? != FORM {
            return None;
        }
        let signer = hex::decode(lines.next()?.strip_prefix("signer ")?).ok()?;
        let day = lines.next()?.strip_prefix("day ")?.parse().ok()?;
        let count: usize = lines.next()?.strip_prefix("count ")?.parse().ok()?;
        let numbers: Vec<CardNumber> = lines.map(str::parse).collect::<Result<_, _>>().ok()?;
        let ascending = numbers.is_sorted_by(|a, b| a < b);
        (ascending && numbers.len() == count).then_some(Self {
            signer: signer.try_into().ok()?,
            day,
            numbers,
        })
    }

    /// Whether a number counts no more.
    #[must_use]
    pub fn has(&self, number: &str) -> bool {
        self.numbers
            .binary_search_by(|known| known.as_str().cmp(number))
            .is_ok()
    }

    /// Whether it says anything of a number that is not on it, on this day.
    #[must_use]
    pub fn is_fresh_on(&self, today: Date) -> bool {
        today
            .since(self.day)
            .is_ok_and(|age| (0..=LIST_DAYS).contains(&age.get_days()))
    }
}

#[cfg(test)]
mod tests {
    use issuer_office::random::Random;
    use jiff::civil::date;
    use rand::SeedableRng as _;

    use super::*;

    fn number(running: u64) -> CardNumber {
        CardNumber::new("44".parse().unwrap(), running).unwrap()
    }

    #[test]
    fn a_list_reads_back_and_no_other_text_or_key_does() {
        let key = ServiceKey::generate(&Random::new(rand::rngs::StdRng::seed_from_u64(5)));
        let other = ServiceKey::generate(&Random::new(rand::rngs::StdRng::seed_from_u64(6)));
        let list = EndedList {
            signer: [4; 65],
            day: date(2026, 12, 1),
            numbers: vec![number(1), number(7)],
        };
        let text = list.signed(&key);
        assert_eq!(EndedList::verified(&text, &key.public()), Some(list.clone()));
        assert_eq!(EndedList::verified(&text, &other.public()), None);
        let (seven, eight) = (number(7), number(8));
        for (from, to) in [
            (seven.as_str(), eight.as_str()),
            ("2026-12-01", "2026-12-02"),
            ("count 2", "count 1"),
            ("signature ", ""),
        ] {
            let edited = text.replacen(from, to, 1);
            assert_eq!(EndedList::verified(&edited, &key.public()), None, "{from}");
        }
        for end in 0..text.len() {
            assert_eq!(EndedList::verified(&text[..end], &key.public()), None);
        }
        assert!(list.has(number(7).as_str()) && !list.has(number(2).as_str()));
        assert!(list.is_fresh_on(date(2026, 12, 1)) && list.is_fresh_on(date(2026, 12, 4)));
        assert!(!list.is_fresh_on(date(2026, 12, 5)) && !list.is_fresh_on(date(2026, 11, 30)));
        let empty = EndedList {
            numbers: Vec::new(),
            ..list
        };
        assert_eq!(
            EndedList::verified(&empty.signed(&key), &key.public()),
            Some(empty)
        );
    }
}
