//! Memory with its control block: what is read is the last committed state, what is written becomes it only by
//! [`Storage::commit`] (chapter 10).

use card_applet_spec::Error as SpecError;
use card_applet_spec::bytes::{Reader, SliceWriter, Write};
use card_applet_spec::crypto::{Key16, equal, memory_check};
use zeroize::Zeroizing;

use crate::control::{Control, SlotState};
use crate::memory::{
    self, Area, CONTROL_LEN, COUNTER_LEN, Half, MEMORY_LEN, Memory, MemoryFault, ROLES, SLOTS_PER_ROLE,
};

/// Memory, and the control block that counts.
pub(crate) struct Storage<M> {
    memory: M,
    control: Control,
    half: Half,
    failures: Counter,
    failures_half: Half,
}

impl<M> core::fmt::Debug for Storage<M> {
    /// The state; the memory holds keys and a person, the control block an amount of money.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Storage({})", self.control.state)
    }
}

/// Door I's failure counter, one of two copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counter {
    generation: u32,
    failures: u8,
}

impl Counter {
    /// When no copy is whole, which no cut does: locked, until the office opens door I again.
    const DAMAGED: Self = Self {
        generation: 0,
        failures: u8::MAX,
    };

    fn encode(self) -> Result<[u8; COUNTER_LEN], SpecError> {
        let mut out = [0; COUNTER_LEN];
        let mut writer = SliceWriter::new(&mut out);
        writer.put(&self.generation.to_be_bytes())?;
        writer.put(&[self.failures, 0, 0, 0])?;
        let check = memory_check(&[&self.generation.to_be_bytes(), &[self.failures]]);
        writer.put(&check)?;
        Ok(out)
    }

    fn decode(block: &[u8; COUNTER_LEN]) -> Result<Self, SpecError> {
        let mut reader = Reader::new(block, "failure counter");
        let counter = Self {
            generation: reader.u32()?,
            failures: reader.u8()?,
        };
        if equal(&counter.encode()?, block) {
            Ok(counter)
        } else {
            Err(COUNTER_DAMAGED)
        }
    }
}

const COUNTER_DAMAGED: SpecError = SpecError::Malformed {
    what: "failure counter",
};

/// The failure counter of a card that was never tried, as it is made.
pub(crate) fn fresh_counter() -> Result<[u8; COUNTER_LEN], SpecError> {
    let counter = Counter {
        generation: 1,
        failures: 0,
    };
    counter.encode()
}

impl<M: Memory> Storage<M> {
    /// Finds the newest whole control block, and finishes what a cut left to erase.
    pub(crate) fn open(memory: M) -> Result<Self, crate::error::Error> {
        let mut storage = Self {
            memory,
            control: Control::BLANK,
            half: Half::A,
            failures: Counter::DAMAGED,
            failures_half: Half::A,
        };
        storage.reopen()?;
        Ok(storage)
    }

    /// The same with the memory at hand, as after power came back: what this card believed is forgotten.
    pub(crate) fn reopen(&mut self) -> Result<(), crate::error::Error> {
        let memory = &self.memory;
        if memory.len() < MEMORY_LEN {
            return Err(crate::error::Error::Memory);
        }
        let mut best: Option<(Control, Half)> = None;
        for half in [Half::A, Half::B] {
            let mut block = [0; CONTROL_LEN];
            memory.read(memory::control(half).offset, &mut block)?;
            if let Ok(control) = Control::decode(&block)
                && best
                    .as_ref()
                    .is_none_or(|(other, _)| control.generation > other.generation)
            {
                best = Some((control, half));
            }
        }
        let (control, half) = best.ok_or(crate::error::Error::NotACard)?;
        let mut failures = (Counter::DAMAGED, Half::B);
        for half in [Half::A, Half::B] {
            let mut block = [0; COUNTER_LEN];
            memory.read(memory::counter(half).offset, &mut block)?;
            if let Ok(counter) = Counter::decode(&block)
                && counter.generation > failures.0.generation
            {
                failures = (counter, half);
            }
        }
        (self.control, self.half) = (control, half);
        (self.failures, self.failures_half) = failures;
        self.sweep()?;
        Ok(())
    }

    /// Failures of door I since the last success.
    pub(crate) const fn failures(&self) -> u8 {
        self.failures.failures
    }

    /// Writes the failure counter whole to the older copy; only then it counts. The control block is not touched. A
    /// count that stands already is not written again: whoever can try must not wear the cell.
    pub(crate) fn set_failures(&mut self, failures: u8) -> Result<(), MemoryFault> {
        if self.failures.failures == failures {
            return Ok(());
        }
        let generation = self.failures.generation.checked_add(1).ok_or(MemoryFault)?;
        let next = Counter { generation, failures };
        let block = next.encode().map_err(|_| MemoryFault)?;
        let half = self.failures_half.other();
        self.memory.write(memory::counter(half).offset, &block)?;
        self.failures = next;
        self.failures_half = half;
        Ok(())
    }

    pub(crate) const fn control(&self) -> &Control {
        &self.control
    }

    /// The memory, when the card is put away.
    pub(crate) fn into_memory(self) -> M {
        self.memory
    }

    /// Writes `next` whole to the older copy; only then it counts.
    pub(crate) fn commit(&mut self, mut next: Control) -> Result<(), MemoryFault> {
        next.generation = self.control.generation.checked_add(1).ok_or(MemoryFault)?;
        let block = next.encode().map_err(|_| MemoryFault)?;
        let half = self.half.other();
        self.memory.write(memory::control(half).offset, &block)?;
        self.control = next;
        self.half = half;
        Ok(())
    }

