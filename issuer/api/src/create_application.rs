//! `POST /v1/applications`: an intake clerk files an applicant's facts. Decree 663, articles 8 and 9.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use issuer_office::staff::StaffRole;
use permit_domain::{ApplicationId, IntakeClerk};

use crate::body::{ApplicantBody, ApplicantFile};
use crate::caller::Caller;
use crate::idempotency::{IdempotencyKey, KeyHeader};
use crate::problem::Problem;
use crate::read_application::ApplicationBody;
use crate::state::Api;

/// File an application. The same Idempotency-Key with the same body answers the same application.
#[utoipa::path(
    post,
    path = "/v1/applications",
    operation_id = "create_application",
    params(KeyHeader),
    request_body(content = ApplicantFile),
    responses(
        (status = 201, description = "The application is accepted; its clock runs", body = ApplicationBody),
        (status = 400, description = "No key, or not the form of the file", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller takes no applications", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The person has an open application or a permit", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "More than 64 kB", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not application/json", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Faults of the facts, all at once; or the key made another application", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger cannot be written", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn create_application(
    State(api): State<Api>,
    caller: Caller,
    key: IdempotencyKey,
    ApplicantBody(applicant): ApplicantBody,
) -> Result<(StatusCode, Json<ApplicationBody>), Problem> {
    let clerk = IntakeClerk::new(caller.acting_as(StaffRole::IntakeClerk)?);
    let id = ApplicationId::from_bytes(key.id(&caller, "create_application"));
    let application = api.office().apply(id, clerk, applicant).await?;
    Ok((StatusCode::CREATED, Json(ApplicationBody::from(&application))))
}
