//! `issuer card`: a card that is lost, found, blocked, replaced or destroyed.

use issuer_office::changes::Proposal;
use issuer_office::loss::allowing_to_sign;
use issuer_office::random::Random;
use issuer_office::scrap::WITNESSES;
use issuer_store::Card;
use permit_domain::{CardNumber, Digest, EndOfCard, ScrapReason};
use program_contract::language::Words;
use program_contract::{Clock, Failure, Outcome, line};
use serde::Serialize;

use crate::command::change_now::{about, shown};
use crate::command::place::{Context, Place};
use crate::command::session::Person;
use crate::command::words::{of_card, of_chip, of_denial};

/// Arguments of `card`.
#[derive(Debug, clap::Args)]
pub(super) struct CardCommand {
    #[command(subcommand)]
    step: CardStep,
}

#[derive(Debug, clap::Subcommand)]
enum CardStep {
    /// The holder lost it: onto the deny lists.
    Lost(OneCard),
    /// A lost card was brought in: it stays denied.
    Found(OneCard),
    /// It was taken away (article 19).
    Confiscated(OneCard),
    /// The holder gave it back.
    Returned(OneCard),
    /// It does not work any more.
    Damaged(OneCard),
    /// Propose that a card that was brought in works again.
    Allow(OneCard),
    /// Sign that off as the second person (role `APPROVER`), as `issuer card show` shows it: the card works again.
    ApproveAllow(ApproveAllow),
    /// Block its chip: by terminals, or at the reader with `issuer change write`.
    Block(OneCard),
    /// Free its permit for another card.
    Replace(OneCard),
    /// The balance of a replaced card for the new one: says why not.
    Balance(OneCard),
    /// Set it aside to be destroyed, as the first of two people.
    SetAside(SetAside),
    /// It was cut up before you, the second person.
    Destroyed(OneCard),
    /// Where it stands.
    Show(JustCard),
    /// Tell the vault what the ledger wants of the deny lists.
    Confirm(JustPlace),
}

#[derive(Debug, clap::Args)]
struct OneCard {
    #[command(flatten)]
    place: Place,
    /// The card's number, as printed.
    #[arg(long, value_name = "NUMBER")]
    card: CardNumber,
    #[command(flatten)]
    person: Person,
}

#[derive(Debug, clap::Args)]
struct ApproveAllow {
    #[command(flatten)]
    card: OneCard,
    /// The digest of what you read with `issuer card show`, 64 hex digits.
    #[arg(long, value_name = "DIGEST")]
    content: Digest,
}

#[derive(Debug, clap::Args)]
struct SetAside {
    #[command(flatten)]
    card: OneCard,
    /// Why, such as DAMAGED, RETURNED, REPLACED or RECALLED.
    #[arg(long, value_name = "REASON")]
    reason: ScrapReason,
}

#[derive(Debug, clap::Args)]
struct JustCard {
    #[command(flatten)]
    place: Place,
    /// The card's number, as printed.
    #[arg(long, value_name = "NUMBER")]
    card: CardNumber,
}

#[derive(Debug, clap::Args)]
struct JustPlace {
    #[command(flatten)]
    place: Place,
}

#[derive(Serialize)]
struct CardNow {
    card_number: String,
    permit_id: String,
    state: &'static str,
    denial: &'static str,
    chip: &'static str,
    allow_proposed_by: Option<String>,
    /// The permit's last day as the card shows it.
    card_until: Option<String>,
    /// While somebody proposes to allow it again: 64 hex digits, for `issuer card approve-allow --content`.
    content: Option<String>,
}

impl From<&Card> for CardNow {
    fn from(card: &Card) -> Self {
        Self {
            card_number: card.number.to_string(),
            permit_id: card.permit.to_string(),
            state: card.state.name(),
            denial: card.denial.name(),
            chip: card.chip.name(),
            allow_proposed_by: card.allow_proposed_by.as_ref().map(ToString::to_string),
            card_until: card.until.map(|day| day.to_string()),
            content: card
                .allow_proposed_by
                .as_ref()
                .map(|_| allowing_to_sign(card).to_string()),
        }
    }
}

#[derive(Serialize)]
struct Confirmed {
    confirmed: u64,
}

const CARD: &str = "yzt.card/1";

program_contract::sentences! {
    fn allowing(clerk, here, card, content) =
        "{clerk} 已提议恢复使用；请第二人签批：`issuer card approve-allow{here} --card {card} --content {content}`",
        "{clerk} proposed to allow it again; a second person signs it off: `issuer card approve-allow{here} --card {card} --content {content}`";
    fn destroy_before(here, card) =
        "已交待销毁；请当着第二人剪毁，由其执行 `issuer card destroyed{here} --card {card}`",
        "set aside; cut it up before a second person, who says so with `issuer card destroyed{here} --card {card}`";
    fn denials_confirmed(count) = "已确认 {count} 项", "{count} confirmed";
}

fn stands(place: &Place, card: &Card) -> Result<Outcome, Failure> {
    let now = CardNow::from(card);
    let mut lines = vec![line!(
        &now.card_number,
        " ",
        of_card(now.state),
        ", ",
        Words("拒绝名单", "deny lists"),
        " ",
        of_denial(now.denial),
        ", ",
        Words("芯片", "chip"),
        " ",
        of_chip(now.chip),
        ", ",
        Words("卡上至", "on the card until"),
        " ",
        now.card_until.as_deref().unwrap_or("-")
    )];
    if let (Some(clerk), Some(content)) = (&now.allow_proposed_by, &now.content) {
        lines.push(line!(allowing(clerk, place.here(), &now.card_number, content)));
    }
    Outcome::done(CARD, &now, lines)
}

