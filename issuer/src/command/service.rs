//! The commands that need the installation: `migrate`, `serve`, `worker`, `hand-over`, `give-up`, `receive`, `doctor`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use card_reader::transport::{Connect, PcscTransport, Transport as _};
use issuer_api::Api;
use issuer_office::random::Random;
use issuer_office::readiness::Check;
use issuer_office::staff::StaffRole;
use issuer_production::{HolderChecked, Production, Station, StepReport};
use jiff::civil::Date;
use permit_domain::{CardSerial, HandOverClerk, OrderId, Producer, StaffId, Step};
use program_contract::Clock;
use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Done, Failure};
use crate::installation::Installation;

/// Pause of the worker when there is nothing to do, or no reader.
const WORKER_PAUSE: Duration = Duration::from_secs(2);

/// Time that running requests have when the server is told to stop.
const GRACE: Duration = Duration::from_secs(20);

/// Which installation, which day.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// The installation's folder.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// A settings file in place of DIR/issuer.toml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Work as if it were this day, YYYY-MM-DD.
    #[arg(long, value_name = "DATE")]
    at: Option<Date>,
    /// Print one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

impl Place {
    pub(super) fn open(&self) -> Result<Installation, Failure> {
        // Else the database would be the first to miss it, and the advice would be to start one.
        if !self.dir.is_dir() {
            return Err(Failure::new(
                "NO_INSTALLATION",
                5,
                format!("there is no folder {}", self.dir.display()),
                "Correct --dir, or make the installation with `issuer migrate`.",
            ));
        }
        Ok(Installation::open(&self.dir, self.config.as_deref())?)
    }

    pub(super) fn clock(&self, clock: &Clock) -> Clock {
        self.at.map_or_else(|| clock.clone(), |day| clock.on_day(day))
    }
}

/// Arguments of `migrate`.
#[derive(Debug, clap::Args)]
pub(super) struct Migrate {
    #[command(flatten)]
    pub(super) place: Place,
}

#[derive(Serialize)]
struct Migrated {
    service_key: PathBuf,
    public_key: String,
}

impl Migrate {
    /// Tables, rule sets, service key.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Done, Failure> {
        std::fs::create_dir_all(&self.place.dir)
            .map_err(|error| Failure::file("cannot make", &self.place.dir, &error))?;
        let installation = self.place.open()?;
        installation
            .office(self.place.clock(clock), random.clone())
            .await?
            .migrate()
            .await?;
        let key = installation.service_key_or_new(random)?;
        let report = Migrated {
            service_key: installation.service_key_path(),
            public_key: card_reader::hex::encode(&key.public()),
        };
        let lines = vec![
            "The ledger is up to date.".into(),
            format!(
                "Service key {}; enrol this public key in the vault as `{}`:",
                report.service_key.display(),
                installation.config().issuer
            ),
            report.public_key.clone(),
        ];
        Done::new("yzt.migrate/1", &report, lines)
    }
}

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    #[command(flatten)]
    pub(super) place: Place,
}

#[derive(Serialize)]
struct Served {
    address: String,
}

impl Serve {
    /// The HTTP API until a signal.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Done, Failure> {
        let installation = self.place.open()?;
        let office = installation
            .office(self.place.clock(clock), random.clone())
            .await?;
        office.store().ready().await?;
        let store = office.store().clone();
        let api = Api::new(office, installation.staff()?);
        let wanted = installation.config().listen;
        let unusable = |error: std::io::Error| {
            Failure::new(
                "LISTEN",
                5,
                format!("cannot listen on {wanted}: {error}"),
                "Choose a free address with `listen` in issuer.toml.",
            )
        };
        let listener = tokio::net::TcpListener::bind(wanted).await.map_err(unusable)?;
        let address = listener.local_addr().map_err(unusable)?;
        // Before the address is told: who reads it may stop us at once.
        let mut asked = Stop::listen()?;
        eprintln!("issuer: the API is at http://{address} (stop with Ctrl-C)");
        let (stop, stopping) = tokio::sync::watch::channel(false);
        let mut stopped = stopping.clone();
        let server = axum::serve(listener, api.router()).with_graceful_shutdown(async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        });
        let server = tokio::spawn(server.into_future());
        asked.asked().await;
        let _ = stop.send(true);
        // A client that keeps its connection open does not keep the server.
        let _ = tokio::time::timeout(GRACE, server).await;
        store.close().await;
        Done::new(
            "yzt.serve/1",
            &Served {
                address: address.to_string(),
            },
            vec!["issuer: stopped".into()],
        )
    }
}

