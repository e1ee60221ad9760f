//! The life of an application: Decree 663 article 9. `APPLIED -> NEEDS_MORE | ACCEPTED -> REVIEWED -> APPROVED`, or
//! `REFUSED`, or `WITHDRAWN`.
//!
//! Left out: what happens to the permit afterwards ([`crate::Permit`]), and deadlines (a report over dates).

use jiff::civil::Date;

use crate::decision::Decision;
use crate::error::Error;
use crate::identifiers::{ApplicationId, PermitId, PersonId};
use crate::people::{Actor as _, Approver, IntakeClerk, Reviewer, apart};

/// Where an application stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplicationState {
    /// Taken, not yet checked for completeness.
    Applied,
    /// The one-time notice of everything missing was given.
    NeedsMore,
    /// Complete; the clock of article 9 runs from this day, and the rule set in force on it decides.
    Accepted {
        /// The day.
        on: Date,
    },
    /// The decision grants nothing; it names the articles.
    Refused {
        /// Who decided.
        reviewer: Reviewer,
    },
    /// The decision grants a tier.
    Reviewed {
        /// Who decided.
        reviewer: Reviewer,
    },
    /// Signed off; the permit exists.
    Approved {
        /// Who decided.
        reviewer: Reviewer,
        /// Who signed off.
        approver: Approver,
        /// The permit.
        permit: PermitId,
    },
    /// Taken back by the applicant.
    Withdrawn,
}

impl ApplicationState {
    /// The name in the ledger.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Applied => "APPLIED",
            Self::NeedsMore => "NEEDS_MORE",
            Self::Accepted { .. } => "ACCEPTED",
            Self::Refused { .. } => "REFUSED",
            Self::Reviewed { .. } => "REVIEWED",
            Self::Approved { .. } => "APPROVED",
            Self::Withdrawn => "WITHDRAWN",
        }
    }

    /// Whether the case is still open.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(
            self,
            Self::Applied | Self::NeedsMore | Self::Accepted { .. } | Self::Reviewed { .. }
        )
    }
}

/// An application without its papers: who, where it stands, and how often it was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    id: ApplicationId,
    person: PersonId,
    intake: IntakeClerk,
    state: ApplicationState,
    version: i64,
}

impl Application {
    /// A new one, as taken.
    #[must_use]
    pub const fn new(id: ApplicationId, person: PersonId, intake: IntakeClerk) -> Self {
        Self {
            id,
            person,
            intake,
            state: ApplicationState::Applied,
            version: 1,
        }
    }

