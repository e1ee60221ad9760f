//! The card as a Java Card applet, in a process of its own: the classes of `card-applet-spec/javacard` on the runtime that
//! stands beside them, behind the same trait as the reference card.
//!
//! Orders and answers are `type1 length2 bytes` over pipes; `Server.java` lists them. A memory file is `YZT-JAVA-CARD-01` (16
//! bytes), serial10, ENC16 MAC16 DEK16, and all non-volatile bytes of the card, which come with its first power: they are
//! written after each command that changed them. A process that is killed inside a command leaves the state before it.

use std::fmt;
use std::fs::{OpenOptions, TryLockError};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use card_applet_spec::codes::Serial;
use card_applet_spec::kdf::KeySet;
use program_contract::file::{self as whole, Lock};
use zeroize::Zeroizing;

use crate::chip::{ATR, Chip};
use crate::control::file;
use crate::error::Error;

/// What a memory file starts with.
pub(crate) const MAGIC: [u8; 16] = *b"YZT-JAVA-CARD-01";
/// serial10 and three keys.
const PARAMETERS_LEN: usize = 58;
/// Where the non-volatile bytes begin in the file.
const IMAGE_AT: u64 = 74;
/// Environment variable with the folder of the compiled classes.
const CLASSES_VARIABLE: &str = "YZT_JAVACARD_CLASSES";

/// The runtime weaves the applet's classes with the bytecode library that Java 17 has inside.
const EXPORT: &str = "java.base/jdk.internal.org.objectweb.asm=ALL-UNNAMED";

/// A Java Card. Clones are the same card.
#[derive(Clone)]
pub struct JavaCard(Arc<Mutex<Machine>>);

struct Machine {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Where its non-volatile bytes are kept.
    file: Option<Lock>,
}

impl fmt::Debug for JavaCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JavaCard")
    }
}

impl JavaCard {
    /// A new blank of the compiled classes in `classes` (`scripts/javacard.sh build` prints the folder), without power and
    /// without a memory file.
    ///
    /// # Errors
    ///
    /// [`Error::JavaCard`].
    pub fn blank(classes: &Path, serial: Serial, transport: &KeySet) -> Result<Self, Error> {
        Self::start(classes, &parameters(serial, transport), None)
    }

    /// A new memory file of a blank. An existing file is never overwritten: it may be a card.
    ///
    /// # Errors
    ///
    /// [`Error::File`].
    pub fn create(path: &Path, serial: Serial, transport: &KeySet) -> Result<(), Error> {
        let content = Zeroizing::new([&MAGIC[..], &parameters(serial, transport)].concat());
        whole::create(path, &content, whole::PRIVATE).map_err(|source| file("create", path, source))
    }

    /// The card of a memory file, for this process alone, without power.
    ///
    /// # Errors
    ///
    /// [`Error::File`], [`Error::CardInUse`], [`Error::NotACard`]; [`Error::JavaCard`]: no Java, no compiled classes, or those of
    /// another applet.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|source| file("open", path, source))?;
        let lock = Lock::on(opened).map_err(|error| match error {
            TryLockError::WouldBlock => Error::CardInUse {
                path: path.to_owned(),
            },
            TryLockError::Error(source) => file("lock", path, source),
        })?;
        let mut content = Zeroizing::new(Vec::new());
        let mut opened = lock.file();
        opened
            .read_to_end(&mut content)
            .map_err(|source| file("read", path, source))?;
        let rest = content.strip_prefix(&MAGIC[..]);
        let (parameters, image) = rest
            .and_then(|rest| rest.split_at_checked(PARAMETERS_LEN))
            .ok_or_else(|| Error::NotACard {
                path: path.to_owned(),
            })?;
        let card = Self::start(&classes()?, parameters, Some(lock))?;
        if image.is_empty() {
            card.machine()
                .keep()
                .map_err(|source| file("write", path, source))?;
        } else {
            card.order(b'L', image)?;
        }
        Ok(card)
    }

    fn start(classes: &Path, parameters: &[u8], file: Option<Lock>) -> Result<Self, Error> {
        let mut process = Command::new("java")
            // One card, seconds long: the second compiler and a second collector would cost more than they bring.
            .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"])
            .args(["--add-exports", EXPORT, "-cp"])
            .arg(classes)
            .arg("yzt.runtime.Server")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|_| FAILED)?;
        let (Some(orders), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(FAILED);
        };
        let card = Self(Arc::new(Mutex::new(Machine {
            process,
            orders,
            answers: BufReader::new(answers),
            file,
        })));
        card.order(b'K', parameters)?;
        Ok(card)
    }

    /// Lets power fail inside the `operation`-th write operation from now (1 is the next, 0 takes a planned cut back);
    /// `bytes` of it still arrive where the operation is not atomic.
    ///
    /// # Errors
    ///
    /// [`Error::JavaCard`].
    pub fn cut(&self, operation: u32, bytes: u32) -> Result<(), Error> {
        let plan = [operation.to_be_bytes(), bytes.to_be_bytes()].concat();
        self.order(b'T', &plan).map(drop)
    }

    /// A figure of the runtime by its name in `Counts.java`: `write.operations`, `memory.transient`. `None`: it counts no
    /// such thing, or has not seen it yet.
    ///
    /// # Errors
    ///
    /// [`Error::JavaCard`].
    pub fn figure(&self, name: &str) -> Result<Option<u64>, Error> {
        let (_, text) = self.order(b'N', &[])?;
        let text = String::from_utf8(text).map_err(|_| FAILED)?;
        Ok(text
            .lines()
            .filter_map(|line| line.split_once(' '))
            .find(|(counted, _)| *counted == name)
            .and_then(|(_, value)| value.parse().ok()))
    }

    /// Gives one order; the kind of the answer and its bytes.
    fn order(&self, kind: u8, data: &[u8]) -> Result<(u8, Vec<u8>), Error> {
        self.machine().converse(kind, data).map_err(|_| FAILED)
    }

    /// The machine is whole after every exchange, or its process is gone: a thread that died holding it spoilt nothing.
    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const FAILED: Error = Error::JavaCard;

