//! Changes of a card in use, as far as no reader is needed: proposed, decided, signed off, given up. Decree 663 articles 10
//! and 11; card specification, chapter 09.
//!
//! Each call is durable when it returns, and repeating it goes on where it stopped. Left out: writing a card that lies on a
//! reader (crate `issuer-production`), fees.

use issuer_store::{Appended, Card, Snapshot, StoredCardChange, Transaction};
use jiff::civil::Date;
use permit_domain::{
    Actor as _, AllocatedCard, Applicant, Approver, CardChange, ChangeClerk, ChangeId, ChangeKind,
    ChangeState, Permit, PermitId, Producer, Tier,
};
use photo_store_protocol as photo;

use crate::card_content::{CardContent, Rewritten};
use crate::error::{ContentError, OfficeError};
use crate::frozen_change::FrozenChange;
use crate::office::Office;
use crate::on_file;

/// What a change is made up from.
#[derive(Debug, Clone)]
pub enum Proposal {
    /// A later last day, by the facts on file or by newer ones.
    Endorse(Option<Applicant>),
    /// Another tier, by the facts on file or by newer ones.
    Tier(Tier, Option<Applicant>),
    /// What the rule set in force grants the same tier today.
    Entitlement(Option<Applicant>),
    /// Another residence; the receipt is of the photo for the new face.
    Address(Box<Applicant>, photo::ReceiptNumber),
    /// Every record under the present key versions.
    Rotate,
    /// The chip is blocked.
    Block,
    /// A blocked chip answers again.
    Unblock,
    /// Every key on the chip is erased.
    End,
}

impl Proposal {
    /// The kind of change.
    #[must_use]
    pub const fn kind(&self) -> ChangeKind {
        match self {
            Self::Endorse(_) => ChangeKind::Endorse,
            Self::Tier(..) => ChangeKind::Tier,
            Self::Entitlement(_) => ChangeKind::Entitlement,
            Self::Address(..) => ChangeKind::Address,
            Self::Rotate => ChangeKind::Rotate,
            Self::Block => ChangeKind::Block,
            Self::Unblock => ChangeKind::Unblock,
            Self::End => ChangeKind::End,
        }
    }
}

/// The parts of a card that a change of this kind writes; `None` for one that only changes the card's state.
#[must_use]
pub const fn rewritten(kind: ChangeKind) -> Option<Rewritten> {
    match kind {
        ChangeKind::Endorse | ChangeKind::Tier | ChangeKind::Entitlement => Some(Rewritten::Grant),
        ChangeKind::Address => Some(Rewritten::Person),
        ChangeKind::Rotate => Some(Rewritten::Records),
        ChangeKind::Load => Some(Rewritten::Purse),
        ChangeKind::Block | ChangeKind::Unblock | ChangeKind::End => None,
    }
}

impl Office {
    /// Proposes a change of a permit's card: decides it where a decision stands behind it, and freezes what the card is to
    /// hold. Repeating it with the same id answers the same.
    ///
    /// # Errors
    /// [`OfficeError::NotEligible`] with the explanation; [`permit_domain::Error::NotThisChange`],
    /// [`permit_domain::Error::TooEarly`], [`OfficeError::OtherPerson`], [`OfficeError::OtherOffice`],
    /// [`permit_domain::Refusal::ChangeOpen`].
    pub async fn propose(
        &self,
        id: ChangeId,
        permit: PermitId,
        proposal: Proposal,
        clerk: ChangeClerk,
    ) -> Result<StoredCardChange, OfficeError> {
        let kind = proposal.kind();
        let mut ledger = self.read().await?;
        if let Some(known) = same_change(&mut ledger, id, permit, kind, &clerk).await? {
            return Ok(known);
        }
        let permit = on_file::permit(&mut ledger, permit).await?;
        let card = match kind {
            // What is blocked, unblocked or ended may be a card that its holder has not.
            ChangeKind::Block | ChangeKind::Unblock | ChangeKind::End => {
                on_file::last_card(&mut ledger, permit.id()).await?
            }
            _ => on_file::card_in_use(&mut ledger, permit.id()).await?,
        };
        drop(ledger);
        self.propose_for(id, &permit, &card, proposal, clerk).await
    }

