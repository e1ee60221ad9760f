//! The journal of a payment terminal (chapter 11): what is written down *before* COMMIT is sent, and what became of it.
//!
//! One file for each registration number. A record is `length2 || type1 || payload || check8`, where check =
//! SHA-256("YZT-JOURNAL-1" || check of the record before || type || payload)[0..8]. Behind the last record stand zeros: the
//! place of the next one, so that what ends a purchase can be written on a full disk. A record that was cut by a loss of
//! power has only zeros behind it and is dropped (nothing was sent on its strength); anything else that does not check is
//! damage.
//!
//! A purchase is a value: [`Prepared`] is what is to be bought; only [`Journal::persist`] makes it an [`Open`] purchase,
//! and only an open purchase can be committed ([`crate::purchase`]).

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use card_applet_spec::bytes::Reader;
use card_applet_spec::crypto::sha256;
use card_applet_spec::door_f::{CommitBody, TapPlain};
use card_applet_spec::settlement::{self, BEFORE_LEN, Before, Line, SettlementHead, Unknown};
use program_contract::language::Said as _;
use program_contract::{Exit, Failing, file};
use rand_core::CryptoRng;

use crate::enrol::TerminalKey;

const MAGIC: [u8; 4] = *b"YZTP";
const VERSION: u8 = 0x01;
/// Magic, version, tid, number of the settlement file that these lines go into, check, bytes.
const HEAD_LEN: usize = 4 + 1 + 4 + 4 + 8;
/// Zeros behind the last record, bytes: more than the longest record.
const SLACK: usize = 512;
/// Longest journal that is read, bytes: a shop that settles once a year.
const MOST: u64 = 256 << 20;

/// A purchase that is to be committed: what it is, and what the card showed at the TAP before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Prepared {
    pub(crate) kv: u8,
    pub(crate) pid: [u8; 16],
    pub(crate) body: CommitBody,
    /// s0.
    pub(crate) seq: u32,
    /// All money ever spent before this purchase, in fen.
    pub(crate) spent: u32,
    /// All money ever loaded at the TAP before the attempt under way, in fen.
    pub(crate) loaded: u32,
    pub(crate) before: Option<Before>,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared")
            .field("amount", &self.body.amount)
            .finish_non_exhaustive()
    }
}

impl Prepared {
    pub(crate) fn new(kv: u8, plain: &TapPlain, body: CommitBody) -> Self {
        Self {
            kv,
            pid: plain.pid,
            body,
            seq: plain.seq,
            spent: plain.spent,
            loaded: plain.loaded,
            before: Before::of_tap(plain),
        }
    }

    /// The amount, in fen.
    #[must_use]
    pub fn amount(&self) -> u32 {
        self.body.amount
    }

    /// Balance of the card before the purchase, in fen.
    #[must_use]
    pub(crate) fn balance_before(&self) -> u32 {
        self.loaded.saturating_sub(self.spent)
    }

    fn line(&self, tac: [u8; 8]) -> Line {
        Line {
            kv: self.kv,
            pid: self.pid,
            body: self.body,
            // Both were checked when the purchase was prepared.
            seq: self.seq.wrapping_add(1),
            loaded: self.loaded,
            spent: self.spent.wrapping_add(self.body.amount),
            tac,
            before: self.before,
        }
    }

    fn unknown(&self) -> Unknown {
        Unknown {
            kv: self.kv,
            pid: self.pid,
            body: self.body,
            seq: self.seq,
        }
    }

    fn encode(&self) -> Result<Vec<u8>, card_applet_spec::Error> {
        let mut out = vec![self.kv];
        out.extend_from_slice(&self.pid);
        out.extend_from_slice(&self.body.encode()?);
        for number in [self.seq, self.spent, self.loaded] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        if let Some(before) = &self.before {
            out.extend_from_slice(&before.encode()?);
        }
        Ok(out)
    }

