//! The test rig on which a card lies: the wire, the suite's random numbers and clock, and what the suite knows of the card.

use card_applet_spec::apdu::Header;
use card_applet_spec::codes::{AID, Role, Serial};
use card_applet_spec::crypto::Key16;
use card_applet_spec::date::Date;
use card_applet_spec::kdf::KeySet;
use card_reader::transport::{Transport, TransportError};
use jiff::civil;
use rand::rngs::StdRng;
use rand_core::Rng;

use crate::conformance::check::{Check, Stop, ensure, failed, not_run};
use crate::conformance::keys::TestKeys;
use crate::sample;

/// GET DATA, serial.
const GET_SERIAL: [u8; 5] = [0x80, 0xCA, 0x00, 0x45, 0x00];

/// A rig that can take the card's power away in the middle of a command.
pub trait Cutter {
    /// Plans that power fails at moment `step` of the next command, counted from 0; later steps are later moments.
    /// `false`: there is no such moment any more.
    fn arm(&mut self, step: u32) -> bool;

    /// Power may come back: the suite resets the card next.
    fn restore(&mut self);
}

/// What a run is made of.
pub struct Setup<'a> {
    /// The card.
    pub transport: &'a mut dyn Transport,
    /// Test keys, where there are any.
    pub keys: Option<&'a TestKeys>,
    /// The suite's random source.
    pub rng: StdRng,
    /// Nanoseconds since any fixed moment.
    pub watch: &'a dyn Fn() -> u64,
    /// A rig that cuts power, where there is one.
    pub cutter: Option<&'a mut dyn Cutter>,
    /// The day of the run.
    pub today: civil::Date,
    /// Answers that a statistical case looks at.
    pub samples: usize,
    /// Repetitions of the wear case; 0 leaves it out.
    pub wear: u32,
}

impl std::fmt::Debug for Setup<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup")
            .field("reader", &self.transport.name())
            .field("samples", &self.samples)
            .finish_non_exhaustive()
    }
}

/// A measured number.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// The number.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// The limit of the procurement, where there is one.
    pub limit: Option<f64>,
}

/// An answer, split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Everything before the status word.
    pub(crate) body: Vec<u8>,
    /// The status word.
    pub(crate) sw: u16,
}

/// A slot that the suite wrote.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) role: Role,
    pub(crate) kv: u8,
    pub(crate) g: Key16,
    pub(crate) m: Key16,
    pub(crate) pid: [u8; 16],
    pub(crate) record: [u8; 160],
    pub(crate) cap: u32,
    pub(crate) ktac: Key16,
}

/// What the purse must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Purse {
    pub(crate) seq: u32,
    pub(crate) loaded: u32,
    pub(crate) spent: u32,
    pub(crate) txno: [u8; 8],
    pub(crate) tac: [u8; 8],
    pub(crate) masked: [u8; 16],
}

/// What the suite knows of the card, because it wrote it.
#[derive(Debug, Default)]
pub(crate) struct Fixture {
    pub(crate) serial: Option<Serial>,
    pub(crate) was_blank: bool,
    pub(crate) takes_updates: bool,
    /// Keys of the three domains, in the order of their codes.
    pub(crate) publics: Option<[[u8; 64]; 3]>,
    /// DG1, DG2, DG3, signature object.
    pub(crate) objects: [Vec<u8>; 4],
    pub(crate) slots: Vec<Slot>,
    pub(crate) purse: Option<Purse>,
    /// Counter of the last update that was sent.
    pub(crate) update: u32,
    /// The suite has ended the card: no door tells its state any more.
    pub(crate) terminated: bool,
    /// Grows with every record.
    pub(crate) issued: u32,
}

/// The rig.
pub struct TestRig<'a> {
    setup: Setup<'a>,
    info: Vec<u8>,
    figures: Vec<Figure>,
    commands: u64,
    pub(crate) fixture: Fixture,
}

impl std::fmt::Debug for TestRig<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestRig")
            .field("setup", &self.setup)
            .field("commands", &self.commands)
            .finish_non_exhaustive()
    }
}

impl Answer {
    /// Splits an answer.
    fn split(answer: &[u8]) -> Result<Self, Stop> {
        let (body, sw) = answer
            .split_last_chunk::<2>()
            .ok_or(Stop::Lost(TransportError::ReaderLost))?;
        Ok(Self {
            body: body.to_vec(),
            sw: u16::from_be_bytes(*sw),
        })
    }

