//! A card that was brought back works again: proposed on its holder's page, read here and allowed by a second person.

use askama::Template;
use axum::extract::{Path, State};
use issuer_office::error::OfficeError;
use issuer_office::holder::Holding;
use issuer_office::loss::allowing_to_sign;
use issuer_office::staff::StaffRole;
use issuer_store::Card;
use permit_domain::{Approver, CardNumber};

use crate::answer::{self, Answer, Problem, Told};
use crate::counter::Counter;
use crate::form::Fields;
use crate::frame::Frame;
use crate::person::Person;
use crate::stands::{card_words, chip_words, denial_words};

#[derive(Template)]
#[template(path = "allow.html")]
struct AllowPage {
    frame: Frame,
    number: CardNumber,
    holding: Holding,
    state: &'static str,
    denial: &'static str,
    chip: &'static str,
    until: String,
    proposed_by: Option<String>,
    /// What stands for all that is shown.
    content: String,
    /// Whether the person at the page may allow it.
    may: bool,
    told: Option<Told>,
}

/// The address of a card that is to be allowed again.
pub(crate) fn address(number: &CardNumber) -> String {
    format!("/counter/cards/{number}/allow")
}

/// `GET /counter/cards/{card}/allow`.
pub(crate) async fn page(State(counter): State<Counter>, person: Person, Path(card): Path<String>) -> Answer {
    shown(&counter, person, &card, None).await
}

async fn shown(counter: &Counter, person: Person, card: &str, problem: Option<Problem>) -> Answer {
    person.acting_as_any(&[StaffRole::Approver, StaffRole::ChangeClerk])?;
    let found = async {
        let office = counter.office();
        let card: Card = office.card(&card.parse()?).await?;
        // A card is no way to its holder: that is the look-up, with its purpose.
        if card.allow_proposed_by.is_none() {
            return Err(OfficeError::NotFound { what: "card" });
        }
        let holding = office.holding(card.permit).await?;
        Ok::<_, OfficeError>((card, holding))
    };
    let (card, holding) = found.await.map_err(|error| person.refused(error))?;
    let (status, told) = Problem::said(problem, &person.frame);
    let proposer = card.allow_proposed_by.as_ref();
    let page = AllowPage {
        state: card_words(&person.frame, card.state),
        denial: denial_words(&person.frame, card.denial),
        chip: chip_words(&person.frame, card.chip),
        until: card.until.map(|day| day.to_string()).unwrap_or_default(),
        may: person.may(StaffRole::Approver)
            && proposer.is_some_and(|proposer| *proposer != person.member.account),
        proposed_by: proposer.map(ToString::to_string),
        content: allowing_to_sign(&card).to_string(),
        number: card.number,
        frame: person.frame,
        holding,
        told,
    };
    Ok(answer::page(status, &page))
}

/// `POST /counter/cards/{card}/allow`: `content` stands for what the page showed.
pub(crate) async fn allow(
    State(counter): State<Counter>,
    person: Person,
    Path(card): Path<String>,
    fields: Fields,
) -> Answer {
    let approver = Approver::new(person.acting_as(StaffRole::Approver)?);
    let allowed = async {
        let number: CardNumber = card.parse()?;
        // What is no digest stands for nothing that was read.
        let content = fields
            .text("content")
            .parse()
            .map_err(|_| OfficeError::OtherContent)?;
        counter.office().allow_again(&number, &approver, content).await
    };
    let done = allowed.await.map(|_| "/counter/lists/allow-card".to_owned());
    answer::after(done, |problem| shown(&counter, person, &card, Some(problem))).await
}
