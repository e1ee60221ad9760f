//! What lies on a reader: something that takes power, names itself (ISO/IEC 7816-3 answer to reset) and answers commands.
//!
//! Left out on purpose: protocols T=0 and T=1 themselves. The bridge carries whole command and answer APDUs, as a
//! contactless reader does (ISO/IEC 14443-4).

use std::fmt;

/// The answer to reset of our card as a contactless reader builds it from the answer to select (PC/SC part 3, 3.1.3.2.3):
/// `3B 8n 80 01`, historical bytes, check byte. The historical bytes are `80` (compact TLV follows), `73` card
/// capabilities: selection by full name; byte-wide data units; neither chaining nor extended length nor logical channels.
/// They are the same on every card and name nobody.
pub const ATR: [u8; 10] = [0x3B, 0x85, 0x80, 0x01, 0x80, 0x73, 0x80, 0x01, 0x00, 0x76];

/// The answer to reset of a card of somebody else: ISO/IEC 14443-4 with one historical byte.
const ATR_FOREIGN: [u8; 6] = [0x3B, 0x81, 0x80, 0x01, 0x80, 0x80];

/// Status word: file or application not found (ISO/IEC 7816-4, 5.6).
const NOT_FOUND: [u8; 2] = [0x6A, 0x82];
/// Status word: instruction not supported.
const UNKNOWN_INSTRUCTION: [u8; 2] = [0x6D, 0x00];

/// A thing on a reader.
pub trait Chip: Send + fmt::Debug {
    /// Cold start. `false`: the thing gives no sign of life.
    fn power_on(&mut self) -> bool;

    /// Power is gone: whatever was not in the memory is forgotten.
    fn power_off(&mut self);

    /// The answer to reset. `None` from a thing that cannot be powered.
    fn atr(&self) -> Option<&[u8]>;

    /// Runs one command. `None`: power failed before the answer, the thing is dead until it is powered again.
    fn process(&mut self, command: &[u8]) -> Option<Vec<u8>>;

    /// One word for a status line: `card`, `foreign`, `mute`.
    fn kind(&self) -> &'static str;

    /// Plans that power fails in the middle of a write of its memory: `write` counts from the next one, which is 1, and
    /// `bytes` of it still reach the memory. `false`: it has no memory of ours.
    fn tear(&mut self, write: u32, bytes: u32) -> bool {
        let _ = (write, bytes);
        false
    }
}

/// A card of somebody else: it has no application of ours and knows no command but SELECT.
#[derive(Debug, Clone, Copy, Default)]
pub struct Foreign;

impl Chip for Foreign {
    fn power_on(&mut self) -> bool {
        true
    }

    fn power_off(&mut self) {}

    fn atr(&self) -> Option<&[u8]> {
        Some(&ATR_FOREIGN)
    }

    fn process(&mut self, command: &[u8]) -> Option<Vec<u8>> {
        let answer = if command.get(1) == Some(&0xA4) {
            NOT_FOUND
        } else {
            UNKNOWN_INSTRUCTION
        };
        Some(answer.to_vec())
    }

    fn kind(&self) -> &'static str {
        "foreign"
    }
}

/// A card that cannot be powered: bent, broken, or a coin.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mute;

impl Chip for Mute {
    fn power_on(&mut self) -> bool {
        false
    }

    fn power_off(&mut self) {}

    fn atr(&self) -> Option<&[u8]> {
        None
    }

    fn process(&mut self, _command: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn kind(&self) -> &'static str {
        "mute"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ISO/IEC 7816-3, 8.2.5: the exclusive or of all bytes from T0 to TCK is zero.
    #[test]
    fn an_answer_to_reset_closes_with_its_check_byte() {
        for atr in [&ATR[..], &ATR_FOREIGN[..]] {
            assert_eq!(atr[1..].iter().fold(0, |sum, byte| sum ^ byte), 0, "{atr:02x?}");
            assert_eq!(usize::from(atr[1] & 0x0F), atr.len() - 5, "{atr:02x?}");
        }
    }

    #[test]
    fn a_foreign_card_has_no_application_of_ours() {
        assert_eq!(
            Foreign.process(&[0x00, 0xA4, 0x04, 0x00, 0x01, 0xF0, 0x00]),
            Some(vec![0x6A, 0x82])
        );
        assert_eq!(
            Foreign.process(&[0x80, 0xCA, 0x00, 0x45, 0x00]),
            Some(vec![0x6D, 0x00])
        );
    }
}