    /// The body of an answer that must be 9000.
    pub(crate) fn ok(self, what: &str) -> Result<Vec<u8>, Stop> {
        self.is(0x9000, what)?;
        Ok(self.body)
    }

    /// The status must be this one, and nothing stands before a refusal.
    pub(crate) fn is(&self, sw: u16, what: &str) -> Check {
        if self.sw != sw {
            return failed(format!("{what}: {:04X} instead of {sw:04X}", self.sw));
        }
        ensure(
            sw == 0x9000 || self.body.is_empty(),
            format!("{what}: {} bytes before the status {sw:04X}", self.body.len()),
        )
    }

    /// Any refusal.
    pub(crate) fn is_refusal(&self, what: &str) -> Check {
        let high = self.sw >> 8;
        ensure(
            !matches!(high, 0x90 | 0x91 | 0x61 | 0x62 | 0x63) && self.body.is_empty(),
            format!(
                "{what}: not refused, {:04X} with {} bytes",
                self.sw,
                self.body.len()
            ),
        )
    }
}

impl<'a> TestRig<'a> {
    pub(super) fn new(setup: Setup<'a>) -> Self {
        Self {
            setup,
            info: Vec::new(),
            figures: Vec::new(),
            commands: 0,
            fixture: Fixture::default(),
        }
    }

    /// A first look: is there a card, is it a blank, and which.
    pub(super) fn look(&mut self) -> Result<(), TransportError> {
        self.setup.transport.reset()?;
        let select = select_command();
        let info = self.setup.transport.transmit(&select)?;
        if let Some((body, [0x90, 0x00])) = info.split_last_chunk::<2>() {
            self.info = body.to_vec();
            self.fixture.takes_updates = body.windows(3).any(|tag| tag == [0x83, 0x01, 0x01]);
            let serial = self.setup.transport.transmit(&GET_SERIAL)?;
            if let [serial @ .., 0x90, 0x00] = &serial[..]
                && let Ok(serial) = serial.try_into()
            {
                self.fixture.serial = Some(Serial(serial));
                self.fixture.was_blank = true;
            }
        }
        self.commands = self.commands.saturating_add(2);
        self.setup.transport.reset()
    }

    /// The reader, card info in hex, what was measured, and how many commands the card got.
    pub(super) fn into_findings(self) -> (String, String, Vec<Figure>, u64) {
        (
            self.setup.transport.name().to_owned(),
            hex::encode(&self.info),
            self.figures,
            self.commands,
        )
    }

    pub(super) fn has_keys(&self) -> bool {
        self.setup.keys.is_some()
    }

    /// True for a card of the test lot of these keys that was BLANK when the run began.
    pub(super) fn is_ours(&self) -> bool {
        matches!((self.setup.keys, self.fixture.serial), (Some(keys), Some(serial)) if keys.is_of_test_lot(&serial))
    }

    pub(super) fn is_blank(&self) -> bool {
        self.fixture.was_blank
    }

    /// Every case begins with a reset and SELECT.
    pub(super) fn begin_case(&mut self) -> Check {
        self.select()?;
        Ok(())
    }

