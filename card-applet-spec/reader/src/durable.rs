//! Files that survive a loss of power: written under another name, flushed, renamed, and the folder flushed too. A reader
//! sees the whole old file or the whole new one.
//!
//! Left out: locking (a terminal's folder is locked as a whole, [`crate::folder`]).

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The name that a file has while it is written; what stands there is of nobody.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".unfinished");
    PathBuf::from(name)
}

/// Replaces a file as a whole, readable by its owner only (mode 0600).
///
/// # Errors
///
/// The operating system's; the old file stands then, or the new one where only the last flush failed.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = unfinished(path);
    // What a loss of power left there is not continued: it may have other rights.
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        // Ours, and incomplete; what went wrong is said above.
        let _ = std::fs::remove_file(&temporary);
        return written;
    }
    flush_folder_of(path)
}

/// Takes a file away for good; one that is not there is no error.
///
/// # Errors
///
/// The operating system's.
pub fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => flush_folder_of(path),
    }
}

/// Makes the names in the folder of `path` survive a loss of power.
pub(crate) fn flush_folder_of(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_private_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "old").unwrap();
        std::fs::write(unfinished(&path), "what a loss of power left").unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(replace(&folder.path().join("no/such/folder"), b"x").is_err());
    }
}
