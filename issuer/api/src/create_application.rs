//! `POST /v1/applications`: an intake clerk files an applicant's facts. Decree 663, articles 8 and 9.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::StringRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use issuer_office::error::OfficeError;
use issuer_office::staff::StaffRole;
use permit_domain::{ApplicantForm, ApplicationId, FormErrors, IntakeClerk};
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::idempotency::{IdempotencyKey, key_reused};
use crate::problem::{FieldProblem, Problem};
use crate::read_application::ApplicationBody;
use crate::state::Api;

/// The applicant file of the contracts. Keys that are not listed are refused.
#[derive(ToSchema)]
#[schema(as = ApplicantFile)]
#[expect(dead_code, reason = "it documents the body; `ApplicantForm` reads it")]
struct ApplicantFile {
    /// GB 11643, 18 characters.
    #[schema(min_length = 18, max_length = 18)]
    citizen_number: String,
    /// As on the identity card, at most 120 bytes of UTF-8.
    name: String,
    /// GB/T 2261.1, code or word.
    sex: String,
    /// GB/T 3304, two digits or name.
    nation: String,
    /// YYYY-MM-DD.
    #[schema(format = Date)]
    birth_date: String,
    /// At most 210 bytes of UTF-8.
    hukou_address: String,
    residence: ResidenceFile,
    evidence: Vec<EvidenceFile>,
    /// Months of social insurance paid in the jurisdiction.
    insurance_months: u16,
    /// GB/T 4658, code or word.
    education: String,
    /// Professional title or skill level.
    title: String,
    /// TEMP, EMPLOYMENT or TALENT; absent: the highest tier whose conditions are met.
    requested_tier: Option<String>,
}

/// The registered residence.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it documents the body")]
struct ResidenceFile {
    /// At most 210 bytes of UTF-8.
    address: String,
    /// GB/T 2260, 6 digits.
    division: String,
    /// YYYY-MM-DD.
    #[schema(format = Date)]
    registered_on: String,
}

/// A paper that was shown.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it documents the body")]
struct EvidenceFile {
    /// Kind of paper, such as `ADDR_LEASE` or `JOB_CONTRACT`.
    code: String,
    /// First day, YYYY-MM-DD, or null.
    #[schema(format = Date)]
    from: Option<String>,
    /// Last day, YYYY-MM-DD, or null.
    #[schema(format = Date)]
    to: Option<String>,
}

/// Why no application was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Caller(#[from] Problem),
    #[error("the body is no JSON")]
    MediaType,
    #[error("the body cannot be read")]
    Body(#[from] StringRejection),
    #[error(transparent)]
    Form(#[from] FormErrors),
    #[error("the key made another application")]
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
            Self::MediaType => Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "MEDIA_TYPE",
                "the body is not application/json",
                "Send the applicant file as application/json.",
            ),
            Self::Body(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "BODY_TOO_LARGE",
                "the body is larger than 64 kB",
                "Send the applicant file alone; scans and the photo go elsewhere.",
            ),
            Self::Body(_) => Problem::new(
                StatusCode::BAD_REQUEST,
                "BODY",
                "the body is not text in UTF-8",
                "Send the applicant file as application/json in UTF-8.",
            ),
            Self::Form(errors) => form_problem(&errors),
            Self::KeyReused => key_reused(),
            Self::Office(error) => error.into(),
        }
        .into_response()
    }
}

/// All faults of a form at once.
fn form_problem(errors: &FormErrors) -> Problem {
    let status = if errors.is_format() {
        StatusCode::BAD_REQUEST
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    let mut problem = Problem::new(
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

/// File an application. The same Idempotency-Key with the same body answers the same application.
#[utoipa::path(
    post,
    path = "/v1/applications",
    operation_id = "create_application",
    params(("Idempotency-Key" = String, Header, description = "8 to 64 visible ASCII characters, fresh for each application")),
    request_body(content = ApplicantFile),
    responses(
        (status = 201, description = "The application is accepted; its clock runs", body = ApplicationBody),
        (status = 400, description = "No key, or not the form of the file", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The caller takes no applications", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The person has an open application or a permit", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "More than 64 kB", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Faults of the facts, all at once; or the key made another application", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The ledger cannot be written", body = Problem, content_type = "application/problem+json"),
    ),
    security(("staff" = []))
)]
pub(crate) async fn create_application(
    State(api): State<Api>,
    caller: Caller,
    key: IdempotencyKey,
    headers: HeaderMap,
    body: Result<String, StringRejection>,
) -> Result<(StatusCode, Json<ApplicationBody>), Refusal> {
    let clerk = IntakeClerk::new(caller.acting_as(StaffRole::IntakeClerk)?);
    let json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    if !json.is_some_and(|kind| {
        kind.split(';')
            .next()
            .is_some_and(|kind| kind.trim() == "application/json")
    }) {
        return Err(Refusal::MediaType);
    }
    let applicant = ApplicantForm::from_json(&body?)?.into_applicant(api.office().clock().today())?;
    let id = ApplicationId::from_bytes(key.id(&caller, "create_application"));
    let application = api.office().apply(id, clerk, applicant).await?;
    Ok((StatusCode::CREATED, Json(ApplicationBody::from(&application))))
}
