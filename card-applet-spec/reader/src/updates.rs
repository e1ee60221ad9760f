//! Sealed updates at a terminal (chapter 09): a batch fetched ahead, delivered to whoever taps, and the receipts.
//!
//! A terminal cannot read an update. It never asks anybody about a card that it taps: everything that waits for its roles
//! is in its batch, and what it hands back, days later, says neither where nor when.
//!
//! Left out: any priority among updates (the one with the smallest counter goes first), and any retry on the spot.

use std::collections::{BTreeMap, HashSet};

use card_applet_spec::apdu::{Header, StatusWord, split_answer};
use card_applet_spec::codes::Role;
use card_applet_spec::date::Date;
use card_applet_spec::sealed_box;
use card_applet_spec::update::SealedUpdate;
use card_applet_spec::update_files::{BatchEntry, Receipt, UpdateBatch, encode_receipts, receipts_len};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::card::Card;
use crate::counting::Stopwatch;
use crate::door_f::{Tapped, Terminal};
use crate::enrol::TerminalKey;
use crate::error::{Error, MaterialError, Step};
use crate::transport::Transport;

/// A batch of updates that opened and is signed for this terminal.
#[derive(Debug)]
pub struct Updates {
    id: [u8; 16],
    sequence: u32,
    issued: Date,
    last_day: Date,
    /// By role code and pseudonym, the smallest counter first.
    waiting: BTreeMap<(u8, [u8; 16]), Vec<BatchEntry>>,
    /// Cards that have refused in a way that may be the wire's, with the day: none of their updates goes out that day again.
    /// Not the later ones either: a card that does one refuses all before it for good.
    not_today: BTreeMap<(u8, [u8; 16]), Date>,
}

/// What became of one update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// The card did it, now or before: keep the receipt.
    Receipt(Receipt),
    /// The card has done a later one: the update is dropped.
    Dropped([u8; 16]),
    /// Kept; this card is not tried again today.
    NotToday,
    /// Nobody knows: the same update goes out at the next tap and gives the same receipt.
    Unknown,
}

impl Updates {
    /// Opens a batch with the terminal's sealing key, and checks signature, name, sequence and last day. `loaded` is the
    /// highest sequence that this terminal has loaded; `done` are updates that need no delivery any more.
    ///
    /// # Errors
    ///
    /// [`MaterialError`].
    pub fn open(
        sealed: &[u8],
        key: &TerminalKey,
        loaded: Option<u32>,
        done: &HashSet<[u8; 16]>,
        today: Date,
    ) -> Result<Self, MaterialError> {
        let mut buffer = Zeroizing::new(sealed.to_vec());
        let plain = sealed_box::open(sealed_box::UPDATES, key.sealing(), &mut buffer)
            .map_err(|_| MaterialError::UpdatesSeal)?;
        let batch = UpdateBatch::parse_and_verify(plain, &key.pinned().root)
            .map_err(|_| MaterialError::UpdatesDamaged)?;
        if batch.head.name != key.name().as_str() {
            return Err(MaterialError::UpdatesName);
        }
        if let Some(loaded) = loaded
            && batch.head.sequence < loaded
        {
            return Err(MaterialError::UpdatesOlder {
                offered: batch.head.sequence,
                loaded,
            });
        }
        if batch.head.not_after < today {
            return Err(MaterialError::UpdatesEnded);
        }
        let mut waiting: BTreeMap<_, Vec<BatchEntry>> = BTreeMap::new();
        for entry in batch.updates().filter(|entry| !done.contains(&entry.id)) {
            waiting
                .entry((entry.role.code(), entry.pid))
                .or_default()
                .push(entry);
        }
        for entries in waiting.values_mut() {
            entries.sort_by_key(|entry| entry.update.counter);
        }
        Ok(Self {
            id: batch.head.id,
            sequence: batch.head.sequence,
            issued: batch.head.issued,
            last_day: batch.head.not_after,
            waiting,
            not_today: BTreeMap::new(),
        })
    }

