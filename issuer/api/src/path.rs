//! Ids in a path. One that is none, or no text at all, is the id of nothing: 404, as a problem.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use permit_domain::{ApplicationId, ChangeId, OrderId, PermitId};
use photo_store_protocol::PhotoId;
use program_contract::language::Words;

use crate::problem::Problem;
use crate::state::Api;

/// What has an id in a path.
pub(crate) trait Named: FromStr {
    /// What it is called in a refusal.
    const WHAT: Words;
}

impl Named for ApplicationId {
    const WHAT: Words = Words("申请", "application");
}

impl Named for ChangeId {
    const WHAT: Words = Words("变更", "change");
}

impl Named for OrderId {
    const WHAT: Words = Words("制证单", "order");
}

impl Named for PermitId {
    const WHAT: Words = Words("居住证", "permit");
}

impl Named for PhotoId {
    const WHAT: Words = Words("照片", "photo");
}

/// The one id of a path.
#[derive(Debug)]
pub(crate) struct InPath<T>(pub(crate) T);

/// The two ids of a path, the outer one first.
#[derive(Debug)]
pub(crate) struct TwoInPath<A, B>(pub(crate) A, pub(crate) B);

impl<T: Named> FromRequestParts<Api> for InPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        // Also `%ff`, which is no text.
        let path = Path::<String>::from_request_parts(parts, api).await;
        let Path(id) = path.map_err(|_| Problem::not_found(T::WHAT))?;
        parse_id(&id).map(Self)
    }
}

impl<A: Named, B: Named> FromRequestParts<Api> for TwoInPath<A, B> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, api).await;
        let Path((outer, inner)) = path.map_err(|_| Problem::not_found(A::WHAT))?;
        Ok(Self(parse_id(&outer)?, parse_id(&inner)?))
    }
}

/// An id, from the path or from a body.
pub(crate) fn parse_id<T: Named>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::not_found(T::WHAT))
}
