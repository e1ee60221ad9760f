//! Who calls: the owner of the bearer token, RFC 6750. The actor of a step is never a field of the request.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use issuer_office::error::OfficeError;
use issuer_office::staff::{Member, StaffRole};
use permit_domain::StaffId;

use crate::failure;
use crate::problem::Problem;
use crate::state::Api;

/// A member of staff who called.
#[derive(Debug, Clone)]
pub(crate) struct Caller(Member);

impl Caller {
    /// The caller, if the account has this role.
    pub(crate) fn acting_as(&self, role: StaffRole) -> Result<StaffId, Problem> {
        Ok(self.0.acting_as(role).map_err(OfficeError::from)?)
    }

    /// The caller, if the account has one of these roles.
    pub(crate) fn acting_as_any(&self, roles: &[StaffRole]) -> Result<&StaffId, Problem> {
        if self.0.roles.iter().any(|role| roles.contains(role)) {
            Ok(&self.0.account)
        } else {
            Err(Problem::new(StatusCode::FORBIDDEN, failure::role_missing()))
        }
    }

    /// The caller's account.
    pub(crate) fn account(&self) -> &StaffId {
        &self.0.account
    }
}

impl FromRequestParts<Api> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let token = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            // The name of a scheme has no case: RFC 9110, section 11.1.
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"))
            .map(|(_, token)| token);
        // The file decides at every call: who is taken out of it is out, and so is everybody while it cannot be read.
        let staff = api.staff().now().map_err(OfficeError::from)?;
        let token = token.ok_or_else(|| Problem::new(StatusCode::UNAUTHORIZED, failure::not_signed_in()))?;
        let today = api.office().clock().today();
        let member = staff.owner(token.trim(), today).map_err(OfficeError::from)?;
        Ok(Self(member.clone()))
    }
}
