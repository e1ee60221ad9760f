//! The end of intake, and the decision on what was frozen then: the reviewer's, then the approver's sign-off. Each names the digest of
//! what its page showed. The page that is left is the case's.

use axum::extract::{Path, State};
use issuer_office::error::OfficeError;
use issuer_office::mandate::given;
use issuer_office::staff::StaffRole;
use permit_domain::{Approver, Digest, IntakeClerk, Reviewer};
use photo_store_protocol as photo;

use crate::answer::{self, Answer};
use crate::case;
use crate::counter::Counter;
use crate::form::Fields;
use crate::person::Person;

/// `POST /counter/cases/{application}/complete`: `receipt`, where a card is granted.
pub(crate) async fn complete(
    State(counter): State<Counter>,
    person: Person,
    Path(application): Path<String>,
    fields: Fields,
) -> Answer {
    let clerk = IntakeClerk::new(person.acting_as(StaffRole::IntakeClerk)?);
    let completed = async {
        let receipt = match fields.text("receipt") {
            "" => None,
            number => Some(number.parse().map_err(photo::Error::Failed)?),
        };
        let id = application.parse()?;
        Box::pin(counter.office().complete_intake(id, clerk, receipt)).await
    };
    let done = completed.await.map(|case| case::address(case.application.id()));
    answer::after(done, |problem| {
        case::shown(&counter, person, &application, Some(problem))
    })
    .await
}

/// What the page showed whose form this is.
fn read(fields: &Fields) -> Result<Digest, OfficeError> {
    fields
        .text("content")
        .parse()
        .map_err(|_| OfficeError::OtherContent)
}

/// `POST /counter/cases/{application}/review`: `content`, and where a card is granted `signature`, from the signing page.
pub(crate) async fn review(
    State(counter): State<Counter>,
    person: Person,
    Path(application): Path<String>,
    fields: Fields,
) -> Answer {
    let reviewer = Reviewer::new(person.acting_as(StaffRole::Reviewer)?);
    let decided = async {
        let (content, signed) = (read(&fields)?, given(fields.text("signature"))?);
        let id = application.parse()?;
        let office = counter.office();
        Box::pin(office.review(id, reviewer, content, signed.as_ref())).await
    };
    let done = decided.await.map(|case| case::address(case.application.id()));
    answer::after(done, |problem| {
        case::shown(&counter, person, &application, Some(problem))
    })
    .await
}

/// `POST /counter/cases/{application}/sign-off`: `content`, and where a card is granted `signature`, from the signing page.
pub(crate) async fn sign_off(
    State(counter): State<Counter>,
    person: Person,
    Path(application): Path<String>,
    fields: Fields,
) -> Answer {
    let approver = Approver::new(person.acting_as(StaffRole::Approver)?);
    let signed = async {
        let (content, signature) = (read(&fields)?, given(fields.text("signature"))?);
        let id = application.parse()?;
        let office = counter.office();
        Box::pin(office.approve(id, approver, content, signature.as_ref())).await
    };
    let done = signed.await.map(|case| case::address(case.application.id()));
    answer::after(done, |problem| {
        case::shown(&counter, person, &application, Some(problem))
    })
    .await
}
