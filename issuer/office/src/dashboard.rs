//! How the office stands, in figures for whoever answers for it: the way of cases in a day and a week, how long each step takes, what is
//! late by the law, what ends soon, what nobody picked up.
//!
//! Figures come from the ledger alone. Left out: names, except of nobody; the case behind a late one is opened by who works on it.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use permit_domain::ApplicationId;
use program_contract::day;

use crate::error::OfficeError;
use crate::office::Office;

/// The most late cases that are named.
const NAMED: u32 = 500;
/// Days ahead in which permits that end are counted.
const AHEAD: i64 = 60;
/// Ages, days, from which a card that nobody picked up is counted.
pub const AGES: [i64; 4] = [7, 30, 60, 90];
/// A case is near its end within these days.
const NEAR: i64 = 3;

/// Where the way of a case has its steps, as the ledger calls them.
const STEPS: [&str; 6] = [
    "application APPLIED",
    "application ACCEPTED",
    "application REVIEWED",
    "permit APPROVED",
    "production ORDERED",
    "production HANDED_OVER",
];

/// How many cases came to each step: received, accepted, reviewed, approved, ordered, handed over.
pub type Funnel = [i64; 6];

/// How long a step took, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// `REVIEW`, `SIGN_OFF`, `ORDER`, `MAKE`, `HAND_OVER`, or `ALL` of them.
    pub step: &'static str,
    /// How many ended in the week.
    pub count: usize,
    /// Half of them took no longer.
    pub p50: i64,
    /// Nine in ten took no longer.
    pub p90: i64,
}

/// How the office stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dashboard {
    /// Today.
    pub day: Funnel,
    /// The last seven days, today among them.
    pub week: Funnel,
    /// How long the steps took that ended in the last seven days.
    pub waits: Vec<Wait>,
    /// Cases whose card is not made on the last day of the law, with that day; the longest first.
    pub late: Vec<(ApplicationId, Date)>,
    /// Cases that will be late within three days.
    pub near: usize,
    /// Whether there are more cases than were looked at.
    pub more: bool,
    /// Permits that end in each of the next weeks: its first day, and how many.
    pub ending: Vec<(Date, i64)>,
    /// Cards that wait for their holder: all, and for longer than each of [`AGES`].
    pub not_picked_up: (usize, [usize; 4]),
    /// Cards in doubt.
    pub in_doubt: usize,
    /// Blanks in stock.
    pub blanks: i64,
}

const WAITS: [&str; 6] = ["REVIEW", "SIGN_OFF", "ORDER", "MAKE", "HAND_OVER", "ALL"];

impl Office {
    /// How the office stands now.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn dashboard(&self) -> Result<Dashboard, OfficeError> {
        let (now, today) = (self.clock.now(), self.clock.today());
        let before = |days: i64| today.checked_sub(days.days()).map_err(|_| OfficeError::Internal);
        let after = |days: i64| today.checked_add(days.days()).map_err(|_| OfficeError::Internal);
        let (begins, week) = (day::begins(today), day::begins(before(6)?));
        // What has just been written has this very instant, or one that is a moment ahead.
        let end = now.checked_add(1.hour()).map_err(|_| OfficeError::Internal)?;
        let mut ledger = self.read().await?;
        let funnel = |done: Vec<(String, i64)>| {
            STEPS.map(|step| {
                done.iter()
                    .find(|(action, _)| action == step)
                    .map_or(0, |(_, n)| *n)
            })
        };
        let day = funnel(ledger.done_between(begins, end).await?);
        let of_week = funnel(ledger.done_between(week, end).await?);
        let waited = ledger.waits_between(week, end).await?;
        let waits = WAITS
            .into_iter()
            .filter_map(|step| {
                wait(
                    step,
                    waited.iter().filter(|(of, _)| of == step).map(|(_, ms)| *ms),
                )
            })
            .collect();
        // Nobody has fewer days than this to issue a permit.
        let open = ledger.applications_unissued(today, NAMED).await?;
        let more = open.len() >= NAMED as usize;
        let (mut late, mut near) = (Vec::new(), 0);
        for case in open {
            match self.issue_by(&case) {
                Some(last) if last < today => late.push((case.application.id(), last)),
                Some(last) if last <= after(NEAR)? => near += 1,
                _ => {}
            }
        }
        late.sort_by_key(|(_, last)| *last);
        let ending = weeks(today, &ledger.permits_ending(today, after(AHEAD)?).await?);
        let waiting = ledger.cards_waiting().await?;
        let older = |days: i64| -> usize {
            let limit = now.checked_sub((days * 24).hours()).unwrap_or(Timestamp::MIN);
            waiting.iter().filter(|since| **since <= limit).count()
        };
        Ok(Dashboard {
            day,
            week: of_week,
            waits,
            late,
            near,
            more,
            ending,
            not_picked_up: (waiting.len(), AGES.map(older)),
            in_doubt: ledger.in_doubt().await?.len(),
            blanks: ledger.stock().await?.in_stock,
        })
    }
}

/// Half and nine tenths of what waited, by the nearest rank; nothing where nothing did.
fn wait(step: &'static str, waited: impl Iterator<Item = i64>) -> Option<Wait> {
    let mut waited: Vec<i64> = waited.map(|ms| ms.max(0)).collect();
    waited.sort_unstable();
    let rank = |tenths: usize| {
        let rank = (waited.len() * tenths).div_ceil(10).max(1);
        waited.get(rank - 1).copied()
    };
    Some(Wait {
        step,
        count: waited.len(),
        p50: rank(5)?,
        p90: rank(9)?,
    })
}

/// Days gathered into weeks from the first one on; weeks in which nothing ends are there too.
fn weeks(first: Date, ending: &[(Date, i64)]) -> Vec<(Date, i64)> {
    let mut weeks = Vec::new();
    let mut from = first;
    while weeks.len() * 7 <= usize::try_from(AHEAD).unwrap_or_default() {
        let Ok(next) = from.checked_add(7.days()) else {
            break;
        };
        let of = ending.iter().filter(|(day, _)| (from..next).contains(day));
        weeks.push((from, of.map(|(_, count)| *count).sum()));
        from = next;
    }
    weeks
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn half_and_nine_tenths_are_waits_that_somebody_had() {
        assert_eq!(wait("ALL", std::iter::empty()), None);
        let of = |waits: &[i64]| {
            let wait = wait("ALL", waits.iter().copied()).unwrap();
            (wait.p50, wait.p90)
        };
        assert_eq!(of(&[7]), (7, 7));
        assert_eq!(of(&[3, 1, 2]), (2, 3));
        let hundred: Vec<i64> = (1..=100).collect();
        assert_eq!(of(&hundred), (50, 90));
    }

    #[test]
    fn weeks_begin_today_and_reach_sixty_days() {
        let ending = [
            (date(2026, 12, 1), 2),
            (date(2026, 12, 8), 3),
            (date(2027, 1, 29), 1),
        ];
        let weeks = weeks(date(2026, 12, 1), &ending);
        assert_eq!(weeks.len(), 9);
        assert_eq!(weeks[0], (date(2026, 12, 1), 2));
        assert_eq!(weeks[1], (date(2026, 12, 8), 3));
        assert_eq!(weeks.iter().map(|(_, n)| n).sum::<i64>(), 6);
    }
}
