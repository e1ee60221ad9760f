//! Files that survive a loss of power and are there whole or not at all: written under another name in the same folder,
//! flushed, renamed, and the folder flushed too. And locks, which say that one process has a folder or a file.
//!
//! Left out: folders.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Rights of a file that only its owner reads.
pub const PRIVATE: u32 = 0o600;

/// Makes every file and folder that this process and its children make from now on one for their owner alone, whatever mask the process
/// was started with.
pub(crate) fn keep_private() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// A file that this process alone has, until this is dropped. It is given back outright then: a child that is just being started
/// has the file open too, for a moment, and closing it alone would leave it taken.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// Takes the file at `path`, which is made for its owner where there is none.
    ///
    /// # Errors
    /// [`TryLockError::WouldBlock`] while another has it; else the operating system's.
    pub fn at(path: &Path) -> Result<Self, TryLockError> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(PRIVATE)
            .open(path)
            .map_err(TryLockError::Error)?;
        Self::on(file)
    }

    /// Takes an open file.
    ///
    /// # Errors
    /// As [`Lock::at`].
    pub fn on(file: File) -> Result<Self, TryLockError> {
        file.try_lock()?;
        Ok(Self(file))
    }

    /// The file that is taken.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.0
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Where that fails it goes with the last who has the file open.
        let _ = self.0.unlock();
    }
}

/// The end of the name that a file has while it is written.
const UNFINISHED: &str = ".unfinished";

/// More unfinished files than processes of one number left beside one file.
const LEFTOVERS: usize = 1000;

/// A name beside `path` that is ours alone, whoever writes the same file at the same time.
fn unfinished(path: &Path) -> PathBuf {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let mut name = OsString::from(path);
    name.push(format!(
        ".{}-{}{UNFINISHED}",
        std::process::id(),
        WRITTEN.fetch_add(1, Ordering::Relaxed)
    ));
    PathBuf::from(name)
}

/// Takes away what dead processes left unfinished in the folder of `path`: a file that is incomplete, or a second name of one
/// that is whole. Once for each folder and process, so that a large folder is read once.
fn sweep_folder_of(path: &Path) {
    static SWEPT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let folder = folder_of(path).to_owned();
    if SWEPT
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(folder.clone())
    {
        take_leftovers(&folder);
    }
}

fn take_leftovers(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        // What the folder keeps from us stays.
        if writer(&entry.file_name()).is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            forget(&entry.path());
        }
    }
}

/// The process that writes an unfinished file, by the file's name.
fn writer(name: &OsStr) -> Option<String> {
    let name = name.to_str()?.strip_suffix(UNFINISHED)?;
    let (process, written) = name.rsplit_once('.')?.1.split_once('-')?;
    let is_number = |text: &str| text.parse::<u64>().is_ok();
    (is_number(process) && is_number(written)).then(|| process.to_owned())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Reads a file of at most `most` bytes; no pipe or device makes it read on.
///
/// # Errors
/// [`io::ErrorKind::FileTooLarge`] for a longer one; else the operating system's.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= most) {
        Ok(bytes)
    } else {
        Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is longer than {most} bytes"),
        ))
    }
}

/// As [`read`], of a text in UTF-8.
///
/// # Errors
/// As [`read`]; [`io::ErrorKind::InvalidData`] for bytes that are no such text.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read(path, most)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no text in UTF-8"))
}

/// Writes a file as a whole with the rights `mode` (as in chmod, less the mask), in place of the file that was there. A link is
/// replaced itself, and what it points to stays as it is.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] for a device, pipe, socket or folder, which stays; else the operating system's. The old
/// file stands then; or the new one, where only the flush of the folder failed.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    if std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file() && !found.is_symlink()) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "there is something there that is no file",
        ));
    }
    let temporary = write_beside(path, bytes, mode)?;
    rename(&temporary, path).inspect_err(|_| forget(&temporary))
}

