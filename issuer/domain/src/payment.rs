//! What the office owes payment terminals: the decision on checked settlement lines. Card specification, chapter 11.
//!
//! Pure: [`settle`] gets what the vault said of each line and what the ledger knows, and says what is paid, doubled,
//! copied, recovered and missing. A card is a *pseudonym* here, 16 bytes that stand for it in settlement and for nothing
//! else;
//! results that name a pseudonym hold no terminal, amount or day, and results of a terminal hold no pseudonym. Left out: the
//! checks of signature and TAC (the terminal's file and the vault), paying out, and who holds a card (nobody here knows).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound;

use jiff::civil::Date;

use crate::digest::Digest;
use crate::error::Error;

/// The pseudonym of a card in settlement. `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CardPseudonym([u8; 16]);

impl CardPseudonym {
    /// As the vault gave it.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes, for the ledger and the vault.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for CardPseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardPseudonym(..)")
    }
}

/// A payment terminal's registration number as people write and read it: 8 hex digits, as in the name of its settlement files.
/// In decimal it is read too, where it cannot be taken for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TerminalNumber(pub u32);

impl fmt::Display for TerminalNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl TerminalNumber {
    /// The number that a text is, in 8 hex digits or in decimal; `None` also for what can be taken for either: eight decimal
    /// digits, unless they begin with a zero, or with `0x` before them.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let hex = |digits: &str| {
            let is_hex = digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            is_hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
        };
        let is_decimal = text.bytes().all(|digit| digit.is_ascii_digit()) && !text.starts_with('0');
        let number = match text.strip_prefix("0x") {
            Some(digits) => hex(digits),
            None if is_decimal && text.len() == 8 => None,
            None if is_decimal => text.parse().ok(),
            None => hex(text),
        };
        number.map(Self)
    }
}

/// A payment terminal's registration: its days are paid, no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Registration number, given once.
    pub tid: u32,
    /// The name in its bundle.
    pub name: String,
    /// The public key that signs its files, `04 || X || Y`.
    pub authentication_key: [u8; 65],
    /// First day.
    pub from: Date,
    /// Last day, included.
    pub to: Date,
    /// Last day of one that was withdrawn.
    pub withdrawn_after: Option<Date>,
}

impl Registration {
    /// Withdrawn: debits after the day are never paid. `None`: it was withdrawn by that very day before. An earlier day may
    /// follow a later one, not the other way.
    ///
    /// # Errors
    /// [`Error::WrongState`] for a terminal that was withdrawn earlier.
    pub fn withdrawn(self, after: Date) -> Result<Option<Self>, Error> {
        match self.withdrawn_after {
            Some(day) if day == after => Ok(None),
            Some(day) if day < after => Err(Error::WrongState {
                thing: "terminal",
                state: "WITHDRAWN",
                wanted: "a later last day",
            }),
            _ => Ok(Some(Self {
                withdrawn_after: Some(after),
                ..self
            })),
        }
    }

    /// Whether debits of this day are paid.
    #[must_use]
    pub fn serves(&self, day: Date) -> bool {
        self.from <= day && day <= self.to && self.withdrawn_after.is_none_or(|last| day <= last)
    }

    /// Whether a file that comes on this day comes too late: behind the last day of a terminal that was withdrawn. Whoever has
    /// its key since then writes any day into it, and nothing but the day on which it comes is the office's own.
    #[must_use]
    pub fn is_closed_on(&self, import: Date) -> bool {
        self.withdrawn_after.is_some_and(|last| import > last)
    }
}

/// A count with its sum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Sum {
    /// How many.
    pub count: u64,
    /// Fen in all.
    pub fen: u64,
}

impl Sum {
    /// One more.
    pub const fn add(&mut self, fen: u32) {
        self.count = self.count.saturating_add(1);
        self.fen = self.fen.saturating_add(fen as u64);
    }

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            fen: self.fen.saturating_add(other.fen),
        }
    }
}

/// A debit as a line claims it, and what the vault said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedLine {
    /// Registration number in the debit's body.
    pub tid: u32,
    /// Its day.
    pub day: Date,
    /// Fen.
    pub amount: u32,
    /// Digest of the whole debit (seq and body): what an unknown line is found again by.
    pub key: Digest,
    /// What the vault said.
    pub check: Check,
}

/// What the vault said of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// The TAC does not fit.
    Forged,
    /// No card of ours has that pid.
    UnknownCard,
    /// The TAC fits.
    Genuine(Box<GenuineLine>),
}

