//! Layouts of before become the present one at the first unseal with this program, a step in one transaction each, so that a
//! vault is before or behind it: format 1 has no key versions and sealed updates, format 2 no keys of custodians, format 3 no sum over its rows: those that are there, every one
//! sealed by this vault and counted, are taken for the present ones. Format 4 knows no callers but issuers, who become entries of the access list.
//! It has no officers: they come by a quorum of custodians. The shares that open
//! a vault determine all others, and so the keys of the custodians who are not there.
//!
//! Every key version of format 1 is number 1, made on first use: it is Active. Cards keep what they had; public
//! keys come from their personalisation, and the digests of their data groups, which were not kept, are known again when
//! all three groups are written.

use card_applet_spec::codes::{Role, Serial};
use jiff::Timestamp;
use keyvault_protocol::{CallerEntry, Enrolment, PointBytes};
use minicbor::{Decode, Encode};
use service_contract::Caller;

use crate::audit::journal::{Event, STRIDE};
use crate::authority::signers::Signer;
use crate::card::job::personalised_keys;
use crate::card::record::{Card, PurseKey};
use crate::custody::shamir::{self, Point};
use crate::error::Error;
use crate::keys::material::{INDEX_KEYS, KeyId, KeyRecord, Keys};
use crate::keys::version::RoleKeyRow;
use crate::open::opening::CHUNK;
use crate::open::transaction::{Core, Open, Transaction};
use crate::store::commitment::Commitment;
use crate::store::sealing::SUITE;
use crate::store::sql::Table;
use crate::terminal::deny_list::LastList;

/// From format 2 to format 3: the header gets the public halves of all custodians' keys.
pub(crate) async fn make_custodians_keys(
    core: &mut Core,
    open: &mut Open,
    points: &[Point],
    now: Timestamp,
) -> Result<(), Error> {
    let (vault, epoch) = (core.header.vault, core.header.epoch);
    let with_key = |share: &Commitment| {
        let value = shamir::at(points, share.index)?;
        share.with_key(&vault, epoch, &value)
    };
    let custodians: Option<Vec<Commitment>> = core.shares.iter().map(with_key).collect();
    let transaction = Transaction {
        custodians: custodians.ok_or(Error::Damaged {
            what: "the commitments to the shares",
        })?,
        ..Transaction::default()
    };
    open.apply(core, now, transaction).await?;
    open.commit(core).await
}

/// From format 3 to format 4: the sum over the rows comes into the state row with every transaction.
pub(crate) async fn take_rows_for_present(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
) -> Result<(), Error> {
    let transaction = Transaction {
        with_sum: true,
        ..Transaction::default()
    };
    open.apply(core, now, transaction).await?;
    open.commit(core).await
}

/// Row of an enrolled issuer of format 4 and before; its id is the name.
#[derive(Encode, Decode)]
struct Issuer {
    #[cbor(n(0), with = "minicbor::bytes")]
    key: PointBytes,
    #[n(1)]
    enrolled: i64,
}

/// From format 4 to format 5: the issuers become entries of the access list, the vault gets an operating key, and the journal, which
/// was walked from its beginning, its milestones.
pub(crate) async fn make_access_list(core: &mut Core, open: &mut Open, now: Timestamp) -> Result<(), Error> {
    let damaged = || Error::Damaged {
        what: "an issuer's row",
    };
    let mut transaction = Transaction {
        with_callers: true,
        ..Transaction::default()
    };
    let operating = KeyId::Signer(Signer::Operating);
    make_key(core, open, &mut transaction, operating, now)?;
    let mut seq = 0;
    loop {
        let entries = core.entries_after(seq, CHUNK).await?;
        let Some(last) = entries.last() else { break };
        seq = last.seq;
        for entry in entries.iter().filter(|entry| entry.seq % STRIDE == 0) {
            transaction.put_milestone(entry.seq, entry.hash)?;
        }
    }
    for row in open.rows(core, Table::Issuer).await? {
        let plain = core.open_row(&open.ring, Table::Issuer, &row)?;
        let Issuer { key, enrolled } = minicbor::decode(&plain).map_err(|_| damaged())?;
        let name = String::from_utf8(row.id.clone()).map_err(|_| damaged())?;
        let entry = CallerEntry {
            enrolment: Enrolment {
                name: name.clone(),
                kind: Caller::Issuer,
                key,
                regions: Vec::new(),
                operations: Vec::new(),
                ceilings: Vec::new(),
            },
            enrolled: Timestamp::from_second(enrolled).map_err(|_| damaged())?,
            suspended: None,
        };
        transaction.delete(Table::Issuer, &row.id);
        transaction.callers.insert(name, entry);
    }
    open.apply(core, now, transaction).await?;
    open.commit(core).await
}

/// A key that vaults of before did not have. If the transaction fails the vault does not open, and it was never in use.
fn make_key(
    core: &mut Core,
    open: &mut Open,
    transaction: &mut Transaction,
    id: KeyId,
    now: Timestamp,
) -> Result<(), Error> {
    let key = open.keys.make(id, &mut core.rng)?;
    let record = KeyRecord {
        suite: SUITE,
        created: now.as_second(),
        secret: *key.expose(),
    };
    transaction.put(Table::Key, id.to_string().as_bytes(), &record)?;
    transaction.note(Event::KeyMade {
        id: id.to_string(),
        check: Keys::check_value(id, &key)?,
    });
    open.keys.insert(id, key)
}

/// From format 1 to format 2, the store and `open`.
pub(crate) async fn bring_up_to_date(core: &mut Core, open: &mut Open, now: Timestamp) -> Result<(), Error> {
    let mut transaction = Transaction::from_first_format();
    for id in INDEX_KEYS {
        make_key(core, open, &mut transaction, id, now)?;
    }
    for id in open.keys.ids() {
        if let KeyId::Record(id) = id {
            transaction.roles.insert(id, RoleKeyRow::active(now));
        }
    }
    for row in core.store.rows(Table::Card).await? {
        let damaged = |_| Error::Damaged { what: "a card's row" };
        let serial = Serial::try_from(row.id.as_slice()).map_err(damaged)?;
        let plain = core.open_row(&open.ring, Table::Card, &row)?;
        let mut card: Card = minicbor::decode(&plain).map_err(|_| Error::Damaged { what: "a card's row" })?;
        if !card.is_finished() {
            continue;
        }
        card.publics = personalised_keys(core, open, &card).await?;
        for slot in card.slots.clone() {
            if slot.role == Role::SmallPayment {
                card.purse.keys.push(PurseKey {
                    key_version: slot.key_version,
                    pid: slot.pid,
                    delivered_by: slot.delivered_by,
                    generation: 0,
                });
            }
        }
        open.put_card(core, &mut transaction, &serial, None, &card)
            .await?;
    }
    let denied = open.rows(core, Table::Denied).await?.len();
    let version = u32::try_from(denied).unwrap_or(u32::MAX).saturating_add(1);
    for role in Role::ALL {
        let last = LastList {
            version,
            digest: None,
        };
        transaction.put(Table::List, &[role.code()], &last)?;
    }
    open.apply(core, now, transaction).await?;
    open.commit(core).await
}
