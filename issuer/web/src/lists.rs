//! The first page, with what waits for whoever signed in, and the lists of work.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use issuer_office::work::{Waiting, WorkList};
use jiff::civil::Date;
use permit_domain::tier_words;

use crate::allow;
use crate::answer::{self, Answer, Refused};
use crate::case;
use crate::counter::Counter;
use crate::failure;
use crate::frame::Frame;
use crate::person::Person;
use crate::scraps;
use crate::stands::{Deadline, card_words, kind_words, masked, order_words};

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    frame: Frame,
}

/// `GET /counter`.
pub(crate) async fn home(person: Person) -> Response {
    answer::page(StatusCode::OK, &Home { frame: person.frame })
}

/// An address that no page has.
pub(crate) async fn nowhere(person: Person) -> Refused {
    Refused::with(StatusCode::NOT_FOUND, person.frame, &failure::no_such_page())
}

/// The address of a form, opened as a page: a tab that was restored, or Enter in the address bar. On to the page that has the form.
pub(crate) async fn form_alone(method: Method, uri: Uri) -> Response {
    if !method.is_safe() {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    answer::to(&page_of_form(uri.path()))
}

fn page_of_form(path: &str) -> String {
    const PAGES: [&str; 5] = ["cases", "orders", "permits", "changes", "paper"];
    let mut parts = path.trim_start_matches("/counter/").split('/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(kind), Some(id), Some(_)) if PAGES.contains(&kind) => format!("/counter/{kind}/{id}"),
        _ => "/counter".to_owned(),
    }
}

#[derive(Template)]
#[template(path = "list.html")]
struct ListPage {
    frame: Frame,
    list: WorkList,
    rows: Vec<Row>,
}

/// A case in a list.
struct Row {
    address: String,
    name: String,
    /// The number without the day of birth and the last digits.
    number: String,
    tier: &'static str,
    accepted_on: String,
    clock: Option<Deadline>,
    state: Option<String>,
    in_doubt: bool,
}

/// `GET /counter/lists/{list}`.
pub(crate) async fn list(State(counter): State<Counter>, person: Person, Path(name): Path<String>) -> Answer {
    let Some(list) = WorkList::ALL.into_iter().find(|list| list.name() == name) else {
        return Err(nowhere(person).await);
    };
    person.acting_as_any(list.roles())?;
    // What is set aside is nobody's case.
    if list == WorkList::Destroy {
        return Ok(answer::to(scraps::ADDRESS));
    }
    let office = counter.office();
    let waiting = office.work(list).await;
    let waiting = waiting.map_err(|error| person.refused(error))?;
    let today = office.clock().today();
    let rows = waiting
        .iter()
        .map(|case| row(&person.frame, case, today))
        .collect();
    let page = ListPage {
        frame: person.frame,
        list,
        rows,
    };
    Ok(answer::page(StatusCode::OK, &page))
}

fn row(frame: &Frame, waits: &Waiting, today: Date) -> Row {
    let order = waits.order.as_ref();
    Row {
        address: match (order, &waits.change, &waits.card) {
            (Some(order), _, _) => format!("/counter/orders/{}", order.id()),
            (None, Some(change), _) => format!("/counter/changes/{}", change.id()),
            (None, None, Some(card)) => allow::address(&card.number),
            (None, None, None) if waits.taken_by.is_some() => {
                format!("{}#photo", case::address(waits.application))
            }
            (None, None, None) => case::address(waits.application),
        },
        name: waits.applicant.name.to_string(),
        number: masked(waits.applicant.citizen_number.as_str()),
        tier: waits.tier.map_or_else(
            || frame.t("未指定", "any"),
            |tier| {
                let (zh, en) = tier_words(tier);
                frame.t(zh, en)
            },
        ),
        accepted_on: waits.accepted_on.map(|day| day.to_string()).unwrap_or_default(),
        clock: Deadline::of(waits.issue_by, today),
        state: match (order, &waits.change, &waits.card, &waits.taken_by) {
            (Some(order), ..) => Some(order_words(frame, order.state()).to_owned()),
            (None, Some(change), ..) => Some(kind_words(frame, change.kind()).to_owned()),
            (None, None, Some(card), _) => Some(card_words(frame, card.state).to_owned()),
            (None, None, None, Some(by)) if frame.account.as_deref() == Some(by.as_str()) => Some(
                frame
                    .t("由您采集，请另一人确认", "you took it: a colleague confirms")
                    .to_owned(),
            ),
            (None, None, None, Some(by)) => Some(format!("{} {by}", frame.t("采集人", "taken by"))),
            (None, None, None, None) => None,
        },
        in_doubt: waits.in_doubt(),
    }
}
