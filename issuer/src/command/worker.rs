//! `issuer worker`: makes cards, each with the one that lies on the reader, for the producer who is signed in, or as a service
//! under its own name.

use std::time::Duration;

use issuer_office::random::Random;
use issuer_production::{Production, StepReport};
use permit_domain::{Maker, OrderId, StaffId, Step};
use program_contract::language::{Line, Words};
use program_contract::{Clock, Failure, Outcome, line};
use serde::Serialize;

use crate::command::failure;
use crate::command::place::{Context, GRACE, Place, Stop};
use crate::command::session::Person;
use crate::command::station::station;
use crate::command::words::of_order;

/// Code of [`issuer_production::ProductionError::NotBlank`].
const NOT_BLANK: &str = "CARD_NOT_BLANK";

/// Pause of the worker when there is nothing to do, or no reader.
const WORKER_PAUSE: Duration = Duration::from_secs(2);

/// Arguments of `worker`.
#[derive(Debug, clap::Args)]
pub(super) struct Worker {
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    person: Person,
    /// Work without a person, in the name of the service (`service` in `issuer.toml`): what it does stands under that name in
    /// the ledger.
    #[arg(long, conflicts_with = "session")]
    service: bool,
    /// The reader's name; without it the one that a card lies on.
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
    /// Wrong tries at door I that were found on the card and taken back.
    wrong_tries: u8,
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

/// The worker's own name. It is nobody's: what it does is told from what a person did.
fn service(context: &Context) -> Result<StaffId, Failure> {
    let name: Result<StaffId, _> = context.installation.config().service.parse();
    let taken = |name: &StaffId| {
        let staff = context.installation.staff()?;
        Ok::<_, Failure>(staff.has(name))
    };
    match name {
        Ok(name) if !taken(&name)? => Ok(name),
        _ => Err(failure::no_service_name()),
    }
}

impl Worker {
    /// Runs orders up to the verified card: each with the card that lies on the reader.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        let context = Context::open(&self.place, clock, random).await?;
        let by = if self.service {
            Maker::Service(service(&context)?)
        } else {
            Maker::Person(self.person.producer(&context).await?)
        };
        let production = context.production()?;
        let mut report = Worked { orders: Vec::new() };
        let one_run = self.once || self.order.is_some();
        if one_run {
            loop {
                match Box::pin(self.next(&production, &by)).await {
                    Ok(Some(worked)) => report.orders.push(worked),
                    Ok(None) => break,
                    // The card that was just made still lies there.
                    Err(failure) if failure.code == NOT_BLANK && !report.orders.is_empty() => break,
                    Err(failure) => return Err(failure),
                }
                if self.order.is_some() {
                    break;
                }
            }
        } else {
            Box::pin(self.watch(&production, &by)).await?;
        }
        let mut lines: Vec<Line> = report
            .orders
            .iter()
            .map(|order| line!(&order.order_id, " ", of_order(&order.state)))
            .collect();
        if one_run && lines.is_empty() {
            lines.push(line!(Words(
                "没有制证单在等读卡器上的这张卡",
                "no order waits for the card on the reader"
            )));
        }
        Outcome::done("yzt.worker/1", &report, lines)
    }

    /// Runs orders as their cards come, until a signal.
    async fn watch(&self, production: &Production, by: &Maker) -> Result<(), Failure> {
        let mut stop = Stop::listen()?;
        let mut expired_on = None;
        loop {
            let office = production.office();
            let today = office.clock().today();
            if expired_on != Some(today) {
                match office.expire_changes().await {
                    Ok(expired) => {
                        tracing::info!(expired = expired.len(), "changes whose time was over");
                        expired_on = Some(today);
                    }
                    Err(error) => tracing::warn!(code = error.code(), "changes whose time is over stay"),
                }
            }
            let mut work = std::pin::pin!(self.next(production, by));
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
    async fn next(&self, production: &Production, by: &Maker) -> Result<Option<WorkedOrder>, Failure> {
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
            .run(order.id(), &mut station, by, &mut |step| {
                steps.push(WorkedStep::from(step));
            })
            .await;
        match done {
            Ok(order) => Ok(Some(WorkedOrder {
                order_id: order.id().to_string(),
                state: order.state().name().to_owned(),
                in_doubt: order.state().in_doubt(),
                card_number: order.state().card().map(|card| card.number.to_string()),
                wrong_tries: station.wrong_tries(),
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
