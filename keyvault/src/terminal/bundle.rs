//! Terminal bundles, in sealed boxes (card specification, chapter 08).
//!
//! Terminals get the narrowest level that works: masters of (role, region, version), never more, and of versions that are
//! Active or drain still. The intent is durable before the bytes exist, the outcome has their hash.

use card_applet_spec::bundle::{self, BundleHead, RoleKey};
use card_applet_spec::certificate::MAX_LEAF_DAYS;
use card_applet_spec::codes::{Region, Rights, Role};
use card_applet_spec::crypto::{PublicKey, sha256};
use card_applet_spec::date::Date;
use card_applet_spec::sealed_box;
use jiff::{Timestamp, civil};
use keyvault_protocol::{BundleKind, BundleRequest, Counted, DENY_LIST_DAYS, PointBytes};
use zeroize::Zeroizing;

use crate::audit::journal::Event;
use crate::authority::certificates::{Leaf, anchors, chain};
use crate::authority::signers::Signer;
use crate::clock;
use crate::error::{Error, fault};
use crate::keys::sealed_box::boxed;
use crate::open::transaction::{Core, Open, Transaction};
use crate::store::sql::Table;
use crate::terminal::deny_list::{self, Terms};
use crate::terminal::registry::{Terminal, later};

/// Days that a terminal without door S may use its bundle.
const MAX_BUNDLE_DAYS: u32 = 366;

/// Most bytes of a bundle: what one answer of the vault holds.
const MAX_BUNDLE: usize = 7 * 1024 * 1024;

/// Makes a terminal's bundle.
pub(crate) async fn export_bundle(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    request: &BundleRequest,
) -> Result<Vec<u8>, Error> {
    // Everything that can be refused is, before a key version or a list's number is made for it.
    let (terminal, checked) = next_terminal(core, open, now, request).await?;
    let kind = terminal.kind()?;
    let (roles, rights) = (kind.roles(), rights(kind));
    let terms = Terms {
        issued: checked.today,
        max_age: DENY_LIST_DAYS,
        grace: None,
    };
    let (lists, numbers) = deny_list::lists(core, open, now, roles, terms).await?;
    fits(open, roles, &terminal.regions, checked.today, &lists)?;

    let mut transaction = numbers;
    transaction.put(Table::Terminal, request.terminal.as_bytes(), &terminal)?;
    transaction.spend(Counted::Bundles, 1);
    transaction.note(Event::BundleIntent {
        terminal: request.terminal.clone(),
        kind: terminal.kind.clone(),
        sequence: terminal.sequence,
    });
    open.apply(core, now, transaction).await?;

    let mut ids = Vec::new();
    for role in roles {
        for region in &terminal.regions {
            match open.active(core, now, *role, *region).await {
                // Until the next rotation this role has none, and the terminal accepts nobody for it.
                Ok(_) | Err(Error::NoActiveVersion { .. }) => {}
                Err(error) => return Err(error),
            }
            ids.extend(open.usable_versions(*role, *region, checked.today));
        }
    }
    let chain = match rights {
        Some(rights) => {
            let leaf = Leaf {
                kind: kind.as_str(),
                number: terminal.number,
                key: checked.authentication_key,
                rights,
                from: checked.from,
                to: checked.to,
            };
            Some(chain(core, open, &leaf, checked.today_civil)?)
        }
        None => None,
    };
    let mut keys = Vec::new();
    for (id, state, until) in ids {
        let (door_f, record_master) = open.keys.bundle_masters(id)?;
        // The counter verifies records over door S and never taps.
        let door_f = door_f.filter(|_| kind != BundleKind::Counter);
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
        zones: checked.zones,
        tid: (kind == BundleKind::Shop).then_some(terminal.number),
    };
    let lists: Vec<&[u8]> = lists.iter().map(Vec::as_slice).collect();
    let mut plain = Zeroizing::new(vec![0u8; room(keys.len(), lists.iter().copied())]);
    let root = open.keys.signer(Signer::TerminalCaRoot)?;
    let used = bundle::encode(&head, &keys, &lists, &root, &mut core.rng, &mut plain).map_err(fault)?;
    let sealed = boxed(
        sealed_box::BUNDLE,
        &checked.sealing_key,
        plain,
        used,
        (&open.ring.nonce, &mut core.rng),
    )?;
    let mut transaction = Transaction::default();
    transaction.note(Event::BundleOutcome {
        terminal: request.terminal.clone(),
        sequence: terminal.sequence,
        digest: sha256(&[&sealed]),
    });
    open.apply(core, now, transaction).await?;
    Ok(sealed)
}

