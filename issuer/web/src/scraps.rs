//! What is destroyed: blanks and cards that one person set aside with a reason, and that are destroyed before a second one.

use askama::Template;
use axum::extract::{Path, State};
use issuer_office::error::OfficeError;
use issuer_office::scrap::{SETS_ASIDE, WITNESSES};
use issuer_office::staff::StaffRole;
use permit_domain::{CardSerial, ChangeClerk, HandOverClerk, Producer, Scrap, ScrapReason, StaffId};

use crate::answer::{self, Answer, Problem, Told};
use crate::counter::Counter;
use crate::failure;
use crate::form::Fields;
use crate::frame::Frame;
use crate::person::Person;
use crate::stands::{card_words, reason_words};
use crate::typed;

/// Of the page.
pub(crate) const ADDRESS: &str = "/counter/scraps";

#[derive(Template)]
#[template(path = "scraps.html")]
struct ScrapsPage {
    frame: Frame,
    rows: Vec<Row>,
    reasons: Vec<(&'static str, &'static str)>,
    /// Whether the person at the page sets blanks aside.
    sets_aside: bool,
    serial: String,
    told: Option<Told>,
}

/// Something that is set aside.
struct Row {
    serial: String,
    /// The card that it became, and where that stands.
    card: Option<(String, &'static str)>,
    reason: &'static str,
    by: String,
    /// Whether the person at the page may be the second one.
    may_witness: bool,
}

/// `GET /counter/scraps`.
pub(crate) async fn page(State(counter): State<Counter>, person: Person) -> Answer {
    shown(&counter, person, "", None).await
}

async fn shown(counter: &Counter, person: Person, serial: &str, problem: Option<Problem>) -> Answer {
    let all: Vec<StaffRole> = SETS_ASIDE.iter().chain(WITNESSES).copied().collect();
    person.acting_as_any(&all)?;
    let found = counter.office().all_set_aside().await;
    let found = found.map_err(|error| person.refused(error))?;
    let frame = &person.frame;
    let witnesses = WITNESSES.iter().any(|role| person.may(*role));
    let rows = found
        .into_iter()
        .map(|aside| Row {
            serial: aside.scrap.serial().to_string(),
            card: aside
                .card
                .as_ref()
                .map(|card| (card.number.to_string(), card_words(frame, card.state))),
            reason: reason_words(frame, aside.scrap.reason()),
            by: aside.scrap.proposer().to_string(),
            may_witness: witnesses && *aside.scrap.proposer() != person.member.account,
        })
        .collect();
    let (status, told) = Problem::said(problem, frame);
    let page = ScrapsPage {
        reasons: ScrapReason::OF_BLANKS
            .iter()
            .map(|reason| (reason.name(), reason_words(frame, *reason)))
            .collect(),
        sets_aside: person.may(StaffRole::Producer),
        serial: serial.to_owned(),
        frame: person.frame,
        rows,
        told,
    };
    Ok(answer::page(status, &page))
}

/// `POST /counter/scraps`: the `serial` of a blank, and a `reason`.
pub(crate) async fn set_blank_aside(
    State(counter): State<Counter>,
    person: Person,
    fields: Fields,
) -> Answer {
    let by = person.acting_as(StaffRole::Producer)?;
    let serial = fields.text("serial").to_owned();
    let Ok(reason) = fields.text("reason").parse::<ScrapReason>() else {
        let problem = Problem::incomplete(failure::no_reason());
        return shown(&counter, person, &serial, Some(problem)).await;
    };
    let set = async {
        let chip = chip(&serial)?;
        counter.office().set_aside(chip, reason, &Producer::new(by)).await
    };
    let done = set.await.map(|_| ADDRESS.to_owned());
    answer::after(done, |problem| shown(&counter, person, &serial, Some(problem))).await
}

/// `POST /counter/scraps/{serial}/destroyed`: `seen` says that the second person was there.
pub(crate) async fn destroyed(
    State(counter): State<Counter>,
    person: Person,
    Path(serial): Path<String>,
    fields: Fields,
) -> Answer {
    let witness = person.acting_as_any(WITNESSES)?;
    if fields.text("seen").is_empty() {
        let problem = Problem::incomplete(failure::not_seen());
        return shown(&counter, person, "", Some(problem)).await;
    }
    let done = async { counter.office().destroyed_before(chip(&serial)?, &witness).await };
    let done = done.await.map(|_| ADDRESS.to_owned());
    answer::after(done, |problem| shown(&counter, person, "", Some(problem))).await
}

/// `POST /counter/scraps/{serial}/put-back`: it was set aside by mistake.
pub(crate) async fn put_back(
    State(counter): State<Counter>,
    person: Person,
    Path(serial): Path<String>,
) -> Answer {
    let (office, by) = (counter.office(), person.acting_as_any(SETS_ASIDE)?);
    let back = async {
        let chip = chip(&serial)?;
        match acts_as(&person) {
            StaffRole::Producer => office.put_back(chip, &Producer::new(by)).await,
            StaffRole::HandOverClerk => office.put_back(chip, &HandOverClerk::new(by)).await,
            _ => office.put_back(chip, &ChangeClerk::new(by)).await,
        }
    };
    let done = back.await.map(|_| ADDRESS.to_owned());
    answer::after(done, |problem| shown(&counter, person, "", Some(problem))).await
}

/// A serial as it was typed, in large letters or small ones, in groups or not.
pub(crate) fn chip(text: &str) -> Result<CardSerial, OfficeError> {
    let what = "card serial";
    typed::number(text)
        .to_ascii_lowercase()
        .parse()
        .map_err(|_| permit_domain::Error::Identifier { what }.into())
}

/// Sets a card aside in the role that the person has.
pub(crate) async fn set_aside(
    counter: &Counter,
    person: &Person,
    chip: CardSerial,
    reason: ScrapReason,
    by: StaffId,
) -> Result<Scrap, OfficeError> {
    let office = counter.office();
    match acts_as(person) {
        StaffRole::Producer => office.set_aside(chip, reason, &Producer::new(by)).await,
        StaffRole::HandOverClerk => office.set_aside(chip, reason, &HandOverClerk::new(by)).await,
        _ => office.set_aside(chip, reason, &ChangeClerk::new(by)).await,
    }
}

/// The first role in which the person sets something aside.
fn acts_as(person: &Person) -> StaffRole {
    let role = SETS_ASIDE.iter().find(|role| person.may(**role));
    role.copied().unwrap_or(StaffRole::ChangeClerk)
}
