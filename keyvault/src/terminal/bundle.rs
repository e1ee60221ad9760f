//! What leaves the vault: terminal bundles and lot files in sealed boxes (card specification, chapter 08), signatures of
//! typed statements, public keys.
//!
//! Terminals get the narrowest level that works: masters of (role, region, version), never more, and of versions that
//! are Active or drain still. The intent is durable
//! before the bytes exist, the outcome has their hash.

use card_applet_spec::bundle::{self, Anchors as BundleAnchors, BundleHead, RoleKey};
use card_applet_spec::certificate::{CertificateName, MAX_LEAF_DAYS, TerminalCertificate};
use card_applet_spec::codes::{Region, Rights, Role, Serial};
use card_applet_spec::crypto::{PublicKey, sha256};
use card_applet_spec::date::Date;
use card_applet_spec::kdf::KeySet;
use card_applet_spec::{lot, sealed_box};
use jiff::Timestamp;
use jiff::civil;
use keyvault_protocol::{
    Anchors, BundleKind, BundleRequest, CardBack, LotRequest, MAX_BUNDLE_REGIONS, MAX_LOT_CARDS, PointBytes,
};
use zeroize::Zeroizing;

use crate::audit::journal::Event;
use crate::card::denial::{self, Terms};
use crate::card::order::is_name;
use crate::clock;
use crate::error::Error;
use crate::keys::material::{KeyId, Signer, fault};
use crate::open::transaction::{Change, Core, Open};
use crate::store::sql::Table;
use crate::terminal::registry::{Terminal, later};

/// Number of the card CA's key in card certificates.
pub(crate) const CARD_CA_NUMBER: u8 = 1;
/// Number of the document signer's key in signature objects.
pub(crate) const DOCUMENT_SIGNER_NUMBER: u8 = 1;
/// Epoch of the terminal CA; it grows when the terminal CA's keys are replaced.
pub(crate) const TERMINAL_CA_EPOCH: u16 = 1;
/// Name of the terminal CA in certificates, 10 ASCII.
const AUTHORITY: &str = "YZT-TERM";
/// Days that a terminal without door S may use its bundle.
const MAX_BUNDLE_DAYS: u32 = 366;
/// Days that a bundle may be made ahead.
const MAX_DAYS_AHEAD: u32 = 7;
/// Most bytes of a bundle: what one answer of the vault holds.
const MAX_BUNDLE: usize = 7 * 1024 * 1024;
/// Days that a terminal may use a deny list.
const DENY_LIST_DAYS: u16 = 30;
/// Days that an intermediate certificate lives, from the day of the bundle that carries it.
const INTERMEDIATE_DAYS: i32 = 90;

/// Name of the terminal CA's root, which every card trusts.
pub(crate) fn root_name() -> CertificateName {
    CertificateName::new(AUTHORITY, TERMINAL_CA_EPOCH, 0)
}

fn intermediate_name() -> CertificateName {
    CertificateName::new(AUTHORITY, TERMINAL_CA_EPOCH, 1)
}

/// First number of terminals; the ones below are the authority's own.
const FIRST_TERMINAL: u32 = 0x0001_0000;

/// What a kind of terminal gets.
fn needs(kind: BundleKind) -> (&'static [Role], Option<Rights>) {
    match kind {
        BundleKind::Bus => (&[Role::Transit], None),
        BundleKind::Door => (&[Role::Door], None),
        BundleKind::Shop => (&[Role::SmallPayment], None),
        BundleKind::Clinic => (&[Role::Clinic], Some(Rights::role(Role::Clinic))),
        BundleKind::SocialInsurance => (
            &[Role::SocialInsurance],
            Some(Rights::role(Role::SocialInsurance)),
        ),
        BundleKind::Counter => (Role::ALL, Some(Rights::ALL)),
    }
}

