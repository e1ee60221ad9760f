//! Signing keys in authenticators at the counter's pages: proposed by one administrator, confirmed by another, used on the signing page,
//! removed by one. The authenticator is one in software.

use axum::http::StatusCode;
use issuer_mandate::{Assertion, Given, Mandate, Signature};
use issuer_office::webauthn::{bytes, text};

use crate::authenticator::Authenticator;
use crate::fixture::person;
use crate::pages::{Browser, Page, Town};

const KEYS: &str = "/counter/signing-keys";

/// An authenticator at the signing page.
fn at_the_signing_page(number: u8) -> Authenticator {
    Authenticator {
        origin: "http://sign.localhost:8441".to_owned(),
        party: "sign.localhost".to_owned(),
        ..Authenticator::number(number)
    }
}

fn refused(page: &Page, code: &str) {
    assert!(page.status.is_client_error(), "{} {}", page.status, page.text);
    assert!(page.has(code), "no {code} in {}", page.text);
}

impl Browser<'_> {
    /// The challenge of a key that is to be made for this person and role.
    async fn asks_key(&self, signer: &str) -> String {
        let asked = [("signer", signer), ("organ", "440300")];
        let page = self.post(&format!("{KEYS}/new"), &asked).await;
        page.signing_field("enrol")
    }

    /// What the signing page brings back for `signer`.
    async fn proposes(&self, signer: &str, made: &[(&'static str, String); 2]) -> Page {
        let (account, role) = signer.split_once(' ').unwrap();
        let mut fields = vec![("account", account), ("role", role), ("organ", "440300")];
        fields.extend(made.iter().map(|(name, value)| (*name, value.as_str())));
        self.post(KEYS, &fields).await
    }

    async fn with_key(&self, step: &str, key: &Authenticator) -> Page {
        let id = text(&key.credential);
        self.post(&format!("{KEYS}/{step}"), &[("key", &id)]).await
    }

    /// Reviews a case with what this authenticator answers to a challenge.
    async fn reviews(&self, case: &str, key: &mut Authenticator, challenge: &[u8]) -> Page {
        let answer = key.answers_to(&text(challenge), "");
        let part = |name: &str| {
            let found = answer.iter().find(|(of, _)| of == name).unwrap();
            bytes(&found.1).unwrap()
        };
        let given = Given {
            credential: part("credential"),
            signature: Signature {
                assertion: Assertion {
                    client_data: part("client_data"),
                    authenticator_data: part("authenticator_data"),
                    signature: part("signature"),
                },
                proof: None,
            },
        };
        let content = self.signature(case, "review").await[0].1.clone();
        let fields = [("content", content), ("signature", given.to_text().unwrap())];
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        self.post(&format!("{case}/review"), &fields).await
    }
}

#[tokio::test]
async fn a_signing_key_is_enrolled_by_two_administrators_signs_and_is_removed_by_one() {
    let town = Town::new().await;
    let mut cases = Vec::new();
    for number in 0..3 {
        let id = town.fixture.accepted(&person(number)).await;
        town.fixture.completed(id).await;
        cases.push(format!("/counter/cases/{id}"));
    }
    let (xu, zhou) = (town.browser("xu").await, town.browser("zhou").await);
    let wang = town.browser("wang").await;
    for nobody in [&wang, &town.browser("liu").await] {
        assert_eq!(nobody.get(KEYS).await.status, StatusCode::FORBIDDEN);
    }
    // For who has the role, and not for oneself.
    let asked = [("signer", "liu REVIEWER"), ("organ", "440300")];
    refused(&xu.post(&format!("{KEYS}/new"), &asked).await, "ROLE_MISSING");

    let mut key = at_the_signing_page(1);
    let challenge = xu.asks_key("wang REVIEWER").await;
    // Made on a page of the counter, or for somebody else than was asked for.
    let elsewhere = Authenticator::number(2).made(&challenge);
    refused(&xu.proposes("wang REVIEWER", &elsewhere).await, "OTHER_ORIGIN");
    let made = key.made(&challenge);
    for other in ["wang APPROVER", "zhao REVIEWER"] {
        refused(&xu.proposes(other, &made).await, "CHALLENGE_ENDED");
    }
    assert_eq!(xu.proposes("wang REVIEWER", &made).await.to(), KEYS);
    refused(&xu.proposes("wang REVIEWER", &made).await, "CHALLENGE_ENDED");

    // Proposed only, it signs nothing. The mandate is read with the key file that every test's reviewer has.
    let digest = |case: &str| {
        let (wang, case) = (&wang, case.to_owned());
        async move { Mandate::digest(&hex::decode(wang.mandate(&case, "review").await).unwrap()) }
    };
    let first = digest(&cases[0]).await;
    refused(
        &wang.reviews(&cases[0], &mut key, &first).await,
        "SIGNING_KEY_UNKNOWN",
    );
    refused(&xu.with_key("confirm", &key).await, "SIGNING_KEY_BY_TWO_OTHERS");
    assert_eq!(wang.with_key("confirm", &key).await.status, StatusCode::FORBIDDEN);
    assert_eq!(zhou.with_key("confirm", &key).await.to(), KEYS);
    refused(&zhou.with_key("confirm", &key).await, "SIGNING_KEY_NOT_PROPOSED");

    // The right challenge on another page, and by who was not verified; another challenge on the right page.
    let mut counters = Authenticator::number(1);
    refused(
        &wang.reviews(&cases[0], &mut counters, &first).await,
        "SIGNED_ANOTHER",
    );
    let mut unseen = key.clone();
    unseen.flags = crate::authenticator::PRESENT;
    refused(
        &wang.reviews(&cases[0], &mut unseen, &first).await,
        "SIGNATURE_REFUSED",
    );
    let second = digest(&cases[1]).await;
    refused(
        &wang.reviews(&cases[0], &mut key, &second).await,
        "SIGNED_ANOTHER",
    );
    key.counter = 7;
    assert_eq!(wang.reviews(&cases[0], &mut key, &first).await.to(), cases[0]);
    // A copy of it that counts on its own is found.
    key.counter = 7;
    refused(
        &wang.reviews(&cases[1], &mut key, &second).await,
        "SIGNING_COUNTER",
    );

    // One person removes it, at once.
    assert_eq!(xu.with_key("remove", &key).await.to(), KEYS);
    key.counter = 20;
    refused(
        &wang.reviews(&cases[1], &mut key, &second).await,
        "SIGNING_KEY_UNKNOWN",
    );
    refused(&zhou.with_key("remove", &key).await, "SIGNING_KEY_UNKNOWN");
    let challenge = xu.asks_key("wang REVIEWER").await;
    let again = key.made(&challenge);
    refused(&xu.proposes("wang REVIEWER", &again).await, "SIGNING_KEY_KNOWN");
    let said = town.fixture.ledger_of("wang").await;
    let said: Vec<_> = said
        .iter()
        .filter(|entry| entry.role == "administrator")
        .map(|entry| (entry.action.as_str(), entry.actor.as_str()))
        .collect();
    assert_eq!(
        said,
        [
            ("signing key PROPOSED", "xu"),
            ("signing key ENROLLED", "zhou"),
            ("signing key REMOVED", "xu")
        ]
    );
}

#[tokio::test]
async fn a_case_whose_mandate_is_over_is_completed_anew_with_its_own_photo_and_signed() {
    let town = Town::new().await;
    let id = town.fixture.accepted(&person(0)).await;
    town.fixture.completed(id).await;
    let case = format!("/counter/cases/{id}");
    let liu = town.browser("liu").await;
    assert_eq!(
        liu.get(&case).await.hidden_or_none("receipt"),
        None,
        "while it holds"
    );
    town.fixture.time.set("2026-12-22T02:00:00Z");
    let (liu, wang) = (town.browser("liu").await, town.browser("wang").await);
    refused(&wang.signs(&case, "review").await, "MANDATE_ENDED");
    let receipt = liu.get(&case).await.hidden("receipt");
    let receipt = [("receipt", receipt.as_str())];
    let completed = liu.post(&format!("{case}/complete"), &receipt).await;
    assert_eq!(completed.to(), case, "{}", completed.text);
    assert_eq!(wang.signs(&case, "review").await.to(), case);
}
