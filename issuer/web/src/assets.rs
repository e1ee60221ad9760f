//! Style and scripts, in the program itself. An address has a digest of what it names, so that a browser keeps it for good.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use permit_domain::Digest;

const STYLE: &str = include_str!("../assets/counter.css");
const SCRIPT: &str = include_str!("../assets/counter.js");
const LIVE: &str = include_str!("../assets/live.js");
const CHECK: &str = include_str!("../assets/check.js");
const SIGNING: &str = include_str!("../assets/signing.js");
const AUTHENTICATOR: &str = include_str!("../assets/authenticator.js");
const CAMERA: &str = include_str!("../assets/camera.js");
/// htmx 4.0.1, BSD-0-Clause.
const HTMX: &str = include_str!("../assets/htmx.min.js");

const ASSETS: [(&str, &str, &str); 8] = [
    ("counter.css", "text/css; charset=utf-8", STYLE),
    ("check.js", "text/javascript; charset=utf-8", CHECK),
    ("counter.js", "text/javascript; charset=utf-8", SCRIPT),
    (
        "authenticator.js",
        "text/javascript; charset=utf-8",
        AUTHENTICATOR,
    ),
    ("signing.js", "text/javascript; charset=utf-8", SIGNING),
    ("camera.js", "text/javascript; charset=utf-8", CAMERA),
    ("live.js", "text/javascript; charset=utf-8", LIVE),
    ("htmx.js", "text/javascript; charset=utf-8", HTMX),
];

/// The address of an asset.
pub(crate) fn address(name: &str) -> String {
    let version = ASSETS
        .iter()
        .find(|(of, ..)| *of == name)
        .map(|(.., text)| Digest::of(text.as_bytes()).to_string())
        .unwrap_or_default();
    format!("/counter/assets/{name}?{}", version.get(..8).unwrap_or_default())
}

/// An asset.
pub(crate) async fn asset(Path(name): Path<String>) -> Response {
    match ASSETS.iter().find(|(of, ..)| *of == name) {
        Some((_, kind, text)) => (
            [
                (CONTENT_TYPE, *kind),
                (CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ],
            *text,
        )
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
