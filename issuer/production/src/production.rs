//! What production works with: the office, the issuer's service key, the counter's terminal key, and sessions of the vault.
//!
//! The steps stand in files of their own, and [`crate::run`] orders them.

use std::path::PathBuf;
use std::sync::Arc;

use card_reader::TerminalKey;
use issuer_office::card_content::CardContent;
use issuer_office::connection::Stream;
use issuer_office::error::OfficeError;
use issuer_office::office::Office;
use jiff::ToSpan as _;
use keyvault_protocol as vault;
use permit_domain::{Order, OrderId};
use program_contract::{Clock, day};
use tokio::sync::Mutex;

use crate::error::ProductionError;
use crate::service_key::ServiceKey;
use crate::terminal::Counter;

/// Days that a signed order holds: the vault takes at most 30.
pub(crate) const ORDER_DAYS: i64 = 29;

/// Name and folders of the issuer.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name under which the service key is enrolled in the vault.
    pub issuer: String,
    /// Card profile, such as `resident-1`.
    pub profile: String,
    /// The station that writes, such as `counter 1`.
    pub station: String,
    /// Where the printed faces go: one folder per order.
    pub faces: PathBuf,
}

/// Makes cards.
#[derive(Debug)]
pub struct Production {
    pub(crate) office: Office,
    pub(crate) key: Arc<ServiceKey>,
    pub(crate) terminal: Arc<TerminalKey>,
    pub(crate) purse: Arc<TerminalKey>,
    pub(crate) settings: Settings,
    pub(crate) counter: Mutex<Option<Counter>>,
}

impl Production {
    /// A production line with its two terminals: the counter, and the shop that shows it a purse.
    #[must_use]
    pub fn new(
        office: Office,
        key: Arc<ServiceKey>,
        terminal: Arc<TerminalKey>,
        purse: Arc<TerminalKey>,
        settings: Settings,
    ) -> Self {
        Self {
            office,
            key,
            terminal,
            purse,
            settings,
            counter: Mutex::new(None),
        }
    }

    /// The office whose orders it runs.
    #[must_use]
    pub const fn office(&self) -> &Office {
        &self.office
    }

    /// The folder with the printed faces of an order: `front.png`, `back.png`.
    #[must_use]
    pub fn faces_of(&self, order: OrderId) -> PathBuf {
        self.settings.faces.join(order.to_string())
    }

    pub(crate) async fn order(&self, id: OrderId) -> Result<Order, ProductionError> {
        match self.office.order_status(id).await {
            Err(OfficeError::NotFound { .. }) => Err(ProductionError::NoOrder),
            found => Ok(found?),
        }
    }

    pub(crate) fn clock(&self) -> &Clock {
        self.office.clock()
    }

    pub(crate) async fn vault(&self) -> Result<vault::Client<Stream>, ProductionError> {
        Ok(self.office.vault_client().await?)
    }

    /// The counter's keys, with a bundle that serves today and the region of this order.
    pub(crate) async fn counter(&self, content: &CardContent) -> Result<Counter, ProductionError> {
        let mut kept = self.counter.lock().await;
        let today = issuer_office::card_content::card_date(self.clock().today())?;
        if let Some(counter) = kept.as_ref().filter(|counter| counter.serves(today, content)) {
            return Ok(counter.clone().on(today));
        }
        let regions = vec![content.region()?];
        let mut vault = self.vault().await?;
        let counter = Counter::enrol(
            &mut vault,
            Arc::clone(&self.terminal),
            regions,
            self.clock(),
            self.office.random(),
        )
        .await?;
        *kept = Some(counter.clone());
        Ok(counter)
    }

    /// As [`Production::counter`], with a bundle that is made now: the one that was kept does not know the key versions that
    /// came since.
    pub(crate) async fn counter_anew(&self, content: &CardContent) -> Result<Counter, ProductionError> {
        *self.counter.lock().await = None;
        self.counter(content).await
    }

    /// Opens a session of the vault for one card. The same order gives the same bytes whenever it is signed (RFC 6979,
    /// and no time but the order's own), so the vault knows it again after a restart.
    pub(crate) async fn session(
        &self,
        number: [u8; 16],
        tasks: Vec<vault::TaskKind>,
        from: jiff::civil::Date,
        days: i64,
    ) -> Result<(vault::Client<Stream>, vault::OrderSession), ProductionError> {
        self.session_for(number, tasks, from, days, 1).await
    }

    pub(crate) async fn session_for(
        &self,
        number: [u8; 16],
        tasks: Vec<vault::TaskKind>,
        from: jiff::civil::Date,
        days: i64,
        cards: u32,
    ) -> Result<(vault::Client<Stream>, vault::OrderSession), ProductionError> {
        let from = day::begins(from);
        let until = from
            .checked_add((24 * days).hours())
            .map_err(|_| permit_domain::Error::OutOfCalendar)?;
        let order = vault::Order {
            order: number,
            issuer: self.settings.issuer.clone(),
            profile: self.settings.profile.clone(),
            cards,
            tasks,
            station: self.settings.station.clone(),
            from,
            until,
        };
        let signed = order.sign(self.key.signer())?;
        let mut vault = self.vault().await?;
        let session = vault.open_order(&signed).await?;
        Ok((vault, session))
    }
}
