//! `POST /v1/applications/{id}/photos/{photo}/confirmation`: a colleague of who took the photo confirms its warnings.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use issuer_office::error::OfficeError;
use issuer_office::photo::CONFIRMS;
use permit_domain::ApplicationId;
use photo_store_protocol::{CheckCode, PhotoId};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::idempotency::IdempotencyKey;
use crate::photo_body::PhotoBody;
use crate::problem::Problem;
use crate::state::{Api, parse_id};

/// What was looked at.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PhotoConfirmation {
    /// Every warning of the photo, by its code, so that nobody confirms what was not looked at.
    #[schema(example = json!(["BACKGROUND"]))]
    warnings: Vec<String>,
}

/// Why nothing was confirmed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Caller(#[from] Problem),
    #[error("the body has a wrong form")]
    Body(#[from] JsonRejection),
    #[error("a warning has no such code")]
    Code,
    #[error(transparent)]
    Office(#[from] OfficeError),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Caller(problem) => problem,
            Self::Body(rejection) => Problem::new(
                match rejection.status() {
                    status @ (StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNSUPPORTED_MEDIA_TYPE) => status,
                    _ => StatusCode::BAD_REQUEST,
                },
                "BODY",
                "the body does not have warnings, and nothing else",
                "Send the codes of all the photo's warnings as application/json.",
            ),
            Self::Code => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "WRONG_WARNINGS",
                "a warning has none of the codes",
                "Read the photo's warnings again and confirm each of them.",
            ),
            Self::Office(error) => error.into(),
        }
        .into_response()
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
        ("Idempotency-Key" = String, Header, description = "8 to 64 visible ASCII characters")
    ),
    request_body(content = PhotoConfirmation),
    responses(
        (status = 200, description = "Confirmed; with the receipt", body = PhotoBody),
        (status = 400, description = "No key, or a wrong body", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller has not the role, or took the photo", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No application or photo of it has this id", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Not these warnings, nothing to confirm, or the key did something else", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger or the photo store cannot be used", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn confirm_photo(
    State(api): State<Api>,
    caller: Caller,
    key: IdempotencyKey,
    Path((id, photo)): Path<(String, String)>,
    body: Result<Json<PhotoConfirmation>, JsonRejection>,
) -> Result<Json<PhotoBody>, Refusal> {
    let by = caller.acting_as_any(CONFIRMS)?;
    let id: ApplicationId = parse_id(&id, "application")?;
    let photo: PhotoId = parse_id(&photo, "photo")?;
    let Json(request) = body?;
    let codes = request.warnings.join(" ");
    let warnings = request
        .warnings
        .iter()
        .map(|code| CheckCode::from_code(code).ok_or(Refusal::Code))
        .collect::<Result<_, _>>()?;
    let work = async { Ok::<_, Refusal>(api.office().confirm_photo(id, photo, warnings, by).await?) };
    let said: [&[u8]; 3] = [id.as_bytes(), photo.as_bytes(), codes.as_bytes()];
    let confirmed = key.once((&api, &caller, "confirm_photo"), &said, work).await?;
    Ok(Json(PhotoBody::from(&confirmed)))
}
