//! What lies between a terminal and a card: nothing but bytes of the fuzzer's, or a genuine card and whatever it changes on
//! the way.

use card_host::Card;
use card_reader::transport::{Transport, TransportError};

use crate::fixture::Fixture;
use crate::tape::Tape;

/// Exchanges of one input; behind them the reader is gone.
const MOST: usize = 600;

/// What lies between terminal and card.
pub(crate) struct Wire<'a> {
    /// A genuine card, in the hands of a man in the middle; without one everything is forged.
    pub(crate) genuine: Option<Card>,
    heard: Vec<Vec<u8>>,
    /// What the player does next.
    pub(crate) tape: Tape<'a>,
    exchanges: usize,
    /// The answer before.
    before: Vec<u8>,
    /// The last answer is not what the card said.
    pub(crate) changed: bool,
}

impl<'a> Wire<'a> {
    pub(crate) fn new(tape: Tape<'a>, genuine: Option<Card>, fixture: &Fixture) -> Self {
        Self {
            genuine,
            heard: fixture.recorded.answers.clone(),
            tape,
            exchanges: 0,
            before: vec![0x90, 0x00],
            changed: false,
        }
    }

    fn forge(&mut self) -> Vec<u8> {
        match self.tape.byte() % 6 {
            0 | 1 => {
                let mut answer = self.tape.short().to_vec();
                answer.extend_from_slice(&[0x90, 0x00]);
                answer
            }
            2 => self.tape.short().to_vec(),
            3 => {
                let at = usize::from(self.tape.byte()) % self.heard.len();
                self.heard[at].clone()
            }
            4 => {
                let at = usize::from(self.tape.byte()) % self.heard.len();
                let mut answer = self.heard[at].clone();
                self.flip(&mut answer);
                answer
            }
            _ => {
                // As long as an answer can be, and longer.
                let length = usize::from(self.tape.u16() % 600);
                let mut answer = vec![self.tape.byte(); length];
                answer.extend_from_slice(&[0x90, 0x00]);
                answer
            }
        }
    }

    fn flip(&mut self, bytes: &mut [u8]) {
        let count = self.tape.byte() % 4 + 1;
        for _ in 0..count {
            let at = usize::from(self.tape.u16());
            let flip = self.tape.byte();
            if let Some(length) = bytes.len().checked_sub(1)
                && let Some(byte) = bytes.get_mut(at % (length + 1))
            {
                *byte ^= flip;
            }
        }
    }

    fn between(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        let choice = self.tape.byte() % 16;
        let mut command = command.to_vec();
        if choice == 6 {
            // The command never arrives.
            return Err(TransportError::ReaderLost);
        }
        if choice == 11 && self.tape.byte() & 1 == 1 {
            // The command never arrives, and the answer is made up.
            self.changed = true;
            return Ok(self.forge());
        }
        if choice == 13 {
            self.flip(&mut command);
        }
        let card = self.genuine.as_mut().expect("the man in the middle has one");
        if choice == 14 {
            card.reset();
        }
        if choice == 7 {
            // It arrives twice, and the second answer counts.
            card.process(&command);
        }
        let said = card.process(&command).to_vec();
        if choice == 5 {
            // The answer never arrives.
            return Err(TransportError::ReaderLost);
        }
        let mut answer = said.clone();
        match choice {
            8 => self.flip(&mut answer),
            9 => answer.truncate(usize::from(self.tape.byte())),
            10 => {
                let status = answer.split_off(answer.len() - 2);
                answer.extend_from_slice(self.tape.short());
                answer.extend_from_slice(&status);
            }
            11 => answer = self.forge(),
            12 => {
                let status: [u8; 2] = self.tape.array();
                let body = answer.len() - 2;
                answer.truncate(body);
                answer.extend_from_slice(&status);
            }
            15 => answer.clone_from(&self.before),
            _ => {}
        }
        self.changed = answer != said;
        self.before.clone_from(&answer);
        Ok(answer)
    }
}

impl Transport for Wire<'_> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        self.exchanges += 1;
        if self.exchanges > MOST {
            return Err(TransportError::ReaderLost);
        }
        if self.genuine.is_none() {
            if self.tape.is_empty() {
                return Err(TransportError::NoCard);
            }
            return Ok(self.forge());
        }
        self.between(command)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        if let Some(card) = &mut self.genuine {
            card.reset();
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "the fuzzer"
    }
}
