//! Deny lists: which cards terminals refuse.

use card_applet_spec::codes::Serial;
use minicbor::{Decode, Encode};
use service_contract::{Caller, Journal, Kind, Operation, Policy};

use crate::ceiling::Counted;

/// Puts a card's pseudonyms onto the deny lists of its roles; bundles exported later carry them.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DenyCard {
    /// Serial of the card.
    #[n(0)]
    pub serial: Serial,
}

impl Operation for DenyCard {
    type Answer = ();
    const POLICY: Policy = Policy::of(&[Caller::Issuer, Caller::KeyOfficer], Journal::Before)
        .ceiling(Counted::Denials.name(), Some(Counted::Denials.per_day()))
        .idempotent();
    const DOORS: &'static [&'static str] = &["keyvault deny", "issuer card lost"];
}

/// Takes a card that was found from the deny lists, and into use again if it was out of it; lists exported later do not have
/// it. A card that is on none changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AllowCard {
    /// Serial of the card.
    #[n(0)]
    pub serial: Serial,
}

impl Operation for AllowCard {
    type Answer = ();
    const POLICY: Policy = Policy::of(&[Caller::Issuer], Journal::Before)
        .only(Kind::Service)
        .ceiling(Counted::Allows.name(), Some(Counted::Allows.per_day()))
        .idempotent();
    const DOORS: &'static [&'static str] = &["keyvault allow", "issuer card allow"];
}

/// Says that a card is out of use: destroyed, replaced, or its permit ended. It is denied, and no longer counts among the
/// cards that hold a key version, so that the version can be retired. [`AllowCard`] takes it back.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct EndCard {
    /// Serial of the card.
    #[n(0)]
    pub serial: Serial,
}

impl Operation for EndCard {
    type Answer = ();
    const POLICY: Policy = Policy::of(&[Caller::Issuer], Journal::Before)
        .only(Kind::Service)
        .ceiling(Counted::Denials.name(), Some(Counted::Denials.per_day()))
        .idempotent();
    const DOORS: &'static [&'static str] = &[
        "keyvault end-card",
        "issuer card replace",
        "issuer card destroyed",
    ];
}

/// Denies the card behind a chain of settlement lines: two debits of one seq mean that it was copied.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DenyChain {
    /// The chain.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub chain: [u8; 16],
}

impl Operation for DenyChain {
    type Answer = ();
    const POLICY: Policy = Policy::of(&[Caller::Settlement, Caller::Issuer], Journal::Before)
        .only(Kind::Service)
        .ceiling(Counted::Denials.name(), Some(Counted::Denials.per_day()))
        .irreversible()
        .idempotent();
    const DOORS: &'static [&'static str] = &["issuer settle"];
}
