//! What an authenticator says when it is enrolled and when its person signs in, checked: W3C Web Authentication Level 3, sections
//! 7.1 and 7.2, for P-256 keys (ES256) that are bound to one device, with user verification.
//!
//! No input or output, no clock. Left out on purpose: attestation (an office sees the authenticator that it enrols), extensions, other
//! algorithms, keys that are copied between devices (they are refused). Why this is our own: decision 0039.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use minicbor::Decoder;
use minicbor::data::Type;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{DerSignature, VerifyingKey};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// Longest answer of an authenticator that is looked at, bytes.
const LONGEST: usize = 16 * 1024;
/// Bytes of a credential's id: at least, at most.
const CREDENTIAL: std::ops::RangeInclusive<usize> = 16..=1023;

/// Bytes of authenticator data before what is optional: digest of the relying party, flags, counter.
const HEAD: usize = 37;
/// Flags of authenticator data: somebody was there, somebody was verified, the key may be copied, a key follows.
const PRESENT: u8 = 1;
const VERIFIED: u8 = 1 << 2;
const COPIED: u8 = 1 << 3;
const KEY_FOLLOWS: u8 = 1 << 6;

/// Whose pages an authenticator answers to: the origin that browsers see, and its host name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingParty {
    id: String,
    origin: String,
}

/// Why an origin cannot be the one of the counter's pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OriginError {
    /// No scheme and host, or more than these and a port.
    #[error("it is no origin, such as https://counter.example.cn or http://localhost:8440")]
    Form,
    /// An address of digits.
    #[error("an address of digits has no authenticators: browsers want a host name, or localhost")]
    Digits,
    /// The host of the counter's pages, above it or below it.
    #[error(
        "its host name is that of the counter, above it or below it: such pages may use one another's keys"
    )]
    Related,
    /// Without TLS, and not to the machine itself.
    #[error("without TLS browsers have authenticators for http://localhost alone")]
    Plain,
}

impl OriginError {
    /// What is wrong, in Chinese.
    #[must_use]
    pub const fn chinese(self) -> &'static str {
        match self {
            Self::Form => "这不是页面的来源地址，应如 https://counter.example.cn 或 http://localhost:8440",
            Self::Digits => "数字地址不能使用身份验证器：浏览器要求主机名或 localhost",
            Self::Related => "其主机名与窗口页面相同，或是其上级、下级域名，二者可互用密钥",
            Self::Plain => "不经 TLS 时，浏览器只允许 http://localhost 使用身份验证器",
        }
    }
}

impl RelyingParty {
    /// Of the pages at this origin: `https://` and a host name, or `http://localhost` (or a name below it), with a port where it is not the usual one.
    ///
    /// # Errors
    /// [`OriginError`].
    pub fn at(origin: &str) -> Result<Self, OriginError> {
        let (scheme, rest) = origin.split_once("://").ok_or(OriginError::Form)?;
        if rest.starts_with('[') {
            return Err(OriginError::Digits);
        }
        let (host, port) = match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        };
        let label = |label: &str| {
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            !label.is_empty() && label.len() <= 63 && label.bytes().all(plain)
        };
        if !host.split('.').all(label) {
            return Err(OriginError::Form);
        }
        let usual = if scheme == "https" { 443 } else { 80 };
        if let Some(port) = port {
            let number: u16 = port.parse().map_err(|_| OriginError::Form)?;
            // A browser writes no usual port and no leading zero.
            if number == 0 || number == usual || number.to_string() != port {
                return Err(OriginError::Form);
            }
        }
        let last = host.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(OriginError::Digits);
        }
        match scheme {
            "https" => {}
            "http" if host == "localhost" || host.ends_with(".localhost") => {}
            "http" => return Err(OriginError::Plain),
            _ => return Err(OriginError::Form),
        }
        Ok(Self {
            id: host.to_owned(),
            origin: origin.to_owned(),
        })
    }

    /// Of the pages that this machine serves to itself.
    #[must_use]
    pub fn on_this_machine(port: u16) -> Self {
        Self {
            id: "localhost".to_owned(),
            origin: format!("http://localhost:{port}"),
        }
    }

    /// Refuses a host that is the other's, above it or below it: a page may ask the keys of a host above its own. On the machine itself
    /// a name below `localhost` is apart from it.
    ///
    /// # Errors
    /// [`OriginError::Related`].
    pub fn check_apart_from(&self, other: &Self) -> Result<(), OriginError> {
        let below = |host: &str, above: &str| {
            above != "localhost" && host.strip_suffix(above).is_some_and(|rest| rest.ends_with('.'))
        };
        if self.id == other.id || below(&self.id, &other.id) || below(&other.id, &self.id) {
            return Err(OriginError::Related);
        }
        Ok(())
    }

    /// The relying party's id: a host name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where the pages are, as a browser writes it.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

