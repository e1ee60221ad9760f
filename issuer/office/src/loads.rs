//! Loads of a card's purse: decided by the purse rules in force, booked once for each key. Card specification, chapter 11.

use issuer_store::{Appended, Booked, Card, Snapshot, StoredCardChange, Transaction};
use jiff::civil::Date;
use permit_domain::{
    AllocatedCard, CardChange, CardNumber, ChangeClerk, ChangeId, ChangeKind, Division, LoadDecision, Permit,
    PermitId, PermitState, Purse,
};
use permit_rules::PurseRules;

use crate::changes::only_one_open;
use crate::error::{ContentError, OfficeError};
use crate::frozen_change::FrozenChange;
use crate::hashed_id::uuid8;
use crate::office::Office;
use crate::on_file;

/// What became of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadOutcome {
    /// Booked now.
    Booked(Box<StoredCardChange>, LoadDecision),
    /// The same load was booked before.
    Known(Box<StoredCardChange>),
    /// The purse rules do not allow it. Nothing was booked.
    Refused(LoadDecision),
}

/// The id of a load by the key that its clerk names, such as the number of the till's receipt: the same key for the same
/// permit is the same load. UUID version 8 (RFC 9562, section 5.8).
#[must_use]
pub fn load_id(permit: PermitId, key: &str) -> ChangeId {
    ChangeId::from_bytes(uuid8(&[b"YZT-LOAD-KEY-1", permit.as_bytes(), key.as_bytes()]))
}

impl Office {
    /// Decides a load onto a permit's card by the purse rules in force and books it. The same key is the same load.
    ///
    /// # Errors
    /// [`OfficeError::NoCard`], [`ContentError::NoPurseRules`], [`permit_domain::Refusal::ChangeOpen`] while an earlier load is
    /// not on its way, [`OfficeError::IdTaken`] for the key of another load.
    pub async fn load(
        &self,
        permit: PermitId,
        amount: u32,
        key: &str,
        clerk: ChangeClerk,
    ) -> Result<LoadOutcome, OfficeError> {
        let id = load_id(permit, key);
        let mut tx = self.begin().await?;
        let permit = on_file::permit(&mut tx, permit).await?;
        // A load that is repeated belongs to the card that it was booked for.
        let card = match tx.change(id).await? {
            Some(known) => on_file::card(&mut tx, &known.change.card().number).await?,
            None => on_file::card_in_use(&mut tx, permit.id()).await?,
        };
        let (facts, _) = on_file::facts_of(&mut tx, &permit).await?;
        let rules = self.purse_rules_of(&facts.residence.division)?;
        let allocated = AllocatedCard {
            number: card.number,
            serial: card.serial,
        };
        let content = FrozenChange::to_content(None)?;
        let change = CardChange::new(id, permit.id(), allocated, ChangeKind::Load, clerk, content);
        let (outcome, appended) = book(&mut tx, &change, amount, rules, self.clock().today()).await?;
        if let Some(appended) = appended {
            tx.commit(appended).await?;
        }
        Ok(outcome)
    }

    /// What the purse rules in force say of a load, before anybody's money is taken; nothing is stored. `None`: the load of this key
    /// was booked before.
    ///
    /// # Errors
    /// As [`Office::load`].
    pub async fn foresee_load(
        &self,
        permit: PermitId,
        amount: u32,
        key: &str,
    ) -> Result<Option<LoadDecision>, OfficeError> {
        let mut ledger = self.read().await?;
        if ledger.change(load_id(permit, key)).await?.is_some() {
            return Ok(None);
        }
        let permit = on_file::permit(&mut ledger, permit).await?;
        let card = on_file::card_in_use(&mut ledger, permit.id()).await?;
        let (facts, _) = on_file::facts_of(&mut ledger, &permit).await?;
        let purse = ledger.purse(&card.number).await?;
        let rules = self.purse_rules_of(&facts.residence.division)?;
        may_be_loaded(&mut ledger, &permit, &card, self.clock().today()).await?;
        Ok(Some(rules.decide_load(permit.grant().tier, purse, amount)))
    }

