//! The holder of a card who stands at the counter: found by a number that they bring, for a purpose that is kept; what is on file, and
//! what can be done: lost, found, allowed again, destroyed, replaced, endorsed, blocked.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use issuer_office::changes::Proposal;
use issuer_office::error::OfficeError;
use issuer_office::holder::{Brought, Holding, LookUp};
use issuer_office::loss::{Exposure, LossReport};
use issuer_office::staff::StaffRole;
use issuer_store::Card;
use permit_domain::{
    CardNumber, CardStage, ChangeClerk, ChangeId, EndOfCard, PermitId, PermitState, ScrapReason, ScrapState,
    Tier, read_tier, tier_words,
};

use crate::answer::{self, Answer, Problem, Refused, Told};
use crate::change;
use crate::counter::Counter;
use crate::failure;
use crate::form::Fields;
use crate::frame::Frame;
use crate::person::Person;
use crate::scraps;
use crate::stands::{card_words, change_words, denial_words, kind_words, minute, permit_words};
use crate::typed;

#[derive(Template)]
#[template(path = "holders.html")]
struct SearchPage {
    frame: Frame,
    number: String,
    why: String,
    told: Option<Told>,
}

impl SearchPage {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates lend what they have")]
    fn purpose(&self, why: &LookUp) -> &'static str {
        match why {
            LookUp::Card => self.frame.t(
                "卡的事：挂失、找回、损坏、换领",
                "The card: lost, found, damaged, replaced",
            ),
            LookUp::Change => self.frame.t("签注或变更", "Endorsement or another change"),
            LookUp::Enquiry => self
                .frame
                .t("持证人查询本人资料", "The holder asks what is on file"),
        }
    }
}

/// `GET /counter/holders`.
pub(crate) async fn search(person: Person) -> Answer {
    person.acting_as(StaffRole::ChangeClerk)?;
    let page = SearchPage {
        frame: person.frame,
        number: String::new(),
        why: String::new(),
        told: None,
    };
    Ok(answer::page(StatusCode::OK, &page))
}

/// `POST /counter/holders`: `number` is of the citizen, the card or the permit; `why` is kept.
pub(crate) async fn look_up(State(counter): State<Counter>, person: Person, fields: Fields) -> Answer {
    let by = person.acting_as(StaffRole::ChangeClerk)?;
    let (number, why) = (fields.text("number"), fields.text("why"));
    let purpose = LookUp::ALL.into_iter().find(|purpose| purpose.name() == why);
    let found = async {
        let brought = brought(number)?;
        match purpose {
            Some(purpose) => Ok(counter.office().look_up(&brought, purpose, &by).await?),
            // Without a purpose nobody is looked up.
            None => Err(failure::no_purpose()),
        }
    };
    match found.await {
        Ok(permit) => Ok(answer::to(&address(permit))),
        Err(failure) => {
            let page = SearchPage {
                told: Some(Told::of(&failure, &person.frame)),
                frame: person.frame,
                number: number.to_owned(),
                why: why.to_owned(),
            };
            Ok(answer::page(StatusCode::NOT_FOUND, &page))
        }
    }
}

/// Which number it is, by its shape.
fn brought(number: &str) -> Result<Brought, OfficeError> {
    let plain = typed::number(number);
    Ok(match plain.len() {
        13 => Brought::Card(plain.parse::<CardNumber>()?),
        // Only a permit's has hyphens of its own.
        32 => Brought::Permit(typed::token(number).to_ascii_lowercase().parse::<PermitId>()?),
        _ => Brought::Citizen(plain.to_ascii_uppercase().parse()?),
    })
}

#[derive(Template)]
#[template(path = "holder.html")]
struct HolderPage {
    frame: Frame,
    holding: Holding,
    id: PermitId,
    state: &'static str,
    tier: &'static str,
    cards: Vec<CardShown>,
    changes: Vec<ChangeShown>,
    told: Option<Told>,
    /// The card that the holder uses, where the person at the page may do something with it.
    in_use: Option<CardNumber>,
    /// The last card that is out of use, and what may be done with it.
    out_of_use: Option<OutOfUse>,
    /// The change that a form proposes: sent twice, it is one.
    new_change: ChangeId,
    other_tiers: Vec<(&'static str, &'static str)>,
    awaits_card: bool,
}