/// serial10 || ENC16 MAC16 DEK16.
fn parameters(serial: Serial, transport: &KeySet) -> Zeroizing<Vec<u8>> {
    let mut parameters = Zeroizing::new(serial.0.to_vec());
    for key in [&transport.enc, &transport.mac, &transport.dek] {
        parameters.extend_from_slice(key.expose());
    }
    parameters
}

/// The folder of the compiled classes: from the environment, else in the target folder of the running program.
fn classes() -> Result<PathBuf, Error> {
    if let Some(named) = std::env::var_os(CLASSES_VARIABLE) {
        return Ok(named.into());
    }
    let running = std::env::current_exe().map_err(|_| FAILED)?;
    running
        .ancestors()
        .map(|folder| folder.join("javacard/classes"))
        .find(|folder| folder.is_dir())
        .ok_or(FAILED)
}

impl Machine {
    /// Writes the card's non-volatile bytes to its file, where it has one.
    fn keep(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            return Ok(());
        }
        let (_, image) = self.converse(b'G', &[])?;
        match &self.file {
            Some(file) => file.file().write_all_at(&Zeroizing::new(image), IMAGE_AT),
            None => Ok(()),
        }
    }

    fn converse(&mut self, kind: u8, data: &[u8]) -> io::Result<(u8, Vec<u8>)> {
        let length = u16::try_from(data.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        let mut frame = Zeroizing::new(vec![kind]);
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(data);
        self.orders.write_all(&frame)?;
        let mut head = [0; 3];
        self.answers.read_exact(&mut head)?;
        let [kind, high, low] = head;
        let mut answer = vec![0; usize::from(u16::from_be_bytes([high, low]))];
        self.answers.read_exact(&mut answer)?;
        Ok((kind, answer))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It holds nothing that must be written; a process that is gone already needs no end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Chip for JavaCard {
    fn power_on(&mut self) -> bool {
        self.order(b'P', &[]).is_ok()
    }

    fn power_off(&mut self) {
        // Whether it is still there is seen when power is given again.
        let _ = self.order(b'O', &[]);
    }

    fn atr(&self) -> Option<&[u8]> {
        Some(&ATR)
    }

    fn process(&mut self, command: &[u8]) -> Option<Vec<u8>> {
        let mut machine = self.machine();
        let (kind, answer) = machine.converse(b'C', command).ok()?;
        // A card whose bytes cannot be kept has lost its power before it answered.
        if kind != b'C' && machine.keep().is_err() {
            return None;
        }
        (kind != b'D').then_some(answer)
    }

    fn kind(&self) -> &'static str {
        "card"
    }

    fn tear(&mut self, write: u32, bytes: u32) -> bool {
        self.cut(write, bytes).is_ok()
    }
}
