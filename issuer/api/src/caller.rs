//! Who calls: the owner of the bearer token, RFC 6750. The actor of a step is never a field of the request.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use issuer_office::staff::{Member, StaffRole};
use permit_domain::StaffId;

use crate::problem::Problem;
use crate::state::Api;

/// A member of staff who called.
#[derive(Debug, Clone)]
pub(crate) struct Caller(Member);

impl Caller {
    /// The caller, if the account has this role.
    pub(crate) fn acting_as(&self, role: StaffRole) -> Result<StaffId, Problem> {
        if self.0.roles.contains(&role) {
            Ok(self.0.account.clone())
        } else {
            Err(Problem::new(
                StatusCode::FORBIDDEN,
                "ROLE_MISSING",
                format!("your account does not have the role {}", role.name()),
                "Ask somebody who has the role.",
            ))
        }
    }

    /// Whether the account has one of these roles.
    pub(crate) fn acting_as_any(&self, roles: &[StaffRole]) -> Result<(), Problem> {
        if self.0.roles.iter().any(|role| roles.contains(role)) {
            Ok(())
        } else {
            Err(Problem::new(
                StatusCode::FORBIDDEN,
                "ROLE_MISSING",
                "your account has none of the roles that read this",
                "Ask somebody who has one of them.",
            ))
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
        match token.and_then(|token| api.staff().owner(token.trim())) {
            Some(member) => Ok(Self(member.clone())),
            None => Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "NOT_SIGNED_IN",
                "the request carries no token of a member of staff",
                "Send `Authorization: Bearer` with your token.",
            )),
        }
    }
}
