//! A terminal's folder: what it loaded, what it owes the office, and the marks that keep an older file from coming back.
//! Mode 0700, used by one program at a time (a lock that ends with its process).
//!
//! | name | content |
//! |---|---|
//! | `bundle.yztb`, `updates.yztu` | the newest bundle and update batch, sealed as they came |
//! | `ROLE.list` | the newest deny list of a role, a whole A9 template |
//! | `marks.json` | sequence of the newest batch, last day seen |
//! | `counters.json` | counts by day, role and reason: no card, no hour |
//! | `receipts` | receipts of delivered updates, until a newer batch without them comes |
//! | `purchases-TID.journal` | [`crate::journal`] |
//! | `out/` | signed settlement and counters files for the office |
//!
//! The highest sequence number of a bundle stands beside the key file, as ever: it belongs to the key and not to a folder.
//!
//! Left out: anything about a card beyond what chapter 11 makes a payment terminal keep.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use card_applet_spec::codes::Role;
use card_applet_spec::counters::{self, Count, Counted, CountersHead};
use card_applet_spec::crypto::sha256;
use card_applet_spec::date::Date;
use card_applet_spec::deny_list::{TEMPLATE, lists_of_file};
use card_applet_spec::tlv;
use card_applet_spec::update_files::Receipt;
use program_contract::file::Lock;
use program_contract::language::Said as _;
use program_contract::{Exit, Failing, file};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::bundle::{Bundle, ListOffered};
use crate::enrol::TerminalKey;
use crate::error::{Error, MaterialError};
use crate::journal::{Journal, JournalError};
use crate::updates::{Updates, receipts_file};

/// Longest file that is read, bytes: 64 regions in two versions of five roles, a deny list of a million cards, or 60 000
/// updates.
pub const FILE_MAX: u64 = 16 << 20;

/// What can be wrong with a terminal's folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// The operating system could not read or write something of it.
    #[error("cannot use {what}: {}", source.kind())]
    Io {
        /// Which file.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// Others than its owner can look into it.
    #[error("the terminal's folder can be read by others than its owner")]
    Exposed,
    /// Another program holds it.
    #[error("another program uses the terminal's folder")]
    InUse,
    /// A file of ours is not what this program writes.
    #[error("{0} is damaged")]
    Damaged(String),
    /// No bundle has been loaded yet.
    #[error("the terminal has no bundle yet")]
    NoBundle,
    /// The journal of purchases.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// What was loaded cannot be used.
    #[error(transparent)]
    Card(#[from] Error),
}

impl From<MaterialError> for FolderError {
    fn from(error: MaterialError) -> Self {
        Self::Card(error.into())
    }
}

impl FolderError {
    /// The code for programs, from a closed list.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "STATE_UNUSABLE",
            Self::Exposed => "STATE_EXPOSED",
            Self::InUse => "STATE_IN_USE",
            Self::Damaged(_) => "STATE_DAMAGED",
            Self::NoBundle => "NO_BUNDLE",
            Self::Journal(error) => error.code(),
            Self::Card(error) => error.code(),
        }
    }

    /// What the operator can do.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::Io { .. } => "Check the folder, its rights and the room on the disk.",
            Self::Exposed => "Take the rights of others away (`chmod 700`).",
            Self::InUse => "End the other program, or give this terminal a folder of its own.",
            Self::Damaged(_) => "Keep a copy of the folder for the office, then take the damaged file away.",
            Self::NoBundle => "Run card-reader sync with the folder that the office filled.",
            Self::Journal(error) => error.action(),
            Self::Card(error) => error.action(),
        }
    }
}

