//! The photo store: judges, normalises, seals and releases permit photos.
//!
//! One photo, taken once, is used by every counter of the province that has an open case for its owner, and by nobody
//! else. Its life: received -> checked -> confirmed by a named person where a check warns -> normalised -> sealed ->
//! superseded -> shredded.
//!
//! | room | what it is for |
//! |---|---|
//! | [`keeping`] | sealed objects, their keys at the vault, the index |
//! | [`decoding`] | a stranger's bytes, decoded by a process that reaches nothing |
//! | [`service`] | the operations, each whole or not at all; the record of reads comes before the bytes |
//! | [`socket`] | the operations on a Unix socket |
//! | [`run`] | the program: arguments in, exit code out |
//!
//! What a picture is, how it is judged and made, is `photo-picture`'s. What is kept: `ga461` (the archive) and `print` (the card's face, from which `chip` and `thumb` are made when read);
//! the submitted file is never kept. Left out: recognising anybody, comparing photos of different people, and JPEG 2000.

mod cli;
pub mod decoding;
pub mod error;
pub mod keeping;
pub mod service;
pub mod socket;

pub use cli::run;
