//! An authenticator in software: a P-256 key, an id, a counter, and the answers that browser and authenticator give together, right or
//! bent in one way. W3C Web Authentication Level 3, sections 5.8.1, 6.1 and 6.5.

use issuer_office::webauthn::{bytes, text};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use permit_domain::Digest;

use crate::pages::Page;

/// Flags of authenticator data.
pub(crate) const PRESENT: u8 = 1;
pub(crate) const VERIFIED: u8 = 1 << 2;
pub(crate) const COPIED: u8 = 1 << 3;
const KEY_FOLLOWS: u8 = 1 << 6;

/// A key in a box.
#[derive(Clone)]
pub(crate) struct Authenticator {
    pub(crate) credential: Vec<u8>,
    pub(crate) key: SigningKey,
    pub(crate) counter: u32,
    /// What it says of who used it.
    pub(crate) flags: u8,
    /// Where its browser believes to be.
    pub(crate) origin: String,
    pub(crate) cross_origin: bool,
    /// Whom it answers.
    pub(crate) party: String,
}

/// Fields of a form.
pub(crate) type Form = Vec<(String, String)>;

impl Authenticator {
    pub(crate) fn number(number: u8) -> Self {
        Self {
            credential: vec![number; 32],
            key: SigningKey::from_slice(&[number; 32]).unwrap(),
            counter: 0,
            flags: PRESENT | VERIFIED,
            origin: "http://localhost:8440".to_owned(),
            cross_origin: false,
            party: "localhost".to_owned(),
        }
    }

    /// What it answers to the page that enrols it.
    pub(crate) fn enrols(&mut self, page: &Page, label: &str) -> Form {
        let mut form = vec![("label".to_owned(), label.to_owned())];
        let made = self.made(&challenge(page));
        form.extend(made.map(|(name, value)| (name.to_owned(), value)));
        form
    }

    /// A key that it makes for this challenge.
    pub(crate) fn made(&mut self, challenge: &str) -> [(&'static str, String); 2] {
        let mut data = self.data(KEY_FOLLOWS);
        data.extend_from_slice(&[0; 16]);
        data.extend_from_slice(&u16::try_from(self.credential.len()).unwrap().to_be_bytes());
        data.extend_from_slice(&self.credential);
        // {1: 2, 3: -7, -1: 1, -2: x, -3: y}
        let point = self.key.verifying_key().to_sec1_point(false);
        data.extend_from_slice(&[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32]);
        data.extend_from_slice(&point.as_bytes()[1..33]);
        data.extend_from_slice(&[0x22, 0x58, 32]);
        data.extend_from_slice(&point.as_bytes()[33..]);
        // {"fmt": "none", "attStmt": {}, "authData": data}
        let mut attestation = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59".to_vec();
        attestation.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
        attestation.extend_from_slice(&data);
        [
            ("client_data", text(&self.client("webauthn.create", challenge))),
            ("attestation", text(&attestation)),
        ]
    }

    /// What it answers to the page, in fields with this before their names.
    pub(crate) fn answers(&mut self, page: &Page, prefix: &str) -> Form {
        self.answers_to(&challenge(page), prefix)
    }

    pub(crate) fn answers_to(&mut self, challenge: &str, prefix: &str) -> Form {
        self.counter += 1;
        let client = self.client("webauthn.get", challenge);
        let data = self.data(0);
        let mut signed = data.clone();
        signed.extend_from_slice(Digest::of(&client).as_bytes());
        let signature: Signature = self.key.sign(&signed);
        [
            ("credential", text(&self.credential)),
            ("client_data", text(&client)),
            ("authenticator_data", text(&data)),
            ("signature", text(signature.to_der().as_bytes())),
        ]
        .map(|(name, value)| (format!("{prefix}{name}"), value))
        .to_vec()
    }

    fn client(&self, kind: &str, challenge: &str) -> Vec<u8> {
        let Self {
            origin, cross_origin, ..
        } = self;
        format!(
            r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{origin}","crossOrigin":{cross_origin}}}"#
        )
        .into_bytes()
    }

    fn data(&self, more: u8) -> Vec<u8> {
        let mut data = Digest::of(self.party.as_bytes()).as_bytes().to_vec();
        data.push(self.flags | more);
        data.extend_from_slice(&self.counter.to_be_bytes());
        data
    }
}

/// What a page asks.
pub(crate) fn challenge(page: &Page) -> String {
    let asked = page.text.split("data-challenge=\"").nth(1);
    let asked = asked.unwrap_or_else(|| panic!("no question in {}", page.text));
    let challenge = asked.split('"').next().unwrap();
    assert!(bytes(challenge).is_some_and(|bytes| bytes.len() >= 32));
    challenge.to_owned()
}
