//! A card's row and all that hangs on it: the counts of its key versions, the index of its purse's pseudonyms, its entries on
//! the deny lists. They change together or not at all.

use card_applet_spec::codes::Serial;

use crate::card::denied;
use crate::card::record::{Card, Owner};
use crate::error::Error;
use crate::open::transaction::{Core, Open, Transaction};
use crate::store::sql::Table;

impl Open {
    /// A finished card's row.
    pub(crate) async fn card(&self, core: &mut Core, serial: &Serial) -> Result<Card, Error> {
        match self.get::<Card>(core, Table::Card, serial.as_bytes()).await? {
            Some(card) if card.is_finished() => Ok(card),
            _ => Err(Error::NotFound {
                what: "finished card of this serial",
            }),
        }
    }

    /// Puts a card's row and all that hangs on it: the counts of its key versions, the index of its purse's pseudonyms,
    /// its entries on the deny lists.
    pub(crate) async fn put_card(
        &self,
        core: &mut Core,
        transaction: &mut Transaction,
        serial: &Serial,
        before: Option<&Card>,
        after: &Card,
    ) -> Result<(), Error> {
        if let Some(before) = before.filter(|card| card.is_in_life()) {
            transaction.count(self, before, false)?;
        }
        if after.is_in_life() {
            transaction.count(self, after, true)?;
        }
        let known = before.map_or(&[][..], |card| &card.purse.keys);
        for key in &after.purse.keys {
            if !known.iter().any(|known| known.pid == key.pid) {
                let id = self.keys.pid_index(&key.pid)?;
                transaction.put(Table::Pid, &id, &Owner { serial: *serial })?;
            }
        }
        denied::card_changed(core, self, transaction, serial, after).await?;
        transaction.put(Table::Card, serial.as_bytes(), after)
    }
}

impl Transaction {
    /// Counts a card in (or out of) the versions of its live slots.
    pub(crate) fn count(&mut self, open: &Open, card: &Card, up: bool) -> Result<(), Error> {
        for slot in card.live() {
            let alone = card.live().filter(|other| other.role == slot.role).count() == 1;
            let row = self.role(open, slot.key())?;
            let step = |count: &mut u64, by: u64| {
                *count = if up {
                    count.saturating_add(by)
                } else {
                    count.saturating_sub(by)
                };
            };
            step(&mut row.cards, 1);
            step(&mut row.alone, u64::from(alone));
        }
        Ok(())
    }
}