/// Writes a file as a whole where none is yet.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] when there is one, which stays as it is; else the operating system's, and no file is left.
pub fn create(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temporary = write_beside(path, bytes, mode)?;
    // A link, unlike a rename, does not replace what is there.
    let linked = std::fs::hard_link(&temporary, path);
    forget(&temporary);
    match linked {
        // A file system without links, such as a stick's: claimed by its name first, so still nothing is replaced.
        Err(error) if is_without_links(&error) => {
            write_new(path, bytes, mode).inspect_err(|error| {
                if error.kind() != io::ErrorKind::AlreadyExists {
                    forget(path);
                }
            })?;
        }
        linked => linked?,
    }
    // Without it nobody may rely on the file, and the next try would find it there.
    flush_folder_of(path).inspect_err(|_| forget(path))
}

/// Moves a file that is whole to another name on the same file system, in place of what was there.
///
/// # Errors
/// The operating system's.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    flush_folder_of(to)?;
    flush_folder_of(from)
}

/// Takes a file away for good; one that is not there is no error.
///
/// # Errors
/// The operating system's.
pub fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => flush_folder_of(path),
    }
}

/// Makes the names in the folder of `path` survive a loss of power.
///
/// # Errors
/// The operating system's.
pub fn flush_folder_of(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

fn write_beside(path: &Path, bytes: &[u8], mode: u32) -> io::Result<PathBuf> {
    if path.file_name().is_none() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path names no file",
        ));
    }
    sweep_folder_of(path);
    for _ in 0..LEFTOVERS {
        let temporary = unfinished(path);
        match write_new(&temporary, bytes, mode) {
            // The name is not ours: in another container, or before this one was started anew, a process had this number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                forget(&temporary);
                return Err(error);
            }
            Ok(()) => return Ok(temporary),
        }
    }
    Err(io::Error::other("the folder is full of unfinished files"))
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn is_without_links(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported
    )
}

