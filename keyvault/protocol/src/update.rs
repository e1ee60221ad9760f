//! Sealed updates (card specification, chapter 09): what is sealed for a card, what terminals carry, what comes back.

use card_applet_spec::codes::{Region, Role, Serial};
use jiff::civil::Date;
use minicbor::{Decode, Encode};
use service_contract::{Caller, Journal, Kind, Operation, Policy};

use crate::card::Entitlement;
use crate::ceiling::Counted;

/// Most updates in one batch for a terminal.
pub const MAX_BATCH_UPDATES: usize = 10_000;
/// Most receipts in one request.
pub const MAX_RECEIPTS: usize = 10_000;
/// Longest DG3 that a sealed update can carry, in bytes, tag and length included.
pub const MAX_UPDATE_DG3: usize = 157;

/// A change of one card that any terminal may deliver. Every operation names a state, never a difference.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub enum UpdateTask {
    /// A new slot at the Active version of its role and region: a new entitlement, another tier, a rotation. Versions
    /// older than the one before it leave the card.
    #[n(0)]
    Entitlement(#[n(0)] Entitlement),
    /// A new permit block, at most [`MAX_UPDATE_DG3`] bytes; the vault signs the signature object again over the
    /// digests that it keeps of DG1 and DG2.
    #[n(1)]
    PermitBlock {
        /// DG3, encoded and salted by the issuer.
        #[cbor(n(0), with = "minicbor::bytes")]
        dg3: Vec<u8>,
    },
    /// The card's date floor moves up to this day, which is not in the future.
    #[n(2)]
    DateFloor(#[cbor(n(0), with = "crate::wire::date")] Date),
    /// The card blocks itself; only door I unblocks it.
    #[n(3)]
    Block,
    /// The slot of this role and version leaves the card.
    #[n(4)]
    EraseVersion {
        /// The role.
        #[n(0)]
        role: Role,
        /// The version.
        #[n(1)]
        version: u8,
    },
    /// `loaded` of the purse becomes the larger of its value and this one.
    #[n(5)]
    Load {
        /// All money ever loaded, in fen; above every value that the vault gave this card before.
        #[n(0)]
        loaded: u32,
    },
}

impl std::fmt::Debug for UpdateTask {
    /// The kind only: a permit block is a person's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Entitlement(entitlement) => write!(f, "Entitlement({})", entitlement.role),
            Self::PermitBlock { .. } => f.write_str("PermitBlock(personal data)"),
            Self::DateFloor(day) => write!(f, "DateFloor({day})"),
            Self::Block => f.write_str("Block"),
            Self::EraseVersion { role, version } => write!(f, "EraseVersion({role}, {version})"),
            Self::Load { loaded } => write!(f, "Load({loaded})"),
        }
    }
}

/// A change that waits for a terminal: one envelope for each role over which it may be delivered.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct QueuedUpdate {
    /// Number of the change: random, in no batch and no receipt.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub change: [u8; 16],
    /// The envelopes; the first one that arrives does the change, the others are withdrawn.
    #[n(1)]
    pub envelopes: Vec<QueuedEnvelope>,
}

/// One way for a change to reach the card.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct QueuedEnvelope {
    /// Update id, random; receipts name it.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub update: [u8; 16],
    /// The role at whose terminals it is delivered.
    #[n(1)]
    pub role: Role,
    /// The region whose terminals carry it.
    #[n(2)]
    pub region: Region,
}

/// Request for the batch of a terminal that has a bundle. Roles, regions and sealing key are those of its last bundle.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct UpdatesRequest {
    /// Name of the terminal, as in its bundle.
    #[n(0)]
    pub terminal: String,
    /// Last day of use, included: not before today, at most 31 days ahead.
    #[cbor(n(1), with = "crate::wire::date")]
    pub to: Date,
}

