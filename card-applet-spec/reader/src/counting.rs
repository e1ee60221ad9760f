//! Counts what goes over the wire to a card: commands, bytes each way, and the time spent waiting.
//!
//! It wraps any [`Transport`] and changes nothing. Bytes are those of the commands and answers (status words
//! included), not of the reader's own protocol. Time is the caller's: a [`Stopwatch`] is handed in, because only
//! `main` may look at a clock.

use crate::transport::{Transport, TransportError};

/// Reads a clock that only goes forward; nanoseconds since any fixed moment.
pub trait Stopwatch {
    /// Nanoseconds since a fixed moment of its own choice.
    fn nanoseconds(&self) -> u64;
}

impl<F: Fn() -> u64> Stopwatch for F {
    fn nanoseconds(&self) -> u64 {
        self()
    }
}

/// What went over the wire so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Commands handed to the transport, those without an answer included.
    pub apdus: u32,
    /// Bytes of those commands.
    pub bytes_sent: u64,
    /// Bytes of the answers, status words included.
    pub bytes_received: u64,
    /// Nanoseconds between a command and its answer, summed up.
    pub nanoseconds: u64,
}

/// A transport that counts.
pub struct Counting<T, W> {
    inner: T,
    watch: W,
    counts: Counts,
}

impl<T: Transport, W> std::fmt::Debug for Counting<T, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Counting")
            .field("reader", &self.inner.name())
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

impl<T: Transport, W: Stopwatch> Counting<T, W> {
    /// Starts counting at zero.
    pub fn new(inner: T, watch: W) -> Self {
        Self {
            inner,
            watch,
            counts: Counts::default(),
        }
    }

    /// What went over the wire so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The transport inside.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T: Transport, W: Stopwatch> Transport for Counting<T, W> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        self.counts.apdus = self.counts.apdus.saturating_add(1);
        self.counts.bytes_sent = self.counts.bytes_sent.saturating_add(command.len() as u64);
        let before = self.watch.nanoseconds();
        let answer = self.inner.transmit(command);
        let spent = self.watch.nanoseconds().saturating_sub(before);
        self.counts.nanoseconds = self.counts.nanoseconds.saturating_add(spent);
        if let Ok(answer) = &answer {
            self.counts.bytes_received = self.counts.bytes_received.saturating_add(answer.len() as u64);
        }
        answer
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.inner.reset()
    }

    fn name(&self) -> &str {
        self.inner.name()
    }
}
