//! Orders the card of a permit, and gives an order up: content frozen, and its front drawn once, before a card number is
//! spent.

use permit_domain::{Order, OrderId, PermitId, Producer, SeparatedDuties};
use photo_store_protocol as photo;

use crate::card_content::{CardContent, Case};
use crate::error::{ContentError, OfficeError};
use crate::fault::Fault;
use crate::office::Office;

impl Office {
    /// Orders the card of a permit: takes the photo's receipt, freezes what goes onto the card, and draws the front once
    /// to see that it can be printed, before a card number is spent. Repeating it with the same id answers the same.
    ///
    /// # Errors
    /// The photo store's refusal, [`issuer_artwork::ArtworkError::MissingGlyph`], [`issuer_artwork::ArtworkError::Overflow`], a wrong state of the
    /// permit, one person in two roles.
    pub async fn order(
        &self,
        id: OrderId,
        permit: PermitId,
        producer: Producer,
        receipt: photo::ReceiptNumber,
    ) -> Result<Order, OfficeError> {
        if let Some(known) = self.ordered(id, permit, &producer, receipt).await? {
            return Ok(known);
        }
        match self.order_new(id, permit, &producer, receipt).await {
            // The same request may have come a moment before: then its outcome is the answer to this one too.
            Err(error) if error.fault() == Fault::State => {
                self.ordered(id, permit, &producer, receipt).await?.ok_or(error)
            }
            done => done,
        }
    }

    /// The order that the id stands for, if it is this very one: an id that was used with another permit, producer or
    /// photo receipt is refused.
    pub(crate) async fn ordered(
        &self,
        id: OrderId,
        permit: PermitId,
        producer: &Producer,
        receipt: photo::ReceiptNumber,
    ) -> Result<Option<Order>, OfficeError> {
        let Some(known) = self.store.order(id).await? else {
            return Ok(None);
        };
        let same = known.permit() == permit
            && known.duties().producer() == producer
            && CardContent::from_content(known.content())?
                .photo()
                .came_by(receipt);
        if same {
            Ok(Some(known))
        } else {
            Err(OfficeError::IdTaken)
        }
    }

    pub(crate) async fn order_new(
        &self,
        id: OrderId,
        permit: PermitId,
        producer: &Producer,
        receipt: photo::ReceiptNumber,
    ) -> Result<Order, OfficeError> {
        let permit = self.permit(permit).await?;
        // Before the photo's receipt is used up: may this permit be produced at all, and by this person?
        permit.state().clone().start_production(id)?;
        let case = self.application(permit.grant().application).await?;
        // A card that replaces another one holds what was signed off since.
        let (applicant, decision) = self.facts_of(&permit).await?;
        let (reviewer, approver) = case
            .application
            .decided_by()
            .ok_or(permit_domain::Error::NothingGranted)?;
        let duties = SeparatedDuties::new(reviewer.clone(), approver.clone(), producer.clone())?;
        let division = &applicant.residence.division;
        let organ = self
            .rules
            .get(&permit.grant().rule_set)?
            .organ(division)
            .ok_or_else(|| ContentError::NoOrgan {
                division: division.clone(),
            })?;

        let (frozen, print) = self.take_photo(&case, &permit, producer, receipt).await?;
        let issued_on = self.clock.today();
        let facts = Case {
            permit: &permit,
            applicant: &applicant,
            decision: &decision,
            organ,
            issued_on,
            purse_cap: self.purse_cap(&applicant, permit.grant().tier, issued_on),
            state_counter: self.next_state_counter(permit.id()).await?,
        };
        let content = CardContent::freeze(&facts, frozen, &self.random)?;
        self.try_print(&content, print).await?;
        let order = Order::new(id, permit.id(), duties, content.to_content()?);
        Ok(self.store.order_production(&order, self.clock.now()).await?)
    }

    /// The state counter of the permit's next card: above every one that a card of it ever had.
    pub(crate) async fn next_state_counter(&self, permit: PermitId) -> Result<u32, OfficeError> {
        let mut highest = 0;
        for card in self.store.cards_of_permit(permit).await? {
            highest = highest.max(self.content_of(&card).await?.state_counter()?);
        }
        Ok(highest.saturating_add(1))
    }

    pub(crate) async fn try_print(&self, content: &CardContent, print: Vec<u8>) -> Result<(), OfficeError> {
        let front = content.front(print)?;
        let (artist, division) = (self.artist(), content.division().as_str().to_owned());
        tokio::task::spawn_blocking(move || artist.front(&division, &front).map(drop))
            .await
            .map_err(|_| OfficeError::Internal)??;
        Ok(())
    }

    /// Gives an order up: its card is to be destroyed and its number is spent, and the permit may be ordered again.
    /// Repeating it answers the same.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`]; [`permit_domain::Error::WrongState`] once hand-over began.
    pub async fn give_up(&self, id: OrderId, by: &Producer) -> Result<Order, OfficeError> {
        let order = self.order_status(id).await?;
        if matches!(order.state(), permit_domain::OrderState::GivenUp { .. }) {
            return Ok(order);
        }
        let now = self.clock.now();
        Ok(self.store.give_up_order(order.give_up()?, by, "{}", now).await?)
    }
}
