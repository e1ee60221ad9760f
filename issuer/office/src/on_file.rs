//! What is on file: applications, permits, orders, cards and changes by their ids, what a card is to hold now, and which facts
//! and decision hold now, over every change that was signed off.

use issuer_store::{Card, Snapshot, StepRecord, StoredApplication, StoredCardChange};
use jiff::Timestamp;
use jiff::civil::Date;
use permit_domain::{
    AllocatedCard, Applicant, ApplicationId, CardChange, CardNumber, CardSerial, CardStage, ChangeId,
    ChangeKind, ChangeState, Decision, Order, OrderId, Permit, PermitId, Scrap,
};

use crate::card_content::CardContent;
use crate::error::OfficeError;
use crate::frozen_change::FrozenChange;
use crate::office::Office;

impl Office {
    /// An application with its decision.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`].
    pub async fn application(&self, id: ApplicationId) -> Result<StoredApplication, OfficeError> {
        application(&mut self.read().await?, id).await
    }

    /// A permit.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`].
    pub async fn permit(&self, id: PermitId) -> Result<Permit, OfficeError> {
        permit(&mut self.read().await?, id).await
    }

    /// A permit, and the last day of it that the card in its holder's hand shows.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`].
    pub async fn permit_and_card(&self, id: PermitId) -> Result<(Permit, Option<Date>), OfficeError> {
        let mut ledger = self.read().await?;
        let permit = permit(&mut ledger, id).await?;
        match card_in_use(&mut ledger, id).await {
            Ok(card) => Ok((permit, card.until)),
            Err(OfficeError::NoCard) => Ok((permit, None)),
            Err(error) => Err(error),
        }
    }

    /// Where an order stands.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`].
    pub async fn order_status(&self, id: OrderId) -> Result<Order, OfficeError> {
        order(&mut self.read().await?, id).await
    }

    /// The orders that are neither handed over nor given up, oldest first. Those whose state is
    /// [`permit_domain::OrderState::in_doubt`] need their card presented before anything else.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn running_orders(&self) -> Result<Vec<Order>, OfficeError> {
        Ok(self.read().await?.running_orders().await?)
    }

    /// The order that was made last; `None` before the first.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn newest_order(&self) -> Result<Option<Order>, OfficeError> {
        Ok(self.read().await?.newest_order().await?)
    }

    /// What each step of an order left behind, oldest first.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn order_steps(&self, id: OrderId) -> Result<Vec<StepRecord>, OfficeError> {
        Ok(self.read().await?.order_steps(id).await?)
    }

    /// A card by its number.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`].
    pub async fn card(&self, number: &CardNumber) -> Result<Card, OfficeError> {
        card(&mut self.read().await?, number).await
    }

    /// Whether a chip became a card of the office.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn card_of_chip(&self, serial: CardSerial) -> Result<Option<Card>, OfficeError> {
        Ok(self.read().await?.card_by_serial(serial).await?)
    }

    /// The card of a permit that its holder has.
    ///
    /// # Errors
    /// [`OfficeError::NoCard`].
    pub async fn card_in_use(&self, permit: PermitId) -> Result<Card, OfficeError> {
        card_in_use(&mut self.read().await?, permit).await
    }

    /// A change.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`].
    pub async fn change(&self, id: ChangeId) -> Result<StoredCardChange, OfficeError> {
        change(&mut self.read().await?, id).await
    }

    /// The last day of a change's permit as it is decided, and the one that its card shows.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`].
    pub async fn last_days_of(&self, change: &CardChange) -> Result<(Date, Option<Date>), OfficeError> {
        let mut ledger = self.read().await?;
        let permit = permit(&mut ledger, change.permit()).await?;
        let card = card(&mut ledger, &change.card().number).await?;
        Ok((permit.grant().valid_to, card.until))
    }

    /// The changes of a card, oldest first.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn changes_of(&self, card: &CardNumber) -> Result<Vec<StoredCardChange>, OfficeError> {
        Ok(self.read().await?.changes_of_card(card).await?)
    }

    /// What the card is to hold after every change that was signed off.
    ///
    /// # Errors
    /// [`crate::error::ContentError::Unreadable`], the ledger's.
    pub async fn content_of(&self, card: &Card) -> Result<CardContent, OfficeError> {
        content_of(&mut self.read().await?, card).await
    }

    /// The holder's facts and the decision that hold now, over every change that was signed off.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`], the ledger's.
    pub async fn facts_of(&self, permit: &Permit) -> Result<(Applicant, Decision), OfficeError> {
        facts_of(&mut self.read().await?, permit).await
    }
}

pub(crate) async fn application(
    ledger: &mut Snapshot,
    id: ApplicationId,
) -> Result<StoredApplication, OfficeError> {
    let found = ledger.application(id).await?;
    found.ok_or(OfficeError::NotFound { what: "application" })
}

pub(crate) async fn permit(ledger: &mut Snapshot, id: PermitId) -> Result<Permit, OfficeError> {
    let found = ledger.permit(id).await?;
    found.ok_or(OfficeError::NotFound { what: "permit" })
}

