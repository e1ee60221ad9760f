//! What the vault says of itself, and how custodians open and seal it.

use jiff::Timestamp;
use jiff::civil::Date;
use minicbor::{Decode, Encode};
use service_contract::{Caller, Journal, Kind, Operation, Policy};
use sha2::{Digest as _, Sha256};

use crate::identity::TransportStatement;
use crate::request::SignedRequest;
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
    /// Generation of the store as it is on disk: a request that sets the time names it.
    #[n(7)]
    pub generation: u64,
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
    /// [`fingerprint`] of the key.
    #[n(2)]
    pub fingerprint: String,
    /// Custodians whose shares were accepted.
    #[n(3)]
    pub given: Vec<String>,
    /// When the attempt ends.
    #[cbor(n(4), with = "crate::wire::instant")]
    pub ends: Timestamp,
}

/// What people compare of a key: the first 8 bytes of its SHA-256, in groups of four hex digits.
#[must_use]
pub fn fingerprint(key: &PointBytes) -> String {
    let digest = Sha256::digest(key);
    let groups: Vec<String> = digest
        .chunks(2)
        .take(4)
        .map(|two| {
            two.iter()
                .fold(0_u16, |group, byte| group << 8 | u16::from(*byte))
        })
        .map(|group| format!("{group:04x}"))
        .collect();
    groups.join(" ")
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
    /// Generation of the store, once the vault is open: whoever remembers it finds a store of an earlier moment.
    #[n(5)]
    pub generation: Option<u64>,
}

/// Version of this protocol; both sides must speak the same.
pub const PROTOCOL_VERSION: u16 = 6;

/// The first message of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Hello(#[n(0)] pub Greeting);

impl Operation for Hello {
    type Answer = Welcome;
    const POLICY: Policy = Policy::of(&[Caller::Anyone], Journal::None)
        .while_sealed()
        .idempotent();
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
    /// That the vault's operating key stands behind the transport key of this channel; an open vault alone can say it.
    #[n(2)]
    pub statement: Option<TransportStatement>,
    /// Generation of the open vault's store.
    #[n(3)]
    pub generation: Option<u64>,
}

/// Reads the state of the vault.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ReadStatus;

impl Operation for ReadStatus {
    type Answer = Status;
    const POLICY: Policy = Policy::of(&[Caller::Anyone], Journal::None)
        .while_sealed()
        .idempotent();
    const DOORS: &'static [&'static str] = &["keyvault status"];
}

/// Begins an unseal attempt, or joins the one that runs.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BeginUnseal;

impl Operation for BeginUnseal {
    type Answer = Attempt;
    const POLICY: Policy = Policy::of(&[Caller::Custodian], Journal::None)
        .only(Kind::Person)
        .while_sealed()
        .idempotent();
    const DOORS: &'static [&'static str] = &["keyvault unseal"];
}

/// Gives a share to the attempt that runs: who has it is its custodian. Beside it, where the time is to be set, the officers'
/// request that says the same day as the custodians.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct GiveShare(#[n(0)] pub SealedShare, #[n(1)] pub Option<SignedRequest>);

impl Operation for GiveShare {
    type Answer = UnsealProgress;
    const POLICY: Policy = Policy::of(&[Caller::Custodian], Journal::Before)
        .only(Kind::Person)
        .while_sealed();
    const DOORS: &'static [&'static str] = &["keyvault unseal"];
}

/// A share on its way: sealed to the key of the attempt, with vault, epoch, index, attempt, generation and day as context.
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
    /// The newest generation of the store that the custodian remembers, 0 for none: an earlier one is not opened.
    #[n(5)]
    pub seen: u64,
    /// The day that it is, as the custodian says; none where nobody has to say it.
    #[cbor(n(6), with = "crate::wire::optional_date")]
    pub day: Option<Date>,
}

impl SealedShare {
    /// The context under which the share is sealed.
    #[must_use]
    pub fn context(
        attempt: &[u8; 16],
        vault: &[u8; 16],
        epoch: u32,
        index: u8,
        seen: u64,
        day: Option<Date>,
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(55);
        out.extend_from_slice(attempt);
        out.extend_from_slice(vault);
        out.extend_from_slice(&epoch.to_be_bytes());
        out.push(index);
        out.extend_from_slice(&seen.to_be_bytes());
        if let Some(day) = day {
            out.extend_from_slice(day.to_string().as_bytes());
        }
        out
    }
}

/// Seals the vault: all keys leave memory. While it is being opened: ends the attempt that the same custodian began.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Seal;

impl Operation for Seal {
    type Answer = ();
    const POLICY: Policy = Policy::of(&[Caller::Custodian, Caller::KeyOfficer], Journal::Before)
        .only(Kind::Person)
        .while_sealed();
    const DOORS: &'static [&'static str] = &["keyvault seal"];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_has_four_groups_of_the_keys_digest() {
        // The first 8 bytes of SHA-256 of 65 bytes 04, as Python's hashlib has them.
        assert_eq!(fingerprint(&[4; 65]), "9bda 95bd a1ef 8f1b");
    }
}