/// A card that is out of use.
#[expect(clippy::struct_excessive_bools, reason = "a button each")]
struct OutOfUse {
    number: CardNumber,
    /// It is lost: it may be brought back.
    is_lost: bool,
    /// It lies at the office and may be allowed again by two people.
    may_be_allowed: bool,
    /// Who proposed that.
    proposed_by: Option<String>,
    /// It lies at the office and may be destroyed.
    may_be_destroyed: bool,
    /// It is set aside for that.
    is_set_aside: bool,
    /// Terminals that may still take it.
    exposure: Exposure,
    denied_at: Option<String>,
}

struct CardShown {
    number: String,
    state: &'static str,
    denial: &'static str,
    until: String,
}

struct ChangeShown {
    id: String,
    kind: &'static str,
    state: &'static str,
    clerk: String,
}

/// `GET /counter/permits/{permit}`.
pub(crate) async fn page(
    State(counter): State<Counter>,
    person: Person,
    Path(permit): Path<String>,
) -> Answer {
    shown(&counter, person, &permit, None).await
}

/// The address of a holder.
fn address(id: PermitId) -> String {
    format!("/counter/permits/{id}")
}

async fn shown(counter: &Counter, person: Person, permit: &str, problem: Option<Problem>) -> Answer {
    person.acting_as(StaffRole::ChangeClerk)?;
    let found = async { counter.office().holding(permit.parse()?).await };
    let holding = found.await.map_err(|error| person.refused(error))?;
    let (status, told) = Problem::said(problem, &person.frame);
    let frame = person.frame;
    let tier_of = |tier| {
        let (zh, en) = tier_words(tier);
        frame.t(zh, en)
    };
    let granted = holding.permit.grant().tier;
    let last = |wanted: fn(&Card) -> bool| {
        let card = holding.cards.iter().rfind(|card| wanted(card));
        card.map(|card| card.number.clone())
    };
    let out_of_use = match holding
        .cards
        .iter()
        .rfind(|card| matches!(card.state, CardStage::Ended(_)))
    {
        Some(card) => {
            let found = out_of_use(counter, card, holding.permit.state()).await;
            Some(found.map_err(|error| Refused::office(frame.clone(), error))?)
        }
        None => None,
    };
    let page = HolderPage {
        id: holding.permit.id(),
        state: permit_words(&frame, holding.permit.state()),
        tier: tier_of(granted),
        cards: holding
            .cards
            .iter()
            .map(|card| card_shown(&frame, card))
            .collect(),
        changes: holding
            .changes
            .iter()
            .rev()
            .map(|stored| ChangeShown {
                id: stored.change.id().to_string(),
                kind: kind_words(&frame, stored.change.kind()),
                state: change_words(&frame, stored.change.state()),
                clerk: permit_domain::Actor::staff(stored.change.clerk()).to_string(),
            })
            .collect(),
        in_use: last(|card| card.state == CardStage::HandedOver),
        out_of_use,
        new_change: counter.office().new_change_id(),
        other_tiers: Tier::ALL
            .iter()
            .filter(|tier| **tier != granted)
            .map(|tier| (tier.as_str(), tier_of(*tier)))
            .collect(),
        awaits_card: matches!(holding.permit.state(), PermitState::Approved),
        told,
        holding,
        frame,
    };
    Ok(answer::page(status, &page))
}

async fn out_of_use(counter: &Counter, card: &Card, permit: &PermitState) -> Result<OutOfUse, OfficeError> {
    let office = counter.office();
    let exposure = office.exposure(card).await?;
    let scrap = office.scrap_of(card.serial).await?;
    Ok(OutOfUse {
        is_lost: card.state == CardStage::Ended(EndOfCard::Lost),
        may_be_allowed: card.state == CardStage::Ended(EndOfCard::Returned)
            && matches!(permit, PermitState::Active { .. }),
        proposed_by: card.allow_proposed_by.as_ref().map(ToString::to_string),
        may_be_destroyed: card.standing().destroyed().is_ok(),
        is_set_aside: scrap.is_some_and(|scrap| *scrap.state() == ScrapState::Open),
        denied_at: exposure.denied_at.map(minute),
        number: card.number.clone(),
        exposure,
    })
}

