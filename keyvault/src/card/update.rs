//! Sealed updates (card specification, chapter 09): a change of one card, sealed once for each role at whose terminals it
//! may be delivered; batches of what waits for a terminal; receipts.
//!
//! Nothing here stores where, when or through which role a card was met: a receipt marks its change as done, and the
//! journal counts receipts. A change stays sealed in the queue until it is done, withdrawn, or sealed again under newer
//! counters because a card that did a later update would refuse it.

use card_applet_spec::codes::{Domain, Role, Serial, State};
use card_applet_spec::crypto::{PublicKey, equal, sha256};
use card_applet_spec::data_group::{Dg3, SignatureObject};
use card_applet_spec::date::Date;
use card_applet_spec::sealed_box;
use card_applet_spec::update::{Operation, SealedUpdate, UPDATE_LEN};
use card_applet_spec::update_files::{self, BatchEntry, BatchHead};
use jiff::Timestamp;
use keyvault_protocol::{
    BundleKind, CardSerial, MAX_BATCH_UPDATES, MAX_RECEIPTS, MAX_UPDATE_DG3, PendingUpdates, QueuedEnvelope,
    QueuedUpdate, Receipt, ReceiptOutcome, TaskKind, UpdateTask, UpdatesRequest,
};
use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

use crate::audit::journal::Event;
use crate::card::denial;
use crate::card::order;
use crate::card::record::{Brought, Card, CardSlot, SealedChange, Stamp};
use crate::card::session::{Job, check_entitlement, job_id};
use crate::card::slot::{self, Target};
use crate::clock;
use crate::error::Error;
use crate::keys::material::{RoleKeyId, Signer, fault};
use crate::open::transaction::{Change, Core, Open};
use crate::store::sql::Table;
use crate::terminal::bundle::{DOCUMENT_SIGNER_NUMBER, boxed};
use crate::terminal::registry::{Terminal, later};

/// Days that a batch may be used.
const MAX_BATCH_DAYS: u32 = 31;
/// Receipts in one transaction.
const GROUP: usize = 256;

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
        role: keyvault_protocol::Role,
        #[n(1)]
        key_version: u8,
    },
    #[n(5)]
    Load,
}

impl Effect {
    /// Whether a newer change of this effect takes the place of `older`.
    fn replaces(&self, older: &Self) -> bool {
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
    fn is_a_gift(&self) -> bool {
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
pub(crate) struct ChangeRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    serial: CardSerial,
    /// Generation of the update keys under which its envelopes are sealed.
    #[n(1)]
    generation: u32,
    #[n(2)]
    pub(crate) effect: Effect,
    #[n(3)]
    pub(crate) progress: Progress,
    /// The envelopes that batches carry.
    #[n(4)]
    envelopes: Vec<Envelope>,
}

/// An envelope: where it stands in the queue.
#[derive(Clone, Debug, Encode, Decode)]
struct Envelope {
    #[cbor(n(0), with = "minicbor::bytes")]
    update: [u8; 16],
    #[n(1)]
    role: keyvault_protocol::Role,
    #[n(2)]
    region: keyvault_protocol::Region,
    #[cbor(n(3), with = "minicbor::bytes")]
    place: Vec<u8>,
}

/// Row of an envelope for its receipt; its id is the update id. It stays: the same receipt again is known.
#[derive(Clone, Debug, Encode, Decode)]
struct UpdateRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    change: [u8; 16],
    #[n(1)]
    stamp: Stamp,
    #[cbor(n(2), with = "minicbor::bytes")]
    receipt: [u8; 16],
}

/// Row of an envelope in the queue; its id is delivering role, region, place of the pseudonym, counter.
#[derive(Clone, Debug, Encode, Decode)]
struct WaitingRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    update: [u8; 16],
    #[cbor(n(1), with = "minicbor::bytes")]
    pid: [u8; 16],
    /// Version of the slot over which it is delivered.
    #[n(2)]
    key_version: u8,
    #[n(3)]
    counter: u32,
    #[cbor(n(4), with = "minicbor::bytes")]
    cipher: [u8; UPDATE_LEN],
    #[cbor(n(5), with = "minicbor::bytes")]
    mac: [u8; 16],
    /// The version that it brings.
    #[n(6)]
    brings: Option<Brings>,
}