/// The signals that end a service, listened to from the moment that this is made.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn listen() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| {
            Failure::new(
                "SIGNALS",
                5,
                format!("signals cannot be received: {error}"),
                "Report this.",
            )
        };
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Arguments of `worker`.
#[derive(Debug, clap::Args)]
pub(super) struct Worker {
    #[command(flatten)]
    pub(super) place: Place,
    /// The reader's name; without it the only one there is.
    #[arg(long, value_name = "NAME", env = "YZT_READER")]
    reader: Option<String>,
    /// Run this order only.
    #[arg(long, value_name = "ID")]
    order: Option<OrderId>,
    /// Stop when no order is left to do, instead of waiting for more.
    #[arg(long)]
    once: bool,
}

#[derive(Serialize)]
struct Worked {
    orders: Vec<WorkedOrder>,
}

#[derive(Serialize)]
struct WorkedOrder {
    order_id: String,
    state: String,
    in_doubt: bool,
    card_number: Option<String>,
    steps: Vec<WorkedStep>,
}

#[derive(Serialize)]
struct WorkedStep {
    name: &'static str,
    actor: String,
    ok: bool,
    ms: f64,
}

impl From<&StepReport> for WorkedStep {
    fn from(report: &StepReport) -> Self {
        Self {
            name: report.name,
            actor: report.actor.clone(),
            ok: report.ok,
            ms: report.ms,
        }
    }
}

impl Worker {
    /// Runs orders up to the verified card: each with the card that lies on the reader.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Done, Failure> {
        let installation = self.place.open()?;
        let office = installation
            .office(self.place.clock(clock), random.clone())
            .await?;
        office.store().ready().await?;
        let production = installation.production(office).await?;
        let mut report = Worked { orders: Vec::new() };
        let one_run = self.once || self.order.is_some();
        if one_run {
            while let Some(worked) = Box::pin(self.next(&production)).await? {
                report.orders.push(worked);
                if self.order.is_some() {
                    break;
                }
            }
        } else {
            Box::pin(self.watch(&production)).await?;
        }
        let lines = report
            .orders
            .iter()
            .map(|order| format!("{} {}", order.order_id, order.state))
            .collect();
        Done::new("yzt.worker/1", &report, lines)
    }

    /// Runs orders as their cards come, until a signal.
    async fn watch(&self, production: &Production) -> Result<(), Failure> {
        let mut stop = Stop::listen()?;
        loop {
            let mut work = std::pin::pin!(self.next(production));
            let worked = tokio::select! {
                worked = &mut work => worked,
                () = stop.asked() => {
                    // The card under way is finished, or left to be resumed if that takes too long.
                    let _ = tokio::time::timeout(GRACE, work).await;
                    return Ok(());
                }
            };
            // A step that stopped was logged with its code; the order comes again with its card.
            if !matches!(worked, Ok(Some(_)))
                && tokio::time::timeout(WORKER_PAUSE, stop.asked()).await.is_ok()
            {
                return Ok(());
            }
        }
    }

    /// Runs the order that the card on the reader belongs to; `None` when there is nothing to do with it.
    async fn next(&self, production: &Production) -> Result<Option<WorkedOrder>, Failure> {
        let mut station = station(self.reader.clone()).await?;
        let order = match self.order {
            Some(id) => Some(production.office().order_status(id).await?),
            None => production.order_for(&mut station).await?,
        };
        let Some(order) =
            order.filter(|order| !matches!(order.state().next_step(), Some(Step::HandOver) | None))
        else {
            return Ok(None);
        };
        let mut steps = Vec::new();
        let done = production
            .run(order.id(), &mut station, &mut |step| {
                steps.push(WorkedStep::from(step));
            })
            .await;
        match done {
            Ok(order) => Ok(Some(WorkedOrder {
                order_id: order.id().to_string(),
                state: order.state().name().to_owned(),
                in_doubt: order.state().in_doubt(),
                card_number: order.state().card().map(|card| card.number.to_string()),
                steps,
            })),
            Err(error) => {
                let mut failure = Failure::from(error);
                if let Ok(order) = production.office().order_status(order.id()).await {
                    failure
                        .fields
                        .insert("order_id".into(), order.id().to_string().into());
                    failure.fields.insert("state".into(), order.state().name().into());
                    failure
                        .fields
                        .insert("in_doubt".into(), order.state().in_doubt().into());
                }
                Err(failure)
            }
        }
    }
}

