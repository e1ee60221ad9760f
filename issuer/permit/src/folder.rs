//! The folder of an installation: what lies where, whose it is, and that one program works in it at a time.
//!
//! | place | content |
//! |---|---|
//! | `installation.json` | says that the folder is ours, and which version made it |
//! | `vault/`, `custodians/`, `officers/` | the sealed vault; share envelopes and passphrases of the demo's custodians, and the vault's anchors; keys of its officers |
//! | `photo-store/`, `issuer/` | index and sealed photos; ledger, service key, staff, printed faces |
//! | `cards/` | the card maker's key, the lot, one memory file a card, and which of them lies on the reader |
//! | `terminals/` | key, request and bundle of each terminal; its settings and its own folder |
//! | `from-office/`, `to-office/` | what terminals take in, and what they hand out |
//! | `rules/` | the rule sets in force, as terminals read them for the names of services |
//! | `cases/` | which application and order belong to which applicant file |
//! | `run/` | the sockets of everything that runs, and the reader's service; [`Folder::sockets`] says when elsewhere |
//! | `env`, `walk.md`, `answers` | for a shell: where everything is, a life of a card command by command, what they answered |
//! | `log/`, `samples/` | logs; applicants and a photo to try |

use std::fs::{self, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use program_contract::file::Lock;
use program_contract::language::Words;
use program_contract::{Failure, file};

use crate::failure;

const MARK: &str = "installation.json";
const SCHEMA: &str = "yzt.installation/1";
/// The file that each part of a run locks.
const LOCKS: [(&str, Part); 2] = [(".lock", Part::Outer), (".lock.client", Part::Client)];
/// Longest path of a Unix socket, bytes (Linux `sun_path` without the closing zero).
const SOCKET_PATH: usize = 107;
/// The longest path below the place of the sockets: the one of the reader's service.
const LONGEST_SOCKET: &str = "/reader/run/pcscd/pcscd.comm";

/// Which process of a run opens the folder. With a private PC/SC service a run is two: one that keeps the service, and its
/// client, which works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The one that keeps the service.
    Outer,
    /// Its client.
    Client,
    /// Both in one.
    Whole,
}

/// An installation's folder, held.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Locked while it lives.
    _locks: Vec<Lock>,
}

impl Folder {
    /// The vault's anchors, as its founding wrote them.
    pub(crate) fn anchors(&self) -> PathBuf {
        self.at("custodians").join("packages").join("anchors.json")
    }

    /// Opens the folder, or makes a fresh one.
    pub(crate) fn open(wanted: Option<&Path>, part: Part) -> Result<Self, Failure> {
        let path = match wanted {
            Some(path) => path.to_owned(),
            None => tempfile::Builder::new()
                .prefix("yizhengtong-")
                .tempdir()
                .map_err(|error| {
                    Failure::file(
                        Words("在此新建目录", "make a folder in"),
                        &std::env::temp_dir(),
                        &error,
                    )
                })?
                .keep(),
        };
        let mark = path.join(MARK);
        if !mark.exists() {
            let empty = match fs::read_dir(&path) {
                // The locks, and a mark that was not written to its end, are of a start that was cut.
                Ok(entries) => entries.flatten().all(|entry| {
                    let name = entry.file_name();
                    let name = name.to_string_lossy();
                    LOCKS.iter().any(|(lock, _)| name == *lock)
                        || (name.starts_with(MARK) && name.ends_with(".unfinished"))
                }),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
                Err(error) => return Err(Failure::file(Words("读取", "read"), &path, &error)),
            };
            if !empty {
                return Err(failure::folder_foreign(path.display()));
            }
        }
        make(&path)?;
        let path = path
            .canonicalize()
            .map_err(|error| Failure::file(Words("找到", "find"), &path, &error))?;
        let mut locks = Vec::new();
        for (name, of) in LOCKS {
            if part == of || part == Part::Whole {
                locks.push(lock(&path, name)?);
            }
        }
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
            Err(error) => return Err(Failure::file(Words("读取", "read"), &mark, &error)),
        }
        let folder = Self { path, _locks: locks };
        for name in [
            "custodians",
            "officers",
            "issuer",
            "cards",
            "terminals",
            "from-office",
            "to-office",
            "rules",
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

    /// The folder of the sockets, made for its owner only: the same at every start.
    pub(crate) fn sockets(&self) -> Result<PathBuf, Failure> {
        let place = sockets_of(&self.path);
        make(&place)?;
        let found = fs::symlink_metadata(&place)
            .map_err(|error| Failure::file(Words("查看", "look at"), &place, &error))?;
        let ours = found.is_dir()
            && found.uid() == rustix::process::geteuid().as_raw()
            && found.mode() & 0o777 == 0o700;
        if ours {
            Ok(place)
        } else {
            Err(failure::sockets_foreign(place.display()))
        }
    }

    /// A log file.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.path.join("log").join(format!("{name}.log"))
    }
}

