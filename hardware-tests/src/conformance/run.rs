//! A run of the chosen cases on one card, in the order of a card's life.

use card_reader::transport::TransportError;

use crate::conformance::case::{Case, Choice};
use crate::conformance::chapters::cases;
use crate::conformance::check::{Check, Stop};
use crate::conformance::phase::Phase;
use crate::conformance::test_rig::{Setup, TestRig};
use crate::conformance::verdict::{Outcome, Report, Verdict};

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
    let mut rig = TestRig::new(setup);
    rig.look()?;
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
        let verdict = if let Some(reason) = missing(case, choice, &rig) {
            Verdict::NotRun(reason)
        } else {
            progress(case);
            if case.phase > reached {
                reached = case.phase;
                unreachable = why_not(rig.reach(reached), &mut lost);
            }
            match &unreachable {
                _ if lost.is_some() => Verdict::NotRun("the card was lost before".to_owned()),
                Some(reason) => Verdict::NotRun(reason.clone()),
                None => try_case(case, &mut rig, &mut lost, &mut unreachable),
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
    let (reader, card_info, figures, commands) = rig.into_findings();
    Ok(Report {
        reader,
        card_info,
        outcomes,
        figures,
        commands,
        lost,
    })
}

/// One case on a card that is where it should be; afterwards the card is brought back to its phase if the case failed.
fn try_case(
    case: &Case,
    rig: &mut TestRig<'_>,
    lost: &mut Option<TransportError>,
    unreachable: &mut Option<String>,
) -> Verdict {
    let result = rig.begin_case().and_then(|()| (case.run)(rig));
    let verdict = match result {
        Ok(()) => return Verdict::Pass,
        Err(Stop::NotRun(reason)) => return Verdict::NotRun(reason),
        Err(Stop::Failed(what)) => Verdict::Fail(what),
        Err(Stop::Lost(error)) => {
            // A card that goes silent on a command and lives again after a reset has failed; one that stays away is lost.
            let what = format!("no answer: {error}");
            if rig.begin_case().is_err() {
                *lost = Some(error);
            }
            Verdict::Fail(what)
        }
    };
    if lost.is_none() && case.writes() && case.needs_keys() {
        *unreachable = why_not(rig.reach(case.phase), lost);
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
fn missing(case: &Case, choice: &Choice, rig: &TestRig<'_>) -> Option<String> {
    if case.needs_keys() && !rig.has_keys() {
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
    if case.needs_keys() && !rig.is_ours() {
        return Some("the card on the reader is no blank of the test lot of these keys".to_owned());
    }
    if case.phase == Phase::Blank && !rig.is_blank() {
        return Some("the card on the reader is not BLANK".to_owned());
    }
    None
}
