//! The vault's time: at a start the program's clock, held against what the vault has seen; from then on the boot clock, which
//! nobody sets. And the calendar of the office (UTC+8).
//!
//! Time goes forward with what the vault writes. At a start it may lie [`MOST_AT_A_START`] beyond the last thing written, and
//! all such leaps together are at most [`MOST_BETWEEN_CONFIRMATIONS`]: then two officers and the custodians say what day it is. So a wrong clock
//! shuts the vault until it is corrected, and never until the day that it showed. A rehearsal's leaps are not bounded: people
//! give it its day. Left out: time from witnesses, who come to the vault later.

use card_applet_spec::date::Date as CardDate;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use program_contract::{Clock, Founded, day};

use crate::error::Error;

/// How far beyond the last thing that was written a start may be: a long holiday with the machine off.
pub(crate) const MOST_AT_A_START: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How far the starts together may be beyond it, since people last said what day it is: a machine that runs day and
/// night uses up an hour in a month, one that is shut every night and weekend a month in six weeks.
pub(crate) const MOST_BETWEEN_CONFIRMATIONS: SignedDuration = SignedDuration::from_hours(31 * 24);

/// How far the machine's clock and the vault's time may stand apart before that is told.
const APART: SignedDuration = SignedDuration::from_mins(5);

/// The day of an instant in the time zone of the issuing province, UTC+8.
pub(crate) fn day(at: Timestamp) -> Date {
    day::of(at)
}

/// A day, counted from 1970-01-01.
pub(crate) fn day_number(day: Date) -> i32 {
    (day - jiff::civil::date(1970, 1, 1)).get_days()
}

/// The instant that the vault starts with: the clock's, but never before the high-water mark.
///
/// Everything that a card or terminal checks has the grain of a day, so a clock that was stepped back within the day
/// counts as standing still; one that shows an earlier day is refused.
///
/// # Errors
/// [`Error::ClockBehind`], [`Error::ClockLeap`].
pub(crate) fn present(clock: &Clock, high_water: Timestamp, founded: Founded) -> Result<Timestamp, Error> {
    let now = clock.now();
    if day(now) < day(high_water) {
        return Err(Error::ClockBehind {
            now: day(now),
            seen: day(high_water),
        });
    }
    if !founded.is_rehearsal() && now.duration_since(high_water) > MOST_AT_A_START {
        return Err(Error::ClockLeap {
            now: day(now),
            seen: day(high_water),
        });
    }
    Ok(now.max(high_water))
}

/// The seconds that a start at `now` leaps over, if they are not too many after those `before`, since the last confirmation.
///
/// # Errors
/// [`Error::ClockLeaps`].
pub(crate) fn leap(
    now: Timestamp,
    high_water: Timestamp,
    before: i64,
    founded: Founded,
) -> Result<i64, Error> {
    let leapt = now.as_second().saturating_sub(high_water.as_second()).max(0);
    if !founded.is_rehearsal() && before.saturating_add(leapt) > MOST_BETWEEN_CONFIRMATIONS.as_secs() {
        return Err(Error::ClockLeaps {
            now: day(now),
            seen: day(high_water),
        });
    }
    Ok(leapt)
}

/// The time of an open vault: from the instant of its start on, the boot clock.
#[derive(Debug)]
pub(crate) struct Running {
    clock: Clock,
    began: Timestamp,
    /// What the boot clock showed then.
    at: SignedDuration,
    /// Whether it was told that the machine's clock stands elsewhere.
    told: bool,
}

impl Running {
    /// The time is `now`, and runs on with this machine.
    pub(crate) fn from(clock: Clock, now: Timestamp) -> Self {
        Self {
            began: now,
            at: clock.running(),
            clock,
            told: false,
        }
    }

    /// The instant that the open vault works with.
    pub(crate) fn now(&self) -> Timestamp {
        let since = (self.clock.running() - self.at).max(SignedDuration::ZERO);
        self.began.checked_add(since).unwrap_or(self.began)
    }