    /// As [`Office::propose`], for the card of a permit that is named.
    ///
    /// # Errors
    /// As [`Office::propose`].
    pub async fn propose_for(
        &self,
        id: ChangeId,
        permit: &Permit,
        card: &Card,
        proposal: Proposal,
        clerk: ChangeClerk,
    ) -> Result<StoredCardChange, OfficeError> {
        let kind = proposal.kind();
        let today = self.clock().today();
        let (facts, _) = self.facts_of(permit).await?;
        let (applicant, decision) = match &proposal {
            Proposal::Endorse(newer) => {
                let (applicant, newer) = same_residence(&facts, newer.as_ref())?;
                let set = self.set_in_force(&applicant, today)?;
                let grant = permit.grant();
                let decision = set.decide_endorsement(
                    &applicant,
                    grant.tier,
                    grant.valid_to,
                    today,
                    self.rules().calendar(),
                )?;
                (newer, Some(decision))
            }
            Proposal::Tier(tier, newer) => {
                let (mut applicant, newer) = same_residence(&facts, newer.as_ref())?;
                applicant.requested_tier = Some(*tier);
                let set = self.set_in_force(&applicant, today)?;
                (
                    newer,
                    Some(set.decide(&applicant, today, self.rules().calendar())?),
                )
            }
            Proposal::Entitlement(newer) => {
                let (mut applicant, newer) = same_residence(&facts, newer.as_ref())?;
                applicant.requested_tier = Some(permit.grant().tier);
                let set = self.set_in_force(&applicant, today)?;
                (
                    newer,
                    Some(set.decide(&applicant, today, self.rules().calendar())?),
                )
            }
            Proposal::Address(moved, _) => {
                if !same_person(&facts, moved) {
                    return Err(OfficeError::OtherPerson);
                }
                let (here, there) = (&facts.residence.division, &moved.residence.division);
                if here.as_str().get(..4) != there.as_str().get(..4) {
                    return Err(OfficeError::OtherOffice);
                }
                (Some(moved.as_ref().clone()), None)
            }
            _ => (None, None),
        };
        let after = match (&proposal, &decision) {
            (_, Some(decision)) => {
                if decision.tier.is_none() {
                    return Err(OfficeError::NotEligible(Box::new(decision.clone())));
                }
                kind.check(permit.grant(), decision, today)?;
                let granted = permit.clone().regranted(decision, today)?;
                let cap = self.purse_cap(&facts, granted.grant().tier, today);
                let now = self.content_of(card).await?;
                Some(now.regranted(granted.grant(), decision, cap, self.random())?)
            }
            (Proposal::Address(moved, receipt), None) => {
                Some(self.moved(id, permit, card, moved, *receipt, &clerk).await?)
            }
            _ => None,
        };
        let allocated = AllocatedCard {
            number: card.number.clone(),
            serial: card.serial,
        };
        let content = FrozenChange::to_content(after.as_ref())?;
        let change = CardChange::new(id, permit.id(), allocated, kind, clerk, content);
        let new = StoredCardChange {
            change,
            applicant,
            decision,
            load: None,
            permit_version: permit.version(),
            granted: None,
        };
        let mut tx = self.begin().await?;
        // The same request may have come a moment before: then its outcome is the answer to this one too.
        let (permit, clerk) = (new.change.permit(), new.change.clerk());
        if let Some(known) = same_change(&mut tx, id, permit, kind, clerk).await? {
            return Ok(known);
        }
        let appended = enter(&mut tx, &new).await?;
        tx.commit(appended).await?;
        Ok(new)
    }

    async fn moved(
        &self,
        id: ChangeId,
        permit: &Permit,
        card: &Card,
        moved: &Applicant,
        receipt: photo::ReceiptNumber,
        clerk: &ChangeClerk,
    ) -> Result<CardContent, OfficeError> {
        let division = &moved.residence.division;
        let organ = self
            .rules()
            .get(&permit.grant().rule_set)?
            .organ(division)
            .ok_or_else(|| ContentError::NoOrgan {
                division: division.clone(),
            })?;
        let now = self.content_of(card).await?;
        let producer = Producer::new(clerk.staff().clone());
        let (frozen, print) = self
            .take_photo_for(&id.to_string(), permit, &producer, receipt)
            .await?;
        let after = now.moved(moved, organ, frozen, self.random())?;
        // Drawn once before anybody signs it off: a missing glyph is found here.
        self.try_print(&after, print).await?;
        Ok(after)
    }

    /// The second person signs a change off. Repeating it answers the same.
    ///
    /// # Errors
    /// [`permit_domain::Error::SamePersonTwice`], [`issuer_store::Error::Stale`] for a change that was overtaken.
    pub async fn approve_change(
        &self,
        id: ChangeId,
        approver: Approver,
    ) -> Result<StoredCardChange, OfficeError> {
        let mut tx = self.begin().await?;
        let stored = on_file::change(&mut tx, id).await?;
        if stored.change.approver() == Some(&approver) {
            return Ok(stored);
        }
        let (stored, appended) = sign_off(&mut tx, stored, approver, self.clock().today()).await?;
        tx.commit(appended).await?;
        Ok(stored)
    }

    /// Gives a change up that was neither sealed nor written.
    ///
    /// # Errors
    /// [`permit_domain::Error::WrongState`].
    pub async fn give_up_change(
        &self,
        id: ChangeId,
        by: &ChangeClerk,
    ) -> Result<StoredCardChange, OfficeError> {
        let mut tx = self.begin().await?;
        let stored = on_file::change(&mut tx, id).await?;
        if matches!(stored.change.state(), ChangeState::GivenUp) {
            return Ok(stored);
        }
        // The grant stands once it was signed off: the next change writes it with its own.
        let change = stored.change.clone().give_up()?;
        let by = (ChangeClerk::ROLE, by.staff().as_str());
        let (change, appended) = advance(&mut tx, change, by).await?;
        tx.commit(appended).await?;
        Ok(StoredCardChange { change, ..stored })
    }

