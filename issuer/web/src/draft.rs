//! The draft of an application: what is typed is kept at each step, by a small script or by a button, and is there again after a lost
//! session, a killed browser or a power cut. It is its person's own (`issuer_office::drafts`).

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use issuer_office::drafts::Saved;
use issuer_office::staff::StaffRole;
use permit_domain::ApplicationId;

use crate::answer::{self, Answer};
use crate::counter::Counter;
use crate::form::Fields;
use crate::frame::Frame;
use crate::intake::{self, DraftShown, Sheet};
use crate::person::Person;

/// What the script lays into the form.
#[derive(Template)]
#[template(path = "draft.html")]
struct Part {
    frame: Frame,
    id: ApplicationId,
    draft: DraftShown,
}

/// `POST /counter/intake/draft`: the form as far as it is typed. `draft` is the version that the page has, `over` the one that it is meant
/// to write over; `quiet` where a script asks, which gets the part of the page alone.
pub(crate) async fn save(State(counter): State<Counter>, person: Person, fields: Fields) -> Answer {
    let account = person.acting_as(StaffRole::IntakeClerk)?;
    let id: ApplicationId = person.named(fields.text("id"))?;
    let seen = match fields.text("over") {
        "" => fields.text("draft"),
        over => over,
    };
    let typed = fields.typed(&["id", "draft", "over", "quiet"]);
    let saved = counter
        .office()
        .save_draft(&account, id, seen.parse().unwrap_or_default(), &typed)
        .await
        .map_err(|error| person.refused(error))?;
    let quiet = !fields.text("quiet").is_empty();
    let draft = match saved {
        Saved::Kept(kept) if quiet => DraftShown::kept(&kept),
        Saved::Kept(_) => return Ok(answer::to(&format!("/counter/intake?draft={id}"))),
        Saved::Changed(there) => DraftShown::changed(&person.frame, seen, &typed, &there),
        Saved::Filed => DraftShown::Filed,
    };
    let frame = person.frame;
    if quiet {
        return Ok(answer::page(StatusCode::OK, &Part { frame, id, draft }));
    }
    let mut sheet = Sheet::of(id, fields);
    sheet.draft = draft;
    Ok(intake::shown(&counter, frame, StatusCode::CONFLICT, sheet))
}

/// `POST /counter/intake/draft/drop`.
pub(crate) async fn drop(State(counter): State<Counter>, person: Person, fields: Fields) -> Answer {
    let account = person.acting_as(StaffRole::IntakeClerk)?;
    let id = person.named(fields.text("id"))?;
    let dropped = counter.office().drop_draft(&account, id).await;
    dropped.map_err(|error| person.refused(error))?;
    Ok(answer::to("/counter/intake"))
}
