//! Our card as a thing on a reader: the reference applet, its memory, and its random source.

use std::fmt;

use card_applet::Applet;

use crate::chip::{ATR, Chip};
use crate::memory::CardMemory;
use crate::random::CardRandom;

/// Our card. Everything but its memory is forgotten when power goes.
pub struct Card {
    memory: CardMemory,
    random: CardRandom,
    applet: Option<Applet<CardMemory, CardRandom>>,
    /// The memory does not hold a card that starts: it looks like a broken one from outside.
    broken: bool,
}

impl fmt::Debug for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Card")
            .field("memory", &self.memory)
            .field("powered", &self.applet.is_some())
            .finish_non_exhaustive()
    }
}

impl Card {
    /// The card with this memory, without power.
    #[must_use]
    pub fn new(memory: CardMemory, random: CardRandom) -> Self {
        Self {
            memory,
            random,
            applet: None,
            broken: false,
        }
    }

    /// The same memory, to look at and to tear.
    #[must_use]
    pub fn memory(&self) -> CardMemory {
        self.memory.clone()
    }
}

impl Chip for Card {
    fn power_on(&mut self) -> bool {
        self.memory.light();
        self.random.powered();
        self.applet = Applet::power_on(self.memory.clone(), self.random.clone()).ok();
        self.broken = self.applet.is_none();
        !self.broken
    }

    fn power_off(&mut self) {
        self.applet = None;
    }

    fn atr(&self) -> Option<&[u8]> {
        (!self.broken).then_some(&ATR)
    }

    fn process(&mut self, command: &[u8]) -> Option<Vec<u8>> {
        let answer = self.applet.as_mut()?.process(command).to_vec();
        if self.memory.dark() {
            // Power failed at a write: whatever the applet wanted to say, nobody hears it.
            self.applet = None;
            return None;
        }
        Some(answer)
    }

    fn kind(&self) -> &'static str {
        "card"
    }

    fn tear(&mut self, write: u32, bytes: u32) -> bool {
        self.memory.tear(write, bytes);
        true
    }
}
