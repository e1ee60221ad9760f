//! `POST /v1/applications/{id}/photos`: a clerk takes a photo of the applicant; the body is the picture itself.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use issuer_office::error::OfficeError;
use issuer_office::photo::TAKES;
use permit_domain::ApplicationId;

use crate::caller::Caller;
use crate::idempotency::IdempotencyKey;
use crate::photo_body::PhotoBody;
use crate::problem::Problem;
use crate::state::{Api, parse_id};

/// Largest body, bytes: one more than the photo store takes, which says itself that a photo is too large.
pub(crate) const BODY_LIMIT: usize = photo_store_protocol::MAX_PHOTO_BYTES + 1;

/// Why no photo was taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Caller(#[from] Problem),
    #[error("the body is no picture")]
    MediaType,
    #[error("the body cannot be read")]
    Body(#[from] BytesRejection),
    #[error(transparent)]
    Office(#[from] OfficeError),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Caller(problem) => problem,
            Self::MediaType => Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "MEDIA_TYPE",
                "the body is neither image/jpeg nor image/png",
                "Send the picture itself as image/jpeg or image/png.",
            ),
            Self::Body(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "BODY_TOO_LARGE",
                "the picture is larger than 10 MB",
                "Save the photo with fewer pixels or a lower quality and send it again.",
            ),
            Self::Body(_) => Problem::new(
                StatusCode::BAD_REQUEST,
                "BODY",
                "the body ended before all of it came",
                "Send the picture again.",
            ),
            Self::Office(error) => error.into(),
        }
        .into_response()
    }
}

/// Take a photo of the applicant. The same picture again is the same photo. A photo without warnings has a receipt at once.
#[utoipa::path(
    post,
    path = "/v1/applications/{id}/photos",
    operation_id = "submit_photo",
    params(
        ("id" = String, Path, description = "UUID of the application"),
        ("Idempotency-Key" = String, Header, description = "8 to 64 visible ASCII characters")
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
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<PhotoBody>), Refusal> {
    let by = caller.acting_as_any(TAKES)?;
    let id: ApplicationId = parse_id(&id, "application")?;
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    if !matches!(kind, Some("image/jpeg" | "image/png")) {
        return Err(Refusal::MediaType);
    }
    let picture = body?;
    let work = async { Ok::<_, Refusal>(api.office().submit_photo(id, picture.to_vec(), by).await?) };
    let said: [&[u8]; 2] = [id.as_bytes(), &picture];
    let taken = key.once((&api, &caller, "submit_photo"), &said, work).await?;
    Ok((StatusCode::CREATED, Json(PhotoBody::from(&taken))))
}