/// A key version in a row.
#[derive(Clone, Copy, Debug, Encode, Decode)]
struct Brings {
    #[n(0)]
    role: keyvault_protocol::Role,
    #[n(1)]
    region: keyvault_protocol::Region,
    #[n(2)]
    key_version: u8,
}

impl WaitingRow {
    fn sealed(&self) -> SealedUpdate {
        SealedUpdate {
            counter: self.counter,
            cipher: self.cipher,
            mac: self.mac,
        }
    }
}

/// Part of the queue that a role's and region's terminals carry.
fn queue(role: Role, region: card_applet_spec::codes::Region) -> [u8; 4] {
    let [a, b, c] = region.to_bytes();
    [role.code(), a, b, c]
}

/// A change's row as it will be.
pub(crate) async fn change_row(
    core: &mut Core,
    open: &Open,
    change: &Change,
    id: &[u8; 16],
) -> Result<ChangeRow, Error> {
    let row = match change.pending::<ChangeRow>(Table::Change, id) {
        Some(pending) => Some(pending?),
        None => open.get::<ChangeRow>(core, Table::Change, id).await?,
    };
    row.ok_or(Error::Damaged {
        what: "a change's row",
    })
}

/// The slots over which a change may be delivered: in each role with door F the newest one that terminals accept.
fn ways(open: &Open, card: &Card, today: Date) -> Result<Vec<(CardSlot, RoleKeyId)>, Error> {
    let mut ways: Vec<(CardSlot, RoleKeyId)> = Vec::new();
    for slot in card.live() {
        let id = slot.key()?;
        if !id.role.has_door_f() || open.usable(id, today).is_none() {
            continue;
        }
        match ways.iter_mut().find(|(known, _)| known.role == slot.role) {
            Some(known) if known.0.stamp < slot.stamp => *known = (slot.clone(), id),
            Some(_) => {}
            None => ways.push((slot.clone(), id)),
        }
    }
    Ok(ways)
}

/// A change that is to be sealed.
struct ToSeal<'a> {
    id: [u8; 16],
    serial: &'a Serial,
    plain: &'a [u8; UPDATE_LEN],
    effect: &'a Effect,
    ways: &'a [(CardSlot, RoleKeyId)],
}

