//! The queue of sealed updates (card specification, chapter 09): a change of one card, sealed once for each role at whose
//! terminals it may be delivered.
//!
//! A change stays sealed in the queue until it is done, withdrawn, or sealed again under newer counters because a card that
//! did a later update would refuse it. Nothing here stores where, when or through which role a card was met.

use card_applet_spec::codes::{Region, Role, Serial};
use card_applet_spec::date::Date;
use card_applet_spec::update::{SealedUpdate, UPDATE_LEN};
use jiff::Timestamp;
use minicbor::{Decode, Encode};

use crate::card::record::{Card, CardSlot, PendingChange, Stamp};
use crate::clock;
use crate::error::{Error, fault};
use crate::keys::version::RoleKeyId;
use crate::open::transaction::{Core, Open, Transaction};
use crate::store::sql::Table;

/// What a change does to the card, as far as the vault's rows know of it.
#[derive(Clone, Debug, Encode, Decode)]
pub(crate) enum Effect {
    #[n(0)]
    Slot(#[n(0)] CardSlot),
    /// DG3, by its digest.
    #[n(1)]
    Permit(#[cbor(n(0), with = "minicbor::bytes")] [u8; 32]),
    #[n(2)]
    Floor,
    #[n(3)]
    Block,
    #[n(4)]
    Erase {
        #[n(0)]
        role: Role,
        #[n(1)]
        key_version: u8,
    },
    #[n(5)]
    Load,
}

impl Effect {
    /// Whether a newer change of this effect takes the place of `older`.
    pub(crate) fn replaces(&self, older: &Self) -> bool {
        match (self, older) {
            (Self::Slot(new), Self::Slot(old)) => new.role == old.role,
            (Self::Permit(_), Self::Permit(_))
            | (Self::Floor, Self::Floor)
            | (Self::Block, Self::Block)
            | (Self::Load, Self::Load) => true,
            (
                Self::Erase { role, key_version },
                Self::Erase {
                    role: other,
                    key_version: version,
                },
            ) => (role, key_version) == (other, version),
            // What is to leave the card is not brought first.
            (Self::Erase { role, key_version }, Self::Slot(old)) => {
                (*role, *key_version) == (old.role, old.key_version)
            }
            _ => false,
        }
    }

    /// Whether it gives the holder something.
    pub(crate) fn is_a_benefit(&self) -> bool {
        matches!(self, Self::Slot(_) | Self::Permit(_) | Self::Load)
    }
}

/// How a change stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum Progress {
    /// Batches carry it.
    #[n(0)]
    Waiting,
    /// Batches no longer carry it; its receipts are still taken.
    #[n(1)]
    Withdrawn,
    /// A receipt proved it.
    #[n(2)]
    Done,
}

/// Row of a change; its id is random.
#[derive(Clone, Debug, Encode, Decode)]
pub(crate) struct CardChange {
    #[n(0)]
    pub(crate) serial: Serial,
    /// Generation of the update keys under which its envelopes are sealed.
    #[n(1)]
    pub(crate) generation: u32,
    #[n(2)]
    pub(crate) effect: Effect,
    #[n(3)]
    pub(crate) progress: Progress,
    /// The envelopes that batches carry.
    #[n(4)]
    pub(crate) envelopes: Vec<Envelope>,
}

/// An envelope: where it stands in the queue.
#[derive(Clone, Debug, Encode, Decode)]
pub(crate) struct Envelope {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) update: [u8; 16],
    #[n(1)]
    pub(crate) role: Role,
    #[n(2)]
    pub(crate) region: Region,
    #[cbor(n(3), with = "minicbor::bytes")]
    pub(crate) place: Vec<u8>,
}

/// Row of an envelope for its receipt; its id is the update id. It stays: the same receipt again is known.
#[derive(Clone, Debug, Encode, Decode)]
pub(crate) struct UpdateRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) change: [u8; 16],
    #[n(1)]
    pub(crate) stamp: Stamp,
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) receipt: [u8; 16],
}

