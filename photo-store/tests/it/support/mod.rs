//! What the tests share: pictures, a real vault on a socket, the index on both engines. Server and vault are started once.

pub(crate) mod engines;
pub(crate) mod pictures;
pub(crate) mod scratch;
pub(crate) mod vault;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use getrandom::SysRng;
use photo_store::decoding::Decoder;
use photo_store::keeping::objects::Objects;
use photo_store::keeping::store::index::Store;
use photo_store::service::Service;
use program_contract::Clock;

/// 2026-11-21T04:00:00Z.
pub(crate) const NOW: i64 = 1_795_233_600;

/// A clock that stands until a test moves it.
#[derive(Debug, Clone)]
pub(crate) struct SetClock(Arc<AtomicI64>);

impl SetClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(NOW)))
    }

    pub(crate) fn forward(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn clock(&self) -> Clock {
        let seconds = Arc::clone(&self.0);
        Clock::new(move || jiff::Timestamp::from_second(seconds.load(Ordering::SeqCst)).unwrap())
    }
}

/// A store over a folder of objects.
pub(crate) fn service(store: &Store, objects: &Path, vault: &vault::Reach, clock: &SetClock) -> Service {
    Service::new(
        store.clone(),
        Objects::in_folder(objects).unwrap(),
        vault.vault(),
        decoder(),
        clock.clock(),
        SysRng,
    )
    .unwrap()
}

/// As a store that serves decodes: by the program.
pub(crate) fn decoder() -> Decoder {
    Decoder::Apart(env!("CARGO_BIN_EXE_photo-store").into())
}
