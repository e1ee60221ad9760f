//! The purse of small payments as the office knows it, and what was decided about a load. Card specification, chapters 03
//! and 11.
//!
//! Amounts are in fen. What was spent is known to the office only as the card last showed it at the counter, so the balance
//! is taken to be the largest that the card can have. Left out: the limits (crate `permit-rules`), and what was bought, which
//! nobody tells the office.

use crate::decision::ExplanationLine;
use crate::digest::Digest;
use crate::error::Error;

/// A purse as the office knows it, fen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purse {
    /// All money ever loaded, by the ledger.
    pub loaded: u32,
    /// What the card had spent when it last lay on a counter: at least so much.
    pub spent: u32,
}

impl Purse {
    /// The largest balance that the card can have.
    #[must_use]
    pub const fn balance(self) -> u32 {
        self.loaded.saturating_sub(self.spent)
    }

    /// With the figures of the card on the counter. What was spent only grows, so an older figure changes nothing.
    ///
    /// # Errors
    /// [`Error::PurseFigures`] for a card that has more than the ledger gave it, or spent more than it has: no card of ours
    /// does that.
    pub fn seen(self, on_card: Self) -> Result<Self, Error> {
        if on_card.loaded > self.loaded || on_card.spent > on_card.loaded {
            return Err(Error::PurseFigures);
        }
        Ok(Self {
            loaded: self.loaded,
            spent: self.spent.max(on_card.spent),
        })
    }
}

/// What the purse rules say about one load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadDecision {
    /// Id of the purse rules.
    pub rules: String,
    /// SHA-256 of their text.
    pub digest: Digest,
    /// All money loaded with this load; `None`: refused.
    pub loaded: Option<u32>,
    /// One line for each limit.
    pub explanation: Vec<ExplanationLine>,
}

impl LoadDecision {
    /// The lines that stand against it.
    pub fn unmet(&self) -> impl Iterator<Item = &ExplanationLine> {
        self.explanation.iter().filter(|line| !line.met)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_with_more_money_than_the_ledger_gave_it_is_noticed() {
        let booked = Purse {
            loaded: 100,
            spent: 10,
        };
        assert_eq!(
            booked.seen(Purse {
                loaded: 101,
                spent: 0
            }),
            Err(Error::PurseFigures)
        );
        assert_eq!(
            booked.seen(Purse {
                loaded: 90,
                spent: 91
            }),
            Err(Error::PurseFigures)
        );
        // The last load has not reached it yet, and an old figure of what was spent does not come back.
        assert_eq!(booked.seen(Purse { loaded: 90, spent: 5 }), Ok(booked));
        assert_eq!(
            booked
                .seen(Purse {
                    loaded: 90,
                    spent: 50
                })
                .unwrap()
                .balance(),
            50
        );
    }
}