/// Seals a change for every way, and queues the envelopes.
fn seal_envelopes(
    core: &mut Core,
    open: &Open,
    change: &mut Change,
    card: &mut Card,
    wanted: &ToSeal<'_>,
) -> Result<Vec<Envelope>, Error> {
    let ToSeal {
        id,
        serial,
        plain,
        effect,
        ways,
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
    for (slot, way) in ways {
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
        change.put(Table::Waiting, &place, &waiting)?;
        let row = UpdateRow {
            change: id,
            stamp,
            receipt: sealed.receipt(&keys),
        };
        change.put(Table::Update, &update, &row)?;
        envelopes.push(Envelope {
            update,
            role: slot.role,
            region: slot.region,
            place,
        });
    }
    card.changes.retain(|known| known.change != id);
    card.changes.push(SealedChange { change: id, last });
    Ok(envelopes)
}

/// Takes a change's envelopes out of the queue.
fn unqueue(change: &mut Change, row: &mut ChangeRow) {
    for envelope in row.envelopes.drain(..) {
        change.delete(Table::Waiting, &envelope.place);
    }
}

/// Withdraws a change.
pub(crate) fn drop_from_queue(change: &mut Change, row: &mut ChangeRow) {
    unqueue(change, row);
    row.progress = Progress::Withdrawn;
}

/// Takes changes of a card out of the batches for which `which` holds; their receipts are still taken.
pub(crate) async fn withdraw(
    core: &mut Core,
    open: &Open,
    change: &mut Change,
    card: &Card,
    which: impl Fn(&Effect) -> bool,
) -> Result<(), Error> {
    for known in &card.changes {
        let mut row = change_row(core, open, change, &known.change).await?;
        if row.progress == Progress::Waiting && which(&row.effect) {
            drop_from_queue(change, &mut row);
            change.put(Table::Change, &known.change, &row)?;
        }
    }
    Ok(())
}

/// A denied card gets nothing any more; a block, an erasure and a floor still go to it.
pub(crate) async fn withdraw_gifts(
    core: &mut Core,
    open: &Open,
    change: &mut Change,
    card: &Card,
) -> Result<(), Error> {
    withdraw(core, open, change, card, Effect::is_a_gift).await
}

/// Seals a waiting change again: under the present generation, with counters above all that the card has seen, for the
/// ways that there are now. Where there is none it is withdrawn. States are named and not differences, so that doing it
/// twice does no harm.
pub(crate) async fn seal_again(
    core: &mut Core,
    open: &Open,
    change: &mut Change,
    now: Timestamp,
    card: &mut Card,
    id: &[u8; 16],
    mut row: ChangeRow,
) -> Result<(), Error> {
    let damaged = Error::Damaged {
        what: "a change without its envelopes",
    };
    let serial = Serial(row.serial);
    let first = row.envelopes.first().ok_or(damaged.clone())?;
    let waiting = match change.pending::<WaitingRow>(Table::Waiting, &first.place) {
        Some(pending) => Some(pending?),
        None => open.get::<WaitingRow>(core, Table::Waiting, &first.place).await?,
    };
    let waiting = waiting.ok_or(damaged.clone())?;
    let keys = open.keys.update_keys(&serial, row.generation)?;
    let plain = waiting.sealed().open(&keys).map_err(|_| damaged)?;
    unqueue(change, &mut row);
    let today = clock::card_day(clock::day(now))?;
    let ways = ways(open, card, today)?;
    if ways.is_empty() {
        row.progress = Progress::Withdrawn;
        return change.put(Table::Change, id, &row);
    }
    row.generation = card.generation;
    let wanted = ToSeal {
        id: *id,
        serial: &serial,
        plain: &plain,
        effect: &row.effect,
        ways: &ways,
    };
    row.envelopes = seal_envelopes(core, open, change, card, &wanted)?;
    if let Effect::Slot(slot) = &mut row.effect {
        // Its Ktac comes from the keys under which it arrives.
        slot.stamp = Stamp {
            generation: card.generation,
            counter: card.counter,
        };
        card.slot_sent(slot.clone());
    }
    change.put(Table::Change, id, &row)
}

/// Effect and plain text of a task.
struct Built {
    effect: Effect,
    plain: Zeroizing<[u8; UPDATE_LEN]>,
}

/// Checks a task against what the card is and has, and builds its plain text.
#[expect(
    clippy::too_many_lines,
    reason = "one arm for each operation, read as a table"
)]
async fn build(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    serial: &Serial,
    card: &mut Card,
    task: &UpdateTask,
) -> Result<Built, Error> {
    let bad = |what| Err(Error::BadContent { what });
    let today = clock::card_day(clock::day(now))?;
    let encode = |operation: &Operation<'_>| {
        operation.encode().map_err(|_| Error::BadContent {
            what: "a change is not in the form of the card specification",
        })
    };
    let (effect, plain) = match task {
        UpdateTask::Entitlement(wanted) => {
            check_entitlement(wanted, today)?;
            let (role, region) = slot::place(wanted)?;
            let id = open.active(core, now, role, region).await?;
            let target = Target {
                serial,
                id,
                public64: card.public(role.domain())?,
                issue_counter: card.next_issue_counter(wanted.role),
                brought: Brought::Update,
                // Any stamp of this generation: the one under which it arrives is in its receipt.
                stamp: Stamp {
                    generation: card.generation,
                    counter: card.counter,
                },
            };
            let made = slot::make(&open.keys, &mut core.rng, &target, wanted)?;
            let purse = role == Role::SmallPayment;
            let loaded = if purse { card.purse.most() } else { 0 };
            let operation = Operation::Slot {
                slot: made.step(true, loaded),
                cap: wanted.purse_cap,
            };
            let plain = encode(&operation)?;
            card.slot_sent(made.slot.clone());
            (Effect::Slot(made.slot), plain)
        }
        UpdateTask::PermitBlock { dg3 } => {
            let Ok(parsed) = Dg3::parse(dg3) else {
                return bad("DG3 is not in the form of the card specification");
            };
            if dg3.len() > MAX_UPDATE_DG3 {
                return bad("a DG3 of more than 157 bytes goes onto a card at the counter only");
            }
            if parsed.issued > parsed.endorsed_until {
                return bad("the permit in DG3 ends before it was issued");
            }
            let Some([dg1, dg2, _]) = card.group_digests() else {
                return Err(Error::NotFound {
                    what: "digests of this card's data groups; write all three at the counter once",
                });
            };
            let digest = sha256(&[dg3]);
            let key = open.keys.signer(Signer::Document)?;
            let person = card.public(Domain::Person)?;
            let object = SignatureObject::sign_digests(
                DOCUMENT_SIGNER_NUMBER,
                &key,
                sha256(&[&person]),
                [dg1, dg2, digest],
                &mut core.rng,
            )
            .map_err(fault)?;
            let operation = Operation::Dg3 {
                signer: DOCUMENT_SIGNER_NUMBER,
                dg3,
                signature: &object.signature,
            };
            (Effect::Permit(digest), encode(&operation)?)
        }
        UpdateTask::DateFloor(day) => {
            let day = clock::card_day(*day)?;
            if day > today {
                return bad(
                    "a card's date floor does not go beyond today: it would refuse today's terminals",
                );
            }
            (Effect::Floor, encode(&Operation::Floor(day))?)
        }
        UpdateTask::Block => (Effect::Block, encode(&Operation::Block)?),
        UpdateTask::EraseVersion { role, version } => {
            let has = |slot: &CardSlot| (slot.role, slot.key_version) == (*role, *version);
            if !card.shown().any(has) {
                return Err(Error::NotFound {
                    what: "slot of this role and version on the card",
                });
            }
            let effect = Effect::Erase {
                role: *role,
                key_version: *version,
            };
            let operation = Operation::Erase {
                role: crate::card::record::spec_role(*role)?,
                kv: *version,
            };
            (effect, encode(&operation)?)
        }
        UpdateTask::Load { loaded } => {
            if card.purse.keys.is_empty() {
                return Err(Error::NotFound {
                    what: "purse on this card",
                });
            }
            if *loaded <= card.purse.most() {
                return bad("a load names all money ever loaded, above every value given before");
            }
            card.purse.give(*loaded);
            (Effect::Load, encode(&Operation::Load { loaded: *loaded })?)
        }
    };
    Ok(Built { effect, plain })
}

