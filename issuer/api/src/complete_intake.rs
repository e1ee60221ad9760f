//! `POST /v1/applications/{id}/completion`: intake ends. Facts, decision, photo and front are frozen under one digest, which is reviewed
//! and signed off.

use axum::Json;
use axum::extract::State;
use issuer_office::staff::StaffRole;
use permit_domain::{ApplicationId, IntakeClerk};
use program_contract::Failure;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::body::{Form, JsonBody};
use crate::caller::Caller;
use crate::failure;
use crate::idempotency::{IdempotencyKey, KeyHeader};
use crate::order_production::receipt;
use crate::path::InPath;
use crate::problem::Problem;
use crate::read_application::ApplicationBody;
use crate::state::Api;

/// Which photo.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CompletionRequest {
    /// The photo's receipt number, sixteen characters in groups of four; needed where a card is granted.
    #[schema(example = "7K2M-9QXC-0HTA-VB3F")]
    photo_receipt: Option<String>,
}

impl Form for CompletionRequest {
    fn wrong() -> Failure {
        failure::no_completion()
    }
}

/// Complete the intake of an application, or of the next card of its permit. Completed again with another photo, it is reviewed and
/// signed off anew.
#[utoipa::path(
    post,
    path = "/v1/applications/{id}/completion",
    operation_id = "complete_intake",
    params(
        ("id" = String, Path, description = "UUID of the application"),
        KeyHeader
    ),
    request_body(content = CompletionRequest),
    responses(
        (status = 200, description = "Completed; `content` is what is reviewed and signed off", body = ApplicationBody),
        (status = 400, description = "No key, or a wrong body", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller takes no applications", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No application has this id", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is over, or its card is being made", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "More than 64 kB", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not application/json", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The photo's receipt is missing or refused, an item cannot be printed, or the key did something else", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger or the photo store cannot be used", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn complete_intake(
    State(api): State<Api>,
    caller: Caller,
    key: IdempotencyKey,
    InPath(id): InPath<ApplicationId>,
    JsonBody(request): JsonBody<CompletionRequest>,
) -> Result<Json<ApplicationBody>, Problem> {
    let clerk = IntakeClerk::new(caller.acting_as(StaffRole::IntakeClerk)?);
    let number = request.photo_receipt.as_deref().map(receipt).transpose()?;
    let said = number.map(|number| number.compact()).unwrap_or_default();
    let completing = Box::pin(api.office().complete_intake(id, clerk, number));
    let work = async { Ok::<_, Problem>(completing.await?) };
    let request: [&[u8]; 2] = [id.as_bytes(), said.as_bytes()];
    let view = key
        .once((&api, &caller, "complete_intake"), &request, work)
        .await?;
    Ok(Json(ApplicationBody::from(&view)))
}
