//! The card's non-volatile memory: the trait, and where everything lies. A write may be torn: any prefix of it may have
//! happened when power fails (chapter 10).

/// A read or write that did not happen, or only in part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryFault;

/// Non-volatile memory of at least [`MEMORY_LEN`] bytes.
pub trait Memory {
    /// Bytes.
    fn len(&self) -> usize;

    /// True when there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `out` from `offset`.
    ///
    /// # Errors
    /// [`MemoryFault`] outside of the memory, or when the medium fails.
    fn read(&self, offset: usize, out: &mut [u8]) -> Result<(), MemoryFault>;

    /// Writes `data` at `offset`. When it fails, any prefix may have been written.
    ///
    /// # Errors
    /// [`MemoryFault`] outside of the memory, when the medium fails, or when power is lost.
    fn write(&mut self, offset: usize, data: &[u8]) -> Result<(), MemoryFault>;
}

/// A stretch of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) offset: usize,
    pub(crate) len: usize,
}

/// Lays areas one behind the other.
const fn behind(before: Area, len: usize) -> Area {
    Area {
        offset: before.offset.saturating_add(before.len),
        len,
    }
}

/// The `index`-th of equal areas of `len` bytes that begin where `first` does.
const fn nth(first: Area, index: usize) -> Area {
    Area {
        offset: first.offset.saturating_add(first.len.saturating_mul(index)),
        len: first.len,
    }
}

pub(crate) const CONTROL_LEN: usize = 384;
pub(crate) const SLOT_LEN: usize = 256;
pub(crate) const PURSE_LEN: usize = 64;
pub(crate) const COUNTER_LEN: usize = 16;
pub(crate) const SLOTS_PER_ROLE: usize = 3;
pub(crate) const ROLES: usize = 5;
pub(crate) const KEYS_LEN: usize = 96;
pub(crate) const TRUST_LEN: usize = 80;
pub(crate) const DOMAIN_LEN: usize = 256;

const CONTROL: Area = Area {
    offset: 0,
    len: CONTROL_LEN,
};
/// Magic, profile, serial, keys of nobody, decoy: written once, when the card is made.
pub(crate) const FACTORY: Area = behind(nth(CONTROL, 1), 512);
const KEYS: Area = behind(FACTORY, KEYS_LEN);
const TRUST: Area = behind(nth(KEYS, 1), TRUST_LEN);
const DOMAINS: Area = behind(nth(TRUST, 1), DOMAIN_LEN);
const DG1: Area = behind(nth(DOMAINS, 5), card_applet_spec::data_group::MAX_DG1);
const DG2: Area = behind(nth(DG1, 1), card_applet_spec::data_group::MAX_DG2);
const DG3: Area = behind(nth(DG2, 1), card_applet_spec::data_group::MAX_DG3);
const SIGNATURE: Area = behind(nth(DG3, 1), card_applet_spec::data_group::MAX_SIGNATURE_OBJECT);
const SLOTS: Area = behind(nth(SIGNATURE, 1), SLOT_LEN);
const PURSE: Area = behind(
    nth(SLOTS, ROLES.saturating_mul(SLOTS_PER_ROLE).saturating_sub(1)),
    PURSE_LEN,
);
const COUNTER: Area = behind(nth(PURSE, 1), COUNTER_LEN);
const END: Area = behind(nth(COUNTER, 1), 0);

/// Bytes of memory that a card needs.
pub const MEMORY_LEN: usize = END.offset;

/// Which of two copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    A,
    B,
}

impl Half {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }
}

pub(crate) const fn control(half: Half) -> Area {
    nth(CONTROL, half.index())
}

pub(crate) const fn keys(half: Half) -> Area {
    nth(KEYS, half.index())
}

pub(crate) const fn trust(half: Half) -> Area {
    nth(TRUST, half.index())
}

/// `domain` counts from 0.
pub(crate) const fn domain(domain: usize, half: Half) -> Area {
    nth(DOMAINS, domain.saturating_mul(2).saturating_add(half.index()))
}

/// `object`: 0 DG1, 1 DG2, 2 DG3, 3 signature object.
pub(crate) const fn object(object: usize, half: Half) -> Area {
    let first = match object {
        0 => DG1,
        1 => DG2,
        2 => DG3,
        _ => SIGNATURE,
    };
    nth(first, half.index())
}

/// A copy of door I's failure counter: a cell of its own, because every attempt writes it.
pub(crate) const fn counter(half: Half) -> Area {
    nth(COUNTER, half.index())
}

/// A copy of the purse.
pub(crate) const fn purse(half: Half) -> Area {
    nth(PURSE, half.index())
}

/// `role` counts from 0, `slot` from 0 to 2.
pub(crate) const fn slot(role: usize, slot: usize) -> Area {
    nth(SLOTS, role.saturating_mul(SLOTS_PER_ROLE).saturating_add(slot))
}