/// Seals a change of a card under an order. The same again gives the same envelopes.
pub(crate) async fn seal(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    (order, index): ([u8; 16], u32),
    serial: CardSerial,
    task: &UpdateTask,
) -> Result<QueuedUpdate, Error> {
    let running = order::running(core, open, now, &order).await?;
    if !running.tasks.contains(&TaskKind::Update) {
        return Err(Error::TaskNotOrdered);
    }
    if index >= running.cards {
        return Err(Error::QuotaUsed { cards: running.cards });
    }
    let encoded = Zeroizing::new(minicbor::to_vec(task).map_err(|_| Error::BadContent {
        what: "a change that cannot be encoded",
    })?);
    let digest = sha256(&[b"YZT-UPDATE-TASK-1", &encoded]);
    let job = job_id(&order, index);
    if let Some(job) = open.get::<Job>(core, Table::Job, &job).await? {
        return match job.queued {
            Some(queued) if job.serial == serial && job.content == digest => Ok(queued),
            _ => Err(Error::CardConflict {
                what: "this index of the order belongs to something else",
            }),
        };
    }
    let before = open.card(core, &serial).await?;
    let state = before.state()?;
    if !matches!(state, State::Personalised | State::Active) {
        return Err(Error::CardState {
            state: state.as_str(),
        });
    }
    let gift = matches!(
        task,
        UpdateTask::Entitlement(_) | UpdateTask::PermitBlock { .. } | UpdateTask::Load { .. }
    );
    if gift && denial::is_denied(core, open, &serial).await? {
        return Err(Error::CardDenied);
    }
    if gift && before.writing.is_some() {
        return Err(Error::CardConflict {
            what: "a rewrite of this card was begun and is not finished: finish it at the counter first",
        });
    }
    let mut card = before.clone();
    let Built { effect, plain } = build(core, open, now, &Serial(serial), &mut card, task).await?;
    let today = clock::card_day(clock::day(now))?;
    let ways = ways(open, &card, today)?;
    if ways.is_empty() {
        return Err(Error::NoDelivery);
    }
    let mut change = Change::default();
    withdraw(core, open, &mut change, &card, |older| effect.replaces(older)).await?;
    let mut id = [0u8; 16];
    core.rng.fill_bytes(&mut id);
    let wanted = ToSeal {
        id,
        serial: &Serial(serial),
        plain: &plain,
        effect: &effect,
        ways: &ways,
    };
    let envelopes = seal_envelopes(core, open, &mut change, &mut card, &wanted)?;
    let queued = QueuedUpdate {
        change: id,
        envelopes: envelopes
            .iter()
            .map(|envelope| QueuedEnvelope {
                update: envelope.update,
                role: envelope.role,
                region: envelope.region,
            })
            .collect(),
    };
    let row = ChangeRow {
        serial,
        generation: card.generation,
        effect,
        progress: Progress::Waiting,
        envelopes,
    };
    change.put(Table::Change, &id, &row)?;
    change.put(Table::Job, &job, &Job::of_update(serial, digest, queued.clone()))?;
    open.put_card(core, &mut change, &serial, Some(&before), &card)
        .await?;
    change.note(Event::UpdateSealed {
        order,
        index,
        serial,
        task: words(task).to_owned(),
    });
    open.apply(core, now, change).await?;
    Ok(queued)
}

