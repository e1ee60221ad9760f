//! `GET /v1/changes/{id}`: where a change of a card stands.

use axum::Json;
use axum::extract::State;
use issuer_office::error::OfficeError;
use issuer_office::office::Office;
use issuer_office::staff::StaffRole;
use issuer_store::StoredCardChange;
use permit_domain::{ChangeId, ChangeState};
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::path::InPath;
use crate::problem::Problem;
use crate::state::Api;

/// Where a change of a card stands. No name, no address.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Change)]
pub(crate) struct ChangeBody {
    /// UUID.
    change_id: String,
    /// UUID.
    permit_id: String,
    /// The card that it is a change of.
    card_number: String,
    /// `ENDORSE`, `TIER`, `ENTITLEMENT`, `ADDRESS`, `ROTATE`, `LOAD`, `BLOCK`, `UNBLOCK` or `END`.
    kind: &'static str,
    /// `PROPOSED`, `ORDERED`, `QUEUED`, `WRITING`, `DONE`, `GIVEN_UP` or `EXPIRED`.
    state: &'static str,
    /// Nobody knows how far the card was written: lay it on the reader and write again.
    in_doubt: bool,
    /// Account of who proposed it.
    clerk: String,
    /// Account of who signed it off.
    approver: Option<String>,
    /// How it came onto the card: `COUNTER`, `UPDATE` or `NEXT_CARD`; null before.
    way: Option<&'static str>,
    /// The last day on which it may be signed off, queued or begun at a counter.
    #[schema(format = Date)]
    holds_until: Option<String>,
    /// The permit's last day as it is decided.
    #[schema(format = Date)]
    decided_until: String,
    /// The last day that the card shows.
    #[schema(format = Date)]
    card_until: Option<String>,
}

impl ChangeBody {
    pub(crate) async fn of(office: &Office, stored: &StoredCardChange) -> Result<Self, OfficeError> {
        use permit_domain::Actor as _;
        let change = &stored.change;
        let (decided, card) = office.last_days_of(change).await?;
        Ok(Self {
            change_id: change.id().to_string(),
            permit_id: change.permit().to_string(),
            card_number: change.card().number.to_string(),
            kind: change.kind().name(),
            state: change.state().name(),
            in_doubt: matches!(change.state(), ChangeState::Writing),
            clerk: change.clerk().staff().to_string(),
            approver: change.approver().map(|approver| approver.staff().to_string()),
            way: match change.state() {
                ChangeState::Done { way, .. } => Some(way.name()),
                _ => None,
            },
            holds_until: change.holds_until().map(|day| day.to_string()),
            decided_until: decided.to_string(),
            card_until: card.map(|day| day.to_string()),
        })
    }
}

/// Roles that work on changes.
const READERS: [StaffRole; 4] = [
    StaffRole::ChangeClerk,
    StaffRole::Approver,
    StaffRole::Producer,
    StaffRole::Auditor,
];

/// Read where a change of a card stands.
#[utoipa::path(
    get,
    path = "/v1/changes/{id}",
    operation_id = "change_status",
    params(("id" = String, Path, description = "UUID of the change")),
    responses(
        (status = 200, description = "Where it stands", body = ChangeBody),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller works on no changes", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No change has this id", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger cannot be read", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn change_status(
    State(api): State<Api>,
    caller: Caller,
    InPath(id): InPath<ChangeId>,
) -> Result<Json<ChangeBody>, Problem> {
    caller.acting_as_any(&READERS)?;
    let stored = api.office().change(id).await?;
    Ok(Json(ChangeBody::of(api.office(), &stored).await?))
}
