//! `POST /v1/applications/{id}/photos/{photo}/erasure/approval`: an approver, who did not request it, ends a photo for good, by
//! the order that was requested ([`crate::request_erasure`]).

use axum::Json;
use axum::extract::State;
use issuer_office::photo::ERASES;
use permit_domain::ApplicationId;
use photo_store_protocol::PhotoId;

use crate::body::JsonBody;
use crate::caller::Caller;
use crate::idempotency::{IdempotencyKey, KeyHeader};
use crate::path::TwoInPath;
use crate::photo_body::PhotoBody;
use crate::problem::Problem;
use crate::request_erasure::PhotoErasure;
use crate::state::Api;

/// Approve that a photo ends by the order that was requested: its keys are destroyed and nobody can undo it. Said again it
/// answers the same.
#[utoipa::path(
    post,
    path = "/v1/applications/{id}/photos/{photo}/erasure/approval",
    operation_id = "approve_erasure",
    params(
        ("id" = String, Path, description = "UUID of the application"),
        ("photo" = String, Path, description = "The photo, 32 hex digits"),
        KeyHeader
    ),
    request_body(content = PhotoErasure),
    responses(
        (status = 200, description = "It is shredded", body = PhotoBody),
        (status = 400, description = "No key, or a wrong body", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller ends no photos, or requested it", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No application or photo of it has this id", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Nobody requested it, or by another order; or a card or a change is being made with it", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "More than 64 kB", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not application/json", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The order's number has a wrong form, or the key did something else", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger or the photo store cannot be used", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn approve_erasure(
    State(api): State<Api>,
    caller: Caller,
    key: IdempotencyKey,
    TwoInPath(id, photo): TwoInPath<ApplicationId, PhotoId>,
    JsonBody(request): JsonBody<PhotoErasure>,
) -> Result<Json<PhotoBody>, Problem> {
    let by = caller.acting_as_any(ERASES)?;
    let work = async {
        let erased = api.office().approve_erasure(id, photo, &request.order, by);
        Ok::<_, Problem>(erased.await?)
    };
    let said: [&[u8]; 3] = [id.as_bytes(), photo.as_bytes(), request.order.as_bytes()];
    let erased = key.once((&api, &caller, "approve_erasure"), &said, work).await?;
    Ok(Json(PhotoBody::from(&erased)))
}
