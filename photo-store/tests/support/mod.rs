//! What the tests share: pictures, a real vault on a socket, the index on both engines.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file is a crate of its own and uses its part"
)]

pub mod engines;
pub mod pictures;
pub mod vault;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use getrandom::SysRng;
use object_store::local::LocalFileSystem;
use photo_store::keeping::store::Store;
use photo_store::keeping::vault::Vault;
use photo_store::service::{Clock, Service};

/// A clock that stands until a test moves it.
#[derive(Debug, Clone)]
pub struct SetClock(Arc<AtomicI64>);

/// 2026-11-21T04:00:00Z.
pub const NOW: i64 = 1_795_233_600;

impl SetClock {
    pub fn new() -> Self {
        Self(Arc::new(AtomicI64::new(NOW)))
    }

    pub fn forward(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A store over a folder of objects.
pub fn service(store: &Store, objects: &Path, vault: &Path, clock: &SetClock) -> Service {
    let objects = LocalFileSystem::new_with_prefix(objects).unwrap();
    Service::new(
        store.clone(),
        Arc::new(objects),
        Vault::at(vault.to_owned()),
        Arc::new(clock.clone()),
        Box::new(SysRng),
    )
    .unwrap()
}