/// Why an answer of an authenticator is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerFault {
    /// It cannot be read, or was made for something else.
    Form,
    /// It is not signed by this key.
    Signature,
    /// It answers another challenge.
    Challenge,
    /// It was made on a page of somebody else, or inside one.
    Origin,
    /// It was made for another relying party.
    RelyingParty,
    /// The authenticator did not verify who used it.
    NotVerified,
    /// Its key may be copied to other devices.
    Copied,
    /// It is no P-256 key.
    Algorithm,
    /// Its counter did not go on: there may be two of it.
    Counter,
}

/// A new authenticator, as it presents itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The id under which it knows its key.
    pub credential: Vec<u8>,
    /// Its key, SEC 1 uncompressed.
    pub public_key: [u8; 65],
    /// Where its counter begins; 0 for one that does not count.
    pub counter: u32,
}

/// The answer of an authenticator to a challenge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assertion {
    /// The id of its key.
    pub credential: Vec<u8>,
    /// What the browser says it was asked, JSON.
    pub client_data: Vec<u8>,
    /// What the authenticator says of itself.
    pub authenticator_data: Vec<u8>,
    /// Over both, ECDSA in DER.
    pub signature: Vec<u8>,
}

/// The browser's word on what was asked, where, and by whom.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    r#type: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
}

