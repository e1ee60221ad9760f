//! What the vault does to a card, what it needs for that, and what it reports.

use card_applet_spec::codes::{CardState, Domain, Region, Role, Serial, Tier};
use jiff::civil::Date;
use minicbor::{Decode, Encode};
use service_contract::{Caller, Journal, Kind, Operation, Policy};

use crate::ceiling::Counted;
use crate::role_key::RoleKeyState;
use crate::wire::PointBytes;

/// The kinds of task that an order can allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum TaskKind {
    /// Write a blank, up to FINALISE.
    #[n(0)]
    Personalise,
    /// Make a personalised card active (hand-over).
    #[n(1)]
    Activate,
    /// Block a card.
    #[n(2)]
    Block,
    /// Read state and step number over door I, change nothing.
    #[n(3)]
    Inspect,
    /// Take the block from a card: it is again what it was before.
    #[n(4)]
    Unblock,
    /// End a card: every key and data group on it is erased.
    #[n(5)]
    Terminate,
    /// Write to a card that was personalised before.
    #[n(6)]
    Rewrite,
    /// Seal updates for terminals to deliver.
    #[n(7)]
    Update,
}

/// A task for one card.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum CardTask {
    /// Write a blank, up to FINALISE; the second call for the same (order, index) and serial finishes what is left.
    #[n(0)]
    Personalise(#[n(0)] Box<CardContent>),
    /// Make the card active and set its date floor to `date`.
    #[n(1)]
    Activate {
        /// Date of the hand-over.
        #[cbor(n(0), with = "crate::wire::date")]
        date: Date,
    },
    /// Block the card.
    #[n(2)]
    Block,
    /// Read state and step number.
    #[n(3)]
    Inspect,
    /// Take the block from a card: it is again what it was before, PERSONALISED or ACTIVE.
    #[n(4)]
    Unblock,
    /// End the card.
    #[n(5)]
    Terminate,
    /// Write to a card that was personalised before, in one script; the second call for the same (order, index) and
    /// serial finishes what is left.
    #[n(6)]
    Rewrite(#[n(0)] Box<RewriteContent>),
}

impl CardTask {
    /// The kind that an order must allow.
    #[must_use]
    pub fn kind(&self) -> TaskKind {
        match self {
            Self::Personalise(_) => TaskKind::Personalise,
            Self::Activate { .. } => TaskKind::Activate,
            Self::Block => TaskKind::Block,
            Self::Inspect => TaskKind::Inspect,
            Self::Unblock => TaskKind::Unblock,
            Self::Terminate => TaskKind::Terminate,
            Self::Rewrite(_) => TaskKind::Rewrite,
        }
    }
}

/// What goes onto one card. The data groups are encoded and salted by the issuer as the card specification says;
/// records, slots, keys, certificates and the signature object are the vault's.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct CardContent {
    /// DG1: the ten face items.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub dg1: Vec<u8>,
    /// DG2: the portrait.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub dg2: Vec<u8>,
    /// DG3: the permit block.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub dg3: Vec<u8>,
    /// The entitlements, at most one per role.
    #[n(3)]
    pub entitlements: Vec<Entitlement>,
    /// First day of the card's certificates.
    #[cbor(n(4), with = "crate::wire::date")]
    pub certificate_from: Date,
    /// Last day of the card's certificates.
    #[cbor(n(5), with = "crate::wire::date")]
    pub certificate_to: Date,
    /// The number that is printed on it, 1 to 32 ASCII letters, digits and `-`: given to one card, once.
    #[n(6)]
    pub card_number: String,
}

impl std::fmt::Debug for CardContent {
    /// Says that it is there: what is in it is a person's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CardContent(personal data)")
    }
}

/// What a rewrite changes: data groups as given, entitlements at the Active version of their role and region. What is not
/// named stays as it is. The vault knows from its own rows what the card has.
#[derive(Clone, Default, PartialEq, Eq, Encode, Decode)]
pub struct RewriteContent {
    /// DG1, when it changes.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub dg1: Option<Vec<u8>>,
    /// DG2, when it changes.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub dg2: Option<Vec<u8>>,
    /// DG3, when it changes. When any group changes the signature object is signed again.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub dg3: Option<Vec<u8>>,
    /// The entitlements that change, at most one per role; versions older than the one before the Active one leave the
    /// card.
    #[n(3)]
    pub entitlements: Vec<Entitlement>,
    /// All money ever loaded, in fen: a load, for which the `SmallPayment` entitlement is among the entitlements. None
    /// keeps the largest value that the vault gave this card.
    #[n(4)]
    pub loaded: Option<u32>,
}

impl std::fmt::Debug for RewriteContent {
    /// Says that it is there: what is in it is a person's.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RewriteContent(personal data)")
    }
}

/// One entitlement: the content of a role's record (card specification, chapter 03) but for what the vault adds: key
/// version, pid, issue counter, key binding and signature.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Entitlement {
    /// The role.
    #[n(0)]
    pub role: Role,
    /// The region whose terminals read it.
    #[n(1)]
    pub region: Region,
    /// Tier of the permit.
    #[n(2)]
    pub tier: Tier,
    /// Fare or service class, 0 none.
    #[n(3)]
    pub class: u8,
    /// Services, one bit each, published per jurisdiction.
    #[n(4)]
    pub services: u64,
    /// Zones, one bit each, published per jurisdiction.
    #[n(5)]
    pub zones: u64,
    /// First day.
    #[cbor(n(6), with = "crate::wire::date")]
    pub valid_from: Date,
    /// Last day, included.
    #[cbor(n(7), with = "crate::wire::date")]
    pub valid_to: Date,
    /// Id of the rule set that decided it, 1 to 48 ASCII characters; the record carries the first 8 bytes of its SHA-256.
    #[n(8)]
    pub rule_set: String,
    /// Largest single amount of the purse in fen; only for `SmallPayment`, 0 otherwise.
    #[n(9)]
    pub purse_cap: u32,
}

