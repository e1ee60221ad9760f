//! What was done in a stretch of the ledger, and the days that were closed over it. A closing covers the entries after the one before
//! it, so that none is in two reports and none in no report.
//!
//! Left out: what a report says (the office), and whose names stand in it.

use jiff::Timestamp;
use jiff::civil::Date;
use permit_domain::StaffId;

use crate::{
    entry::Entry,
    error::Error,
    rows::{instant, millis, value},
    transaction::{Appended, Snapshot, Transaction, on_engine, write_on_engine},
};

/// A day that was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayClosing {
    /// The day of the office.
    pub day: Date,
    /// The last entry that the closing before it had; 0 for the first.
    pub after_seq: i64,
    /// The last entry that it has.
    pub to_seq: i64,
    /// The report as it was signed off: JSON of the office, without personal data.
    pub report: String,
    /// Who closed it.
    pub closed_by: StaffId,
    /// When.
    pub closed_at: Timestamp,
}

/// How often somebody did something.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct DoneCount {
    /// As the ledger calls it, for example `application ACCEPTED`.
    pub action: String,
    /// The account.
    pub actor: String,
    /// How often.
    pub count: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    day: String,
    after_seq: i64,
    to_seq: i64,
    report: String,
    closed_by: String,
    closed_at: i64,
}

impl TryFrom<Row> for DayClosing {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            day: value(&row.day, "day_closings.day")?,
            after_seq: row.after_seq,
            to_seq: row.to_seq,
            report: row.report,
            closed_by: value(&row.closed_by, "day_closings.closed_by")?,
            closed_at: instant(row.closed_at, "day_closings.closed_at")?,
        })
    }
}

impl Snapshot {
    /// Number of the last entry of the ledger; 0 for none.
    ///
    /// # Errors
    /// Outages.
    pub async fn last_entry(&mut self) -> Result<i64, Error> {
        const LAST: &str = "SELECT seq FROM ledger_head WHERE id = 1";
        on_engine!(self, |c| sqlx::query_scalar(LAST).fetch_one(c))
    }

    /// How often who did what, in the entries after the first number up to the second.
    ///
    /// # Errors
    /// Outages.
    pub async fn done_in(&mut self, after: i64, to: i64) -> Result<Vec<DoneCount>, Error> {
        const DONE: &str = "
            SELECT action, actor, count(*) AS count FROM events WHERE seq > $1 AND seq <= $2
            GROUP BY action, actor";
        let mut done: Vec<DoneCount> =
            on_engine!(self, |c| sqlx::query_as(DONE).bind(after).bind(to).fetch_all(c))?;
        // Here and not in SQL: servers sort texts by the language that they were set up with.
        done.sort_by(|a, b| (&a.action, &a.actor).cmp(&(&b.action, &b.actor)));
        Ok(done)
    }

    /// How many blanks and cards were destroyed before a second person, in the entries after the first number up to the second.
    ///
    /// # Errors
    /// Outages.
    pub async fn scrapped_in(&mut self, after: i64, to: i64) -> Result<i64, Error> {
        const SCRAPPED: &str = "
            SELECT count(*) FROM events
            WHERE seq > $1 AND seq <= $2 AND action = 'scrap DONE'";
        on_engine!(self, |c| sqlx::query_scalar(SCRAPPED)
            .bind(after)
            .bind(to)
            .fetch_one(c))
    }

    /// Orders and changes whose card has to be presented again before anything else, by id.
    ///
    /// # Errors
    /// Outages.
    pub async fn in_doubt(&mut self) -> Result<Vec<String>, Error> {
        const IN_DOUBT: &str = "
            SELECT id FROM orders WHERE state IN ('ENCODING', 'HANDING_OVER')
            UNION ALL SELECT id FROM changes WHERE state = 'WRITING'";
        let mut ids: Vec<String> = on_engine!(self, |c| sqlx::query_scalar(IN_DOUBT).fetch_all(c))?;
        ids.sort();
        Ok(ids)
    }

