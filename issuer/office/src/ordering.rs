//! Orders the card of a permit from what two people signed, and stores each step of its order: order, card and permit move together.
//! How a step is done: crate `issuer-production`.

use issuer_store::{Appended, BlankState, Entry, Snapshot, StepRecord, Transaction};
use jiff::civil::Date;
use permit_domain::{
    Actor as _, AllocatedCard, CardNumber, CardSerial, CardStage, HandOverClerk, Maker, Order, OrderId,
    OrderState, PermitId, Producer, Province, SeparatedDuties, Standing, Way,
};
use photo_store_protocol as photo;

use crate::card_content::CardContent;
use crate::error::{ContentError, OfficeError};
use crate::fault::Fault;
use crate::frozen_case::FrozenCase;
use crate::frozen_photo::FrozenPhoto;
use crate::office::Office;
use crate::on_file;
use crate::photo::comes_onto_a_card;
use crate::{changes, completion};

impl Office {
    /// Orders the card of a permit: what two people signed goes onto it, and nothing else. `receipt`, where it is given, must be that
    /// of the photo that was signed. Repeating it with the same id answers the same.
    ///
    /// # Errors
    /// [`OfficeError::NotCompleted`]; [`OfficeError::SignedOtherwise`]; [`OfficeError::OtherContent`] for another receipt;
    /// [`crate::signing_error::SigningError`] where two enrolled keys did not sign it; a wrong state of the permit or of what is to be signed; one person in two roles.
    pub async fn order(
        &self,
        id: OrderId,
        permit: PermitId,
        producer: Producer,
        receipt: Option<photo::ReceiptNumber>,
    ) -> Result<Order, OfficeError> {
        if let Some(known) = self.ordered(id, permit, &producer, receipt).await? {
            return Ok(known);
        }
        match Box::pin(self.order_new(id, permit, &producer, receipt)).await {
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
        receipt: Option<photo::ReceiptNumber>,
    ) -> Result<Option<Order>, OfficeError> {
        same_order(&mut self.read().await?, id, permit, producer, receipt).await
    }

    async fn order_new(
        &self,
        id: OrderId,
        permit: PermitId,
        producer: &Producer,
        receipt: Option<photo::ReceiptNumber>,
    ) -> Result<Order, OfficeError> {
        self.expire_changes_of(permit).await?;
        let today = self.clock.today();
        let mut tx = self.begin().await?;
        // The same request may have come a moment before: then its outcome is the answer to this one too.
        if let Some(known) = same_order(&mut tx, id, permit, producer, receipt).await? {
            return Ok(known);
        }
        let permit = on_file::permit(&mut tx, permit).await?;
        permit.state().clone().start_production(id)?;
        permit.grant().check_in_force(today)?;
        may_produce(&mut tx, permit.id(), producer).await?;
        let case = on_file::application(&mut tx, permit.grant().application).await?;
        let signed = completion::signed(&case)?;
        let (reviewer, approver) = signed.signed_by().ok_or(OfficeError::NotCompleted)?;
        let duties = SeparatedDuties::new(reviewer.clone(), approver.clone(), producer.clone())?;
        // A card that replaces another one holds what was signed off since.
        let (applicant, decision) = on_file::facts_of(&mut tx, &permit).await?;
        let made = (today, on_file::next_state_counter(&mut tx, permit.id()).await?);
        let content = FrozenCase::from_content(signed.content())?.to_card(
            signed.content(),
            &permit,
            (&applicant, &decision),
            made,
            &self.random,
        )?;
        if receipt.is_some_and(|receipt| !content.photo().came_by(receipt)) {
            return Err(OfficeError::OtherContent);
        }
        self.authorised(&mut tx, &case, &content).await?;
        let order = Order::new(id, permit.id(), duties, content.to_content()?);
        comes_onto_a_card(&mut tx, case.application.id(), content.photo()).await?;
        let appended = enter(&mut tx, &order, today).await?;
        tx.commit(appended).await?;
        Ok(order)
    }

    /// Lays the front of what is made out before there is a photo: a missing glyph and a text that does not fit are found
    /// before a photo's receipt is used, which happens once, and before a card number is.
    pub(crate) async fn try_print(
        &self,
        make: impl FnOnce(FrozenPhoto) -> Result<CardContent, ContentError>,
    ) -> Result<(), OfficeError> {
        let nobody = photo::PhotoId::from_bytes([0; 16]);
        let content = make(FrozenPhoto::new(nobody, "none", &[], &[]))?;
        let front = content.front(Vec::new())?;
        let (artist, division) = (self.artist(), content.division().as_str().to_owned());
        let faults = tokio::task::spawn_blocking(move || artist.check_front(&division, &front))
            .await
            .map_err(|_| OfficeError::Internal)?;
        match faults.map_err(|faults| faults.into_iter().next()) {
            Ok(()) => Ok(()),
            Err(fault) => Err(fault.map_or(OfficeError::Internal, OfficeError::from)),
        }
    }

    /// Gives an order up: its card is to be destroyed and its number is spent, and the permit may be ordered again.
    /// Repeating it answers the same.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`]; [`permit_domain::Error::WrongState`] once hand-over began.
    pub async fn give_up(&self, id: OrderId, by: &Producer) -> Result<Order, OfficeError> {
        let mut tx = self.begin().await?;
        let order = on_file::order(&mut tx, id).await?;
        if matches!(order.state(), OrderState::GivenUp { .. }) {
            return Ok(order);
        }
        // Not always the one who ordered it.
        let by = (Producer::ROLE, by.staff().as_str());
        let (order, appended) = advance(&mut tx, order.give_up()?, by, "{}").await?;
        tx.commit(appended).await?;
        Ok(order)
    }

    /// Joins the blank to the order: draws the next card number of the province, takes the blank from the stock.
    ///
    /// # Errors
    /// [`permit_domain::Refusal::BlankNotInStock`], [`permit_domain::Error::CardNumbersExhausted`],
    /// [`permit_domain::Error::WrongState`] unless ordered, [`issuer_store::Error::Stale`]; outages. None of them spends a
    /// number.
    pub async fn allocate(
        &self,
        order: Order,
        province: Province,
        serial: CardSerial,
        by: &Maker,
    ) -> Result<Order, OfficeError> {
        let mut tx = self.begin().await?;
        let (order, appended) = allocate(&mut tx, order, province, serial, by.in_ledger()).await?;
        tx.commit(appended).await?;
        Ok(order)
    }

    /// Whether this is somebody who may make the card of an order: neither who decided the case nor who signed off what the card
    /// is made with, whoever ordered it.
    ///
    /// # Errors
    /// [`permit_domain::Error::SamePersonTwice`]; the ledger's.
    pub async fn may_make(&self, order: &Order, by: &Maker) -> Result<(), OfficeError> {
        by.may_make(order.duties())?;
        match by {
            Maker::Person(producer) => may_produce(&mut self.read().await?, order.permit(), producer).await,
            Maker::Service(_) => Ok(()),
        }
    }

    /// Stores an order after any transition but the allocation: `by` is role and name of who did it. `result` is JSON of the
    /// issuer, without personal data. The card goes along; at `verified` the permit is produced, at `handed_over` it becomes
    /// active, at `give_up` it is free for another order and the card is damaged.
    ///
    /// # Errors
    /// [`issuer_store::Error::Stale`] if the row changed since it was read; [`permit_domain::Error::WrongState`] for an
    /// order that is new or allocated; [`permit_domain::Error::SamePersonTwice`] for a hand-over by who did a step of the
    /// card's making; outages.
    pub async fn advance(&self, order: Order, by: (&str, &str), result: &str) -> Result<Order, OfficeError> {
        let mut tx = self.begin().await?;
        let (order, appended) = advance(&mut tx, order, by, result).await?;
        tx.commit(appended).await?;
        Ok(order)
    }
}

/// The order that the id stands for, if it is this very one: an id that was used with another permit, producer or photo
/// receipt is refused.
async fn same_order(
    ledger: &mut Snapshot,
    id: OrderId,
    permit: PermitId,
    producer: &Producer,
    receipt: Option<photo::ReceiptNumber>,
) -> Result<Option<Order>, OfficeError> {
    let Some(known) = ledger.order(id).await? else {
        return Ok(None);
    };
    let content = CardContent::from_content(known.content())?;
    let same = known.permit() == permit
        && known.duties().producer() == producer
        && receipt.is_none_or(|receipt| content.photo().came_by(receipt));
    if same {
        Ok(Some(known))
    } else {
        Err(OfficeError::IdTaken)
    }
}

/// Enters an order, by the two who signed what it is made of; its permit goes into production. What was signed off for an earlier
/// card and never came onto it is done with this one.
pub(crate) async fn enter(tx: &mut Transaction, order: &Order, on: Date) -> Result<Appended, OfficeError> {
    let permit = on_file::permit(tx, order.permit()).await?;
    let case = on_file::application(tx, permit.grant().application).await?;
    completion::signed(&case)?.signed_by_those_of(order.duties())?;
    may_produce(tx, permit.id(), order.duties().producer()).await?;
    let permit = permit.change(|state| state.start_production(order.id()))?;
    tx.update_permit(permit).await?;
    for stored in tx.changes_of_permit(order.permit()).await? {
        if changes::waits(&stored) {
            let change = stored.change.done(Way::NextCard, on)?;
            let by = order.duties().producer().staff().as_str();
            let _first = tx.update_change(change, None, (Producer::ROLE, by)).await?;
        }
    }
    Ok(tx.insert_order(order).await?)
}

/// Whether somebody may make the permit's next card: nobody writes what they signed off, and it holds every decision that
/// waits for it.
async fn may_produce(ledger: &mut Snapshot, permit: PermitId, by: &Producer) -> Result<(), OfficeError> {
    for stored in ledger.changes_of_permit(permit).await? {
        if stored.change.is_left_to_the_next_card() || changes::waits(&stored) {
            stored.change.may_write(by)?;
        }
    }
    Ok(())
}

/// Draws the next number of the province and takes the blank, for the card that both become.
pub(crate) async fn allocate(
    tx: &mut Transaction,
    order: Order,
    province: Province,
    serial: CardSerial,
    by: (&str, &str),
) -> Result<(Order, Appended), OfficeError> {
    let state = match tx.blank(serial).await? {
        Some(BlankState::InStock) => None,
        Some(BlankState::Allocated) => Some("ALLOCATED"),
        Some(BlankState::Recalled) => Some("RECALLED"),
        Some(BlankState::Scrapped) => Some("SCRAPPED"),
        None => Some("UNKNOWN"),
    };
    if let Some(state) = state {
        return Err(permit_domain::Refusal::BlankNotInStock { serial, state }.into());
    }
    let next = tx.last_card_number(province).await?.saturating_add(1);
    let number = CardNumber::new(province, next)?;
    let order = order.allocate(number.clone(), serial)?;
    tx.set_last_card_number(province, next).await?;
    tx.take_blank(serial).await?;
    let (order, appended) = tx.update_order(order, by, "{}").await?;
    tx.insert_card(&AllocatedCard { number, serial }, &order).await?;
    Ok((order, appended))
}

/// Nobody hands a card over of whose making they did a step, whoever ordered it.
async fn made_by_somebody_else(
    ledger: &mut Snapshot,
    order: &Order,
    clerk: &HandOverClerk,
) -> Result<(), OfficeError> {
    let steps = ledger.order_steps(order.id()).await?;
    let made = |step: &StepRecord| step.role != HandOverClerk::ROLE && step.actor == clerk.staff().as_str();
    if steps.iter().any(made) {
        return Err(permit_domain::Error::SamePersonTwice {
            first: Producer::ROLE,
            second: HandOverClerk::ROLE,
        }
        .into());
    }
    Ok(())
}

/// No other card is made of what its holder's card was made of.
async fn is_used(tx: &mut Transaction, order: &Order, by: (&str, &str)) -> Result<(), OfficeError> {
    let permit = on_file::permit(tx, order.permit()).await?;
    let case = on_file::application(tx, permit.grant().application).await?;
    // An order of before content was signed has none.
    if let Some(live) = case.content {
        let _first = tx.update_case_content(&live.used()?, by).await?;
    }
    Ok(())
}

/// Stores an order after a transition, with its card and its permit.
pub(crate) async fn advance(
    tx: &mut Transaction,
    order: Order,
    by: (&str, &str),
    result: &str,
) -> Result<(Order, Appended), OfficeError> {
    if matches!(order.state(), OrderState::Ordered | OrderState::Allocated { .. }) {
        return Err(permit_domain::Error::WrongState {
            thing: "production order",
            state: order.state().name(),
            wanted: "storing it as advanced",
        }
        .into());
    }
    if let OrderState::HandingOver { clerk, .. } = order.state() {
        made_by_somebody_else(tx, &order, clerk).await?;
    }
    let (order, mut appended) = tx.update_order(order, by, result).await?;
    if let (Some(allocated), Some(state)) = (order.state().card(), order.state().card_state()) {
        let mut card = on_file::card(tx, &allocated.number).await?;
        if card.state != state {
            if state == CardStage::Encoded {
                // Content that cannot be read stopped the order before its card was touched.
                let content = CardContent::from_content(order.content()).ok();
                card.until = content.map(|content| content.valid_to());
            }
            let standing = Standing::new(state, card.denial, card.chip);
            tx.update_card(card, standing).await?;
        }
    }
    if matches!(order.state(), OrderState::HandedOver { .. }) {
        is_used(tx, &order, by).await?;
    }
    if let Some(permit) = order.moves(on_file::permit(tx, order.permit()).await?)? {
        let permit = tx.update_permit(permit).await?;
        let (role, actor) = by;
        appended = tx
            .append(Entry {
                role,
                actor,
                action: &format!("permit {}", permit.state().name()),
                subject: &permit.id().to_string(),
                detail: "{}",
            })
            .await?;
    }
    Ok((order, appended))
}
