//! Runs an order as a resumable sequence: allocate, encode, draw and print, verify, hand over. Each step is
//! durable in the ledger before the next begins.
//!
//! An order found `ENCODING` or `HANDING_OVER` is in doubt: its card is presented again and the same step resumes, with the
//! same number. Whatever stops a step (reader gone, card pulled, vault sealed, process killed), running the order again
//! finishes it. Before anything is written the card's serial is compared with the order's, so a swapped card is noticed
//! untouched. Left out: the printer (faces are files), rejecting a card (the office), and courier lots.

use issuer_office::card_content::CardContent;
use permit_domain::{Actor as _, HandOverClerk, Maker, Order, OrderId, OrderState, StaffId, Step};
use program_contract::Clock;

use crate::error::ProductionError;
use crate::hand_over::HolderChecked;
use crate::production::Production;
use crate::station::Station;

/// One step that was tried, for whoever watches.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// `ALLOCATE`, `ENCODE`, `DRAW`, `VERIFY` or `HAND_OVER`.
    pub name: &'static str,
    /// Account of the person, or name of the service, that did it.
    pub actor: String,
    /// Whether it is done.
    pub ok: bool,
    /// How long it took, milliseconds.
    pub ms: f64,
}

/// Receives a report after each step.
pub type Observer<'a> = &'a mut (dyn FnMut(&StepReport) + Send);

impl Production {
    /// Runs an order up to the verified card, or on from wherever it stands. Nothing is done for an order that is
    /// verified or further.
    ///
    /// # Errors
    /// Every [`ProductionError`]; the ledger says where the order stands, and calling again goes on.
    pub async fn run(
        &self,
        id: OrderId,
        station: &mut Station,
        by: &Maker,
        observe: Observer<'_>,
    ) -> Result<Order, ProductionError> {
        loop {
            let order = self.order(id).await?;
            match order.state().next_step() {
                Some(Step::HandOver) | None => return Ok(order),
                Some(_) => self.step(order, station, by, observe).await?,
            };
        }
    }

    /// Does (or resumes) the next step of an order that is not yet verified.
    ///
    /// # Errors
    /// As [`Production::run`].
    pub async fn step(
        &self,
        order: Order,
        station: &mut Station,
        by: &Maker,
        observe: Observer<'_>,
    ) -> Result<Order, ProductionError> {
        let Some(step) = order.state().next_step().filter(|step| *step != Step::HandOver) else {
            return Ok(order);
        };
        self.office.may_make(&order, by).await?;
        // Nothing is drawn or written before both signatures are held against it; what was begun goes on.
        if matches!(order.state(), OrderState::Ordered | OrderState::Allocated { .. }) {
            self.office.may_write(&order).await?;
        }
        let actor = by.name().to_string();
        let clock = self.clock().clone();
        let done = async {
            match step {
                Step::Allocate => self.allocate(order, station, by).await,
                Step::Encode => self.encode(order, station, by).await,
                Step::Draw => self.draw(order, by).await,
                Step::Verify | Step::HandOver => self.verify(order, station, by).await,
            }
        };
        reported(step, actor, &clock, done, observe).await
    }

    /// Hands the order's card over: the card's serial opens the case, the clerk has checked the person, the card is
    /// activated. Resumes a hand-over that stopped.
    ///
    /// # Errors
    /// As [`Production::run`]; one person as producer and clerk.
    pub async fn hand_over(
        &self,
        id: OrderId,
        station: &mut Station,
        clerk: HandOverClerk,
        holder: HolderChecked,
        observe: Observer<'_>,
    ) -> Result<Order, ProductionError> {
        let order = self.order(id).await?;
        let who = clerk.staff().clone();
        let order = if matches!(order.state(), OrderState::HandedOver { .. }) {
            order
        } else {
            let actor = clerk.staff().to_string();
            let clock = self.clock().clone();
            let done = self.activate(order, station, clerk, holder);
            reported(Step::HandOver, actor, &clock, done, observe).await?
        };
        self.close_case(&order, &who).await;
        Ok(order)
    }

    /// Nobody reads the photo for this case any more. The card is in its holder's hand whatever becomes of this: handing
    /// over again tries again.
    async fn close_case(&self, order: &Order, by: &StaffId) {
        let closed = async {
            let content = CardContent::from_content(order.content())?;
            self.office
                .close_photo_case(content.photo().case(), by)
                .await
                .map_err(ProductionError::Photo)
        };
        if let Err(error) = closed.await {
            tracing::warn!(order = %order.id(), code = error.code(), "the photo's case stays open");
        }
    }

    /// The order of the card on the reader, wherever it stands: the card's serial opens the case. `None`: a blank, or a card that no
    /// order made.
    ///
    /// # Errors
    /// The reader's, the vault's or the ledger's.
    pub async fn order_of_card(&self, station: &mut Station) -> Result<Option<OrderId>, ProductionError> {
        let serial = match station.blank().await? {
            Some(serial) => serial,
            // Any order tells a region that the counter reads.
            None => match self.office.newest_order().await? {
                Some(any) => {
                    let content = CardContent::from_content(any.content())?;
                    station.look(&self.counter(&content).await?).await?.serial()
                }
                None => return Ok(None),
            },
        };
        let card = self.office.card_of_chip(serial).await?;
        Ok(card.map(|card| card.order))
    }

    /// The running order that the card on the reader belongs to: the one that it was allocated to, or for a fresh blank
    /// the oldest order without a card. `None`: no running order wants this card.
    ///
    /// # Errors
    /// [`ProductionError::NotBlank`] where an order waits for a blank and this card is none of ours; the reader's, the vault's
    /// or the ledger's.
    pub async fn order_for(&self, station: &mut Station) -> Result<Option<Order>, ProductionError> {
        let running = self.office.running_orders().await?;
        let Some(any) = running.first() else {
            return Ok(None);
        };
        let blank = station.blank().await?;
        let serial = if let Some(serial) = blank {
            serial
        } else {
            let content = CardContent::from_content(any.content())?;
            station.look(&self.counter(&content).await?).await?.serial()
        };
        let its_own = running
            .iter()
            .find(|order| order.state().card().is_some_and(|card| card.serial == serial));
        if let Some(order) = its_own {
            return Ok(Some(order.clone()));
        }
        let waits = running
            .into_iter()
            .find(|order| matches!(order.state(), OrderState::Ordered));
        match (waits, blank) {
            (Some(_), None) => Err(ProductionError::NotBlank),
            (waits, _) => Ok(waits),
        }
    }
}

async fn reported(
    step: Step,
    actor: String,
    clock: &Clock,
    work: impl Future<Output = Result<Order, ProductionError>>,
    observe: Observer<'_>,
) -> Result<Order, ProductionError> {
    let began = clock.now();
    let done = work.await;
    let ms = clock.now().duration_since(began).as_millis_f64();
    match &done {
        Ok(order) => tracing::info!(order = %order.id(), step = step.name(), ms, "step done"),
        Err(error) => tracing::warn!(step = step.name(), code = error.code(), ms, "step stopped"),
    }
    observe(&StepReport {
        name: step.name(),
        actor,
        ok: done.is_ok(),
        ms,
    });
    done
}
