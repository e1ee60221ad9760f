//! PC/SC (PC/SC Workgroup, part 5) through crate `pcsc`: finding readers, connecting to one card alone, and telling
//! apart the ways in which that fails.
//!
//! The connection is shared and one transaction is held over its whole life: no other program can slip a command between
//! ours, and none of our commands runs inside another program's session. Programs that merely have the card open (a key
//! agent, a browser's module) stand in nobody's way; one that holds a transaction, or the card alone, does.
//!
//! A call into the service blocks as long as the driver likes, and a card that powers up and never answers blocks it for
//! ever. So the card belongs to a thread of its own, which is left behind with its call when the time for it is over; it
//! ends when the card is taken away.
//!
//! The service is found by the library: a client is pointed at another service by `PCSCLITE_CSOCK_NAME`, which whoever
//! starts this process sets (the library reads it once).

use std::ffi::{CStr, CString};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use pcsc::{
    Card, Context, Disposition, Error as Pcsc, MAX_ATR_SIZE, MAX_BUFFER_SIZE, Protocols, ReaderState, Scope,
    ShareMode, State, Transaction,
};

use crate::transport::error::TransportError;
use crate::transport::way::{Transport, check_command};

/// The shortest thing that is an answer: a status word, bytes. A card pulled during a command makes the service report
/// success with no byte at all.
const ANSWER_MIN: usize = 2;

/// How long one wait for a card lasts before the list of readers is looked at again. A reader that was unplugged does
/// not end the wait by itself.
const WAIT_SLICE: Duration = Duration::from_millis(500);

/// How long a card may take for one command, unless [`PcscTransport::set_limit`] says otherwise. The slowest command of the
/// specification makes a key pair and takes a fraction of a second.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(10);

/// How long another program's transaction is waited for.
const BUSY_LIMIT: Duration = Duration::from_secs(2);

/// Which reader, and how long to wait for a card on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connect {
    /// The reader's full name; `None` takes the only one there is, or the only one of several that a card lies on.
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

/// One card on one reader, held in one transaction. Dropping it resets the card, so that no session survives its owner, and
/// returns when the card is free again.
pub struct PcscTransport {
    name: String,
    wait: Duration,
    limit: Duration,
    /// `None` from the first trouble until [`Transport::reset`] has connected again.
    line: Option<Line>,
}

impl std::fmt::Debug for PcscTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PcscTransport")
            .field("name", &self.name)
            .field("connected", &self.line.is_some())
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

    /// Connects to the card on a reader.
    ///
    /// # Errors
    ///
    /// [`TransportError`]: every one but those of a command under way.
    pub fn connect(wanted: &Connect) -> Result<Self, TransportError> {
        let context = establish()?;
        let name = choose(&context, wanted.reader.as_deref(), wanted.wait)?;
        Ok(Self {
            name: text(&name),
            wait: wanted.wait,
            limit: EXCHANGE_LIMIT,
            line: Some(Line::open(context, name, wanted.wait)?),
        })
    }

    /// Bounds the time of one command: behind it the answer is [`TransportError::Timeout`].
    pub fn set_limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// The card's answer to reset (ISO/IEC 7816-3, 8.2).
    ///
    /// # Errors
    ///
    /// [`TransportError`]: the card is gone.
    pub fn atr(&mut self) -> Result<Vec<u8>, TransportError> {
        self.ask(Ask::Atr, trouble_before)
    }

    /// Asks the card's thread. After any trouble the line is given up.
    fn ask(&mut self, ask: Ask, trouble: fn(Pcsc) -> TransportError) -> Result<Vec<u8>, TransportError> {
        let line = self.line.as_mut().ok_or(TransportError::CardReset)?;
        let answer = match line.ask(ask, self.limit) {
            Ok(answer) => answer.map_err(trouble),
            Err(RecvTimeoutError::Timeout) => {
                line.left = true;
                Err(TransportError::Timeout)
            }
            Err(RecvTimeoutError::Disconnected) => Err(TransportError::ReaderLost),
        };
        if answer.is_err() {
            self.line = None;
        }
        answer
    }
}

