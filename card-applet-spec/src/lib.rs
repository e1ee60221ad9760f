//! Every byte that the permit card and its readers agree on: commands, TLV, data groups, records, key derivation, the
//! secure channel, and what terminals load. The normative text is `../spec/`; each module names its chapter.
//!
//! Left out on purpose: any input or output, any storage, any policy. No std, no allocator: the card is built on it.
#![no_std]

pub mod apdu;
pub mod bundle;
pub mod bytes;
pub mod certificate;
pub mod codes;
pub mod counters;
pub mod crypto;
pub mod data_group;
pub mod date;
pub mod deny_list;
pub mod door_f;
pub mod door_s;
pub mod error;
#[cfg(any(feature = "cbor", feature = "serde"))]
mod interchange;
pub mod kdf;
pub mod lot;
#[cfg(feature = "meter")]
pub mod meter;
pub mod record;
pub mod rehearsal;
pub mod scp03;
pub mod script;
pub mod sealed_box;
pub mod settlement;
pub mod tlv;
pub mod update;
pub mod update_files;

pub use bytes::Bytes;
pub use error::Error;
