//! Denying a card, taking one out of use, and allowing one that was found.
//!
//! A denied card gets nothing any more: what would give it something leaves the batches in the same transaction. One that is
//! out of use is denied too, and is not counted among the cards that hold a key version: it will never be rewritten.

use card_applet_spec::codes::Serial;
use jiff::Timestamp;
use keyvault_protocol::Counted;

use crate::audit::journal::Event;
use crate::card::denied::{Denied, entries_of};
use crate::card::queue;
use crate::error::Error;
use crate::open::transaction::{Core, Open, Transaction};
use crate::store::sql::Table;

/// Puts a card's pseudonyms onto the deny lists, and takes what would give it something out of the batches. The same
/// again changes nothing.
pub(crate) async fn deny(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    serial: &Serial,
) -> Result<(), Error> {
    deny_as(core, open, now, serial, false).await
}

async fn deny_as(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    serial: &Serial,
    copied: bool,
) -> Result<(), Error> {
    let before = open.card(core, serial).await?;
    let mut transaction = Transaction::default();
    if let Some(mut known) = open.get::<Denied>(core, Table::Denied, serial.as_bytes()).await? {
        if known.copied || !copied {
            return Ok(());
        }
        known.copied = true;
        transaction.put(Table::Denied, serial.as_bytes(), &known)?;
        transaction.spend(Counted::Denials, 1);
        transaction.note(Event::CardDenied { serial: *serial });
        return open.apply(core, now, transaction).await;
    }
    let entries = entries_of(&before);
    let denied = Denied {
        since: now.as_second(),
        entries,
        copied,
    };
    transaction.put(Table::Denied, serial.as_bytes(), &denied)?;
    queue::withdraw_benefits(core, open, &mut transaction, &before).await?;
    transaction.spend(Counted::Denials, 1);
    transaction.note(Event::CardDenied { serial: *serial });
    open.apply(core, now, transaction).await
}

/// The card was destroyed or replaced, or its permit ended: it is denied, and no key version is kept for it. The same again changes nothing.
pub(crate) async fn end(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    serial: &Serial,
) -> Result<(), Error> {
    let before = open.card(core, serial).await?;
    if before.out_of_use {
        return Ok(());
    }
    let mut transaction = Transaction::default();
    if open
        .get::<Denied>(core, Table::Denied, serial.as_bytes())
        .await?
        .is_none()
    {
        let denied = Denied {
            since: now.as_second(),
            entries: entries_of(&before),
            copied: false,
        };
        transaction.put(Table::Denied, serial.as_bytes(), &denied)?;
    }
    queue::withdraw_benefits(core, open, &mut transaction, &before).await?;
    let mut card = before.clone();
    card.out_of_use = true;
    open.put_card(core, &mut transaction, serial, Some(&before), &card)
        .await?;
    transaction.spend(Counted::Denials, 1);
    transaction.note(Event::CardEnded { serial: *serial });
    open.apply(core, now, transaction).await
}

/// Denies the card of settlement lines, by its pseudonym there.
pub(crate) async fn deny_by_pseudonym(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    pseudonym: &[u8; 16],
) -> Result<(), Error> {
    let serial = open.keys.serial_of(pseudonym)?;
    deny_as(core, open, now, &serial, true).await
}

/// Takes a card from the deny lists, and into use again if it was out of it. One that is on none changes nothing. One that settlement found copied stays: its
/// debits are never paid again, so no terminal may take it, whoever brings it to a counter as lost and found.
pub(crate) async fn allow(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    serial: &Serial,
) -> Result<(), Error> {
    let before = open.card(core, serial).await?;
    let Some(known) = open.get::<Denied>(core, Table::Denied, serial.as_bytes()).await? else {
        return Ok(());
    };
    if known.copied {
        return Err(Error::CardCopied);
    }
    let mut transaction = Transaction::default();
    transaction.delete(Table::Denied, serial.as_bytes());
    if before.out_of_use {
        let mut card = before.clone();
        card.out_of_use = false;
        open.put_card(core, &mut transaction, serial, Some(&before), &card)
            .await?;
    }
    transaction.spend(Counted::Allows, 1);
    transaction.note(Event::CardAllowed { serial: *serial });
    open.apply(core, now, transaction).await
}
