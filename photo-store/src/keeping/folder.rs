//! The folder of a photo store: where its index and its sealed objects are.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use photo_store_protocol::FailureCode;

use crate::error::Error;

/// A folder that is a photo store's, and can be written.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes the folder where it is missing, and refuses one that belongs to something else.
    pub(crate) fn prepare(path: &Path) -> Result<Self, Error> {
        let folder = Self {
            path: path.to_owned(),
        };
        make(path, true)?;
        let ours = folder.index().exists() || folder.objects().exists();
        if !ours
            && std::fs::read_dir(path)
                .map_err(|error| unusable(&error))?
                .next()
                .is_some()
        {
            return Err(Error::Refused(FailureCode::NotAStore));
        }
        // A folder that cannot be written is said at the start, in words of its own, and not by the first clerk's photo.
        let probe = path.join(format!(".probe.{}", std::process::id()));
        std::fs::write(&probe, b"probe").map_err(|error| unusable(&error))?;
        let _ = std::fs::remove_file(&probe);
        if !folder.objects().is_dir() {
            make(&folder.objects(), false)?;
        }
        Ok(folder)
    }

    /// The file of the index, unless the index is on a server.
    pub(crate) fn index(&self) -> PathBuf {
        self.path.join("photos.sqlite")
    }

    /// The folder of the sealed objects.
    pub(crate) fn objects(&self) -> PathBuf {
        self.path.join("objects")
    }
}

fn make(folder: &Path, recursive: bool) -> Result<(), Error> {
    std::fs::DirBuilder::new()
        .recursive(recursive)
        .mode(0o700)
        .create(folder)
        .map_err(|error| unusable(&error))
}

fn unusable(error: &std::io::Error) -> Error {
    Error::Refused(match error.kind() {
        std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied => {
            FailureCode::IndexReadOnly
        }
        std::io::ErrorKind::StorageFull => FailureCode::StorageFull,
        _ => FailureCode::NotAStore,
    })
}
