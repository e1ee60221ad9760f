//! The order to change a card that its holder has: endorse, another tier, new entitlements, another address, key rotation,
//! load, block, unblock, end. Card specification, chapters 05 and 09; Decree 663 articles 10 and 11.
//!
//! A change is written at the counter (door I) or delivered by terminals (a sealed update), whichever comes first. What
//! takes something from the holder's counter clerk alone is done by one person; what grants rights, or gives a blocked
//! card back, needs a second one. A change found `WRITING` is in doubt: its card is presented and the same step resumes.
//!
//! Every state that is not over has a way out besides being done: what nobody wrote is given up, an endorsement expires
//! with its window, what a counter began goes back once the card shows that it has nothing of it, and whatever is open for
//! a card that went out of use is given up with it. Left out: how a step is done (crate `issuer-production`).

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;

use crate::card::{CardStage, Chip, Standing};
use crate::decision::Decision;
use crate::error::Error;
use crate::identifiers::{ChangeId, PermitId};
use crate::order::{AllocatedCard, Content};
use crate::people::{Actor, Approver, ChangeClerk, apart};
use crate::permit::Grant;

/// What is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// Article 10: a later last day.
    Endorse,
    /// Another tier.
    Tier,
    /// Other services, zones or roles under the same tier.
    Entitlement,
    /// Another residence address: DG1, the portrait's salt and a new face.
    Address,
    /// Every record anew under the present key versions.
    Rotate,
    /// Money onto the purse.
    Load,
    /// The chip is blocked.
    Block,
    /// A blocked chip answers again.
    Unblock,
    /// Every key on the chip is erased.
    End,
}

impl ChangeKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Endorse,
        Self::Tier,
        Self::Entitlement,
        Self::Address,
        Self::Rotate,
        Self::Load,
        Self::Block,
        Self::Unblock,
        Self::End,
    ];

    /// The name in the ledger.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Endorse => "ENDORSE",
            Self::Tier => "TIER",
            Self::Entitlement => "ENTITLEMENT",
            Self::Address => "ADDRESS",
            Self::Rotate => "ROTATE",
            Self::Load => "LOAD",
            Self::Block => "BLOCK",
            Self::Unblock => "UNBLOCK",
            Self::End => "END",
        }
    }

    /// Whether a second person signs it off.
    #[must_use]
    pub const fn needs_approval(self) -> bool {
        match self {
            Self::Endorse | Self::Tier | Self::Entitlement | Self::Address | Self::Unblock | Self::End => {
                true
            }
            // Rotation changes no right; a load follows the money; a block is urgent and takes nothing away for good.
            Self::Rotate | Self::Load | Self::Block => false,
        }
    }

    /// Whether a card in this standing may be changed like that.
    ///
    /// # Errors
    /// [`Error::WrongState`]: what writes records needs a card in its holder's hand, a load one that is neither denied nor
    /// blocked; a decision may also stand for a card that went out of use, for the next one will hold it; the others need
    /// what their transition of the standing needs.
    pub fn may_change(self, standing: Standing) -> Result<(), Error> {
        let refused = |state, wanted| {
            Err(Error::WrongState {
                thing: "card",
                state,
                wanted,
            })
        };
        match self {
            Self::Block => standing.blocked().map(drop),
            Self::Unblock => standing.unblocked().map(drop),
            Self::End => standing.terminated().map(drop),
            kind if kind.is_granted() && matches!(standing.state(), CardStage::Ended(_)) => Ok(()),
            _ if standing.state() != CardStage::HandedOver => refused(standing.state().name(), "a change"),
            Self::Load if standing != Standing::IN_USE => refused("DENIED_OR_BLOCKED", "a load"),
            _ => Ok(()),
        }
    }

    /// Whether a card in this standing is written like that now, or an update is sealed for it: as
    /// [`ChangeKind::may_change`] at the proposal, but a decision that stands for a card that went out of use waits for the
    /// next one.
    ///
    /// # Errors
    /// [`Error::WrongState`].
    pub fn may_be_done(self, standing: Standing) -> Result<(), Error> {
        if self.is_granted() && standing.state() != CardStage::HandedOver {
            return Err(Error::WrongState {
                thing: "card",
                state: standing.state().name(),
                wanted: "writing it",
            });
        }
        self.may_change(standing)
    }

    /// Whether terminals can deliver it. DG1 and the portrait are too long for an update, and only door I gives a blocked
    /// card back or ends one.
    #[must_use]
    pub const fn by_update(self) -> bool {
        match self {
            Self::Endorse | Self::Tier | Self::Entitlement | Self::Rotate | Self::Load | Self::Block => true,
            Self::Address | Self::Unblock | Self::End => false,
        }
    }

    /// Whether it changes the chip and nothing that stands on it.
    #[must_use]
    pub const fn is_of_the_chip(self) -> bool {
        matches!(self, Self::Block | Self::Unblock | Self::End)
    }

    /// Whether a new decision of the rule set stands behind it.
    #[must_use]
    pub const fn is_granted(self) -> bool {
        matches!(self, Self::Endorse | Self::Tier | Self::Entitlement)
    }

    /// Whether the decision is one of this kind for a permit that was granted like that.
    ///
    /// # Errors
    /// [`Error::NothingGranted`], [`Error::NotThisChange`].
    pub fn check(self, grant: &Grant, decision: &Decision) -> Result<(), Error> {
        let (Some(tier), Some(valid_to)) = (decision.tier, decision.valid_to) else {
            return Err(Error::NothingGranted);
        };
        let refused = |why| {
            Err(Error::NotThisChange {
                kind: self.name(),
                why,
            })
        };
        match self {
            Self::Endorse => {
                if tier != grant.tier {
                    refused("it grants another tier")
                } else if valid_to <= grant.valid_to {
                    refused("it grants no later day")
                } else {
                    Ok(())
                }
            }
            Self::Tier if tier == grant.tier => refused("it grants the tier that the card has"),
            Self::Entitlement if tier != grant.tier => refused("it grants another tier"),
            Self::Tier | Self::Entitlement if valid_to < grant.valid_to => {
                refused("it grants an earlier day")
            }
            Self::Tier | Self::Entitlement => Ok(()),
            _ => refused("no decision stands behind a change of this kind"),
        }
    }
}

