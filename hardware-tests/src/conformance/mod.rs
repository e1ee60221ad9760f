//! The conformance suite: black-box tests of the card specification by chapter, for any implementation behind any
//! [`Transport`](card_reader::transport::Transport). It uses the crypto of `card-applet-spec` and a transport of `card-reader`, and nothing of the reference
//! card: a test of this crate looks at its imports.
//!
//! [`cases`] is the list. [`run`] goes through it on one card, in the order of a card's life: what a stranger sees, then as
//! a blank, personalised, active, blocked, terminated. [`report`] prints by chapter. The page `docs/card-acceptance.md`
//! says how a card maker runs it.
//!
//! Left out on purpose: what only a terminal or an office does (chapters 08 and 11 but for the card's part), and every
//! judgement by time alone: times are printed as figures.

mod bench;
mod chapters;
mod keys;
mod office;
pub mod report;
mod tap;
mod terminal;

use card_applet_spec::codes::CardState;
use card_reader::transport::TransportError;

pub use self::bench::{Bench, Cutter, Figure, Setup};
pub use self::keys::{KeysError, TEST_ISSUER, TestKeys};

/// What a case needs to be run at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A card and a reader.
    Outside,
    /// Test keys too.
    Keys,
    /// It tests the platform below the application.
    Platform,
}

impl Class {
    /// The letter of the table.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Outside => 'A',
            Self::Keys => 'B',
            Self::Platform => 'C',
        }
    }
}

/// In which part of a card's life a case is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// On the card as it was laid on the reader, whatever its state.
    AsLaid,
    /// On a blank.
    Blank,
    /// Written, not handed over.
    Personalised,
    /// In use.
    Active,
    /// Stopped.
    Blocked,
    /// Ended.
    Terminated,
}

impl Phase {
    /// The card's state in this phase; none where it does not matter.
    #[must_use]
    pub const fn state(self) -> Option<CardState> {
        match self {
            Self::AsLaid => None,
            Self::Blank => Some(CardState::Blank),
            Self::Personalised => Some(CardState::Personalised),
            Self::Active => Some(CardState::Active),
            Self::Blocked => Some(CardState::Blocked),
            Self::Terminated => Some(CardState::Terminated),
        }
    }
}

/// One case: a sentence of the specification and how it is tried.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Chapter and number: `05.07`.
    pub number: &'static str,
    /// Where the sentence stands: chapter and heading.
    pub reference: &'static str,
    /// What must hold.
    pub sentence: &'static str,
    /// What it needs.
    pub class: Class,
    /// When it is run.
    pub phase: Phase,
    /// What it does to the card that stays; empty for nothing.
    pub effect: &'static str,
    run: fn(&mut Bench<'_>) -> Check,
}

impl Case {
    /// The chapter.
    #[must_use]
    pub fn chapter(&self) -> u8 {
        self.number
            .get(..2)
            .and_then(|chapter| chapter.parse().ok())
            .unwrap_or_default()
    }

    /// True where it needs test keys.
    #[must_use]
    pub fn needs_keys(&self) -> bool {
        self.class == Class::Keys || !matches!(self.phase, Phase::AsLaid | Phase::Blank)
    }

    /// True where something stays on the card: the case itself writes, or the card must be brought to its phase.
    #[must_use]
    pub fn writes(&self) -> bool {
        !self.effect.is_empty() || !matches!(self.phase, Phase::AsLaid | Phase::Blank)
    }
}

/// Why a case did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The card did something else than the specification says.
    Failed(String),
    /// It could not be tried here.
    NotRun(String),
    /// The reader lost the card.
    Lost(TransportError),
}

/// Outcome of a check.
pub(crate) type Check = Result<(), Stop>;