fn words(task: &UpdateTask) -> &'static str {
    match task {
        UpdateTask::Entitlement(_) => "entitlement",
        UpdateTask::PermitBlock { .. } => "permit-block",
        UpdateTask::DateFloor(_) => "date-floor",
        UpdateTask::Block => "block",
        UpdateTask::EraseVersion { .. } => "erase-version",
        UpdateTask::Load { .. } => "load",
    }
}

/// The role whose cards a kind of terminal taps.
fn taps(kind: BundleKind) -> Option<Role> {
    match kind {
        BundleKind::Bus => Some(Role::Transit),
        BundleKind::Door => Some(Role::Door),
        BundleKind::Shop => Some(Role::SmallPayment),
        BundleKind::Clinic | BundleKind::Counter | BundleKind::SocialInsurance => None,
    }
}

/// A terminal's batch.
pub(crate) async fn export(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    request: &UpdatesRequest,
) -> Result<Vec<u8>, Error> {
    let name = request.terminal.as_bytes();
    let terminal = open.get::<Terminal>(core, Table::Terminal, name).await?;
    let mut terminal = terminal.ok_or(Error::NotFound {
        what: "terminal of this name",
    })?;
    terminal.in_service()?;
    let role = taps(terminal.kind()?).ok_or(Error::BadContent {
        what: "this kind of terminal taps no cards over door F, and delivers no updates",
    })?;
    let sealing_key = terminal.sealing_key.ok_or(Error::NotFound {
        what: "present bundle of this terminal; export one first",
    })?;
    let sealing_key = PublicKey::from_point65(&sealing_key).map_err(fault)?;
    let today = clock::card_day(clock::day(now))?;
    let to = clock::card_day(request.to)?;
    if to < today || to.day_number() > today.day_number() + MAX_BATCH_DAYS {
        return Err(Error::BadContent {
            what: "a batch is used until a day from today on, at most 31 days ahead",
        });
    }
    let mut entries = Vec::new();
    let regions = terminal.regions.clone();
    for (n, region) in regions.iter().enumerate() {
        // What one region leaves is the next one's.
        let room = (MAX_BATCH_UPDATES - entries.len()) / (regions.len() - n);
        let region = region.to_string().parse().map_err(fault)?;
        collect(core, open, role, region, today, room, &mut entries).await?;
    }
    let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    let sequence = terminal.batch.checked_add(1).ok_or(Error::LimitExceeded {
        what: "the number of batches",
        limit: u32::MAX,
    })?;
    terminal.batch = sequence;
    terminal.updates_until = later(terminal.updates_until, to);
    let mut change = Change::default();
    change.put(Table::Terminal, name, &terminal)?;
    change.note(Event::UpdatesExported {
        terminal: request.terminal.clone(),
        sequence,
        count,
    });
    open.apply(core, now, change).await?;

    let mut id = [0u8; 16];
    core.rng.fill_bytes(&mut id);
    let head = BatchHead {
        id,
        name: &request.terminal,
        issued: today,
        not_after: to,
        sequence,
    };
    let mut plain = Zeroizing::new(vec![0u8; update_files::batch_len(entries.len())]);
    let root = open.keys.signer(Signer::TerminalCaRoot)?;
    let used =
        update_files::encode_batch(&head, &entries, &root, &mut core.rng, &mut plain).map_err(fault)?;
    boxed(sealed_box::UPDATES, &sealing_key, plain, used, core)
}

