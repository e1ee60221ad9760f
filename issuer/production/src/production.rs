//! Production of a card as a resumable sequence: allocate, encode, draw and print, verify, hand over. Each step is
//! durable in the ledger before the next begins.
//!
//! An order found `ENCODING` or `HANDING_OVER` is in doubt: its card is presented again and the same step resumes, with the
//! same number. Whatever stops a step (reader gone, card pulled, vault sealed, process killed), running the order again
//! finishes it. Before anything is written the card's serial is compared with the order's, so a swapped card is noticed
//! untouched. Left out: the printer (faces are files), scrapping, and courier lots.

use std::path::PathBuf;
use std::sync::Arc;

use card_reader::TerminalKey;
use jiff::ToSpan as _;
use keyvault_protocol as vault;
use permit_domain::{Actor as _, HandOverClerk, Order, OrderId, OrderState, Step};
use tokio::sync::Mutex;

use crate::error::ProductionError;
use crate::hand_over::HolderChecked;
use crate::service_key::ServiceKey;
use crate::station::Station;
use crate::terminal::Counter;
use issuer_office::card_content::CardContent;
use issuer_office::connection::Stream;
use issuer_office::office::Office;
use program_contract::Clock;

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

/// One step that was tried, for whoever watches.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// `ALLOCATE`, `ENCODE`, `DRAW`, `VERIFY` or `HAND_OVER`.
    pub name: &'static str,
    /// Account of the person who did it.
    pub actor: String,
    /// Whether it is done.
    pub ok: bool,
    /// How long it took, milliseconds.
    pub ms: f64,
}

/// Receives a report after each step.
pub type Observer<'a> = &'a mut (dyn FnMut(&StepReport) + Send);

/// Makes cards.
#[derive(Debug)]
pub struct Production {
    pub(crate) office: Office,
    pub(crate) key: Arc<ServiceKey>,
    pub(crate) terminal: Arc<TerminalKey>,
    pub(crate) settings: Settings,
    pub(crate) counter: Mutex<Option<Counter>>,
}