pub(crate) async fn order(ledger: &mut Snapshot, id: OrderId) -> Result<Order, OfficeError> {
    let found = ledger.order(id).await?;
    found.ok_or(OfficeError::NotFound { what: "order" })
}

pub(crate) async fn card(ledger: &mut Snapshot, number: &CardNumber) -> Result<Card, OfficeError> {
    let found = ledger.card(number).await?;
    found.ok_or(OfficeError::NotFound { what: "card" })
}

pub(crate) async fn change(ledger: &mut Snapshot, id: ChangeId) -> Result<StoredCardChange, OfficeError> {
    let found = ledger.change(id).await?;
    found.ok_or(OfficeError::NotFound { what: "change" })
}

pub(crate) async fn card_in_use(ledger: &mut Snapshot, permit: PermitId) -> Result<Card, OfficeError> {
    let cards = ledger.cards_of_permit(permit).await?;
    cards
        .into_iter()
        .find(|card| card.state == CardStage::HandedOver)
        .ok_or(OfficeError::NoCard)
}

/// The card that the holder has, or else the last one that ended.
pub(crate) async fn last_card(ledger: &mut Snapshot, permit: PermitId) -> Result<Card, OfficeError> {
    let cards = ledger.cards_of_permit(permit).await?;
    cards
        .iter()
        .find(|card| card.state == CardStage::HandedOver)
        .or_else(|| {
            cards
                .iter()
                .rfind(|card| matches!(card.state, CardStage::Ended(_)))
        })
        .cloned()
        .ok_or(OfficeError::NoCard)
}

/// The card of a change, which must be this very chip of this permit.
pub(crate) async fn card_of(ledger: &mut Snapshot, change: &CardChange) -> Result<Card, OfficeError> {
    very_card(ledger, change.permit(), change.card()).await
}

/// A card that must be this very chip of this permit.
pub(crate) async fn very_card(
    ledger: &mut Snapshot,
    permit: PermitId,
    card: &AllocatedCard,
) -> Result<Card, OfficeError> {
    let found = ledger.card(&card.number).await?;
    found
        .filter(|found| found.serial == card.serial && found.permit == permit)
        .ok_or_else(|| issuer_store::Error::Missing { what: "card" }.into())
}

pub(crate) async fn content_of(ledger: &mut Snapshot, card: &Card) -> Result<CardContent, OfficeError> {
    let mut changes = ledger.changes_of_card(&card.number).await?;
    changes.retain(holds);
    changes.sort_by_key(|stored| stored.granted);
    let order = order(ledger, card.order).await?;
    let mut content = CardContent::from_content(order.content())?;
    // Layer upon layer: a change that was taken back may lie below one that holds.
    for stored in changes {
        let Some(after) = FrozenChange::from_content(stored.change.content())? else {
            continue;
        };
        content = if stored.change.kind() == ChangeKind::Address {
            content.with_person_of(after)
        } else {
            content.with_grant_of(after)
        };
    }
    Ok(content)
}

/// The state counter of what is written next for a permit: above every one that a card of it ever had or may have, also by
/// a change that was given up.
pub(crate) async fn next_state_counter(ledger: &mut Snapshot, permit: PermitId) -> Result<u32, OfficeError> {
    let mut highest = 0;
    for card in ledger.cards_of_permit(permit).await? {
        let order = order(ledger, card.order).await?;
        highest = highest.max(CardContent::from_content(order.content())?.state_counter()?);
    }
    for stored in ledger.changes_of_permit(permit).await? {
        if let Some(after) = FrozenChange::from_content(stored.change.content())? {
            highest = highest.max(after.state_counter()?);
        }
    }
    Ok(highest.saturating_add(1))
}

/// Whether a change was signed off and not taken back.
pub(crate) fn holds(stored: &StoredCardChange) -> bool {
    stored.granted.is_some() && !matches!(stored.change.state(), ChangeState::GivenUp | ChangeState::Expired)
}

pub(crate) async fn facts_of(
    ledger: &mut Snapshot,
    permit: &Permit,
) -> Result<(Applicant, Decision), OfficeError> {
    let case = application(ledger, permit.grant().application).await?;
    let mut changes = ledger.changes_of_permit(permit.id()).await?;
    changes.retain(holds);
    changes.sort_by_key(|stored| stored.granted);
    let mut applicant = case.applicant;
    let mut decision = case.decision.ok_or(permit_domain::Error::NothingGranted)?;
    for stored in changes {
        applicant = stored.applicant.unwrap_or(applicant);
        decision = stored.decision.unwrap_or(decision);
    }
    Ok((applicant, decision))
}

/// What became of a chip that was set aside.
pub(crate) async fn scrap(ledger: &mut Snapshot, serial: CardSerial) -> Result<Scrap, OfficeError> {
    let found = ledger.scrap(serial).await?;
    found.ok_or(OfficeError::NotFound {
        what: "card to be destroyed",
    })
}

/// When an order's card was verified.
pub(crate) async fn verified_at(
    ledger: &mut Snapshot,
    order: OrderId,
) -> Result<Option<Timestamp>, OfficeError> {
    let steps = ledger.order_steps(order).await?;
    let verified = steps.iter().rfind(|step| step.step == "VERIFIED");
    Ok(verified.map(|step| step.finished_at))
}
