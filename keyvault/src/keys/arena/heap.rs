//! The heap of a program that works with secrets: what a request allocates lies on the arena's kind of pages, and every
//! block is wiped when it is given back.
//!
//! A program takes [`Heap`] as its global allocator and calls [`open`] before its first secret. From then on what is
//! allocated [`sheltered`] comes from there, whoever frees it. Where it is full, and for single blocks above a quarter of
//! it (the memory of Argon2id, the index of the rows of a large store), blocks come from the ordinary heap; being full is
//! said in the log. Left out: what SQLite and a C library allocate, who never see a secret in clear.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::task::JoinHandle;

use crate::error::Error;
use crate::keys::arena::buddy::Buddy;
use crate::keys::arena::pages::Pages;
use crate::keys::arena::stack;

/// Bytes of a unit.
const UNIT: usize = 64;
/// Bytes where the process may lock much (`LimitMEMLOCK=infinity`, or root).
const LARGE: usize = 32 * 1024 * 1024;
/// Bytes under the usual `RLIMIT_MEMLOCK` of 8 MiB, beside the stack and the keys.
const SMALL: usize = 4 * 1024 * 1024;
/// Largest alignment that is served: where the pages begin.
const PAGE: usize = 4096;

/// The allocator of a program that works with secrets.
#[derive(Debug)]
pub struct Heap;

struct Pool {
    pages: Pages,
    buddy: Buddy,
}

static POOL: Mutex<Option<Pool>> = Mutex::new(None);
/// Address and length of the pool; both 0 before there is one.
static BASE: AtomicUsize = AtomicUsize::new(0);
static LENGTH: AtomicUsize = AtomicUsize::new(0);
/// Whether a block found no room: 0 no, 1 yes, 2 it was said.
static FULL: AtomicU8 = AtomicU8::new(0);

thread_local! {
    /// How many shelters this thread stands in.
    static SHELTERS: Cell<usize> = const { Cell::new(0) };
}

/// Makes the pool. Once made it stays; a second call changes nothing.
///
/// # Errors
/// [`Error::MemoryNotLocked`].
pub fn open() -> Result<(), Error> {
    if BASE.load(Ordering::Acquire) != 0 {
        return Ok(());
    }
    let pages = Pages::new(LARGE).or_else(|_| Pages::new(SMALL))?;
    let buddy = Buddy::new(Buddy::order_of(pages.length() / UNIT));
    let (base, length) = (pages.base().as_ptr().addr(), pages.length());
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    if pool.is_none() {
        *pool = Some(Pool { pages, buddy });
        LENGTH.store(length, Ordering::Release);
        BASE.store(base, Ordering::Release);
    }
    Ok(())
}

/// While this lives, what the thread allocates lies in the pool.
#[derive(Debug)]
pub struct Shelter(());

impl Shelter {
    /// From here on.
    #[must_use]
    pub fn enter() -> Self {
        SHELTERS.set(SHELTERS.get() + 1);
        Self(())
    }
}

impl Drop for Shelter {
    fn drop(&mut self) {
        SHELTERS.set(SHELTERS.get().saturating_sub(1));
    }
}

/// Does something whose memory is large and holds no secret outside the pool.
pub(crate) fn unsheltered<T>(work: impl FnOnce() -> T) -> T {
    let shelters = SHELTERS.replace(0);
    let done = work();
    SHELTERS.set(shelters);
    done
}

/// A future that lies in the pool.
#[must_use]
#[derive(Debug)]
pub struct Sheltered<F> {
    future: Pin<Box<F>>,
    /// Whether what it allocates lies there too.
    allocates: bool,
}

/// Puts a future, and what it allocates, into the pool.
pub fn sheltered<F: Future>(future: F) -> Sheltered<F> {
    Sheltered {
        allocates: true,
        ..kept(future)
    }
}

/// Starts a task that lies in the pool with its outcome, and what it allocates.
pub(crate) fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let _here = Shelter::enter();
    tokio::spawn(sheltered(future))
}

/// Puts a future into the pool, and not what it allocates: one that is handed what a sheltered one gives. Where a value moves, it takes the
/// old content of its padding along.
pub(crate) fn kept<F: Future>(future: F) -> Sheltered<F> {
    let _here = Shelter::enter();
    Sheltered {
        future: Box::pin(future),
        allocates: false,
    }
}

impl<F: Future> Future for Sheltered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let polled = {
            let _here = self.allocates.then(Shelter::enter);
            deeper(self.future.as_mut(), context)
        };
        // What is moved from here on takes nothing of its work along.
        stack::wipe();
        if FULL
            .compare_exchange(1, 2, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
        {
            tracing::warn!("the protected heap is full: raise the limit of locked memory");
        }
        polled
    }
}

