//! Who a client is, and for which vault it takes who answers.
//!
//! Left out: where the vault listens. That is the client's own settings' to say, never a file's that others may write.

use std::path::Path;

use jiff::Timestamp;
use minicbor::{Decode, Encode};
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use program_contract::{Clock, Founded, file};

use crate::custodian::custodian_key;
use crate::error::Error;
use crate::key_file::ChannelKey;
use crate::share::Share;
use crate::wire::{PointBytes, SignatureBytes};

/// The vault of a client's anchors: number and operating key. Whoever cannot show that key is told nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VaultAnchors {
    /// Number of the vault.
    pub vault: [u8; 16],
    /// Its operating key, which is sealed in its store and signs its transport key while it is open.
    pub operating_key: PointBytes,
}

/// Longest anchors file, bytes.
const MAX_ANCHORS: u64 = 1 << 16;

impl VaultAnchors {
    /// Reads an anchors file: the JSON object that `keyvault init` writes and `keyvault anchors --json` prints.
    ///
    /// # Errors
    /// That of the file system; `InvalidData` for a file that says no `vault` and no `operating_key`.
    pub fn read(path: &Path) -> std::io::Result<Self> {
        let invalid = || std::io::Error::from(std::io::ErrorKind::InvalidData);
        let bytes = file::read(path, MAX_ANCHORS)?;
        let object: serde_json::Value = serde_json::from_slice(&bytes).map_err(|_| invalid())?;
        let field = |name: &str| object.get(name).and_then(serde_json::Value::as_str);
        let mut anchors = Self {
            vault: [0; 16],
            operating_key: [0; 65],
        };
        hex::decode_to_slice(field("vault").ok_or_else(invalid)?, &mut anchors.vault)
            .map_err(|_| invalid())?;
        let key = field("operating_key").ok_or_else(invalid)?;
        hex::decode_to_slice(key, &mut anchors.operating_key).map_err(|_| invalid())?;
        Ok(anchors)
    }
}

/// Who a client is, and for which vault it takes who answers.
#[derive(Clone, Debug)]
pub struct Identity {
    pub(crate) key: ChannelKey,
    pub(crate) taken: Taken,
}

/// What a client takes for the vault.
#[derive(Clone, Debug)]
pub(crate) enum Taken {
    /// Whoever answers: no more than the status is asked of them.
    Anybody,
    /// Who has this transport key and says that it is this vault, sealed or open.
    Transport { vault: [u8; 16], key: PointBytes },
    /// Who shows this operating key, which an open vault alone can.
    Operating(VaultAnchors, Clock),
}

impl Identity {
    /// Somebody without a key, who asks for the status.
    #[must_use]
    pub fn nobody() -> Self {
        Self {
            key: ChannelKey::fresh(),
            taken: Taken::Anybody,
        }
    }

    /// A service, an officer or an auditor, who speaks to the vault of these anchors.
    #[must_use]
    pub fn of(key: ChannelKey, anchors: VaultAnchors, clock: Clock) -> Self {
        Self {
            key,
            taken: Taken::Operating(anchors, clock),
        }
    }

    /// The custodian of this share, who speaks to the vault that the share is pinned to.
    ///
    /// # Errors
    /// [`Error::TransportKeyNotPinned`] for a share that is for no vault yet ([`Share::pinned_to`]).
    pub fn custodian(share: &Share) -> Result<Self, Error> {
        Ok(Self {
            key: custodian_key(share)?,
            taken: Taken::Transport {
                vault: share.vault,
                key: share.transport.ok_or(Error::TransportKeyNotPinned)?,
            },
        })
    }

    /// The public half of the client's own key.
    #[must_use]
    pub fn public(&self) -> PointBytes {
        self.key.public()
    }

    pub(crate) const fn pinned(&self) -> Option<PointBytes> {
        match self.taken {
            Taken::Transport { key, .. } => Some(key),
            Taken::Anybody | Taken::Operating(..) => None,
        }
    }
}

/// The open vault's word for its transport key: for a day, signed by the operating key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TransportStatement {
    /// The first moment at which it holds.
    #[cbor(n(0), with = "crate::wire::instant")]
    pub from: Timestamp,
    /// The moment at which it ends.
    #[cbor(n(1), with = "crate::wire::instant")]
    pub until: Timestamp,
    /// The operating key's signature over [`TransportStatement::signed_bytes`].
    #[cbor(n(2), with = "minicbor::bytes")]
    pub signature: SignatureBytes,
}