/// Bytes as a form has them: base64url without padding.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes that a form has as [`text`].
#[must_use]
pub fn bytes(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// The answer to a challenge in it, before anything about it is believed.
///
/// # Errors
/// [`AnswerFault::Form`].
pub(crate) fn challenge_of(client_data: &[u8]) -> Result<Vec<u8>, AnswerFault> {
    URL_SAFE_NO_PAD
        .decode(parsed(client_data)?.challenge)
        .map_err(|_| AnswerFault::Form)
}

fn parsed(client_data: &[u8]) -> Result<ClientData, AnswerFault> {
    if client_data.len() > LONGEST {
        return Err(AnswerFault::Form);
    }
    serde_json::from_slice(client_data).map_err(|_| AnswerFault::Form)
}

impl RelyingParty {
    /// A new authenticator by what it and the browser say.
    ///
    /// # Errors
    /// [`AnswerFault`].
    pub fn register(
        &self,
        challenge: &[u8],
        client_data: &[u8],
        attestation: &[u8],
    ) -> Result<Registered, AnswerFault> {
        self.check_client(client_data, "webauthn.create", challenge)?;
        if attestation.len() > LONGEST {
            return Err(AnswerFault::Form);
        }
        let data = authenticator_data(attestation).ok_or(AnswerFault::Form)?;
        let counter = self.check_data(data)?;
        let flags = *data.get(32).ok_or(AnswerFault::Form)?;
        if flags & KEY_FOLLOWS == 0 {
            return Err(AnswerFault::Form);
        }
        // Behind the head: the model of the authenticator, which anybody may claim, length and id of the key, the key.
        let rest = data.get(HEAD + 16..).ok_or(AnswerFault::Form)?;
        let (length, rest) = rest.split_first_chunk::<2>().ok_or(AnswerFault::Form)?;
        let length = usize::from(u16::from_be_bytes(*length));
        if !CREDENTIAL.contains(&length) {
            return Err(AnswerFault::Form);
        }
        let (credential, key) = rest.split_at_checked(length).ok_or(AnswerFault::Form)?;
        let public_key = cose_key(key)?;
        VerifyingKey::from_sec1_bytes(&public_key).map_err(|_| AnswerFault::Algorithm)?;
        Ok(Registered {
            credential: credential.to_vec(),
            public_key,
            counter,
        })
    }

    /// The counter of an answer to this challenge by the owner of the key; whether it went on says [`went_on`]. The signature comes
    /// first: only who has the key is told what else is wrong.
    ///
    /// # Errors
    /// [`AnswerFault`].
    pub fn assert(
        &self,
        challenge: &[u8],
        public_key: &[u8; 65],
        answer: &Assertion,
    ) -> Result<u32, AnswerFault> {
        let key = VerifyingKey::from_sec1_bytes(public_key).map_err(|_| AnswerFault::Signature)?;
        let signature = DerSignature::from_bytes(&answer.signature).map_err(|_| AnswerFault::Signature)?;
        let mut signed = answer.authenticator_data.clone();
        signed.extend_from_slice(&Sha256::digest(&answer.client_data));
        key.verify(&signed, &signature)
            .map_err(|_| AnswerFault::Signature)?;
        self.check_client(&answer.client_data, "webauthn.get", challenge)?;
        self.check_data(&answer.authenticator_data)
    }

    fn check_client(&self, client_data: &[u8], kind: &str, challenge: &[u8]) -> Result<(), AnswerFault> {
        let client = parsed(client_data)?;
        if client.r#type != kind {
            return Err(AnswerFault::Form);
        }
        if client.challenge != URL_SAFE_NO_PAD.encode(challenge) {
            return Err(AnswerFault::Challenge);
        }
        if client.origin != self.origin || client.cross_origin {
            return Err(AnswerFault::Origin);
        }
        Ok(())
    }

    /// Whom the authenticator answers, and that its person was there and verified; gives its counter.
    fn check_data(&self, data: &[u8]) -> Result<u32, AnswerFault> {
        let (party, rest) = data.split_first_chunk::<32>().ok_or(AnswerFault::Form)?;
        let (flags, rest) = rest.split_first().ok_or(AnswerFault::Form)?;
        let counter = rest.first_chunk::<4>().ok_or(AnswerFault::Form)?;
        if *party != <[u8; 32]>::from(Sha256::digest(self.id.as_bytes())) {
            return Err(AnswerFault::RelyingParty);
        }
        if flags & PRESENT == 0 || flags & VERIFIED == 0 {
            return Err(AnswerFault::NotVerified);
        }
        if flags & COPIED != 0 {
            return Err(AnswerFault::Copied);
        }
        Ok(u32::from_be_bytes(*counter))
    }
}

/// Refuses a counter that did not go on since the last answer. An authenticator that does not count says 0 for ever.
///
/// # Errors
/// [`AnswerFault::Counter`].
pub(crate) const fn went_on(before: u32, now: u32) -> Result<(), AnswerFault> {
    if now > before || (before == 0 && now == 0) {
        Ok(())
    } else {
        Err(AnswerFault::Counter)
    }
}

/// `authData` of an attestation object, a map of text keys; what it says of the model is not asked.
fn authenticator_data(attestation: &[u8]) -> Option<&[u8]> {
    let mut decoder = Decoder::new(attestation);
    let entries = decoder.map().ok()??;
    let mut data = None;
    for _ in 0..entries {
        if decoder.str().ok()? == "authData" {
            data = Some(decoder.bytes().ok()?);
        } else {
            decoder.skip().ok()?;
        }
    }
    data
}

/// A P-256 key for ES256 as COSE writes it (RFC 9053 section 7.1): kty 2, alg -7, crv 1, x, y.
fn cose_key(encoded: &[u8]) -> Result<[u8; 65], AnswerFault> {
    let CoseKey { says, point } = read_cose_key(encoded).ok_or(AnswerFault::Form)?;
    let ([Some(2), Some(-7), Some(1)], [Some(x), Some(y)]) = (says, point) else {
        return Err(AnswerFault::Algorithm);
    };
    let mut key = [4; 65];
    key[1..33].copy_from_slice(&x);
    key[33..].copy_from_slice(&y);
    Ok(key)
}

