//! The life of a card in the ledger, apart from the permit's and from the chip's own state. Design section 2.1.
//! `ALLOCATED -> ENCODED -> PRINTED -> VERIFIED -> HANDED_OVER -> LOST | DAMAGED | RETURNED | CONFISCATED | REPLACED
//! -> DESTROYED`; a card spoilt in production goes to DAMAGED from any step.
//!
//! Left out: BLANK: a blank has no number and stands in the stock.

use std::{fmt, str::FromStr};

use crate::Error;

/// How a card ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndOfCard {
    /// Lost by the holder.
    Lost,
    /// Spoilt, in production or in use.
    Damaged,
    /// Given back.
    Returned,
    /// Taken away (article 19).
    Confiscated,
    /// Another card of the permit took its place.
    Replaced,
}

/// Where a card stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardState {
    /// Number and chip belong together.
    Allocated,
    /// The chip is written.
    Encoded,
    /// The faces are on it.
    Printed,
    /// Read back and compared with the order.
    Verified,
    /// Active, in the holder's hand.
    HandedOver,
    /// Out of use.
    Ended(EndOfCard),
    /// Cut up, with a record of it.
    Destroyed,
}

impl CardState {
    /// Every state.
    pub const ALL: [Self; 11] = [
        Self::Allocated,
        Self::Encoded,
        Self::Printed,
        Self::Verified,
        Self::HandedOver,
        Self::Ended(EndOfCard::Lost),
        Self::Ended(EndOfCard::Damaged),
        Self::Ended(EndOfCard::Returned),
        Self::Ended(EndOfCard::Confiscated),
        Self::Ended(EndOfCard::Replaced),
        Self::Destroyed,
    ];

    /// The name in the ledger.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allocated => "ALLOCATED",
            Self::Encoded => "ENCODED",
            Self::Printed => "PRINTED",
            Self::Verified => "VERIFIED",
            Self::HandedOver => "HANDED_OVER",
            Self::Ended(EndOfCard::Lost) => "LOST",
            Self::Ended(EndOfCard::Damaged) => "DAMAGED",
            Self::Ended(EndOfCard::Returned) => "RETURNED",
            Self::Ended(EndOfCard::Confiscated) => "CONFISCATED",
            Self::Ended(EndOfCard::Replaced) => "REPLACED",
            Self::Destroyed => "DESTROYED",
        }
    }

    fn refused<T>(self, wanted: &'static str) -> Result<T, Error> {
        Err(Error::WrongState {
            thing: "card",
            state: self.name(),
            wanted,
        })
    }

    /// The next step of production.
    ///
    /// # Errors
    /// [`Error::WrongState`] after hand-over.
    pub fn next_in_production(self) -> Result<Self, Error> {
        match self {
            Self::Allocated => Ok(Self::Encoded),
            Self::Encoded => Ok(Self::Printed),
            Self::Printed => Ok(Self::Verified),
            Self::Verified => Ok(Self::HandedOver),
            _ => self.refused("production"),
        }
    }

    /// It goes out of use.
    ///
    /// # Errors
    /// [`Error::WrongState`]: before hand-over a card can only be damaged; an ended one has ended.
    pub fn end(self, how: EndOfCard) -> Result<Self, Error> {
        match (self, how) {
            (Self::HandedOver, _)
            | (Self::Allocated | Self::Encoded | Self::Printed | Self::Verified, EndOfCard::Damaged) => {
                Ok(Self::Ended(how))
            }
            _ => self.refused("taking it out of use"),
        }
    }

    /// It was cut up.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless it ended and is at hand: a lost card cannot be destroyed.
    pub fn destroy(self) -> Result<Self, Error> {
        match self {
            Self::Ended(
                EndOfCard::Damaged | EndOfCard::Returned | EndOfCard::Confiscated | EndOfCard::Replaced,
            ) => Ok(Self::Destroyed),
            _ => self.refused("destruction"),
        }
    }
}

impl FromStr for CardState {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|s| s.name() == text)
            .ok_or(Error::UnknownCode {
                table: "states of a card",
            })
    }
}

impl fmt::Display for CardState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
