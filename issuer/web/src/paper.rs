//! Paper forms for hours in which the system cannot be reached: numbers given out ahead and printed, typed later by one person, confirmed
//! by another beside the paper, with the day that stands on it.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use issuer_office::error::OfficeError;
use issuer_office::paper::{MOST, typed_digest};
use issuer_office::staff::StaffRole;
use issuer_store::{PaperForm, PaperState};
use jiff::civil::Date;
use permit_domain::{Division, PaperNumber, Refusal, tier_words};

use crate::answer::{self, Answer, Problem, Told};
use crate::case;
use crate::counter::Counter;
use crate::failure;
use crate::form::Fields;
use crate::frame::Frame;
use crate::intake::{self, Choice, PaperPart, Sheet};
use crate::person::Person;

#[derive(Template)]
#[template(path = "papers.html")]
struct PapersPage {
    frame: Frame,
    divisions: Vec<Choice>,
    most: u32,
    /// Typed forms: number, day on the paper, who typed it, whether the person at the page may confirm it.
    waiting: Vec<(PaperNumber, Date, String, bool)>,
    /// Forms that are out: number, when and by whom given out.
    out: Vec<(PaperNumber, Date, String)>,
    told: Option<Told>,
}

/// `GET /counter/paper`; with `number` on to that form.
pub(crate) async fn page(State(counter): State<Counter>, person: Person, fields: Fields) -> Answer {
    person.acting_as(StaffRole::IntakeClerk)?;
    let typed = fields.token("number");
    if typed.is_empty() {
        return shown(&counter, person, None).await;
    }
    let found = async {
        let number: PaperNumber = typed.parse()?;
        counter.office().paper_form(&number).await?;
        Ok::<_, OfficeError>(address(&number))
    };
    answer::after(found.await, |problem| shown(&counter, person, Some(problem))).await
}

fn address(number: &PaperNumber) -> String {
    format!("/counter/paper/{number}")
}

async fn shown(counter: &Counter, person: Person, problem: Option<Problem>) -> Answer {
    let forms = counter.office().paper_forms().await;
    let (waiting, out) = forms.map_err(|error| person.refused(error))?;
    let (status, told) = Problem::said(problem, &person.frame);
    let account = &person.member.account;
    let waiting = waiting.into_iter().filter_map(|form| match form.state {
        PaperState::Typed { day, by, .. } => Some((form.number, day, by.to_string(), by != *account)),
        _ => None,
    });
    let out = out.into_iter();
    let page = PapersPage {
        waiting: waiting.collect(),
        out: out
            .map(|form| (form.number, form.given_out_on, form.given_out_by.to_string()))
            .collect(),
        divisions: intake::divisions(counter),
        most: MOST,
        told,
        frame: person.frame,
    };
    Ok(answer::page(status, &page))
}

/// `POST /counter/paper`: gives out `count` new forms of `division`; on to the sheets.
pub(crate) async fn give_out(State(counter): State<Counter>, person: Person, fields: Fields) -> Answer {
    let by = person.acting_as(StaffRole::IntakeClerk)?;
    let given = async {
        let division: Division = fields.text("division").parse()?;
        let count = fields.text("count").parse().unwrap_or_default();
        counter.office().give_out_forms(&division, count, &by).await
    };
    let done = given.await.map(|numbers| match numbers.first() {
        Some(first) => format!("{}/sheets/{}", address(first), numbers.len()),
        None => "/counter/paper".to_owned(),
    });
    answer::after(done, |problem| shown(&counter, person, Some(problem))).await
}

#[derive(Template)]
#[template(path = "sheets.html")]
struct SheetsPage {
    frame: Frame,
    numbers: Vec<PaperNumber>,
    papers: Vec<intake::Papers>,
}

/// `GET /counter/paper/{number}/sheets/{count}`: the forms from this number on that are out, to be printed.
pub(crate) async fn sheets(
    State(counter): State<Counter>,
    person: Person,
    Path((number, count)): Path<(String, u32)>,
) -> Answer {
    person.acting_as(StaffRole::IntakeClerk)?;
    let number: PaperNumber = person.named(&number)?;
    let forms = counter.office().forms_from(&number, count.min(MOST)).await;
    let forms = forms.map_err(|error| person.refused(error))?;
    let page = SheetsPage {
        numbers: forms.into_iter().map(|form| form.number).collect(),
        papers: intake::papers(&person.frame),
        frame: person.frame,
    };
    Ok(answer::page(StatusCode::OK, &page))
}

