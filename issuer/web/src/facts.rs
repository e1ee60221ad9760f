//! Newer facts of a holder, and what is proposed by them: an endorsement, another tier, another address. The form shows what is on
//! file; what may change is typed over it. Everything that is wrong is told at once, and why the rules do not grant it line by line.

use askama::Template;
use axum::extract::{Multipart, Path, State};
use issuer_office::changes::Proposal;
use issuer_office::error::OfficeError;
use issuer_office::holder::Holding;
use issuer_office::photo::TAKES;
use issuer_office::staff::StaffRole;
use permit_domain::{
    Applicant, ApplicantForm, ChangeClerk, ChangeId, EvidenceCode, FormErrors, PermitId, Raw, Tier,
    read_tier, tier_words,
};
use photo_store_protocol as photo;

use crate::answer::{self, Answer, Problem, Refused, Told};
use crate::case;
use crate::change;
use crate::correction;
use crate::counter::Counter;
use crate::failure;
use crate::form::Fields;
use crate::frame::Frame;
use crate::intake::{self, Choice, Wrong};
use crate::person::Person;
use crate::photo::{file_of, nothing_new, submitted};

/// What is proposed by the facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Endorse,
    Tier,
    Address,
}

impl Kind {
    /// By its name in addresses.
    fn named(name: &str) -> Option<Self> {
        match name {
            "endorse" => Some(Self::Endorse),
            "tier" => Some(Self::Tier),
            "address" => Some(Self::Address),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Endorse => "endorse",
            Self::Tier => "tier",
            Self::Address => "address",
        }
    }
}

#[derive(Template)]
#[template(path = "facts.html")]
struct FactsPage {
    frame: Frame,
    id: PermitId,
    holding: Holding,
    kind: Kind,
    /// The change that the form proposes: sent twice, it is one.
    change: String,
    fields: Fields,
    errors: Vec<Wrong>,
    told: Option<Told>,
    /// Why the rules do not grant it.
    decision: Option<case::Shown>,
    divisions: Vec<Choice>,
    educations: Vec<Choice>,
    titles: Vec<Choice>,
    tiers: Vec<Choice>,
    papers: Vec<Choice>,
    photos: Photos,
    application: String,
}

/// Photos for the new face, by what may be done with each.
#[derive(Default)]
struct Photos {
    /// Receipts that open a photo, the last one first.
    receipts: Vec<String>,
    /// How many wait for a colleague to confirm their warnings.
    waiting: usize,
}

impl FactsPage {
    fn of(&self, field: &str) -> &str {
        self.fields.text(field)
    }

    fn is(&self, field: &str, value: &str) -> bool {
        self.fields.text(field) == value
    }

    fn has(&self, code: &str) -> bool {
        self.fields.all("evidence").any(|of| of == code)
    }

    fn day(&self, code: &str, part: &str) -> &str {
        self.fields.text(&format!("{code}.{part}"))
    }

    fn wrong(&self, field: &str) -> Option<&Wrong> {
        self.errors.iter().find(|wrong| wrong.field == field)
    }

    fn title(&self) -> &'static str {
        match self.kind {
            Kind::Endorse => self.frame.t("签注", "Endorsement"),
            Kind::Tier => self.frame.t("变更类别", "Another tier"),
            Kind::Address => self.frame.t("变更住址", "Another address"),
        }
    }
}

/// What is wrong with what was sent.
enum Fault {
    Fields(FormErrors),
    Office(OfficeError),
    Incomplete(program_contract::Failure),
}

impl From<OfficeError> for Fault {
    fn from(error: OfficeError) -> Self {
        Self::Office(error)
    }
}

fn address(permit: &str, kind: Kind) -> String {
    format!("/counter/permits/{permit}/facts/{}", kind.name())
}

/// `GET /counter/permits/{permit}/facts/{kind}`.
pub(crate) async fn page(
    State(counter): State<Counter>,
    person: Person,
    Path((permit, kind)): Path<(String, String)>,
) -> Answer {
    let kind = kind_of(&person, &kind)?;
    shown(&counter, person, &permit, kind, None, None).await
}

fn kind_of(person: &Person, name: &str) -> Result<Kind, Refused> {
    Kind::named(name).ok_or_else(|| person.refused(OfficeError::NotFound { what: "change" }))
}

/// The form: with what was sent and what is wrong with it, else with what is on file.
async fn shown(
    counter: &Counter,
    person: Person,
    permit: &str,
    kind: Kind,
    sent: Option<Fields>,
    fault: Option<Fault>,
) -> Answer {
    person.acting_as(StaffRole::ChangeClerk)?;
    let id: PermitId = person.named(permit)?;
    let office = counter.office();
    let holding = office.holding(id).await.map_err(|error| person.refused(error))?;
    let frame = person.frame.clone();
    let change = match sent.as_ref().map(|fields| fields.text("id")) {
        Some(known) if !known.is_empty() => known.to_owned(),
        _ => office.new_change_id().to_string(),
    };
    let fields = sent.unwrap_or_else(|| correction::on_file(&holding.facts));
    let (mut errors, mut problem, mut decision) = (Vec::new(), None, None);
    match fault {
        Some(Fault::Fields(found)) => errors = intake::told(&frame, &fields, &found),
        Some(Fault::Office(error)) => {
            if let OfficeError::NotEligible(made) = &error {
                decision = Some(case::decided(&frame, made));
            }
            problem = Some(Problem::from(error));
        }
        Some(Fault::Incomplete(failure)) => problem = Some(Problem::incomplete(failure)),
        None => {}
    }
    let (mut status, told) = Problem::said(problem, &frame);
    if !errors.is_empty() {
        status = axum::http::StatusCode::UNPROCESSABLE_ENTITY;
    }
    let photos = match kind {
        Kind::Address => photos(counter, &holding).await,
        Kind::Endorse | Kind::Tier => Photos::default(),
    };
    let granted = holding.permit.grant().tier;
    let page = FactsPage {
        divisions: intake::divisions(counter),
        educations: intake::educations(&frame),
        titles: intake::titles(&frame),
        tiers: Tier::ALL
            .iter()
            .filter(|tier| **tier != granted)
            .map(|tier| {
                let (zh, en) = tier_words(*tier);
                Choice {
                    code: tier.as_str().to_owned(),
                    word: frame.t(zh, en).to_owned(),
                }
            })
            .collect(),
        papers: EvidenceCode::ALL
            .iter()
            .filter(|code| **code != EvidenceCode::Photo)
            .map(|code| Choice {
                code: code.code().to_owned(),
                word: frame.t(code.zh(), code.en()).to_owned(),
            })
            .collect(),
        application: holding.application.application.id().to_string(),
        frame,
        id,
        holding,
        kind,
        change,
        fields,
        errors,
        told,
        decision,
        photos,
    };
    Ok(answer::page(status, &page))
}

