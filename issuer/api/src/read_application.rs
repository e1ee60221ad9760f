//! `GET /v1/applications/{id}`: where a case stands. The applicant's facts are not repeated.

use axum::Json;
use axum::extract::State;
use issuer_office::staff::StaffRole;
use issuer_store::StoredApplication;
use permit_domain::{ApplicationId, ApplicationState};
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::decision_body::DecisionBody;
use crate::path::InPath;
use crate::problem::Problem;
use crate::state::Api;

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
    /// SHA-256 of what the case decides on, from the end of intake until its card is handed over: what is reviewed and signed off.
    pub(crate) content: Option<String>,
    /// Where that stands: `COMPLETED`, `REVIEWED` or `SIGNED`.
    pub(crate) content_state: Option<String>,
    /// The permit, once approved.
    pub(crate) permit_id: Option<String>,
    /// Grows with every change.
    pub(crate) version: i64,
}

impl From<&StoredApplication> for ApplicationBody {
    fn from(view: &StoredApplication) -> Self {
        let application = &view.application;
        Self {
            application_id: application.id().to_string(),
            person_id: application.person().to_string(),
            state: application.state().name().to_owned(),
            accepted_on: view.accepted_on.map(|day| day.to_string()),
            decision: view.decision.as_ref().map(DecisionBody::from),
            content: view
                .content
                .as_ref()
                .map(|live| live.content().digest().to_string()),
            content_state: view.content.as_ref().map(|live| live.state().name().to_owned()),
            permit_id: match application.state() {
                ApplicationState::Approved { permit, .. } => Some(permit.to_string()),
                _ => None,
            },
            version: application.version(),
        }
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
    InPath(id): InPath<ApplicationId>,
) -> Result<Json<ApplicationBody>, Problem> {
    caller.acting_as_any(&READERS)?;
    let view = api.office().application(id).await?;
    Ok(Json(ApplicationBody::from(&view)))
}
