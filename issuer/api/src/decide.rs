//! `POST /v1/applications/{id}/decision`: the reviewer stands for what was frozen when intake ended, then the approver signs it off. Two
//! steps of one decision, two different people, each by the digest of what was read and, where a card is granted, with a signature.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use issuer_office::mandate::given;
use issuer_office::staff::StaffRole;
use permit_domain::{ApplicationId, Approver, Digest, Reviewer};
use program_contract::Failure;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::body::{Form, JsonBody};
use crate::caller::Caller;
use crate::failure;
use crate::idempotency::{IdempotencyKey, KeyHeader};
use crate::path::InPath;
use crate::problem::Problem;
use crate::read_application::ApplicationBody;
use crate::state::Api;

/// Which step of the decision.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecisionRequest {
    step: DecisionStep,
    /// SHA-256 of what was read, 64 hex digits: `content` of the application.
    content: String,
    /// The caller's signature under the mandate, where a card is granted: the CBOR of key id and assertion in hexadecimal digits, as
    /// the signing page gives it, or in a rehearsal `issuer rehearsal-sign`.
    #[serde(default)]
    signature: String,
}

impl Form for DecisionRequest {
    fn wrong() -> Failure {
        failure::no_decision_step()
    }
}

/// The steps of a decision.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum DecisionStep {
    /// The reviewer's: the rule set in force at acceptance decided, and explains.
    Review,
    /// The approver's: the permit comes into being.
    Approve,
}

/// Decide an application. Repeating a step that the caller has done answers the same.
#[utoipa::path(
    post,
    path = "/v1/applications/{id}/decision",
    operation_id = "decide",
    params(
        ("id" = String, Path, description = "UUID of the application"),
        KeyHeader
    ),
    request_body(content = DecisionRequest),
    responses(
        (status = 200, description = "Decided; REFUSED is an answer too, with the articles", body = ApplicationBody),
        (status = 400, description = "No key, or a wrong body", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller has not the role, or took part in another role; `SIGNING_KEY_...`: the key is not theirs for this step, or not enrolled now", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No application has this id", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The application is not at this step; `OTHER_CONTENT`: what was read is not what stands there; `NOT_COMPLETED`; `SIGNED_ANOTHER`: the signature is over something else; `MANDATE_MISSING`, `MANDATE_ENDED`", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "More than 64 kB", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not application/json", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "No rule set is in force for the residence, the key did something else, or the signature is missing or refused", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger cannot be written", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn decide(
    State(api): State<Api>,
    caller: Caller,
    key: IdempotencyKey,
    InPath(id): InPath<ApplicationId>,
    JsonBody(request): JsonBody<DecisionRequest>,
) -> Result<Json<ApplicationBody>, Problem> {
    let office = api.office();
    let step: &[u8] = match request.step {
        DecisionStep::Review => b"REVIEW",
        DecisionStep::Approve => b"APPROVE",
    };
    let content: Digest = request
        .content
        .parse()
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, failure::no_decision_step()))?;
    let signed = given(&request.signature)?;
    let work = async {
        Ok::<_, Problem>(match request.step {
            DecisionStep::Review => {
                let reviewer = Reviewer::new(caller.acting_as(StaffRole::Reviewer)?);
                Box::pin(office.review(id, reviewer, content, signed.as_ref())).await?
            }
            DecisionStep::Approve => {
                let approver = Approver::new(caller.acting_as(StaffRole::Approver)?);
                Box::pin(office.approve(id, approver, content, signed.as_ref())).await?
            }
        })
    };
    let said: [&[u8]; 4] = [
        id.as_bytes(),
        step,
        content.as_bytes(),
        request.signature.as_bytes(),
    ];
    let view = key.once((&api, &caller, "decide"), &said, work).await?;
    Ok(Json(ApplicationBody::from(&view)))
}
