//! Chapter 10: power that fails at any moment of a command that writes. It needs a rig that cuts ([`Cutter`]).
//!
//! [`Cutter`]: super::super::Cutter

use card_applet_spec::codes::{CardState, Role};
use card_applet_spec::script::ScriptKind;
use card_applet_spec::update::SealedUpdate;

use super::super::bench::{Bench, Purse, ensure, failed, not_run};
use super::super::office::{CAP, DoorI, PORTRAIT, Script, new_slot, prepare_wrong_try, slot_bytes, stage};
use super::super::tap::{Tap, commit, debited, purchase, purse, tap, update};
use super::super::{Case, Check, Class, Phase, Stop};
use super::{WRITES, case};

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
    bench: &mut Bench<'_>,
    step: u32,
    command: impl FnOnce(&mut Bench<'_>) -> Result<(), Stop>,
) -> Result<bool, Stop> {
    match bench.arm(step) {
        None => not_run("no rig that cuts the power (--cutter PROGRAM)"),
        Some(false) => Ok(false),
        Some(true) => {
            let outcome = command(bench);
            bench.restore()?;
            match outcome {
                // Cut, or the cut came behind the end: both are what the rig can do.
                Ok(()) => Ok(false),
                Err(Stop::Lost(_)) => Ok(true),
                Err(other) => Err(other),
            }
        }
    }
}

fn first_finalise(bench: &mut Bench<'_>) -> Check {
    if bench.arm(u32::MAX).is_none() {
        return not_run("no rig that cuts the power (--cutter PROGRAM)");
    }
    bench.restore()?;
    let mut door = DoorI::open(bench)?;
    let mut script = Script::begin(bench, &mut door, ScriptKind::Personalise)?;
    let staged = stage(bench, &mut door, &mut script, None, PORTRAIT)?;
    let finalise = script.finalise_bytes(bench.day(0)?)?;
    let n = script.n + 1;
    for moment in 0..MOMENTS {
        let mut door = DoorI::open(bench)?;
        let status = door.status(bench)?;
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
        cut(bench, moment, |bench| door.step(bench, n, &finalise).map(drop))?;
    }
    let mut door = DoorI::open(bench)?;
    let again = door.step(bench, n, &finalise)?;
    ensure(
        again == [CardState::Personalised.code()],
        "FINALISE repeated does not answer 02",
    )?;
    let status = DoorI::open(bench)?.status(bench)?;
    ensure(
        (status.state, status.open) == (CardState::Personalised, false),
        "the card is not PERSONALISED after the cuts",
    )?;
    staged.live(bench);
    Ok(())
}

fn commits(bench: &mut Bench<'_>) -> Check {
    super::door_f::fill(bench, CAP)?;
    for moment in 0..MOMENTS {
        bench.select()?;
        let (tapped, _) = tap(bench, Role::SmallPayment)?;
        let before = purse(bench)?;
        let body = purchase(bench, 1);
        let after = debited(bench, &tapped, &body, &before)?;
        let was_cut = cut(bench, moment, |bench| {
            commit(bench, &tapped, &body, before.seq)?.ok("COMMIT").map(drop)
        })?;
        bench.select()?;
        let (tapped, plain) = tap(bench, Role::SmallPayment)?;
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
        let answer = commit(bench, &tapped, &body, seen.seq)?.ok("the same COMMIT after a cut")?;
        bench.world.purse = Some(after);
        super::super::tap::check_commit(bench, &tapped, &body, &answer, u8::from(done), &after)?;
        if !was_cut {
            return Ok(());
        }
    }
    Ok(())
}

