//! `POST /v1/applications/{id}/photos/{photo}/confirmation`: a colleague of who took the photo confirms its warnings.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use issuer_office::photo::CONFIRMS;
use permit_domain::ApplicationId;
use photo_store_protocol::{CheckCode, PhotoId};
use program_contract::Failure;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::body::{Form, JsonBody};
use crate::caller::Caller;
use crate::failure;
use crate::idempotency::{IdempotencyKey, KeyHeader};
use crate::path::TwoInPath;
use crate::photo_body::PhotoBody;
use crate::problem::Problem;
use crate::state::Api;

/// What was looked at.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PhotoConfirmation {
    /// Every warning of the photo, by its code, so that nobody confirms what was not looked at.
    #[schema(example = json!(["BACKGROUND"]))]
    warnings: Vec<String>,
}

impl Form for PhotoConfirmation {
    fn wrong() -> Failure {
        failure::no_warnings()
    }
}

/// Confirm every warning of a photo that a colleague took; the answer has the receipt. Said again it answers the same.
#[utoipa::path(
    post,
    path = "/v1/applications/{id}/photos/{photo}/confirmation",
    operation_id = "confirm_photo",
    params(
        ("id" = String, Path, description = "UUID of the application"),
        ("photo" = String, Path, description = "The photo, 32 hex digits"),
        KeyHeader
    ),
    request_body(content = PhotoConfirmation),
    responses(
        (status = 200, description = "Confirmed; with the receipt", body = PhotoBody),
        (status = 400, description = "No key, or a wrong body", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller has not the role, or took the photo", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No application or photo of it has this id", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "More than 64 kB", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not application/json", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Not these warnings, nothing to confirm, or the key did something else", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger or the photo store cannot be used", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn confirm_photo(
    State(api): State<Api>,
    caller: Caller,
    key: IdempotencyKey,
    TwoInPath(id, photo): TwoInPath<ApplicationId, PhotoId>,
    JsonBody(request): JsonBody<PhotoConfirmation>,
) -> Result<Json<PhotoBody>, Problem> {
    let by = caller.acting_as_any(CONFIRMS)?;
    let codes = request.warnings.join(" ");
    let warnings = request
        .warnings
        .iter()
        .map(|code| {
            CheckCode::from_code(code)
                .ok_or_else(|| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, failure::unknown_warning()))
        })
        .collect::<Result<_, _>>()?;
    let work = async { Ok::<_, Problem>(api.office().confirm_photo(id, photo, warnings, by).await?) };
    let said: [&[u8]; 3] = [id.as_bytes(), photo.as_bytes(), codes.as_bytes()];
    let confirmed = key.once((&api, &caller, "confirm_photo"), &said, work).await?;
    Ok(Json(PhotoBody::from(&confirmed)))
}
