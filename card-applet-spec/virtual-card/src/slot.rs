//! One virtual reader: the TCP client of `vsmartcard-vpcd` with the manipulator that inserts, pulls and swaps cards.
//!
//! Protocol (vpcd 3.3): each frame is a length (2 bytes, big endian) and that many bytes, both ways. From the reader a
//! frame of one byte is an order (00 power off, 01 power on, 02 reset, 04 give the answer to reset), anything longer a
//! command APDU. Connecting the socket lays the card on the reader, closing it takes the card away; pcscd notices after
//! about 0.4 s.
//!
//! Every frame leaves in one write, with `TCP_NODELAY`, and `TCP_QUICKACK` is set before each read: otherwise the delayed
//! acknowledgements of the kernel cost 40 ms for each command.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::chip::Chip;
use crate::error::Error;

/// The first TCP port of vpcd; a second reader has the next one.
pub const FIRST_PORT: u16 = 35963;

/// How long a reader may take to accept a card and power it. pcscd looks every 0.4 s; a loaded machine is slower.
const NOTICE_LIMIT: Duration = Duration::from_secs(10);
/// How long one attempt at laying the card down lasts before it is taken up and laid down again.
const NOTICE_TRY: Duration = Duration::from_secs(2);
/// How long a reader must stay empty for pcscd to see that it is: its period of 0.4 s and some more.
const EMPTY_FOR: Duration = Duration::from_millis(450);

/// An answer to reset that is longer than any (ISO/IEC 7816-3: at most 33 bytes). A card is present for vpcd while it
/// answers, and cannot be powered for pcscd because the answer is none: exactly a broken card on a reader.
const NO_ATR: [u8; 40] = [0xFF; 40];

/// A fault on the line between reader and card, once. `apdu` counts from the next command, which is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LineFault {
    /// The card is pulled when the command arrives: it never runs.
    PullBefore {
        /// Which command.
        apdu: u32,
    },
    /// The card is pulled when the command has run: its answer is lost.
    PullAfter {
        /// Which command.
        apdu: u32,
    },
    /// The card has power and never answers this command; the reader waits until it is taken away.
    Silent {
        /// Which command.
        apdu: u32,
    },
    /// One bit of the answer is turned over on its way.
    FlipBit {
        /// Which command.
        apdu: u32,
        /// Which bit of the answer, 0 being the highest of its first byte; counted round the end.
        bit: u32,
    },
}

/// What the reader sees now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotStatus {
    /// `card`, `foreign`, `mute` or `empty`.
    pub state: String,
    /// Whether the reader powers the card now.
    pub powered: bool,
    /// Commands since the virtual reader was made.
    pub apdus: u64,
    /// How often a card was put on the reader.
    pub insertions: u64,
}

/// One virtual reader. Clones are the same reader.
#[derive(Debug, Clone)]
pub struct Slot {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    chip: Option<Box<dyn Chip>>,
    /// The last card that was taken away, for [`Slot::insert_again`].
    pocket: Option<Box<dyn Chip>>,
    line: Option<TcpStream>,
    /// Lines that the reader has not closed yet, the present one included.
    lines: u32,
    /// When the reader closed its last line.
    empty_since: Option<Instant>,
    powered: bool,
    /// Power was given, and the answer to reset asked for, since this card was inserted.
    noticed: bool,
    apdus: u64,
    insertions: u64,
    /// Grows with every insertion and every pull: the thread of an older one has nothing to say any more.
    epoch: u64,
    faults: Vec<LineFault>,
}

impl Slot {
    /// The reader that listens on the loopback interface at `port`.
    #[must_use]
    pub fn new(port: u16) -> Self {
        Self {
            port,
            shared: Arc::default(),
        }
    }

    /// Lays a card on the reader, taking away what lay there, and waits until the reader has powered it. If a card lay
    /// there a moment ago, waits before that until the reader has seen it leave: else it would take the two for one.
    ///
    /// # Errors
    ///
    /// [`Error::ReaderSilent`]: nobody listens at the port, or the reader does not look.
    pub fn insert(&self, chip: Box<dyn Chip>) -> Result<(), Error> {
        let deadline = Instant::now() + NOTICE_LIMIT;
        let mut chip = Some(chip);
        while let Some(laid) = chip.take() {
            self.shared.lock().pull();
            self.wait_until_seen_empty();
            self.lay(laid)?;
            if self.wait_until_powered() {
                return Ok(());
            }
            if Instant::now() < deadline {
                self.shared.lock().pull();
                chip = self.shared.lock().pocket.take();
            }
        }
        Err(Error::ReaderSilent { port: self.port })
    }

