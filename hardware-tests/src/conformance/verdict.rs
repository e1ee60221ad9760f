//! What a run gave: a verdict on every case, and what was measured.

use card_reader::transport::TransportError;

use crate::conformance::case::Case;
use crate::conformance::test_rig::Figure;

/// Verdict on a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It does not, and this was seen.
    Fail(String),
    /// It was not tried, for this reason.
    NotRun(String),
}

/// A case and its verdict.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The case.
    pub case: Case,
    /// The verdict.
    pub verdict: Verdict,
}

/// What a run gave.
#[derive(Debug, Clone)]
pub struct Report {
    /// The reader's name.
    pub reader: String,
    /// Card info in hex; empty when SELECT was not answered.
    pub card_info: String,
    /// All cases that were asked for, in the order of the list.
    pub outcomes: Vec<Outcome>,
    /// What was measured.
    pub figures: Vec<Figure>,
    /// Commands that the card got.
    pub commands: u64,
    /// The trouble that ended the run early.
    pub lost: Option<TransportError>,
}

impl Report {
    /// How many passed, failed, were not run.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        let count = |what: fn(&Verdict) -> bool| self.outcomes.iter().filter(|o| what(&o.verdict)).count();
        (
            count(|v| matches!(v, Verdict::Pass)),
            count(|v| matches!(v, Verdict::Fail(_))),
            count(|v| matches!(v, Verdict::NotRun(_))),
        )
    }

    /// The verdict on a case, by its number.
    #[must_use]
    pub fn verdict(&self, number: &str) -> Option<&Verdict> {
        self.outcomes
            .iter()
            .find(|outcome| outcome.case.number == number)
            .map(|outcome| &outcome.verdict)
    }
}