/// Polls below a stretch of stack that holds nothing: the frame of the wiping fits into it.
#[inline(never)]
fn deeper<F: Future>(future: Pin<&mut F>, context: &mut Context<'_>) -> Poll<F::Output> {
    let nothing = [0u8; 1024];
    std::hint::black_box(&nothing);
    future.poll(context)
}

/// A block of the pool, while the thread stands in a shelter.
fn take(layout: Layout) -> Option<NonNull<u8>> {
    // At the end of a thread its shelter is gone, and so is its work.
    if SHELTERS.try_with(Cell::get).unwrap_or(0) == 0 {
        return None;
    }
    let wanted = layout.size().max(layout.align());
    if wanted > LENGTH.load(Ordering::Acquire) / 4 || layout.align() > PAGE {
        return None;
    }
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    let Pool { pages, buddy } = pool.as_mut()?;
    let Some(unit) = buddy.take(Buddy::order_of(wanted.div_ceil(UNIT))) else {
        FULL.fetch_max(1, Ordering::Relaxed);
        return None;
    };
    // SAFETY: the buddy system hands out units of the pages alone.
    Some(unsafe { pages.base().add(unit * UNIT) })
}

/// Takes a block back, if it is one of the pool.
fn give_back(block: *mut u8, layout: Layout) -> bool {
    let base = BASE.load(Ordering::Acquire);
    let offset = block.addr().wrapping_sub(base);
    if base == 0 || offset >= LENGTH.load(Ordering::Acquire) {
        return false;
    }
    let wanted = layout.size().max(layout.align());
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pool) = pool.as_mut() {
        let order = Buddy::order_of(wanted.div_ceil(UNIT));
        pool.buddy.give_back(offset / UNIT, order);
    }
    true
}

// SAFETY: a block comes from the pool, which hands out each part once until it is given back with the same layout, large
// and aligned enough (a part begins at a multiple of its size from a page), or from the system's allocator.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match take(layout) {
            Some(block) => block.as_ptr(),
            // SAFETY: as our caller promises.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match take(layout) {
            Some(block) => {
                // SAFETY: the block has room for the layout and is nobody else's.
                unsafe { ptr::write_bytes(block.as_ptr(), 0, layout.size()) };
                block.as_ptr()
            }
            // SAFETY: as our caller promises.
            None => unsafe { System.alloc_zeroed(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block is the caller's until here, and nobody reads it any more.
        unsafe { ptr::write_bytes(block, 0, layout.size()) };
        // So that the wiping is not left out: somebody might look.
        std::hint::black_box(block);
        if !give_back(block, layout) {
            // SAFETY: as our caller promises; what is not the pool's came from the system.
            unsafe { System.dealloc(block, layout) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The program has it as its allocator; here its blocks are asked for by hand.
    #[test]
    fn a_sheltered_block_lies_in_the_pool_and_is_wiped_and_others_are_the_systems() {
        open().unwrap();
        let in_pool = |block: *mut u8| {
            let base = BASE.load(Ordering::Acquire);
            (base..base + LENGTH.load(Ordering::Acquire)).contains(&block.addr())
        };
        for (size, align) in [(1, 1), (24, 8), (64, 64), (5000, 16), (1 << 20, 4096)] {
            let layout = Layout::from_size_align(size, align).unwrap();
            // SAFETY: blocks are used within their layouts and given back with them; what is read after that is of the pool,
            // which stays mapped.
            unsafe {
                let outside = Heap.alloc(layout);
                assert!(!in_pool(outside));
                Heap.dealloc(outside, layout);
                let shelter = Shelter::enter();
                let inside = Heap.alloc(layout);
                assert!(
                    in_pool(inside) && inside.addr().is_multiple_of(align),
                    "{size} {align}"
                );
                assert!(!in_pool(unsheltered(|| {
                    let block = Heap.alloc(layout);
                    Heap.dealloc(block, layout);
                    block
                })));
                drop(shelter);
                inside.write_bytes(0xA5, size);
                // Outside any shelter, as a block that another thread lets go.
                Heap.dealloc(inside, layout);
                assert_eq!(std::slice::from_raw_parts(inside, size), vec![0; size]);
            }
        }
        let _shelter = Shelter::enter();
        let huge = Layout::from_size_align(LARGE / 4 + 1, 8).unwrap();
        // SAFETY: as above.
        unsafe {
            let block = Heap.alloc_zeroed(huge);
            assert!(!in_pool(block));
            Heap.dealloc(block, huge);
        }
    }
}
