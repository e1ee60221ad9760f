//! The card in process, behind the same trait as a PC/SC reader: no service, no socket, the same bytes.

use card_reader::transport::{Transport, TransportError, check_command};

use crate::chip::Chip;

/// A reader without hardware: whatever lies on it answers in this process.
#[derive(Debug)]
pub struct InProcess {
    chip: Option<Box<dyn Chip>>,
    powered: bool,
}

impl InProcess {
    /// A reader with this card on it, powered.
    #[must_use]
    pub fn with(chip: impl Chip + 'static) -> Self {
        let mut reader = Self::empty();
        reader.insert(Box::new(chip));
        reader
    }

    /// A reader with nothing on it.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            chip: None,
            powered: false,
        }
    }

    /// Lays a card on the reader, powers it, and gives back what lay there. As on a real reader, nobody is told: the next
    /// command goes to the new card.
    pub fn insert(&mut self, mut chip: Box<dyn Chip>) -> Option<Box<dyn Chip>> {
        let before = self.pull();
        self.powered = chip.power_on();
        self.chip = Some(chip);
        before
    }

    /// Takes the card away.
    pub fn pull(&mut self) -> Option<Box<dyn Chip>> {
        self.powered = false;
        let mut chip = self.chip.take();
        if let Some(chip) = &mut chip {
            chip.power_off();
        }
        chip
    }
}

impl Transport for InProcess {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        check_command(command)?;
        let chip = self.chip.as_mut().ok_or(TransportError::NoCard)?;
        if !self.powered {
            return Err(TransportError::CardReset);
        }
        let answer = chip.process(command);
        self.powered = answer.is_some();
        answer.ok_or(TransportError::ReaderLost)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        let chip = self.chip.as_mut().ok_or(TransportError::NoCard)?;
        chip.power_off();
        self.powered = chip.power_on();
        if self.powered {
            Ok(())
        } else {
            Err(TransportError::CardUnpowered)
        }
    }

    fn name(&self) -> &'static str {
        "in-process"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chip::{Foreign, Mute};

    const SELECT: [u8; 7] = [0x00, 0xA4, 0x04, 0x00, 0x01, 0xF0, 0x00];

    #[test]
    fn an_empty_reader_a_mute_card_and_a_foreign_one_are_told_apart() {
        let mut reader = InProcess::empty();
        assert_eq!(reader.transmit(&SELECT), Err(TransportError::NoCard));
        assert_eq!(reader.reset(), Err(TransportError::NoCard));
        reader.insert(Box::new(Mute));
        assert_eq!(reader.reset(), Err(TransportError::CardUnpowered));
        reader.insert(Box::new(Foreign));
        assert_eq!(reader.transmit(&SELECT), Ok(vec![0x6A, 0x82]));
    }
}
