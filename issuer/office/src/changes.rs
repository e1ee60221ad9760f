//! Cards in use, as far as no reader is needed: propose and sign off a change, book a load, queue sealed updates, take
//! receipts, report a loss. Decree 663 articles 10, 11 and 19; card specification, chapters 09 and 11.
//!
//! Each call is durable when it returns, and repeating it goes on where it stopped. What the vault has to do (a deny list,
//! a sealed update) is wanted in the ledger first and confirmed after it; in between the ledger says so. Left out: writing
//! a card that lies on a reader (crate `issuer-production`), fees.

use card_applet_spec::update_files::Receipts;
use issuer_store::{Card, LoadOutcome, StoredChange};
use jiff::ToSpan as _;
use jiff::civil::Date;
use keyvault_protocol as vault;
use permit_domain::{
    Actor as _, AllocatedCard, Applicant, Approver, CardNumber, CardState, Change, ChangeClerk, ChangeId,
    ChangeKind, ChangeState, Content, Decision, Denial, EndOfCard, Permit, PermitId, Producer, StaffId,
    Standing, Tier,
};
use permit_rules::RuleSet;
use photo_store_protocol as photo;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::card_content::{CardContent, ContentError, Rewritten};
use crate::connection::Stream;
use crate::error::OfficeError;
use crate::office::Office;

/// Version of a change's frozen form.
const VERSION: u8 = 1;

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

/// The frozen content of a change: what the card holds after it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Frozen {
    version: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<CardContent>,
}

impl Frozen {
    fn to_content(after: Option<&CardContent>) -> Result<Content, ContentError> {
        let frozen = Self {
            version: VERSION,
            after: after.cloned(),
        };
        serde_json::to_vec(&frozen)
            .map(Content::freeze)
            .map_err(|_| ContentError::Unreadable)
    }
}

/// What became of the receipts of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReceiptsTaken {
    /// Receipts that proved a change.
    pub proved: u64,
    /// Receipts that were known before, or whose change was.
    pub known: u64,
    /// Receipts of updates that the vault never gave out.
    pub unknown: u64,
    /// Receipts that no card made.
    pub forged: u64,
    /// Changes that are done by them.
    pub changes_done: Vec<String>,
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

/// The id of a load by the key that its clerk names, such as the number of the till's receipt: the same key for the same
/// permit is the same load. UUID version 8 (RFC 9562, section 5.8).
#[must_use]
pub fn load_id(permit: PermitId, key: &str) -> ChangeId {
    ChangeId::from_bytes(uuid8(&[b"YZT-LOAD-KEY-1", permit.as_bytes(), key.as_bytes()]))
}

/// A UUID version 8 of a hash.
#[must_use]
pub fn uuid8(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    let mut number = [0; 16];
    number.copy_from_slice(&hash.finalize()[..16]);
    number[6] = (number[6] & 0x0f) | 0x80;
    number[8] = (number[8] & 0x3f) | 0x80;
    number
}

impl Office {
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
            let frozen: Frozen = serde_json::from_slice(stored.change.content().bytes())
                .map_err(|_| ContentError::Unreadable)?;
            if frozen.version != VERSION {
                return Err(ContentError::Unreadable.into());
            }
            return Ok(frozen.after.ok_or(ContentError::Unreadable)?);
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

    pub(crate) fn purse_cap(&self, applicant: &Applicant, tier: Tier, on: Date) -> Option<u32> {
        self.rules()
            .purse_in_force(&applicant.residence.division, on)
            .and_then(|rules| rules.limits(tier))
            .map(|limits| limits.cap)
    }

    fn set_in_force(&self, applicant: &Applicant, today: Date) -> Result<&RuleSet, OfficeError> {
        self.rules()
            .in_force(&applicant.residence.division, today)
            .ok_or(OfficeError::NoRuleSet)
    }

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
        let content = Frozen::to_content(after.as_ref())?;
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

