//! The vault's folder: taken for one process, closed to everybody else, with the transport key that lies in it.

use std::fs::File;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rand_core::CryptoRng;

use crate::custody::transport::TransportKey;
use crate::error::Error;

/// A vault's folder, taken for this process until dropped.
#[derive(Debug)]
pub struct FolderLock {
    pub(crate) folder: PathBuf,
    pub(crate) transport: TransportKey,
    pub(crate) file: File,
}

impl FolderLock {
    /// Takes the folder. A vault that was founded before there were transport keys gets one here.
    ///
    /// # Errors
    /// [`Error::NoVault`], [`Error::InUse`], [`Error::StoreUnavailable`] on a read-only file system, [`Error::Damaged`].
    pub fn take(folder: &Path, rng: &mut impl CryptoRng) -> Result<Self, Error> {
        if !folder.join(crate::store::sql::FILE).is_file() {
            return Err(Error::NoVault);
        }
        keep_private(folder);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(folder.join("lock"))
            .map_err(|_| Error::StoreUnavailable {
                what: "its folder cannot be written",
            })?;
        match file.try_lock() {
            Ok(()) => Ok(Self {
                folder: folder.to_owned(),
                transport: TransportKey::of(folder, rng)?,
                file,
            }),
            Err(std::fs::TryLockError::WouldBlock) => Err(Error::InUse),
            Err(std::fs::TryLockError::Error(_)) => Err(Error::StoreUnavailable {
                what: "its folder cannot be locked",
            }),
        }
    }
}

/// Takes away what others may do with the folder and the files in it; a restored copy may have come with more. Where
/// that is not possible (a read-only mount) the sealed rows protect themselves.
fn keep_private(folder: &Path) {
    let mut paths = vec![folder.to_owned()];
    if let Ok(entries) = std::fs::read_dir(folder) {
        paths.extend(entries.flatten().map(|entry| entry.path()));
    }
    for path in paths {
        let Ok(meta) = std::fs::symlink_metadata(&path) else {
            continue;
        };
        let mode = meta.permissions().mode();
        if (meta.is_dir() || meta.is_file()) && mode & 0o077 != 0 {
            tracing::warn!("the vault's folder was open to others; it is closed now");
            let _ = std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode & 0o700));
        }
    }
}
