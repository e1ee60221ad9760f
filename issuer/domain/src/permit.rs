//! The life of a permit: Decree 663 articles 9 to 11, design section 2.1.
//! `APPROVED -> IN_PRODUCTION -> PRODUCED -> ACTIVE <-> SUSPENDED -> ENDED`.
//!
//! Left out: the card's own life ([`crate::CardStage`]), and what an endorsement asks for.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;

use crate::codes::Tier;
use crate::decision::Decision;
use crate::error::Error;
use crate::identifiers::{ApplicationId, OrderId, PermitId, PersonId};

/// Why a permit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// Conditions not met at an endorsement.
    NoLongerEligible,
    /// Permanent registration was moved here.
    HukouMovedIn,
    /// The holder died.
    Death,
    /// The holder gave it back.
    Withdrawn,
    /// It rested on false papers.
    Fraud,
    /// Another permit took its place.
    Replaced,
}

impl EndReason {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::NoLongerEligible,
        Self::HukouMovedIn,
        Self::Death,
        Self::Withdrawn,
        Self::Fraud,
        Self::Replaced,
    ];

    /// The name in the ledger.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoLongerEligible => "NO_LONGER_ELIGIBLE",
            Self::HukouMovedIn => "HUKOU_MOVED_IN",
            Self::Death => "DEATH",
            Self::Withdrawn => "WITHDRAWN",
            Self::Fraud => "FRAUD",
            Self::Replaced => "REPLACED",
        }
    }
}

impl FromStr for EndReason {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|r| r.name() == text)
            .ok_or(Error::UnknownCode {
                table: "reasons for the end of a permit",
            })
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a permit stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PermitState {
    /// Signed off; no card is being made.
    Approved,
    /// A production order is under way.
    InProduction {
        /// Which one.
        order: OrderId,
    },
    /// Its card is verified and waits, inactive, for the holder.
    Produced {
        /// The order that made it.
        order: OrderId,
    },
    /// In the holder's hand.
    Active {
        /// Since this day.
        since: Date,
    },
    /// An endorsement was missed.
    Suspended {
        /// Since this day.
        since: Date,
    },
    /// Over.
    Ended {
        /// On this day.
        on: Date,
        /// Why.
        reason: EndReason,
    },
}

impl PermitState {
    /// The name in the ledger.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Approved => "APPROVED",
            Self::InProduction { .. } => "IN_PRODUCTION",
            Self::Produced { .. } => "PRODUCED",
            Self::Active { .. } => "ACTIVE",
            Self::Suspended { .. } => "SUSPENDED",
            Self::Ended { .. } => "ENDED",
        }
    }

    fn refused<T>(&self, wanted: &'static str) -> Result<T, Error> {
        Err(Error::WrongState {
            thing: "permit",
            state: self.name(),
            wanted,
        })
    }

    /// A production order takes it.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless approved.
    pub fn start_production(self, order: OrderId) -> Result<Self, Error> {
        match self {
            Self::Approved => Ok(Self::InProduction { order }),
            _ => self.refused("production"),
        }
    }

    /// The card of its order is verified.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless in production by this order.
    pub fn produced(self, by: OrderId) -> Result<Self, Error> {
        match self {
            Self::InProduction { order } if order == by => Ok(Self::Produced { order }),
            _ => self.refused("the end of production"),
        }
    }

    /// The order was given up; another may follow.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless in production or produced by this order.
    pub fn production_given_up(self, by: OrderId) -> Result<Self, Error> {
        match self {
            Self::InProduction { order } | Self::Produced { order } if order == by => Ok(Self::Approved),
            _ => self.refused("giving up production"),
        }
    }

    /// The holder has the card.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless produced by this order.
    pub fn hand_over(self, by: OrderId, on: Date) -> Result<Self, Error> {
        match self {
            Self::Produced { order } if order == by => Ok(Self::Active { since: on }),
            _ => self.refused("hand-over"),
        }
    }

    /// Article 10: an endorsement was missed.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless active.
    pub fn suspend(self, on: Date) -> Result<Self, Error> {
        match self {
            Self::Active { .. } => Ok(Self::Suspended { since: on }),
            _ => self.refused("suspension"),
        }
    }

    /// Article 10: the late endorsement restores it.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless suspended.
    pub fn restore(self, on: Date) -> Result<Self, Error> {
        match self {
            Self::Suspended { .. } => Ok(Self::Active { since: on }),
            _ => self.refused("restoration"),
        }
    }

    /// Its card is out of use: another may be ordered.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless active: a suspended permit is endorsed first.
    pub fn replace_card(self) -> Result<Self, Error> {
        match self {
            Self::Active { .. } => Ok(Self::Approved),
            _ => self.refused("replacing its card"),
        }
    }

    /// Its application is taken back before there was a card.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless approved.
    pub fn withdraw(self, on: Date) -> Result<Self, Error> {
        match self {
            Self::Approved => Ok(Self::Ended {
                on,
                reason: EndReason::Withdrawn,
            }),
            _ => self.refused("withdrawing its application"),
        }
    }

    /// It ends.
    ///
    /// # Errors
    /// [`Error::WrongState`], if a card is being made (give the order up first) or it ended before.
    pub fn end(self, on: Date, reason: EndReason) -> Result<Self, Error> {
        match self {
            Self::Approved | Self::Active { .. } | Self::Suspended { .. } => Ok(Self::Ended { on, reason }),
            _ => self.refused("the end"),
        }
    }
}

