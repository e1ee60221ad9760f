//! What a card does while it answers: its cryptographic operations ([`card_applet_spec::meter`]), and the reads, writes
//! and random draws that wrappers around its memory and random source see.
//!
//! Counting is by thread: only what runs inside [`record`] on the same thread is counted, so the host's own cryptography
//! stays out when only the card's `process` stands inside. Left out on purpose: clocks. Nothing here measures time.

use std::cell::RefCell;

use card_applet::{Memory, MemoryFault};
use card_applet_spec::meter::{self, Observer, Operation};
use rand_core::{TryCryptoRng, TryRng};

/// One thing that a card did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// A primitive.
    Operation(Operation),
    /// So many bytes of memory were read.
    Read {
        /// Bytes.
        bytes: usize,
    },
    /// Memory was written.
    Write {
        /// Where.
        offset: usize,
        /// Bytes.
        bytes: usize,
    },
}

thread_local! {
    /// What happens now, if somebody wants to know.
    static EVENTS: RefCell<Option<Vec<Event>>> = const { RefCell::new(None) };
}

static OBSERVER: Observer = |operation| push(Event::Operation(operation));

fn push(event: Event) {
    EVENTS.with_borrow_mut(|events| {
        if let Some(events) = events {
            events.push(event);
        }
    });
}

/// Runs `work`; gives its result and what happened meanwhile on this thread, in order. Inside another recording nothing
/// is counted twice: the inner one has it.
pub fn record<T>(work: impl FnOnce() -> T) -> (T, Vec<Event>) {
    // Whoever counted first in this process stays; both are this observer.
    let _ = meter::install(&OBSERVER);
    let outer = EVENTS.replace(Some(Vec::new()));
    let result = work();
    let events = EVENTS.replace(outer).unwrap_or_default();
    (result, events)
}

/// A memory whose reads and writes are counted.
#[derive(Debug, Clone)]
pub struct MeteredMemory<M>(pub M);

impl<M: Memory> Memory for MeteredMemory<M> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn read(&self, offset: usize, out: &mut [u8]) -> Result<(), MemoryFault> {
        push(Event::Read { bytes: out.len() });
        self.0.read(offset, out)
    }

    fn write(&mut self, offset: usize, data: &[u8]) -> Result<(), MemoryFault> {
        push(Event::Write {
            offset,
            bytes: data.len(),
        });
        self.0.write(offset, data)
    }
}

/// A random source whose draws are counted.
#[derive(Debug, Clone)]
pub struct MeteredRandom<R>(pub R);

impl<R: TryRng> TryRng for MeteredRandom<R> {
    type Error = R::Error;

    fn try_next_u32(&mut self) -> Result<u32, R::Error> {
        push(Event::Operation(Operation::Random { bytes: 4 }));
        self.0.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, R::Error> {
        push(Event::Operation(Operation::Random { bytes: 8 }));
        self.0.try_next_u64()
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), R::Error> {
        push(Event::Operation(Operation::Random { bytes: out.len() }));
        self.0.try_fill_bytes(out)
    }
}

impl<R: TryCryptoRng> TryCryptoRng for MeteredRandom<R> {}

#[cfg(test)]
mod tests {
    use card_applet_spec::crypto::sha256;
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use rand_core::Rng;

    use super::*;
    use crate::memory::CardMemory;

    #[test]
    fn only_what_runs_inside_is_counted_and_in_order() {
        let mut memory = MeteredMemory(CardMemory::ram(16));
        let mut random = MeteredRandom(StdRng::from_seed([1; 32]));
        let _ = sha256(&[b"before"]);
        let ((), events) = record(|| {
            random.fill_bytes(&mut [0; 16]);
            memory.write(3, &[1, 2]).unwrap();
            memory.read(0, &mut [0; 8]).unwrap();
            let _ = sha256(&[b"inside"]);
        });
        let _ = sha256(&[b"after"]);
        assert_eq!(
            events,
            [
                Event::Operation(Operation::Random { bytes: 16 }),
                Event::Write { offset: 3, bytes: 2 },
                Event::Read { bytes: 8 },
                Event::Operation(Operation::Sha256 { bytes: 6 }),
            ]
        );
        let elsewhere = std::thread::spawn(|| {
            record(|| {
                let _ = sha256(&[b"there"]);
            })
            .1
        });
        assert_eq!(elsewhere.join().unwrap().len(), 1);
    }
}
