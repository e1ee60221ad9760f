//! What leaves the vault for terminals and for the card maker, sealed to their keys.

use card_applet_spec::codes::{Region, Role};
use jiff::civil::Date;
use minicbor::{Decode, Encode};
use service_contract::{Caller, Journal, Kind, Operation, Policy};

use crate::ceiling::Counted;
use crate::wire::PointBytes;

/// Most regions in one bundle: a terminal tries all of them at each tap.
pub const MAX_BUNDLE_REGIONS: usize = 64;
/// Most cards in one lot.
pub const MAX_LOT_CARDS: u32 = 50_000;

/// Kinds of terminal, each with the roles and rights that it needs and no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum BundleKind {
    /// A bus or metro gate: TRANSIT over door F.
    #[n(0)]
    Bus,
    /// A clinic: CLINIC over door S.
    #[n(1)]
    Clinic,
    /// A door: DOOR over door F.
    #[n(2)]
    Door,
    /// The office's counter: all data groups and records, VERIFY and ISSUER, over door S.
    #[n(3)]
    Counter,
    /// A social-insurance desk: `SOCIAL_INSURANCE` over door S.
    #[n(4)]
    SocialInsurance,
    /// A small shop: `SMALL_PAYMENT` over door F.
    #[n(5)]
    Shop,
}

impl BundleKind {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::Bus,
        Self::Clinic,
        Self::Door,
        Self::Counter,
        Self::SocialInsurance,
        Self::Shop,
    ];

    /// The name as scripts see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bus => "bus",
            Self::Clinic => "clinic",
            Self::Door => "door",
            Self::Counter => "counter",
            Self::SocialInsurance => "social-insurance",
            Self::Shop => "shop",
        }
    }

    /// The roles whose keys its bundle carries.
    #[must_use]
    pub const fn roles(self) -> &'static [Role] {
        match self {
            Self::Bus => &[Role::Transit],
            Self::Door => &[Role::Door],
            Self::Shop => &[Role::SmallPayment],
            Self::Clinic => &[Role::Clinic],
            Self::SocialInsurance => &[Role::SocialInsurance],
            Self::Counter => Role::ALL,
        }
    }
}

/// What a terminal may have bundles of: its keys are the ones that it sealed its own request with.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TerminalEnrolment {
    /// Kind of terminal.
    #[n(0)]
    pub kind: BundleKind,
    /// Name of the terminal, 1 to 64 bytes of text; the bundle's sequence grows per name.
    #[n(1)]
    pub terminal: String,
    /// The terminal's sealing key: the bundle opens only with it.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub sealing_key: PointBytes,
    /// The terminal's authentication key: its leaf certificate is made for it. Not used for a terminal without door S.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub authentication_key: PointBytes,
    /// Regions whose cards the operator serves, 1 to [`MAX_BUNDLE_REGIONS`].
    #[n(4)]
    pub regions: Vec<Region>,
    /// The zones that the terminal stands in, one bit each; 0: zones are not checked.
    #[n(5)]
    pub zones: u64,
    /// Last day, included, of the last bundle that it may have.
    #[cbor(n(6), with = "crate::wire::date")]
    pub until: Date,
    /// Whether these keys take the place of others that the name has; else they are refused.
    #[n(7)]
    pub replaces: bool,
}

/// Request for the bundle of an enrolled terminal (card specification, chapter 08).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BundleRequest {
    /// Name of the terminal.
    #[n(0)]
    pub terminal: String,
    /// Zones that it stands in, if they are fewer than it is enrolled for: one bit each.
    #[n(1)]
    pub zones: Option<u64>,
    /// First day of the leaf certificate.
    #[cbor(n(2), with = "crate::wire::date")]
    pub from: Date,
    /// Last day of use, included. With door S at most 7 days after `from`, else at most 366; at most the enrolment's last.
    #[cbor(n(3), with = "crate::wire::date")]
    pub to: Date,
}

