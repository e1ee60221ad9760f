//! The control block: what is live, what is staged, counters. Two copies, a generation, a check value; whichever whole
//! copy has the higher generation counts (chapter 10).

use card_applet_spec::Error;
use card_applet_spec::bytes::{Reader, SliceWriter, Write};
use card_applet_spec::codes::{CardState, Role};
use card_applet_spec::crypto::{equal, memory_check};
use card_applet_spec::date::Date;
use card_applet_spec::script::ScriptKind;

use crate::memory::{CONTROL_LEN, Half, ROLES, SLOTS_PER_ROLE};

const MAGIC: [u8; 4] = *b"YZC3";
const CHECK_LEN: usize = 8;
const BODY_LEN: usize = CONTROL_LEN - CHECK_LEN;

/// A thing of which there are two copies: which one is live, and whether the other one is staged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) live: Option<Half>,
    pub(crate) staged: bool,
}

impl Pair {
    pub(crate) const EMPTY: Self = Self {
        live: None,
        staged: false,
    };

    /// Where the next version is written.
    pub(crate) fn spare(self) -> Half {
        self.live.map_or(Half::A, Half::other)
    }

    /// What is staged becomes live.
    pub(crate) fn flip(&mut self) {
        if self.staged {
            self.live = Some(self.spare());
            self.staged = false;
        }
    }

    fn code(self) -> u8 {
        let live = match self.live {
            None => 0,
            Some(Half::A) => 1,
            Some(Half::B) => 2,
        };
        live | u8::from(self.staged) << 4
    }

    fn from_code(code: u8) -> Result<Self, Error> {
        let live = match code & 0x0F {
            0 => None,
            1 => Some(Half::A),
            2 => Some(Half::B),
            _ => return Err(DAMAGED),
        };
        Ok(Self {
            live,
            staged: code >> 4 == 1,
        })
    }
}

/// One of DG1, DG2, DG3, signature object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ObjectState {
    pub(crate) pair: Pair,
    /// Length of the live copy.
    pub(crate) len: u16,
    /// Length that the staged copy will have.
    pub(crate) total: u16,
    /// How much of it has arrived.
    pub(crate) received: u16,
}

impl ObjectState {
    const EMPTY: Self = Self {
        pair: Pair::EMPTY,
        len: 0,
        total: 0,
        received: 0,
    };
}

/// A key pair of the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DomainState {
    /// Staged means: a pair was generated.
    pub(crate) pair: Pair,
    /// The staged pair has its certificate.
    pub(crate) certified: bool,
}

/// A physical slot of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SlotState {
    Empty,
    Live {
        kv: u8,
    },
    Staged {
        kv: u8,
        /// Flags bit 0 of the SLOT step.
        drop_others: bool,
        /// Its PURSE step has come.
        purse: bool,
    },
}

impl SlotState {
    fn codes(self) -> [u8; 2] {
        match self {
            Self::Empty => [0, 0],
            Self::Live { kv } => [1, kv],
            Self::Staged {
                kv,
                drop_others,
                purse,
            } => [2 | u8::from(drop_others) | u8::from(purse) << 2, kv],
        }
    }

    fn from_codes(codes: [u8; 2]) -> Result<Self, Error> {
        Ok(match codes {
            [0, 0] => Self::Empty,
            [1, kv] => Self::Live { kv },
            [code @ (2 | 3 | 6 | 7), kv] => Self::Staged {
                kv,
                drop_others: code & 1 == 1,
                purse: code & 4 == 4,
            },
            _ => return Err(DAMAGED),
        })
    }
}

/// The script of door I.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ScriptState {
    /// Kind while the script is open.
    pub(crate) open: Option<ScriptKind>,
    pub(crate) script: [u8; 16],
    pub(crate) last: u16,
    /// h(last).
    pub(crate) digest: [u8; 32],
    /// h(last - 1), to know a repetition.
    pub(crate) before: [u8; 32],
}

/// What of the one purse changes by a script. What changes by a debit is in the purse's own two copies, so that a
/// script that is staged for an hour cannot undo the debits of that hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PurseControl {
    /// True once a slot with a purse was live. It stays so: the purse outlives every slot.
    pub(crate) live: bool,
    /// All money ever loaded, in fen.
    pub(crate) loaded: u32,
    /// Largest `loaded` of the staged SLOT steps.
    pub(crate) staged_loaded: u32,
    /// Start of the counter from the staged PURSE step; it counts only where no purse is live yet.
    pub(crate) staged_seq: u32,
}

