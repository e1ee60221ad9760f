//! The stock of blanks: each lot with where its blanks stand and its last count; a lot taken in, counted, called back.

use askama::Template;
use axum::extract::State;
use issuer_office::error::OfficeError;
use issuer_office::staff::StaffRole;
use issuer_office::stock::StockCount;
use issuer_store::Lot;
use permit_domain::CardSerial;

use crate::answer::{self, Answer, Problem, Told};
use crate::counter::Counter;
use crate::failure;
use crate::form::Fields;
use crate::frame::Frame;
use crate::person::Person;
use crate::scraps;
use crate::stands::minute;

/// Of the page.
const ADDRESS: &str = "/counter/stock";

#[derive(Template)]
#[template(path = "stock.html")]
struct StockPage {
    frame: Frame,
    lots: Vec<Row>,
    /// What was typed of a lot that is taken in.
    lot: String,
    serials: String,
    told: Option<Told>,
}

struct Row {
    lot: Lot,
    received: String,
    /// When, by whom, and the figures of the last count.
    counted: Option<(String, StockCount)>,
}

/// `GET /counter/stock`.
pub(crate) async fn page(State(counter): State<Counter>, person: Person) -> Answer {
    shown(&counter, person, &Fields::none(), None).await
}

async fn shown(counter: &Counter, person: Person, fields: &Fields, problem: Option<Problem>) -> Answer {
    person.acting_as(StaffRole::Producer)?;
    let lots = counter.office().lots().await;
    let lots = lots.map_err(|error| person.refused(error))?;
    let (status, told) = Problem::said(problem, &person.frame);
    let page = StockPage {
        frame: person.frame,
        lots: lots
            .into_iter()
            .map(|(lot, counted)| Row {
                received: minute(lot.received_at),
                counted: counted.map(|count| (minute(count.at), count)),
                lot,
            })
            .collect(),
        lot: fields.text("lot").to_owned(),
        serials: fields.text("serials").to_owned(),
        told,
    };
    Ok(answer::page(status, &page))
}

/// `POST /counter/stock/received`: the `lot`, and its `serials`, one a line.
pub(crate) async fn receive(State(counter): State<Counter>, person: Person, fields: Fields) -> Answer {
    let by = person.acting_as(StaffRole::Producer)?;
    let taken = async {
        let serials: Result<Vec<CardSerial>, _> = fields.text("serials").lines().flat_map(chips).collect();
        let serials = serials?;
        if serials.is_empty() {
            return Err(Problem::incomplete(failure::no_serials()));
        }
        let lot = fields.token("lot");
        Ok::<_, Problem>(counter.office().receive_blanks(&serials, &lot, &by).await?)
    };
    let done = taken.await.map(|()| ADDRESS.to_owned());
    answer::after(done, |problem| shown(&counter, person, &fields, Some(problem))).await
}

/// The serials on a line: one, also in groups, or several.
fn chips(line: &str) -> Vec<Result<CardSerial, OfficeError>> {
    match scraps::chip(line) {
        Ok(one) => vec![Ok(one)],
        Err(_) => line.split_whitespace().map(scraps::chip).collect(),
    }
}

/// `POST /counter/stock/counted`: the `lot`, and how many blanks of it lie there.
pub(crate) async fn count(State(counter): State<Counter>, person: Person, fields: Fields) -> Answer {
    let by = person.acting_as(StaffRole::Producer)?;
    let entered = async {
        let blanks = fields.number("counted").parse::<u32>();
        let blanks = blanks.map_err(|_| Problem::incomplete(failure::no_count()))?;
        Ok::<_, Problem>(
            counter
                .office()
                .count_lot(fields.text("lot"), blanks, &by)
                .await?,
        )
    };
    let (done, nothing) = (entered.await.map(|_| ADDRESS.to_owned()), Fields::none());
    answer::after(done, |problem| shown(&counter, person, &nothing, Some(problem))).await
}

/// `POST /counter/stock/recalled`: no blank of the `lot` becomes a card any more.
pub(crate) async fn recall(State(counter): State<Counter>, person: Person, fields: Fields) -> Answer {
    let by = person.acting_as(StaffRole::Producer)?;
    let recalled = async {
        let lot = fields.text("lot");
        let office = counter.office();
        // Of a lot that was never here nothing is called back.
        if !office.lots().await?.iter().any(|(known, _)| known.lot == lot) {
            return Err(OfficeError::NotFound { what: "lot" });
        }
        office.recall_lot(lot, &by).await
    };
    let (done, nothing) = (recalled.await.map(|_| ADDRESS.to_owned()), Fields::none());
    answer::after(done, |problem| shown(&counter, person, &nothing, Some(problem))).await
}
