//! The clock in the form that a terminal counts in, and the machine's random source.

use std::time::{Duration, Instant, SystemTime};

use card_applet_spec::date::Date;
use card_reader::{Moment, Stopwatch};
use program_contract::{Clock, day};
use rand::rngs::SysRng;
use rand_core::UnwrapErr;

/// Seconds from 1970 to 2000-01-01T00:00Z.
const Y2000: i64 = 946_684_800;

/// Today in UTC+8. A machine whose clock is outside the years 1 to 9999 gets a day on which nothing is valid.
pub(crate) fn today(clock: &Clock) -> Date {
    day::to_card(clock.today()).unwrap_or(Date::NONE)
}

/// Day and instant.
pub(crate) fn moment(clock: &Clock) -> Moment {
    let now = clock.now();
    Moment {
        today: day::to_card(day::of(now)).unwrap_or(Date::NONE),
        seconds: u32::try_from(now.as_second().saturating_sub(Y2000).max(0)).unwrap_or(u32::MAX),
    }
}

/// The instant as files are stamped with it, to the second.
pub(crate) fn stamp(machine: &Clock) -> SystemTime {
    let seconds = u64::try_from(machine.now().as_second()).unwrap_or_default();
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_secs(seconds))
        .unwrap_or(SystemTime::UNIX_EPOCH)
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
    day::OFFICE
        .to_datetime(instant)
        .strftime("%Y-%m-%d %H:%M")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_day_keeps_the_time_of_day() {
        let clock =
            Clock::fixed("2026-11-20T04:00:30Z".parse().unwrap()).on_day(jiff::civil::date(2026, 11, 21));
        let moment = moment(&clock);
        assert_eq!(civil(moment.seconds), "2026-11-21 12:00");
        assert_eq!(moment.today.to_string(), "2026-11-21");
        assert_eq!(today(&clock), moment.today);
    }
}