/// What was granted to whom: fixed for the life of a permit, but for its last day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The holder.
    pub person: PersonId,
    /// The application that it rests on.
    pub application: ApplicationId,
    /// Its tier.
    pub tier: Tier,
    /// The id of the rule set that granted it.
    pub rule_set: String,
    /// The day from which its years are counted, the first not counted: every last day and every window of an
    /// endorsement follow from it. Nothing moves it, no rest day and no endorsement that came late.
    pub anchor: Date,
    /// First day.
    pub valid_from: Date,
    /// Last day that was decided, included: the day by which it must be endorsed. Its card may still show an earlier one.
    pub valid_to: Date,
}

impl Grant {
    /// Whether it is not over on this day.
    ///
    /// # Errors
    /// [`Error::LastDayOver`].
    pub fn check_in_force(&self, on: Date) -> Result<(), Error> {
        if on <= self.valid_to {
            Ok(())
        } else {
            Err(Error::LastDayOver {
                valid_to: self.valid_to,
            })
        }
    }
}

/// A permit: outlives its cards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    id: PermitId,
    grant: Grant,
    state: PermitState,
    version: i64,
}

impl Permit {
    /// The permit that a decision grants.
    ///
    /// # Errors
    /// [`Error::NothingGranted`].
    pub fn granted(
        id: PermitId,
        person: PersonId,
        application: ApplicationId,
        decision: &Decision,
    ) -> Result<Self, Error> {
        let (Some(tier), Some(valid_from), Some(valid_to)) =
            (decision.tier, decision.valid_from, decision.valid_to)
        else {
            return Err(Error::NothingGranted);
        };
        let rule_set = decision.rule_set.clone();
        let grant = Grant {
            person,
            application,
            tier,
            rule_set,
            anchor: valid_from,
            valid_from,
            valid_to,
        };
        Ok(Self {
            id,
            grant,
            state: PermitState::Approved,
            version: 1,
        })
    }

    /// As a row of the ledger says; for the store.
    #[must_use]
    pub const fn from_ledger(id: PermitId, grant: Grant, state: PermitState, version: i64) -> Self {
        Self {
            id,
            grant,
            state,
            version,
        }
    }

    /// A transition of [`PermitState`].
    ///
    /// ```
    /// # use permit_domain::{Error, Permit};
    /// # use jiff::civil::date;
    /// fn missed_endorsement(permit: Permit) -> Result<Permit, Error> {
    ///     permit.change(|state| state.suspend(date(2027, 11, 23)))
    /// }
    /// ```
    ///
    /// # Errors
    /// That of the transition.
    pub fn change(
        self,
        transition: impl FnOnce(PermitState) -> Result<PermitState, Error>,
    ) -> Result<Self, Error> {
        Ok(Self {
            state: transition(self.state)?,
            ..self
        })
    }

    /// What a new decision grants: a later last day at an endorsement (a suspended permit is active again, article 10),
    /// another tier at an upgrade. Person and first application stay, and the first day too: years count on.
    ///
    /// # Errors
    /// [`Error::NothingGranted`]; [`Error::WrongState`], unless its holder has a card or waits for another one;
    /// [`Error::Reversed`] for a last day that is earlier than the present one.
    pub fn regranted(self, decision: &Decision, on: Date) -> Result<Self, Error> {
        let (Some(tier), Some(valid_to)) = (decision.tier, decision.valid_to) else {
            return Err(Error::NothingGranted);
        };
        if valid_to < self.grant.valid_to {
            return Err(Error::Reversed);
        }
        let state = match self.state {
            state @ (PermitState::Approved | PermitState::Active { .. }) => state,
            PermitState::Suspended { .. } => PermitState::Active { since: on },
            other => return other.refused("a new grant"),
        };
        let grant = Grant {
            tier,
            rule_set: decision.rule_set.clone(),
            valid_to,
            ..self.grant
        };
        Ok(Self { grant, state, ..self })
    }

    /// As [`Permit::regranted`] found it, after that decision was taken back because nothing of it came onto a card: what
    /// the decision before it grants. State and anchor stay: a permit whose last day is over is suspended by the clock.
    ///
    /// # Errors
    /// [`Error::NothingGranted`].
    pub fn decided_as_before(self, before: &Decision) -> Result<Self, Error> {
        let (Some(tier), Some(valid_to)) = (before.tier, before.valid_to) else {
            return Err(Error::NothingGranted);
        };
        let grant = Grant {
            tier,
            rule_set: before.rule_set.clone(),
            valid_to,
            ..self.grant
        };
        Ok(Self { grant, ..self })
    }

    /// The same, as its row stands once it is stored; for the store.
    #[must_use]
    pub fn newer(self) -> Self {
        let version = self.version + 1;
        Self { version, ..self }
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> PermitId {
        self.id
    }

    /// What was granted to whom.
    #[must_use]
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> &PermitState {
        &self.state
    }

    /// Of the row that it was read from; grows with every stored change.
    #[must_use]
    pub const fn version(&self) -> i64 {
        self.version
    }
}
