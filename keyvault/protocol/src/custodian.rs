//! Custodians' keys: by them a custodian begins the opening of a vault and seals it, and nobody else does.
//!
//! The key is derived from the custodian's share, so that an envelope holds nothing more than before; its public half stands
//! in the vault's header. A proof is an ECDSA signature (P-256, SHA-256) over what is wanted and the connection on which it is said.
//! Left out: the same keys in TLS, and custodians' cards.

use hkdf::Hkdf;
use minicbor::{Decode, Encode};
use p256::SecretKey;
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{Signature, SigningKey, VerifyingKey};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::sealed::point_of;
use crate::share::Share;
use crate::wire::{PointBytes, SignatureBytes};

/// What a custodian wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// To begin an unseal attempt, or to join the one that runs.
    BeginUnseal,
    /// To seal, or to end the attempt that the same custodian began.
    Seal,
}

impl Act {
    const fn code(self) -> u8 {
        match self {
            Self::BeginUnseal => 1,
            Self::Seal => 2,
        }
    }
}

/// What both ends of a connection know of it: what is proved on one is worth nothing on another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Number of the vault.
    pub vault: [u8; 16],
    /// What the vault said at the beginning, different each time and not to be foreseen.
    pub challenge: [u8; 16],
    /// The client's ephemeral key.
    pub client_key: PointBytes,
}

/// A custodian's key.
pub struct CustodianKey {
    epoch: u32,
    index: u8,
    key: SigningKey,
}

impl std::fmt::Debug for CustodianKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CustodianKey({} of epoch {}, ..)", self.index, self.epoch)
    }
}

impl CustodianKey {
    /// The key of the custodian who has this share: HKDF-SHA-256 with the vault's number as salt and `"YZT-CUSTODIAN-KEY-1" ||
    /// epoch 4 || index 1 || try 1` as info; the first try that is a scalar counts, and nearly always it is the first.
    ///
    /// # Errors
    /// [`Error::NotOpened`] when no try is a scalar, which does not happen.
    pub fn of(share: &Share) -> Result<Self, Error> {
        let hkdf = Hkdf::<Sha256>::new(Some(&share.vault), share.value());
        for counted in 0..u8::MAX {
            let mut scalar = Zeroizing::new([0; 32]);
            let info: [&[u8]; 4] = [
                b"YZT-CUSTODIAN-KEY-1",
                &share.epoch.to_be_bytes(),
                &[share.index],
                &[counted],
            ];
            hkdf.expand_multi_info(&info, &mut *scalar)
                .map_err(|_| Error::NotOpened)?;
            if let Ok(key) = SecretKey::from_slice(&*scalar) {
                return Ok(Self {
                    epoch: share.epoch,
                    index: share.index,
                    key: SigningKey::from(&key),
                });
            }
        }
        Err(Error::NotOpened)
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PointBytes {
        point_of(&self.key.verifying_key().into())
    }

    /// Says on a connection that this custodian wants `act`.
    #[must_use]
    pub fn prove(&self, act: Act, on: &Connection) -> CustodianProof {
        let signature: Signature = self.key.sign(&signed_bytes(act, self.epoch, self.index, on));
        CustodianProof {
            epoch: self.epoch,
            index: self.index,
            signature: signature.to_bytes().into(),
        }
    }
}

/// That a custodian wants something, said on one connection.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CustodianProof {
    /// The set of the custodian's share.
    #[n(0)]
    pub epoch: u32,
    /// Number of the share.
    #[n(1)]
    pub index: u8,
    /// The signature.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub signature: SignatureBytes,
}

impl CustodianProof {
    /// Whether the custodian of this key said on this connection that `act` is wanted.
    #[must_use]
    pub fn is_by(&self, key: &PointBytes, act: Act, on: &Connection) -> bool {
        let check = || -> Option<()> {
            let key = VerifyingKey::from_sec1_bytes(key).ok()?;
            let signature = Signature::from_slice(&self.signature).ok()?;
            key.verify(&signed_bytes(act, self.epoch, self.index, on), &signature)
                .ok()
        };
        check().is_some()
    }
}

/// `"YZT-CUSTODIAN-1" || act 1 || vault 16 || epoch 4 || index 1 || challenge 16 || client's ephemeral key 65`.
fn signed_bytes(act: Act, epoch: u32, index: u8, on: &Connection) -> Vec<u8> {
    let parts: [&[u8]; 7] = [
        b"YZT-CUSTODIAN-1",
        &[act.code()],
        &on.vault,
        &epoch.to_be_bytes(),
        &[index],
        &on.challenge,
        &on.client_key,
    ];
    parts.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_custodians_proof_holds_for_one_act_on_one_connection() {
        let share = |value| Share::new([1; 16], 1, 2, [value; 32]);
        let key = CustodianKey::of(&share(7)).unwrap();
        let other = CustodianKey::of(&share(8)).unwrap();
        assert_eq!(CustodianKey::of(&share(7)).unwrap().public(), key.public());
        assert_ne!(key.public(), other.public());
        let on = Connection {
            vault: [1; 16],
            challenge: [2; 16],
            client_key: other.public(),
        };
        let proof = key.prove(Act::Seal, &on);
        assert!(proof.is_by(&key.public(), Act::Seal, &on));
        assert!(!proof.is_by(&other.public(), Act::Seal, &on));
        assert!(!proof.is_by(&key.public(), Act::BeginUnseal, &on));
        let elsewhere = [
            Connection {
                vault: [3; 16],
                ..on.clone()
            },
            Connection {
                challenge: [3; 16],
                ..on.clone()
            },
            Connection {
                client_key: key.public(),
                ..on.clone()
            },
        ];
        for on in elsewhere {
            assert!(!proof.is_by(&key.public(), Act::Seal, &on));
        }
        for wrong in [(1, 3), (2, 2)] {
            let (epoch, index) = wrong;
            let relabelled = CustodianProof {
                epoch,
                index,
                ..proof.clone()
            };
            assert!(!relabelled.is_by(&key.public(), Act::Seal, &on));
        }
    }
}