impl FromStr for ChangeKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|k| k.name() == text)
            .ok_or(Error::UnknownCode {
                table: "kinds of change",
            })
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a change came onto the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Written at a counter.
    Counter,
    /// A receipt of the card came back.
    Update,
    /// Its card went out of use: the permit's next card is made with it.
    NextCard,
}

impl Way {
    /// The name in the ledger.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "COUNTER",
            Self::Update => "UPDATE",
            Self::NextCard => "NEXT_CARD",
        }
    }
}

impl FromStr for Way {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "COUNTER" => Ok(Self::Counter),
            "UPDATE" => Ok(Self::Update),
            "NEXT_CARD" => Ok(Self::NextCard),
            _ => Err(Error::UnknownCode {
                table: "ways of a change",
            }),
        }
    }
}

/// Where a change stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeState {
    /// Waits for a second person.
    Proposed,
    /// To be written or queued.
    Ordered,
    /// Terminals are to deliver it, from before the vault seals its first update. A counter may still write it.
    Queued,
    /// In doubt: the chip may hold it or not.
    Writing,
    /// On the card.
    Done {
        /// How.
        way: Way,
        /// The day on which the office learnt it; not the day of a tap.
        on: Date,
    },
    /// Nothing of it was done; or its card went out of use.
    GivenUp,
    /// Nothing of it was done in its time.
    Expired,
}

impl ChangeState {
    /// The name in the ledger.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Proposed => "PROPOSED",
            Self::Ordered => "ORDERED",
            Self::Queued => "QUEUED",
            Self::Writing => "WRITING",
            Self::Done { .. } => "DONE",
            Self::GivenUp => "GIVEN_UP",
            Self::Expired => "EXPIRED",
        }
    }

    /// Whether the change is over.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::GivenUp | Self::Expired)
    }
}