    /// The first `N` bytes of an area.
    pub(crate) fn read<const N: usize>(&self, area: Area) -> Result<Zeroizing<[u8; N]>, MemoryFault> {
        self.read_at(area, 0)
    }

    /// `N` bytes at `offset` of an area.
    pub(crate) fn read_at<const N: usize>(
        &self,
        area: Area,
        offset: usize,
    ) -> Result<Zeroizing<[u8; N]>, MemoryFault> {
        let mut out = Zeroizing::new([0; N]);
        self.read_into(area, offset, &mut *out)?;
        Ok(out)
    }

    /// Bytes at `offset` of an area.
    pub(crate) fn read_into(&self, area: Area, offset: usize, out: &mut [u8]) -> Result<(), MemoryFault> {
        let end = offset.checked_add(out.len()).ok_or(MemoryFault)?;
        if end > area.len {
            return Err(MemoryFault);
        }
        self.memory
            .read(area.offset.checked_add(offset).ok_or(MemoryFault)?, out)
    }

    /// Writes at `offset` of an area that is not live.
    pub(crate) fn write(&mut self, area: Area, offset: usize, data: &[u8]) -> Result<(), MemoryFault> {
        let end = offset.checked_add(data.len()).ok_or(MemoryFault)?;
        if end > area.len {
            return Err(MemoryFault);
        }
        self.memory
            .write(area.offset.checked_add(offset).ok_or(MemoryFault)?, data)
    }

    /// Erases every area that holds nothing live or staged: old keys, old data, whatever an unfinished write left. Every
    /// area is read, so that the time of a power-on does not tell how much a card holds.
    pub(crate) fn sweep(&mut self) -> Result<(), MemoryFault> {
        let control = self.control;
        for half in [Half::A, Half::B] {
            let dead = |pair: crate::control::Pair| {
                pair.live != Some(half) && !(pair.staged && pair.spare() == half)
            };
            self.wipe_if(memory::keys(half), dead(control.keys))?;
            self.wipe_if(memory::trust(half), dead(control.trust))?;
            for (index, domain) in control.domains.iter().enumerate() {
                self.wipe_if(memory::domain(index, half), dead(domain.pair))?;
            }
            for (index, object) in control.objects.iter().enumerate() {
                self.wipe_if(memory::object(index, half), dead(object.pair))?;
            }
            self.wipe_if(memory::purse(half), !control.purse.live)?;
        }
        for role in 0..ROLES {
            self.sweep_slots(role)?;
        }
        Ok(())
    }

    /// Erases the slots of one role (from 0) that are neither live nor staged.
    pub(crate) fn sweep_slots(&mut self, role: usize) -> Result<(), MemoryFault> {
        for slot in 0..SLOTS_PER_ROLE {
            let state = self.control.slots.get(role).and_then(|slots| slots.get(slot));
            let empty = state == Some(&SlotState::Empty);
            self.wipe_if(memory::slot(role, slot), empty)?;
        }
        Ok(())
    }

    /// Zeroes an area where it is not zero yet.
    pub(crate) fn wipe(&mut self, area: Area) -> Result<(), MemoryFault> {
        self.wipe_if(area, true)
    }

    /// Reads an area, and zeroes what of it is not zero yet when it is `dead`.
    fn wipe_if(&mut self, area: Area, dead: bool) -> Result<(), MemoryFault> {
        let mut offset = 0_usize;
        while offset < area.len {
            let mut chunk = Zeroizing::new([0; 64]);
            let count = area.len.saturating_sub(offset).min(chunk.len());
            let at = area.offset.checked_add(offset).ok_or(MemoryFault)?;
            let part = chunk.get_mut(..count).ok_or(MemoryFault)?;
            self.memory.read(at, part)?;
            if dead && part.iter().any(|byte| *byte != 0) {
                part.fill(0);
                self.memory.write(at, part)?;
            }
            offset = offset.saturating_add(count);
        }
        Ok(())
    }

    /// Index of the physical slot of `role` (from 0) that is live with `kv`.
    pub(crate) fn live_slot(&self, role: usize, kv: u8) -> Option<usize> {
        self.control
            .slots
            .get(role)?
            .iter()
            .position(|slot| *slot == SlotState::Live { kv })
    }

    /// Key versions of the live slots of `role` (from 0), newest first.
    pub(crate) fn live_versions(&self, role: usize) -> [Option<u8>; 2] {
        let mut versions = [None; 2];
        for slot in self.control.slots.get(role).into_iter().flatten() {
            if let SlotState::Live { kv } = slot {
                let [newest, older] = versions;
                versions = if Some(*kv) > newest {
                    [Some(*kv), newest]
                } else {
                    [newest, Some(*kv).max(older)]
                };
            }
        }
        versions
    }
}

/// Offsets inside a slot's area.
pub(crate) mod slot_layout {
    /// kv1 G16 M16 pid16 record160.
    pub(crate) const KEYS: usize = 0;
    /// cap4 Ktac16.
    pub(crate) const PURSE_FIXED: usize = 224;
}

/// What a slot of any role holds.
pub(crate) struct SlotContent {
    pub(crate) kv: u8,
    pub(crate) g: Key16,
    pub(crate) m: Key16,
    pub(crate) pid: [u8; 16],
    pub(crate) record: [u8; 160],
}

impl SlotContent {
    pub(crate) const LEN: usize = 209;

    pub(crate) fn parse(bytes: &[u8; Self::LEN]) -> Result<Self, card_applet_spec::Error> {
        let mut reader = Reader::new(bytes, "slot");
        Ok(Self {
            kv: reader.u8()?,
            g: Key16::read(&mut reader)?,
            m: Key16::read(&mut reader)?,
            pid: reader.array()?,
            record: reader.array()?,
        })
    }
}