impl Production {
    /// A production line.
    #[must_use]
    pub fn new(office: Office, key: Arc<ServiceKey>, terminal: Arc<TerminalKey>, settings: Settings) -> Self {
        Self {
            office,
            key,
            terminal,
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

    /// Runs an order up to the verified card, or on from wherever it stands. Nothing is done for an order that is
    /// verified or further.
    ///
    /// # Errors
    /// Every [`ProductionError`]; the ledger says where the order stands, and calling again goes on.
    pub async fn run(
        &self,
        id: OrderId,
        station: &mut Station,
        observe: Observer<'_>,
    ) -> Result<Order, ProductionError> {
        loop {
            let order = self.order(id).await?;
            match order.state().next_step() {
                Some(Step::HandOver) | None => return Ok(order),
                Some(_) => self.step(order, station, observe).await?,
            };
        }
    }

    /// Does (or resumes) the next step of an order that is not yet verified.
    ///
    /// # Errors
    /// As [`Production::run`].
    pub async fn step(
        &self,
        order: Order,
        station: &mut Station,
        observe: Observer<'_>,
    ) -> Result<Order, ProductionError> {
        let Some(step) = order.state().next_step().filter(|step| *step != Step::HandOver) else {
            return Ok(order);
        };
        let actor = order.duties().producer().staff().to_string();
        let clock = self.clock().clone();
        let done = async {
            match step {
                Step::Allocate => self.allocate(order, station).await,
                Step::Encode => self.encode(order, station).await,
                Step::Draw => self.draw(order).await,
                Step::Verify | Step::HandOver => self.verify(order, station).await,
            }
        };
        reported(step, actor, &clock, done, observe).await
    }

    /// Hands the order's card over: the card's serial opens the case, the clerk has checked the person, the card is
    /// activated. Resumes a hand-over that stopped.
    ///
    /// # Errors
    /// As [`Production::run`]; one person as producer and clerk.
    pub async fn hand_over(
        &self,
        id: OrderId,
        station: &mut Station,
        clerk: HandOverClerk,
        holder: HolderChecked,
        observe: Observer<'_>,
    ) -> Result<Order, ProductionError> {
        let order = self.order(id).await?;
        let order = if matches!(order.state(), OrderState::HandedOver { .. }) {
            order
        } else {
            let actor = clerk.staff().to_string();
            let clock = self.clock().clone();
            let done = self.activate(order, station, clerk, holder);
            reported(Step::HandOver, actor, &clock, done, observe).await?
        };
        self.close_case(&order).await;
        Ok(order)
    }

    /// Nobody reads the photo for this case any more. The card is in its holder's hand whatever becomes of this: handing
    /// over again tries again.
    async fn close_case(&self, order: &Order) {
        let closed = async {
            let content = CardContent::from_content(order.content())?;
            self.office
                .close_photo_case(content.photo().case(), order.duties().producer())
                .await
                .map_err(ProductionError::Photo)
        };
        if let Err(error) = closed.await {
            tracing::warn!(order = %order.id(), code = error.code(), "the photo's case stays open");
        }
    }

    /// The running order that the card on the reader belongs to: the one that it was allocated to, or for a fresh blank
    /// the oldest order without a card. `None`: no running order wants this card.
    ///
    /// # Errors
    /// The reader's, the vault's or the ledger's.
    pub async fn order_for(&self, station: &mut Station) -> Result<Option<Order>, ProductionError> {
        let running = self.office.store().running_orders().await?;
        let Some(any) = running.first() else {
            return Ok(None);
        };
        let blank = station.blank().await?;
        let serial = if let Some(serial) = blank {
            serial
        } else {
            let content = CardContent::from_content(any.content())?;
            station.look(&self.counter(&content).await?).await?.serial()
        };
        let its_own = running
            .iter()
            .find(|order| order.state().card().is_some_and(|card| card.serial == serial));
        Ok(match its_own {
            Some(order) => Some(order.clone()),
            None => running
                .into_iter()
                .find(|order| blank.is_some() && matches!(order.state(), OrderState::Ordered)),
        })
    }

    pub(crate) async fn order(&self, id: OrderId) -> Result<Order, ProductionError> {
        self.office
            .store()
            .order(id)
            .await?
            .ok_or(ProductionError::NoOrder)
    }

    pub(crate) fn clock(&self) -> &Clock {
        self.office.clock()
    }

    pub(crate) async fn vault(&self) -> Result<vault::Client<Stream>, ProductionError> {
        let stream = self
            .office
            .vault()
            .connect()
            .await
            .map_err(|_| vault::Error::NotRunning)?;
        Ok(vault::Client::connect(stream).await?)
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
        let from = from
            .to_zoned_datetime(jiff::tz::TimeZone::fixed(jiff::tz::offset(8)))
            .map_err(|_| permit_domain::Error::OutOfCalendar)?
            .timestamp();
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

async fn reported(
    step: Step,
    actor: String,
    clock: &Clock,
    work: impl Future<Output = Result<Order, ProductionError>>,
    observe: Observer<'_>,
) -> Result<Order, ProductionError> {
    let began = clock.now();
    let done = work.await;
    let ms = clock.now().duration_since(began).as_millis_f64();
    match &done {
        Ok(order) => tracing::info!(order = %order.id(), step = step.name(), ms, "step done"),
        Err(error) => tracing::warn!(step = step.name(), code = error.code(), ms, "step stopped"),
    }
    observe(&StepReport {
        name: step.name(),
        actor,
        ok: done.is_ok(),
        ms,
    });
    done
}

/// Sends a task of the vault to the card on the station, and its answers back, until the vault says that it is done.
pub(crate) async fn pipe(
    vault: &mut vault::Client<Stream>,
    session: &vault::OrderSession,
    serial: permit_domain::CardSerial,
    task: vault::CardTask,
    station: &mut Station,
) -> Result<vault::CardResult, ProductionError> {
    station.select().await?;
    let mut script = vault.start_card(session, 0, *serial.as_bytes(), task).await?;
    loop {
        match script {
            vault::Script::Done(result) => return Ok(*result),
            vault::Script::Send { commands } => {
                let relayed = station.relay(commands).await?;
                let told = vault.continue_card(session, 0, relayed.answers).await;
                if let Some(lost) = relayed.lost {
                    // The vault was told what came, so that its journal says the same as ours: outcome unknown.
                    return Err(card_reader::Error::Transport(lost).into());
                }
                script = told?;
            }
        }
    }
}