pub(super) async fn station(reader: Option<String>) -> Result<Station, Failure> {
    let connected = tokio::task::spawn_blocking(move || {
        PcscTransport::connect(&Connect {
            reader,
            wait: Duration::ZERO,
        })
    })
    .await
    .map_err(|_| Failure::internal("a part of the program failed"))?;
    let transport =
        connected.map_err(|error| Failure::new(error.code(), 3, error.to_string(), error.action()))?;
    tracing::debug!(reader = transport.name(), "card connected");
    Ok(Station::new(transport))
}

/// Arguments of `hand-over`.
#[derive(Debug, clap::Args)]
pub(super) struct HandOver {
    #[command(flatten)]
    pub(super) place: Place,
    /// The reader's name; without it the only one there is.
    #[arg(long, value_name = "NAME", env = "YZT_READER")]
    reader: Option<String>,
    /// The order.
    #[arg(long, value_name = "ID")]
    order: OrderId,
    /// Account of the clerk who hands the card over: of staff.toml, with the role `HAND_OVER_CLERK`.
    #[arg(long, value_name = "ACCOUNT")]
    clerk: StaffId,
    /// Whom the clerk checked.
    #[arg(long, value_enum)]
    checked: Checked,
}

/// Who stood at the counter.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Checked {
    /// The holder.
    Holder,
    /// An agent with a power of attorney.
    Agent,
}

/// The order after a hand-over or after it was given up.
#[derive(Serialize)]
struct OrderNow {
    order_id: String,
    state: String,
    card_number: Option<String>,
}

impl HandOver {
    /// Activates the order's card on the reader.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Done, Failure> {
        let installation = self.place.open()?;
        let clerk = HandOverClerk::new(installation.acting_as(&self.clerk, StaffRole::HandOverClerk)?);
        let office = installation
            .office(self.place.clock(clock), random.clone())
            .await?;
        office.store().ready().await?;
        let production = installation.production(office).await?;
        let mut station = station(self.reader.clone()).await?;
        let holder = match self.checked {
            Checked::Holder => HolderChecked::Holder,
            Checked::Agent => HolderChecked::Agent,
        };
        let order = production
            .hand_over(self.order, &mut station, clerk, holder, &mut |_| {})
            .await?;
        let report = OrderNow {
            order_id: order.id().to_string(),
            state: order.state().name().to_owned(),
            card_number: order.state().card().map(|card| card.number.to_string()),
        };
        let lines = vec![format!("{} {}", report.order_id, report.state)];
        Done::new("yzt.hand_over/1", &report, lines)
    }
}

/// Arguments of `give-up`.
#[derive(Debug, clap::Args)]
pub(super) struct GiveUp {
    #[command(flatten)]
    pub(super) place: Place,
    /// The order.
    #[arg(long, value_name = "ID")]
    order: OrderId,
    /// Account of who gives it up: of staff.toml, with the role `PRODUCER`.
    #[arg(long, value_name = "ACCOUNT")]
    by: StaffId,
}

impl GiveUp {
    /// Gives an order up, so that its permit can be ordered again.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Done, Failure> {
        let installation = self.place.open()?;
        let by = Producer::new(installation.acting_as(&self.by, StaffRole::Producer)?);
        let office = installation
            .office(self.place.clock(clock), random.clone())
            .await?;
        let order = office.give_up(self.order, &by).await?;
        let report = OrderNow {
            order_id: order.id().to_string(),
            state: order.state().name().to_owned(),
            card_number: order.state().card().map(|card| card.number.to_string()),
        };
        let mut lines = vec![format!("{} {}", report.order_id, report.state)];
        if let Some(number) = &report.card_number {
            lines.push(format!("Destroy the card {number}."));
        }
        Done::new("yzt.give_up/1", &report, lines)
    }
}

