//! `GET /v1/orders/{id}`: where a production order stands, and whether its card is in doubt.

use axum::Json;
use axum::extract::State;
use issuer_office::card_content::CardContent;
use issuer_office::staff::StaffRole;
use permit_domain::{Order, OrderId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::path::InPath;
use crate::problem::Problem;
use crate::state::Api;

/// Where an order stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Order)]
pub(crate) struct OrderBody {
    /// UUID.
    order_id: String,
    /// UUID.
    permit_id: String,
    /// `ORDERED`, `ALLOCATED`, `ENCODING`, `ENCODED`, `DRAWN`, `VERIFIED`, `HANDING_OVER`, `HANDED_OVER` or `GIVEN_UP`.
    state: String,
    /// Nobody knows how far the chip was written: present this very card and run the step again.
    in_doubt: bool,
    /// The step to do or resume next: `ALLOCATE`, `ENCODE`, `DRAW`, `VERIFY`, `HAND_OVER`, or null.
    next_step: Option<String>,
    /// The card's number, once allocated. It never changes, whatever happens to the run.
    card_number: Option<String>,
    /// The chip's serial, 20 hex digits, once allocated.
    card_serial: Option<String>,
    /// Account of the producer.
    producer: String,
    /// SHA-256 of the frozen content, hex.
    content_digest: String,
    /// SHA-256 of what two people signed, of which it is made: `content` of the application; null for an order of before that.
    signed_content: Option<String>,
    /// Grows with every change.
    version: i64,
}

impl From<&Order> for OrderBody {
    fn from(order: &Order) -> Self {
        use permit_domain::Actor as _;
        let card = order.state().card();
        Self {
            order_id: order.id().to_string(),
            permit_id: order.permit().to_string(),
            state: order.state().name().to_owned(),
            in_doubt: order.state().in_doubt(),
            next_step: order.state().next_step().map(|step| step.name().to_owned()),
            card_number: card.map(|card| card.number.to_string()),
            card_serial: card.map(|card| card.serial.to_string()),
            producer: order.duties().producer().staff().to_string(),
            content_digest: order.content().digest().to_string(),
            signed_content: CardContent::from_content(order.content())
                .ok()
                .and_then(|content| content.signed_content())
                .map(|digest| digest.to_string()),
            version: order.version(),
        }
    }
}

/// Read where an order stands.
#[utoipa::path(
    get,
    path = "/v1/orders/{id}",
    operation_id = "order_status",
    params(("id" = String, Path, description = "UUID of the order")),
    responses(
        (status = 200, description = "Where it stands", body = OrderBody),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller neither produces nor hands over", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No order has this id", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger cannot be read", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn order_status(
    State(api): State<Api>,
    caller: Caller,
    InPath(id): InPath<OrderId>,
) -> Result<Json<OrderBody>, Problem> {
    caller.acting_as_any(&[StaffRole::Producer, StaffRole::HandOverClerk])?;
    let order = api.office().order_status(id).await?;
    Ok(Json(OrderBody::from(&order)))
}
