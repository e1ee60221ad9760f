//! `POST /v1/orders`: a producer orders the card of a permit. The content is frozen here: photo, face items, records.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use issuer_office::error::OfficeError;
use issuer_office::staff::StaffRole;
use permit_domain::{OrderId, PermitId, Producer};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::idempotency::{IdempotencyKey, key_reused};
use crate::order_status::OrderBody;
use crate::problem::Problem;
use crate::state::{Api, parse_id};

/// Which permit, and which photo.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrderRequest {
    /// UUID of the permit.
    permit_id: String,
    /// The photo's receipt number, sixteen characters in groups of four.
    #[schema(example = "7K2M-9QXC-0HTA-VB3F")]
    photo_receipt: String,
}

/// Why nothing was ordered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Caller(#[from] Problem),
    #[error("the body has a wrong form")]
    Body(#[from] JsonRejection),
    #[error("the receipt number was mistyped")]
    Receipt(photo_store_protocol::FailureCode),
    #[error("the key made another order")]
    KeyReused,
    #[error(transparent)]
    Office(OfficeError),
}

impl From<OfficeError> for Refusal {
    fn from(error: OfficeError) -> Self {
        match error {
            OfficeError::IdTaken => Self::KeyReused,
            error => Self::Office(error),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Caller(problem) => problem,
            Self::Body(rejection) => Problem::new(
                match rejection.status() {
                    status @ (StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNSUPPORTED_MEDIA_TYPE) => status,
                    _ => StatusCode::BAD_REQUEST,
                },
                "BODY",
                "the body does not have permit_id and photo_receipt, and nothing else",
                "Send both as application/json.",
            ),
            Self::Receipt(code) => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                code.as_str(),
                code.texts().message,
                code.texts().action,
            ),
            Self::KeyReused => key_reused(),
            Self::Office(error) => error.into(),
        }
        .into_response()
    }
}

/// Order the card of a permit. The same Idempotency-Key with the same body answers the same order.
#[utoipa::path(
    post,
    path = "/v1/orders",
    operation_id = "order_production",
    params(("Idempotency-Key" = String, Header, description = "8 to 64 visible ASCII characters, fresh for each order")),
    request_body(content = OrderRequest),
    responses(
        (status = 201, description = "Ordered; the content is frozen", body = OrderBody),
        (status = 400, description = "No key, or a wrong body", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller produces no cards, or reviewed or approved this case", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No permit has this id", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The permit has an order or a card", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The photo's receipt is refused, or an item cannot be printed", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger or the photo store cannot be used", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn order_production(
    State(api): State<Api>,
    caller: Caller,
    key: IdempotencyKey,
    body: Result<Json<OrderRequest>, JsonRejection>,
) -> Result<(StatusCode, Json<OrderBody>), Refusal> {
    let producer = Producer::new(caller.acting_as(StaffRole::Producer)?);
    let Json(request) = body?;
    let permit: PermitId = parse_id(&request.permit_id, "permit")?;
    let receipt = request.photo_receipt.parse().map_err(Refusal::Receipt)?;
    let id = OrderId::from_bytes(key.id(&caller, "order_production"));
    let order = api.office().order(id, permit, producer, receipt).await?;
    Ok((StatusCode::CREATED, Json(OrderBody::from(&order))))
}