/// Makes a terminal's bundle.
pub(crate) async fn export_bundle(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    request: &BundleRequest,
) -> Result<Vec<u8>, Error> {
    let checked = check_bundle(request, now)?;
    let (roles, rights) = needs(request.kind);
    let mut ids = Vec::new();
    for role in roles {
        for region in &checked.regions {
            match open.active(core, now, *role, *region).await {
                // Until the next rotation this role has none, and the terminal accepts nobody for it.
                Ok(_) | Err(Error::NoActiveVersion { .. }) => {}
                Err(error) => return Err(error),
            }
            ids.extend(open.usable_versions(*role, *region, checked.today));
        }
    }

    let terminal = enter_terminal(core, open, now, request, &checked).await?;
    let terms = Terms {
        issued: checked.today,
        max_age: DENY_LIST_DAYS,
        grace: None,
    };
    let lists = denial::lists(core, open, now, roles, terms).await?;
    let chain = match rights {
        Some(rights) => Some(chain(core, open, request, &checked, rights, terminal.number)?),
        None => None,
    };
    let mut keys = Vec::new();
    for (id, state, until) in ids {
        let (door_f, record_master) = open.keys.bundle_masters(id)?;
        // The counter verifies records over door S and never taps.
        let door_f = if request.kind == BundleKind::Counter {
            only_for_form(core, door_f.is_some())
        } else {
            door_f
        };
        keys.push(RoleKey {
            role: id.role,
            region: id.region,
            kv: id.version,
            state,
            until,
            door_f,
            record_master,
        });
    }
    let mut id = [0u8; 16];
    core.rng.fill_bytes(&mut id);
    let head = BundleHead {
        id,
        name: &request.terminal,
        issued: checked.today,
        not_after: checked.to,
        sequence: terminal.sequence,
        anchors: anchors(open)?,
        chain: chain
            .as_ref()
            .map(|(intermediate, leaf)| (intermediate.as_slice(), leaf.as_slice())),
        zones: request.zones,
        tid: (request.kind == BundleKind::Shop).then_some(terminal.number),
    };
    let lists: Vec<&[u8]> = lists.iter().map(Vec::as_slice).collect();
    let length = 2048 + keys.len() * 160 + lists.iter().map(|list| list.len() + 8).sum::<usize>();
    if length > MAX_BUNDLE {
        return Err(Error::LimitExceeded {
            what: "the bundle with its deny lists",
            limit: 7 * 1024 * 1024,
        });
    }
    let mut plain = Zeroizing::new(vec![0u8; length]);
    let root = open.keys.signer(Signer::TerminalCaRoot)?;
    let used = bundle::encode(&head, &keys, &lists, &root, &mut core.rng, &mut plain).map_err(fault)?;
    let sealed = boxed(sealed_box::BUNDLE, &checked.sealing_key, plain, used, core)?;
    let mut change = Change::default();
    change.note(Event::BundleOutcome {
        terminal: request.terminal.clone(),
        sequence: terminal.sequence,
        digest: sha256(&[&sealed]),
    });
    open.apply(core, now, change).await?;
    Ok(sealed)
}

/// The form of a role key wants group and tap master for roles with door F; a terminal that must not have them gets
/// random ones, which fit no card.
fn only_for_form(
    core: &mut Core,
    has_door_f: bool,
) -> Option<(card_applet_spec::crypto::Key32, card_applet_spec::crypto::Key32)> {
    has_door_f.then(|| {
        let mut random = || {
            let mut key = Zeroizing::new([0u8; 32]);
            core.rng.fill_bytes(&mut *key);
            card_applet_spec::crypto::Key32::new(*key)
        };
        (random(), random())
    })
}

struct CheckedBundle {
    regions: Vec<Region>,
    sealing_key: PublicKey,
    authentication_key: PublicKey,
    from: Date,
    to: Date,
    today: Date,
    today_civil: civil::Date,
}

