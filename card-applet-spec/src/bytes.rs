//! Reading and writing fixed fields without indexing: a cursor over a slice, and sinks for bytes.

use crate::error::Error;

/// Bytes in a buffer of fixed room.
pub type Bytes<const N: usize> = heapless::Vec<u8, N>;

/// A cursor that takes fields from the front of a slice.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl core::fmt::Debug for Reader<'_> {
    /// What is read, not its bytes: they may be keys.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Reader({}, {} bytes left)", self.what, self.rest.len())
    }
}

impl<'a> Reader<'a> {
    /// Reads `bytes`; `what` names the object in errors.
    #[must_use]
    pub const fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(self.malformed())?;
        self.rest = rest;
        Ok(*head)
    }

    /// The next `N` bytes, where they lie.
    pub fn borrowed<const N: usize>(&mut self) -> Result<&'a [u8; N], Error> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(self.malformed())?;
        self.rest = rest;
        Ok(head)
    }

    /// The next `count` bytes.
    pub fn slice(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(self.malformed())?;
        self.rest = rest;
        Ok(head)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Error> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    /// Two bytes, big endian.
    pub fn u16(&mut self) -> Result<u16, Error> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// Four bytes, big endian.
    pub fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// Eight bytes, big endian.
    pub fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// What has not been taken yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Refuses bytes behind the last field.
    pub fn end(self) -> Result<(), Error> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.malformed())
        }
    }

    /// The error of this object.
    #[must_use]
    pub const fn malformed(&self) -> Error {
        Error::Malformed { what: self.what }
    }
}

/// Something that takes bytes.
pub trait Write {
    /// Appends `bytes`, all or nothing.
    ///
    /// # Errors
    /// [`Error::TooLong`] when there is no room.
    fn put(&mut self, bytes: &[u8]) -> Result<(), Error>;
}

impl<const N: usize> Write for Bytes<N> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.extend_from_slice(bytes)
            .map_err(|_| Error::TooLong { what: "output" })
    }
}

/// Counts bytes and keeps none.
#[derive(Debug, Default, Clone, Copy)]
pub struct Count(pub usize);

impl Write for Count {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.0 = self
            .0
            .checked_add(bytes.len())
            .ok_or(Error::TooLong { what: "output" })?;
        Ok(())
    }
}

/// Writes into a slice of the caller.
pub struct SliceWriter<'a> {
    room: &'a mut [u8],
    used: usize,
}

impl core::fmt::Debug for SliceWriter<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "SliceWriter({} of {} bytes)", self.used, self.room.len())
    }
}

impl<'a> SliceWriter<'a> {
    /// Writes from the start of `room`.
    pub fn new(room: &'a mut [u8]) -> Self {
        Self { room, used: 0 }
    }

    /// Bytes written.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.used
    }

    /// True before the first byte.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.used == 0
    }
}

impl Write for SliceWriter<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let too_long = Error::TooLong { what: "output" };
        let end = self.used.checked_add(bytes.len()).ok_or(too_long)?;
        let room = self.room.get_mut(self.used..end).ok_or(too_long)?;
        // Both are as long; `copy_from_slice` would compare them once more, and have a way to panic.
        for (to, from) in room.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.used = end;
        Ok(())
    }
}
