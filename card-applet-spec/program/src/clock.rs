//! The clock as an argument: `main` makes the machine's, tests make a fixed one, everything else is handed it.
//!
//! `--at DATE` has one meaning in every program: the machine's clock with its day moved to that day of the office; the
//! time of day is the machine's and runs on. So several programs that are given the same day agree, in whatever order
//! they are started. An installation takes it only where it was founded as a rehearsal; what only computes on a file, and
//! belongs to no installation, uses [`Clock::on_day`].

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use card_applet_spec::rehearsal;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use crate::day;
use crate::outcome::{Exit, Failing};

/// What an installation was founded as. Nothing makes the one the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Founded {
    /// For people's cards.
    Real,
    /// To try and to train: `keyvault init --rehearsal`.
    Rehearsal,
}

impl Founded {
    /// What the installation around the vault with this number was founded as.
    #[must_use]
    pub fn around(vault: &[u8; 16]) -> Self {
        if rehearsal::is_vault(vault) {
            Self::Rehearsal
        } else {
            Self::Real
        }
    }

    /// Whether it is a rehearsal.
    #[must_use]
    pub const fn is_rehearsal(self) -> bool {
        matches!(self, Self::Rehearsal)
    }

    /// What a screen says of it, in both languages; nothing of a real one.
    #[must_use]
    pub const fn banner(self) -> Option<&'static str> {
        match self {
            Self::Real => None,
            Self::Rehearsal => Some("演练系统 REHEARSAL"),
        }
    }
}

/// `--at` was given to an installation that was not founded as a rehearsal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotARehearsal;

impl fmt::Display for NotARehearsal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("--at was given, and this is not a rehearsal installation; nothing was done")
    }
}

impl std::error::Error for NotARehearsal {}

impl Failing for NotARehearsal {
    fn code(&self) -> Cow<'static, str> {
        "NOT_A_REHEARSAL".into()
    }

    fn exit(&self) -> Exit {
        Exit::Refused
    }

    fn action(&self) -> Cow<'static, str> {
        "leave --at out; another day is for installations that were founded with `keyvault init --rehearsal`"
            .into()
    }

    fn chinese(&self) -> (String, String) {
        (
            "给出了 --at，而本系统不是演练系统；未作任何操作".to_owned(),
            "请去掉 --at；只有以 `keyvault init --rehearsal` 建立的系统可以指定日期".to_owned(),
        )
    }
}

/// A source of the time: what the day is, and how long the machine has run. People and other machines set the one, nobody the
/// other.
#[derive(Clone)]
pub struct Clock {
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    running: Arc<dyn Fn() -> SignedDuration + Send + Sync>,
}

impl Clock {
    /// A clock that asks `now`, on a machine that runs as long as it says.
    #[must_use]
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        let now = Arc::new(now);
        let time = Arc::clone(&now);
        Self {
            now,
            running: Arc::new(move || time().duration_since(Timestamp::UNIX_EPOCH)),
        }
    }

    /// This clock on a machine that has run for as long as `running` says.
    #[must_use]
    pub fn on_machine(mut self, running: impl Fn() -> SignedDuration + Send + Sync + 'static) -> Self {
        self.running = Arc::new(running);
        self
    }

    /// The machine's clock. Only `main` takes it: the lint `disallowed_methods` names this function.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the system reads the machine's clock"
    )]
    pub fn machine() -> Self {
        Self::new(Timestamp::now).on_machine(since_boot)
    }

    /// A clock that stands still.
    #[must_use]
    pub fn fixed(at: Timestamp) -> Self {
        Self::new(move || at)
    }

    /// This clock as `--at` sets it in an installation: its day moved to `day` where one was given, the time of day running on.
    ///
    /// # Errors
    /// [`NotARehearsal`] when a day was given and the installation is real.
    pub fn at(&self, day: Option<Date>, founded: Founded) -> Result<Self, NotARehearsal> {
        match (day, founded) {
            (None, _) => Ok(self.clone()),
            (Some(day), Founded::Rehearsal) => Ok(self.on_day(day)),
            (Some(_), Founded::Real) => Err(NotARehearsal),
        }
    }

    /// This clock with its day moved to `day` (the office's day, UTC+8), the time of day running on.
    #[must_use]
    pub fn on_day(&self, day: Date) -> Self {
        let days = i64::from((day - self.today()).get_days());
        let shift = SignedDuration::from_hours(24 * days);
        let now = Arc::clone(&self.now);
        Self {
            now: Arc::new(move || now().checked_add(shift).unwrap_or(Timestamp::MAX)),
            running: Arc::clone(&self.running),
        }
    }

    /// The instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// How long the machine has run since an instant that stays the same until it is started again, sleep included: the
    /// boot clock, which no setting of the time moves.
    #[must_use]
    pub fn running(&self) -> SignedDuration {
        (self.running)()
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

/// The machine's boot clock.
fn since_boot() -> SignedDuration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    SignedDuration::new(time.tv_sec, i32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_given_day_moves_the_day_and_leaves_the_time_of_day() {
        let clock = Clock::fixed("2026-11-21T02:00:00Z".parse().unwrap());
        let moved = clock.at(Some(date(2027, 3, 1)), Founded::Rehearsal).unwrap();
        assert_eq!(moved.today(), date(2027, 3, 1));
        assert_eq!(moved.now().to_string(), "2027-03-01T02:00:00Z");
        let same = clock.at(None, Founded::Rehearsal).unwrap();
        assert_eq!(same.now(), clock.now());
    }

    #[test]
    fn a_real_installation_takes_no_other_day_and_says_what_to_do() {
        let clock = Clock::fixed("2026-11-21T02:00:00Z".parse().unwrap());
        // Today's day, too: who gives one means something by it.
        for day in [date(2027, 3, 1), date(2026, 11, 21), date(1999, 1, 1)] {
            let error = clock.at(Some(day), Founded::Real).unwrap_err();
            assert_eq!(
                (error.code(), error.exit()),
                ("NOT_A_REHEARSAL".into(), Exit::Refused)
            );
            assert!(error.action().contains("keyvault init --rehearsal"));
        }
        assert_eq!(clock.at(None, Founded::Real).unwrap().now(), clock.now());
    }

    #[test]
    fn two_programs_that_are_given_one_day_agree_in_whatever_order_they_start() {
        let earlier = Clock::fixed("2026-11-21T02:00:00Z".parse().unwrap()).on_day(date(2030, 2, 28));
        let later = Clock::fixed("2026-11-21T02:00:07Z".parse().unwrap()).on_day(date(2030, 2, 28));
        assert!(earlier.now() < later.now());
        assert_eq!(earlier.today(), later.today());
    }

    #[test]
    fn a_given_day_does_not_move_how_long_the_machine_has_run() {
        let clock = Clock::fixed("2026-11-21T02:00:00Z".parse().unwrap());
        assert_eq!(clock.on_day(date(2095, 1, 1)).running(), clock.running());
        let started = clock.on_machine(|| SignedDuration::from_secs(7));
        assert_eq!(
            started.on_day(date(2095, 1, 1)).running(),
            SignedDuration::from_secs(7)
        );
        // The machine's own runs on by itself.
        let before = since_boot();
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(since_boot() - before >= SignedDuration::from_millis(2));
    }

    #[test]
    fn a_day_at_the_end_of_time_stops_there() {
        let clock = Clock::fixed("2026-11-21T02:00:00Z".parse().unwrap());
        assert!(clock.on_day(date(9999, 12, 31)).now() <= Timestamp::MAX);
        assert_eq!(clock.on_day(date(-9999, 1, 2)).today(), date(-9999, 1, 2));
    }
}
