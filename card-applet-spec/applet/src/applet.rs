//! The command loop: parse, gate by session, run, answer. Any error ends every session (chapter 01).

use card_applet_spec::Error as SpecError;
use card_applet_spec::apdu::{Answer, Header, ParsedCommand, StatusWord};
use card_applet_spec::bytes::Write;
use card_applet_spec::codes::{AID, CardState};
use card_applet_spec::data_group::CardInfo;
use rand_core::CryptoRng;

use crate::door_f::Tapped;
use crate::door_i::{DoorI, Opening};
use crate::door_s::{DoorS, Presenting};
use crate::manufacture::layout;
use crate::memory::{FACTORY, Memory, MemoryFault};
use crate::storage::Storage;

/// A command's outcome inside the applet: an answer with its status word, or the status word alone.
pub(crate) type Outcome = Result<Answer, StatusWord>;

/// What the card remembers between two commands. All of it is gone after SELECT, reset or an error.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one of it, and no heap to box into"
)]
pub(crate) enum Session {
    /// No application is selected.
    Reset,
    /// Selected, nothing open.
    Selected,
    /// After a TAP: what COMMIT and UPDATE refer to.
    Tapped(Tapped),
    /// After INITIALIZE UPDATE.
    OpeningI(Opening),
    /// Door I.
    DoorI(DoorI),
    /// Certificates are being presented.
    Presenting(Presenting),
    /// Door S.
    DoorS(DoorS),
}

/// The card.
#[derive(Debug)]
pub struct Applet<M, R> {
    pub(crate) storage: Storage<M>,
    pub(crate) rng: R,
    pub(crate) session: Session,
    /// The memory failed: what this card believes may differ from what the memory holds. It says so to every command
    /// until it is reset, which reads everything again.
    faulted: bool,
}

impl<M: Memory, R: CryptoRng> Applet<M, R> {
    /// Power on: finds the last committed state.
    ///
    /// # Errors
    /// [`crate::Error::NotACard`] when the memory was never manufactured; [`crate::Error::Memory`] when it fails.
    pub fn power_on(memory: M, rng: R) -> Result<Self, crate::Error> {
        Ok(Self {
            storage: Storage::open(memory)?,
            rng,
            session: Session::Reset,
            faulted: false,
        })
    }

    /// Reset: every session is gone. After a fault of the memory the last committed state is read again; while that
    /// fails too, every command is answered 6581.
    pub fn reset(&mut self) {
        self.session = Session::Reset;
        if self.faulted {
            self.faulted = self.storage.reopen().is_err();
        }
    }

    /// Power off: gives memory and random source back.
    pub fn power_off(self) -> (M, R) {
        (self.storage.into_memory(), self.rng)
    }

    /// Runs one command APDU; gives body and status word. Never fails: what goes wrong is a status word.
    pub fn process(&mut self, command: &[u8]) -> Answer {
        if self.faulted {
            return bare(StatusWord::MEMORY_FAILURE);
        }
        let outcome = ParsedCommand::parse(command).and_then(|command| self.run(&command));
        outcome.unwrap_or_else(|status| {
            self.faulted = status == StatusWord::MEMORY_FAILURE;
            if !matches!(self.session, Session::Reset) {
                self.session = Session::Selected;
            }
            bare(status)
        })
    }

    fn run(&mut self, command: &ParsedCommand<'_>) -> Outcome {
        let header = command.header;
        if (header.cla, header.ins) == (Header::SELECT.cla, Header::SELECT.ins) {
            return self.select(command);
        }
        // The session is taken out: only a command that succeeds puts one back.
        let session = match core::mem::replace(&mut self.session, Session::Selected) {
            Session::Reset => {
                self.session = Session::Reset;
                return Err(StatusWord::CONDITIONS);
            }
            session => session,
        };
        match session {
            Session::DoorI(door) => self.run_door_i(door, command),
            Session::DoorS(door) => self.run_door_s(door, command),
            Session::OpeningI(opening) => self.run_external_authenticate(opening, command),
            Session::Presenting(presenting) => self.run_presenting(presenting, command),
            session @ (Session::Selected | Session::Tapped(_) | Session::Reset) => {
                self.run_open(session, command)
            }
        }
    }

    fn run_open(&mut self, session: Session, command: &ParsedCommand<'_>) -> Outcome {
        let header = command.header;
        match (header.cla, header.ins) {
            (0x80, 0xCA) => self.get_data(command),
            (0x80, 0x50) => self.initialize_update(command),
            (0x80, 0x10) => self.tap(command),
            (0x80, 0x12) => match session {
                Session::Tapped(tapped) => self.commit(&tapped, command),
                _ => Err(StatusWord::CONDITIONS),
            },
            (0x80, 0x14) => match session {
                Session::Tapped(tapped) => self.update(Some(&tapped), command),
                _ => self.update(None, command),
            },
            (0x80, 0x20) => self.present_intermediate(command),
            // Known, but out of order here.
            (0x84, 0x82 | 0xDA | 0xF2 | 0xB0 | 0x2C) | (0x00, 0x84) | (0x80, 0x22) => {
                Err(StatusWord::CONDITIONS)
            }
            (0x00 | 0x80 | 0x84, _) => Err(StatusWord::NO_INSTRUCTION),
            _ => Err(StatusWord::NO_CLASS),
        }
    }

    fn select(&mut self, command: &ParsedCommand<'_>) -> Outcome {
        self.session = Session::Reset;
        if command.header != Header::SELECT {
            return Err(StatusWord::WRONG_P1P2);
        }
        if command.data != AID {
            return Err(StatusWord::NO_APPLICATION);
        }
        let info = CardInfo::CURRENT.encode().map_err(internal)?;
        self.session = Session::Selected;
        answer(&info)
    }

    fn get_data(&mut self, command: &ParsedCommand<'_>) -> Outcome {
        if !command.data.is_empty() {
            return Err(StatusWord::WRONG_LENGTH);
        }
        if command.header != Header::GET_SERIAL || self.state() != CardState::Blank {
            return Err(StatusWord::NOT_FOUND);
        }
        let serial = self.serial()?;
        answer(&serial)
    }

    pub(crate) fn state(&self) -> CardState {
        self.storage.control().state
    }

    pub(crate) fn serial(&self) -> Result<[u8; 10], StatusWord> {
        Ok(*self
            .storage
            .read_at::<10>(FACTORY, layout::SERIAL)
            .map_err(memory_failure)?)
    }
}

/// An answer with 9000.
pub(crate) fn answer(body: &[u8]) -> Outcome {
    let mut out = Answer::new();
    out.put(body)
        .and_then(|()| out.put(&StatusWord::OK.0.to_be_bytes()))
        .map_err(internal)?;
    Ok(out)
}

fn bare(status: StatusWord) -> Answer {
    let mut out = Answer::new();
    // Two bytes always fit.
    let _ = out.put(&status.0.to_be_bytes());
    out
}

/// The memory failed: the write did not happen or is not known.
pub(crate) fn memory_failure(_: MemoryFault) -> StatusWord {
    StatusWord::MEMORY_FAILURE
}

/// Our own encoders do not fail for sizes of the specification; if one did, nothing was written.
pub(crate) fn internal(_: SpecError) -> StatusWord {
    StatusWord::MEMORY_FAILURE
}

/// Data that came in has a wrong form.
pub(crate) fn wrong_data(_: SpecError) -> StatusWord {
    StatusWord::WRONG_DATA
}

/// A MAC, signature or cryptogram is wrong.
pub(crate) fn insecure(_: SpecError) -> StatusWord {
    StatusWord::SECURITY
}
