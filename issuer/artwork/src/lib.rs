//! The faces of a card as PNG: 1011 x 638 px at 300 dpi, from an SVG template per face and jurisdiction.
//!
//! Decree 663 (居住证暂行条例), article 4, closes the list of what the front may show: ten items. The back shows the card
//! number, the chip's serial, a signed QR code without personal data, and what to do when the card is found.
//! Drawing stops on a character that no font draws and on a text that does not fit at the legal minimum: never a box,
//! never a cut name on a card. Left out: PDF output (the printer takes the raster), the printer itself.

mod area;
mod artist;
mod error;
mod face;
mod fit;
mod fonts;
mod png;
pub mod qr;
mod sample;
mod template;

pub use area::Area;
pub use artist::Artist;
pub use error::ArtworkError;
pub use face::{BackFace, Face, FrontFace, HEIGHT, PIXELS_PER_METRE, WIDTH};
pub use fonts::CardFonts;
pub use sample::{DIVISION as SAMPLE_DIVISION, sample_back, sample_front};
