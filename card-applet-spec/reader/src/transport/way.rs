//! The way to a card: one command, one answer; and what a command in short form is (ISO/IEC 7816-4, 5.2).

use crate::transport::error::TransportError;

/// The way to one card, blocking.
pub trait Transport {
    /// Sends one command APDU and returns the answer: body, then the two bytes of the status word.
    ///
    /// # Errors
    ///
    /// [`TransportError`]. After [`TransportError::ReaderLost`] and [`TransportError::Timeout`] nobody knows whether the
    /// card has run the command; see [`TransportError::outcome`]. After any error the card's session is over: call
    /// [`Transport::reset`], then read the card's state.
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError>;

    /// Ends whatever the card was doing: a cold start of the card, and a new connection if the old one is gone.
    ///
    /// # Errors
    ///
    /// [`TransportError`]: the card or the reader is not there.
    fn reset(&mut self) -> Result<(), TransportError>;

    /// The reader's name as the operating system gives it, or the name of the transport. It never names a holder.
    fn name(&self) -> &str;
}

impl<T: Transport + ?Sized> Transport for &mut T {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        (**self).transmit(command)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        (**self).reset()
    }

    fn name(&self) -> &str {
        (**self).name()
    }
}

impl<T: Transport + ?Sized> Transport for Box<T> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        (**self).transmit(command)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        (**self).reset()
    }

    fn name(&self) -> &str {
        (**self).name()
    }
}

/// Shortest command APDU: header only, bytes (ISO/IEC 7816-4, 5.2).
pub(crate) const COMMAND_MIN: usize = 4;
/// Longest command APDU in short form: header, Lc, 255 data bytes, Le, in bytes (ISO/IEC 7816-4, 5.2).
pub(crate) const COMMAND_MAX: usize = 261;

/// Refuses what is no short command before it reaches a reader, on every transport alike.
///
/// # Errors
///
/// [`TransportError::NotACommand`].
pub fn check_command(command: &[u8]) -> Result<(), TransportError> {
    if (COMMAND_MIN..=COMMAND_MAX).contains(&command.len()) {
        Ok(())
    } else {
        Err(TransportError::NotACommand {
            length: command.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_4_to_261_bytes() {
        assert_eq!(
            check_command(&[0; 3]),
            Err(TransportError::NotACommand { length: 3 })
        );
        assert_eq!(check_command(&[0; 4]), Ok(()));
        assert_eq!(check_command(&[0; 261]), Ok(()));
        assert_eq!(
            check_command(&[0; 262]),
            Err(TransportError::NotACommand { length: 262 })
        );
    }
}
