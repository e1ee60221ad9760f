//! The decision: the reviewer's by the rule set, then the approver's sign-off. The page that is left is the case's.

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use issuer_office::staff::StaffRole;
use permit_domain::{Approver, Reviewer};

use crate::case;
use crate::counter::Counter;
use crate::person::Person;

/// `POST /counter/cases/{application}/review`.
pub(crate) async fn review(
    State(counter): State<Counter>,
    person: Person,
    Path(application): Path<String>,
) -> Response {
    let reviewer = match person.acting_as(StaffRole::Reviewer) {
        Ok(account) => Reviewer::new(account),
        Err(refused) => return refused.into_response(),
    };
    let work = async { counter.office().review(application.parse()?, reviewer).await };
    match work.await {
        Ok(case) => Redirect::to(&format!("/counter/cases/{}", case.application.id())).into_response(),
        Err(error) => case::with_problem(&counter, person, &application, error).await,
    }
}

/// `POST /counter/cases/{application}/sign-off`.
pub(crate) async fn sign_off(
    State(counter): State<Counter>,
    person: Person,
    Path(application): Path<String>,
) -> Response {
    let approver = match person.acting_as(StaffRole::Approver) {
        Ok(account) => Approver::new(account),
        Err(refused) => return refused.into_response(),
    };
    let work = async { counter.office().approve(application.parse()?, approver).await };
    match work.await {
        Ok(case) => Redirect::to(&format!("/counter/cases/{}", case.application.id())).into_response(),
        Err(error) => case::with_problem(&counter, person, &application, error).await,
    }
}
