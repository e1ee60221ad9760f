//! What the vault knows of a card: its state, the versions in its slots, what its purse was given, what waits for it.
//!
//! A card is met through scripts (the vault sees the outcome at once) and through sealed updates (receipts come days
//! later, in any order). Every write carries a [`Stamp`] that tells in which order the card did it, so the row says the
//! same whatever order the vault heard it in. No personal data: public keys, pseudonyms, and salted digests of the data
//! groups.

use card_applet_spec::codes::{CardState, Domain, Region, Role, Serial};
use jiff::Timestamp;
use keyvault_protocol::DeliveredBy;
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;

use crate::clock;
use crate::error::Error;
use crate::keys::material::Keys;
use crate::keys::version::RoleKeyId;

/// Values of `loaded` that a row remembers: one a week for nearly twenty years.
const MAX_LOADED: usize = 1024;

/// When the card did something, in the order of the card: the generation of its update keys, then the counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub(crate) struct Stamp {
    #[n(0)]
    pub(crate) generation: u32,
    #[n(1)]
    pub(crate) counter: u32,
}

/// What is known of a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum Standing {
    /// It is on the card.
    #[default]
    #[n(0)]
    Live,
    /// It was sealed or sent; whether it arrived is not known.
    #[n(1)]
    Possible,
    /// It was on the card, and is there no longer.
    #[n(2)]
    Gone,
}

/// A slot of a card.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct CardSlot {
    #[n(0)]
    pub(crate) role: Role,
    #[n(1)]
    pub(crate) region: Region,
    #[n(2)]
    pub(crate) key_version: u8,
    #[n(3)]
    pub(crate) cohort: u8,
    #[cbor(n(4), with = "minicbor::bytes")]
    pub(crate) pid: [u8; 16],
    #[n(5)]
    pub(crate) issue_counter: u32,
    #[cbor(n(6), default)]
    pub(crate) delivered_by: DeliveredBy,
    /// Last day of the record, date4; none in rows of the previous format.
    #[cbor(n(7), with = "minicbor::bytes")]
    pub(crate) expires: Option<[u8; 4]>,
    #[cbor(n(8), default)]
    pub(crate) stamp: Stamp,
    #[cbor(n(9), default)]
    pub(crate) standing: Standing,
}

impl CardSlot {
    /// The key version that it is under.
    pub(crate) fn key(&self) -> RoleKeyId {
        RoleKeyId {
            role: self.role,
            region: self.region,
            version: self.key_version,
        }
    }

    pub(crate) fn is_live(&self) -> bool {
        self.standing == Standing::Live
    }
}

/// A slot that a sealed update took away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
struct Erased {
    #[n(0)]
    role: Role,
    #[n(1)]
    key_version: u8,
    #[n(2)]
    stamp: Stamp,
}

/// A key under which the card may have made a TAC. Kept for as long as the card: debits are settled after a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct PurseKey {
    #[n(0)]
    pub(crate) key_version: u8,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) pid: [u8; 16],
    #[n(2)]
    pub(crate) delivered_by: DeliveredBy,
    /// Generation of the update keys, from which the Ktac of an update comes.
    #[n(3)]
    pub(crate) generation: u32,
}

impl PurseKey {
    /// The Ktac: from the TAC master for a slot of a script, from U-RCPT for one of an update (chapters 04 and 09).
    pub(crate) fn tac_key(
        &self,
        keys: &Keys,
        serial: &Serial,
    ) -> Result<card_applet_spec::crypto::Key16, Error> {
        match self.delivered_by {
            DeliveredBy::Script => keys.tac_key(Role::SmallPayment, self.key_version, &self.pid),
            DeliveredBy::Update => keys.update_tac_key(
                serial,
                self.generation,
                Role::SmallPayment,
                self.key_version,
                &self.pid,
            ),
        }
    }
}

/// Most money in one load, and in one purchase, fen: what a prepaid card without a name may hold (1000 yuan). The vault does not see
/// what a purse spends, so the balance is the office's rule; what an office that lies can add to it is bounded by these.
pub(crate) const MAX_LOAD: u32 = 100_000;

/// Most money that a purse is given in a day, fen: two loads of the most.
const MAX_DAY: u32 = 200_000;