    /// Stores a change after [`CardChange::begin_writing`] or [`CardChange::done`] at a counter. A block, an unblocking or an end
    /// that is done moves the card along.
    ///
    /// # Errors
    /// [`issuer_store::Error::Stale`] if the row changed since it was read; outages.
    pub async fn advance_change(&self, change: CardChange, by: &Producer) -> Result<CardChange, OfficeError> {
        let mut tx = self.begin().await?;
        let by = (Producer::ROLE, by.staff().as_str());
        let (change, appended) = advance(&mut tx, change, by).await?;
        tx.commit(appended).await?;
        Ok(change)
    }
}

/// The change that the id stands for, if it is this very one: an id that was used with another permit, kind or clerk is
/// refused.
async fn same_change(
    ledger: &mut Snapshot,
    id: ChangeId,
    permit: PermitId,
    kind: ChangeKind,
    clerk: &ChangeClerk,
) -> Result<Option<StoredCardChange>, OfficeError> {
    let known = ledger.change(id).await?;
    let same = known.as_ref().is_none_or(|known| {
        known.change.permit() == permit && known.change.kind() == kind && known.change.clerk() == clerk
    });
    if same {
        Ok(known)
    } else {
        Err(OfficeError::IdTaken)
    }
}

/// Refuses a second change of a kind while the first one is not on its way.
pub(crate) async fn only_one_open(tx: &mut Transaction, change: &CardChange) -> Result<(), OfficeError> {
    match tx.open_change(&change.card().number, change.kind()).await? {
        Some(change) => Err(permit_domain::Refusal::ChangeOpen { change }.into()),
        None => Ok(()),
    }
}

/// Enters a new change that is no load, if the permit still stands as the change was made up on.
pub(crate) async fn enter(tx: &mut Transaction, new: &StoredCardChange) -> Result<Appended, OfficeError> {
    let change = &new.change;
    let permit = on_file::permit(tx, change.permit()).await?;
    if permit.version() != new.permit_version {
        return Err(issuer_store::Error::Stale { what: "permit" }.into());
    }
    let card = on_file::card_of(tx, change).await?;
    change.kind().may_change(card.standing())?;
    only_one_open(tx, change).await?;
    Ok(tx.insert_change(new).await?)
}

/// Enters the second person's word. What grants something moves the permit along: tier, rule set, last day and state of the
/// decision.
pub(crate) async fn sign_off(
    tx: &mut Transaction,
    stored: StoredCardChange,
    approver: Approver,
    on: Date,
) -> Result<(StoredCardChange, Appended), OfficeError> {
    let by = approver.staff().clone();
    let change = stored.change.approve(approver)?;
    let card = on_file::card_of(tx, &change).await?;
    change.kind().may_change(card.standing())?;
    let mut granted = None;
    if change.kind().is_granted() || change.kind() == ChangeKind::Address {
        let permit = on_file::permit(tx, change.permit()).await?;
        if permit.version() != stored.permit_version {
            return Err(issuer_store::Error::Stale { what: "permit" }.into());
        }
        let permit = match &stored.decision {
            Some(decision) => permit.regranted(decision, on)?,
            None => permit,
        };
        granted = Some(tx.update_permit(permit).await?.version());
    }
    let by = (Approver::ROLE, by.as_str());
    let (change, appended) = tx.update_change(change, granted, by).await?;
    let stored = StoredCardChange {
        change,
        granted,
        ..stored
    };
    Ok((stored, appended))
}

/// Stores a change after a transition, with its card.
pub(crate) async fn advance(
    tx: &mut Transaction,
    change: CardChange,
    by: (&str, &str),
) -> Result<(CardChange, Appended), OfficeError> {
    let card = on_file::card_of(tx, &change).await?;
    let (change, appended) = tx.update_change(change, None, by).await?;
    if let Some(standing) = change.moves(card.standing())? {
        tx.update_card(card, standing).await?;
    }
    Ok((change, appended))
}

/// Whether two applicant files speak of one person, by every fact that stands on the face but the residence.
fn same_person(a: &Applicant, b: &Applicant) -> bool {
    a.citizen_number == b.citizen_number
        && a.name == b.name
        && a.sex == b.sex
        && a.nation == b.nation
        && a.birth_date == b.birth_date
        && a.hukou_address == b.hukou_address
}

/// The newer facts of the same person at the same residence, or those on file.
fn same_residence(
    facts: &Applicant,
    newer: Option<&Applicant>,
) -> Result<(Applicant, Option<Applicant>), OfficeError> {
    match newer {
        None => Ok((facts.clone(), None)),
        Some(newer) if !same_person(facts, newer) => Err(OfficeError::OtherPerson),
        Some(newer)
            if newer.residence.address != facts.residence.address
                || newer.residence.division != facts.residence.division =>
        {
            Err(OfficeError::Moved)
        }
        Some(newer) => Ok((newer.clone(), Some(newer.clone()))),
    }
}