/// Row of an envelope in the queue; its id is delivering role, region, place of the pseudonym, counter.
#[derive(Clone, Debug, Encode, Decode)]
pub(crate) struct WaitingRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) update: [u8; 16],
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) pid: [u8; 16],
    /// Version of the slot over which it is delivered.
    #[n(2)]
    pub(crate) key_version: u8,
    #[n(3)]
    pub(crate) counter: u32,
    #[cbor(n(4), with = "minicbor::bytes")]
    pub(crate) cipher: [u8; UPDATE_LEN],
    #[cbor(n(5), with = "minicbor::bytes")]
    pub(crate) mac: [u8; 16],
    /// The version that it brings.
    #[n(6)]
    pub(crate) brings: Option<Brings>,
}

impl WaitingRow {
    pub(crate) fn sealed(&self) -> SealedUpdate {
        SealedUpdate {
            counter: self.counter,
            cipher: self.cipher,
            mac: self.mac,
        }
    }
}

/// A key version in a row.
#[derive(Clone, Copy, Debug, Encode, Decode)]
pub(crate) struct Brings {
    #[n(0)]
    pub(crate) role: Role,
    #[n(1)]
    pub(crate) region: Region,
    #[n(2)]
    pub(crate) key_version: u8,
}

/// Part of the queue that a role's and region's terminals carry.
pub(crate) fn queue(role: Role, region: card_applet_spec::codes::Region) -> [u8; 4] {
    let [a, b, c] = region.to_bytes();
    [role.code(), a, b, c]
}

/// A change's row as it will be.
pub(crate) async fn card_change(
    core: &mut Core,
    open: &Open,
    transaction: &Transaction,
    id: &[u8; 16],
) -> Result<CardChange, Error> {
    let row = match transaction.pending::<CardChange>(Table::CardChange, id) {
        Some(pending) => Some(pending?),
        None => open.get::<CardChange>(core, Table::CardChange, id).await?,
    };
    row.ok_or(Error::Damaged {
        what: "a change's row",
    })
}

/// The slots over which a change may be delivered: in each role with door F the newest one that terminals accept.
pub(crate) fn delivery_routes(open: &Open, card: &Card, today: Date) -> Vec<(CardSlot, RoleKeyId)> {
    let mut routes: Vec<(CardSlot, RoleKeyId)> = Vec::new();
    for slot in card.live() {
        let id = slot.key();
        if !id.role.has_door_f() || open.usable(id, today).is_none() {
            continue;
        }
        match routes.iter_mut().find(|(known, _)| known.role == slot.role) {
            Some(known) if known.0.stamp < slot.stamp => *known = (slot.clone(), id),
            Some(_) => {}
            None => routes.push((slot.clone(), id)),
        }
    }
    routes
}

/// A change that is to be sealed.
pub(crate) struct ToSeal<'a> {
    pub(crate) id: [u8; 16],
    pub(crate) serial: &'a Serial,
    pub(crate) plain: &'a [u8; UPDATE_LEN],
    pub(crate) effect: &'a Effect,
    pub(crate) routes: &'a [(CardSlot, RoleKeyId)],
}

/// Seals a change for every route, and queues the envelopes.
pub(crate) fn seal_envelopes(
    core: &mut Core,
    open: &Open,
    transaction: &mut Transaction,
    card: &mut Card,
    wanted: &ToSeal<'_>,
) -> Result<Vec<Envelope>, Error> {
    let ToSeal {
        id,
        serial,
        plain,
        effect,
        routes,
    } = *wanted;
    let keys = open.keys.update_keys(serial, card.generation)?;
    let brings = match effect {
        Effect::Slot(slot) => Some(Brings {
            role: slot.role,
            region: slot.region,
            key_version: slot.key_version,
        }),
        _ => None,
    };
    let mut envelopes = Vec::new();
    let mut last = Stamp::default();
    for (slot, way) in routes {
        let mut update = [0u8; 16];
        core.rng.fill_bytes(&mut update);
        let stamp = card.next_stamp(&mut core.rng)?;
        last = stamp;
        let sealed = SealedUpdate::seal(&keys, stamp.counter, plain).map_err(fault)?;
        let place = [
            &queue(way.role, way.region)[..],
            &open.keys.queue_place(&slot.pid)?,
            &stamp.counter.to_be_bytes(),
        ]
        .concat();
        let waiting = WaitingRow {
            update,
            pid: slot.pid,
            key_version: slot.key_version,
            counter: stamp.counter,
            cipher: sealed.cipher,
            mac: sealed.mac,
            brings,
        };
        transaction.put(Table::Waiting, &place, &waiting)?;
        let row = UpdateRow {
            change: id,
            stamp,
            receipt: sealed.receipt(&keys),
        };
        transaction.put(Table::Update, &update, &row)?;
        envelopes.push(Envelope {
            update,
            role: slot.role,
            region: slot.region,
            place,
        });
    }
    card.changes.retain(|known| known.change != id);
    card.changes.push(PendingChange { change: id, last });
    Ok(envelopes)
}

