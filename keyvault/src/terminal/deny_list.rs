//! Deny lists: cards that terminals refuse, by role (card specification, chapter 08).
//!
//! Versions grow whenever anything of a list differs from the last one. Left out: delta lists, and filters (measured in the
//! terminal issue).

use card_applet_spec::codes::Role;
use card_applet_spec::crypto::sha256;
use card_applet_spec::date::Date;
use card_applet_spec::deny_list::{self, DenyList, has_grace};
use card_applet_spec::tlv;
use jiff::Timestamp;
use keyvault_protocol::DenyListRequest;
use minicbor::{Decode, Encode};

use crate::authority::signers::Signer;
use crate::card::denied::Denied;
use crate::clock;
use crate::error::{Error, fault};
use crate::open::transaction::{Core, Open, Transaction};
use crate::store::sql::Table;

/// Most entries of one list; a larger one needs delta lists.
const MAX_DENIED: usize = 400_000;

/// Longest that a list may be used.
const MAX_AGE_DAYS: u16 = 90;

/// Longest grace behind that.
const MAX_GRACE_DAYS: u16 = 30;

/// Denied cards that are read at once.
pub(crate) const CHUNK: usize = 1024;

/// Row of the last list of a role; its id is the role.
#[derive(Debug, Encode, Decode)]
pub(crate) struct LastList {
    #[n(0)]
    pub(crate) version: u32,
    /// SHA-256 of everything else that the list says; none where only the version is known.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) digest: Option<[u8; 32]>,
}

/// What a list says beside its entries.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) issued: Date,
    pub(crate) max_age: u16,
    pub(crate) grace: Option<u16>,
}

/// A signed deny list: the inside of its A9 template, for each role; empty ones too, so that a terminal can tell
/// "nobody" from "no list". No list may leave before the transaction beside them is applied, which has their new numbers: so
/// none ever stands on two lists.
pub(crate) async fn lists(
    core: &mut Core,
    open: &Open,
    now: Timestamp,
    roles: &[Role],
    terms: Terms,
) -> Result<(Vec<Vec<u8>>, Transaction), Error> {
    let today = clock::card_day(clock::day(now))?;
    let mut prefixes: Vec<Vec<[u8; 8]>> = vec![Vec::new(); roles.len()];
    let mut after = Vec::new();
    loop {
        let rows = open.rows_after(core, Table::Denied, &after, CHUNK).await?;
        let Some(end) = rows.last() else { break };
        after.clone_from(&end.id);
        for row in &rows {
            let plain = core.open_row(&open.ring, Table::Denied, row)?;
            let denied: Denied = minicbor::decode(&plain).map_err(|_| Error::Damaged { what: "a row" })?;
            for entry in &denied.entries {
                let of_role = roles
                    .iter()
                    .zip(&mut prefixes)
                    .find(|(role, _)| **role == entry.role);
                if let Some((_, of_role)) = of_role
                    && entry.stands(open, today)
                {
                    of_role.push(entry.prefix);
                }
            }
        }
    }
    let mut lists = Vec::new();
    let mut transaction = Transaction::default();
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
            Some(before) if before.digest == Some(digest) => before.version,
            before => {
                let version = before.map_or(0, |before| before.version).checked_add(1);
                let version = version.ok_or(Error::LimitExceeded {
                    what: "the number of deny lists",
                    limit: u32::MAX,
                })?;
                transaction.put(
                    Table::List,
                    &id,
                    &LastList {
                        version,
                        digest: Some(digest),
                    },
                )?;
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
    Ok((lists, transaction))
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
    let role = request.role;
    if request.grace_days > 0 && !has_grace(role) {
        return bad("grace is for TRANSIT and CLINIC: a door and a payment never accept with an old list");
    }
    let terms = Terms {
        issued,
        max_age: request.max_age_days,
        grace: (request.grace_days > 0).then_some(request.grace_days),
    };
    let (lists, numbers) = lists(core, open, now, &[role], terms).await?;
    let list = lists.concat();
    let mut room = vec![0u8; list.len() + 8];
    let mut writer = card_applet_spec::bytes::SliceWriter::new(&mut room);
    tlv::put(&mut writer, deny_list::TEMPLATE, &list).map_err(fault)?;
    let used = writer.len();
    room.truncate(used);
    if !numbers.rows.is_empty() {
        open.apply(core, now, numbers).await?;
    }
    Ok(room)
}
