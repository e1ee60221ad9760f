//! Whether two people gave a mandate: each by a key that is enrolled now, in the role that it takes, for the organ that gives it.

use minicbor::{Decode, Encode};

use crate::assertion::{Assertion, Relying};
use crate::batch::Proof;
use crate::content::CardItems;
use crate::error::MandateError;
use crate::mandate::{CaseRef, Kind, Mandate};

/// In which role a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
#[non_exhaustive]
pub enum SignerRole {
    /// Checks the evidence.
    #[n(1)]
    Reviewer,
    /// Signs off for the organ.
    #[n(2)]
    Approver,
}

/// A signing key as it is enrolled now. What is not enrolled is not given to [`authorise`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolledKey {
    /// Whose.
    pub person: String,
    /// In which role it signs.
    pub role: SignerRole,
    /// Division of the organ, GB/T 2260: pairs of zeros at its end cover every division below, `100000` all.
    pub organ: String,
    /// Last instant, seconds since 1970-01-01 UTC, included.
    pub until: u64,
    /// P-256, 65 bytes: `04 || X || Y`.
    pub public_key: Vec<u8>,
    /// The page on which it signs.
    pub page: Relying,
    /// Its counter as it was seen last.
    pub counter: u32,
}

impl EnrolledKey {
    /// Whether it signs for this organ at this instant.
    #[must_use]
    pub fn signs(&self, organ: &str, at: u64) -> bool {
        at <= self.until && covers(&self.organ, organ)
    }
}

/// The whole country (GB/T 2260).
const COUNTRY: &str = "100000";

/// Whether one division is the other, or above it.
fn covers(above: &str, below: &str) -> bool {
    if above.len() != 6 || below.len() != 6 {
        return false;
    }
    if above == COUNTRY {
        return true;
    }
    let mut significant = above;
    while let Some(shorter) = significant.strip_suffix("00") {
        significant = shorter;
    }
    !significant.is_empty() && below.starts_with(significant)
}

/// What one person signed of a mandate.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Signature {
    /// By their authenticator.
    #[n(1)]
    pub assertion: Assertion,
    /// Where the mandate stands in the list that was signed; absent where it was signed singly.
    #[n(2)]
    pub proof: Option<Proof>,
}

impl Signature {
    /// Whether this key signed the mandate with these bytes; the new value of its counter.
    ///
    /// # Errors
    /// [`MandateError::NotInBatch`], [`MandateError::Assertion`].
    pub fn verify(&self, mandate: &[u8], key: &EnrolledKey) -> Result<u32, MandateError> {
        let digest = Mandate::digest(mandate);
        let challenge = match &self.proof {
            Some(proof) => proof.signed(&digest)?,
            None => digest,
        };
        Ok(self
            .assertion
            .verify(&challenge, &key.page, &key.public_key, key.counter)?)
    }
}

/// What whoever acts needs a mandate for, computed from what they are about to do.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// Number of their vault.
    pub vault: [u8; 16],
    /// What they do.
    pub kind: Kind,
    /// The case.
    pub case: CaseRef,
    /// Division of the organ.
    pub organ: &'a str,
    /// What they write.
    pub content: &'a CardItems,
    /// SHA-256 of the policy in force.
    pub policy: [u8; 32],
    /// Now, seconds since 1970-01-01 UTC.
    pub at: u64,
}

impl Wanted<'_> {
    /// Whether the mandate gives this.
    fn is_given_by(&self, mandate: &Mandate) -> Result<(), MandateError> {
        if mandate.vault != self.vault {
            return Err(MandateError::OtherVault);
        }
        if mandate.kind != self.kind {
            return Err(MandateError::OtherKind);
        }
        if mandate.case != self.case {
            return Err(MandateError::OtherCase);
        }
        if mandate.organ != self.organ {
            return Err(MandateError::OtherOrgan);
        }
        if mandate.content != *self.content {
            return Err(MandateError::OtherContent);
        }
        if mandate.policy != self.policy {
            return Err(MandateError::OtherPolicy);
        }
        if self.at < mandate.from || self.at > mandate.until {
            return Err(MandateError::OutOfTime);
        }
        Ok(())
    }
}

/// Whether these bytes are a mandate for what is wanted, and these two signed it: different people, a reviewer and an approver, with
/// keys that are enrolled now. Counters are held against those of `keys`, which were seen before the signature.
///
/// # Errors
/// [`MandateError`], by the first check that fails.
pub fn authorise(
    wanted: &Wanted<'_>,
    bytes: &[u8],
    signed: [(&Signature, &EnrolledKey); 2],
) -> Result<Mandate, MandateError> {
    let mandate = Mandate::decode(bytes)?;
    wanted.is_given_by(&mandate)?;
    let [(_, first), (_, second)] = signed;
    if first.role != SignerRole::Reviewer || second.role != SignerRole::Approver {
        return Err(MandateError::NotSigned);
    }
    if first.person == second.person || first.public_key == second.public_key {
        return Err(MandateError::SamePerson);
    }
    for (signature, key) in signed {
        if !key.signs(&mandate.organ, wanted.at) {
            return Err(MandateError::KeyNotEnrolled);
        }
        let _counter = signature.verify(bytes, key)?;
    }
    Ok(mandate)
}
