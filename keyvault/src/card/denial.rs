//! Denying a card, and allowing one that was found.
//!
//! A denied card gets nothing any more: what would give it something leaves the batches in the same transaction.

use card_applet_spec::codes::Serial;
use jiff::Timestamp;

use crate::audit::journal::Event;
use crate::card::denied::{Denied, entries_of};
use crate::card::queue;
use crate::error::Error;
use crate::open::transaction::{Change, Core, Open};
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
    let mut change = Change::default();
    if let Some(mut known) = open.get::<Denied>(core, Table::Denied, serial.as_bytes()).await? {
        if known.copied || !copied {
            return Ok(());
        }
        known.copied = true;
        change.put(Table::Denied, serial.as_bytes(), &known)?;
        change.note(Event::CardDenied { serial: *serial });
        return open.apply(core, now, change).await;
    }
    let entries = entries_of(&before);
    let denied = Denied {
        since: now.as_second(),
        entries,
        copied,
    };
    change.put(Table::Denied, serial.as_bytes(), &denied)?;
    queue::withdraw_gifts(core, open, &mut change, &before).await?;
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
    deny_as(core, open, now, &serial, true).await
}

/// Takes a card from the deny lists. One that is on none changes nothing. One that settlement found copied stays: its
/// debits are never paid again, so no terminal may take it, whoever brings it to a counter as lost and found.
pub(crate) async fn allow(
    core: &mut Core,
    open: &mut Open,
    now: Timestamp,
    serial: &Serial,
) -> Result<(), Error> {
    open.card(core, serial).await?;
    let Some(known) = open.get::<Denied>(core, Table::Denied, serial.as_bytes()).await? else {
        return Ok(());
    };
    if known.copied {
        return Err(Error::CardCopied);
    }
    let mut change = Change::default();
    change.delete(Table::Denied, serial.as_bytes());
    change.note(Event::CardAllowed { serial: *serial });
    open.apply(core, now, change).await
}
