//! A picture: from the bytes of a stranger to the renditions, by rules that are data. No disk, no network, no keys.
//!
//! | module | what it does |
//! |---|---|
//! | [`ingest`], `exif` | limits before decoding; JPEG and PNG to pixels |
//! | [`raster`] | pixels: turning, cropping, scaling |
//! | [`faces`], [`eyes`] | where faces and eyes are; never who it is |
//! | [`judge`] | the checks, and the frame in which a picture becomes a permit photo |
//! | [`page`] | a page of a paper, written anew |
//! | [`normalise`] | the four renditions, quality searched to fit the byte range |
//! | [`rules`] | profiles and limits as versioned data with source and grade |
//!
//! A crate of its own because pixels are hot in tests too: it alone is optimised there, and what uses it compiles quickly.

pub mod error;
mod exif;
pub mod eyes;
pub mod faces;
pub mod ingest;
pub mod judge;
pub mod normalise;
pub mod page;
pub mod raster;
pub mod rules;