/// Most money that a purse is ever given, fen (50 000 yuan): what a broken key, or an office that lies, can make of one card.
const MAX_LIFE: u32 = 5_000_000;

/// What the vault knows of the purse.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Purse {
    /// Values of `loaded` that the vault ever gave, ascending; 0, which every purse has first, is not among them.
    #[n(0)]
    pub(crate) loaded: Vec<u32>,
    #[n(1)]
    pub(crate) keys: Vec<PurseKey>,
    /// The day of the last load.
    #[n(2)]
    pub(crate) today: Option<LoadDay>,
}

/// A day on which a purse was loaded.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct LoadDay {
    /// Counted from 1970-01-01, UTC+8.
    #[n(0)]
    day: i32,
    /// The largest value given before it.
    #[n(1)]
    before: u32,
}

impl Purse {
    /// The largest value given.
    pub(crate) fn most(&self) -> u32 {
        self.loaded.last().copied().unwrap_or(0)
    }

    /// How much money it is to name this value now, fen; counts it for the day.
    ///
    /// # Errors
    /// [`Error::PurseLimit`].
    pub(crate) fn load(&mut self, loaded: u32, now: Timestamp) -> Result<u32, Error> {
        let limit = |what, most| Err(Error::PurseLimit { what, most });
        let (day, most) = (clock::day_number(clock::day(now)), self.most());
        // A day that comes again, because the time was set back, goes on where it was.
        let known = self.today.as_ref().filter(|known| known.day >= day);
        let before = known.map_or(most, |known| known.before);
        let more = loaded.saturating_sub(most);
        if more > MAX_LOAD {
            return limit("a load", MAX_LOAD);
        }
        if loaded > MAX_LIFE {
            return limit("a purse in its whole life", MAX_LIFE);
        }
        if loaded.saturating_sub(before) > MAX_DAY {
            return limit("a purse in one day", MAX_DAY);
        }
        self.today = Some(LoadDay { day, before });
        Ok(more)
    }

    /// Whether the vault gave this value.
    pub(crate) fn gave(&self, loaded: u32) -> bool {
        loaded == 0
            || self.loaded.binary_search(&loaded).is_ok()
            // Behind the horizon: older than all that is remembered.
            || (self.loaded.len() == MAX_LOADED && self.loaded.first().is_some_and(|first| loaded < *first))
    }

    pub(crate) fn give(&mut self, loaded: u32) {
        if let Err(place) = self.loaded.binary_search(&loaded)
            && loaded > 0
        {
            self.loaded.insert(place, loaded);
            if self.loaded.len() > MAX_LOADED {
                self.loaded.remove(0);
            }
        }
    }

    fn remember(&mut self, key: PurseKey) {
        if !self.keys.contains(&key) {
            self.keys.push(key);
        }
    }
}

/// The rewrite whose outcome on the card is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Writing {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) order: [u8; 16],
    #[n(1)]
    pub(crate) index: u32,
    #[n(2)]
    pub(crate) purpose: Purpose,
}

/// Why a rewrite is done; each has a job of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum Purpose {
    /// The order asks for it.
    #[n(0)]
    Content,
    /// New update keys behind an unblock.
    #[n(1)]
    Renewal,
}

impl Writing {
    /// Id of the job's row.
    pub(crate) fn job_id(&self) -> Vec<u8> {
        let mut id = crate::card::record::job_id(&self.order, self.index);
        if self.purpose == Purpose::Renewal {
            id.push(1);
        }
        id
    }
}

pub(crate) fn job_id(order: &[u8; 16], index: u32) -> Vec<u8> {
    [&order[..], &index.to_be_bytes()].concat()
}