    /// Lays a card on the reader and does not wait: within about 60 ms of a pull, the reader reports nothing and the new
    /// card answers in the old one's place.
    ///
    /// # Errors
    ///
    /// [`Error::ReaderSilent`]: nobody listens at the port.
    pub(crate) fn insert_unseen(&self, chip: Box<dyn Chip>) -> Result<(), Error> {
        self.shared.lock().pull();
        self.lay(chip)
    }

    /// Puts back the card that was taken away last. `false`: there was none.
    ///
    /// # Errors
    ///
    /// As [`Slot::insert`].
    pub(crate) fn insert_again(&self) -> Result<bool, Error> {
        let Some(chip) = self.shared.lock().pocket.take() else {
            return Ok(false);
        };
        self.insert(chip)?;
        Ok(true)
    }

    /// Takes the card away. `false`: there was none.
    #[expect(
        clippy::must_use_candidate,
        reason = "pulling is the point, the answer is for the curious"
    )]
    pub fn pull(&self) -> bool {
        self.shared.lock().pull()
    }

    /// Forgets the card that was taken away last, and with it the lock on its memory file.
    pub fn forget(&self) {
        self.shared.lock().pocket = None;
    }

    /// Plans a fault.
    pub fn plan(&self, fault: LineFault) {
        self.shared.lock().faults.push(fault);
    }

    /// Lets the power of the card on the reader fail in the middle of a write ([`Chip::tear`]). `false`: there is none, or
    /// it has no memory of ours.
    #[must_use]
    pub fn tear(&self, write: u32, bytes: u32) -> bool {
        self.shared
            .lock()
            .chip
            .as_mut()
            .is_some_and(|chip| chip.tear(write, bytes))
    }

    /// What the reader sees now.
    #[must_use]
    pub fn status(&self) -> SlotStatus {
        let state = self.shared.lock();
        SlotStatus {
            state: state.chip.as_ref().map_or("empty", |chip| chip.kind()).to_owned(),
            powered: state.powered,
            apdus: state.apdus,
            insertions: state.insertions,
        }
    }

    fn lay(&self, chip: Box<dyn Chip>) -> Result<(), Error> {
        let line = self.dial()?;
        let reading = line
            .try_clone()
            .map_err(|_| Error::ReaderSilent { port: self.port })?;
        let mut state = self.shared.lock();
        state.chip = Some(chip);
        state.line = Some(line);
        state.lines += 1;
        state.noticed = false;
        state.insertions += 1;
        state.epoch += 1;
        let epoch = state.epoch;
        drop(state);
        let shared = Arc::clone(&self.shared);
        thread::spawn(move || shared.run(reading, epoch));
        Ok(())
    }

    fn wait_until_seen_empty(&self) {
        let (state, _) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), NOTICE_TRY, |state| state.lines > 0)
            .unwrap_or_else(PoisonError::into_inner);
        let empty_since = state.empty_since;
        drop(state);
        if let Some(since) = empty_since {
            thread::sleep(EMPTY_FOR.saturating_sub(since.elapsed()));
        }
    }

    fn wait_until_powered(&self) -> bool {
        let (state, _) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), NOTICE_TRY, |state| {
                !state.noticed && state.line.is_some()
            })
            .unwrap_or_else(PoisonError::into_inner);
        state.noticed
    }

    /// Connects, and gives a service that is only starting some time to listen.
    fn dial(&self) -> Result<TcpStream, Error> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let silent = || Error::ReaderSilent { port: self.port };
        let deadline = Instant::now() + NOTICE_LIMIT;
        loop {
            match TcpStream::connect_timeout(&address, NOTICE_LIMIT) {
                Ok(line) => {
                    line.set_nodelay(true).map_err(|_| silent())?;
                    return Ok(line);
                }
                Err(error)
                    if error.kind() == io::ErrorKind::ConnectionRefused && Instant::now() < deadline =>
                {
                    thread::sleep(Duration::from_millis(5));
                }
                Err(_) => return Err(silent()),
            }
        }
    }
}

