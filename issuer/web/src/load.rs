//! Money onto a card: typed once, shown and confirmed, decided by the purse rules, booked once for each receipt of the till; then
//! written like any other change. And the receipt that the holder takes home.

use askama::Template;
use axum::extract::{Path, State};
use issuer_office::error::OfficeError;
use issuer_office::holder::Holding;
use issuer_office::loads::LoadOutcome;
use issuer_office::staff::StaffRole;
use issuer_store::Booked;
use permit_domain::{ChangeClerk, ChangeState, ExplanationLine, LoadDecision, PermitId};
use program_contract::money::{Fen, yuan};

use crate::answer::{self, Answer, Problem, Told};
use crate::change;
use crate::counter::Counter;
use crate::failure;
use crate::form::Fields;
use crate::frame::Frame;
use crate::order;
use crate::person::Person;
use crate::typed;

#[derive(Template)]
#[template(path = "load.html")]
struct LoadPage {
    frame: Frame,
    id: PermitId,
    holding: Holding,
    /// What the office knows of the purse, yuan: loaded in all, spent at least, and the largest balance.
    purse: [String; 3],
    /// Whether a reader here shows what the card itself says.
    can_see: bool,
    amount: String,
    key: String,
    /// The amount as it was read, once it is to be confirmed.
    confirm: Option<Fen>,
    told: Option<Told>,
}

fn address(permit: &str) -> String {
    format!("/counter/permits/{permit}/load")
}

/// `GET /counter/permits/{permit}/load`.
pub(crate) async fn page(
    State(counter): State<Counter>,
    person: Person,
    Path(permit): Path<String>,
) -> Answer {
    shown(&counter, person, &permit, &Fields::none(), None, None).await
}

async fn shown(
    counter: &Counter,
    person: Person,
    permit: &str,
    fields: &Fields,
    confirm: Option<Fen>,
    problem: Option<Problem>,
) -> Answer {
    person.acting_as(StaffRole::ChangeClerk)?;
    let found = async {
        let (office, id): (_, PermitId) = (counter.office(), permit.parse()?);
        let holding = office.holding(id).await?;
        Ok::<_, OfficeError>((holding, office.purse_of(id).await?))
    };
    let (holding, purse) = found.await.map_err(|error| person.refused(error))?;
    let (status, told) = Problem::said(problem, &person.frame);
    let page = LoadPage {
        id: holding.permit.id(),
        can_see: counter.desk().is_some(),
        amount: fields.text("amount").to_owned(),
        key: fields.token("key"),
        frame: person.frame,
        purse: [purse.loaded, purse.spent, purse.balance()].map(|fen| yuan(fen.into())),
        holding,
        confirm,
        told,
    };
    Ok(answer::page(status, &page))
}

/// `POST /counter/permits/{permit}/load`: `amount` in yuan and `key`, the number of the till's receipt; booked when `confirmed`.
pub(crate) async fn load(
    State(counter): State<Counter>,
    person: Person,
    Path(permit): Path<String>,
    fields: Fields,
) -> Answer {
    let clerk = ChangeClerk::new(person.acting_as(StaffRole::ChangeClerk)?);
    let read = read(&fields);
    let (amount, key) = match read {
        Ok(read) => read,
        Err(problem) => return shown(&counter, person, &permit, &fields, None, Some(problem)).await,
    };
    let (office, id): (_, PermitId) = (counter.office(), person.named(&permit)?);
    if fields.text("confirmed").is_empty() {
        // What stands against it is told before anybody's money is taken.
        let foreseen = office.foresee_load(id, amount.0, &key).await;
        let against = match foreseen {
            Ok(decision) => decision
                .filter(|decision| decision.loaded.is_none())
                .map(|decision| refused(&decision)),
            Err(error) => Some(Problem::from(error)),
        };
        let confirm = against.is_none().then_some(amount);
        return shown(&counter, person, &permit, &fields, confirm, against).await;
    }
    let done = match office.load(id, amount.0, &key, clerk).await {
        Ok(LoadOutcome::Booked(stored, _) | LoadOutcome::Known(stored)) => {
            Ok(change::address(stored.change.id()))
        }
        Ok(LoadOutcome::Refused(decision)) => Err(refused(&decision)),
        Err(error) => Err(Problem::from(error)),
    };
    answer::after(done, |problem| {
        shown(&counter, person, &permit, &fields, None, Some(problem))
    })
    .await
}

/// Amount and key as they were typed.
fn read(fields: &Fields) -> Result<(Fen, String), Problem> {
    let amount = typed::amount(fields.text("amount")).parse::<Fen>();
    let amount = amount.map_err(|why| Problem::incomplete(failure::no_amount(why)))?;
    let key = fields.token("key");
    if !(1..=64).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Problem::incomplete(failure::no_key()));
    }
    Ok((amount, key))
}

fn refused(decision: &LoadDecision) -> Problem {
    let joined = |word: fn(&ExplanationLine) -> &str| {
        let limits: Vec<&str> = decision.unmet().map(word).collect();
        limits.join("；")
    };
    failure::load_refused((
        joined(ExplanationLine::chinese),
        joined(|line| line.because.as_str()),
    ))
    .into()
}

/// `POST /counter/permits/{permit}/purse`: what the card on the reader says that it spent, which makes room below the limits.
pub(crate) async fn see(
    State(counter): State<Counter>,
    person: Person,
    Path(permit): Path<String>,
) -> Answer {
    person.acting_as(StaffRole::ChangeClerk)?;
    let id: PermitId = person.named(&permit)?;
    let Some(work) = counter.desk().map(|desk| desk.see_purse(id)) else {
        return Err(order::no_reader(person.frame));
    };
    let seen = tokio::spawn(work)
        .await
        .unwrap_or_else(|_| Err(failure::broke_off()));
    let (done, nothing) = (seen.map(|_| address(&permit)), Fields::none());
    answer::after(done, |problem| {
        shown(&counter, person, &permit, &nothing, None, Some(problem))
    })
    .await
}

#[derive(Template)]
#[template(path = "receipt.html")]
struct ReceiptPage {
    frame: Frame,
    change: String,
    holder: String,
    card: String,
    amount: String,
    all: String,
    clerk: String,
    /// On the card since this day; `None`: booked, and not on the card.
    written_on: Option<String>,
    today: String,
}

/// `GET /counter/changes/{change}/receipt`: of a load, to be printed.
pub(crate) async fn receipt(
    State(counter): State<Counter>,
    person: Person,
    Path(change): Path<String>,
) -> Answer {
    person.acting_as_any(&[StaffRole::ChangeClerk, StaffRole::Producer])?;
    let found = async {
        let proposed = counter.office().proposal(change.parse()?).await?;
        let load: Booked = proposed
            .stored
            .load
            .clone()
            .ok_or(OfficeError::NotFound { what: "change" })?;
        Ok((proposed, load))
    };
    let (proposed, load) = found.await.map_err(|error: OfficeError| person.refused(error))?;
    let stored = &proposed.stored.change;
    let page = ReceiptPage {
        frame: person.frame,
        change: stored.id().to_string(),
        holder: proposed.facts.name.to_string(),
        card: stored.card().number.to_string(),
        amount: yuan(load.amount.into()),
        all: yuan(load.loaded.into()),
        clerk: permit_domain::Actor::staff(stored.clerk()).to_string(),
        written_on: match stored.state() {
            ChangeState::Done { on, .. } => Some(on.to_string()),
            _ => None,
        },
        today: counter.office().clock().today().to_string(),
    };
    Ok(answer::page(axum::http::StatusCode::OK, &page))
}