    fn parse(bytes: &[u8]) -> Result<Self, card_applet_spec::Error> {
        let mut reader = Reader::new(bytes, "journal");
        Ok(Self {
            kv: reader.u8()?,
            pid: reader.array()?,
            body: CommitBody::parse(&reader.array()?)?,
            seq: reader.u32()?,
            spent: reader.u32()?,
            loaded: reader.u32()?,
            before: match reader.rest().len() {
                0 => None,
                BEFORE_LEN => Some(Before::parse(reader.rest())?),
                _ => return Err(reader.malformed()),
            },
        })
    }
}

/// A purchase that stands in the journal and has no end yet. There is one at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open(Prepared);

impl Open {
    /// What is being bought.
    #[must_use]
    pub fn purchase(&self) -> &Prepared {
        &self.0
    }
}

/// What can be wrong with a journal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The operating system could not read or write it.
    #[error("the journal of purchases cannot be used: {}", .0.kind())]
    Io(#[from] io::Error),
    /// Its content is not what this program writes.
    #[error("the journal of purchases is damaged")]
    Damaged,
    /// A purchase has no end yet: another one cannot begin.
    #[error("a purchase is still open")]
    StillOpen,
    /// No purchase is open.
    #[error("no purchase is open")]
    NoneOpen,
}

impl JournalError {
    /// The code for programs, from a closed list.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io(_) => "STATE_UNUSABLE",
            Self::Damaged => "JOURNAL_DAMAGED",
            Self::StillOpen => "PURCHASE_OPEN",
            Self::NoneOpen => "NO_PURCHASE",
        }
    }

    /// What the operator can do.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::Io(_) => "Check the folder, its rights and the room on the disk.",
            Self::Damaged => "Stop selling, keep a copy of the folder, and ask the office.",
            Self::StillOpen => "Present the same card again, or give the open purchase up first.",
            Self::NoneOpen => "Nothing is open: begin a new purchase.",
        }
    }
}

impl Failing for JournalError {
    fn code(&self) -> Cow<'static, str> {
        self.code().into()
    }

    fn exit(&self) -> Exit {
        match self {
            Self::StillOpen | Self::NoneOpen => Exit::Refused,
            Self::Io(_) | Self::Damaged => Exit::Damaged,
        }
    }

    fn action(&self) -> Cow<'static, str> {
        self.action().into()
    }

    fn chinese(&self) -> (String, String) {
        let (message, action) = match self {
            Self::Io(error) => (
                format!("付款日志无法使用：{}", error.kind().zh()),
                "请检查目录、权限和磁盘空间。",
            ),
            Self::Damaged => (
                "付款日志已损坏".to_owned(),
                "请停止收款，留存目录副本，并联系发证机关。",
            ),
            Self::StillOpen => (
                "还有一笔付款未了".to_owned(),
                "请再次出示同一张卡，或先放弃这笔未了的付款。",
            ),
            Self::NoneOpen => ("没有未了的付款".to_owned(), "无须处理：请开始新的付款。"),
        };
        (message, action.to_owned())
    }
}

/// Kinds of records.
mod kind {
    /// A purchase, before its first COMMIT.
    pub(super) const PREPARED: u8 = 1;
    /// The open purchase before another COMMIT, with what the card showed now.
    pub(super) const AGAIN: u8 = 2;
    /// The card proved the debit: TAC.
    pub(super) const SOLD: u8 = 3;
    /// The card showed that nothing was debited.
    pub(super) const REFUSED: u8 = 4;
    /// The clerk gave up, or another debit came after.
    pub(super) const UNKNOWN: u8 = 5;
}

/// The journal of one registration number, open. The folder around it must be locked by its owner.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Where the next record goes.
    end: u64,
    check: [u8; 8],
    tid: u32,
    number: u32,
    open: Option<Open>,
    lines: Vec<Line>,
    unknown: Vec<Unknown>,
}

fn check(before: [u8; 8], kind: u8, payload: &[u8]) -> [u8; 8] {
    first8(&sha256(&[b"YZT-JOURNAL-1", &before, &[kind], payload]))
}

