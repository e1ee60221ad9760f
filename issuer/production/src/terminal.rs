//! The counter's own terminal keys: how the office reads a card through door S. Card specification, chapters 07 and 08.
//!
//! The bundle comes from the vault for at most seven days and is fetched again when it ends. Left out: storing it; a
//! fresh one costs one request.

use std::sync::Arc;

use card_applet_spec::codes::{Domain, Rights, Role};
use card_applet_spec::crypto::PublicKey;
use card_applet_spec::date::Date;
use card_reader::counter::CardOnCounter;
use card_reader::transport::Transport;
use card_reader::{
    Bundle, Card, CounterError, Error as CardError, MaterialError, Pinned, Secure, TerminalKey,
};
use issuer_office::card_content::{CardContent, card_date};
use issuer_office::connection::Duplex;
use issuer_office::random::Random;
use jiff::ToSpan as _;
use keyvault_protocol::{BundleRequest, Client, Region};
use program_contract::Clock;
use rand::rngs::StdRng;

use crate::error::ProductionError;

/// Life of a counter's bundle, days after its first: the longest that door S allows a leaf certificate.
const BUNDLE_DAYS: i64 = 6;

/// The counter's keys and present bundle.
#[derive(Clone)]
pub struct Counter {
    key: Arc<TerminalKey>,
    bundle: Arc<Bundle>,
    regions: Vec<Region>,
    today: Date,
    random: Random,
}

/// One session's worth of it: may go to a thread for blocking work.
pub(crate) struct CounterSession {
    key: Arc<TerminalKey>,
    bundle: Arc<Bundle>,
    today: Date,
    rng: StdRng,
}

/// What a new terminal pins: the vault at the other end and its terminal CA.
///
/// # Errors
/// The vault's, or [`MaterialError::AnchorsFile`] when its anchors are no points.
pub async fn pinned<S: Duplex>(vault: &mut Client<S>) -> Result<Pinned, ProductionError> {
    let anchors = vault.anchors().await?;
    let root = PublicKey::from_point65(&anchors.terminal_ca)
        .map_err(|_| CardError::Material(MaterialError::AnchorsFile))?;
    Ok(Pinned {
        vault: anchors.vault,
        root,
    })
}

impl Counter {
    /// Fetches a bundle for `regions` and opens it.
    ///
    /// # Errors
    /// The vault's refusal, or a bundle that is not for this key.
    pub async fn enrol<S: Duplex>(
        vault: &mut Client<S>,
        key: Arc<TerminalKey>,
        regions: Vec<Region>,
        clock: &Clock,
        random: &Random,
    ) -> Result<Self, ProductionError> {
        let from = clock.today();
        let to = from.checked_add(BUNDLE_DAYS.days()).unwrap_or(from);
        let sealed = vault
            .export_bundle(&BundleRequest {
                terminal: key.name().as_str().to_owned(),
                zones: None,
                from,
                to,
            })
            .await?;
        let today = card_date(from)?;
        let bundle = Bundle::open(&sealed, &key, None, today)?;
        Ok(Self {
            key,
            bundle: Arc::new(bundle),
            regions,
            today,
            random: random.clone(),
        })
    }

    /// Whether it can be used on `today` for a card with this content.
    pub(crate) fn serves(&self, today: Date, content: &CardContent) -> bool {
        let region = content
            .region()
            .is_ok_and(|region| self.regions.contains(&region));
        region && self.bundle.last_day() >= today && self.bundle.issued() <= today
    }

    pub(crate) fn on(mut self, today: Date) -> Self {
        self.today = today;
        self
    }

    pub(crate) fn session(&self) -> CounterSession {
        CounterSession {
            key: Arc::clone(&self.key),
            bundle: Arc::clone(&self.bundle),
            today: self.today,
            rng: self.random.session(),
        }
    }
}

impl std::fmt::Debug for Counter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Counter({})", self.key.name())
    }
}

impl CounterSession {
    /// A session from a cold card.
    pub(crate) fn open<T: Transport>(
        mut self,
        transport: T,
        rights: Rights,
    ) -> Result<Card<T, Secure>, CardError> {
        Card::new(transport)
            .reset()?
            .select()?
            .present(&self.bundle, self.today)?
            .agree(rights, &self.key, self.today, &mut self.rng)
    }

    /// Everything that the office checks, from a new connection.
    pub(crate) fn look<T: Transport>(
        mut self,
        transport: &mut T,
        expected: &[Role],
        certified: &[(Domain, [u8; 64])],
    ) -> Result<CardOnCounter, CounterError> {
        card_reader::counter::look(
            transport,
            &self.bundle,
            &self.key,
            expected,
            certified,
            self.today,
            &mut self.rng,
        )
    }
}