impl Failing for FolderError {
    fn code(&self) -> Cow<'static, str> {
        self.code().into()
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Journal(error) => error.exit(),
            Self::Card(error) => error.exit(),
            Self::Io { .. } | Self::Exposed | Self::InUse | Self::Damaged(_) | Self::NoBundle => {
                Exit::Damaged
            }
        }
    }

    fn action(&self) -> Cow<'static, str> {
        self.action().into()
    }

    fn chinese(&self) -> (String, String) {
        let (message, action) = match self {
            Self::Io { what, source } => (
                format!("无法使用 {what}：{}", source.kind().zh()),
                "请检查目录、权限和磁盘空间。",
            ),
            Self::Exposed => (
                "终端目录可被属主以外的人读取".to_owned(),
                "请收回他人的权限（`chmod 700`）。",
            ),
            Self::InUse => (
                "另一程序正在使用终端目录".to_owned(),
                "请结束另一程序，或给本终端单独一个目录。",
            ),
            Self::Damaged(what) => (
                format!("{what} 已损坏"),
                "请先为发证机关留存目录副本，再移走损坏的文件。",
            ),
            Self::NoBundle => (
                "终端还没有凭证包".to_owned(),
                "请对发证机关放好文件的目录运行 `card-reader sync`。",
            ),
            Self::Journal(error) => return error.chinese(),
            Self::Card(error) => return error.chinese(),
        };
        (message, action.to_owned())
    }
}

/// The numbers and days that only grow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Marks {
    schema: String,
    updates_sequence: Option<u32>,
    last_day: Option<String>,
}

const MARKS: &str = "yzt.terminal-marks/1";

/// The counts of a terminal that are not yet put out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CountsFile {
    schema: String,
    days: Vec<CountedDay>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CountedDay {
    day: String,
    counts: Vec<CountLine>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CountLine {
    role: u8,
    reason: u8,
    count: u32,
}

const COUNTS: &str = "yzt.terminal-counts/2";
/// Added days up. Which of them something happened on nobody can tell any more: it begins anew.
const COUNTS_BEFORE: &str = "yzt.terminal-counts/1";

/// How often what happened on each day, by role and reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    days: BTreeMap<Date, BTreeMap<(u8, u8), u32>>,
}

impl Counters {
    /// Counts one thing on a day.
    pub fn count(&mut self, role: Role, counted: Counted, today: Date) {
        let day = self.days.entry(today).or_default();
        let count = day.entry((role.code(), counted.code())).or_insert(0);
        *count = count.saturating_add(1);
    }

    /// How often something happened on a day that was not put out yet.
    #[must_use]
    pub fn of(&self, role: Role, counted: Counted, on: Date) -> u32 {
        self.days
            .get(&on)
            .and_then(|day| day.get(&(role.code(), counted.code())))
            .copied()
            .unwrap_or(0)
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.days.is_empty()
    }

    /// The counts of a day that the specification knows.
    fn list(day: &BTreeMap<(u8, u8), u32>) -> Vec<Count> {
        day.iter()
            .filter_map(|((role, reason), number)| {
                Some(Count {
                    role: Role::try_from(*role).ok()?,
                    counted: Counted::try_from(*reason).ok()?,
                    number: *number,
                })
            })
            .filter(|count| count.number > 0)
            .collect()
    }
}

/// Why the terminal's clock is wrong: it is behind this day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockDoubt {
    /// A day that the office has signed, in the bundle or in a list.
    BeforeFiles(Date),
    /// A day on which this terminal has worked.
    BeforeLastDay(Date),
}

impl ClockDoubt {
    /// Where a terminal stands with nothing but its files.
    #[must_use]
    pub fn of(today: Date, bundle: &Bundle) -> Option<Self> {
        let newest = bundle.newest_day();
        (today < newest).then_some(Self::BeforeFiles(newest))
    }

    /// The day that was seen.
    #[must_use]
    pub const fn seen(self) -> Date {
        match self {
            Self::BeforeFiles(day) | Self::BeforeLastDay(day) => day,
        }
    }
}

/// A file that was offered, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offered {
    /// A newer bundle: taken, with its sequence number.
    Bundle(u32),
    /// A newer batch of updates: taken, with its sequence number and how many updates wait.
    Updates(u32, usize),
    /// Lists that were newer: taken.
    Lists(Vec<Role>),
    /// The same as, or older than, what the terminal has: left.
    NotNewer,
    /// For another terminal, or of no kind that a terminal loads: left.
    NotOurs,
}

/// A receipt that is kept, and whether it was handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kept {
    sent: bool,
    /// [`OVERTAKEN`] in place of a receipt where the card had done a later update.
    receipt: Receipt,
}

