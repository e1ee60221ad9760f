//! `issuer load`: money onto a card, decided by the purse rules and booked once for each key.

use issuer_office::loads::LoadOutcome;
use issuer_office::random::Random;
use permit_domain::{ChangeState, ExplanationLine, PermitId};
use program_contract::money::Fen;
use program_contract::{Clock, Failure, Outcome, line};
use serde::Serialize;

use crate::command::change_now::{ChangeNow, about};
use crate::command::failure;
use crate::command::place::{Context, Place};
use crate::command::session::Person;
use crate::command::station::{station, with_wrong_tries};
use crate::command::words::of_change;

/// Arguments of `load`.
#[derive(Debug, clap::Args)]
pub(super) struct Load {
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    person: Person,
    /// The permit.
    #[arg(long, value_name = "ID")]
    permit: PermitId,
    /// What was paid in, in yuan, for example 50 or 12.50.
    #[arg(long, value_name = "YUAN")]
    amount: Fen,
    /// What tells this load from every other one of the permit, such as the number of the till's receipt. The same key
    /// again is the same load.
    #[arg(long, value_name = "TEXT", value_parser = key)]
    key: String,
    /// Write it onto the card that lies on the reader now, which needs the role `PRODUCER` as well; without this, terminals
    /// deliver it, or a producer writes it with `issuer change write`.
    #[arg(long)]
    write: bool,
    /// The reader's name; without it the one that a card lies on.
    #[arg(long, value_name = "NAME", env = "YZT_READER")]
    reader: Option<String>,
}

fn key(text: &str) -> Result<String, String> {
    if (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("a key has 1 to 64 visible ASCII characters and no blanks".into())
    }
}

program_contract::sentences! {
    fn loaded(amount, all) = "充值 {amount} 元，累计 {all} 元", "loaded {amount} yuan, {all} yuan in all";
    fn booked(amount, all) =
        "已记账 {amount} 元，尚未到卡；到卡后累计 {all} 元",
        "booked {amount} yuan, not on the card yet; {all} yuan in all when it is";
}

#[derive(Serialize)]
struct Loaded {
    #[serde(flatten)]
    change: ChangeNow,
    known: bool,
    explanation: Vec<ExplanationLine>,
}

impl Load {
    /// Decides and books a load, then queues it for terminals or writes it.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        let context = Context::open(&self.place, clock, random).await?;
        let clerk = self.person.clerk(&context).await?;
        let producer = if self.write {
            Some(self.person.producer(&context).await?)
        } else {
            None
        };
        let outcome = context
            .office
            .load(self.permit, self.amount.0, &self.key, clerk.clone())
            .await?;
        let (stored, known, explanation) = match outcome {
            LoadOutcome::Booked(stored, decision) => (*stored, false, decision.explanation),
            LoadOutcome::Known(stored) => (*stored, true, Vec::new()),
            LoadOutcome::Refused(decision) => {
                let unmet: Vec<&str> = decision.unmet().map(|line| line.condition.as_str()).collect();
                let mut failure = failure::load_refused(decision.rules.as_str(), unmet.join(", "));
                failure.lines = decision
                    .unmet()
                    .map(|unmet| {
                        line!(
                            &unmet.article,
                            " ",
                            &unmet.condition,
                            ": ",
                            (unmet.chinese(), &unmet.because)
                        )
                    })
                    .collect();
                failure.fields.insert(
                    "explanation".into(),
                    serde_json::to_value(&decision.explanation).unwrap_or_default(),
                );
                return Err(failure);
            }
        };
        let id = stored.change.id();
        let moved = async {
            let production = context.production()?;
            let stored = match &producer {
                Some(producer) => {
                    let mut station = station(self.reader.clone()).await?;
                    let stored = Box::pin(production.write_change(id, &mut station, producer)).await?;
                    (stored, station.wrong_tries())
                }
                None => (Box::pin(production.queue_change(id, &clerk)).await?, 0),
            };
            Ok::<_, Failure>(stored)
        };
        let (stored, tries) = match moved.await {
            Ok(stored) => stored,
            Err(failure) => return Err(about(&context.office, id, failure).await),
        };
        let is_on_card = matches!(stored.change.state(), ChangeState::Done { .. });
        let change = ChangeNow::of(&context.office, &stored).await?;
        let all = Fen(change.loaded.unwrap_or_default());
        let state = of_change(change.state);
        let lines = vec![if is_on_card {
            line!(&change.change_id, " ", state, " ", loaded(self.amount, all))
        } else {
            line!(&change.change_id, " ", state, " ", booked(self.amount, all))
        }];
        let report = Loaded {
            change,
            known,
            explanation,
        };
        Outcome::done("yzt.load/1", &report, lines).map(|done| with_wrong_tries(tries, done))
    }
}
