//! Receipts, and the cases that they open: while a case is open, photos of its person may be read for it.

use photo_store_protocol::{
    Actor, CaseNumber, FailureCode, OpenCase, PersonId, PhotoState, PhotoStatus, ReceiptInfo, ReceiptNumber,
    ReceiptState, TakeReceipt,
};

use crate::error::Error;
use crate::keeping::store::transaction::Transaction;
use crate::service::{Service, known};

impl Service {
    /// What can be done with a receipt.
    pub async fn receipt(&self, number: ReceiptNumber) -> Result<ReceiptInfo, Error> {
        let now = self.now();
        let mut index = self.store.read().await?;
        let row = index
            .receipt(number)
            .await?
            .ok_or(Error::Refused(FailureCode::UnknownReceipt))?;
        let photo = known(index.photo(row.photo).await?)?;
        let state = if photo.status.state == PhotoState::Shredded {
            ReceiptState::Shredded
        } else if row.used.is_some() {
            ReceiptState::Used
        } else if now >= row.expires_at {
            ReceiptState::Expired
        } else {
            ReceiptState::Valid
        };
        Ok(ReceiptInfo {
            state,
            expires_at: row.expires_at,
            photo: row.photo,
        })
    }

    /// Uses a receipt for a case, once, and opens the case. Said again it answers the same while that case is open: one that was
    /// closed is over for its receipt, also when somebody opens it again.
    pub async fn take_receipt(&self, take: &TakeReceipt) -> Result<PhotoStatus, Error> {
        let refused = |code| Err(Error::Refused(code));
        let now = self.now();
        let mut index = self.store.begin().await?;
        let Some(receipt) = index.receipt(take.number).await? else {
            return refused(FailureCode::UnknownReceipt);
        };
        let row = known(index.photo(receipt.photo).await?)?;
        if row.person != take.person {
            return refused(FailureCode::WrongPerson);
        }
        if row.status.state == PhotoState::Shredded {
            return refused(FailureCode::Shredded);
        }
        if let Some(used) = &receipt.used {
            return if used.0 == take.case && index.serves(used).await? {
                Ok(row.status)
            } else {
                refused(FailureCode::ReceiptUsed)
            };
        }
        if now >= receipt.expires_at {
            return refused(FailureCode::ReceiptExpired);
        }
        open(&mut index, &take.case, take.person, &take.by, now).await?;
        index.use_receipt(take.number, &take.case, &take.by, now).await?;
        index.commit().await?;
        Ok(row.status)
    }

    /// Opens a case for a person without a receipt; it may be open already.
    pub async fn open_case(&self, case: &OpenCase) -> Result<(), Error> {
        let now = self.now();
        let mut index = self.store.begin().await?;
        open(&mut index, &case.case, case.person, &case.by, now).await?;
        index.commit().await
    }

    /// Closes a case; it may be closed already.
    pub async fn close_case(&self, case: &CaseNumber, by: &Actor) -> Result<(), Error> {
        let now = self.now();
        let mut index = self.store.begin().await?;
        if index.case(case).await?.is_some_and(|row| row.is_open) {
            index.close_case(case, by, now).await?;
        }
        index.commit().await
    }
}

/// Opens a case unless it is open. A number stays with its person, also when it is closed.
async fn open(
    index: &mut Transaction,
    case: &CaseNumber,
    person: PersonId,
    by: &Actor,
    now: i64,
) -> Result<(), Error> {
    match index.case(case).await? {
        Some(row) if row.person != person => Err(Error::Refused(FailureCode::WrongPerson)),
        Some(row) if row.is_open => Ok(()),
        _ => index.open_case(case, person, by, now).await,
    }
}