/// A card that the vault writes or wrote; the row's id is the serial.
#[derive(Clone, Debug, Encode, Decode)]
pub(crate) struct Card {
    /// The order that personalised it.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) order: [u8; 16],
    #[n(1)]
    pub(crate) index: u32,
    /// Its state, as far as the vault has heard; BLANK until it is finished.
    #[n(2)]
    pub(crate) state: CardState,
    #[n(3)]
    pub(crate) slots: Vec<CardSlot>,
    /// Generation of the update keys; 0 since the personalisation.
    #[cbor(n(4), default)]
    pub(crate) generation: u32,
    /// Counter given out last, to an update or to a script.
    #[cbor(n(5), default)]
    pub(crate) counter: u32,
    /// Largest counter that a receipt of the present generation proved: everything up to it is over.
    #[cbor(n(6), default)]
    pub(crate) applied: u32,
    /// public64 of the key pairs, by domain.
    #[cbor(n(7), with = "minicbor::bytes")]
    pub(crate) publics: Option<[u8; 192]>,
    /// SHA-256 of DG1, DG2, DG3; none for a card of the previous format until all three are written again.
    #[cbor(n(8), with = "minicbor::bytes")]
    pub(crate) groups: Option<[u8; 96]>,
    #[cbor(n(9), default)]
    groups_stamp: Stamp,
    #[cbor(n(10), default)]
    state_stamp: Stamp,
    #[cbor(n(11), default)]
    pub(crate) purse: Purse,
    /// Last issue counter of each role, by role number less one.
    #[cbor(n(12), default)]
    issue_counters: Vec<u32>,
    #[cbor(n(13), default)]
    erased: Vec<Erased>,
    /// Changes that were sealed and can still reach the card.
    #[cbor(n(14), default)]
    pub(crate) changes: Vec<PendingChange>,
    #[n(15)]
    pub(crate) writing: Option<Writing>,
    /// The office said that it is out of use: destroyed, replaced, or its permit ended. It is not counted among the live
    /// cards, and is on the deny lists.
    #[cbor(n(16), default)]
    pub(crate) out_of_use: bool,
    /// What the printed number is known by; none for a card of before the vault gave numbers out.
    #[cbor(n(17), with = "minicbor::bytes")]
    pub(crate) number: Option<[u8; 16]>,
    /// SHA-256 of the statement that was signed for its back.
    #[cbor(n(18), with = "minicbor::bytes")]
    pub(crate) back: Option<[u8; 32]>,
}

/// A change of the card that was sealed as updates, by its number in [`Table::CardChange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct PendingChange {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) change: [u8; 16],
    /// Largest counter of its envelopes.
    #[n(1)]
    pub(crate) last: Stamp,
}

impl Card {
    /// A card on which a personalisation begins.
    pub(crate) fn begun(order: [u8; 16], index: u32) -> Self {
        Self {
            order,
            index,
            state: CardState::Blank,
            slots: Vec::new(),
            generation: 0,
            counter: 0,
            applied: 0,
            publics: None,
            groups: None,
            groups_stamp: Stamp::default(),
            state_stamp: Stamp::default(),
            purse: Purse::default(),
            issue_counters: Vec::new(),
            erased: Vec::new(),
            changes: Vec::new(),
            writing: None,
            out_of_use: false,
            number: None,
            back: None,
        }
    }

    /// Whether its personalisation was finished.
    pub(crate) fn is_finished(&self) -> bool {
        self.state != CardState::Blank
    }

    /// Whether it was personalised, is not ended and not out of use.
    pub(crate) fn is_in_life(&self) -> bool {
        self.is_finished() && self.state != CardState::Terminated && !self.out_of_use
    }

    /// The slots that are on the card.
    pub(crate) fn live(&self) -> impl Iterator<Item = &CardSlot> {
        self.slots.iter().filter(|slot| slot.is_live())
    }

    /// The next stamp, taken: a random step of 1 to 65,535 behind the last one. Counters stand in the clear in batches; if
    /// they followed each other, two operators who compare theirs would join the pseudonyms of a card, and the number
    /// would say how often it was changed (chapter 09).
    pub(crate) fn next_stamp(&mut self, rng: &mut (impl CryptoRng + ?Sized)) -> Result<Stamp, Error> {
        let step = rng.next_u32() % u32::from(u16::MAX) + 1;
        self.counter = self.counter.checked_add(step).ok_or(Error::LimitExceeded {
            what: "the number of updates of a card",
            limit: u32::MAX,
        })?;
        Ok(Stamp {
            generation: self.generation,
            counter: self.counter,
        })
    }

