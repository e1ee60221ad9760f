//! Changes that terminals deliver: the tasks that the vault seals, and the receipts that prove what cards took. Card
//! specification, chapter 09.

use card_applet_spec::update_files::Receipts;
use issuer_store::{Appended, Snapshot, StoredCardChange, Transaction};
use jiff::ToSpan as _;
use jiff::civil::Date;
use keyvault_protocol as vault;
use permit_domain::{Actor as _, ChangeClerk, ChangeId, ChangeState, StaffId, Way};
use serde::Serialize;

use crate::card_content::{CardContent, Rewritten};
use crate::changes::{rewritten, shows, waits};
use crate::error::OfficeError;
use crate::frozen_change::FrozenChange;
use crate::office::Office;
use crate::on_file;

/// How long the vault may take to seal the updates of one change, days: its orders live at most 30.
pub const QUEUE_DAYS: i64 = 28;

/// The day under which the vault seals the updates of a change that is queued on `on`: that of the first try, while an order
/// of that day lives.
#[must_use]
pub fn sealing_day(stored: &StoredCardChange, on: Date) -> Date {
    let lives = |since: &Date| {
        let ends = since.checked_add(QUEUE_DAYS.days());
        ends.is_ok_and(|ends| on < ends)
    };
    stored.sealing_since.filter(lives).unwrap_or(on)
}

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

    /// The tasks that deliver a change by terminals.
    ///
    /// # Errors
    /// [`permit_domain::Refusal::ChangeOpen`] while a decision waits for the card that is to come first; content that cannot
    /// be read.
    pub async fn update_tasks(
        &self,
        stored: &StoredCardChange,
    ) -> Result<Vec<vault::UpdateTask>, OfficeError> {
        update_tasks(&mut self.read().await?, stored).await
    }

    /// Stores that terminals are to deliver a change, before the vault seals the first update, and since when: what is stored
    /// is finished, and neither given up nor expired. Said again it goes on.
    ///
    /// `read` is the change, and `content` what the card is to hold, as the updates were made up from them.
    ///
    /// # Errors
    /// [`permit_domain::Error::WrongState`] for a change, or a card, that no terminal is to change like that;
    /// [`permit_domain::Error::SamePersonTwice`] for who signed it off, or something that it brings along;
    /// [`issuer_store::Error::Stale`] if either is another one by now; outages.
    pub async fn begin_queue(
        &self,
        read: &StoredCardChange,
        by: &ChangeClerk,
        content: &CardContent,
    ) -> Result<StoredCardChange, OfficeError> {
        let mut tx = self.begin().await?;
        let stored = on_file::change(&mut tx, read.change.id()).await?;
        if stored != *read {
            return Err(issuer_store::Error::Stale { what: "change" }.into());
        }
        let card = on_file::card_of(&mut tx, &stored.change).await?;
        if on_file::content_of(&mut tx, &card).await? != *content {
            return Err(issuer_store::Error::Stale { what: "card" }.into());
        }
        let (stored, appended) = queue(&mut tx, stored, by, self.clock().today()).await?;
        if let Some(appended) = appended {
            tx.commit(appended).await?;
        }
        Ok(stored)
    }

    /// Stores the vault's number of an update that it sealed. The same again changes nothing.
    ///
    /// # Errors
    /// [`issuer_store::Error::Exists`] for a number of another change; outages.
    pub async fn update_sealed(&self, id: ChangeId, update: &[u8; 16]) -> Result<(), OfficeError> {
        let mut tx = self.begin().await?;
        keep(&mut tx, id, update).await?;
        Ok(tx.commit_without_entry().await?)
    }

    /// Stores that these are all the updates of a change. What was sealed of it before, and is not among them, has been
    /// replaced in the vault's batches.
    ///
    /// # Errors
    /// Outages.
    pub async fn end_queue(
        &self,
        id: ChangeId,
        sealed: &[[u8; 16]],
        by: &ChangeClerk,
    ) -> Result<StoredCardChange, OfficeError> {
        let mut tx = self.begin().await?;
        let by = (ChangeClerk::ROLE, by.staff().as_str());
        match all_sealed(&mut tx, id, sealed, by, self.clock().today()).await? {
            Some(appended) => tx.commit(appended).await?,
            None => tx.commit_without_entry().await?,
        }
        self.change(id).await
    }
}

