//! The stock of blanks: taken in, called back, counted. Left out: which blank a producer takes (it lies on the reader).

use issuer_store::Stock;
use permit_domain::{CardSerial, StaffId};

use crate::error::OfficeError;
use crate::office::Office;

impl Office {
    /// Puts blanks into the stock.
    ///
    /// # Errors
    /// [`issuer_store::Error::Exists`] if one of the serials was ever in stock (then none is taken); outages.
    pub async fn receive_blanks(
        &self,
        serials: &[CardSerial],
        lot: &str,
        by: &StaffId,
    ) -> Result<(), OfficeError> {
        let mut tx = self.begin().await?;
        let appended = tx.receive_blanks(serials, lot, by).await?;
        Ok(tx.commit(appended).await?)
    }

    /// Calls back every blank of a lot that is still in stock. How many there were.
    ///
    /// # Errors
    /// Outages.
    pub async fn recall_lot(&self, lot: &str, by: &StaffId) -> Result<u64, OfficeError> {
        let mut tx = self.begin().await?;
        let (count, appended) = tx.recall_lot(lot, by).await?;
        tx.commit(appended).await?;
        Ok(count)
    }

    /// How many blanks there are.
    ///
    /// # Errors
    /// Outages.
    pub async fn stock(&self) -> Result<Stock, OfficeError> {
        Ok(self.read().await?.stock().await?)
    }
}
