//! `POST /v1/changes/{id}/approval`: the second person signs a change off.

use axum::Json;
use axum::extract::State;
use issuer_office::error::OfficeError;
use issuer_office::staff::StaffRole;
use permit_domain::{Approver, ChangeId, Digest};
use program_contract::Failure;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::body::{Form, JsonBody};
use crate::caller::Caller;
use crate::change_status::ChangeBody;
use crate::failure;
use crate::idempotency::{IdempotencyKey, KeyHeader};
use crate::path::InPath;
use crate::problem::Problem;
use crate::state::Api;

/// What was read.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeApproval {
    /// The digest of what is signed off, as `content` of the proposal says it.
    content: String,
}

impl Form for ChangeApproval {
    fn wrong() -> Failure {
        failure::no_content()
    }
}

/// Sign a change off as the second person. Said again it answers the same.
#[utoipa::path(
    post,
    path = "/v1/changes/{id}/approval",
    operation_id = "approve_change",
    params(
        ("id" = String, Path, description = "UUID of the change"),
        KeyHeader
    ),
    request_body(content = ChangeApproval),
    responses(
        (status = 200, description = "It is signed off", body = ChangeBody),
        (status = 400, description = "No key", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller signs nothing off, or proposed it", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No change has this id", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is not at this step, its time is over, another one overtook it, or it has another content than was read", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "More than 64 kB", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not application/json", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The key did something else", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger cannot be written", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn approve_change(
    State(api): State<Api>,
    caller: Caller,
    key: IdempotencyKey,
    InPath(id): InPath<ChangeId>,
    JsonBody(request): JsonBody<ChangeApproval>,
) -> Result<Json<ChangeBody>, Problem> {
    let by = Approver::new(caller.acting_as(StaffRole::Approver)?);
    let content: Digest = request.content.parse().map_err(|_| OfficeError::OtherContent)?;
    let work = async { Ok::<_, Problem>(api.office().approve_change(id, by, content).await?) };
    let said: [&[u8]; 2] = [id.as_bytes(), content.as_bytes()];
    let stored = Box::pin(key.once((&api, &caller, "approve_change"), &said, work)).await?;
    Ok(Json(ChangeBody::of(api.office(), &stored).await?))
}
