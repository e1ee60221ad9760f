//! `POST /v1/applications/{id}/photos/{photo}/erasure`: somebody requests that a photo ends for good, by an order. A second
//! person approves it ([`crate::approve_erasure`]).

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use issuer_office::error::OfficeError;
use issuer_office::photo::REQUESTS_ERASURE;
use permit_domain::ApplicationId;
use photo_store_protocol::PhotoId;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::idempotency::IdempotencyKey;
use crate::photo_body::PhotoBody;
use crate::problem::Problem;
use crate::state::{Api, parse_id};

/// By which order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PhotoErasure {
    /// Number of the order that demands it, which is kept: 1 to 64 letters, digits and `. _ - /`.
    pub(crate) order: String,
}

/// Why nothing was erased.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Caller(#[from] Problem),
    #[error("the body has a wrong form")]
    Body(#[from] JsonRejection),
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
                "the body does not have order, and nothing else",
                "Send the number of the order as application/json.",
            ),
            Self::Office(error) => error.into(),
        }
        .into_response()
    }
}

/// Request that a photo ends by an order, used or not. Nothing ends before an approver, who is somebody else, approves it. Said
/// again it answers the same.
#[utoipa::path(
    post,
    path = "/v1/applications/{id}/photos/{photo}/erasure",
    operation_id = "request_erasure",
    params(
        ("id" = String, Path, description = "UUID of the application"),
        ("photo" = String, Path, description = "The photo, 32 hex digits"),
        ("Idempotency-Key" = String, Header, description = "8 to 64 visible ASCII characters")
    ),
    request_body(content = PhotoErasure),
    responses(
        (status = 200, description = "It is requested; the photo as it stands", body = PhotoBody),
        (status = 400, description = "No key, or a wrong body", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller requests no such thing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No application or photo of it has this id", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "A card or a change is being made with it, or its end is approved", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The order's number has a wrong form, or the key did something else", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger or the photo store cannot be used", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn request_erasure(
    State(api): State<Api>,
    caller: Caller,
    key: IdempotencyKey,
    Path((id, photo)): Path<(String, String)>,
    body: Result<Json<PhotoErasure>, JsonRejection>,
) -> Result<Json<PhotoBody>, Refusal> {
    let by = caller.acting_as_any(REQUESTS_ERASURE)?;
    let id: ApplicationId = parse_id(&id, "application")?;
    let photo: PhotoId = parse_id(&photo, "photo")?;
    let Json(request) = body?;
    let work = async {
        let status = api.office().request_erasure(id, photo, &request.order, by);
        Ok::<_, Refusal>(status.await?)
    };
    let said: [&[u8]; 3] = [id.as_bytes(), photo.as_bytes(), request.order.as_bytes()];
    let status = key.once((&api, &caller, "request_erasure"), &said, work).await?;
    Ok(Json(PhotoBody::from(&status)))
}
