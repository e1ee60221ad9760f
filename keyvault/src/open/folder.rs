//! The vault's folder: taken for one process, closed to everybody else, with the transport key that lies in it.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use keyvault_protocol::ChannelKey;
use rand_core::CryptoRng;

use crate::custody::transport;
use crate::error::Error;
use crate::store::sql;

/// A vault's folder, taken for this process until dropped.
#[derive(Debug)]
pub struct FolderLock {
    pub(crate) folder: PathBuf,
    pub(crate) transport: ChannelKey,
    pub(crate) file: File,
}

impl FolderLock {
    /// Takes the folder. A vault that was founded before there were transport keys gets one here.
    ///
    /// # Errors
    /// [`Error::NoVault`], [`Error::InUse`], [`Error::StoreUnavailable`] on a read-only file system, [`Error::Damaged`].
    pub fn take(folder: &Path, rng: &mut impl CryptoRng) -> Result<Self, Error> {
        sql::look(folder)?;
        keep_private(folder);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(folder.join("lock"))
            .map_err(|error| match error.kind() {
                ErrorKind::PermissionDenied => unusable(folder, error.kind()),
                _ => Error::StoreUnavailable {
                    what: "its folder cannot be written",
                },
            })?;
        match file.try_lock() {
            Ok(()) => Ok(Self {
                folder: folder.to_owned(),
                transport: transport::key_of(folder, rng)?,
                file,
            }),
            Err(std::fs::TryLockError::WouldBlock) => Err(Error::InUse),
            Err(std::fs::TryLockError::Error(_)) => Err(Error::StoreUnavailable {
                what: "its folder cannot be locked",
            }),
        }
    }
}

fn unusable(path: &Path, kind: ErrorKind) -> Error {
    Error::File {
        what: "the vault's folder",
        path: path.display().to_string(),
        kind,
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
