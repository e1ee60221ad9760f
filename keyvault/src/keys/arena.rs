//! The locked arena: the only memory in which a key lives for longer than one computation.
//!
//! `memfd_secret(2)` where the kernel has it (not even root reads such pages through `/proc` or a dump), else anonymous
//! pages that are locked, left out of dumps and not inherited. Two guard pages stand around it. Slots of 32 bytes are
//! wiped when their key is dropped. If locking fails the vault does not start. This is the one module of the crate that
//! may hold `unsafe`; it hands out nothing but shared slices of slots that are taken.
#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, PoisonError};

use rand_core::CryptoRng;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mlock, mmap, mmap_anonymous, munmap};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use zeroize::Zeroize;

use crate::error::Error;

/// Bytes of a slot: an AES-256 key, a P-256 scalar.
pub const SLOT: usize = 32;
/// Bytes of the arena: 8192 keys, far under the usual `RLIMIT_MEMLOCK` of 8 MiB, and more than a province's
/// (role, region, version) masters.
const SIZE: usize = 256 * 1024;

/// How the arena's pages are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backing {
    /// `memfd_secret(2)`: gone from the kernel's own page tables.
    MemfdSecret,
    /// Locked anonymous pages, out of dumps.
    Locked,
}

/// The arena. Keys hold it alive.
pub struct Arena {
    region: NonNull<u8>,
    mapped: usize,
    base: NonNull<u8>,
    backing: Backing,
    free: Mutex<Vec<u16>>,
}

// SAFETY: the mapping belongs to this value alone; a slot is written only while one `OpenKey` is being made or dropped,
// and the free list that hands slots out is behind a mutex.
unsafe impl Send for Arena {}
// SAFETY: as above; shared access only reads slots that are taken.
unsafe impl Sync for Arena {}

impl Arena {
    /// Maps and locks the pages.
    ///
    /// # Errors
    /// [`Error::MemoryNotLocked`] when neither kind of page can be had.
    pub fn new() -> Result<Arc<Self>, Error> {
        let page = rustix::param::page_size();
        let mapped = SIZE + 2 * page;
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice aliases nothing.
        let region =
            unsafe { mmap_anonymous(ptr::null_mut(), mapped, ProtFlags::empty(), MapFlags::PRIVATE) }
                .map_err(|_| Error::MemoryNotLocked)?;
        let region = NonNull::new(region.cast::<u8>()).ok_or(Error::MemoryNotLocked)?;
        // SAFETY: `page` is less than `mapped`.
        let base = unsafe { region.add(page) };
        let mut arena = Self {
            region,
            mapped,
            base,
            backing: Backing::MemfdSecret,
            free: Mutex::new(Vec::new()),
        };
        if arena.map_secret().is_none() {
            arena.backing = Backing::Locked;
            arena.map_locked()?;
        }
        let slots = u16::try_from(SIZE / SLOT).map_err(|_| Error::MemoryNotLocked)?;
        arena.free = Mutex::new((0..slots).rev().collect());
        Ok(Arc::new(arena))
    }

    fn map_secret(&self) -> Option<()> {
        // SAFETY: memfd_secret takes flags and returns a descriptor or -1.
        let raw = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
        let raw = i32::try_from(raw).ok().filter(|fd| *fd >= 0)?;
        // SAFETY: the kernel just gave this descriptor to us alone.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        rustix::fs::ftruncate(&fd, SIZE as u64).ok()?;
        // SAFETY: replaces pages inside our own reservation, to which nothing points yet.
        unsafe {
            mmap(
                self.base.as_ptr().cast(),
                SIZE,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED | MapFlags::FIXED,
                &fd,
                0,
            )
            .ok()?;
            // A child would share these pages: it gets none of them.
            madvise(self.base.as_ptr().cast(), SIZE, Advice::LinuxDontFork).ok()?;
        }
        Some(())
    }

    fn map_locked(&self) -> Result<(), Error> {
        let limit = getrlimit(Resource::Memlock);
        if limit.current.is_some_and(|soft| soft < SIZE as u64) {
            // The soft limit may be raised to the hard one without privilege; if that is too low, mlock fails below.
            let _ = setrlimit(
                Resource::Memlock,
                Rlimit {
                    current: limit.maximum,
                    maximum: limit.maximum,
                },
            );
        }
        let address = self.base.as_ptr().cast();
        // SAFETY: replaces pages inside our own reservation, to which nothing points yet.
        unsafe {
            mmap_anonymous(
                address,
                SIZE,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE | MapFlags::FIXED,
            )
            .and_then(|_| mlock(address, SIZE))
            .and_then(|()| madvise(address, SIZE, Advice::LinuxDontDump))
            .and_then(|()| madvise(address, SIZE, Advice::LinuxWipeOnFork))
            .map_err(|_| Error::MemoryNotLocked)
        }
    }

    fn take(&self) -> Result<u16, Error> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.pop().ok_or(Error::TooManyKeys)
    }

    fn slot(&self, slot: u16) -> NonNull<[u8; SLOT]> {
        // SAFETY: slots come from the free list, which holds only numbers below SIZE / SLOT.
        unsafe { self.base.add(usize::from(slot) * SLOT).cast() }
    }
}

impl std::fmt::Debug for Arena {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Arena({:?})", self.backing)
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: every key holds an `Arc` of the arena, so none is left; the mapping is ours.
        unsafe {
            std::slice::from_raw_parts_mut(self.base.as_ptr(), SIZE).zeroize();
            let _ = munmap(self.region.as_ptr().cast(), self.mapped);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

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
        let start = format!("{:x}-", key.arena.base.as_ptr() as usize);
        let flags = maps
            .split_once(&start)
            .unwrap()
            .1
            .split_once("VmFlags:")
            .unwrap()
            .1;
        let flags = flags.lines().next().unwrap();
        match arena.backing {
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
