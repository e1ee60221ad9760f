//! The card of a case: ordered, made step by step at the reader, handed over.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use issuer_office::card_content::CardContent;
use issuer_office::error::OfficeError;
use issuer_office::staff::StaffRole;
use issuer_production::HolderChecked;
use jiff::Timestamp;
use permit_domain::{
    Agent, AgentDocument, HandOverClerk, Maker, Order, OrderId, OrderState, PermitId, Producer, ScrapReason,
    Step,
};
use program_contract::Failure;

use crate::answer::{self, Answer, Problem, Refused, Told};
use crate::case;
use crate::counter::{AtWork, Counter};
use crate::desk::AtReader;
use crate::failure;
use crate::form::Fields;
use crate::frame::Frame;
use crate::person::Person;
use crate::stands::{card_words, document_words, minute, order_words, reason_words};

#[derive(Template)]
#[template(path = "order.html")]
#[expect(clippy::struct_excessive_bools, reason = "a button each")]
struct OrderPage {
    frame: Frame,
    order: Order,
    application: String,
    holder: String,
    photo: Option<String>,
    state: &'static str,
    steps: Vec<StepShown>,
    told: Option<Told>,
    /// Whether the page looks again by itself.
    lives: bool,
    /// Who makes cards here: the person at the page, a worker, or nobody.
    makes: Makes,
    can_make: bool,
    can_hand_over: bool,
    can_reject: bool,
    /// Whether chip, records and faces were read back and were as ordered.
    is_verified: bool,
    /// Whether the faces can be seen here.
    has_faces: bool,
    /// The card that this one takes the place of, and where it stands.
    old_card: Option<(String, &'static str)>,
    /// Who fetches it in the holder's name, as it was entered.
    agent: Option<Agent>,
    /// Why a card is rejected.
    reasons: Vec<(&'static str, &'static str)>,
}

#[derive(PartialEq, Eq)]
enum Makes {
    ThisPerson,
    Worker,
    Nobody,
}

impl OrderPage {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates lend what they have")]
    fn document(&self, document: &AgentDocument) -> &'static str {
        document_words(&self.frame, *document)
    }
}

struct StepShown {
    name: &'static str,
    /// `done`, `doing`, `to-do`.
    stands: &'static str,
    at: String,
    by: String,
    /// Seconds since the step before it, where a machine did both.
    took: Option<String>,
}

/// `POST /counter/cases/{application}/order`.
pub(crate) async fn order(
    State(counter): State<Counter>,
    person: Person,
    Path(application): Path<String>,
    fields: Fields,
) -> Answer {
    let producer = Producer::new(person.acting_as(StaffRole::Producer)?);
    let ordered = async {
        let id: OrderId = fields.text("order").parse()?;
        let permit: PermitId = fields.text("permit").parse()?;
        counter.office().order(id, permit, producer, None).await
    };
    let done = ordered.await.map(|order| address(order.id()));
    answer::after(done, |problem| {
        case::shown(&counter, person, &application, Some(problem))
    })
    .await
}

/// `GET /counter/orders/{order}`.
pub(crate) async fn page(
    State(counter): State<Counter>,
    person: Person,
    Path(order): Path<String>,
) -> Answer {
    shown(&counter, person, &order, None).await
}

/// How long it took, seconds with a decimal.
fn seconds(from: Timestamp, to: Timestamp) -> String {
    let millis = to.duration_since(from).as_millis();
    format!("{}.{}", millis / 1000, (millis % 1000) / 100)
}

/// The address of an order.
pub(crate) fn address(id: OrderId) -> String {
    format!("/counter/orders/{id}")
}

async fn shown(counter: &Counter, person: Person, order: &str, problem: Option<Problem>) -> Answer {
    person.acting_as_any(&[StaffRole::Producer, StaffRole::HandOverClerk])?;
    let (status, told) = Problem::said(problem, &person.frame);
    let page = make_page(counter, &person, order, told).await;
    let page = page.map_err(|error| person.refused(error))?;
    Ok(answer::page(status, &page))
}

