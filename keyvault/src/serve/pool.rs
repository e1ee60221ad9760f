//! Connections of one kind, of which there are so many and no more: a new one takes the place of the oldest.
//!
//! So whoever opens a thousand connections and says nothing on them stops nobody: they end one another, and an honest client
//! is done with its handshake long before its turn to go.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::AbortHandle;

/// Connections of one kind.
#[derive(Clone)]
pub(crate) struct Pool {
    size: usize,
    oldest_first: Arc<Mutex<VecDeque<(u64, AbortHandle)>>>,
}

/// A place in a pool, until dropped.
pub(crate) struct Taken {
    pool: Pool,
    number: u64,
}

impl Pool {
    pub(crate) fn new(size: usize) -> Self {
        Self {
            size,
            oldest_first: Arc::default(),
        }
    }

    /// Takes a place for a connection with this number, which `end` ends. The oldest makes room where there is none.
    pub(crate) fn take(&self, number: u64, end: AbortHandle) -> Taken {
        let mut connections = self.oldest_first.lock().unwrap_or_else(PoisonError::into_inner);
        if connections.len() >= self.size
            && let Some((_, oldest)) = connections.pop_front()
        {
            oldest.abort();
        }
        connections.push_back((number, end));
        Taken {
            pool: self.clone(),
            number,
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut connections = self
            .pool
            .oldest_first
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        connections.retain(|(number, _)| *number != self.number);
    }
}
