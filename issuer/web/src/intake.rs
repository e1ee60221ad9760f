//! Intake: the ten items, residence and papers, as one form. Everything that is wrong is told at once, at the top and beside each field
//! (Decree 663, article 9), in the words of the same checks as the API's.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use issuer_office::drafts::{Typed, Unfiled};
use issuer_office::error::OfficeError;
use issuer_office::identity::IdentityItems;
use issuer_office::staff::StaffRole;
use permit_domain::{
    Actor as _, ApplicantForm, ApplicationId, CitizenNumber, Education, EvidenceCode, EvidenceKind,
    FieldError, FormErrors, IntakeClerk, Nation, PaperNumber, Raw, Sex, Tier, Title, tier_words,
};
use program_contract::Failure;

use crate::answer::{self, Answer, Problem, Told};
use crate::case;
use crate::counter::Counter;
use crate::form::Fields;
use crate::frame::Frame;
use crate::identity::IdentityReader;
use crate::person::Person;
use crate::stands::{masked, minute};

#[derive(Template)]
#[template(path = "intake.html")]
struct IntakePage {
    frame: Frame,
    /// The application that this form files: sent twice, it is filed once.
    id: ApplicationId,
    /// The paper that is typed, where it is one.
    paper: Option<PaperPart>,
    /// The application in whose place this one is filed, where it is corrected.
    corrects: Option<ApplicationId>,
    today: String,
    values: Values,
    errors: Vec<Wrong>,
    told: Option<Told>,
    draft: DraftShown,
    drafts: Vec<DraftLink>,
    /// Whether a reader of identity documents is there, and whether it makes people up.
    reader: Option<bool>,
    divisions: Vec<Choice>,
    sexes: Vec<Choice>,
    nations: Vec<Choice>,
    educations: Vec<Choice>,
    titles: Vec<Choice>,
    tiers: Vec<Choice>,
    papers: Vec<Papers>,
}

/// What is on the page besides the choices.
pub(crate) struct Sheet {
    id: ApplicationId,
    fields: Fields,
    errors: Vec<Wrong>,
    pub(crate) told: Option<Told>,
    pub(crate) paper: Option<PaperPart>,
    corrects: Option<ApplicationId>,
    pub(crate) draft: DraftShown,
    drafts: Vec<DraftLink>,
}

impl Sheet {
    /// With these fields, as the page that they came from had its draft.
    pub(crate) fn of(id: ApplicationId, fields: Fields) -> Self {
        let draft = match fields.text("draft").parse() {
            Ok(version) if version > 0 => DraftShown::Kept {
                version,
                at: String::new(),
            },
            _ => DraftShown::New,
        };
        Self {
            id,
            fields,
            errors: Vec::new(),
            told: None,
            paper: None,
            corrects: None,
            draft,
            drafts: Vec::new(),
        }
    }

    /// What is filed in the place of an application.
    pub(crate) fn correcting(old: ApplicationId, id: ApplicationId, fields: Fields) -> Self {
        Self {
            corrects: Some(old),
            ..Self::of(id, fields)
        }
    }

    /// Likewise, with what could not be done.
    pub(crate) fn told(id: ApplicationId, fields: Fields, told: Option<Told>) -> Self {
        Self {
            told,
            ..Self::of(id, fields)
        }
    }

    /// What is typed off a paper form.
    pub(crate) fn on_paper(id: ApplicationId, paper: PaperPart, fields: Fields) -> Self {
        Self {
            paper: Some(paper),
            ..Self::of(id, fields)
        }
    }
}

/// How the draft of the page stands.
pub(crate) enum DraftShown {
    /// Nothing is kept yet.
    New,
    /// It is kept, since then.
    Kept { version: i64, at: String },
    /// Another window of the same person saved it; which fields differ.
    Changed {
        seen: i64,
        there: i64,
        at: String,
        what: String,
    },
    /// The application was filed.
    Filed,
}

impl DraftShown {
    pub(crate) fn kept(draft: &Unfiled) -> Self {
        Self::Kept {
            version: draft.version,
            at: minute(draft.saved_at),
        }
    }

