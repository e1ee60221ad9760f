//! The card's memory: in RAM, or in a file so that a card survives a restart; and the power that can fail at any write.
//!
//! A file is `YZT-CARD-MEMORY1` (16 bytes) and then the memory, byte for byte. Writes go to the file at once, in place:
//! what was written before a `kill -9` is there afterwards. A failure of the machine under the file is not imitated; the
//! card's own failures are ([`CardMemory::tear`]), and the applet's two generations answer to both.
//!
//! Left out on purpose: encryption. A chip that is opened shows its keys, and so does this file: it is created readable
//! for its owner only.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use card_applet::{Memory, MemoryFault};
use program_contract::file::{self as whole, Lock};

use crate::control::file;
use crate::error::Error;

/// What a memory file starts with.
const MAGIC: [u8; 16] = *b"YZT-CARD-MEMORY1";
/// Length of [`MAGIC`] as an offset in the file.
const HEAD: u64 = 16;

/// A card's memory. Clones are the same memory.
#[derive(Clone)]
pub struct CardMemory(Arc<Mutex<Cells>>);

struct Cells {
    bytes: Vec<u8>,
    file: Option<Lock>,
    /// Writes since this memory was opened.
    writes: u64,
    tear: Option<Tear>,
    /// Power failed in the middle of a write: nothing works until it is back.
    dark: bool,
}

struct Tear {
    at_write: u64,
    bytes: usize,
}

impl fmt::Debug for CardMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cells = self.cells();
        f.debug_struct("CardMemory")
            .field("bytes", &cells.bytes.len())
            .field("in_file", &cells.file.is_some())
            .field("writes", &cells.writes)
            .finish_non_exhaustive()
    }
}

impl CardMemory {
    /// A memory of so many bytes in RAM, all FF as flash leaves the factory.
    #[must_use]
    pub fn ram(bytes: usize) -> Self {
        Self::holding(vec![0xFF; bytes], None)
    }

    /// A memory in RAM with this content: the same card at an earlier moment, or a copy of a card.
    #[must_use]
    pub fn from_image(image: Vec<u8>) -> Self {
        Self::holding(image, None)
    }

    /// A new memory file of so many bytes, all FF. An existing file is never overwritten: it may be a card.
    ///
    /// # Errors
    ///
    /// [`Error::File`].
    pub fn create(path: &Path, bytes: usize) -> Result<Self, Error> {
        let mut content = MAGIC.to_vec();
        content.resize(MAGIC.len().saturating_add(bytes), 0xFF);
        // A full disk: half a card is none, and the name stays free for the next attempt.
        whole::create(path, &content, whole::PRIVATE).map_err(|source| file("create", path, source))?;
        Self::open(path)
    }

    /// Opens a card's memory file, for this process alone: one card cannot lie on two readers.
    ///
    /// # Errors
    ///
    /// [`Error::File`], [`Error::CardInUse`], [`Error::NotACard`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(|source| file("open", path, source))?;
        let lock = lock(opened, path)?;
        let opened = lock.file();
        let length = opened
            .metadata()
            .map_err(|source| file("read", path, source))?
            .len();
        let not_a_card = || Error::NotACard {
            path: path.to_owned(),
        };
        let bytes = length
            .checked_sub(HEAD)
            .and_then(|bytes| usize::try_from(bytes).ok())
            .ok_or_else(not_a_card)?;
        let mut head = [0; MAGIC.len()];
        opened
            .read_exact_at(&mut head, 0)
            .map_err(|source| file("read", path, source))?;
        if head != MAGIC {
            return Err(not_a_card());
        }
        let mut content = vec![0; bytes];
        opened
            .read_exact_at(&mut content, HEAD)
            .map_err(|source| file("read", path, source))?;
        Ok(Self::holding(content, Some(lock)))
    }

    /// The whole content, for comparing states and for copying a card.
    #[must_use]
    pub fn image(&self) -> Vec<u8> {
        self.cells().bytes.clone()
    }

    /// Writes since this memory was opened: a run without faults tells how many places there are to tear.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.cells().writes
    }

    /// Lets the power fail in the middle of a write: `write` counts from the next one, which is 1; `bytes` of it still
    /// reach the memory (all of them, if it is shorter).
    pub fn tear(&self, write: u32, bytes: u32) {
        let mut cells = self.cells();
        cells.tear = Some(Tear {
            at_write: cells.writes.saturating_add(u64::from(write)),
            bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
        });
    }

    /// Whether the power has failed.
    #[must_use]
    pub fn dark(&self) -> bool {
        self.cells().dark
    }

    /// Power is back.
    pub fn light(&self) {
        self.cells().dark = false;
    }

    fn holding(bytes: Vec<u8>, file: Option<Lock>) -> Self {
        Self(Arc::new(Mutex::new(Cells {
            bytes,
            file,
            writes: 0,
            tear: None,
            dark: false,
        })))
    }

    /// The cells are plain bytes: a thread that died holding them left them as a card without power.
    fn cells(&self) -> MutexGuard<'_, Cells> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory for CardMemory {
    fn len(&self) -> usize {
        self.cells().bytes.len()
    }

    fn read(&self, offset: usize, out: &mut [u8]) -> Result<(), MemoryFault> {
        let cells = self.cells();
        if cells.dark {
            return Err(MemoryFault);
        }
        let end = offset.checked_add(out.len()).ok_or(MemoryFault)?;
        out.copy_from_slice(cells.bytes.get(offset..end).ok_or(MemoryFault)?);
        Ok(())
    }

    fn write(&mut self, offset: usize, data: &[u8]) -> Result<(), MemoryFault> {
        self.cells().write(offset, data)
    }
}

