//! A stack on the arena's kind of pages: what a computation leaves there, and what it holds while it runs, is where keys are.
//!
//! [`run`] runs work on a thread that has such a stack. [`wipe`] clears what lies below the frames that run: root can read it where the
//! kernel has no `memfd_secret`, and everywhere a value that is moved away takes the old content of its padding along (a future of
//! some thousand bytes that goes into its box has much of that). Registers are not memory; a debugger sees them.

use std::any::Any;
use std::cell::Cell;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::mpsc::{SyncSender, sync_channel};

use crate::error::Error;
use crate::keys::arena::pages::Pages;

/// Bytes of the stack: as much as threads of the standard library have.
const STACK: usize = 2 * 1024 * 1024;
/// So much is wiped at once; below so much that is zero nothing more is looked for.
const CHUNK: usize = 16 * 1024;

thread_local! {
    /// Where this thread's stack begins, if it is one of ours.
    static BOTTOM: Cell<usize> = const { Cell::new(0) };
}

struct Start<F, T> {
    work: F,
    done: SyncSender<Result<T, Box<dyn Any + Send>>>,
    bottom: usize,
}

/// Runs `work` on a protected stack and gives what it gives; a panic goes on here.
///
/// # Errors
/// [`Error::MemoryNotLocked`].
pub fn run<T: Send, F: FnOnce() -> T + Send>(work: F) -> Result<T, Error> {
    Stack::take()?.run(work)
}

/// A protected stack that nothing runs on yet. A process that confines itself takes it before: behind that there is no
/// `memfd_secret`.
pub struct Stack(Pages);

impl std::fmt::Debug for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stack(..)")
    }
}

impl Stack {
    /// Takes the pages.
    ///
    /// # Errors
    /// [`Error::MemoryNotLocked`].
    pub fn take() -> Result<Self, Error> {
        Pages::new(STACK).map(Self)
    }

    /// As [`run`], on this stack.
    ///
    /// # Errors
    /// [`Error::MemoryNotLocked`].
    pub fn run<T: Send, F: FnOnce() -> T + Send>(self, work: F) -> Result<T, Error> {
        run_on(self.0, work)
    }
}

fn run_on<T: Send, F: FnOnce() -> T + Send>(pages: Pages, work: F) -> Result<T, Error> {
    extern "C" fn begin<T: Send, F: FnOnce() -> T + Send>(start: *mut c_void) -> *mut c_void {
        // SAFETY: `run` made it a box of this type and gave it to this thread alone.
        let start = unsafe { Box::from_raw(start.cast::<Start<F, T>>()) };
        let Start { work, done, bottom } = *start;
        BOTTOM.set(bottom);
        let outcome = catch_unwind(AssertUnwindSafe(work));
        // Who waits is there until it has this.
        let _ = done.send(outcome);
        ptr::null_mut()
    }

    let (done, outcome) = sync_channel(1);
    let bottom = pages.base().as_ptr().addr();
    let start = Box::into_raw(Box::new(Start { work, done, bottom }));
    if start_thread(&pages, begin::<T, F>, start.cast()).is_none() {
        // SAFETY: no thread began, so the box is still ours.
        drop(unsafe { Box::from_raw(start) });
        return Err(Error::MemoryNotLocked);
    }
    // The thread's last instructions run there.
    pages.keep();
    match outcome.recv() {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(panic)) => resume_unwind(panic),
        Err(_) => Err(Error::MemoryNotLocked),
    }
}

/// Starts a thread on these pages. Nobody joins it: the kernel cannot wake a waiter through such pages.
fn start_thread(
    pages: &Pages,
    begin: extern "C" fn(*mut c_void) -> *mut c_void,
    start: *mut c_void,
) -> Option<()> {
    let good = |code: i32| (code == 0).then_some(());
    // SAFETY: plain C data, which pthread_attr_init fills in.
    let mut how: libc::pthread_attr_t = unsafe { std::mem::zeroed() };
    let mut thread: libc::pthread_t = 0;
    // SAFETY: the attributes are initialised first and destroyed last; the pages are a stack of ours that nothing else uses,
    // and `start` is what `begin` expects.
    unsafe {
        good(libc::pthread_attr_init(&raw mut how))?;
        let started = good(libc::pthread_attr_setstack(
            &raw mut how,
            pages.base().as_ptr().cast(),
            pages.length(),
        ))
        .and_then(|()| {
            good(libc::pthread_attr_setdetachstate(
                &raw mut how,
                libc::PTHREAD_CREATE_DETACHED,
            ))
        })
        .and_then(|()| {
            good(libc::pthread_create(
                &raw mut thread,
                &raw const how,
                begin,
                start,
            ))
        });
        libc::pthread_attr_destroy(&raw mut how);
        started
    }
}

