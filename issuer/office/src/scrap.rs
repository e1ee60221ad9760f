//! Blanks and cards that are destroyed: set aside by one person with a reason, destroyed before a second one. Design, screen S15.
//!
//! A card that is being made is rejected first: its order is given up, its number is spent, and nobody can hand it over. A card in its
//! holder's hand, and one that is lost, is destroyed by nobody. Left out: what happens to the permit (ordering, loss).

use issuer_store::{Appended, BlankState, Card, Entry, Snapshot, Transaction};
use jiff::ToSpan as _;
use jiff::civil::Date;
use permit_domain::{
    Actor, CardSerial, CardStage, EndOfCard, HandOverClerk, Order, OrderId, OrderState, Refusal, Scrap,
    ScrapReason, ScrapState, StaffId,
};
use program_contract::day;

use crate::collection::LAST_TERM;
use crate::error::OfficeError;
use crate::loss;
use crate::office::Office;
use crate::on_file;
use crate::ordering;
use crate::staff::StaffRole;

/// Who sets a blank or a card aside.
pub const SETS_ASIDE: &[StaffRole] = &[
    StaffRole::Producer,
    StaffRole::HandOverClerk,
    StaffRole::ChangeClerk,
];
/// Who sees it destroyed, as the second person.
pub const WITNESSES: &[StaffRole] = &[StaffRole::Producer, StaffRole::HandOverClerk, StaffRole::Approver];

/// The role of the second person in the ledger.
const WITNESS: &str = "witness";
/// The most that a list shows: what waits longest.
const SHOWN: u32 = 100;

/// What is set aside.
#[derive(Debug, Clone)]
pub struct SetAside {
    /// Chip, reason, and by whom.
    pub scrap: Scrap,
    /// The card that it became; `None`: it is a blank.
    pub card: Option<Card>,
}

impl Office {
    /// Sets a blank, or a card that is out of use and at hand, aside. The same person's same word again changes nothing.
    ///
    /// # Errors
    /// [`permit_domain::Error::WrongState`] for a card that its holder has, that is lost, or that is being made;
    /// [`Refusal::BlankNotInStock`]; [`issuer_store::Error::Exists`] for one that is set aside.
    pub async fn set_aside<A: Actor>(
        &self,
        serial: CardSerial,
        reason: ScrapReason,
        by: &A,
    ) -> Result<Scrap, OfficeError> {
        let mut tx = self.begin().await?;
        if let Some(known) = tx.scrap(serial).await?
            && *known.state() == ScrapState::Open
            && known.proposer() == by.staff()
            && known.reason() == reason
        {
            return Ok(known);
        }
        match tx.card_by_serial(serial).await? {
            // The domain's word on whether it can be destroyed at all.
            Some(card) => drop(card.standing().destroyed()?),
            None => is_there(&mut tx, serial).await?,
        }
        let (scrap, appended) = enter(&mut tx, serial, reason, by).await?;
        tx.commit(appended).await?;
        Ok(scrap)
    }

    /// What was set aside was destroyed before this second person. A card is DESTROYED, and the vault is told that it never comes back.
    /// Repeating it answers the same.
    ///
    /// # Errors
    /// [`permit_domain::Error::SamePersonTwice`]; [`permit_domain::Error::WrongState`], unless it is set aside;
    /// [`OfficeError::NotFound`]; [`OfficeError::Denial`].
    pub async fn destroyed_before(
        &self,
        serial: CardSerial,
        witness: &StaffId,
    ) -> Result<Scrap, OfficeError> {
        let mut tx = self.begin().await?;
        let scrap = on_file::scrap(&mut tx, serial).await?;
        let card = tx.card_by_serial(serial).await?;
        let is_same = matches!(scrap.state(), ScrapState::Done { witness: known } if known == witness);
        let (scrap, card) = if is_same {
            drop(tx);
            (scrap, card)
        } else {
            let by = (WITNESS, witness.as_str());
            let scrap = scrap.witnessed(witness.clone())?;
            let (scrap, mut appended) = tx.update_scrap(scrap, by).await?;
            let mut ended = None;
            if let Some(card) = card {
                let standing = card.standing().destroyed()?.out_of_use();
                let (card, last) = loss::enter(&mut tx, card, standing, by).await?;
                (ended, appended) = (Some(card), last);
            }
            tx.commit(appended).await?;
            (scrap, ended)
        };
        if let Some(card) = card {
            self.confirm_denial(card).await?;
        }
        Ok(scrap)
    }

    /// What was set aside by mistake goes back to where it was.
    ///
    /// # Errors
    /// [`permit_domain::Error::WrongState`], unless it is set aside; [`OfficeError::NotFound`].
    pub async fn put_back<A: Actor>(&self, serial: CardSerial, by: &A) -> Result<Scrap, OfficeError> {
        let mut tx = self.begin().await?;
        let scrap = on_file::scrap(&mut tx, serial).await?.take_back()?;
        let by = (A::ROLE, by.staff().as_str());
        let (scrap, appended) = tx.update_scrap(scrap, by).await?;
        tx.commit(appended).await?;
        Ok(scrap)
    }

