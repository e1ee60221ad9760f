//! `GET /readyz`: whether work can be done now: vault, ledger, photo store and clock, and where cards are made at this machine the
//! reader. Many who ask at once cost one look.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use issuer_office::readiness::CheckNow;
use serde::Serialize;
use utoipa::ToSchema;

use crate::language;
use crate::state::Api;

/// One thing that the office needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Check)]
pub(crate) struct CheckBody {
    /// `ledger`, `vault`, `photo_store`, `clock`, `cards`, and where cards are made at this machine `reader`.
    #[schema(example = "vault")]
    pub(crate) name: &'static str,
    /// Whether it can be used.
    pub(crate) ok: bool,
    /// The code of the failure, or null.
    pub(crate) code: Option<String>,
    /// What to do, in the language of `Accept-Language`, or null.
    pub(crate) action: Option<String>,
}

impl From<CheckNow> for CheckBody {
    fn from(check: CheckNow) -> Self {
        Self {
            name: check.name,
            ok: check.ok,
            code: check.code,
            action: check.action,
        }
    }
}

/// Whether work can be done now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// All checks passed.
    pub(crate) ready: bool,
    /// Each check.
    pub(crate) checks: Vec<CheckBody>,
}

/// Check everything that the office needs.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "readiness",
    responses(
        (status = 200, description = "Work can be done", body = Readiness),
        (status = 503, description = "Something is missing; the checks say what", body = Readiness),
    )
)]
pub(crate) async fn readiness(State(api): State<Api>, headers: HeaderMap) -> (StatusCode, Json<Readiness>) {
    let language = language::asked(&headers);
    let checks = api.checks().await;
    let checks: Vec<CheckBody> = checks.iter().map(|check| check.now(language).into()).collect();
    let ready = checks.iter().all(|check| check.ok);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(Readiness { ready, checks }))
}