    /// Test keys; a case that has none is not run before it asks.
    pub(crate) fn keys(&self) -> Result<&'a TestKeys, Stop> {
        match self.setup.keys {
            Some(keys) => Ok(keys),
            None => not_run("it needs test keys"),
        }
    }

    /// The serial that the blank showed.
    pub(crate) fn serial(&self) -> Result<Serial, Stop> {
        match self.fixture.serial {
            Some(serial) => Ok(serial),
            None => not_run("the serial of the card is not known"),
        }
    }

    /// The keys that the card made for its three domains.
    pub(crate) fn publics(&self) -> Result<[[u8; 64]; 3], Stop> {
        match self.fixture.publics {
            Some(publics) => Ok(publics),
            None => not_run("the card was not written by this run"),
        }
    }

    /// Transport keys and issuance keys of the card.
    pub(crate) fn static_keys(&self) -> Result<[KeySet; 2], Stop> {
        let serial = self.serial()?;
        let keys = self.keys()?;
        Ok([keys.transport_keys(&serial)?, keys.issuance_keys(&serial)?])
    }

    /// The random source.
    pub(crate) fn rng(&mut self) -> &mut StdRng {
        &mut self.setup.rng
    }

    /// Random bytes.
    pub(crate) fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.setup.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// The day of the run, moved by days.
    pub(crate) fn day(&self, ahead: i32) -> Result<Date, Stop> {
        let span = jiff::Span::new().days(ahead);
        sample::card_date(self.setup.today.saturating_add(span))
            .map_err(|_| Stop::NotRun("the day of the run is outside the calendar".to_owned()))
    }

    /// How many answers a statistical case looks at.
    pub(crate) fn samples(&self) -> usize {
        self.setup.samples
    }

    /// Rounds of the wear case.
    pub(crate) fn wear(&self) -> u32 {
        self.setup.wear
    }

    /// Notes a measured number.
    pub(crate) fn note(
        &mut self,
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        limit: Option<f64>,
    ) {
        self.figures.push(Figure {
            name: name.into(),
            value,
            unit,
            limit,
        });
    }

    /// Sends a command.
    pub(crate) fn send(&mut self, command: &[u8]) -> Result<Answer, Stop> {
        self.commands = self.commands.saturating_add(1);
        Answer::split(&self.setup.transport.transmit(command)?)
    }

    /// Sends a command and gives the milliseconds until its answer.
    pub(crate) fn timed(&mut self, command: &[u8]) -> Result<(Answer, f64), Stop> {
        let before = (self.setup.watch)();
        let answer = self.send(command)?;
        let spent = (self.setup.watch)().saturating_sub(before);
        Ok((answer, milliseconds(spent)))
    }

    /// A reset, nothing selected.
    pub(crate) fn reset(&mut self) -> Check {
        Ok(self.setup.transport.reset()?)
    }

    /// A reset and SELECT; gives card info.
    pub(crate) fn select(&mut self) -> Result<Vec<u8>, Stop> {
        self.reset()?;
        self.select_again()
    }

    /// SELECT without a reset before it.
    pub(crate) fn select_again(&mut self) -> Result<Vec<u8>, Stop> {
        self.send(&select_command())?.ok("SELECT of the application")
    }

    /// A command with data, Le 00.
    pub(crate) fn command(&mut self, header: [u8; 4], data: &[u8]) -> Result<Answer, Stop> {
        self.send(&encode(header, data, Some(0)))
    }

    /// Plans a cut; none without a rig. `false` from the rig: the moment is behind the end of the command.
    pub(crate) fn arm(&mut self, step: u32) -> Option<bool> {
        self.setup.cutter.as_mut().map(|cutter| cutter.arm(step))
    }

    /// Power back after a cut, and a reset.
    pub(crate) fn restore(&mut self) -> Check {
        if let Some(cutter) = &mut self.setup.cutter {
            cutter.restore();
        }
        self.reset()
    }

    /// A live slot that the suite wrote.
    pub(crate) fn slot(&self, role: Role, kv: u8) -> Result<&Slot, Stop> {
        let found = self
            .fixture
            .slots
            .iter()
            .find(|slot| slot.role == role && slot.kv == kv);
        match found {
            Some(slot) => Ok(slot),
            None => not_run(format!("the card holds no slot of {role} with version {kv}")),
        }
    }

    /// The newest live slot of a role.
    pub(crate) fn newest(&self, role: Role) -> Result<u8, Stop> {
        let found = self
            .fixture
            .slots
            .iter()
            .filter(|slot| slot.role == role)
            .map(|slot| slot.kv);
        match found.max() {
            Some(kv) => Ok(kv),
            None => not_run(format!("the card holds no slot of {role}")),
        }
    }
}

/// SELECT of the application.
pub(crate) fn select_command() -> Vec<u8> {
    encode(Header::SELECT.to_bytes(), &AID, Some(0))
}

/// A short command.
pub(crate) fn encode(header: [u8; 4], data: &[u8], le: Option<u8>) -> Vec<u8> {
    let mut out = header.to_vec();
    if let Ok(lc) = u8::try_from(data.len())
        && lc > 0
    {
        out.push(lc);
        out.extend_from_slice(data);
    }
    out.extend(le);
    out
}

/// Nanoseconds as milliseconds.
#[expect(clippy::cast_precision_loss, reason = "a figure for people, below an hour")]
fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1_000_000.0
}