    /// The batch's id.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        self.id
    }

    /// The number to store: an older batch is never loaded again.
    #[must_use]
    pub fn sequence(&self) -> u32 {
        self.sequence
    }

    /// Day of issue and last day of use.
    #[must_use]
    pub fn days(&self) -> (Date, Date) {
        (self.issued, self.last_day)
    }

    /// Updates that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.values().map(Vec::len).sum()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether an update is part of this batch and waits.
    #[must_use]
    pub fn holds(&self, update: &[u8; 16]) -> bool {
        self.waiting.values().flatten().any(|entry| entry.id == *update)
    }

    fn next_for(&self, role: Role, pid: &[u8; 16], today: Date) -> Option<BatchEntry> {
        let place = (role.code(), *pid);
        if self.not_today.get(&place) == Some(&today) {
            return None;
        }
        self.waiting.get(&place)?.first().copied()
    }

    fn drop_update(&mut self, role: Role, pid: &[u8; 16], update: &[u8; 16]) {
        let place = (role.code(), *pid);
        if let Some(entries) = self.waiting.get_mut(&place) {
            entries.retain(|entry| entry.id != *update);
            if entries.is_empty() {
                self.waiting.remove(&place);
            }
        }
    }

    /// Whether anything goes today to the card of this tap. The answer stays in the terminal.
    pub fn waits_for<T: Transport>(&self, card: &Card<T, Tapped>, today: Date) -> Option<Waiting> {
        let tapped = card.state();
        self.next_for(tapped.role, &tapped.plain.pid, today)
            .map(|entry| Waiting {
                pid: tapped.plain.pid,
                version: tapped.version,
                entry,
            })
    }

    /// Delivers what waits for a card that has just been served, with a fresh tap. What the card answered must be written
    /// down by the caller before the next card.
    ///
    /// The update stays where its outcome is unknown, and no trouble here changes what the card was served before.
    pub fn deliver(
        &mut self,
        terminal: &mut Terminal,
        wire: &mut dyn Transport,
        waiting: &Waiting,
        today: Date,
        watch: &impl Stopwatch,
        rng: &mut impl CryptoRng,
    ) -> Delivered {
        let Waiting { pid, version, entry } = waiting;
        if today > self.last_day {
            return Delivered::Unknown;
        }
        let tapped = Card::new(wire)
            .select()
            .and_then(|card| terminal.open_version(card, entry.role, *version, today, watch, rng));
        let Ok(card) = tapped else {
            return Delivered::Unknown;
        };
        // Somebody may have put another card there.
        if card.state().plain.pid != *pid {
            return Delivered::Unknown;
        }
        match card.update(&entry.update) {
            Ok(receipt) => {
                self.drop_update(entry.role, pid, &entry.id);
                Delivered::Receipt(Receipt {
                    update: entry.id,
                    receipt,
                })
            }
            Err(Error::CardRefused { status, .. }) if status == StatusWord::CONDITIONS.0 => {
                self.drop_update(entry.role, pid, &entry.id);
                Delivered::Dropped(entry.id)
            }
            Err(Error::CardRefused { status, .. })
                if status == StatusWord::SECURITY.0 || status == StatusWord::NO_INSTRUCTION.0 =>
            {
                self.not_today.insert((entry.role.code(), *pid), today);
                Delivered::NotToday
            }
            Err(_) => Delivered::Unknown,
        }
    }
}

/// An update that waits for the card that was just tapped. Debug shows nothing of the card.
pub struct Waiting {
    pid: [u8; 16],
    version: u8,
    entry: BatchEntry,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waiting(an update of a card)")
    }
}

impl<T: Transport> Card<T, Tapped> {
    /// Sends an update on this tap, which is used up. The receipt proves itself to the vault only.
    fn update(mut self, update: &SealedUpdate) -> Result<[u8; 16], Error> {
        let step = Step::Update;
        let bad = |_| Error::BadAnswer { step };
        let Tapped {
            role,
            version,
            m,
            terminal_challenge,
            card_challenge,
            ..
        } = self.state();
        let header = Header::update(role.code(), *version);
        let mac = update
            .tap_mac(m, role.code(), *version, terminal_challenge, card_challenge)
            .map_err(bad)?;
        let data = update.command_data(&mac).map_err(bad)?;
        let command = header.command(&data, Some(0x10)).map_err(bad)?;
        let answer = self.exchange(&command)?;
        let (body, status) = split_answer(&answer).map_err(bad)?;
        if !status.is_ok() {
            return Err(Error::CardRefused {
                step,
                status: status.0,
            });
        }
        body.try_into().map_err(|_| Error::BadAnswer { step })
    }
}

/// The receipts file: ascending by update id, no update twice, and nothing of where or when.
///
/// # Errors
///
/// [`MaterialError::UpdatesDamaged`] for a fault of the machine.
pub fn receipts_file(receipts: &[Receipt]) -> Result<Vec<u8>, MaterialError> {
    let sorted: BTreeMap<[u8; 16], Receipt> = receipts
        .iter()
        .map(|receipt| (receipt.update, *receipt))
        .collect();
    let sorted: Vec<Receipt> = sorted.into_values().collect();
    let mut out = vec![0; receipts_len(sorted.len())];
    let used = encode_receipts(&sorted, &mut out).map_err(|_| MaterialError::UpdatesDamaged)?;
    out.truncate(used);
    Ok(out)
}