impl TransportStatement {
    /// `"YZT-TRANSPORT-1" || vault 16 || transport key 65 || from, seconds 8 || until, seconds 8`.
    #[must_use]
    pub fn signed_bytes(
        vault: &[u8; 16],
        transport: &PointBytes,
        from: Timestamp,
        until: Timestamp,
    ) -> Vec<u8> {
        let (from, until) = (from.as_second().to_be_bytes(), until.as_second().to_be_bytes());
        let parts: [&[u8]; 5] = [b"YZT-TRANSPORT-1", vault, transport, &from, &until];
        parts.concat()
    }

    /// Whether the vault of `anchors` says that `transport` is its key, at whatever time.
    #[must_use]
    pub fn is_signed(&self, anchors: &VaultAnchors, transport: &PointBytes) -> bool {
        let signed = Self::signed_bytes(&anchors.vault, transport, self.from, self.until);
        let is_signed = || -> Option<()> {
            let key = VerifyingKey::from_sec1_bytes(&anchors.operating_key).ok()?;
            let signature = Signature::from_slice(&self.signature).ok()?;
            key.verify(&signed, &signature).ok()
        };
        is_signed().is_some()
    }

    /// Whether `vault` says it at `now`. The time of a rehearsal is given, and is no time of this machine.
    #[must_use]
    pub fn is_of(&self, vault: &[u8; 16], now: Timestamp) -> bool {
        Founded::around(vault).is_rehearsal() || (self.from <= now && now < self.until)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use p256::ecdsa::SigningKey;
    use p256::ecdsa::signature::Signer as _;

    use super::*;

    #[test]
    fn anchors_are_read_from_their_file_and_from_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("anchors.json");
        let key = ChannelKey::fresh().public();
        let (vault, operating) = (hex::encode([1; 16]), hex::encode(key));
        let good = format!(r#"{{"vault":"{vault}","operating_key":"{operating}","card_ca":"00"}}"#);
        std::fs::write(&path, &good).unwrap();
        let anchors = VaultAnchors {
            vault: [1; 16],
            operating_key: key,
        };
        assert_eq!(VaultAnchors::read(&path).unwrap(), anchors);
        for wrong in [
            "",
            "{}",
            &good.replace("operating", "audit"),
            &good.replace("01", "1"),
            &good[1..],
        ] {
            std::fs::write(&path, wrong).unwrap();
            assert!(VaultAnchors::read(&path).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_transport_key_is_the_vaults_for_a_day_and_no_other_is() {
        let key = ChannelKey::fresh();
        let signer: SigningKey = key.signer().unwrap();
        let (transport, other) = (ChannelKey::fresh().public(), ChannelKey::fresh().public());
        let anchors = VaultAnchors {
            vault: [1; 16],
            operating_key: key.public(),
        };
        let from: Timestamp = "2026-11-30T08:00:00Z".parse().unwrap();
        let until = from + SignedDuration::from_hours(24);
        let said = |vault: &[u8; 16]| {
            let bytes = TransportStatement::signed_bytes(vault, &transport, from, until);
            let signature: Signature = signer.sign(&bytes);
            TransportStatement {
                from,
                until,
                signature: signature.to_bytes().into(),
            }
        };
        let statement = said(&anchors.vault);
        assert!(statement.is_signed(&anchors, &transport));
        assert!(!statement.is_signed(&anchors, &other));
        let second = SignedDuration::from_secs(1);
        assert!(statement.is_of(&anchors.vault, from) && statement.is_of(&anchors.vault, until - second));
        assert!(!statement.is_of(&anchors.vault, until));
        assert!(!statement.is_of(&anchors.vault, from - second));
        // A rehearsal has the time that people give it.
        assert!(statement.is_of(&card_applet_spec::rehearsal::vault_number([1; 16], true), until));
        let of_another = VaultAnchors {
            operating_key: other,
            ..anchors
        };
        assert!(!statement.is_signed(&of_another, &transport));
        assert!(!said(&[2; 16]).is_signed(&anchors, &transport));
        let mut longer = statement;
        longer.until = until + SignedDuration::from_hours(1);
        assert!(!longer.is_signed(&anchors, &transport));
    }
}