/// A debit that a card made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenuineLine {
    /// The card.
    pub pseudonym: CardPseudonym,
    /// Number of the debit.
    pub seq: u32,
    /// Its TAC.
    pub tac: [u8; 8],
    /// All that the card had spent behind it.
    pub spent: u32,
    /// Whether the card was ever given as much as it says it was loaded with, and spent no more than that.
    pub loaded_known: bool,
    /// All that the vault ever gave this card, fen.
    pub given: u32,
    /// The debit before, proved by its own TAC.
    pub before: Option<DebitBefore>,
}

/// A debit that the next terminal saw on the card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebitBefore {
    /// Number of the debit.
    pub seq: u32,
    /// Its TAC.
    pub tac: [u8; 8],
    /// The terminal that made it.
    pub tid: u32,
    /// Its day.
    pub day: Date,
    /// Fen.
    pub amount: u32,
    /// All that the card had spent behind it.
    pub spent: u32,
    /// Digest of the whole debit.
    pub key: Digest,
}

/// A debit of which the terminal does not know whether the card did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownLine {
    /// Registration number in the debit's body.
    pub tid: u32,
    /// Its day.
    pub day: Date,
    /// Fen.
    pub amount: u32,
    /// Digest of the debit as it would be if the card did it.
    pub key: Digest,
}

/// A settlement file whose signature is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedFile {
    /// The terminal.
    pub tid: u32,
    /// Number of the file, from 1.
    pub number: u32,
    /// SHA-256 of the file.
    pub digest: Digest,
    /// Debits with a proof.
    pub lines: Vec<CheckedLine>,
    /// Debits without.
    pub unknown: Vec<UnknownLine>,
}

/// What the ledger knows of the cards, terminals and unknown debits of a batch.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// TAC of every debit that was ever taken, of the batch's cards.
    pub debits: BTreeMap<(CardPseudonym, u32), [u8; 8]>,
    /// Cards that were copied or broken.
    pub copied: BTreeSet<CardPseudonym>,
    /// What was paid for each of the batch's cards so far, by lines and from evidence, fen.
    pub paid: BTreeMap<CardPseudonym, u64>,
    /// Registrations.
    pub terminals: BTreeMap<u32, Registration>,
    /// Unknown debits that wait for evidence.
    pub waiting: BTreeSet<Digest>,
    /// Debits that were recovered from evidence: an unknown line that comes later is no news.
    pub recovered: BTreeSet<Digest>,
    /// The day of the import; none closes no terminal.
    pub on: Option<Date>,
}

/// What one file brought, without any card.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FileSums {
    /// Paid to the terminal.
    pub paid: Sum,
    /// Taken before, by a line or from evidence.
    pub doubled: Sum,
    /// The TAC does not fit.
    pub forged: Sum,
    /// No card of ours.
    pub unknown_card: Sum,
    /// Made by another terminal than the one that hands it in.
    pub other_terminal: Sum,
    /// The terminal was not registered on that day.
    pub not_registered: Sum,
    /// The card claims money that it was never given.
    pub overdrawn: Sum,
    /// A card that was copied or broken.
    pub copied: Sum,
    /// Outcome unknown, waits for evidence.
    pub waiting: Sum,
    /// Outcome unknown, and evidence is there: paid as recovered or by a line.
    pub resolved: Sum,
}

/// A debit that is taken from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Taken {
    /// The card.
    pub pseudonym: CardPseudonym,
    /// Number of the debit.
    pub seq: u32,
    /// Its TAC.
    pub tac: [u8; 8],
}

/// An unknown debit that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// What it is found again by.
    pub key: Digest,
    /// Whose it is.
    pub tid: u32,
    /// Fen.
    pub amount: u32,
}

/// What a batch of files comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// For each file, in the order given.
    pub files: Vec<FileSums>,
    /// Recovered from what other terminals saw, by terminal.
    pub recovered: BTreeMap<u32, Sum>,
    /// Evidence of debits whose terminal was not registered on their day, or was withdrawn before the day of the import.
    pub recovered_unregistered: Sum,
    /// New debits.
    pub taken: BTreeSet<Taken>,
    /// Cards found copied or broken by this batch: onto the deny list.
    pub copied: BTreeSet<CardPseudonym>,
    /// What this batch pays for each card, beside what was paid before, fen.
    pub paid_more: BTreeMap<CardPseudonym, u64>,
    /// New unknown debits.
    pub waiting: Vec<Waiting>,
    /// Unknown debits of before or of this batch that evidence covers.
    pub resolved: BTreeSet<Digest>,
    /// Digests of recovered debits.
    pub recovered_keys: BTreeSet<Digest>,
    /// Debits that are missing between two of this batch, with their sum, where the cards' figures show it.
    pub gaps: Sum,
}

