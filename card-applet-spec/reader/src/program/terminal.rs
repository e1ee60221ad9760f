//! A terminal's files: key, bundle, and the highest sequence number that it has loaded; from a configuration, or from a
//! bundle and a key alone.
//!
//! The number stands beside the key file (`KEYFILE.sequence`, decimal), because it belongs to the terminal and not to any
//! one bundle. It is written to a temporary name and renamed, so that a cut leaves the old one. A terminal without a folder
//! keeps the last day that it has seen there too (`KEYFILE.day`).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use card_applet_spec::date::Date;
use card_reader::enrol::LoadError;
use card_reader::folder::{ClockDoubt, FolderError, Offered};
use card_reader::{Bundle, Error, Folder, TerminalKey};
use program_contract::{Failure, file};

use crate::program::args::Material;
use crate::program::config::Config;
use crate::program::failure;
use crate::program::files;
use crate::program::services::Services;

/// Longest bundle file, bytes: 64 regions in two versions of five roles, and a deny list of a million cards.
pub(crate) const BUNDLE_MAX: u64 = 16 << 20;

/// A terminal, ready.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) key: TerminalKey,
    pub(crate) bundle: Bundle,
    /// Its configuration and folder, where it has them.
    pub(crate) settled: Option<(Config, Folder)>,
    /// The last day that it has seen, where it has no folder.
    pub(crate) seen: Option<Date>,
    /// What services are called.
    pub(crate) services: Services,
}

impl Loaded {
    /// Why the clock is wrong, if it is.
    pub(crate) fn clock_doubt(&self, today: Date) -> Option<ClockDoubt> {
        match &self.settled {
            Some((_, folder)) => folder.clock_doubt(today, &self.bundle),
            None => clock_doubt(today, &self.bundle, self.seen),
        }
    }
}