/// The last sealed update that the card did; zeros before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UpdateControl {
    pub(crate) counter: u32,
    pub(crate) mac: [u8; 16],
}

/// Everything small that changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) generation: u32,
    pub(crate) state: CardState,
    /// Where Unblock goes back to.
    pub(crate) before_block: CardState,
    pub(crate) floor: Date,
    pub(crate) epoch: u16,
    /// Epoch and floor of a staged TRUST.
    pub(crate) staged_epoch: u16,
    pub(crate) staged_floor: Date,
    pub(crate) keys: Pair,
    pub(crate) trust: Pair,
    pub(crate) script: ScriptState,
    pub(crate) objects: [ObjectState; 4],
    pub(crate) domains: [DomainState; 3],
    pub(crate) slots: [[SlotState; SLOTS_PER_ROLE]; ROLES],
    pub(crate) purse: PurseControl,
    pub(crate) update: UpdateControl,
}

/// Index of `SMALL_PAYMENT`, the role with the purse.
pub(crate) const SMALL_PAYMENT: usize = 2;

const DAMAGED: Error = Error::Malformed {
    what: "control block",
};

impl Control {
    /// A card as it leaves the factory: transport keys live in half A, nothing else.
    pub(crate) const BLANK: Self = Self {
        generation: 1,
        state: CardState::Blank,
        before_block: CardState::Blank,
        floor: Date::NONE,
        epoch: 0,
        staged_epoch: 0,
        staged_floor: Date::NONE,
        keys: Pair {
            live: Some(Half::A),
            staged: false,
        },
        trust: Pair::EMPTY,
        script: ScriptState {
            open: None,
            script: [0; 16],
            last: 0,
            digest: [0; 32],
            before: [0; 32],
        },
        objects: [ObjectState::EMPTY; 4],
        domains: [DomainState {
            pair: Pair::EMPTY,
            certified: false,
        }; 3],
        slots: [[SlotState::Empty; SLOTS_PER_ROLE]; ROLES],
        purse: PurseControl {
            live: false,
            loaded: 0,
            staged_loaded: 0,
            staged_seq: 0,
        },
        update: UpdateControl {
            counter: 0,
            mac: [0; 16],
        },
    };

    pub(crate) fn encode(&self) -> Result<[u8; CONTROL_LEN], Error> {
        let mut body = [0; BODY_LEN];
        let mut out = SliceWriter::new(&mut body);
        out.put(&MAGIC)?;
        out.put(&self.generation.to_be_bytes())?;
        out.put(&[self.state.code(), self.before_block.code()])?;
        out.put(&self.floor.to_bytes())?;
        out.put(&self.epoch.to_be_bytes())?;
        out.put(&self.staged_epoch.to_be_bytes())?;
        out.put(&self.staged_floor.to_bytes())?;
        out.put(&[self.keys.code(), self.trust.code()])?;
        out.put(&[self.script.open.map_or(0, ScriptKind::code)])?;
        out.put(&self.script.script)?;
        out.put(&self.script.last.to_be_bytes())?;
        out.put(&self.script.digest)?;
        out.put(&self.script.before)?;
        for object in &self.objects {
            out.put(&[object.pair.code()])?;
            out.put(&object.len.to_be_bytes())?;
            out.put(&object.total.to_be_bytes())?;
            out.put(&object.received.to_be_bytes())?;
        }
        for domain in &self.domains {
            out.put(&[domain.pair.code(), u8::from(domain.certified)])?;
        }
        for slot in self.slots.iter().flatten() {
            out.put(&slot.codes())?;
        }
        out.put(&[u8::from(self.purse.live)])?;
        out.put(&self.purse.loaded.to_be_bytes())?;
        out.put(&self.purse.staged_loaded.to_be_bytes())?;
        out.put(&self.purse.staged_seq.to_be_bytes())?;
        out.put(&self.update.counter.to_be_bytes())?;
        out.put(&self.update.mac)?;
        let check = memory_check(&[&body]);
        let mut block = [0; CONTROL_LEN];
        let mut out = SliceWriter::new(&mut block);
        out.put(&body)?;
        out.put(&check)?;
        Ok(block)
    }

