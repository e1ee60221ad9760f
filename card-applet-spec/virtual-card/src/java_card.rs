//! The card as a Java Card applet, in a process of its own: the classes of `card-applet-spec/javacard` on the runtime that
//! stands beside them, behind the same trait as the reference card.
//!
//! Orders and answers are `type1 length2 bytes` over pipes; `Server.java` lists them. Left out on purpose: a memory that
//! survives the process.

use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use crate::blank::Blank;
use crate::chip::{ATR, Chip};
use crate::error::Error;

/// The runtime weaves the applet's classes with the bytecode library that Java 17 has inside.
const EXPORT: &str = "java.base/jdk.internal.org.objectweb.asm=ALL-UNNAMED";

/// A Java Card. Clones are the same card.
#[derive(Clone)]
pub struct JavaCard(Arc<Mutex<Machine>>);

struct Machine {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl fmt::Debug for JavaCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JavaCard")
    }
}

impl JavaCard {
    /// A new blank of the compiled classes in `classes` (`scripts/javacard.sh build` prints the folder), without power. With
    /// a seed its random numbers are the same in each run: for tests only.
    ///
    /// # Errors
    ///
    /// [`Error::JavaCard`].
    pub fn blank(classes: &Path, blank: &Blank, seed: Option<u64>) -> Result<Self, Error> {
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
        })));
        let mut parameters = Zeroizing::new(blank.serial.0.to_vec());
        for key in [&blank.keys.enc, &blank.keys.mac, &blank.keys.dek] {
            parameters.extend_from_slice(key.expose());
        }
        if let Some(seed) = seed {
            parameters.extend_from_slice(&seed.to_be_bytes());
        }
        card.order(b'K', &parameters)?;
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

    /// Remembers the state of this moment, for [`JavaCard::restore`].
    ///
    /// # Errors
    ///
    /// [`Error::JavaCard`].
    pub fn mark(&self) -> Result<(), Error> {
        self.order(b'M', &[]).map(drop)
    }

    /// Goes back to the state of [`JavaCard::mark`], without power.
    ///
    /// # Errors
    ///
    /// [`Error::JavaCard`].
    pub fn restore(&self) -> Result<(), Error> {
        self.order(b'R', &[]).map(drop)
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

impl Machine {
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
        match self.order(b'C', command) {
            Ok((b'C', answer)) => Some(answer),
            _ => None,
        }
    }

    fn kind(&self) -> &'static str {
        "card"
    }

    fn tear(&mut self, write: u32, bytes: u32) -> bool {
        self.cut(write, bytes).is_ok()
    }
}
