//! Who sits at the page: the session in the browser's cookie. And that a form came from a page of ours.

use std::str::FromStr;

use askama::Template;
use axum::extract::{FromRequestParts, Request};
use axum::http::header::{HOST, ORIGIN, REFERER};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use issuer_office::error::OfficeError;
use issuer_office::session::AtPage;
use issuer_office::staff::{Member, StaffRole};
use permit_domain::StaffId;

use crate::answer::{self, Refused};
use crate::cookies::{SESSION, cookie};
use crate::counter::Counter;
use crate::failure;
use crate::frame::{Frame, View};

/// What the script of a page that follows by itself says.
const FOLLOWS: &str = "x-yzt-follows";

/// A member of staff at a page, and what frames every page for them.
pub(crate) struct Person {
    pub(crate) member: Member,
    /// How they signed in, and when they last proved to be there.
    pub(crate) at: AtPage,
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

/// Who sits at a page, also somebody who was invited to enrol authenticators and may do nothing else.
pub(crate) struct Seated {
    pub(crate) at: AtPage,
    pub(crate) frame: Frame,
}

impl Seated {
    /// Why a page cannot be shown or a step not done, inside this person's frame.
    pub(crate) fn refused(&self, error: OfficeError) -> Refused {
        Refused::office(self.frame.clone(), error)
    }
}

impl FromRequestParts<Counter> for Seated {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, counter: &Counter) -> Result<Self, Response> {
        seated(parts, counter).await
    }
}

impl FromRequestParts<Counter> for Person {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, counter: &Counter) -> Result<Self, Response> {
        let Seated { at, frame } = seated(parts, counter).await?;
        if at.opened_by.enrols_alone() {
            return Err(answer::to("/counter/authenticators"));
        }
        Ok(Self {
            member: at.member.clone(),
            at,
            frame,
        })
    }
}

/// Who sits at the page, or the way to the sign-in.
pub(crate) async fn seated(parts: &Parts, counter: &Counter) -> Result<Seated, Response> {
    let view = View::of(&parts.headers);
    let office = counter.office();
    let nobody = Frame::of_nobody(view, office.founded().is_rehearsal());
    let Some(secret) = cookie(&parts.headers, SESSION) else {
        return Err(to_sign_in(parts, nobody, ""));
    };
    let refused = |error| Refused::office(nobody.clone(), error).into_response();
    let staff = counter.staff().now().map_err(|error| refused(error.into()))?;
    // A page that follows by itself is no use of the session.
    let follows = parts.headers.contains_key(FOLLOWS) || parts.uri.path() == "/counter/events";
    let found = if follows {
        office.follows(&staff, secret).await
    } else {
        office.at_page(&staff, secret).await
    };
    let at = match found {
        Ok(at) => at,
        Err(OfficeError::SessionEnded | OfficeError::Staff(_)) => {
            return Err(to_sign_in(parts, nobody.clone(), "&why=ended"));
        }
        Err(error) => return Err(refused(error)),
    };
    let view = office.view_of(&at.member.account).await.map_err(refused)?;
    let nobody = match view {
        Some(kept) => Frame::of_nobody(View::read(&kept), nobody.rehearsal),
        None => nobody.clone(),
    };
    let refused = |error| Refused::office(nobody.clone(), error).into_response();
    let frame = if at.opened_by.enrols_alone() {
        nobody.clone().of_invited(&at.member.account)
    } else {
        let waiting = office.waiting().await.map_err(refused)?;
        nobody.clone().of(&at.member, &waiting)
    };
    match opened_by(parts) {
        Some(other) if !parts.method.is_safe() && other != at.member.account.as_str() => {
            let now = at.member.account.to_string();
            let failure = failure::others_page(other, now.as_str());
            Err(Refused::with(StatusCode::CONFLICT, frame, &failure).into_response())
        }
        _ => Ok(Seated { at, frame }),
    }
}

/// The account that opened the page of this form, as the page says.
fn opened_by(parts: &Parts) -> Option<&str> {
    let pairs = parts.uri.query()?.split('&');
    pairs.rev().find_map(|pair| pair.strip_prefix("as="))
}

#[derive(Template)]
#[template(path = "ended.html")]
struct EndedPage {
    frame: Frame,
    next: String,
}

/// Nobody is signed in: the page comes back after the sign-in. Of a form it is said that nothing was done, and the page comes back
/// that it was on.
fn to_sign_in(parts: &Parts, frame: Frame, why: &str) -> Response {
    if parts.method.is_safe() {
        return answer::to(&format!("/counter/sign-in?next={}{why}", parts.uri.path()));
    }
    let referer = parts.headers.get(REFERER).and_then(|value| value.to_str().ok());
    let page = referer
        .and_then(|address| address.split_once("://"))
        .and_then(|(_, rest)| rest.find('/').and_then(|at| rest.get(at..)))
        .and_then(|path| path.split(['?', '#']).next())
        .unwrap_or_default();
    let next = crate::sign_in::inside(page).to_owned();
    answer::page(StatusCode::UNAUTHORIZED, &EndedPage { frame, next })
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
