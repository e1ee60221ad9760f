//! `GET /v1/applications/{id}/photos/{photo}/picture`: one rendition for the open case, on record before a byte leaves.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use issuer_office::photo::looks;
use permit_domain::ApplicationId;
use photo_store_protocol::{PhotoId, Profile, Purpose};
use serde::Deserialize;

use crate::caller::Caller;
use crate::failure;
use crate::path::TwoInPath;
use crate::problem::Problem;
use crate::state::Api;

/// Which rendition, and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LookQuery {
    purpose: String,
    profile: Option<String>,
}

/// Look at a photo for the application's open case. One that waits may be looked at for REVIEW, by who confirms it.
#[utoipa::path(
    get,
    path = "/v1/applications/{id}/photos/{photo}/picture",
    operation_id = "look_at_photo",
    params(
        ("id" = String, Path, description = "UUID of the application"),
        ("photo" = String, Path, description = "The photo, 32 hex digits"),
        ("purpose" = String, Query, description = "`REVIEW`, `HAND_OVER`, `ENDORSEMENT`, `HOLDER_ACCESS` or `INSPECTION`"),
        ("profile" = Option<String>, Query, description = "`ga461`, `print` (the default), `chip` or `thumb`")
    ),
    responses(
        (status = 200, description = "The picture; keep it nowhere", body = Vec<u8>, content_type = "image/jpeg"),
        (status = 400, description = "No purpose, or one that is not in the list", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller's roles do not look at photos for this purpose", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No application or photo of it has this id", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The case is not open, the photo waits or is gone", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger, the photo store or the vault cannot be used", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn look_at_photo(
    State(api): State<Api>,
    caller: Caller,
    TwoInPath(id, photo): TwoInPath<ApplicationId, PhotoId>,
    query: Result<Query<LookQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|_| no_query())?;
    let purpose: Purpose = query.purpose.parse().map_err(|_| no_query())?;
    let profile: Profile = query
        .profile
        .as_deref()
        .unwrap_or(Profile::Print.as_str())
        .parse()
        .map_err(|_| no_query())?;
    let by = caller.acting_as_any(looks(purpose))?;
    let picture = api
        .office()
        .look_at_photo(id, photo, profile, purpose, by)
        .await?;
    let headers = [
        (header::CONTENT_TYPE, "image/jpeg"),
        // A face is in no cache.
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, picture.jpeg.clone()).into_response())
}

fn no_query() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, failure::query())
}
