//! `POST /v1/changes`: a change clerk proposes a change of a permit's card. Decree 663, articles 10 and 11.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use issuer_office::changes::Proposal;
use issuer_office::staff::StaffRole;
use permit_domain::{Applicant, ApplicantForm, ChangeClerk, ChangeId, PermitId, Tier, read_tier};
use program_contract::Failure;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::body::{ApplicantFile, Form, JsonBody};
use crate::caller::Caller;
use crate::change_status::ChangeBody;
use crate::failure;
use crate::idempotency::{IdempotencyKey, KeyHeader};
use crate::order_production::receipt;
use crate::path::parse_id;
use crate::problem::Problem;
use crate::state::Api;

/// What is changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChangeRequest)]
pub(crate) struct ChangeRequest {
    /// UUID of the permit.
    permit_id: String,
    kind: ProposedKind,
    /// The holder's newer facts: needed for `ADDRESS`, optional for `ENDORSE`, `TIER` and `ENTITLEMENT`.
    #[serde(default)]
    #[schema(value_type = Option<ApplicantFile>)]
    applicant: Option<Box<RawValue>>,
    /// The tier asked for, with `TIER`.
    #[serde(default)]
    tier: Option<String>,
    /// The receipt of the photo for the new face, with `ADDRESS`.
    #[serde(default)]
    photo_receipt: Option<String>,
}

/// Kinds of change that are proposed; a load has its till.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum ProposedKind {
    /// A later last day (article 10).
    Endorse,
    /// Another tier.
    Tier,
    /// What the rule set in force grants the same tier.
    Entitlement,
    /// Another residence, with a new face.
    Address,
    /// Every record under the present key versions.
    Rotate,
    /// Block the chip.
    Block,
    /// Unblock the chip.
    Unblock,
    /// Erase every key on the chip.
    End,
}

impl Form for ChangeRequest {
    fn wrong() -> Failure {
        failure::no_proposal()
    }
}

impl ChangeRequest {
    fn refused() -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, Self::wrong())
    }

    fn tier(&self) -> Result<Tier, Problem> {
        let tier = self.tier.as_deref().and_then(|text| read_tier(text).ok());
        tier.ok_or_else(Self::refused)
    }

    fn applicant(&self, api: &Api) -> Result<Option<Applicant>, Problem> {
        let Some(file) = &self.applicant else {
            return Ok(None);
        };
        let form = ApplicantForm::from_bytes(file.get().as_bytes())?;
        Ok(Some(form.into_applicant(api.office().clock().today())?))
    }

    fn proposal(&self, api: &Api) -> Result<Proposal, Problem> {
        use ProposedKind as Kind;
        let takes_facts = matches!(
            self.kind,
            Kind::Endorse | Kind::Tier | Kind::Entitlement | Kind::Address
        );
        let is_stray = (self.applicant.is_some() && !takes_facts)
            || (self.tier.is_some() && !matches!(self.kind, Kind::Tier))
            || (self.photo_receipt.is_some() && !matches!(self.kind, Kind::Address));
        if is_stray {
            return Err(Self::refused());
        }
        let newer = self.applicant(api)?;
        Ok(match self.kind {
            Kind::Endorse => Proposal::Endorse(newer),
            Kind::Tier => Proposal::Tier(self.tier()?, newer),
            Kind::Entitlement => Proposal::Entitlement(newer),
            Kind::Address => {
                let moved = newer.ok_or_else(Self::refused)?;
                let photo = self.photo_receipt.as_deref().ok_or_else(Self::refused)?;
                Proposal::Address(Box::new(moved), receipt(photo)?)
            }
            Kind::Rotate => Proposal::Rotate,
            Kind::Block => Proposal::Block,
            Kind::Unblock => Proposal::Unblock,
            Kind::End => Proposal::End,
        })
    }
}

/// Propose a change of a permit's card. The same Idempotency-Key with the same body answers the same change.
#[utoipa::path(
    post,
    path = "/v1/changes",
    operation_id = "propose_change",
    params(KeyHeader),
    request_body(content = ChangeRequest),
    responses(
        (status = 201, description = "Proposed, or ordered where nobody signs it off", body = ChangeBody),
        (status = 400, description = "No key, or a wrong body", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller proposes no changes", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No permit has this id", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "A change of this kind is open, or the permit has no such card", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "More than 64 kB", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not application/json", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The rule set does not grant it (`decision` says why), the window has not come, faults of the facts, a refused receipt, or the key made another change", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger or the photo store cannot be used", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn propose_change(
    State(api): State<Api>,
    caller: Caller,
    key: IdempotencyKey,
    JsonBody(request): JsonBody<ChangeRequest>,
) -> Result<(StatusCode, Json<ChangeBody>), Problem> {
    let clerk = ChangeClerk::new(caller.acting_as(StaffRole::ChangeClerk)?);
    let permit: PermitId = parse_id(&request.permit_id)?;
    let proposal = request.proposal(&api)?;
    let id = ChangeId::from_bytes(key.id(&caller, "propose_change"));
    let stored = Box::pin(api.office().propose(id, permit, proposal, clerk)).await?;
    Ok((
        StatusCode::CREATED,
        Json(ChangeBody::of(api.office(), &stored).await?),
    ))
}
