//! A photo as the API shows it: how it stands and what its checks say, in Chinese and English, without the picture.

use jiff::Timestamp;
use photo_store_protocol as photo;
use serde::Serialize;
use utoipa::ToSchema;

/// How a photo stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Photo)]
pub(crate) struct PhotoBody {
    /// 32 hex digits.
    photo_id: String,
    /// `WAITING` for a colleague who confirms its warnings, `SEALED`, `SUPERSEDED` by a later one, or `SHREDDED`.
    state: &'static str,
    /// `accept` or `warn`; null once it is shredded.
    verdict: Option<&'static str>,
    /// The checks that did not pass.
    checks: Vec<CheckBody>,
    /// RFC 3339.
    #[schema(format = DateTime)]
    received_at: String,
    /// Account of who took it.
    submitted_by: String,
    /// Account of who confirmed its warnings.
    confirmed_by: Option<String>,
    /// The receipt that an order names; null while it waits.
    #[schema(example = "7K2M-9QXC-0HTA-VB3F")]
    photo_receipt: Option<String>,
    /// RFC 3339.
    #[schema(format = DateTime)]
    receipt_expires_at: Option<String>,
}

/// A check that did not pass.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PhotoCheck)]
struct CheckBody {
    /// From the closed list of the contracts, such as `BACKGROUND`.
    code: &'static str,
    /// `hard` or `warn`.
    level: &'static str,
    /// What was measured, in `unit`.
    measured: Option<f64>,
    /// The limit, in `unit`.
    limit: Option<f64>,
    /// Such as `px`.
    unit: String,
    /// What is wrong, Chinese.
    message_zh: &'static str,
    /// What is wrong, English.
    message: &'static str,
    /// What the person at the camera does, Chinese.
    action_zh: &'static str,
    /// What the person at the camera does, English.
    action: &'static str,
}

impl From<&photo::PhotoStatus> for PhotoBody {
    fn from(status: &photo::PhotoStatus) -> Self {
        let judgement = status.judgement.as_ref();
        let receipt = status.receipt.as_ref();
        Self {
            photo_id: status.photo.to_string(),
            state: status.state.as_str(),
            verdict: judgement.map(|judgement| judgement.verdict.as_str()),
            checks: judgement
                .into_iter()
                .flat_map(|judgement| &judgement.checks)
                .filter(|check| !check.passed)
                .map(CheckBody::from)
                .collect(),
            received_at: instant(status.received_at),
            submitted_by: status.submitted_by.to_string(),
            confirmed_by: status.confirmed_by.as_ref().map(ToString::to_string),
            photo_receipt: receipt.map(|receipt| receipt.number.to_string()),
            receipt_expires_at: receipt.map(|receipt| instant(receipt.expires_at)),
        }
    }
}

impl From<&photo::Check> for CheckBody {
    fn from(check: &photo::Check) -> Self {
        let texts = check.code.texts();
        Self {
            code: check.code.as_str(),
            level: check.level.as_str(),
            measured: check.measured,
            limit: check.limit,
            unit: check.unit.clone(),
            message_zh: texts.message_zh,
            message: texts.message,
            action_zh: texts.action_zh,
            action: texts.action,
        }
    }
}

/// Seconds since 1970 as RFC 3339.
pub(crate) fn instant(seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap_or_default().to_string()
}
