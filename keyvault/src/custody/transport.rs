//! The transport key: by it the vault is known, sealed or open, to whoever pinned its public half. Share envelopes pin it.
//!
//! A [`ChannelKey`] in a file of the vault's own user. It is made at the founding and stays over restarts and restores. It
//! proves little: who reads this file, the vault's own user and root, can pose as the vault towards custodians. Services want
//! the operating key behind it, which is sealed. Left out: a key in a TPM.

use std::io::ErrorKind;
use std::path::Path;

use keyvault_protocol::ChannelKey;
use rand_core::CryptoRng;

use crate::error::Error;

/// Name of the file in the vault's folder.
pub(crate) const FILE: &str = "transport.key";

/// The key in `folder`; made where there is none, as in a vault that was founded before there were any.
pub(crate) fn key_of(folder: &Path, rng: &mut impl CryptoRng) -> Result<ChannelKey, Error> {
    let path = folder.join(FILE);
    match ChannelKey::read(&path) {
        Ok(key) => Ok(key),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let key = ChannelKey::generate(rng);
            let unavailable = |_| Error::StoreUnavailable {
                what: "the transport key cannot be written",
            };
            key.save_new(&path).map_err(unavailable)?;
            Ok(key)
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Err(Error::file("the transport key", &path, error.kind()))
        }
        Err(_) => Err(Error::Damaged {
            what: "the transport key",
        }),
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_transport_key_is_made_once_and_stays_and_a_changed_one_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let mut rng = StdRng::seed_from_u64(1);
        let made = key_of(folder.path(), &mut rng).unwrap().public();
        assert_eq!(key_of(folder.path(), &mut rng).unwrap().public(), made);
        let path = folder.path().join(FILE);
        let good = std::fs::read(&path).unwrap();
        std::fs::write(&path, &good[1..]).unwrap();
        assert_eq!(
            key_of(folder.path(), &mut rng).unwrap_err(),
            Error::Damaged {
                what: "the transport key"
            }
        );
    }
}