/// Arguments of `receive`.
#[derive(Debug, clap::Args)]
pub(super) struct Receive {
    #[command(flatten)]
    pub(super) place: Place,
    /// The lot's name.
    #[arg(long, value_name = "LOT")]
    lot: String,
    /// A file with one card serial (20 hex digits) a line.
    #[arg(long, value_name = "FILE")]
    serials: PathBuf,
    /// Account of the stock keeper: of staff.toml, with the role `PRODUCER`.
    #[arg(long, value_name = "ACCOUNT")]
    by: StaffId,
}

#[derive(Serialize)]
struct Received {
    lot: String,
    blanks: usize,
    in_stock: i64,
}

impl Receive {
    /// Puts a lot of blanks into the stock.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Done, Failure> {
        let installation = self.place.open()?;
        let by = installation.acting_as(&self.by, StaffRole::Producer)?;
        let serials = read_serials(&self.serials)?;
        let clock = self.place.clock(clock);
        let office = installation.office(clock.clone(), random.clone()).await?;
        office
            .store()
            .receive_blanks(&serials, &self.lot, &by, clock.now())
            .await?;
        let stock = office.store().stock().await?;
        let report = Received {
            lot: self.lot.clone(),
            blanks: serials.len(),
            in_stock: stock.in_stock,
        };
        let lines = vec![format!(
            "{} blanks received, {} in stock",
            report.blanks, report.in_stock
        )];
        Done::new("yzt.receive/1", &report, lines)
    }
}

fn read_serials(path: &Path) -> Result<Vec<CardSerial>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::file("cannot read", path, &error))?;
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| {
            line.trim().parse().map_err(|_| {
                Failure::new(
                    "SERIALS",
                    2,
                    format!("line {} is no card serial", index + 1),
                    "Write one serial of 20 lower-case hex digits a line.",
                )
            })
        })
        .collect()
}

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    pub(super) place: Place,
}

#[derive(Serialize)]
struct Diagnosis {
    checks: Vec<Check>,
}

impl Doctor {
    /// Looks at everything that work needs and says what is wrong.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Done, Failure> {
        let installation = self.place.open()?;
        let office = installation
            .office(self.place.clock(clock), random.clone())
            .await?;
        let mut checks = vec![Check::passed("fonts")];
        checks.push(
            match issuer_production::ServiceKey::load(&installation.service_key_path()) {
                Ok(_) => Check::passed("service_key"),
                Err(error) => Check::failed("service_key", error.code(), error.action()),
            },
        );
        checks.push(match installation.staff() {
            Ok(_) => Check::passed("staff"),
            Err(error) => Check::failed("staff", error.code(), error.action()),
        });
        checks.push(match office.store().verify_ledger().await {
            Ok(_) => Check::passed("ledger_chain"),
            Err(error) => Check::failed("ledger_chain", error.code(), error.action()),
        });
        checks.extend(office.checks().await);
        let readers = tokio::task::spawn_blocking(PcscTransport::list)
            .await
            .map_err(|_| Failure::internal("a part of the program failed"))?;
        checks.push(match readers {
            Ok(readers) if !readers.is_empty() => Check::passed("reader"),
            Ok(_) => Check::failed(
                "reader",
                "NO_READER",
                "Connect a reader; the API works without one.",
            ),
            Err(error) => Check::failed("reader", error.code(), error.action()),
        });
        let lines: Vec<String> = checks
            .iter()
            .map(|check| match (&check.code, &check.action) {
                (Some(code), Some(action)) => format!("{:<14} {code}: {action}", check.name),
                _ => format!("{:<14} ok", check.name),
            })
            .collect();
        if checks.iter().all(|check| check.ok) {
            return Done::new("yzt.doctor/1", &Diagnosis { checks }, lines);
        }
        let failed: Vec<&str> = checks
            .iter()
            .filter(|check| !check.ok)
            .map(|check| check.name)
            .collect();
        let mut failure = Failure::new(
            "NOT_READY",
            5,
            format!("not in order: {}", failed.join(", ")),
            "Do what each check says.",
        );
        failure
            .fields
            .insert("checks".into(), serde_json::to_value(&checks).unwrap_or_default());
        failure.lines = lines;
        Err(failure)
    }
}
