//! The vault's folder: taken for one process, closed to everybody else, with the transport key that lies in it.

use std::fs::TryLockError;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use keyvault_protocol::ChannelKey;
use program_contract::file::Lock;
use rand_core::CryptoRng;
use rustix::fs::{Access, access};
use rustix::io::Errno;

use crate::custody::transport;
use crate::error::Error;
use crate::store::sql;

/// A vault's folder, taken for this process until dropped.
#[derive(Debug)]
pub struct FolderLock {
    pub(crate) folder: PathBuf,
    pub(crate) transport: ChannelKey,
    pub(crate) file: Lock,
}

impl FolderLock {
    /// Takes the folder. A vault that was founded before there were transport keys gets one here.
    ///
    /// # Errors
    /// [`Error::NoVault`], [`Error::InUse`], [`Error::File`] where another user's rights are in the way, [`Error::StoreUnavailable`] on
    /// a read-only file system, [`Error::Damaged`].
    pub fn take(folder: &Path, rng: &mut impl CryptoRng) -> Result<Self, Error> {
        sql::look(folder)?;
        keep_private(folder);
        let path = folder.join("lock");
        let file = Lock::at(&path).map_err(|error| match error {
            TryLockError::WouldBlock => Error::InUse,
            TryLockError::Error(error) if error.kind() == ErrorKind::PermissionDenied => {
                Error::file("the vault's folder", &path, error.kind())
            }
            TryLockError::Error(_) => Error::StoreUnavailable {
                what: "its folder cannot be written",
            },
        })?;
        check_rights(folder)?;
        if !folder.join(transport::FILE).exists() {
            tracing::warn!(
                "transport.key is not there, and a new one is made: share envelopes pin the one of before. Put it back from the copy, or have every custodian compare the fingerprint and run `keyvault share pin`"
            );
        }
        Ok(Self {
            folder: folder.to_owned(),
            transport: transport::key_of(folder, rng)?,
            file,
        })
    }
}

/// Looks whether this user may use what is there: in a copy that another user restored it may be theirs.
fn check_rights(folder: &Path) -> Result<(), Error> {
    let both = Access::READ_OK | Access::WRITE_OK;
    for (name, wanted) in [
        ("", both | Access::EXEC_OK),
        (sql::FILE, both),
        (sql::LOG, both),
        (transport::FILE, Access::READ_OK),
    ] {
        let path = if name.is_empty() {
            folder.to_owned()
        } else {
            folder.join(name)
        };
        if access(&path, wanted) == Err(Errno::ACCESS) {
            return Err(Error::file(
                "the vault's folder",
                &path,
                ErrorKind::PermissionDenied,
            ));
        }
    }
    Ok(())
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
            match std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode & 0o700)) {
                Ok(()) => tracing::warn!("the vault's folder was open to others; it is closed now"),
                Err(error) => {
                    tracing::warn!(kind = %error.kind(), "the vault's folder is open to others, and could not be closed");
                }
            }
        }
    }
}