/// Wipes the part of this thread's stack that nobody uses now. Cheap where there is little.
#[inline(never)]
pub fn wipe() {
    let bottom = BOTTOM.get();
    let here = (&raw const bottom).addr() & !7;
    if bottom == 0 || here <= bottom {
        return;
    }
    let mut end = here.saturating_sub(CHUNK).max(bottom);
    // SAFETY: from there up to this frame everything is our own stack, and no frame's that runs.
    unsafe { wipe_up_to_here(end) };
    while end > bottom {
        let start = end.saturating_sub(CHUNK).max(bottom);
        let words = ptr::with_exposed_provenance_mut::<u64>(start);
        // SAFETY: our own stack, far below every frame that runs.
        let words = unsafe { std::slice::from_raw_parts_mut(words, (end - start) / 8) };
        if words.iter().all(|word| *word == 0) {
            break;
        }
        words.fill(0);
        std::hint::black_box(words);
        end = start;
    }
}

/// Zeros from an address up to the red zone of this frame, without a call.
///
/// # Safety
/// The address is a multiple of 8, in this thread's stack, and below every frame that runs.
#[cfg(target_arch = "x86_64")]
#[inline]
unsafe fn wipe_up_to_here(start: usize) {
    // SAFETY: writes what the caller promises, and nothing where it begins above the red zone.
    unsafe {
        std::arch::asm!(
            "lea rcx, [rsp - 128]",
            "sub rcx, rdi",
            "jbe 2f",
            "shr rcx, 3",
            "rep stosq",
            "2:",
            inout("rdi") start => _,
            inout("rax") 0usize => _,
            out("rcx") _,
            options(nostack)
        );
    }
}

/// As above, but for the frames of these calls, where the machine's own words are not written down here.
#[cfg(not(target_arch = "x86_64"))]
#[inline(never)]
unsafe fn wipe_up_to_here(start: usize) {
    let end = ((&raw const start).addr() & !7).saturating_sub(1024);
    let mut place = start;
    while place < end {
        // SAFETY: as the caller promises; below the frames of these calls.
        unsafe { ptr::with_exposed_provenance_mut::<u64>(place).write_volatile(0) };
        place += 8;
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    /// Leaves a trail in a frame far below.
    #[inline(never)]
    fn leave(byte: u8) -> usize {
        let mut frame = [0u8; 16 * 1024];
        black_box(&mut frame).fill(byte);
        (&raw const frame).addr() + 512
    }

    #[test]
    fn work_runs_on_pages_of_its_own_gives_its_value_and_its_panic() {
        let outside = 0u8;
        let mut seen = 0;
        let value = run(|| {
            let inside = 0u8;
            seen = (&raw const inside).addr();
            42
        });
        assert_eq!(value.unwrap(), 42);
        assert!(seen.abs_diff((&raw const outside).addr()) > STACK / 2);
        let panicked = catch_unwind(|| run(|| panic!("as expected")));
        assert!(panicked.is_err());
    }

    extern "C" fn look(start: *mut c_void) -> *mut c_void {
        // SAFETY: made below, for this thread alone.
        let (bottom, done) = *unsafe { Box::from_raw(start.cast::<(usize, SyncSender<[u64; 3]>)>()) };
        // SAFETY: inside this thread's own stack, which is mapped.
        let read = |place: usize| unsafe { ptr::with_exposed_provenance::<u64>(place & !7).read_volatile() };
        let place = leave(0xA5);
        let before = read(place);
        // Not one of ours: nothing is done.
        wipe();
        let untouched = read(place);
        BOTTOM.set(bottom);
        wipe();
        let _ = done.send([before, untouched, read(place)]);
        ptr::null_mut()
    }

    #[test]
    fn what_a_computation_left_below_is_wiped() {
        let pages = Pages::new(STACK).unwrap();
        let bottom = pages.base().as_ptr().addr();
        let (done, outcome) = sync_channel::<[u64; 3]>(1);
        let start = Box::into_raw(Box::new((bottom, done)));
        start_thread(&pages, look, start.cast()).unwrap();
        pages.keep();
        let left = 0xA5A5_A5A5_A5A5_A5A5;
        assert_eq!(outcome.recv().unwrap(), [left, left, 0]);
    }
}
