//! Changes that terminals deliver: the tasks that the vault seals, and the receipts that prove what cards took. Card
//! specification, chapter 09.

use card_applet_spec::update_files::Receipts;
use issuer_store::StoredChange;
use keyvault_protocol as vault;
use permit_domain::StaffId;
use serde::Serialize;

use crate::changes::rewritten;
use crate::error::OfficeError;
use crate::office::Office;

/// What became of the receipts of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReceiptsTaken {
    /// Receipts that proved a change.
    pub proved: u64,
    /// Receipts that were known before, or whose change was.
    pub known: u64,
    /// Receipts of updates that the vault never gave out.
    pub unknown: u64,
    /// Receipts that no card made.
    pub forged: u64,
    /// Changes that are done by them.
    pub changes_done: Vec<String>,
}

impl Office {
    /// The tasks that deliver a change by terminals.
    pub async fn update_tasks(&self, stored: &StoredChange) -> Result<Vec<vault::UpdateTask>, OfficeError> {
        let card = self.card(&stored.change.card().number).await?;
        let Some(what) = rewritten(stored.change.kind()) else {
            return Ok(vec![vault::UpdateTask::Block]);
        };
        if let Some(load) = &stored.load {
            return Ok(vec![vault::UpdateTask::Load { loaded: load.loaded }]);
        }
        let mut content = self.content_of(&card).await?.rewrite(what, None, None)?;
        // A new record brings a new pseudonym in its role: what still waits under the old one stays behind until the next
        // batch. So the roles that deliver nothing come first, and small payment, whose terminals are online, last.
        content
            .entitlements
            .sort_by_key(|entitlement| match entitlement.role {
                vault::Role::Clinic | vault::Role::SocialInsurance => 0,
                vault::Role::SmallPayment => 2,
                _ => 1,
            });
        let permit_block = content.dg3.map(|dg3| vault::UpdateTask::PermitBlock { dg3 });
        let records = content
            .entitlements
            .into_iter()
            .map(vault::UpdateTask::Entitlement);
        Ok(permit_block.into_iter().chain(records).collect())
    }

    /// Hands cards' receipts to the vault and finishes the changes that they prove. The same file again changes nothing.
    ///
    /// # Errors
    /// [`OfficeError::ReceiptsForm`] for a file that is none; the vault's.
    pub async fn take_receipts(&self, file: &[u8], by: &StaffId) -> Result<ReceiptsTaken, OfficeError> {
        let receipts: Vec<vault::Receipt> = Receipts::parse(file)
            .map_err(|_| OfficeError::ReceiptsForm)?
            .iter()
            .map(|one| vault::Receipt {
                update: one.update,
                receipt: one.receipt,
            })
            .collect();
        let mut client = self.vault_client().await?;
        let mut report = ReceiptsTaken::default();
        let mut done = Vec::new();
        for part in receipts.chunks(vault::MAX_RECEIPTS) {
            for outcome in client.accept_receipts(part.to_vec()).await? {
                match outcome {
                    vault::ReceiptOutcome::Done { change, .. } => {
                        report.proved += 1;
                        done.push(change);
                    }
                    // The vault may have known it before the ledger did.
                    vault::ReceiptOutcome::AlreadyKnown { change, .. } => {
                        report.known += 1;
                        done.push(change);
                    }
                    vault::ReceiptOutcome::UnknownUpdate => report.unknown += 1,
                    vault::ReceiptOutcome::Forged => report.forged += 1,
                }
            }
        }
        // In the order of their numbers: the ledger does not keep in which order receipts lay in a file.
        done.sort_unstable();
        done.dedup();
        let finished = self
            .store()
            .updates_done(&done, by, self.clock().today(), self.clock().now())
            .await?;
        report.changes_done = finished.iter().map(ToString::to_string).collect();
        Ok(report)
    }
}
