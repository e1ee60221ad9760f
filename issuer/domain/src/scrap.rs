//! A blank or a card on its way to the shredder: set aside by one person with a reason, destroyed before a second one. Design, screen
//! S15.
//!
//! While it is open nobody makes a card of the blank. Left out: where a card stands otherwise ([`crate::CardStage`]).

use std::fmt;
use std::str::FromStr;

use crate::error::Error;
use crate::identifiers::CardSerial;
use crate::people::StaffId;

/// Why it is destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScrapReason {
    /// Its chip could not be written, or does not answer.
    Chip,
    /// The print is spoilt.
    Print,
    /// Chip, print and record do not agree: it may have been swapped.
    Mismatch,
    /// Broken in its holder's hand.
    Damaged,
    /// Given back, found or taken away.
    Returned,
    /// Another card took its place.
    Replaced,
    /// Nobody fetched it.
    NotCollected,
    /// Called back by its maker.
    Recalled,
    /// It was not there when the stock was counted: written off.
    Missing,
}

impl ScrapReason {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::Chip,
        Self::Print,
        Self::Mismatch,
        Self::Damaged,
        Self::Returned,
        Self::Replaced,
        Self::NotCollected,
        Self::Recalled,
        Self::Missing,
    ];

    /// Why a card that is being made is rejected.
    pub const OF_PRODUCTION: [Self; 4] = [Self::Chip, Self::Print, Self::Mismatch, Self::NotCollected];

    /// Why a blank is.
    pub const OF_BLANKS: [Self; 3] = [Self::Chip, Self::Recalled, Self::Missing];

    /// The name in forms and in the ledger.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chip => "CHIP",
            Self::Print => "PRINT",
            Self::Mismatch => "MISMATCH",
            Self::Damaged => "DAMAGED",
            Self::Returned => "RETURNED",
            Self::Replaced => "REPLACED",
            Self::NotCollected => "NOT_COLLECTED",
            Self::Recalled => "RECALLED",
            Self::Missing => "MISSING",
        }
    }
}

impl fmt::Display for ScrapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ScrapReason {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.name() == text)
            .ok_or(Error::UnknownCode {
                table: "reasons for destroying a card",
            })
    }
}

/// Where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScrapState {
    /// Set aside; waits for a second person.
    Open,
    /// Destroyed before the second person.
    Done {
        /// Who saw it.
        witness: StaffId,
    },
    /// Put back: it was set aside by mistake.
    TakenBack,
}

impl ScrapState {
    /// The name in the ledger.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Done { .. } => "DONE",
            Self::TakenBack => "TAKEN_BACK",
        }
    }
}

/// A blank or a card that was set aside.
///
/// ```
/// use permit_domain::{CardSerial, Error, Scrap, ScrapReason};
/// let scrap = Scrap::new(CardSerial::from_bytes([3; 10]), ScrapReason::Print, "sun".parse()?);
/// assert!(matches!(scrap.clone().witnessed("sun".parse()?), Err(Error::SamePersonTwice { .. })));
/// let done = scrap.witnessed("chen".parse()?)?;
/// assert_eq!(done.state().name(), "DONE");
/// assert_eq!(done.take_back().unwrap_err().code(), "WRONG_STATE");
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scrap {
    serial: CardSerial,
    reason: ScrapReason,
    proposer: StaffId,
    state: ScrapState,
    version: i64,
}

impl Scrap {
    /// Set aside now.
    #[must_use]
    pub const fn new(serial: CardSerial, reason: ScrapReason, proposer: StaffId) -> Self {
        Self {
            serial,
            reason,
            proposer,
            state: ScrapState::Open,
            version: 1,
        }
    }

    /// As a row of the ledger says; for the store.
    #[must_use]
    pub const fn from_ledger(
        serial: CardSerial,
        reason: ScrapReason,
        proposer: StaffId,
        state: ScrapState,
        version: i64,
    ) -> Self {
        Self {
            serial,
            reason,
            proposer,
            state,
            version,
        }
    }

    /// Of the chip.
    #[must_use]
    pub const fn serial(&self) -> CardSerial {
        self.serial
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> ScrapReason {
        self.reason
    }

    /// Who set it aside.
    #[must_use]
    pub const fn proposer(&self) -> &StaffId {
        &self.proposer
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> &ScrapState {
        &self.state
    }

    /// Of the row that it was read from.
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

    /// The same, set aside anew after it was put back.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless it was put back.
    pub fn again(self, reason: ScrapReason, proposer: StaffId) -> Result<Self, Error> {
        match self.state {
            ScrapState::TakenBack => Ok(Self {
                reason,
                proposer,
                state: ScrapState::Open,
                ..self
            }),
            _ => self.refused("setting it aside"),
        }
    }

    /// Destroyed before a second person.
    ///
    /// # Errors
    /// [`Error::SamePersonTwice`]; [`Error::WrongState`], unless it is open.
    pub fn witnessed(self, witness: StaffId) -> Result<Self, Error> {
        match self.state {
            ScrapState::Open if self.proposer == witness => Err(Error::SamePersonTwice {
                first: "who set it aside",
                second: "who saw it destroyed",
            }),
            ScrapState::Open => Ok(Self {
                state: ScrapState::Done { witness },
                ..self
            }),
            _ => self.refused("destruction"),
        }
    }

    /// Put back.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless it is open.
    pub fn take_back(self) -> Result<Self, Error> {
        match self.state {
            ScrapState::Open => Ok(Self {
                state: ScrapState::TakenBack,
                ..self
            }),
            _ => self.refused("putting it back"),
        }
    }

    fn refused<T>(self, wanted: &'static str) -> Result<T, Error> {
        Err(Error::WrongState {
            thing: "card to be destroyed",
            state: self.state.name(),
            wanted,
        })
    }
}
