//! BER-TLV with strict minimal lengths (ISO/IEC 8825-1; chapter 01). Tags of three bytes and indefinite lengths are left out.

use crate::bytes::{Count, Write};
use crate::error::Error;

const MALFORMED: Error = Error::Malformed { what: "TLV" };

/// One object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// Tag, one or two bytes as a number: `0x81`, `0x5F37`.
    pub tag: u16,
    /// Value.
    pub value: &'a [u8],
    /// Tag, length and value as they stood.
    pub raw: &'a [u8],
}

impl core::fmt::Debug for Tlv<'_> {
    /// Tag and length: a value may be a key or a name.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Tlv({:02X}, {} bytes)", self.tag, self.value.len())
    }
}

/// Takes the first object of `bytes`; gives it and the rest.
///
/// # Errors
/// [`Error::Malformed`] for a tag of more than two bytes, a length that is not minimal, or a value that is cut.
pub fn parse(bytes: &[u8]) -> Result<(Tlv<'_>, &[u8]), Error> {
    let (first, rest) = bytes.split_first().ok_or(MALFORMED)?;
    let (tag, rest) = if first & 0x1F == 0x1F {
        let (second, rest) = rest.split_first().ok_or(MALFORMED)?;
        // A further byte would follow, or the number would have fitted into one byte.
        if second & 0x80 != 0 || *second < 0x1F {
            return Err(MALFORMED);
        }
        (u16::from_be_bytes([*first, *second]), rest)
    } else if *first == 0 {
        return Err(MALFORMED);
    } else {
        (u16::from(*first), rest)
    };
    let (length, rest) = match rest {
        [short @ 0..=0x7F, rest @ ..] => (u32::from(*short), rest),
        [0x81, a, rest @ ..] if *a >= 0x80 => (u32::from(*a), rest),
        [0x82, a, b, rest @ ..] if *a > 0 => (u32::from_be_bytes([0, 0, *a, *b]), rest),
        [0x83, a, b, c, rest @ ..] if *a > 0 => (u32::from_be_bytes([0, *a, *b, *c]), rest),
        _ => return Err(MALFORMED),
    };
    let length = usize::try_from(length).map_err(|_| MALFORMED)?;
    let (value, rest) = rest.split_at_checked(length).ok_or(MALFORMED)?;
    let used = bytes.len().saturating_sub(rest.len());
    let raw = bytes.get(..used).ok_or(MALFORMED)?;
    Ok((Tlv { tag, value, raw }, rest))
}

/// Takes exactly one object.
///
/// # Errors
/// As [`parse`], and for bytes behind the object.
pub fn parse_only(bytes: &[u8]) -> Result<Tlv<'_>, Error> {
    match parse(bytes)? {
        (object, []) => Ok(object),
        _ => Err(MALFORMED),
    }
}

/// Takes a signed file: the template `tag`, then `5F37` with a signature64, and nothing else. The signature is not checked:
/// whose it must be may stand in the template.
///
/// # Errors
/// As [`parse_only`]; [`Error::Malformed`] for another tag or length.
pub(crate) fn parse_signed<'a>(
    file: &'a [u8],
    tag: u16,
    what: &'static str,
) -> Result<(Tlv<'a>, [u8; 64]), Error> {
    let (body, rest) = parse(file)?;
    let signature = parse_only(rest)?;
    if body.tag != tag || signature.tag != 0x5F37 {
        return Err(Error::Malformed { what });
    }
    let signature = signature
        .value
        .try_into()
        .map_err(|_| Error::Malformed { what })?;
    Ok((body, signature))
}

/// The fields of a template, taken in order. Unknown tags are skipped; a known tag out of order or twice is refused.
#[derive(Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
    known: &'static [u16],
    what: &'static str,
}

impl core::fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Fields({}, {} bytes left)", self.what, self.rest.len())
    }
}

impl<'a> Fields<'a> {
    /// Reads the inside of a template. `known` lists every tag that this template may hold; `what` names it in errors.
    #[must_use]
    pub const fn new(bytes: &'a [u8], known: &'static [u16], what: &'static str) -> Self {
        Self {
            rest: bytes,
            known,
            what,
        }
    }

    /// The next known object without taking it.
    fn peek(&mut self) -> Result<Option<(Tlv<'a>, &'a [u8])>, Error> {
        while !self.rest.is_empty() {
            let (object, rest) = parse(self.rest).map_err(|_| self.malformed())?;
            if self.known.contains(&object.tag) {
                return Ok(Some((object, rest)));
            }
            self.rest = rest;
        }
        Ok(None)
    }

