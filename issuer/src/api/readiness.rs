//! `GET /readyz`: whether work can be done now: a real operation of the vault, the ledger, the photo store, the clock.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;

/// One thing that the office needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Check {
    /// `ledger`, `vault`, `photo_store` or `clock`.
    #[schema(example = "vault")]
    pub name: &'static str,
    /// Whether it can be used.
    pub ok: bool,
    /// The code of the failure, or null.
    pub code: Option<String>,
    /// What to do, or null.
    pub action: Option<String>,
}

impl Check {
    pub(crate) const fn passed(name: &'static str) -> Self {
        Self {
            name,
            ok: true,
            code: None,
            action: None,
        }
    }

    pub(crate) fn failed(name: &'static str, code: &str, action: &str) -> Self {
        Self {
            name,
            ok: false,
            code: Some(code.to_owned()),
            action: Some(action.to_owned()),
        }
    }
}

/// Whether work can be done now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Readiness {
    /// All checks passed.
    pub ready: bool,
    /// Each check.
    pub checks: Vec<Check>,
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
pub(super) async fn readiness(State(api): State<Api>) -> (StatusCode, Json<Readiness>) {
    let checks = api.office().checks().await;
    let ready = checks.iter().all(|check| check.ok);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(Readiness { ready, checks }))
}
