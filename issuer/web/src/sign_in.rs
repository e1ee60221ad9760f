//! Signing in and out, and how this browser shows pages. In a rehearsal a chooser of its sample staff; else by the token that a person
//! was given.

use askama::Template;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse as _, Redirect, Response};
use issuer_office::error::OfficeError;
use issuer_office::staff::StaffRole;
use program_contract::Failure;
use program_contract::language::Language;

use crate::answer::{self, Answer, Refused, Told};
use crate::cookies::{SESSION, VIEW, cookie};
use crate::counter::Counter;
use crate::form::Fields;
use crate::frame::{Frame, View};

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    next: String,
    /// Sample staff of a rehearsal, with their roles.
    people: Vec<(String, Vec<StaffRole>)>,
    told: Option<Told>,
}

/// `GET /counter/sign-in`.
pub(crate) async fn page(State(counter): State<Counter>, headers: HeaderMap, fields: Fields) -> Answer {
    shown(&counter, &headers, fields.text("next"), StatusCode::OK, None)
}

fn shown(
    counter: &Counter,
    headers: &HeaderMap,
    next: &str,
    status: StatusCode,
    error: Option<OfficeError>,
) -> Answer {
    let rehearsal = counter.office().founded().is_rehearsal();
    let frame = Frame::of_nobody(View::of(headers), rehearsal);
    let staff = counter.staff().now();
    let staff = staff.map_err(|error| Refused::office(frame.clone(), error.into()))?;
    let people = if rehearsal {
        let person =
            |member: &issuer_office::staff::Member| (member.account.to_string(), member.roles.clone());
        staff.members().iter().map(person).collect()
    } else {
        Vec::new()
    };
    let told = error.map(|error| Told::of(&Failure::from(error), &frame));
    let next = inside(next).to_owned();
    let page = SignInPage {
        frame,
        next,
        people,
        told,
    };
    Ok(answer::page(status, &page))
}

/// `POST /counter/sign-in`: by `account` in a rehearsal, by `token` everywhere.
pub(crate) async fn sign_in(State(counter): State<Counter>, headers: HeaderMap, fields: Fields) -> Answer {
    let office = counter.office();
    let opened = async {
        let staff = counter.staff().now()?;
        // Who sat here before goes.
        if let Some(before) = cookie(&headers, SESSION) {
            office.sign_out(before).await?;
        }
        match fields.text("account") {
            "" => office.sign_in(&staff, fields.text("token")).await,
            account => office.sign_in_sample(&staff, &account.parse()?).await,
        }
    };
    match opened.await {
        Ok(opened) => {
            let seconds = opened.until.duration_since(office.clock().now()).as_secs();
            Ok(to(fields.text("next"), &kept(SESSION, &opened.secret, seconds)))
        }
        Err(error) => shown(
            &counter,
            &headers,
            fields.text("next"),
            StatusCode::UNAUTHORIZED,
            Some(error),
        ),
    }
}

/// `POST /counter/sign-out`.
pub(crate) async fn sign_out(State(counter): State<Counter>, headers: HeaderMap) -> Answer {
    let frame = Frame::of_nobody(View::of(&headers), counter.office().founded().is_rehearsal());
    if let Some(secret) = cookie(&headers, SESSION)
        && let Err(error) = counter.office().sign_out(secret).await
    {
        return Err(Refused::office(frame, error));
    }
    Ok(to("/counter/sign-in", &kept(SESSION, "", 0)))
}

/// `POST /counter/view`: `language` and `letters`.
pub(crate) async fn view(headers: HeaderMap, fields: Fields) -> Response {
    let mut view = View::of(&headers);
    match fields.text("language") {
        "en" => view.language = Language::English,
        "zh-CN" => view.language = Language::Chinese,
        _ => {}
    }
    match fields.text("letters") {
        "large" => view.large = true,
        "normal" => view.large = false,
        _ => {}
    }
    // A year; it says nothing about anybody.
    to(fields.text("next"), &kept(VIEW, &view.kept(), 31_536_000))
}

fn to(next: &str, cookie: &str) -> Response {
    (AppendHeaders([(SET_COOKIE, cookie)]), Redirect::to(inside(next))).into_response()
}

/// Of this machine's pages alone, and no script sees it. `Secure`: over TLS, or to this very machine.
fn kept(name: &str, value: &str, seconds: i64) -> String {
    format!("{name}={value}; Path=/counter; Max-Age={seconds}; HttpOnly; Secure; SameSite=Strict")
}

/// Where it goes on: a page of ours, or the first one.
fn inside(next: &str) -> &str {
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
