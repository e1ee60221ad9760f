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
#[cfg(any(feature = "cbor", feature = "serde"))]
mod interchange;
pub mod kdf;
pub mod lot;
#[cfg(feature = "meter")]
pub mod meter;
pub mod record;
pub mod scp03;
pub mod script;
pub mod sealed_box;
pub mod settlement;
pub mod tlv;
pub mod update;
pub mod update_files;

/// What can be wrong with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The other side sent something that is not in the form of the specification.
    #[error("{what} has a wrong form")]
    Malformed {
        /// The object, in the words of the specification.
        what: &'static str,
    },
    /// Our side wants to write more than the form has room for.
    #[error("{what} does not fit")]
    TooLong {
        /// The object, in the words of the specification.
        what: &'static str,
    },
    /// A MAC, signature, tag, point or key is not right. Deliberately one value: which of them is nobody's business.
    #[error("the cryptographic check failed")]
    Crypto,
}

/// Bytes in a buffer of fixed room.
pub type Bytes<const N: usize> = heapless::Vec<u8, N>;