impl Shared {
    /// The state is plain data, whole after every statement: a thread that died holding it spoilt nothing.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut line: TcpStream, epoch: u64) {
        let mut frames = Frames::default();
        // Goes on after a pull, until the reader closes the line: that is how it shows that it has noticed.
        while let Ok(frame) = frames.next(&mut line) {
            if let Some(bytes) = self.serve(epoch, &frame)
                && write_frame(&mut line, &bytes).is_err()
            {
                break;
            }
        }
        let mut state = self.lock();
        state.lines = state.lines.saturating_sub(1);
        state.empty_since = Some(Instant::now());
        if state.epoch == epoch {
            // The reader closed the line (its service ended): the card is as good as taken away.
            state.pull();
        }
        drop(state);
        self.changed.notify_all();
    }

    /// What goes back to the reader for one frame, if anything.
    fn serve(&self, epoch: u64, frame: &[u8]) -> Option<Vec<u8>> {
        let mut state = self.lock();
        if state.epoch != epoch {
            return None;
        }
        match *frame {
            [0x00] => state.power_off(),
            [0x01 | 0x02] => {
                state.power_off();
                state.powered = true;
                if let Some(chip) = &mut state.chip {
                    chip.power_on();
                }
            }
            [0x04] => {
                let atr = state
                    .chip
                    .as_ref()
                    .and_then(|chip| chip.atr())
                    .unwrap_or(&NO_ATR)
                    .to_vec();
                if state.powered && !state.noticed {
                    state.noticed = true;
                    self.changed.notify_all();
                }
                return Some(atr);
            }
            _ if frame.len() > 1 => return state.command(frame),
            _ => {}
        }
        None
    }
}

impl State {
    fn pull(&mut self) -> bool {
        self.power_off();
        if let Some(line) = self.line.take() {
            // The other side learns it from the end of the stream; a line that is broken already needs no farewell.
            let _ = line.shutdown(Shutdown::Write);
        }
        self.epoch += 1;
        match self.chip.take() {
            Some(chip) => {
                self.pocket = Some(chip);
                true
            }
            None => false,
        }
    }

    fn power_off(&mut self) {
        self.powered = false;
        if let Some(chip) = &mut self.chip {
            chip.power_off();
        }
    }

    fn command(&mut self, command: &[u8]) -> Option<Vec<u8>> {
        self.apdus += 1;
        let due = self.due();
        if matches!(due, Some(LineFault::PullBefore { .. })) {
            self.pull();
            return None;
        }
        if matches!(due, Some(LineFault::Silent { .. })) {
            return None;
        }
        let answer = self.chip.as_mut().and_then(|chip| chip.process(command));
        let (Some(mut answer), false) = (answer, matches!(due, Some(LineFault::PullAfter { .. }))) else {
            self.pull();
            return None;
        };
        if let Some(LineFault::FlipBit { bit, .. }) = due {
            flip_bit(&mut answer, bit);
        }
        Some(answer)
    }

    /// Counts every planned fault down by one command and takes out the one that falls due.
    fn due(&mut self) -> Option<LineFault> {
        let mut due = None;
        self.faults.retain_mut(|fault| {
            let (LineFault::PullBefore { apdu }
            | LineFault::PullAfter { apdu }
            | LineFault::Silent { apdu }
            | LineFault::FlipBit { apdu, .. }) = fault;
            *apdu = apdu.saturating_sub(1);
            let waits = *apdu > 0;
            if !waits {
                due = Some(*fault);
            }
            waits
        });
        due
    }
}

/// Turns over one bit; `bit` is counted round the end of the answer.
pub(crate) fn flip_bit(answer: &mut [u8], bit: u32) {
    let bits = answer.len().saturating_mul(8);
    if let Some(at) = usize::try_from(bit).ok().and_then(|bit| bit.checked_rem(bits))
        && let Some(byte) = answer.get_mut(at / 8)
    {
        *byte ^= 0x80 >> (at % 8);
    }
}

