//! `GET /v1/applications/{id}/photo-reads`: who read the applicant's photos, for an auditor who answers that question.

use axum::Json;
use axum::extract::State;
use issuer_office::photo::AUDITS;
use permit_domain::ApplicationId;
use photo_store_protocol::{FailureCode, ReadRecord};
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::path::InPath;
use crate::photo_body::instant;
use crate::problem::Problem;
use crate::state::Api;

/// One read.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PhotoRead)]
pub(crate) struct PhotoReadBody {
    /// RFC 3339.
    #[schema(format = DateTime)]
    at: String,
    /// 32 hex digits.
    photo_id: String,
    /// `ga461`, `print`, `chip` or `thumb`.
    profile: &'static str,
    /// `REVIEW`, `PRODUCTION`, `HAND_OVER`, `ENDORSEMENT`, `HOLDER_ACCESS` or `INSPECTION`.
    purpose: &'static str,
    /// The case that it was read for.
    case: String,
    /// Account of who looked.
    reader: String,
    /// Null where it was allowed, else the code of the refusal.
    refused: Option<&'static str>,
}

impl From<&ReadRecord> for PhotoReadBody {
    fn from(record: &ReadRecord) -> Self {
        Self {
            at: instant(record.at),
            photo_id: record.photo.to_string(),
            profile: record.profile.as_str(),
            purpose: record.purpose.as_str(),
            case: record.case.to_string(),
            reader: record.reader.to_string(),
            refused: record.refused.map(FailureCode::as_str),
        }
    }
}

/// Read who read the applicant's photos, refused attempts too, the newest first, at most 1000.
#[utoipa::path(
    get,
    path = "/v1/applications/{id}/photo-reads",
    operation_id = "photo_reads",
    params(("id" = String, Path, description = "UUID of the application")),
    responses(
        (status = 200, description = "Every read", body = [PhotoReadBody]),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller is no auditor", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No application has this id", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger or the photo store cannot be used", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn photo_reads(
    State(api): State<Api>,
    caller: Caller,
    InPath(id): InPath<ApplicationId>,
) -> Result<Json<Vec<PhotoReadBody>>, Problem> {
    caller.acting_as_any(AUDITS)?;
    let reads = api.office().photo_reads(id).await?;
    Ok(Json(reads.iter().map(PhotoReadBody::from).collect()))
}
