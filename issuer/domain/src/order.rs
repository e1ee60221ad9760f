//! The production order: allocate, encode, draw, verify, hand over. Design section 2.1, counter page "production".
//!
//! The two steps that touch the chip have a state of their own between intent and outcome: an order found `ENCODING` or
//! `HANDING_OVER` after a restart is *in doubt*, its card must be presented, and the same step is resumed on the same
//! card and number. Left out: how a step is done (crate `issuer-production`), and the queue.

use jiff::civil::Date;

use crate::card::{CardStage, EndOfCard};
use crate::digest::Digest;
use crate::error::Error;
use crate::identifiers::{CardNumber, CardSerial, OrderId, PermitId};
use crate::people::{HandOverClerk, SeparatedDuties, apart};
use crate::permit::Permit;

/// A step of production.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A blank and a number are joined.
    Allocate,
    /// The chip is written.
    Encode,
    /// The faces are drawn and printed.
    Draw,
    /// The card is read back and compared with the order.
    Verify,
    /// The card is activated and handed over.
    HandOver,
}

impl Step {
    /// The name in the ledger.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allocate => "ALLOCATE",
            Self::Encode => "ENCODE",
            Self::Draw => "DRAW",
            Self::Verify => "VERIFY",
            Self::HandOver => "HAND_OVER",
        }
    }
}

/// The frozen content of an order: what goes onto the card, in the issuer's own encoding, and its SHA-256.
///
/// Never changed after the order was stored. It must not hold the portrait: its receipt number and digest are enough,
/// and the photo store keeps the image sealed. `Debug` shows the digest only.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    bytes: Vec<u8>,
    digest: Digest,
}

impl Content {
    /// Freezes these bytes.
    #[must_use]
    pub fn freeze(bytes: Vec<u8>) -> Self {
        let digest = Digest::of(&bytes);
        Self { bytes, digest }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Their SHA-256.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Content({})", self.digest)
    }
}

/// A number and a chip that belong together, for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllocatedCard {
    /// Printed; never used twice.
    pub number: CardNumber,
    /// Of the chip.
    pub serial: CardSerial,
}

/// Where an order stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderState {
    /// Content frozen, no card yet.
    Ordered,
    /// A card is allocated.
    Allocated {
        /// Which one.
        card: AllocatedCard,
    },
    /// In doubt: the chip may hold nothing, a part, or all.
    Encoding {
        /// Which one.
        card: AllocatedCard,
    },
    /// The chip confirmed the whole script.
    Encoded {
        /// Which one.
        card: AllocatedCard,
    },
    /// The faces are drawn and printed.
    Drawn {
        /// Which one.
        card: AllocatedCard,
    },
    /// Read back and compared; waits for the holder.
    Verified {
        /// Which one.
        card: AllocatedCard,
    },
    /// In doubt: the chip may be active or not.
    HandingOver {
        /// Which one.
        card: AllocatedCard,
        /// Who hands it over.
        clerk: HandOverClerk,
    },
    /// Done.
    HandedOver {
        /// Which one.
        card: AllocatedCard,
        /// Who handed it over.
        clerk: HandOverClerk,
        /// The day.
        on: Date,
    },
    /// Given up: the card, if any, is damaged, and its number is spent.
    GivenUp {
        /// Which one.
        card: Option<AllocatedCard>,
    },
}