/// Reads frames, as many bytes at a time as the kernel has.
#[derive(Debug)]
struct Frames {
    buffer: Vec<u8>,
    filled: usize,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            buffer: vec![0; usize::from(u16::MAX) + 2],
            filled: 0,
        }
    }
}

impl Frames {
    fn next(&mut self, line: &mut TcpStream) -> io::Result<Vec<u8>> {
        loop {
            if let Some((head, rest)) = self
                .buffer
                .get(..self.filled)
                .and_then(|have| have.split_first_chunk::<2>())
            {
                let length = usize::from(u16::from_be_bytes(*head));
                if let Some(frame) = rest.get(..length) {
                    let frame = frame.to_vec();
                    let used = length + 2;
                    self.buffer.copy_within(used..self.filled, 0);
                    self.filled -= used;
                    return Ok(frame);
                }
            }
            rustix::net::sockopt::set_tcp_quickack(&*line, true)?;
            let room = self.buffer.get_mut(self.filled..).unwrap_or_default();
            match line.read(room)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                got => self.filled += got,
            }
        }
    }
}

fn write_frame(line: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    let length = u16::try_from(bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    let mut frame = Vec::with_capacity(bytes.len() + 2);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(bytes);
    line.write_all(&frame)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::chip::{Foreign, Mute};

    fn reader() -> (TcpListener, Slot) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, Slot::new(port))
    }

    fn say(line: &mut TcpStream, bytes: &[u8]) {
        write_frame(line, bytes).unwrap();
    }

    fn ask(line: &mut TcpStream, bytes: &[u8]) -> io::Result<Vec<u8>> {
        say(line, bytes);
        Frames::default().next(line)
    }

    #[test]
    fn a_card_speaks_the_frames_of_the_virtual_reader() {
        let (listener, slot) = reader();
        slot.insert_unseen(Box::new(Foreign)).unwrap();
        let (mut line, _) = listener.accept().unwrap();
        say(&mut line, &[1]);
        assert_eq!(ask(&mut line, &[4]).unwrap(), Foreign.atr().unwrap());
        assert_eq!(ask(&mut line, &[0, 0xA4, 4, 0]).unwrap(), [0x6A, 0x82]);
        let status = slot.status();
        assert_eq!(
            (status.state.as_str(), status.powered, status.apdus),
            ("foreign", true, 1)
        );
    }

    #[test]
    fn a_card_pulled_after_a_command_leaves_no_answer_and_can_be_put_back() {
        let (listener, slot) = reader();
        slot.insert_unseen(Box::new(Foreign)).unwrap();
        let (mut line, _) = listener.accept().unwrap();
        slot.plan(LineFault::PullAfter { apdu: 2 });
        say(&mut line, &[1]);
        assert_eq!(ask(&mut line, &[0, 0xA4, 4, 0]).unwrap(), [0x6A, 0x82]);
        assert_eq!(
            ask(&mut line, &[0, 0xA4, 4, 0]).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
        assert_eq!(slot.status().state, "empty");
        assert_eq!(slot.status().apdus, 2);
        assert!(slot.shared.lock().pocket.is_some());
    }

    #[test]
    fn a_planned_bit_flips_once() {
        let (listener, slot) = reader();
        slot.insert_unseen(Box::new(Foreign)).unwrap();
        let (mut line, _) = listener.accept().unwrap();
        slot.plan(LineFault::FlipBit { apdu: 1, bit: 16 + 7 });
        say(&mut line, &[1]);
        assert_eq!(ask(&mut line, &[0, 0xA4, 4, 0]).unwrap(), [0x6B, 0x82]);
        assert_eq!(ask(&mut line, &[0, 0xA4, 4, 0]).unwrap(), [0x6A, 0x82]);
    }

    #[test]
    fn a_mute_card_is_present_and_has_no_answer_to_reset() {
        let (listener, slot) = reader();
        slot.insert_unseen(Box::new(Mute)).unwrap();
        let (mut line, _) = listener.accept().unwrap();
        say(&mut line, &[1]);
        assert!(ask(&mut line, &[4]).unwrap().len() > 33);
    }
}
