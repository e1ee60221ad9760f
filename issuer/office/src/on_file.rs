//! What is on file: applications, permits, orders, cards and changes by their ids, what a card is to hold now, and which facts
//! and decision hold now, over every change that was signed off.

use issuer_store::{Card, StoredApplication, StoredChange};
use permit_domain::{
    Applicant, ApplicationId, CardNumber, CardState, ChangeId, Decision, Order, OrderId, Permit, PermitId,
};

use crate::card_content::CardContent;
use crate::error::{ContentError, OfficeError};
use crate::frozen_change::FrozenChange;
use crate::office::Office;

impl Office {
    /// An application with its decision.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`].
    pub async fn application(&self, id: ApplicationId) -> Result<StoredApplication, OfficeError> {
        self.store
            .application(id)
            .await?
            .ok_or(OfficeError::NotFound { what: "application" })
    }

    /// A permit.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`].
    pub async fn permit(&self, id: PermitId) -> Result<Permit, OfficeError> {
        self.store
            .permit(id)
            .await?
            .ok_or(OfficeError::NotFound { what: "permit" })
    }

    /// Where an order stands.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`].
    pub async fn order_status(&self, id: OrderId) -> Result<Order, OfficeError> {
        self.store
            .order(id)
            .await?
            .ok_or(OfficeError::NotFound { what: "order" })
    }

    /// A card by its number.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`].
    pub async fn card(&self, number: &CardNumber) -> Result<Card, OfficeError> {
        self.store()
            .card(number)
            .await?
            .ok_or(OfficeError::NotFound { what: "card" })
    }

    /// The card of a permit that its holder has.
    ///
    /// # Errors
    /// [`OfficeError::NoCard`].
    pub async fn card_in_use(&self, permit: PermitId) -> Result<Card, OfficeError> {
        let cards = self.store().cards_of_permit(permit).await?;
        cards
            .into_iter()
            .find(|card| card.state == CardState::HandedOver)
            .ok_or(OfficeError::NoCard)
    }

    pub(crate) async fn last_card(&self, permit: PermitId) -> Result<Card, OfficeError> {
        let cards = self.store().cards_of_permit(permit).await?;
        cards
            .iter()
            .find(|card| card.state == CardState::HandedOver)
            .or_else(|| {
                cards
                    .iter()
                    .rfind(|card| matches!(card.state, CardState::Ended(_)))
            })
            .cloned()
            .ok_or(OfficeError::NoCard)
    }

    /// A change.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`].
    pub async fn change(&self, id: ChangeId) -> Result<StoredChange, OfficeError> {
        self.store()
            .change(id)
            .await?
            .ok_or(OfficeError::NotFound { what: "change" })
    }

    /// What the card is to hold after every change that was signed off.
    ///
    /// # Errors
    /// [`ContentError::Unreadable`], the ledger's.
    pub async fn content_of(&self, card: &Card) -> Result<CardContent, OfficeError> {
        let changes = self.store().changes_of_card(&card.number).await?;
        let newest = changes
            .iter()
            .filter(|stored| stored.granted.is_some())
            .max_by_key(|stored| stored.granted);
        if let Some(stored) = newest {
            let after = FrozenChange::from_content(stored.change.content())?;
            return Ok(after.ok_or(ContentError::Unreadable)?);
        }
        let order = self
            .store()
            .order(card.order)
            .await?
            .ok_or(OfficeError::NotFound { what: "order" })?;
        Ok(CardContent::from_content(order.content())?)
    }

    /// The holder's facts and the decision that hold now, over every change that was signed off.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`], the ledger's.
    pub async fn facts_of(&self, permit: &Permit) -> Result<(Applicant, Decision), OfficeError> {
        let case = self.application(permit.grant().application).await?;
        let mut changes = self.store().changes_of_permit(permit.id()).await?;
        changes.retain(|stored| stored.granted.is_some());
        changes.sort_by_key(|stored| stored.granted);
        let mut applicant = case.applicant;
        let mut decision = case.decision.ok_or(permit_domain::Error::NothingGranted)?;
        for stored in changes {
            applicant = stored.applicant.unwrap_or(applicant);
            decision = stored.decision.unwrap_or(decision);
        }
        Ok((applicant, decision))
    }
}