    /// The day of the machine's clock, where it is no longer that of the vault's time and this was not told yet.
    pub(crate) fn stands_apart(&mut self) -> Option<Date> {
        let machine = self.clock.now();
        let is_apart = machine.duration_since(self.now()).abs() > APART;
        let is_news = is_apart && !self.told;
        self.told = is_apart;
        is_news.then(|| day(machine))
    }
}

/// How far ahead of the vault's time what is made may begin, days: as far as one start may leap.
const DAYS_AHEAD: u32 = 7;

/// Whether a day on which something begins lies too far ahead to be certified: else it could be laid in store for any week of the
/// century, beyond recall.
pub(crate) fn is_too_far(day: CardDate, today: CardDate) -> bool {
    day.day_number() > today.day_number() + DAYS_AHEAD
}

/// Refuses a day of issue that lies too far ahead.
pub(crate) fn check_issued(day: CardDate, today: CardDate) -> Result<(), Error> {
    if is_too_far(day, today) {
        return Err(Error::BadContent {
            what: "a permit or card is issued at most 7 days ahead",
        });
    }
    Ok(())
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
        let present = |text| present(&Clock::fixed(at(text)), seen, Founded::Real);
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

    #[test]
    fn a_start_leaps_over_seven_days_and_all_of_them_over_thirty_one() {
        let seen = at("2026-11-21T04:00:00Z");
        let start = |text, founded| present(&Clock::fixed(at(text)), seen, founded);
        let last = "2026-11-28T04:00:00Z";
        assert_eq!(start(last, Founded::Real).unwrap(), at(last));
        for beyond in ["2026-11-28T04:00:01Z", "2095-01-01T00:00:00Z"] {
            let error = start(beyond, Founded::Real).unwrap_err();
            assert_eq!((error.code(), error.exit()), ("CLOCK_LEAP", Exit::Damaged));
            assert_eq!(start(beyond, Founded::Rehearsal).unwrap(), at(beyond));
        }
        let week = 7 * 86_400;
        let leap = |before, founded| leap(at(last), seen, before, founded);
        assert_eq!(leap(24 * 86_400, Founded::Real).unwrap(), week);
        let error = leap(24 * 86_400 + 1, Founded::Real).unwrap_err();
        assert_eq!((error.code(), error.exit()), ("CLOCK_LEAP", Exit::Damaged));
        assert_eq!(leap(i64::MAX, Founded::Rehearsal).unwrap(), week);
    }

    #[test]
    fn time_runs_on_with_the_machine_wherever_its_clock_is_set() {
        use std::sync::Mutex;
        use std::sync::{Arc, MutexGuard};

        let noon = at("2026-11-21T04:00:00Z");
        let shown = Arc::new(Mutex::new((noon, SignedDuration::from_hours(5000))));
        let (wall, boot) = (Arc::clone(&shown), Arc::clone(&shown));
        let clock = Clock::new(move || wall.lock().unwrap().0).on_machine(move || boot.lock().unwrap().1);
        let mut running = Running::from(clock, noon);
        let set = || -> MutexGuard<'_, _> { shown.lock().unwrap() };
        set().1 += SignedDuration::from_hours(1);
        set().0 = at("2026-11-21T05:00:00Z");
        assert_eq!(running.now(), at("2026-11-21T05:00:00Z"));
        assert_eq!(running.stands_apart(), None);
        for (wall, day) in [
            ("2095-01-01T00:00:00Z", Some("2095-01-01")),
            ("2095-01-02T00:00:00Z", None),
            ("2026-11-21T05:05:00Z", None),
            ("2026-11-21T05:05:01Z", Some("2026-11-21")),
            ("2026-11-21T05:00:00Z", None),
            ("1999-01-01T00:00:00Z", Some("1999-01-01")),
        ] {
            set().0 = at(wall);
            assert_eq!(running.now(), at("2026-11-21T05:00:00Z"), "{wall}");
            assert_eq!(
                running.stands_apart(),
                day.map(|day| day.parse().unwrap()),
                "{wall}"
            );
        }
    }
}
