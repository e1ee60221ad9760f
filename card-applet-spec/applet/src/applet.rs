//! The command loop: parse, gate by session, run, answer. Any error ends every session (chapter 01).

use card_applet_spec::apdu::{Answer, Header, ParsedCommand, StatusWord};
use card_applet_spec::codes::AID;
use card_applet_spec::data_group::CardInfo;
use rand_core::CryptoRng;

use crate::answer::{Outcome, answer, bare, internal};
use crate::card::Card;
use crate::command::Command;
use crate::door_f::Tapped;
use crate::door_i::{DoorI, OpeningI};
use crate::door_s::{DoorS, Presenting};
use crate::memory::Memory;
use crate::storage::Storage;

/// What the card remembers between two commands. All of it is gone after SELECT, reset or an error.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one of it, and no heap to box into"
)]
enum Session {
    /// No application is selected.
    Reset,
    /// Selected, nothing open.
    Selected,
    /// After a TAP: what COMMIT and UPDATE refer to.
    Tapped(Tapped),
    /// After INITIALIZE UPDATE.
    OpeningI(OpeningI),
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
    card: Card<M, R>,
    session: Session,
    /// The memory failed: what this card believes may differ from what the memory holds. It says so to every command
    /// until it is reset, which reads everything again.
    faulted: bool,
}

impl<M: Memory, R: CryptoRng> Applet<M, R> {
    /// Power on: finds the last committed state.
    ///
    /// # Errors
    /// [`crate::error::Error::NotACard`] when the memory was never manufactured; [`crate::error::Error::Memory`] when it fails.
    pub fn power_on(memory: M, rng: R) -> Result<Self, crate::error::Error> {
        Ok(Self {
            card: Card {
                storage: Storage::open(memory)?,
                rng,
            },
            session: Session::Reset,
            faulted: false,
        })
    }

    /// Reset: every session is gone. After a fault of the memory the last committed state is read again; while that
    /// fails too, every command is answered 6581.
    pub fn reset(&mut self) {
        self.session = Session::Reset;
        if self.faulted {
            self.faulted = self.card.storage.reopen().is_err();
        }
    }

