//! Who sits at the page: the session in the browser's cookie. And that a form came from a page of ours.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Request};
use axum::http::header::{HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use issuer_office::error::OfficeError;
use issuer_office::staff::{Member, StaffRole};
use permit_domain::StaffId;

use crate::answer::Refused;
use crate::cookies::{SESSION, cookie};
use crate::counter::Counter;
use crate::frame::{Frame, View};

/// A member of staff at a page, and what frames every page for them.
pub(crate) struct Person {
    pub(crate) member: Member,
    pub(crate) frame: Frame,
}

impl Person {
    /// The account, if it may act in this role.
    pub(crate) fn acting_as(&self, role: StaffRole) -> Result<StaffId, Refused> {
        self.member
            .acting_as(role)
            .map_err(|error| self.refused(OfficeError::from(error)))
    }

    /// The account, if it may act in one of these roles.
    pub(crate) fn acting_as_any(&self, roles: &[StaffRole]) -> Result<StaffId, Refused> {
        match roles.iter().find(|role| self.may(**role)) {
            Some(role) => self.acting_as(*role),
            None => self.acting_as(roles.first().copied().unwrap_or(StaffRole::Auditor)),
        }
    }

    /// Whether the account has this role.
    pub(crate) fn may(&self, role: StaffRole) -> bool {
        self.member.roles.contains(&role)
    }

    /// What an address names.
    pub(crate) fn named<T: FromStr>(&self, text: &str) -> Result<T, Refused>
    where
        OfficeError: From<T::Err>,
    {
        text.parse()
            .map_err(|error| self.refused(OfficeError::from(error)))
    }

    /// Why a page cannot be shown or a step not done, inside this person's frame.
    pub(crate) fn refused(&self, error: OfficeError) -> Refused {
        Refused::office(self.frame.clone(), error)
    }
}

impl FromRequestParts<Counter> for Person {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, counter: &Counter) -> Result<Self, Response> {
        let view = View::of(&parts.headers);
        let office = counter.office();
        let nobody = Frame::of_nobody(view, office.founded().is_rehearsal());
        let Some(secret) = cookie(&parts.headers, SESSION) else {
            return Err(to_sign_in(parts));
        };
        let staff = counter
            .staff()
            .now()
            .map_err(|error| Refused::office(nobody.clone(), error.into()).into_response())?;
        let member = match office.signed_in(&staff, secret).await {
            Ok(member) => member,
            Err(OfficeError::SessionEnded | OfficeError::Staff(_)) => return Err(to_sign_in(parts)),
            Err(error) => return Err(Refused::office(nobody, error).into_response()),
        };
        let waiting = office
            .waiting()
            .await
            .map_err(|error| Refused::office(nobody.clone(), error).into_response())?;
        Ok(Self {
            frame: nobody.of(&member, &waiting),
            member,
        })
    }
}

/// Nobody is signed in: the page comes back after the sign-in. A form that was sent is not lost in the browser.
fn to_sign_in(parts: &Parts) -> Response {
    let page = if parts.method.is_safe() {
        parts.uri.path()
    } else {
        "/counter"
    };
    Redirect::to(&format!("/counter/sign-in?next={page}")).into_response()
}

/// Refuses what another site sends in the name of somebody who is signed in here: a form comes from our own origin, and the browser
/// says so. Together with a cookie that is not sent from elsewhere.
pub(crate) async fn from_our_own_pages(request: Request, next: Next) -> Response {
    if request.method().is_safe() || is_ours(request.headers()) {
        return next.run(request).await;
    }
    (
        StatusCode::FORBIDDEN,
        "a form of another site: nothing was done\n",
    )
        .into_response()
}

/// By what the browser says of itself; by the origin, which has host and port, where it does not.
fn is_ours(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match (headers.get("sec-fetch-site"), text(ORIGIN)) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => origin
            .split_once("://")
            .is_some_and(|(_, host)| Some(host) == text(HOST)),
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                let name: axum::http::HeaderName = name.parse().unwrap();
                (name, value.parse().unwrap())
            })
            .collect()
    }

    #[test]
    fn a_form_of_another_site_or_of_nobody_is_not_ours() {
        let host = ("host", "localhost:8440");
        assert!(is_ours(&headers(&[host, ("origin", "http://localhost:8440")])));
        assert!(is_ours(&headers(&[host, ("sec-fetch-site", "same-origin")])));
        for foreign in [
            ("origin", "http://localhost:8441"),
            ("origin", "https://example.org"),
            ("origin", "null"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "cross-site"),
            ("referer", "http://localhost:8440/counter"),
        ] {
            assert!(!is_ours(&headers(&[host, foreign])), "{foreign:?}");
        }
    }
}
