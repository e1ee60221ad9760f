//! Door F (chapter 06), terminal side: one TAP, everything that decides about it, and what may follow in the same session.
//!
//! A card whose answer proved to be genuine is a [`Card`] in state [`Tapped`], whatever the rules then say of its record:
//! an update may reach a card that is refused (that is how it is put right). A debit is in [`crate::purchase`], an
//! update in [`crate::updates`].
//!
//! The terminal remembers the card's random numbers of its last answers, so that a recorded answer is called by its
//! name; the answer's own MAC, over a fresh random number of ours, is what keeps it out. A random number says nothing of
//! a card to whoever finds it: nothing else is remembered of a tap.
//!
//! A bound on the time of TAP is a hint of a relay and no more: a fast relay stays below any bound that honest cards meet.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use card_applet_spec::codes::{Region, Role};
use card_applet_spec::crypto::Key16;
use card_applet_spec::data_group::CardInfo;
use card_applet_spec::date::Date;
use card_applet_spec::door_f::{TapAnswer, TapPlain, tap_command};
use rand_core::CryptoRng;

use crate::bundle::Bundle;
use crate::card::{Card, Selected};
use crate::counting::Stopwatch;
use crate::error::{Check, Error, Refusal, Step};
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

/// A genuine answer to TAP: the card holds the keys of its slot. What the rules say of its record is
/// [`Card::admission`]. Debug shows neither the pseudonym nor the purse.
pub struct Tapped {
    pub(crate) role: Role,
    pub(crate) version: u8,
    pub(crate) m: Key16,
    pub(crate) terminal_challenge: [u8; 16],
    pub(crate) card_challenge: [u8; 16],
    pub(crate) plain: TapPlain,
    pub(crate) judged: Result<Admission, Check>,
    info: CardInfo,
    nanoseconds: u64,
}

impl std::fmt::Debug for Tapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tapped")
            .field("role", &self.role)
            .field("version", &self.version)
            .field("judged", &self.judged)
            .finish_non_exhaustive()
    }
}

/// As [`Tapped`], before it is known on which card's session it stands.
struct GenuineTap {
    role: Role,
    version: u8,
    m: Key16,
    terminal_challenge: [u8; 16],
    card_challenge: [u8; 16],
    plain: TapPlain,
    judged: Result<Admission, Check>,
    nanoseconds: u64,
}

impl GenuineTap {
    fn tapped(self, info: CardInfo) -> Tapped {
        Tapped {
            role: self.role,
            version: self.version,
            m: self.m,
            terminal_challenge: self.terminal_challenge,
            card_challenge: self.card_challenge,
            plain: self.plain,
            judged: self.judged,
            info,
            nanoseconds: self.nanoseconds,
        }
    }
}

/// A stopwatch that stands still: for callers without a bound on the time of TAP.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoWatch;

impl Stopwatch for NoWatch {
    fn nanoseconds(&self) -> u64 {
        0
    }
}

/// A terminal of door F: a bundle, and what came before.
#[derive(Debug)]
pub struct Terminal {
    bundle: Bundle,
    memory: Memory,
    tap_limit: Option<Duration>,
}