    pub(crate) fn changed(frame: &Frame, seen: &str, typed: &Typed, there: &Unfiled) -> Self {
        Self::Changed {
            seen: seen.parse().unwrap_or_default(),
            there: there.version,
            at: minute(there.saved_at),
            what: differences(frame, typed, &there.typed),
        }
    }

    /// The version that the page has.
    pub(crate) fn version(&self) -> i64 {
        match self {
            Self::New | Self::Filed => 0,
            Self::Kept { version, .. } => *version,
            Self::Changed { seen, .. } => *seen,
        }
    }
}

/// What the page calls the fields in which two drafts differ.
fn differences(frame: &Frame, here: &Typed, there: &Typed) -> String {
    let lacks = |one: &Typed, other: &Typed| -> Vec<String> {
        one.iter()
            .filter(|field| !field.1.is_empty() && !other.contains(field))
            .map(|(name, value)| {
                let code = if name == "evidence" { value } else { name };
                label(frame, code.trim_end_matches(".from").trim_end_matches(".to"))
            })
            .collect()
    };
    let mut labels = lacks(here, there);
    labels.extend(lacks(there, here));
    labels.sort_unstable();
    labels.dedup();
    labels.join(frame.t("、", ", "))
}

/// A draft in the list of those that wait.
struct DraftLink {
    id: ApplicationId,
    name: String,
    number: String,
    at: String,
}

/// What is wrong with a field.
pub(crate) struct Wrong {
    /// Id of the field on the page.
    pub(crate) field: String,
    pub(crate) label: String,
    pub(crate) what: String,
    pub(crate) action: String,
}

/// One of a closed list.
pub(crate) struct Choice {
    pub(crate) code: String,
    pub(crate) word: String,
}

/// The papers that speak for one thing.
pub(crate) struct Papers {
    pub(crate) legend: &'static str,
    pub(crate) papers: Vec<Choice>,
}

/// What a form of paper adds: its number and the day that stands on it, as typed.
pub(crate) struct PaperPart {
    number: String,
    day: String,
}

impl PaperPart {
    pub(crate) fn new(number: &PaperNumber, day: String) -> Self {
        Self {
            number: number.to_string(),
            day,
        }
    }
}

/// What was typed.
struct Values(Fields);

impl Values {
    fn of(&self, field: &str) -> &str {
        self.0.text(field)
    }

    fn is(&self, field: &str, value: &str) -> bool {
        self.0.text(field) == value
    }

    fn has(&self, code: &str) -> bool {
        self.0.all("evidence").any(|of| of == code)
    }

    fn from(&self, code: &str) -> &str {
        self.0.text(&format!("{code}.from"))
    }

    fn to(&self, code: &str) -> &str {
        self.0.text(&format!("{code}.to"))
    }
}

/// The id of a field of a paper's days: `from` or `to`.
pub(crate) fn day_of(code: &str, part: &str) -> String {
    format!("{code}.{part}")
}

impl IntakePage {
    /// Whether it is neither typed off a paper nor a correction: what is typed is kept as a draft.
    const fn is_new(&self) -> bool {
        self.paper.is_none() && self.corrects.is_none()
    }

    /// What is wrong with a field, for the words beside it.
    fn wrong(&self, field: &str) -> Option<&Wrong> {
        self.errors.iter().find(|wrong| wrong.field == field)
    }
}

/// `GET /counter/intake`: a new form, with the person's drafts above it; or the draft `draft`.
pub(crate) async fn page(State(counter): State<Counter>, person: Person, fields: Fields) -> Answer {
    let account = person.acting_as(StaffRole::IntakeClerk)?;
    let drafts = counter.office().drafts(&account).await;
    let drafts = drafts.map_err(|error| person.refused(error))?;
    let asked = fields.text("draft");
    let sheet = match drafts.iter().find(|draft| draft.application.to_string() == asked) {
        Some(draft) => Sheet {
            draft: DraftShown::kept(draft),
            ..Sheet::of(draft.application, Fields::kept(draft.typed.clone()))
        },
        None => Sheet {
            drafts: drafts
                .into_iter()
                .map(|draft| link(&person.frame, draft))
                .collect(),
            ..Sheet::of(counter.office().new_application_id(), Fields::none())
        },
    };
    Ok(shown(&counter, person.frame, StatusCode::OK, sheet))
}

