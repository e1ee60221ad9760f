//! `POST /v1/changes/{id}/give-up`: a change of which nothing came onto the card is given up.

use axum::Json;
use axum::extract::State;
use issuer_office::staff::StaffRole;
use permit_domain::{ChangeClerk, ChangeId};

use crate::caller::Caller;
use crate::change_status::ChangeBody;
use crate::idempotency::{IdempotencyKey, KeyHeader};
use crate::path::InPath;
use crate::problem::Problem;
use crate::state::Api;

/// Give a change up that was neither sealed nor written, or whose card went out of use; what it decided is taken back. Said again it answers the same.
#[utoipa::path(
    post,
    path = "/v1/changes/{id}/give-up",
    operation_id = "give_up_change",
    params(
        ("id" = String, Path, description = "UUID of the change"),
        KeyHeader
    ),
    responses(
        (status = 200, description = "It is given up", body = ChangeBody),
        (status = 400, description = "No key", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller gives no changes up", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No change has this id", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is sealed, being written, or over", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The key did something else", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger cannot be written", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn give_up_change(
    State(api): State<Api>,
    caller: Caller,
    key: IdempotencyKey,
    InPath(id): InPath<ChangeId>,
) -> Result<Json<ChangeBody>, Problem> {
    let by = ChangeClerk::new(caller.acting_as(StaffRole::ChangeClerk)?);
    let work = async { Ok::<_, Problem>(api.office().give_up_change(id, &by).await?) };
    let stored = key
        .once((&api, &caller, "give_up_change"), &[id.as_bytes()], work)
        .await?;
    Ok(Json(ChangeBody::of(api.office(), &stored).await?))
}