    /// The next issue counter of a role, taken.
    pub(crate) fn next_issue_counter(&mut self, role: Role) -> u32 {
        self.issue_counters.resize(Role::ALL.len(), 0);
        let known = self
            .slots
            .iter()
            .filter(|slot| slot.role == role)
            .map(|slot| slot.issue_counter)
            .max();
        let index = usize::from(role.code()).saturating_sub(1);
        let Some(counter) = self.issue_counters.get_mut(index) else {
            return 1;
        };
        *counter = (*counter).max(known.unwrap_or(0)).saturating_add(1);
        *counter
    }

    /// public64 of a key pair.
    pub(crate) fn public(&self, domain: Domain) -> Result<[u8; 64], Error> {
        let start = usize::from(domain.code()).saturating_sub(1) * 64;
        self.publics
            .as_ref()
            .and_then(|publics| publics.get(start..start + 64)?.try_into().ok())
            .ok_or(Error::NotFound {
                what: "public keys of this card",
            })
    }

    /// Digests of the data groups.
    pub(crate) fn group_digests(&self) -> Option<[[u8; 32]; 3]> {
        let groups = self.groups.as_ref()?;
        let part = |n: usize| groups.get(n * 32..n * 32 + 32)?.try_into().ok();
        Some([part(0)?, part(1)?, part(2)?])
    }

    /// Digests as the card has them behind `stamp`.
    pub(crate) fn groups_written(&mut self, digests: [[u8; 32]; 3], stamp: Stamp) {
        if stamp >= self.groups_stamp {
            let mut groups = [0; 96];
            groups.copy_from_slice(&digests.concat());
            self.groups = Some(groups);
            self.groups_stamp = stamp;
        }
    }

    /// The digest of DG3 alone.
    pub(crate) fn permit_written(&mut self, digest: [u8; 32], stamp: Stamp) {
        if let Some([dg1, dg2, _]) = self.group_digests() {
            self.groups_written([dg1, dg2, digest], stamp);
        }
    }

    /// The card is in `state` since `stamp`.
    pub(crate) fn entered(&mut self, state: CardState, stamp: Stamp) {
        if stamp >= self.state_stamp && self.state != CardState::Terminated {
            self.state = state;
            self.state_stamp = stamp;
        }
        if state == CardState::Terminated {
            self.state = state;
            // Its pseudonyms stay: a copy that somebody made of it can still be denied.
            for slot in &mut self.slots {
                slot.standing = Standing::Gone;
            }
            self.changes.clear();
            self.writing = None;
        }
    }

    /// A slot was sealed or sent: from now on it may be on the card.
    pub(crate) fn slot_sent(&mut self, slot: CardSlot) {
        if slot.role == Role::SmallPayment {
            self.purse.remember(PurseKey {
                key_version: slot.key_version,
                pid: slot.pid,
                delivered_by: slot.delivered_by,
                generation: slot.stamp.generation,
            });
        }
        if !self.slots.iter().any(|known| known.pid == slot.pid) {
            self.slots.push(slot);
        }
    }

    /// A slot that never came onto the card, for sure.
    pub(crate) fn slot_never_arrived(&mut self, pid: &[u8; 16]) {
        self.slots
            .retain(|slot| slot.pid != *pid || slot.standing != Standing::Possible);
    }

