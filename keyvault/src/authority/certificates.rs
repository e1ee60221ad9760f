//! What the authority certifies: terminal certificates, and the anchors (card specification, chapters 04 and 08).

use card_applet_spec::bundle::Anchors as BundleAnchors;
use card_applet_spec::certificate::{CertificateName, TerminalCertificate};
use card_applet_spec::codes::Rights;
use card_applet_spec::crypto::PublicKey;
use card_applet_spec::date::Date;
use card_applet_spec::rehearsal;
use jiff::civil;
use keyvault_protocol::{Anchors, PointBytes};
use program_contract::Founded;

use crate::authority::signers::Signer;
use crate::clock;
use crate::error::{Error, fault};
use crate::open::transaction::{Core, Open};

/// Epoch of the terminal CA; it grows when the terminal CA's keys are replaced.
pub(crate) const TERMINAL_CA_EPOCH: u16 = 1;

/// Name of the terminal CA in certificates, 10 ASCII.
const AUTHORITY: &str = "YZT-TERM";

/// The terminal CA's name in this vault's certificates: a rehearsal's has another, which terminals read under its signature.
fn authority(founded: Founded) -> &'static str {
    match founded {
        Founded::Real => AUTHORITY,
        Founded::Rehearsal => rehearsal::AUTHORITY,
    }
}

/// Days that an intermediate certificate lives, from the day of the bundle that carries it.
const INTERMEDIATE_DAYS: i32 = 90;

/// Name of the terminal CA's root, which every card trusts.
pub(crate) fn root_name(founded: Founded) -> CertificateName {
    CertificateName::new(authority(founded), TERMINAL_CA_EPOCH, 0)
}

fn intermediate_name(founded: Founded) -> CertificateName {
    CertificateName::new(authority(founded), TERMINAL_CA_EPOCH, 1)
}

pub(crate) type Certificate = Vec<u8>;

/// For whom a leaf certificate is, and for how long.
pub(crate) struct Leaf<'a> {
    pub(crate) kind: &'a str,
    pub(crate) number: u32,
    pub(crate) key: PublicKey,
    pub(crate) rights: Rights,
    pub(crate) from: Date,
    pub(crate) to: Date,
}

/// Intermediate and leaf certificate, made on `today`.
pub(crate) fn chain(
    core: &mut Core,
    open: &Open,
    leaf: &Leaf<'_>,
    today: civil::Date,
) -> Result<(Certificate, Certificate), Error> {
    // A card takes an intermediate's first day for its date floor: it must not lie before today's leaf, nor ahead of
    // the other terminals.
    let effective = clock::card_day(today)?.min(leaf.from);
    let last = today
        .checked_add(jiff::Span::new().days(INTERMEDIATE_DAYS))
        .map_err(|_| Error::BadContent {
            what: "a date is out of range",
        })?;
    let intermediate = TerminalCertificate {
        issuer: root_name(open.founded),
        public: open.keys.public(Signer::TerminalCaIntermediate)?,
        holder: intermediate_name(open.founded),
        rights: Rights::ALL,
        effective,
        // Later than any leaf under it: those begin at most 7 days ahead and live 7.
        expiry: clock::card_day(last)?,
    };
    let leaf = TerminalCertificate {
        issuer: intermediate_name(open.founded),
        public: leaf.key,
        holder: CertificateName::new(leaf.kind, TERMINAL_CA_EPOCH, leaf.number),
        rights: leaf.rights,
        effective: leaf.from,
        expiry: leaf.to,
    };
    let root = open.keys.signer(Signer::TerminalCaRoot)?;
    let intermediate_key = open.keys.signer(Signer::TerminalCaIntermediate)?;
    let intermediate = intermediate.sign(&root, &mut core.rng).map_err(fault)?;
    let leaf = leaf.sign(&intermediate_key, &mut core.rng).map_err(fault)?;
    Ok((intermediate.to_vec(), leaf.to_vec()))
}

pub(crate) fn anchors(open: &Open) -> Result<BundleAnchors, Error> {
    Ok(BundleAnchors {
        card_ca: open.keys.public(Signer::CardCa)?,
        entitlement_signer: open.keys.public(Signer::Entitlement)?,
        document_signer: open.keys.public(Signer::Document)?,
        terminal_ca_name: root_name(open.founded),
        terminal_ca: open.keys.public(Signer::TerminalCaRoot)?,
        deny_list_signer: open.keys.public(Signer::DenyList)?,
    })
}

/// The public keys.
pub(crate) fn public_keys(core: &Core, open: &Open) -> Result<Anchors, Error> {
    let point = |signer| {
        open.keys
            .public(signer)
            .map(|key| -> PointBytes { key.to_point65() })
    };
    Ok(Anchors {
        vault: core.header.vault,
        card_ca: point(Signer::CardCa)?,
        terminal_ca: point(Signer::TerminalCaRoot)?,
        document_signer: point(Signer::Document)?,
        entitlement_signer: point(Signer::Entitlement)?,
        deny_list_signer: point(Signer::DenyList)?,
        audit_signer: point(Signer::Audit)?,
        operating_key: point(Signer::Operating)?,
    })
}
