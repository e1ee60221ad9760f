//! `GET /v1/applications/{id}`: where a case stands. The applicant's facts are not repeated.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use issuer_office::error::OfficeError;
use issuer_office::staff::StaffRole;
use issuer_store::StoredApplication;
use permit_domain::{ApplicationId, ApplicationState, ExplanationLine};
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::problem::Problem;
use crate::state::{Api, parse_id};

/// Where an application stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Application)]
pub(crate) struct ApplicationBody {
    /// UUID.
    pub(crate) application_id: String,
    /// The applicant's pseudonym, UUID: the photo store knows the person by it.
    pub(crate) person_id: String,
    /// `APPLIED`, `NEEDS_MORE`, `ACCEPTED`, `REFUSED`, `REVIEWED`, `APPROVED` or `WITHDRAWN`.
    pub(crate) state: String,
    /// Day of acceptance, YYYY-MM-DD: the organ's time to issue runs from it.
    #[schema(format = Date)]
    pub(crate) accepted_on: Option<String>,
    /// The decision, once there is one.
    pub(crate) decision: Option<DecisionBody>,
    /// The permit, once approved.
    pub(crate) permit_id: Option<String>,
    /// Grows with every change.
    pub(crate) version: i64,
}

/// A decision and its explanation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Decision)]
pub(crate) struct DecisionBody {
    /// TEMP, EMPLOYMENT, TALENT, or null: refused.
    pub(crate) tier: Option<String>,
    /// Id of the rule set that decided.
    pub(crate) rule_set: String,
    /// Day that it was decided for, YYYY-MM-DD.
    #[schema(format = Date)]
    pub(crate) at: String,
    /// One line per condition, with its article.
    pub(crate) explanation: Vec<LineBody>,
    /// First day, if granted.
    #[schema(format = Date)]
    pub(crate) valid_from: Option<String>,
    /// Last day, included, if granted.
    #[schema(format = Date)]
    pub(crate) valid_to: Option<String>,
    /// Last day on which the organ may issue the card, counted from acceptance, if granted.
    #[schema(format = Date)]
    pub(crate) issue_by: Option<String>,
    /// Whether the holder may apply for settlement with it.
    pub(crate) may_apply_settlement: bool,
}

/// Why one condition is met or not.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExplanationLine)]
pub(crate) struct LineBody {
    /// Id of the rule set.
    rule_set: String,
    /// Instrument and article.
    article: String,
    /// Id of the condition.
    condition: String,
    /// Whether it is met.
    met: bool,
    /// In words.
    because: String,
    /// The papers and fields that it rests on.
    evidence: Vec<String>,
}

impl From<&ExplanationLine> for LineBody {
    fn from(line: &ExplanationLine) -> Self {
        Self {
            rule_set: line.rule_set.clone(),
            article: line.article.clone(),
            condition: line.condition.clone(),
            met: line.met,
            because: line.because.clone(),
            evidence: line.evidence.clone(),
        }
    }
}

impl From<&StoredApplication> for ApplicationBody {
    fn from(view: &StoredApplication) -> Self {
        let application = &view.application;
        Self {
            application_id: application.id().to_string(),
            person_id: application.person().to_string(),
            state: application.state().name().to_owned(),
            accepted_on: view.accepted_on.map(|day| day.to_string()),
            decision: view.decision.as_ref().map(|decision| DecisionBody {
                tier: decision.tier.map(|tier| tier.to_string()),
                rule_set: decision.rule_set.clone(),
                at: decision.at.to_string(),
                explanation: decision.explanation.iter().map(LineBody::from).collect(),
                valid_from: decision.valid_from.map(|day| day.to_string()),
                valid_to: decision.valid_to.map(|day| day.to_string()),
                issue_by: decision.issue_by.map(|day| day.to_string()),
                may_apply_settlement: decision.may_apply_settlement,
            }),
            permit_id: match application.state() {
                ApplicationState::Approved { permit, .. } => Some(permit.to_string()),
                _ => None,
            },
            version: application.version(),
        }
    }
}

/// Why an application was not shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Caller(#[from] Problem),
    #[error(transparent)]
    Office(#[from] OfficeError),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Caller(problem) => problem,
            Self::Office(error) => error.into(),
        }
        .into_response()
    }
}

/// Roles that work on a case.
const READERS: [StaffRole; 4] = [
    StaffRole::IntakeClerk,
    StaffRole::Reviewer,
    StaffRole::Approver,
    StaffRole::Producer,
];

/// Read where an application stands, with its decision.
#[utoipa::path(
    get,
    path = "/v1/applications/{id}",
    operation_id = "read_application",
    params(("id" = String, Path, description = "UUID of the application")),
    responses(
        (status = 200, description = "Where it stands", body = ApplicationBody),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller works on no applications", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No application has this id", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger cannot be read", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn read_application(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<ApplicationBody>, Refusal> {
    caller.acting_as_any(&READERS)?;
    let id: ApplicationId = parse_id(&id, "application")?;
    let view = api.office().application(id).await?;
    Ok(Json(ApplicationBody::from(&view)))
}