    pub(crate) fn decode(block: &[u8; CONTROL_LEN]) -> Result<Self, Error> {
        let (body, check) = block.split_last_chunk::<CHECK_LEN>().ok_or(DAMAGED)?;
        if !equal(&memory_check(&[body]), check) {
            return Err(DAMAGED);
        }
        let mut reader = Reader::new(body, "control block");
        if reader.array()? != MAGIC {
            return Err(DAMAGED);
        }
        let mut control = Self::BLANK;
        control.generation = reader.u32()?;
        control.state = CardState::try_from(reader.u8()?)?;
        control.before_block = CardState::try_from(reader.u8()?)?;
        control.floor = Date::from_bytes(reader.array()?)?;
        control.epoch = reader.u16()?;
        control.staged_epoch = reader.u16()?;
        control.staged_floor = Date::from_bytes(reader.array()?)?;
        control.keys = Pair::from_code(reader.u8()?)?;
        control.trust = Pair::from_code(reader.u8()?)?;
        control.script.open = match reader.u8()? {
            0 => None,
            kind => Some(ScriptKind::try_from(kind)?),
        };
        control.script.script = reader.array()?;
        control.script.last = reader.u16()?;
        control.script.digest = reader.array()?;
        control.script.before = reader.array()?;
        for object in &mut control.objects {
            object.pair = Pair::from_code(reader.u8()?)?;
            object.len = reader.u16()?;
            object.total = reader.u16()?;
            object.received = reader.u16()?;
        }
        for domain in &mut control.domains {
            domain.pair = Pair::from_code(reader.u8()?)?;
            domain.certified = reader.u8()? == 1;
        }
        for slot in control.slots.iter_mut().flatten() {
            *slot = SlotState::from_codes(reader.array()?)?;
        }
        control.purse.live = reader.u8()? == 1;
        control.purse.loaded = reader.u32()?;
        control.purse.staged_loaded = reader.u32()?;
        control.purse.staged_seq = reader.u32()?;
        control.update.counter = reader.u32()?;
        control.update.mac = reader.array()?;
        Ok(control)
    }

    /// Drops whatever an unfinished script has staged.
    pub(crate) fn drop_staged(&mut self) {
        self.keys.staged = false;
        self.trust.staged = false;
        for object in &mut self.objects {
            object.pair.staged = false;
            object.total = 0;
            object.received = 0;
        }
        for domain in &mut self.domains {
            domain.pair.staged = false;
            domain.certified = false;
        }
        for slot in self.slots.iter_mut().flatten() {
            if matches!(slot, SlotState::Staged { .. }) {
                *slot = SlotState::Empty;
            }
        }
        self.purse.staged_loaded = 0;
        self.purse.staged_seq = 0;
    }

    /// True when a personalisation has everything that chapter 05 asks for.
    pub(crate) fn is_complete(&self) -> bool {
        self.keys.staged
            && self.trust.staged
            && self
                .objects
                .iter()
                .all(|object| object.pair.staged && object.received == object.total)
            && self
                .domains
                .iter()
                .all(|domain| domain.pair.staged && domain.certified)
    }

    /// True when no object or key pair was staged in part.
    pub(crate) fn has_no_half_staged(&self) -> bool {
        self.objects
            .iter()
            .all(|object| !object.pair.staged || object.received == object.total)
            && self
                .domains
                .iter()
                .all(|domain| !domain.pair.staged || domain.certified)
    }

    /// True unless a staged slot of `SMALL_PAYMENT` lacks its PURSE: it would go live with a key of zeros.
    pub(crate) fn has_its_purses(&self) -> bool {
        let slots = self.slots.get(SMALL_PAYMENT).into_iter().flatten();
        !slots
            .into_iter()
            .any(|slot| matches!(slot, SlotState::Staged { purse: false, .. }))
    }

    /// True when FINALISE brings the card its first purse.
    pub(crate) fn stages_first_purse(&self) -> bool {
        let slots = self.slots.get(SMALL_PAYMENT).into_iter().flatten();
        !self.purse.live
            && slots
                .into_iter()
                .any(|slot| matches!(slot, SlotState::Staged { .. }))
    }

    /// Makes everything staged live.
    pub(crate) fn make_live(&mut self) {
        self.keys.flip();
        if self.trust.staged {
            // Set, not raised: only the issuer gets here, and this is how a floor that a wrong clock moved comes back.
            self.epoch = self.staged_epoch;
            self.floor = self.staged_floor;
        }
        self.trust.flip();
        for object in &mut self.objects {
            if object.pair.staged {
                object.len = object.total;
                object.total = 0;
                object.received = 0;
                object.pair.flip();
            }
        }
        let renewed = self.domains.map(|domain| domain.pair.staged);
        for domain in &mut self.domains {
            domain.pair.flip();
            domain.certified = false;
        }
        // The purse is one and goes on: what was spent stays spent, and loaded only grows.
        self.purse.live |= self.stages_first_purse();
        self.purse.loaded = self.purse.loaded.max(self.purse.staged_loaded);
        self.purse.staged_loaded = 0;
        self.purse.staged_seq = 0;
        for (slots, role) in self.slots.iter_mut().zip(Role::ALL) {
            let domain = usize::from(role.domain().code()).saturating_sub(1);
            if renewed.get(domain) == Some(&true) {
                // Their records are bound to the key that is gone.
                drop_live(slots);
            }
            make_slots_live(slots);
        }
    }
}

