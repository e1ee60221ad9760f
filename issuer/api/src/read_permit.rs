//! `GET /v1/permits/{id}`: a permit by its id. No name, no address, no place of use.

use axum::Json;
use axum::extract::State;
use permit_domain::{Permit, PermitId, PermitState};
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::path::InPath;
use crate::problem::Problem;
use crate::state::Api;

/// A permit.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Permit)]
pub(crate) struct PermitBody {
    /// UUID.
    permit_id: String,
    /// UUID of the application that it rests on.
    application_id: String,
    /// TEMP, EMPLOYMENT or TALENT.
    tier: String,
    /// Id of the rule set that granted it.
    rule_set: String,
    /// The day from which its years are counted; nothing moves it.
    #[schema(format = Date)]
    years_from: String,
    /// First day.
    #[schema(format = Date)]
    valid_from: String,
    /// Last day that was decided, included: the day by which it must be endorsed.
    #[schema(format = Date)]
    valid_to: String,
    /// The last day that the card in its holder's hand shows: earlier than `valid_to` until the card is written. Null
    /// without such a card.
    #[schema(format = Date)]
    card_until: Option<String>,
    /// `APPROVED`, `IN_PRODUCTION`, `PRODUCED`, `ACTIVE`, `SUSPENDED` or `ENDED`.
    state: String,
    /// UUID of the order that makes or made its card, while it is not in the holder's hand.
    order_id: Option<String>,
    /// Grows with every change.
    version: i64,
}

impl PermitBody {
    fn new(permit: &Permit, card_until: Option<String>) -> Self {
        let grant = permit.grant();
        Self {
            permit_id: permit.id().to_string(),
            application_id: grant.application.to_string(),
            tier: grant.tier.to_string(),
            rule_set: grant.rule_set.clone(),
            years_from: grant.anchor.to_string(),
            valid_from: grant.valid_from.to_string(),
            valid_to: grant.valid_to.to_string(),
            card_until,
            state: permit.state().name().to_owned(),
            order_id: match permit.state() {
                PermitState::InProduction { order } | PermitState::Produced { order } => {
                    Some(order.to_string())
                }
                _ => None,
            },
            version: permit.version(),
        }
    }
}

/// Read a permit.
#[utoipa::path(
    get,
    path = "/v1/permits/{id}",
    operation_id = "read_permit",
    params(("id" = String, Path, description = "UUID of the permit")),
    responses(
        (status = 200, description = "The permit", body = PermitBody),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No permit has this id", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger cannot be read", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn read_permit(
    State(api): State<Api>,
    _caller: Caller,
    InPath(id): InPath<PermitId>,
) -> Result<Json<PermitBody>, Problem> {
    let (permit, card_until) = api.office().permit_and_card(id).await?;
    Ok(Json(PermitBody::new(
        &permit,
        card_until.map(|day| day.to_string()),
    )))
}
