//! Before what is dangerous: a proof that the person is there, at most five minutes old. Whoever has none is asked on a page that keeps
//! the form and goes on with it.
//!
//! A layer around the routes of such forms (`routes`); what they do is their own.

use askama::Template;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest as _, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use issuer_office::error::OfficeError;
use issuer_office::staff::StaffRole;
use program_contract::Failure;

use crate::answer::{self, Answer, Told};
use crate::authenticator::{self, Asked, PROOF};
use crate::cookies::{SESSION, cookie};
use crate::counter::Counter;
use crate::form::{FORM_LIMIT, Fields};
use crate::frame::Frame;
use crate::person::{Seated, seated};

#[derive(Template)]
#[template(path = "prove.html")]
struct ProvePage {
    frame: Frame,
    /// Where the form goes on, and its fields.
    action: String,
    kept: Vec<(String, String)>,
    asked: Asked,
    /// Sample staff of a rehearsal, with their roles.
    people: Vec<(String, Vec<StaffRole>)>,
    told: Option<Told>,
}

/// Lets a form through whose person is there.
pub(crate) async fn of_presence(State(counter): State<Counter>, request: Request, next: Next) -> Response {
    match with_proof(&counter, request, next).await {
        Ok(response) | Err(response) => response,
    }
}

async fn with_proof(counter: &Counter, request: Request, next: Next) -> Result<Response, Response> {
    if request.method().is_safe() {
        return Ok(next.run(request).await);
    }
    let (parts, body) = request.into_parts();
    let person = seated(&parts, counter).await?;
    let body = to_bytes(body, FORM_LIMIT)
        .await
        .map_err(|_| StatusCode::PAYLOAD_TOO_LARGE.into_response())?;
    let again = || Request::from_parts(parts.clone(), Body::from(body.clone()));
    let fields = Fields::from_request(again(), &())
        .await
        .map_err(IntoResponse::into_response)?;
    // Who was invited may enrol and nothing else, which the office holds.
    let is_there = person.at.fresh || person.at.opened_by.enrols_alone();
    if is_there || !is_dangerous(parts.uri.path(), &fields) {
        return Ok(next.run(again()).await);
    }
    let secret = cookie(&parts.headers, SESSION).unwrap_or_default();
    let proved = match prove(counter, secret, &fields).await {
        Some(Ok(())) => return Ok(next.run(again()).await),
        Some(Err(error)) => Some(error),
        None => None,
    };
    let action = parts.uri.path().to_owned();
    let page = ask(counter, person, action, &fields, proved).await;
    Ok(page.unwrap_or_else(IntoResponse::into_response))
}

/// Of changes only what ends a chip or a card; everything else that is asked here is.
fn is_dangerous(path: &str, fields: &Fields) -> bool {
    !(path.starts_with("/counter/permits/") && path.ends_with("/changes"))
        || matches!(fields.text("kind"), "block" | "end")
}

/// Takes the proof that the form brought; nothing where it brought none.
async fn prove(counter: &Counter, secret: &str, fields: &Fields) -> Option<Result<(), OfficeError>> {
    let office = counter.office();
    let proved = async |staff| match fields.text("proof.account") {
        "" => match authenticator::answer(fields, PROOF) {
            Some(answer) => office
                .prove(staff, counter.party(), secret, &answer)
                .await
                .map(Some),
            None => Ok(None),
        },
        account => office
            .prove_sample(staff, secret, &account.parse()?)
            .await
            .map(Some),
    };
    match counter.staff().now() {
        Ok(staff) => proved(&staff).await.transpose(),
        Err(error) => Some(Err(error.into())),
    }
}

async fn ask(
    counter: &Counter,
    person: Seated,
    action: String,
    fields: &Fields,
    error: Option<OfficeError>,
) -> Answer {
    let question = counter.office().ask_proof(&person.at.member).await;
    let question = question.map_err(|error| person.refused(error))?;
    let people = crate::sign_in::sample_staff(counter, &person.frame)?;
    let page = ProvePage {
        action,
        kept: fields.without(PROOF),
        asked: Asked::to_prove(counter.party(), &question),
        people,
        told: error.map(|error| Told::of(&Failure::from(error), &person.frame)),
        frame: person.frame,
    };
    Ok(answer::page(StatusCode::FORBIDDEN, &page))
}
