//! Receipts of updates (card specification, chapter 09), in any order: each proves itself, its siblings are withdrawn, a
//! wrong one changes nothing.
//!
//! Nothing here stores where, when or through which role a card was met: a receipt marks its change as done, and the journal
//! counts receipts.

use card_applet_spec::codes::{CardState, Serial};
use card_applet_spec::crypto::equal;
use jiff::Timestamp;
use keyvault_protocol::{MAX_RECEIPTS, PendingUpdates, Receipt, ReceiptOutcome};

use crate::audit::journal::Event;
use crate::card::queue::{Effect, Progress, UpdateRow, card_change, seal_again, unqueue};
use crate::card::record::Card;
use crate::error::Error;
use crate::open::transaction::{Core, Open, Transaction};
use crate::store::sql::Table;

/// Receipts in one transaction.
const GROUP: usize = 256;

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
        let mut transaction = Transaction::default();
        let mut proved = 0u32;
        for receipt in group {
            let outcome = take(core, open, &mut transaction, now, receipt).await?;
            proved += u32::from(matches!(outcome, ReceiptOutcome::Done { .. }));
            outcomes.push(outcome);
        }
        if proved > 0 {
            transaction.note(Event::ReceiptsAccepted { count: proved });
            open.apply(core, now, transaction).await?;
        }
    }
    Ok(outcomes)
}

pub(crate) async fn take(
    core: &mut Core,
    open: &Open,
    transaction: &mut Transaction,
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
    let mut row = card_change(core, open, transaction, &update.change).await?;
    let serial = row.serial;
    if row.progress == Progress::Done {
        return Ok(ReceiptOutcome::AlreadyKnown {
            serial,
            change: update.change,
        });
    }
    let before = match transaction.pending::<Card>(Table::Card, serial.as_bytes()) {
        Some(pending) => pending?,
        None => open.card(core, &serial).await?,
    };
    let mut card = before.clone();
    let stamp = update.stamp;
    match &row.effect {
        // An ended card is remembered as that; the receipt is of before.
        _ if card.state == CardState::Terminated => {}
        Effect::Slot(slot) => card.slot_written(slot.clone(), stamp),
        Effect::Permit(digest) => card.permit_written(*digest, stamp),
        Effect::Block => card.entered(CardState::Blocked, stamp),
        Effect::Erase { role, key_version } => card.slot_erased(*role, *key_version, stamp),
        Effect::Floor | Effect::Load => {}
    }
    if stamp.generation == card.generation {
        card.applied = card.applied.max(stamp.counter);
    }
    unqueue(transaction, &mut row);
    row.progress = Progress::Done;
    transaction.put(Table::CardChange, &update.change, &row)?;
    // The card refuses every counter up to this one: what still waits under them is sealed again.
    for over in card.forget_what_is_over() {
        let row = card_change(core, open, transaction, &over).await?;
        if row.progress == Progress::Waiting {
            seal_again(core, open, transaction, now, &mut card, &over, row).await?;
        }
    }
    open.put_card(core, transaction, &serial, Some(&before), &card)
        .await?;
    Ok(ReceiptOutcome::Done {
        serial,
        change: update.change,
    })
}

/// Counts of what waits for a card.
pub(crate) async fn pending(core: &mut Core, open: &Open, serial: &Serial) -> Result<PendingUpdates, Error> {
    let card = open.card(core, serial).await?;
    let mut counts = PendingUpdates::default();
    let none = Transaction::default();
    for known in &card.changes {
        match card_change(core, open, &none, &known.change).await?.progress {
            Progress::Waiting => counts.waiting += 1,
            Progress::Withdrawn => counts.withdrawn += 1,
            Progress::Done => {}
        }
    }
    Ok(counts)
}
