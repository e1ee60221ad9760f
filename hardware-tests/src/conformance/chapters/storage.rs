//! Chapter 10: power that fails at any moment of a command that writes. It needs a rig that cuts ([`Cutter`]).
//!
//! [`Cutter`]: crate::conformance::test_rig::Cutter

use card_applet_spec::codes::{CardState, Role};
use card_applet_spec::script::ScriptKind;
use card_applet_spec::update::SealedUpdate;

use crate::conformance::case::{Case, Class, WRITES, case};
use crate::conformance::check::{Check, Stop, ensure, failed, not_run};
use crate::conformance::issuer::{
    CAP, DoorI, PORTRAIT, Script, new_slot, prepare_wrong_try, slot_bytes, stage,
};
use crate::conformance::phase::Phase;
use crate::conformance::tap::{Tap, commit, debited, purchase, purse, tap, update};
use crate::conformance::test_rig::{Purse, TestRig};

/// Moments that are tried at most; a command that has more is cut at the first ones only.
const MOMENTS: u32 = 400;

pub(super) const CASES: &[Case] = &[
    case(
        "10.01",
        "10 Storage",
        Class::Keys,
        Phase::Blank,
        WRITES,
        "power cut at any moment of the first FINALISE: BLANK or PERSONALISED, and repeated it is done",
        first_finalise,
    ),
    case(
        "10.02",
        "10 Storage",
        Class::Keys,
        Phase::Active,
        WRITES,
        "power cut at any moment of a COMMIT: debited or not, and the same COMMIT brings it to an end, once",
        commits,
    ),
    case(
        "10.03",
        "10 Storage",
        Class::Keys,
        Phase::Active,
        WRITES,
        "power cut at any moment of the FINALISE of a rewrite: all of it is live or none",
        rewrites,
    ),
    case(
        "10.04",
        "10 Storage",
        Class::Keys,
        Phase::Active,
        WRITES,
        "power cut at any moment of an UPDATE: done or not, and the same update again gives the receipt",
        updates,
    ),
    case(
        "10.05",
        "10 Storage",
        Class::Keys,
        Phase::Active,
        WRITES,
        "power cut at any moment of a wrong try at door I neither opens nor breaks it",
        tries,
    ),
    case(
        "10.06",
        "10 Storage",
        Class::Keys,
        Phase::Active,
        WRITES,
        "power cut in the middle of a script: it goes on where GET STATUS says",
        steps,
    ),
];

/// Sends a command with power cut at `step`. `None`: the rig has no such moment any more, the command ran whole.
fn cut(
    rig: &mut TestRig<'_>,
    step: u32,
    command: impl FnOnce(&mut TestRig<'_>) -> Result<(), Stop>,
) -> Result<bool, Stop> {
    match rig.arm(step) {
        None => not_run("no rig that cuts the power (--cutter PROGRAM)"),
        Some(false) => Ok(false),
        Some(true) => {
            let outcome = command(rig);
            rig.restore()?;
            match outcome {
                // Cut, or the cut came behind the end: both are what the rig can do.
                Ok(()) => Ok(false),
                Err(Stop::Lost(_)) => Ok(true),
                Err(other) => Err(other),
            }
        }
    }
}

fn first_finalise(rig: &mut TestRig<'_>) -> Check {
    if rig.arm(u32::MAX).is_none() {
        return not_run("no rig that cuts the power (--cutter PROGRAM)");
    }
    rig.restore()?;
    let mut door = DoorI::open(rig)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Personalise)?;
    let staged = stage(rig, &mut door, &mut script, None, PORTRAIT)?;
    let finalise = script.finalise_bytes(rig.day(0)?)?;
    let n = script.n + 1;
    for moment in 0..MOMENTS {
        let mut door = DoorI::open(rig)?;
        let status = door.status(rig)?;
        if (status.state, status.open) == (CardState::Personalised, false) {
            break;
        }
        ensure(
            (status.state, status.open, status.last) == (CardState::Blank, true, script.n),
            format!(
                "after a cut at moment {moment} the card is {} at step {}",
                status.state, status.last
            ),
        )?;
        cut(rig, moment, |rig| door.step(rig, n, &finalise).map(drop))?;
    }
    let mut door = DoorI::open(rig)?;
    let again = door.step(rig, n, &finalise)?;
    ensure(
        again == [CardState::Personalised.code()],
        "FINALISE repeated does not answer 02",
    )?;
    let status = DoorI::open(rig)?.status(rig)?;
    ensure(
        (status.state, status.open) == (CardState::Personalised, false),
        "the card is not PERSONALISED after the cuts",
    )?;
    staged.live(rig);
    Ok(())
}

fn commits(rig: &mut TestRig<'_>) -> Check {
    super::door_f::fill(rig, CAP)?;
    for moment in 0..MOMENTS {
        rig.select()?;
        let (tapped, _) = tap(rig, Role::SmallPayment)?;
        let before = purse(rig)?;
        let body = purchase(rig, 1);
        let after = debited(rig, &tapped, &body, &before)?;
        let was_cut = cut(rig, moment, |rig| {
            commit(rig, &tapped, &body, before.seq)?.ok("COMMIT").map(drop)
        })?;
        rig.select()?;
        let (tapped, plain) = tap(rig, Role::SmallPayment)?;
        let seen = Purse {
            seq: plain.seq,
            loaded: plain.loaded,
            spent: plain.spent,
            txno: plain.last_txno,
            tac: plain.tac,
            masked: plain.masked,
        };
        let done = seen == after;
        ensure(
            done || (was_cut && seen == before),
            format!("after a cut at moment {moment} the purse is neither before nor after"),
        )?;
        let answer = commit(rig, &tapped, &body, seen.seq)?.ok("the same COMMIT after a cut")?;
        rig.fixture.purse = Some(after);
        crate::conformance::tap::check_commit(rig, &tapped, &body, &answer, u8::from(done), &after)?;
        if !was_cut {
            return Ok(());
        }
    }
    Ok(())
}