/// An order to change a card. Every transition consumes it and returns the next; the store makes each durable.
///
/// ```
/// # use jiff::{civil::date, Timestamp};
/// # use permit_domain::*;
/// # let at = Timestamp::from_second(1_790_000_000).unwrap();
/// # let card = AllocatedCard { number: CardNumber::new("44".parse()?, 1)?, serial: CardSerial::from_bytes([3; 10]) };
/// let content = Content::freeze(b"what is written".to_vec());
/// let (id, permit) = (ChangeId::new(at, [1; 10]), PermitId::new(at, [2; 10]));
/// let change = CardChange::new(id, permit, card, ChangeKind::Endorse, "liu".parse()?, content);
/// let change = change.holding_until(date(2027, 11, 22));
/// let on = date(2027, 11, 1);
/// assert_eq!(change.clone().begin_writing(on).unwrap_err().code(), "WRONG_STATE");
/// assert_eq!(change.clone().approve("liu".parse()?, on).unwrap_err().code(), "SAME_PERSON_TWICE");
/// let late = change.clone().approve("zhao".parse()?, date(2027, 11, 23));
/// assert_eq!(late.unwrap_err().code(), "CHANGE_EXPIRED");
/// let change = change.approve("zhao".parse()?, on)?.queued(on)?;
/// let change = change.begin_writing(on)?.done(Way::Counter, on)?;
/// assert!(change.state().is_over());
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardChange {
    id: ChangeId,
    permit: PermitId,
    card: AllocatedCard,
    kind: ChangeKind,
    clerk: ChangeClerk,
    approver: Option<Approver>,
    content: Content,
    holds_until: Option<Date>,
    state: ChangeState,
    version: i64,
}

impl CardChange {
    /// A new one, proposed or ordered as its kind asks.
    #[must_use]
    pub const fn new(
        id: ChangeId,
        permit: PermitId,
        card: AllocatedCard,
        kind: ChangeKind,
        clerk: ChangeClerk,
        content: Content,
    ) -> Self {
        Self {
            id,
            permit,
            card,
            kind,
            clerk,
            approver: None,
            content,
            holds_until: None,
            state: if kind.needs_approval() {
                ChangeState::Proposed
            } else {
                ChangeState::Ordered
            },
            version: 1,
        }
    }

    /// The same, to be signed off and written or queued by this day: an endorsement within its window.
    #[must_use]
    pub fn holding_until(self, day: Date) -> Self {
        Self {
            holds_until: Some(day),
            ..self
        }
    }