/// Stands for no receipt.
const OVERTAKEN: [u8; 16] = [0; 16];

const KEPT_LEN: usize = 40;

impl Kept {
    fn encode(&self) -> [u8; KEPT_LEN] {
        let mut out = [0; KEPT_LEN];
        let mut bytes = vec![u8::from(self.sent)];
        bytes.extend_from_slice(&self.receipt.update);
        bytes.extend_from_slice(&self.receipt.receipt);
        let check = sha256(&[b"YZT-RECEIPTS-1", &bytes]);
        for (to, from) in out.iter_mut().zip(bytes.iter().chain(&check)) {
            *to = *from;
        }
        out
    }

    fn parse(bytes: &[u8; KEPT_LEN]) -> Option<Self> {
        let mut reader = card_applet_spec::bytes::Reader::new(bytes, "receipts");
        let kept = Self {
            sent: reader.u8().ok()? == 1,
            receipt: Receipt {
                update: reader.array().ok()?,
                receipt: reader.array().ok()?,
            },
        };
        (kept.encode() == *bytes).then_some(kept)
    }
}

/// The folder of one terminal, locked.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    marks: Marks,
    kept: Vec<Kept>,
    /// Held for its lock.
    _lock: Lock,
}

fn io_of(path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let what = path.display().to_string();
    move |source| FolderError::Io { what, source }
}

/// Reads a file of a bounded length; `None` where there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>, FolderError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_of(path)(error)),
    };
    let mut bytes = Vec::new();
    file.take(FILE_MAX.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(io_of(path))?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(FolderError::Damaged(path.display().to_string()));
    }
    Ok(Some(bytes))
}

fn day(text: &str) -> Option<Date> {
    text.parse().ok()
}

