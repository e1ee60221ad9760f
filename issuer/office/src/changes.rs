//! Changes of a card in use, as far as no reader is needed: proposed, decided, signed off, given up. Decree 663 articles 10
//! and 11; card specification, chapter 09.
//!
//! A decision moves the permit's last day when it is signed off, and the card's when the card did: a decision of which
//! nothing came onto a card is taken back with its change, when that is given up or expires. Each call is durable when it
//! returns, and repeating it goes on where it stopped. Left out: writing a card that lies on a reader (crate
//! `issuer-production`), fees.

use issuer_store::{Appended, Card, Snapshot, StoredCardChange, Transaction};
use jiff::civil::Date;
use permit_domain::{
    Actor as _, AllocatedCard, Applicant, Approver, CardChange, CardNumber, CardStage, ChangeClerk, ChangeId,
    ChangeKind, ChangeState, Digest, Permit, PermitId, Producer, Tier, Way,
};
use photo_store_protocol as photo;

use crate::card_content::{CardContent, Rewritten};
use crate::error::{ContentError, OfficeError};
use crate::frozen_change::FrozenChange;
use crate::office::Office;
use crate::on_file;
use crate::photo::comes_onto_a_card;
use crate::proposal::content_to_sign;

/// Who acts where nobody does: what is due by the day alone, or was wanted before. Role and name in the ledger.
pub(crate) const THE_PROGRAM: (&str, &str) = ("program", "issuer");

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

/// What writing a change at the counter does to its card now.
#[derive(Debug, PartialEq, Eq)]
pub struct ToWrite {
    /// What the card is to hold behind it, over every change that was signed off.
    pub content: CardContent,
    /// The parts that are written; `None` for a change of the card's state alone.
    pub what: Option<Rewritten>,
    /// Other changes that the card holds behind it.
    covers: Vec<ChangeId>,
}

impl ToWrite {
    /// The last day that the card shows behind it, where it writes one.
    fn until(&self) -> Option<Date> {
        self.what
            .is_some_and(Rewritten::has_permit)
            .then(|| self.content.valid_to())
    }
}

