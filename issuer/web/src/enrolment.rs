//! A person's own authenticators: enrolled, by invitation or by who is at work, and removed.

use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::SET_COOKIE;
use axum::response::{AppendHeaders, IntoResponse as _};
use issuer_office::authenticators::Enrolled;
use issuer_office::error::OfficeError;
use issuer_office::webauthn::{bytes, text};
use issuer_store::Authenticator;

use crate::answer::{self, Answer, Problem, Told};
use crate::authenticator::{Asked, presented};
use crate::cookies::{SESSION, cookie};
use crate::counter::Counter;
use crate::form::Fields;
use crate::frame::Frame;
use crate::person::{Person, Seated};
use crate::sign_in::ended_cookie;
use crate::stands::minute;

#[derive(Template)]
#[template(path = "authenticators.html")]
struct AuthenticatorsPage {
    frame: Frame,
    account: String,
    enrols_alone: bool,
    enrolled: Vec<Shown>,
    asked: Asked,
    label: String,
    told: Option<Told>,
}

/// An authenticator in a list.
pub(crate) struct Shown {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) since: String,
    pub(crate) invitation: &'static str,
}

impl Shown {
    pub(crate) fn of(frame: &Frame, one: &Authenticator) -> Self {
        Self {
            id: text(&one.credential),
            label: one.label.clone(),
            since: minute(one.enrolled_at),
            invitation: match one.invitation.as_str() {
                "TOKEN" => frame.t("令牌", "token"),
                "CODE" => frame.t("恢复码", "recovery code"),
                "SAMPLE" => frame.t("演练", "rehearsal"),
                _ => frame.t("身份验证器", "authenticator"),
            },
        }
    }
}

/// `GET /counter/authenticators`.
pub(crate) async fn page(State(counter): State<Counter>, seated: Seated) -> Answer {
    shown(&counter, seated, "", None).await
}

async fn shown(counter: &Counter, seated: Seated, label: &str, problem: Option<Problem>) -> Answer {
    let office = counter.office();
    let account = seated.at.member.account.clone();
    let found = async {
        let enrolled = office.authenticators(&account).await?;
        Ok::<_, OfficeError>((enrolled, office.ask_enrolment(&seated.at).await?))
    };
    let (enrolled, question) = found.await.map_err(|error| seated.refused(error))?;
    let (status, told) = Problem::said(problem, &seated.frame);
    let page = AuthenticatorsPage {
        enrols_alone: seated.at.opened_by.enrols_alone(),
        enrolled: enrolled.iter().map(|one| Shown::of(&seated.frame, one)).collect(),
        asked: Asked::to_enrol(counter.party(), &question, account.as_str()),
        account: account.to_string(),
        label: label.to_owned(),
        told,
        frame: seated.frame,
    };
    Ok(answer::page(status, &page))
}

/// `POST /counter/authenticators`: `label`, and what the authenticator answered.
pub(crate) async fn enrol(
    State(counter): State<Counter>,
    seated: Seated,
    headers: HeaderMap,
    fields: Fields,
) -> Answer {
    let enrolled = async {
        let staff = counter.staff().now()?;
        let secret = cookie(&headers, SESSION).unwrap_or_default();
        let office = counter.office();
        office
            .enrol(&staff, counter.party(), secret, &presented(&fields))
            .await
    };
    match enrolled.await {
        Ok(Enrolled::SignInNow) => Ok((
            AppendHeaders([(SET_COOKIE, ended_cookie())]),
            answer::to("/counter/sign-in?why=enrolled"),
        )
            .into_response()),
        Ok(Enrolled::AnotherIsWanted | Enrolled::OneMore) => Ok(answer::to("/counter/authenticators")),
        Err(error) => shown(&counter, seated, fields.text("label"), Some(error.into())).await,
    }
}

/// `POST /counter/authenticators/remove`: `authenticator` of `account`, the own one or, for an administrator, anybody's.
pub(crate) async fn remove(State(counter): State<Counter>, person: Person, fields: Fields) -> Answer {
    let removed = async {
        let account = fields.text("account").parse()?;
        let credential = bytes(fields.text("authenticator")).unwrap_or_default();
        let office = counter.office();
        office
            .remove_authenticator(&person.at, &account, &credential)
            .await?;
        Ok::<_, OfficeError>(account == person.member.account)
    };
    match removed.await {
        Ok(true) => Ok((
            AppendHeaders([(SET_COOKIE, ended_cookie())]),
            answer::to("/counter/sign-in?why=removed"),
        )
            .into_response()),
        Ok(false) => Ok(answer::to("/counter/accounts")),
        Err(error) => Err(person.refused(error)),
    }
}
