//! What must hold whatever bytes come: one function for each fuzz target, over nothing but bytes.
//!
//! The libFuzzer programs in `targets/` (nightly) call these functions, and so does `tests/it/replay.rs` (stable), with the
//! committed corpora and with changes of them: what the fuzzer once found stays found. A function panics when something
//! does not hold; that is all its answer.
//!
//! Left out: whatever needs a reader, a process or a network; those are in `hardware-tests`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a panic is how a fuzz target says that something does not hold"
)]

mod certificates;
mod encodings;
mod files;
mod fixture;
mod grown;
mod insider;
mod mandates;
mod reader;
mod shop;
mod stranger;
mod tape;
mod tlv;
mod updates;
mod wire;

pub use certificates::certificates;
pub use encodings::{apdu, objects};
pub use files::files;
pub use fixture::{Fixture, Recorded, with_fixture};
pub use grown::{pack, unpack};
pub use insider::{Done, insider, insider_done};
pub use mandates::mandates;
pub use reader::{reader, reader_took};
pub use shop::{Sold, shop, shop_sold};
pub use stranger::stranger;
pub use tape::Tape;
pub use tlv::tlv;
pub use updates::updates;

/// Name of a target, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets, in the order of the page `docs/soak.md`.
pub const TARGETS: [Target; 11] = [
    ("tlv", tlv),
    ("apdu", apdu),
    ("objects", objects),
    ("certificates", certificates),
    ("stranger", stranger),
    ("insider", insider),
    ("reader", reader),
    ("shop", shop),
    ("updates", updates),
    ("files", files),
    ("mandates", mandates),
];
