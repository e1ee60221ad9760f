//! The page as it is served: three files, and in a rehearsal the door to its key files.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Form, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use issuer_mandate::SignerRole;
use tokio::net::TcpListener;

use crate::rehearsal::RehearsalKeys;

const PAGE: &str = include_str!("../assets/sign.html");
const STYLE: &str = include_str!("../assets/sign.css");
const SCRIPT: &str = include_str!("../assets/sign.js");
const MANDATE: &str = include_str!("../assets/mandate.js");

/// Nothing from anywhere else, no frame around it, no form anywhere; the photo is a picture that the page makes of bytes it was given.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob:; connect-src 'self'; \
                      form-action 'none'; base-uri 'none'; frame-ancestors 'none'";
/// The largest request of a rehearsal, bytes: a mandate in hexadecimal digits.
const LIMIT: usize = 32 * 1024;

/// The page, for one counter.
#[derive(Debug, Clone)]
pub struct SigningPage {
    page: Arc<str>,
    rehearsal: Option<RehearsalKeys>,
}

impl SigningPage {
    /// For the counter at this origin, to which alone it goes back.
    #[must_use]
    pub fn of(counter: &str) -> Self {
        // An origin has no sign that HTML would read.
        let page = PAGE.replace("COUNTER", counter).replace("REHEARSAL", "no");
        Self {
            page: page.into(),
            rehearsal: None,
        }
    }

    /// The same for a rehearsal, which signs with these key files.
    #[must_use]
    pub fn of_rehearsal(counter: &str, keys: RehearsalKeys) -> Self {
        let page = PAGE.replace("COUNTER", counter).replace("REHEARSAL", "yes");
        Self {
            page: page.into(),
            rehearsal: Some(keys),
        }
    }

    /// The service.
    pub fn router(self) -> Router {
        Router::new()
            .route("/", get(page))
            .route("/sign.css", get(async || file("text/css; charset=utf-8", STYLE)))
            .route(
                "/sign.js",
                get(async || file("text/javascript; charset=utf-8", SCRIPT)),
            )
            .route(
                "/mandate.js",
                get(async || file("text/javascript; charset=utf-8", MANDATE)),
            )
            .route("/rehearsal", post(sign))
            .layer(DefaultBodyLimit::max(LIMIT))
            .layer(axum::middleware::from_fn(closed))
            .with_state(self)
    }
}

async fn page(State(page): State<SigningPage>) -> Response {
    (
        [(CONTENT_TYPE, "text/html; charset=utf-8")],
        page.page.to_string(),
    )
        .into_response()
}

fn file(kind: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, kind)], text).into_response()
}

/// What the page of a rehearsal asks.
#[derive(serde::Deserialize)]
struct Asked {
    account: String,
    role: String,
    /// Hexadecimal digits.
    mandate: String,
}

/// `POST /rehearsal`: signs a mandate with the key file of a sample person. For the page of this very origin alone.
async fn sign(State(page): State<SigningPage>, headers: HeaderMap, Form(asked): Form<Asked>) -> Response {
    let Some(keys) = &page.rehearsal else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let site = headers.get("sec-fetch-site");
    if site.is_none_or(|site| site != "same-origin") {
        return StatusCode::FORBIDDEN.into_response();
    }
    let role = match asked.role.as_str() {
        "REVIEWER" => SignerRole::Reviewer,
        "APPROVER" => SignerRole::Approver,
        _ => return StatusCode::UNPROCESSABLE_ENTITY.into_response(),
    };
    let Ok(key) = keys.of(&asked.account, role) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let signed = hex::decode(&asked.mandate)
        .ok()
        .and_then(|mandate| key.sign(&mandate).ok()?.to_text().ok());
    match signed {
        Some(text) => text.into_response(),
        None => StatusCode::UNPROCESSABLE_ENTITY.into_response(),
    }
}

