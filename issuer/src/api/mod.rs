//! The HTTP API of the office: OpenAPI 3.1 from the handlers, one file per operation, RFC 9457 for every refusal.
//!
//! Operations: create and read an application, decide, order production, order status, read a permit, health and
//! readiness. No operation searches: everything is read by an id that the caller was given with an open case. Requests
//! are logged by method, route, status and time; never by path, body or query. Left out: TLS (a proxy or the mTLS of the
//! counter agents ends it), and the counter's pages.

mod caller;
mod create_application;
mod decide;
mod health;
mod idempotency;
mod order_production;
mod order_status;
mod problem;
mod read_application;
mod read_permit;
mod readiness;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use problem::{FieldProblem, Problem};
pub use readiness::{Check, Readiness};

use crate::office::{Office, OfficeError};
use crate::staff::Staff;

/// Largest body of a request, bytes: an applicant file with dozens of papers stays below 16 kB.
const BODY_LIMIT: usize = 64 * 1024;

/// Longest time for one request: an order reads two pictures from the photo store and draws a face.
const REQUEST_TIME: Duration = Duration::from_secs(20);

/// What the handlers share.
#[derive(Debug, Clone)]
pub struct Api(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    office: Office,
    staff: Staff,
    request_time: Duration,
}

impl Api {
    /// An API over an office.
    #[must_use]
    pub fn new(office: Office, staff: Staff) -> Self {
        Self(Arc::new(Shared {
            office,
            staff,
            request_time: REQUEST_TIME,
        }))
    }

    /// As [`Api::new`], with another time limit for a request.
    #[must_use]
    pub fn with_request_time(office: Office, staff: Staff, request_time: Duration) -> Self {
        Self(Arc::new(Shared {
            office,
            staff,
            request_time,
        }))
    }

    fn office(&self) -> &Office {
        &self.0.office
    }

    fn staff(&self) -> &Staff {
        &self.0.staff
    }

    /// The service.
    pub fn router(self) -> Router {
        let (router, _) = routes_and_document();
        router
            .fallback(unknown_route)
            .method_not_allowed_fallback(unknown_method)
            .layer(DefaultBodyLimit::max(BODY_LIMIT))
            .layer(axum::middleware::from_fn_with_state(
                self.clone(),
                within_time_and_logged,
            ))
            .layer(CatchPanicLayer::custom(panicked))
            .with_state(self)
    }
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Yizhengtong issuer",
        description = "The issuing office of the residence permit: applications, decisions, production orders and permits.\n\nEvery refusal is an RFC 9457 problem with a stable `code` and an `action`. POST requests carry an `Idempotency-Key`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    modifiers(&BearerToken)
)]
struct Document;

struct BearerToken;

impl utoipa::Modify for BearerToken {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
        let components = document.components.get_or_insert_with(Default::default);
        components.add_security_scheme("staff", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

fn routes_and_document() -> (Router<Api>, utoipa::openapi::OpenApi) {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(create_application::create_application))
        .routes(routes!(read_application::read_application))
        .routes(routes!(decide::decide))
        .routes(routes!(order_production::order_production))
        .routes(routes!(order_status::order_status))
        .routes(routes!(read_permit::read_permit))
        .routes(routes!(health::health))
        .routes(routes!(readiness::readiness))
        .split_for_parts()
}

/// The OpenAPI 3.1 document of the API, JSON with two spaces and a final newline: the bytes of `issuer/openapi.json`.
#[must_use]
pub fn openapi_json() -> String {
    let (_, document) = routes_and_document();
    let mut json = document.to_pretty_json().unwrap_or_default();
    json.push('\n');
    json
}

async fn unknown_route() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "NO_SUCH_ROUTE",
        "the API has no such path",
        "See the OpenAPI document.",
    )
}

async fn unknown_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "NO_SUCH_METHOD",
        "the path does not take this method",
        "See the OpenAPI document.",
    )
}

async fn within_time_and_logged(State(api): State<Api>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("(none)", MatchedPath::as_str)
        .to_owned();
    let began = api.office().clock().now();
    let response = tokio::time::timeout(api.0.request_time, next.run(request))
        .await
        .unwrap_or_else(|_| {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "TIMEOUT",
                "the request took too long; whether it was done is not known",
                "Repeat it with the same Idempotency-Key.",
            )
            .into_response()
        });
    let spent = api.office().clock().now().duration_since(began);
    tracing::info!(%method, route, status = response.status().as_u16(), ms = spent.as_millis_f64(), "request");
    response
}

fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    // The panic's text may hold a value; it went to the panic hook and goes nowhere else.
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "INTERNAL",
        "the program failed; whether the request was done is not known",
        "Repeat it with the same Idempotency-Key, and report this.",
    )
    .into_response()
}

/// An office's refusal as HTTP says it.
impl From<OfficeError> for Problem {
    fn from(error: OfficeError) -> Self {
        let status = match error.fault() {
            crate::office::Fault::Absent => StatusCode::NOT_FOUND,
            crate::office::Fault::Request => StatusCode::UNPROCESSABLE_ENTITY,
            crate::office::Fault::Conflict => StatusCode::CONFLICT,
            crate::office::Fault::Person => StatusCode::FORBIDDEN,
            crate::office::Fault::Service => StatusCode::SERVICE_UNAVAILABLE,
            crate::office::Fault::Machine => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.code(), error.to_string(), error.action())
    }
}

/// An id from the path.
fn parse_id<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::not_found(what))
}
