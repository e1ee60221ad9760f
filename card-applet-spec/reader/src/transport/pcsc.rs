//! PC/SC (PC/SC Workgroup, part 5) through crate `pcsc`: finding readers, connecting to one card alone, and telling
//! apart the ways in which that fails.
//!
//! The connection is exclusive: no other program can slip a command between ours, and none of our commands runs inside
//! another program's session. That is the same promise as a transaction over a shared connection, for the whole life of
//! the connection and without a round trip of its own.
//!
//! The service is found by the library: a client is pointed at another service by `PCSCLITE_CSOCK_NAME`, which whoever
//! starts this process sets (the library reads it once).

use std::ffi::{CStr, CString};
use std::time::{Duration, Instant};

use pcsc::{
    Card, Context, Disposition, Error as Pcsc, MAX_ATR_SIZE, MAX_BUFFER_SIZE, Protocols, ReaderState, Scope,
    ShareMode, State,
};

use crate::transport::error::TransportError;
use crate::transport::way::{Transport, check_command};

/// The shortest thing that is an answer: a status word, bytes. A card pulled during a command makes the service report
/// success with no byte at all.
const ANSWER_MIN: usize = 2;

/// How long one wait for a card lasts before the list of readers is looked at again. A reader that was unplugged does
/// not end the wait by itself.
const WAIT_SLICE: Duration = Duration::from_millis(500);

/// Which reader, and how long to wait for a card on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connect {
    /// The reader's full name; `None` takes the only one there is.
    pub reader: Option<String>,
    /// How long to wait for a card before saying that there is none. Zero: do not wait.
    pub wait: Duration,
}

/// One reader in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedReader {
    /// The full name, as [`Connect::reader`] takes it.
    pub name: String,
    /// Whether something lies on the reader.
    pub card_present: bool,
    /// Whether what lies there gives no answer to reset.
    pub card_mute: bool,
    /// The answer to reset of the card (ISO/IEC 7816-3, 8.2), empty without a card.
    pub atr: Vec<u8>,
}

/// One card on one reader, held exclusively. Dropping it resets the card, so that no session survives its owner.
pub struct PcscTransport {
    name: String,
    wait: Duration,
    context: Context,
    /// `None` from the first trouble until [`Transport::reset`] has connected again.
    card: Option<Card>,
    answer: [u8; MAX_BUFFER_SIZE],
}

impl std::fmt::Debug for PcscTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PcscTransport")
            .field("name", &self.name)
            .field("connected", &self.card.is_some())
            .finish_non_exhaustive()
    }
}

impl PcscTransport {
    /// The readers that the service has, in its order, with what lies on them. No reader at all is an empty list.
    ///
    /// # Errors
    ///
    /// [`TransportError::NoService`].
    pub fn list() -> Result<Vec<ListedReader>, TransportError> {
        let context = establish()?;
        let names = reader_names(&context)?;
        let mut states: Vec<ReaderState> = names
            .iter()
            .map(|name| ReaderState::new(name.as_c_str(), State::UNAWARE))
            .collect();
        if !states.is_empty() {
            context
                .get_status_change(Duration::ZERO, &mut states)
                .map_err(trouble_before)?;
        }
        Ok(states
            .iter()
            .map(|state| ListedReader {
                name: text(state.name()),
                card_present: state.event_state().contains(State::PRESENT),
                card_mute: state.event_state().contains(State::MUTE),
                atr: state
                    .atr()
                    .get(..state.atr().len().min(MAX_ATR_SIZE))
                    .unwrap_or_default()
                    .to_vec(),
            })
            .collect())
    }

    /// Connects to the card on a reader, alone.
    ///
    /// # Errors
    ///
    /// [`TransportError`]: every one but those of a command under way.
    pub fn connect(wanted: &Connect) -> Result<Self, TransportError> {
        let context = establish()?;
        let name = choose(&context, wanted.reader.as_deref())?;
        let card = power(&context, &name, wanted.wait)?;
        Ok(Self {
            name: text(&name),
            wait: wanted.wait,
            context,
            card: Some(card),
            answer: [0; MAX_BUFFER_SIZE],
        })
    }

    /// The card's answer to reset (ISO/IEC 7816-3, 8.2).
    ///
    /// # Errors
    ///
    /// [`TransportError`]: the card is gone.
    pub fn atr(&mut self) -> Result<Vec<u8>, TransportError> {
        let card = self.card.as_ref().ok_or(TransportError::CardReset)?;
        match card.status2_owned() {
            Ok(status) => Ok(status.atr().to_vec()),
            Err(error) => {
                self.card = None;
                Err(trouble_before(error))
            }
        }
    }
}

impl PcscTransport {
    fn power_again(&mut self) -> Result<(), TransportError> {
        let name = choose(&self.context, Some(&self.name))?;
        self.card = Some(power(&self.context, &name, self.wait)?);
        Ok(())
    }
}

impl Transport for PcscTransport {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        check_command(command)?;
        let card = self.card.as_ref().ok_or(TransportError::CardReset)?;
        match card.transmit(command, &mut self.answer) {
            Ok(answer) if answer.len() >= ANSWER_MIN => Ok(answer.to_vec()),
            Ok(_) => {
                self.card = None;
                Err(TransportError::ReaderLost)
            }
            Err(error) => {
                self.card = None;
                Err(trouble_during(error))
            }
        }
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        if let Some(card) = &mut self.card {
            if card
                .reconnect(ShareMode::Exclusive, Protocols::ANY, Disposition::ResetCard)
                .is_ok()
            {
                return Ok(());
            }
            self.card = None;
        }
        let again = self.power_again();
        if again != Err(TransportError::NoService) {
            return again;
        }
        // The service may be a new one: the context of an older one answers nothing but errors.
        self.context = establish()?;
        self.power_again()
    }

    fn name(&self) -> &str {
        &self.name
    }
}

