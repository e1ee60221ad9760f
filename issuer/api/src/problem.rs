//! Every refusal of the API as a problem: RFC 9457, with our stable code and what to do, in Chinese and in English. No personal
//! data.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use issuer_office::error::OfficeError;
use issuer_office::fault::Fault;
use permit_domain::{FieldError, FormErrors};
use photo_store_protocol::CheckCode;
use program_contract::language::Words;
use program_contract::{Failure, Language};
use serde::Serialize;
use utoipa::ToSchema;

use crate::decision_body::DecisionBody;
use crate::failure;

/// A refusal, in both languages: which one is told is known where the request is.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {}", failure.code, failure.message)]
pub(crate) struct Problem {
    status: StatusCode,
    failure: Failure,
    /// What is wrong with each field, in Chinese and in English.
    errors: [Vec<FieldProblem>; 2],
    decision: Option<Box<DecisionBody>>,
}

/// The body of a refusal, `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Problem)]
struct ProblemBody {
    /// `urn:yzt:problem:` and the code in lower case with hyphens.
    #[serde(rename = "type")]
    #[schema(example = "urn:yzt:problem:wrong-state")]
    kind: String,
    /// The HTTP status in words, in the language of `Accept-Language`: Chinese or English, Chinese where it asks for neither.
    #[schema(example = "与现状冲突")]
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 409)]
    status: u16,
    /// What happened, in that language.
    detail: String,
    /// What to do about it, in that language.
    action: String,
    /// The code for programs, from a closed list.
    #[schema(example = "WRONG_STATE")]
    code: String,
    /// What is wrong with each field of the request, if that is the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldProblem>,
    /// What the rule set says, if it grants nothing of what was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<DecisionBody>,
}

// The document shows what goes over the wire.
impl utoipa::PartialSchema for Problem {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        ProblemBody::schema()
    }
}

impl ToSchema for Problem {
    fn name() -> std::borrow::Cow<'static, str> {
        ProblemBody::name()
    }

    fn schemas(schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)>) {
        ProblemBody::schemas(schemas);
    }
}

/// What is wrong with one field. The value is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldProblem {
    /// Path of the field, such as `residence.registered_on`; `$` is the whole body.
    field: String,
    /// The code for programs.
    code: String,
    /// What is wrong, in the language of `Accept-Language`.
    what: String,
    /// What to do, in that language.
    action: String,
}

impl From<FieldError> for FieldProblem {
    fn from(error: FieldError) -> Self {
        Self {
            field: error.field,
            code: error.code.to_owned(),
            what: error.what,
            action: error.action,
        }
    }
}

/// Checks that refused the photo, in Chinese and in English.
fn of_checks(checks: &[CheckCode]) -> [Vec<FieldProblem>; 2] {
    let of = |check: &CheckCode, what: &str, action: &str| FieldProblem {
        field: "photo".to_owned(),
        code: check.as_str().to_owned(),
        what: what.to_owned(),
        action: action.to_owned(),
    };
    let texts = || checks.iter().map(|check| (check, check.texts()));
    [
        texts()
            .map(|(check, texts)| of(check, texts.message_zh, texts.action_zh))
            .collect(),
        texts()
            .map(|(check, texts)| of(check, texts.message, texts.action))
            .collect(),
    ]
}

impl Problem {
    /// A problem without fields.
    #[must_use]
    pub(crate) fn new(status: StatusCode, failure: Failure) -> Self {
        Self {
            status,
            failure,
            errors: [Vec::new(), Vec::new()],
            decision: None,
        }
    }

    /// Nobody has this.
    #[must_use]
    pub(crate) fn not_found(what: Words) -> Self {
        Self::new(StatusCode::NOT_FOUND, failure::not_found(what))
    }

    /// The bytes of the body in this language.
    pub(crate) fn body(self, language: Language) -> Vec<u8> {
        let (detail, action) = self.failure.said(language);
        let code = self.failure.code.clone().into_owned();
        let [chinese, english] = self.errors;
        let body = ProblemBody {
            kind: format!("urn:yzt:problem:{}", code.to_ascii_lowercase().replace('_', "-")),
            title: title(self.status, language),
            status: self.status.as_u16(),
            detail: detail.to_owned(),
            action: action.to_owned(),
            code,
            errors: language.one(chinese, english),
            decision: self.decision.map(|decision| *decision),
        };
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

/// A status in words.
fn title(status: StatusCode, language: Language) -> &'static str {
    let chinese = match status {
        StatusCode::BAD_REQUEST => "请求有误",
        StatusCode::UNAUTHORIZED => "未登录",
        StatusCode::FORBIDDEN => "无权办理",
        StatusCode::NOT_FOUND => "未找到",
        StatusCode::METHOD_NOT_ALLOWED => "不接受该方法",
        StatusCode::CONFLICT => "与现状冲突",
        StatusCode::PAYLOAD_TOO_LARGE => "请求体过大",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "不接受该类型",
        StatusCode::UNPROCESSABLE_ENTITY => "内容不能办理",
        StatusCode::SERVICE_UNAVAILABLE => "服务暂不可用",
        _ => "服务器故障",
    };
    language.one(chinese, status.canonical_reason().unwrap_or("Problem"))
}

impl IntoResponse for Problem {
    /// In Chinese, until the layer that knows the request tells it in another language.
    fn into_response(self) -> Response {
        let status = self.status;
        let mut response = (status, self.clone().body(Language::Chinese)).into_response();
        response.extensions_mut().insert(self);
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
        let told = |errors: Vec<FieldError>| errors.into_iter().map(FieldProblem::from).collect();
        let mut problem = Self::new(status, failure::applicant_form());
        problem.errors = [told(errors.in_chinese()), told(errors.fields().to_vec())];
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
                return Self::new(StatusCode::UNPROCESSABLE_ENTITY, failure::key_reused());
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
        let errors = match &error {
            OfficeError::PhotoRefused(judgement) => of_checks(&judgement.refusals()),
            _ => [Vec::new(), Vec::new()],
        };
        let decision = match &error {
            OfficeError::NotEligible(decision) => Some(Box::new(DecisionBody::from(decision.as_ref()))),
            _ => None,
        };
        Self {
            status,
            failure: error.into(),
            errors,
            decision,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_the_members_of_rfc_9457_and_our_code_and_action() {
        let problem = Problem::new(StatusCode::NOT_FOUND, failure::no_such_route());
        for (language, title, action) in [
            (Language::Chinese, "未找到", "请查看接口说明：`issuer openapi`。"),
            (
                Language::English,
                "Not Found",
                "See the OpenAPI document: `issuer openapi`.",
            ),
        ] {
            let body = problem.clone().body(language);
            let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(json["type"], "urn:yzt:problem:no-such-route");
            assert_eq!((&json["title"], &json["status"]), (&title.into(), &404.into()));
            assert_eq!(json["action"], action);
        }
        assert_eq!(
            problem.into_response().headers()["content-type"],
            "application/problem+json"
        );
    }
}
