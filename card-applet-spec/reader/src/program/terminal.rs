//! A terminal's files: key, bundle, and the highest sequence number that it has loaded.
//!
//! The number stands beside the key file (`KEYFILE.sequence`, decimal), because it belongs to the terminal and not to any
//! one bundle. It is written to a temporary name and renamed, so that a cut leaves the old one.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use card_applet_spec::date::Date;
use card_reader::enrol::LoadError;
use card_reader::{Bundle, Error, TerminalKey};

use super::report::{Exit, Failure};

/// Longest bundle file, bytes: 64 regions in two versions of five roles, and a deny list of a million cards.
const BUNDLE_MAX: u64 = 16 << 20;

/// A terminal, ready.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) key: TerminalKey,
    pub(crate) bundle: Bundle,
}

/// Why a terminal is not ready: its files, or the bundle's last day.
#[derive(Debug)]
pub(crate) enum NotReady {
    Files(Failure),
    Bundle(Error),
}

impl From<Failure> for NotReady {
    fn from(failure: Failure) -> Self {
        Self::Files(failure)
    }
}

/// A path with something behind its last name.
fn behind(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        Exit::Damaged,
        "FILE_UNREADABLE",
        format!("cannot read {}: {}", path.display(), error.kind()),
        "Check the path and its rights.",
    )
}

/// Loads key and bundle, and remembers the bundle's sequence number.
pub(crate) fn load(bundle: &Path, key: Option<&Path>, today: Date) -> Result<Loaded, NotReady> {
    let key_path = key.map_or_else(|| behind(bundle, ".key"), Path::to_path_buf);
    let key = TerminalKey::load(&key_path).map_err(|error| match error {
        LoadError::Material(error) => {
            Failure::new(Exit::Damaged, error.code(), error.to_string(), error.action())
        }
        LoadError::Io(error) => unreadable(&key_path, &error),
        other => Failure::new(
            Exit::Damaged,
            "FILE_UNREADABLE",
            other.to_string(),
            "Check the key file.",
        ),
    })?;
    let sealed = read(bundle, BUNDLE_MAX)?;
    let sequence_path = behind(&key_path, ".sequence");
    let known = sequence(&sequence_path)?;
    let bundle = Bundle::open(&sealed, &key, known, today).map_err(NotReady::Bundle)?;
    if known != Some(bundle.sequence()) {
        remember(&sequence_path, bundle.sequence())?;
    }
    Ok(Loaded { key, bundle })
}

/// Reads a file of a bounded length.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(most.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(|error| unreadable(path, &error))?;
    if u64::try_from(bytes.len()).map_or(true, |length| length > most) {
        return Err(Failure::new(
            Exit::Damaged,
            "FILE_TOO_LONG",
            format!("{} is longer than {most} bytes", path.display()),
            "Give the right file.",
        ));
    }
    Ok(bytes)
}

fn sequence(path: &Path) -> Result<Option<u32>, Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(path, &error)),
    };
    text.trim().parse().map(Some).map_err(|_| {
        Failure::new(
            Exit::Damaged,
            "SEQUENCE_DAMAGED",
            format!("{} does not hold a number", path.display()),
            "Write the sequence number of the last bundle into it; taking the file away lets older bundles in.",
        )
    })
}

fn remember(path: &Path, number: u32) -> Result<(), Failure> {
    let temporary = behind(path, &format!(".{}", std::process::id()));
    std::fs::write(&temporary, format!("{number}\n"))
        .and_then(|()| std::fs::rename(&temporary, path))
        .map_err(|error| {
            // Nothing was loaded: a terminal that cannot remember would take an older bundle tomorrow.
            let _ = std::fs::remove_file(&temporary);
            Failure::new(
                Exit::Damaged,
                "SEQUENCE_UNWRITABLE",
                format!("cannot write {}: {}", path.display(), error.kind()),
                "Give this terminal's folder write rights.",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_number_survives_and_a_damaged_one_is_said_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gate.key.sequence");
        assert_eq!(sequence(&path).unwrap(), None);
        remember(&path, 7).unwrap();
        remember(&path, 8).unwrap();
        assert_eq!(sequence(&path).unwrap(), Some(8));
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no temporary file is left"
        );
        std::fs::write(&path, "eight").unwrap();
        assert_eq!(sequence(&path).unwrap_err().code, "SEQUENCE_DAMAGED");
    }

    #[test]
    fn a_file_without_end_is_not_read() {
        let error = read(Path::new("/dev/zero"), 1024).unwrap_err();
        assert_eq!((error.code, error.exit), ("FILE_TOO_LONG", Exit::Damaged));
    }
}
