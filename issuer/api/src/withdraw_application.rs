//! `POST /v1/applications/{id}/withdrawal`: the applicant takes the application back before its card is made.

use axum::Json;
use axum::extract::State;
use issuer_office::staff::StaffRole;
use permit_domain::{ApplicationId, IntakeClerk};

use crate::caller::Caller;
use crate::idempotency::{IdempotencyKey, KeyHeader};
use crate::path::InPath;
use crate::problem::Problem;
use crate::read_application::ApplicationBody;
use crate::state::Api;

/// Withdraw an application before its card is made, also an approved one: its permit ends with it, its photo case is closed, and
/// its person may apply again. Said again it answers the same.
#[utoipa::path(
    post,
    path = "/v1/applications/{id}/withdrawal",
    operation_id = "withdraw_application",
    params(
        ("id" = String, Path, description = "UUID of the application"),
        KeyHeader
    ),
    responses(
        (status = 200, description = "It is withdrawn", body = ApplicationBody),
        (status = 400, description = "No key", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller takes no applications, or reviewed or approved this one", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No application has this id", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is over, its card is being made, or its holder has a card", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The key did something else", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger cannot be written; `PHOTO_CASE_OPEN`: it is withdrawn, and the photo store did not close its case", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn withdraw_application(
    State(api): State<Api>,
    caller: Caller,
    key: IdempotencyKey,
    InPath(id): InPath<ApplicationId>,
) -> Result<Json<ApplicationBody>, Problem> {
    let by = IntakeClerk::new(caller.acting_as(StaffRole::IntakeClerk)?);
    let work = async { Ok::<_, Problem>(api.office().withdraw(id, &by).await?) };
    let case = key
        .once((&api, &caller, "withdraw_application"), &[id.as_bytes()], work)
        .await?;
    Ok(Json(ApplicationBody::from(&case)))
}
