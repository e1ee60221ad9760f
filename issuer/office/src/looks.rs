//! Who looked at the faces of a card: an entry of the ledger before a picture leaves.

use issuer_store::Entry;
use permit_domain::{OrderId, StaffId};

use crate::error::OfficeError;
use crate::office::Office;
use crate::on_file;

impl Office {
    /// Enters that somebody looks at the front of an order's card.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`]; the ledger's: then nothing is shown.
    pub async fn looks_at_face(&self, id: OrderId, by: &StaffId) -> Result<(), OfficeError> {
        let mut tx = self.begin().await?;
        on_file::order(&mut tx, id).await?;
        let appended = tx
            .append(Entry {
                role: "counter clerk",
                actor: by.as_str(),
                action: "face LOOKED_AT",
                subject: &id.to_string(),
                detail: "{}",
            })
            .await?;
        Ok(tx.commit(appended).await?)
    }
}