    /// The closing of a day.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn day_closing(&mut self, day: Date) -> Result<Option<DayClosing>, Error> {
        const OF: &str = "
            SELECT day, after_seq, to_seq, report, closed_by, closed_at FROM day_closings WHERE day = $1";
        let row: Option<Row> = on_engine!(self, |c| sqlx::query_as(OF)
            .bind(day.to_string())
            .fetch_optional(c))?;
        row.map(TryInto::try_into).transpose()
    }

    /// The days that were closed last, the latest first, at most `limit`.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn day_closings(&mut self, limit: u32) -> Result<Vec<DayClosing>, Error> {
        const LAST: &str = "
            SELECT day, after_seq, to_seq, report, closed_by, closed_at FROM day_closings
            ORDER BY to_seq DESC, day DESC LIMIT $1";
        let rows: Vec<Row> = on_engine!(self, |c| sqlx::query_as(LAST).bind(i64::from(limit)).fetch_all(c))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// How often each thing was done from one instant to the other (not included).
    ///
    /// # Errors
    /// Outages.
    pub async fn done_between(
        &mut self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<(String, i64)>, Error> {
        const DONE: &str = "SELECT action, count(*) FROM events WHERE at >= $1 AND at < $2 GROUP BY action";
        on_engine!(self, |c| sqlx::query_as(DONE)
            .bind(millis(from))
            .bind(millis(to))
            .fetch_all(c))
    }

    /// How long each step of first issues took that ended from one instant to the other (not included): `REVIEW`, `SIGN_OFF`, `ORDER`,
    /// `MAKE`, `HAND_OVER`, and `ALL` of them; milliseconds.
    ///
    /// # Errors
    /// Outages.
    pub async fn waits_between(
        &mut self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<(String, i64)>, Error> {
        const WAITS: &str = "
            SELECT 'REVIEW' AS step, d.made_at - a.created_at AS waited
            FROM decisions d JOIN applications a ON a.id = d.application
            WHERE d.made_at >= $1 AND d.made_at < $2
            UNION ALL SELECT 'SIGN_OFF', p.created_at - d.made_at
            FROM permits p JOIN decisions d ON d.application = p.application
            WHERE p.created_at >= $1 AND p.created_at < $2
            UNION ALL SELECT 'ORDER', o.created_at - p.created_at
            FROM orders o JOIN permits p ON p.id = o.permit
            WHERE o.created_at >= $1 AND o.created_at < $2
              AND NOT EXISTS (SELECT 1 FROM orders b WHERE b.permit = o.permit AND b.created_at < o.created_at)
            UNION ALL SELECT 'MAKE', s.finished_at - o.created_at
            FROM order_steps s JOIN orders o ON o.id = s.order_id
            WHERE s.step = 'VERIFIED' AND s.finished_at >= $1 AND s.finished_at < $2
            UNION ALL SELECT 'HAND_OVER', h.finished_at - s.finished_at
            FROM order_steps h JOIN order_steps s ON s.order_id = h.order_id AND s.step = 'VERIFIED'
            WHERE h.step = 'HANDED_OVER' AND h.finished_at >= $1 AND h.finished_at < $2
            UNION ALL SELECT 'ALL', h.finished_at - a.created_at
            FROM order_steps h JOIN orders o ON o.id = h.order_id JOIN permits p ON p.id = o.permit
                JOIN applications a ON a.id = p.application
            WHERE h.step = 'HANDED_OVER' AND h.finished_at >= $1 AND h.finished_at < $2
              AND NOT EXISTS (SELECT 1 FROM orders b WHERE b.permit = o.permit AND b.created_at < o.created_at
                              AND b.state = 'HANDED_OVER')";
        on_engine!(self, |c| sqlx::query_as(WAITS)
            .bind(millis(from))
            .bind(millis(to))
            .fetch_all(c))
    }

    /// How many permits in force end on each day of these, both included, by day.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn permits_ending(&mut self, from: Date, to: Date) -> Result<Vec<(Date, i64)>, Error> {
        const ENDING: &str = "
            SELECT valid_to, count(*) FROM permits
            WHERE state IN ('ACTIVE', 'SUSPENDED') AND valid_to >= $1 AND valid_to <= $2
            GROUP BY valid_to ORDER BY valid_to";
        let rows: Vec<(String, i64)> = on_engine!(self, |c| sqlx::query_as(ENDING)
            .bind(from.to_string())
            .bind(to.to_string())
            .fetch_all(c))?;
        rows.into_iter()
            .map(|(day, count)| Ok((value(&day, "permits.valid_to")?, count)))
            .collect()
    }

    /// Since when each verified card waits for its holder, the longest first.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn cards_waiting(&mut self) -> Result<Vec<Timestamp>, Error> {
        const WAITING: &str = "
            SELECT s.finished_at FROM orders o JOIN order_steps s ON s.order_id = o.id AND s.step = 'VERIFIED'
            WHERE o.state = 'VERIFIED' ORDER BY s.finished_at";
        let rows: Vec<i64> = on_engine!(self, |c| sqlx::query_scalar(WAITING).fetch_all(c))?;
        rows.into_iter()
            .map(|at| instant(at, "order_steps.finished_at"))
            .collect()
    }
}

impl Transaction {
    /// Stores that a day was closed with this report, whose digest is in the ledger.
    ///
    /// # Errors
    /// [`Error::Exists`] for a day that was closed before; outages.
    pub async fn insert_day_closing(
        &mut self,
        closing: &DayClosing,
        (role, actor): (&str, &StaffId),
    ) -> Result<Appended, Error> {
        const INSERT: &str = "
            INSERT INTO day_closings (day, after_seq, to_seq, report, closed_by, closed_at)
            VALUES ($1, $2, $3, $4, $5, $6)";
        let (at, day) = (self.millis(), closing.day.to_string());
        write_on_engine!(self, |c| sqlx::query(INSERT)
            .bind(day.as_str())
            .bind(closing.after_seq)
            .bind(closing.to_seq)
            .bind(closing.report.as_str())
            .bind(actor.as_str())
            .bind(at)
            .execute(c))
        .map_err(|e| e.of("closed day"))?;
        self.append(Entry {
            role,
            actor: actor.as_str(),
            action: "day CLOSED",
            subject: &day,
            detail: &format!(
                r#"{{"to":{},"report":"{}"}}"#,
                closing.to_seq,
                permit_domain::Digest::of(closing.report.as_bytes())
            ),
        })
        .await
    }
}
