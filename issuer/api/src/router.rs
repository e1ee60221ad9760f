//! The routes of the API, its OpenAPI document, and what every request passes through.

use std::any::Any;
use std::io;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi as _;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use crate::problem::Problem;
use crate::state::Api;
use crate::{
    approve_change, approve_erasure, body, change_status, complete_intake, confirm_photo, connections,
    correct_application, create_application, decide, failure, give_up_change, give_up_order, health,
    language, list_photos, look_at_photo, order_production, order_status, photo_case, photo_reads,
    propose_change, read_application, read_mandate, read_permit, read_proposal, readiness, request_erasure,
    submit_photo, take_back_photo, withdraw_application,
};

impl Api {
    /// Serves at `listener` until `stopped` is done; requests that run then are finished.
    ///
    /// # Errors
    /// The operating system's.
    pub async fn serve(
        self,
        listener: TcpListener,
        stopped: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let head = self.times().head;
        connections::serve(listener, self.router(), head, stopped).await
    }

    /// The service.
    pub fn router(mut self) -> Router {
        let (router, _) = routes_and_document();
        let pages = self.take_pages().unwrap_or_default();
        router
            .method_not_allowed_fallback(unknown_method)
            .merge(pages.with_state(()))
            .fallback(unknown_route)
            .layer(DefaultBodyLimit::max(body::LIMIT))
            .layer(axum::middleware::from_fn_with_state(
                self.clone(),
                within_time_and_logged,
            ))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(axum::middleware::from_fn(language::of_request))
            .with_state(self)
    }
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Yizhengtong issuer",
        description = "The issuing office of the residence permit: applications, photos, decisions, production orders, permits and changes of their cards.\n\nEvery refusal is an RFC 9457 problem with a stable `code` and an `action`; its texts are in the language of `Accept-Language`, Chinese or English, and in Chinese where that asks for neither. POST requests carry an `Idempotency-Key`.",
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
        .routes(routes!(read_mandate::read_mandate))
        .routes(routes!(withdraw_application::withdraw_application))
        .routes(routes!(correct_application::correct_application))
        .routes(routes!(complete_intake::complete_intake))
        .routes(routes!(submit_photo::submit_photo).layer(DefaultBodyLimit::max(body::PHOTO_LIMIT)))
        .routes(routes!(list_photos::list_photos))
        .routes(routes!(look_at_photo::look_at_photo))
        .routes(routes!(confirm_photo::confirm_photo))
        .routes(routes!(take_back_photo::take_back_photo))
        .routes(routes!(request_erasure::request_erasure))
        .routes(routes!(approve_erasure::approve_erasure))
        .routes(routes!(photo_case::open_photo_case, photo_case::close_photo_case))
        .routes(routes!(photo_reads::photo_reads))
        .routes(routes!(decide::decide))
        .routes(routes!(order_production::order_production))
        .routes(routes!(order_status::order_status))
        .routes(routes!(give_up_order::give_up_order))
        .routes(routes!(read_permit::read_permit))
        .routes(routes!(propose_change::propose_change))
        .routes(routes!(change_status::change_status))
        .routes(routes!(read_proposal::read_proposal))
        .routes(routes!(approve_change::approve_change))
        .routes(routes!(give_up_change::give_up_change))
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
    Problem::new(StatusCode::NOT_FOUND, failure::no_such_route())
}

async fn unknown_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, failure::no_such_method())
}

async fn within_time_and_logged(State(api): State<Api>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("(none)", MatchedPath::as_str)
        .to_owned();
    let began = api.office().clock().now();
    let response = tokio::time::timeout(api.times().request, next.run(request))
        .await
        .unwrap_or_else(|_| {
            // What only reads has nothing to repeat under its key.
            let late = if method.is_safe() {
                failure::answer_late()
            } else {
                failure::timeout()
            };
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, late).into_response()
        });
    let spent = api.office().clock().now().duration_since(began);
    tracing::info!(%method, route, status = response.status().as_u16(), ms = spent.as_millis_f64(), "request");
    response
}

fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    // The panic's text may hold a value; it went to the panic hook and goes nowhere else.
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, failure::internal()).into_response()
}
