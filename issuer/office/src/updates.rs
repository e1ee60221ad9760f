//! Changes that terminals deliver: the tasks that the vault seals, and the receipts that prove what cards took. Card
//! specification, chapter 09.

use card_applet_spec::update_files::Receipts;
use issuer_store::{Appended, StoredCardChange, Transaction};
use jiff::civil::Date;
use keyvault_protocol as vault;
use permit_domain::{Actor as _, CardChange, ChangeClerk, ChangeId, StaffId, Way};
use serde::Serialize;

use crate::card_content::Rewritten;
use crate::changes::{rewritten, shows, waits};
use crate::error::OfficeError;
use crate::frozen_change::FrozenChange;
use crate::office::Office;
use crate::on_file;

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
    pub async fn update_tasks(
        &self,
        stored: &StoredCardChange,
    ) -> Result<Vec<vault::UpdateTask>, OfficeError> {
        let Some(what) = rewritten(stored.change.kind()) else {
            return Ok(vec![vault::UpdateTask::Block]);
        };
        if let Some(load) = &stored.load {
            return Ok(vec![vault::UpdateTask::Load { loaded: load.loaded }]);
        }
        let mut ledger = self.read().await?;
        let card = on_file::card(&mut ledger, &stored.change.card().number).await?;
        let content = on_file::content_of(&mut ledger, &card).await?;
        if what == Rewritten::Records
            && let Some(waiting) = ledger
                .changes_of_card(&card.number)
                .await?
                .iter()
                .find(|it| waits(it))
        {
            // Records that outlive the permit block on the card: the decision comes first, and brings every record.
            let change = waiting.change.id();
            return Err(permit_domain::Refusal::ChangeOpen { change }.into());
        }
        let mut content = content.rewrite(what, None, None)?;
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
        let mut tx = self.begin().await?;
        let (finished, appended) = finish(&mut tx, &done, by, self.clock().today()).await?;
        match appended {
            Some(appended) => tx.commit(appended).await?,
            None => tx.commit_without_entry().await?,
        }
        report.changes_done = finished.iter().map(ToString::to_string).collect();
        Ok(report)
    }

    /// Stores that the vault sealed the updates of a change, with the vault's number of each. The same again changes
    /// nothing but the row's version.
    ///
    /// # Errors
    /// [`issuer_store::Error::Stale`], [`issuer_store::Error::Exists`] if a number belongs to another change; outages.
    pub async fn queue_change(
        &self,
        change: CardChange,
        sealed: &[[u8; 16]],
    ) -> Result<CardChange, OfficeError> {
        let mut tx = self.begin().await?;
        let (change, appended) = queue(&mut tx, change, sealed, self.clock().today()).await?;
        tx.commit(appended).await?;
        Ok(change)
    }
}

/// Enters the sealed updates of a change.
pub(crate) async fn queue(
    tx: &mut Transaction,
    change: CardChange,
    sealed: &[[u8; 16]],
    on: Date,
) -> Result<(CardChange, Appended), OfficeError> {
    let change = change.queued(on)?;
    let by = change.clerk().staff().clone();
    let (change, appended) = tx
        .update_change(change, None, (ChangeClerk::ROLE, by.as_str()))
        .await?;
    for update in sealed {
        match tx.change_of_update(update).await? {
            Some(owner) if owner == change.id() => {}
            Some(_) => return Err(issuer_store::Error::Exists { what: "update" }.into()),
            None => tx.insert_update(update, change.id()).await?,
        }
    }
    Ok((change, appended))
}

/// Takes the vault's word that these updates are on their cards. A change whose updates are all there is done; which ones
/// are.
pub(crate) async fn finish(
    tx: &mut Transaction,
    sealed: &[[u8; 16]],
    by: &StaffId,
    on: Date,
) -> Result<(Vec<ChangeId>, Option<Appended>), OfficeError> {
    let (mut done, mut last) = (Vec::new(), None);
    for update in sealed {
        // An update of a change that was made elsewhere (a key officer's) is none of the ledger's.
        let Some(owner) = tx.change_of_update(update).await? else {
            continue;
        };
        tx.set_update_done(update).await?;
        let stored = on_file::change(tx, owner).await?;
        if tx.updates_left(owner).await? > 0 || stored.change.state().is_over() {
            continue;
        }
        let change = stored.change.done(Way::Update, on)?;
        let card = on_file::card_of(tx, &change).await?;
        let (change, appended) = tx
            .update_change(change, None, ("receipts clerk", by.as_str()))
            .await?;
        // A receipt that comes late does not move a card that has gone on: it was ended or is being unblocked.
        if let Ok(Some(standing)) = change.moves(card.standing()) {
            tx.update_card(card, standing).await?;
        } else if rewritten(change.kind()).is_some_and(Rewritten::has_permit)
            && let Some(after) = FrozenChange::from_content(change.content())?
            && card.until.is_none_or(|until| until < after.valid_to())
        {
            shows(tx, card, after.valid_to()).await?;
        }
        done.push(change.id());
        last = Some(appended);
    }
    Ok((done, last))
}
