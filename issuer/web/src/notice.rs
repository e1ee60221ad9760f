//! The one-time notice (一次性告知书): everything that an application still lacks, said once and on paper, before anything is filed
//! (Decree 663, article 9). Made of what stands in the intake form; nobody is looked up and nothing is kept.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use issuer_office::error::OfficeError;
use issuer_office::staff::StaffRole;
use permit_domain::FormErrors;

use crate::answer::{self, Answer};
use crate::case::{self, Shown};
use crate::counter::Counter;
use crate::form::Fields;
use crate::frame::Frame;
use crate::intake::{self, Wrong};
use crate::person::Person;

#[derive(Template)]
#[template(path = "notice.html")]
struct Notice {
    frame: Frame,
    name: String,
    today: String,
    clerk: String,
    /// What cannot be taken as it is.
    wrong: Vec<Wrong>,
    /// What would be decided today, where it can be told.
    decision: Option<Shown>,
}

/// `POST /counter/intake/notice`, with the fields of the intake.
pub(crate) async fn notice(State(counter): State<Counter>, person: Person, fields: Fields) -> Answer {
    let clerk = person.acting_as(StaffRole::IntakeClerk)?;
    let (office, frame) = (counter.office(), &person.frame);
    let today = office.clock().today();
    let told = |errors: &FormErrors| intake::told(frame, &fields, errors);
    let (wrong, decision) = match intake::form_of(&fields).into_applicant(today) {
        Err(errors) => (told(&errors), None),
        Ok(applicant) => match office.foresee_intake(&applicant).await {
            Ok(decision) => (Vec::new(), Some(case::decided(frame, &decision))),
            Err(OfficeError::Unprintable(errors)) => (told(&errors), None),
            Err(error) => return Err(person.refused(error)),
        },
    };
    let notice = Notice {
        name: fields.text("name").to_owned(),
        today: today.to_string(),
        clerk: clerk.to_string(),
        wrong,
        decision,
        frame: person.frame,
    };
    Ok(answer::page(StatusCode::OK, &notice))
}
