//! `PUT` and `DELETE /v1/applications/{id}/photo-case`: the case for which the applicant's photos may be read, opened and
//! closed.

use axum::Json;
use axum::extract::State;
use issuer_office::photo::OPENS;
use permit_domain::ApplicationId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::path::InPath;
use crate::problem::Problem;
use crate::state::Api;

/// A case of the photo store.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PhotoCase)]
pub(crate) struct PhotoCaseBody {
    /// Its number: the application's id.
    case: String,
    /// Whether photos of the applicant may be read for it now.
    open: bool,
}

/// Open the application's case, so that its applicant's photos may be read for it. It may be open already.
#[utoipa::path(
    put,
    path = "/v1/applications/{id}/photo-case",
    operation_id = "open_photo_case",
    params(("id" = String, Path, description = "UUID of the application")),
    responses(
        (status = 200, description = "It is open", body = PhotoCaseBody),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller opens no cases", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No application has this id", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The application is over", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger or the photo store cannot be used", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn open_photo_case(
    State(api): State<Api>,
    caller: Caller,
    InPath(id): InPath<ApplicationId>,
) -> Result<Json<PhotoCaseBody>, Problem> {
    let by = caller.acting_as_any(OPENS)?;
    api.office().open_photo_case(id, by).await?;
    Ok(Json(PhotoCaseBody {
        case: id.to_string(),
        open: true,
    }))
}

/// Close the application's case: nobody reads its applicant's photos for it any more. It may be closed already.
#[utoipa::path(
    delete,
    path = "/v1/applications/{id}/photo-case",
    operation_id = "close_photo_case",
    params(("id" = String, Path, description = "UUID of the application")),
    responses(
        (status = 200, description = "It is closed", body = PhotoCaseBody),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller closes no cases", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No application has this id", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The card is being made, which reads the photo", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger or the photo store cannot be used", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn close_photo_case(
    State(api): State<Api>,
    caller: Caller,
    InPath(id): InPath<ApplicationId>,
) -> Result<Json<PhotoCaseBody>, Problem> {
    let by = caller.acting_as_any(OPENS)?;
    api.office().end_photo_case(id, by).await?;
    Ok(Json(PhotoCaseBody {
        case: id.to_string(),
        open: false,
    }))
}
