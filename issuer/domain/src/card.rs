//! The life of a card in the ledger, apart from the permit's and from the chip's own state. Design section 2.1.
//! `ALLOCATED -> ENCODED -> PRINTED -> VERIFIED -> HANDED_OVER -> LOST | DAMAGED | RETURNED | CONFISCATED | REPLACED
//! -> DESTROYED`; a card spoilt in production goes to DAMAGED from any step.
//!
//! A card in use has a [`Standing`]: besides that state, whether it is on the deny lists and whether its chip is blocked.
//! A card that was lost and found comes to nothing by itself: it is RETURNED, and two people allow it again or it is
//! destroyed. Left out: BLANK: a blank has no number and stands in the stock.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

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

/// How far a card has come at the office: the plastic with its number, from its allocation to its end. What the chip itself says of its
/// state is [`card_applet_spec::codes::CardState`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardStage {
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

impl CardStage {
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
    /// [`Error::WrongState`]: before hand-over a card can only be damaged; an ended one has ended, but a lost one may be
    /// brought back or confiscated.
    pub fn end(self, how: EndOfCard) -> Result<Self, Error> {
        match (self, how) {
            (Self::HandedOver, _)
            // Found by the holder or somebody else, or taken from whoever had it.
            | (Self::Ended(EndOfCard::Lost), EndOfCard::Returned | EndOfCard::Confiscated)
            | (Self::Allocated | Self::Encoded | Self::Printed | Self::Verified, EndOfCard::Damaged) => {
                Ok(Self::Ended(how))
            }
            _ => self.refused("taking it out of use"),
        }
    }

    /// Whether it may be in its holder's hand again one day: a lost card is found, and one that was brought back is allowed.
    #[must_use]
    pub const fn may_come_back(self) -> bool {
        !matches!(
            self,
            Self::Destroyed | Self::Ended(EndOfCard::Damaged | EndOfCard::Confiscated | EndOfCard::Replaced)
        )
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

/// Whether a card's pseudonyms are on the deny lists. The vault keeps the lists: between the wish and its answer stands a
/// state of its own, from which the same call goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// Not on a list.
    No,
    /// Is to go onto the lists; the vault has not confirmed it.
    Wanted,
    /// On the lists.
    Yes,
    /// Is to leave the lists; the vault has not confirmed it.
    Lifting,
}

impl Denial {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::No, Self::Wanted, Self::Yes, Self::Lifting];

    /// The name in the ledger.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::No => "NO",
            Self::Wanted => "WANTED",
            Self::Yes => "YES",
            Self::Lifting => "LIFTING",
        }
    }
}

impl FromStr for Denial {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|s| s.name() == text)
            .ok_or(Error::UnknownCode {
                table: "states of a denial",
            })
    }
}

/// What the office knows of the chip of a card that was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chip {
    /// It answers terminals.
    Open,
    /// Blocked: only door I answers.
    Blocked,
    /// Every key on it is erased.
    Terminated,
}

impl Chip {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Open, Self::Blocked, Self::Terminated];

    /// The name in the ledger.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Blocked => "BLOCKED",
            Self::Terminated => "TERMINATED",
        }
    }
}

impl FromStr for Chip {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|s| s.name() == text)
            .ok_or(Error::UnknownCode {
                table: "states of a chip",
            })
    }
}

/// Where a card of a holder stands: in the ledger, on the deny lists, and on its chip. Each transition consumes it.
///
/// ```
/// use permit_domain::{CardStage, Chip, Denial, EndOfCard, Standing};
/// let lost = Standing::new(CardStage::HandedOver, Denial::No, Chip::Open).end(EndOfCard::Lost)?;
/// assert_eq!(lost.denial(), Denial::Wanted);
/// let found = lost.denial_confirmed()?.end(EndOfCard::Returned)?;
/// assert_eq!(found.denial(), Denial::Yes, "a card that is found is still denied");
/// let again = found.allow_again()?.denial_confirmed()?;
/// assert_eq!((again.state(), again.denial()), (CardStage::HandedOver, Denial::No));
/// # Ok::<(), permit_domain::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    state: CardStage,
    denial: Denial,
    chip: Chip,
}

impl Standing {
    /// Of a card that its holder uses.
    pub const IN_USE: Self = Self::new(CardStage::HandedOver, Denial::No, Chip::Open);

    /// As a row of the ledger says.
    #[must_use]
    pub const fn new(state: CardStage, denial: Denial, chip: Chip) -> Self {
        Self { state, denial, chip }
    }

    /// In the ledger.
    #[must_use]
    pub const fn state(self) -> CardStage {
        self.state
    }

