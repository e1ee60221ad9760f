//! How somebody sees the pages: language, letters, contrast. Kept for a person in the office's store, for nobody in a cookie.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use program_contract::language::Language;

use crate::answer::{self, Answer};
use crate::cookies::VIEW;
use crate::counter::Counter;
use crate::form::Fields;
use crate::frame::View;
use crate::person::Person;
use crate::sign_in::{inside, kept, to};

/// A year; it says nothing about anybody.
const COOKIE_SECONDS: i64 = 31_536_000;

/// `POST /counter/view`: `language`, `letters` or `contrast`; `next` is the page to come back to.
pub(crate) async fn view(
    State(counter): State<Counter>,
    person: Result<Person, Response>,
    headers: HeaderMap,
    fields: Fields,
) -> Answer {
    let before = person
        .as_ref()
        .map_or_else(|_| View::of(&headers), |person| person.frame.view);
    let view = changed(before, &fields);
    let next = fields.text("next");
    let Ok(person) = person else {
        return Ok(to(next, &kept(VIEW, &view.kept(), COOKIE_SECONDS)));
    };
    counter
        .office()
        .keep_view(&person.member.account, &view.kept())
        .await
        .map_err(|error| person.refused(error))?;
    Ok(answer::to(inside(next)))
}

fn changed(mut view: View, fields: &Fields) -> View {
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
    match fields.text("contrast") {
        "high" => view.contrast = true,
        "normal" => view.contrast = false,
        _ => {}
    }
    view
}