    /// As a row of the ledger says; for the store.
    #[must_use]
    pub const fn from_ledger(
        id: ApplicationId,
        person: PersonId,
        intake: IntakeClerk,
        state: ApplicationState,
        version: i64,
    ) -> Self {
        Self {
            id,
            person,
            intake,
            state,
            version,
        }
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> ApplicationId {
        self.id
    }

    /// Whose it is.
    #[must_use]
    pub const fn person(&self) -> PersonId {
        self.person
    }

    /// Who took it.
    #[must_use]
    pub const fn intake(&self) -> &IntakeClerk {
        &self.intake
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> &ApplicationState {
        &self.state
    }

    /// Of the row that it was read from; grows with every stored change. A writer with an older one is refused.
    #[must_use]
    pub const fn version(&self) -> i64 {
        self.version
    }

    /// The same, as its row stands once it is stored; for the store.
    #[must_use]
    pub fn newer(self) -> Self {
        let version = self.version + 1;
        Self { version, ..self }
    }

    fn refused<T>(&self, wanted: &'static str) -> Result<T, Error> {
        Err(Error::WrongState {
            thing: "application",
            state: self.state.name(),
            wanted,
        })
    }

    fn with(self, state: ApplicationState) -> Self {
        Self { state, ..self }
    }

    /// Everything needed is there.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless applied or waiting for more.
    pub fn accept(self, on: Date) -> Result<Self, Error> {
        match self.state {
            ApplicationState::Applied | ApplicationState::NeedsMore => {
                Ok(self.with(ApplicationState::Accepted { on }))
            }
            _ => self.refused("acceptance"),
        }
    }

    /// Something is missing; the notice names it.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless applied or waiting for more.
    pub fn need_more(self) -> Result<Self, Error> {
        match self.state {
            ApplicationState::Applied | ApplicationState::NeedsMore => {
                Ok(self.with(ApplicationState::NeedsMore))
            }
            _ => self.refused("a notice of missing papers"),
        }
    }

    /// The reviewer's decision by the rule set: reviewed if it grants a tier, refused if not.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless accepted; [`Error::SamePersonTwice`] if the reviewer took the application.
    pub fn review(self, reviewer: Reviewer, decision: &Decision) -> Result<Self, Error> {
        match self.state {
            ApplicationState::Accepted { .. } => {
                apart(&self.intake, &reviewer)?;
                Ok(self.with(match decision.tier {
                    Some(_) => ApplicationState::Reviewed { reviewer },
                    None => ApplicationState::Refused { reviewer },
                }))
            }
            _ => self.refused("a review"),
        }
    }

    /// What was reviewed is not what the case decides on any more: it is reviewed anew. `accepted` is the day of its acceptance.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless accepted or reviewed.
    pub fn completed_anew(self, accepted: Date) -> Result<Self, Error> {
        match self.state {
            ApplicationState::Accepted { on } => Ok(self.with(ApplicationState::Accepted { on })),
            ApplicationState::Reviewed { .. } => Ok(self.with(ApplicationState::Accepted { on: accepted })),
            _ => self.refused("completing its intake"),
        }
    }

    /// The approver signs off: the permit comes into being.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless reviewed; [`Error::SamePersonTwice`] if the approver reviewed or took it.
    pub fn approve(self, approver: Approver, permit: PermitId) -> Result<Self, Error> {
        match &self.state {
            ApplicationState::Reviewed { reviewer } => {
                apart(reviewer, &approver)?;
                apart(&self.intake, &approver)?;
                let reviewer = reviewer.clone();
                Ok(self.with(ApplicationState::Approved {
                    reviewer,
                    approver,
                    permit,
                }))
            }
            _ => self.refused("an approval"),
        }
    }

    /// The applicant takes it back, also once it is approved: its permit then ends with it ([`crate::PermitState::withdraw`]).
    ///
    /// # Errors
    /// [`Error::WrongState`] for one that is over; [`Error::SamePersonTwice`] for a clerk who reviewed or approved it: nobody
    /// undoes alone what they decided.
    pub fn withdraw(self, by: &IntakeClerk) -> Result<Self, Error> {
        match &self.state {
            ApplicationState::Applied | ApplicationState::NeedsMore | ApplicationState::Accepted { .. } => {}
            ApplicationState::Reviewed { reviewer } => apart(reviewer, by)?,
            ApplicationState::Approved {
                reviewer, approver, ..
            } => {
                apart(reviewer, by)?;
                apart(approver, by)?;
            }
            ApplicationState::Refused { .. } | ApplicationState::Withdrawn => {
                return self.refused("a withdrawal");
            }
        }
        Ok(self.with(ApplicationState::Withdrawn))
    }

    /// Who acted last, and in which role, for the ledger; of a withdrawal the ledger is told.
    #[must_use]
    pub fn last_actor(&self) -> (&'static str, &str) {
        match &self.state {
            ApplicationState::Refused { reviewer } | ApplicationState::Reviewed { reviewer } => {
                (Reviewer::ROLE, reviewer.staff().as_str())
            }
            ApplicationState::Approved { approver, .. } => (Approver::ROLE, approver.staff().as_str()),
            _ => (IntakeClerk::ROLE, self.intake.staff().as_str()),
        }
    }
}