/// Decides a batch.
///
/// Lines go before evidence, so the terminal that hands a debit in is paid by its own file. Nothing is paid of a card from
/// the moment that two TACs of one number, money that nobody gave it, figures that do not add up, or more claimed over all
/// imports than it was ever given, show that it was copied or broken.
#[must_use]
pub fn settle(known: &Known, files: &[CheckedFile]) -> Settled {
    let mut run = Run {
        known,
        bad: known.copied.clone(),
        out: Settled::default(),
        taken: BTreeMap::new(),
        paid_keys: BTreeSet::new(),
        waiting_keys: BTreeSet::new(),
    };
    run.find_copies(files);
    run.out.files = files.iter().map(|file| run.lines(file)).collect();
    for line in genuine(files) {
        run.evidence(line);
    }
    for (file, index) in files.iter().zip(0_usize..) {
        let (waiting, resolved, other, unregistered) = run.unknown(file);
        if let Some(sums) = run.out.files.get_mut(index) {
            sums.waiting = waiting;
            sums.resolved = resolved;
            sums.other_terminal = sums.other_terminal.and(other);
            sums.not_registered = sums.not_registered.and(unregistered);
        }
    }
    run.gaps(files);
    run.out.taken = run
        .taken
        .iter()
        .map(|(&(pseudonym, seq), &tac)| Taken { pseudonym, seq, tac })
        .collect();
    run.out
}

struct Run<'a> {
    known: &'a Known,
    bad: BTreeSet<CardPseudonym>,
    out: Settled,
    taken: BTreeMap<(CardPseudonym, u32), [u8; 8]>,
    paid_keys: BTreeSet<Digest>,
    waiting_keys: BTreeSet<Digest>,
}

/// The genuine lines that a terminal hands in for itself.
fn genuine(files: &[CheckedFile]) -> impl Iterator<Item = &GenuineLine> {
    files.iter().flat_map(|file| {
        file.lines.iter().filter_map(|line| match &line.check {
            Check::Genuine(genuine) if line.tid == file.tid => Some(genuine.as_ref()),
            _ => None,
        })
    })
}

/// (pseudonym, seq) -> (spent before, spent behind); spent before is none where the amount is more than was ever spent.
fn figures(files: &[CheckedFile]) -> BTreeMap<(CardPseudonym, u32), (Option<u32>, u32)> {
    let mut figures = BTreeMap::new();
    for file in files {
        for line in &file.lines {
            let Check::Genuine(it) = &line.check else { continue };
            if line.tid != file.tid {
                continue;
            }
            let mut add = |seq, spent: u32, amount: u32| {
                figures.insert((it.pseudonym, seq), (spent.checked_sub(amount), spent));
            };
            add(it.seq, it.spent, line.amount);
            if let Some(before) = &it.before {
                add(before.seq, before.spent, before.amount);
            }
        }
    }
    figures
}

