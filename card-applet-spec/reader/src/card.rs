//! A card in front of a terminal, typed by what has been done to it (chapters 01, 02): connected, then selected, then
//! one of the doors. Every method that can fail takes the card and gives it back only when nothing went wrong: after
//! an error there is no session left to go on with.
//!
//! Door I needs no knowledge here: the vault speaks, and [`crate::relay`] only carries.

use card_applet_spec::apdu::{Header, StatusWord, split_answer};
use card_applet_spec::codes::Serial;
use card_applet_spec::data_group::CardInfo;

use crate::error::{Check, Error, Step};
use crate::transport::Transport;

/// There is a card; what is on it is not known.
#[derive(Debug)]
pub struct Connected(());

/// Our application answered SELECT with this card info.
#[derive(Debug)]
pub struct Selected {
    pub(crate) info: CardInfo,
}

/// A card on transport `T`, in state `S`.
#[derive(Debug)]
pub struct Card<T, S = Connected> {
    transport: T,
    state: S,
}

/// A body and its status word.
pub(crate) type Answered = (Vec<u8>, StatusWord);

impl<T: Transport, S> Card<T, S> {
    /// The reader's name.
    pub fn reader(&self) -> &str {
        self.transport.name()
    }

    /// Ends the session and hands the transport back.
    pub fn into_transport(self) -> T {
        self.transport
    }

    pub(crate) fn state(&self) -> &S {
        &self.state
    }

    pub(crate) fn state_mut(&mut self) -> &mut S {
        &mut self.state
    }

    pub(crate) fn with_state<N>(self, state: N) -> Card<T, N> {
        Card {
            transport: self.transport,
            state,
        }
    }

    /// Sends bytes as they are.
    pub(crate) fn exchange(&mut self, command: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.transport.transmit(command)?)
    }

    /// Sends a command and splits its answer.
    pub(crate) fn send(
        &mut self,
        step: Step,
        header: Header,
        data: &[u8],
        le: Option<u8>,
    ) -> Result<Answered, Error> {
        let command = header.command(data, le).map_err(|_| Error::BadAnswer { step })?;
        let answer = self.exchange(&command)?;
        let (body, status) = split_answer(&answer).map_err(|_| Error::BadAnswer { step })?;
        Ok((body.to_vec(), status))
    }
}

impl<T: Transport> Card<T, Connected> {
    /// A card that nothing is known of.
    pub fn new(transport: T) -> Self {
        Self {
            transport,
            state: Connected(()),
        }
    }

    /// Cold start: ends whatever the card was doing.
    ///
    /// # Errors
    ///
    /// [`Error::Transport`].
    pub fn reset(mut self) -> Result<Self, Error> {
        self.transport.reset()?;
        Ok(self)
    }

    /// Selects the application.
    ///
    /// # Errors
    ///
    /// [`Check::Application`] (reason `FOREIGN_CARD`) when the card has another application, none, or answers with
    /// something else than card info; [`Error::Transport`].
    pub fn select(mut self) -> Result<Card<T, Selected>, Error> {
        let info = select(&mut self)?;
        Ok(self.with_state(Selected { info }))
    }
}

fn select<T: Transport, S>(card: &mut Card<T, S>) -> Result<CardInfo, Error> {
    let (body, status) = card.send(
        Step::Select,
        Header::SELECT,
        &card_applet_spec::codes::AID,
        Some(0x00),
    )?;
    // Whatever else a card says to our name, it is not ours: no status of a stranger's card is worth telling apart.
    if !status.is_ok() {
        return Err(Check::Application.into());
    }
    let info = CardInfo::parse(&body).map_err(|_| Check::Application)?;
    // Changes within a major version are additive; another one may mean anything.
    if info.specification[0] != CardInfo::CURRENT.specification[0] {
        return Err(Check::Application.into());
    }
    Ok(info)
}

impl<T: Transport> Card<T, Selected> {
    /// What any stranger can read.
    pub fn info(&self) -> &CardInfo {
        &self.state.info
    }

    /// The serial of a blank; `None` on every other card. (The card ends what was open when it refuses; selecting
    /// again puts it back to where this card is.)
    ///
    /// # Errors
    ///
    /// [`Error::CardRefused`] with another status than 6A88, [`Error::BadAnswer`], [`Error::Transport`].
    pub fn blank_serial(mut self) -> Result<(Self, Option<Serial>), Error> {
        let step = Step::ReadSerial;
        let (body, status) = self.send(step, Header::GET_SERIAL, &[], Some(0x00))?;
        if status == StatusWord::NOT_FOUND {
            let info = select(&mut self)?;
            return Ok((self.with_state(Selected { info }), None));
        }
        if !status.is_ok() {
            return Err(Error::CardRefused {
                step,
                status: status.0,
            });
        }
        let serial = <[u8; 10]>::try_from(body.as_slice()).map_err(|_| Error::BadAnswer { step })?;
        Ok((self, Some(Serial(serial))))
    }
}
