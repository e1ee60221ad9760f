//! The locked arena: the only memory in which a key lives.
//!
//! On its [`pages`] lie three things: slots of 32 bytes for keys at rest, wiped when their key is dropped; the [`stack`] on
//! which a program works with them; and the [`heap`] of what it allocates meanwhile. If locking fails the vault does not start.
//! This is the one module of the crate that may hold `unsafe`; of the slots it hands out nothing but shared slices of those
//! that are taken.
#![allow(unsafe_code)]

mod buddy;
pub mod heap;
mod pages;
pub mod stack;

use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use rand_core::CryptoRng;
use zeroize::Zeroize;

use crate::error::Error;
use crate::keys::arena::pages::{Backing, Pages};

/// Bytes of a slot: an AES-256 key, a P-256 scalar.
pub const SLOT: usize = 32;
/// Bytes of the arena: 8192 keys, far under the usual `RLIMIT_MEMLOCK` of 8 MiB, and more than a province's
/// (role, region, version) masters.
const SIZE: usize = 256 * 1024;

/// The arena. Keys hold it alive.
pub struct Arena {
    pages: Pages,
    free: Mutex<Vec<u16>>,
}

// SAFETY: a slot is written only while one `OpenKey` is being made or dropped, and the free list that hands slots out is
// behind a mutex; shared access only reads slots that are taken.
unsafe impl Sync for Arena {}

impl Arena {
    /// Maps and locks the pages.
    ///
    /// # Errors
    /// [`Error::MemoryNotLocked`] when neither kind of page can be had.
    pub fn new() -> Result<Arc<Self>, Error> {
        let slots = u16::try_from(SIZE / SLOT).map_err(|_| Error::MemoryNotLocked)?;
        Ok(Arc::new(Self {
            pages: Pages::new(SIZE)?,
            free: Mutex::new((0..slots).rev().collect()),
        }))
    }

    /// Whether not even root reads its pages.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.pages.backing() == Backing::MemfdSecret
    }

    fn take(&self) -> Result<u16, Error> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.pop().ok_or(Error::TooManyKeys)
    }

    fn slot(&self, slot: u16) -> NonNull<[u8; SLOT]> {
        // SAFETY: slots come from the free list, which holds only numbers below SIZE / SLOT.
        unsafe { self.pages.base().add(usize::from(slot) * SLOT).cast() }
    }
}

impl std::fmt::Debug for Arena {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Arena({:?})", self.pages.backing())
    }
}

/// A key in use: 32 bytes in the arena. It cannot be cloned, printed or serialised.
pub struct OpenKey {
    arena: Arc<Arena>,
    slot: u16,
}

impl OpenKey {
    /// Moves a key into the arena; the source is wiped.
    ///
    /// # Errors
    /// [`Error::TooManyKeys`] when the arena is full.
    pub fn store(arena: &Arc<Arena>, source: &mut [u8; SLOT]) -> Result<Self, Error> {
        let key = Self::fill(arena, |slot| slot.copy_from_slice(source));
        source.zeroize();
        key
    }

    /// A fresh random key, made in the arena.
    ///
    /// # Errors
    /// [`Error::TooManyKeys`] when the arena is full.
    pub fn random(arena: &Arc<Arena>, rng: &mut (impl CryptoRng + ?Sized)) -> Result<Self, Error> {
        Self::fill(arena, |slot| rng.fill_bytes(slot))
    }

    fn fill(arena: &Arc<Arena>, write: impl FnOnce(&mut [u8; SLOT])) -> Result<Self, Error> {
        let slot = arena.take()?;
        // SAFETY: the slot was just taken from the free list, so this is the only reference to it.
        write(unsafe { arena.slot(slot).as_mut() });
        Ok(Self {
            arena: Arc::clone(arena),
            slot,
        })
    }

    /// The key bytes, for one computation.
    #[must_use]
    pub fn expose(&self) -> &[u8; SLOT] {
        // SAFETY: the slot is ours until drop, and nothing writes to a taken slot.
        unsafe { self.arena.slot(self.slot).as_ref() }
    }
}

impl std::fmt::Debug for OpenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpenKey(..)")
    }
}

impl Drop for OpenKey {
    fn drop(&mut self) {
        // SAFETY: we own the slot, and `expose` cannot outlive us.
        unsafe { self.arena.slot(self.slot).as_mut() }.zeroize();
        self.arena
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(self.slot);
    }
}

/// What nothing in the vault does, for the test that nothing can: memory that was written becomes code.
#[cfg(test)]
pub(crate) fn make_code() -> std::io::Result<()> {
    use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};

    let (nowhere, page) = (std::ptr::null_mut(), 4096);
    let (readable, code) = (ProtFlags::READ, ProtFlags::READ | ProtFlags::EXEC);
    // SAFETY: fresh mappings at addresses of the kernel's choice alias nothing, and nobody calls into them.
    unsafe {
        let mapped = mmap_anonymous(nowhere, page, readable, MapFlags::PRIVATE)?;
        let changed = mprotect(mapped, page, MprotectFlags::READ | MprotectFlags::EXEC);
        changed.or_else(|_| mmap_anonymous(nowhere, page, code, MapFlags::PRIVATE).map(drop))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::arena::pages::Backing;

    #[test]
    fn a_dropped_key_is_wiped_and_its_slot_comes_back() {
        let arena = Arena::new().unwrap();
        let mut source = [0xA5; SLOT];
        let key = OpenKey::store(&arena, &mut source).unwrap();
        assert_eq!(source, [0; SLOT]);
        assert_eq!(key.expose(), &[0xA5; SLOT]);
        assert_eq!(format!("{key:?}"), "OpenKey(..)");
        let slot = key.slot;
        let before = arena.free.lock().unwrap().len();
        drop(key);
        assert_eq!(arena.free.lock().unwrap().len(), before + 1);
        // SAFETY: inside the arena; nobody holds the slot now.
        assert_eq!(unsafe { arena.slot(slot).as_ref() }, &[0; SLOT]);
    }

    #[test]
    fn a_full_arena_refuses_and_keeps_what_it_has() {
        let arena = Arena::new().unwrap();
        let keys: Vec<_> = (0..SIZE / SLOT)
            .map(|i| OpenKey::store(&arena, &mut [u8::try_from(i % 251).unwrap(); SLOT]).unwrap())
            .collect();
        assert!(matches!(
            OpenKey::store(&arena, &mut [1; SLOT]),
            Err(Error::TooManyKeys)
        ));
        for (i, key) in keys.iter().enumerate() {
            assert_eq!(key.expose()[0], u8::try_from(i % 251).unwrap());
        }
    }

    #[test]
    fn the_arena_is_not_in_a_dump_that_root_takes() {
        let arena = Arena::new().unwrap();
        let canary = [0x5Au8; SLOT];
        let key = OpenKey::store(&arena, &mut canary.clone()).unwrap();
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let start = format!("{:x}-", key.arena.pages.base().as_ptr() as usize);
        let flags = maps
            .split_once(&start)
            .unwrap()
            .1
            .split_once("VmFlags:")
            .unwrap()
            .1;
        let flags = flags.lines().next().unwrap();
        match arena.pages.backing() {
            Backing::Locked => assert!(flags.contains("lo") && flags.contains("dd"), "{flags}"),
            Backing::MemfdSecret => {
                use std::os::unix::fs::FileExt;
                let memory = std::fs::File::open("/proc/self/mem").unwrap();
                let mut out = [0u8; SLOT];
                assert!(
                    memory
                        .read_exact_at(&mut out, key.expose().as_ptr() as u64)
                        .is_err()
                );
            }
        }
    }
}