/// Ours, and incomplete or linked elsewhere; what went wrong is said by the caller.
fn forget(temporary: &Path) {
    let _ = std::fs::remove_file(temporary);
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_lock_is_for_one_and_is_given_back_though_a_child_that_starts_has_the_file_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = Lock::at(&path).unwrap();
        assert_eq!(mode(&path), PRIVATE);
        assert!(matches!(Lock::at(&path), Err(TryLockError::WouldBlock)));
        // What a child has between its fork and its program.
        let copy = lock.file().try_clone().unwrap();
        drop(lock);
        Lock::at(&path).unwrap();
        drop(copy);
    }

    #[test]
    fn a_file_without_end_is_not_read_and_one_of_the_limit_is() {
        let error = read(Path::new("/dev/zero"), 1024).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert!(error.to_string().contains("1024"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for length in [0, 1023, 1024] {
            std::fs::write(&path, vec![b'x'; length]).unwrap();
            assert_eq!(read(&path, 1024).unwrap().len(), length);
        }
        std::fs::write(&path, [0xFF]).unwrap();
        assert_eq!(
            read_text(&path, 1024).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }

    #[test]
    fn what_a_process_of_our_number_left_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        // Some of the names that come next.
        let (first, number) = (unfinished(&path), std::process::id());
        let first: u64 = first
            .to_str()
            .and_then(|name| name.strip_suffix(UNFINISHED)?.rsplit_once('-'))
            .map(|(_, counted)| counted.parse().unwrap())
            .unwrap();
        for counted in first..first + 20 {
            let name = format!("key.{number}-{counted}{UNFINISHED}");
            std::fs::write(folder.path().join(name), b"left").unwrap();
        }
        create(&path, b"whole", PRIVATE).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        replace(&path, b"again", PRIVATE).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"again");
    }

    #[test]
    fn only_a_file_or_a_link_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, socket) = (folder.path().join("folder"), folder.path().join("socket"));
        std::fs::create_dir(&inner).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for path in [&inner, &socket] {
            let error = replace(path, b"new", PRIVATE).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{}", path.display());
            assert!(!std::fs::metadata(path).unwrap().is_file());
        }
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        std::fs::write(&target, "stays").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        replace(&link, b"new", PRIVATE).unwrap();
        assert_eq!(std::fs::read(&link).unwrap(), b"new");
        assert_eq!(std::fs::read(&target).unwrap(), b"stays");
    }

    #[test]
    fn a_file_is_replaced_whole_with_its_rights_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "old").unwrap();
        replace(&path, b"new", PRIVATE).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(mode(&path), 0o600);
        replace(&path, b"for all", 0o644).unwrap();
        assert_eq!(mode(&path), 0o644);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        remove(&path).unwrap();
        remove(&path).unwrap();
    }

    #[test]
    fn of_many_who_create_one_file_one_does_and_its_bytes_are_the_files() {
        let folder = tempfile::tempdir().unwrap();
        for round in 0..20 {
            let path = folder.path().join(format!("key-{round}"));
            let won: Vec<Vec<u8>> = std::thread::scope(|scope| {
                let writers: Vec<_> = (0..4_u8)
                    .map(|writer| {
                        let path = path.clone();
                        scope.spawn(move || {
                            let bytes = vec![writer; 70_000];
                            create(&path, &bytes, PRIVATE).is_ok().then_some(bytes)
                        })
                    })
                    .collect();
                writers
                    .into_iter()
                    .filter_map(|writer| writer.join().unwrap())
                    .collect()
            });
            assert_eq!(won.len(), 1);
            assert_eq!(std::fs::read(&path).unwrap(), won[0]);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 20);
    }

    #[test]
    fn of_many_who_replace_one_file_each_writes_it_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("face.png");
        std::thread::scope(|scope| {
            for writer in 0..4_u8 {
                let path = path.clone();
                scope.spawn(move || {
                    for _ in 0..20 {
                        replace(&path, &vec![writer; 70_000], PRIVATE).unwrap();
                        let read = std::fs::read(&path).unwrap();
                        assert_eq!(read.len(), 70_000);
                        assert!(read.windows(2).all(|two| two[0] == two[1]));
                    }
                });
            }
        });
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_there_is_not_created_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        create(&path, b"first", PRIVATE).unwrap();
        let error = create(&path, b"second", PRIVATE).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_dead_process_left_goes_at_the_next_write_and_what_a_living_one_writes_stays() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let whole = at("key.pem");
        std::fs::write(&whole, "key").unwrap();
        // No process has a number above the kernel's largest (4194304).
        std::fs::hard_link(&whole, at("key.pem.4194305-0.unfinished")).unwrap();
        std::fs::write(at("face.png.4999999-12.unfinished"), "half").unwrap();
        let kept = [
            "face.png.1-3.unfinished".to_owned(),
            format!("face.png.{}-99.unfinished", std::process::id()),
            "essay.unfinished".to_owned(),
            "essay.part-2.unfinished".to_owned(),
        ];
        for name in &kept {
            std::fs::write(at(name), "other").unwrap();
        }
        create(&at("other"), b"new", PRIVATE).unwrap();
        let mut names: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        let mut expected = [&kept[..], &["key.pem".to_owned(), "other".to_owned()]].concat();
        expected.sort_unstable();
        assert_eq!(names, expected);
    }

    #[test]
    fn a_folder_that_is_not_there_and_a_path_without_a_name_are_errors_and_no_file() {
        let folder = tempfile::tempdir().unwrap();
        assert!(replace(&folder.path().join("none/a.png"), b"x", PRIVATE).is_err());
        assert!(create(&folder.path().join("none/a.png"), b"x", PRIVATE).is_err());
        assert!(replace(Path::new(".."), b"x", PRIVATE).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_cannot_be_put_in_place_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a-folder");
        std::fs::create_dir(&path).unwrap();
        assert!(replace(&path, b"x", PRIVATE).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
