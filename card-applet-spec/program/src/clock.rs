//! The clock as an argument: `main` makes the machine's, tests make a fixed one, everything else is handed it.
//!
//! `--at DATE` has one meaning in every program: the machine's clock with its day moved to that day of the office; the
//! time of day is the machine's and runs on. So several programs that are given the same day agree, in whatever order
//! they are started.

use std::fmt;
use std::sync::Arc;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use crate::day;

/// A source of the time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that asks `now`.
    #[must_use]
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The machine's clock. Only `main` takes it: the lint `disallowed_methods` names this function.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the system reads the machine's clock"
    )]
    pub fn machine() -> Self {
        Self::new(Timestamp::now)
    }

    /// A clock that stands still.
    #[must_use]
    pub fn fixed(at: Timestamp) -> Self {
        Self::new(move || at)
    }

    /// This clock as `--at` sets it: its day moved to `day` where one was given, the time of day running on.
    #[must_use]
    pub fn at(&self, day: Option<Date>) -> Self {
        match day {
            None => self.clone(),
            Some(day) => self.on_day(day),
        }
    }

    /// This clock with its day moved to `day` (the office's day, UTC+8), the time of day running on.
    #[must_use]
    pub fn on_day(&self, day: Date) -> Self {
        let days = i64::from((day - self.today()).get_days());
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
        day::of(self.now())
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Clock(..)")
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_given_day_moves_the_day_and_leaves_the_time_of_day() {
        let clock = Clock::fixed("2026-11-21T02:00:00Z".parse().unwrap());
        let moved = clock.at(Some(date(2027, 3, 1)));
        assert_eq!(moved.today(), date(2027, 3, 1));
        assert_eq!(moved.now().to_string(), "2027-03-01T02:00:00Z");
        assert_eq!(clock.at(None).now(), clock.now());
    }

    #[test]
    fn two_programs_that_are_given_one_day_agree_in_whatever_order_they_start() {
        let earlier = Clock::fixed("2026-11-21T02:00:00Z".parse().unwrap()).on_day(date(2030, 2, 28));
        let later = Clock::fixed("2026-11-21T02:00:07Z".parse().unwrap()).on_day(date(2030, 2, 28));
        assert!(earlier.now() < later.now());
        assert_eq!(earlier.today(), later.today());
    }

    #[test]
    fn a_day_at_the_end_of_time_stops_there() {
        let clock = Clock::fixed("2026-11-21T02:00:00Z".parse().unwrap());
        assert!(clock.on_day(date(9999, 12, 31)).now() <= Timestamp::MAX);
        assert_eq!(clock.on_day(date(-9999, 1, 2)).today(), date(-9999, 1, 2));
    }
}
