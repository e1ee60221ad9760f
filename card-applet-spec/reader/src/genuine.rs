//! What may be called genuine (chapter 07): a type without a public constructor. The only code that makes a
//! [`Genuine`] value stands in [`crate::door_s`], behind all the checks that its content needs:
//!
//! - always: the card CA's signature on the card's key, the certificate's days and domain, and the MAC that proves that
//!   the card holds that key;
//! - for data groups, too: the document signer's signature object, bound to that same key, and the digest of each
//!   group that was read;
//! - for a record, too: the entitlement signer's signature, and the record's binding to that same key.
//!
//! Left out on purpose: the session. A transcript of door S proves nothing to a third party, because the terminal could
//! have written it alone; so [`Evidence`] holds what issuers signed, and nothing else. A record's signature is left out of it,
//! too: it covers the pseudonym, which no service keeps.

use card_applet_spec::certificate::CARD_CERTIFICATE_LEN;
use card_applet_spec::codes::{Domain, Region, Role, Tier};
use card_applet_spec::data_group::{Dg1, Dg2, Dg3, SignatureObject};
use card_applet_spec::date::Date;
use card_applet_spec::record::Entitlement;
use zeroize::Zeroizing;

/// Content that a genuine card has proved to be its own.
///
/// ```compile_fail
/// // Nobody but door S can say so.
/// let forged = card_reader::Genuine { content: (), evidence: unreachable!() };
/// ```
pub struct Genuine<C> {
    content: C,
    evidence: Evidence,
}

impl<C> Genuine<C> {
    /// Only for door S, behind its checks.
    pub(crate) fn earned(content: C, evidence: Evidence) -> Self {
        Self { content, evidence }
    }

    /// The content.
    pub fn content(&self) -> &C {
        &self.content
    }

    /// The content alone.
    pub fn into_content(self) -> C {
        self.content
    }

    /// What the issuers signed.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }
}

impl<C> std::fmt::Debug for Genuine<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Genuine(..)")
    }
}

/// Signed statements of the issuer about one card: enough for a third party to check, and no more. It holds no MAC, no
/// challenge, no time and no place. Debug prints nothing of it: it belongs to one person's card.
#[derive(Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The card certificate, signed by the card CA.
    pub card_certificate: [u8; CARD_CERTIFICATE_LEN],
    /// The encoded signature object, signed by the document signer, where data groups were read.
    pub signature_object: Option<Vec<u8>>,
}

impl std::fmt::Debug for Evidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Evidence(..)")
    }
}

/// A card of the issuer, without anything of its holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chip {
    /// Which of the card's keys proved itself.
    pub domain: Domain,
    /// First day of its certificate.
    pub from: Date,
    /// Last day of its certificate, included.
    pub to: Date,
}

/// The data groups that were read, each covered by the signature object. Erased on drop.
pub struct DataGroups {
    pub(crate) dg1: Option<Zeroizing<Vec<u8>>>,
    pub(crate) dg2: Option<Zeroizing<Vec<u8>>>,
    pub(crate) dg3: Option<Zeroizing<Vec<u8>>>,
    pub(crate) signature_object: SignatureObject,
}

impl std::fmt::Debug for DataGroups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataGroups")
            .field("dg1", &self.dg1.is_some())
            .field("dg2", &self.dg2.is_some())
            .field("dg3", &self.dg3.is_some())
            .finish_non_exhaustive()
    }
}

impl DataGroups {
    /// Encoded group 1, 2 or 3 as it stands on the card, if it was read.
    #[must_use]
    pub fn encoded(&self, number: u8) -> Option<&[u8]> {
        let group = match number {
            1 => &self.dg1,
            2 => &self.dg2,
            3 => &self.dg3,
            _ => return None,
        };
        group.as_ref().map(|bytes| bytes.as_slice())
    }

    /// The ten face items, if they were read. (They were parsed when they were read: a group that does not parse is
    /// never handed out.)
    #[must_use]
    pub fn dg1(&self) -> Option<Dg1<'_>> {
        self.encoded(1).and_then(|bytes| Dg1::parse(bytes).ok())
    }

    /// The portrait, if it was read.
    #[must_use]
    pub fn dg2(&self) -> Option<Dg2<'_>> {
        self.encoded(2).and_then(|bytes| Dg2::parse(bytes).ok())
    }

    /// The permit block, if it was read.
    #[must_use]
    pub fn dg3(&self) -> Option<Dg3<'_>> {
        self.encoded(3).and_then(|bytes| Dg3::parse(bytes).ok())
    }

    /// The signature object that covers them.
    #[must_use]
    pub fn signature_object(&self) -> &SignatureObject {
        &self.signature_object
    }
}

/// What a service learns from one record: which entitlement, for how long, under which rules. No pseudonym.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// Role of the record.
    pub role: Role,
    /// Region whose keys opened it.
    pub region: Region,
    /// Tier of the permit.
    pub tier: Tier,
    /// Fare or service class, 0 for none.
    pub class: u8,
    /// Services, one bit each.
    pub services: u64,
    /// Zones, one bit each.
    pub zones: u64,
    /// First day.
    pub valid_from: Date,
    /// Last day, included.
    pub valid_to: Date,
    /// First 8 bytes of SHA-256 of the rule set's id.
    pub rule_set: [u8; 8],
}

impl Admission {
    pub(crate) fn new(entitlement: &Entitlement, region: Region) -> Self {
        Self {
            role: entitlement.role,
            region,
            tier: entitlement.tier,
            class: entitlement.class,
            services: entitlement.services,
            zones: entitlement.zones,
            valid_from: entitlement.from,
            valid_to: entitlement.to,
            rule_set: entitlement.rule_set,
        }
    }
}