    /// What the office knows of the purse of the permit's card.
    ///
    /// # Errors
    /// [`OfficeError::NoCard`]; the ledger's.
    pub async fn purse_of(&self, permit: PermitId) -> Result<Purse, OfficeError> {
        let mut ledger = self.read().await?;
        let card = on_file::card_in_use(&mut ledger, permit).await?;
        Ok(ledger.purse(&card.number).await?)
    }

    fn purse_rules_of(&self, division: &Division) -> Result<&PurseRules, OfficeError> {
        let rules = self.rules().purse_in_force(division, self.clock().today());
        rules.ok_or_else(|| {
            ContentError::NoPurseRules {
                division: division.clone(),
            }
            .into()
        })
    }

    /// Takes over what a card on the counter shows of its purse.
    ///
    /// # Errors
    /// [`permit_domain::Error::PurseFigures`] for a card with more money than the ledger gave it; outages.
    pub async fn take_over_purse(&self, card: &CardNumber, shown: Purse) -> Result<Purse, OfficeError> {
        let mut tx = self.begin().await?;
        let seen = see(&mut tx, card, shown).await?;
        // What a person spent in all is kept, when it was seen is not.
        tx.commit_without_entry().await?;
        Ok(seen)
    }
}

/// Decides a load by the rules and books it: whoever comes second sees the first. No entry for one that is refused, or that
/// was booked before.
pub(crate) async fn book(
    tx: &mut Transaction,
    change: &CardChange,
    amount: u32,
    rules: &PurseRules,
    on: Date,
) -> Result<(LoadOutcome, Option<Appended>), OfficeError> {
    if let Some(known) = tx.change(change.id()).await? {
        let same = known.change.permit() == change.permit()
            && known.change.card() == change.card()
            && known.load.as_ref().is_some_and(|load| load.amount == amount);
        return if same {
            Ok((LoadOutcome::Known(Box::new(known)), None))
        } else {
            Err(OfficeError::IdTaken)
        };
    }
    let permit = on_file::permit(tx, change.permit()).await?;
    let card = on_file::card_of(tx, change).await?;
    may_be_loaded(tx, &permit, &card, on).await?;
    let purse = tx.purse(&card.number).await?;
    let decision = rules.decide_load(permit.grant().tier, purse, amount);
    let Some(loaded) = decision.loaded else {
        return Ok((LoadOutcome::Refused(decision), None));
    };
    tx.set_loaded(&card.number, loaded).await?;
    let booked = StoredCardChange {
        change: change.clone(),
        applicant: None,
        decision: None,
        load: Some(Booked {
            amount,
            loaded,
            rules: rules.id().to_owned(),
        }),
        permit_version: permit.version(),
        granted: None,
        sealing_since: None,
    };
    let appended = tx.insert_change(&booked).await?;
    Ok((LoadOutcome::Booked(Box::new(booked), decision), Some(appended)))
}

/// A load is never given up: none is booked that no card of this permit would take.
async fn may_be_loaded(
    ledger: &mut Snapshot,
    permit: &Permit,
    card: &Card,
    on: Date,
) -> Result<(), OfficeError> {
    if !matches!(permit.state(), PermitState::Active { .. }) {
        return Err(permit_domain::Error::WrongState {
            thing: "permit",
            state: permit.state().name(),
            wanted: "a load",
        }
        .into());
    }
    permit.grant().check_in_force(on)?;
    ChangeKind::Load.may_change(card.standing())?;
    only_one_open(ledger, &card.number, ChangeKind::Load).await
}

/// Takes over what a card shows of its purse.
pub(crate) async fn see(tx: &mut Transaction, card: &CardNumber, shown: Purse) -> Result<Purse, OfficeError> {
    let seen = tx.purse(card).await?.seen(shown)?;
    tx.set_spent(card, seen.spent).await?;
    Ok(seen)
}
