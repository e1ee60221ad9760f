//! From rows to values: what does not parse was not written by this program.

use std::str::FromStr;

use jiff::{Timestamp, civil::Date};
use permit_domain::Digest;

use crate::error::Error;

/// An instant as stored: milliseconds.
pub(crate) fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// An instant as read.
pub(crate) fn instant(millis: i64, what: &str) -> Result<Timestamp, Error> {
    Timestamp::from_millisecond(millis).map_err(|_| Error::Damaged {
        what: what.to_owned(),
    })
}

/// A value that our code wrote by `Display`.
pub(crate) fn value<T: FromStr>(text: &str, what: &str) -> Result<T, Error> {
    text.parse().map_err(|_| Error::Damaged {
        what: what.to_owned(),
    })
}

/// One that must be there in this state.
pub(crate) fn present<T>(value: Option<T>, what: &str) -> Result<T, Error> {
    value.ok_or_else(|| Error::Damaged {
        what: what.to_owned(),
    })
}

/// A value that must be there in this state, parsed.
pub(crate) fn present_value<T: FromStr>(text: Option<&str>, what: &str) -> Result<T, Error> {
    value(present(text, what)?, what)
}

/// A date that must be there in this state.
pub(crate) fn present_date(text: Option<&str>, what: &str) -> Result<Date, Error> {
    present_value(text, what)
}

/// A row that does not parse, or does not fit together.
pub(crate) fn damaged(what: &str) -> Error {
    Error::Damaged {
        what: what.to_owned(),
    }
}

/// 32 bytes.
pub(crate) fn digest(bytes: Vec<u8>, what: &str) -> Result<Digest, Error> {
    bytes
        .try_into()
        .map(Digest::from_bytes)
        .map_err(|_| damaged(what))
}

/// A figure of 32 bits.
pub(crate) fn number(value: i64, what: &str) -> Result<u32, Error> {
    u32::try_from(value).map_err(|_| damaged(what))
}

/// A value as JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|_| Error::Refused {
        code: "JSON".to_owned(),
    })
}
