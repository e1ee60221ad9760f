//! Changes of a card in use, as far as no reader is needed: proposed, decided, signed off, given up. Decree 663 articles 10
//! and 11; card specification, chapter 09.
//!
//! Each call is durable when it returns, and repeating it goes on where it stopped. Left out: writing a card that lies on a
//! reader (crate `issuer-production`), fees.

use issuer_store::{Card, StoredChange};
use permit_domain::{
    Actor as _, AllocatedCard, Applicant, Approver, Change, ChangeClerk, ChangeId, ChangeKind, ChangeState,
    Permit, PermitId, Producer, Tier,
};
use photo_store_protocol as photo;

use crate::card_content::{CardContent, Rewritten};
use crate::error::{ContentError, OfficeError};
use crate::frozen_change::FrozenChange;
use crate::office::Office;

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
    /// [`issuer_store::Error::ChangeOpen`].
    pub async fn propose(
        &self,
        id: ChangeId,
        permit: PermitId,
        proposal: Proposal,
        clerk: ChangeClerk,
    ) -> Result<StoredChange, OfficeError> {
        let kind = proposal.kind();
        if let Some(known) = self.store().change(id).await? {
            let same = known.change.permit() == permit
                && known.change.kind() == kind
                && *known.change.clerk() == clerk;
            return if same {
                Ok(known)
            } else {
                Err(OfficeError::IdTaken)
            };
        }
        let permit = self.permit(permit).await?;
        let card = match kind {
            // What is blocked, unblocked or ended may be a card that its holder has not.
            ChangeKind::Block | ChangeKind::Unblock | ChangeKind::End => self.last_card(permit.id()).await?,
            _ => self.card_in_use(permit.id()).await?,
        };
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
    ) -> Result<StoredChange, OfficeError> {
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
        let change = Change::new(id, permit.id(), allocated, kind, clerk, content);
        Ok(self
            .store()
            .propose_change(
                &change,
                permit,
                applicant.as_ref(),
                decision.as_ref(),
                self.clock().now(),
            )
            .await?)
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
    ) -> Result<StoredChange, OfficeError> {
        let stored = self.change(id).await?;
        if stored.change.approver() == Some(&approver) {
            return Ok(stored);
        }
        let outcome = self
            .store()
            .approve_change(stored, approver.clone(), self.clock().today(), self.clock().now())
            .await;
        match outcome {
            // The same request may have come a moment before.
            Err(issuer_store::Error::Stale { .. }) => {
                let now = self.change(id).await?;
                if now.change.approver() == Some(&approver) {
                    Ok(now)
                } else {
                    Err(issuer_store::Error::Stale { what: "change" }.into())
                }
            }
            outcome => Ok(outcome?),
        }
    }

    /// Gives a change up that was neither sealed nor written.
    ///
    /// # Errors
    /// [`permit_domain::Error::WrongState`].
    pub async fn give_up_change(&self, id: ChangeId, by: &ChangeClerk) -> Result<StoredChange, OfficeError> {
        let stored = self.change(id).await?;
        if matches!(stored.change.state(), ChangeState::GivenUp) {
            return Ok(stored);
        }
        // The grant stands once it was signed off: the next change writes it with its own.
        let change = stored.change.clone().give_up()?;
        let actor = (ChangeClerk::ROLE, by.staff().as_str());
        let change = self
            .store()
            .advance_change(change, actor, self.clock().now())
            .await?;
        Ok(StoredChange { change, ..stored })
    }
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
