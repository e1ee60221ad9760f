//! `POST /v1/applications/{id}/photos/{photo}/erasure`: somebody requests that a photo ends for good, by an order. A second
//! person approves it ([`crate::approve_erasure`]).

use axum::Json;
use axum::extract::State;
use issuer_office::photo::REQUESTS_ERASURE;
use permit_domain::ApplicationId;
use photo_store_protocol::PhotoId;
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

/// By which order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PhotoErasure {
    /// Number of the order that demands it, which is kept: 1 to 64 letters, digits and `. _ - /`.
    pub(crate) order: String,
}

impl Form for PhotoErasure {
    fn wrong() -> Failure {
        failure::no_erasure_order()
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
        KeyHeader
    ),
    request_body(content = PhotoErasure),
    responses(
        (status = 200, description = "It is requested; the photo as it stands", body = PhotoBody),
        (status = 400, description = "No key, or a wrong body", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller requests no such thing", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No application or photo of it has this id", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "A card or a change is being made with it, or its end is approved", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "More than 64 kB", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not application/json", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The order's number has a wrong form, or the key did something else", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger or the photo store cannot be used", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn request_erasure(
    State(api): State<Api>,
    caller: Caller,
    key: IdempotencyKey,
    TwoInPath(id, photo): TwoInPath<ApplicationId, PhotoId>,
    JsonBody(request): JsonBody<PhotoErasure>,
) -> Result<Json<PhotoBody>, Problem> {
    let by = caller.acting_as_any(REQUESTS_ERASURE)?;
    let work = async {
        let status = api.office().request_erasure(id, photo, &request.order, by);
        Ok::<_, Problem>(status.await?)
    };
    let said: [&[u8]; 3] = [id.as_bytes(), photo.as_bytes(), request.order.as_bytes()];
    let status = key.once((&api, &caller, "request_erasure"), &said, work).await?;
    Ok(Json(PhotoBody::from(&status)))
}
