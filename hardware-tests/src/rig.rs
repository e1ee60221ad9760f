//! The reader of a test: a private virtual one with a manipulator to insert and pull cards, or a physical one that was named.
//!
//! `YZT_READER` names a reader of the PC/SC service that already runs; then `YZT_ALLOW_WRITE=1` is needed before the card
//! on it is written. Without `YZT_READER` nothing of the machine's own readers is touched.

use std::path::{Path, PathBuf};
use std::time::Duration;

use card_applet_spec::codes::Serial;
use card_reader::transport::{Connect, PcscTransport, TransportError};
use rand::SeedableRng;
use rand_core::CryptoRng;
use virtual_card::blank::{Blank, manufacture};
use virtual_card::control::{Control, Order};
use virtual_card::pcscd::{Folder, Options, READERS, as_client};
use virtual_card::{Card, CardMemory, CardRandom, InProcess, JavaCard};

use crate::conformance::keys::TestKeys;
use crate::conformance::test_rig::Cutter;
use crate::error::Error;

/// Environment variable: full name of a physical reader.
pub const READER_VARIABLE: &str = "YZT_READER";
/// Environment variable: `1` allows a physical card to be written.
pub const WRITE_VARIABLE: &str = "YZT_ALLOW_WRITE";

/// How long a reader may take to see a card: pcscd looks every 0.4 s.
const WAIT: Duration = Duration::from_secs(3);

/// What a test does, so that it is left out where the reader cannot serve it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// It reads.
    Card,
    /// It writes the card.
    Writing,
    /// It inserts, pulls and breaks cards.
    Manipulator,
}

/// A reader.
#[derive(Debug)]
pub struct Rig {
    reader: String,
    folder: Option<Folder>,
    may_write: bool,
}

impl Rig {
    /// The reader of a private virtual service whose client this process is.
    #[must_use]
    pub fn of_private(folder: &Folder) -> Self {
        Self {
            reader: READERS[0].to_owned(),
            folder: Some(folder.clone()),
            may_write: true,
        }
    }

    /// A physical reader by name.
    #[must_use]
    pub fn of_physical(reader: &str, may_write: bool) -> Self {
        Self {
            reader: reader.to_owned(),
            folder: None,
            may_write,
        }
    }

    /// The reader's name.
    #[must_use]
    pub fn reader(&self) -> &str {
        &self.reader
    }

    /// Connects to the card, anew each time.
    ///
    /// # Errors
    ///
    /// [`TransportError`].
    pub fn connect(&self) -> Result<PcscTransport, TransportError> {
        PcscTransport::connect(&Connect {
            reader: Some(self.reader.clone()),
            wait: WAIT,
        })
    }

    /// Connects without waiting for a card.
    ///
    /// # Errors
    ///
    /// [`TransportError`].
    pub fn connect_now(&self) -> Result<PcscTransport, TransportError> {
        PcscTransport::connect(&Connect {
            reader: Some(self.reader.clone()),
            wait: Duration::ZERO,
        })
    }

    /// The manipulator at the reader, where there is one.
    #[must_use]
    pub fn manipulator(&self) -> Option<Control> {
        self.folder.as_ref().map(|folder| folder.manipulator(0))
    }

    /// The manipulator at the service, where it is ours.
    #[must_use]
    pub fn service(&self) -> Option<Control> {
        self.folder.as_ref().map(Folder::service)
    }

    /// Makes sure that a blank lies on the reader: a virtual one is made and inserted, a physical one must lie there and
    /// be the one.
    ///
    /// # Errors
    ///
    /// [`Error::WriteNotAllowed`], [`Error::NotABlank`], trouble with the reader.
    pub fn lay_blank(&self, blank: &Blank, rng: &mut impl CryptoRng) -> Result<(), Error> {
        if let Some(manipulator) = self.manipulator() {
            let memory = self.make_blank(blank, rng)?;
            manipulator.order(&Order::Insert { memory: Some(memory) })?;
            return Ok(());
        }
        if !self.may_write {
            return Err(Error::WriteNotAllowed {
                reader: self.reader.clone(),
            });
        }
        let card = card_reader::Card::new(self.connect()?).reset()?.select()?;
        match card.blank_serial()?.1 {
            Some(Serial(serial)) if serial == blank.serial.0 => Ok(()),
            _ => Err(Error::NotABlank),
        }
    }

    /// Makes a virtual blank in the service's folder and gives its memory file.
    ///
    /// # Errors
    ///
    /// [`Error::VirtualCard`]; [`Error::WriteNotAllowed`] without a private service.
    pub fn make_blank(&self, blank: &Blank, rng: &mut impl CryptoRng) -> Result<PathBuf, Error> {
        let Some(folder) = &self.folder else {
            return Err(Error::WriteNotAllowed {
                reader: self.reader.clone(),
            });
        };
        let path = folder.path().join(format!("{}.card", blank.serial));
        let memory = CardMemory::create(&path, card_applet::MEMORY_LEN)?;
        manufacture(&memory, blank, rng)?;
        Ok(path)
    }
}

