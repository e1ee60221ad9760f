//! The key of slips, the application behind a receipt number, and how services were evaluated: how often each score was given, by
//! division, month and kind. A service that was evaluated is remembered by a keyed digest; nothing joins it to a score.
//!
//! Left out: codes and what a holder is told (the office).

use permit_domain::{ApplicationId, Division};

use crate::{
    error::Error,
    rows::{damaged, value},
    transaction::{Snapshot, Transaction, on_engine, write_on_engine},
};

/// How often a score was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreCount {
    /// Where.
    pub division: Division,
    /// `YYYY-MM`.
    pub month: String,
    /// `FIRST_ISSUE`, `REPLACEMENT` or `CHANGE`.
    pub kind: String,
    /// 1 to 5.
    pub score: u8,
    /// How often.
    pub number: u64,
}

impl Snapshot {
    /// The secret by which the codes on slips are made.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn slip_key(&mut self) -> Result<[u8; 32], Error> {
        const KEY: &str = "SELECT key FROM slip_key WHERE id = 1";
        let key: Vec<u8> = on_engine!(self, |c| sqlx::query_scalar(KEY).fetch_one(c))?;
        key.try_into().map_err(|_| damaged("slip_key.key"))
    }

    /// The applications whose id ends with these 12 hex digits: one, but for chance.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn applications_of_receipt(&mut self, receipt: &str) -> Result<Vec<ApplicationId>, Error> {
        const OF: &str = "SELECT id FROM applications WHERE substr(id, 25) = $1 ORDER BY id";
        let ids: Vec<String> = on_engine!(self, |c| sqlx::query_scalar(OF).bind(receipt).fetch_all(c))?;
        ids.iter().map(|id| value(id, "applications.id")).collect()
    }

    /// Whether the service with this digest was evaluated.
    ///
    /// # Errors
    /// Outages.
    pub async fn is_evaluated(&mut self, service: &[u8; 32]) -> Result<bool, Error> {
        const KNOWN: &str = "SELECT count(*) FROM evaluated WHERE service = $1";
        let known: i64 = on_engine!(self, |c| sqlx::query_scalar(KNOWN)
            .bind(service.to_vec())
            .fetch_one(c))?;
        Ok(known > 0)
    }

    /// All scores of the months before this one (`YYYY-MM`), by division, month, kind and score. Nobody is told these numbers as they
    /// stand.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn scores_before(&mut self, month: &str) -> Result<Vec<ScoreCount>, Error> {
        const ALL: &str = "SELECT division, month, kind, score, number FROM evaluations WHERE month < $1";
        let rows: Vec<(String, String, String, i64, i64)> =
            on_engine!(self, |c| sqlx::query_as(ALL).bind(month).fetch_all(c))?;
        let mut scores = Vec::with_capacity(rows.len());
        for (division, month, kind, score, number) in rows {
            scores.push(ScoreCount {
                division: value(&division, "evaluations.division")?,
                month,
                kind,
                score: u8::try_from(score).map_err(|_| damaged("evaluations.score"))?,
                number: u64::try_from(number).map_err(|_| damaged("evaluations.number"))?,
            });
        }
        // Here and not in SQL: servers sort texts by the language that they were set up with.
        scores.sort_by(|a, b| {
            (&b.month, a.division.as_str(), &a.kind, a.score).cmp(&(
                &a.month,
                b.division.as_str(),
                &b.kind,
                b.score,
            ))
        });
        Ok(scores)
    }
}

impl Transaction {
    /// Counts a score, and remembers that its service was evaluated. No entry: it would say when, and beside what.
    ///
    /// # Errors
    /// [`Error::Exists`] for a service that was evaluated before; outages.
    pub async fn count_score(
        &mut self,
        service: &[u8; 32],
        division: &Division,
        (month, kind): (&str, &str),
        score: u8,
    ) -> Result<(), Error> {
        const KEEP: &str = "INSERT INTO evaluated (service) VALUES ($1)";
        const COUNT: &str = "
            INSERT INTO evaluations (division, month, kind, score, number) VALUES ($1, $2, $3, $4, 1)
            ON CONFLICT (division, month, kind, score) DO UPDATE SET number = evaluations.number + 1";
        write_on_engine!(self, |c| sqlx::query(KEEP).bind(service.to_vec()).execute(c))
            .map_err(|e| e.of("evaluation"))?;
        write_on_engine!(self, |c| sqlx::query(COUNT)
            .bind(division.as_str())
            .bind(month)
            .bind(kind)
            .bind(i64::from(score))
            .execute(c))?;
        Ok(())
    }
}
