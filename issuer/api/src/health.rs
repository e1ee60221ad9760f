//! `GET /healthz`: the process runs. It asks nobody else, so that a restart is ordered only for a process that hangs.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

/// The process runs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Health)]
pub(crate) struct HealthBody {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
    /// Version of the program.
    version: &'static str,
}

/// Say that the process runs.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "health",
    responses((status = 200, description = "The process runs", body = HealthBody))
)]
pub(crate) async fn health() -> Json<HealthBody> {
    Json(HealthBody {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
    })
}
