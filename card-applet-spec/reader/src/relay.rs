//! Door I is the vault's: this side carries its commands to the card, and the answers back.

use crate::transport::{Transport, TransportError};

/// What came of a batch of the vault's commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relayed {
    /// Answers that came, body and status word each, in order.
    pub answers: Vec<Vec<u8>>,
    /// The card was lost behind them; what became of the command that it was lost at, only its state tells.
    pub lost: Option<TransportError>,
}

/// Sends commands in order. It stops behind the first answer that is no 9000, that answer included: the card has ended
/// the session, and what follows would only be refused.
pub fn relay(transport: &mut (impl Transport + ?Sized), commands: &[Vec<u8>]) -> Relayed {
    let mut answers = Vec::with_capacity(commands.len());
    for command in commands {
        match transport.transmit(command) {
            Ok(answer) => {
                let well = answer.ends_with(&[0x90, 0x00]);
                answers.push(answer);
                if !well {
                    break;
                }
            }
            Err(lost) => {
                return Relayed {
                    answers,
                    lost: Some(lost),
                };
            }
        }
    }
    Relayed { answers, lost: None }
}