impl OrderState {
    /// The name in the ledger.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ordered => "ORDERED",
            Self::Allocated { .. } => "ALLOCATED",
            Self::Encoding { .. } => "ENCODING",
            Self::Encoded { .. } => "ENCODED",
            Self::Drawn { .. } => "DRAWN",
            Self::Verified { .. } => "VERIFIED",
            Self::HandingOver { .. } => "HANDING_OVER",
            Self::HandedOver { .. } => "HANDED_OVER",
            Self::GivenUp { .. } => "GIVEN_UP",
        }
    }

    /// The card, once allocated.
    #[must_use]
    pub const fn card(&self) -> Option<&AllocatedCard> {
        match self {
            Self::Ordered => None,
            Self::Allocated { card }
            | Self::Encoding { card }
            | Self::Encoded { card }
            | Self::Drawn { card }
            | Self::Verified { card }
            | Self::HandingOver { card, .. }
            | Self::HandedOver { card, .. } => Some(card),
            Self::GivenUp { card } => card.as_ref(),
        }
    }

    /// Whether a chip was being written and nobody knows how far: present the card and resume.
    #[must_use]
    pub const fn in_doubt(&self) -> bool {
        matches!(self, Self::Encoding { .. } | Self::HandingOver { .. })
    }

    /// The step that is to be done (or resumed) next; `None` when the order is over.
    #[must_use]
    pub const fn next_step(&self) -> Option<Step> {
        match self {
            Self::Ordered => Some(Step::Allocate),
            Self::Allocated { .. } | Self::Encoding { .. } => Some(Step::Encode),
            Self::Encoded { .. } => Some(Step::Draw),
            Self::Drawn { .. } => Some(Step::Verify),
            Self::Verified { .. } | Self::HandingOver { .. } => Some(Step::HandOver),
            Self::HandedOver { .. } | Self::GivenUp { .. } => None,
        }
    }

    /// The state of the card that goes with it.
    #[must_use]
    pub const fn card_state(&self) -> Option<CardStage> {
        match self {
            Self::Ordered | Self::GivenUp { card: None } => None,
            Self::Allocated { .. } | Self::Encoding { .. } => Some(CardStage::Allocated),
            Self::Encoded { .. } => Some(CardStage::Encoded),
            Self::Drawn { .. } => Some(CardStage::Printed),
            Self::Verified { .. } | Self::HandingOver { .. } => Some(CardStage::Verified),
            Self::HandedOver { .. } => Some(CardStage::HandedOver),
            Self::GivenUp { .. } => Some(CardStage::Ended(EndOfCard::Damaged)),
        }
    }
}

/// A production order. Made only with [`SeparatedDuties`].
///
/// Every transition consumes the order and returns the next; the store makes each durable before the next begins.
///
/// ```
/// # use jiff::{civil::date, Timestamp};
/// # use permit_domain::*;
/// # let at = Timestamp::from_second(1_790_000_000).unwrap();
/// let duties = SeparatedDuties::new("wang".parse()?, "zhao".parse()?, "sun".parse()?)?;
/// let content = Content::freeze(b"what goes onto the card".to_vec());
/// let order = Order::new(OrderId::new(at, [1; 10]), PermitId::new(at, [2; 10]), duties, content);
/// let number = CardNumber::new("44".parse()?, 1)?;
/// let order = order.allocate(number, CardSerial::from_bytes([3; 10]))?.begin_encoding()?;
/// assert!(order.state().in_doubt());
/// assert_eq!(order.clone().drawn().unwrap_err().code(), "WRONG_STATE");
/// let order = order.encoded()?.drawn()?.verified()?;
/// let order = order.begin_hand_over("chen".parse()?)?.handed_over(date(2026, 11, 21))?;
/// assert_eq!(order.state().next_step(), None);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    id: OrderId,
    permit: PermitId,
    duties: SeparatedDuties,
    content: Content,
    state: OrderState,
    version: i64,
}

impl Order {
    /// A new one.
    #[must_use]
    pub const fn new(id: OrderId, permit: PermitId, duties: SeparatedDuties, content: Content) -> Self {
        Self {
            id,
            permit,
            duties,
            content,
            state: OrderState::Ordered,
            version: 1,
        }
    }

