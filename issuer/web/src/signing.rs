//! The way to the signing page and back. A case's page leads there with the mandate, whose bytes the signing page shows by itself; what
//! was signed comes back to a page without a session, which sends it on as a form of ours.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use issuer_mandate::SignerRole;
use issuer_office::error::OfficeError;
use issuer_office::frozen_case::FrozenCase;
use issuer_office::staff::StaffRole;
use issuer_office::webauthn::text;
use issuer_store::signer_role;
use permit_domain::ApplicationId;
use photo_store_protocol as photo;

use crate::answer::{self, Answer, Problem};
use crate::case;
use crate::counter::Counter;
use crate::failure;
use crate::frame::{Frame, View};
use crate::person::Person;

#[derive(Template)]
#[template(path = "to_sign.html")]
struct ToSignPage {
    frame: Frame,
    /// The signing page, with what is to be signed behind its `#`.
    signing: String,
    back: String,
}

/// On to the signing page with these fields, which no server sees.
pub(crate) fn to_signing_page(frame: Frame, origin: &str, fields: &[(&str, &str)], back: String) -> Response {
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", escaped(value)))
        .collect();
    let page = ToSignPage {
        frame,
        signing: format!("{origin}/#{}", fields.join("&")),
        back,
    };
    answer::page(StatusCode::OK, &page)
}

/// As an address has it.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.,".contains(&byte);
    text.bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

/// `GET /counter/cases/{application}/sign/{step}`: `review` or `sign-off`.
pub(crate) async fn to_sign(
    State(counter): State<Counter>,
    person: Person,
    Path((application, step)): Path<(String, String)>,
) -> Answer {
    let (role, staff_role) = match step.as_str() {
        "review" => (SignerRole::Reviewer, StaffRole::Reviewer),
        "sign-off" => (SignerRole::Approver, StaffRole::Approver),
        _ => return Err(person.refused(OfficeError::NotFound { what: "case" })),
    };
    let account = person.acting_as(staff_role)?;
    let Some(page) = counter.signing_page() else {
        let problem = Problem::incomplete(failure::no_signing_page());
        return case::shown(&counter, person, &application, Some(problem)).await;
    };
    let office = counter.office();
    let found = async {
        let id: ApplicationId = application.parse()?;
        let case = office.application(id).await?;
        let live = case.content.ok_or(OfficeError::NotCompleted)?;
        let to_sign = office.to_sign(id, &account, role).await?;
        let frozen = FrozenCase::from_content(live.content())?;
        let shown = frozen.photo().ok_or(OfficeError::NotCompleted)?;
        let (profile, purpose) = (photo::Profile::Chip, photo::Purpose::Review);
        let picture = office
            .look_at_photo(id, shown.id()?, profile, purpose, &account)
            .await?;
        Ok::<_, OfficeError>((to_sign, text(&picture.jpeg), live.content().digest().to_string()))
    };
    let (to_sign, portrait, content) = match found.await {
        Ok(found) => found,
        Err(error) => return case::shown(&counter, person, &application, Some(error.into())).await,
    };
    let keys: Vec<String> = to_sign.keys.iter().map(hex::encode).collect();
    let fields = [
        ("to", format!("cases/{application}/{step}/{content}")),
        ("account", account.to_string()),
        ("role", signer_role(role).to_owned()),
        ("keys", keys.join(",")),
        ("mandate", hex::encode(&to_sign.mandate)),
        ("portrait", portrait),
    ];
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let back = format!("/counter/cases/{application}");
    Ok(to_signing_page(person.frame, page.origin(), &fields, back))
}

#[derive(Template)]
#[template(path = "signed.html")]
struct SignedPage {
    frame: Frame,
}

/// `GET /counter/signed`: where the signing page comes back to. It knows nobody: the browser sends no cookie along from elsewhere.
pub(crate) async fn signed(State(counter): State<Counter>, headers: HeaderMap) -> Answer {
    let frame = Frame::of_nobody(View::of(&headers), counter.office().founded().is_rehearsal());
    Ok(answer::page(StatusCode::OK, &SignedPage { frame }))
}
