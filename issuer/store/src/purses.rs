//! The purse of a card: two figures, fen. What the holder pays for stands nowhere.

use permit_domain::{CardNumber, Purse};

use crate::{
    error::Error,
    rows::number,
    transaction::{Snapshot, Transaction, on_engine, write_on_engine},
};

impl Snapshot {
    /// A card's purse; empty for a card that was never loaded.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn purse(&mut self, card: &CardNumber) -> Result<Purse, Error> {
        const PURSE: &str = "SELECT loaded, spent FROM purses WHERE card = $1";
        let row: Option<(i64, i64)> = on_engine!(self, |c| sqlx::query_as(PURSE)
            .bind(card.as_str())
            .fetch_optional(c))?;
        let (loaded, spent) = row.unwrap_or_default();
        Ok(Purse {
            loaded: number(loaded, "purses.loaded")?,
            spent: number(spent, "purses.spent")?,
        })
    }
}

impl Transaction {
    /// Stores all that was ever loaded onto a card: it only grows.
    ///
    /// # Errors
    /// Outages.
    pub async fn set_loaded(&mut self, card: &CardNumber, loaded: u32) -> Result<(), Error> {
        const SET: &str = "
            INSERT INTO purses (card, loaded, spent) VALUES ($1, $2, 0)
            ON CONFLICT (card) DO UPDATE SET loaded = excluded.loaded";
        write_on_engine!(self, |c| sqlx::query(SET)
            .bind(card.as_str())
            .bind(i64::from(loaded))
            .execute(c))?;
        Ok(())
    }

    /// Stores all that a card ever spent, as it showed it: it only grows. No entry of the ledger: when a card was seen is
    /// not kept.
    ///
    /// # Errors
    /// Outages.
    pub async fn set_spent(&mut self, card: &CardNumber, spent: u32) -> Result<(), Error> {
        const SET: &str = "UPDATE purses SET spent = $2 WHERE card = $1 AND spent < $2";
        write_on_engine!(self, |c| sqlx::query(SET)
            .bind(card.as_str())
            .bind(i64::from(spent))
            .execute(c))?;
        Ok(())
    }
}
