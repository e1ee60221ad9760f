//! Receipts, and the cases that they open: while a case is open, photos of its person may be read for it.

use photo_store_protocol::{
    Actor, CaseNumber, FailureCode, OpenCase, PersonId, PhotoState, PhotoStatus, ReceiptInfo, ReceiptNumber,
    ReceiptState, TakeReceipt,
};

use crate::error::Error;
use crate::service::Service;

impl Service {
    /// What can be done with a receipt.
    pub async fn receipt(&self, number: ReceiptNumber) -> Result<ReceiptInfo, Error> {
        let row = self
            .store
            .receipt(number)
            .await?
            .ok_or(Error::Refused(FailureCode::UnknownReceipt))?;
        let photo = self.known(row.photo).await?;
        let state = if photo.status.state == PhotoState::Shredded {
            ReceiptState::Shredded
        } else if row.used_case.is_some() {
            ReceiptState::Used
        } else if self.now() >= row.expires_at {
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

    /// Uses a receipt for a case, once, and opens the case.
    pub async fn take_receipt(&self, take: &TakeReceipt) -> Result<PhotoStatus, Error> {
        let refused = |code| Err(Error::Refused(code));
        let Some(receipt) = self.store.receipt(take.number).await? else {
            return refused(FailureCode::UnknownReceipt);
        };
        let row = self.known(receipt.photo).await?;
        if row.person != take.person {
            return refused(FailureCode::WrongPerson);
        }
        if row.status.state == PhotoState::Shredded {
            return refused(FailureCode::Shredded);
        }
        match &receipt.used_case {
            Some(case) if *case == take.case => return Ok(row.status),
            Some(_) => return refused(FailureCode::ReceiptUsed),
            None => {}
        }
        let now = self.now();
        if now >= receipt.expires_at {
            return refused(FailureCode::ReceiptExpired);
        }
        self.case_may_be_of(&take.case, take.person).await?;
        if !self
            .store
            .take_receipt(take.number, &take.case, take.person, &take.by, now)
            .await?
        {
            return refused(FailureCode::ReceiptUsed);
        }
        Ok(row.status)
    }

    /// Opens a case for a person without a receipt.
    pub async fn open_case(&self, open: &OpenCase) -> Result<(), Error> {
        self.case_may_be_of(&open.case, open.person).await?;
        self.store
            .open_case(&open.case, open.person, &open.by, self.now())
            .await
    }

    /// Closes a case.
    pub async fn close_case(&self, case: &CaseNumber, by: &Actor) -> Result<(), Error> {
        self.store.close_case(case, by, self.now()).await
    }

    async fn case_may_be_of(&self, case: &CaseNumber, person: PersonId) -> Result<(), Error> {
        match self.store.case(case).await? {
            Some((owner, _)) if owner != person => Err(Error::Refused(FailureCode::WrongPerson)),
            _ => Ok(()),
        }
    }
}
