//! Sealing a change of a card under an order (card specification, chapter 09).

use card_applet_spec::codes::{CardState, Domain, Role, Serial};
use card_applet_spec::crypto::sha256;
use card_applet_spec::data_group::{Dg3, SignatureObject};
use card_applet_spec::update::{Operation, UPDATE_LEN};
use jiff::Timestamp;
use keyvault_protocol::{
    Counted, DeliveredBy, MAX_UPDATE_DG3, QueuedEnvelope, QueuedUpdate, TaskKind, UpdateTask,
};
use zeroize::Zeroizing;

use crate::audit::journal::Event;
use crate::authority::signers::{DOCUMENT_SIGNER_NUMBER, Signer};
use crate::card::job::{Job, JobTask};
use crate::card::queue::{CardChange, Effect, Progress, ToSeal, delivery_routes, seal_envelopes, withdraw};
use crate::card::record::{Card, CardSlot, Stamp, job_id};
use crate::card::slot::{self, Target, check_days, check_entitlement};
use crate::card::{denied, order};
use crate::clock;
use crate::error::{Error, fault};
use crate::open::transaction::{Core, Open, Transaction};
use crate::store::sql::Table;

/// Seals a change of a card under an order. The same again gives the same envelopes.
pub(crate) async fn seal(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    (order, index): ([u8; 16], u32),
    serial: Serial,
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
        return match job.task {
            JobTask::Update { content, queued } if job.serial == serial && content == digest => Ok(queued),
            _ => Err(Error::CardConflict {
                what: "this index of the order belongs to something else",
            }),
        };
    }
    let before = open.card(core, &serial).await?;
    check_card(core, open, &serial, &before, task).await?;
    let today = clock::card_day(clock::day(now))?;
    // Before a key version is made for what nobody could deliver.
    if delivery_routes(open, &before, today).is_empty() {
        return Err(Error::NoDelivery);
    }
    let mut card = before.clone();
    let Built { effect, plain, fen } = build(core, open, now, &serial, &mut card, task).await?;
    let routes = delivery_routes(open, &card, today);
    if routes.is_empty() {
        return Err(Error::NoDelivery);
    }
    let mut transaction = Transaction::default();
    withdraw(core, open, &mut transaction, &card, |older| {
        effect.replaces(older)
    })
    .await?;
    let mut id = [0u8; 16];
    core.rng.fill_bytes(&mut id);
    let wanted = ToSeal {
        id,
        serial: &serial,
        plain: &plain,
        effect: &effect,
        routes: &routes,
    };
    let envelopes = seal_envelopes(core, open, &mut transaction, &mut card, &wanted)?;
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
    let row = CardChange {
        serial,
        generation: card.generation,
        effect,
        progress: Progress::Waiting,
        envelopes,
    };
    transaction.put(Table::CardChange, &id, &row)?;
    let row = Job {
        serial,
        task: JobTask::Update {
            content: digest,
            queued: queued.clone(),
        },
    };
    transaction.put(Table::Job, &job, &row)?;
    open.put_card(core, &mut transaction, &serial, Some(&before), &card)
        .await?;
    transaction.spend(Counted::Updates, 1);
    if matches!(task, UpdateTask::Block) {
        // It takes from its holder what a denial takes.
        transaction.spend(Counted::Denials, 1);
    }
    transaction.spend_on_load(fen);
    transaction.note(Event::UpdateSealed {
        order,
        index,
        serial,
        task: words(task).to_owned(),
    });
    open.apply(core, now, transaction).await?;
    Ok(queued)
}

/// Whether the card may get this.
async fn check_card(
    core: &mut Core,
    open: &mut Open,
    serial: &Serial,
    before: &Card,
    task: &UpdateTask,
) -> Result<(), Error> {
    let state = before.state;
    if !matches!(state, CardState::Personalised | CardState::Active) {
        return Err(Error::CardState {
            state: state.as_str(),
        });
    }
    let benefit = matches!(
        task,
        UpdateTask::Entitlement(_) | UpdateTask::PermitBlock { .. } | UpdateTask::Load { .. }
    );
    if benefit && denied::is_denied(core, open, serial).await? {
        return Err(Error::CardDenied);
    }
    if benefit && before.writing.is_some() {
        return Err(Error::CardConflict {
            what: "a rewrite of this card was begun and is not finished: finish it at the counter first",
        });
    }
    Ok(())
}

/// Effect and plain text of a task.
struct Built {
    pub(crate) effect: Effect,
    pub(crate) plain: Zeroizing<[u8; UPDATE_LEN]>,
    /// The money that it gives.
    fen: u32,
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
    let mut fen = 0;
    let (effect, plain) = match task {
        UpdateTask::Entitlement(wanted) => {
            check_entitlement(wanted)?;
            check_days(wanted, today)?;
            let (role, region) = (wanted.role, wanted.region);
            let id = open.active(core, now, role, region).await?;
            let target = Target {
                serial,
                id,
                public64: card.public(role.domain())?,
                issue_counter: card.next_issue_counter(wanted.role),
                delivered_by: DeliveredBy::Update,
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
            clock::check_issued(parsed.issued, today)?;
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
                role: *role,
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
            let more = card.purse.load(*loaded, now)?;
            card.purse.give(*loaded);
            fen = more;
            (Effect::Load, encode(&Operation::Load { loaded: *loaded })?)
        }
    };
    Ok(Built { effect, plain, fen })
}

pub(crate) fn words(task: &UpdateTask) -> &'static str {
    match task {
        UpdateTask::Entitlement(_) => "entitlement",
        UpdateTask::PermitBlock { .. } => "permit-block",
        UpdateTask::DateFloor(_) => "date-floor",
        UpdateTask::Block => "block",
        UpdateTask::EraseVersion { .. } => "erase-version",
        UpdateTask::Load { .. } => "load",
    }
}
