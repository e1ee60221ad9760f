//! `GET /v1/changes/{id}/proposal`: a change as it is proposed, whole, for whoever signs it off. It holds personal data.

use axum::Json;
use axum::extract::State;
use issuer_office::staff::StaffRole;
use permit_domain::{Actor as _, ChangeId, Entitlement};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::decision_body::LineBody;
use crate::path::InPath;
use crate::problem::Problem;
use crate::state::Api;

/// A change as it is proposed, against what is on file now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Proposal)]
pub(crate) struct ProposalBody {
    /// UUID.
    change_id: String,
    /// UUID.
    permit_id: String,
    /// The card that it is a change of.
    card_number: String,
    /// As of the change.
    kind: &'static str,
    /// As of the change.
    state: &'static str,
    /// Account of who proposed it.
    clerk: String,
    /// The last day on which it may be signed off.
    #[schema(format = Date)]
    holds_until: Option<String>,
    /// The last day that the card shows.
    #[schema(format = Date)]
    card_until: Option<String>,
    tier: Compared,
    valid_to: Compared,
    /// What the card would grant, where it is decided anew.
    entitlements: Vec<EntitlementBody>,
    /// The holder's facts that differ from those on file.
    facts: Vec<FactBody>,
    /// Why, one line per condition that counts.
    explanation: Vec<LineBody>,
    /// The digest that is signed off: it stands for all of this, and for what is written onto the card.
    content: String,
}

/// What is, and what is proposed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NowAndProposed)]
struct Compared {
    now: String,
    proposed: String,
}

/// What a terminal of a role may grant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Entitlement)]
struct EntitlementBody {
    /// The role whose terminals read it.
    role: &'static str,
    /// Fare or service class, 0 none.
    class: u8,
    /// Bit mask over the services of the rule set.
    services: u64,
    /// Bit mask over the zones of the jurisdiction; 0: not checked.
    zones: u64,
}

impl From<&Entitlement> for EntitlementBody {
    fn from(granted: &Entitlement) -> Self {
        Self {
            role: granted.role.as_str(),
            class: granted.class,
            services: granted.services,
            zones: granted.zones,
        }
    }
}

/// A fact that differs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NewerFact)]
struct FactBody {
    /// Key of the applicant file.
    field: String,
    now: Value,
    proposed: Value,
}

/// Read a change as it is proposed, before it is signed off.
#[utoipa::path(
    get,
    path = "/v1/changes/{id}/proposal",
    operation_id = "read_proposal",
    params(("id" = String, Path, description = "UUID of the change")),
    responses(
        (status = 200, description = "The whole of it, with personal data", body = ProposalBody),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller neither proposes nor signs off", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No change has this id", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger cannot be read", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn read_proposal(
    State(api): State<Api>,
    caller: Caller,
    InPath(id): InPath<ChangeId>,
) -> Result<Json<ProposalBody>, Problem> {
    caller.acting_as_any(&[StaffRole::Approver, StaffRole::ChangeClerk])?;
    let proposed = api.office().proposal(id).await?;
    let (change, grant) = (&proposed.stored.change, &proposed.grant);
    let decision = proposed.stored.decision.as_ref();
    let tier = decision.and_then(|decision| decision.tier).unwrap_or(grant.tier);
    let valid_to = decision.and_then(|decision| decision.valid_to);
    Ok(Json(ProposalBody {
        change_id: change.id().to_string(),
        permit_id: change.permit().to_string(),
        card_number: change.card().number.to_string(),
        kind: change.kind().name(),
        state: change.state().name(),
        clerk: change.clerk().staff().to_string(),
        holds_until: change.holds_until().map(|day| day.to_string()),
        card_until: proposed.card_until.map(|day| day.to_string()),
        tier: Compared {
            now: grant.tier.to_string(),
            proposed: tier.to_string(),
        },
        valid_to: Compared {
            now: grant.valid_to.to_string(),
            proposed: valid_to.unwrap_or(grant.valid_to).to_string(),
        },
        entitlements: decision
            .into_iter()
            .flat_map(|decision| &decision.entitlements)
            .map(EntitlementBody::from)
            .collect(),
        facts: proposed
            .newer_facts()
            .into_iter()
            .map(|(field, now, proposed)| FactBody { field, now, proposed })
            .collect(),
        explanation: decision
            .into_iter()
            .flat_map(|decision| &decision.explanation)
            .map(LineBody::from)
            .collect(),
        content: proposed.content.to_string(),
    }))
}
