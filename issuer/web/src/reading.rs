//! An identity document is read into the form of the intake: what was typed stays, the person's own items come from the document.

use axum::extract::State;
use axum::http::StatusCode;
use issuer_office::error::OfficeError;
use issuer_office::staff::StaffRole;
use permit_domain::{ApplicationId, EvidenceCode};

use crate::answer::{Answer, Problem};
use crate::counter::Counter;
use crate::failure;
use crate::form::Fields;
use crate::intake::{self, Sheet, identity_items};
use crate::person::Person;

/// `POST /counter/intake/read`: the form as far as it is typed, back with what the document says.
pub(crate) async fn read(State(counter): State<Counter>, person: Person, fields: Fields) -> Answer {
    let clerk = person.acting_as(StaffRole::IntakeClerk)?;
    let id: ApplicationId = person.named(fields.text("id"))?;
    let document = match counter.identity_reader() {
        Some(reader) => reader.read().await,
        None => Err(failure::no_identity_reader()),
    };
    let document = match document {
        Ok(document) => document,
        Err(failure) => {
            let (status, told) = Problem::said(Some(failure.into()), &person.frame);
            let sheet = Sheet::told(id, fields, told);
            return Ok(intake::shown(&counter, person.frame, status, sheet));
        }
    };
    let card = EvidenceCode::IdCard.code();
    let (from, to) = (format!("{card}.from"), format!("{card}.to"));
    let items = [
        ("citizen_number", document.citizen_number),
        ("name", document.name),
        ("sex", document.sex),
        ("nation", document.nation),
        ("birth_date", document.birth_date),
        ("hukou_address", document.hukou_address),
        (from.as_str(), document.from),
        (to.as_str(), document.to),
    ];
    let mut taken: Vec<&str> = items.iter().map(|(name, _)| *name).collect();
    taken.push("read");
    let mut typed = fields.typed(&taken);
    if !fields.all("evidence").any(|code| code == card) {
        typed.push(("evidence".to_owned(), card.to_owned()));
    }
    typed.extend(items.into_iter().map(|(name, value)| (name.to_owned(), value)));
    let fields = Fields::kept(typed);
    let mark = counter
        .office()
        .identity_mark(id, &clerk, identity_items(&fields))
        .await
        .map_err(|error: OfficeError| person.refused(error))?;
    let fields = fields.with("read", mark);
    Ok(intake::shown(
        &counter,
        person.frame,
        StatusCode::OK,
        Sheet::of(id, fields),
    ))
}
