//! What a page asks of an authenticator, and what a form brings back from it.

use issuer_office::authenticators::{EnrolmentQuestion, Presented};
use issuer_office::sign_in::Question;
use issuer_office::webauthn::{Assertion, RelyingParty, bytes, text};

use crate::form::Fields;

/// Fields of an answer.
const ANSWERS: [&str; 4] = ["credential", "client_data", "authenticator_data", "signature"];
/// Fields of an enrolment.
const ENROLS: [&str; 2] = ["client_data", "attestation"];

/// What `asked.html` shows inside a form, and `authenticator.js` reads.
pub(crate) struct Asked {
    pub(crate) challenge: String,
    pub(crate) party: String,
    pub(crate) origin: String,
    /// Ids of keys, blanks between them.
    pub(crate) allowed: String,
    /// Handle and name of the person who enrols another one.
    pub(crate) enrols: Option<(String, String)>,
    /// Before the names of the fields.
    pub(crate) prefix: &'static str,
}

impl Asked {
    /// Somebody signs in.
    pub(crate) fn to_sign_in(party: &RelyingParty, question: &Question) -> Self {
        Self::new(party, question, "")
    }

    /// Somebody proves to be there; the form has other fields beside.
    pub(crate) fn to_prove(party: &RelyingParty, question: &Question) -> Self {
        Self::new(party, question, PROOF)
    }

    /// Somebody enrols another one.
    pub(crate) fn to_enrol(party: &RelyingParty, question: &EnrolmentQuestion, account: &str) -> Self {
        Self {
            enrols: Some((text(&question.handle), account.to_owned())),
            ..Self::new(party, &question.question, "")
        }
    }

    fn new(party: &RelyingParty, question: &Question, prefix: &'static str) -> Self {
        let allowed: Vec<String> = question.allowed.iter().map(|id| text(id)).collect();
        Self {
            challenge: text(&question.challenge),
            party: party.id().to_owned(),
            origin: party.origin().to_owned(),
            allowed: allowed.join(" "),
            enrols: None,
            prefix,
        }
    }

    pub(crate) fn parts(&self) -> &'static [&'static str] {
        if self.enrols.is_some() { &ENROLS } else { &ANSWERS }
    }
}

/// Before the names of the fields of a proof, which come beside those of the form that asked for it.
pub(crate) const PROOF: &str = "proof.";

/// The answer that a form brought; `None` where it brought none.
pub(crate) fn answer(fields: &Fields, prefix: &str) -> Option<Assertion> {
    let part = |name: &str| bytes(fields.text(&format!("{prefix}{name}"))).unwrap_or_default();
    let [credential, client_data, authenticator_data, signature] = ANSWERS.map(part);
    (!credential.is_empty()).then_some(Assertion {
        credential,
        client_data,
        authenticator_data,
        signature,
    })
}

/// The new authenticator that a form brought.
pub(crate) fn presented(fields: &Fields) -> Presented {
    let part = |name: &str| bytes(fields.text(name)).unwrap_or_default();
    let [client_data, attestation] = ENROLS.map(part);
    Presented {
        label: fields.text("label").to_owned(),
        client_data,
        attestation,
    }
}
