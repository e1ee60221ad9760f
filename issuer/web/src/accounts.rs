//! The accounts of the office, for its administrators: which authenticators each has, and the way back when all are lost.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use issuer_office::error::OfficeError;
use issuer_office::staff::{Member, StaffRole};
use permit_domain::StaffId;

use crate::answer::{self, Answer, Problem, Told};
use crate::counter::Counter;
use crate::enrolment::Shown;
use crate::form::Fields;
use crate::frame::Frame;
use crate::person::Person;
use crate::stands::minute;

#[derive(Template)]
#[template(path = "accounts.html")]
struct AccountsPage {
    frame: Frame,
    /// Who looks.
    account: String,
    accounts: Vec<Row>,
    told: Option<Told>,
}

/// Where an account stands.
struct Row {
    account: StaffId,
    roles: Vec<StaffRole>,
    enrolled: Vec<Shown>,
    recovery: Stands,
}

/// Where the recovery of an account stands.
enum Stands {
    Nothing,
    /// By whom it was asked for.
    Asked(String),
    /// By whom it was confirmed, and until when its code opens something.
    Confirmed(String, String),
}

/// `GET /counter/accounts`.
pub(crate) async fn page(State(counter): State<Counter>, person: Person) -> Answer {
    shown(&counter, person, None).await
}

async fn shown(counter: &Counter, person: Person, problem: Option<Problem>) -> Answer {
    person.acting_as(StaffRole::Administrator)?;
    let found = async {
        let staff = counter.staff().now()?;
        let mut accounts = Vec::new();
        for member in staff.members() {
            accounts.push(stands(counter, &person.frame, member).await?);
        }
        Ok::<_, OfficeError>(accounts)
    };
    let accounts = found.await.map_err(|error| person.refused(error))?;
    let (status, told) = Problem::said(problem, &person.frame);
    let page = AccountsPage {
        account: person.member.account.to_string(),
        frame: person.frame,
        accounts,
        told,
    };
    Ok(answer::page(status, &page))
}

async fn stands(counter: &Counter, frame: &Frame, member: &Member) -> Result<Row, OfficeError> {
    let office = counter.office();
    let enrolled = office.authenticators(&member.account).await?;
    let recovery = match office.recovery(&member.account).await? {
        None => Stands::Nothing,
        Some(recovery) => match recovery.confirmed {
            None => Stands::Asked(recovery.asked_by.to_string()),
            Some(confirmed) => Stands::Confirmed(confirmed.by.to_string(), minute(confirmed.until)),
        },
    };
    Ok(Row {
        account: member.account.clone(),
        roles: member.roles.clone(),
        enrolled: enrolled.iter().map(|one| Shown::of(frame, one)).collect(),
        recovery,
    })
}

/// `POST /counter/accounts/recoveries`: asks that `account` comes back.
pub(crate) async fn ask(State(counter): State<Counter>, person: Person, fields: Fields) -> Answer {
    let asked = async {
        let staff = counter.staff().now()?;
        let account = fields.text("account").parse()?;
        counter.office().ask_recovery(&staff, &person.at, &account).await
    };
    let done = asked.await.map(|()| "/counter/accounts".to_owned());
    answer::after(done, |problem| shown(&counter, person, Some(problem))).await
}

#[derive(Template)]
#[template(path = "recovery_code.html")]
struct CodePage {
    frame: Frame,
    account: String,
    code: String,
    until: String,
}

/// `POST /counter/accounts/recoveries/confirm`: confirms that `account` comes back, and shows the code.
pub(crate) async fn confirm(State(counter): State<Counter>, person: Person, fields: Fields) -> Answer {
    let confirmed = async {
        let account = fields.text("account").parse()?;
        counter.office().confirm_recovery(&person.at, &account).await
    };
    match confirmed.await {
        Ok(code) => {
            let page = CodePage {
                frame: person.frame,
                account: fields.text("account").to_owned(),
                code: code.code.to_string(),
                until: minute(code.until),
            };
            Ok(answer::page(StatusCode::OK, &page))
        }
        Err(error) => shown(&counter, person, Some(error.into())).await,
    }
}
