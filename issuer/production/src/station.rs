//! The card on the reader of a station: looked at, and carried commands to. Card specification, chapters 01, 05, 07.
//!
//! A reader blocks for milliseconds, so every visit runs on a thread for blocking work. Left out: waiting for a card
//! (the caller asks again), and any retry (only the vault knows whether a command may be sent twice).

use std::fmt;

use card_applet_spec::codes::{Rights, Serial};
use card_applet_spec::script::Status;
use card_reader::relay::{Relayed, relay};
use card_reader::transport::{Transport, TransportError};
use card_reader::{Card, Error as CardError};
use permit_domain::CardSerial;

use crate::error::ProductionError;
use crate::terminal::Counter;

/// The reader of a station.
pub struct Station {
    transport: Option<Box<dyn Transport + Send>>,
    name: String,
    wrong_tries: u8,
}

/// What lies on the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Observed {
    /// A blank, which tells its serial to anybody.
    Blank(CardSerial),
    /// A card of ours that was written; its serial came through door S.
    Written(CardSerial, Status),
}

impl Observed {
    pub(crate) const fn serial(&self) -> CardSerial {
        match self {
            Self::Blank(serial) | Self::Written(serial, _) => *serial,
        }
    }
}

impl Station {
    /// A station with this reader.
    #[must_use]
    pub fn new(transport: impl Transport + Send + 'static) -> Self {
        let name = transport.name().to_owned();
        Self {
            transport: Some(Box::new(transport)),
            name,
            wrong_tries: 0,
        }
    }

    /// Wrong tries at door I that were found on the card of this station and taken back; from 16 on the door was locked.
    #[must_use]
    pub const fn wrong_tries(&self) -> u8 {
        self.wrong_tries
    }

    /// The reader's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `work` with the reader on a thread for blocking work.
    pub(crate) async fn visit<R: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut (dyn Transport + Send)) -> R + Send + 'static,
    ) -> Result<R, ProductionError> {
        // The reader is away only while a visit runs; a visit that was cancelled keeps it.
        let mut transport = self
            .transport
            .take()
            .ok_or(CardError::Transport(TransportError::NoReader))?;
        let (transport, result) = tokio::task::spawn_blocking(move || {
            let result = work(transport.as_mut());
            (transport, result)
        })
        .await
        .map_err(|_| CardError::Transport(TransportError::ReaderLost))?;
        self.transport = Some(transport);
        Ok(result)
    }

    /// The serial of the blank on the reader; `None` when the card is not blank.
    pub(crate) async fn blank(&mut self) -> Result<Option<CardSerial>, ProductionError> {
        Ok(self.visit(|transport| blank(transport)).await??)
    }

    /// Which card lies there. A written card is asked through door S with the counter's keys: over the air it does not
    /// tell its serial. Wrong tries at door I are taken back here: anybody near a pocket can make sixteen, and the vault's
    /// keys would be refused after them.
    pub(crate) async fn look(&mut self, counter: &Counter) -> Result<Observed, ProductionError> {
        if let Some(serial) = self.blank().await? {
            return Ok(Observed::Blank(serial));
        }
        let session = counter.session();
        let (serial, status) = self
            .visit(move |transport| {
                let card = session.open(transport, Rights::VERIFY.union(Rights::ISSUER))?;
                let (card, serial) = card.serial()?;
                let (card, status) = card.status()?;
                if status.failures > 0 {
                    card.reset_counter()?;
                }
                Ok::<_, CardError>((serial, status))
            })
            .await??;
        if status.failures > 0 {
            tracing::warn!(tries = status.failures, "wrong tries at door I were taken back");
            self.wrong_tries = self.wrong_tries.max(status.failures);
        }
        Ok(Observed::Written(serial, status))
    }

    /// Starts the card anew and selects the application, ready for the vault's commands.
    pub(crate) async fn select(&mut self) -> Result<(), ProductionError> {
        Ok(self
            .visit(|transport| Card::new(transport).reset()?.select().map(|_| ()))
            .await??)
    }

    /// Carries commands until one is not answered by 9000.
    pub(crate) async fn relay(&mut self, commands: Vec<Vec<u8>>) -> Result<Relayed, ProductionError> {
        self.visit(move |transport| relay(transport, &commands)).await
    }
}

fn blank(transport: &mut (dyn Transport + Send)) -> Result<Option<Serial>, CardError> {
    let (_, serial) = Card::new(transport).reset()?.select()?.blank_serial()?;
    Ok(serial)
}

impl fmt::Debug for Station {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Station({})", self.name)
    }
}
