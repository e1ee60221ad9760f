//! The stock of blanks: taken in, called back, counted. Left out: which blank a producer takes (it lies on the reader), and blanks that
//! are destroyed ([`crate::scrap`]).

use issuer_store::{Entry, Lot, Stock};
use jiff::Timestamp;
use permit_domain::{CardSerial, StaffId};
use serde::{Deserialize, Serialize};

use crate::error::OfficeError;
use crate::office::Office;

/// Somebody counted the blanks of a lot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockCount {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// How many blanks lay there.
    pub counted: i64,
    /// How many the ledger had in stock.
    pub expected: i64,
}

impl StockCount {
    /// How many are there beyond those that the ledger has; below zero: missing.
    #[must_use]
    pub const fn difference(&self) -> i64 {
        self.counted.saturating_sub(self.expected)
    }
}

/// A count as the ledger keeps it.
#[derive(Serialize, Deserialize)]
struct Figures {
    counted: i64,
    expected: i64,
}

/// Action of a count in the ledger.
const COUNTED: &str = "blanks COUNTED";

impl Office {
    /// The lots that were ever taken in, the last one first, each with its last count.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn lots(&self) -> Result<Vec<(Lot, Option<StockCount>)>, OfficeError> {
        let mut ledger = self.read().await?;
        let mut lots = Vec::new();
        for lot in ledger.lots().await? {
            let entries = ledger.ledger_of(&lot.lot).await?;
            let counted = entries.iter().rfind(|entry| entry.action == COUNTED);
            let counted = counted.and_then(|entry| {
                let figures: Figures = serde_json::from_str(&entry.detail).ok()?;
                Some(StockCount {
                    by: entry.actor.clone(),
                    at: entry.at,
                    counted: figures.counted,
                    expected: figures.expected,
                })
            });
            lots.push((lot, counted));
        }
        Ok(lots)
    }

    /// Enters how many blanks of a lot lay there, beside how many are in stock: a difference is told and changes nothing.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`] for a lot that was never taken in; outages.
    pub async fn count_lot(&self, lot: &str, counted: u32, by: &StaffId) -> Result<StockCount, OfficeError> {
        let mut tx = self.begin().await?;
        let known = tx.lots().await?.into_iter().find(|known| known.lot == lot);
        let expected = known.ok_or(OfficeError::NotFound { what: "lot" })?.stock.in_stock;
        let figures = Figures {
            counted: counted.into(),
            expected,
        };
        let detail = serde_json::to_string(&figures).map_err(|_| OfficeError::Internal)?;
        let appended = tx
            .append(Entry {
                role: "stock keeper",
                actor: by.as_str(),
                action: COUNTED,
                subject: lot,
                detail: &detail,
            })
            .await?;
        let at = tx.at();
        tx.commit(appended).await?;
        Ok(StockCount {
            by: by.to_string(),
            at,
            counted: counted.into(),
            expected,
        })
    }

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