    /// The card did it at `stamp`: older versions than the one before it have left the card (flags bit 0).
    pub(crate) fn slot_written(&mut self, slot: CardSlot, stamp: Stamp) {
        let role = slot.role;
        let pid = slot.pid;
        self.slot_sent(slot);
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.pid == pid) {
            slot.stamp = stamp;
            slot.standing = Standing::Live;
        }
        self.replay(role);
    }

    /// The card took the slot (role, version) away at `stamp`.
    pub(crate) fn slot_erased(&mut self, role: Role, key_version: u8, stamp: Stamp) {
        self.erased.push(Erased {
            role,
            key_version,
            stamp,
        });
        self.replay(role);
    }

    /// Does everything that is known of a role again in the order of the card.
    fn replay(&mut self, role: Role) {
        enum Done {
            Slot([u8; 16], u8),
            Erase(u8),
        }
        let known = |slot: &&CardSlot| slot.role == role && slot.standing != Standing::Possible;
        let slots = self.slots.iter().filter(known).map(|slot| {
            let done = Done::Slot(slot.pid, slot.key_version);
            (slot.stamp, done)
        });
        let erased = self.erased.iter().filter(|erased| erased.role == role);
        let mut done: Vec<(Stamp, Done)> = slots
            .chain(erased.map(|erased| (erased.stamp, Done::Erase(erased.key_version))))
            .collect();
        done.sort_by_key(|(stamp, _)| *stamp);
        let mut live: Vec<([u8; 16], u8)> = Vec::new();
        for (_, done) in done {
            match done {
                Done::Slot(pid, version) => {
                    live.retain(|(_, other)| other.checked_add(1) == Some(version));
                    live.push((pid, version));
                }
                Done::Erase(version) => live.retain(|(_, other)| *other != version),
            }
        }
        for slot in self
            .slots
            .iter_mut()
            .filter(|slot| slot.role == role && slot.standing != Standing::Possible)
        {
            slot.standing = if live.iter().any(|(pid, _)| *pid == slot.pid) {
                Standing::Live
            } else {
                Standing::Gone
            };
        }
        // Once nothing can be heard of late, what is gone need not be remembered.
        let late = self
            .slots
            .iter()
            .any(|slot| slot.role == role && slot.standing == Standing::Possible);
        if !late && self.changes.is_empty() {
            self.slots
                .retain(|slot| slot.role != role || slot.standing != Standing::Gone);
            self.erased.retain(|erased| erased.role != role);
        }
    }

    /// Changes that no longer can reach the card leave the row; gives their numbers.
    pub(crate) fn forget_what_is_over(&mut self) -> Vec<[u8; 16]> {
        let (generation, applied) = (self.generation, self.applied);
        let over =
            |change: &PendingChange| change.last.generation == generation && change.last.counter <= applied;
        let gone = self
            .changes
            .iter()
            .filter(|change| over(change))
            .map(|change| change.change)
            .collect();
        self.changes.retain(|change| !over(change));
        gone
    }

    /// The pseudonyms that the card shows or may show; all of an ended one, which may have been copied.
    pub(crate) fn shown(&self) -> impl Iterator<Item = &CardSlot> {
        let ended = self.state == CardState::Terminated;
        self.slots
            .iter()
            .filter(move |slot| ended || slot.standing != Standing::Gone)
    }
}

