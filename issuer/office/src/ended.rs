//! Numbers of cards that count no more, for the list that anybody may have whole.
//!
//! Left out: why, and since when.

use permit_domain::CardNumber;

use crate::error::OfficeError;
use crate::office::Office;

impl Office {
    /// The numbers of all cards that count no more, ascending.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn ended_numbers(&self) -> Result<Vec<CardNumber>, OfficeError> {
        Ok(self.read().await?.ended_card_numbers().await?)
    }
}
