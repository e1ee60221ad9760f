//! Requests: what two officers want done, or, where the officers are gone, a quorum of custodians.
//!
//! A request is deterministic CBOR (RFC 8949, 4.2) that names its vault, what is to be done, for whom, and until when; what is
//! signed is SHA-256 over `"YZT-REQUEST-1"` and these bytes. So it can be carried as a file, read before it is signed, and submitted
//! by anybody whom the vault knows; the signatures are what counts. Left out: the officers' inbox, and their devices.

use card_applet_spec::codes::{Region, Role};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use minicbor::{Decode, Encode};
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use service_contract::{Caller, Journal, Operation, Policy};
use sha2::{Digest as _, Sha256};

use crate::bundle::{LotRequest, TerminalEnrolment};
use crate::caller::Enrolment;
use crate::error::Error;
use crate::frame;
use crate::role_key::RoleKeyInfo;
use crate::wire::{PointBytes, SignatureBytes};

/// First bytes of what is signed, so that the signature serves for nothing else.
const DOMAIN: &[u8] = b"YZT-REQUEST-1";
/// Longest life of a request.
pub const MAX_REQUEST_LIFE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What is to be done: all that gives something, or gives it back.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum OfficerAct {
    /// A service, an officer or an auditor is put onto the access list.
    #[n(0)]
    EnrolCaller(#[n(0)] Enrolment),
    /// A caller who was suspended may ask again.
    #[n(1)]
    RestoreCaller {
        /// Its name.
        #[n(0)]
        name: String,
    },
    /// A caller gets another key in the place of the one that it has.
    #[n(2)]
    ReplaceKey {
        /// Its name.
        #[n(0)]
        name: String,
        /// Its new public key.
        #[cbor(n(1), with = "minicbor::bytes")]
        key: PointBytes,
    },
    /// A terminal may have bundles, within what is said here.
    #[n(3)]
    EnrolTerminal(#[n(0)] TerminalEnrolment),
    /// A role key gets a new Active version; the one that was Active drains until a day.
    #[n(4)]
    RotateRole {
        /// The role.
        #[n(0)]
        role: Role,
        /// The region.
        #[n(1)]
        region: Region,
        /// Last day, included, of the version that was Active.
        #[cbor(n(2), with = "crate::wire::date")]
        drain_until: Date,
    },
    /// The keys of a version are destroyed.
    #[n(5)]
    RetireRole {
        /// The role.
        #[n(0)]
        role: Role,
        /// The region.
        #[n(1)]
        region: Region,
        /// The version.
        #[n(2)]
        version: u8,
    },
    /// The transport keys of blanks are made, sealed to the card maker's key: a lot file (card specification, chapter 08).
    #[n(6)]
    ExportLot(#[n(0)] LotRequest),
    /// Where fewer than two officers are left: these come onto the access list, by a quorum of custodians.
    #[n(8)]
    ReplaceOfficers {
        /// The new officers.
        #[n(0)]
        officers: Vec<Enrolment>,
    },
    /// The sealed vault's time is that of the machine's clock on this day, forwards or back. It is given with a share, by those
    /// who open the vault.
    #[n(10)]
    SetTime {
        /// The day that it is (UTC+8).
        #[cbor(n(0), with = "crate::wire::date")]
        day: Date,
        /// Generation of the store that is opened: it grows with every opening, so the request serves for one.
        #[n(1)]
        generation: u64,
    },
}

impl OfficerAct {
    /// The name of the act, in files and in the journal.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::EnrolCaller(_) => "enrol-caller",
            Self::RestoreCaller { .. } => "restore-caller",
            Self::ReplaceKey { .. } => "replace-key",
            Self::EnrolTerminal(_) => "enrol-terminal",
            Self::RotateRole { .. } => "rotate-role",
            Self::RetireRole { .. } => "retire-role",
            Self::ExportLot(_) => "export-lot",
            Self::ReplaceOfficers { .. } => "replace-officers",
            Self::SetTime { .. } => "set-time",
        }
    }

    /// Whether a quorum of custodians signs it, and not officers.
    #[must_use]
    pub const fn is_custodians(&self) -> bool {
        matches!(self, Self::ReplaceOfficers { .. })
    }
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OfficersRequest {
    /// Number of the vault.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub vault: [u8; 16],
    /// What is to be done.
    #[n(1)]
    pub act: OfficerAct,
    /// For whom, 1 to 64 bytes: who signs is somebody else.
    #[n(2)]
    pub requester: String,
    /// When it was made.
    #[cbor(n(3), with = "crate::wire::instant")]
    pub made: Timestamp,
    /// When it ends, at most [`MAX_REQUEST_LIFE`] later.
    #[cbor(n(4), with = "crate::wire::instant")]
    pub until: Timestamp,
    /// Random: two requests for the same are two.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub nonce: [u8; 16],
}

impl OfficersRequest {
    /// The request without a signature.
    ///
    /// # Errors
    /// [`Error::Malformed`] when it cannot be encoded.
    pub fn unsigned(&self) -> Result<SignedRequest, Error> {
        Ok(SignedRequest {
            request: encoded(self)?,
            signatures: Vec::new(),
        })
    }
}

fn encoded(request: &OfficersRequest) -> Result<Vec<u8>, Error> {
    minicbor::to_vec(request).map_err(|_| Error::Malformed("a request that cannot be encoded"))
}

/// Who signed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum RequestSigner {
    /// An officer.
    #[n(0)]
    Officer {
        /// The name on the access list.
        #[n(0)]
        name: String,
    },
    /// A custodian.
    #[n(1)]
    Custodian {
        /// Epoch of the set.
        #[n(0)]
        epoch: u32,
        /// Number of the share.
        #[n(1)]
        index: u8,
    },
}

/// A signature under a request.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RequestSignature {
    /// Whose it is.
    #[n(0)]
    pub signer: RequestSigner,
    /// Over [`SignedRequest::signed_bytes`].
    #[cbor(n(1), with = "minicbor::bytes")]
    pub signature: SignatureBytes,
}