    /// As a row of the ledger says; for the store.
    #[must_use]
    pub const fn from_ledger(
        id: OrderId,
        permit: PermitId,
        duties: SeparatedDuties,
        content: Content,
        state: OrderState,
        version: i64,
    ) -> Self {
        Self {
            id,
            permit,
            duties,
            content,
            state,
            version,
        }
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> OrderId {
        self.id
    }

    /// The permit that it makes a card for.
    #[must_use]
    pub const fn permit(&self) -> PermitId {
        self.permit
    }

    /// Three different people.
    #[must_use]
    pub const fn duties(&self) -> &SeparatedDuties {
        &self.duties
    }

    /// Frozen.
    #[must_use]
    pub const fn content(&self) -> &Content {
        &self.content
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> &OrderState {
        &self.state
    }

    /// Of the row that it was read from; grows with every stored change.
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

    /// The permit as this order moves it along: produced once the card is verified, active at hand-over, free for another
    /// order when this one is given up. `None`: the order's state says nothing of it.
    ///
    /// # Errors
    /// [`Error::WrongState`] for a permit that this order does not hold.
    pub fn moves(&self, permit: Permit) -> Result<Option<Permit>, Error> {
        let id = self.id;
        match self.state {
            OrderState::Verified { .. } => permit.change(|state| state.produced(id)).map(Some),
            OrderState::HandedOver { on, .. } => permit.change(|state| state.hand_over(id, on)).map(Some),
            OrderState::GivenUp { .. } => permit.change(|state| state.production_given_up(id)).map(Some),
            _ => Ok(None),
        }
    }

    fn refused<T>(&self, wanted: &'static str) -> Result<T, Error> {
        Err(Error::WrongState {
            thing: "production order",
            state: self.state.name(),
            wanted,
        })
    }

    fn with(self, state: OrderState) -> Self {
        Self { state, ..self }
    }

    /// Joins a number and a chip to it. The store calls this inside the transaction that draws the number.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless ordered.
    pub fn allocate(self, number: CardNumber, serial: CardSerial) -> Result<Self, Error> {
        match self.state {
            OrderState::Ordered => Ok(self.with(OrderState::Allocated {
                card: AllocatedCard { number, serial },
            })),
            _ => self.refused("allocation"),
        }
    }

    /// Before the first byte goes to the chip; also to resume.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless allocated or encoding.
    pub fn begin_encoding(self) -> Result<Self, Error> {
        match &self.state {
            OrderState::Allocated { card } | OrderState::Encoding { card } => {
                let card = card.clone();
                Ok(self.with(OrderState::Encoding { card }))
            }
            _ => self.refused("encoding"),
        }
    }

    /// The chip confirmed the whole script.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless encoding.
    pub fn encoded(self) -> Result<Self, Error> {
        match &self.state {
            OrderState::Encoding { card } => {
                let card = card.clone();
                Ok(self.with(OrderState::Encoded { card }))
            }
            _ => self.refused("the end of encoding"),
        }
    }

    /// The faces are drawn and printed. A card whose print failed stays encoded and is printed again.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless encoded.
    pub fn drawn(self) -> Result<Self, Error> {
        match &self.state {
            OrderState::Encoded { card } => {
                let card = card.clone();
                Ok(self.with(OrderState::Drawn { card }))
            }
            _ => self.refused("drawing"),
        }
    }

    /// The card was read back and is what the order says.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless drawn.
    pub fn verified(self) -> Result<Self, Error> {
        match &self.state {
            OrderState::Drawn { card } => {
                let card = card.clone();
                Ok(self.with(OrderState::Verified { card }))
            }
            _ => self.refused("verification"),
        }
    }

    /// Before the activating command goes to the chip; also to resume (then by anybody who may hand over).
    ///
    /// # Errors
    /// [`Error::WrongState`], unless verified or handing over; [`Error::SamePersonTwice`] if the clerk produced it.
    pub fn begin_hand_over(self, clerk: HandOverClerk) -> Result<Self, Error> {
        match &self.state {
            OrderState::Verified { card } | OrderState::HandingOver { card, .. } => {
                apart(self.duties.producer(), &clerk)?;
                let card = card.clone();
                Ok(self.with(OrderState::HandingOver { card, clerk }))
            }
            _ => self.refused("hand-over"),
        }
    }

    /// The chip is active and in the holder's hand.
    ///
    /// # Errors
    /// [`Error::WrongState`], unless handing over.
    pub fn handed_over(self, on: Date) -> Result<Self, Error> {
        match &self.state {
            OrderState::HandingOver { card, clerk } => {
                let (card, clerk) = (card.clone(), clerk.clone());
                Ok(self.with(OrderState::HandedOver { card, clerk, on }))
            }
            _ => self.refused("the end of hand-over"),
        }
    }

    /// Gives the order up: the card is scrapped, its number is spent, the permit waits for another order.
    ///
    /// # Errors
    /// [`Error::WrongState`] once hand-over began (the chip may be active: finish it, then replace the card), or after
    /// the end.
    pub fn give_up(self) -> Result<Self, Error> {
        match &self.state {
            OrderState::HandingOver { .. } | OrderState::HandedOver { .. } | OrderState::GivenUp { .. } => {
                self.refused("giving up")
            }
            state => {
                let card = state.card().cloned();
                Ok(self.with(OrderState::GivenUp { card }))
            }
        }
    }
}