/// As [`Office::update_tasks`].
async fn update_tasks(
    ledger: &mut Snapshot,
    stored: &StoredCardChange,
) -> Result<Vec<vault::UpdateTask>, OfficeError> {
    let Some(what) = rewritten(stored.change.kind()) else {
        return Ok(vec![vault::UpdateTask::Block]);
    };
    if let Some(load) = &stored.load {
        return Ok(vec![vault::UpdateTask::Load { loaded: load.loaded }]);
    }
    let card = on_file::card_of(ledger, &stored.change).await?;
    let content = on_file::content_of(ledger, &card).await?;
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

/// Enters that terminals are to deliver a change. No entry for one whose updates are being sealed already, or all are.
pub(crate) async fn queue(
    tx: &mut Transaction,
    stored: StoredCardChange,
    by: &ChangeClerk,
    on: Date,
) -> Result<(StoredCardChange, Option<Appended>), OfficeError> {
    let was_queued = matches!(stored.change.state(), ChangeState::Queued);
    if was_queued && stored.sealing_since.is_none() {
        return Ok((stored, None));
    }
    // The order in which the parts fail is that of their causes: the change, its card, the person.
    let change = stored.change.clone().queued(on)?;
    let card = on_file::card_of(tx, &change).await?;
    change.kind().may_be_done(card.standing())?;
    change.may_write(by)?;
    for other in tx.changes_of_card(&card.number).await? {
        // The card gets all that was decided, and not only what this change decided.
        if change.kind().is_granted() && waits(&other) {
            other.change.may_write(by)?;
        }
    }
    let sealing_since = Some(sealing_day(&stored, on));
    if was_queued && stored.sealing_since == sealing_since {
        return Ok((stored, None));
    }
    let by = (ChangeClerk::ROLE, by.staff().as_str());
    let (change, appended) = tx.update_change(change, None, by).await?;
    tx.set_sealing(change.id(), sealing_since).await?;
    let stored = StoredCardChange {
        change,
        sealing_since,
        ..stored
    };
    Ok((stored, Some(appended)))
}

/// Enters the number of an update that the vault sealed.
pub(crate) async fn keep(
    tx: &mut Transaction,
    change: ChangeId,
    update: &[u8; 16],
) -> Result<(), OfficeError> {
    match tx.change_of_update(update).await? {
        Some(owner) if owner == change => Ok(()),
        Some(_) => Err(issuer_store::Error::Exists { what: "update" }.into()),
        None => Ok(tx.insert_update(update, change).await?),
    }
}

/// Enters that all updates of a change are sealed. Its receipts may have come before.
pub(crate) async fn all_sealed(
    tx: &mut Transaction,
    change: ChangeId,
    sealed: &[[u8; 16]],
    by: (&str, &str),
    on: Date,
) -> Result<Option<Appended>, OfficeError> {
    for update in tx.updates_of(change).await? {
        if !sealed.contains(&update) {
            tx.set_update_done(&update).await?;
        }
    }
    tx.set_sealing(change, None).await?;
    finish_one(tx, change, by, on).await
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
        if let Some(appended) = finish_one(tx, owner, ("receipts clerk", by.as_str()), on).await? {
            done.push(owner);
            last = Some(appended);
        }
    }
    Ok((done, last))
}

/// A change whose updates are all on their card is done.
async fn finish_one(
    tx: &mut Transaction,
    id: ChangeId,
    by: (&str, &str),
    on: Date,
) -> Result<Option<Appended>, OfficeError> {
    let stored = on_file::change(tx, id).await?;
    if tx.updates_left(id).await? > 0 || stored.change.state().is_over() {
        return Ok(None);
    }
    let change = stored.change.done(Way::Update, on)?;
    let card = on_file::card_of(tx, &change).await?;
    let (change, appended) = tx.update_change(change, None, by).await?;
    // A receipt that comes late does not move a chip that has ended.
    if let Ok(Some(standing)) = change.moves(card.standing()) {
        tx.update_card(card, standing).await?;
    } else if rewritten(change.kind()).is_some_and(Rewritten::has_permit)
        && let Some(after) = FrozenChange::from_content(change.content())?
        && card.until.is_none_or(|until| until < after.valid_to())
    {
        shows(tx, card, after.valid_to()).await?;
    }
    Ok(Some(appended))
}
