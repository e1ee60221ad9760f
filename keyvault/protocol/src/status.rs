//! What the vault says of itself, and the custodians' shares.

use std::fmt;

use jiff::Timestamp;
use minicbor::{Decode, Encode};
use service_contract::{Journal, Operation, Policy};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::wire::PointBytes;

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

/// A custodian's share in clear, taken from an opened envelope. Wiped on drop, never printed.
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

/// Version of this protocol; both sides must speak the same.
pub const PROTOCOL_VERSION: u16 = 3;

/// The first message of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Hello(#[n(0)] pub Greeting);

impl Operation for Hello {
    type Answer = Welcome;
    const POLICY: Policy = Policy::of_today(Journal::None).while_sealed().idempotent();
    const DOORS: &'static [&'static str] = &["every connection"];
}

/// What a client says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Greeting {
    /// [`PROTOCOL_VERSION`] of the client.
    #[n(0)]
    pub version: u16,
    /// The client's ephemeral key; secrets for this client travel sealed to it.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub client_key: PointBytes,
}

/// The vault's answer to [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Welcome {
    /// [`PROTOCOL_VERSION`] of the vault.
    #[n(0)]
    pub version: u16,
    /// Number of the vault.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub vault: [u8; 16],
}

/// Reads the state of the vault.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ReadStatus;

impl Operation for ReadStatus {
    type Answer = Status;
    const POLICY: Policy = Policy::of_today(Journal::None).while_sealed().idempotent();
    const DOORS: &'static [&'static str] = &["keyvault status"];
}

/// Begins an unseal attempt, or joins the one that runs.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BeginUnseal;

impl Operation for BeginUnseal {
    type Answer = Attempt;
    const POLICY: Policy = Policy::of_today(Journal::None).while_sealed().idempotent();
    const DOORS: &'static [&'static str] = &["keyvault unseal"];
}

/// Gives a share to the attempt that runs.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct GiveShare(#[n(0)] pub SealedShare);

impl Operation for GiveShare {
    type Answer = UnsealProgress;
    const POLICY: Policy = Policy::of_today(Journal::Before).while_sealed();
    const DOORS: &'static [&'static str] = &["keyvault unseal"];
}

/// A share on its way: sealed to the key of the attempt, with vault, epoch, index and attempt as context.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SealedShare {
    /// The attempt.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub attempt: [u8; 16],
    /// The vault that the share names.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub vault: [u8; 16],
    /// The epoch that it names.
    #[n(2)]
    pub epoch: u32,
    /// Number of the share.
    #[n(3)]
    pub index: u8,
    /// The 32 secret bytes, sealed.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub sealed: Vec<u8>,
}

impl SealedShare {
    /// The context under which the share is sealed.
    #[must_use]
    pub fn context(attempt: &[u8; 16], vault: &[u8; 16], epoch: u32, index: u8) -> Vec<u8> {
        let mut out = Vec::with_capacity(37);
        out.extend_from_slice(attempt);
        out.extend_from_slice(vault);
        out.extend_from_slice(&epoch.to_be_bytes());
        out.push(index);
        out
    }
}

/// Seals the vault: all keys leave memory.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Seal(#[n(0)] pub SealRequest);

impl Operation for Seal {
    type Answer = ();
    const POLICY: Policy = Policy::of_today(Journal::Before).while_sealed();
    const DOORS: &'static [&'static str] = &["keyvault seal"];
}

/// A request to seal.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SealRequest {
    /// Who seals, for the journal; any one custodian can.
    #[n(0)]
    pub by: String,
}
