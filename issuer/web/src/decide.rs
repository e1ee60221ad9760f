//! The decision: the reviewer's by the rule set, then the approver's sign-off. The page that is left is the case's.

use axum::extract::{Path, State};
use issuer_office::staff::StaffRole;
use permit_domain::{Approver, Reviewer};

use crate::answer::{self, Answer};
use crate::case;
use crate::counter::Counter;
use crate::person::Person;

/// `POST /counter/cases/{application}/review`.
pub(crate) async fn review(
    State(counter): State<Counter>,
    person: Person,
    Path(application): Path<String>,
) -> Answer {
    let reviewer = Reviewer::new(person.acting_as(StaffRole::Reviewer)?);
    let decided = async { counter.office().review(application.parse()?, reviewer).await };
    let done = decided.await.map(|case| case::address(case.application.id()));
    answer::after(done, |problem| {
        case::shown(&counter, person, &application, Some(problem))
    })
    .await
}

/// `POST /counter/cases/{application}/sign-off`.
pub(crate) async fn sign_off(
    State(counter): State<Counter>,
    person: Person,
    Path(application): Path<String>,
) -> Answer {
    let approver = Approver::new(person.acting_as(StaffRole::Approver)?);
    let signed = async { counter.office().approve(application.parse()?, approver).await };
    let done = signed.await.map(|case| case::address(case.application.id()));
    answer::after(done, |problem| {
        case::shown(&counter, person, &application, Some(problem))
    })
    .await
}
