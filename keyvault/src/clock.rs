//! The vault's time: the program's clock, held against what the vault has seen, and the calendar of the office (UTC+8).

use card_applet_spec::date::Date as CardDate;
use jiff::Timestamp;
use jiff::civil::Date;
use program_contract::{Clock, day};

use crate::error::Error;

/// The day of an instant in the time zone of the issuing province, UTC+8.
pub(crate) fn day(at: Timestamp) -> Date {
    day::of(at)
}

/// The instant that the vault works with: the clock's, but never before the high-water mark.
///
/// Everything that a card or terminal checks has the grain of a day, so a clock that was stepped back within the day
/// stands still until it has caught up; one that shows an earlier day is refused.
///
/// # Errors
/// [`Error::ClockBehind`].
pub(crate) fn present(clock: &Clock, high_water: Timestamp) -> Result<Timestamp, Error> {
    let now = clock.now();
    if day(now) < day(high_water) {
        return Err(Error::ClockBehind {
            now: day(now),
            seen: day(high_water),
        });
    }
    Ok(now.max(high_water))
}

/// A day as the card writes it.
pub(crate) fn card_day(date: Date) -> Result<CardDate, Error> {
    Some(date)
        .filter(|date| (2000..=2099).contains(&date.year()))
        .and_then(day::to_card)
        .ok_or(Error::BadContent {
            what: "a date is not in the years 2000 to 2099",
        })
}

/// A date4 of the card as a civil day.
pub(crate) fn civil_day(bytes: [u8; 4]) -> Result<Date, Error> {
    CardDate::from_bytes(bytes)
        .ok()
        .and_then(day::from_card)
        .ok_or(Error::Damaged {
            what: "a day in a row",
        })
}

#[cfg(test)]
mod tests {
    use program_contract::{Exit, Failing as _};

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_clock_within_the_day_stands_still_and_an_earlier_day_is_refused() {
        let seen = at("2026-11-21T04:00:00Z");
        let present = |text| present(&Clock::fixed(at(text)), seen);
        assert_eq!(
            present("2026-11-21T05:00:00Z").unwrap(),
            at("2026-11-21T05:00:00Z")
        );
        assert_eq!(present("2026-11-21T03:00:00Z").unwrap(), seen);
        // 16:00 UTC is midnight in UTC+8: one second before it is the day before.
        assert_eq!(present("2026-11-20T16:00:00Z").unwrap(), seen);
        let error = present("2026-11-20T15:59:59Z").unwrap_err();
        assert_eq!((error.code(), error.exit()), ("CLOCK_BEHIND", Exit::Damaged));
    }
}
