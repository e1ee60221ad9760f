//! Commitments to shares: enough to say that a share is wrong, nothing that helps to find it.

use keyvault_protocol::{PointBytes, Share};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What the vault keeps of a share: enough to say that it is wrong, nothing that helps to find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commitment {
    /// Number of the share.
    pub(crate) index: u8,
    /// Name of the custodian.
    pub(crate) custodian: String,
    /// Random salt.
    pub(crate) salt: [u8; 16],
    /// SHA-256 over label, vault, epoch, index, salt and value.
    pub(crate) hash: [u8; 32],
    /// The public half of the custodian's key; none in a store of format 2 and before.
    pub(crate) key: Option<PointBytes>,
}

impl Commitment {
    /// Commits to a share.
    #[must_use]
    pub(crate) fn to(
        vault: &[u8; 16],
        epoch: u32,
        index: u8,
        custodian: &str,
        value: &[u8; 32],
        rng: &mut impl CryptoRng,
    ) -> Self {
        let mut salt = [0u8; 16];
        rng.fill_bytes(&mut salt);
        Self {
            index,
            custodian: custodian.to_owned(),
            salt,
            hash: commit(vault, epoch, index, &salt, value),
            key: custodian_key(vault, epoch, index, value),
        }
    }

    /// The same commitment with the key of its custodian, from the share that it is to.
    #[must_use]
    pub(crate) fn with_key(&self, vault: &[u8; 16], epoch: u32, value: &[u8; 32]) -> Option<Self> {
        if !self.holds(vault, epoch, value) {
            return None;
        }
        let key = custodian_key(vault, epoch, self.index, value)?;
        Some(Self {
            key: Some(key),
            ..self.clone()
        })
    }

    /// Whether `value` is the share that was committed to.
    #[must_use]
    pub(crate) fn holds(&self, vault: &[u8; 16], epoch: u32, value: &[u8; 32]) -> bool {
        commit(vault, epoch, self.index, &self.salt, value)
            .ct_eq(&self.hash)
            .into()
    }
}

fn custodian_key(vault: &[u8; 16], epoch: u32, index: u8, value: &[u8; 32]) -> Option<PointBytes> {
    let share = Share::new(*vault, epoch, index, *value);
    keyvault_protocol::custodian_key(&share)
        .ok()
        .map(|key| key.public())
}

pub(crate) fn commit(vault: &[u8; 16], epoch: u32, index: u8, salt: &[u8; 16], value: &[u8; 32]) -> [u8; 32] {
    Sha256::new()
        .chain_update(b"YZT-SHARE-1")
        .chain_update(vault)
        .chain_update(epoch.to_be_bytes())
        .chain_update([index])
        .chain_update(salt)
        .chain_update(value)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_commitment_holds_for_its_share_vault_and_epoch_only() {
        let mut rng = StdRng::seed_from_u64(6);
        let commitment = Commitment::to(&[7; 16], 1, 2, "li", &[0x42; 32], &mut rng);
        assert!(commitment.holds(&[7; 16], 1, &[0x42; 32]));
        assert!(!commitment.holds(&[7; 16], 1, &[0x43; 32]));
        assert!(!commitment.holds(&[8; 16], 1, &[0x42; 32]));
        assert!(!commitment.holds(&[7; 16], 2, &[0x42; 32]));
    }
}