fn rewrites(rig: &mut TestRig<'_>) -> Check {
    let publics = rig.publics()?;
    let roles = [Role::Transit, Role::Door];
    let mut door = DoorI::open(rig)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Rewrite)?;
    let mut new = Vec::new();
    for role in roles {
        let slot = new_slot(rig, role, rig.newest(role)? + 1, &publics, CAP)?;
        script.next(rig, &mut door, &slot_bytes(&slot, 1, 0)?)?;
        new.push(slot);
    }
    let finalise = script.finalise_bytes(rig.day(0)?)?;
    let n = script.n + 1;
    for moment in 0..MOMENTS {
        let mut door = DoorI::open(rig)?;
        let open = door.status(rig)?.open;
        let mut live = 0;
        for slot in &new {
            rig.select()?;
            let tapped = Tap::send(rig, slot.role.code(), slot.kv)?;
            live += usize::from(tapped.answer.open(&slot.g).is_ok());
        }
        ensure(
            live == if open { 0 } else { new.len() },
            format!(
                "after a cut at moment {moment} {live} of {} new slots are live",
                new.len()
            ),
        )?;
        if !open {
            break;
        }
        let mut door = DoorI::open(rig)?;
        cut(rig, moment, |rig| door.step(rig, n, &finalise).map(drop))?;
    }
    let mut door = DoorI::open(rig)?;
    door.step(rig, n, &finalise)?;
    for slot in new {
        let (role, kv) = (slot.role, slot.kv);
        rig.fixture
            .slots
            .retain(|old| old.role != role || old.kv.checked_add(1) == Some(kv));
        rig.fixture.slots.push(slot);
        rig.select()?;
        tap(rig, role)?;
    }
    Ok(())
}

fn updates(rig: &mut TestRig<'_>) -> Check {
    if !rig.fixture.takes_updates {
        return not_run("card info has no tag 83: the card takes no updates");
    }
    let keys = rig.keys()?.update_keys(&rig.serial()?)?;
    for moment in 0..MOMENTS {
        let before = purse(rig)?.loaded;
        let after = before + 1;
        rig.fixture.update += 1;
        let mut text = [0; 224];
        text[0] = 0x14;
        text[1..5].copy_from_slice(&after.to_be_bytes());
        let sealed = SealedUpdate::seal(&keys, rig.fixture.update, &text)?;
        rig.select()?;
        let (tapped, _) = tap(rig, Role::Transit)?;
        let m = rig.slot(Role::Transit, tapped.version)?.m.duplicate();
        let was_cut = cut(rig, moment, |rig| {
            update(rig, &tapped, &m, &sealed)?.ok("UPDATE").map(drop)
        })?;
        rig.select()?;
        let (_, plain) = tap(rig, Role::SmallPayment)?;
        ensure(
            plain.loaded == after || (was_cut && plain.loaded == before),
            format!("after a cut at moment {moment} loaded is {}", plain.loaded),
        )?;
        rig.select()?;
        let (tapped, _) = tap(rig, Role::Transit)?;
        let receipt = update(rig, &tapped, &m, &sealed)?.ok("the same UPDATE after a cut")?;
        ensure(
            receipt == sealed.receipt(&keys),
            "the receipt after a cut is wrong",
        )?;
        if let Some(purse) = &mut rig.fixture.purse {
            purse.loaded = after;
        }
        rig.select()?;
        let (_, plain) = tap(rig, Role::SmallPayment)?;
        ensure(
            plain.loaded == after,
            "the update was not done after its repetition",
        )?;
        if !was_cut {
            return Ok(());
        }
    }
    Ok(())
}

fn tries(rig: &mut TestRig<'_>) -> Check {
    for moment in 0..MOMENTS {
        let command = prepare_wrong_try(rig)?;
        let was_cut = cut(rig, moment, |rig| {
            rig.send(&command)?.is(0x6982, "a wrong try that was not cut")
        })?;
        DoorI::open(rig)?;
        if !was_cut {
            return Ok(());
        }
    }
    Ok(())
}

fn steps(rig: &mut TestRig<'_>) -> Check {
    let publics = rig.publics()?;
    let role = Role::Transit;
    let mut door = DoorI::open(rig)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Rewrite)?;
    let slot = new_slot(rig, role, rig.newest(role)? + 1, &publics, CAP)?;
    let step = slot_bytes(&slot, 1, 0)?;
    let mut done = false;
    for moment in 0..MOMENTS {
        let mut door = DoorI::open(rig)?;
        cut(rig, moment, |rig| door.step(rig, 2, &step).map(drop))?;
        let status = DoorI::open(rig)?.status(rig)?;
        match status.last {
            1 => {}
            2 => {
                done = true;
                break;
            }
            other => return failed(format!("after a cut in step 2 the card stands at {other}")),
        }
    }
    let mut door = DoorI::open(rig)?;
    // Once more, whether its answer came or not; then the end.
    door.step(rig, 2, &step)?;
    script.count(&step);
    ensure(done || door.status(rig)?.last == 2, "the step was never done")?;
    let state = script.finalise(rig, &mut door)?;
    ensure(
        state == CardState::Active.code(),
        "FINALISE answers another state",
    )?;
    let (role, kv) = (slot.role, slot.kv);
    rig.fixture
        .slots
        .retain(|old| old.role != role || old.kv.checked_add(1) == Some(kv));
    rig.fixture.slots.push(slot);
    rig.select()?;
    tap(rig, role).map(drop)
}
