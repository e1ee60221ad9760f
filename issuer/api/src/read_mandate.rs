//! `GET /v1/applications/{id}/mandate`: what a reviewer or approver signs of a case, for a program that asks their authenticator.

use axum::Json;
use axum::extract::State;
use issuer_mandate::SignerRole;
use issuer_office::staff::StaffRole;
use permit_domain::ApplicationId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::path::InPath;
use crate::problem::Problem;
use crate::state::Api;

/// What is signed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Mandate)]
pub(crate) struct MandateBody {
    /// UUID.
    application_id: String,
    /// Its bytes, deterministic CBOR, in hexadecimal digits. Signed is SHA-256 over `YZT-MANDATE-1` and the bytes.
    mandate: String,
    /// Ids of the caller's signing keys, in hexadecimal digits.
    keys: Vec<String>,
}

/// Read the mandate of an application, as the reviewer or approver whose signature comes next. It has the facts of the applicant that stand on the card.
#[utoipa::path(
    get,
    path = "/v1/applications/{id}/mandate",
    operation_id = "read_mandate",
    params(("id" = String, Path, description = "UUID of the application")),
    responses(
        (status = 200, description = "What is signed", body = MandateBody),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller neither reviews nor signs off, or has no signing key", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No application has this id", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`NOT_COMPLETED`; `MANDATE_MISSING`: it was completed before there were mandates, or grants no card", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger cannot be read", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn read_mandate(
    State(api): State<Api>,
    caller: Caller,
    InPath(id): InPath<ApplicationId>,
) -> Result<Json<MandateBody>, Problem> {
    caller.acting_as_any(&[StaffRole::Reviewer, StaffRole::Approver])?;
    let role = api.office().signs_next(id).await?;
    let account = caller.acting_as(match role {
        SignerRole::Approver => StaffRole::Approver,
        _ => StaffRole::Reviewer,
    })?;
    let to_sign = api.office().to_sign(id, &account, role).await?;
    Ok(Json(MandateBody {
        application_id: id.to_string(),
        mandate: hex::encode(&to_sign.mandate),
        keys: to_sign.keys.iter().map(hex::encode).collect(),
    }))
}
