//! What a card does with memory, random source and cryptography, recorded in order (feature `meter`); without the feature
//! nothing is recorded.

#[cfg(feature = "meter")]
pub use recording::{Event, events};
#[cfg(feature = "meter")]
pub(crate) use recording::{has_read, has_written};

#[cfg(not(feature = "meter"))]
pub(crate) const fn has_read(_bytes: usize) {}

#[cfg(not(feature = "meter"))]
pub(crate) const fn has_written(_bytes: usize) {}

#[cfg(feature = "meter")]
mod recording {
    use std::cell::RefCell;

    use card_applet_spec::meter::{self, KeyTag, KeyUsage, Observer, Operation as Primitive};

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

    pub(crate) fn has_read(bytes: usize) {
        record(|_| Event::Read(bytes));
    }

    pub(crate) fn has_written(bytes: usize) {
        record(|_| Event::Write(bytes));
    }
}
