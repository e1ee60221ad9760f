//! That something moved in the office: one watcher for all pages that are open, which looks at the head of the ledger.
//!
//! Each page has a place among a bounded number; without one it is looked at again by hand. Left out: what moved. A page looks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use issuer_office::office::Office;
use issuer_office::work::WorkList;
use permit_domain::StaffId;
use tokio::sync::watch;

/// How often the ledger is looked at while anybody has a page open.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Pages that follow at once, in all and of one person.
const MOST: usize = 400;
const MOST_OF_ONE: usize = 6;

/// How many cases wait, and which turn of the office it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stands {
    /// Another one whenever anything moved.
    pub(crate) turn: u64,
    pub(crate) waiting: Vec<(WorkList, u64)>,
}

/// What the pages follow.
#[derive(Clone)]
pub(crate) struct Live(Arc<Shared>);

struct Shared {
    stands: watch::Sender<Stands>,
    places: Mutex<Places>,
}

#[derive(Default)]
struct Places {
    /// Pages that follow, by whose they are.
    taken: HashMap<StaffId, usize>,
    /// Whether somebody looks at the ledger for them.
    watched: bool,
}

/// A page's place; it is free again when this is dropped.
pub(crate) struct Place {
    live: Live,
    account: StaffId,
    pub(crate) stands: watch::Receiver<Stands>,
}

impl Live {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared {
            stands: watch::Sender::new(Stands::default()),
            places: Mutex::default(),
        }))
    }

    /// Something moved that the ledger does not tell.
    pub(crate) fn moved(&self) {
        self.0.stands.send_modify(|stands| stands.turn += 1);
    }

    /// A place for a page of this person; none where there are too many.
    pub(crate) fn place(&self, office: &Office, account: &StaffId) -> Option<Place> {
        let mut places = self.places();
        let taken: usize = places.taken.values().sum();
        let own = places.taken.get(account).copied().unwrap_or_default();
        if taken >= MOST || own >= MOST_OF_ONE {
            return None;
        }
        places.taken.insert(account.clone(), own + 1);
        // The first page wakes the watcher, which goes to sleep with the last one.
        if !std::mem::replace(&mut places.watched, true) {
            tokio::spawn(watch(self.clone(), office.clone()));
        }
        drop(places);
        let stands = self.0.stands.subscribe();
        Some(Place {
            live: self.clone(),
            account: account.clone(),
            stands,
        })
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.0.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.live.places();
        match places.taken.get_mut(&self.account) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                places.taken.remove(&self.account);
            }
        }
    }
}

/// Looks as long as anybody has a place.
async fn watch(live: Live, office: Office) {
    let mut head = None;
    loop {
        // What cannot be read now is read the next time.
        if let Ok(entries) = office.entries().await
            && head != Some(entries)
            && let Ok(waiting) = office.waiting().await
        {
            head = Some(entries);
            live.0.stands.send_modify(|stands| {
                stands.turn += 1;
                stands.waiting = waiting;
            });
        }
        tokio::time::sleep(LOOK_EVERY).await;
        let mut places = live.places();
        if places.taken.is_empty() {
            places.watched = false;
            return;
        }
    }
}
