//! Requests and responses. Numbers are the wire's: a new message takes a new number, none is used again.

use jiff::civil::Date;
use minicbor::{Decode, Encode};

use crate::{
    Anchors, Attempt, BundleRequest, CardBack, CardTask, DenyListRequest, LineCheck, LotRequest,
    OrderSession, PendingUpdates, PhotoKeyContext, PointBytes, QueuedUpdate, Receipt, ReceiptOutcome,
    Refusal, Region, Role, RoleKeyInfo, Script, Serial, SettlementLine, SignatureBytes, SignedOrder,
    SlotVersion, Status, TerminalInfo, UnsealProgress, UpdateTask, UpdatesRequest, WrappedKey,
};

/// Version of this protocol; both sides must speak the same.
pub const PROTOCOL_VERSION: u16 = 2;
/// Most answers in one [`Request::ContinueCard`].
pub const MAX_ANSWERS: usize = 512;

/// First message of the client.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Hello {
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

/// A share on its way: sealed to the key of the attempt, with vault, epoch, index and attempt as context.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ShareEnvelope {
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

impl ShareEnvelope {
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

/// A request to seal.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SealRequest {
    /// Who seals, for the journal; any one custodian can.
    #[n(0)]
    pub by: String,
}

/// A request to enrol an issuer's service key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct EnrolIssuer {
    /// Name that its orders carry, 1 to 64 bytes.
    #[n(0)]
    pub name: String,
    /// Its public key.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub key: PointBytes,
}

