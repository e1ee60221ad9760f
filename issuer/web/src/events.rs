//! `GET /counter/events`: server-sent events (HTML, "Server-sent events") for the pages that are open: how many cases wait in the lists of
//! whoever looks, each time that something moved. What a page then shows it asks for itself, as whoever it is.
//!
//! A stream ends with its session, and after half a minute: the browser comes back, and a server that stops is not held up. Left out: any
//! datum of a case.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use issuer_office::staff::StaffRole;
use tokio::time::Instant;

use crate::cookies::{SESSION, cookie};
use crate::counter::Counter;
use crate::live::{Place, Stands};
use crate::person::Person;

/// How long a stream lasts.
const LASTS: Duration = Duration::from_secs(30);
/// After how long the browser comes back.
const BACK_AFTER: Duration = Duration::from_secs(1);

struct Follower {
    counter: Counter,
    secret: String,
    roles: Vec<StaffRole>,
    place: Place,
    until: Instant,
    over: bool,
}

/// The stream of a page.
pub(crate) async fn events(State(counter): State<Counter>, person: Person, headers: HeaderMap) -> Response {
    let Some(mut place) = counter.live().place(counter.office(), &person.member.account) else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    // How things stand is told at once, as far as it is known.
    if place.stands.borrow().turn > 0 {
        place.stands.mark_changed();
    }
    let follower = Follower {
        secret: cookie(&headers, SESSION).unwrap_or_default().to_owned(),
        roles: person.member.roles,
        counter,
        place,
        until: Instant::now() + LASTS,
        over: false,
    };
    Sse::new(stream::unfold(follower, next)).into_response()
}

/// The next event; none at the end.
async fn next(mut follower: Follower) -> Option<(Result<Event, Infallible>, Follower)> {
    if follower.over {
        return None;
    }
    tokio::select! {
        changed = follower.place.stands.changed() => changed.ok()?,
        () = tokio::time::sleep_until(follower.until) => return None,
    }
    let event = if follower.is_signed_in().await {
        let stands = follower.place.stands.borrow_and_update().clone();
        told(&stands, &follower.roles)
    } else {
        follower.over = true;
        Event::default().event("ended").data("")
    };
    Some((Ok(event), follower))
}

impl Follower {
    async fn is_signed_in(&self) -> bool {
        let Ok(staff) = self.counter.staff().now() else {
            return false;
        };
        let office = self.counter.office();
        office.follows(&staff, &self.secret).await.is_ok()
    }
}

/// The lists of these roles, as JSON: names that need no escape, and numbers.
fn told(stands: &Stands, roles: &[StaffRole]) -> Event {
    let counts: Vec<String> = stands
        .waiting
        .iter()
        .filter(|(list, _)| list.roles().iter().any(|role| roles.contains(role)))
        .map(|(list, count)| format!("\"{}\":{count}", list.name()))
        .collect();
    Event::default()
        .event("stands")
        .id(stands.turn.to_string())
        .retry(BACK_AFTER)
        .data(format!("{{{}}}", counts.join(",")))
}
