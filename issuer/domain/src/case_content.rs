//! What a case decides on, frozen when its intake ends: reviewed, signed off, and written onto a card, or nothing else is.
//! `COMPLETED -> REVIEWED -> SIGNED -> USED`, or `SUPERSEDED` by a newer version, which is reviewed anew.
//!
//! Left out: what the bytes hold (the office's), and what the law asks for.

use crate::error::Error;
use crate::identifiers::ApplicationId;
use crate::order::Content;
use crate::people::{Approver, IntakeClerk, Reviewer, SeparatedDuties, apart};
use crate::refusal::Refusal;

/// Where frozen content stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContentState {
    /// Intake ended with it.
    Completed,
    /// A reviewer stands for it.
    Reviewed {
        /// Who.
        reviewer: Reviewer,
    },
    /// Two people stand for it: a card may be made of it.
    Signed {
        /// Who reviewed it.
        reviewer: Reviewer,
        /// Who signed it off.
        approver: Approver,
    },
    /// Its card is in its holder's hand: no other one is made of it.
    Used,
    /// A newer version came before its card.
    Superseded,
}

impl ContentState {
    /// The name in the ledger.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Completed => "COMPLETED",
            Self::Reviewed { .. } => "REVIEWED",
            Self::Signed { .. } => "SIGNED",
            Self::Used => "USED",
            Self::Superseded => "SUPERSEDED",
        }
    }
}

/// A version of what a case decides on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseContent {
    application: ApplicationId,
    version: i64,
    clerk: IntakeClerk,
    content: Content,
    state: ContentState,
}

impl CaseContent {
    /// Intake ended with this content: `version` counts from 1 within the application.
    #[must_use]
    pub const fn completed(
        application: ApplicationId,
        version: i64,
        clerk: IntakeClerk,
        content: Content,
    ) -> Self {
        Self::from_ledger(application, version, clerk, content, ContentState::Completed)
    }

    /// As a row of the ledger says; for the store.
    #[must_use]
    pub const fn from_ledger(
        application: ApplicationId,
        version: i64,
        clerk: IntakeClerk,
        content: Content,
        state: ContentState,
    ) -> Self {
        Self {
            application,
            version,
            clerk,
            content,
            state,
        }
    }

    /// Whose it is.
    #[must_use]
    pub const fn application(&self) -> ApplicationId {
        self.application
    }

    /// Its version, from 1.
    #[must_use]
    pub const fn version(&self) -> i64 {
        self.version
    }

    /// Who ended the intake with it.
    #[must_use]
    pub const fn clerk(&self) -> &IntakeClerk {
        &self.clerk
    }

    /// The bytes, with the digest that is reviewed and signed.
    #[must_use]
    pub const fn content(&self) -> &Content {
        &self.content
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> &ContentState {
        &self.state
    }

    fn refused<T>(&self, wanted: &'static str) -> Result<T, Error> {
        Err(Error::WrongState {
            thing: "content",
            state: self.state.name(),
            wanted,
        })
    }

    fn with(self, state: ContentState) -> Self {
        Self { state, ..self }
    }

    /// A reviewer stands for it.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless completed; [`Error::SamePersonTwice`] for who completed it.
    pub fn review(self, reviewer: Reviewer) -> Result<Self, Error> {
        match self.state {
            ContentState::Completed => {
                apart(&self.clerk, &reviewer)?;
                Ok(self.with(ContentState::Reviewed { reviewer }))
            }
            _ => self.refused("a review"),
        }
    }

    /// A second person stands for it.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless reviewed; [`Error::SamePersonTwice`] for who completed or reviewed it.
    pub fn sign(self, approver: Approver) -> Result<Self, Error> {
        match &self.state {
            ContentState::Reviewed { reviewer } => {
                apart(reviewer, &approver)?;
                apart(&self.clerk, &approver)?;
                let reviewer = reviewer.clone();
                Ok(self.with(ContentState::Signed { reviewer, approver }))
            }
            _ => self.refused("an approval"),
        }
    }

    /// Its card came into its holder's hand.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless signed.
    pub fn used(self) -> Result<Self, Error> {
        match self.state {
            ContentState::Signed { .. } => Ok(self.with(ContentState::Used)),
            _ => self.refused("hand-over"),
        }
    }

    /// A newer version takes its place.
    ///
    /// # Errors
    /// [`Error::WrongState`] for one that is used or superseded.
    pub fn superseded(self) -> Result<Self, Error> {
        match self.state {
            ContentState::Used | ContentState::Superseded => self.refused("a newer version"),
            _ => Ok(self.with(ContentState::Superseded)),
        }
    }

    /// The two who stand for it, once signed: what a production order needs besides its producer.
    #[must_use]
    pub const fn signed_by(&self) -> Option<(&Reviewer, &Approver)> {
        match &self.state {
            ContentState::Signed { reviewer, approver } => Some((reviewer, approver)),
            _ => None,
        }
    }

    /// Whether these duties name the two who signed it.
    ///
    /// # Errors
    /// [`Refusal::OtherPeople`], also for content that is not signed.
    pub fn signed_by_those_of(&self, duties: &SeparatedDuties) -> Result<(), Refusal> {
        if self.signed_by() == Some((duties.reviewer(), duties.approver())) {
            Ok(())
        } else {
            Err(Refusal::OtherPeople)
        }
    }
}
