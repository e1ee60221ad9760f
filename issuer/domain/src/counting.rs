//! What terminals counted, and what of it is told: how often, by operator, line and day, and never of fewer than ten.
//!
//! A number below ten can name a person: the one who takes the last bus. So a period (a day; of doors a month) in which fewer
//! were counted is told together with the next ones. Periods are cut once, from the beginning of a row, and not by the days
//! that somebody asks for; and what is told is never told otherwise: a day stays open for [`OPEN_DAYS`] days, is told when it is
//! closed, and what comes in later is counted on a day that is open. So whoever puts two answers side by side, of any days
//! and asked for at any time, sees whole periods or nothing between them. Sums over lines or operators are not told: beside
//! their parts they would say what was kept back.
//!
//! Left out: signatures and files (the office), and what a line is (whoever registers the terminal says that).

use std::fmt;
use std::str::FromStr;

use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::codes::Role;
use crate::error::Error;

/// Smallest number that is told: the threshold of statistics about people that offices publish.
pub const SMALLEST: u64 = 10;

/// For how many days behind it a day takes what comes in: a terminal that is emptied once a week, and a week for its file to come.
pub const OPEN_DAYS: i64 = 14;

/// A terminal whose counters files are taken, in the time in which it stands on a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountingTerminal {
    /// The name in its bundle.
    pub name: String,
    /// The public key that signs its files, `04 || X || Y`.
    pub authentication_key: [u8; 65],
    /// The role that it asks cards for.
    pub role: Role,
    /// Who runs it.
    pub operator: String,
    /// The line, the branch, the site; none where there is none.
    pub line: Option<String>,
    /// First day.
    pub from: Date,
    /// Last day of one that was withdrawn.
    pub withdrawn_after: Option<Date>,
}

impl CountingTerminal {
    /// Whether the counts of this day are taken.
    #[must_use]
    pub fn counts_on(&self, day: Date) -> bool {
        self.from <= day && self.withdrawn_after.is_none_or(|last| day <= last)
    }

    /// Withdrawn: days behind this one are not taken. `None`: it was withdrawn by that very day before. An earlier day may
    /// follow a later one, not the other way.
    ///
    /// # Errors
    /// [`Error::WrongState`] for a terminal that was withdrawn earlier; [`Error::Reversed`] for a day before its first.
    pub fn withdrawn(self, after: Date) -> Result<Option<Self>, Error> {
        match self.withdrawn_after {
            Some(day) if day == after => Ok(None),
            Some(day) if day < after => Err(Error::WrongState {
                thing: "terminal",
                state: "WITHDRAWN",
                wanted: "a later last day",
            }),
            _ if after < self.from => Err(Error::Reversed),
            _ => Ok(Some(Self {
                withdrawn_after: Some(after),
                ..self
            })),
        }
    }

    /// Where its counts of one answer are told: a door's without its line.
    #[must_use]
    pub fn row(&self, answer: Answer) -> Row {
        Row {
            operator: self.operator.clone(),
            line: self.line.clone().filter(|_| self.role != Role::Door),
            role: self.role,
            answer,
        }
    }
}

/// What a terminal answered a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// It let the holder in, on, or pay.
    Accepted,
    /// It did not, for whatever reason.
    Refused,
}

impl Answer {
    /// The word of the ledger and of reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "ACCEPTED",
            Self::Refused => "REFUSED",
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Answer {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "ACCEPTED" => Ok(Self::Accepted),
            "REFUSED" => Ok(Self::Refused),
            _ => Err(Error::UnknownCode {
                table: "answers of terminals",
            }),
        }
    }
}

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// Who runs the terminals.
    pub operator: String,
    /// Where they stand; none for doors.
    pub line: Option<String>,
    /// What they ask cards for.
    pub role: Role,
    /// What they answered.
    pub answer: Answer,
}

/// Days that are told as one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// First day.
    pub from: Date,
    /// Last day, included.
    pub to: Date,
    /// How often; [`SMALLEST`] or more.
    pub count: u64,
}

/// What is told of a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Its periods, one behind the other without a gap.
    pub periods: Vec<Period>,
    /// First closed day of which nothing is told yet: from it on there were fewer than [`SMALLEST`], perhaps none.
    pub below_from: Option<Date>,
}

impl Told {
    /// The periods that end in these days, both included. A period belongs to its last day, so windows side by side share none.
    #[must_use]
    pub fn within(mut self, from: Date, to: Date) -> Self {
        self.periods.retain(|period| from <= period.to && period.to <= to);
        self.below_from = self.below_from.filter(|day| *day <= to);
        self
    }

    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.periods.is_empty() && self.below_from.is_none()
    }
}

/// The day on which counts of a day are booked that come in today: the day itself while it is open, else the earliest that is.
/// Of doors the first of its month.
#[must_use]
pub fn booked_on(role: Role, day: Date, today: Date) -> Date {
    let day = day.max(today.saturating_sub(OPEN_DAYS.days()));
    if role == Role::Door {
        day.first_of_month()
    } else {
        day
    }
}

/// The last day that is closed today: nothing is booked on it any more.
#[must_use]
pub fn closed_to(today: Date) -> Date {
    today.saturating_sub((OPEN_DAYS + 1).days())
}

/// The last day of the period that begins on this day.
fn end_of(role: Role, day: Date) -> Date {
    if role == Role::Door {
        day.last_of_month()
    } else {
        day
    }
}

/// What is told of a row whose counts were booked so, in ascending order, when days are closed up to this one.
#[must_use]
pub fn tell(role: Role, booked: &[(Date, u64)], closed_to: Date) -> Told {
    let mut told = Told::default();
    let (mut begin, mut count) = (None, 0_u64);
    for (day, number) in booked {
        let to = end_of(role, *day);
        if to > closed_to {
            break;
        }
        let from = *begin.get_or_insert(*day);
        count = count.saturating_add(*number);
        if count >= SMALLEST {
            told.periods.push(Period { from, to, count });
            (begin, count) = (to.tomorrow().ok(), 0);
        }
    }
    told.below_from = begin.filter(|day| end_of(role, *day) <= closed_to);
    told
}
