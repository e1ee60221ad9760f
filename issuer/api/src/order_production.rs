//! `POST /v1/orders`: a producer orders the card of a permit. What two people signed goes onto it, and nothing else.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use issuer_office::staff::StaffRole;
use permit_domain::{OrderId, PermitId, Producer};
use photo_store_protocol::{FailureCode, ReceiptNumber};
use program_contract::Failure;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::body::{Form, JsonBody};
use crate::caller::Caller;
use crate::failure;
use crate::idempotency::{IdempotencyKey, KeyHeader};
use crate::order_status::OrderBody;
use crate::path::parse_id;
use crate::problem::Problem;
use crate::state::Api;

/// Which permit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrderRequest {
    /// UUID of the permit.
    permit_id: String,
    /// Where it is given: the receipt number of the photo that was signed off, sixteen characters in groups of four.
    #[schema(example = "7K2M-9QXC-0HTA-VB3F")]
    photo_receipt: Option<String>,
}

impl Form for OrderRequest {
    fn wrong() -> Failure {
        failure::no_order_content()
    }
}

/// Order the card of a permit. The same Idempotency-Key with the same body answers the same order.
#[utoipa::path(
    post,
    path = "/v1/orders",
    operation_id = "order_production",
    params(KeyHeader),
    request_body(content = OrderRequest),
    responses(
        (status = 201, description = "Ordered", body = OrderBody),
        (status = 400, description = "No key, or a wrong body", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller produces no cards, or reviewed or approved this case", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No permit has this id", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The permit has an order or a card; `NOT_COMPLETED`; `WRONG_STATE`: two people have not signed it; `OTHER_CONTENT`: another photo was signed; `SIGNED_OTHERWISE`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "More than 64 kB", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not application/json", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The photo's receipt has no such form", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger or the photo store cannot be used", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn order_production(
    State(api): State<Api>,
    caller: Caller,
    key: IdempotencyKey,
    JsonBody(request): JsonBody<OrderRequest>,
) -> Result<(StatusCode, Json<OrderBody>), Problem> {
    let producer = Producer::new(caller.acting_as(StaffRole::Producer)?);
    let permit: PermitId = parse_id(&request.permit_id)?;
    let receipt = request.photo_receipt.as_deref().map(receipt).transpose()?;
    let id = OrderId::from_bytes(key.id(&caller, "order_production"));
    let order = api.office().order(id, permit, producer, receipt).await?;
    Ok((StatusCode::CREATED, Json(OrderBody::from(&order))))
}

/// A receipt's number as it was typed.
pub(crate) fn receipt(text: &str) -> Result<ReceiptNumber, Problem> {
    text.parse()
        .map_err(|code: FailureCode| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code.into()))
}
