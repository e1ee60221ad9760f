//! The one place where the program reads the clock and the machine's random source.

use std::time::Instant;

use card_applet_spec::date::Date;
use card_reader::{Moment, Stopwatch};
use rand::rngs::SysRng;
use rand_core::UnwrapErr;

use super::args::day_of;

/// Seconds from 1970 to 2000-01-01T00:00Z.
const Y2000: i64 = 946_684_800;

/// The machine's clock, or a day that was given for every clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    at: Option<Date>,
}

impl Clock {
    pub(crate) fn at(at: Option<Date>) -> Self {
        Self { at }
    }

    /// Today in UTC+8. A machine whose clock is outside the years 1 to 9999 gets a day on which nothing is valid.
    pub(crate) fn today(self) -> Date {
        self.at.or_else(|| day_of(now())).unwrap_or(Date::NONE)
    }

    /// Day and instant. On a given day, its noon in UTC+8.
    pub(crate) fn moment(self) -> Moment {
        let seconds = match self.at {
            Some(day) => {
                let days = i64::from(day.day_number()) - i64::from(first_day().day_number());
                days.saturating_mul(86_400).saturating_add(4 * 3_600)
            }
            None => now().as_second().saturating_sub(Y2000),
        };
        Moment {
            today: self.today(),
            seconds: u32::try_from(seconds.max(0)).unwrap_or(u32::MAX),
        }
    }
}

fn first_day() -> Date {
    Date::new(2000, 1, 1).unwrap_or(Date::NONE)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the program reads the clock here and nowhere else"
)]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// The system time as files are stamped with it.
#[expect(
    clippy::disallowed_methods,
    reason = "the program reads the clock here and nowhere else"
)]
pub(crate) fn system_time() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

/// The machine's random source.
pub(crate) fn random() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// A clock that only goes forward, from the start of a reading.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch(Instant);

impl Watch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }
}

impl Stopwatch for Watch {
    fn nanoseconds(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// An instant of a payment as a clerk reads it: UTC+8, to the minute.
pub(crate) fn civil(seconds: u32) -> String {
    let instant = jiff::Timestamp::from_second(i64::from(seconds).saturating_add(Y2000)).unwrap_or_default();
    instant
        .to_zoned_datetime(jiff::tz::TimeZone::fixed(jiff::tz::offset(8)))
        .strftime("%Y-%m-%d %H:%M")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_day_has_its_noon() {
        let moment = Clock::at(Some("2026-11-21".parse().unwrap())).moment();
        assert_eq!(civil(moment.seconds), "2026-11-21 12:00");
        assert_eq!(moment.today.to_string(), "2026-11-21");
    }
}