/// A terminal that has or had a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TerminalInfo {
    /// Its name.
    #[n(0)]
    pub name: String,
    /// Its kind, and with it its roles and rights.
    #[n(1)]
    pub kind: BundleKind,
    /// Registration number, given by the vault with the first bundle and never to another name: the tid of a terminal
    /// that takes payments.
    #[n(2)]
    pub tid: u32,
    /// Regions of its last bundle.
    #[n(3)]
    pub regions: Vec<Region>,
    /// Sequence of its last bundle.
    #[n(4)]
    pub sequence: u32,
    /// Day on which it was revoked.
    #[cbor(n(5), with = "crate::wire::optional_date")]
    pub revoked: Option<Date>,
    /// Last day, included, of the bundle that ends last: until then it can read cards over door F. None for a bundle
    /// that was made before the vault kept the day.
    #[cbor(n(6), with = "crate::wire::optional_date")]
    pub bundle_until: Option<Date>,
    /// Last day, included, of the leaf certificate that ends last: until then cards open door S for it. None without
    /// door S.
    #[cbor(n(7), with = "crate::wire::optional_date")]
    pub leaf_until: Option<Date>,
    /// Last day, included, of the update batch that ends last: until then it can deliver what it carries, and read none
    /// of it.
    #[cbor(n(8), with = "crate::wire::optional_date")]
    pub updates_until: Option<Date>,
    /// Its authentication key, of its last bundle: what it hands in is signed with it.
    #[cbor(n(9), with = "minicbor::bytes")]
    pub authentication_key: Option<PointBytes>,
    /// Last day, included, of its enrolment; none for one that was enrolled before enrolments had a last day.
    #[cbor(n(10), with = "crate::wire::optional_date")]
    pub enrolled_until: Option<Date>,
}

/// Days that a terminal may use the deny lists of its bundle: after so many days none takes a card that was denied before.
pub const DENY_LIST_DAYS: u16 = 30;

/// Request for a signed deny list (card specification, chapter 08).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DenyListRequest {
    /// The role.
    #[n(0)]
    pub role: Role,
    /// Day of issue, not in the future.
    #[cbor(n(1), with = "crate::wire::date")]
    pub issued: Date,
    /// Days for which a terminal may use it, 1 to 90.
    #[n(2)]
    pub max_age_days: u16,
    /// Days behind these for which a terminal of TRANSIT or CLINIC may still accept if its operator asks for it; at most
    /// 30, 0 for none.
    #[n(3)]
    pub grace_days: u16,
}

/// Request for the transport keys of a lot of blanks. A lot file: card specification, chapter 08.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LotRequest {
    /// Number of the issuer: the first 2 bytes of each serial.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub issuer: [u8; 2],
    /// Number of the lot: the next 4 bytes.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub lot: [u8; 4],
    /// Number of the first card: the last 4 bytes of its serial.
    #[n(2)]
    pub first: u32,
    /// Count of cards, at most [`MAX_LOT_CARDS`].
    #[n(3)]
    pub count: u32,
    /// Name of the card maker, 1 to 64 bytes, for the journal.
    #[n(4)]
    pub maker: String,
    /// The card maker's P-256 key.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub maker_key: PointBytes,
}

/// Makes the bundle of an enrolled terminal, sealed to the key that it is enrolled with.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ExportBundle(#[n(0)] pub BundleRequest);

impl Operation for ExportBundle {
    type Answer = Vec<u8>;
    const POLICY: Policy = Policy::of(&[Caller::Issuer, Caller::KeyOfficer], Journal::Before)
        .ceiling(Counted::Bundles.name(), Some(Counted::Bundles.per_day()));
    const DOORS: &'static [&'static str] = &["keyvault export-bundle"];
}

/// Makes the signed deny list of a role: a whole `A9` template (card specification, chapter 08); templates one behind
/// the other are a list file. The version grows whenever anything of the list differs from the last one.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ExportDenyList(#[n(0)] pub DenyListRequest);

impl Operation for ExportDenyList {
    type Answer = Vec<u8>;
    const POLICY: Policy = Policy::of(&[Caller::Issuer, Caller::KeyOfficer], Journal::None).idempotent();
    const DOORS: &'static [&'static str] = &["keyvault deny-list"];
}

/// Revokes a terminal: no bundle and no updates for it any more. The same again changes nothing; the terminal must come
/// back under another name.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RevokeTerminal {
    /// Its name.
    #[n(0)]
    pub name: String,
}

impl Operation for RevokeTerminal {
    type Answer = ();
    const POLICY: Policy = Policy::of(&[Caller::KeyOfficer], Journal::Before)
        .only(Kind::Person)
        .irreversible()
        .idempotent();
    const DOORS: &'static [&'static str] = &["keyvault revoke-terminal"];
}

/// Lists all terminals, by name: what each of them can still do, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Terminals;

impl Operation for Terminals {
    type Answer = Vec<TerminalInfo>;
    const POLICY: Policy = Policy::of(
        &[Caller::Issuer, Caller::KeyOfficer, Caller::Auditor],
        Journal::None,
    )
    .idempotent();
    const DOORS: &'static [&'static str] = &["keyvault terminals"];
}