impl Run<'_> {
    fn find_copies(&mut self, files: &[CheckedFile]) {
        let mut seen: BTreeMap<(CardPseudonym, u32), [u8; 8]> = BTreeMap::new();
        for line in genuine(files) {
            let before = line.before.iter().map(|b| (b.seq, b.tac));
            for (seq, tac) in std::iter::once((line.seq, line.tac)).chain(before) {
                let at = (line.pseudonym, seq);
                let first = *self
                    .known
                    .debits
                    .get(&at)
                    .unwrap_or(seen.entry(at).or_insert(tac));
                if first != tac {
                    self.copied(line.pseudonym);
                }
            }
            if !line.loaded_known {
                self.copied(line.pseudonym);
            }
        }
        self.find_impossible(files);
        self.find_overpaid(files);
    }

    /// A card's `spent` only grows, by the amount of each debit: figures that do not add up were made by whoever has the
    /// keys of an opened card, under numbers that nobody has seen before.
    fn find_impossible(&mut self, files: &[CheckedFile]) {
        let figures = figures(files);
        for (&(pseudonym, seq), &(before, behind)) in &figures {
            let behind_it = (
                Bound::Excluded((pseudonym, seq)),
                Bound::Included((pseudonym, u32::MAX)),
            );
            let adds_up = match figures.range(behind_it).next() {
                _ if before.is_none() => false,
                Some((&(_, follows), (Some(then), _))) if follows == seq.saturating_add(1) => *then == behind,
                Some((_, (Some(then), _))) => *then >= behind,
                Some((_, (None, _))) | None => true,
            };
            if !adds_up {
                self.copied(pseudonym);
            }
        }
    }

    /// Over all imports no more is paid for a card than it was ever given: whoever has the keys of an opened card and a
    /// registered terminal could else hand in one debit of a new number with each import, over the same money again and
    /// again, for the ledger keeps no figures to hold them against. A card itself cannot come here, in whatever order its
    /// debits come in: what it spent in all is never above what it was given.
    fn find_overpaid(&mut self, files: &[CheckedFile]) {
        let mut given: BTreeMap<CardPseudonym, u32> = BTreeMap::new();
        // The most that each debit could be paid with: by its line or from evidence, never by both.
        let mut claims: BTreeMap<(CardPseudonym, u32), u32> = BTreeMap::new();
        for file in files {
            for line in &file.lines {
                let Check::Genuine(it) = &line.check else { continue };
                if line.tid != file.tid {
                    continue;
                }
                let most = given.entry(it.pseudonym).or_default();
                *most = it.given.max(*most);
                let own = (it.seq, line.tid, line.day, line.amount);
                let before = it.before.iter().map(|b| (b.seq, b.tid, b.day, b.amount));
                for (seq, tid, day, amount) in std::iter::once(own).chain(before) {
                    let at = (it.pseudonym, seq);
                    if self.serves(tid, day) && !self.known.debits.contains_key(&at) {
                        let claim = claims.entry(at).or_default();
                        *claim = amount.max(*claim);
                    }
                }
            }
        }
        let mut sums: BTreeMap<CardPseudonym, u64> = BTreeMap::new();
        for ((pseudonym, _), amount) in claims {
            let paid = || self.known.paid.get(&pseudonym).copied().unwrap_or(0);
            let sum = sums.entry(pseudonym).or_insert_with(paid);
            *sum = sum.saturating_add(amount.into());
        }
        for (pseudonym, sum) in sums {
            if sum > given.get(&pseudonym).copied().unwrap_or(0).into() {
                self.copied(pseudonym);
            }
        }
    }

    fn pay(&mut self, pseudonym: CardPseudonym, amount: u32) {
        let sum = self.out.paid_more.entry(pseudonym).or_default();
        *sum = sum.saturating_add(amount.into());
    }

    fn copied(&mut self, pseudonym: CardPseudonym) {
        if self.bad.insert(pseudonym) {
            self.out.copied.insert(pseudonym);
        }
    }

    fn serves(&self, tid: u32, day: Date) -> bool {
        self.known.terminals.get(&tid).is_some_and(|t| t.serves(day))
    }

    fn is_closed(&self, tid: u32) -> bool {
        let terminal = self.known.terminals.get(&tid);
        self.known
            .on
            .is_some_and(|on| terminal.is_some_and(|terminal| terminal.is_closed_on(on)))
    }

    /// Takes a debit; `false`: it was taken before.
    fn take(&mut self, pseudonym: CardPseudonym, seq: u32, tac: [u8; 8]) -> bool {
        if self.is_taken(pseudonym, seq) {
            return false;
        }
        self.taken.insert((pseudonym, seq), tac);
        true
    }

    fn is_taken(&self, pseudonym: CardPseudonym, seq: u32) -> bool {
        let at = (pseudonym, seq);
        self.known.debits.contains_key(&at) || self.taken.contains_key(&at)
    }

    fn cover(&mut self, key: Digest) {
        if self.known.waiting.contains(&key) {
            self.out.resolved.insert(key);
        }
    }

    fn lines(&mut self, file: &CheckedFile) -> FileSums {
        let mut sums = FileSums::default();
        for line in &file.lines {
            let sum = match &line.check {
                Check::Forged => &mut sums.forged,
                Check::UnknownCard => &mut sums.unknown_card,
                Check::Genuine(_) if line.tid != file.tid => &mut sums.other_terminal,
                Check::Genuine(it) if !it.loaded_known => &mut sums.overdrawn,
                Check::Genuine(it) if self.bad.contains(&it.pseudonym) => &mut sums.copied,
                Check::Genuine(it) => {
                    let is_new = self.take(it.pseudonym, it.seq, it.tac);
                    if !is_new {
                        self.cover(line.key);
                        &mut sums.doubled
                    } else if self.serves(line.tid, line.day) {
                        self.cover(line.key);
                        self.paid_keys.insert(line.key);
                        self.pay(it.pseudonym, line.amount);
                        &mut sums.paid
                    } else {
                        &mut sums.not_registered
                    }
                }
            };
            sum.add(line.amount);
        }
        sums
    }

    fn evidence(&mut self, line: &GenuineLine) {
        let Some(before) = &line.before else { return };
        if self.bad.contains(&line.pseudonym) {
            return;
        }
        // The day of what another terminal saw was written by the one that made it: of a withdrawn one only what it had handed
        // in itself, as an unknown debit, is paid. It stays open for the terminal's own file, which a person may let in.
        let is_closed = !self.known.waiting.contains(&before.key) && self.is_closed(before.tid);
        if is_closed && !self.is_taken(line.pseudonym, before.seq) && self.serves(before.tid, before.day) {
            self.out.recovered_unregistered.add(before.amount);
            return;
        }
        if !self.take(line.pseudonym, before.seq, before.tac) {
            self.cover(before.key);
            return;
        }
        if self.serves(before.tid, before.day) {
            self.out
                .recovered
                .entry(before.tid)
                .or_default()
                .add(before.amount);
            self.pay(line.pseudonym, before.amount);
        } else {
            self.out.recovered_unregistered.add(before.amount);
        }
        self.out.recovered_keys.insert(before.key);
        self.cover(before.key);
    }

    /// Waiting, resolved, another terminal's, not registered.
    fn unknown(&mut self, file: &CheckedFile) -> (Sum, Sum, Sum, Sum) {
        let (mut waiting, mut resolved) = (Sum::default(), Sum::default());
        let (mut other, mut unregistered) = (Sum::default(), Sum::default());
        for line in &file.unknown {
            let is_covered = self.known.recovered.contains(&line.key)
                || self.out.recovered_keys.contains(&line.key)
                || self.paid_keys.contains(&line.key);
            if line.tid != file.tid {
                other.add(line.amount);
            } else if !self.serves(line.tid, line.day) {
                unregistered.add(line.amount);
            } else if is_covered {
                resolved.add(line.amount);
            } else if !self.known.waiting.contains(&line.key) && self.waiting_keys.insert(line.key) {
                waiting.add(line.amount);
                self.out.waiting.push(Waiting {
                    key: line.key,
                    tid: line.tid,
                    amount: line.amount,
                });
            }
        }
        (waiting, resolved, other, unregistered)
    }

    /// Between two neighbours of this batch on one card, the card's own figures say what is missing.
    fn gaps(&mut self, files: &[CheckedFile]) {
        let figures = figures(files);
        let mut last: Option<((CardPseudonym, u32), u32)> = None;
        for (&at, &(before, behind)) in &figures {
            if self.bad.contains(&at.0) {
                continue;
            }
            if let Some(((pseudonym, seq), spent)) = last
                && pseudonym == at.0
            {
                let missing = u64::from(at.1 - seq - 1);
                let between = (pseudonym, seq + 1)..at;
                if missing > 0 && self.known.debits.range(between).next().is_none() {
                    self.out.gaps = self.out.gaps.and(Sum {
                        count: missing,
                        fen: u64::from(before.unwrap_or(spent).saturating_sub(spent)),
                    });
                }
            }
            last = Some((at, behind));
        }
    }
}

/// The numbers that are missing below the largest: files that a terminal made and nobody handed in.
#[must_use]
pub fn missing_numbers(numbers: &BTreeSet<u32>) -> Vec<u32> {
    let last = numbers.last().copied().unwrap_or(0);
    (1..=last).filter(|n| !numbers.contains(n)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminals_number_is_read_as_its_files_have_it_and_never_as_another() {
        for (text, number) in [
            ("00010002", 0x0001_0002),
            ("0001000a", 0x0001_000A),
            ("FFFFFFFF", u32::MAX),
            ("0x12345678", 0x1234_5678),
            ("65538", 65_538),
            ("1", 1),
            ("4294967295", u32::MAX),
        ] {
            assert_eq!(TerminalNumber::read(text), Some(TerminalNumber(number)), "{text}");
        }
        for text in [
            "",
            "0",
            "010002",
            "0010002",
            "000010002",
            "12345678",
            "4294967296",
            "10002a",
            "0x10002",
            "+1",
            " 1",
            "一",
            "-0010002",
        ] {
            assert_eq!(TerminalNumber::read(text), None, "{text}");
        }
        assert_eq!(TerminalNumber(65_538).to_string(), "00010002");
    }
}
