//! `DELETE /v1/applications/{id}/photos/{photo}`: a photo that no case has used is taken back.

use axum::Json;
use axum::extract::State;
use issuer_office::photo::TAKES;
use permit_domain::ApplicationId;
use photo_store_protocol::PhotoId;

use crate::caller::Caller;
use crate::path::TwoInPath;
use crate::photo_body::PhotoBody;
use crate::problem::Problem;
use crate::state::Api;

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
    TwoInPath(id, photo): TwoInPath<ApplicationId, PhotoId>,
) -> Result<Json<PhotoBody>, Problem> {
    let by = caller.acting_as_any(TAKES)?;
    let taken = api.office().take_back_photo(id, photo, by).await?;
    Ok(Json(PhotoBody::from(&taken)))
}