/// Where the sockets of the installation in `folder` are: inside of it, or, where a path there would be longer than a socket's
/// may be, in `/tmp` under a name that follows from the folder's.
pub(crate) fn sockets_of(folder: &Path) -> PathBuf {
    let inside = folder.join("run");
    if inside.as_os_str().len() + LONGEST_SOCKET.len() <= SOCKET_PATH {
        return inside;
    }
    let digest = card_applet_spec::crypto::sha256(&[folder.as_os_str().as_encoded_bytes()]);
    let name = hex::encode(digest.get(..8).unwrap_or(&digest));
    Path::new("/tmp").join(format!("yzt-{name}"))
}

fn lock(path: &Path, name: &str) -> Result<Lock, Failure> {
    let file = path.join(name);
    Lock::at(&file).map_err(|error| match error {
        TryLockError::WouldBlock => failure::folder_in_use(path.display()),
        TryLockError::Error(error) => Failure::file(Words("打开", "open"), &file, &error),
    })
}

fn check_mark(mark: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let schema = serde_json::from_slice::<serde_json::Value>(bytes)
        .ok()
        .and_then(|value| value.get("schema")?.as_str().map(str::to_owned));
    if schema.as_deref() == Some(SCHEMA) {
        return Ok(());
    }
    Err(failure::mark_foreign(mark.display()))
}

/// Makes a folder for its owner only, if it is missing.
pub(crate) fn make(path: &Path) -> Result<(), Failure> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| Failure::file(Words("新建", "make"), path, &error))
}

/// Writes a file that must not exist, for its owner only; it is there whole or not at all.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    file::create(path, bytes, file::PRIVATE)
        .map_err(|error| Failure::file(Words("写入", "write"), path, &error))
}

/// Writes a file for its owner only, over another if there is one; a cut leaves the old one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    file::replace(path, bytes, file::PRIVATE)
        .map_err(|error| Failure::file(Words("写入", "write"), path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_lie_in_the_folder_or_where_their_paths_would_be_too_long_in_a_fixed_place_outside() {
        let short = Path::new("/home/me/town");
        assert_eq!(sockets_of(short), short.join("run"));
        for deep in ["/d".repeat(40), "/e".repeat(300)] {
            let deep = Path::new(&deep);
            let place = sockets_of(deep);
            assert_eq!(place, sockets_of(deep));
            assert!(place.starts_with("/tmp"), "{}", place.display());
            assert_ne!(place, sockets_of(&deep.join("other")));
            assert!(place.as_os_str().len() + LONGEST_SOCKET.len() <= SOCKET_PATH);
        }
        // The longest folder whose sockets still lie inside.
        let longest = format!(
            "/{}",
            "x".repeat(SOCKET_PATH - LONGEST_SOCKET.len() - "/run".len() - 1)
        );
        assert_eq!(sockets_of(Path::new(&longest)), Path::new(&longest).join("run"));
        assert!(sockets_of(Path::new(&format!("{longest}x"))).starts_with("/tmp"));
    }
}
