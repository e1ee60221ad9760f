//! Statements that the vault signs, each with a type of its own, and the public keys to check them with.

use card_applet_spec::codes::Region;
use jiff::civil::Date;
use minicbor::{Decode, Encode};
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use service_contract::{Caller, Journal, Kind, Operation, Policy};

use crate::ceiling::Counted;
use crate::error::Error;
use crate::wire::{PointBytes, SignatureBytes};

/// Public keys of the vault's signers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Anchors {
    /// Number of the vault.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub vault: [u8; 16],
    /// Signs card certificates.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub card_ca: PointBytes,
    /// Signs terminal certificates.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub terminal_ca: PointBytes,
    /// Signs the signature object and the card's back.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub document_signer: PointBytes,
    /// Signs records.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub entitlement_signer: PointBytes,
    /// Signs deny lists and key lists.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub deny_list_signer: PointBytes,
    /// Signs checkpoints of the journal.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub audit_signer: PointBytes,
    /// Signs the vault's transport key while it is open: by it clients know the vault.
    #[cbor(n(7), with = "minicbor::bytes")]
    pub operating_key: PointBytes,
}

/// The statement behind the QR on the back of the card: which card, issued where and when. No personal data.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CardBack {
    /// The card number as printed, at most 32 bytes of ASCII letters, digits and `-`.
    #[n(0)]
    pub card_number: String,
    /// The issuing division.
    #[n(1)]
    pub region: Region,
    /// Date of issue.
    #[cbor(n(2), with = "crate::wire::date")]
    pub issued_on: Date,
}

impl CardBack {
    /// The bytes that the document signer signs:
    /// `"YZT-CARD-BACK-1" || length of the number (1 byte) || number || region, 6 digits || YYYY-MM-DD`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when the number is empty, too long, or has other characters.
    pub fn signed_bytes(&self) -> Result<Vec<u8>, Error> {
        let number = self.card_number.as_bytes();
        let plain = number.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
        let length = u8::try_from(number.len())
            .ok()
            .filter(|n| (1..=32).contains(n) && plain)
            .ok_or(Error::OutOfRange {
                what: "the card number",
                limit: 32,
            })?;
        let mut out = b"YZT-CARD-BACK-1".to_vec();
        out.push(length);
        out.extend_from_slice(number);
        out.extend_from_slice(self.region.to_string().as_bytes());
        out.extend_from_slice(self.issued_on.to_string().as_bytes());
        Ok(out)
    }

    /// Whether `signature` is the document signer's.
    #[must_use]
    pub fn is_signed(&self, signature: &SignatureBytes, document_signer: &PointBytes) -> bool {
        let check = || -> Option<()> {
            let key = VerifyingKey::from_sec1_bytes(document_signer).ok()?;
            let signature = Signature::from_slice(signature).ok()?;
            key.verify(&self.signed_bytes().ok()?, &signature).ok()
        };
        check().is_some()
    }
}

/// Signs the statement of a card's back with the document signer's key: for the finished card that has the number, and one
/// statement only.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SignCardBack(#[n(0)] pub CardBack);

impl Operation for SignCardBack {
    type Answer = SignatureBytes;
    const POLICY: Policy = Policy::of(&[Caller::Issuer], Journal::Before)
        .only(Kind::Service)
        .ceiling(Counted::Backs.name(), Some(Counted::Backs.per_day()));
    const DOORS: &'static [&'static str] = &["issuer worker"];
}

/// Reads the public keys.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ReadAnchors;

impl Operation for ReadAnchors {
    type Answer = Anchors;
    const POLICY: Policy = Policy::of(
        &[
            Caller::Issuer,
            Caller::PhotoStore,
            Caller::Settlement,
            Caller::KeyOfficer,
            Caller::Auditor,
            Caller::Custodian,
        ],
        Journal::None,
    )
    .idempotent();
    const DOORS: &'static [&'static str] = &["keyvault anchors"];
}