async fn make_page(
    counter: &Counter,
    person: &Person,
    order: &str,
    told: Option<Told>,
) -> Result<OrderPage, OfficeError> {
    let office = counter.office();
    let frame = person.frame.clone();
    let order = office.order_status(order.parse()?).await?;
    let permit = office.permit(order.permit()).await?;
    let application = office.application(permit.grant().application).await?;
    let content = CardContent::from_content(order.content())?;
    let records = office.order_steps(order.id()).await?;
    let next = order.state().next_step();
    let steps = STEPS
        .into_iter()
        .map(|(step, state, zh, en)| {
            let place = records.iter().rposition(|record| record.step == state);
            let done = place.and_then(|place| records.get(place));
            let before = place.and_then(|place| records.get(place.checked_sub(1)?));
            StepShown {
                took: done
                    .zip(before)
                    .filter(|_| !matches!(step, Step::Allocate))
                    .map(|(done, before)| seconds(before.finished_at, done.finished_at)),
                name: frame.t(zh, en),
                stands: match (done, next == Some(step)) {
                    (Some(_), _) => "done",
                    (None, true) => "doing",
                    (None, false) => "to-do",
                },
                at: done.map(|record| minute(record.finished_at)).unwrap_or_default(),
                by: done.map(|record| record.actor.clone()).unwrap_or_default(),
            }
        })
        .collect();
    let at_reader = counter.at_reader(order.id());
    let told = told.or_else(|| match &at_reader {
        Some(AtWork::Stopped(failure)) => Some(Told::of(failure, &frame)),
        _ => None,
    });
    let unmade = next.is_some_and(|step| step != Step::HandOver);
    let makes = match counter.desk() {
        Some(desk) if desk.makes_by_itself() => Makes::Worker,
        Some(_) if person.may(StaffRole::Producer) => Makes::ThisPerson,
        _ => Makes::Nobody,
    };
    let producer = permit_domain::Actor::staff(order.duties().producer()) == &person.member.account;
    Ok(OrderPage {
        state: order_words(&frame, order.state()),
        holder: application.applicant.name.to_string(),
        photo: content.photo().id().ok().map(|id| id.to_string()),
        lives: unmade && (makes == Makes::Worker || matches!(at_reader, Some(AtWork::Running))),
        can_hand_over: next == Some(Step::HandOver)
            && counter.desk().is_some()
            && person.may(StaffRole::HandOverClerk)
            && !producer,
        can_reject: order.clone().give_up().is_ok() && person.may(StaffRole::Producer),
        is_verified: records.iter().any(|record| record.step == "VERIFIED"),
        has_faces: counter.desk().is_some() && !matches!(order.state(), OrderState::GivenUp { .. }),
        old_card: office
            .old_card(&order)
            .await?
            .map(|card| (card.number.to_string(), card_words(&frame, card.state))),
        agent: office.agent_of(order.id()).await?,
        can_make: unmade && person.may(StaffRole::Producer),
        reasons: ScrapReason::OF_PRODUCTION
            .iter()
            .filter(|reason| **reason != ScrapReason::NotCollected)
            .map(|reason| (reason.name(), reason_words(&frame, *reason)))
            .collect(),
        application: application.application.id().to_string(),
        frame,
        order,
        steps,
        told,
        makes,
    })
}

const STEPS: [(Step, &str, &str, &str); 5] = [
    (
        Step::Allocate,
        "ALLOCATED",
        "分配空白卡和卡号",
        "Blank and card number",
    ),
    (Step::Encode, "ENCODED", "写卡", "Encode"),
    (Step::Draw, "DRAWN", "绘制卡面", "Draw the faces"),
    (Step::Verify, "VERIFIED", "回读核验", "Read back and verify"),
    (
        Step::HandOver,
        "HANDED_OVER",
        "激活并发放",
        "Activate and hand over",
    ),
];

/// `POST /counter/orders/{order}/make`: begins, or goes on, with the card on the reader. It goes on when the page is left.
pub(crate) async fn make(
    State(counter): State<Counter>,
    person: Person,
    Path(order): Path<String>,
) -> Answer {
    let producer = Producer::new(person.acting_as(StaffRole::Producer)?);
    let id: OrderId = person.named(&order)?;
    let Some(work) = counter
        .desk()
        .and_then(|desk| desk.make(id, Maker::Person(producer)))
    else {
        return Err(no_reader(person.frame));
    };
    // A double press begins it once.
    let begun = begin(&counter, id);
    if begun {
        let counter = counter.clone();
        tokio::spawn(async move { end(&counter, id, work.await) });
    }
    Ok(answer::to(&address(id)))
}