/// What a COSE key says of itself.
#[derive(Default)]
struct CoseKey {
    /// Kind, algorithm, curve.
    says: [Option<i64>; 3],
    /// x and y.
    point: [Option<[u8; 32]>; 2],
}

fn read_cose_key(encoded: &[u8]) -> Option<CoseKey> {
    let mut decoder = Decoder::new(encoded);
    let mut key = CoseKey::default();
    for _ in 0..decoder.map().ok()?? {
        let label = decoder.i64().ok()?;
        // Under one label another kind of key has something else.
        let is_bytes = decoder.datatype().ok()? == Type::Bytes;
        match label {
            1 => key.says[0] = decoder.i64().ok(),
            3 => key.says[1] = decoder.i64().ok(),
            -1 if !is_bytes => key.says[2] = decoder.i64().ok(),
            -2 if is_bytes => key.point[0] = decoder.bytes().ok()?.try_into().ok(),
            -3 if is_bytes => key.point[1] = decoder.bytes().ok()?.try_into().ok(),
            _ => decoder.skip().ok()?,
        }
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_of_a_host_name_with_tls_or_of_this_machine() {
        for (origin, id) in [
            ("http://localhost:8440", "localhost"),
            ("http://sign.localhost:8441", "sign.localhost"),
            ("https://localhost", "localhost"),
            ("https://counter.example.cn", "counter.example.cn"),
            ("https://counter-1.example.cn:8443", "counter-1.example.cn"),
        ] {
            let party = RelyingParty::at(origin).unwrap();
            assert_eq!((party.id(), party.origin()), (id, origin));
        }
        for (origin, wrong) in [
            ("http://127.0.0.1:8440", OriginError::Digits),
            ("https://10.1.2.3", OriginError::Digits),
            ("https://[::1]:8440", OriginError::Digits),
            ("http://counter.example.cn", OriginError::Plain),
            ("https://counter.example.cn/", OriginError::Form),
            ("https://Counter.example.cn", OriginError::Form),
            ("https://counter.example.cn:443", OriginError::Form),
            ("https://counter.example.cn:0443", OriginError::Form),
            ("https://counter..cn", OriginError::Form),
            ("https://", OriginError::Form),
            ("ftp://localhost", OriginError::Form),
            ("localhost:8440", OriginError::Form),
            ("", OriginError::Form),
        ] {
            assert_eq!(RelyingParty::at(origin), Err(wrong), "{origin}");
        }
        let here = RelyingParty::on_this_machine(8440);
        assert_eq!(RelyingParty::at(here.origin()), Ok(here));
    }

    #[test]
    fn the_signing_page_has_a_host_that_is_neither_the_counters_nor_above_or_below_it() {
        let at = |origin| RelyingParty::at(origin).unwrap();
        for (page, counter, apart) in [
            ("https://sign.example.cn", "https://counter.example.cn", true),
            ("https://asign.cn", "https://sign.cn", true),
            ("http://sign.localhost:8441", "http://localhost:8440", true),
            ("https://sign.example.cn", "https://sign.example.cn:8443", false),
            ("http://localhost:8441", "http://localhost:8440", false),
            ("https://sign.counter.cn", "https://counter.cn", false),
            ("https://example.cn", "https://counter.example.cn", false),
        ] {
            let checked = at(page).check_apart_from(&at(counter));
            assert_eq!(checked.is_ok(), apart, "{page} beside {counter}");
        }
    }

    #[test]
    fn whatever_an_authenticator_says_is_read_or_refused() {
        let party = RelyingParty::on_this_machine(8440);
        let client = br#"{"type":"webauthn.create","challenge":"AQ","origin":"http://localhost:8440"}"#;
        let mut noise = 1_u32;
        for length in 0..600_usize {
            let bytes: Vec<u8> = (0..length)
                .map(|_| {
                    noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    noise.to_be_bytes()[0]
                })
                .collect();
            assert!(party.register(&[1], client, &bytes).is_err());
            assert!(party.register(&[1], &bytes, &bytes).is_err());
            assert!(cose_key(&bytes).is_err());
            assert_eq!(challenge_of(&bytes), Err(AnswerFault::Form));
        }
    }
}
