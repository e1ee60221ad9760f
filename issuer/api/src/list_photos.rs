//! `GET /v1/applications/{id}/photos`: how the applicant's photos stand, the newest first.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use issuer_office::error::OfficeError;
use issuer_office::photo::ASKS;
use permit_domain::ApplicationId;

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

/// Read how the applicant's photos stand, the newest first.
#[utoipa::path(
    get,
    path = "/v1/applications/{id}/photos",
    operation_id = "list_photos",
    params(("id" = String, Path, description = "UUID of the application")),
    responses(
        (status = 200, description = "How each stands", body = [PhotoBody]),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller does not work with photos", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No application has this id", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger or the photo store cannot be used", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn list_photos(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Vec<PhotoBody>>, Refusal> {
    caller.acting_as_any(ASKS)?;
    let id: ApplicationId = parse_id(&id, "application")?;
    let photos = api.office().photos_of(id).await?;
    Ok(Json(photos.iter().map(PhotoBody::from).collect()))
}
