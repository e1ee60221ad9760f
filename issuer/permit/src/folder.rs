//! The folder of an installation: what lies where, whose it is, and that one program works in it at a time.
//!
//! | place | content |
//! |---|---|
//! | `installation.json` | says that the folder is ours, and which version made it |
//! | `vault/`, `custodians/` | the sealed vault; share envelopes and passphrases of the demo's custodians |
//! | `photo-store/`, `issuer/` | index and sealed photos; ledger, service key, staff, printed faces |
//! | `cards/` | the card maker's key, the lot, one memory file a card |
//! | `terminals/` | key and bundle of each terminal |
//! | `cases/` | which application and order belong to which applicant file |
//! | `running.json` | while `permit up` runs: the socket for `permit photo` and `permit hand-over` |
//! | `log/`, `samples/` | logs; applicants and a photo to try |

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use program_contract::{Exit, Failure, file};

const MARK: &str = "installation.json";
const SCHEMA: &str = "yzt.installation/1";

/// An installation's folder, held.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Locked while it lives.
    _lock: fs::File,
}

impl Folder {
    /// Opens the folder, or makes a fresh one.
    pub(crate) fn open(wanted: Option<&Path>) -> Result<Self, Failure> {
        let path = match wanted {
            Some(path) => path.to_owned(),
            None => tempfile::Builder::new()
                .prefix("yizhengtong-")
                .tempdir()
                .map_err(|error| Failure::file("make a folder in", &std::env::temp_dir(), &error))?
                .keep(),
        };
        let mark = path.join(MARK);
        if !mark.exists() {
            let empty = match fs::read_dir(&path) {
                Ok(mut entries) => entries.next().is_none(),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
                Err(error) => return Err(Failure::file("read", &path, &error)),
            };
            if !empty {
                return Err(Failure::new(
                    Exit::Damaged,
                    "FOLDER_FOREIGN",
                    format!("{} holds something that is no installation", path.display()),
                    "Name a new or empty folder with --dir. Nothing was changed.",
                ));
            }
        }
        make(&path)?;
        let path = path
            .canonicalize()
            .map_err(|error| Failure::file("find", &path, &error))?;
        let lock = lock(&path)?;
        let mark = path.join(MARK);
        match fs::read(&mark) {
            Ok(bytes) => check_mark(&mark, &bytes)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let text = format!(
                    "{{\"schema\":\"{SCHEMA}\",\"made_by\":\"permit {}\"}}\n",
                    env!("CARGO_PKG_VERSION")
                );
                write_new(&mark, text.as_bytes())?;
            }
            Err(error) => return Err(Failure::file("read", &mark, &error)),
        }
        let folder = Self { path, _lock: lock };
        for name in [
            "custodians",
            "issuer",
            "cards",
            "terminals",
            "cases",
            "log",
            "samples",
        ] {
            make(&folder.at(name))?;
        }
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A place inside.
    pub(crate) fn at(&self, place: impl AsRef<Path>) -> PathBuf {
        self.path.join(place)
    }

    /// A log file.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.path.join("log").join(format!("{name}.log"))
    }
}

fn lock(path: &Path) -> Result<fs::File, Failure> {
    let file = path.join(".lock");
    let lock = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&file)
        .map_err(|error| Failure::file("open", &file, &error))?;
    lock.try_lock().map_err(|_| {
        Failure::new(
            Exit::Damaged,
            "FOLDER_IN_USE",
            format!("another program works in {}", path.display()),
            "End it, or name another folder with --dir.",
        )
    })?;
    Ok(lock)
}

fn check_mark(mark: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let schema = serde_json::from_slice::<serde_json::Value>(bytes)
        .ok()
        .and_then(|value| value.get("schema")?.as_str().map(str::to_owned));
    if schema.as_deref() == Some(SCHEMA) {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Damaged,
        "FOLDER_FOREIGN",
        format!(
            "{} is not the mark of an installation of this version",
            mark.display()
        ),
        "Name another folder with --dir. Nothing was changed.",
    ))
}

/// Makes a folder for its owner only, if it is missing.
pub(crate) fn make(path: &Path) -> Result<(), Failure> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| Failure::file("make", path, &error))
}

/// Writes a file that must not exist, for its owner only; it is there whole or not at all.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    file::create(path, bytes, file::PRIVATE).map_err(|error| Failure::file("write", path, &error))
}

/// Writes a file for its owner only, over another if there is one; a cut leaves the old one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    file::replace(path, bytes, file::PRIVATE).map_err(|error| Failure::file("write", path, &error))
}