/// Why the clock of a terminal without a folder is wrong, if it is.
pub(crate) fn clock_doubt(today: Date, bundle: &Bundle, seen: Option<Date>) -> Option<ClockDoubt> {
    let behind = seen.filter(|seen| today < *seen).map(ClockDoubt::BeforeLastDay);
    ClockDoubt::of(today, bundle).or(behind)
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

impl From<NotReady> for Failure {
    fn from(error: NotReady) -> Self {
        match error {
            NotReady::Files(failure) => failure,
            NotReady::Bundle(error) => error.into(),
        }
    }
}

impl From<FolderError> for NotReady {
    fn from(error: FolderError) -> Self {
        match error {
            FolderError::Card(error) => Self::Bundle(error),
            other => Self::Files(other.into()),
        }
    }
}

/// Loads a terminal, by its configuration or by bundle and key.
pub(crate) fn ready(material: &Material, today: Date) -> Result<Loaded, NotReady> {
    match (&material.config, &material.bundle) {
        (Some(config), _) => configured(&Config::read(config)?, today),
        (None, Some(bundle)) => {
            let mut loaded = load(bundle, material.terminal_key.as_deref(), today)?;
            loaded.services = Services::read(&material.rules)?;
            Ok(loaded)
        }
        (None, None) => Err(failure::no_terminal().into()),
    }
}

/// Loads a terminal by its configuration.
pub(crate) fn configured(config: &Config, today: Date) -> Result<Loaded, NotReady> {
    let key = key(&config.key)?;
    let mut folder = Folder::open(&config.state)?;
    let sequence_path = behind(&config.key, ".sequence");
    let known = sequence(&sequence_path)?;
    let mut bundle = folder.bundle(&key, known, today)?;
    if known != Some(bundle.sequence()) {
        remember(&sequence_path, bundle.sequence())?;
    }
    bundle.set_stale_list(config.stale_list);
    announce(&bundle);
    folder.saw_day(today, &bundle)?;
    Ok(Loaded {
        key,
        bundle,
        settled: Some((config.clone(), folder)),
        seen: None,
        services: Services::read(&config.rules)?,
    })
}

/// The highest sequence number of a bundle that this key has loaded.
pub(crate) fn sequence_of_key(key: &Path) -> Result<Option<u32>, Failure> {
    sequence(&behind(key, ".sequence"))
}

/// Offers one file of the office to a terminal, and remembers the sequence number of a bundle.
pub(crate) fn offer(
    folder: &mut Folder,
    bytes: &[u8],
    key: &TerminalKey,
    key_path: &Path,
    today: Date,
) -> Result<Offered, Failure> {
    let known = sequence_of_key(key_path)?;
    let offered = folder.offer(bytes, key, known, today)?;
    if let Offered::Bundle(number) = offered {
        remember(&behind(key_path, ".sequence"), number)?;
    }
    Ok(offered)
}

/// Reads a key file.
pub(crate) fn key(path: &Path) -> Result<TerminalKey, Failure> {
    TerminalKey::load(path).map_err(|error| match error {
        LoadError::Material(error) => error.into(),
        LoadError::Io(error) => files::unreadable(path, &error),
        other => failure::key_unreadable(other.to_string()),
    })
}

/// The key file that belongs to a bundle: the one that was named, or the one beside it.
pub(crate) fn key_of(bundle: &Path, named: Option<&Path>) -> PathBuf {
    named.map_or_else(|| behind(bundle, ".key"), Path::to_path_buf)
}

/// Says that it is a rehearsal, where it is one.
fn announce(bundle: &Bundle) {
    if let Some(banner) = bundle.founding().banner() {
        program_contract::tell!("card-reader: ", banner);
    }
}

/// A path with something behind its last name.
fn behind(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Loads key and bundle, and remembers the bundle's sequence number.
pub(crate) fn load(bundle: &Path, key_file: Option<&Path>, today: Date) -> Result<Loaded, NotReady> {
    let key_path = key_of(bundle, key_file);
    let key = key(&key_path)?;
    let sealed = files::read(bundle, BUNDLE_MAX)?;
    let sequence_path = behind(&key_path, ".sequence");
    let known = sequence(&sequence_path)?;
    let bundle = Bundle::open(&sealed, &key, known, today).map_err(NotReady::Bundle)?;
    if known != Some(bundle.sequence()) {
        remember(&sequence_path, bundle.sequence())?;
    }
    let day_path = behind(&key_path, ".day");
    let mut seen = last_day(&day_path)?;
    // A newer bundle, made on a day that this clock agrees with, ends a day that was seen by mistake.
    let renewed = known.is_some_and(|known| bundle.sequence() > known) && bundle.newest_day() <= today;
    if !today.is_none() && (seen.is_none_or(|seen| today > seen) || renewed) && seen != Some(today) {
        file::replace(&day_path, format!("{today}\n").as_bytes(), file::PRIVATE)
            .map_err(|error| unwritable(&day_path, &error))?;
        seen = Some(today);
    }
    announce(&bundle);
    Ok(Loaded {
        key,
        bundle,
        settled: None,
        seen,
        services: Services::default(),
    })
}

/// The last day that a terminal without a folder has seen.
fn last_day(path: &Path) -> Result<Option<Date>, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => text
            .trim()
            .parse()
            .map(Some)
            .map_err(|_| failure::no_day(path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(files::unreadable(path, &error)),
    }
}

fn sequence(path: &Path) -> Result<Option<u32>, Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(files::unreadable(path, &error)),
    };
    text.trim()
        .parse()
        .map(Some)
        .map_err(|_| failure::no_number(path.display()))
}

fn remember(path: &Path, number: u32) -> Result<(), Failure> {
    // Where it cannot be written nothing is loaded: a terminal that cannot remember would take an older bundle tomorrow.
    file::replace(path, format!("{number}\n").as_bytes(), file::PRIVATE)
        .map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    failure::sequence_unwritable(path.display(), error.kind())
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
}
