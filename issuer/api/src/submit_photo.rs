//! `POST /v1/applications/{id}/photos`: a clerk takes a photo of the applicant; the body is the picture itself.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use issuer_office::photo::TAKES;
use permit_domain::ApplicationId;

use crate::body::PictureBody;
use crate::caller::Caller;
use crate::idempotency::{IdempotencyKey, KeyHeader};
use crate::path::InPath;
use crate::photo_body::PhotoBody;
use crate::problem::Problem;
use crate::state::Api;

/// Take a photo of the applicant. The same picture again is the same photo. A photo without warnings has a receipt at once.
#[utoipa::path(
    post,
    path = "/v1/applications/{id}/photos",
    operation_id = "submit_photo",
    params(
        ("id" = String, Path, description = "UUID of the application"),
        KeyHeader
    ),
    request_body(
        description = "The picture itself, at most 10 MB",
        content((Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png"))
    ),
    responses(
        (status = 201, description = "Judged and sealed; WAITING is an answer too, with what to look at", body = PhotoBody),
        (status = 400, description = "No key, or a body that broke off", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller takes no photos", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No application has this id", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The application is over", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "More than 10 MB", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Neither JPEG nor PNG", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Checks refuse the photo, and `errors` has every one with what to do; or the key did something else", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger, the photo store or the vault cannot be used", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn submit_photo(
    State(api): State<Api>,
    caller: Caller,
    key: IdempotencyKey,
    InPath(id): InPath<ApplicationId>,
    PictureBody(picture): PictureBody,
) -> Result<(StatusCode, Json<PhotoBody>), Problem> {
    let by = caller.acting_as_any(TAKES)?;
    let taken = Box::pin(api.office().submit_photo(id, picture.to_vec(), by));
    let work = async { Ok::<_, Problem>(taken.await?) };
    let said: [&[u8]; 2] = [id.as_bytes(), &picture];
    let taken = key.once((&api, &caller, "submit_photo"), &said, work).await?;
    Ok((StatusCode::CREATED, Json(PhotoBody::from(&taken.photo))))
}
