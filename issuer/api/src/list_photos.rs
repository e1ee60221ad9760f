//! `GET /v1/applications/{id}/photos`: how the applicant's photos stand, the newest first.

use axum::Json;
use axum::extract::State;
use issuer_office::photo::ASKS;
use permit_domain::ApplicationId;

use crate::caller::Caller;
use crate::path::InPath;
use crate::photo_body::PhotoBody;
use crate::problem::Problem;
use crate::state::Api;

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
    InPath(id): InPath<ApplicationId>,
) -> Result<Json<Vec<PhotoBody>>, Problem> {
    caller.acting_as_any(ASKS)?;
    let photos = api.office().photos_of(id).await?;
    Ok(Json(photos.iter().map(PhotoBody::from).collect()))
}