/// A certified key of the card.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CardKey {
    /// Its domain.
    #[n(0)]
    pub domain: Domain,
    /// The public key, made on the card.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub public_key: PointBytes,
    /// The card certificate of the specification, 160 bytes.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub certificate: Vec<u8>,
}

/// How a slot came onto its card; the key of its purse's TACs depends on it (card specification, chapter 09).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum DeliveredBy {
    /// By a script of door I.
    #[default]
    #[n(0)]
    Script,
    /// By a sealed update.
    #[n(1)]
    Update,
}

/// A live slot of a card, as far as scripts and receipts have told.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SlotVersion {
    /// The role.
    #[n(0)]
    pub role: Role,
    /// The region.
    #[n(1)]
    pub region: Region,
    /// The key version.
    #[n(2)]
    pub key_version: u8,
    /// State of that version.
    #[n(3)]
    pub state: RoleKeyState,
    /// Issue counter of the record in it.
    #[n(4)]
    pub issue_counter: u32,
    /// How it came onto the card.
    #[n(5)]
    pub delivered_by: DeliveredBy,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Script {
    /// Send these command APDUs in order; return all answers (body and status word) in order. Stop at the first
    /// answer that is no 9000 and return what there is, that answer included. If the card is lost, return the answers
    /// that came (none at all is fine): the vault says that the outcome is unknown, and the card is started again.
    #[n(0)]
    Send {
        /// Whole command APDUs.
        #[cbor(n(0), with = "crate::wire::byte_strings")]
        commands: Vec<Vec<u8>>,
    },
    /// The task is done; the outcome is durable in the vault.
    #[n(1)]
    Done(#[n(0)] Box<CardResult>),
}

/// Outcome of a task, verified by the card's MACs.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CardResult {
    /// Serial of the card.
    #[n(0)]
    pub serial: Serial,
    /// State of the card afterwards, as the card itself reported it.
    #[n(1)]
    pub state: CardState,
    /// Last script step that the card has accepted.
    #[n(2)]
    pub last_step: u16,
    /// Count of steps of the script, FINALISE included; 0 when no script is known.
    #[n(3)]
    pub steps: u16,
    /// The certified keys; empty for tasks that do not personalise.
    #[n(4)]
    pub keys: Vec<CardKey>,
    /// The live slots of the card; empty for tasks that do not write slots.
    #[n(5)]
    pub slots: Vec<SlotVersion>,
}

/// Begins a task for the card `index` of an order. Always answers commands that open a secure channel.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct StartCard {
    /// The order.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub order: [u8; 16],
    /// Index of the card in the order.
    #[n(1)]
    pub index: u32,
    /// Serial of the card.
    #[n(2)]
    pub serial: Serial,
    /// What to do.
    #[n(3)]
    pub task: CardTask,
}

impl Operation for StartCard {
    type Answer = Script;
    // Selects the application and opens the channel: what the task does is done, and written down, by `ContinueCard`.
    const POLICY: Policy = Policy::of(&[Caller::Issuer], Journal::None)
        .only(Kind::Service)
        .ceiling(Counted::Cards.name(), Some(Counted::Cards.per_day()));
    const DOORS: &'static [&'static str] = &["issuer worker", "issuer hand-over", "issuer change write"];
}

/// Most answers in one [`ContinueCard`].
pub const MAX_ANSWERS: usize = 512;

/// Goes on with the answers of a card, until [`Script::Done`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ContinueCard {
    /// The order.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub order: [u8; 16],
    /// Index of the card.
    #[n(1)]
    pub index: u32,
    /// Answers of the card, body and status word each, at most [`MAX_ANSWERS`].
    #[cbor(n(2), with = "crate::wire::byte_strings")]
    pub answers: Vec<Vec<u8>>,
}

impl Operation for ContinueCard {
    type Answer = Script;
    const POLICY: Policy = Policy::of(&[Caller::Issuer], Journal::Before)
        .only(Kind::Service)
        .irreversible();
    const DOORS: &'static [&'static str] = &["issuer worker", "issuer hand-over", "issuer change write"];
}

/// Reads the live slots of a card, as far as scripts and receipts have told.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CardVersions {
    /// Serial of the card.
    #[n(0)]
    pub serial: Serial,
}

impl Operation for CardVersions {
    type Answer = Vec<SlotVersion>;
    const POLICY: Policy = Policy::of(
        &[Caller::Issuer, Caller::KeyOfficer, Caller::Auditor],
        Journal::None,
    )
    .idempotent();
    const DOORS: &'static [&'static str] = &["keyvault card-versions"];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_in_a_log_shows_no_person() {
        let content = CardContent {
            dg1: "王小明".as_bytes().to_vec(),
            dg2: vec![1],
            dg3: vec![2],
            entitlements: Vec::new(),
            certificate_from: jiff::civil::date(2026, 11, 21),
            certificate_to: jiff::civil::date(2027, 11, 21),
            card_number: "4403000000017".to_owned(),
        };
        let shown = format!("{:?}", CardTask::Personalise(Box::new(content)));
        assert_eq!(shown, "Personalise(CardContent(personal data))");
    }
}