/// The parts of a card that a change of this kind writes; `None` for one that only changes the card's state.
#[must_use]
pub(crate) const fn rewritten(kind: ChangeKind) -> Option<Rewritten> {
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
        if let Some(known) = same_change(&mut ledger, id, permit, &proposal, &clerk).await? {
            return Ok(known);
        }
        drop(ledger);
        // Yesterday's paper does not stand in today's way.
        self.expire_changes_of(permit).await?;
        let mut ledger = self.read().await?;
        let permit = on_file::permit(&mut ledger, permit).await?;
        // What is blocked, unblocked or ended may be a card that its holder has not. A decision may stand for a permit
        // whose card went out of use: the next card is made with it.
        let card = if kind.is_of_the_chip() || kind.is_granted() {
            on_file::last_card(&mut ledger, permit.id()).await?
        } else {
            on_file::card_in_use(&mut ledger, permit.id()).await?
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
        let (grant, calendar) = (permit.grant(), self.rules().calendar());
        let mut holds_until = None;
        let (applicant, decision) = match &proposal {
            Proposal::Endorse(newer) => {
                let (applicant, newer) = same_residence(&facts, newer.as_ref())?;
                let set = self.set_in_force(&applicant, today)?;
                let endorsement = set.decide_endorsement(&applicant, grant, today, calendar)?;
                holds_until = Some(endorsement.holds_until);
                (newer, Some(endorsement.decision))
            }
            Proposal::Tier(tier, newer) => {
                let (applicant, newer) = same_residence(&facts, newer.as_ref())?;
                let set = self.set_in_force(&applicant, today)?;
                let decision = set.decide_change(&applicant, *tier, grant, today, calendar)?;
                (newer, Some(decision))
            }
            Proposal::Entitlement(newer) => {
                let (applicant, newer) = same_residence(&facts, newer.as_ref())?;
                let set = self.set_in_force(&applicant, today)?;
                let decision = set.decide_change(&applicant, grant.tier, grant, today, calendar)?;
                (newer, Some(decision))
            }
            Proposal::Address(moved, _) => {
                check_move(&facts, moved)?;
                (Some(moved.as_ref().clone()), None)
            }
            Proposal::Rotate => {
                // Records of a permit that is over are not written.
                grant.check_in_force(today)?;
                (None, None)
            }
            Proposal::Block | Proposal::Unblock | Proposal::End => (None, None),
        };
        let allocated = AllocatedCard {
            number: card.number.clone(),
            serial: card.serial,
        };
        // Asked again when it is entered; before that, nothing outside is touched for what the ledger refuses.
        let stands = (permit.id(), permit.version());
        may_be_entered(&mut self.read().await?, stands, &allocated, kind).await?;
        let is_in_use = card.state == CardStage::HandedOver;
        if is_in_use && rewritten(kind).is_some() {
            self.content_of(card).await?.check_certificates(today)?;
        }
        let after = match (&proposal, &decision) {
            (_, Some(decision)) => {
                if decision.tier.is_none() {
                    return Err(OfficeError::NotEligible(Box::new(decision.clone())));
                }
                kind.check(grant, decision)?;
                let granted = permit.clone().regranted(decision, today)?;
                let mut ledger = self.read().await?;
                let now = on_file::content_of(&mut ledger, card).await?;
                let state_counter = on_file::next_state_counter(&mut ledger, permit.id()).await?;
                let cap = self.purse_cap(&facts, granted.grant().tier, today);
                let after = now.regranted(granted.grant(), decision, cap, state_counter, self.random());
                if is_in_use {
                    Some(after?)
                } else {
                    // The next card holds it, whatever this one can: but this one may come back before there is another.
                    after.ok()
                }
            }
            (Proposal::Address(moved, receipt), None) => {
                Some(self.moved(id, permit, card, moved, *receipt, &clerk).await?)
            }
            _ => None,
        };
        let content = FrozenChange::to_content(after.as_ref())?;
        let mut change = CardChange::new(id, permit.id(), allocated, kind, clerk, content);
        if let Some(day) = holds_until {
            change = change.holding_until(day);
        }
        let new = StoredCardChange {
            change,
            applicant,
            decision,
            load: None,
            permit_version: permit.version(),
            granted: None,
            sealing_since: None,
        };
        let mut tx = self.begin().await?;
        // The same request may have come a moment before: then its outcome is the answer to this one too.
        let application = permit.grant().application;
        let (permit, clerk) = (new.change.permit(), new.change.clerk());
        if let Some(known) = same_change(&mut tx, id, permit, &proposal, clerk).await? {
            return Ok(known);
        }
        if let (ChangeKind::Address, Some(after)) = (kind, &after) {
            comes_onto_a_card(&mut tx, application, after.photo()).await?;
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
        // All that can be known without the photo is looked at before its receipt is used up.
        self.can_be_printed(moved, organ, self.clock().today()).await?;
        self.try_print(|stand_in| now.moved(moved, organ, stand_in, self.random()))
            .await?;
        let person = permit.grant().person;
        let (frozen, _) = self
            .take_photo(&id.to_string(), person, clerk.staff(), receipt)
            .await?;
        Ok(now.moved(moved, organ, frozen, self.random())?)
    }

    /// The second person signs a change off, by the digest of what was read ([`Office::proposal`]). Repeating it answers the
    /// same.
    ///
    /// # Errors
    /// [`OfficeError::OtherContent`] when that is not what stands there; [`permit_domain::Error::SamePersonTwice`], [`issuer_store::Error::Stale`] for a change that was overtaken,
    /// [`permit_domain::Error::ChangeExpired`] for one whose time is over.
    pub async fn approve_change(
        &self,
        id: ChangeId,
        approver: Approver,
        content: Digest,
    ) -> Result<StoredCardChange, OfficeError> {
        self.change_in_time(id).await?;
        let mut tx = self.begin().await?;
        let stored = on_file::change(&mut tx, id).await?;
        if content_to_sign(&stored)? != content {
            return Err(OfficeError::OtherContent);
        }
        if stored.change.approver() == Some(&approver) {
            return Ok(stored);
        }
        let (stored, appended) = sign_off(&mut tx, stored, approver, self.clock().today()).await?;
        tx.commit(appended).await?;
        Ok(stored)
    }

    /// Gives a change up of which nothing was sealed or written, or whose card went out of use. What it decided is taken back, and
    /// a photo's case that it opened is closed. Repeating it answers the same.
    ///
    /// # Errors
    /// [`permit_domain::Error::WrongState`], also while a counter writes it along with another one; the photo store's, when it is
    /// given up and its case is not closed.
    pub async fn give_up_change(
        &self,
        id: ChangeId,
        by: &ChangeClerk,
    ) -> Result<StoredCardChange, OfficeError> {
        let mut tx = self.begin().await?;
        let stored = on_file::change(&mut tx, id).await?;
        if matches!(stored.change.state(), ChangeState::GivenUp) {
            drop(tx);
            self.close_case_of(&stored.change, by).await?;
            return Ok(stored);
        }
        let card = on_file::card_of(&mut tx, &stored.change).await?;
        let change = stored.change.clone().give_up(card.state)?;
        if is_being_written_along(&mut tx, &stored.change, &card).await? {
            return Err(permit_domain::Error::WrongState {
                thing: "card",
                state: "BEING_WRITTEN",
                wanted: "giving up what is written with it",
            }
            .into());
        }
        let actor = (ChangeClerk::ROLE, by.staff().as_str());
        let (change, appended) = advance(&mut tx, change, actor).await?;
        take_back(&mut tx, &stored).await?;
        tx.commit(appended).await?;
        self.close_case_of(&change, by).await?;
        Ok(StoredCardChange { change, ..stored })
    }

    /// Nobody reads the photo for a change of address that was given up.
    async fn close_case_of(&self, change: &CardChange, by: &ChangeClerk) -> Result<(), OfficeError> {
        if change.kind() == ChangeKind::Address {
            self.close_photo_case(&change.id().to_string(), by.staff())
                .await?;
        }
        Ok(())
    }

    /// A change. It expires now if its time is over, and so does every other one of its permit: none is written along with
    /// it.
    ///
    /// # Errors
    /// [`permit_domain::Error::ChangeExpired`].
    pub async fn change_in_time(&self, id: ChangeId) -> Result<StoredCardChange, OfficeError> {
        let stored = self.change(id).await?;
        self.expire_changes_of(stored.change.permit()).await?;
        match stored.change.holds_until() {
            Some(until) if stored.change.is_overdue(self.clock().today()) => {
                Err(permit_domain::Error::ChangeExpired { until }.into())
            }
            _ => self.change(id).await,
        }
    }

    /// Expires every change whose time is over: endorsements that nobody wrote within their window. Which ones.
    ///
    /// # Errors
    /// The ledger's; what expired before stays so.
    pub async fn expire_changes(&self) -> Result<Vec<ChangeId>, OfficeError> {
        let overdue = self.read().await?.overdue_changes(self.clock().today()).await?;
        let mut expired = Vec::new();
        for id in overdue {
            if self.expire(id).await? {
                expired.push(id);
            }
        }
        Ok(expired)
    }

    /// As [`Office::expire_changes`], of one permit.
    pub(crate) async fn expire_changes_of(&self, permit: PermitId) -> Result<(), OfficeError> {
        let today = self.clock().today();
        let changes = self.read().await?.changes_of_permit(permit).await?;
        for stored in changes {
            if stored.change.is_overdue(today) {
                self.expire(stored.change.id()).await?;
            }
        }
        Ok(())
    }

    /// Expires a change, if it is still overdue.
    async fn expire(&self, id: ChangeId) -> Result<bool, OfficeError> {
        let today = self.clock().today();
        let mut tx = self.begin().await?;
        let stored = on_file::change(&mut tx, id).await?;
        if !stored.change.is_overdue(today) {
            return Ok(false);
        }
        let card = on_file::card_of(&mut tx, &stored.change).await?;
        if is_being_written_along(&mut tx, &stored.change, &card).await? {
            return Ok(false);
        }
        let change = stored.change.clone().expire(today)?;
        let (_, appended) = advance(&mut tx, change, THE_PROGRAM).await?;
        take_back(&mut tx, &stored).await?;
        tx.commit(appended).await?;
        Ok(true)
    }

    /// What writing a change at the counter does to its card now. A change that writes records brings the permit's last
    /// day along where that was decided and is not on the card, so that all of a card shows one last day.
    ///
    /// # Errors
    /// [`permit_domain::Error::WrongState`] for a card that is not to be changed like that, unless a counter began it;
    /// [`permit_domain::Error::SamePersonTwice`] for who signed it off, or something that is written with it;
    /// [`OfficeError::NotFound`], [`ContentError::Unreadable`].
    pub async fn to_write(&self, change: &CardChange, by: &Producer) -> Result<ToWrite, OfficeError> {
        to_write(&mut self.read().await?, change, by).await
    }

    /// Stores that a counter begins a change. What it is going to write is looked up again, now that nobody else writes.
    ///
    /// # Errors
    /// [`permit_domain::Error::ChangeExpired`]; those of [`Office::to_write`]; [`issuer_store::Error::Stale`] if the change
    /// went on since it was read, or the card is to hold something else by now; outages.
    pub async fn begin_change(
        &self,
        change: &CardChange,
        expected: &ToWrite,
        by: &Producer,
    ) -> Result<CardChange, OfficeError> {
        let today = self.clock().today();
        let mut tx = self.begin().await?;
        let now = on_file::change(&mut tx, change.id()).await?.change;
        if now != *change || to_write(&mut tx, &now, by).await? != *expected {
            return Err(issuer_store::Error::Stale { what: "change" }.into());
        }
        let by = (Producer::ROLE, by.staff().as_str());
        let (change, appended) = advance(&mut tx, now.begin_writing(today)?, by).await?;
        tx.commit(appended).await?;
        Ok(change)
    }

    /// Stores that a counter wrote a change: a block, an unblocking or an end moves the card along, what was `written` moves
    /// the card's last day, and what came onto the card with it is done too. `None`: the card had it by a later one.
    ///
    /// # Errors
    /// [`issuer_store::Error::Stale`] if the row changed since it was read; outages.
    pub async fn finish_change(
        &self,
        change: CardChange,
        by: &Producer,
        written: Option<&ToWrite>,
    ) -> Result<CardChange, OfficeError> {
        let today = self.clock().today();
        let mut tx = self.begin().await?;
        let by = (Producer::ROLE, by.staff().as_str());
        for other in written.iter().flat_map(|written| &written.covers) {
            let other = on_file::change(&mut tx, *other).await?.change;
            if !other.state().is_over() {
                let _first = advance(&mut tx, other.covered(today)?, by).await?;
            }
        }
        let (change, appended) = advance(&mut tx, change.done(Way::Counter, today)?, by).await?;
        if let Some(until) = written.and_then(ToWrite::until) {
            let card = on_file::card_of(&mut tx, &change).await?;
            shows(&mut tx, card, until).await?;
        }
        tx.commit(appended).await?;
        Ok(change)
    }

    /// The counter looked at the card after the vault refused to go on: nothing of the change is on it.
    ///
    /// # Errors
    /// [`issuer_store::Error::Stale`] if the row changed since it was read; outages.
    pub async fn put_change_back(
        &self,
        change: CardChange,
        by: &Producer,
    ) -> Result<CardChange, OfficeError> {
        let mut tx = self.begin().await?;
        let is_sealed = tx.updates_left(change.id()).await? > 0;
        let by = (Producer::ROLE, by.staff().as_str());
        let (change, appended) = advance(&mut tx, change.not_written(is_sealed)?, by).await?;
        tx.commit(appended).await?;
        Ok(change)
    }
}

/// As [`Office::to_write`].
async fn to_write(ledger: &mut Snapshot, change: &CardChange, by: &Producer) -> Result<ToWrite, OfficeError> {
    let card = on_file::card_of(ledger, change).await?;
    // What a counter began is finished wherever the card went meanwhile: the chip may have it.
    if !matches!(change.state(), ChangeState::Writing) {
        change.kind().may_be_done(card.standing())?;
    }
    change.may_write(by)?;
    let changes = ledger.changes_of_card(&card.number).await?;
    let what = match rewritten(change.kind()) {
        Some(Rewritten::Records | Rewritten::Purse) if changes.iter().any(waits) => Some(Rewritten::Grant),
        what => what,
    };
    let mut covers = Vec::new();
    for other in changes.iter().map(|stored| &stored.change) {
        let is_on_its_way = !matches!(other.state(), ChangeState::Proposed) && !other.state().is_over();
        let is_within = match what {
            Some(Rewritten::Grant) => is_written_with_a_grant(other.kind()),
            Some(Rewritten::Records) => other.kind() == ChangeKind::Rotate,
            _ => false,
        };
        if other.id() != change.id() && is_on_its_way && is_within {
            other.may_write(by)?;
            covers.push(other.id());
        }
    }
    Ok(ToWrite {
        content: on_file::content_of(ledger, &card).await?,
        what,
        covers,
    })
}

/// Whether a change of this kind comes onto the card with any decision that is written.
const fn is_written_with_a_grant(kind: ChangeKind) -> bool {
    kind.is_granted() || matches!(kind, ChangeKind::Rotate)
}

/// Whether a counter may be writing a change along with another one of its card just now: nobody takes it back then.
async fn is_being_written_along(
    ledger: &mut Snapshot,
    change: &CardChange,
    card: &Card,
) -> Result<bool, OfficeError> {
    if !is_written_with_a_grant(change.kind()) || !card.state.may_come_back() {
        return Ok(false);
    }
    let changes = ledger.changes_of_card(&card.number).await?;
    Ok(changes.iter().map(|stored| &stored.change).any(|other| {
        other.id() != change.id()
            && matches!(other.state(), ChangeState::Writing)
            && rewritten(other.kind()).is_some()
    }))
}

/// Whether a decision was signed off and is not on its card.
pub(crate) fn waits(stored: &StoredCardChange) -> bool {
    stored.change.kind().is_granted() && on_file::holds(stored) && !stored.change.state().is_over()
}

/// Enters the last day that a card shows now.
pub(crate) async fn shows(tx: &mut Transaction, card: Card, until: Date) -> Result<(), OfficeError> {
    if card.until != Some(until) {
        let standing = card.standing();
        let until = Some(until);
        tx.update_card(Card { until, ..card }, standing).await?;
    }
    Ok(())
}

/// A card comes back to its holder: what was left to the next card is written onto this one after all, the newest of each
/// kind.
pub(crate) async fn for_its_own_card(
    tx: &mut Transaction,
    card: &Card,
    by: (&str, &str),
) -> Result<(), OfficeError> {
    let mut changes = tx.changes_of_card(&card.number).await?;
    changes.retain(|stored| stored.change.is_left_to_the_next_card());
    changes.sort_by_key(|stored| stored.granted);
    let mut seen = Vec::new();
    for stored in changes.into_iter().rev() {
        let change = stored.change;
        if seen.contains(&change.kind()) {
            continue;
        }
        seen.push(change.kind());
        if FrozenChange::from_content(change.content())?.is_none() {
            // This card cannot hold it.
            return Err(ContentError::RoleTaken.into());
        }
        only_one_open(tx, &card.number, change.kind()).await?;
        let _first = tx.update_change(change.for_its_own_card()?, None, by).await?;
    }
    Ok(())
}

/// Takes back what a change decided that is over without having come onto its card: the decision before it holds again. A
/// later one that was signed off stays as it was signed.
async fn take_back(tx: &mut Transaction, stored: &StoredCardChange) -> Result<(), OfficeError> {
    if stored.granted.is_some() && stored.change.kind().is_granted() {
        let permit = on_file::permit(tx, stored.change.permit()).await?;
        let (_, decision) = on_file::facts_of(tx, &permit).await?;
        tx.update_permit(permit.decided_as_before(&decision)?).await?;
    }
    Ok(())
}

/// The change that the id stands for, if it is this very one: an id that was used with another permit, kind, clerk, tier,
/// applicant file or photo receipt is refused.
async fn same_change(
    ledger: &mut Snapshot,
    id: ChangeId,
    permit: PermitId,
    proposal: &Proposal,
    clerk: &ChangeClerk,
) -> Result<Option<StoredCardChange>, OfficeError> {
    let Some(known) = ledger.change(id).await? else {
        return Ok(None);
    };
    let change = &known.change;
    let (tier, newer, receipt) = match proposal {
        Proposal::Endorse(newer) | Proposal::Entitlement(newer) => (None, newer.as_ref(), None),
        Proposal::Tier(tier, newer) => (Some(*tier), newer.as_ref(), None),
        Proposal::Address(moved, receipt) => (None, Some(moved.as_ref()), Some(*receipt)),
        Proposal::Rotate | Proposal::Block | Proposal::Unblock | Proposal::End => (None, None, None),
    };
    let decided = known.decision.as_ref().and_then(|decision| decision.tier);
    let came_by = match receipt {
        Some(receipt) => {
            FrozenChange::from_content(change.content())?.is_some_and(|after| after.photo().came_by(receipt))
        }
        None => true,
    };
    let same = change.permit() == permit
        && change.kind() == proposal.kind()
        && change.clerk() == clerk
        && known.applicant.as_ref() == newer
        && (tier.is_none() || tier == decided)
        && came_by;
    if same {
        Ok(Some(known))
    } else {
        Err(OfficeError::IdTaken)
    }
}

/// Refuses a second change of a kind while the first one is not on its way.
pub(crate) async fn only_one_open(
    ledger: &mut Snapshot,
    card: &CardNumber,
    kind: ChangeKind,
) -> Result<(), OfficeError> {
    match ledger.open_change(card, kind).await? {
        Some(change) => Err(permit_domain::Refusal::ChangeOpen { change }.into()),
        None => Ok(()),
    }
}

/// Whether a change may be entered: its permit stands as it was made up on, its card may be changed like that, and none of
/// its kind is open.
async fn may_be_entered(
    ledger: &mut Snapshot,
    (permit, version): (PermitId, i64),
    card: &AllocatedCard,
    kind: ChangeKind,
) -> Result<(), OfficeError> {
    if on_file::permit(ledger, permit).await?.version() != version {
        return Err(issuer_store::Error::Stale { what: "permit" }.into());
    }
    let card = on_file::very_card(ledger, permit, card).await?;
    kind.may_change(card.standing())?;
    only_one_open(ledger, &card.number, kind).await
}

/// Enters a new change that is no load, if the permit still stands as the change was made up on.
pub(crate) async fn enter(tx: &mut Transaction, new: &StoredCardChange) -> Result<Appended, OfficeError> {
    let change = &new.change;
    let stands = (change.permit(), new.permit_version);
    may_be_entered(tx, stands, change.card(), change.kind()).await?;
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
    let mut change = stored.change.approve(approver, on)?;
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
    if change.kind().is_granted() && card.state != CardStage::HandedOver {
        change = change.done(Way::NextCard, on)?;
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

/// A move is that of the same person, within the city whose office this is.
fn check_move(facts: &Applicant, moved: &Applicant) -> Result<(), OfficeError> {
    if !same_person(facts, moved) {
        return Err(OfficeError::OtherPerson);
    }
    let (here, there) = (&facts.residence.division, &moved.residence.division);
    if here.as_str().get(..4) != there.as_str().get(..4) {
        return Err(OfficeError::OtherOffice);
    }
    Ok(())
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
