//! A mandate: what is given, to which case, by which organ, for how long, and what the card will say. One text for one mandate:
//! deterministic CBOR (RFC 8949, section 4.2.1), maps with small numbers as keys in their order.

use minicbor::{Decode, Encode};

use crate::content::CardItems;
use crate::error::MandateError;
use crate::sha256::{Digest, sha256};

/// Longest encoding, bytes: every text at its longest fits.
const MAX_LEN: usize = 8 * 1024;
/// Longest time that a mandate holds, seconds: 30 days.
const MAX_LIFE: u64 = 30 * 24 * 60 * 60;
/// What stands before the bytes that are signed.
const DOMAIN: &[u8] = b"YZT-MANDATE-1";

/// What is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
#[non_exhaustive]
pub enum Kind {
    /// A blank becomes this card.
    #[n(1)]
    Personalise,
    /// A card in use is written anew.
    #[n(2)]
    Rewrite,
    /// Money comes onto a card.
    #[n(3)]
    Load,
    /// A blocked chip answers again.
    #[n(4)]
    Unblock,
    /// A denied card is taken again.
    #[n(5)]
    Allow,
    /// A permit is over.
    #[n(6)]
    End,
}

/// The case, and what of it two people signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CaseRef {
    /// The application or the change, 16 bytes of a UUID.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub id: [u8; 16],
    /// SHA-256 of what the office froze of it.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub frozen: [u8; 32],
}

/// The office's decision.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Mandate {
    /// Number of the vault that may act on it.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub vault: [u8; 16],
    /// What is given.
    #[n(2)]
    pub kind: Kind,
    /// Its own number, drawn at random.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub id: [u8; 16],
    /// The case.
    #[n(4)]
    pub case: CaseRef,
    /// Division of the organ that gives it, GB/T 2260, 6 digits.
    #[n(5)]
    pub organ: String,
    /// What the card will say.
    #[n(6)]
    pub content: CardItems,
    /// First instant, seconds since 1970-01-01 UTC.
    #[n(7)]
    pub from: u64,
    /// Last instant, likewise, included; at most 30 days behind the first.
    #[n(8)]
    pub until: u64,
    /// SHA-256 of the policy under which it is signed.
    #[cbor(n(9), with = "minicbor::bytes")]
    pub policy: [u8; 32],
}

impl Mandate {
    /// Its one text.
    ///
    /// # Errors
    /// [`MandateError::Form`] for one that no reader would take.
    pub fn encode(&self) -> Result<Vec<u8>, MandateError> {
        let bytes = minicbor::to_vec(self).map_err(|_| MandateError::Form)?;
        if self.is_bounded() && bytes.len() <= MAX_LEN {
            Ok(bytes)
        } else {
            Err(MandateError::Form)
        }
    }

    /// Reads its one text: any other encoding of the same is none.
    ///
    /// # Errors
    /// [`MandateError::Form`].
    pub fn decode(bytes: &[u8]) -> Result<Self, MandateError> {
        if bytes.len() > MAX_LEN {
            return Err(MandateError::Form);
        }
        let read: Self = minicbor::decode(bytes).map_err(|_| MandateError::Form)?;
        if read.encode()? == bytes {
            Ok(read)
        } else {
            Err(MandateError::Form)
        }
    }

    /// What is signed of its text: SHA-256 over `YZT-MANDATE-1` and the bytes.
    #[must_use]
    pub fn digest(bytes: &[u8]) -> Digest {
        sha256(&[DOMAIN, bytes])
    }

    fn is_bounded(&self) -> bool {
        let life = self.until.checked_sub(self.from);
        let organ = self.organ.len() == 6 && self.organ.bytes().all(|byte| byte.is_ascii_digit());
        organ && life.is_some_and(|life| life <= MAX_LIFE) && self.content.is_bounded()
    }
}