/// The photos that were taken for a new face.
async fn photos(counter: &Counter, holding: &Holding) -> Photos {
    let office = counter.office();
    let mut found = Photos::default();
    // A photo store that is away shows none: the form says that a photo is missing.
    let taken = office.photos_of(holding.application.application.id()).await;
    for status in taken.unwrap_or_default() {
        if matches!(status.state, photo::PhotoState::Waiting) {
            found.waiting += 1;
        }
        let Some(receipt) = status.receipt else { continue };
        // One that an earlier card used opens nothing any more.
        let known = office.photo_receipt(receipt.number).await;
        if known.is_ok_and(|known| known.state == photo::ReceiptState::Valid) {
            found.receipts.push(receipt.number.to_string());
        }
    }
    found
}

/// `POST /counter/permits/{permit}/facts/{kind}`: proposes the change by the newer facts.
pub(crate) async fn propose(
    State(counter): State<Counter>,
    person: Person,
    Path((permit, kind)): Path<(String, String)>,
    fields: Fields,
) -> Answer {
    let clerk = ChangeClerk::new(person.acting_as(StaffRole::ChangeClerk)?);
    let kind = kind_of(&person, &kind)?;
    let proposed = async {
        let office = counter.office();
        let id: PermitId = permit.parse().map_err(OfficeError::from)?;
        let facts = office.holding(id).await?.facts;
        let newer = newer(&facts, kind, &fields)
            .into_applicant(office.clock().today())
            .map_err(Fault::Fields)?;
        let proposal = match kind {
            Kind::Endorse => Proposal::Endorse((newer != facts).then_some(newer)),
            Kind::Tier => {
                let tier = read_tier(fields.text("tier")).map_err(OfficeError::from)?;
                Proposal::Tier(tier, (newer != facts).then_some(newer))
            }
            Kind::Address => {
                let receipt = fields.text("receipt");
                if receipt.is_empty() {
                    return Err(Fault::Incomplete(failure::no_receipt()));
                }
                let receipt = receipt
                    .parse()
                    .map_err(|error| OfficeError::from(photo::Error::Failed(error)))?;
                Proposal::Address(Box::new(newer), receipt)
            }
        };
        let change: ChangeId = fields.text("id").parse().map_err(OfficeError::from)?;
        Ok(Box::pin(office.propose(change, id, proposal, clerk)).await?)
    };
    match proposed.await {
        Ok(stored) => Ok(answer::to(&change::address(stored.change.id()))),
        Err(fault) => shown(&counter, person, &permit, kind, Some(fields), Some(fault)).await,
    }
}

/// The file on record with what was typed over it. Without a new residence the old one stays.
fn newer(facts: &Applicant, kind: Kind, fields: &Fields) -> ApplicantForm {
    let raw = |name: &str| Raw::from(fields.text(name));
    let mut form = ApplicantForm::from(facts);
    form.insurance_months = fields.insurance_months().into();
    form.education = raw("education");
    form.title = raw("title");
    form.evidence = fields.papers();
    if kind == Kind::Address {
        form.residence.address = fields.line("residence.address").into();
        form.residence.division = raw("residence.division");
        form.residence.registered_on = fields.day("residence.registered_on").into();
    }
    form
}

/// `POST /counter/permits/{permit}/photos`: a photo for the new face, from the field `file` of a form with parts.
pub(crate) async fn take_photo(
    State(counter): State<Counter>,
    person: Person,
    Path(permit): Path<String>,
    form: Multipart,
) -> Answer {
    let by = person.acting_as_any(TAKES)?;
    let kind = Kind::Address;
    let Some(file) = file_of(form).await else {
        let fault = Fault::Incomplete(failure::no_photo());
        return shown(&counter, person, &permit, kind, None, Some(fault)).await;
    };
    let taken = async {
        let office = counter.office();
        let application = office.permit(permit.parse()?).await?.grant().application;
        submitted(&counter, application, file, &by).await
    };
    let fault = match taken.await {
        Ok(taken) => match nothing_new(taken.novelty) {
            None => return Ok(answer::to(&format!("{}#photo", address(&permit, kind)))),
            Some(told) => Fault::Incomplete(told),
        },
        Err(error) => Fault::Office(error),
    };
    shown(&counter, person, &permit, kind, None, Some(fault)).await
}
