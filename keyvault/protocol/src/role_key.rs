//! Versions of role keys: one Active per role and region, the one before it Draining until a day.
//!
//! Card specification, chapter 04 (key versions) and chapter 08 (what a bundle carries). A number is never used again.
//! A new version, and the end of one, come by a request of two officers. Left out, with its number kept: Suspended.

use card_applet_spec::codes::{Region, Role};
use jiff::civil::Date;
use minicbor::{Decode, Encode};
use service_contract::{Caller, Journal, Kind, Operation, Policy};

/// State of a version of a role key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
#[non_exhaustive]
pub enum RoleKeyState {
    /// New cards and new slots get it; terminals accept it.
    #[n(1)]
    Active,
    /// Terminals accept it until its last day; nothing new is written with it.
    #[n(2)]
    Draining,
    /// No bundle carries it any more: terminals with a new bundle refuse its cards at once.
    #[n(4)]
    Compromised,
    /// Its keys are gone; the number stays so that it is never used again.
    #[n(5)]
    Destroyed,
}

impl RoleKeyState {
    /// The name as scripts see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Compromised => "compromised",
            Self::Destroyed => "destroyed",
        }
    }
}

/// A version of a role key, and how many cards have it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RoleKeyInfo {
    /// The role.
    #[n(0)]
    pub role: Role,
    /// The region.
    #[n(1)]
    pub region: Region,
    /// The version, 1 to 255.
    #[n(2)]
    pub version: u8,
    /// Its state.
    #[n(3)]
    pub state: RoleKeyState,
    /// Last day of a Draining version, included; none in the other states.
    #[cbor(n(4), with = "crate::wire::optional_date")]
    pub until: Option<Date>,
    /// Cards that are not ended and have a live slot of this version, as far as scripts and receipts have told.
    #[n(5)]
    pub cards: u64,
    /// Those of them that have no other live slot of the role: they would lose the role with this version.
    #[n(6)]
    pub cards_alone: u64,
}

/// A compromised version, and what stands in its place.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RoleCompromised {
    /// The version that was spoken of.
    #[n(0)]
    pub version: RoleKeyInfo,
    /// The Active version of its role and region. None: cards that need the role are refused until two officers make one.
    #[n(1)]
    pub active: Option<RoleKeyInfo>,
}

/// Says that a version is compromised: from now on no bundle carries it and nothing is delivered through it. It stays
/// so. If it was Active the next one is made with it, at most twice a day for a role and region, and none of those that are kept
/// for two officers. The same again changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CompromiseRole {
    /// The role.
    #[n(0)]
    pub role: Role,
    /// The region.
    #[n(1)]
    pub region: Region,
    /// The version.
    #[n(2)]
    pub version: u8,
}

impl Operation for CompromiseRole {
    type Answer = RoleCompromised;
    const POLICY: Policy = Policy::of(&[Caller::KeyOfficer], Journal::Before)
        .only(Kind::Person)
        .irreversible()
        .idempotent();
    const DOORS: &'static [&'static str] = &["keyvault compromise"];
}

/// Lists all versions of all role keys, by role, region and version.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RoleKeys;

impl Operation for RoleKeys {
    type Answer = Vec<RoleKeyInfo>;
    const POLICY: Policy = Policy::of(
        &[Caller::Issuer, Caller::KeyOfficer, Caller::Auditor],
        Journal::None,
    )
    .idempotent();
    const DOORS: &'static [&'static str] = &["keyvault role-keys"];
}
