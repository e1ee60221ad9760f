//! The list of the operations, and the responses. Numbers are the wire's: a new message takes a new number, none is used
//! again.

use minicbor::{Decode, Encode};
use service_contract::Answer;

use crate::bundle::{ExportBundle, ExportDenyList, ExportLot, RevokeTerminal, TerminalInfo, Terminals};
use crate::card::{CardVersions, ContinueCard, Script, SlotVersion, StartCard};
use crate::denial::{AllowCard, DenyCard, DenyChain, EndCard};
use crate::error::Refusal;
use crate::journal::{JournalPage, ReadJournal};
use crate::order::{EnrolIssuer, OpenOrder, OrderSession};
use crate::photo::{PhotoKeyNew, PhotoKeyOpen, SealedPhotoKey, WrappedKey};
use crate::role_key::{CompromiseRole, RetireRole, RoleKeyInfo, RoleKeys, RotateRole};
use crate::settlement::{CheckLines, LineCheck};
use crate::signing::{Anchors, ReadAnchors, SignCardBack};
use crate::status::{
    Attempt, BeginUnseal, GiveShare, Hello, ReadStatus, Seal, Status, UnsealProgress, Welcome,
};
use crate::update::{
    AcceptReceipts, ExportUpdates, PendingUpdates, QueuedUpdate, ReadPending, ReceiptOutcome, SealUpdate,
};
use crate::wire::SignatureBytes;

service_contract::operations! {
    /// What a client asks.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum Request {
        0 = Hello,
        1 = ReadStatus,
        2 = BeginUnseal,
        3 = GiveShare,
        4 = Seal,
        5 = EnrolIssuer,
        6 = PhotoKeyNew,
        7 = PhotoKeyOpen,
        8 = OpenOrder,
        9 = StartCard,
        10 = ContinueCard,
        11 = ExportBundle,
        12 = ExportLot,
        13 = SignCardBack,
        14 = ReadAnchors,
        15 = DenyCard,
        16 = AllowCard,
        17 = DenyChain,
        18 = ExportDenyList,
        19 = RotateRole,
        20 = CompromiseRole,
        21 = RetireRole,
        22 = RoleKeys,
        23 = CardVersions,
        24 = SealUpdate,
        25 = ExportUpdates,
        26 = AcceptReceipts,
        27 = ReadPending,
        28 = RevokeTerminal,
        29 = Terminals,
        30 = CheckLines,
        31 = EndCard,
        32 = ReadJournal,
    }
}

/// A request under its number: the same number with the same request again is answered the same, with another one refused.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Asked {
    /// The number, 16 random bytes that the caller draws.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub id: [u8; 16],
    /// The request.
    #[n(1)]
    pub request: Request,
}

/// What the vault answers.
#[expect(
    clippy::large_enum_variant,
    reason = "public keys are asked for now and then, and everything else is of the size of a status"
)]
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Response {
    /// No.
    #[n(0)]
    Refused(#[n(0)] Refusal),
    /// To `Hello`.
    #[n(1)]
    Welcome(#[n(0)] Welcome),
    /// To `ReadStatus`.
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
    Export(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
    /// A signature, `r || s`.
    #[n(10)]
    Signature(#[cbor(n(0), with = "minicbor::bytes")] SignatureBytes),
    /// To `ReadAnchors`.
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
    /// To `ReadPending`.
    #[n(17)]
    Pending(#[n(0)] PendingUpdates),
    /// To `Terminals`.
    #[n(18)]
    Terminals(#[n(0)] Vec<TerminalInfo>),
    /// To `CheckLines`, in the order of the lines.
    #[n(19)]
    Lines(#[n(0)] Vec<LineCheck>),
    /// To `ReadJournal`.
    #[n(20)]
    Journal(#[n(0)] JournalPage),
}

service_contract::answers! { Response {
    () = Done,
    Welcome(Welcome),
    Status(Status),
    Attempt(Attempt),
    Progress(UnsealProgress),
    Order(OrderSession),
    Script(Script),
    Export(Vec<u8>),
    Signature(SignatureBytes),
    Anchors(Anchors),
    RoleKey(RoleKeyInfo),
    RoleKeys(Vec<RoleKeyInfo>),
    CardVersions(Vec<SlotVersion>),
    Queued(QueuedUpdate),
    Receipts(Vec<ReceiptOutcome>),
    Pending(PendingUpdates),
    Terminals(Vec<TerminalInfo>),
    Lines(Vec<LineCheck>),
    Journal(JournalPage),
} }

impl Answer<Response> for SealedPhotoKey {
    fn into_response(self) -> Response {
        Response::PhotoKey {
            sealed: self.sealed,
            wrapped: self.wrapped,
        }
    }

    fn from_response(response: Response) -> Option<Self> {
        match response {
            Response::PhotoKey { sealed, wrapped } => Some(Self { sealed, wrapped }),
            _ => None,
        }
    }
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
            let request = Request::from(ContinueCard { order, index, answers });
            let bytes = minicbor::to_vec(&request).unwrap();
            prop_assert_eq!(frame::decode::<Request>(&bytes).unwrap(), request);
        }
    }
}
