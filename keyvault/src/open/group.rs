//! The requests of a group: what they changed becomes durable in one transaction, and none is answered before that.
//!
//! Left out: what they changed, and how that is taken back ([`crate::open::transaction`]); when to commit (the gate).

use std::sync::Arc;

use tokio::sync::{Notify, watch};

use crate::error::Error;

/// The requests that wait for one commit.
pub(crate) struct Group {
    members: u32,
    full: Arc<Notify>,
    outcome: watch::Sender<Option<Result<(), Error>>>,
}

impl Group {
    /// Nobody yet.
    pub(crate) fn new() -> Self {
        Self {
            members: 0,
            full: Arc::new(Notify::new()),
            outcome: watch::Sender::new(None),
        }
    }

    /// One more, of `expected`.
    pub(crate) fn join(&mut self, expected: u32) -> Member {
        self.members += 1;
        if self.members >= expected {
            self.full.notify_one();
        }
        Member {
            is_first: self.members == 1,
            full: Arc::clone(&self.full),
            outcome: self.outcome.subscribe(),
        }
    }

    /// Tells every one what became of the group.
    pub(crate) fn tell(self, outcome: Result<(), Error>) {
        self.outcome.send_replace(Some(outcome));
    }
}

/// A request that waits.
pub(crate) struct Member {
    /// Whether nobody sees to the commit yet.
    pub(crate) is_first: bool,
    /// Told when all that are expected have joined.
    pub(crate) full: Arc<Notify>,
    outcome: watch::Receiver<Option<Result<(), Error>>>,
}

impl Member {
    /// What became of the group; when its vault went away without a word, it was closed.
    pub(crate) async fn outcome(mut self) -> Result<(), Error> {
        match self.outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Err(Error::Sealed)),
            Err(_) => Err(Error::Sealed),
        }
    }
}
