//! Carries out the orders of the control socket at one reader.

use std::path::Path;

use crate::chip::{Chip, Foreign, Mute};
use crate::control::{Order, Reply};
use crate::error::Error;
use crate::model;
use crate::random::CardRandom;
use crate::slot::Slot;

/// A card manipulator: it takes cards out of their files and lays them on readers.
#[derive(Debug, Clone)]
pub struct CardManipulator {
    /// Where cards get their randomness from: each gets a source of its own, or all the same one that repeats itself.
    random: RandomPlan,
}

#[derive(Debug, Clone)]
enum RandomPlan {
    Fresh(CardRandom),
    Repeating([u8; 32]),
}

impl CardManipulator {
    /// A manipulator whose cards draw from this source.
    #[must_use]
    pub fn new(source: CardRandom) -> Self {
        Self {
            random: RandomPlan::Fresh(source),
        }
    }

    /// A manipulator whose cards repeat themselves from each power-on, for comparing tapes.
    #[must_use]
    pub fn repeating(seed: [u8; 32]) -> Self {
        Self {
            random: RandomPlan::Repeating(seed),
        }
    }

    /// Carries out one order at one reader.
    #[must_use]
    pub fn carry_out(&self, slot: &Slot, order: &Order) -> Reply {
        let done = match order {
            Order::Status => Ok(()),
            Order::Eject => {
                slot.pull();
                // What was taken off can be laid on another reader.
                Ok(())
            }
            Order::Insert { memory: Some(memory) } => self.insert(slot, memory),
            Order::Insert { memory: None } => match slot.insert_again() {
                Ok(true) => Ok(()),
                Ok(false) => {
                    return Reply::refused("ORDER", "no card was taken away before", "Name a memory file.");
                }
                Err(error) => Err(error),
            },
            Order::Swap { memory } => self.card(memory).and_then(|card| slot.insert_unseen(card)),
            Order::Foreign => slot.insert(Box::new(Foreign)),
            Order::Mute => slot.insert(Box::new(Mute)),
            Order::Tear { write, bytes } => {
                if !slot.tear(*write, *bytes) {
                    return Reply::refused(
                        "ORDER",
                        "there is no card with a memory on the reader",
                        "Insert one first.",
                    );
                }
                Ok(())
            }
            Order::Fault { fault } => {
                slot.plan(*fault);
                Ok(())
            }
            Order::Stop | Order::Start => {
                return Reply::refused(
                    "ORDER",
                    "a reader does not start or stop",
                    "Order it at the service's socket.",
                );
            }
        };
        match done {
            Ok(()) => Reply::done(Some(slot.status())),
            Err(error) => Reply::failed(&error),
        }
    }

    fn insert(&self, slot: &Slot, memory: &Path) -> Result<(), Error> {
        // The card on the reader may be the very one that is asked for: let go of its file first.
        slot.pull();
        slot.forget();
        slot.insert(self.card(memory)?)
    }

    fn card(&self, memory: &Path) -> Result<Box<dyn Chip>, Error> {
        let random = match &self.random {
            RandomPlan::Fresh(source) => CardRandom::from_source(&mut source.clone()),
            RandomPlan::Repeating(seed) => CardRandom::repeating(*seed),
        };
        model::open(memory, random)
    }
}
