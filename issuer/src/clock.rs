//! The clock as an argument: `main` gives the machine's, `--at` and tests give a fixed one.
//!
//! Dates of the office are days in UTC+8, the one time zone of the country (GB/T 7408); instants are UTC.

use std::fmt;
use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// Hours that the office's clock is ahead of UTC.
const OFFICE_OFFSET_HOURS: i8 = 8;

/// A source of the time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that asks `now`.
    #[must_use]
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// A clock that stands still.
    #[must_use]
    pub fn fixed(at: Timestamp) -> Self {
        Self::new(move || at)
    }

    /// This clock with its date moved to `date` (the office's day), the time of day running on.
    #[must_use]
    pub fn on_day(&self, date: Date) -> Self {
        let days = i64::from((date - self.today()).get_days());
        let shift = SignedDuration::from_hours(24 * days);
        let clock = self.clone();
        Self::new(move || clock.now().checked_add(shift).unwrap_or(Timestamp::MAX))
    }

    /// The instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }

    /// The office's day.
    #[must_use]
    pub fn today(&self) -> Date {
        office_day(self.now())
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Clock(..)")
    }
}

/// The office's day of an instant.
#[must_use]
pub fn office_day(at: Timestamp) -> Date {
    at.to_zoned_datetime(TimeZone::fixed(Offset::constant(OFFICE_OFFSET_HOURS)))
        .date()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_office_day_begins_at_sixteen_hours_utc() {
        assert_eq!(
            office_day("2026-11-20T15:59:59Z".parse().unwrap()).to_string(),
            "2026-11-20"
        );
        assert_eq!(
            office_day("2026-11-20T16:00:00Z".parse().unwrap()).to_string(),
            "2026-11-21"
        );
    }

    #[test]
    fn a_clock_is_moved_to_another_day() {
        let clock = Clock::fixed("2026-11-21T02:00:00Z".parse().unwrap());
        let moved = clock.on_day(jiff::civil::date(2027, 3, 1));
        assert_eq!(moved.today(), jiff::civil::date(2027, 3, 1));
        assert_eq!(moved.now().to_string(), "2027-03-01T02:00:00Z");
    }
}