    /// The object `tag` if it comes next.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the bytes are no TLV.
    pub fn optional(&mut self, tag: u16) -> Result<Option<Tlv<'a>>, Error> {
        match self.peek()? {
            Some((object, rest)) if object.tag == tag => {
                self.rest = rest;
                Ok(Some(object))
            }
            _ => Ok(None),
        }
    }

    /// The object `tag`, which must come next.
    ///
    /// # Errors
    /// [`Error::Malformed`] when it does not.
    pub fn required(&mut self, tag: u16) -> Result<Tlv<'a>, Error> {
        let malformed = self.malformed();
        self.optional(tag)?.ok_or(malformed)
    }

    /// A required object of exactly `N` bytes.
    ///
    /// # Errors
    /// [`Error::Malformed`] when it is missing or of another length.
    pub fn array<const N: usize>(&mut self, tag: u16) -> Result<[u8; N], Error> {
        let malformed = self.malformed();
        self.required(tag)?.value.try_into().map_err(|_| malformed)
    }

    /// An optional value of exactly `N` bytes.
    ///
    /// # Errors
    /// [`Error::Malformed`] when it is of another length.
    pub(crate) fn optional_array<const N: usize>(&mut self, tag: u16) -> Result<Option<[u8; N]>, Error> {
        let malformed = self.malformed();
        let found = self.optional(tag)?;
        found
            .map(|object| object.value.try_into().map_err(|_| malformed))
            .transpose()
    }

    /// A required text of `min` to `max` bytes.
    ///
    /// # Errors
    /// [`Error::Malformed`] when it is missing, no UTF-8, or of another length.
    pub fn text(&mut self, tag: u16, min: usize, max: usize) -> Result<&'a str, Error> {
        let malformed = self.malformed();
        let value = self.required(tag)?.value;
        if value.len() < min || value.len() > max {
            return Err(malformed);
        }
        core::str::from_utf8(value).map_err(|_| malformed)
    }

    /// Nothing known may be left.
    ///
    /// # Errors
    /// [`Error::Malformed`] when something is.
    pub fn end(mut self) -> Result<(), Error> {
        if self.peek()?.is_none() {
            Ok(())
        } else {
            Err(self.malformed())
        }
    }

    const fn malformed(&self) -> Error {
        Error::Malformed { what: self.what }
    }
}

/// Writes one object.
///
/// # Errors
/// [`Error::TooLong`] when there is no room or the value is longer than 16,777,215 bytes.
pub fn put(out: &mut dyn Write, tag: u16, value: &[u8]) -> Result<(), Error> {
    head(out, tag, value.len())?;
    out.put(value)
}

/// Writes a template whose inside is written by `inside` (called twice: to count, then to write).
///
/// # Errors
/// [`Error::TooLong`] when there is no room.
pub(crate) fn put_template(
    out: &mut dyn Write,
    tag: u16,
    inside: &dyn Fn(&mut dyn Write) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut count = Count::default();
    inside(&mut count)?;
    head(out, tag, count.0)?;
    inside(out)
}

fn head(out: &mut dyn Write, tag: u16, length: usize) -> Result<(), Error> {
    match tag.to_be_bytes() {
        [0, tag] => out.put(&[tag])?,
        two => out.put(&two)?,
    }
    let length = u32::try_from(length).map_err(|_| Error::TooLong { what: "TLV" })?;
    match length.to_be_bytes() {
        [0, 0, 0, a @ 0..=0x7F] => out.put(&[a]),
        [0, 0, 0, a] => out.put(&[0x81, a]),
        [0, 0, a, b] => out.put(&[0x82, a, b]),
        [0, a, b, c] => out.put(&[0x83, a, b, c]),
        _ => Err(Error::TooLong { what: "TLV" }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bytes::Bytes;

    #[test]
    fn lengths_must_be_minimal() {
        for bad in [
            &[0x81, 0x81, 0x01, 0xAA][..],
            &[0x81, 0x82, 0x00, 0x80],
            &[0x81, 0x80],
            &[0x81, 0x02, 0xAA],
            &[0x1F],
            &[0x5F, 0x81, 0x01, 0x00],
            &[0x5F, 0x1E, 0x00],
            &[0x00, 0x00],
            &[],
        ] {
            assert!(parse(bad).is_err(), "{bad:02x?}");
        }
        assert_eq!(parse_only(&[0x5F, 0x37, 0x01, 0xAA]).unwrap().tag, 0x5F37);
        assert!(parse_only(&[0x81, 0x01, 0xAA, 0x00]).is_err());
    }

    #[test]
    fn a_known_tag_twice_is_refused_and_an_unknown_one_skipped() {
        let mut fields = Fields::new(&[0x81, 1, 7, 0x99, 1, 0, 0x82, 1, 8], &[0x81, 0x82], "test");
        assert_eq!(fields.array::<1>(0x81).unwrap(), [7]);
        assert_eq!(fields.array::<1>(0x82).unwrap(), [8]);
        fields.end().unwrap();
        let mut fields = Fields::new(&[0x81, 1, 7, 0x81, 1, 8, 0x82, 1, 8], &[0x81, 0x82], "test");
        fields.array::<1>(0x81).unwrap();
        assert!(fields.array::<1>(0x82).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(tag in prop_oneof![Just(0x81_u16), Just(0x5F37), Just(0x7F50)], value in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut out = Bytes::<600>::new();
            put(&mut out, tag, &value).unwrap();
            let object = parse_only(&out).unwrap();
            prop_assert_eq!(object.tag, tag);
            prop_assert_eq!(object.value, &value[..]);
            prop_assert_eq!(object.raw, &out[..]);
        }

        #[test]
        fn parsing_never_panics_and_keeps_to_the_input(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok((object, rest)) = parse(&bytes) {
                prop_assert_eq!(object.raw.len().saturating_add(rest.len()), bytes.len());
                let mut again = Bytes::<128>::new();
                put(&mut again, object.tag, object.value).unwrap();
                prop_assert_eq!(&again[..], object.raw);
            }
        }
    }
}