fn rewrites(bench: &mut Bench<'_>) -> Check {
    let publics = bench.publics()?;
    let roles = [Role::Transit, Role::Door];
    let mut door = DoorI::open(bench)?;
    let mut script = Script::begin(bench, &mut door, ScriptKind::Rewrite)?;
    let mut new = Vec::new();
    for role in roles {
        let slot = new_slot(bench, role, bench.newest(role)? + 1, &publics, CAP)?;
        script.next(bench, &mut door, &slot_bytes(&slot, 1, 0)?)?;
        new.push(slot);
    }
    let finalise = script.finalise_bytes(bench.day(0)?)?;
    let n = script.n + 1;
    for moment in 0..MOMENTS {
        let mut door = DoorI::open(bench)?;
        let open = door.status(bench)?.open;
        let mut live = 0;
        for slot in &new {
            bench.select()?;
            let tapped = Tap::send(bench, slot.role.code(), slot.kv)?;
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
        let mut door = DoorI::open(bench)?;
        cut(bench, moment, |bench| door.step(bench, n, &finalise).map(drop))?;
    }
    let mut door = DoorI::open(bench)?;
    door.step(bench, n, &finalise)?;
    for slot in new {
        let (role, kv) = (slot.role, slot.kv);
        bench
            .world
            .slots
            .retain(|old| old.role != role || old.kv.checked_add(1) == Some(kv));
        bench.world.slots.push(slot);
        bench.select()?;
        tap(bench, role)?;
    }
    Ok(())
}

fn updates(bench: &mut Bench<'_>) -> Check {
    if !bench.world.takes_updates {
        return not_run("card info has no tag 83: the card takes no updates");
    }
    let keys = bench.keys()?.update_keys(&bench.serial()?)?;
    for moment in 0..MOMENTS {
        let before = purse(bench)?.loaded;
        let after = before + 1;
        bench.world.update += 1;
        let mut text = [0; 224];
        text[0] = 0x14;
        text[1..5].copy_from_slice(&after.to_be_bytes());
        let sealed = SealedUpdate::seal(&keys, bench.world.update, &text)?;
        bench.select()?;
        let (tapped, _) = tap(bench, Role::Transit)?;
        let m = bench.slot(Role::Transit, tapped.version)?.m.duplicate();
        let was_cut = cut(bench, moment, |bench| {
            update(bench, &tapped, &m, &sealed)?.ok("UPDATE").map(drop)
        })?;
        bench.select()?;
        let (_, plain) = tap(bench, Role::SmallPayment)?;
        ensure(
            plain.loaded == after || (was_cut && plain.loaded == before),
            format!("after a cut at moment {moment} loaded is {}", plain.loaded),
        )?;
        bench.select()?;
        let (tapped, _) = tap(bench, Role::Transit)?;
        let receipt = update(bench, &tapped, &m, &sealed)?.ok("the same UPDATE after a cut")?;
        ensure(
            receipt == sealed.receipt(&keys),
            "the receipt after a cut is wrong",
        )?;
        if let Some(purse) = &mut bench.world.purse {
            purse.loaded = after;
        }
        bench.select()?;
        let (_, plain) = tap(bench, Role::SmallPayment)?;
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

fn tries(bench: &mut Bench<'_>) -> Check {
    for moment in 0..MOMENTS {
        let command = prepare_wrong_try(bench)?;
        let was_cut = cut(bench, moment, |bench| {
            bench.send(&command)?.is(0x6982, "a wrong try that was not cut")
        })?;
        DoorI::open(bench)?;
        if !was_cut {
            return Ok(());
        }
    }
    Ok(())
}

fn steps(bench: &mut Bench<'_>) -> Check {
    let publics = bench.publics()?;
    let role = Role::Transit;
    let mut door = DoorI::open(bench)?;
    let mut script = Script::begin(bench, &mut door, ScriptKind::Rewrite)?;
    let slot = new_slot(bench, role, bench.newest(role)? + 1, &publics, CAP)?;
    let step = slot_bytes(&slot, 1, 0)?;
    let mut done = false;
    for moment in 0..MOMENTS {
        let mut door = DoorI::open(bench)?;
        cut(bench, moment, |bench| door.step(bench, 2, &step).map(drop))?;
        let status = DoorI::open(bench)?.status(bench)?;
        match status.last {
            1 => {}
            2 => {
                done = true;
                break;
            }
            other => return failed(format!("after a cut in step 2 the card stands at {other}")),
        }
    }
    let mut door = DoorI::open(bench)?;
    // Once more, whether its answer came or not; then the end.
    door.step(bench, 2, &step)?;
    script.count(&step);
    ensure(done || door.status(bench)?.last == 2, "the step was never done")?;
    let state = script.finalise(bench, &mut door)?;
    ensure(
        state == CardState::Active.code(),
        "FINALISE answers another state",
    )?;
    let (role, kv) = (slot.role, slot.kv);
    bench
        .world
        .slots
        .retain(|old| old.role != role || old.kv.checked_add(1) == Some(kv));
    bench.world.slots.push(slot);
    bench.select()?;
    tap(bench, role).map(drop)
}