impl Terminal {
    /// A terminal with this bundle.
    #[must_use]
    pub fn new(bundle: Bundle) -> Self {
        Self {
            bundle,
            memory: Memory::default(),
            tap_limit: None,
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

    /// Refuses a genuine card whose answer to TAP took longer than this ([`Check::TapTime`]): the card may be elsewhere.
    pub fn set_tap_limit(&mut self, limit: Option<Duration>) {
        self.tap_limit = limit;
    }

    /// Taps a card for a role: with the Active version first, then, if nothing opens, with the Draining one, and a fresh
    /// random number each time.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] with any reason; show the holder what [`crate::Refusal::told`] says only. [`Error::Transport`].
    pub fn tap<T: Transport>(
        &mut self,
        card: Card<T, Selected>,
        role: Role,
        today: Date,
        rng: &mut impl CryptoRng,
    ) -> Result<Admission, Error> {
        Ok(self.open(card, role, today, &NoWatch, rng)?.admission()?)
    }

    /// As [`Terminal::tap`], and keeps the session of a genuine card for what may follow: a debit, an update.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where the card is not genuine or nobody may be accepted today; [`Error::Transport`]. What the
    /// rules say of a genuine card's record is no error here: ask [`Card::admission`].
    pub fn open<T: Transport>(
        &mut self,
        card: Card<T, Selected>,
        role: Role,
        today: Date,
        watch: &impl Stopwatch,
        rng: &mut impl CryptoRng,
    ) -> Result<Card<T, Tapped>, Error> {
        self.may_accept(role, today)?;
        let versions = self.bundle.tap_versions(role, today);
        self.open_versions(card, role, &versions, today, watch, rng)
    }

    /// As [`Terminal::open`] with one key version only: that of a purchase whose outcome is unknown.
    pub(crate) fn open_version<T: Transport>(
        &mut self,
        card: Card<T, Selected>,
        role: Role,
        version: u8,
        today: Date,
        watch: &impl Stopwatch,
        rng: &mut impl CryptoRng,
    ) -> Result<Card<T, Tapped>, Error> {
        self.may_accept(role, today)?;
        self.open_versions(card, role, &[version], today, watch, rng)
    }

    /// Chapter 06, before the card is touched: last day of the bundle, a key of the role, a fresh list, in this order.
    ///
    /// # Errors
    ///
    /// [`Check::BundleDays`], [`Check::BundleRole`], [`Check::DenyListAge`]: nobody is accepted today.
    pub fn may_accept(&self, role: Role, today: Date) -> Result<(), Check> {
        self.bundle.check_days(today)?;
        if !role.has_door_f() || !self.bundle.serves(role) {
            return Err(Check::BundleRole);
        }
        self.bundle.check_deny_list_age(role, today)
    }

    fn open_versions<T: Transport>(
        &mut self,
        mut card: Card<T, Selected>,
        role: Role,
        versions: &[u8],
        today: Date,
        watch: &impl Stopwatch,
        rng: &mut impl CryptoRng,
    ) -> Result<Card<T, Tapped>, Error> {
        let mut last = Check::Keys;
        for version in versions {
            let mut challenge = [0; 16];
            rng.fill_bytes(&mut challenge);
            let command = tap_command(role.code(), *version, &challenge)
                .map_err(|_| Error::BadAnswer { step: Step::Tap })?;
            let before = watch.nanoseconds();
            let answer = card.tapped(&command)?;
            let nanoseconds = watch.nanoseconds().saturating_sub(before);
            match self.genuine(role, *version, &challenge, &answer, nanoseconds, today) {
                Ok(genuine) => {
                    let info = *card.info();
                    return Ok(card.with_state(genuine.tapped(info)));
                }
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
        self.genuine(role, version, challenge, body, 0, today)?.judged
    }

    fn genuine(
        &mut self,
        role: Role,
        version: u8,
        challenge: &[u8; 16],
        body: &[u8],
        nanoseconds: u64,
        today: Date,
    ) -> Result<GenuineTap, Check> {
        let answer = TapAnswer::parse(body).map_err(|_| Check::Application)?;
        // An answer that comes twice brings its random number twice.
        if !self.memory.remember(answer.card_challenge) {
            return Err(Check::Repeated);
        }
        let tap = self.bundle.open_tap(role, version, challenge, &answer, today)?;
        // Only now: how long a stranger's card takes is nobody's business.
        if self
            .tap_limit
            .is_some_and(|limit| u128::from(nanoseconds) > limit.as_nanos())
        {
            return Err(Check::TapTime);
        }
        let judged = self.entitled(role, version, &tap.plain, today);
        Ok(GenuineTap {
            role,
            version,
            m: tap.m,
            terminal_challenge: *challenge,
            card_challenge: answer.card_challenge,
            plain: tap.plain,
            judged,
            nanoseconds,
        })
    }

    fn entitled(&self, role: Role, version: u8, plain: &TapPlain, today: Date) -> Result<Admission, Check> {
        let opened = self
            .bundle
            .open_record(role, version, &plain.pid, &plain.record, today)?;
        self.bundle.apply_rules(&opened.entitlement, &plain.pid, today)?;
        Ok(Admission::new(&opened.entitlement, opened.region))
    }
}

impl<T: Transport> Card<T, Tapped> {
    /// What the rules say of the card's record.
    ///
    /// # Errors
    ///
    /// The refusal; show the holder what [`Refusal::told`] says only.
    pub fn admission(&self) -> Result<Admission, Refusal> {
        self.state().judged.map_err(Refusal::from)
    }

    /// The region whose keys the record opened with, where it did.
    #[must_use]
    pub fn region(&self) -> Option<Region> {
        self.state().judged.ok().map(|admission| admission.region)
    }

    /// How long the answer to TAP took, by the watch that was given.
    #[must_use]
    pub fn tap_time(&self) -> Duration {
        Duration::from_nanos(self.state().nanoseconds)
    }

    /// What the card said of itself.
    #[must_use]
    pub fn info(&self) -> &CardInfo {
        &self.state().info
    }

    /// Drops what is known of the tap; the card stays selected.
    #[must_use]
    pub fn done(self) -> Card<T, Selected> {
        let info = self.state().info;
        self.with_state(Selected { info })
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
