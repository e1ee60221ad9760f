//! What the vault says of itself, and the custodians' shares.

use std::fmt;

use jiff::Timestamp;
use minicbor::{Decode, Encode};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::PointBytes;

/// State of the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum VaultState {
    /// No key is in memory.
    #[n(0)]
    Sealed,
    /// Some shares were given, not yet enough.
    #[n(1)]
    Unsealing,
    /// In service.
    #[n(2)]
    Open,
    /// The store is damaged: nothing is served.
    #[n(3)]
    Damaged,
}

impl VaultState {
    /// The name as scripts see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Unsealing => "unsealing",
            Self::Open => "open",
            Self::Damaged => "damaged",
        }
    }
}

/// Answer to [`Client::status`](crate::Client::status).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Status {
    /// State of the vault.
    #[n(0)]
    pub state: VaultState,
    /// Number of the vault, 16 random bytes, public.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub vault: [u8; 16],
    /// Epoch of the present set of shares, from 1.
    #[n(2)]
    pub epoch: u32,
    /// Shares needed to open.
    #[n(3)]
    pub threshold: u8,
    /// Names of all custodians, in the order of their shares.
    #[n(4)]
    pub custodians: Vec<String>,
    /// The unseal attempt that runs, if one does.
    #[n(5)]
    pub attempt: Option<Attempt>,
    /// Latest time that the vault has seen.
    #[cbor(n(6), with = "crate::wire::instant")]
    pub high_water: Timestamp,
}

/// An unseal attempt: one at a time, 15 minutes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Attempt {
    /// Number of the attempt, 16 random bytes.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub id: [u8; 16],
    /// The vault's ephemeral key: shares travel sealed to it.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub key: PointBytes,
    /// First 8 bytes of SHA-256 of the key in groups of four hex digits, for custodians to compare.
    #[n(2)]
    pub fingerprint: String,
    /// Custodians whose shares were accepted.
    #[n(3)]
    pub given: Vec<String>,
    /// When the attempt ends.
    #[cbor(n(4), with = "crate::wire::instant")]
    pub ends: Timestamp,
}

/// Where the unsealing stands after a share.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct UnsealProgress {
    /// `Open` once the last share needed was given.
    #[n(0)]
    pub state: VaultState,
    /// Shares accepted so far.
    #[n(1)]
    pub given: u8,
    /// Shares needed.
    #[n(2)]
    pub needed: u8,
    /// Epoch of the set.
    #[n(3)]
    pub epoch: u32,
    /// Custodians who have not given theirs; any `needed - given` of them will do.
    #[n(4)]
    pub missing: Vec<String>,
}

/// A custodian's share in clear, taken from an opened package. Wiped on drop, never printed.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Share {
    /// The vault that the share opens.
    #[zeroize(skip)]
    pub vault: [u8; 16],
    /// The set that it belongs to.
    #[zeroize(skip)]
    pub epoch: u32,
    /// Number of the share, the x of the polynomial, 1 to 255.
    #[zeroize(skip)]
    pub index: u8,
    value: [u8; 32],
}

impl Share {
    /// Takes the parts over.
    #[must_use]
    pub fn new(vault: [u8; 16], epoch: u32, index: u8, value: [u8; 32]) -> Self {
        Self {
            vault,
            epoch,
            index,
            value,
        }
    }

    /// The secret ordinates, one per byte of the secret.
    #[must_use]
    pub fn value(&self) -> &[u8; 32] {
        &self.value
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Share({} of epoch {}, ..)", self.index, self.epoch)
    }
}