fn establish() -> Result<Context, TransportError> {
    Context::establish(Scope::User).map_err(trouble_before)
}

/// Names without a terminating question: no reader is an empty list here, on every version of the service.
fn reader_names(context: &Context) -> Result<Vec<CString>, TransportError> {
    match context.list_readers_owned() {
        Ok(names) => Ok(names),
        Err(Pcsc::NoReadersAvailable) => Ok(Vec::new()),
        Err(error) => Err(trouble_before(error)),
    }
}

fn choose(context: &Context, wanted: Option<&str>) -> Result<CString, TransportError> {
    let mut names = reader_names(context)?;
    match wanted {
        Some(wanted) => match names.iter().position(|name| name.to_bytes() == wanted.as_bytes()) {
            Some(at) => Ok(names.swap_remove(at)),
            None if names.is_empty() => Err(TransportError::NoReader),
            None => Err(TransportError::UnknownReader {
                wanted: wanted.to_owned(),
                present: names.iter().map(|name| text(name)).collect(),
            }),
        },
        None if names.len() > 1 => Err(TransportError::SeveralReaders {
            present: names.iter().map(|name| text(name)).collect(),
        }),
        None => names.pop().ok_or(TransportError::NoReader),
    }
}

/// Connects exclusively; where nothing lies on the reader, waits for it that long.
fn power(context: &Context, name: &CStr, wait: Duration) -> Result<Card, TransportError> {
    let deadline = Instant::now() + wait;
    loop {
        match context.connect(name, ShareMode::Exclusive, Protocols::ANY) {
            Ok(card) => return Ok(card),
            Err(Pcsc::NoSmartcard | Pcsc::RemovedCard) if Instant::now() < deadline => {
                let left = deadline.saturating_duration_since(Instant::now()).min(WAIT_SLICE);
                let mut state = [ReaderState::new(name, State::EMPTY)];
                match context.get_status_change(left, &mut state) {
                    Ok(()) | Err(Pcsc::Timeout) => {}
                    Err(error) => return Err(trouble_before(error)),
                }
            }
            Err(error) => return Err(trouble_before(error)),
        }
    }
}

/// Trouble while no command was on its way: the card has seen nothing.
fn trouble_before(error: Pcsc) -> TransportError {
    match error {
        // An unknown reader was there a moment ago, or its name would have been refused before.
        Pcsc::NoReadersAvailable | Pcsc::UnknownReader | Pcsc::ReaderUnavailable => TransportError::NoReader,
        Pcsc::SharingViolation => TransportError::ReaderBusy,
        Pcsc::NoSmartcard | Pcsc::RemovedCard => TransportError::NoCard,
        Pcsc::UnpoweredCard
        | Pcsc::UnresponsiveCard
        | Pcsc::UnsupportedCard
        | Pcsc::ProtoMismatch
        | Pcsc::NotReady
        | Pcsc::InvalidAtr => TransportError::CardUnpowered,
        Pcsc::ResetCard | Pcsc::InvalidHandle => TransportError::CardReset,
        Pcsc::Timeout | Pcsc::WaitedTooLong => TransportError::Timeout,
        Pcsc::NotTransacted | Pcsc::CommDataLost => TransportError::ReaderLost,
        _ => TransportError::NoService,
    }
}

/// Trouble with a command on its way. The service refuses a command for a card that it knows to be gone or reset
/// without sending it; whatever else goes wrong, the card may have run it.
fn trouble_during(error: Pcsc) -> TransportError {
    match error {
        Pcsc::NoSmartcard | Pcsc::RemovedCard => TransportError::NoCard,
        Pcsc::ResetCard => TransportError::CardReset,
        Pcsc::Timeout | Pcsc::WaitedTooLong => TransportError::Timeout,
        _ => TransportError::ReaderLost,
    }
}

/// A reader's name for people: UTF-8 as the service gives it, other bytes replaced.
fn text(name: &CStr) -> String {
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Outcome;

    #[test]
    fn a_command_refused_for_a_card_known_to_be_gone_was_not_sent() {
        for error in [Pcsc::NoSmartcard, Pcsc::RemovedCard, Pcsc::ResetCard] {
            assert_eq!(trouble_during(error).outcome(), Outcome::NotSent, "{error:?}");
        }
    }

    #[test]
    fn any_other_trouble_during_a_command_leaves_its_outcome_open() {
        for error in [
            Pcsc::NotTransacted,
            Pcsc::CommError,
            Pcsc::NoService,
            Pcsc::InternalError,
            Pcsc::InvalidHandle,
            Pcsc::Timeout,
        ] {
            assert_eq!(trouble_during(error).outcome(), Outcome::Unknown, "{error:?}");
        }
    }

    #[test]
    fn trouble_before_a_command_tells_the_causes_apart() {
        assert_eq!(trouble_before(Pcsc::NoService), TransportError::NoService);
        assert_eq!(trouble_before(Pcsc::NoReadersAvailable), TransportError::NoReader);
        assert_eq!(trouble_before(Pcsc::NoSmartcard), TransportError::NoCard);
        assert_eq!(trouble_before(Pcsc::UnpoweredCard), TransportError::CardUnpowered);
        assert_eq!(
            trouble_before(Pcsc::UnresponsiveCard),
            TransportError::CardUnpowered
        );
        assert_eq!(trouble_before(Pcsc::SharingViolation), TransportError::ReaderBusy);
    }
}
