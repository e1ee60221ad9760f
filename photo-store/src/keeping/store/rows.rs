//! From columns to types. A value that this program never wrote is damage, named by its column.

use std::str::FromStr;

use photo_store_protocol::{PageId, PersonId, PhotoId};

use crate::error::Error;

pub(super) fn photo_id(bytes: &[u8]) -> Result<PhotoId, Error> {
    bytes
        .try_into()
        .map(PhotoId::from_bytes)
        .map_err(|_| Error::IndexDamaged("photo"))
}

pub(super) fn page_id(bytes: &[u8]) -> Result<PageId, Error> {
    bytes
        .try_into()
        .map(PageId::from_bytes)
        .map_err(|_| Error::IndexDamaged("page"))
}

pub(super) fn person_id(bytes: &[u8]) -> Result<PersonId, Error> {
    bytes
        .try_into()
        .map(PersonId::from_bytes)
        .map_err(|_| Error::IndexDamaged("person"))
}

pub(super) fn parsed<T: FromStr>(text: &str, column: &'static str) -> Result<T, Error> {
    text.parse().map_err(|_| Error::IndexDamaged(column))
}

/// What was read a moment ago in the same transaction is written once.
pub(super) fn one(rows: u64, table: &'static str) -> Result<(), Error> {
    if rows == 1 {
        Ok(())
    } else {
        Err(Error::IndexDamaged(table))
    }
}