fn card_shown(frame: &Frame, card: &Card) -> CardShown {
    CardShown {
        number: card.number.to_string(),
        state: card_words(frame, card.state),
        denial: denial_words(frame, card.denial),
        until: card.until.map(|day| day.to_string()).unwrap_or_default(),
    }
}

/// `POST /counter/permits/{permit}/card`: `card` and what happened to it.
pub(crate) async fn card(
    State(counter): State<Counter>,
    person: Person,
    Path(permit): Path<String>,
    fields: Fields,
) -> Answer {
    let clerk = ChangeClerk::new(person.acting_as(StaffRole::ChangeClerk)?);
    let done = async {
        let office = counter.office();
        let number: CardNumber = fields.text("card").parse().map_err(OfficeError::from)?;
        // A card of another permit is not changed from this page.
        let id: PermitId = permit.parse().map_err(OfficeError::from)?;
        if office.card(&number).await?.permit != id {
            return Err(OfficeError::NotFound { what: "card" }.into());
        }
        match fields.text("what") {
            "lost" => match LossReport::read(fields.text("reporter"), fields.text("channel")) {
                Some(report) => office.report_loss(&number, report, &clerk).await,
                None => return Err(Problem::incomplete(failure::no_report())),
            },
            "damaged" => office.end_card(&number, EndOfCard::Damaged, &clerk).await,
            "returned" => office.end_card(&number, EndOfCard::Returned, &clerk).await,
            "found" => office.found(&number, &clerk).await,
            "replace" => office.replace(&number, &clerk).await,
            "allow" => office.propose_allowing(&number, &clerk).await,
            "destroy" => {
                let card = office.card(&number).await?;
                let by = person.member.account.clone();
                scraps::set_aside(&counter, &person, card.serial, reason_of(card.state), by).await?;
                Ok(card)
            }
            _ => Err(OfficeError::NotFound { what: "change" }),
        }
        .map_err(Problem::from)
    };
    let done = done.await.map(|_| format!("/counter/permits/{permit}"));
    answer::after(done, |problem| shown(&counter, person, &permit, Some(problem))).await
}

/// Why a card that ended like this is destroyed.
const fn reason_of(stage: CardStage) -> ScrapReason {
    match stage {
        CardStage::Ended(EndOfCard::Replaced) => ScrapReason::Replaced,
        CardStage::Ended(EndOfCard::Damaged) => ScrapReason::Damaged,
        _ => ScrapReason::Returned,
    }
}

/// `POST /counter/permits/{permit}/changes`: `kind`, and for a tier which; by the facts on file.
pub(crate) async fn propose(
    State(counter): State<Counter>,
    person: Person,
    Path(permit): Path<String>,
    fields: Fields,
) -> Answer {
    let clerk = ChangeClerk::new(person.acting_as(StaffRole::ChangeClerk)?);
    let proposed = async {
        let proposal = match fields.text("kind") {
            "endorse" => Proposal::Endorse(None),
            "tier" => Proposal::Tier(read_tier(fields.text("tier"))?, None),
            "entitlement" => Proposal::Entitlement(None),
            "rotate" => Proposal::Rotate,
            "block" => Proposal::Block,
            "unblock" => Proposal::Unblock,
            "end" => Proposal::End,
            _ => return Err(OfficeError::NotFound { what: "change" }),
        };
        let id: ChangeId = fields.text("id").parse()?;
        Box::pin(counter.office().propose(id, permit.parse()?, proposal, clerk)).await
    };
    let done = proposed.await.map(|stored| change::address(stored.change.id()));
    answer::after(done, |problem| shown(&counter, person, &permit, Some(problem))).await
}