fn first8(digest: &[u8; 32]) -> [u8; 8] {
    digest.first_chunk().copied().unwrap_or_default()
}

fn head(tid: u32, number: u32) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.push(VERSION);
    out.extend_from_slice(&tid.to_be_bytes());
    out.extend_from_slice(&number.to_be_bytes());
    let check = first8(&sha256(&[b"YZT-JOURNAL-1", &out]));
    out.extend_from_slice(&check);
    out
}

/// The bytes of a new journal, and how many of them are not slack.
fn fresh(tid: u32, number: u32, open: Option<&Prepared>) -> Result<(Vec<u8>, [u8; 8], usize), JournalError> {
    let mut bytes = head(tid, number);
    let mut last = bytes.last_chunk().copied().unwrap_or_default();
    if let Some(open) = open {
        let (record, check) = record(
            last,
            kind::PREPARED,
            &open.encode().map_err(|_| JournalError::Damaged)?,
        );
        bytes.extend_from_slice(&record);
        last = check;
    }
    let used = bytes.len();
    bytes.resize(used.saturating_add(SLACK), 0);
    Ok((bytes, last, used))
}

fn record(before: [u8; 8], kind: u8, payload: &[u8]) -> (Vec<u8>, [u8; 8]) {
    let check = check(before, kind, payload);
    // No payload is longer than a few hundred bytes.
    let length = u16::try_from(payload.len()).unwrap_or(u16::MAX).saturating_add(1);
    let mut out = length.to_be_bytes().to_vec();
    out.push(kind);
    out.extend_from_slice(payload);
    out.extend_from_slice(&check);
    (out, check)
}

impl Journal {
    /// Opens the journal of `tid`, or makes it. What a loss of power cut is dropped.
    ///
    /// # Errors
    ///
    /// [`JournalError`]; nothing is changed then.
    pub fn open_file(path: &Path, tid: u32) -> Result<Self, JournalError> {
        let mut bytes = Vec::new();
        match File::open(path) {
            Ok(file) => {
                file.take(MOST).read_to_end(&mut bytes)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                bytes = fresh(tid, 1, None)?.0;
                file::replace(path, &bytes, file::PRIVATE)?;
            }
            Err(error) => return Err(error.into()),
        }
        let (read, used) = Read::all(&bytes, tid)?;
        let file = OpenOptions::new().write(true).mode(0o600).open(path)?;
        let journal = Self {
            path: path.to_owned(),
            file,
            end: used,
            check: read.check,
            tid,
            number: read.number,
            open: read.open.map(Open),
            lines: read.lines,
            unknown: read.unknown,
        };
        // What was cut is overwritten, and the place for the next record is made again.
        journal.file.write_all_at(&[0; SLACK], used)?;
        journal.file.set_len(used.saturating_add(SLACK as u64))?;
        journal.file.sync_all()?;
        Ok(journal)
    }

    /// The registration number.
    #[must_use]
    pub fn tid(&self) -> u32 {
        self.tid
    }

    /// Number of the settlement file that these lines will go into.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The purchase whose outcome is unknown, if there is one.
    #[must_use]
    pub fn open(&self) -> Option<Open> {
        self.open
    }

    /// Debits that cards proved, not yet in a settlement file.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Purchases without proof that were given up, not yet in a settlement file.
    #[must_use]
    pub fn unknown(&self) -> &[Unknown] {
        &self.unknown
    }