/// Runs a test with a reader: `test` is the name of the calling test. Where the reader that was named cannot serve what
/// the test needs, says so and does nothing.
///
/// # Errors
///
/// [`Error::VirtualCard`]: the private service did not start, or the test failed as its client.
pub fn with_reader(test: &str, needs: Needs, body: impl FnOnce(&Rig)) -> Result<(), Error> {
    if let Ok(reader) = std::env::var(READER_VARIABLE) {
        let may_write = std::env::var(WRITE_VARIABLE).is_ok_and(|word| word == "1");
        match needs {
            Needs::Manipulator => {
                println!("{test}: left out, it needs the manipulator of the virtual reader");
            }
            Needs::Writing if !may_write => {
                println!("{test}: left out, {WRITE_VARIABLE}=1 allows writing the card");
            }
            _ => body(&Rig::of_physical(&reader, may_write)),
        }
        return Ok(());
    }
    Ok(as_client(test, &Options::default(), |folder| {
        body(&Rig::of_private(folder));
    })?)
}

/// A blank for a test of the virtual reader only, whose keys no vault knows.
#[must_use]
pub fn stray_blank() -> Blank {
    Blank {
        serial: Serial([0xFF; 10]),
        keys: card_applet_spec::kdf::KeySet::from_bytes(&[0xFF; 48]),
    }
}

/// A reference card in this process, made as blank `number` of a test lot, and the manipulator at its power.
///
/// # Errors
///
/// [`Error::Form`], [`Error::VirtualCard`]: never for a memory of this size.
pub fn test_blank(
    keys: &TestKeys,
    number: u32,
    rng: &mut impl CryptoRng,
) -> Result<(InProcess, MemoryCutter), Error> {
    let blank = test_lot_blank(keys, number)?;
    let memory = CardMemory::ram(card_applet::MEMORY_LEN);
    manufacture(&memory, &blank, rng)?;
    let cutter = MemoryCutter(memory.clone());
    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    // Not repeating: a card's generator does not start anew with its power.
    let random = CardRandom::from_source(&mut rand::rngs::StdRng::from_seed(seed));
    Ok((InProcess::with(Card::new(memory, random)), cutter))
}

/// A Java Card in a process of its own, made as blank `number` of a test lot, and the rig at its power. `classes` is what
/// `scripts/javacard.sh build` prints.
///
/// # Errors
///
/// [`Error::VirtualCard`]: no Java, or no such classes.
pub fn java_blank(keys: &TestKeys, number: u32, classes: &Path) -> Result<(InProcess, JavaCutter), Error> {
    let blank = test_lot_blank(keys, number)?;
    let card = JavaCard::blank(classes, blank.serial, &blank.keys)?;
    Ok((InProcess::with(card.clone()), JavaCutter(card)))
}

/// Serial and transport keys of blank `number` of a test lot.
///
/// # Errors
///
/// [`Error::Form`]: never for these sizes.
pub fn test_lot_blank(keys: &TestKeys, number: u32) -> Result<Blank, Error> {
    let serial = keys.serial(number);
    Ok(Blank {
        serial,
        keys: keys.transport_keys(&serial)?,
    })
}

/// Bytes of a torn write that still arrive.
const TORN_BYTES: u32 = 7;

/// Cuts the power of a card in this process at its writes: moment 0 before the first, moment 1 in the middle of it, and
/// so on.
#[derive(Debug)]
pub struct MemoryCutter(CardMemory);

impl Cutter for MemoryCutter {
    fn arm(&mut self, step: u32) -> bool {
        self.0.tear(
            (step / 2).saturating_add(1),
            (step % 2).saturating_mul(TORN_BYTES),
        );
        true
    }

    fn restore(&mut self) {
        // A cut behind the end of the command is taken back.
        self.0.tear(u32::MAX, 0);
    }
}

/// Cuts the power of a Java Card at its write operations: moment 0 before the first, moment 1 in the middle of it, and so
/// on.
#[derive(Debug)]
pub struct JavaCutter(JavaCard);

impl JavaCutter {
    /// The card, for its figures.
    #[must_use]
    pub fn card(&self) -> &JavaCard {
        &self.0
    }
}

impl Cutter for JavaCutter {
    fn arm(&mut self, step: u32) -> bool {
        let operation = (step / 2).saturating_add(1);
        self.0
            .cut(operation, (step % 2).saturating_mul(TORN_BYTES))
            .is_ok()
    }

    fn restore(&mut self) {
        // A cut behind the end of the command is taken back; a card that is gone shows it at its next command.
        let _ = self.0.cut(0, 0);
    }
}