/// Up to `room` envelopes of a queue, in the order of pseudonym and counter. Where there are more, they begin at a random
/// place: other batches have the others. A card's envelopes stay together.
async fn collect(
    core: &mut Core,
    open: &Open,
    role: Role,
    region: card_applet_spec::codes::Region,
    today: Date,
    room: usize,
    entries: &mut Vec<BatchEntry>,
) -> Result<(), Error> {
    let prefix = queue(role, region);
    let limit = i64::try_from(room + 1).unwrap_or(i64::MAX);
    let mut rows = core.store.rows_after(Table::Waiting, &prefix, limit).await?;
    rows.retain(|row| row.id.starts_with(&prefix));
    if rows.len() > room {
        let mut start = [0u8; 16];
        core.rng.fill_bytes(&mut start);
        let start = [&prefix[..], &start, &[0xFF; 4]].concat();
        let mut behind = core.store.rows_after(Table::Waiting, &start, limit).await?;
        behind.retain(|row| row.id.starts_with(&prefix));
        // Too few are left behind that place: the ones from the beginning follow.
        behind.extend(rows.into_iter().filter(|row| row.id <= start));
        rows = behind;
        // The pseudonym that the room cuts through waits for another batch, unless it is the only one.
        let place = |row: &crate::store::sql::Row| row.id.get(..20).map(<[u8]>::to_vec);
        let cut = rows.get(room).and_then(place);
        rows.truncate(room);
        if rows.first().and_then(place) != cut {
            rows.retain(|row| place(row) != cut);
        }
    }
    for row in rows {
        let plain = core.open_row(&open.ring, Table::Waiting, &row)?;
        let waiting: WaitingRow = minicbor::decode(&plain).map_err(|_| Error::Damaged {
            what: "the queue of updates",
        })?;
        let over = RoleKeyId {
            role,
            region,
            version: waiting.key_version,
        };
        let brings = match waiting.brings {
            Some(Brings {
                role,
                region,
                key_version,
            }) => Some(RoleKeyId {
                role: crate::card::record::spec_role(role)?,
                region: region.to_string().parse().map_err(fault)?,
                version: key_version,
            }),
            None => None,
        };
        // A version that is compromised since is neither used nor brought.
        let usable = |id: RoleKeyId| open.usable(id, today).is_some();
        if usable(over) && brings.is_none_or(usable) {
            entries.push(BatchEntry {
                id: waiting.update,
                role,
                pid: waiting.pid,
                update: waiting.sealed(),
            });
        }
    }
    Ok(())
}

/// Takes receipts, in groups of one transaction each.
pub(crate) async fn accept(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    receipts: &[Receipt],
) -> Result<Vec<ReceiptOutcome>, Error> {
    if receipts.len() > MAX_RECEIPTS {
        return Err(Error::LimitExceeded {
            what: "the number of receipts",
            limit: 10_000,
        });
    }
    let mut outcomes = Vec::with_capacity(receipts.len());
    for group in receipts.chunks(GROUP) {
        let mut change = Change::default();
        let mut proved = 0u32;
        for receipt in group {
            let outcome = take(core, open, &mut change, now, receipt).await?;
            proved += u32::from(matches!(outcome, ReceiptOutcome::Done { .. }));
            outcomes.push(outcome);
        }
        if proved > 0 {
            change.note(Event::ReceiptsAccepted { count: proved });
            open.apply(core, now, change).await?;
        }
    }
    Ok(outcomes)
}

async fn take(
    core: &mut Core,
    open: &Open,
    change: &mut Change,
    now: Timestamp,
    receipt: &Receipt,
) -> Result<ReceiptOutcome, Error> {
    let update = open
        .get::<UpdateRow>(core, Table::Update, &receipt.update)
        .await?;
    let Some(update) = update else {
        return Ok(ReceiptOutcome::UnknownUpdate);
    };
    if !equal(&update.receipt, &receipt.receipt) {
        return Ok(ReceiptOutcome::Forged);
    }
    let mut row = change_row(core, open, change, &update.change).await?;
    let serial = row.serial;
    if row.progress == Progress::Done {
        return Ok(ReceiptOutcome::AlreadyKnown {
            serial,
            change: update.change,
        });
    }
    let before = match change.pending::<Card>(Table::Card, &serial) {
        Some(pending) => pending?,
        None => open.card(core, &serial).await?,
    };
    let mut card = before.clone();
    let stamp = update.stamp;
    match &row.effect {
        // An ended card is remembered as that; the receipt is of before.
        _ if card.state()? == State::Terminated => {}
        Effect::Slot(slot) => card.slot_written(slot.clone(), stamp),
        Effect::Permit(digest) => card.permit_written(*digest, stamp),
        Effect::Block => card.entered(State::Blocked, stamp),
        Effect::Erase { role, key_version } => card.slot_erased(*role, *key_version, stamp),
        Effect::Floor | Effect::Load => {}
    }
    if stamp.generation == card.generation {
        card.applied = card.applied.max(stamp.counter);
    }
    unqueue(change, &mut row);
    row.progress = Progress::Done;
    change.put(Table::Change, &update.change, &row)?;
    // The card refuses every counter up to this one: what still waits under them is sealed again.
    for over in card.forget_what_is_over() {
        let row = change_row(core, open, change, &over).await?;
        if row.progress == Progress::Waiting {
            seal_again(core, open, change, now, &mut card, &over, row).await?;
        }
    }
    open.put_card(core, change, &serial, Some(&before), &card).await?;
    Ok(ReceiptOutcome::Done {
        serial,
        change: update.change,
    })
}