fn drop_live(slots: &mut [SlotState; SLOTS_PER_ROLE]) {
    for slot in slots {
        if matches!(slot, SlotState::Live { .. }) {
            *slot = SlotState::Empty;
        }
    }
}

/// Staged slots become live; of the older ones at most one stays, so that two are live and one is spare.
fn make_slots_live(slots: &mut [SlotState; SLOTS_PER_ROLE]) {
    let staged = slots.iter().filter_map(|slot| match slot {
        SlotState::Staged { kv, drop_others, .. } => Some((*kv, *drop_others)),
        _ => None,
    });
    let Some((newest, drop_others)) = staged.max() else {
        return;
    };
    let staged_versions = slots.map(|slot| matches!(slot, SlotState::Staged { .. }).then_some(slot));
    let is_staged_version = |kv: u8| {
        staged_versions
            .iter()
            .flatten()
            .any(|slot| matches!(slot, SlotState::Staged { kv: s, .. } if *s == kv))
    };
    // The newest older version, unless a staged slot replaces it or the step asked for v - 1 only.
    let keep = slots
        .iter()
        .filter_map(|slot| match slot {
            SlotState::Live { kv } if !is_staged_version(*kv) => Some(*kv),
            _ => None,
        })
        .filter(|kv| !drop_others || kv.checked_add(1) == Some(newest))
        .max();
    let two_staged = staged_versions.iter().flatten().nth(1).is_some();
    for slot in slots.iter_mut() {
        *slot = match *slot {
            SlotState::Staged { kv, .. } => SlotState::Live { kv },
            SlotState::Live { kv } if Some(kv) == keep && !two_staged => SlotState::Live { kv },
            SlotState::Live { .. } | SlotState::Empty => SlotState::Empty,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_read_as_it_was_written_and_not_when_any_byte_differs() {
        let mut control = Control::BLANK;
        control.state = CardState::Active;
        control.slots[0][1] = SlotState::Live { kv: 3 };
        control.slots[4][2] = SlotState::Staged {
            kv: 9,
            drop_others: true,
            purse: true,
        };
        control.purse.loaded = 7;
        control.update = UpdateControl {
            counter: 9,
            mac: [3; 16],
        };
        control.objects[2].pair = Pair {
            live: Some(Half::B),
            staged: true,
        };
        let block = control.encode().unwrap();
        assert_eq!(Control::decode(&block).unwrap(), control);
        for at in 0..block.len() {
            let mut block = block;
            block[at] ^= 0x40;
            assert!(Control::decode(&block).is_err(), "byte {at}");
        }
    }

    #[test]
    fn two_slots_are_live_and_one_is_spare() {
        use SlotState::{Empty, Live, Staged};
        let live = |kv| Live { kv };
        let staged = |kv, drop_others| Staged {
            kv,
            drop_others,
            purse: false,
        };
        let after = |mut slots: [SlotState; 3]| {
            make_slots_live(&mut slots);
            slots
        };
        assert_eq!(after([Empty, staged(1, false), Empty]), [Empty, live(1), Empty]);
        assert_eq!(
            after([live(1), staged(2, false), Empty]),
            [live(1), live(2), Empty]
        );
        assert_eq!(
            after([live(1), live(2), staged(3, false)]),
            [Empty, live(2), live(3)]
        );
        assert_eq!(after([live(1), staged(3, true), Empty]), [Empty, live(3), Empty]);
        assert_eq!(
            after([live(2), staged(3, true), Empty]),
            [live(2), live(3), Empty]
        );
        assert_eq!(after([live(2), staged(2, false), Empty]), [Empty, live(2), Empty]);
        assert_eq!(
            after([live(1), staged(2, false), staged(3, false)]),
            [Empty, live(2), live(3)]
        );
        assert_eq!(after([live(1), live(2), Empty]), [live(1), live(2), Empty]);
    }
}
