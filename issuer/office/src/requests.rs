//! What a client's key stood for: a key that did one request does no other one.

use permit_domain::Digest;

use crate::error::OfficeError;
use crate::office::Office;

impl Office {
    /// Whether a key, by its id, did this request or none.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn is_its_request(&self, id: &[u8; 16], request: Digest) -> Result<bool, OfficeError> {
        let known = self.read().await?.request(id).await?;
        Ok(known.is_none_or(|known| known == request))
    }

    /// Keeps that a key did this request.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn keep_request(&self, id: &[u8; 16], request: Digest) -> Result<(), OfficeError> {
        if self.read().await?.request(id).await?.is_some() {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        tx.keep_request(id, request).await?;
        Ok(tx.commit_without_entry().await?)
    }
}
