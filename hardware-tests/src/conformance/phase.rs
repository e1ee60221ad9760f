//! The parts of a card's life, and how the suite brings a card to each of them, whatever an earlier case left.

use card_applet_spec::codes::{CardState, Role};
use card_applet_spec::script::ScriptKind;

use crate::conformance::check::{Check, Stop, not_run};
use crate::conformance::issuer::{DoorI, change_state, personalise};
use crate::conformance::tap::Tap;
use crate::conformance::terminal;
use crate::conformance::test_rig::{Purse, TestRig};

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

impl TestRig<'_> {
    /// Brings the card to the state of a phase, whatever an earlier case left.
    pub(super) fn reach(&mut self, phase: Phase) -> Check {
        let Some(state) = phase.state() else {
            return Ok(());
        };
        if state == CardState::Blank {
            return Ok(());
        }
        bring_to(self, state).map_err(|stop| match stop {
            Stop::Failed(what) | Stop::NotRun(what) => {
                Stop::NotRun(format!("the card could not be brought to {state}: {what}"))
            }
            lost @ Stop::Lost(_) => lost,
        })
    }

    /// The card's state as door I tells it.
    pub(crate) fn state(&mut self) -> Result<CardState, Stop> {
        let mut door = DoorI::open(self)?;
        Ok(door.status(self)?.state)
    }

    /// Opens door I again when wrong tries have locked it: door S with ISSUER resets the counter.
    pub(crate) fn unlock(&mut self) -> Check {
        terminal::reset_counter(self)
    }
}

/// Brings a card of ours to a state, from whichever it is in.
pub(crate) fn bring_to(rig: &mut TestRig<'_>, wanted: CardState) -> Check {
    if rig.fixture.terminated {
        return if wanted == CardState::Terminated {
            Ok(())
        } else {
            not_run("it is TERMINATED")
        };
    }
    // Wrong tries of an earlier case may have locked door I; then door S opens it.
    let mut door = match DoorI::open(rig) {
        Err(Stop::Failed(_)) if rig.fixture.publics.is_some() => {
            rig.unlock()?;
            DoorI::open(rig)?
        }
        other => other?,
    };
    // Two changes at most lead from any state to any other that can be reached.
    for _ in 0..4 {
        let state = door.status(rig)?.state;
        if state == wanted {
            return look_at_purse(rig, state);
        }
        match (state, wanted) {
            (CardState::Blank, _) => personalise(rig)?,
            (CardState::Terminated, _) => return not_run("it is TERMINATED"),
            (_, CardState::Blank) => return not_run("it is not BLANK any more"),
            (_, CardState::Terminated) => drop(change_state(rig, ScriptKind::Terminate)?),
            (CardState::Blocked, _) => drop(change_state(rig, ScriptKind::Unblock)?),
            (CardState::Personalised, _) => drop(change_state(rig, ScriptKind::Activate)?),
            (CardState::Active, CardState::Blocked) => drop(change_state(rig, ScriptKind::Block)?),
            (CardState::Active, _) => return not_run("it is ACTIVE already"),
        }
        if wanted == CardState::Terminated {
            rig.fixture.terminated = true;
            return Ok(());
        }
        door = DoorI::open(rig)?;
    }
    not_run("it does not change its state")
}

/// The purse as the card shows it: a case that failed may have left another than the suite thinks.
fn look_at_purse(rig: &mut TestRig<'_>, state: CardState) -> Check {
    if state != CardState::Active || rig.fixture.purse.is_none() {
        return Ok(());
    }
    let kv = rig.newest(Role::SmallPayment)?;
    rig.select()?;
    // A card that shows nothing keeps the suite's figures, and its cases fail by them.
    if let Ok(plain) = Tap::send(rig, Role::SmallPayment.code(), kv)?.open(rig) {
        rig.fixture.purse = Some(Purse {
            seq: plain.seq,
            loaded: plain.loaded,
            spent: plain.spent,
            txno: plain.last_txno,
            tac: plain.tac,
            masked: plain.masked,
        });
    }
    Ok(())
}
