//! Cards that nobody fetched: since when, which notice is due, the notice to print, and after the last term back from the shelf.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use issuer_office::collection::{TERMS, Uncollected};
use issuer_office::staff::StaffRole;
use permit_domain::HandOverClerk;

use crate::answer::{self, Answer};
use crate::counter::Counter;
use crate::frame::Frame;
use crate::person::Person;
use crate::stands::minute;

#[derive(Template)]
#[template(path = "uncollected.html")]
struct UncollectedPage {
    frame: Frame,
    rows: Vec<Uncollected>,
}

impl UncollectedPage {
    /// When the last notice was printed.
    #[expect(clippy::unused_self, reason = "templates reach it by the page")]
    fn last_notice(&self, row: &Uncollected) -> Option<String> {
        row.notices.last().map(|at| minute(*at))
    }
}

/// `GET /counter/uncollected`.
pub(crate) async fn page(State(counter): State<Counter>, person: Person) -> Answer {
    person.acting_as(StaffRole::HandOverClerk)?;
    let rows = counter.office().uncollected().await;
    let rows = rows.map_err(|error| person.refused(error))?;
    let frame = person.frame;
    Ok(answer::page(StatusCode::OK, &UncollectedPage { frame, rows }))
}

#[derive(Template)]
#[template(path = "uncollected_notice.html")]
struct NoticePage {
    frame: Frame,
    waiting: Uncollected,
    today: String,
    last_term: i32,
}

/// `POST /counter/uncollected/{order}/notice`: the notice to print, which is entered as printed.
pub(crate) async fn notice(
    State(counter): State<Counter>,
    person: Person,
    Path(order): Path<String>,
) -> Answer {
    let clerk = HandOverClerk::new(person.acting_as(StaffRole::HandOverClerk)?);
    let printed = async { counter.office().notice(order.parse()?, &clerk).await };
    let waiting = printed.await.map_err(|error| person.refused(error))?;
    let page = NoticePage {
        frame: person.frame,
        waiting,
        today: counter.office().clock().today().to_string(),
        last_term: TERMS.last().copied().unwrap_or_default(),
    };
    Ok(answer::page(StatusCode::OK, &page))
}