    /// Power off: gives memory and random source back.
    pub fn power_off(self) -> (M, R) {
        (self.card.storage.into_memory(), self.card.rng)
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

    fn run(&mut self, apdu: &ParsedCommand<'_>) -> Outcome {
        let command = Command::try_from(apdu.header);
        if command == Ok(Command::Select) {
            return self.select(apdu);
        }
        // The session is taken out: only a command that succeeds puts one back.
        match core::mem::replace(&mut self.session, Session::Selected) {
            Session::Reset => {
                self.session = Session::Reset;
                Err(StatusWord::CONDITIONS)
            }
            Session::Selected => self.run_open(None, command?, apdu),
            Session::Tapped(tapped) => self.run_open(Some(&tapped), command?, apdu),
            Session::OpeningI(opening) => self.run_opening_i(opening, in_order(command)?, apdu),
            Session::DoorI(door) => self.run_door_i(door, in_order(command)?, apdu),
            Session::Presenting(presenting) => self.run_presenting(presenting, in_order(command)?, apdu),
            Session::DoorS(door) => self.run_door_s(door, in_order(command)?, apdu),
        }
    }

    /// Nothing is open. `tapped` is the TAP just before; it is used up, whatever the answer.
    fn run_open(&mut self, tapped: Option<&Tapped>, command: Command, apdu: &ParsedCommand<'_>) -> Outcome {
        match command {
            Command::GetData => self.card.get_data(apdu),
            Command::InitializeUpdate => {
                let (answer, opening) = self.card.initialize_update(apdu)?;
                self.session = Session::OpeningI(opening);
                Ok(answer)
            }
            Command::Tap { role, version } => {
                let (answer, tapped) = self.card.tap(role, version, apdu)?;
                self.session = Session::Tapped(tapped);
                Ok(answer)
            }
            Command::Commit { role, version } => {
                let tapped = tapped.ok_or(StatusWord::CONDITIONS)?;
                self.card.commit(tapped, role, version, apdu)
            }
            Command::Update { role, version } => self.card.update(tapped, role, version, apdu),
            Command::PresentCertificate => {
                let (answer, presenting) = self.card.present_intermediate(apdu)?;
                self.session = Session::Presenting(presenting);
                Ok(answer)
            }
            // Known, but out of order here.
            Command::Select
            | Command::ExternalAuthenticate
            | Command::Step { .. }
            | Command::Report { .. }
            | Command::GetChallenge
            | Command::Agree
            | Command::ReadObject { .. }
            | Command::ResetCounter => Err(StatusWord::CONDITIONS),
        }
    }

    fn run_opening_i(&mut self, opening: OpeningI, command: Command, apdu: &ParsedCommand<'_>) -> Outcome {
        match command {
            Command::ExternalAuthenticate => {
                let (answer, door) = self.card.external_authenticate(opening, apdu)?;
                self.session = Session::DoorI(door);
                Ok(answer)
            }
            Command::Select
            | Command::GetData
            | Command::Tap { .. }
            | Command::Commit { .. }
            | Command::Update { .. }
            | Command::InitializeUpdate
            | Command::Step { .. }
            | Command::Report { .. }
            | Command::PresentCertificate
            | Command::GetChallenge
            | Command::Agree
            | Command::ReadObject { .. }
            | Command::ResetCounter => Err(StatusWord::CONDITIONS),
        }
    }

    fn run_door_i(&mut self, door: DoorI, command: Command, apdu: &ParsedCommand<'_>) -> Outcome {
        let (answer, door) = match command {
            Command::Step { n } => self.card.script_step(door, n, apdu)?,
            Command::Report { what, domain } => self.card.report(door, what, domain, apdu)?,
            Command::Select
            | Command::GetData
            | Command::Tap { .. }
            | Command::Commit { .. }
            | Command::Update { .. }
            | Command::InitializeUpdate
            | Command::ExternalAuthenticate
            | Command::PresentCertificate
            | Command::GetChallenge
            | Command::Agree
            | Command::ReadObject { .. }
            | Command::ResetCounter => return Err(StatusWord::CONDITIONS),
        };
        self.session = Session::DoorI(door);
        Ok(answer)
    }

    fn run_presenting(
        &mut self,
        presenting: Presenting,
        command: Command,
        apdu: &ParsedCommand<'_>,
    ) -> Outcome {
        let (answer, session) = match command {
            Command::PresentCertificate => {
                let (answer, presenting) = presenting.leaf(apdu)?;
                (answer, Session::Presenting(presenting))
            }
            Command::GetChallenge => {
                let (answer, presenting) = self.card.get_challenge(presenting, apdu)?;
                (answer, Session::Presenting(presenting))
            }
            Command::Agree => {
                let (answer, door) = self.card.agree(&presenting, apdu)?;
                (answer, Session::DoorS(door))
            }
            Command::Select
            | Command::GetData
            | Command::Tap { .. }
            | Command::Commit { .. }
            | Command::Update { .. }
            | Command::InitializeUpdate
            | Command::ExternalAuthenticate
            | Command::Step { .. }
            | Command::Report { .. }
            | Command::ReadObject { .. }
            | Command::ResetCounter => return Err(StatusWord::CONDITIONS),
        };
        self.session = session;
        Ok(answer)
    }

    fn run_door_s(&mut self, door: DoorS, command: Command, apdu: &ParsedCommand<'_>) -> Outcome {
        let (answer, door) = match command {
            Command::ReadObject { object, p2 } => self.card.read(door, object, p2, apdu)?,
            Command::ResetCounter => self.card.reset_counter(door, apdu)?,
            Command::Select
            | Command::GetData
            | Command::Tap { .. }
            | Command::Commit { .. }
            | Command::Update { .. }
            | Command::InitializeUpdate
            | Command::ExternalAuthenticate
            | Command::Step { .. }
            | Command::Report { .. }
            | Command::PresentCertificate
            | Command::GetChallenge
            | Command::Agree => return Err(StatusWord::CONDITIONS),
        };
        self.session = Session::DoorS(door);
        Ok(answer)
    }

    fn select(&mut self, apdu: &ParsedCommand<'_>) -> Outcome {
        self.session = Session::Reset;
        if apdu.header != Header::SELECT {
            return Err(StatusWord::WRONG_P1P2);
        }
        if apdu.data != AID {
            return Err(StatusWord::NO_APPLICATION);
        }
        let info = CardInfo::CURRENT.encode().map_err(internal)?;
        self.session = Session::Selected;
        answer(&info)
    }
}

/// While something is open, a command that does not exist is out of order like any other.
fn in_order(command: Result<Command, StatusWord>) -> Result<Command, StatusWord> {
    command.map_err(|_| StatusWord::CONDITIONS)
}
