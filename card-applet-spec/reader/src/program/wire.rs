//! The wire to a card: a PC/SC reader, or a tape; and the tape that is written on the way.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use card_reader::tape::{Recorder, Replay};
use card_reader::transport::{Connect, PcscTransport, Transport, TransportError};
use program_contract::Failure;
use program_contract::language::Words;
use rand_core::{CryptoRng, TryCryptoRng, TryRng};

use crate::program::clock;
use crate::program::failure;
use crate::program::files;

/// Longest tape that is replayed, bytes.
const TAPE_MAX: u64 = 64 << 20;

/// A tape that is being written.
#[derive(Debug)]
pub(crate) struct Tape(File);

impl Tape {
    /// Makes a new file (mode 0600) and says what a tape is.
    pub(crate) fn create(path: Option<&Path>) -> Result<Option<Self>, Failure> {
        let Some(path) = path else { return Ok(None) };
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| failure::tape_unwritable(path.display(), error.kind()))?;
        program_contract::tell!(Words(
            "录制：磁带只含密文，不含密钥，但记录了某张卡在此处出现；用后请删除。",
            "recording: the tape holds cipher text and no key; it still tells that one card was here. Delete it after use."
        ));
        Ok(Some(Self(file)))
    }

    /// Puts the tape around a wire.
    fn around(tape: Option<&Self>, wire: PcscTransport) -> Box<dyn Transport> {
        // The same file, further on.
        match tape.map(|Self(file)| file.try_clone()) {
            None => Box::new(wire),
            Some(Ok(file)) => Box::new(Recorder::new(wire, file)),
            Some(Err(error)) => {
                program_contract::tell!(Words("录制中断", "not recorded"), ": ", error.kind());
                Box::new(wire)
            }
        }
    }
}

/// Connects to the card on a reader; `limit` bounds the time of one command.
pub(crate) fn connect(
    reader: Option<&str>,
    wait: Duration,
    limit: Option<Duration>,
    tape: Option<&Tape>,
) -> Result<Box<dyn Transport>, TransportError> {
    let wanted = Connect {
        reader: reader.map(str::to_owned),
        wait,
    };
    let mut wire = PcscTransport::connect(&wanted)?;
    if let Some(limit) = limit {
        wire.set_limit(limit);
    }
    Ok(Tape::around(tape, wire))
}

/// A tape as a wire, and the terminal's random numbers that were used when it was made.
pub(crate) fn replay(path: &Path) -> Result<(Box<dyn Transport>, Challenges), Failure> {
    let bytes = files::read(path, TAPE_MAX)?;
    let damaged = |line: usize| failure::tape_damaged(path.display(), line);
    let text = String::from_utf8(bytes).map_err(|_| damaged(1))?;
    let replay = Replay::parse(&text).map_err(damaged)?;
    let challenges = Challenges(replay.challenges().iter().rev().copied().collect());
    Ok((Box::new(replay), challenges))
}

/// The random numbers of a tape, in place of the machine's. They keep nothing secret and prove nothing: whoever uses them
/// judges a recording.
#[derive(Debug)]
pub(crate) struct Challenges(Vec<[u8; 16]>);

impl TryRng for Challenges {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut out = [0; 4];
        self.try_fill_bytes(&mut out)?;
        Ok(u32::from_be_bytes(out))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut out = [0; 8];
        self.try_fill_bytes(&mut out)?;
        Ok(u64::from_be_bytes(out))
    }

    /// The next challenge; zeros behind the last one, which no card on the tape has answered.
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        out.fill(0);
        let challenge = self.0.pop().unwrap_or_default();
        for (to, from) in out.iter_mut().zip(challenge) {
            *to = from;
        }
        Ok(())
    }
}

impl TryCryptoRng for Challenges {}

/// The machine's random source, or a tape's numbers.
#[derive(Debug)]
pub(crate) enum Source {
    Machine,
    Tape(Challenges),
}

impl TryRng for Source {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut out = [0; 4];
        self.try_fill_bytes(&mut out)?;
        Ok(u32::from_be_bytes(out))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut out = [0; 8];
        self.try_fill_bytes(&mut out)?;
        Ok(u64::from_be_bytes(out))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        match self {
            Self::Machine => {
                fill(&mut clock::random(), out);
                Ok(())
            }
            Self::Tape(challenges) => challenges.try_fill_bytes(out),
        }
    }
}

impl TryCryptoRng for Source {}

fn fill(rng: &mut impl CryptoRng, out: &mut [u8]) {
    rng.fill_bytes(out);
}
