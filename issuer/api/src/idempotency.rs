//! A request that is sent twice does its work once: the client names it with `Idempotency-Key`.
//!
//! The id of what a request makes is computed from the caller's account, the operation and the key, so a second request
//! meets what the first one made, also after a restart and on another replica, without a table of keys that would have
//! to be emptied. The body is compared with what is there; a key used for another body is refused.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use sha2::{Digest as _, Sha256};

use crate::caller::Caller;
use crate::problem::Problem;
use crate::state::Api;

/// Header of the client's key.
pub(crate) const HEADER: &str = "idempotency-key";

/// The client's key: 8 to 64 visible ASCII characters.
#[derive(Debug, Clone)]
pub(crate) struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The id of what `operation` makes for this caller and key: UUID version 8 (RFC 9562, section 5.8).
    pub(crate) fn id(&self, caller: &Caller, operation: &str) -> [u8; 16] {
        let mut hash = Sha256::new();
        for part in ["YZT-IDEMPOTENCY-1", operation, caller.account().as_str(), &self.0] {
            // Account, operation and key hold no byte 0.
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let mut id = [0; 16];
        id.copy_from_slice(&hash.finalize()[..16]);
        id[6] = (id[6] & 0x0f) | 0x80;
        id[8] = (id[8] & 0x3f) | 0x80;
        id
    }
}

impl FromRequestParts<Api> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Problem> {
        let key = parts
            .headers
            .get(HEADER)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        if (8..=64).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(key.to_owned()))
        } else {
            Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "IDEMPOTENCY_KEY_MISSING",
                "the request has no Idempotency-Key of 8 to 64 visible ASCII characters",
                "Send a fresh random key with every new piece of work, and the same key when you repeat it.",
            ))
        }
    }
}

/// The refusal of a key that made something else before.
pub(crate) fn key_reused() -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "IDEMPOTENCY_KEY_REUSED",
        "this Idempotency-Key was used for another request",
        "Send a fresh key.",
    )
}
