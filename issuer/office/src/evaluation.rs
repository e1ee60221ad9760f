//! How holders evaluate a service (好差评): once for each, from the slip, as a score from 1 to 5 under division, month and kind. No case,
//! clerk or hour is kept beside it, and the ledger has no entry that would say them.
//!
//! Told are months that are over, from ten evaluations up: a number that grows while somebody looks would tell what the last one said.

use permit_domain::{Division, Refusal};
use program_contract::day;

use crate::error::OfficeError;
use crate::office::Office;
use crate::service::{self, ServiceKind};
use crate::slip::of_slip;

/// Smallest number of evaluations that is told.
pub const SMALLEST: u64 = permit_domain::counting::SMALLEST;

/// What is told of a division, a month and a kind of service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluated {
    /// Where.
    pub division: Division,
    /// `YYYY-MM`.
    pub month: String,
    /// What for.
    pub kind: ServiceKind,
    /// How many evaluations, and the mean of their scores in tenths; none below ten.
    pub told: Option<(u64, u64)>,
}

impl Office {
    /// Counts the holder's score of the newest service that was not evaluated.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`] for a slip that is none, [`Refusal::Evaluated`] where nothing is left to evaluate; outages.
    pub async fn evaluate(&self, receipt: &str, code: &str, score: u8) -> Result<(), OfficeError> {
        if !(1..=5).contains(&score) {
            return Err(OfficeError::NotFound { what: "evaluation" });
        }
        let mut tx = self.begin().await?;
        let slip = of_slip(&mut tx, receipt, code).await?;
        let id = slip.ok_or(OfficeError::NotFound { what: "application" })?;
        let service = service::to_evaluate(&mut tx, id)
            .await?
            .ok_or(Refusal::Evaluated)?;
        let month = month(self.clock.today());
        tx.count_score(
            &service.mark,
            &service.division,
            (&month, service.kind.name()),
            score,
        )
        .await?;
        Ok(tx.commit_without_entry().await?)
    }

    /// What is told of the months that are over, the latest first.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn evaluations(&self) -> Result<Vec<Evaluated>, OfficeError> {
        let this_month = month(day::of(self.clock.now()));
        let scores = self.read().await?.scores_before(&this_month).await?;
        let told =
            scores.chunk_by(|a, b| (&a.division, &a.month, &a.kind) == (&b.division, &b.month, &b.kind));
        Ok(told
            .filter_map(|of| {
                let first = of.first()?;
                let kind = ServiceKind::ALL
                    .into_iter()
                    .find(|kind| kind.name() == first.kind)?;
                let number: u64 = of.iter().map(|one| one.number).sum();
                let sum: u64 = of.iter().map(|one| one.number * u64::from(one.score)).sum();
                Some(Evaluated {
                    division: first.division.clone(),
                    month: first.month.clone(),
                    kind,
                    told: (number >= SMALLEST).then(|| (number, (sum * 10 + number / 2) / number)),
                })
            })
            .collect())
    }
}

fn month(day: jiff::civil::Date) -> String {
    day.strftime("%Y-%m").to_string()
}