    /// Appends a record and flushes it; `slack` makes the place for the next one.
    fn append(&mut self, kind: u8, payload: &[u8], slack: bool) -> Result<(), JournalError> {
        let (mut bytes, check) = record(self.check, kind, payload);
        let used = bytes.len() as u64;
        if slack {
            bytes.resize(bytes.len().saturating_add(SLACK), 0);
        }
        let written = self
            .file
            .write_all_at(&bytes, self.end)
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // Whatever part of it stands there must not be read as a record.
            let zeros = vec![0; usize::try_from(used).unwrap_or(SLACK).min(SLACK)];
            let _ = self
                .file
                .write_all_at(&zeros, self.end)
                .and_then(|()| self.file.sync_data());
            return Err(error.into());
        }
        self.end = self.end.saturating_add(used);
        self.check = check;
        Ok(())
    }

    /// Writes a purchase down. Only what comes back may be committed.
    ///
    /// # Errors
    ///
    /// [`JournalError::StillOpen`]; [`JournalError::Io`] (a full disk): nothing may be sent to the card then.
    pub(crate) fn persist(&mut self, prepared: Prepared) -> Result<Open, JournalError> {
        if self.open.is_some() {
            return Err(JournalError::StillOpen);
        }
        let payload = prepared.encode().map_err(|_| JournalError::Damaged)?;
        self.append(kind::PREPARED, &payload, true)?;
        let open = Open(prepared);
        self.open = Some(open);
        Ok(open)
    }

    /// Writes down what the card showed before another attempt at the open purchase: the money loaded may have grown, and
    /// the TAC is made with it.
    pub(crate) fn again(&mut self, loaded: u32) -> Result<Open, JournalError> {
        let Some(Open(mut prepared)) = self.open else {
            return Err(JournalError::NoneOpen);
        };
        if prepared.loaded != loaded {
            self.append(kind::AGAIN, &loaded.to_be_bytes(), true)?;
            prepared.loaded = loaded;
            self.open = Some(Open(prepared));
        }
        Ok(Open(prepared))
    }

    pub(crate) fn sold(&mut self, tac: [u8; 8]) -> Result<Line, JournalError> {
        let Open(prepared) = self.open.ok_or(JournalError::NoneOpen)?;
        self.append(kind::SOLD, &tac, false)?;
        self.open = None;
        let line = prepared.line(tac);
        self.lines.push(line);
        Ok(line)
    }

    pub(crate) fn refused(&mut self) -> Result<(), JournalError> {
        self.open.ok_or(JournalError::NoneOpen)?;
        self.append(kind::REFUSED, &[], false)?;
        self.open = None;
        Ok(())
    }

    /// Gives the open purchase up: it goes into the settlement file without a TAC, and the settlement decides.
    ///
    /// # Errors
    ///
    /// [`JournalError::NoneOpen`]; [`JournalError::Io`]: it stays open then.
    pub fn give_up(&mut self) -> Result<Unknown, JournalError> {
        let Open(prepared) = self.open.ok_or(JournalError::NoneOpen)?;
        self.append(kind::UNKNOWN, &[], false)?;
        self.open = None;
        let unknown = prepared.unknown();
        self.unknown.push(unknown);
        Ok(unknown)
    }

    /// The signed settlement file of what stands here; `None` where there is nothing to settle. The open purchase is
    /// not in it. Call [`Journal::settled`] once the file is safe.
    ///
    /// # Errors
    ///
    /// [`JournalError::Damaged`] for a fault of the machine.
    pub fn settlement(
        &self,
        key: &TerminalKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Option<Vec<u8>>, JournalError> {
        if self.lines.is_empty() && self.unknown.is_empty() {
            return Ok(None);
        }
        let head = SettlementHead {
            terminal: key.name().as_str(),
            tid: self.tid,
            number: self.number,
        };
        let mut out = vec![0; settlement::encoded_len(self.lines.len(), self.unknown.len())];
        let used = settlement::encode(
            &head,
            &self.lines,
            &self.unknown,
            key.authentication(),
            rng,
            &mut out,
        )
        .map_err(|_| JournalError::Damaged)?;
        out.truncate(used);
        Ok(Some(out))
    }

    /// Begins the journal of the next settlement file, with the open purchase. The lines are gone from here.
    ///
    /// # Errors
    ///
    /// [`JournalError::Io`]: all of it stands as before.
    pub fn settled(&mut self) -> Result<(), JournalError> {
        let number = self.number.checked_add(1).ok_or(JournalError::Damaged)?;
        let open = self.open;
        let (bytes, check, used) = fresh(self.tid, number, open.as_ref().map(Open::purchase))?;
        file::replace(&self.path, &bytes, file::PRIVATE)?;
        self.file = OpenOptions::new().write(true).open(&self.path)?;
        self.end = used as u64;
        self.check = check;
        self.number = number;
        self.lines.clear();
        self.unknown.clear();
        Ok(())
    }
}

