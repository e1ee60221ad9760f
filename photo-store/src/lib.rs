//! The photo store: judges, normalises, seals and releases permit photos.
//!
//! A photo goes: received -> checked -> confirmed by a named person where a check warns -> normalised -> sealed ->
//! superseded -> shredded.

pub mod error;
pub mod exif;
pub mod eyes;
pub mod faces;
pub mod ingest;
pub mod judge;
pub mod normalise;
pub mod raster;
pub mod rules;

pub use error::Error;