fn link(frame: &Frame, draft: Unfiled) -> DraftLink {
    let typed = Fields::kept(draft.typed);
    let or = |text: &str, none: &str| if text.is_empty() { none } else { text }.to_owned();
    DraftLink {
        id: draft.application,
        name: or(typed.text("name"), frame.t("（未填姓名）", "(no name yet)")),
        number: match typed.text("citizen_number") {
            "" => String::new(),
            _ => masked(&typed.number("citizen_number")),
        },
        at: minute(draft.saved_at),
    }
}

/// `POST /counter/intake`: files and accepts it, or says everything that is wrong.
pub(crate) async fn file(State(counter): State<Counter>, person: Person, fields: Fields) -> Answer {
    let clerk = IntakeClerk::new(person.acting_as(StaffRole::IntakeClerk)?);
    let office = counter.office();
    let Ok(id) = fields.text("id").parse::<ApplicationId>() else {
        return Err(person.refused(OfficeError::NotFound { what: "application" }));
    };
    let wrong = StatusCode::UNPROCESSABLE_ENTITY;
    let applicant = match form_of(&fields).into_applicant(office.clock().today()) {
        Ok(applicant) => applicant,
        Err(errors) => {
            return Ok(with_errors(
                &counter,
                person.frame,
                wrong,
                Sheet::of(id, fields),
                &errors,
            ));
        }
    };
    let entry = office
        .identity_entry(id, clerk.staff(), identity_items(&fields), fields.text("read"))
        .await
        .map_err(|error| person.refused(error))?;
    Ok(match office.apply_with(id, clerk, applicant, entry).await {
        Ok(case) => answer::to(&case::address(case.application.id())),
        Err(OfficeError::Unprintable(errors)) => {
            with_errors(&counter, person.frame, wrong, Sheet::of(id, fields), &errors)
        }
        Err(error) => {
            let (status, told) = Problem::said(Some(error.into()), &person.frame);
            let sheet = Sheet {
                told,
                ..Sheet::of(id, fields)
            };
            shown(&counter, person.frame, status, sheet)
        }
    })
}

#[derive(Template)]
#[template(path = "number.html")]
struct NumberChecked {
    frame: Frame,
    wrong: Option<(String, String)>,
    born: String,
    sex: &'static str,
    /// The form's fields that were empty, filled in by the number.
    fills_born: bool,
    /// The code of the sex, and all of them.
    fills_sex: Option<(&'static str, Vec<Choice>)>,
}

/// `GET /counter/intake/number?citizen_number=`: what a number says, while it is typed, and the fields `birth_date` and `sex` where they
/// are empty. Nobody is looked up by it.
pub(crate) async fn number(person: Person, fields: Fields) -> Response {
    let text = fields.number("citizen_number").to_ascii_uppercase();
    let fills = |name: &str| fields.is_empty_there(name);
    let frame = person.frame;
    let checked = match text.parse::<CitizenNumber>() {
        Ok(number) => NumberChecked {
            wrong: None,
            born: number.birth_date().to_string(),
            sex: frame.t(number.sex().zh(), number.sex().en()),
            fills_born: fills("birth_date"),
            fills_sex: fills("sex").then(|| (number.sex().code(), sexes(&frame))),
            frame,
        },
        Err(error) => {
            let failure = Failure::from(OfficeError::from(error));
            let told = Told::of(&failure, &frame);
            NumberChecked {
                frame,
                wrong: Some((told.what, told.action)),
                born: String::new(),
                sex: "",
                fills_born: false,
                fills_sex: None,
            }
        }
    };
    answer::page(StatusCode::OK, &checked)
}

/// The person's own items, as a document has them.
pub(crate) fn identity_items(fields: &Fields) -> IdentityItems<'_> {
    [
        "citizen_number",
        "name",
        "sex",
        "nation",
        "birth_date",
        "hukou_address",
    ]
    .map(|name| fields.text(name))
}