    /// As a row of the ledger says; for the store.
    ///
    /// # Errors
    /// [`Error::SamePersonTwice`] for a row that no transition makes.
    pub fn from_ledger(
        new: Self,
        approver: Option<Approver>,
        state: ChangeState,
        version: i64,
    ) -> Result<Self, Error> {
        if let Some(approver) = &approver {
            apart(&new.clerk, approver)?;
        }
        Ok(Self {
            approver,
            state,
            version,
            ..new
        })
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> ChangeId {
        self.id
    }

    /// The permit.
    #[must_use]
    pub const fn permit(&self) -> PermitId {
        self.permit
    }

    /// The card.
    #[must_use]
    pub const fn card(&self) -> &AllocatedCard {
        &self.card
    }

    /// What is changed.
    #[must_use]
    pub const fn kind(&self) -> ChangeKind {
        self.kind
    }

    /// Who proposed it.
    #[must_use]
    pub const fn clerk(&self) -> &ChangeClerk {
        &self.clerk
    }

    /// Who signed it off.
    #[must_use]
    pub const fn approver(&self) -> Option<&Approver> {
        self.approver.as_ref()
    }

    /// Frozen.
    #[must_use]
    pub const fn content(&self) -> &Content {
        &self.content
    }

    /// The last day on which it may be signed off, queued or begun at a counter; `None`: it has none.
    #[must_use]
    pub const fn holds_until(&self) -> Option<Date> {
        self.holds_until
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> &ChangeState {
        &self.state
    }

    /// Of the row that it was read from; grows with every stored change.
    #[must_use]
    pub const fn version(&self) -> i64 {
        self.version
    }

    /// Whether its time is over and nothing of it went out: it is to expire.
    #[must_use]
    pub fn is_overdue(&self, on: Date) -> bool {
        matches!(self.state, ChangeState::Proposed | ChangeState::Ordered)
            && self.holds_until.is_some_and(|until| until < on)
    }

    /// Whether it was signed off for a card that is out of use: the permit's next card holds it.
    #[must_use]
    pub const fn is_left_to_the_next_card(&self) -> bool {
        matches!(
            self.state,
            ChangeState::Done {
                way: Way::NextCard,
                ..
            }
        )
    }

    fn in_time(&self, on: Date) -> Result<(), Error> {
        match self.holds_until {
            Some(until) if self.is_overdue(on) => Err(Error::ChangeExpired { until }),
            _ => Ok(()),
        }
    }

    /// The same, as its row now stands; for the store.
    #[must_use]
    pub fn newer(self) -> Self {
        let version = self.version + 1;
        Self { version, ..self }
    }

    fn refused<T>(&self, wanted: &'static str) -> Result<T, Error> {
        Err(Error::WrongState {
            thing: "change",
            state: self.state.name(),
            wanted,
        })
    }

    fn with(self, state: ChangeState) -> Self {
        Self { state, ..self }
    }

    /// The second person signs it off.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless proposed; [`Error::SamePersonTwice`]; [`Error::ChangeExpired`].
    pub fn approve(self, approver: Approver, on: Date) -> Result<Self, Error> {
        match self.state {
            ChangeState::Proposed => {
                self.in_time(on)?;
                apart(&self.clerk, &approver)?;
                Ok(Self {
                    approver: Some(approver),
                    ..self.with(ChangeState::Ordered)
                })
            }
            _ => self.refused("approval"),
        }
    }

    /// Before the vault seals its first update.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless ordered (or queued before) and of a kind that terminals deliver;
    /// [`Error::ChangeExpired`].
    pub fn queued(self, on: Date) -> Result<Self, Error> {
        match self.state {
            ChangeState::Ordered | ChangeState::Queued if self.kind.by_update() => {
                self.in_time(on)?;
                Ok(self.with(ChangeState::Queued))
            }
            _ => self.refused("delivery by terminals"),
        }
    }

    /// Before the first byte goes to the chip at a counter; also to resume.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless ordered, queued or writing; [`Error::ChangeExpired`].
    pub fn begin_writing(self, on: Date) -> Result<Self, Error> {
        match self.state {
            ChangeState::Ordered | ChangeState::Queued | ChangeState::Writing => {
                self.in_time(on)?;
                Ok(self.with(ChangeState::Writing))
            }
            _ => self.refused("writing"),
        }
    }

    /// Whether somebody may bring it onto a card, at a counter, by updates or with the next card: not the one who signed it
    /// off.
    ///
    /// # Errors
    /// [`Error::SamePersonTwice`].
    pub fn may_write<A: Actor>(&self, somebody: &A) -> Result<(), Error> {
        match &self.approver {
            Some(approver) => apart(approver, somebody),
            None => Ok(()),
        }
    }

    /// It is on the card: the counter wrote it, or the card's receipt came.
    ///
    /// # Errors
    /// [`Error::WrongState`]: a counter finishes what it began; a receipt finishes what was queued, and what a counter
    /// began and lost; the next card holds what was signed off for one that went out of use.
    pub fn done(self, way: Way, on: Date) -> Result<Self, Error> {
        match (&self.state, way) {
            (ChangeState::Writing, Way::Counter)
            | (
                ChangeState::Ordered | ChangeState::Queued | ChangeState::Writing,
                Way::Update | Way::NextCard,
            ) => Ok(self.with(ChangeState::Done { way, on })),
            _ => self.refused("its end"),
        }
    }

    /// Something else that the counter wrote onto the card brought this one with it.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless it was signed off and is not over.
    pub fn covered(self, on: Date) -> Result<Self, Error> {
        match self.state {
            ChangeState::Ordered | ChangeState::Queued | ChangeState::Writing => {
                Ok(self.with(ChangeState::Done {
                    way: Way::Counter,
                    on,
                }))
            }
            _ => self.refused("being brought by another change"),
        }
    }

    /// The card that it was signed off for came back to its holder, without it: it is to be written after all.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless it was left to the next card.
    pub fn for_its_own_card(self) -> Result<Self, Error> {
        match self.state {
            ChangeState::Done {
                way: Way::NextCard, ..
            } => Ok(self.with(ChangeState::Ordered)),
            _ => self.refused("writing it after all"),
        }
    }

    /// The counter looked at the card: nothing of what it began is on it. `sealed`: updates of it are on their way.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless writing.
    pub fn not_written(self, sealed: bool) -> Result<Self, Error> {
        match self.state {
            ChangeState::Writing if sealed => Ok(self.with(ChangeState::Queued)),
            ChangeState::Writing => Ok(self.with(ChangeState::Ordered)),
            _ => self.refused("going back"),
        }
    }

    /// Nothing of it will be done. For a card that went out of use that holds of what is open for it, too.
    ///
    /// # Errors
    /// [`Error::WrongState`] once an update may be sealed or a chip was touched: nobody can take that back. What was decided
    /// and may stand on a card that may come back to its holder is not given up: it would come back with it. A load is never
    /// given up while its card is in use: the money was taken.
    pub fn give_up(self, card: CardStage) -> Result<Self, Error> {
        let is_gone = match card {
            CardStage::Destroyed => true,
            // What is done to the chip is not over when the card goes out of use.
            CardStage::Ended(_) if self.kind.is_of_the_chip() => false,
            CardStage::Ended(_) => {
                !(card.may_come_back() && (self.kind.is_granted() || self.kind == ChangeKind::Address))
            }
            _ => false,
        };
        let is_untouched = matches!(self.state, ChangeState::Proposed | ChangeState::Ordered);
        if !self.state.is_over() && (is_gone || (is_untouched && self.kind != ChangeKind::Load)) {
            Ok(self.with(ChangeState::GivenUp))
        } else {
            self.refused("giving up")
        }
    }

    /// Its time is over.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless it is overdue.
    pub fn expire(self, on: Date) -> Result<Self, Error> {
        if self.is_overdue(on) {
            Ok(self.with(ChangeState::Expired))
        } else {
            self.refused("expiring")
        }
    }

    /// Where the card stands behind this change; `None`: where it stood, for the change is not on it, or not of that kind.
    /// Whether it may be done was asked before ([`ChangeKind::may_be_done`]): what a counter did to the chip is so.
    ///
    /// # Errors
    /// [`Error::WrongState`] for a chip that has ended.
    pub fn moves(&self, standing: Standing) -> Result<Option<Standing>, Error> {
        if !matches!(self.state, ChangeState::Done { .. }) {
            return Ok(None);
        }
        match self.kind {
            ChangeKind::Block => standing.chip_became(Chip::Blocked).map(Some),
            ChangeKind::Unblock => standing.chip_became(Chip::Open).map(Some),
            ChangeKind::End => standing.chip_became(Chip::Terminated).map(Some),
            _ => Ok(None),
        }
    }

    /// Who acted last, and in which role, for the ledger.
    #[must_use]
    pub fn last_actor(&self) -> (&'static str, &str) {
        match (&self.state, &self.approver) {
            (ChangeState::Ordered, Some(approver)) => (Approver::ROLE, approver.staff().as_str()),
            _ => (ChangeClerk::ROLE, self.clerk.staff().as_str()),
        }
    }
}