/// Room for a bundle of so many keys with these lists, bytes.
fn room<'a>(keys: usize, lists: impl Iterator<Item = &'a [u8]>) -> usize {
    2048 + keys * 160 + lists.map(|list| list.len() + 8).sum::<usize>()
}

/// Refuses a bundle that one answer cannot hold, counting the versions that are made for it.
fn fits(
    open: &Open,
    roles: &[Role],
    regions: &[Region],
    today: Date,
    lists: &[Vec<u8>],
) -> Result<(), Error> {
    let places = roles
        .iter()
        .flat_map(|role| regions.iter().map(move |region| (*role, *region)));
    let keys = places
        .map(|(role, region)| open.usable_versions(role, region, today).len().max(1))
        .sum();
    if room(keys, lists.iter().map(Vec::as_slice)) > MAX_BUNDLE {
        return Err(Error::LimitExceeded {
            what: "the bundle with its deny lists",
            limit: 7 * 1024 * 1024,
        });
    }
    Ok(())
}

/// What a kind of terminal may read over door S; none for one that has no door S.
fn rights(kind: BundleKind) -> Option<Rights> {
    match kind {
        BundleKind::Bus | BundleKind::Door | BundleKind::Shop => None,
        BundleKind::Clinic => Some(Rights::role(Role::Clinic)),
        BundleKind::SocialInsurance => Some(Rights::role(Role::SocialInsurance)),
        BundleKind::Counter => Some(Rights::ALL),
    }
}

struct CheckedBundle {
    sealing_key: PublicKey,
    authentication_key: PublicKey,
    zones: u64,
    from: Date,
    to: Date,
    today: Date,
    today_civil: civil::Date,
}

fn check_bundle(
    terminal: &Terminal,
    request: &BundleRequest,
    now: Timestamp,
) -> Result<CheckedBundle, Error> {
    let bad = |what| Error::BadContent { what };
    let today_civil = clock::day(now);
    let today = clock::card_day(today_civil)?;
    let (from, to) = (clock::card_day(request.from)?, clock::card_day(request.to)?);
    let longest = if rights(terminal.kind()?).is_some() {
        MAX_LEAF_DAYS
    } else {
        MAX_BUNDLE_DAYS
    };
    if from > to || to < today || to.day_number() - from.day_number() > longest {
        return Err(bad(
            "a bundle ends after it begins, not before today, and within 7 days (366 without door S)",
        ));
    }
    if clock::is_too_far(from, today) {
        return Err(bad("a bundle begins at most 7 days ahead"));
    }
    terminal.serves_until(to)?;
    let zones = request.zones.unwrap_or(terminal.zones);
    // 0 stands for all of them.
    if terminal.zones != 0 && (zones == 0 || zones & !terminal.zones != 0) {
        return Err(bad("a zone is none that the terminal is enrolled for"));
    }
    let point = |key: Option<PointBytes>| {
        let key = key.ok_or(Error::NotFound {
            what: "enrolment of this terminal with its keys",
        })?;
        PublicKey::from_point65(&key).map_err(|_| Error::Damaged {
            what: "a terminal's row",
        })
    };
    Ok(CheckedBundle {
        sealing_key: point(terminal.sealing_key)?,
        authentication_key: point(terminal.authentication_key)?,
        zones,
        from,
        to,
        today,
        today_civil,
    })
}

/// The terminal's row as it will be with this bundle, numbered. Nothing is written.
async fn next_terminal(
    core: &mut Core,
    open: &Open,
    now: Timestamp,
    request: &BundleRequest,
) -> Result<(Terminal, CheckedBundle), Error> {
    let id = request.terminal.as_bytes();
    let terminal = open.get::<Terminal>(core, Table::Terminal, id).await?;
    let mut terminal = terminal.ok_or(Error::NotFound {
        what: "terminal of this name",
    })?;
    let checked = check_bundle(&terminal, request, now)?;
    terminal.sequence = terminal.sequence.checked_add(1).ok_or(Error::LimitExceeded {
        what: "the number of bundles",
        limit: u32::MAX,
    })?;
    terminal.bundle_until = later(terminal.bundle_until, checked.to);
    if rights(terminal.kind()?).is_some() {
        terminal.leaf_until = later(terminal.leaf_until, checked.to);
    }
    Ok((terminal, checked))
}