impl Cells {
    fn write(&mut self, offset: usize, data: &[u8]) -> Result<(), MemoryFault> {
        if self.dark {
            return Err(MemoryFault);
        }
        self.writes += 1;
        let torn = self.tear.take_if(|tear| tear.at_write <= self.writes);
        let reaches = torn
            .as_ref()
            .map_or(data.len(), |tear| tear.bytes.min(data.len()));
        let data = data.get(..reaches).ok_or(MemoryFault)?;
        let end = offset.checked_add(reaches).ok_or(MemoryFault)?;
        self.bytes
            .get_mut(offset..end)
            .ok_or(MemoryFault)?
            .copy_from_slice(data);
        if let Some(file) = &self.file {
            let at = u64::try_from(offset)
                .map_err(|_| MemoryFault)?
                .saturating_add(HEAD);
            file.file().write_all_at(data, at).map_err(|_| MemoryFault)?;
        }
        self.dark = torn.is_some();
        if self.dark { Err(MemoryFault) } else { Ok(()) }
    }
}

fn lock(opened: File, path: &Path) -> Result<Lock, Error> {
    Lock::on(opened).map_err(|error| match error {
        TryLockError::WouldBlock => Error::CardInUse {
            path: path.to_owned(),
        },
        TryLockError::Error(source) => file("lock", path, source),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(memory: &CardMemory, offset: usize, length: usize) -> Vec<u8> {
        let mut out = vec![0; length];
        memory.read(offset, &mut out).unwrap();
        out
    }

    #[test]
    fn a_card_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.card");
        let mut memory = CardMemory::create(&path, 64).unwrap();
        memory.write(10, &[1, 2, 3]).unwrap();
        drop(memory);
        let memory = CardMemory::open(&path).unwrap();
        assert_eq!(memory.len(), 64);
        assert_eq!(read(&memory, 9, 5), [0xFF, 1, 2, 3, 0xFF]);
    }

    #[test]
    fn a_card_file_is_never_overwritten_and_never_opened_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.card");
        let memory = CardMemory::create(&path, 64).unwrap();
        assert_eq!(CardMemory::create(&path, 64).unwrap_err().code(), "FILE");
        assert_eq!(CardMemory::open(&path).unwrap_err().code(), "CARD_IN_USE");
        drop(memory);
        CardMemory::open(&path).unwrap();
    }

    #[test]
    fn a_file_that_is_no_card_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for content in [
            &b""[..],
            b"short",
            b"a file of some other program that is long enough",
        ] {
            let path = folder.path().join("x");
            std::fs::write(&path, content).unwrap();
            assert_eq!(CardMemory::open(&path).unwrap_err().code(), "NOT_A_CARD");
        }
    }

    #[test]
    fn a_torn_write_leaves_its_first_bytes_and_a_dark_card() {
        let mut memory = CardMemory::ram(16);
        memory.tear(2, 2);
        memory.write(0, &[1, 1, 1]).unwrap();
        assert_eq!(memory.write(4, &[2, 2, 2, 2]), Err(MemoryFault));
        assert!(memory.dark());
        assert_eq!(memory.read(0, &mut [0]), Err(MemoryFault));
        assert_eq!(memory.write(0, &[3]), Err(MemoryFault));
        memory.light();
        assert_eq!(read(&memory, 0, 8), [1, 1, 1, 0xFF, 2, 2, 0xFF, 0xFF]);
        memory.write(0, &[4]).unwrap();
        assert_eq!(memory.writes(), 3);
    }

    #[test]
    fn nothing_reads_or_writes_beyond_the_end() {
        let mut memory = CardMemory::ram(4);
        assert_eq!(memory.read(3, &mut [0; 2]), Err(MemoryFault));
        assert_eq!(memory.write(usize::MAX, &[0; 2]), Err(MemoryFault));
        assert_eq!(memory.write(5, &[]), Err(MemoryFault));
    }
}
