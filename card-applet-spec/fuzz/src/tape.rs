//! How an input is read: byte for byte from the front, zeros behind its end. So an input can be written by hand, a byte
//! that is changed changes one decision, and one that is cut keeps its beginning (`arbitrary` reads lengths from the end:
//! a seed could not be made from a vector).

/// An input, read from the front.
#[derive(Debug, Clone)]
pub struct Tape<'a> {
    rest: &'a [u8],
}

impl<'a> Tape<'a> {
    /// From the start.
    #[must_use]
    pub const fn new(input: &'a [u8]) -> Self {
        Self { rest: input }
    }

    /// Nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte; 0 behind the end.
    pub fn byte(&mut self) -> u8 {
        match self.rest.split_first() {
            Some((first, rest)) => {
                self.rest = rest;
                *first
            }
            None => 0,
        }
    }

    /// The next `N` bytes, zeros behind the end.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    /// A number of two bytes, big endian.
    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    /// A number of four bytes, big endian.
    pub fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    /// Up to `count` of the bytes that are left.
    pub(crate) fn up_to(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// A length byte and as many bytes.
    pub fn short(&mut self) -> &'a [u8] {
        let count = self.byte();
        self.up_to(usize::from(count))
    }

    /// Everything that is left.
    pub fn all(&mut self) -> &'a [u8] {
        self.up_to(usize::MAX)
    }

    /// One of `choices`.
    pub fn choose<T: Copy>(&mut self, choices: &[T]) -> T {
        let index = usize::from(self.byte()).checked_rem(choices.len()).unwrap_or(0);
        *choices.get(index).expect("a choice is made among something")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_read_from_the_front_and_ends_in_zeros() {
        let mut tape = Tape::new(&[2, 7, 8, 1, 2]);
        assert_eq!(tape.short(), [7, 8]);
        assert_eq!(tape.u16(), 0x0102);
        assert!(tape.is_empty());
        assert_eq!(tape.u32(), 0);
        assert!(tape.all().is_empty());
        assert_eq!(tape.choose(&[5, 6]), 5);
    }
}
