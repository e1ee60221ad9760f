//! The card of a case: ordered, made step by step at the reader, handed over.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use issuer_office::card_content::CardContent;
use issuer_office::error::OfficeError;
use issuer_office::staff::StaffRole;
use issuer_production::HolderChecked;
use permit_domain::{HandOverClerk, Maker, Order, OrderId, PermitId, Producer, Step};
use program_contract::Failure;

use crate::answer::{self, Answer, Problem, Refused, Told};
use crate::case;
use crate::counter::{AtWork, Counter};
use crate::desk::AtReader;
use crate::failure;
use crate::form::Fields;
use crate::frame::Frame;
use crate::person::Person;
use crate::stands::{minute, order_words};

#[derive(Template)]
#[template(path = "order.html")]
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
    can_hand_over: bool,
    can_give_up: bool,
}

#[derive(PartialEq, Eq)]
enum Makes {
    ThisPerson,
    Worker,
    Nobody,
}

struct StepShown {
    name: &'static str,
    /// `done`, `doing`, `to-do`.
    stands: &'static str,
    at: String,
    by: String,
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
            let done = records.iter().rfind(|record| record.step == state);
            StepShown {
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
        can_give_up: unmade && person.may(StaffRole::Producer),
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
    let holder = match fields.text("checked") {
        "holder" => HolderChecked::Holder,
        "agent" => HolderChecked::Agent,
        _ => {
            let problem = Problem::incomplete(failure::nobody_checked());
            return shown(&counter, person, &order, Some(problem)).await;
        }
    };
    let Some(work) = counter.desk().map(|desk| desk.hand_over(id, clerk, holder)) else {
        return Err(no_reader(person.frame));
    };
    let done = match finished(&counter, id, work).await {
        None | Some(Ok(_)) => Ok(address(id)),
        Some(Err(failure)) => Err(failure),
    };
    answer::after(done, |problem| shown(&counter, person, &order, Some(problem))).await
}

/// `POST /counter/orders/{order}/give-up`.
pub(crate) async fn give_up(
    State(counter): State<Counter>,
    person: Person,
    Path(order): Path<String>,
) -> Answer {
    let producer = Producer::new(person.acting_as(StaffRole::Producer)?);
    let given_up = async { counter.office().give_up(order.parse()?, &producer).await };
    let done = given_up.await.map(|order| address(order.id()));
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
