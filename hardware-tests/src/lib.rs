//! Issue and read over real PC/SC: a private virtual reader by default, any other reader by name.
//!
//! [`rig`] chooses the reader, [`scratch_issuer`] is an opened vault with its orders and terminals, [`scenario`] is what a
//! stranger, a bus, a clinic and the office do with a card. The tests in `tests/`, the program `hardware-tests` and the
//! bench run the same scenarios. No test names a reader or a port. [`conformance`] is the suite for card makers.
//!
//! Left out on purpose: the issuer's case work and store (tested in their crates and by `permit demo`), printers and HSMs,
//! which come with their issues.

pub mod conformance;
pub mod rig;
pub mod sample;
pub mod scenario;
pub mod scratch_issuer;

mod error;

pub use error::Error;
pub use rig::Rig;
pub use scratch_issuer::ScratchIssuer;
