//! Deny lists: cards that terminals refuse, by role (card specification, chapter 08).
//!
//! A denied card's row keeps every pseudonym that the card shows or may show, those of updates under way included. An
//! entry leaves the lists when its key version is destroyed or its record is over. Versions grow whenever anything of a
//! list differs from the last one. Left out: delta lists, and filters (measured in the terminal issue).

use card_applet_spec::codes::{Region, Role};
use card_applet_spec::crypto::sha256;
use card_applet_spec::date::Date;
use card_applet_spec::deny_list::{self, DenyList, has_grace};
use card_applet_spec::tlv;
use jiff::Timestamp;
use keyvault_protocol::{DenyListRequest, RoleKeyState};
use minicbor::{Decode, Encode};

use crate::audit::journal::Event;
use crate::card::record::{Card, spec_role};
use crate::card::update;
use crate::clock;
use crate::error::Error;
use crate::keys::material::{RoleKeyId, Signer, fault};
use crate::open::transaction::{Change, Core, Open};
use crate::store::sql::Table;

/// Most entries of one list; a larger one needs delta lists.
const MAX_DENIED: usize = 400_000;
/// Longest that a list may be used.
const MAX_AGE_DAYS: u16 = 90;
/// Longest grace behind that.
const MAX_GRACE_DAYS: u16 = 30;
/// Denied cards that are read at once.
const CHUNK: i64 = 1024;

/// Row of a denied card; its id is the serial.
#[derive(Debug, Encode, Decode)]
struct Denied {
    #[n(0)]
    since: i64,
    #[n(1)]
    entries: Vec<Entry>,
    /// Settlement found the card copied or broken.
    #[cbor(n(2), default)]
    copied: bool,
}

/// One pseudonym of a denied card.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Entry {
    #[n(0)]
    role: keyvault_protocol::Role,
    #[cbor(n(1), with = "minicbor::bytes")]
    prefix: [u8; 8],
    /// Region and version; none in rows of the former layout, whose version is 1.
    #[n(2)]
    region: Option<keyvault_protocol::Region>,
    #[n(3)]
    key_version: Option<u8>,
    /// Last day of the record, date4.
    #[cbor(n(4), with = "minicbor::bytes")]
    expires: Option<[u8; 4]>,
}

impl Entry {
    fn stands(&self, open: &Open, today: Date) -> Result<bool, Error> {
        if let Some(expires) = self.expires
            && expires < today.to_bytes()
        {
            return Ok(false);
        }
        let (Some(region), Some(version)) = (self.region, self.key_version) else {
            return Ok(true);
        };
        let region: Region = region.to_string().parse().map_err(fault)?;
        let id = RoleKeyId {
            role: spec_role(self.role)?,
            region,
            version,
        };
        Ok(open
            .roles
            .get(&id)
            .is_none_or(|row| row.state != RoleKeyState::Destroyed))
    }
}

/// Row of the last list of a role; its id is the role.
#[derive(Debug, Encode, Decode)]
pub(crate) struct LastList {
    #[n(0)]
    pub(crate) version: u32,
    /// SHA-256 of everything else that the list says.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) digest: [u8; 32],
}

fn entries_of(card: &Card) -> Vec<Entry> {
    card.shown()
        .map(|slot| {
            let mut prefix = [0u8; 8];
            prefix.copy_from_slice(&slot.pid[..8]);
            Entry {
                role: slot.role,
                prefix,
                region: Some(slot.region),
                key_version: Some(slot.key_version),
                expires: slot.expires,
            }
        })
        .collect()
}

/// Whether a card is on the lists.
pub(crate) async fn is_denied(core: &mut Core, open: &Open, serial: &[u8; 10]) -> Result<bool, Error> {
    let row = open.get::<Denied>(core, Table::Denied, serial).await?;
    Ok(row.is_some())
}

/// A card's row changes: a denied card's new pseudonyms go onto the lists with it. None leaves: a copy of the card may
/// still show it.
pub(crate) async fn card_changed(
    core: &mut Core,
    open: &Open,
    change: &mut Change,
    serial: &[u8; 10],
    card: &Card,
) -> Result<(), Error> {
    let known = match change.pending::<Denied>(Table::Denied, serial) {
        Some(pending) => Some(pending?),
        None => open.get::<Denied>(core, Table::Denied, serial).await?,
    };
    let Some(mut denied) = known else { return Ok(()) };
    let mut changed = false;
    for entry in entries_of(card) {
        let known = denied
            .entries
            .iter()
            .any(|known| known.role == entry.role && known.prefix == entry.prefix);
        if !known {
            denied.entries.push(entry);
            changed = true;
        }
    }
    if changed {
        change.put(Table::Denied, serial, &denied)?;
    }
    Ok(())
}

/// Puts a card's pseudonyms onto the deny lists, and takes what would give it something out of the batches. The same
/// again changes nothing.
pub(crate) async fn deny(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    serial: &[u8; 10],
) -> Result<(), Error> {
    deny_as(core, open, now, serial, false).await
}

async fn deny_as(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    serial: &[u8; 10],
    copied: bool,
) -> Result<(), Error> {
    let before = open.card(core, serial).await?;
    let mut change = Change::default();
    if let Some(mut known) = open.get::<Denied>(core, Table::Denied, serial).await? {
        if known.copied || !copied {
            return Ok(());
        }
        known.copied = true;
        change.put(Table::Denied, serial, &known)?;
        change.note(Event::CardDenied { serial: *serial });
        return open.apply(core, now, change).await;
    }
    let entries = entries_of(&before);
    let denied = Denied {
        since: now.as_second(),
        entries,
        copied,
    };
    change.put(Table::Denied, serial, &denied)?;
    update::withdraw_gifts(core, open, &mut change, &before).await?;
    change.note(Event::CardDenied { serial: *serial });
    open.apply(core, now, change).await
}

