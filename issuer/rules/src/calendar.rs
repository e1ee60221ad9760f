//! Periods and rest days: Civil Code articles 200 to 204; the yearly notice of the State Council on holidays as data.
//!
//! The first day does not count; a period of months or years ends on the corresponding day, or on the last day of the
//! month where there is none; where the last day is a rest day, the period ends on the first day after it. A period by
//! which somebody *qualifies* (half a year of residence) is not moved by rest days: it is full on its last day.
//! Left out: hours (article 201 paragraph 2) and the moon: holidays of years without a table are those of fixed date.

use std::collections::{BTreeMap, BTreeSet};

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};
use permit_domain::Error;
use serde::Deserialize;

/// A length of time in the words of the law.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Period {
    /// Days, the first not counted.
    Days(u16),
    /// Months, ending on the corresponding day.
    Months(u16),
    /// Years, ending on the corresponding day.
    Years(u16),
}

impl Period {
    /// The last day of the period that begins on `first`, not moved by rest days.
    ///
    /// ```
    /// use jiff::civil::date;
    /// use permit_rules::Period;
    /// assert_eq!(Period::Months(6).last_day(date(2025, 8, 31))?, date(2026, 2, 28));
    /// assert_eq!(Period::Years(1).last_day(date(2028, 2, 29))?, date(2029, 2, 28));
    /// assert_eq!(Period::Days(15).last_day(date(2026, 11, 21))?, date(2026, 12, 6));
    /// # Ok::<(), permit_domain::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfCalendar`].
    pub fn last_day(self, first: Date) -> Result<Date, Error> {
        let span = match self {
            Self::Days(n) => i64::from(n).days(),
            Self::Months(n) => i64::from(n).months(),
            Self::Years(n) => i64::from(n).years(),
        };
        first.checked_add(span).map_err(|_| Error::OutOfCalendar)
    }

    /// So many of them, one after the other: counted from one day each time, so that a short month or a leap day in between
    /// moves none of the later ends.
    ///
    /// # Errors
    /// [`Error::OutOfCalendar`].
    pub(crate) fn times(self, count: u16) -> Result<Self, Error> {
        let many = |n: u16| n.checked_mul(count).ok_or(Error::OutOfCalendar);
        Ok(match self {
            Self::Days(n) => Self::Days(many(n)?),
            Self::Months(n) => Self::Months(many(n)?),
            Self::Years(n) => Self::Years(many(n)?),
        })
    }

    /// In Chinese words: `6 个月`.
    #[must_use]
    pub(crate) fn chinese(self) -> String {
        match self {
            Self::Days(n) => format!("{n} 天"),
            Self::Months(n) => format!("{n} 个月"),
            Self::Years(n) => format!("{n} 年"),
        }
    }

    /// In words: `6 months`.
    #[must_use]
    pub fn words(self) -> String {
        let (n, unit) = match self {
            Self::Days(n) => (n, "day"),
            Self::Months(n) => (n, "month"),
            Self::Years(n) => (n, "year"),
        };
        format!("{n} {unit}{}", if n == 1 { "" } else { "s" })
    }
}

/// Rest days: weekends, holidays and working weekends of the years that have a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calendar {
    years: BTreeMap<i16, Year>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Year {
    holidays: BTreeSet<Date>,
    working_weekends: BTreeSet<Date>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct YearFile {
    year: i16,
    #[expect(
        dead_code,
        reason = "kept in the file for the reader: the notice and how well it was confirmed"
    )]
    source: String,
    #[expect(dead_code, reason = "as above")]
    grade: crate::grade::Grade,
    holidays: Vec<Date>,
    working_weekends: Vec<Date>,
}

impl Calendar {
    /// Reads the table of one year (TOML: `year`, `source`, `grade`, `holidays`, `working_weekends`) and adds it.
    ///
    /// # Errors
    /// [`Error::RuleSetUnreadable`], [`Error::RuleSetInvalid`] for a day of another year, a working weekend that is no
    /// weekend, or a second table of one year.
    pub(crate) fn add_year(&mut self, name: &str, text: &str) -> Result<(), Error> {
        let file: YearFile = toml::from_str(text).map_err(|e| Error::RuleSetUnreadable {
            name: name.to_owned(),
            problem: e.to_string(),
        })?;
        let invalid = |problem: &str| Error::RuleSetInvalid {
            id: name.to_owned(),
            problem: problem.to_owned(),
        };
        if file
            .holidays
            .iter()
            .chain(&file.working_weekends)
            .any(|d| d.year() != file.year)
        {
            return Err(invalid("a day of another year"));
        }
        if !file.working_weekends.iter().all(|d| is_weekend(*d)) {
            return Err(invalid("a working weekend that is no Saturday or Sunday"));
        }
        let year = Year {
            holidays: file.holidays.into_iter().collect(),
            working_weekends: file.working_weekends.into_iter().collect(),
        };
        if self.years.insert(file.year, year).is_some() {
            return Err(invalid("a second table of one year"));
        }
        Ok(())
    }

