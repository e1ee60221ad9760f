//! What went over a transport, as JSON lines: `{"command":"00a4..","answer":"9000"}`, `{"command":..,"error":"READER_LOST"}`
//! or `{"reset":true}`. A test compares the tape of a card in process with that of the same card behind pcscd.
//!
//! A tape of door I holds wrapped commands only; a tape of doors F and S holds what anybody near the reader could record.

pub use card_reader::tape::Line;
use card_reader::transport::{Transport, TransportError};

/// Everything that went over a transport, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tape(Vec<Line>);

impl Tape {
    /// The lines.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.0
    }

    /// Commands on the tape.
    #[must_use]
    pub fn commands(&self) -> usize {
        self.0
            .iter()
            .filter(|line| !matches!(line, Line::Reset { .. }))
            .count()
    }

    /// One JSON object a line.
    #[must_use]
    pub fn to_json_lines(&self) -> String {
        let mut text = String::new();
        for line in &self.0 {
            // Strings and a truth value always have a JSON form.
            text.push_str(&serde_json::to_string(line).unwrap_or_default());
            text.push('\n');
        }
        text
    }

    /// Reads what [`Tape::to_json_lines`] wrote.
    ///
    /// # Errors
    ///
    /// The first line that is none.
    pub fn from_json_lines(text: &str) -> Result<Self, serde_json::Error> {
        text.lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// A transport that keeps a tape.
#[derive(Debug)]
pub struct Recorder<T> {
    inner: T,
    tape: Tape,
}

impl<T: Transport> Recorder<T> {
    /// A transport with an empty tape.
    pub fn new(inner: T) -> Self {
        Self {
            inner,
            tape: Tape::default(),
        }
    }

    /// The tape so far.
    pub fn tape(&self) -> &Tape {
        &self.tape
    }

    /// The transport underneath.
    pub fn inner(&mut self) -> &mut T {
        &mut self.inner
    }

    /// The transport underneath and the tape.
    pub fn into_parts(self) -> (T, Tape) {
        (self.inner, self.tape)
    }
}

impl<T: Transport> Transport for Recorder<T> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        let result = self.inner.transmit(command);
        self.tape.0.push(Line::of(command, &result));
        result
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.tape.0.push(Line::Reset { reset: true });
        self.inner.reset()
    }

    fn name(&self) -> &str {
        self.inner.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chip::Foreign;
    use crate::in_process::InProcess;

    #[test]
    fn a_tape_holds_commands_answers_errors_and_resets_and_reads_back() {
        let mut card = Recorder::new(InProcess::with(Foreign));
        card.transmit(&[0x00, 0xA4, 0x04, 0x00]).unwrap();
        card.reset().unwrap();
        card.inner().pull();
        card.transmit(&[0x80, 0xCA, 0x00, 0x45, 0x00]).unwrap_err();
        let text = card.tape().to_json_lines();
        assert_eq!(
            text,
            "{\"command\":\"00a40400\",\"answer\":\"6a82\"}\n{\"reset\":true}\n{\"command\":\"80ca004500\",\"error\":\"NO_CARD\"}\n"
        );
        assert_eq!(&Tape::from_json_lines(&text).unwrap(), card.tape());
        assert_eq!(card.tape().commands(), 2);
    }
}