impl Folder {
    /// Opens a terminal's folder, and makes it where there is none.
    ///
    /// # Errors
    ///
    /// [`FolderError`].
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(io_of(path)(error)),
            _ => {}
        }
        let rights = std::fs::metadata(path).map_err(io_of(path))?.permissions().mode();
        if rights & 0o077 != 0 {
            return Err(FolderError::Exposed);
        }
        let lock_path = path.join("lock");
        let lock = Lock::at(&lock_path).map_err(|error| match error {
            TryLockError::WouldBlock => FolderError::InUse,
            TryLockError::Error(error) => io_of(&lock_path)(error),
        })?;
        let out = path.join("out");
        match DirBuilder::new().mode(0o700).create(&out) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(io_of(&out)(error)),
            _ => {}
        }
        let mut folder = Self {
            path: path.to_owned(),
            marks: Marks {
                schema: MARKS.to_owned(),
                ..Marks::default()
            },
            kept: Vec::new(),
            _lock: lock,
        };
        if let Some(bytes) = read(&folder.file("marks.json"))? {
            folder.marks = serde_json::from_slice::<Marks>(&bytes)
                .ok()
                .filter(|marks| marks.schema == MARKS)
                .ok_or_else(|| FolderError::Damaged("marks.json".to_owned()))?;
        }
        if let Some(bytes) = read(&folder.file("receipts"))? {
            // One that was cut is delivered again, and gives the same receipt.
            folder.kept = bytes.as_chunks().0.iter().filter_map(Kept::parse).collect();
            if folder.kept.len().saturating_mul(KEPT_LEN) != bytes.len() {
                // The rest of it would shift every receipt that comes behind it out of its place.
                folder.save_receipts()?;
            }
        }
        Ok(folder)
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        let path = self.file(name);
        file::replace(&path, bytes, file::PRIVATE).map_err(io_of(&path))
    }

    fn save_marks(&self) -> Result<(), FolderError> {
        let bytes =
            serde_json::to_vec(&self.marks).map_err(|_| FolderError::Damaged("marks.json".to_owned()))?;
        self.write("marks.json", &bytes)
    }

    /// The bundle that was loaded last, with every list that came after it. `loaded` is the highest sequence number that
    /// stands beside the key.
    ///
    /// # Errors
    ///
    /// [`FolderError::NoBundle`]; whatever [`Bundle::open`] says.
    pub fn bundle(&self, key: &TerminalKey, loaded: Option<u32>, today: Date) -> Result<Bundle, FolderError> {
        let sealed = read(&self.file("bundle.yztb"))?.ok_or(FolderError::NoBundle)?;
        let mut bundle = Bundle::open(&sealed, key, loaded, today)?;
        for role in Role::ALL {
            let Some(file) = read(&self.file(&format!("{role}.list")))? else {
                continue;
            };
            for list in lists_of_file(&file) {
                // A list of a signer that the bundle names no more is of no use, and stands in nobody's way.
                let _ = list
                    .map_err(|_| MaterialError::ListDamaged)
                    .and_then(|list| bundle.offer_list(list));
            }
        }
        Ok(bundle)
    }

    /// The batch of updates that was loaded last; `None` where there is none that can be used today.
    ///
    /// # Errors
    ///
    /// [`FolderError::Io`].
    pub fn updates(&self, key: &TerminalKey, today: Date) -> Result<Option<Updates>, FolderError> {
        let Some(sealed) = read(&self.file("updates.yztu"))? else {
            return Ok(None);
        };
        Ok(Updates::open(&sealed, key, self.marks.updates_sequence, &self.done(), today).ok())
    }

    fn done(&self) -> HashSet<[u8; 16]> {
        self.kept.iter().map(|kept| kept.receipt.update).collect()
    }

    /// Offers a file that came from the office; what it is, its content tells.
    ///
    /// # Errors
    ///
    /// A file that is for this terminal and is damaged, wrongly signed or ended; [`FolderError::Io`]. Nothing is changed then.
    pub fn offer(
        &mut self,
        bytes: &[u8],
        key: &TerminalKey,
        loaded: Option<u32>,
        today: Date,
    ) -> Result<Offered, FolderError> {
        match bytes.first_chunk::<4>() {
            Some(b"YZTB") => self.offer_bundle(bytes, key, loaded, today),
            Some(b"YZTU") => self.offer_updates(bytes, key, today),
            Some([tag, ..]) if u16::from(*tag) == TEMPLATE => self.offer_lists(bytes, key, loaded, today),
            _ => Ok(Offered::NotOurs),
        }
    }

    fn offer_bundle(
        &mut self,
        bytes: &[u8],
        key: &TerminalKey,
        loaded: Option<u32>,
        today: Date,
    ) -> Result<Offered, FolderError> {
        let bundle = match Bundle::open(bytes, key, loaded, today) {
            Ok(bundle) => bundle,
            Err(Error::Material(MaterialError::BundleSeal | MaterialError::BundleName)) => {
                return Ok(Offered::NotOurs);
            }
            Err(Error::Material(MaterialError::BundleOlder { .. })) => return Ok(Offered::NotNewer),
            Err(error) => return Err(error.into()),
        };
        // A loss of power can have left the newest file here and its number not yet beside the key.
        let held = read(&self.file("bundle.yztb"))?
            .and_then(|held| Bundle::open(&held, key, loaded, today).ok())
            .map(|held| held.sequence());
        if held.is_some_and(|held| bundle.sequence() <= held) {
            return Ok(Offered::NotNewer);
        }
        self.write("bundle.yztb", bytes)?;
        // What the office signs today is better than what this clock once said: a day that was seen by mistake ends here.
        if self.last_day().is_some_and(|seen| seen > today) && bundle.newest_day() <= today {
            self.marks.last_day = Some(today.to_string());
            self.save_marks()?;
        }
        Ok(Offered::Bundle(bundle.sequence()))
    }

    fn offer_updates(
        &mut self,
        bytes: &[u8],
        key: &TerminalKey,
        today: Date,
    ) -> Result<Offered, FolderError> {
        let loaded = self.marks.updates_sequence;
        let updates = match Updates::open(bytes, key, loaded, &HashSet::new(), today) {
            Ok(updates) => updates,
            Err(MaterialError::UpdatesSeal | MaterialError::UpdatesName) => return Ok(Offered::NotOurs),
            Err(MaterialError::UpdatesOlder { .. }) => return Ok(Offered::NotNewer),
            Err(error) => return Err(error.into()),
        };
        // A loss of power can have left the newest file here and its mark not yet.
        let held = read(&self.file("updates.yztu"))?
            .and_then(|held| Updates::open(&held, key, loaded, &HashSet::new(), today).ok())
            .map(|held| held.sequence());
        if let Some(held) = held
            && updates.sequence() <= held
        {
            if loaded != Some(held) {
                self.marks.updates_sequence = Some(held);
                self.save_marks()?;
            }
            return Ok(Offered::NotNewer);
        }
        // The file first: a mark above the file would refuse the file for good.
        self.write("updates.yztu", bytes)?;
        self.marks.updates_sequence = Some(updates.sequence());
        self.save_marks()?;
        // What was handed out and waits no more is with the office.
        self.kept
            .retain(|kept| !kept.sent || updates.holds(&kept.receipt.update));
        // What was handed out and still waits never arrived: it is handed out again.
        for kept in &mut self.kept {
            kept.sent &= kept.receipt.receipt == OVERTAKEN;
        }
        self.save_receipts()?;
        let done = self.done();
        let waiting = Updates::open(bytes, key, None, &done, today).map_or(0, |updates| updates.len());
        Ok(Offered::Updates(updates.sequence(), waiting))
    }

    fn offer_lists(
        &self,
        bytes: &[u8],
        key: &TerminalKey,
        loaded: Option<u32>,
        today: Date,
    ) -> Result<Offered, FolderError> {
        let mut bundle = self.bundle(key, loaded, today)?;
        let mut taken = Vec::new();
        let lists = lists_of_file(bytes)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| MaterialError::ListDamaged)?;
        // All of them are judged before one is taken.
        for list in &lists {
            let (role, offered) = bundle.offer_list(list)?;
            if offered == ListOffered::Taken {
                taken.push((role, *list));
            }
        }
        for (role, list) in &taken {
            let mut template = vec![0; list.len().saturating_add(8)];
            let mut writer = card_applet_spec::bytes::SliceWriter::new(&mut template);
            tlv::put(&mut writer, TEMPLATE, list).map_err(|_| MaterialError::ListDamaged)?;
            let used = writer.len();
            template.truncate(used);
            self.write(&format!("{role}.list"), &template)?;
        }
        if taken.is_empty() {
            Ok(Offered::NotNewer)
        } else {
            Ok(Offered::Lists(taken.into_iter().map(|(role, _)| role).collect()))
        }
    }

    /// Keeps the receipt of an update before the next card comes.
    ///
    /// # Errors
    ///
    /// [`FolderError::Io`]: the update is delivered again then, and gives the same receipt.
    pub fn keep_receipt(&mut self, receipt: Receipt) -> Result<(), FolderError> {
        self.keep(Kept { sent: false, receipt })
    }

    /// Remembers that a card has overtaken an update.
    ///
    /// # Errors
    ///
    /// [`FolderError::Io`].
    pub fn drop_update(&mut self, update: [u8; 16]) -> Result<(), FolderError> {
        self.keep(Kept {
            // Nothing of it is ever handed out.
            sent: true,
            receipt: Receipt {
                update,
                receipt: OVERTAKEN,
            },
        })
    }

    fn keep(&mut self, kept: Kept) -> Result<(), FolderError> {
        if self.done().contains(&kept.receipt.update) {
            return Ok(());
        }
        let path = self.file("receipts");
        // At the end of what is known to be whole: half a receipt that a full disk left is overwritten.
        let end = self.kept.len().saturating_mul(KEPT_LEN) as u64;
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .and_then(|file| {
                file.write_all_at(&kept.encode(), end)
                    .and_then(|()| file.sync_data())
            })
            .and_then(|()| {
                if self.kept.is_empty() {
                    file::flush_folder_of(&path)
                } else {
                    Ok(())
                }
            })
            .map_err(io_of(&path))?;
        self.kept.push(kept);
        Ok(())
    }

    fn save_receipts(&self) -> Result<(), FolderError> {
        let bytes: Vec<u8> = self.kept.iter().flat_map(Kept::encode).collect();
        self.write("receipts", &bytes)
    }

    /// Receipts that are kept.
    #[must_use]
    pub fn receipts(&self) -> usize {
        self.real_receipts().count()
    }

    fn real_receipts(&self) -> impl Iterator<Item = Receipt> {
        self.kept
            .iter()
            .map(|kept| kept.receipt)
            .filter(|receipt| receipt.receipt != OVERTAKEN)
    }

    /// The receipts file for the office (it names no terminal and no day) with what was not handed out yet; `None` where
    /// there is none. Receipts are kept until a newer batch comes without their updates: then the office has them.
    ///
    /// # Errors
    ///
    /// [`FolderError`].
    pub fn receipts_out(&self) -> Result<Option<Vec<u8>>, FolderError> {
        let receipts: Vec<Receipt> = self
            .kept
            .iter()
            .filter(|kept| !kept.sent)
            .map(|kept| kept.receipt)
            .collect();
        if receipts.is_empty() {
            return Ok(None);
        }
        Ok(Some(receipts_file(&receipts)?))
    }

    /// Marks every receipt as handed out.
    ///
    /// # Errors
    ///
    /// [`FolderError::Io`].
    pub fn receipts_sent(&mut self) -> Result<(), FolderError> {
        for kept in &mut self.kept {
            kept.sent = true;
        }
        self.save_receipts()
    }

    /// The counts so far.
    ///
    /// # Errors
    ///
    /// [`FolderError`].
    pub fn counters(&self) -> Result<Counters, FolderError> {
        /// What tells the forms of the file apart.
        #[derive(Deserialize)]
        struct Form {
            schema: String,
        }
        let Some(bytes) = read(&self.file("counters.json"))? else {
            return Ok(Counters::default());
        };
        let damaged = || FolderError::Damaged("counters.json".to_owned());
        let form: Form = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        if form.schema == COUNTS_BEFORE {
            return Ok(Counters::default());
        }
        let file: CountsFile = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        if file.schema != COUNTS {
            return Err(damaged());
        }
        let days = file.days.iter().map(|counted| {
            let counts = counted.counts.iter();
            let counts = counts.map(|line| ((line.role, line.reason), line.count));
            let on = day(&counted.day).ok_or_else(damaged)?;
            Ok::<_, FolderError>((on, counts.collect()))
        });
        Ok(Counters {
            days: days.collect::<Result<_, FolderError>>()?,
        })
    }

    /// Saves the counts.
    ///
    /// # Errors
    ///
    /// [`FolderError::Io`].
    pub fn save_counters(&self, counters: &Counters) -> Result<(), FolderError> {
        if counters.is_empty() {
            let path = self.file("counters.json");
            return file::remove(&path).map_err(io_of(&path));
        }
        let lines = |counts: &BTreeMap<(u8, u8), u32>| -> Vec<CountLine> {
            let line = |((role, reason), count): (&(u8, u8), &u32)| CountLine {
                role: *role,
                reason: *reason,
                count: *count,
            };
            counts.iter().map(line).collect()
        };
        let file = CountsFile {
            schema: COUNTS.to_owned(),
            days: counters
                .days
                .iter()
                .map(|(day, counts)| CountedDay {
                    day: day.to_string(),
                    counts: lines(counts),
                })
                .collect(),
        };
        let bytes =
            serde_json::to_vec(&file).map_err(|_| FolderError::Damaged("counters.json".to_owned()))?;
        self.write("counters.json", &bytes)
    }

    /// The journal of purchases of a registration number.
    ///
    /// A settlement file that was written before a loss of power, and whose lines still stand in the journal, is finished
    /// here: no line is ever in two files.
    ///
    /// # Errors
    ///
    /// [`FolderError::Journal`].
    pub fn journal(&self, tid: u32) -> Result<Journal, FolderError> {
        let mut journal = Journal::open_file(&self.file(&format!("purchases-{tid:08x}.journal")), tid)?;
        if self.settlement_path(tid, journal.number()).exists() {
            journal.settled()?;
        }
        Ok(journal)
    }

    fn settlement_path(&self, tid: u32, number: u32) -> PathBuf {
        self.path
            .join("out")
            .join(format!("settlement-{tid:08x}-{number:08}.yzts"))
    }

    /// The registration numbers that have a journal: today's, and earlier ones that are still to be settled.
    ///
    /// # Errors
    ///
    /// [`FolderError::Io`].
    pub fn registrations(&self) -> Result<Vec<u32>, FolderError> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.path).map_err(io_of(&self.path))? {
            let name = entry.map_err(io_of(&self.path))?.file_name();
            let tid = name
                .to_str()
                .and_then(|name| name.strip_prefix("purchases-")?.strip_suffix(".journal"))
                .and_then(|tid| u32::from_str_radix(tid, 16).ok());
            found.extend(tid);
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Puts what is to be settled, and the counts of every day that is over, into `out/` as signed files.
    ///
    /// # Errors
    ///
    /// [`FolderError`]: what was not put there stands where it stood.
    pub fn close(&self, key: &TerminalKey, today: Date, rng: &mut impl CryptoRng) -> Result<(), FolderError> {
        for tid in self.registrations()? {
            let mut journal = self.journal(tid)?;
            if let Some(file) = journal.settlement(key, rng)? {
                let path = self.settlement_path(tid, journal.number());
                file::replace(&path, &file, file::PRIVATE).map_err(io_of(&path))?;
                journal.settled()?;
            }
        }
        self.close_days(key, today, rng)
    }

    /// One file for each day before today: two of one day would say what came between them.
    fn close_days(
        &self,
        key: &TerminalKey,
        today: Date,
        rng: &mut impl CryptoRng,
    ) -> Result<(), FolderError> {
        let mut counters = self.counters()?;
        let running = counters.days.split_off(&today);
        if counters.is_empty() {
            return Ok(());
        }
        // Terminals may share the folder from which the office fetches: the name is this terminal's own.
        let of_key = sha256(&[&key.request().authentication_key]);
        let own = hex::encode(of_key.get(..4).unwrap_or_default());
        for (day, counts) in &counters.days {
            let counts = Counters::list(counts);
            if counts.is_empty() {
                continue;
            }
            let head = CountersHead {
                terminal: key.name().as_str(),
                day: *day,
            };
            let mut file = vec![0; counters::encoded_len(counts.len())];
            let used = counters::encode(&head, &counts, key.authentication(), rng, &mut file)
                .map_err(|_| FolderError::Damaged("counters.json".to_owned()))?;
            file.truncate(used);
            let path = self.path.join("out").join(format!("counters-{day}-{own}.yztc"));
            file::replace(&path, &file, file::PRIVATE).map_err(io_of(&path))?;
        }
        // Taken away last: what is made again after a loss of power replaces the file of the same day, which is still here.
        self.save_counters(&Counters { days: running })
    }

    /// The signed files in `out/`, oldest name first.
    ///
    /// # Errors
    ///
    /// [`FolderError::Io`].
    pub fn out(&self) -> Result<Vec<PathBuf>, FolderError> {
        let out = self.path.join("out");
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&out).map_err(io_of(&out))? {
            let path = entry.map_err(io_of(&out))?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "yzts" || extension == "yztc")
            {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    /// Remembers a day that this terminal has worked on. A day behind the bundle's last is none to go by.
    ///
    /// # Errors
    ///
    /// [`FolderError::Io`].
    pub fn saw_day(&mut self, today: Date, bundle: &Bundle) -> Result<(), FolderError> {
        if today.is_none() || today > bundle.last_day() || Some(today) <= self.last_day() {
            return Ok(());
        }
        self.marks.last_day = Some(today.to_string());
        self.save_marks()
    }

    /// The last day that this terminal has worked on.
    #[must_use]
    pub fn last_day(&self) -> Option<Date> {
        self.marks.last_day.as_deref().and_then(day)
    }

    /// Why the clock is wrong today, if it is.
    #[must_use]
    pub fn clock_doubt(&self, today: Date, bundle: &Bundle) -> Option<ClockDoubt> {
        ClockDoubt::of(today, bundle).or_else(|| {
            self.last_day()
                .filter(|last| today < *last)
                .map(ClockDoubt::BeforeLastDay)
        })
    }
}
