//! Tapes of APDUs, as JSON lines: `{"command":"00a4..","answer":"9000"}`, `{"command":..,"error":"READER_LOST"}` or
//! `{"reset":true}`; the same lines as those of `virtual-card`.
//!
//! A tape holds what anybody near the reader could record: cipher text, MACs and random numbers, no key. It is still a
//! record of one card at one place, so a tape is for finding faults, with the holder's consent, and is not kept.
//!
//! A replay judges a recorded tap again. Each TAP has a random number of the terminal, so a replay takes these numbers
//! from the tape ([`Replay::challenges`]): a program that does so must never open a door or take money with it. Door S
//! cannot be replayed: its session keys need a private key that no tape holds.

use std::collections::VecDeque;
use std::io::{self, Write};

use card_applet_spec::apdu::Header;
use serde::{Deserialize, Serialize};

use crate::transport::{Transport, TransportError};

/// One line of a tape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// A command and its answer, body and status word; hex, lower case.
    Answered {
        /// Command APDU.
        command: String,
        /// Answer APDU.
        answer: String,
    },
    /// A command without answer.
    Failed {
        /// Command APDU.
        command: String,
        /// Code of the error ([`TransportError::code`]).
        error: String,
    },
    /// The card was reset.
    Reset {
        /// Always true.
        reset: bool,
    },
}

impl Line {
    /// The line of a command and what came of it.
    #[must_use]
    pub fn of(command: &[u8], result: &Result<Vec<u8>, TransportError>) -> Self {
        let command = hex::encode(command);
        match result {
            Ok(answer) => Self::Answered {
                command,
                answer: hex::encode(answer),
            },
            Err(error) => Self::Failed {
                command,
                error: error.code().to_owned(),
            },
        }
    }
}

/// A transport that writes a tape while it works.
#[derive(Debug)]
pub struct Recorder<T, W> {
    inner: T,
    out: W,
    failed: Option<io::ErrorKind>,
}

impl<T: Transport, W: Write> Recorder<T, W> {
    /// Records onto `out`, a line at a time.
    pub fn new(inner: T, out: W) -> Self {
        Self {
            inner,
            out,
            failed: None,
        }
    }

    /// Why the tape is not whole, if it is not. A tape that cannot be written does not stop a card.
    pub fn failed(&self) -> Option<io::ErrorKind> {
        self.failed
    }

    fn write(&mut self, line: &Line) {
        // Strings and a truth value always have a JSON form.
        let text = serde_json::to_string(line).unwrap_or_default();
        if let Err(error) = writeln!(self.out, "{text}").and_then(|()| self.out.flush()) {
            self.failed.get_or_insert(error.kind());
        }
    }
}

impl<T: Transport, W: Write> Transport for Recorder<T, W> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        let result = self.inner.transmit(command);
        self.write(&Line::of(command, &result));
        result
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.write(&Line::Reset { reset: true });
        self.inner.reset()
    }

    fn name(&self) -> &str {
        self.inner.name()
    }
}

/// What a tape said, as a transport: the answers of the tape to the commands of the tape, in its order.
#[derive(Debug)]
pub struct Replay {
    lines: VecDeque<(Vec<u8>, Option<Vec<u8>>)>,
    challenges: Vec<[u8; 16]>,
}

impl Replay {
    /// Reads a tape. Resets are passed over: a card on a tape is always there.
    ///
    /// # Errors
    ///
    /// The number of the first line that is none, from 1.
    pub fn parse(text: &str) -> Result<Self, usize> {
        let mut lines = VecDeque::new();
        let mut challenges = Vec::new();
        for (number, text) in (1_usize..).zip(text.lines()) {
            let line: Line = serde_json::from_str(text).map_err(|_| number)?;
            let (command, answer) = match line {
                Line::Answered { command, answer } => (command, Some(answer)),
                Line::Failed { command, .. } => (command, None),
                Line::Reset { .. } => continue,
            };
            let command = hex::decode(&command).map_err(|_| number)?;
            let answer = match answer {
                Some(answer) => Some(hex::decode(&answer).map_err(|_| number)?),
                None => None,
            };
            if let Some(challenge) = tap_challenge(&command) {
                challenges.push(challenge);
            }
            lines.push_back((command, answer));
        }
        Ok(Self { lines, challenges })
    }

    /// The terminal's random numbers of the TAPs on the tape, in order.
    #[must_use]
    pub fn challenges(&self) -> &[[u8; 16]] {
        &self.challenges
    }

    /// Whether nothing is left on the tape.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.lines.is_empty()
    }
}

/// rT of a TAP command.
fn tap_challenge(command: &[u8]) -> Option<[u8; 16]> {
    let (head, data) = command.split_first_chunk::<5>()?;
    let [cla, ins, ..] = Header::tap(0, 0).to_bytes();
    (head.starts_with(&[cla, ins]) && head.ends_with(&[16]))
        .then(|| data.first_chunk().copied())
        .flatten()
}

impl Transport for Replay {
    /// The recorded answer, if this command comes next on the tape.
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        match self.lines.pop_front() {
            Some((recorded, Some(answer))) if recorded == command => Ok(answer),
            // The end, a command that was lost when the tape was made, or another command: nothing is known.
            _ => Err(TransportError::ReaderLost),
        }
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        Ok(())
    }

    fn name(&self) -> &'static str {
        "replay"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_recorded_is_replayed_and_nothing_else() {
        let tape = "{\"command\":\"00a40400\",\"answer\":\"9000\"}\n{\"reset\":true}\n{\"command\":\"8010010710aabbccddeeff0011223344556677ee\",\"error\":\"READER_LOST\"}\n";
        let mut replay = Replay::parse(tape).unwrap();
        assert_eq!(replay.challenges().len(), 0, "a TAP of 15 bytes is none");
        let mut out = Vec::new();
        let mut again = Recorder::new(&mut replay, &mut out);
        assert_eq!(again.transmit(&[0x00, 0xA4, 0x04, 0x00]), Ok(vec![0x90, 0x00]));
        assert!(again.transmit(&[0x00, 0xA4, 0x04, 0x00]).is_err());
        assert_eq!(again.failed(), None);
        assert!(replay.is_at_end());
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.starts_with("{\"command\":\"00a40400\",\"answer\":\"9000\"}\n"),
            "{text}"
        );
        assert_eq!(Replay::parse("{\"reset\":true}\n{}").unwrap_err(), 2);
    }

    #[test]
    fn the_random_numbers_of_taps_are_found() {
        let command = Header::tap(1, 7).command(&[0x5A; 16], Some(0)).unwrap();
        let tape = format!("{{\"command\":\"{}\",\"answer\":\"6985\"}}", hex::encode(command));
        assert_eq!(Replay::parse(&tape).unwrap().challenges(), [[0x5A; 16]]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_tape_parser_panic(text: String) {
            let _ = Replay::parse(&text);
        }
    }
}
