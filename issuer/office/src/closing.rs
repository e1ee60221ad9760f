//! The day's closing: what was done since the closing before, by whom, what of the stock it took and what is in doubt; signed off by who
//! closes it. A day is closed once; what is done behind its closing stands in the next report.
//!
//! The report names accounts, orders and changes, and nobody else. Left out: printing (a page does it).

use issuer_store::{DayClosing, Snapshot};
use jiff::civil::Date;
use permit_domain::{Digest, Refusal, StaffId};
use serde::{Deserialize, Serialize};

use crate::error::OfficeError;
use crate::office::Office;

/// The role under which the ledger has who closed a day.
const ROLE: &str = "chief";
/// Entries that are nobody's work.
const NO_WORK: [&str; 2] = ["signed in", "signed out"];
/// The most closings that a list shows.
const SHOWN: u32 = 60;

/// What an end-of-day report says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayReport {
    /// The day that it closes.
    pub day: Date,
    /// The day that was closed before it; none for the first.
    pub since: Option<Date>,
    /// The last entry of the ledger that it has.
    pub to: i64,
    /// What was done.
    pub done: Vec<Done>,
    /// Blanks and cards that were destroyed before a second person.
    pub scrapped: i64,
    /// Orders and changes whose card has to be presented again, by id.
    pub in_doubt: Vec<String>,
    /// Blanks in stock when it was made.
    pub blanks_left: i64,
}

/// How often an account did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// As the ledger calls it, for example `application ACCEPTED`.
    pub action: String,
    /// The account.
    pub by: String,
    /// How often.
    pub count: i64,
}

impl DayReport {
    /// How often something was done, by whomever.
    #[must_use]
    pub fn count(&self, action: &str) -> i64 {
        let of = self.done.iter().filter(|done| done.action == action);
        of.map(|done| done.count).sum()
    }

    /// What stands for all that it says.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.text().as_bytes())
    }

    fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// A day that was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// As it was signed off.
    pub report: DayReport,
    /// By whom.
    pub by: StaffId,
    /// When.
    pub at: jiff::Timestamp,
}

impl Office {
    /// The report of the day that is open, over all that was done so far; of the next day where today was closed.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn open_day(&self) -> Result<DayReport, OfficeError> {
        let mut ledger = self.read().await?;
        let to = ledger.last_entry().await?;
        report(&mut ledger, self.clock.today(), to).await
    }

    /// Closes today with the report that was read: `to` is its last entry, `read` its digest.
    ///
    /// # Errors
    /// [`Refusal::DayClosed`]; [`Refusal::ReportMoved`] where a card came into doubt or out of it, or a blank was taken, since it was
    /// read; outages.
    pub async fn close_day(&self, to: i64, read: Digest, by: &StaffId) -> Result<DayReport, OfficeError> {
        let today = self.clock.today();
        let mut tx = self.begin().await?;
        let last = tx.day_closings(1).await?.into_iter().next();
        if let Some(closed) = last.as_ref().filter(|closing| closing.day >= today) {
            return Err(Refusal::DayClosed { day: closed.day }.into());
        }
        let after = last.map_or(0, |closing| closing.to_seq);
        if !(after..=tx.last_entry().await?).contains(&to) {
            return Err(Refusal::ReportMoved.into());
        }
        let report = report(&mut tx, today, to).await?;
        if report.digest() != read {
            return Err(Refusal::ReportMoved.into());
        }
        let closing = DayClosing {
            day: report.day,
            after_seq: after,
            to_seq: to,
            report: report.text(),
            closed_by: by.clone(),
            closed_at: tx.at(),
        };
        let appended = tx.insert_day_closing(&closing, (ROLE, by)).await?;
        tx.commit(appended).await?;
        Ok(report)
    }

    /// A day that was closed.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`]; the ledger's.
    pub async fn closed_day(&self, day: Date) -> Result<Closed, OfficeError> {
        let found = self.read().await?.day_closing(day).await?;
        closed(found.ok_or(OfficeError::NotFound { what: "closed day" })?)
    }

    /// The days that were closed last, the latest first, at most 60.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn closed_days(&self) -> Result<Vec<Closed>, OfficeError> {
        let days = self.read().await?.day_closings(SHOWN).await?;
        days.into_iter().map(closed).collect()
    }
}

fn closed(closing: DayClosing) -> Result<Closed, OfficeError> {
    let report = serde_json::from_str(&closing.report).map_err(|_| issuer_store::Error::Damaged {
        what: "day_closings.report".to_owned(),
    })?;
    Ok(Closed {
        report,
        by: closing.closed_by,
        at: closing.closed_at,
    })
}

/// What was done after the last closing, up to this entry.
async fn report(ledger: &mut Snapshot, today: Date, to: i64) -> Result<DayReport, OfficeError> {
    let last = ledger.day_closings(1).await?.into_iter().next();
    let after = last.as_ref().map_or(0, |closing| closing.to_seq);
    let since = last.map(|closing| closing.day);
    let day = match since {
        Some(closed) if closed >= today => closed.tomorrow().map_err(|_| OfficeError::Internal)?,
        _ => today,
    };
    let done = ledger.done_in(after, to).await?;
    Ok(DayReport {
        day,
        since,
        to,
        done: done
            .into_iter()
            .filter(|done| !NO_WORK.contains(&done.action.as_str()))
            .map(|done| Done {
                action: done.action,
                by: done.actor,
                count: done.count,
            })
            .collect(),
        scrapped: ledger.scrapped_in(after, to).await?,
        in_doubt: ledger.in_doubt().await?,
        blanks_left: ledger.stock().await?.in_stock,
    })
}
