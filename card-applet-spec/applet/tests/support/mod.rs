//! What the tests of the card share: the host, a random source and memory that are watched, numbers of cases.
#![allow(
    unreachable_pub,
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    reason = "test support: each test file uses its part"
)]

use std::cell::RefCell;
use std::convert::Infallible;

use card_applet_spec::meter::{self, KeyTag, KeyUsage, Observer, Operation as Primitive};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_core::{Rng, TryCryptoRng, TryRng};

mod host;
pub use host::*;

/// The card's random source: repeats itself, and tells the meter how much is drawn.
#[derive(Debug)]
pub struct Dice(StdRng);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }
}

impl TryRng for Dice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        meter::report(Primitive::Random { bytes: 4 });
        Ok(self.0.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        meter::report(Primitive::Random { bytes: 8 });
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        meter::report(Primitive::Random { bytes: out.len() });
        self.0.fill_bytes(out);
        Ok(())
    }
}

impl TryCryptoRng for Dice {}

/// Something that a card did and that time or power may show. Lengths are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    Read(usize),
    Write(usize),
    /// A key is used: which one of those of this recording, in the order of their first use.
    Key(usize, KeyUsage),
    Primitive(Primitive),
}

/// What is recorded, and the keys that came up.
type Recording = (Vec<Event>, Vec<KeyTag>);

thread_local!(static EVENTS: RefCell<Option<Recording>> = const { RefCell::new(None) });

static OBSERVER: Observer = |primitive| match primitive {
    Primitive::KeySetup { key, usage } => record(|keys| {
        let known = keys.iter().position(|known| *known == key);
        let number = known.unwrap_or_else(|| {
            keys.push(key);
            keys.len() - 1
        });
        Event::Key(number, usage)
    }),
    other => record(|_| Event::Primitive(other)),
};

fn record(event: impl FnOnce(&mut Vec<KeyTag>) -> Event) {
    EVENTS.with_borrow_mut(|recording| {
        if let Some((events, keys)) = recording {
            events.push(event(keys));
        }
    });
}

/// Everything that `action` does with memory, random source and cryptography, in order. Of the card alone: a host that
/// computes meanwhile is recorded too.
pub fn events<T>(action: impl FnOnce() -> T) -> (T, Vec<Event>) {
    assert!(meter::install(&OBSERVER));
    EVENTS.set(Some(Recording::default()));
    let done = action();
    let (events, _) = EVENTS.take().unwrap();
    (done, events)
}

/// A random source for the host's cards.
fn dice(seed: u64) -> Dice {
    Dice::new(seed)
}

fn has_read(bytes: usize) {
    record(|_| Event::Read(bytes));
}

fn has_written(bytes: usize) {
    record(|_| Event::Write(bytes));
}

/// Cases of a property: `default` for `make test`, more where somebody asks for them (`PROPTEST_CASES`).
pub fn cases(default: u32) -> proptest::test_runner::Config {
    let mut config = proptest::test_runner::Config {
        failure_persistence: None,
        ..proptest::test_runner::Config::default()
    };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = default;
    }
    config
}
