//! Terminals whose counters are taken, and how often they answered. Card specification, chapter 08.
//!
//! Rows with a number name no terminal; rows of a terminal hold no number; an entry of the ledger holds none either. Left out:
//! signatures (checked before), and what of the numbers is told.

use jiff::civil::Date;
use permit_domain::counting::{CountingTerminal, Row};
use permit_domain::{Digest, StaffId};

use crate::{
    entry::Entry,
    error::Error,
    rows::{damaged, digest, value},
    transaction::{Appended, Snapshot, Transaction, on_engine, write_on_engine},
};

#[derive(sqlx::FromRow)]
struct TerminalRow {
    name: String,
    valid_from: String,
    authentication_key: Vec<u8>,
    role: String,
    operator: String,
    line: Option<String>,
    withdrawn_after: Option<String>,
}

impl TryFrom<TerminalRow> for CountingTerminal {
    type Error = Error;

    fn try_from(row: TerminalRow) -> Result<Self, Error> {
        Ok(Self {
            name: row.name,
            authentication_key: row
                .authentication_key
                .try_into()
                .map_err(|_| damaged("counting_terminals.authentication_key"))?,
            role: value(&row.role, "counting_terminals.role")?,
            operator: row.operator,
            line: row.line,
            from: value(&row.valid_from, "counting_terminals.valid_from")?,
            withdrawn_after: row
                .withdrawn_after
                .map(|day| value(&day, "counting_terminals.withdrawn_after"))
                .transpose()?,
        })
    }
}

/// How often, and the day on which it is booked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookedCounts {
    /// Of what.
    pub row: Row,
    /// The day; of doors the first of the month.
    pub day: Date,
    /// How often.
    pub number: u64,
}

#[derive(sqlx::FromRow)]
struct BookedRow {
    operator: String,
    line: String,
    role: String,
    answer: String,
    day: String,
    number: i64,
}

impl TryFrom<BookedRow> for BookedCounts {
    type Error = Error;

    fn try_from(row: BookedRow) -> Result<Self, Error> {
        Ok(Self {
            row: Row {
                operator: row.operator,
                line: Some(row.line).filter(|line| !line.is_empty()),
                role: value(&row.role, "counted.role")?,
                answer: value(&row.answer, "counted.answer")?,
            },
            day: value(&row.day, "counted.day")?,
            number: u64::try_from(row.number).map_err(|_| damaged("counted.number"))?,
        })
    }
}

impl Snapshot {
    /// Every time that a terminal of this name stood on a line, the latest first.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn counting_terminal(&mut self, name: &str) -> Result<Vec<CountingTerminal>, Error> {
        const NAMED: &str = "
            SELECT name, valid_from, authentication_key, role, operator, line, withdrawn_after FROM counting_terminals
            WHERE name = $1 ORDER BY valid_from DESC";
        let rows: Vec<TerminalRow> = on_engine!(self, |c| sqlx::query_as(NAMED).bind(name).fetch_all(c))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// All of them, by name and first day.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn counting_terminals(&mut self) -> Result<Vec<CountingTerminal>, Error> {
        const ALL: &str = "
            SELECT name, valid_from, authentication_key, role, operator, line, withdrawn_after FROM counting_terminals
            ORDER BY name, valid_from";
        let rows: Vec<TerminalRow> = on_engine!(self, |c| sqlx::query_as(ALL).fetch_all(c))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The digest of the file of a terminal's day, once it was taken.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn counted_day(&mut self, terminal: &str, day: Date) -> Result<Option<Digest>, Error> {
        const DAY: &str = "SELECT digest FROM counted_days WHERE terminal = $1 AND day = $2";
        let bytes: Option<Vec<u8>> = on_engine!(self, |c| sqlx::query_scalar(DAY)
            .bind(terminal)
            .bind(day.to_string())
            .fetch_optional(c))?;
        bytes
            .map(|bytes| digest(bytes, "counted_days.digest"))
            .transpose()
    }

    /// The last day of which a file was taken, for each terminal that there is one of.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn last_counted_days(&mut self) -> Result<Vec<(String, Date)>, Error> {
        const LAST: &str = "SELECT terminal, max(day) FROM counted_days GROUP BY terminal";
        let rows: Vec<(String, String)> = on_engine!(self, |c| sqlx::query_as(LAST).fetch_all(c))?;
        rows.into_iter()
            .map(|(terminal, day)| Ok((terminal, value(&day, "counted_days.day")?)))
            .collect()
    }

    /// All that was booked, by row and day, ascending. Nobody is told these numbers as they stand.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn booked_counts(&mut self) -> Result<Vec<BookedCounts>, Error> {
        const ALL: &str = "SELECT operator, line, role, answer, day, number FROM counted";
        let rows: Vec<BookedRow> = on_engine!(self, |c| sqlx::query_as(ALL).fetch_all(c))?;
        let booked = rows.into_iter().map(TryInto::try_into);
        let mut booked = booked.collect::<Result<Vec<BookedCounts>, Error>>()?;
        // Here and not in SQL: servers sort texts by the language that they were set up with.
        booked.sort_by(|a, b| (&a.row, a.day).cmp(&(&b.row, b.day)));
        Ok(booked)
    }
}