impl From<card_applet_spec::Error> for Stop {
    fn from(error: card_applet_spec::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<TransportError> for Stop {
    fn from(error: TransportError) -> Self {
        Self::Lost(error)
    }
}

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

/// Which cases, and what may be done to the card.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Chapters; empty for all.
    pub chapters: Vec<u8>,
    /// Numbers of cases; empty for all.
    pub cases: Vec<String>,
    /// The card may be written, and ended.
    pub destructive: bool,
}

impl Choice {
    /// True for a case that was asked for.
    #[must_use]
    pub fn takes(&self, case: &Case) -> bool {
        (self.chapters.is_empty() || self.chapters.contains(&case.chapter()))
            && (self.cases.is_empty() || self.cases.iter().any(|number| number == case.number))
    }
}

/// Every case, in the order of their numbers.
#[must_use]
pub fn cases() -> Vec<Case> {
    let mut all: Vec<Case> = chapters::ALL
        .iter()
        .flat_map(|chapter| chapter.iter().copied())
        .collect();
    all.sort_by_key(|case| case.number);
    all
}

/// Runs the chosen cases on the card of `setup`, calling `progress` before each.
///
/// # Errors
///
/// [`TransportError`]: there was no card to begin with. A card that is lost later ends the run: [`Report::lost`].
pub fn run(
    setup: Setup<'_>,
    choice: &Choice,
    progress: &mut dyn FnMut(&Case),
) -> Result<Report, TransportError> {
    let mut bench = Bench::new(setup);
    bench.look()?;
    let listed: Vec<Case> = cases().into_iter().filter(|case| choice.takes(case)).collect();
    let mut order: Vec<usize> = (0..listed.len()).collect();
    // Within a phase in the order of the list; the sort is stable.
    order.sort_by_key(|at| listed[*at].phase);
    let mut verdicts: Vec<Option<Verdict>> = vec![None; listed.len()];
    let mut lost = None;
    let mut reached = Phase::AsLaid;
    let mut unreachable: Option<String> = None;
    for at in order {
        let case = &listed[at];
        let verdict = if let Some(reason) = missing(case, choice, &bench) {
            Verdict::NotRun(reason)
        } else {
            progress(case);
            if case.phase > reached {
                reached = case.phase;
                unreachable = why_not(bench.reach(reached), &mut lost);
            }
            match &unreachable {
                _ if lost.is_some() => Verdict::NotRun("the card was lost before".to_owned()),
                Some(reason) => Verdict::NotRun(reason.clone()),
                None => try_case(case, &mut bench, &mut lost, &mut unreachable),
            }
        };
        verdicts[at] = Some(verdict);
    }
    let outcomes = listed
        .into_iter()
        .zip(verdicts)
        .map(|(case, verdict)| Outcome {
            case,
            verdict: verdict.unwrap_or_else(|| Verdict::NotRun("not reached".to_owned())),
        })
        .collect();
    Ok(bench.into_report(outcomes, lost))
}

/// One case on a card that is where it should be; afterwards the card is brought back to its phase if the case failed.
fn try_case(
    case: &Case,
    bench: &mut Bench<'_>,
    lost: &mut Option<TransportError>,
    unreachable: &mut Option<String>,
) -> Verdict {
    let result = bench.begin_case().and_then(|()| (case.run)(bench));
    let verdict = match result {
        Ok(()) => return Verdict::Pass,
        Err(Stop::NotRun(reason)) => return Verdict::NotRun(reason),
        Err(Stop::Failed(what)) => Verdict::Fail(what),
        Err(Stop::Lost(error)) => {
            // A card that goes silent on a command and lives again after a reset has failed; one that stays away is lost.
            let what = format!("no answer: {error}");
            if bench.begin_case().is_err() {
                *lost = Some(error);
            }
            Verdict::Fail(what)
        }
    };
    if lost.is_none() && case.writes() && case.needs_keys() {
        *unreachable = why_not(bench.reach(case.phase), lost);
    }
    verdict
}

fn why_not(result: Check, lost: &mut Option<TransportError>) -> Option<String> {
    match result {
        Ok(()) => None,
        Err(Stop::Failed(what) | Stop::NotRun(what)) => Some(what),
        Err(Stop::Lost(error)) => {
            let what = format!("the card was lost: {error}");
            *lost = Some(error);
            Some(what)
        }
    }
}

/// Why a case is not even begun.
fn missing(case: &Case, choice: &Choice, bench: &Bench<'_>) -> Option<String> {
    if case.needs_keys() && !bench.has_keys() {
        return Some("it needs test keys (--test-keys FILE)".to_owned());
    }
    if case.writes() && !choice.destructive {
        let what = if case.effect.is_empty() {
            "the card must be written for it"
        } else {
            case.effect
        };
        return Some(format!("{what}: say --destructive"));
    }
    if case.needs_keys() && !bench.is_ours() {
        return Some("the card on the reader is no blank of the test lot of these keys".to_owned());
    }
    if case.phase == Phase::Blank && !bench.is_blank() {
        return Some("the card on the reader is not BLANK".to_owned());
    }
    None
}
