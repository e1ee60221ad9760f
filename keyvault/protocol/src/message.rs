//! The list of the operations, and the responses. Numbers are the wire's: a new message takes a new number, none is used
//! again. Retired: 5, 12, 19 and 21, which are acts of a request by two officers since; of the responses 12.

use card_applet_spec::codes::{Region, Serial};
use minicbor::{Decode, Encode};
use service_contract::Answer;

use crate::bundle::{ExportBundle, ExportDenyList, RevokeTerminal, TerminalInfo, Terminals};
use crate::caller::{CallerEntry, Callers, SuspendCaller};
use crate::card::{CardTask, CardVersions, ContinueCard, Script, SlotVersion, StartCard};
use crate::ceiling::{CeilingUse, Ceilings};
use crate::denial::{AllowCard, DenyCard, DenyChain, EndCard};
use crate::error::Refusal;
use crate::journal::{JournalPage, ReadJournal};
use crate::order::{OpenOrder, OrderSession};
use crate::photo::{PhotoKeyNew, PhotoKeyOpen, SealedPhotoKey, WrappedKey};
use crate::request::{RequestOutcome, SubmitRequest};
use crate::role_key::{CompromiseRole, RoleCompromised, RoleKeyInfo, RoleKeys};
use crate::settlement::{CheckLines, LineCheck};
use crate::signing::{Anchors, ReadAnchors, SignCardBack};
use crate::status::{
    Attempt, BeginUnseal, GiveShare, Hello, ReadStatus, Seal, Status, UnsealProgress, Welcome,
};
use crate::update::{
    AcceptReceipts, ExportUpdates, PendingUpdates, QueuedUpdate, ReadPending, ReceiptOutcome, SealUpdate,
    UpdateTask,
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
        6 = PhotoKeyNew,
        7 = PhotoKeyOpen,
        8 = OpenOrder,
        9 = StartCard,
        10 = ContinueCard,
        11 = ExportBundle,
        13 = SignCardBack,
        14 = ReadAnchors,
        15 = DenyCard,
        16 = AllowCard,
        17 = DenyChain,
        18 = ExportDenyList,
        20 = CompromiseRole,
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
        33 = SubmitRequest,
        34 = SuspendCaller,
        35 = Callers,
        36 = Ceilings,
    }
}

/// What a request is about, as far as regions go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Regions that it names.
    pub regions: Vec<Region>,
    /// A card, whose regions its slots have.
    pub card: Option<Serial>,
    /// A terminal, whose regions its enrolment has.
    pub terminal: Option<String>,
}

impl About {
    fn regions(regions: impl IntoIterator<Item = Region>) -> Self {
        Self {
            regions: regions.into_iter().collect(),
            ..Self::default()
        }
    }

    fn card(serial: Serial) -> Self {
        Self {
            card: Some(serial),
            ..Self::default()
        }
    }

    fn terminal(name: &str) -> Self {
        Self {
            terminal: Some(name.to_owned()),
            ..Self::default()
        }
    }
}

