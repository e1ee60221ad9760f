//! Messages of the photo store, and a client over any byte stream.
//!
//! One photo, taken once, is used by every counter that has an open case for its owner, and by nobody else. This crate
//! is what those counters link: frames of a big-endian length and CBOR, the messages, the closed lists of codes with
//! their texts, the receipt number, and [`Client`]. It holds no decoder and no storage.
//!
//! The usual way of a photo: [`Client::submit`] -> (where a check warns) [`Client::confirm`] by a named person -> the
//! applicant carries the receipt -> [`Client::take_receipt`] opens the case -> [`Client::read`] as often as the case
//! needs, every read on record -> [`Client::close_case`].

pub mod client;
pub mod codes;
pub mod frame;
mod messages;
mod receipt;

pub use client::{Client, Error};
pub use codes::{CheckCode, FailureCode, Texts};
pub use messages::{
    Actor, CaseNumber, Check, Confirm, Erase, Face, Guides, Judgement, Level, OpenCase, PROTOCOL_VERSION,
    PersonId, PhotoId, PhotoState, PhotoStatus, Picture, Profile, Purpose, Read, ReadRecord, Receipt,
    ReceiptInfo, ReceiptPeriod, ReceiptState, Release, ReleaseToken, Request, Response, ServiceStatus,
    Submission, Submit, TakeReceipt, VaultState, Verdict,
};
pub use receipt::ReceiptNumber;