impl CardCommand {
    /// Whether the result is wanted as JSON.
    pub(super) const fn json(&self) -> bool {
        match &self.step {
            CardStep::Lost(it)
            | CardStep::Found(it)
            | CardStep::Confiscated(it)
            | CardStep::Returned(it)
            | CardStep::Damaged(it)
            | CardStep::Allow(it)
            | CardStep::Block(it)
            | CardStep::Replace(it)
            | CardStep::Balance(it)
            | CardStep::Destroyed(it) => it.place.json,
            CardStep::ApproveAllow(it) => it.card.place.json,
            CardStep::SetAside(it) => it.card.place.json,
            CardStep::Show(it) => it.place.json,
            CardStep::Confirm(it) => it.place.json,
        }
    }

    /// One step of a card that is lost, found, blocked, replaced or destroyed.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        let ended = async |it: &OneCard, how| {
            let context = Context::open(&it.place, clock, random).await?;
            let clerk = it.person.clerk(&context).await?;
            stands(
                &context.place,
                &context.office.end_card(&it.card, how, &clerk).await?,
            )
        };
        match &self.step {
            CardStep::Lost(it) => ended(it, EndOfCard::Lost).await,
            CardStep::Confiscated(it) => ended(it, EndOfCard::Confiscated).await,
            CardStep::Returned(it) => ended(it, EndOfCard::Returned).await,
            CardStep::Damaged(it) => ended(it, EndOfCard::Damaged).await,
            CardStep::Found(it) => {
                let context = Context::open(&it.place, clock, random).await?;
                let clerk = it.person.clerk(&context).await?;
                stands(&context.place, &context.office.found(&it.card, &clerk).await?)
            }
            CardStep::Allow(it) => {
                let context = Context::open(&it.place, clock, random).await?;
                let clerk = it.person.clerk(&context).await?;
                stands(
                    &context.place,
                    &context.office.propose_allowing(&it.card, &clerk).await?,
                )
            }
            CardStep::ApproveAllow(it) => {
                let context = Context::open(&it.card.place, clock, random).await?;
                let approver = it.card.person.approver(&context).await?;
                let allowed = context.office.allow_again(&it.card.card, &approver, it.content);
                stands(&context.place, &allowed.await?)
            }
            CardStep::Replace(it) => {
                let context = Context::open(&it.place, clock, random).await?;
                let clerk = it.person.clerk(&context).await?;
                stands(&context.place, &context.office.replace(&it.card, &clerk).await?)
            }
            CardStep::Balance(it) => {
                let context = Context::open(&it.place, clock, random).await?;
                it.person.clerk(&context).await?;
                context.office.transfer_balance(&it.card).await?;
                stands(&context.place, &context.office.card(&it.card).await?)
            }
            CardStep::SetAside(it) => set_aside(it, clock, random).await,
            CardStep::Destroyed(it) => {
                let context = Context::open(&it.place, clock, random).await?;
                let witness = it.person.acting_as_any(&context, WITNESSES).await?;
                let serial = context.office.card(&it.card).await?.serial;
                context.office.destroyed_before(serial, &witness).await?;
                stands(&context.place, &context.office.card(&it.card).await?)
            }
            CardStep::Block(it) => block(it, clock, random).await,
            CardStep::Show(it) => {
                let context = Context::open(&it.place, clock, random).await?;
                stands(&context.place, &context.office.card(&it.card).await?)
            }
            CardStep::Confirm(it) => {
                let context = Context::open(&it.place, clock, random).await?;
                let confirmed = context.office.confirm_denials().await?;
                let lines = vec![line!(denials_confirmed(confirmed))];
                Outcome::done(CARD, &Confirmed { confirmed }, lines)
            }
        }
    }
}

/// The first of two people: what is said then is what the second one does.
async fn set_aside(it: &SetAside, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
    let context = Context::open(&it.card.place, clock, random).await?;
    let clerk = it.card.person.clerk(&context).await?;
    let card = context.office.card(&it.card.card).await?;
    context.office.set_aside(card.serial, it.reason, &clerk).await?;
    let next = line!(destroy_before(context.place.here(), card.number.as_str()));
    Outcome::done(CARD, &CardNow::from(&card), vec![next])
}

/// Proposes and queues the block of one card; a block that is open already goes on.
async fn block(it: &OneCard, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
    let context = Context::open(&it.place, clock, random).await?;
    let clerk = it.person.clerk(&context).await?;
    let card = context.office.card(&it.card).await?;
    let permit = context.office.permit(card.permit).await?;
    let id = context.office.new_change_id();
    let proposed = context
        .office
        .propose_for(id, &permit, &card, Proposal::Block, clerk.clone())
        .await;
    let id = match proposed {
        Ok(stored) => stored.change.id(),
        Err(issuer_office::error::OfficeError::Refused(permit_domain::Refusal::ChangeOpen { change })) => {
            change
        }
        Err(error) => return Err(error.into()),
    };
    match Box::pin(context.production()?.queue_change(id, &clerk)).await {
        Ok(stored) => shown(CARD, &context, &stored).await,
        Err(error) => Err(about(&context.office, id, error.into()).await),
    }
}