/// The applicant file that the form's fields make.
pub(crate) fn form_of(fields: &Fields) -> ApplicantForm {
    let raw = |name: &str| fields.text(name).into();
    let number = fields.number("citizen_number");
    let of_number = number.to_ascii_uppercase().parse::<CitizenNumber>().ok();
    // Both stand in the number: what is left empty is taken from it.
    let or = |typed: String, known: Option<String>| match known {
        Some(known) if typed.is_empty() => Raw::from(known),
        _ => Raw::from(typed),
    };
    let born = of_number.as_ref().map(|number| number.birth_date().to_string());
    let sex = of_number.as_ref().map(|number| number.sex().code().to_owned());
    let mut form = ApplicantForm {
        citizen_number: number.into(),
        name: fields.name("name").into(),
        sex: or(fields.text("sex").to_owned(), sex),
        nation: raw("nation"),
        birth_date: or(fields.day("birth_date"), born),
        hukou_address: fields.line("hukou_address").into(),
        insurance_months: fields.insurance_months().into(),
        education: raw("education"),
        title: raw("title"),
        requested_tier: raw("requested_tier"),
        ..ApplicantForm::default()
    };
    form.residence.address = fields.line("residence.address").into();
    form.residence.division = raw("residence.division");
    form.residence.registered_on = fields.day("residence.registered_on").into();
    form.evidence = fields.papers();
    form
}

pub(crate) fn with_errors(
    counter: &Counter,
    frame: Frame,
    status: StatusCode,
    sheet: Sheet,
    errors: &FormErrors,
) -> Response {
    let errors = told(&frame, &sheet.fields, errors);
    shown(counter, frame, status, Sheet { errors, ..sheet })
}

/// What is wrong with the fields, in the language of the page.
pub(crate) fn told(frame: &Frame, fields: &Fields, errors: &FormErrors) -> Vec<Wrong> {
    let papers: Vec<&str> = fields.all("evidence").collect();
    let told = match frame.lang() {
        "en" => errors.fields().to_vec(),
        _ => errors.in_chinese(),
    };
    told.iter().map(|error| wrong(frame, &papers, error)).collect()
}

pub(crate) fn shown(counter: &Counter, frame: Frame, status: StatusCode, sheet: Sheet) -> Response {
    let office = counter.office();
    let word = |code: &str, zh: &str, en: &str| Choice {
        code: code.to_owned(),
        word: frame.t(zh, en).to_owned(),
    };
    let today = office.clock().today();
    let page = IntakePage {
        sexes: sexes(&frame),
        nations: Nation::all()
            .map(|nation| numbered(&frame, &nation.to_string(), nation.zh(), nation.en()))
            .collect(),
        educations: educations(&frame),
        titles: titles(&frame),
        tiers: Tier::ALL
            .iter()
            .map(|tier| {
                let (zh, en) = tier_words(*tier);
                word(tier.as_str(), zh, en)
            })
            .collect(),
        papers: papers(&frame),
        divisions: divisions(counter),
        today: today.to_string(),
        frame,
        id: sheet.id,
        values: Values(sheet.fields),
        errors: sheet.errors,
        told: sheet.told,
        paper: sheet.paper,
        corrects: sheet.corrects,
        draft: sheet.draft,
        drafts: sheet.drafts,
        reader: counter.identity_reader().map(IdentityReader::is_simulated),
    };
    answer::page(status, &page)
}

/// A code with its word: typed on the keyboard the code chooses.
fn numbered(frame: &Frame, code: &str, zh: &str, en: &str) -> Choice {
    Choice {
        code: code.to_owned(),
        word: format!("{code} {}", frame.t(zh, en)),
    }
}

fn sexes(frame: &Frame) -> Vec<Choice> {
    let all = [Sex::Male, Sex::Female];
    all.iter()
        .map(|sex| numbered(frame, sex.code(), sex.zh(), sex.en()))
        .collect()
}

