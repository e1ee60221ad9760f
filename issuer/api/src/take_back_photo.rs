//! `DELETE /v1/applications/{id}/photos/{photo}`: a photo that no case has used is taken back.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use issuer_office::error::OfficeError;
use issuer_office::photo::TAKES;
use permit_domain::ApplicationId;
use photo_store_protocol::PhotoId;

use crate::caller::Caller;
use crate::photo_body::PhotoBody;
use crate::problem::Problem;
use crate::state::{Api, parse_id};

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Caller(#[from] Problem),
    #[error(transparent)]
    Office(#[from] OfficeError),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Caller(problem) => problem,
            Self::Office(error) => error.into(),
        }
        .into_response()
    }
}

/// Take back a photo that no case has used: a mistake at the camera, or the holder's wish. Said again it answers the same.
#[utoipa::path(
    delete,
    path = "/v1/applications/{id}/photos/{photo}",
    operation_id = "take_back_photo",
    params(
        ("id" = String, Path, description = "UUID of the application"),
        ("photo" = String, Path, description = "The photo, 32 hex digits")
    ),
    responses(
        (status = 200, description = "It is shredded", body = PhotoBody),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller takes no photos", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No application has this id", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A case has used it, or it is another person's", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger or the photo store cannot be used", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn take_back_photo(
    State(api): State<Api>,
    caller: Caller,
    Path((id, photo)): Path<(String, String)>,
) -> Result<Json<PhotoBody>, Refusal> {
    let by = caller.acting_as_any(TAKES)?;
    let id: ApplicationId = parse_id(&id, "application")?;
    let photo: PhotoId = parse_id(&photo, "photo")?;
    let taken = api.office().take_back_photo(id, photo, by).await?;
    Ok(Json(PhotoBody::from(&taken)))
}
