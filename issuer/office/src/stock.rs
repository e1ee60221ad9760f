//! The stock of blanks: taken in, called back, counted. Left out: which blank a producer takes (it lies on the reader).

use issuer_store::Stock;
use permit_domain::{CardSerial, StaffId};

use crate::error::OfficeError;
use crate::office::Office;

impl Office {
    /// Puts blanks of the lot `ISSUER-NUMBER` (4 and 8 hex digits, as serials begin) into the stock.
    ///
    /// # Errors
    /// [`OfficeError::OtherLot`] for a serial of another lot: then none is taken. [`issuer_store::Error::Exists`] if one of the serials was ever in stock (then none is taken); outages.
    pub async fn receive_blanks(
        &self,
        serials: &[CardSerial],
        lot: &str,
        by: &StaffId,
    ) -> Result<(), OfficeError> {
        // Whoever took one of another lot would have the lot that it belongs to refused.
        let other = serials.iter().find(|serial| lot_of(serial) != lot);
        if let Some(serial) = other {
            return Err(OfficeError::OtherLot {
                serial: *serial,
                lot: lot_of(serial),
            });
        }
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

/// The lot that a serial names: its issuer and the lot's number.
fn lot_of(serial: &CardSerial) -> String {
    let text = serial.to_string();
    let (issuer, rest) = text.split_at(4);
    let (lot, _) = rest.split_at(8);
    format!("{issuer}-{lot}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_names_its_lot() {
        let serial: CardSerial = "44030000000100000002".parse().unwrap();
        assert_eq!(lot_of(&serial), "4403-00000001");
        assert_ne!(lot_of(&"44030000000200000002".parse().unwrap()), lot_of(&serial));
        assert_ne!(lot_of(&"44010000000100000002".parse().unwrap()), lot_of(&serial));
    }
}
