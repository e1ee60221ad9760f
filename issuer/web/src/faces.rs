//! The faces of a card as they are printed, with their digests; and the case that a card on the reader opens.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use issuer_office::staff::StaffRole;
use issuer_production::Faces;
use permit_domain::OrderId;
use program_contract::Failure;

use crate::answer::{self, Answer, Refused};
use crate::counter::Counter;
use crate::desk::Desk;
use crate::failure;
use crate::frame::Frame;
use crate::order;
use crate::person::Person;

/// Who looks at faces.
const LOOKS: &[StaffRole] = &[StaffRole::Producer, StaffRole::HandOverClerk];

#[derive(Template)]
#[template(path = "faces.html")]
struct FacesPage {
    frame: Frame,
    id: OrderId,
    front: String,
    back: Option<String>,
    as_drawn: Option<bool>,
}

/// `GET /counter/orders/{order}/faces`.
pub(crate) async fn page(
    State(counter): State<Counter>,
    person: Person,
    Path(order): Path<String>,
) -> Answer {
    let (id, faces) = faces(&counter, &person, &order).await?;
    let page = FacesPage {
        frame: person.frame,
        id,
        front: faces.front_digest(),
        back: faces.back_digest(),
        as_drawn: faces.as_drawn,
    };
    Ok(answer::page(StatusCode::OK, &page))
}

/// `GET /counter/orders/{order}/front.png`: on record before a byte leaves, for it shows a person.
pub(crate) async fn front(
    State(counter): State<Counter>,
    person: Person,
    Path(order): Path<String>,
) -> Answer {
    let (id, faces) = faces(&counter, &person, &order).await?;
    let looked = counter.office().looks_at_face(id, &person.member.account).await;
    looked.map_err(|error| person.refused(error))?;
    Ok(png(faces.front))
}

/// `GET /counter/orders/{order}/back.png`.
pub(crate) async fn back(
    State(counter): State<Counter>,
    person: Person,
    Path(order): Path<String>,
) -> Answer {
    let (_, faces) = faces(&counter, &person, &order).await?;
    match faces.back {
        Some(back) => Ok(png(back)),
        None => Err(Refused::with(
            StatusCode::NOT_FOUND,
            person.frame,
            &failure::no_such_page(),
        )),
    }
}

fn png(bytes: Vec<u8>) -> Response {
    let headers = [(CONTENT_TYPE, "image/png"), (CONTENT_DISPOSITION, "inline")];
    (headers, bytes).into_response()
}

async fn faces(counter: &Counter, person: &Person, order: &str) -> Result<(OrderId, Faces), Refused> {
    let by = person.acting_as_any(LOOKS)?;
    let id: OrderId = person.named(order)?;
    let Some(work) = counter.desk().map(|desk| desk.faces(id, by)) else {
        return Err(order::no_reader(person.frame.clone()));
    };
    let faces = work.await;
    Ok((id, faces.map_err(|failure| not_done(person, &failure))?))
}

/// `POST /counter/orders/here`: the card on the reader opens its case.
pub(crate) async fn here(State(counter): State<Counter>, person: Person) -> Answer {
    person.acting_as_any(LOOKS)?;
    let Some(work) = counter.desk().map(Desk::order_here) else {
        return Err(order::no_reader(person.frame));
    };
    let found = tokio::spawn(work)
        .await
        .unwrap_or_else(|_| Err(failure::broke_off()));
    match found.map_err(|failure| not_done(&person, &failure))? {
        Some(id) => Ok(answer::to(&order::address(id))),
        None => Err(not_done(&person, &failure::nobodys_card())),
    }
}

fn not_done(person: &Person, failure: &Failure) -> Refused {
    Refused::with(StatusCode::CONFLICT, person.frame.clone(), failure)
}
