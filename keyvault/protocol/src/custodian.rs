//! Custodians' keys: by them a custodian is known in the channel, begins the opening of a vault and seals it, and nobody else does.
//!
//! The key is derived from the custodian's share, so that an envelope holds nothing more than before; its public half stands
//! in the vault's header. Left out: custodians' cards.

use hkdf::Hkdf;
use p256::SecretKey;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::key_file::ChannelKey;
use crate::request::{RequestSigner, SignedRequest};
use crate::share::Share;

/// The key of the custodian who has this share: HKDF-SHA-256 with the vault's number as salt and `"YZT-CUSTODIAN-KEY-1" ||
/// epoch 4 || index 1 || try 1` as info; the first try that is a scalar counts, and nearly always it is the first.
///
/// # Errors
/// [`Error::NotOpened`] when no try is a scalar, which does not happen.
pub fn custodian_key(share: &Share) -> Result<ChannelKey, Error> {
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
            return Ok(ChannelKey::from(&key));
        }
    }
    Err(Error::NotOpened)
}

/// Signs a request as the custodian who has this share. The share is not given.
///
/// # Errors
/// As [`custodian_key`].
pub fn sign_as_custodian(share: &Share, request: &mut SignedRequest) -> Result<ChannelKey, Error> {
    let key = custodian_key(share)?;
    let signer = RequestSigner::Custodian {
        epoch: share.epoch,
        index: share.index,
    };
    request.sign(signer, &key.signer()?);
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_custodians_key_is_of_one_share_of_one_set_of_one_vault() {
        let key = |vault, epoch, index, value| {
            custodian_key(&Share::new([vault; 16], epoch, index, [value; 32]))
                .unwrap()
                .public()
        };
        let one = key(1, 1, 2, 7);
        assert_eq!(key(1, 1, 2, 7), one);
        for other in [key(2, 1, 2, 7), key(1, 2, 2, 7), key(1, 1, 3, 7), key(1, 1, 2, 8)] {
            assert_ne!(other, one);
        }
    }
}
