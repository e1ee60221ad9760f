//! Bodies: JSON of a form, an applicant file, a picture. What is wrong with one is a problem that names the cause: its kind
//! (415), its size (413), or its form (400).

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, JsonRejection};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use permit_domain::{Applicant, ApplicantForm};
use program_contract::Failure;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use crate::failure;
use crate::problem::Problem;
use crate::state::Api;

/// Largest body of a request but a photo's, bytes: an applicant file with dozens of papers stays below 16 kB.
pub(crate) const LIMIT: usize = 64 * 1024;

/// Largest body that is a photo, bytes: one more than the photo store takes, which says itself that a photo is too large.
pub(crate) const PHOTO_LIMIT: usize = photo_store_protocol::MAX_PHOTO_BYTES + 1;

/// A form of a JSON body.
pub(crate) trait Form: DeserializeOwned {
    /// What is said of a body that has another form.
    fn wrong() -> Failure;
}

/// A JSON body of this form.
#[derive(Debug)]
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: Form> FromRequest<Api> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        match Json::<T>::from_request(request, api).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(JsonRejection::MissingJsonContentType(_)) => Err(no_json()),
            Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(too_large()),
            Err(_) => Err(Problem::new(StatusCode::BAD_REQUEST, T::wrong())),
        }
    }
}

/// An applicant file, checked, with every fault at once.
#[derive(Debug)]
pub(crate) struct ApplicantBody(pub(crate) Applicant);

impl FromRequest<Api> for ApplicantBody {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        if kind(request.headers()) != Some("application/json") {
            return Err(no_json());
        }
        let bytes = whole(request, api, too_large).await?;
        let form = ApplicantForm::from_bytes(&bytes)?;
        Ok(Self(form.into_applicant(api.office().clock().today())?))
    }
}

/// A picture, JPEG or PNG by its kind.
#[derive(Debug)]
pub(crate) struct PictureBody(pub(crate) Bytes);

impl FromRequest<Api> for PictureBody {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        if !matches!(kind(request.headers()), Some("image/jpeg" | "image/png")) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                failure::no_picture(),
            ));
        }
        let too_large = || Problem::new(StatusCode::PAYLOAD_TOO_LARGE, failure::picture_too_large());
        whole(request, api, too_large).await.map(Self)
    }
}

/// The media type without its parameters.
fn kind(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    value.split(';').next().map(str::trim)
}

async fn whole(request: Request, api: &Api, too_large: impl FnOnce() -> Problem) -> Result<Bytes, Problem> {
    Bytes::from_request(request, api)
        .await
        .map_err(|rejection: BytesRejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                too_large()
            } else {
                Problem::new(StatusCode::BAD_REQUEST, failure::body_cut())
            }
        })
}

fn no_json() -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, failure::no_json())
}

fn too_large() -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, failure::body_too_large())
}

/// The applicant file of the contracts (`docs/applicant.schema.json`). Keys that are not listed are refused.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it documents the body; `ApplicantForm` reads it")]
pub(crate) struct ApplicantFile {
    /// GB 11643, 18 characters.
    #[schema(min_length = 18, max_length = 18)]
    citizen_number: String,
    /// As on the identity card, at most 120 bytes of UTF-8.
    #[schema(min_length = 1, max_length = 120)]
    name: String,
    /// GB/T 2261.1, code or word.
    sex: String,
    /// GB/T 3304, two digits or name.
    nation: String,
    /// YYYY-MM-DD.
    #[schema(format = Date)]
    birth_date: String,
    /// At most 210 bytes of UTF-8.
    #[schema(min_length = 4, max_length = 210)]
    hukou_address: String,
    residence: ResidenceFile,
    evidence: Vec<EvidenceFile>,
    /// Months of social insurance paid in the jurisdiction.
    #[schema(maximum = 720)]
    insurance_months: u16,
    /// GB/T 4658, code or word.
    education: String,
    /// Professional title or skill level; absent or null: none.
    title: Option<String>,
    /// TEMP, EMPLOYMENT or TALENT; absent or null: the highest tier whose conditions are met.
    requested_tier: Option<String>,
}

/// The registered residence.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "it documents the body")]
struct ResidenceFile {
    /// At most 210 bytes of UTF-8.
    #[schema(min_length = 4, max_length = 210)]
    address: String,
    /// GB/T 2260, 6 digits.
    #[schema(pattern = "^[0-9]{6}$")]
    division: String,
    /// YYYY-MM-DD.
    #[schema(format = Date)]
    registered_on: String,
}

/// A paper that was shown.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
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
