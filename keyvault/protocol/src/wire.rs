//! The small types of the wire: points, signatures, and codecs for dates, instants and raw bytes. Roles, regions and
//! serials are the card specification's.

use card_applet_spec::codes::Region;
use minicbor::decode::Error as DecodeError;
use minicbor::{Decoder, Encoder};

use crate::error::Error;

/// A P-256 point, uncompressed SEC1: `04 || X || Y`.
pub type PointBytes = [u8; 65];
/// An ECDSA P-256 signature, `r || s`, big endian.
pub type SignatureBytes = [u8; 64];

/// A division of GB/T 2260 from its six digits, the first of them not zero (440300 is Shenzhen). A card carries any six
/// digits; the vault makes keys for divisions only.
///
/// # Errors
/// [`Error::NotARegion`].
pub fn division(text: &str) -> Result<Region, Error> {
    text.parse()
        .ok()
        .filter(|region: &Region| region.is_division())
        .ok_or(Error::NotARegion)
}

/// Dates as text, `YYYY-MM-DD`.
pub(crate) mod date {
    use super::{DecodeError, Decoder, Encoder};
    use jiff::civil::Date;

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the derive macro calls it with a reference"
    )]
    pub(crate) fn encode<C, W: minicbor::encode::Write>(
        date: &Date,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(&date.to_string())?.ok()
    }

    pub(crate) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Date, DecodeError> {
        d.str()?
            .parse()
            .map_err(|_| DecodeError::message("not a date YYYY-MM-DD"))
    }
}

/// Dates that may be absent.
pub(crate) mod optional_date {
    use super::{DecodeError, Decoder, Encoder};
    use jiff::civil::Date;

    #[expect(
        clippy::ref_option,
        clippy::trivially_copy_pass_by_ref,
        reason = "the derive macro calls it with a reference"
    )]
    pub(crate) fn encode<C, W: minicbor::encode::Write>(
        date: &Option<Date>,
        e: &mut Encoder<W>,
        context: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match date {
            Some(date) => super::date::encode(date, e, context),
            None => e.null()?.ok(),
        }
    }

    pub(crate) fn decode<C>(d: &mut Decoder<'_>, context: &mut C) -> Result<Option<Date>, DecodeError> {
        if d.datatype()? == minicbor::data::Type::Null {
            d.null()?;
            return Ok(None);
        }
        super::date::decode(d, context).map(Some)
    }
}

/// Instants as seconds since 1970, UTC.
pub(crate) mod instant {
    use super::{DecodeError, Decoder, Encoder};
    use jiff::Timestamp;

    pub(crate) fn encode<C, W: minicbor::encode::Write>(
        at: &Timestamp,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.i64(at.as_second())?.ok()
    }

    pub(crate) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Timestamp, DecodeError> {
        Timestamp::from_second(d.i64()?).map_err(|_| DecodeError::message("not an instant"))
    }
}

/// Instants that may be absent.
pub(crate) mod optional_instant {
    use super::{DecodeError, Decoder, Encoder};
    use jiff::Timestamp;

    #[expect(clippy::ref_option, reason = "the derive macro calls it with a reference")]
    pub(crate) fn encode<C, W: minicbor::encode::Write>(
        at: &Option<Timestamp>,
        e: &mut Encoder<W>,
        context: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match at {
            Some(at) => super::instant::encode(at, e, context),
            None => e.null()?.ok(),
        }
    }

    pub(crate) fn decode<C>(d: &mut Decoder<'_>, context: &mut C) -> Result<Option<Timestamp>, DecodeError> {
        if d.datatype()? == minicbor::data::Type::Null {
            d.null()?;
            return Ok(None);
        }
        super::instant::decode(d, context).map(Some)
    }
}

/// Lists of byte strings.
pub(crate) mod byte_strings {
    use super::{DecodeError, Decoder, Encoder};

    /// More items than any script or tape of answers has; a length prefix beyond it is an attack, not data.
    const MAX_ITEMS: u64 = 4096;

    pub(crate) fn encode<C, W: minicbor::encode::Write>(
        items: &[Vec<u8>],
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(items.len() as u64)?;
        for item in items {
            e.bytes(item)?;
        }
        Ok(())
    }

    pub(crate) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Vec<Vec<u8>>, DecodeError> {
        let count = d
            .array()?
            .ok_or_else(|| DecodeError::message("a list of unknown length"))?;
        if count > MAX_ITEMS {
            return Err(DecodeError::message("too many byte strings"));
        }
        (0..count).map(|_| d.bytes().map(<[u8]>::to_vec)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_has_six_digits_and_does_not_begin_with_zero() {
        assert_eq!(division("440300").unwrap().number(), 440_300);
        for wrong in ["44030", "4403000", "044030", "44030x", "", "+44030"] {
            assert!(matches!(division(wrong), Err(Error::NotARegion)), "{wrong}");
        }
    }
}