impl Transaction {
    /// Stores that a terminal stands on a line.
    ///
    /// # Errors
    /// [`Error::Exists`] for a name that another terminal has, or the same first day; outages.
    pub async fn insert_counting_terminal(
        &mut self,
        terminal: &CountingTerminal,
        by: &StaffId,
    ) -> Result<Appended, Error> {
        const INSERT: &str = "
            INSERT INTO counting_terminals
                (name, valid_from, authentication_key, role, operator, line, created_at, changed_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let at = self.millis();
        write_on_engine!(self, |c| sqlx::query(INSERT)
            .bind(terminal.name.as_str())
            .bind(terminal.from.to_string())
            .bind(terminal.authentication_key.to_vec())
            .bind(terminal.role.as_str())
            .bind(terminal.operator.as_str())
            .bind(terminal.line.as_deref())
            .bind(at)
            .bind(at)
            .execute(c))
        .map_err(|e| e.of("terminal name"))?;
        self.append(Entry {
            role: "settlement officer",
            actor: by.as_str(),
            action: "counting terminal REGISTERED",
            subject: &terminal.name,
            detail: &format!(r#"{{"from":"{}"}}"#, terminal.from),
        })
        .await
    }

    /// Stores the last day of a terminal on its line.
    ///
    /// # Errors
    /// Outages.
    pub async fn withdraw_counting_terminal(
        &mut self,
        terminal: &CountingTerminal,
        after: Date,
        by: &StaffId,
    ) -> Result<Appended, Error> {
        const SET: &str = "
            UPDATE counting_terminals SET withdrawn_after = $1, changed_at = $2 WHERE name = $3 AND valid_from = $4";
        let at = self.millis();
        write_on_engine!(self, |c| sqlx::query(SET)
            .bind(after.to_string())
            .bind(at)
            .bind(terminal.name.as_str())
            .bind(terminal.from.to_string())
            .execute(c))?;
        self.append(Entry {
            role: "settlement officer",
            actor: by.as_str(),
            action: "counting terminal WITHDRAWN",
            subject: &terminal.name,
            detail: &format!(r#"{{"after":"{after}"}}"#),
        })
        .await
    }

    /// Stores that a terminal's day was taken, and books its counts.
    ///
    /// # Errors
    /// [`Error::Exists`] for a day that was taken before; outages.
    pub async fn insert_counted_day(
        &mut self,
        terminal: &str,
        day: Date,
        file: Digest,
        booked: &[BookedCounts],
        by: &StaffId,
    ) -> Result<Appended, Error> {
        const DAY: &str =
            "INSERT INTO counted_days (terminal, day, digest, imported_at) VALUES ($1, $2, $3, $4)";
        const BOOK: &str = "
            INSERT INTO counted (operator, line, role, answer, day, number) VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (operator, line, role, answer, day) DO UPDATE SET number = counted.number + excluded.number";
        let at = self.millis();
        write_on_engine!(self, |c| sqlx::query(DAY)
            .bind(terminal)
            .bind(day.to_string())
            .bind(file.as_bytes().to_vec())
            .bind(at)
            .execute(c))
        .map_err(|e| e.of("counted day"))?;
        for BookedCounts { row, day, number } in booked {
            write_on_engine!(self, |c| sqlx::query(BOOK)
                .bind(row.operator.as_str())
                .bind(row.line.as_deref().unwrap_or_default())
                .bind(row.role.as_str())
                .bind(row.answer.as_str())
                .bind(day.to_string())
                .bind(i64::try_from(*number).unwrap_or(i64::MAX))
                .execute(c))?;
        }
        self.append(Entry {
            role: "settlement officer",
            actor: by.as_str(),
            action: "counters IMPORTED",
            subject: terminal,
            detail: &format!(r#"{{"day":"{day}"}}"#),
        })
        .await
    }
}