/// Counts of what waits for a card.
pub(crate) async fn pending(
    core: &mut Core,
    open: &Open,
    serial: &CardSerial,
) -> Result<PendingUpdates, Error> {
    let card = open.card(core, serial).await?;
    let mut counts = PendingUpdates::default();
    let none = Change::default();
    for known in &card.changes {
        match change_row(core, open, &none, &known.change).await?.progress {
            Progress::Waiting => counts.waiting += 1,
            Progress::Withdrawn => counts.withdrawn += 1,
            Progress::Done => {}
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::clock::FixedClock;
    use crate::open::transaction::Random;
    use crate::rehearsal;

    #[tokio::test]
    async fn a_long_queue_is_carried_in_parts_that_keep_each_cards_updates_together_and_miss_none() {
        const ROOM: usize = 8;
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedClock("2026-11-21T04:00:00Z".parse().unwrap()));
        let mut seed = 0;
        let sources = || -> Random {
            seed += 1;
            Box::new(StdRng::seed_from_u64(seed))
        };
        let vault = rehearsal::open(folder.path(), clock, sources).await.unwrap();
        let mut inner = vault.lock().await;
        let (core, open) = inner.open().unwrap();
        let now = core.header.high_water;
        let region = "440300".parse().unwrap();
        let id = open.active(core, now, Role::Door, region).await.unwrap();
        let mut change = Change::default();
        // 13 cards with one to three updates each; another role's beside them.
        let mut queued = 0;
        for card in 0..13u8 {
            for counter in 1..=u32::from(card % 3) + 1 {
                let pid = [card; 16];
                let mut update = [card; 16];
                update[15] = u8::try_from(counter).unwrap();
                let waiting = WaitingRow {
                    update,
                    pid,
                    key_version: id.version,
                    counter,
                    cipher: [0; UPDATE_LEN],
                    mac: [0; 16],
                    brings: None,
                };
                for role in [Role::Door, Role::Transit] {
                    let place = [
                        &queue(role, region)[..],
                        &open.keys.queue_place(&pid).unwrap(),
                        &counter.to_be_bytes(),
                    ]
                    .concat();
                    change.put(Table::Waiting, &place, &waiting).unwrap();
                }
                queued += 1;
            }
        }
        open.apply(core, now, change).await.unwrap();
        let today = clock::card_day(clock::day(now)).unwrap();
        let mut carried = BTreeSet::new();
        for _ in 0..200 {
            let mut entries = Vec::new();
            collect(core, open, Role::Door, region, today, ROOM, &mut entries)
                .await
                .unwrap();
            assert!(entries.len() <= ROOM && entries.len() > ROOM / 2);
            let mut counters: BTreeMap<[u8; 16], Vec<u32>> = BTreeMap::new();
            for entry in entries {
                assert_eq!(entry.role, Role::Door);
                counters.entry(entry.pid).or_default().push(entry.update.counter);
                carried.insert(entry.id);
            }
            for (pid, counters) in counters {
                let all: Vec<u32> = (1..=u32::from(pid[0] % 3) + 1).collect();
                assert_eq!(counters, all, "in their order, and all of them");
            }
        }
        assert_eq!(carried.len(), queued);
        let mut entries = Vec::new();
        collect(core, open, Role::Door, region, today, 100, &mut entries)
            .await
            .unwrap();
        assert_eq!(entries.len(), queued);
    }
}
