//! What an intake clerk does about an application that is not decided as it stands: corrects what was typed wrong, or takes it back for
//! the applicant. What was filed is never edited: a correction is a new application in the place of the old one (`issuer_office::withdrawal`).
//!
//! Both as long as the office allows them: before a card is made, and not by whoever reviewed or approved it.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use issuer_office::error::OfficeError;
use issuer_office::staff::StaffRole;
use permit_domain::{Applicant, ApplicantForm, ApplicationId, IntakeClerk, Raw};

use crate::answer::{self, Answer, Problem};
use crate::case;
use crate::counter::Counter;
use crate::failure;
use crate::form::Fields;
use crate::intake::{self, Sheet, day_of};
use crate::person::Person;

/// `GET /counter/cases/{application}/correct`: the form of the intake with what is on file.
pub(crate) async fn page(
    State(counter): State<Counter>,
    person: Person,
    Path(application): Path<String>,
) -> Answer {
    person.acting_as(StaffRole::IntakeClerk)?;
    let old: ApplicationId = person.named(&application)?;
    let case = counter.office().application(old).await;
    let case = case.map_err(|error| person.refused(error))?;
    let id = counter.office().new_application_id();
    let sheet = Sheet::correcting(old, id, on_file(&case.applicant));
    Ok(intake::shown(&counter, person.frame, StatusCode::OK, sheet))
}

/// `POST /counter/cases/{application}/correct`: files what the form has in the place of the application.
pub(crate) async fn file(
    State(counter): State<Counter>,
    person: Person,
    Path(application): Path<String>,
    fields: Fields,
) -> Answer {
    let clerk = IntakeClerk::new(person.acting_as(StaffRole::IntakeClerk)?);
    let (office, old): (_, ApplicationId) = (counter.office(), person.named(&application)?);
    let id: ApplicationId = person.named(fields.text("id"))?;
    let applicant = intake::form_of(&fields).into_applicant(office.clock().today());
    let corrected = match applicant {
        Ok(applicant) => Box::pin(office.correct(old, id, clerk, applicant)).await,
        Err(errors) => Err(OfficeError::Unprintable(errors)),
    };
    let mut sheet = Sheet::correcting(old, id, fields);
    Ok(match corrected {
        Ok(case) => answer::to(&case::address(case.application.id())),
        Err(OfficeError::Unprintable(errors)) => {
            let wrong = StatusCode::UNPROCESSABLE_ENTITY;
            intake::with_errors(&counter, person.frame, wrong, sheet, &errors)
        }
        Err(error) => {
            let (status, told) = Problem::said(Some(error.into()), &person.frame);
            sheet.told = told;
            intake::shown(&counter, person.frame, status, sheet)
        }
    })
}

/// `POST /counter/cases/{application}/withdraw`: `asked` says that the applicant takes it back.
pub(crate) async fn withdraw(
    State(counter): State<Counter>,
    person: Person,
    Path(application): Path<String>,
    fields: Fields,
) -> Answer {
    let clerk = IntakeClerk::new(person.acting_as(StaffRole::IntakeClerk)?);
    let withdrawn = async {
        if fields.text("asked").is_empty() {
            return Err(Problem::incomplete(failure::not_asked()));
        }
        let id = application.parse().map_err(OfficeError::from)?;
        Ok(counter.office().withdraw(id, &clerk).await?)
    };
    let done = withdrawn.await.map(|case| case::address(case.application.id()));
    answer::after(done, |problem| {
        case::shown(&counter, person, &application, Some(problem))
    })
    .await
}

/// What is on file of an applicant, as the fields of a form.
pub(crate) fn on_file(facts: &Applicant) -> Fields {
    let form = ApplicantForm::from(facts);
    let text = |raw: &Raw| raw.text().unwrap_or_default().to_owned();
    let tier = facts.requested_tier.map(|tier| tier.as_str().to_owned());
    let mut fields: Vec<(String, String)> = [
        ("citizen_number", text(&form.citizen_number)),
        ("name", text(&form.name)),
        ("sex", facts.sex.code().to_owned()),
        ("nation", facts.nation.to_string()),
        ("birth_date", text(&form.birth_date)),
        ("hukou_address", text(&form.hukou_address)),
        ("insurance_months", text(&form.insurance_months)),
        ("education", facts.education.code().to_owned()),
        ("title", facts.title.code().to_owned()),
        ("requested_tier", tier.unwrap_or_default()),
        ("residence.address", text(&form.residence.address)),
        ("residence.division", text(&form.residence.division)),
        ("residence.registered_on", text(&form.residence.registered_on)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    for paper in &form.evidence {
        let code = text(&paper.code);
        fields.push((day_of(&code, "from"), text(&paper.from)));
        fields.push((day_of(&code, "to"), text(&paper.to)));
        fields.push(("evidence".to_owned(), code));
    }
    Fields::kept(fields)
}
