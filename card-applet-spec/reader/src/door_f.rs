//! Door F (chapter 06), terminal side: one TAP, and everything that decides about it.
//!
//! The terminal remembers the card's random numbers of its last answers, so that a recorded answer is called by its
//! name; the answer's own MAC, over a fresh random number of ours, is what keeps it out. A random number says nothing of
//! a card to whoever finds it: nothing else is remembered of a tap.
//!
//! Left out: COMMIT (an operator of `SMALL_PAYMENT` needs a transaction log that this library does not have), a bound on
//! the time of a tap (relay is not stopped by anything here), and every counter but the wire's.

use std::collections::{HashSet, VecDeque};

use card_applet_spec::codes::Role;
use card_applet_spec::date::Date;
use card_applet_spec::door_f::{TapAnswer, tap_command};
use rand_core::CryptoRng;

use crate::bundle::Bundle;
use crate::card::{Card, Selected};
use crate::error::{Check, Error, Step};
use crate::genuine::Admission;
use crate::transport::Transport;

/// How many random numbers are remembered: more than a gate sees in an hour, 16 bytes each.
const MEMORY: usize = 16_384;

/// The random numbers of the last answers, oldest first.
#[derive(Debug, Default)]
struct Memory {
    order: VecDeque<[u8; 16]>,
    known: HashSet<[u8; 16]>,
}

impl Memory {
    /// Remembers a number; `false` when it was known.
    fn remember(&mut self, number: [u8; 16]) -> bool {
        if !self.known.insert(number) {
            return false;
        }
        self.order.push_back(number);
        if self.order.len() > MEMORY
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

/// A terminal of door F: a bundle, and what came before.
#[derive(Debug)]
pub struct Terminal {
    bundle: Bundle,
    memory: Memory,
}

impl Terminal {
    /// A terminal with this bundle.
    #[must_use]
    pub fn new(bundle: Bundle) -> Self {
        Self {
            bundle,
            memory: Memory::default(),
        }
    }

    /// The bundle.
    #[must_use]
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Takes a new bundle and keeps what came before.
    pub fn replace_bundle(&mut self, bundle: Bundle) {
        self.bundle = bundle;
    }

    /// Taps a card for a role: with the Active version first, then, if nothing opens, with the Draining one, and a fresh
    /// random number each time.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with any reason; show the holder [`crate::Refusal::for_holder`] only. [`Error::Transport`].
    pub fn tap<T: Transport>(
        &mut self,
        mut card: Card<T, Selected>,
        role: Role,
        today: Date,
        rng: &mut impl CryptoRng,
    ) -> Result<Admission, Error> {
        self.bundle.check_days(today)?;
        if !role.has_door_f() || !self.bundle.serves(role) {
            return Err(Check::BundleRole.into());
        }
        self.bundle.check_deny_list_age(role, today)?;
        let mut last = Check::Keys;
        for version in self.bundle.tap_versions(role, today) {
            let mut challenge = [0; 16];
            rng.fill_bytes(&mut challenge);
            let command = tap_command(role.code(), version, &challenge)
                .map_err(|_| Error::BadAnswer { step: Step::Tap })?;
            let answer = card.tapped(&command)?;
            match self.judge(role, version, &challenge, &answer, today) {
                Ok(admission) => return Ok(admission),
                // Nothing opens: the card may still have the version before.
                Err(check @ (Check::Keys | Check::TapMac)) => last = check,
                Err(check) => return Err(check.into()),
            }
        }
        Err(last.into())
    }

    /// Judges the body of one answer to a TAP with `challenge`: everything of chapter 06 but the sending.
    ///
    /// # Errors
    ///
    /// The check that fails.
    pub fn judge(
        &mut self,
        role: Role,
        version: u8,
        challenge: &[u8; 16],
        body: &[u8],
        today: Date,
    ) -> Result<Admission, Check> {
        let answer = TapAnswer::parse(body).map_err(|_| Check::Application)?;
        // An answer that comes twice brings its random number twice.
        if !self.memory.remember(answer.card_challenge) {
            return Err(Check::Repeated);
        }
        let tap = self.bundle.open_tap(role, version, challenge, &answer, today)?;
        let opened = self
            .bundle
            .open_record(role, version, &tap.pid, &tap.record, today)?;
        self.bundle.apply_rules(&opened.entitlement, &tap.pid, today)?;
        Ok(Admission::new(&opened.entitlement, opened.region))
    }
}

impl<T: Transport> Card<T, Selected> {
    /// Sends a TAP and gives the body of the answer. Every card of this specification answers every TAP with 9000, so
    /// anything else comes from another card.
    fn tapped(&mut self, command: &[u8]) -> Result<Vec<u8>, Error> {
        let answer = self.exchange(command)?;
        match card_applet_spec::apdu::split_answer(&answer) {
            Ok((body, status)) if status.is_ok() => Ok(body.to_vec()),
            Ok(_) => Err(Check::Application.into()),
            Err(_) => Err(Error::BadAnswer { step: Step::Tap }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_forgets_the_oldest_number_and_no_other() {
        let mut memory = Memory::default();
        let number = |n: usize| {
            let mut out = [0; 16];
            out[..8].copy_from_slice(&n.to_be_bytes());
            out
        };
        for n in 0..=MEMORY {
            assert!(memory.remember(number(n)));
        }
        assert!(!memory.remember(number(1)), "still known");
        assert!(memory.remember(number(0)), "forgotten");
        assert_eq!(memory.order.len(), MEMORY);
        assert_eq!(memory.known.len(), MEMORY);
    }
}