/// `POST /counter/orders/{order}/hand-over`: `checked` says whom the clerk looked at.
pub(crate) async fn hand_over(
    State(counter): State<Counter>,
    person: Person,
    Path(order): Path<String>,
    fields: Fields,
) -> Answer {
    let clerk = HandOverClerk::new(person.acting_as(StaffRole::HandOverClerk)?);
    let id: OrderId = person.named(&order)?;
    let Some(desk) = counter.desk() else {
        return Err(no_reader(person.frame));
    };
    let office = counter.office();
    let handed = async {
        let holder = checked(&fields)?;
        let order = office.order_status(id).await?;
        let is_over = matches!(order.state(), OrderState::HandedOver { .. });
        let old = office.old_card(&order).await?;
        let given_back = match (old, fields.text("old_card")) {
            (None, _) => None,
            (Some(_), "given-back") => Some(true),
            (Some(_), "absent") => Some(false),
            (Some(_), _) => return Err(Problem::incomplete(failure::no_old_card())),
        };
        let holder = match holder {
            None => HolderChecked::Holder,
            // Handed over already: the same again answers the same.
            Some(agent) => {
                if !is_over {
                    office.keep_agent(id, &agent, &clerk).await?;
                }
                HolderChecked::Agent
            }
        };
        let work = desk.hand_over(id, clerk.clone(), holder);
        if let Some(Err(failure)) = finished(&counter, id, work).await {
            return Err(failure.into());
        }
        if let Some(given_back) = given_back {
            office.old_card_was_given_back(id, given_back, &clerk).await?;
        }
        Ok::<_, Problem>(address(id))
    };
    let done = handed.await;
    answer::after(done, |problem| shown(&counter, person, &order, Some(problem))).await
}

/// Whom the clerk checked: the holder (`None`), or an agent by name and kind of document.
fn checked(fields: &Fields) -> Result<Option<Agent>, Problem> {
    match fields.text("checked") {
        "holder" => Ok(None),
        "agent" => {
            let (name, document) = (fields.name("agent_name"), fields.text("agent_document"));
            if name.is_empty() || document.is_empty() {
                return Err(Problem::incomplete(failure::no_agent()));
            }
            let read = |error: permit_domain::Error| Problem::incomplete(OfficeError::from(error).into());
            Ok(Some(Agent {
                name: name.parse().map_err(read)?,
                document: document.parse().map_err(read)?,
            }))
        }
        _ => Err(Problem::incomplete(failure::nobody_checked())),
    }
}

/// `POST /counter/orders/{order}/reject`: for a `reason`, which an order without a card does not need. Its card is set aside.
pub(crate) async fn reject(
    State(counter): State<Counter>,
    person: Person,
    Path(order): Path<String>,
    fields: Fields,
) -> Answer {
    let reason = fields.text("reason").parse::<ScrapReason>().ok();
    let roles = match reason {
        // Who keeps the shelf takes a card back from it.
        Some(ScrapReason::NotCollected) => [StaffRole::HandOverClerk],
        _ => [StaffRole::Producer],
    };
    let by = person.acting_as_any(&roles)?;
    let rejected = async {
        let office = counter.office();
        let id: OrderId = order.parse().map_err(OfficeError::from)?;
        match reason {
            Some(ScrapReason::NotCollected) => Ok(office
                .reject(id, ScrapReason::NotCollected, &HandOverClerk::new(by))
                .await?),
            Some(reason) => Ok(office.reject(id, reason, &Producer::new(by)).await?),
            None if office.order_status(id).await?.state().card().is_none() => {
                Ok(office.give_up(id, &Producer::new(by)).await?)
            }
            None => Err(Problem::incomplete(failure::no_reason())),
        }
    };
    let done = rejected.await.map(|order| address(order.id()));
    answer::after(done, |problem| shown(&counter, person, &order, Some(problem))).await
}

/// Whether this is the one that begins work for the order.
fn begin(counter: &Counter, id: OrderId) -> bool {
    let mut works = counter.works();
    if matches!(works.get(&id), Some(AtWork::Running)) {
        return false;
    }
    works.insert(id, AtWork::Running);
    true
}

fn end(counter: &Counter, id: OrderId, outcome: Result<Order, Failure>) {
    let mut works = counter.works();
    match outcome {
        Ok(_) => works.remove(&id),
        Err(failure) => works.insert(id, AtWork::Stopped(Box::new(failure))),
    };
    drop(works);
    // What went wrong at the reader stands in no line of the ledger.
    counter.live().moved();
}

/// Waits for work at the reader, which goes on when nobody waits any more; `None` where it was under way already.
async fn finished(counter: &Counter, id: OrderId, work: AtReader) -> Option<Result<Order, Failure>> {
    if !begin(counter, id) {
        return None;
    }
    let ours = counter.clone();
    let task = tokio::spawn(async move {
        let outcome = work.await;
        let kept = outcome.clone();
        end(&ours, id, outcome);
        kept
    });
    task.await.ok()
}

pub(crate) fn no_reader(frame: Frame) -> Refused {
    Refused::with(StatusCode::CONFLICT, frame, &failure::no_reader())
}
