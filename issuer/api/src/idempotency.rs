//! A request that is sent twice does its work once: the client names it with `Idempotency-Key`.
//!
//! The id of what a request makes is computed from the caller's account, the operation and the key, so a second request
//! meets what the first one made, also after a restart and on another replica. The body is compared with what is there; a key
//! used for another body is refused. Work that makes nothing under an id of its own (a decision, a photo, its confirmation and
//! its end) is the same when it is said again; there the ledger keeps for 30 days what a key did, and a key that did one thing
//! does no other one.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use issuer_office::error::OfficeError;
use permit_domain::Digest;
use sha2::{Digest as _, Sha256};
use utoipa::IntoParams;

use crate::caller::Caller;
use crate::failure;
use crate::problem::Problem;
use crate::state::Api;

/// Header of the client's key.
pub(crate) const HEADER: &str = "idempotency-key";

/// The header, as the document of the API describes it.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it documents the header; `IdempotencyKey` reads it")]
pub(crate) struct KeyHeader {
    /// Fresh for each new piece of work, the same when it is repeated: 8 to 64 visible ASCII characters.
    #[param(
        rename = "Idempotency-Key",
        min_length = 8,
        max_length = 64,
        pattern = "^[!-~]{8,64}$",
        example = "7f1c2a9e-file-1"
    )]
    key: String,
}

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

impl IdempotencyKey {
    /// Does work that makes nothing under the key's own id: refused when the key did another request of this operation.
    /// `request` is all that tells one request from another.
    pub(crate) async fn once<T, E>(
        &self,
        (api, caller, operation): (&Api, &Caller, &str),
        request: &[&[u8]],
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E>
    where
        E: From<Problem> + From<OfficeError>,
    {
        let mut hash = Sha256::new();
        for part in request {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        let (id, request) = (self.id(caller, operation), Digest::of(&hash.finalize()[..]));
        if !api.office().is_its_request(&id, request).await? {
            return Err(OfficeError::IdTaken.into());
        }
        let done = work.await?;
        api.office().keep_request(&id, request).await?;
        Ok(done)
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
            Err(Problem::new(StatusCode::BAD_REQUEST, failure::key_missing()))
        }
    }
}
