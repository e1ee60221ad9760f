//! The small types of the wire: roles, regions, and codecs for dates, instants and raw bytes.

use std::fmt;
use std::str::FromStr;

use minicbor::decode::Error as DecodeError;
use minicbor::{Decode, Decoder, Encode, Encoder};

use crate::Error;

/// Ten bytes that the lot gives to a blank: `issuer(2) || lot(4) || number(4)`, big endian.
pub type CardSerial = [u8; 10];
/// A P-256 point, uncompressed SEC1: `04 || X || Y`.
pub type PointBytes = [u8; 65];
/// An ECDSA P-256 signature, `r || s`, big endian.
pub type SignatureBytes = [u8; 64];

/// The five entitlement roles of the card, with the numbers of the card specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Role {
    /// Bus and metro.
    #[n(1)]
    Transit,
    /// Social insurance.
    #[n(2)]
    SocialInsurance,
    /// Small payments (a capped offline counter).
    #[n(3)]
    SmallPayment,
    /// Clinics and hospitals.
    #[n(4)]
    Clinic,
    /// Doors of housing and work places.
    #[n(5)]
    Door,
}

impl Role {
    /// All roles in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::Transit,
        Self::SocialInsurance,
        Self::SmallPayment,
        Self::Clinic,
        Self::Door,
    ];

    /// The role's number on the card, 1 to 5.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Transit => 1,
            Self::SocialInsurance => 2,
            Self::SmallPayment => 3,
            Self::Clinic => 4,
            Self::Door => 5,
        }
    }

    /// The role of a number, if there is one.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Transit),
            2 => Some(Self::SocialInsurance),
            3 => Some(Self::SmallPayment),
            4 => Some(Self::Clinic),
            5 => Some(Self::Door),
            _ => None,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transit => "TRANSIT",
            Self::SocialInsurance => "SOCIAL_INSURANCE",
            Self::SmallPayment => "SMALL_PAYMENT",
            Self::Clinic => "CLINIC",
            Self::Door => "DOOR",
        })
    }
}

/// A division of GB/T 2260: six digits, the first of them not zero (440300 is Shenzhen).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(u32);

impl Region {
    /// The six digits as a number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Region {
    type Error = Error;

    fn try_from(number: u32) -> Result<Self, Error> {
        if (100_000..=999_999).contains(&number) {
            Ok(Self(number))
        } else {
            Err(Error::NotARegion)
        }
    }
}

impl FromStr for Region {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.len() != 6 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Error::NotARegion);
        }
        text.parse::<u32>().map_err(|_| Error::NotARegion)?.try_into()
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}", self.0)
    }
}

impl<C> Encode<C> for Region {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.u32(self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Region {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        Self::try_from(d.u32()?).map_err(|_| DecodeError::message("not a division of GB/T 2260"))
    }
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
        assert_eq!("440300".parse::<Region>().unwrap().number(), 440_300);
        for wrong in ["44030", "4403000", "044030", "44030x", "", "+44030"] {
            assert!(wrong.parse::<Region>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_role_comes_back_from_its_number() {
        for role in Role::ALL {
            assert_eq!(Role::from_number(role.number()), Some(role));
        }
        assert_eq!(Role::from_number(0), None);
        assert_eq!(Role::from_number(6), None);
    }
}