/// Row of what names a card elsewhere (a purse's pseudonym, the printed number): whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Owner {
    #[n(0)]
    pub(crate) serial: Serial,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;

    use super::*;

    fn slot(version: u8, pid: u8) -> CardSlot {
        CardSlot {
            role: Role::Transit,
            region: "440300".parse().unwrap(),
            key_version: version,
            cohort: 0,
            pid: [pid; 16],
            issue_counter: 1,
            delivered_by: DeliveredBy::Update,
            expires: None,
            stamp: Stamp::default(),
            standing: Standing::Possible,
        }
    }

    fn stamp(counter: u32) -> Stamp {
        Stamp {
            generation: 0,
            counter,
        }
    }

    #[test]
    fn counters_of_updates_grow_by_steps_that_nobody_can_count() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(9);
        let mut card = Card::begun([0; 16], 0);
        let mut steps = std::collections::BTreeSet::new();
        for _ in 0..64 {
            let before = card.counter;
            let step = card.next_stamp(&mut rng).unwrap().counter - before;
            assert!((1..=65_535).contains(&step));
            steps.insert(step);
        }
        assert!(steps.len() > 60, "{} different steps of 64", steps.len());
    }

    fn versions(card: &Card) -> Vec<u8> {
        let mut live: Vec<u8> = card.live().map(|slot| slot.key_version).collect();
        live.sort_unstable();
        live
    }

    /// The card: what a slot and an erasure do, in the order in which they come.
    fn model(done: &[(bool, u8)]) -> Vec<u8> {
        let mut live: Vec<u8> = Vec::new();
        for (erase, version) in done {
            if *erase {
                live.retain(|other| other != version);
            } else {
                live.retain(|other| other.checked_add(1) == Some(*version));
                live.push(*version);
            }
        }
        live.sort_unstable();
        live
    }

    proptest! {
        #[test]
        fn receipts_in_any_order_give_what_the_card_has(
            done in proptest::collection::vec((any::<bool>(), 1u8..6), 1..9),
            order in proptest::collection::vec(any::<u32>(), 9),
        ) {
            let mut card = Card::begun([1; 16], 0);
            for (n, (erase, version)) in (1u8..).zip(&done) {
                card.changes.push(PendingChange { change: [n; 16], last: stamp(u32::from(n)) });
                if !erase {
                    card.slot_sent(slot(*version, n));
                }
            }
            let mut heard: Vec<usize> = (0..done.len()).collect();
            heard.sort_by_key(|n| order[*n]);
            for n in heard {
                let (erase, version) = done[n];
                let number = u8::try_from(n + 1).unwrap();
                if erase {
                    card.slot_erased(Role::Transit, version, stamp(u32::from(number)));
                } else {
                    card.slot_written(slot(version, number), stamp(u32::from(number)));
                }
            }
            prop_assert_eq!(versions(&card), model(&done));
        }
    }

    #[test]
    fn a_value_of_loaded_that_was_never_given_is_not_known() {
        let mut purse = Purse::default();
        for loaded in [5_000, 1_000, 5_000] {
            purse.give(loaded);
        }
        assert!(purse.gave(0) && purse.gave(1_000) && purse.gave(5_000));
        assert!(!purse.gave(999) && !purse.gave(5_001) && !purse.gave(6_000));
        assert_eq!(purse.most(), 5_000);
        let at = |day: i8| -> Timestamp { format!("2026-11-{day:02}T04:00:00Z").parse().unwrap() };
        assert_eq!(purse.load(5_000 + MAX_LOAD, at(1)).unwrap(), MAX_LOAD);
        assert_eq!(purse.load(4_000, at(1)).unwrap(), 0);
        for (loaded, most) in [(5_001 + MAX_LOAD, MAX_LOAD), (u32::MAX, MAX_LOAD)] {
            let error = purse.load(loaded, at(1)).unwrap_err();
            assert_eq!(error, Error::PurseLimit { what: "a load", most });
        }
        // Two of the most on one day, and another two on the next one; not where the day comes again.
        let loads = |purse: &mut Purse, day| {
            let loads = (0..).take_while(|_| {
                let loaded = purse.most() + MAX_LOAD;
                let is_given = purse.load(loaded, at(day)).is_ok();
                if is_given {
                    purse.give(loaded);
                }
                is_given
            });
            loads.count()
        };
        for (day, given) in [(2, 2), (3, 2), (2, 0), (4, 2)] {
            assert_eq!(loads(&mut purse, day), given, "{day}");
        }
        purse.give(MAX_LIFE - 1);
        assert_eq!(purse.load(MAX_LIFE, at(5)).unwrap(), 1);
        let error = purse.load(MAX_LIFE + 1, at(5)).unwrap_err();
        assert_eq!(error.code(), "PURSE_LIMIT");
    }

    #[test]
    fn a_row_of_the_previous_format_is_read_as_a_card_without_updates() {
        #[derive(Encode)]
        struct PreviousSlot {
            #[n(0)]
            role: Role,
            #[n(1)]
            region: Region,
            #[n(2)]
            key_version: u8,
            #[n(3)]
            cohort: u8,
            #[cbor(n(4), with = "minicbor::bytes")]
            pid: [u8; 16],
            #[n(5)]
            issue_counter: u32,
        }
        #[derive(Encode)]
        struct Previous {
            #[cbor(n(0), with = "minicbor::bytes")]
            order: [u8; 16],
            #[n(1)]
            index: u32,
            #[n(2)]
            state: u8,
            #[n(3)]
            slots: Vec<PreviousSlot>,
        }
        let previous = Previous {
            order: [1; 16],
            index: 2,
            state: 3,
            slots: vec![PreviousSlot {
                role: Role::Transit,
                region: "440300".parse().unwrap(),
                key_version: 1,
                cohort: 7,
                pid: [9; 16],
                issue_counter: 1,
            }],
        };
        let bytes = minicbor::to_vec(&previous).unwrap();
        let card: Card = minicbor::decode(&bytes).unwrap();
        assert!(card.is_in_life() && card.groups.is_none() && card.changes.is_empty());
        let slot = card.live().next().unwrap();
        assert_eq!(
            (slot.delivered_by, slot.stamp, slot.expires),
            (DeliveredBy::Script, Stamp::default(), None)
        );
    }
}
