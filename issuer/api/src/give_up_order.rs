//! `POST /v1/orders/{id}/give-up`: an order whose card will not be made, or is damaged or lost before its hand-over.

use axum::Json;
use axum::extract::State;
use issuer_office::staff::StaffRole;
use permit_domain::{OrderId, Producer};

use crate::caller::Caller;
use crate::idempotency::{IdempotencyKey, KeyHeader};
use crate::order_status::OrderBody;
use crate::path::InPath;
use crate::problem::Problem;
use crate::state::Api;

/// Give an order up: its card is to be destroyed and its number is spent, and the permit may be ordered again. Said again it
/// answers the same.
#[utoipa::path(
    post,
    path = "/v1/orders/{id}/give-up",
    operation_id = "give_up_order",
    params(
        ("id" = String, Path, description = "UUID of the order"),
        KeyHeader
    ),
    responses(
        (status = 200, description = "It is given up", body = OrderBody),
        (status = 400, description = "No key", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller produces no cards", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No order has this id", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Its hand-over has begun", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The key did something else", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger cannot be written", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn give_up_order(
    State(api): State<Api>,
    caller: Caller,
    key: IdempotencyKey,
    InPath(id): InPath<OrderId>,
) -> Result<Json<OrderBody>, Problem> {
    let by = Producer::new(caller.acting_as(StaffRole::Producer)?);
    let work = async { Ok::<_, Problem>(api.office().give_up(id, &by).await?) };
    let order = key
        .once((&api, &caller, "give_up_order"), &[id.as_bytes()], work)
        .await?;
    Ok(Json(OrderBody::from(&order)))
}