/// A request with its signatures, as it lies in a file and is submitted.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SignedRequest {
    /// The request's bytes.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub request: Vec<u8>,
    /// The signatures.
    #[n(1)]
    pub signatures: Vec<RequestSignature>,
}

impl SignedRequest {
    /// What the bytes say; who signed is not looked at.
    ///
    /// # Errors
    /// [`Error::Malformed`] when they are no request, or one in another than its one encoding.
    pub fn claimed(&self) -> Result<OfficersRequest, Error> {
        let request: OfficersRequest = frame::decode(&self.request)?;
        if encoded(&request)? == self.request {
            Ok(request)
        } else {
            Err(Error::Malformed("a request that is not in its one encoding"))
        }
    }

    /// SHA-256 of the request's bytes: by it the request is known.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.request).into()
    }

    /// What is signed: SHA-256 over it, as ECDSA does.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        [DOMAIN, &self.request].concat()
    }

    /// Signs it. Who signed before keeps one signature, the new one.
    pub fn sign(&mut self, signer: RequestSigner, key: &SigningKey) {
        let signature: Signature = key.sign(&self.signed_bytes());
        self.signatures.retain(|known| known.signer != signer);
        self.signatures.push(RequestSignature {
            signer,
            signature: signature.to_bytes().into(),
        });
    }

    /// Whether a signature under this request is by `key`.
    #[must_use]
    pub fn is_signed(&self, signature: &SignatureBytes, key: &PointBytes) -> bool {
        let check = || -> Option<()> {
            let key = VerifyingKey::from_sec1_bytes(key).ok()?;
            let signature = Signature::from_slice(signature).ok()?;
            key.verify(&self.signed_bytes(), &signature).ok()
        };
        check().is_some()
    }
}

/// What became of a request. The same request again is answered the same until it ends.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum RequestOutcome {
    /// It is done.
    #[n(0)]
    Done,
    /// A version of a role key, as the request made it.
    #[n(1)]
    RoleKey(#[n(0)] RoleKeyInfo),
    /// A lot file; made anew each time, under another seal.
    #[n(2)]
    Lot(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
    /// It takes effect when it is submitted again, from this instant on.
    #[n(3)]
    Waits(#[cbor(n(0), with = "crate::wire::instant")] Timestamp),
}

/// Submits a request with its signatures.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SubmitRequest(#[n(0)] pub SignedRequest);

impl Operation for SubmitRequest {
    type Answer = RequestOutcome;
    const POLICY: Policy = Policy::of(
        &[
            Caller::Issuer,
            Caller::PhotoStore,
            Caller::Settlement,
            Caller::KeyOfficer,
            Caller::Auditor,
            Caller::Custodian,
        ],
        Journal::Before,
    )
    .by_two()
    .irreversible()
    .idempotent();
    const DOORS: &'static [&'static str] = &["keyvault request submit"];
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::sealed::{fresh_key, point_of};

    #[test]
    fn a_signature_holds_for_one_request_and_one_key_and_no_byte_can_be_another() {
        let mut rng = StdRng::seed_from_u64(3);
        let (key, other) = (fresh_key(&mut rng), fresh_key(&mut rng));
        let point = point_of(&key.public_key());
        let request = OfficersRequest {
            vault: [8; 16],
            act: OfficerAct::RestoreCaller { name: "bank".into() },
            requester: "bank".into(),
            made: Timestamp::UNIX_EPOCH,
            until: Timestamp::UNIX_EPOCH,
            nonce: [9; 16],
        };
        let officer = || RequestSigner::Officer { name: "chen".into() };
        let mut signed = request.unsigned().unwrap();
        signed.sign(officer(), &SigningKey::from(&other));
        signed.sign(officer(), &SigningKey::from(&key));
        assert_eq!(signed.signatures.len(), 1);
        assert_eq!(signed.claimed().unwrap(), request);
        let signature = signed.signatures[0].signature;
        assert!(signed.is_signed(&signature, &point));
        assert!(!signed.is_signed(&signature, &point_of(&other.public_key())));
        for at in 0..signed.request.len() {
            let mut changed = signed.clone();
            changed.request[at] ^= 1;
            assert!(!changed.is_signed(&signature, &point), "byte {at}");
        }
        // Another encoding of the same: the instant in more bytes than it needs.
        let at = signed.request.iter().rposition(|byte| *byte == 0).unwrap();
        let mut longer = signed.clone();
        longer.request.splice(at..=at, [0x18, 0]);
        assert!(longer.claimed().is_err());
    }
}
