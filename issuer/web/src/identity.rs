//! The reader of identity documents, as the pages need it: whoever runs them lends one, and without one the items are typed.
//!
//! A reader gives the items that the form has, and the days of the document. Picture and fingerprints, which a document also has, are not
//! asked for; nothing that was read is kept but in the form on the clerk's screen. Left out: drivers of real devices, which come with the
//! counter PC's program.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};

use program_contract::Failure;

use crate::failure;

/// What is read off a document, as the form's fields have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityDocument {
    /// 18 characters.
    pub citizen_number: String,
    /// As it is printed.
    pub name: String,
    /// GB/T 2261.1: `1` or `2`.
    pub sex: String,
    /// GB/T 3304, two digits.
    pub nation: String,
    /// `YYYY-MM-DD`.
    pub birth_date: String,
    /// Address of permanent registration.
    pub hukou_address: String,
    /// First day of the document, `YYYY-MM-DD`.
    pub from: String,
    /// Last day; empty for one without end (长期).
    pub to: String,
}

/// A document that is being read.
pub type Reading<'a> = Pin<Box<dyn Future<Output = Result<IdentityDocument, Failure>> + Send + 'a>>;

/// A reader of identity documents.
pub trait IdentityReader: Send + Sync {
    /// Whether what it reads are made-up people: such a reader is there in a rehearsal alone.
    fn is_simulated(&self) -> bool;

    /// Reads the document that lies on it.
    fn read(&self) -> Reading<'_>;
}

/// A reader of a rehearsal: at each reading the document of the next of many made-up people.
#[derive(Debug, Default)]
pub struct SimulatedIdentityReader {
    read: AtomicU64,
}

/// Family and given names of people who do not exist.
const NAMES: [&str; 10] = [
    "陈晓岚",
    "林志远",
    "黄嘉敏",
    "吴建平",
    "郑雅文",
    "何永康",
    "谢思琪",
    "罗文博",
    "唐美玲",
    "韦国强",
];
/// Weights of the check character (GB 11643).
const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CHECKS: &[u8; 11] = b"10X98765432";

impl SimulatedIdentityReader {
    /// The document of the person of this number, for ever the same.
    fn of(number: u64) -> Option<IdentityDocument> {
        let name = NAMES.get(usize::try_from(number % 10).ok()?)?;
        let (year, month, day) = (1980 + number % 20, 1 + number % 12, 1 + number % 28);
        let order = 100 + number % 900;
        let body = format!("430102{year}{month:02}{day:02}{order:03}");
        let sum: u32 = body
            .bytes()
            .zip(WEIGHTS)
            .map(|(digit, weight)| u32::from(digit.wrapping_sub(b'0')) * weight)
            .sum();
        let check = char::from(*CHECKS.get(usize::try_from(sum % 11).ok()?)?);
        Some(IdentityDocument {
            citizen_number: format!("{body}{check}"),
            name: (*name).to_owned(),
            sex: if order % 2 == 1 { "1" } else { "2" }.to_owned(),
            nation: "01".to_owned(),
            birth_date: format!("{year}-{month:02}-{day:02}"),
            hukou_address: format!("湖南省长沙市芙蓉区五一大道{}号", 10 + number % 200),
            from: "2020-06-01".to_owned(),
            to: "2040-06-01".to_owned(),
        })
    }
}

impl IdentityReader for SimulatedIdentityReader {
    fn is_simulated(&self) -> bool {
        true
    }

    fn read(&self) -> Reading<'_> {
        let number = self.read.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move { Self::of(number).ok_or_else(failure::nothing_read) })
    }
}

#[cfg(test)]
mod tests {
    use permit_domain::CitizenNumber;

    use super::*;

    #[test]
    fn made_up_people_have_numbers_that_say_what_their_documents_say() {
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..300 {
            let document = SimulatedIdentityReader::of(number).unwrap();
            let read: CitizenNumber = document.citizen_number.parse().unwrap();
            assert_eq!(read.birth_date().to_string(), document.birth_date);
            assert_eq!(read.sex().code(), document.sex);
            assert!(seen.insert(document.citizen_number), "{number}");
        }
    }
}
