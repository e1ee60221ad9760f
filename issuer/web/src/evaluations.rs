//! How holders evaluated what they were served with: by office, month and kind, from ten up, of months that are over.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use issuer_office::evaluation::SMALLEST;
use issuer_office::service::ServiceKind;

use crate::answer::{self, Answer};
use crate::counter::Counter;
use crate::frame::Frame;
use crate::person::Person;
use crate::roles::SEES;

#[derive(Template)]
#[template(path = "evaluations.html")]
struct EvaluationsPage {
    frame: Frame,
    smallest: u64,
    rows: Vec<Row>,
}

struct Row {
    month: String,
    division: String,
    kind: &'static str,
    /// How many, and the mean; none below ten.
    told: Option<(u64, String)>,
}

/// `GET /counter/evaluations`.
pub(crate) async fn page(State(counter): State<Counter>, person: Person) -> Answer {
    person.acting_as_any(&SEES)?;
    let told = counter.office().evaluations().await;
    let told = told.map_err(|error| person.refused(error))?;
    let frame = person.frame;
    let rows = told.into_iter().map(|one| Row {
        month: one.month,
        division: one.division.to_string(),
        kind: service(&frame, one.kind),
        told: one
            .told
            .map(|(number, tenths)| (number, format!("{}.{}", tenths / 10, tenths % 10))),
    });
    let page = EvaluationsPage {
        rows: rows.collect(),
        smallest: SMALLEST,
        frame,
    };
    Ok(answer::page(StatusCode::OK, &page))
}

/// A service in words.
pub(crate) fn service(frame: &Frame, kind: ServiceKind) -> &'static str {
    match kind {
        ServiceKind::FirstIssue => frame.t("首次领证", "First permit"),
        ServiceKind::Replacement => frame.t("补换领证件", "Another card"),
        ServiceKind::Change => frame.t("签注或变更", "Endorsement or change"),
    }
}