fn check_bundle(request: &BundleRequest, now: Timestamp) -> Result<CheckedBundle, Error> {
    let bad = |what| Error::BadContent { what };
    if !is_name(&request.terminal, 64) {
        return Err(bad("a terminal's name has 1 to 64 bytes of text"));
    }
    if request.regions.is_empty() || request.regions.len() > MAX_BUNDLE_REGIONS {
        return Err(Error::LimitExceeded {
            what: "the number of regions (at least 1)",
            limit: 64,
        });
    }
    let mut regions = Vec::new();
    for region in &request.regions {
        let region: Region = region.to_string().parse().map_err(fault)?;
        if !regions.contains(&region) {
            regions.push(region);
        }
    }
    let today_civil = clock::day(now);
    let today = clock::card_day(today_civil)?;
    let (from, to) = (clock::card_day(request.from)?, clock::card_day(request.to)?);
    let longest = if needs(request.kind).1.is_some() {
        MAX_LEAF_DAYS
    } else {
        MAX_BUNDLE_DAYS
    };
    if from > to || to < today || to.day_number() - from.day_number() > longest {
        return Err(bad(
            "a bundle ends after it begins, not before today, and within 7 days (366 without door S)",
        ));
    }
    if from.day_number() > today.day_number() + MAX_DAYS_AHEAD {
        // Else a leaf of 7 days could be laid in store for any week of the century, beyond recall.
        return Err(bad("a bundle begins at most 7 days ahead"));
    }
    let point = |key| PublicKey::from_point65(key).map_err(|_| bad("a terminal's keys are points of P-256"));
    Ok(CheckedBundle {
        regions,
        sealing_key: point(&request.sealing_key)?,
        authentication_key: point(&request.authentication_key)?,
        from,
        to,
        today,
        today_civil,
    })
}

/// Numbers the bundle and writes the intent.
async fn enter_terminal(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    request: &BundleRequest,
    checked: &CheckedBundle,
) -> Result<Terminal, Error> {
    let id = request.terminal.as_bytes();
    let kind = request.kind.as_str();
    let mut terminal = match open.get::<Terminal>(core, Table::Terminal, id).await? {
        Some(known) if known.kind != kind => return Err(Error::NameTaken),
        Some(known) => {
            known.in_service()?;
            known
        }
        None => {
            let count = core.store.rows(Table::Terminal).await?.len();
            let count = u32::try_from(count)
                .ok()
                .and_then(|count| FIRST_TERMINAL.checked_add(count));
            let number = count.ok_or(Error::LimitExceeded {
                what: "the number of terminals",
                limit: u32::MAX,
            })?;
            Terminal::new(number, kind)
        }
    };
    terminal.sequence = terminal.sequence.checked_add(1).ok_or(Error::LimitExceeded {
        what: "the number of bundles",
        limit: u32::MAX,
    })?;
    terminal.regions.clone_from(&request.regions);
    terminal.sealing_key = Some(request.sealing_key);
    terminal.authentication_key = Some(request.authentication_key);
    terminal.bundle_until = later(terminal.bundle_until, checked.to);
    if needs(request.kind).1.is_some() {
        terminal.leaf_until = later(terminal.leaf_until, checked.to);
    }
    let mut change = Change::default();
    change.put(Table::Terminal, id, &terminal)?;
    change.note(Event::BundleIntent {
        terminal: request.terminal.clone(),
        kind: kind.to_owned(),
        sequence: terminal.sequence,
    });
    open.apply(core, now, change).await?;
    Ok(terminal)
}

type Certificate = Vec<u8>;

/// Intermediate and leaf certificate.
fn chain(
    core: &mut Core,
    open: &Open,
    request: &BundleRequest,
    checked: &CheckedBundle,
    rights: Rights,
    number: u32,
) -> Result<(Certificate, Certificate), Error> {
    // A card takes an intermediate's first day for its date floor: it must not lie before today's leaf, nor ahead of
    // the other terminals.
    let effective = checked.today.min(checked.from);
    let last = checked
        .today_civil
        .checked_add(jiff::Span::new().days(INTERMEDIATE_DAYS))
        .map_err(|_| Error::BadContent {
            what: "a date is out of range",
        })?;
    let intermediate = TerminalCertificate {
        issuer: root_name(),
        public: open.keys.public(Signer::TerminalCaIntermediate)?,
        holder: intermediate_name(),
        rights: Rights::ALL,
        effective,
        // Later than any leaf under it: those begin at most 7 days ahead and live 7.
        expiry: clock::card_day(last)?,
    };
    let leaf = TerminalCertificate {
        issuer: intermediate_name(),
        public: checked.authentication_key,
        holder: CertificateName::new(request.kind.as_str(), TERMINAL_CA_EPOCH, number),
        rights,
        effective: checked.from,
        expiry: checked.to,
    };
    let root = open.keys.signer(Signer::TerminalCaRoot)?;
    let intermediate_key = open.keys.signer(Signer::TerminalCaIntermediate)?;
    let intermediate = intermediate.sign(&root, &mut core.rng).map_err(fault)?;
    let leaf = leaf.sign(&intermediate_key, &mut core.rng).map_err(fault)?;
    Ok((intermediate.to_vec(), leaf.to_vec()))
}