impl Request {
    /// What the request is about, for a caller who is enrolled for some regions. Nothing: it gives nothing of a region, or it
    /// goes on with what was looked at when it began.
    #[must_use]
    pub fn about(&self) -> About {
        match self {
            Self::Hello(_)
            | Self::ReadStatus(_)
            | Self::BeginUnseal(_)
            | Self::GiveShare(_)
            | Self::Seal(_)
            | Self::PhotoKeyNew(_)
            | Self::PhotoKeyOpen(_)
            | Self::OpenOrder(_)
            | Self::ContinueCard(_)
            | Self::ReadAnchors(_)
            | Self::DenyChain(_)
            | Self::ExportDenyList(_)
            | Self::RoleKeys(_)
            | Self::AcceptReceipts(_)
            | Self::Terminals(_)
            | Self::CheckLines(_)
            | Self::ReadJournal(_)
            | Self::SubmitRequest(_)
            | Self::SuspendCaller(_)
            | Self::Callers(_)
            | Self::Ceilings(_) => About::default(),
            Self::StartCard(StartCard { serial, task, .. }) => match task {
                CardTask::Personalise(content) => {
                    About::regions(content.entitlements.iter().map(|entitlement| entitlement.region))
                }
                CardTask::Rewrite(content) => About {
                    card: Some(*serial),
                    ..About::regions(content.entitlements.iter().map(|entitlement| entitlement.region))
                },
                CardTask::Activate { .. }
                | CardTask::Block
                | CardTask::Inspect
                | CardTask::Unblock
                | CardTask::Terminate => About::card(*serial),
            },
            Self::SealUpdate(SealUpdate { serial, task, .. }) => match task {
                UpdateTask::Entitlement(entitlement) => About {
                    card: Some(*serial),
                    ..About::regions([entitlement.region])
                },
                UpdateTask::PermitBlock { .. }
                | UpdateTask::DateFloor(_)
                | UpdateTask::Block
                | UpdateTask::EraseVersion { .. }
                | UpdateTask::Load { .. } => About::card(*serial),
            },
            Self::SignCardBack(SignCardBack(back)) => About::regions([back.region]),
            Self::CompromiseRole(CompromiseRole { region, .. }) => About::regions([*region]),
            Self::DenyCard(DenyCard { serial })
            | Self::AllowCard(AllowCard { serial })
            | Self::EndCard(EndCard { serial })
            | Self::CardVersions(CardVersions { serial })
            | Self::ReadPending(ReadPending { serial }) => About::card(*serial),
            Self::ExportBundle(ExportBundle(request)) => About::terminal(&request.terminal),
            Self::ExportUpdates(ExportUpdates(request)) => About::terminal(&request.terminal),
            Self::RevokeTerminal(RevokeTerminal { name }) => About::terminal(name),
        }
    }
}

/// What the requests of one channel are numbered under ([`crate::channel::series`]).
pub type Series = [u8; 8];

/// The number of a channel's request: the series, and how many it is, from 1 on, big endian.
#[must_use]
pub fn request_number(series: Series, count: u64) -> [u8; 16] {
    let mut number = [0; 16];
    number[..8].copy_from_slice(&series);
    number[8..].copy_from_slice(&count.to_be_bytes());
    number
}

/// The series of a number, and how many it is.
#[must_use]
pub fn number_parts(number: &[u8; 16]) -> (Series, u64) {
    let (mut series, mut count) = (Series::default(), [0; 8]);
    series.copy_from_slice(&number[..8]);
    count.copy_from_slice(&number[8..]);
    (series, u64::from_be_bytes(count))
}

/// A request under its number: the same number with the same request again is answered the same, with another one refused.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Asked {
    /// The [`request_number`], of this channel or of one before it.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub id: [u8; 16],
    /// The request.
    #[n(1)]
    pub request: Request,
}

/// What the vault answers.
#[expect(
    clippy::large_enum_variant,
    reason = "public keys are asked for seldom, and everything else is of the size of a status"
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
    /// To `SubmitRequest`.
    #[n(21)]
    Request(#[n(0)] RequestOutcome),
    /// To `Callers`.
    #[n(22)]
    Callers(#[n(0)] Vec<CallerEntry>),
    /// To `CompromiseRole`.
    #[n(23)]
    RoleCompromised(#[n(0)] RoleCompromised),
    /// To `Ceilings`.
    #[n(24)]
    Ceilings(#[n(0)] Vec<CeilingUse>),
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
    RoleKeys(Vec<RoleKeyInfo>),
    CardVersions(Vec<SlotVersion>),
    Queued(QueuedUpdate),
    Receipts(Vec<ReceiptOutcome>),
    Pending(PendingUpdates),
    Terminals(Vec<TerminalInfo>),
    Lines(Vec<LineCheck>),
    Journal(JournalPage),
    Request(RequestOutcome),
    Callers(Vec<CallerEntry>),
    Ceilings(Vec<CeilingUse>),
    RoleCompromised(RoleCompromised),
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
