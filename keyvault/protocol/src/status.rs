//! What the vault says of itself, and how custodians open and seal it.

use jiff::Timestamp;
use minicbor::{Decode, Encode};
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use service_contract::{Caller, Journal, Operation, Policy};
use sha2::{Digest as _, Sha256};

use crate::custodian::CustodianProof;
use crate::wire::{PointBytes, SignatureBytes};

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

impl Attempt {
    /// The bytes that the vault's transport key signs for one connection:
    /// `"YZT-ATTEMPT-1" || vault 16 || client's ephemeral key 65 || attempt 16 || attempt's key 65 || end, seconds 8`.
    #[must_use]
    pub fn proved_bytes(&self, vault: &[u8; 16], client_key: &PointBytes) -> Vec<u8> {
        let ends = self.ends.as_second().to_be_bytes();
        let parts: [&[u8]; 6] = [b"YZT-ATTEMPT-1", vault, client_key, &self.id, &self.key, &ends];
        parts.concat()
    }
}

/// An attempt, and the proof that the vault of a transport key began it and says so on this connection: no other process
/// can put a key of its own in the place of the attempt's, and nothing that was said on another connection serves on this one.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ProvedAttempt {
    /// The attempt.
    #[n(0)]
    pub attempt: Attempt,
    /// The transport key's signature over [`Attempt::proved_bytes`].
    #[cbor(n(1), with = "minicbor::bytes")]
    pub proof: SignatureBytes,
}

impl ProvedAttempt {
    /// The attempt, if the transport key stands behind it.
    pub(crate) fn by(
        self,
        transport: &PointBytes,
        vault: &[u8; 16],
        client_key: &PointBytes,
    ) -> Option<Attempt> {
        let key = VerifyingKey::from_sec1_bytes(transport).ok()?;
        let proof = Signature::from_slice(&self.proof).ok()?;
        key.verify(&self.attempt.proved_bytes(vault, client_key), &proof)
            .ok()?;
        Some(self.attempt)
    }
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
pub const PROTOCOL_VERSION: u16 = 4;

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
    /// The public half of its transport key: a claim, until something is proved with it.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub transport: PointBytes,
    /// Different on each connection: what a custodian proves on it is worth nothing on another.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub challenge: [u8; 16],
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
pub struct BeginUnseal(#[n(0)] pub CustodianProof);

impl Operation for BeginUnseal {
    type Answer = ProvedAttempt;
    const POLICY: Policy = Policy::of_today(Journal::None)
        .who(&[Caller::Custodian])
        .while_sealed()
        .idempotent();
    const DOORS: &'static [&'static str] = &["keyvault unseal"];
}

/// Gives a share to the attempt that runs: who has it is its custodian.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct GiveShare(#[n(0)] pub SealedShare);

impl Operation for GiveShare {
    type Answer = UnsealProgress;
    const POLICY: Policy = Policy::of_today(Journal::Before)
        .who(&[Caller::Custodian])
        .while_sealed();
    const DOORS: &'static [&'static str] = &["keyvault unseal"];
}

/// A share on its way: sealed to the key of the attempt, with vault, epoch, index, attempt and generation as context.
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
}

impl SealedShare {
    /// The context under which the share is sealed.
    #[must_use]
    pub fn context(attempt: &[u8; 16], vault: &[u8; 16], epoch: u32, index: u8, seen: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(45);
        out.extend_from_slice(attempt);
        out.extend_from_slice(vault);
        out.extend_from_slice(&epoch.to_be_bytes());
        out.push(index);
        out.extend_from_slice(&seen.to_be_bytes());
        out
    }
}

/// Seals the vault: all keys leave memory. While it is being opened: ends the attempt that the same custodian began.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Seal(#[n(0)] pub CustodianProof);

impl Operation for Seal {
    type Answer = ();
    const POLICY: Policy = Policy::of_today(Journal::Before)
        .who(&[Caller::Custodian])
        .while_sealed();
    const DOORS: &'static [&'static str] = &["keyvault seal"];
}

#[cfg(test)]
mod tests {
    use p256::ecdsa::SigningKey;
    use p256::ecdsa::signature::Signer as _;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::sealed::{fresh_key, point_of};

    #[test]
    fn a_proof_holds_for_its_attempt_vault_connection_and_transport_key_alone() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut point = || point_of(&fresh_key(&mut rng).public_key());
        let (client_key, other) = (point(), point());
        let attempt = Attempt {
            id: [9; 16],
            key: point(),
            fingerprint: "0011 2233".into(),
            given: vec![],
            ends: Timestamp::UNIX_EPOCH,
        };
        let key = fresh_key(&mut rng);
        let transport = point_of(&key.public_key());
        let signature: Signature = SigningKey::from(&key).sign(&attempt.proved_bytes(&[1; 16], &client_key));
        let proved = ProvedAttempt {
            attempt,
            proof: signature.to_bytes().into(),
        };
        let by = |proved: &ProvedAttempt, transport, vault: u8, client_key| {
            proved.clone().by(transport, &[vault; 16], client_key).is_some()
        };
        assert!(by(&proved, &transport, 1, &client_key));
        assert!(!by(&proved, &other, 1, &client_key));
        assert!(!by(&proved, &transport, 2, &client_key));
        assert!(!by(&proved, &transport, 1, &other));
        assert!(!by(&proved, &[4; 65], 1, &client_key));
        let wrongs: [fn(&mut ProvedAttempt); 4] = [
            |proved| proved.attempt.id[0] ^= 1,
            |proved| proved.attempt.key[64] ^= 1,
            |proved| proved.attempt.ends = Timestamp::MAX,
            |proved| proved.proof[0] ^= 1,
        ];
        for wrong in wrongs {
            let mut another = proved.clone();
            wrong(&mut another);
            assert!(!by(&another, &transport, 1, &client_key));
        }
    }

    #[test]
    fn a_fingerprint_has_four_groups_of_the_keys_digest() {
        // The first 8 bytes of SHA-256 of 65 bytes 04, as Python's hashlib has them.
        assert_eq!(fingerprint(&[4; 65]), "9bda 95bd a1ef 8f1b");
    }
}
