//! The card behind its doors: memory with its control block, and the random source; what every door asks it.

use card_applet_spec::apdu::{Header, ParsedCommand, StatusWord};
use card_applet_spec::codes::CardState;
use card_applet_spec::script::Status;
use rand_core::CryptoRng;

use crate::answer::{Outcome, answer, memory_failure};
use crate::command::{Command, Gate};
use crate::manufacture::layout;
use crate::memory::{FACTORY, Memory};
use crate::storage::Storage;

/// The card without what it remembers between two commands.
#[derive(Debug)]
pub(crate) struct Card<M, R> {
    pub(crate) storage: Storage<M>,
    pub(crate) rng: R,
}

impl<M: Memory, R: CryptoRng> Card<M, R> {
    pub(crate) fn state(&self) -> CardState {
        self.storage.control().state
    }

    /// What the life cycle says to a command now.
    pub(crate) fn gate(&self, command: Command) -> Gate {
        command.gate(self.state())
    }

    pub(crate) fn serial(&self) -> Result<[u8; 10], StatusWord> {
        Ok(*self
            .storage
            .read_at::<10>(FACTORY, layout::SERIAL)
            .map_err(memory_failure)?)
    }

    pub(crate) fn status(&self) -> Status {
        let control = self.storage.control();
        Status {
            state: control.state,
            script: control.script.script,
            last: control.script.last,
            digest: control.script.digest,
            failures: self.storage.failures(),
            floor: control.floor,
            epoch: control.epoch,
            open: control.script.open.is_some(),
        }
    }

    /// GET DATA: the serial, which only a blank gives to everybody.
    pub(crate) fn get_data(&self, command: &ParsedCommand<'_>) -> Outcome {
        command.has_le(Some(0))?;
        if !command.data.is_empty() {
            return Err(StatusWord::WRONG_LENGTH);
        }
        if command.header != Header::GET_SERIAL || self.gate(Command::GetData) != Gate::Open {
            return Err(StatusWord::NOT_FOUND);
        }
        let serial = self.serial()?;
        answer(&serial)
    }
}