impl Transport for PcscTransport {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        check_command(command)?;
        let answer = self.ask(Ask::Transmit(command.to_vec()), trouble_during)?;
        if answer.len() < ANSWER_MIN {
            self.line = None;
            return Err(TransportError::ReaderLost);
        }
        Ok(answer)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        if self.line.is_some() && self.ask(Ask::Reset, trouble_before).is_ok() {
            return Ok(());
        }
        // A context of its own each time: the service may be a new one.
        let context = establish()?;
        let name = choose(&context, Some(&self.name), self.wait)?;
        self.line = Some(Line::open(context, name, self.wait)?);
        Ok(())
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// What the thread of a card is asked for.
#[derive(Debug)]
enum Ask {
    Transmit(Vec<u8>),
    Reset,
    Atr,
}

/// The way to the thread of a card.
struct Line {
    /// `None` when nobody asks any more.
    asks: Option<Sender<Ask>>,
    answers: Receiver<Result<Vec<u8>, Pcsc>>,
    /// A call did not return in time: the thread is left behind with it.
    left: bool,
}

impl Drop for Line {
    /// Waits until the card is reset and let go: a reset that came later would meet whoever connects next.
    fn drop(&mut self) {
        self.asks = None;
        // An answer that nobody heard may stand before the end.
        while !self.left && self.answers.recv_timeout(BUSY_LIMIT).is_ok() {}
    }
}

impl Line {
    /// Connects, and waits until nobody else has a transaction.
    fn open(context: Context, name: CString, wait: Duration) -> Result<Self, TransportError> {
        let (asks, asked) = channel();
        let (answering, answers) = channel();
        let (telling, told) = channel();
        let limit = wait.saturating_add(BUSY_LIMIT);
        thread::Builder::new()
            .name("card".to_owned())
            .spawn(move || hold(&context, &name, wait, &telling, &asked, &answering))
            .map_err(|_| TransportError::NoService)?;
        match told.recv_timeout(limit) {
            Ok(held) => held.map(|()| Self {
                asks: Some(asks),
                answers,
                left: false,
            }),
            // Somebody's transaction; or a call that never returns, behind a card that was silent before.
            Err(RecvTimeoutError::Timeout) => Err(TransportError::ReaderBusy),
            Err(RecvTimeoutError::Disconnected) => Err(TransportError::NoService),
        }
    }