/// Denies the card behind a chain of settlement lines.
pub(crate) async fn deny_chain(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    chain: &[u8; 16],
) -> Result<(), Error> {
    let serial = open.keys.serial_of(chain)?;
    deny_as(core, open, now, &serial.0, true).await
}

/// Takes a card from the deny lists. One that is on none changes nothing. One that settlement found copied stays: its
/// debits are never paid again, so no terminal may take it, whoever brings it to a counter as lost and found.
pub(crate) async fn allow(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    serial: &[u8; 10],
) -> Result<(), Error> {
    open.card(core, serial).await?;
    let Some(known) = open.get::<Denied>(core, Table::Denied, serial).await? else {
        return Ok(());
    };
    if known.copied {
        return Err(Error::CardCopied);
    }
    let mut change = Change::default();
    change.delete(Table::Denied, serial);
    change.note(Event::CardAllowed { serial: *serial });
    open.apply(core, now, change).await
}

/// What a list says beside its entries.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) issued: Date,
    pub(crate) max_age: u16,
    pub(crate) grace: Option<u16>,
}

/// A signed deny list: the inside of its A9 template, for each role; empty ones too, so that a terminal can tell
/// "nobody" from "no list".
pub(crate) async fn lists(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    roles: &[Role],
    terms: Terms,
) -> Result<Vec<Vec<u8>>, Error> {
    let today = clock::card_day(clock::day(now))?;
    let mut prefixes: Vec<Vec<[u8; 8]>> = vec![Vec::new(); roles.len()];
    let mut after = Vec::new();
    loop {
        let rows = core.store.rows_after(Table::Denied, &after, CHUNK).await?;
        let Some(end) = rows.last() else { break };
        after.clone_from(&end.id);
        for row in &rows {
            let plain = core.open_row(&open.ring, Table::Denied, row)?;
            let denied: Denied = minicbor::decode(&plain).map_err(|_| Error::Damaged { what: "a row" })?;
            for entry in &denied.entries {
                let of_role = roles
                    .iter()
                    .zip(&mut prefixes)
                    .find(|(role, _)| role.code() == entry.role.number());
                if let Some((_, of_role)) = of_role
                    && entry.stands(open, today)?
                {
                    of_role.push(entry.prefix);
                }
            }
        }
    }
    let mut lists = Vec::new();
    let mut change = Change::default();
    for (role, mut prefixes) in roles.iter().zip(prefixes) {
        prefixes.sort_unstable();
        prefixes.dedup();
        if prefixes.len() > MAX_DENIED {
            return Err(Error::LimitExceeded {
                what: "the deny list",
                limit: 400_000,
            });
        }
        let entries = prefixes.concat();
        let id = [role.code()];
        let before = open.get::<LastList>(core, Table::List, &id).await?;
        let digest = sha256(&[
            b"YZT-LAST-LIST-1",
            &terms.issued.to_bytes(),
            &terms.max_age.to_be_bytes(),
            &terms.grace.map_or([0xFF; 2], u16::to_be_bytes),
            &entries,
        ]);
        let version = match before {
            Some(before) if before.digest == digest => before.version,
            before => {
                let version = before.map_or(0, |before| before.version).checked_add(1);
                let version = version.ok_or(Error::LimitExceeded {
                    what: "the number of deny lists",
                    limit: u32::MAX,
                })?;
                change.put(Table::List, &id, &LastList { version, digest })?;
                version
            }
        };
        let list = DenyList {
            role: *role,
            version,
            issued: terms.issued,
            max_age: terms.max_age,
            entries: &entries,
            grace: terms.grace,
        };
        let key = open.keys.signer(Signer::DenyList)?;
        let mut scratch = vec![0u8; entries.len() + 64];
        let signature = list.sign(&key, &mut scratch, &mut core.rng).map_err(fault)?;
        let mut room = vec![0u8; entries.len() + 160];
        let mut writer = card_applet_spec::bytes::SliceWriter::new(&mut room);
        list.encode(&signature, &mut writer).map_err(fault)?;
        let used = writer.len();
        room.truncate(used);
        lists.push(room);
    }
    if !change.rows.is_empty() {
        // The number is durable before the list leaves: it never stands on two lists.
        open.apply(core, now, change).await?;
    }
    Ok(lists)
}

/// A role's deny list as a whole A9 template.
pub(crate) async fn export(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    request: &DenyListRequest,
) -> Result<Vec<u8>, Error> {
    let bad = |what| Err(Error::BadContent { what });
    let issued = clock::card_day(request.issued)?;
    if request.issued > clock::day(now) {
        return bad("a deny list is not issued on a day that has not come");
    }
    if !(1..=MAX_AGE_DAYS).contains(&request.max_age_days) || request.grace_days > MAX_GRACE_DAYS {
        return bad("a deny list is used for 1 to 90 days, and its grace has at most 30");
    }
    let role = spec_role(request.role)?;
    if request.grace_days > 0 && !has_grace(role) {
        return bad("grace is for TRANSIT and CLINIC: a door and a payment never accept with an old list");
    }
    let terms = Terms {
        issued,
        max_age: request.max_age_days,
        grace: (request.grace_days > 0).then_some(request.grace_days),
    };
    let list = lists(core, open, now, &[role], terms).await?.concat();
    let mut room = vec![0u8; list.len() + 8];
    let mut writer = card_applet_spec::bytes::SliceWriter::new(&mut room);
    tlv::put(&mut writer, deny_list::TEMPLATE, &list).map_err(fault)?;
    let used = writer.len();
    room.truncate(used);
    Ok(room)
}
