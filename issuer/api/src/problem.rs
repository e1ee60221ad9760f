//! Every refusal of the API as a problem: RFC 9457, with our stable code and what to do. No personal data.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use issuer_office::error::OfficeError;
use issuer_office::fault::Fault;
use permit_domain::FormErrors;
use photo_store_protocol::CheckCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::decision_body::DecisionBody;

/// The body of a refusal, `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, thiserror::Error)]
#[error("{code}: {detail}")]
pub(crate) struct Problem {
    /// `urn:yzt:problem:` and the code in lower case with hyphens.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "urn:yzt:problem:wrong-state")]
    pub(crate) kind: Box<str>,
    /// The HTTP status in words.
    #[schema(example = "Conflict")]
    pub(crate) title: &'static str,
    /// The HTTP status.
    #[schema(example = 409)]
    pub(crate) status: u16,
    /// What happened.
    #[schema(value_type = String)]
    pub(crate) detail: Box<str>,
    /// What to do about it.
    pub(crate) action: &'static str,
    /// The code for programs, from a closed list.
    #[schema(example = "WRONG_STATE")]
    pub(crate) code: &'static str,
    /// What is wrong with each field of the request, if that is the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<FieldProblem>,
    /// What the rule set says, if it grants nothing of what was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<DecisionBody>)]
    decision: Option<Box<DecisionBody>>,
}

/// What is wrong with one field. The value is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldProblem {
    /// Path of the field, such as `residence.registered_on`; `$` is the whole body.
    pub(crate) field: String,
    /// The code for programs.
    pub(crate) code: String,
    /// What is wrong.
    pub(crate) what: String,
    /// What to do.
    pub(crate) action: String,
}

/// A check that refused the photo, Chinese first as at every counter.
impl From<CheckCode> for FieldProblem {
    fn from(check: CheckCode) -> Self {
        let texts = check.texts();
        Self {
            field: "photo".to_owned(),
            code: check.as_str().to_owned(),
            what: format!("{} {}", texts.message_zh, texts.message),
            action: format!("{} {}", texts.action_zh, texts.action),
        }
    }
}

impl Problem {
    /// A problem without fields.
    #[must_use]
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<String>,
        action: &'static str,
    ) -> Self {
        Self {
            kind: format!("urn:yzt:problem:{}", code.to_ascii_lowercase().replace('_', "-")).into(),
            title: status.canonical_reason().unwrap_or("Problem"),
            status: status.as_u16(),
            detail: detail.into().into_boxed_str(),
            action,
            code,
            errors: Vec::new(),
            decision: None,
        }
    }

    /// Nobody has this.
    #[must_use]
    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            format!("there is no {what} with this id"),
            "Check the id.",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// All faults of a form at once.
impl From<FormErrors> for Problem {
    fn from(errors: FormErrors) -> Self {
        let status = if errors.is_format() {
            StatusCode::BAD_REQUEST
        } else {
            StatusCode::UNPROCESSABLE_ENTITY
        };
        let mut problem = Self::new(
            status,
            "APPLICANT_FORM",
            "the applicant file has faults; `errors` lists every one",
            "Correct them all and send the file again.",
        );
        problem.errors = errors
            .fields()
            .iter()
            .map(|error| FieldProblem {
                field: error.field.clone(),
                code: error.code.to_owned(),
                what: error.what.clone(),
                action: error.action.clone(),
            })
            .collect();
        problem
    }
}

/// An office's refusal as HTTP says it.
impl From<OfficeError> for Problem {
    fn from(error: OfficeError) -> Self {
        let error = match error {
            OfficeError::Unprintable(errors) => return errors.into(),
            // An id of the API is made from the Idempotency-Key.
            OfficeError::IdTaken => {
                return Self::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "IDEMPOTENCY_KEY_REUSED",
                    "this Idempotency-Key was used for another request",
                    "Send a fresh key.",
                );
            }
            error => error,
        };
        let status = match error.fault() {
            Fault::Absent => StatusCode::NOT_FOUND,
            Fault::Caller => StatusCode::UNPROCESSABLE_ENTITY,
            Fault::State => StatusCode::CONFLICT,
            Fault::Stranger => StatusCode::UNAUTHORIZED,
            Fault::Person => StatusCode::FORBIDDEN,
            Fault::Service | Fault::Unknown | Fault::Storage => StatusCode::SERVICE_UNAVAILABLE,
            Fault::Machine => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let mut problem = Self::new(status, error.code(), error.to_string(), error.action());
        if let OfficeError::PhotoRefused(judgement) = &error {
            problem.errors = judgement.refusals().into_iter().map(FieldProblem::from).collect();
        }
        if let OfficeError::NotEligible(decision) = &error {
            problem.decision = Some(Box::new(DecisionBody::from(decision.as_ref())));
        }
        problem
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_the_members_of_rfc_9457_and_our_code_and_action() {
        let problem = Problem::new(
            StatusCode::CONFLICT,
            "WRONG_STATE",
            "it is over",
            "Read it again.",
        );
        let json = serde_json::to_value(&problem).unwrap();
        assert_eq!(json["type"], "urn:yzt:problem:wrong-state");
        assert_eq!(
            (&json["title"], &json["status"]),
            (&"Conflict".into(), &409.into())
        );
        assert_eq!(json["action"], "Read it again.");
        assert_eq!(
            problem.into_response().headers()["content-type"],
            "application/problem+json"
        );
    }
}