    /// Whether offices rest on this day.
    #[must_use]
    pub(crate) fn is_rest_day(&self, day: Date) -> bool {
        match self.years.get(&day.year()) {
            Some(year) => {
                year.holidays.contains(&day) || (is_weekend(day) && !year.working_weekends.contains(&day))
            }
            // The regulation on holidays fixes these by date; the others follow the moon and the yearly notice.
            None => is_weekend(day) || matches!((day.month(), day.day()), (1, 1) | (5, 1 | 2) | (10, 1..=3)),
        }
    }

    /// Article 203: the day itself, or the first day after the rest days that it falls on.
    ///
    /// # Errors
    /// [`Error::OutOfCalendar`].
    pub(crate) fn not_resting(&self, mut day: Date) -> Result<Date, Error> {
        while self.is_rest_day(day) {
            day = day.tomorrow().map_err(|_| Error::OutOfCalendar)?;
        }
        Ok(day)
    }

    /// The last day of a period within which something is to be done or holds, moved past rest days.
    ///
    /// # Errors
    /// [`Error::OutOfCalendar`].
    pub(crate) fn end_of(&self, period: Period, first: Date) -> Result<Date, Error> {
        self.not_resting(period.last_day(first)?)
    }
}

fn is_weekend(day: Date) -> bool {
    matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// The month before which a period's end is endorsed.
fn month_before(end: Date) -> Result<Date, Error> {
    end.checked_sub(1.month()).map_err(|_| Error::OutOfCalendar)
}

/// Decree 663 article 10: the permit is endorsed within the month before each full year; a tier with another period
/// likewise. First and last day of the window, both included, for the full period of this number after `anchor` (1 for
/// the first). The end is counted from the anchor each time; rest days move the last day of the window, never its first
/// and never a later end.
///
/// # Errors
/// [`Error::OutOfCalendar`].
pub(crate) fn endorsement_window(
    anchor: Date,
    period: Period,
    number: u16,
    calendar: &Calendar,
) -> Result<(Date, Date), Error> {
    let end = period.times(number)?.last_day(anchor)?;
    Ok((month_before(end)?, calendar.not_resting(end)?))
}

/// The number of the last full period that ended by `until`, the last day that was granted; 0: none.
fn periods_by(anchor: Date, period: Period, until: Date) -> Result<u16, Error> {
    let mut number = 0;
    while period.times(number + 1)?.last_day(anchor)? <= until {
        number += 1;
    }
    Ok(number)
}

/// The first day on which a permit that holds until `until` may be endorsed.
///
/// # Errors
/// [`Error::OutOfCalendar`].
pub(crate) fn endorsement_opens(anchor: Date, period: Period, until: Date) -> Result<Date, Error> {
    // A last day before the first full period is another set's or another tier's: its own month counts.
    match periods_by(anchor, period, until)? {
        0 => month_before(until),
        number => month_before(period.times(number)?.last_day(anchor)?),
    }
}

/// The number of the period that a decision of day `at` grants for a permit that holds until `until`: the first whose
/// window is not open yet, so within a window the next one, and for who comes so late that the next window is open too
/// the one after that; never one that is over before `until`.
///
/// # Errors
/// [`Error::OutOfCalendar`].
pub(crate) fn period_granted(anchor: Date, period: Period, at: Date) -> Result<u16, Error> {
    let mut number = 1;
    while month_before(period.times(number)?.last_day(anchor)?)? <= at {
        number += 1;
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use rstest::rstest;

    use super::*;
    use crate::library::RuleSets;

    #[rstest]
    #[case(Period::Months(6), date(2026, 5, 21), date(2026, 11, 21))]
    #[case(Period::Months(6), date(2025, 8, 31), date(2026, 2, 28))]
    #[case(Period::Months(6), date(2027, 8, 31), date(2028, 2, 29))]
    #[case(Period::Years(1), date(2028, 2, 29), date(2029, 2, 28))]
    #[case(Period::Years(4), date(2028, 2, 29), date(2032, 2, 29))]
    #[case(Period::Days(1), date(2026, 12, 31), date(2027, 1, 1))]
    #[case(Period::Months(1), date(2026, 1, 31), date(2026, 2, 28))]
    fn civil_code_202_a_period_ends_on_the_corresponding_day_or_the_end_of_the_month(
        #[case] period: Period,
        #[case] first: Date,
        #[case] last: Date,
    ) {
        assert_eq!(period.last_day(first), Ok(last));
    }

    #[rstest]
    // A Sunday: to Monday.
    #[case(date(2026, 11, 22), date(2026, 11, 23))]
    // National Day 2026: 1 to 7 October, Thursday the 8th is the first working day.
    #[case(date(2026, 10, 1), date(2026, 10, 8))]
    // A Saturday that is worked.
    #[case(date(2026, 10, 10), date(2026, 10, 10))]
    // No table: fixed dates and weekends. 1 to 3 October 2033 are Saturday to Monday.
    #[case(date(2033, 10, 1), date(2033, 10, 4))]
    fn civil_code_203_a_period_that_ends_on_a_rest_day_ends_after_it(#[case] day: Date, #[case] end: Date) {
        assert_eq!(RuleSets::embedded().unwrap().calendar().not_resting(day), Ok(end));
    }

    #[test]
    fn the_window_of_an_endorsement_is_the_month_before_the_full_year() {
        let calendar = Calendar::default();
        let window = |anchor, number| endorsement_window(anchor, Period::Years(1), number, &calendar);
        assert_eq!(
            window(date(2026, 3, 31), 1),
            Ok((date(2027, 2, 28), date(2027, 3, 31)))
        );
        assert_eq!(
            window(date(2028, 2, 29), 1),
            Ok((date(2029, 1, 28), date(2029, 2, 28)))
        );
        // The next leap year has its day again: a Sunday, so the window ends on the first of March.
        assert_eq!(
            window(date(2028, 2, 29), 4),
            Ok((date(2032, 1, 29), date(2032, 3, 1)))
        );
        // 20 November 2027 is a Saturday, and moves nothing of the year after it.
        assert_eq!(
            window(date(2026, 11, 20), 1),
            Ok((date(2027, 10, 20), date(2027, 11, 22)))
        );
        assert_eq!(
            window(date(2026, 11, 20), 2),
            Ok((date(2028, 10, 20), date(2028, 11, 20)))
        );
        // Half-years of a month's end.
        assert_eq!(
            endorsement_window(date(2027, 8, 31), Period::Months(6), 1, &calendar),
            Ok((date(2028, 1, 29), date(2028, 2, 29)))
        );
        assert_eq!(
            endorsement_window(date(2027, 8, 31), Period::Months(6), 2, &calendar),
            Ok((date(2028, 7, 31), date(2028, 8, 31)))
        );
    }

    #[rstest]
    // Before, within and behind the first window, within the second, and years late.
    #[case(date(2027, 10, 19), 1)]
    #[case(date(2027, 10, 20), 2)]
    #[case(date(2027, 11, 22), 2)]
    #[case(date(2027, 12, 4), 2)]
    #[case(date(2028, 10, 19), 2)]
    #[case(date(2028, 10, 20), 3)]
    #[case(date(2035, 1, 1), 9)]
    fn a_decision_grants_the_first_period_whose_window_is_not_open(#[case] at: Date, #[case] number: u16) {
        assert_eq!(
            period_granted(date(2026, 11, 20), Period::Years(1), at),
            Ok(number)
        );
    }

    #[rstest]
    // The moved last day, the end itself, a day that had drifted, and one of another tier before the first end.
    #[case(date(2027, 11, 22), date(2027, 10, 20))]
    #[case(date(2028, 11, 20), date(2028, 10, 20))]
    #[case(date(2028, 11, 24), date(2028, 10, 20))]
    #[case(date(2027, 5, 20), date(2027, 4, 20))]
    fn the_first_day_of_an_endorsement_does_not_follow_a_last_day_that_was_moved(
        #[case] until: Date,
        #[case] opens: Date,
    ) {
        assert_eq!(
            endorsement_opens(date(2026, 11, 20), Period::Years(1), until),
            Ok(opens)
        );
    }

    #[test]
    fn a_table_with_a_day_of_another_year_is_refused() {
        let text =
            "year = 2030\nsource = \"x\"\ngrade = \"R\"\nholidays = [\"2031-01-01\"]\nworking_weekends = []";
        assert!(matches!(
            Calendar::default().add_year("x", text),
            Err(Error::RuleSetInvalid { .. })
        ));
    }
}