/// What a journal says.
struct Read {
    number: u32,
    check: [u8; 8],
    open: Option<Prepared>,
    lines: Vec<Line>,
    unknown: Vec<Unknown>,
}

impl Read {
    fn all(bytes: &[u8], tid: u32) -> Result<(Self, u64), JournalError> {
        let damaged = |_| JournalError::Damaged;
        let mut reader = Reader::new(bytes, "journal");
        let number = {
            let found: [u8; HEAD_LEN] = reader.array().map_err(damaged)?;
            let mut fields = Reader::new(&found, "journal");
            let _: [u8; 9] = fields.array().map_err(damaged)?;
            let number = fields.u32().map_err(damaged)?;
            if found.as_slice() != head(tid, number) || number == 0 {
                return Err(JournalError::Damaged);
            }
            number
        };
        let mut read = Self {
            number,
            check: bytes
                .get(..HEAD_LEN)
                .and_then(<[u8]>::last_chunk)
                .copied()
                .unwrap_or_default(),
            open: None,
            lines: Vec::new(),
            unknown: Vec::new(),
        };
        loop {
            let start = reader;
            let used = bytes.len().saturating_sub(start.rest().len()) as u64;
            match one(&mut reader, read.check) {
                Some((kind, payload, check)) => {
                    read.take(kind, payload)?;
                    read.check = check;
                }
                None if is_cut(start.rest()) => return Ok((read, used)),
                None => return Err(JournalError::Damaged),
            }
        }
    }

    fn take(&mut self, kind: u8, payload: &[u8]) -> Result<(), JournalError> {
        let damaged = |_| JournalError::Damaged;
        if kind == kind::PREPARED {
            if self.open.is_some() {
                return Err(JournalError::Damaged);
            }
            self.open = Some(Prepared::parse(payload).map_err(damaged)?);
            return Ok(());
        }
        let mut open = self.open.take().ok_or(JournalError::Damaged)?;
        match (kind, payload.len()) {
            (kind::AGAIN, 4) => {
                open.loaded = Reader::new(payload, "journal").u32().map_err(damaged)?;
                self.open = Some(open);
            }
            (kind::SOLD, 8) => self
                .lines
                .push(open.line(payload.try_into().map_err(|_| JournalError::Damaged)?)),
            (kind::REFUSED, 0) => {}
            (kind::UNKNOWN, 0) => self.unknown.push(open.unknown()),
            _ => return Err(JournalError::Damaged),
        }
        Ok(())
    }
}

/// The next record, if it is whole and right.
fn one<'a>(reader: &mut Reader<'a>, before: [u8; 8]) -> Option<(u8, &'a [u8], [u8; 8])> {
    let length = usize::from(reader.u16().ok()?);
    let kind = reader.u8().ok()?;
    let payload = reader.slice(length.checked_sub(1)?).ok()?;
    let found = reader.array::<8>().ok()?;
    (found == check(before, kind, payload)).then_some((kind, payload, found))
}

