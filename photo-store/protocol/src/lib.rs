//! Messages of the photo store, and a client over any byte stream.
//!
//! One photo, taken once, is used by every counter that has an open case for its owner, and by nobody else. This crate
//! is what those counters link: the messages, the closed lists of codes with their texts and exit codes, the receipt
//! number, and [`Client`]. Frames are those of `service-contract`. It holds no decoder and no storage.
//!
//! The usual way of a photo: [`Client::submit`] -> (where a check warns) [`Client::confirm`] by a named person -> the
//! applicant carries the receipt -> [`Client::take_receipt`] opens the case -> [`Client::read`] as often as the case
//! needs, every read on record -> [`Client::close_case`].

mod client;
mod codes;
mod error;
mod messages;
pub mod operation;
mod pages;
mod receipt;

pub use client::Client;
pub use codes::{CheckCode, FailureCode, Texts};
pub use error::Error;
pub use messages::{
    Actor, CameraFrame, CaseNumber, Check, Confirm, Erase, Face, Guides, Judgement, Level,
    MAX_CAMERA_FRAME_BYTES, MAX_FRAME_BYTES, MAX_PHOTO_BYTES, OpenCase, PROTOCOL_VERSION, PageId, PaperCode,
    PersonId, PhotoId, PhotoState, PhotoStatus, Picture, Profile, Purpose, Read, ReadRecord, Receipt,
    ReceiptInfo, ReceiptPeriod, ReceiptState, Release, ReleaseToken, ServiceStatus, Submission, Submit,
    TakeBack, TakeReceipt, VaultState, Verdict,
};
pub use operation::{OPERATIONS, Request, Response};
pub use pages::{MAX_PAGES, NewPage, PageKept, PageLook, PageLooked, PagePicture, PageStatus};
pub use receipt::ReceiptNumber;