fn anchors(open: &Open) -> Result<BundleAnchors, Error> {
    Ok(BundleAnchors {
        card_ca: open.keys.public(Signer::CardCa)?,
        entitlement_signer: open.keys.public(Signer::Entitlement)?,
        document_signer: open.keys.public(Signer::Document)?,
        terminal_ca_name: root_name(),
        terminal_ca: open.keys.public(Signer::TerminalCaRoot)?,
        deny_list_signer: open.keys.public(Signer::DenyList)?,
    })
}

/// Seals the first `used` bytes to the receiver.
pub(crate) fn boxed(
    magic: [u8; 4],
    receiver: &PublicKey,
    mut plain: Zeroizing<Vec<u8>>,
    used: usize,
    core: &mut Core,
) -> Result<Vec<u8>, Error> {
    let message = plain.get_mut(..used).ok_or(Error::SelfTestFailed {
        what: "a box of its own length",
    })?;
    let (head, tag) = sealed_box::seal(magic, receiver, message, &mut core.rng).map_err(fault)?;
    Ok([&head[..], message, &tag].concat())
}

/// Makes the transport keys of a lot of blanks, for the card maker.
pub(crate) async fn export_lot(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    request: &LotRequest,
) -> Result<Vec<u8>, Error> {
    if request.count == 0 || request.count > MAX_LOT_CARDS {
        return Err(Error::LimitExceeded {
            what: "the count of blanks (at least 1)",
            limit: MAX_LOT_CARDS,
        });
    }
    let last = request.first.checked_add(request.count - 1);
    let last = last.ok_or(Error::BadContent {
        what: "the numbers of a lot end at 4294967295",
    })?;
    if !is_name(&request.maker, 64) {
        return Err(Error::BadContent {
            what: "a card maker's name has 1 to 64 bytes of text",
        });
    }
    let maker = PublicKey::from_point65(&request.maker_key).map_err(|_| Error::BadContent {
        what: "a card maker's key is a point of P-256",
    })?;
    let mut number = [0u8; 6];
    number[..2].copy_from_slice(&request.issuer);
    number[2..].copy_from_slice(&request.lot);
    open.ensure_keys(core, now, &[KeyId::LotTransport(number)])
        .await?;
    let mut change = Change::default();
    change.note(Event::LotIntent {
        lot: number,
        first: request.first,
        count: request.count,
        maker: request.maker.clone(),
    });
    open.apply(core, now, change).await?;

    let mut blanks: Vec<(Serial, KeySet)> = Vec::new();
    for card in request.first..=last {
        let mut serial = [0u8; 10];
        serial[..6].copy_from_slice(&number);
        serial[6..].copy_from_slice(&card.to_be_bytes());
        let serial = Serial(serial);
        blanks.push((serial, open.keys.transport_keys(&serial)?));
    }
    let mut plain = Zeroizing::new(vec![0u8; lot::encoded_len(blanks.len()) + 16]);
    let card_ca = open.keys.signer(Signer::CardCa)?;
    let used = lot::encode(request.lot, &blanks, &card_ca, &mut core.rng, &mut plain).map_err(fault)?;
    let sealed = boxed(sealed_box::LOT, &maker, plain, used, core)?;
    let mut change = Change::default();
    change.note(Event::LotOutcome {
        lot: number,
        digest: sha256(&[&sealed]),
    });
    open.apply(core, now, change).await?;
    Ok(sealed)
}

/// Signs the statement of a card's back.
pub(crate) async fn sign_card_back(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    back: &CardBack,
) -> Result<[u8; 64], Error> {
    let message = back.signed_bytes().map_err(|_| Error::BadContent {
        what: "a card number has 1 to 32 ASCII letters, digits and `-`",
    })?;
    let mut change = Change::default();
    change.note(Event::CardBackSigned {
        card_number: back.card_number.clone(),
    });
    open.apply(core, now, change).await?;
    open.keys
        .signer(Signer::Document)?
        .sign(&[&message], &mut core.rng)
        .map_err(fault)
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
    })
}
