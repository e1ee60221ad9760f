//! The folder of a photo store: where its index, its sealed objects, its key and its vault's anchors are.

use std::fs::TryLockError;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use photo_store_protocol::FailureCode;
use program_contract::file::Lock;

use crate::error::Error;

/// The file by which a process has the folder.
const LOCK: &str = "lock";
/// How the name of a file begins by which the folder is tried.
const PROBE: &str = ".probe.";

/// A folder that is a photo store's, can be written, and is this process's alone until dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: Lock,
}

impl Folder {
    /// Opens the folder of a store; makes none.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        if !is_ours(path) {
            return Err(Error::Refused(if is_empty(path)? {
                FailureCode::NoStore
            } else {
                FailureCode::NotAStore
            }));
        }
        let folder = Self::take(path)?;
        make_objects(path)?;
        Ok(folder)
    }

    /// Makes the folder of a new store where it is missing or empty; says whether it was a store's already. One that belongs
    /// to something else is refused.
    pub(crate) fn found(path: &Path) -> Result<(Self, bool), Error> {
        let was_ours = is_ours(path);
        if !was_ours && !is_empty(path)? {
            return Err(Error::Refused(FailureCode::NotAStore));
        }
        make(path, true)?;
        let folder = Self::take(path)?;
        make_objects(path)?;
        Ok((folder, was_ours))
    }

    /// Takes the folder for this process: two stores in one folder would not know of each other's objects.
    fn take(path: &Path) -> Result<Self, Error> {
        // A folder that cannot be written is said at the start, in words of its own, and not by the first clerk's photo.
        let probe = path.join(format!("{PROBE}{}", std::process::id()));
        let written = std::fs::write(&probe, b"probe");
        // A full disk makes the file all the same.
        let _ = std::fs::remove_file(&probe);
        written.map_err(|error| unusable(&error))?;
        let lock = Lock::at(&path.join(LOCK)).map_err(|error| match error {
            TryLockError::WouldBlock => Error::Refused(FailureCode::StoreInUse),
            TryLockError::Error(error) => unusable(&error),
        })?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// The file of the index, unless the index is on a server.
    pub(crate) fn index(&self) -> PathBuf {
        index(&self.path)
    }

    /// The folder of the sealed objects.
    pub(crate) fn objects(&self) -> PathBuf {
        objects(&self.path)
    }

    /// The file of the key by which the vault knows the store.
    pub(crate) fn vault_key(&self) -> PathBuf {
        self.path.join("vault.key")
    }

    /// The file of the anchors by which the store knows the vault.
    pub(crate) fn anchors(&self) -> PathBuf {
        self.path.join("anchors.json")
    }
}

fn index(path: &Path) -> PathBuf {
    path.join("photos.sqlite")
}

fn objects(path: &Path) -> PathBuf {
    path.join("objects")
}

fn is_ours(path: &Path) -> bool {
    index(path).exists() || objects(path).exists()
}

/// Whether there is no folder, or nothing in it but the lock and the probe of a founding that was cut.
fn is_empty(path: &Path) -> Result<bool, Error> {
    match std::fs::read_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(unusable(&error)),
        Ok(entries) => Ok(entries.flatten().all(|entry| {
            let name = entry.file_name();
            name == LOCK || name.to_string_lossy().starts_with(PROBE)
        })),
    }
}

fn make_objects(path: &Path) -> Result<(), Error> {
    let objects = objects(path);
    if objects.is_dir() {
        return Ok(());
    }
    make(&objects, false)
}

fn make(folder: &Path, recursive: bool) -> Result<(), Error> {
    std::fs::DirBuilder::new()
        .recursive(recursive)
        .mode(0o700)
        .create(folder)
        .map_err(|error| unusable(&error))
}

pub(crate) fn unusable(error: &std::io::Error) -> Error {
    Error::Refused(match error.kind() {
        std::io::ErrorKind::ReadOnlyFilesystem => FailureCode::IndexReadOnly,
        std::io::ErrorKind::PermissionDenied => FailureCode::StoreDenied,
        std::io::ErrorKind::StorageFull => FailureCode::StorageFull,
        _ => FailureCode::NotAStore,
    })
}
