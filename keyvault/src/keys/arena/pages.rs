//! Pages for secrets: `memfd_secret(2)` where the kernel has it (not even root reads such pages through `/proc` or a dump),
//! else anonymous pages that are locked, left out of dumps and not inherited. A guard page stands on either side.

use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};

use rustix::mm::{
    Advice, MapFlags, MlockFlags, ProtFlags, madvise, mlock_with, mmap, mmap_anonymous, munmap,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use zeroize::Zeroize;

use crate::error::Error;

/// How the pages are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backing {
    /// `memfd_secret(2)`: gone from the kernel's own page tables.
    MemfdSecret,
    /// Locked anonymous pages, out of dumps.
    Locked,
}

/// A stretch of such pages. It belongs to its owner alone, who decides what is read and written there, and when.
pub(crate) struct Pages {
    region: NonNull<u8>,
    mapped: usize,
    base: NonNull<u8>,
    length: usize,
    backing: Backing,
}

// SAFETY: the mapping belongs to this value alone and is not bound to a thread.
unsafe impl Send for Pages {}

impl Pages {
    /// Maps and locks so many bytes, a whole number of pages.
    ///
    /// # Errors
    /// [`Error::MemoryNotLocked`] when neither kind of page can be had.
    pub(crate) fn new(length: usize) -> Result<Self, Error> {
        let mut pages = Self::reserve(length)?;
        raise_limit(length);
        if pages.map_secret().is_none() {
            pages.backing = Backing::Locked;
            pages.map_locked()?;
        }
        Ok(pages)
    }

    fn reserve(length: usize) -> Result<Self, Error> {
        let page = rustix::param::page_size();
        let mapped = length + 2 * page;
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice aliases nothing.
        let region =
            unsafe { mmap_anonymous(ptr::null_mut(), mapped, ProtFlags::empty(), MapFlags::PRIVATE) }
                .map_err(|_| Error::MemoryNotLocked)?;
        let region = NonNull::new(region.cast::<u8>()).ok_or(Error::MemoryNotLocked)?;
        // SAFETY: `page` is less than `mapped`.
        let base = unsafe { region.add(page) };
        Ok(Self {
            region,
            mapped,
            base,
            length,
            backing: Backing::MemfdSecret,
        })
    }

    fn map_secret(&self) -> Option<()> {
        // SAFETY: memfd_secret takes flags and returns a descriptor or -1.
        let raw = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
        let raw = i32::try_from(raw).ok().filter(|fd| *fd >= 0)?;
        // SAFETY: the kernel just gave this descriptor to us alone.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        rustix::fs::ftruncate(&fd, self.length as u64).ok()?;
        // SAFETY: replaces pages inside our own reservation, to which nothing points yet.
        unsafe {
            mmap(
                self.base.as_ptr().cast(),
                self.length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED | MapFlags::FIXED,
                &fd,
                0,
            )
            .ok()?;
            // A child would share these pages: it gets none of them.
            madvise(self.base.as_ptr().cast(), self.length, Advice::LinuxDontFork).ok()?;
        }
        Some(())
    }

    fn map_locked(&self) -> Result<(), Error> {
        let address = self.base.as_ptr().cast();
        // SAFETY: replaces pages inside our own reservation, to which nothing points yet.
        unsafe {
            mmap_anonymous(
                address,
                self.length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE | MapFlags::FIXED,
            )
            // Each page is locked from its first use on: most of a stack is never used.
            .and_then(|_| mlock_with(address, self.length, MlockFlags::ONFAULT))
            .and_then(|()| madvise(address, self.length, Advice::LinuxDontDump))
            .and_then(|()| madvise(address, self.length, Advice::LinuxWipeOnFork))
            .map_err(|_| Error::MemoryNotLocked)
        }
    }

    /// The first byte.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Bytes.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// How they are kept.
    pub(crate) fn backing(&self) -> Backing {
        self.backing
    }

    /// Leaves them mapped until the process ends.
    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and who drops it has nothing in it any more.
        unsafe {
            std::slice::from_raw_parts_mut(self.base.as_ptr(), self.length).zeroize();
            let _ = munmap(self.region.as_ptr().cast(), self.mapped);
        }
    }
}

/// The soft limit may be raised to the hard one without privilege; if that is too low, the mapping fails.
fn raise_limit(wanted: usize) {
    let limit = getrlimit(Resource::Memlock);
    if limit.current.is_some_and(|soft| soft < wanted as u64) {
        let _ = setrlimit(
            Resource::Memlock,
            Rlimit {
                current: limit.maximum,
                maximum: limit.maximum,
            },
        );
    }
}
