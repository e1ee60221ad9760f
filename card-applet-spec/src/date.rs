//! Dates on card and wire: a calendar day in packed BCD (chapter 01). Pure arithmetic on the Gregorian calendar; no clock.

use core::fmt;

use crate::error::Error;

/// A calendar day, 4 bytes packed BCD `YYYYMMDD`, or none (all zero). Orders as bytes do: none is before every day.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Date([u8; 4]);

const MALFORMED: Error = Error::Malformed { what: "date" };

impl Date {
    /// "No date".
    pub const NONE: Self = Self([0; 4]);

    /// Parses the four bytes.
    ///
    /// # Errors
    /// [`Error::Malformed`] when it is neither a real day nor all zero.
    pub fn from_bytes(bytes: [u8; 4]) -> Result<Self, Error> {
        if bytes == [0; 4] {
            return Ok(Self::NONE);
        }
        let [c, y, m, d] = bytes;
        let (c, y, m, d) = (unbcd(c)?, unbcd(y)?, unbcd(m)?, unbcd(d)?);
        let year = u16::from(c)
            .checked_mul(100)
            .and_then(|c| c.checked_add(u16::from(y)))
            .ok_or(MALFORMED)?;
        Self::new(year, m, d)
    }

    /// A day of the Gregorian calendar, years 1 to 9999.
    ///
    /// # Errors
    /// [`Error::Malformed`] when there is no such day.
    pub fn new(year: u16, month: u8, day: u8) -> Result<Self, Error> {
        if !(1..=9999).contains(&year) || day == 0 || day > days_in_month(year, month) {
            return Err(MALFORMED);
        }
        let century = u8::try_from(year.checked_div(100).ok_or(MALFORMED)?).map_err(|_| MALFORMED)?;
        let in_century = u8::try_from(year.checked_rem(100).ok_or(MALFORMED)?).map_err(|_| MALFORMED)?;
        Ok(Self([bcd(century), bcd(in_century), bcd(month), bcd(day)]))
    }

    /// The four bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 4] {
        self.0
    }

    /// True for "no date".
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// Year, month, day; zeros for none.
    #[must_use]
    pub fn parts(self) -> (u16, u8, u8) {
        let [c, y, m, d] = self.0.map(|byte| unbcd(byte).unwrap_or(0));
        (
            u16::from(c).saturating_mul(100).saturating_add(u16::from(y)),
            m,
            d,
        )
    }

    /// `YYYY-MM-DD` in ASCII; zeros for none.
    #[must_use]
    pub const fn to_text(self) -> [u8; 10] {
        let [c, y, m, d] = self.0;
        [
            b'0' | c >> 4,
            b'0' | c & 15,
            b'0' | y >> 4,
            b'0' | y & 15,
            b'-',
            b'0' | m >> 4,
            b'0' | m & 15,
            b'-',
            b'0' | d >> 4,
            b'0' | d & 15,
        ]
    }

    /// Days since 1 March of year 0 (a count for differences, not a date of any era).
    #[must_use]
    pub fn day_number(self) -> u32 {
        let (year, month, day) = self.parts();
        // Years begin in March, so that the leap day is the last of a year.
        let (y, m) = if month < 3 {
            (
                u32::from(year).saturating_sub(1),
                u32::from(month).saturating_add(9),
            )
        } else {
            (u32::from(year), u32::from(month).saturating_sub(3))
        };
        let month_days = m
            .saturating_mul(153)
            .saturating_add(2)
            .checked_div(5)
            .unwrap_or(0);
        y.saturating_mul(365)
            .saturating_add(y.checked_div(4).unwrap_or(0))
            .saturating_sub(y.checked_div(100).unwrap_or(0))
            .saturating_add(y.checked_div(400).unwrap_or(0))
            .saturating_add(month_days)
            .saturating_add(u32::from(day))
            .saturating_sub(1)
    }

    /// TR-03110 form: `YYMMDD`, one decimal digit a byte.
    #[must_use]
    pub fn to_six_digits(self) -> [u8; 6] {
        let [_, y, m, d] = self.0;
        [y >> 4, y & 15, m >> 4, m & 15, d >> 4, d & 15]
    }

    /// From `YYMMDD`, one decimal digit a byte, in the years 2000 to 2099.
    ///
    /// # Errors
    /// [`Error::Malformed`] when it is no day.
    pub fn from_six_digits(digits: [u8; 6]) -> Result<Self, Error> {
        if digits.iter().any(|digit| *digit > 9) {
            return Err(MALFORMED);
        }
        let [y1, y2, m1, m2, d1, d2] = digits;
        Self::from_bytes([0x20, y1 << 4 | y2, m1 << 4 | m2, d1 << 4 | d2])
    }
}

const fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_in_month(year: u16, month: u8) -> u8 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 0,
    }
}

fn unbcd(byte: u8) -> Result<u8, Error> {
    let (high, low) = (byte >> 4, byte & 15);
    if high > 9 || low > 9 {
        return Err(MALFORMED);
    }
    high.checked_mul(10)
        .and_then(|tens| tens.checked_add(low))
        .ok_or(MALFORMED)
}

fn bcd(number: u8) -> u8 {
    let tens = number.checked_div(10).unwrap_or(0);
    let ones = number.checked_rem(10).unwrap_or(0);
    tens << 4 | ones
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.parts();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::str::FromStr for Date {
    type Err = Error;

    /// `YYYY-MM-DD`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let digit = |byte: u8| {
            if byte.is_ascii_digit() {
                Ok(byte & 15)
            } else {
                Err(MALFORMED)
            }
        };
        let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text.as_bytes() else {
            return Err(MALFORMED);
        };
        let pair = |high: u8, low: u8| Ok::<u8, Error>(digit(high)? << 4 | digit(low)?);
        let date = Self::from_bytes([pair(y1, y2)?, pair(y3, y4)?, pair(m1, m2)?, pair(d1, d2)?])?;
        if date.is_none() { Err(MALFORMED) } else { Ok(date) }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn a_day_is_four_bcd_bytes() {
        let date: Date = "2026-11-21".parse().unwrap();
        assert_eq!(date.to_bytes(), [0x20, 0x26, 0x11, 0x21]);
        assert_eq!(date.to_string(), "2026-11-21");
        assert_eq!(Date::from_six_digits(date.to_six_digits()).unwrap(), date);
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        for text in [
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-04-31",
            "0000-01-01",
            "2026-1-01",
            "1900-02-29",
            "0000-00-00",
        ] {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
        assert!("2000-02-29".parse::<Date>().is_ok());
        assert!(Date::from_bytes([0x20, 0x2A, 0x01, 0x01]).is_err());
    }

    #[test]
    fn differences_count_leap_days() {
        let days = |a: &str, b: &str| {
            b.parse::<Date>().unwrap().day_number() - a.parse::<Date>().unwrap().day_number()
        };
        assert_eq!(days("2026-11-21", "2026-11-28"), 7);
        assert_eq!(days("2024-02-28", "2024-03-01"), 2);
        assert_eq!(days("2023-02-28", "2023-03-01"), 1);
        assert_eq!(days("2000-01-01", "2100-01-01"), 36525);
        assert_eq!(days("2026-12-31", "2027-01-01"), 1);
    }
}
