//! An assertion of an authenticator: that the person of one enrolled key was there, was verified, and signed one challenge on one page.
//! Web Authentication Level 3, section 7.2; client data by the limited verification of section 5.8.1.1, ES256 alone.
//!
//! Left out on purpose: registration, extensions, other algorithms, keys that are copied between devices, and frames of another page.
//! A signature whose `s` is above half of the order is taken, for half of those of real authenticators are; it is kept in its one form.

use minicbor::{Decode, Encode};
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};

use crate::error::AssertionError;
use crate::sha256::{Digest, sha256};

/// Longest client data, bytes.
const CLIENT_DATA: usize = 2048;
/// Authenticator data of an assertion without extensions: hash of the relying party, flags, counter.
const AUTHENTICATOR_DATA: usize = 37;
/// Longest DER form of an ES256 signature, bytes.
const SIGNATURE: usize = 72;

const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;

/// What a page and an authenticator gave back.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Assertion {
    /// JSON of the browser.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub client_data: Vec<u8>,
    /// What the authenticator says of itself.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub authenticator_data: Vec<u8>,
    /// ECDSA over both, in DER.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub signature: Vec<u8>,
}

impl std::fmt::Debug for Assertion {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Assertion(..)")
    }
}

/// The page on which is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relying {
    origin: String,
    party: String,
}

impl Relying {
    /// By its origin, such as `https://sign.example.cn` or `http://sign.localhost:8441`. Its host is the relying party.
    ///
    /// # Errors
    /// [`AssertionError::ClientData`] for what is no such origin.
    pub fn at(origin: &str) -> Result<Self, AssertionError> {
        let (scheme, place) = origin.split_once("://").ok_or(AssertionError::ClientData)?;
        let (host, port) = place
            .split_once(':')
            .map_or((place, None), |(host, port)| (host, Some(port)));
        let plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
        let is_host = !host.is_empty() && host.len() <= 253 && host.bytes().all(plain);
        let is_port = port.is_none_or(|port| {
            (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit())
        });
        // An authenticator answers a page that nobody on the way can change.
        let is_here = host == "localhost" || host.ends_with(".localhost");
        let is_safe = scheme == "https" || (scheme == "http" && is_here);
        if is_host && is_port && is_safe {
            Ok(Self {
                origin: origin.to_owned(),
                party: host.to_owned(),
            })
        } else {
            Err(AssertionError::ClientData)
        }
    }

    /// The origin.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The relying party's id: the origin's host.
    #[must_use]
    pub fn party(&self) -> &str {
        &self.party
    }

    /// SHA-256 of the relying party's id, as an authenticator names it.
    #[must_use]
    pub fn party_hash(&self) -> Digest {
        sha256(&[self.party.as_bytes()])
    }
}

/// How the client data of an assertion for this challenge on this page begin.
#[must_use]
pub fn client_data(challenge: &Digest, page: &Relying) -> String {
    format!(
        r#"{{"type":"webauthn.get","challenge":"{}","origin":"{}","crossOrigin":false"#,
        base64url(challenge),
        page.origin
    )
}

impl Assertion {
    /// Whether the key signed this challenge on this page; the new value of its counter. `counter` is the last one that was seen.
    ///
    /// # Errors
    /// [`AssertionError`], by the first check that fails.
    pub fn verify(
        &self,
        challenge: &Digest,
        page: &Relying,
        public_key: &[u8],
        counter: u32,
    ) -> Result<u32, AssertionError> {
        self.check_client_data(challenge, page)?;
        let new = self.check_authenticator(page, counter)?;
        let key = VerifyingKey::from_sec1_bytes(public_key).map_err(|_| AssertionError::Signature)?;
        let hash = sha256(&[&self.client_data]);
        let message = [&self.authenticator_data[..], &hash].concat();
        key.verify(&message, &self.signature()?)
            .map_err(|_| AssertionError::Signature)?;
        Ok(new)
    }

    /// The same with its signature in the one form that is kept: `s` in the lower half.
    ///
    /// # Errors
    /// [`AssertionError::Signature`].
    pub fn in_one_form(self) -> Result<Self, AssertionError> {
        let signature = self.signature()?.normalize_s().to_der().as_bytes().to_vec();
        Ok(Self { signature, ..self })
    }

    fn signature(&self) -> Result<Signature, AssertionError> {
        if self.signature.len() > SIGNATURE {
            return Err(AssertionError::Signature);
        }
        Signature::from_der(&self.signature).map_err(|_| AssertionError::Signature)
    }

    /// The browser writes type, challenge, origin and crossOrigin first, in this order and with no blank (section 5.8.1.1); what comes
    /// behind them says nothing here.
    fn check_client_data(&self, challenge: &Digest, page: &Relying) -> Result<(), AssertionError> {
        let wanted = client_data(challenge, page);
        let rest = (self.client_data.len() <= CLIENT_DATA)
            .then(|| self.client_data.strip_prefix(wanted.as_bytes()))
            .flatten();
        match rest {
            Some([b'}'] | [b',', .., b'}']) => Ok(()),
            _ => Err(AssertionError::ClientData),
        }
    }

    fn check_authenticator(&self, page: &Relying, counter: u32) -> Result<u32, AssertionError> {
        let data: &[u8; AUTHENTICATOR_DATA] = self
            .authenticator_data
            .as_slice()
            .try_into()
            .map_err(|_| AssertionError::AuthenticatorData)?;
        let [party @ .., flags, a, b, c, d] = data;
        if *party != page.party_hash() {
            return Err(AssertionError::OtherParty);
        }
        if flags & (BACKUP_ELIGIBLE | BACKED_UP) != 0 {
            return Err(AssertionError::BackupEligible);
        }
        if flags & !(PRESENT | VERIFIED) != 0 {
            return Err(AssertionError::AuthenticatorData);
        }
        if flags & PRESENT == 0 {
            return Err(AssertionError::NotPresent);
        }
        if flags & VERIFIED == 0 {
            return Err(AssertionError::NotVerified);
        }
        let new = u32::from_be_bytes([*a, *b, *c, *d]);
        // Two zeros: an authenticator that does not count.
        if new > counter || (new == 0 && counter == 0) {
            Ok(new)
        } else {
            Err(AssertionError::Counter)
        }
    }
}

/// RFC 4648, section 5, without padding.
fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk
            .iter()
            .chain([0, 0].iter())
            .take(3)
            .fold(0_usize, |word, byte| (word << 8) | usize::from(*byte));
        for place in 0..=chunk.len() {
            let letter = LETTERS
                .get((word >> (18 - 6 * place)) & 0x3F)
                .copied()
                .unwrap_or(b'A');
            out.push(char::from(letter));
        }
    }
    out
}