/// What a client asks. "SEALED" in a comment: refused while the vault is sealed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    /// First of all.
    #[n(0)]
    Hello(#[n(0)] Hello),
    /// State of the vault.
    #[n(1)]
    Status,
    /// Begin an unseal attempt, or join the one that runs.
    #[n(2)]
    BeginUnseal,
    /// Give a share.
    #[n(3)]
    GiveShare(#[n(0)] ShareEnvelope),
    /// Seal. SEALED.
    #[n(4)]
    Seal(#[n(0)] SealRequest),
    /// Enrol an issuer's key. SEALED.
    #[n(5)]
    EnrolIssuer(#[n(0)] EnrolIssuer),
    /// Make a data key. SEALED.
    #[n(6)]
    PhotoKeyNew(#[n(0)] PhotoKeyContext),
    /// Unwrap a data key. SEALED.
    #[n(7)]
    PhotoKeyOpen {
        /// What the key is for.
        #[n(0)]
        context: PhotoKeyContext,
        /// The wrapped key.
        #[n(1)]
        wrapped: WrappedKey,
    },
    /// Present an order. SEALED.
    #[n(8)]
    OpenOrder(#[n(0)] SignedOrder),
    /// Begin with a card. SEALED.
    #[n(9)]
    StartCard {
        /// The order.
        #[cbor(n(0), with = "minicbor::bytes")]
        order: [u8; 16],
        /// Index of the card in the order.
        #[n(1)]
        index: u32,
        /// Serial of the card.
        #[n(2)]
        serial: Serial,
        /// What to do.
        #[n(3)]
        task: CardTask,
    },
    /// Go on with the card's answers. SEALED.
    #[n(10)]
    ContinueCard {
        /// The order.
        #[cbor(n(0), with = "minicbor::bytes")]
        order: [u8; 16],
        /// Index of the card.
        #[n(1)]
        index: u32,
        /// Answers of the card, body and status word each.
        #[cbor(n(2), with = "crate::wire::byte_strings")]
        answers: Vec<Vec<u8>>,
    },
    /// Export a terminal's bundle. SEALED.
    #[n(11)]
    ExportBundle(#[n(0)] BundleRequest),
    /// Export the transport keys of a lot. SEALED.
    #[n(12)]
    ExportLot(#[n(0)] LotRequest),
    /// Sign the statement of a card's back. SEALED.
    #[n(13)]
    SignCardBack(#[n(0)] CardBack),
    /// The public keys. SEALED.
    #[n(14)]
    Anchors,
    /// Put a card's pseudonyms onto the deny lists. SEALED.
    #[n(15)]
    DenyCard {
        /// Serial of the card.
        #[n(0)]
        serial: Serial,
    },
    /// Take a card from the deny lists. SEALED.
    #[n(16)]
    AllowCard {
        /// Serial of the card.
        #[n(0)]
        serial: Serial,
    },
    /// Deny the card behind a chain of settlement lines. SEALED.
    #[n(17)]
    DenyChain {
        /// The chain.
        #[cbor(n(0), with = "minicbor::bytes")]
        chain: [u8; 16],
    },
    /// A signed deny list. SEALED.
    #[n(18)]
    ExportDenyList(#[n(0)] DenyListRequest),
    /// A new Active version of a role key. SEALED.
    #[n(19)]
    RotateRole {
        /// The role.
        #[n(0)]
        role: Role,
        /// The region.
        #[n(1)]
        region: Region,
        /// Last day of the version that was Active.
        #[cbor(n(2), with = "crate::wire::date")]
        drain_until: Date,
    },
    /// A version is compromised. SEALED.
    #[n(20)]
    CompromiseRole {
        /// The role.
        #[n(0)]
        role: Role,
        /// The region.
        #[n(1)]
        region: Region,
        /// The version.
        #[n(2)]
        version: u8,
    },
    /// Destroy the keys of a version. SEALED.
    #[n(21)]
    RetireRole {
        /// The role.
        #[n(0)]
        role: Role,
        /// The region.
        #[n(1)]
        region: Region,
        /// The version.
        #[n(2)]
        version: u8,
    },
    /// All versions of all role keys. SEALED.
    #[n(22)]
    RoleKeys,
    /// The live slots of a card. SEALED.
    #[n(23)]
    CardVersions {
        /// Serial of the card.
        #[n(0)]
        serial: Serial,
    },
    /// Seal an update. SEALED.
    #[n(24)]
    SealUpdate {
        /// The order.
        #[cbor(n(0), with = "minicbor::bytes")]
        order: [u8; 16],
        /// Index of the card in the order.
        #[n(1)]
        index: u32,
        /// Serial of the card.
        #[n(2)]
        serial: Serial,
        /// The change.
        #[n(3)]
        task: UpdateTask,
    },
    /// A terminal's batch of updates. SEALED.
    #[n(25)]
    ExportUpdates(#[n(0)] UpdatesRequest),
    /// Receipts of terminals. SEALED.
    #[n(26)]
    AcceptReceipts {
        /// At most [`MAX_RECEIPTS`](crate::MAX_RECEIPTS), of any terminals in any order.
        #[n(0)]
        receipts: Vec<Receipt>,
    },
    /// What waits for a card. SEALED.
    #[n(27)]
    PendingUpdates {
        /// Serial of the card.
        #[n(0)]
        serial: Serial,
    },
    /// Revoke a terminal. SEALED.
    #[n(28)]
    RevokeTerminal {
        /// Its name.
        #[n(0)]
        name: String,
    },
    /// All terminals. SEALED.
    #[n(29)]
    Terminals,
    /// Check settlement lines. SEALED.
    #[n(30)]
    CheckLines {
        /// At most [`MAX_LINES`](crate::MAX_LINES).
        #[n(0)]
        lines: Vec<SettlementLine>,
    },
}

/// What the vault answers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Response {
    /// No.
    #[n(0)]
    Refused(#[n(0)] Refusal),
    /// To `Hello`.
    #[n(1)]
    Welcome(#[n(0)] Welcome),
    /// To `Status`.
    #[n(2)]
    Status(#[n(0)] Status),
    /// To `BeginUnseal`.
    #[n(3)]
    Attempt(#[n(0)] Attempt),
    /// To `GiveShare`.
    #[n(4)]
    Progress(#[n(0)] UnsealProgress),
    /// Done, nothing to report.
    #[n(5)]
    Done,
    /// A data key, sealed to the client's key, and its wrapping.
    #[n(6)]
    PhotoKey {
        /// The key, sealed.
        #[cbor(n(0), with = "minicbor::bytes")]
        sealed: Vec<u8>,
        /// The wrapping to store.
        #[n(1)]
        wrapped: WrappedKey,
    },
    /// To `OpenOrder`.
    #[n(7)]
    Order(#[n(0)] OrderSession),
    /// To `StartCard` and `ContinueCard`.
    #[n(8)]
    Script(#[n(0)] Script),
    /// A sealed export.
    #[n(9)]
    Export {
        /// The bytes to hand on.
        #[cbor(n(0), with = "minicbor::bytes")]
        bytes: Vec<u8>,
    },
    /// A signature.
    #[n(10)]
    Signature {
        /// `r || s`.
        #[cbor(n(0), with = "minicbor::bytes")]
        signature: SignatureBytes,
    },
    /// To `Anchors`.
    #[n(11)]
    Anchors(#[n(0)] Anchors),
    /// To `RotateRole`, `CompromiseRole`, `RetireRole`: the version spoken of, as it is now.
    #[n(12)]
    RoleKey(#[n(0)] RoleKeyInfo),
    /// To `RoleKeys`.
    #[n(13)]
    RoleKeys(#[n(0)] Vec<RoleKeyInfo>),
    /// To `CardVersions`.
    #[n(14)]
    CardVersions(#[n(0)] Vec<SlotVersion>),
    /// To `SealUpdate`.
    #[n(15)]
    Queued(#[n(0)] QueuedUpdate),
    /// To `AcceptReceipts`, in the order of the receipts.
    #[n(16)]
    Receipts(#[n(0)] Vec<ReceiptOutcome>),
    /// To `PendingUpdates`.
    #[n(17)]
    Pending(#[n(0)] PendingUpdates),
    /// To `Terminals`.
    #[n(18)]
    Terminals(#[n(0)] Vec<TerminalInfo>),
    /// To `CheckLines`, in the order of the lines.
    #[n(19)]
    Lines(#[n(0)] Vec<LineCheck>),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame;

    proptest! {
        #[test]
        fn decoding_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = frame::decode::<Request>(&bytes);
            let _ = frame::decode::<Response>(&bytes);
        }

        #[test]
        fn a_request_comes_back_as_it_was(
            order: [u8; 16],
            index: u32,
            answers in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..260), 0..20),
        ) {
            let request = Request::ContinueCard { order, index, answers };
            let bytes = minicbor::to_vec(&request).unwrap();
            prop_assert_eq!(frame::decode::<Request>(&bytes).unwrap(), request);
        }
    }
}