/// Whether what does not read as a record is one that a loss of power cut: behind the place of the longest record stand
/// only zeros, because nothing is ever written behind a record that was not flushed.
fn is_cut(rest: &[u8]) -> bool {
    rest.get(SLACK..)
        .unwrap_or_default()
        .iter()
        .all(|byte| *byte == 0)
        && match rest {
            // A length was written whole: the record that it announces must fit, and nothing may stand behind it.
            [high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low])).saturating_add(2 + 8);
                length <= SLACK
                    && rest
                        .get(length..)
                        .unwrap_or_default()
                        .iter()
                        .all(|byte| *byte == 0)
            }
            _ => true,
        }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    const TID: u32 = 4711;

    fn purchase(n: u8) -> Prepared {
        Prepared {
            kv: 3,
            pid: [n; 16],
            body: CommitBody {
                amount: 100 * u32::from(n),
                tid: TID,
                txno: [n; 8],
                time: 848_000_000,
                kind: 0,
            },
            seq: u32::from(n),
            spent: 0,
            loaded: 100_000,
            before: (n % 2 == 1).then_some(Before {
                seq: 7,
                loaded: 1,
                spent: 1,
                last_txno: [4; 8],
                masked: [5; 16],
                tac: [6; 8],
            }),
        }
    }

    struct Shop {
        _folder: tempfile::TempDir,
        path: PathBuf,
    }

    impl Shop {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("journal");
            Self {
                _folder: folder,
                path,
            }
        }

        fn journal(&self) -> Journal {
            Journal::open_file(&self.path, TID).unwrap()
        }
    }

    #[test]
    fn what_was_written_is_there_after_a_loss_of_power() {
        let shop = Shop::new();
        let mut journal = shop.journal();
        journal.persist(purchase(1)).unwrap();
        drop(journal);
        let mut journal = shop.journal();
        assert_eq!(journal.open().unwrap().purchase(), &purchase(1));
        assert!(matches!(
            journal.persist(purchase(2)),
            Err(JournalError::StillOpen)
        ));
        journal.again(100_500).unwrap();
        drop(journal);
        let mut journal = shop.journal();
        let line = journal.sold([9; 8]).unwrap();
        assert_eq!((line.loaded, line.seq, line.spent), (100_500, 2, 100));
        drop(journal);
        let mut journal = shop.journal();
        assert_eq!(journal.lines(), [line]);
        assert!(journal.open().is_none());
        journal.persist(purchase(2)).unwrap();
        let unknown = journal.give_up().unwrap();
        journal.persist(purchase(3)).unwrap();
        journal.refused().unwrap();
        assert!(matches!(journal.give_up(), Err(JournalError::NoneOpen)));
        drop(journal);
        let journal = shop.journal();
        assert_eq!(
            (journal.lines(), journal.unknown()),
            (&[line][..], &[unknown][..])
        );
    }

    #[test]
    fn a_settlement_file_takes_the_lines_and_leaves_the_open_purchase() {
        let shop = Shop::new();
        let mut rng = StdRng::seed_from_u64(1);
        let root = card_applet_spec::crypto::PrivateKey::generate(&mut rng).public();
        let pinned = crate::enrol::Pinned { vault: [7; 16], root };
        let key = TerminalKey::generate("小店 1".parse().unwrap(), pinned, &mut rng);
        let mut journal = shop.journal();
        assert!(journal.settlement(&key, &mut rng).unwrap().is_none());
        journal.persist(purchase(1)).unwrap();
        let line = journal.sold([9; 8]).unwrap();
        journal.persist(purchase(2)).unwrap();
        let file = journal.settlement(&key, &mut rng).unwrap().unwrap();
        let read = settlement::UnverifiedSettlement::parse(&file)
            .unwrap()
            .verify(&key.authentication().public())
            .unwrap();
        assert_eq!(read.head.number, 1);
        assert_eq!(read.lines().collect::<Vec<_>>(), [line]);
        journal.settled().unwrap();
        drop(journal);
        let mut journal = shop.journal();
        assert_eq!((journal.number(), journal.lines().len()), (2, 0));
        assert_eq!(journal.open().unwrap().purchase(), &purchase(2));
        journal.sold([8; 8]).unwrap();
        drop(journal);
        assert_eq!(shop.journal().lines().len(), 1);
    }

    #[test]
    fn a_record_cut_at_any_byte_leaves_the_state_before_it() {
        let shop = Shop::new();
        let mut journal = shop.journal();
        journal.persist(purchase(1)).unwrap();
        journal.sold([9; 8]).unwrap();
        let before = usize::try_from(journal.end).unwrap();
        journal.persist(purchase(3)).unwrap();
        let after = usize::try_from(journal.end).unwrap();
        drop(journal);
        let whole = std::fs::read(&shop.path).unwrap();
        for cut in before..after {
            let mut bytes = whole.clone();
            bytes[cut..].fill(0);
            // The file may have grown or not when the power went.
            for length in [cut, before + SLACK, bytes.len()] {
                let mut bytes = bytes.clone();
                bytes.truncate(length.max(cut));
                std::fs::write(&shop.path, &bytes).unwrap();
                let mut journal = shop.journal();
                // The last byte of a check may be zero by itself: then nothing was cut.
                if journal.open().is_some() {
                    assert_eq!(bytes[..after.min(bytes.len())], whole[..after]);
                    continue;
                }
                assert_eq!(journal.lines().len(), 1, "cut at {cut}");
                journal.persist(purchase(2)).unwrap();
                journal.sold([1; 8]).unwrap();
                drop(journal);
                assert_eq!(shop.journal().lines().len(), 2, "cut at {cut}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_journal_parser_panic(
            bytes: Vec<u8>,
            at in 0_usize..400,
            kinds in proptest::collection::vec((1_u8..7, proptest::collection::vec(proptest::num::u8::ANY, 0..150)), 0..5),
        ) {
            let _ = Read::all(&bytes, TID);
            // Records that check, of any kind and content, and bytes over them.
            let (mut journal, mut last, used) = fresh(TID, 1, None).unwrap();
            journal.truncate(used);
            for (kind, payload) in kinds {
                let (bytes, check) = record(last, kind, &payload);
                journal.extend_from_slice(&bytes);
                last = check;
            }
            let _ = Read::all(&journal, TID);
            for (to, from) in journal.iter_mut().skip(at).zip(bytes) {
                *to = from;
            }
            let _ = Read::all(&journal, TID);
        }
    }

    #[test]
    fn damage_is_said_so_and_never_read_as_an_end() {
        let shop = Shop::new();
        let mut journal = shop.journal();
        for n in 1..=3 {
            journal.persist(purchase(n)).unwrap();
            journal.sold([n; 8]).unwrap();
        }
        let end = usize::try_from(journal.end).unwrap();
        drop(journal);
        let whole = std::fs::read(&shop.path).unwrap();
        // The last record may be a cut one; everything before it has a record behind it.
        let last = 2 + 1 + 8 + 8;
        for at in 0..end - last {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x40;
            std::fs::write(&shop.path, &bytes).unwrap();
            assert!(
                matches!(Journal::open_file(&shop.path, TID), Err(JournalError::Damaged)),
                "byte {at}"
            );
        }
        std::fs::write(&shop.path, &whole).unwrap();
        assert!(matches!(
            Journal::open_file(&shop.path, TID + 1),
            Err(JournalError::Damaged)
        ));
    }

    #[test]
    fn a_full_disk_stops_a_purchase_before_anything_is_sent_and_not_its_end() {
        let shop = Shop::new();
        let mut journal = shop.journal();
        // A device that takes no byte.
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let real = std::mem::replace(&mut journal.file, full);
        assert!(matches!(journal.persist(purchase(1)), Err(JournalError::Io(_))));
        assert!(journal.open().is_none());
        journal.file = real;
        journal.persist(purchase(1)).unwrap();
        let grown = std::fs::metadata(&shop.path).unwrap().len();
        journal.sold([9; 8]).unwrap();
        journal.persist(purchase(2)).unwrap();
        journal.give_up().unwrap();
        drop(journal);
        let mut journal = shop.journal();
        journal.persist(purchase(3)).unwrap();
        let grown_again = std::fs::metadata(&shop.path).unwrap().len();
        journal.sold([9; 8]).unwrap();
        assert_eq!(
            std::fs::metadata(&shop.path).unwrap().len(),
            grown_again,
            "the end of a purchase needs no room on the disk"
        );
        assert!(grown_again > grown);
    }
}
