//! `POST /v1/applications/{id}/correction`: the right facts in place of wrong ones, before the card is made.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use issuer_office::staff::StaffRole;
use permit_domain::{ApplicationId, IntakeClerk};

use crate::body::{ApplicantBody, ApplicantFile};
use crate::caller::Caller;
use crate::idempotency::{IdempotencyKey, KeyHeader};
use crate::path::InPath;
use crate::problem::Problem;
use crate::read_application::ApplicationBody;
use crate::state::Api;

/// Correct an application before its card is made: a new application of the same person with the right facts is accepted in the
/// moment in which this one is withdrawn, and is reviewed anew. The same Idempotency-Key with the same body answers the same.
#[utoipa::path(
    post,
    path = "/v1/applications/{id}/correction",
    operation_id = "correct_application",
    params(
        ("id" = String, Path, description = "UUID of the application whose facts are wrong"),
        KeyHeader
    ),
    request_body(content = ApplicantFile),
    responses(
        (status = 201, description = "The new application; its clock runs from the first acceptance", body = ApplicationBody),
        (status = 400, description = "No key, or not the form of the file", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller takes no applications, or reviewed or approved this one", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No application has this id", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is over, its card is being made, or its holder has a card", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "More than 64 kB", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not application/json", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Faults of the facts, all at once; another person's file; or the key made another application", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger cannot be written; `PHOTO_CASE_OPEN`: it is corrected, and the photo store did not close the old case", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn correct_application(
    State(api): State<Api>,
    caller: Caller,
    key: IdempotencyKey,
    InPath(id): InPath<ApplicationId>,
    ApplicantBody(applicant): ApplicantBody,
) -> Result<(StatusCode, Json<ApplicationBody>), Problem> {
    let clerk = IntakeClerk::new(caller.acting_as(StaffRole::IntakeClerk)?);
    let corrected = ApplicationId::from_bytes(key.id(&caller, "correct_application"));
    let case = api.office().correct(id, corrected, clerk, applicant).await?;
    Ok((StatusCode::CREATED, Json(ApplicationBody::from(&case))))
}
