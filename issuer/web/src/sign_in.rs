//! Signing in and out. People sign in with an authenticator; a token or the code of a recovery opens
//! the enrolment of authenticators and nothing else. In a rehearsal a chooser of its sample staff comes first.

use askama::Template;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse as _, Redirect, Response};
use issuer_office::error::OfficeError;
use issuer_office::session::SignedIn;
use issuer_office::staff::StaffRole;
use program_contract::Failure;

use crate::answer::{self, Answer, Refused, Told};
use crate::authenticator::{self, Asked};
use crate::cookies::{SESSION, cookie};
use crate::counter::Counter;
use crate::form::Fields;
use crate::frame::{Frame, View};
use crate::whence::Whence;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    next: String,
    why: Why,
    opens: Opens,
    asked: Asked,
    /// Sample staff of a rehearsal, with their roles.
    people: Vec<(String, Vec<StaffRole>)>,
    told: Option<Told>,
}

/// What brought somebody to the page.
#[derive(PartialEq, Eq)]
enum Why {
    Ended,
    Enrolled,
    Removed,
    Other,
}

/// Which way in is open on the page.
#[derive(PartialEq, Eq)]
enum Opens {
    Token,
    Code,
    Neither,
}

/// `GET /counter/sign-in`.
pub(crate) async fn page(State(counter): State<Counter>, headers: HeaderMap, fields: Fields) -> Answer {
    shown(&counter, &headers, &fields, StatusCode::OK, None).await
}

async fn shown(
    counter: &Counter,
    headers: &HeaderMap,
    fields: &Fields,
    status: StatusCode,
    error: Option<OfficeError>,
) -> Answer {
    let frame = Frame::of_nobody(View::of(headers), counter.office().founded().is_rehearsal());
    let people = sample_staff(counter, &frame)?;
    let question = counter.office().ask_sign_in().await;
    let question = question.map_err(|error| Refused::office(frame.clone(), error))?;
    let page = SignInPage {
        next: inside(fields.text("next")).to_owned(),
        why: match fields.text("why") {
            "ended" => Why::Ended,
            "enrolled" => Why::Enrolled,
            "removed" => Why::Removed,
            _ => Why::Other,
        },
        opens: match (fields.text("token"), fields.text("of")) {
            ("", "") => Opens::Neither,
            ("", _) => Opens::Code,
            _ => Opens::Token,
        },
        asked: Asked::to_sign_in(counter.party(), &question),
        people,
        told: error.map(|error| Told::of(&Failure::from(error), &frame)),
        frame,
    };
    Ok(answer::page(status, &page))
}

/// Sample staff of a rehearsal, with their roles; nobody elsewhere.
pub(crate) fn sample_staff(
    counter: &Counter,
    frame: &Frame,
) -> Result<Vec<(String, Vec<StaffRole>)>, Refused> {
    let staff = counter.staff().now();
    let staff = staff.map_err(|error| Refused::office(frame.clone(), error.into()))?;
    if !frame.rehearsal {
        return Ok(Vec::new());
    }
    let person = |member: &issuer_office::staff::Member| (member.account.to_string(), member.roles.clone());
    Ok(staff.members().iter().map(person).collect())
}

/// `POST /counter/sign-in`: by the answer of an authenticator; by `account` in a rehearsal; by `token`, or by `of` and `code`, to enrol
/// authenticators.
pub(crate) async fn sign_in(
    State(counter): State<Counter>,
    headers: HeaderMap,
    from: Whence,
    fields: Fields,
) -> Answer {
    let office = counter.office();
    match opened(&counter, &headers, &from, &fields).await {
        Ok(opened) => {
            let seconds = opened.until.duration_since(office.clock().now()).as_secs();
            let next = if opened.enrols_alone {
                "/counter/authenticators"
            } else {
                fields.text("next")
            };
            Ok(to(next, &kept(SESSION, &opened.secret, seconds)))
        }
        Err(error) => shown(&counter, &headers, &fields, StatusCode::UNAUTHORIZED, Some(error)).await,
    }
}

async fn opened(
    counter: &Counter,
    headers: &HeaderMap,
    Whence(from): &Whence,
    fields: &Fields,
) -> Result<SignedIn, OfficeError> {
    let office = counter.office();
    let staff = counter.staff().now()?;
    // Who sat here before goes.
    if let Some(before) = cookie(headers, SESSION) {
        office.sign_out(before).await?;
    }
    if let Some(answer) = authenticator::answer(fields, "") {
        return office
            .sign_in_by_authenticator(&staff, counter.party(), &answer, from)
            .await;
    }
    match (fields.text("account"), fields.text("of")) {
        ("", "") => office.open_enrolment(&staff, fields.text("token"), from).await,
        ("", of) => office.use_recovery(&staff, of, fields.text("code"), from).await,
        (account, _) => office.sign_in_sample(&staff, &account.parse()?).await,
    }
}

/// The cookie of a session that is over.
pub(crate) fn ended_cookie() -> String {
    kept(SESSION, "", 0)
}

/// `POST /counter/sign-out`.
pub(crate) async fn sign_out(State(counter): State<Counter>, headers: HeaderMap) -> Answer {
    let frame = Frame::of_nobody(View::of(&headers), counter.office().founded().is_rehearsal());
    if let Some(secret) = cookie(&headers, SESSION)
        && let Err(error) = counter.office().sign_out(secret).await
    {
        return Err(Refused::office(frame, error));
    }
    Ok(to("/counter/sign-in", &ended_cookie()))
}

/// On to a page of ours, with a cookie.
pub(crate) fn to(next: &str, cookie: &str) -> Response {
    (AppendHeaders([(SET_COOKIE, cookie)]), Redirect::to(inside(next))).into_response()
}

/// Of this machine's pages alone, and no script sees it. `Secure`: over TLS, or to this very machine.
pub(crate) fn kept(name: &str, value: &str, seconds: i64) -> String {
    format!("{name}={value}; Path=/counter; Max-Age={seconds}; HttpOnly; Secure; SameSite=Strict")
}

/// Where it goes on: a page of ours, or the first one.
pub(crate) fn inside(next: &str) -> &str {
    let ours = next == "/counter" || next.starts_with("/counter/");
    let plain = next
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_'));
    if ours && plain { next } else { "/counter" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_sign_in_comes_a_page_of_ours() {
        assert_eq!(inside("/counter/lists/review"), "/counter/lists/review");
        for foreign in [
            "",
            "//example.org",
            "https://example.org",
            "/counter/../v1",
            "/counter/x\r\nset-cookie: a=b",
            "/counterfeit",
            "/counter?next=x",
        ] {
            assert_eq!(inside(foreign), "/counter", "{foreign}");
        }
    }
}