    /// Rejects the card that an order makes: the order is given up, the permit may be ordered again, and the card is set aside. An order
    /// without a card is just given up.
    ///
    /// # Errors
    /// [`permit_domain::Error::WrongState`] once hand-over began; [`OfficeError::WaitsForHolder`] for a card that nobody fetched, before
    /// its last term.
    pub async fn reject<A: Actor>(
        &self,
        id: OrderId,
        reason: ScrapReason,
        by: &A,
    ) -> Result<Order, OfficeError> {
        let mut tx = self.begin().await?;
        let order = on_file::order(&mut tx, id).await?;
        if matches!(order.state(), OrderState::GivenUp { .. }) {
            return Ok(order);
        }
        if reason == ScrapReason::NotCollected {
            may_be_taken_back(&mut tx, &order, self.clock().today()).await?;
        }
        let actor = (A::ROLE, by.staff().as_str());
        let detail = format!(r#"{{"reason":"{reason}"}}"#);
        let (order, mut appended) = ordering::advance(&mut tx, order.give_up()?, actor, &detail).await?;
        if let Some(card) = order.state().card() {
            (_, appended) = enter(&mut tx, card.serial, reason, by).await?;
        }
        tx.commit(appended).await?;
        Ok(order)
    }

    /// The card that an order's card takes the place of, where it is not destroyed, nor set aside.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn old_card(&self, order: &Order) -> Result<Option<Card>, OfficeError> {
        old_card(&mut self.read().await?, order).await
    }

    /// At the hand-over of a new card: the old one was given back, and is set aside to be destroyed; or it was not, which the ledger
    /// keeps. Said again it changes nothing.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`]; the ledger's.
    pub async fn old_card_was_given_back(
        &self,
        id: OrderId,
        given_back: bool,
        by: &HandOverClerk,
    ) -> Result<(), OfficeError> {
        let mut tx = self.begin().await?;
        let order = on_file::order(&mut tx, id).await?;
        let Some(card) = old_card(&mut tx, &order).await? else {
            return Ok(());
        };
        let actor = (HandOverClerk::ROLE, by.staff().as_str());
        if !given_back {
            let appended = tx
                .append(Entry {
                    role: HandOverClerk::ROLE,
                    actor: by.staff().as_str(),
                    action: "old card NOT_GIVEN_BACK",
                    subject: card.number.as_str(),
                    detail: "{}",
                })
                .await?;
            return Ok(tx.commit(appended).await?);
        }
        let serial = card.serial;
        if card.state == CardStage::Ended(EndOfCard::Lost) {
            // It was found after all.
            let standing = card.standing().end(EndOfCard::Returned)?;
            let (_, _first) = loss::enter(&mut tx, card, standing, actor).await?;
        }
        let (_, appended) = enter(&mut tx, serial, ScrapReason::Replaced, by).await?;
        Ok(tx.commit(appended).await?)
    }

    /// What is set aside and not destroyed, that which waits longest first.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn all_set_aside(&self) -> Result<Vec<SetAside>, OfficeError> {
        let mut ledger = self.read().await?;
        let mut found = Vec::new();
        for scrap in ledger.open_scraps(SHOWN).await? {
            let card = ledger.card_by_serial(scrap.serial()).await?;
            found.push(SetAside { scrap, card });
        }
        Ok(found)
    }

    /// What became of a chip that was set aside; `None` for one that never was.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn scrap_of(&self, serial: CardSerial) -> Result<Option<Scrap>, OfficeError> {
        Ok(self.read().await?.scrap(serial).await?)
    }
}

/// Enters that a chip is set aside, for the first time or again.
async fn enter<A: Actor>(
    tx: &mut Transaction,
    serial: CardSerial,
    reason: ScrapReason,
    by: &A,
) -> Result<(Scrap, Appended), OfficeError> {
    let staff = by.staff().clone();
    if let Some(known) = tx.scrap(serial).await? {
        let scrap = known.again(reason, staff.clone())?;
        return Ok(tx.update_scrap(scrap, (A::ROLE, staff.as_str())).await?);
    }
    let scrap = Scrap::new(serial, reason, staff);
    let appended = tx.insert_scrap(&scrap, A::ROLE).await?;
    Ok((scrap, appended))
}

/// As [`Office::old_card`].
async fn old_card(ledger: &mut Snapshot, order: &Order) -> Result<Option<Card>, OfficeError> {
    let cards = ledger.cards_of_permit(order.permit()).await?;
    let old = cards
        .into_iter()
        .rfind(|card| card.order != order.id() && matches!(card.state, CardStage::Ended(_)));
    let Some(card) = old else {
        return Ok(None);
    };
    let scrap = ledger.scrap(card.serial).await?;
    let is_set_aside = scrap.is_some_and(|scrap| *scrap.state() != ScrapState::TakenBack);
    Ok((!is_set_aside).then_some(card))
}

/// Refuses a chip that is no blank of the stock any more, or never was.
async fn is_there(tx: &mut Transaction, serial: CardSerial) -> Result<(), OfficeError> {
    let state = match tx.blank(serial).await? {
        Some(BlankState::InStock | BlankState::Recalled) => return Ok(()),
        Some(BlankState::Allocated) => "ALLOCATED",
        Some(BlankState::Scrapped) => "SCRAPPED",
        None => "UNKNOWN",
    };
    Err(Refusal::BlankNotInStock { serial, state }.into())
}

/// Refuses to take a card back from its holder's shelf before its last term.
async fn may_be_taken_back(tx: &mut Transaction, order: &Order, today: Date) -> Result<(), OfficeError> {
    let Some(since) = on_file::verified_at(tx, order.id()).await? else {
        return Err(permit_domain::Error::WrongState {
            thing: "production order",
            state: order.state().name(),
            wanted: "taking it back as not fetched",
        }
        .into());
    };
    let until = day::of(since)
        .checked_add(i64::from(LAST_TERM).days())
        .map_err(|_| permit_domain::Error::OutOfCalendar)?;
    if today < until {
        return Err(OfficeError::WaitsForHolder { until });
    }
    Ok(())
}
