//! A change of a card in use: what it decides against what is granted now, signed off by a second person as it stands there, written at
//! the reader by a third.

use askama::Template;
use axum::extract::{Path, State};
use issuer_office::error::OfficeError;
use issuer_office::proposal::Proposed;
use issuer_office::staff::StaffRole;
use permit_domain::{Actor as _, Approver, ChangeClerk, ChangeId, ChangeState, Producer, tier_words};
use program_contract::money::yuan;

use crate::answer::{self, Answer, Problem, Told};
use crate::counter::Counter;
use crate::failure;
use crate::form::Fields;
use crate::frame::Frame;
use crate::order;
use crate::person::Person;
use crate::stands::{Deadline, change_words, kind_words};

#[derive(Template)]
#[template(path = "change.html")]
struct ChangePage {
    frame: Frame,
    id: ChangeId,
    holder: String,
    kind: &'static str,
    state: &'static str,
    clerk: String,
    approver: Option<String>,
    clock: Option<Deadline>,
    /// Name, now, and as it would be.
    compared: Vec<(&'static str, String, String)>,
    /// Fields of the holder's facts that change.
    facts: Vec<(String, String, String)>,
    card_until: String,
    /// What stands for all that is shown.
    content: String,
    permit: String,
    told: Option<Told>,
    may: May,
    /// Whether its card was being written, nobody knows how far.
    in_doubt: bool,
    /// Whether it has a receipt.
    is_load: bool,
}

/// What the person at the page may do.
#[derive(PartialEq, Eq)]
enum May {
    SignOff,
    Write,
    GiveUp,
    Read,
}

/// `GET /counter/changes/{change}`.
pub(crate) async fn page(
    State(counter): State<Counter>,
    person: Person,
    Path(change): Path<String>,
) -> Answer {
    shown(&counter, person, &change, None).await
}

/// The address of a change.
pub(crate) fn address(id: ChangeId) -> String {
    format!("/counter/changes/{id}")
}

async fn shown(counter: &Counter, person: Person, change: &str, problem: Option<Problem>) -> Answer {
    person.acting_as_any(&[StaffRole::ChangeClerk, StaffRole::Approver, StaffRole::Producer])?;
    let found = async { counter.office().proposal(change.parse()?).await };
    let proposed = found.await.map_err(|error| person.refused(error))?;
    let (status, told) = Problem::said(problem, &person.frame);
    Ok(answer::page(status, &make(counter, person, &proposed, told)))
}

fn make(counter: &Counter, person: Person, proposed: &Proposed, told: Option<Told>) -> ChangePage {
    let (change, frame) = (&proposed.stored.change, &person.frame);
    let account = &person.member.account;
    let not_signed_by_them = change
        .approver()
        .is_none_or(|approver| approver.staff() != account);
    let may = match change.state() {
        ChangeState::Proposed if person.may(StaffRole::Approver) && change.clerk().staff() != account => {
            May::SignOff
        }
        ChangeState::Ordered | ChangeState::Writing
            if person.may(StaffRole::Producer) && counter.desk().is_some() && not_signed_by_them =>
        {
            May::Write
        }
        ChangeState::Proposed | ChangeState::Ordered if person.may(StaffRole::ChangeClerk) => May::GiveUp,
        _ => May::Read,
    };
    let mut compared = Vec::new();
    if let Some(decision) = &proposed.stored.decision {
        let tier_of = |tier| {
            let (zh, en) = tier_words(tier);
            frame.t(zh, en).to_owned()
        };
        let grant = &proposed.grant;
        compared.push((
            frame.t("类别", "Tier"),
            tier_of(grant.tier),
            decision.tier.map(tier_of).unwrap_or_default(),
        ));
        compared.push((
            frame.t("截止日", "Last day"),
            grant.valid_to.to_string(),
            decision.valid_to.map(|day| day.to_string()).unwrap_or_default(),
        ));
    }
    if let Some(load) = &proposed.stored.load {
        let all = load.loaded.saturating_sub(load.amount);
        compared.push((
            frame.t("充值（元）", "Load (yuan)"),
            String::new(),
            yuan(load.amount.into()),
        ));
        compared.push((
            frame.t("累计（元）", "In all (yuan)"),
            yuan(all.into()),
            yuan(load.loaded.into()),
        ));
    }
    let plain = |value: &dyn std::fmt::Display| value.to_string().trim_matches('"').to_owned();
    ChangePage {
        id: change.id(),
        holder: proposed.facts.name.to_string(),
        kind: kind_words(frame, change.kind()),
        state: change_words(frame, change.state()),
        clerk: change.clerk().staff().to_string(),
        approver: change.approver().map(|approver| approver.staff().to_string()),
        clock: (!change.state().is_over())
            .then(|| Deadline::of(change.holds_until(), counter.office().clock().today()))
            .flatten(),
        facts: proposed
            .newer_facts()
            .iter()
            .map(|(name, old, new)| (name.clone(), plain(old), plain(new)))
            .collect(),
        card_until: proposed.card_until.map(|day| day.to_string()).unwrap_or_default(),
        content: proposed.content.to_string(),
        permit: change.permit().to_string(),
        in_doubt: matches!(change.state(), ChangeState::Writing),
        is_load: proposed.stored.load.is_some(),
        compared,
        told,
        may,
        frame: person.frame,
    }
}

/// `POST /counter/changes/{change}/sign-off`: `content` stands for what the page showed.
pub(crate) async fn sign_off(
    State(counter): State<Counter>,
    person: Person,
    Path(change): Path<String>,
    fields: Fields,
) -> Answer {
    let approver = Approver::new(person.acting_as(StaffRole::Approver)?);
    let signed = async {
        // What is no digest stands for nothing that was read.
        let content = fields
            .text("content")
            .parse()
            .map_err(|_| OfficeError::OtherContent)?;
        counter
            .office()
            .approve_change(change.parse()?, approver, content)
            .await
    };
    let done = signed.await.map(|stored| address(stored.change.id()));
    answer::after(done, |problem| shown(&counter, person, &change, Some(problem))).await
}

/// `POST /counter/changes/{change}/write`: onto the card on the reader, or on from where it stopped.
pub(crate) async fn write(
    State(counter): State<Counter>,
    person: Person,
    Path(change): Path<String>,
) -> Answer {
    let producer = Producer::new(person.acting_as(StaffRole::Producer)?);
    let id: ChangeId = person.named(&change)?;
    let Some(work) = counter.desk().map(|desk| desk.write_change(id, producer)) else {
        return Err(order::no_reader(person.frame));
    };
    // It goes on when nobody waits for it any more.
    let written = tokio::spawn(work)
        .await
        .unwrap_or_else(|_| Err(failure::broke_off()));
    let done = written.map(|()| address(id));
    answer::after(done, |problem| shown(&counter, person, &change, Some(problem))).await
}

/// `POST /counter/changes/{change}/give-up`.
pub(crate) async fn give_up(
    State(counter): State<Counter>,
    person: Person,
    Path(change): Path<String>,
) -> Answer {
    let clerk = ChangeClerk::new(person.acting_as(StaffRole::ChangeClerk)?);
    let given_up = async { counter.office().give_up_change(change.parse()?, &clerk).await };
    let done = given_up.await.map(|stored| address(stored.change.id()));
    answer::after(done, |problem| shown(&counter, person, &change, Some(problem))).await
}