    async fn last_card(&self, permit: PermitId) -> Result<Card, OfficeError> {
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

    /// Decides a load onto a permit's card by the purse rules in force and books it. The same key is the same load.
    ///
    /// # Errors
    /// [`OfficeError::NoCard`], [`ContentError::NoPurseRules`], [`issuer_store::Error::ChangeOpen`] while an earlier load is
    /// not on its way, [`OfficeError::IdTaken`] for the key of another load.
    pub async fn load(
        &self,
        permit: PermitId,
        amount: u32,
        key: &str,
        clerk: ChangeClerk,
    ) -> Result<LoadOutcome, OfficeError> {
        let id = load_id(permit, key);
        let permit = self.permit(permit).await?;
        // A load that is repeated belongs to the card that it was booked for.
        let card = match self.store().change(id).await? {
            Some(known) => self.card(&known.change.card().number).await?,
            None => self.card_in_use(permit.id()).await?,
        };
        let (facts, _) = self.facts_of(&permit).await?;
        let division = &facts.residence.division;
        let rules = self
            .rules()
            .purse_in_force(division, self.clock().today())
            .ok_or_else(|| ContentError::NoPurseRules {
                division: division.clone(),
            })?;
        let allocated = AllocatedCard {
            number: card.number,
            serial: card.serial,
        };
        let content = Frozen::to_content(None)?;
        let change = Change::new(id, permit.id(), allocated, ChangeKind::Load, clerk, content);
        let booked = self
            .store()
            .book_load(&change, amount, rules, self.clock().now())
            .await;
        match booked {
            Err(issuer_store::Error::Exists { .. }) => Err(OfficeError::IdTaken),
            booked => Ok(booked?),
        }
    }

    /// The tasks that deliver a change by terminals.
    pub async fn update_tasks(&self, stored: &StoredChange) -> Result<Vec<vault::UpdateTask>, OfficeError> {
        let card = self.card(&stored.change.card().number).await?;
        let Some(what) = rewritten(stored.change.kind()) else {
            return Ok(vec![vault::UpdateTask::Block]);
        };
        if let Some(load) = &stored.load {
            return Ok(vec![vault::UpdateTask::Load { loaded: load.loaded }]);
        }
        let mut content = self.content_of(&card).await?.rewrite(what, None, None)?;
        // A new record brings a new pseudonym in its role: what still waits under the old one stays behind until the next
        // batch. So the roles that deliver nothing come first, and small payment, whose terminals are online, last.
        content
            .entitlements
            .sort_by_key(|entitlement| match entitlement.role {
                vault::Role::Clinic | vault::Role::SocialInsurance => 0,
                vault::Role::SmallPayment => 2,
                _ => 1,
            });
        let permit_block = content.dg3.map(|dg3| vault::UpdateTask::PermitBlock { dg3 });
        let records = content
            .entitlements
            .into_iter()
            .map(vault::UpdateTask::Entitlement);
        Ok(permit_block.into_iter().chain(records).collect())
    }

    /// Hands cards' receipts to the vault and finishes the changes that they prove. The same file again changes nothing.
    ///
    /// # Errors
    /// [`OfficeError::ReceiptsForm`] for a file that is none; the vault's.
    pub async fn take_receipts(&self, file: &[u8], by: &StaffId) -> Result<ReceiptsTaken, OfficeError> {
        let receipts: Vec<vault::Receipt> = Receipts::parse(file)
            .map_err(|_| OfficeError::ReceiptsForm)?
            .iter()
            .map(|one| vault::Receipt {
                update: one.update,
                receipt: one.receipt,
            })
            .collect();
        let mut client = self.vault_client().await?;
        let mut report = ReceiptsTaken::default();
        let mut done = Vec::new();
        for part in receipts.chunks(vault::MAX_RECEIPTS) {
            for outcome in client.accept_receipts(part.to_vec()).await? {
                match outcome {
                    vault::ReceiptOutcome::Done { change, .. } => {
                        report.proved += 1;
                        done.push(change);
                    }
                    // The vault may have known it before the ledger did.
                    vault::ReceiptOutcome::AlreadyKnown { change, .. } => {
                        report.known += 1;
                        done.push(change);
                    }
                    vault::ReceiptOutcome::UnknownUpdate => report.unknown += 1,
                    vault::ReceiptOutcome::Forged => report.forged += 1,
                }
            }
        }
        // In the order of their numbers: the ledger does not keep in which order receipts lay in a file.
        done.sort_unstable();
        done.dedup();
        let finished = self
            .store()
            .updates_done(&done, by, self.clock().today(), self.clock().now())
            .await?;
        report.changes_done = finished.iter().map(ToString::to_string).collect();
        Ok(report)
    }

    /// A card goes out of use: the ledger first, then the deny lists. Called again it finishes what the vault did not.
    ///
    /// # Errors
    /// [`permit_domain::Error::WrongState`]; [`OfficeError::Denial`] when the ledger has it and the vault does not.
    pub async fn end_card(
        &self,
        number: &CardNumber,
        how: EndOfCard,
        by: &ChangeClerk,
    ) -> Result<Card, OfficeError> {
        let card = self.card(number).await?;
        let card = if card.state == CardState::Ended(how) {
            card
        } else {
            let standing = card.standing().end(how)?;
            self.stand(card, standing, (ChangeClerk::ROLE, by.staff()))
                .await?
        };
        self.confirm_denial(card).await
    }

    /// A lost card was brought back. It stays denied: two people allow it again, or it is destroyed.
    ///
    /// # Errors
    /// [`permit_domain::Error::WrongState`] for a card that was not lost; [`OfficeError::Denial`].
    pub async fn found(&self, number: &CardNumber, by: &ChangeClerk) -> Result<Card, OfficeError> {
        let card = self.card(number).await?;
        if !matches!(
            card.state,
            CardState::Ended(EndOfCard::Lost | EndOfCard::Returned)
        ) {
            return Err(wrong(card.state.name(), "bringing it back as found"));
        }
        self.end_card(number, EndOfCard::Returned, by).await
    }

    /// Two people allow a card again that was brought back.
    ///
    /// # Errors
    /// [`permit_domain::Error::SamePersonTwice`]; [`permit_domain::Error::WrongState`] when it was not brought back, when its
    /// permit has or gets another card, or when a block is on its way that nobody can call back; [`OfficeError::Denial`].
    pub async fn allow_again(
        &self,
        number: &CardNumber,
        by: &ChangeClerk,
        approver: &Approver,
    ) -> Result<Card, OfficeError> {
        if by.staff() == approver.staff() {
            return Err(permit_domain::Error::SamePersonTwice {
                first: ChangeClerk::ROLE,
                second: Approver::ROLE,
            }
            .into());
        }
        let card = self.card(number).await?;
        if card.state == CardState::HandedOver && card.denial == Denial::Lifting {
            return self.confirm_denial(card).await;
        }
        let permit = self.permit(card.permit).await?;
        if !matches!(permit.state(), permit_domain::PermitState::Active { .. }) {
            return Err(wrong(permit.state().name(), "allowing an old card again"));
        }
        let changes = self.store().changes_of_card(number).await?;
        if changes
            .iter()
            .any(|stored| stored.change.kind() == ChangeKind::Block && !stored.change.state().is_over())
        {
            return Err(wrong("BEING_BLOCKED", "allowing it again"));
        }
        let standing = card.standing().allow_again()?;
        let card = self
            .stand(card, standing, (Approver::ROLE, approver.staff()))
            .await?;
        self.confirm_denial(card).await
    }

    /// The card was cut up.
    ///
    /// # Errors
    /// [`permit_domain::Error::WrongState`] for a card that is not at hand.
    pub async fn destroy(&self, number: &CardNumber, by: &ChangeClerk) -> Result<Card, OfficeError> {
        let card = self.card(number).await?;
        if card.state == CardState::Destroyed {
            return Ok(card);
        }
        let standing = card.standing().destroyed()?;
        self.stand(card, standing, (ChangeClerk::ROLE, by.staff())).await
    }

    /// Frees the permit for another card: one that is in use is REPLACED, one that is out of use stays as it ended.
    ///
    /// # Errors
    /// [`permit_domain::Error::WrongState`]; [`OfficeError::Denial`].
    pub async fn replace(&self, number: &CardNumber, by: &ChangeClerk) -> Result<Card, OfficeError> {
        let card = self.card(number).await?;
        let permit = self.permit(card.permit).await?;
        let waits = matches!(permit.state(), permit_domain::PermitState::Approved);
        let card = if waits && matches!(card.state, CardState::Ended(_)) {
            card
        } else {
            let standing = match card.state {
                CardState::HandedOver => card.standing().end(EndOfCard::Replaced)?,
                CardState::Ended(_) => card.standing(),
                state => return Err(wrong(state.name(), "replacing it")),
            };
            let actor = (ChangeClerk::ROLE, by.staff().as_str());
            self.store()
                .replace_card(card, standing, actor, self.clock().now())
                .await?
        };
        self.confirm_denial(card).await
    }

    /// The balance of a card that was replaced, for the holder's new card: refused, and why. The office cannot know what a
    /// card spent that does not lie before it: settlement knows chains and no cards, and debits may come for
    /// [`permit_rules::PurseRules::wait_days`] after the card's end.
    ///
    /// # Errors
    /// Always: [`OfficeError::BalanceUnknown`], with the day from which no debits of registered terminals are due any more.
    pub async fn transfer_balance(&self, number: &CardNumber) -> Result<(), OfficeError> {
        let card = self.card(number).await?;
        let permit = self.permit(card.permit).await?;
        let (facts, _) = self.facts_of(&permit).await?;
        let today = self.clock().today();
        let days = self
            .rules()
            .purse_in_force(&facts.residence.division, today)
            .map_or(0, permit_rules::PurseRules::wait_days);
        let from = today.checked_add(i64::from(days).days()).unwrap_or(today);
        Err(OfficeError::BalanceUnknown { days, from })
    }

    /// Does what the ledger wants of the deny lists and the vault has not confirmed: of cards, and of chains that settlement
    /// found copied. How many.
    ///
    /// # Errors
    /// The vault's first; all that it confirmed stays so, and one card that it refuses keeps no other from its list.
    pub async fn confirm_denials(&self) -> Result<u64, OfficeError> {
        let mut done = 0;
        let mut refused = None;
        for card in self.store().unconfirmed_denials().await? {
            match self.confirm_denial(card).await {
                Ok(_) => done += 1,
                Err(error) => {
                    refused.get_or_insert(error);
                }
            }
        }
        done += self.deny_copied().await?;
        refused.map_or(Ok(done), Err)
    }

    /// Names copied cards to the vault, which alone knows them.
    pub(crate) async fn deny_copied(&self) -> Result<u64, OfficeError> {
        let chains = self.store().undenied().await?;
        if chains.is_empty() {
            return Ok(0);
        }
        let mut client = self.vault_client().await.map_err(OfficeError::Denial)?;
        let mut done = 0;
        for chain in chains {
            client
                .deny_chain(*chain.as_bytes())
                .await
                .map_err(OfficeError::Denial)?;
            self.store().denied(chain).await?;
            done += 1;
        }
        Ok(done)
    }

    async fn stand(&self, card: Card, standing: Standing, by: (&str, &StaffId)) -> Result<Card, OfficeError> {
        let actor = (by.0, by.1.as_str());
        Ok(self
            .store()
            .save_standing(card, standing, actor, self.clock().now())
            .await?)
    }

    async fn confirm_denial(&self, card: Card) -> Result<Card, OfficeError> {
        let wanted = match card.denial {
            Denial::Wanted => true,
            Denial::Lifting => false,
            Denial::No | Denial::Yes => return Ok(card),
        };
        let confirmed = async {
            let mut client = self.vault_client().await?;
            let serial = *card.serial.as_bytes();
            if wanted {
                client.deny_card(serial).await
            } else {
                client.allow_card(serial).await
            }
        };
        confirmed.await.map_err(OfficeError::Denial)?;
        let standing = card.standing().denial_confirmed()?;
        let actor = ("programme", "issuer");
        Ok(self
            .store()
            .save_standing(card, standing, actor, self.clock().now())
            .await?)
    }

    /// A connection to the vault.
    ///
    /// # Errors
    /// The vault is away, or speaks another version.
    pub async fn vault_client(&self) -> Result<vault::Client<Stream>, vault::Error> {
        let stream = self
            .vault()
            .connect()
            .await
            .map_err(|_| vault::Error::NotRunning)?;
        vault::Client::connect(stream).await
    }
}

fn wrong(state: &'static str, wanted: &'static str) -> OfficeError {
    permit_domain::Error::WrongState {
        thing: "card",
        state,
        wanted,
    }
    .into()
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