    /// On the deny lists.
    #[must_use]
    pub const fn denial(self) -> Denial {
        self.denial
    }

    /// Of the chip.
    #[must_use]
    pub const fn chip(self) -> Chip {
        self.chip
    }

    fn refused<T>(self, wanted: &'static str) -> Result<T, Error> {
        Err(Error::WrongState {
            thing: "card",
            state: self.state.name(),
            wanted,
        })
    }

    /// It goes out of use: onto the deny lists, whatever the chip says.
    ///
    /// # Errors
    /// Those of [`CardStage::end`]; a card that was never handed over ends with its order.
    pub fn end(self, how: EndOfCard) -> Result<Self, Error> {
        if !matches!(self.state, CardStage::HandedOver | CardStage::Ended(_)) {
            return self.refused("taking it out of use without its order");
        }
        Ok(Self {
            state: self.state.end(how)?,
            denial: match self.denial {
                Denial::Yes => Denial::Yes,
                _ => Denial::Wanted,
            },
            chip: self.chip,
        })
    }

    /// A card that was brought back is the holder's again. It leaves the deny lists; a blocked chip stays blocked until a
    /// counter unblocks it.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless it was brought back and its chip lives.
    pub fn allow_again(self) -> Result<Self, Error> {
        match (self.state, self.chip) {
            (CardStage::Ended(EndOfCard::Returned), Chip::Open | Chip::Blocked) => Ok(Self {
                state: CardStage::HandedOver,
                denial: match self.denial {
                    Denial::No => Denial::No,
                    _ => Denial::Lifting,
                },
                chip: self.chip,
            }),
            _ => self.refused("allowing it again"),
        }
    }

    /// The vault did what was wanted of the deny lists.
    ///
    /// # Errors
    /// [`Error::WrongState`], if nothing was.
    pub fn denial_confirmed(self) -> Result<Self, Error> {
        let denial = match self.denial {
            Denial::Wanted => Denial::Yes,
            Denial::Lifting => Denial::No,
            _ => return self.refused("a confirmation of its denial"),
        };
        Ok(Self { denial, ..self })
    }

    /// The vault may have been told something else since it did what was wanted: it is wanted again.
    #[must_use]
    pub const fn denial_in_doubt(self) -> Self {
        let denial = match self.denial {
            Denial::Wanted | Denial::Yes => Denial::Wanted,
            Denial::Lifting | Denial::No => Denial::Lifting,
        };
        Self { denial, ..self }
    }

    /// It never goes back to its holder: the vault is to know, which denies it and keeps no key version for it.
    #[must_use]
    pub const fn out_of_use(self) -> Self {
        Self {
            denial: Denial::Wanted,
            ..self
        }
    }

    /// The chip is blocked.
    ///
    /// # Errors
    /// [`Error::WrongState`] for a chip that has ended.
    pub fn blocked(self) -> Result<Self, Error> {
        match self.chip {
            Chip::Open | Chip::Blocked => Ok(Self {
                chip: Chip::Blocked,
                ..self
            }),
            Chip::Terminated => self.refused("blocking"),
        }
    }

    /// The chip answers terminals again.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless the holder has the card and it is off the deny lists or leaving them.
    pub fn unblocked(self) -> Result<Self, Error> {
        match (self.state, self.denial, self.chip) {
            (CardStage::HandedOver, Denial::No | Denial::Lifting, Chip::Open | Chip::Blocked) => Ok(Self {
                chip: Chip::Open,
                ..self
            }),
            _ => self.refused("unblocking"),
        }
    }

    /// What a counter did to the chip, which is so wherever the card went in the ledger meanwhile.
    ///
    /// # Errors
    /// [`Error::WrongState`] for a chip that has ended: it never becomes anything else.
    pub(crate) fn chip_became(self, chip: Chip) -> Result<Self, Error> {
        match self.chip {
            Chip::Terminated if chip != Chip::Terminated => self.refused("a chip that answers"),
            _ => Ok(Self { chip, ..self }),
        }
    }

    /// The chip has ended.
    ///
    /// # Errors
    /// [`Error::WrongState`] while the holder has it.
    pub fn terminated(self) -> Result<Self, Error> {
        match self.state {
            CardStage::Ended(_) => Ok(Self {
                chip: Chip::Terminated,
                ..self
            }),
            _ => self.refused("ending the chip"),
        }
    }

    /// It was cut up.
    ///
    /// # Errors
    /// Those of [`CardStage::destroy`].
    pub fn destroyed(self) -> Result<Self, Error> {
        Ok(Self {
            state: self.state.destroy()?,
            ..self
        })
    }
}

impl FromStr for CardStage {
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

impl fmt::Display for CardStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
