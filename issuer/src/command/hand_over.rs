//! `issuer hand-over` and `issuer give-up`: how an order ends.

use issuer_office::random::Random;
use issuer_production::HolderChecked;
use permit_domain::OrderId;
use program_contract::{Clock, Failure, Outcome, line};
use serde::Serialize;

use crate::command::place::{Context, Place};
use crate::command::session::Person;
use crate::command::station::{station, with_wrong_tries};
use crate::command::words::of_order;

/// Arguments of `hand-over`.
#[derive(Debug, clap::Args)]
pub(super) struct HandOver {
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    person: Person,
    /// The reader's name; without it the one that a card lies on.
    #[arg(long, value_name = "NAME", env = "YZT_READER")]
    reader: Option<String>,
    /// The order.
    #[arg(long, value_name = "ID")]
    order: OrderId,
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
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        let context = Context::open(&self.place, clock, random).await?;
        let clerk = self.person.hand_over_clerk(&context).await?;
        let production = context.production()?;
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
        let lines = vec![line!(&report.order_id, " ", of_order(&report.state))];
        Outcome::done("yzt.hand_over/1", &report, lines)
            .map(|done| with_wrong_tries(station.wrong_tries(), done))
    }
}

program_contract::sentences! {
    fn destroy(card) = "请销毁卡 {card}。", "Destroy the card {card}.";
}

/// Arguments of `give-up`.
#[derive(Debug, clap::Args)]
pub(super) struct GiveUp {
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    person: Person,
    /// The order.
    #[arg(long, value_name = "ID")]
    order: OrderId,
}

impl GiveUp {
    /// Gives an order up, so that its permit can be ordered again.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        let context = Context::open(&self.place, clock, random).await?;
        let by = self.person.producer(&context).await?;
        let order = context.office.give_up(self.order, &by).await?;
        let report = OrderNow {
            order_id: order.id().to_string(),
            state: order.state().name().to_owned(),
            card_number: order.state().card().map(|card| card.number.to_string()),
        };
        let mut lines = vec![line!(&report.order_id, " ", of_order(&report.state))];
        if let Some(number) = &report.card_number {
            lines.push(line!(destroy(number)));
        }
        Outcome::done("yzt.give_up/1", &report, lines)
    }
}
