//! Signing keys, for administrators: who signs, in which role, for which organ; proposed by one, confirmed by another, removed by one.

use askama::Template;
use axum::extract::State;
use issuer_mandate::SignerRole;
use issuer_office::error::OfficeError;
use issuer_office::signing_keys::Signer;
use issuer_office::staff::StaffRole;
use issuer_office::webauthn::{bytes, text};
use issuer_store::{SigningKey, SigningKeyKind, signer_role};
use permit_domain::Digest;

use crate::answer::{self, Answer, Problem, Told};
use crate::counter::Counter;
use crate::failure;
use crate::form::Fields;
use crate::frame::Frame;
use crate::person::Person;
use crate::signing::to_signing_page;
use crate::stands::minute;

#[derive(Template)]
#[template(path = "signing_keys.html")]
struct SigningKeysPage {
    frame: Frame,
    keys: Vec<Row>,
    /// Accounts that may have one, with the role.
    people: Vec<(String, &'static str)>,
    told: Option<Told>,
}

/// A key in the list.
struct Row {
    id: String,
    account: String,
    role: &'static str,
    organ: String,
    /// The beginning of the digest of its public half, which the signing page's authenticator made.
    print: String,
    kind: &'static str,
    by: String,
    until: String,
    /// Whether somebody else confirms it.
    waits: bool,
    may_confirm: bool,
}

/// `GET /counter/signing-keys`.
pub(crate) async fn page(State(counter): State<Counter>, person: Person) -> Answer {
    shown(&counter, person, None).await
}

async fn shown(counter: &Counter, person: Person, problem: Option<Problem>) -> Answer {
    let own = person.acting_as(StaffRole::Administrator)?;
    let found = async {
        let keys = counter.office().signing_keys().await?;
        Ok::<_, OfficeError>((counter.staff().now()?, keys))
    };
    let (staff, keys) = found.await.map_err(|error| person.refused(error))?;
    let (status, told) = Problem::said(problem, &person.frame);
    let signs = |roles: &[StaffRole]| {
        [
            (StaffRole::Reviewer, "REVIEWER"),
            (StaffRole::Approver, "APPROVER"),
        ]
        .into_iter()
        .filter(|(role, _)| roles.contains(role))
        .map(|(_, name)| name)
        .collect::<Vec<_>>()
    };
    let people = staff.members().iter().flat_map(|member| {
        let account = member.account.to_string();
        signs(&member.roles)
            .into_iter()
            .map(move |role| (account.clone(), role))
    });
    let page = SigningKeysPage {
        keys: keys
            .iter()
            .map(|key| row(&person.frame, key, own.as_str()))
            .collect(),
        people: people.collect(),
        told,
        frame: person.frame,
    };
    Ok(answer::page(status, &page))
}

fn row(frame: &Frame, key: &SigningKey, own: &str) -> Row {
    let digest = Digest::of(&key.public_key).to_string();
    let proposer = key.proposed.0.as_str();
    Row {
        id: text(&key.credential),
        account: key.account.to_string(),
        role: match key.role {
            SignerRole::Approver => frame.role_name(&StaffRole::Approver),
            _ => frame.role_name(&StaffRole::Reviewer),
        },
        organ: key.organ.to_string(),
        print: digest.get(..16).unwrap_or_default().to_owned(),
        kind: match key.kind {
            SigningKeyKind::Authenticator => frame.t("身份验证器", "authenticator"),
            SigningKeyKind::Rehearsal => frame.t("演练密钥文件", "key file of the rehearsal"),
        },
        by: match &key.confirmed {
            Some((by, at)) if by.as_str() != proposer => format!("{proposer}, {by} {}", minute(*at)),
            _ => format!("{proposer} {}", minute(key.proposed.1)),
        },
        until: match key.kind {
            SigningKeyKind::Authenticator => minute(key.until),
            SigningKeyKind::Rehearsal => String::new(),
        },
        waits: key.confirmed.is_none(),
        may_confirm: key.confirmed.is_none() && proposer != own && key.account.as_str() != own,
    }
}

/// For whom a form proposes a key.
fn signer(fields: &Fields) -> Result<Signer, OfficeError> {
    // The list has account and role as one choice.
    let (account, role) = match fields.text("signer").split_once(' ') {
        Some(both) => both,
        None => (fields.text("account"), fields.text("role")),
    };
    Ok(Signer {
        account: account.parse()?,
        role: match role {
            "APPROVER" => SignerRole::Approver,
            _ => SignerRole::Reviewer,
        },
        organ: fields.text("organ").parse()?,
    })
}

/// `POST /counter/signing-keys/new`: `signer`, `organ`; on to the signing page, where the person's authenticator makes the key.
pub(crate) async fn new(State(counter): State<Counter>, person: Person, fields: Fields) -> Answer {
    person.acting_as(StaffRole::Administrator)?;
    let Some(page) = counter.signing_page() else {
        let problem = Problem::incomplete(failure::no_signing_page());
        return shown(&counter, person, Some(problem)).await;
    };
    let asked = async {
        let signer = signer(&fields)?;
        let staff = counter.staff().now()?;
        let asked = counter
            .office()
            .ask_signing_key(&staff, &person.at, &signer)
            .await?;
        Ok::<_, OfficeError>((signer, asked))
    };
    let (signer, asked) = match asked.await {
        Ok(asked) => asked,
        Err(error) => return shown(&counter, person, Some(error.into())).await,
    };
    let known: Vec<String> = asked.question.allowed.iter().map(hex::encode).collect();
    let fields = [
        ("enrol", text(&asked.question.challenge)),
        ("handle", text(&asked.handle)),
        ("account", signer.account.to_string()),
        ("role", signer_role(signer.role).to_owned()),
        ("organ", signer.organ.to_string()),
        ("keys", known.join(",")),
    ];
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let back = "/counter/signing-keys".to_owned();
    Ok(to_signing_page(person.frame, page.origin(), &fields, back))
}

/// `POST /counter/signing-keys`: `account`, `role`, `organ`, and what the authenticator answered on the signing page.
pub(crate) async fn propose(State(counter): State<Counter>, person: Person, fields: Fields) -> Answer {
    let Some(page) = counter.signing_page() else {
        let problem = Problem::incomplete(failure::no_signing_page());
        return shown(&counter, person, Some(problem)).await;
    };
    let proposed = async {
        let part = |name: &str| bytes(fields.text(name)).unwrap_or_default();
        let answer = (part("client_data"), part("attestation"));
        counter
            .office()
            .propose_signing_key(&person.at, page, signer(&fields)?, (&answer.0, &answer.1))
            .await
    };
    done(&counter, proposed.await, person).await
}

/// `POST /counter/signing-keys/confirm`: `key`.
pub(crate) async fn confirm(State(counter): State<Counter>, person: Person, fields: Fields) -> Answer {
    let key = bytes(fields.text("key")).unwrap_or_default();
    let confirmed = counter.office().confirm_signing_key(&person.at, &key).await;
    done(&counter, confirmed, person).await
}

/// `POST /counter/signing-keys/remove`: `key`.
pub(crate) async fn remove(State(counter): State<Counter>, person: Person, fields: Fields) -> Answer {
    let key = bytes(fields.text("key")).unwrap_or_default();
    let removed = counter.office().remove_signing_key(&person.at, &key).await;
    done(&counter, removed, person).await
}

async fn done(counter: &Counter, done: Result<(), OfficeError>, person: Person) -> Answer {
    let done = done.map(|()| "/counter/signing-keys".to_owned());
    answer::after(done, |problem| shown(counter, person, Some(problem))).await
}