    fn ask(&self, ask: Ask, limit: Duration) -> Result<Result<Vec<u8>, Pcsc>, RecvTimeoutError> {
        let asks = self.asks.as_ref().ok_or(RecvTimeoutError::Disconnected)?;
        asks.send(ask).map_err(|_| RecvTimeoutError::Disconnected)?;
        self.answers.recv_timeout(limit)
    }
}

/// The thread of a card: holds it in a transaction and does what it is asked, until nobody asks any more or trouble comes.
fn hold(
    context: &Context,
    name: &CStr,
    wait: Duration,
    telling: &Sender<Result<(), TransportError>>,
    asked: &Receiver<Ask>,
    answering: &Sender<Result<Vec<u8>, Pcsc>>,
) {
    let mut card = match power(context, name, wait) {
        Ok(card) => card,
        Err(error) => {
            let _ = telling.send(Err(error));
            return;
        }
    };
    let mut ready = Some(telling);
    loop {
        let ended = match card.transaction() {
            Ok(transaction) => {
                let heard = match ready.take() {
                    Some(telling) => telling.send(Ok(())).is_ok(),
                    None => answering.send(Ok(Vec::new())).is_ok(),
                };
                if heard {
                    transact(&transaction, asked, answering)
                } else {
                    Ended::Unheard
                }
            }
            Err(error) => Ended::NotBegun(error),
        };
        let (disposition, again) = match ended {
            Ended::Over => return,
            // Nobody waited so long: the card is left as whoever held it left it.
            Ended::Unheard => {
                let _ = card.disconnect(Disposition::LeaveCard);
                return;
            }
            // Another program reset it before this transaction began: what it had selected is gone anyway.
            Ended::NotBegun(Pcsc::ResetCard) => (Disposition::LeaveCard, Ok(())),
            Ended::NotBegun(error) => (Disposition::LeaveCard, Err(error)),
            Ended::Reset => (Disposition::ResetCard, Ok(())),
        };
        let again = again.and_then(|()| card.reconnect(ShareMode::Shared, Protocols::ANY, disposition));
        if let Err(error) = again {
            let _ = match ready.take() {
                Some(telling) => telling.send(Err(trouble_before(error))).is_ok(),
                None => answering.send(Err(error)).is_ok(),
            };
            return;
        }
    }
}

/// How a transaction with a card ended.
enum Ended {
    /// Nobody asks any more, or trouble came.
    Over,
    /// The card is to be reset.
    Reset,
    /// Nobody waited for it.
    Unheard,
    /// It did not begin.
    NotBegun(Pcsc),
}

/// Does what the thread of a card is asked, inside one transaction.
fn transact(
    transaction: &Transaction<'_>,
    asked: &Receiver<Ask>,
    answering: &Sender<Result<Vec<u8>, Pcsc>>,
) -> Ended {
    let mut answer = [0; MAX_BUFFER_SIZE];
    loop {
        let said = match asked.recv() {
            Ok(Ask::Transmit(command)) => transaction.transmit(&command, &mut answer).map(<[u8]>::to_vec),
            Ok(Ask::Atr) => transaction.status2_owned().map(|status| status.atr().to_vec()),
            Ok(Ask::Reset) => return Ended::Reset,
            Err(_) => return Ended::Over,
        };
        let over = said.is_err();
        if answering.send(said).is_err() || over {
            return Ended::Over;
        }
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

fn choose(context: &Context, wanted: Option<&str>, wait: Duration) -> Result<CString, TransportError> {
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
        None if names.len() > 1 => with_a_card(context, &names, wait),
        None => names.pop().ok_or(TransportError::NoReader),
    }
}

/// Of several readers the only one that a card lies on; where none has one, waits for it that long.
fn with_a_card(context: &Context, names: &[CString], wait: Duration) -> Result<CString, TransportError> {
    let deadline = Instant::now() + wait;
    loop {
        let mut states: Vec<ReaderState> = names
            .iter()
            .map(|name| ReaderState::new(name.as_c_str(), State::UNAWARE))
            .collect();
        context
            .get_status_change(Duration::ZERO, &mut states)
            .map_err(trouble_before)?;
        let with: Vec<&CStr> = states
            .iter()
            .filter(|state| state.event_state().contains(State::PRESENT))
            .map(ReaderState::name)
            .collect();
        match with[..] {
            [only] => return Ok(only.to_owned()),
            [] => {
                let left = deadline.saturating_duration_since(Instant::now()).min(WAIT_SLICE);
                if left.is_zero() {
                    return Err(TransportError::NoCard);
                }
                for state in &mut states {
                    state.sync_current_state();
                }
                match context.get_status_change(left, &mut states) {
                    Ok(()) | Err(Pcsc::Timeout) => {}
                    Err(error) => return Err(trouble_before(error)),
                }
            }
            _ => {
                return Err(TransportError::SeveralReaders {
                    present: with.into_iter().map(text).collect(),
                });
            }
        }
    }
}

/// Connects; where nothing lies on the reader, waits for it that long.
fn power(context: &Context, name: &CStr, wait: Duration) -> Result<Card, TransportError> {
    let deadline = Instant::now() + wait;
    loop {
        match context.connect(name, ShareMode::Shared, Protocols::ANY) {
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