/// A receipt as a terminal hands it in: no terminal, no date, no order of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Receipt {
    /// Update id.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub update: [u8; 16],
    /// The card's answer: a MAC that only this card could make.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub receipt: [u8; 16],
}

/// What became of a receipt.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ReceiptOutcome {
    /// It proves the change, which is done now.
    #[n(0)]
    Done {
        /// Serial of the card.
        #[n(0)]
        serial: Serial,
        /// The change.
        #[cbor(n(1), with = "minicbor::bytes")]
        change: [u8; 16],
    },
    /// It proves a change that was known to be done: the same receipt again, or a sibling's. After a connection that was
    /// lost it may be the first answer that the caller sees.
    #[n(1)]
    AlreadyKnown {
        /// Serial of the card.
        #[n(0)]
        serial: Serial,
        /// The change.
        #[cbor(n(1), with = "minicbor::bytes")]
        change: [u8; 16],
    },
    /// The vault never gave out an update of this id.
    #[n(2)]
    UnknownUpdate,
    /// The card did not make this receipt. Nothing changed.
    #[n(3)]
    Forged,
}

/// What waits for a card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct PendingUpdates {
    /// Changes that batches carry.
    #[n(0)]
    pub waiting: u32,
    /// Changes that batches no longer carry and whose receipts are still taken: a newer change of the same kind, or a
    /// rewrite, took their place.
    #[n(1)]
    pub withdrawn: u32,
}

/// Seals a change of the card `index` of an order that allows [`TaskKind::Update`](crate::TaskKind::Update). The same
/// again gives the same envelopes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SealUpdate {
    /// The order.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub order: [u8; 16],
    /// Index of the card in the order.
    #[n(1)]
    pub index: u32,
    /// Serial of the card.
    #[n(2)]
    pub serial: Serial,
    /// The change.
    #[n(3)]
    pub task: UpdateTask,
}

impl Operation for SealUpdate {
    type Answer = QueuedUpdate;
    const POLICY: Policy = Policy::of(&[Caller::Issuer], Journal::Before)
        .only(Kind::Service)
        .ceiling(Counted::Updates.name(), Some(Counted::Updates.per_day()))
        .idempotent();
    const DOORS: &'static [&'static str] = &["issuer change queue"];
}

/// Makes what waits for the roles and regions of a terminal: an update batch (card specification, chapter 09), sealed to
/// the key of its last bundle. With more than [`MAX_BATCH_UPDATES`] waiting, each batch has another part of them.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ExportUpdates(#[n(0)] pub UpdatesRequest);

impl Operation for ExportUpdates {
    type Answer = Vec<u8>;
    const POLICY: Policy = Policy::of(&[Caller::Issuer, Caller::KeyOfficer], Journal::Before)
        .ceiling(Counted::Batches.name(), Some(Counted::Batches.per_day()));
    const DOORS: &'static [&'static str] = &["keyvault export-updates"];
}

/// Takes receipts; one outcome for each, in their order. A wrong one changes nothing and does not stop the others.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AcceptReceipts {
    /// At most [`MAX_RECEIPTS`], of any terminals in any order.
    #[n(0)]
    pub receipts: Vec<Receipt>,
}

impl Operation for AcceptReceipts {
    type Answer = Vec<ReceiptOutcome>;
    const POLICY: Policy = Policy::of(&[Caller::Issuer], Journal::Before)
        .only(Kind::Service)
        .irreversible()
        .idempotent();
    const DOORS: &'static [&'static str] = &["issuer receipts"];
}

/// Counts what waits for a card.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ReadPending {
    /// Serial of the card.
    #[n(0)]
    pub serial: Serial,
}

impl Operation for ReadPending {
    type Answer = PendingUpdates;
    const POLICY: Policy = Policy::of(
        &[Caller::Issuer, Caller::KeyOfficer, Caller::Auditor],
        Journal::None,
    )
    .idempotent();
    const DOORS: &'static [&'static str] = &["keyvault pending-updates"];
}