#[derive(Template)]
#[template(path = "paper.html")]
struct ConfirmPage {
    frame: Frame,
    number: PaperNumber,
    day: Date,
    typed_by: String,
    /// What was typed, as the paper has it: field, value.
    facts: Vec<(&'static str, String)>,
    papers: Vec<String>,
    /// Stands for all of it.
    digest: String,
    told: Option<Told>,
}

/// `GET /counter/paper/{number}`: to be typed, to be confirmed, or what became of it.
pub(crate) async fn form(
    State(counter): State<Counter>,
    person: Person,
    Path(number): Path<String>,
) -> Answer {
    let number: PaperNumber = person.named(&number)?;
    of_form(&counter, person, &number, None).await
}

async fn of_form(
    counter: &Counter,
    person: Person,
    number: &PaperNumber,
    problem: Option<Problem>,
) -> Answer {
    person.acting_as(StaffRole::IntakeClerk)?;
    let form = counter.office().paper_form(number).await;
    let form = form.map_err(|error| person.refused(error))?;
    match &form.state {
        PaperState::GivenOut => {
            let part = PaperPart::new(number, String::new());
            let (status, told) = Problem::said(problem, &person.frame);
            let id = counter.office().new_application_id();
            let none = Fields::none();
            let mut sheet = Sheet::on_paper(id, part, none);
            sheet.told = told;
            Ok(intake::shown(counter, person.frame, status, sheet))
        }
        PaperState::Typed { by, .. } if *by == person.member.account => {
            let (status, told) = Problem::said(problem, &person.frame);
            Ok(waits(person.frame, &form, status, told, true))
        }
        PaperState::Typed { .. } => {
            let (status, told) = Problem::said(problem, &person.frame);
            Ok(waits(person.frame, &form, status, told, false))
        }
        PaperState::Filed { application, .. } => Ok(answer::to(&case::address(*application))),
        PaperState::Void => Err(person.refused(
            Refusal::PaperForm {
                number: number.clone(),
                state: form.state.name(),
            }
            .into(),
        )),
    }
}

fn waits(frame: Frame, form: &PaperForm, status: StatusCode, told: Option<Told>, is_own: bool) -> Response {
    let PaperState::Typed {
        day, applicant, by, ..
    } = &form.state
    else {
        return answer::to("/counter/paper");
    };
    let tier = applicant.requested_tier.map(|tier| {
        let (zh, en) = tier_words(tier);
        frame.t(zh, en).to_owned()
    });
    let facts = vec![
        (
            frame.t("公民身份号码", "Citizen number"),
            applicant.citizen_number.to_string(),
        ),
        (frame.t("姓名", "Name"), applicant.name.to_string()),
        (
            frame.t("性别", "Sex"),
            frame.t(applicant.sex.zh(), applicant.sex.en()).to_owned(),
        ),
        (
            frame.t("民族", "Nation"),
            frame.t(applicant.nation.zh(), applicant.nation.en()).to_owned(),
        ),
        (
            frame.t("出生日期", "Date of birth"),
            applicant.birth_date.to_string(),
        ),
        (
            frame.t("常住户口所在地", "Permanent registration"),
            applicant.hukou_address.to_string(),
        ),
        (
            frame.t("居住地", "Residence"),
            format!("{} {}", applicant.residence.division, applicant.residence.address),
        ),
        (
            frame.t("居住登记日期", "Registered on"),
            applicant.residence.registered_on.to_string(),
        ),
        (
            frame.t("社会保险月数", "Months of insurance"),
            applicant.insurance_months.to_string(),
        ),
        (
            frame.t("学历", "Education"),
            frame
                .t(applicant.education.zh(), applicant.education.en())
                .to_owned(),
        ),
        (
            frame.t("职称或技能", "Title or skill"),
            frame.t(applicant.title.zh(), applicant.title.en()).to_owned(),
        ),
        (
            frame.t("申请类别", "Tier asked for"),
            tier.unwrap_or_else(|| frame.t("未指定", "any").to_owned()),
        ),
    ];
    let papers = applicant
        .evidence
        .iter()
        .map(|paper| {
            let dates = [paper.validity.from(), paper.validity.to()];
            let dates: Vec<String> = dates.into_iter().flatten().map(|day| day.to_string()).collect();
            format!(
                "{} {}",
                frame.t(paper.code.zh(), paper.code.en()),
                dates.join(" – ")
            )
        })
        .collect();
    let page = ConfirmPage {
        number: form.number.clone(),
        day: *day,
        typed_by: by.to_string(),
        digest: if is_own {
            String::new()
        } else {
            typed_digest(*day, applicant).to_string()
        },
        facts,
        papers,
        told,
        frame,
    };
    answer::page(status, &page)
}

/// `POST /counter/paper/{number}`: keeps what stands on the paper, with its `paper_day`.
pub(crate) async fn keep(
    State(counter): State<Counter>,
    person: Person,
    Path(number): Path<String>,
    fields: Fields,
) -> Answer {
    let by = person.acting_as(StaffRole::IntakeClerk)?;
    let number: PaperNumber = person.named(&number)?;
    let part = PaperPart::new(&number, fields.text("paper_day").to_owned());
    let id = counter.office().new_application_id();
    let Ok(day) = fields.day("paper_day").parse::<Date>() else {
        let (status, told) = Problem::said(Some(Problem::incomplete(failure::no_paper_day())), &person.frame);
        let mut sheet = Sheet::on_paper(id, part, fields);
        sheet.told = told;
        return Ok(intake::shown(&counter, person.frame, status, sheet));
    };
    let wrong = StatusCode::UNPROCESSABLE_ENTITY;
    let applicant = match intake::form_of(&fields).into_applicant(day) {
        Ok(applicant) => applicant,
        Err(errors) => {
            let sheet = Sheet::on_paper(id, part, fields);
            return Ok(intake::with_errors(&counter, person.frame, wrong, sheet, &errors));
        }
    };
    Ok(
        match counter.office().type_form(&number, day, applicant, &by).await {
            Ok(form) => answer::to(&address(&form.number)),
            Err(OfficeError::Unprintable(errors)) => {
                let sheet = Sheet::on_paper(id, part, fields);
                intake::with_errors(&counter, person.frame, wrong, sheet, &errors)
            }
            Err(error) => {
                let (status, told) = Problem::said(Some(error.into()), &person.frame);
                let mut sheet = Sheet::on_paper(id, part, fields);
                sheet.told = told;
                intake::shown(&counter, person.frame, status, sheet)
            }
        },
    )
}

/// `POST /counter/paper/{number}/confirm`: `content` stands for what was read beside the paper.
pub(crate) async fn confirm(
    State(counter): State<Counter>,
    person: Person,
    Path(number): Path<String>,
    fields: Fields,
) -> Answer {
    let by = person.acting_as(StaffRole::IntakeClerk)?;
    let number: PaperNumber = person.named(&number)?;
    let confirmed = async {
        // What is no digest stands for nothing that was read.
        let read = fields
            .text("content")
            .parse()
            .map_err(|_| OfficeError::OtherContent)?;
        counter.office().confirm_form(&number, read, &by).await
    };
    let done = confirmed.await.map(case::address);
    answer::after(done, |problem| of_form(&counter, person, &number, Some(problem))).await
}

/// `POST /counter/paper/{number}/return`: what was typed is not what the paper says.
pub(crate) async fn send_back(
    State(counter): State<Counter>,
    person: Person,
    Path(number): Path<String>,
) -> Answer {
    let by = person.acting_as(StaffRole::IntakeClerk)?;
    let number: PaperNumber = person.named(&number)?;
    let done = counter.office().return_form(&number, &by).await;
    let done = done.map(|()| "/counter/paper".to_owned());
    answer::after(done, |problem| shown(&counter, person, Some(problem))).await
}

/// `POST /counter/paper/{number}/void`: spoiled, or not needed.
pub(crate) async fn void(
    State(counter): State<Counter>,
    person: Person,
    Path(number): Path<String>,
) -> Answer {
    let by = person.acting_as(StaffRole::IntakeClerk)?;
    let number: PaperNumber = person.named(&number)?;
    let done = counter.office().void_form(&number, &by).await;
    let done = done.map(|()| "/counter/paper".to_owned());
    answer::after(done, |problem| shown(&counter, person, Some(problem))).await
}