/// Takes a change's envelopes out of the queue.
pub(crate) fn unqueue(transaction: &mut Transaction, row: &mut CardChange) {
    for envelope in row.envelopes.drain(..) {
        transaction.delete(Table::Waiting, &envelope.place);
    }
}

/// Withdraws a change.
pub(crate) fn drop_from_queue(transaction: &mut Transaction, row: &mut CardChange) {
    unqueue(transaction, row);
    row.progress = Progress::Withdrawn;
}

/// Takes changes of a card out of the batches for which `which` holds; their receipts are still taken.
pub(crate) async fn withdraw(
    core: &mut Core,
    open: &Open,
    transaction: &mut Transaction,
    card: &Card,
    which: impl Fn(&Effect) -> bool,
) -> Result<(), Error> {
    for known in &card.changes {
        let mut row = card_change(core, open, transaction, &known.change).await?;
        if row.progress == Progress::Waiting && which(&row.effect) {
            drop_from_queue(transaction, &mut row);
            transaction.put(Table::CardChange, &known.change, &row)?;
        }
    }
    Ok(())
}

/// A denied card gets nothing any more; a block, an erasure and a floor still go to it.
pub(crate) async fn withdraw_benefits(
    core: &mut Core,
    open: &Open,
    transaction: &mut Transaction,
    card: &Card,
) -> Result<(), Error> {
    withdraw(core, open, transaction, card, Effect::is_a_benefit).await
}

/// Seals a waiting change again: under the present generation, with counters above all that the card has seen, for the
/// routes that there are now. Where there is none it is withdrawn. States are named and not differences, so that doing it
/// twice does no harm.
pub(crate) async fn seal_again(
    core: &mut Core,
    open: &Open,
    transaction: &mut Transaction,
    now: Timestamp,
    card: &mut Card,
    id: &[u8; 16],
    mut row: CardChange,
) -> Result<(), Error> {
    let damaged = Error::Damaged {
        what: "a change without its envelopes",
    };
    let serial = row.serial;
    let first = row.envelopes.first().ok_or(damaged.clone())?;
    let waiting = match transaction.pending::<WaitingRow>(Table::Waiting, &first.place) {
        Some(pending) => Some(pending?),
        None => open.get::<WaitingRow>(core, Table::Waiting, &first.place).await?,
    };
    let waiting = waiting.ok_or(damaged.clone())?;
    let keys = open.keys.update_keys(&serial, row.generation)?;
    let plain = waiting.sealed().open(&keys).map_err(|_| damaged)?;
    unqueue(transaction, &mut row);
    let today = clock::card_day(clock::day(now))?;
    let routes = delivery_routes(open, card, today);
    if routes.is_empty() {
        row.progress = Progress::Withdrawn;
        return transaction.put(Table::CardChange, id, &row);
    }
    row.generation = card.generation;
    let wanted = ToSeal {
        id: *id,
        serial: &serial,
        plain: &plain,
        effect: &row.effect,
        routes: &routes,
    };
    row.envelopes = seal_envelopes(core, open, transaction, card, &wanted)?;
    if let Effect::Slot(slot) = &mut row.effect {
        // Its Ktac comes from the keys under which it arrives.
        slot.stamp = Stamp {
            generation: card.generation,
            counter: card.counter,
        };
        card.slot_sent(slot.clone());
    }
    transaction.put(Table::CardChange, id, &row)
}
