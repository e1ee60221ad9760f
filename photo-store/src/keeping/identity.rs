//! Who the store is to its vault, and which vault is its own: a key and the vault's anchors, two files of the store's folder.
//!
//! The key is made with the store and leaves its folder in backups alone. Left out: its enrolment, which is for two officers of
//! the vault.

use std::io::ErrorKind;

use keyvault_protocol::{ChannelKey, Identity, PointBytes, VaultAnchors};
use photo_store_protocol::FailureCode;
use program_contract::{Clock, file};
use rand_core::CryptoRng;
use serde_json::json;

use crate::error::Error;
use crate::keeping::folder::{Folder, unusable};

/// Reads both files of a store that was founded `under` the vault with this number.
///
/// # Errors
/// `VAULT_KEY_UNUSABLE`, `ANCHORS_UNUSABLE`; `OTHER_VAULT` for anchors of another vault than that of the founding.
pub(crate) fn read(folder: &Folder, under: Option<[u8; 16]>, clock: Clock) -> Result<Identity, Error> {
    let key =
        ChannelKey::read(&folder.vault_key()).map_err(|_| Error::Refused(FailureCode::VaultKeyUnusable))?;
    let anchors =
        VaultAnchors::read(&folder.anchors()).map_err(|_| Error::Refused(FailureCode::AnchorsUnusable))?;
    if under.is_some_and(|under| under != anchors.vault) {
        return Err(Error::Refused(FailureCode::OtherVault));
    }
    Ok(Identity::of(key, anchors, clock))
}

/// Makes the files that are missing, and puts these anchors in the place of others; gives the key's public half, and whether
/// anything was made. A key that cannot be read is not replaced: it may be the one that is enrolled.
///
/// # Errors
/// `VAULT_KEY_UNUSABLE`, or why the folder cannot be written.
pub(crate) fn complete(
    folder: &Folder,
    anchors: &VaultAnchors,
    random: &mut impl CryptoRng,
) -> Result<(PointBytes, bool), Error> {
    let path = folder.vault_key();
    let (key, is_new) = match ChannelKey::read(&path) {
        Ok(key) => (key, false),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let key = ChannelKey::generate(random);
            key.save_new(&path).map_err(|error| unusable(&error))?;
            (key, true)
        }
        Err(_) => return Err(Error::Refused(FailureCode::VaultKeyUnusable)),
    };
    let path = folder.anchors();
    let is_same = VaultAnchors::read(&path).is_ok_and(|kept| kept == *anchors);
    if !is_same {
        let object = json!({
            "vault": hex::encode(anchors.vault),
            "operating_key": hex::encode(anchors.operating_key),
        });
        file::replace(&path, format!("{object}\n").as_bytes(), file::PRIVATE)
            .map_err(|error| unusable(&error))?;
    }
    Ok((key.public(), is_new || !is_same))
}