/// Districts whose residents the office serves now.
pub(crate) fn divisions(counter: &Counter) -> Vec<Choice> {
    let office = counter.office();
    let today = office.clock().today();
    let mut divisions: Vec<Choice> = Vec::new();
    for set in office.rules().iter().filter(|set| set.in_force(today)) {
        for (division, organ) in set.organs() {
            // A prefecture is no place where somebody lives.
            if !division.as_str().ends_with("00") {
                divisions.push(Choice {
                    code: division.to_string(),
                    word: format!("{division} {organ}"),
                });
            }
        }
    }
    divisions.sort_by(|a, b| a.code.cmp(&b.code));
    divisions.dedup_by(|a, b| a.code == b.code);
    divisions
}

/// The papers that may be shown, by what they speak for.
pub(crate) fn papers(frame: &Frame) -> Vec<Papers> {
    let kinds = [
        (EvidenceKind::Address, frame.t("住所", "Residence")),
        (EvidenceKind::Work, frame.t("就业", "Work")),
        (EvidenceKind::Study, frame.t("就读", "Study")),
        (EvidenceKind::Identity, frame.t("身份", "Identity")),
    ];
    let papers = kinds.into_iter().map(|(kind, legend)| Papers {
        legend,
        papers: EvidenceCode::ALL
            .iter()
            // The photo is taken at the case.
            .filter(|code| code.kind() == kind && **code != EvidenceCode::Photo)
            .map(|code| Choice {
                code: code.code().to_owned(),
                word: frame.t(code.zh(), code.en()).to_owned(),
            })
            .collect(),
    });
    papers.collect()
}

pub(crate) fn educations(frame: &Frame) -> Vec<Choice> {
    let all = Education::ALL.iter();
    all.map(|of| numbered(frame, of.code(), of.zh(), of.en()))
        .collect()
}

pub(crate) fn titles(frame: &Frame) -> Vec<Choice> {
    let all = Title::ALL.iter();
    all.map(|of| Choice {
        code: of.code().to_owned(),
        word: frame.t(of.zh(), of.en()).to_owned(),
    })
    .collect()
}

/// The page's field of an error: a paper by its kind, where the file has a number.
fn wrong(frame: &Frame, papers: &[&str], error: &FieldError) -> Wrong {
    let (field, part) = match error.field.strip_prefix("evidence[") {
        Some(rest) => {
            let (index, part) = rest.split_once(']').unwrap_or((rest, ""));
            let code = index.parse().ok().and_then(|index: usize| papers.get(index));
            match (code, part) {
                (Some(code), ".from" | ".to") => (format!("{code}{part}"), part),
                (Some(code), _) => ((*code).to_owned(), ""),
                (None, _) => ("evidence".to_owned(), ""),
            }
        }
        None => (error.field.clone(), ""),
    };
    let label = label(frame, field.strip_suffix(part).unwrap_or(&field));
    let day = match part {
        ".from" => frame.t("（起）", " (from)"),
        ".to" => frame.t("（止）", " (to)"),
        _ => "",
    };
    Wrong {
        label: format!("{label}{day}"),
        what: error.what.clone(),
        action: error.action.clone(),
        field,
    }
}

/// What the page calls a field.
fn label(frame: &Frame, field: &str) -> String {
    let (zh, en) = match field {
        "citizen_number" => ("公民身份号码", "Citizen number"),
        "name" => ("姓名", "Name"),
        "sex" => ("性别", "Sex"),
        "nation" => ("民族", "Nation"),
        "birth_date" => ("出生日期", "Date of birth"),
        "hukou_address" => ("常住户口所在地住址", "Address of permanent registration"),
        "residence.address" => ("居住地住址", "Address of residence"),
        "residence.division" => ("居住地区县", "District of residence"),
        "residence.registered_on" => ("居住登记日期", "Registered on"),
        "insurance_months" => ("社会保险月数", "Months of social insurance"),
        "education" => ("学历", "Education"),
        "title" => ("职称或技能等级", "Title or skill level"),
        "requested_tier" => ("申请类别", "Tier asked for"),
        "evidence" => ("证明材料", "Papers"),
        code => match code.parse::<EvidenceCode>() {
            Ok(code) => (code.zh(), code.en()),
            Err(_) => return field.to_owned(),
        },
    };
    frame.t(zh, en).to_owned()
}
