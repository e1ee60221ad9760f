//! The photo store: judges, normalises, seals and releases permit photos.
//!
//! One photo, taken once, is used by every counter of the province that has an open case for its owner, and by nobody
//! else. Its life: received -> checked -> confirmed by a named person where a check warns -> normalised -> sealed ->
//! superseded -> shredded.
//!
//! | module | what it does |
//! |---|---|
//! | [`ingest`] | limits before decoding; JPEG and PNG to pixels |
//! | [`judge`] | the checks, and the frame in which a picture becomes a permit photo |
//! | [`faces`], [`eyes`] | where faces and eyes are; never who it is |
//! | [`normalise`] | the four renditions, quality searched to fit the byte range |
//! | [`rules`] | profiles and limits as versioned data with source and grade |
//! | [`seal`], [`vault`] | one AES-256-GCM key per object, wrapped by the key vault |
//! | [`store`] | the index on SQLite or PostgreSQL: all SQL of the crate |
//! | [`service`] | the operations, each whole or not at all; the record of reads comes before the bytes |
//! | [`serve`] | the operations on a Unix socket |
//!
//! What is kept: `ga461` (the archive) and `print` (the card's face, from which `chip` and `thumb` are made when read);
//! the submitted file is never kept. Left out: recognising anybody, comparing photos of different people, and JPEG 2000.

pub mod error;
pub mod exif;
pub mod eyes;
pub mod faces;
pub mod ingest;
pub mod judge;
pub mod normalise;
pub mod raster;
pub mod rules;
pub mod seal;
pub mod serve;
pub mod service;
pub mod store;
pub mod vault;

pub use error::Error;
