//! Faults around any transport: a cut before or after a command, a bit turned over in an answer, anything done to the
//! reader between two commands. For exhaustive tests: they run in process at full speed with the same bytes as on a reader.

use std::fmt;

use card_reader::transport::{Transport, TransportError};

use crate::slot::flip_bit;

/// What happens, once.
pub enum Fault<T> {
    /// The card is cut off before the command reaches it.
    CutBefore,
    /// The card runs the command and is cut off before its answer arrives.
    CutAfter,
    /// One bit of the answer is turned over; 0 is the highest of its first byte, counted round the end.
    FlipBit(u32),
    /// This is done to the reader before the command is sent: a swap, a torn write, a look.
    Before(Box<dyn FnOnce(&mut T) + Send>),
}

impl<T> fmt::Debug for Fault<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CutBefore => "CutBefore",
            Self::CutAfter => "CutAfter",
            Self::FlipBit(_) => "FlipBit",
            Self::Before(_) => "Before",
        })
    }
}

/// A transport with planned faults. Commands are counted from 1, over all resets.
#[derive(Debug)]
pub struct Faulty<T> {
    inner: T,
    sent: u32,
    planned: Vec<(u32, Fault<T>)>,
    cut: bool,
}

impl<T: Transport> Faulty<T> {
    /// A transport without faults yet.
    pub fn new(inner: T) -> Self {
        Self {
            inner,
            sent: 0,
            planned: Vec::new(),
            cut: false,
        }
    }

    /// Plans a fault at a command; 1 is the first of all.
    #[must_use]
    pub fn with(mut self, command: u32, fault: Fault<T>) -> Self {
        self.planned.push((command, fault));
        self
    }

    /// Commands so far, those that were cut included: a run without faults tells how many places there are to cut.
    pub fn sent(&self) -> u32 {
        self.sent
    }

    /// The transport underneath.
    pub fn inner(&mut self) -> &mut T {
        &mut self.inner
    }

    /// The transport underneath, for good.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T: Transport> Transport for Faulty<T> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        if self.cut {
            return Err(TransportError::CardReset);
        }
        self.sent += 1;
        let (mut lost, mut flip) = (false, None);
        for index in (0..self.planned.len()).rev() {
            if self.planned.get(index).is_none_or(|(at, _)| *at != self.sent) {
                continue;
            }
            match self.planned.swap_remove(index).1 {
                Fault::CutBefore => {
                    self.cut = true;
                    return Err(TransportError::ReaderLost);
                }
                Fault::CutAfter => lost = true,
                Fault::FlipBit(bit) => flip = Some(bit),
                Fault::Before(act) => act(&mut self.inner),
            }
        }
        let mut answer = self.inner.transmit(command)?;
        if lost {
            self.cut = true;
            return Err(TransportError::ReaderLost);
        }
        if let Some(bit) = flip {
            flip_bit(&mut answer, bit);
        }
        Ok(answer)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.inner.reset()?;
        self.cut = false;
        Ok(())
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

    const SELECT: [u8; 7] = [0x00, 0xA4, 0x04, 0x00, 0x01, 0xF0, 0x00];

    fn foreign() -> Faulty<InProcess> {
        Faulty::new(InProcess::with(Foreign))
    }

    #[test]
    fn a_cut_loses_the_outcome_and_a_reset_mends_it() {
        for fault in [Fault::CutBefore, Fault::CutAfter] {
            let mut card = foreign().with(2, fault);
            card.transmit(&SELECT).unwrap();
            assert_eq!(card.transmit(&SELECT), Err(TransportError::ReaderLost));
            assert_eq!(card.transmit(&SELECT), Err(TransportError::CardReset));
            card.reset().unwrap();
            card.transmit(&SELECT).unwrap();
            assert_eq!(card.sent(), 3);
        }
    }

    #[test]
    fn a_bit_flips_once_and_a_hand_acts_between_two_commands() {
        let mut card = foreign().with(1, Fault::FlipBit(15)).with(
            2,
            Fault::Before(Box::new(|reader: &mut InProcess| {
                reader.pull();
            })),
        );
        assert_eq!(card.transmit(&SELECT), Ok(vec![0x6A, 0x83]));
        assert_eq!(card.transmit(&SELECT), Err(TransportError::NoCard));
    }
}