/// What every answer says to the browser.
async fn closed(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("permissions-policy"),
            "publickey-credentials-get=(self), publickey-credentials-create=(self)",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Serves the page at `listener` until `stopped` is done.
///
/// # Errors
/// The operating system's.
pub async fn serve(
    listener: TcpListener,
    page: SigningPage,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, page.router())
        .with_graceful_shutdown(stopped)
        .await
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use axum::body::{Body, to_bytes};
    use issuer_mandate::{Given, Mandate};
    use tower::ServiceExt as _;

    use super::*;

    /// The sample of `issuer-mandate`: name, then hexadecimal digits.
    const SAMPLE: &str = include_str!("../../mandate/tests/mandate.txt");
    const COUNTER: &str = "http://localhost:8440";

    fn mandate() -> &'static str {
        SAMPLE.lines().next().unwrap().strip_prefix("mandate ").unwrap()
    }

    async fn asked(page: &SigningPage, site: Option<&str>, fields: &str) -> (StatusCode, String) {
        let mut request =
            Request::post("/rehearsal").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(site) = site {
            request = request.header("sec-fetch-site", site);
        }
        let request = request.body(Body::from(fields.to_owned())).unwrap();
        let answer = page.clone().router().oneshot(request).await.unwrap();
        let status = answer.status();
        let body = to_bytes(answer.into_body(), LIMIT).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_key_file_signs_for_the_page_of_its_own_origin_what_is_a_mandate_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let keys = RehearsalKeys::at(folder.path().to_owned());
        let key = keys.of_or_new("wang", SignerRole::Reviewer, &[7; 32]).unwrap();
        let again = keys.of_or_new("wang", SignerRole::Reviewer, &[8; 32]).unwrap();
        assert_eq!(again.public_key(), key.public_key(), "it stays");
        let page = SigningPage::of_rehearsal(COUNTER, keys);
        let right = format!("account=wang&role=REVIEWER&mandate={}", mandate());
        let own = Some("same-origin");
        let (status, text) = asked(&page, own, &right).await;
        assert_eq!(status, StatusCode::OK);
        let given = Given::from_text(&text).unwrap();
        assert_eq!(given.credential, key.credential());
        assert_eq!(given, key.sign(&hex::decode(mandate()).unwrap()).unwrap());
        // Another site, also one of this machine, or who says nothing of itself.
        for site in [None, Some("cross-site"), Some("same-site"), Some("none")] {
            assert_eq!(asked(&page, site, &right).await.0, StatusCode::FORBIDDEN);
        }
        let digest = hex::encode(Mandate::digest(&hex::decode(mandate()).unwrap()));
        for (fields, status) in [
            // A digest is no mandate, nor is a text with a byte more.
            (format!("account=wang&role=REVIEWER&mandate={digest}"), 422),
            (format!("account=wang&role=REVIEWER&mandate={}00", mandate()), 422),
            (right.replace("REVIEWER", "CHIEF"), 422),
            (right.replace("REVIEWER", "APPROVER"), 404),
            (right.replace("wang", "zhao"), 404),
            (right.replace("wang", "..%2Fissuer%2Fwang"), 404),
        ] {
            assert_eq!(asked(&page, own, &fields).await.0.as_u16(), status, "{fields}");
        }
        // A page that is no rehearsal's has no such door.
        let real = SigningPage::of(COUNTER);
        assert_eq!(asked(&real, own, &right).await.0, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn the_page_goes_back_to_its_counter_alone_keeps_nothing_and_sets_no_cookie() {
        for path in ["/", "/sign.css", "/sign.js", "/mandate.js"] {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let answer = SigningPage::of(COUNTER).router().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
            let headers = answer.headers();
            assert_eq!(headers[CONTENT_SECURITY_POLICY], POLICY);
            assert_eq!(headers[CACHE_CONTROL], "no-store");
            assert!(
                !headers.contains_key("set-cookie") && !headers.contains_key("access-control-allow-origin")
            );
            if path == "/" {
                let text = to_bytes(answer.into_body(), 1 << 16).await.unwrap();
                let text = String::from_utf8(text.to_vec()).unwrap();
                assert!(text.contains("data-counter=\"http://localhost:8440\" data-rehearsal=\"no\""));
            }
        }
    }
}
