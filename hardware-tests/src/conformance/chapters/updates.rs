//! Chapter 09: sealed updates. A card that does not say tag 83 is only asked whether it answers 6D00.

use card_applet_spec::codes::Rights;
use card_applet_spec::codes::{CardState, Role};
use card_applet_spec::crypto::Key16;
use card_applet_spec::data_group::SignatureObject;
use card_applet_spec::door_s::Object;
use card_applet_spec::script::ScriptKind;
use card_applet_spec::update::{SealedUpdate, UPDATE_LEN, tac_key};

use super::super::bench::{Answer, Bench, Slot, encode, ensure, failed, not_run};
use super::super::office::{
    CAP, DoorI, EPOCH, Script, change_state, dg3, new_slot, rewrite_trust, slot_bytes,
};
use super::super::tap::{Tap, commit, pay, purchase, purse, shows, tap, update};
use super::super::terminal::DoorS;
use super::super::{Case, Check, Class, Phase, Stop};
use super::records::abandon;
use super::{WRITES, case};

pub(super) const CASES: &[Case] = &[
    case(
        "09.01",
        "09 Sealed updates",
        Class::Outside,
        Phase::AsLaid,
        "",
        "UPDATE without a TAP is 6985 where card info says tag 83, and 6D00 where it does not",
        without_tap,
    ),
    case(
        "09.02",
        "09 Sealed updates",
        Class::Outside,
        Phase::AsLaid,
        "",
        "UPDATE after a decoy is 6982, with a wrong length 6700, and the TAP is used up",
        of_a_stranger,
    ),
    case(
        "09.03",
        "09 LOAD",
        Class::Keys,
        Phase::Active,
        WRITES,
        "LOAD sets loaded to the larger value and answers the receipt; a smaller one is done and changes nothing",
        load,
    ),
    case(
        "09.04",
        "09 Sealed updates",
        Class::Keys,
        Phase::Active,
        WRITES,
        "the last update again gives the same receipt, behind any live role, and is not done twice",
        again,
    ),
    case(
        "09.05",
        "09 Sealed updates",
        Class::Keys,
        Phase::Active,
        WRITES,
        "a counter that is not above the last one is 6985; a gap is taken",
        counter,
    ),
    case(
        "09.06",
        "09 Sealed updates",
        Class::Keys,
        Phase::Active,
        WRITES,
        "a wrong tmac, one of another TAP, and a wrong umac are 6982 and change nothing",
        wrong_macs,
    ),
    case(
        "09.07",
        "09 Sealed updates",
        Class::Keys,
        Phase::Active,
        WRITES,
        "the TAP is used up: a second UPDATE and a COMMIT behind one are 6985",
        once,
    ),
    case(
        "09.08",
        "09 P224",
        Class::Keys,
        Phase::Active,
        WRITES,
        "an unknown op, a byte that must be zero, and wrong values of each operation are 6A80 and use no counter",
        wrong_forms,
    ),
    case(
        "09.09",
        "09 SLOT",
        Class::Keys,
        Phase::Active,
        WRITES,
        "SLOT brings a version of another role than the one that delivers it, live at once",
        slot,
    ),
    case(
        "09.10",
        "09 SLOT of SMALL_PAYMENT",
        Class::Keys,
        Phase::Active,
        WRITES,
        "SLOT of SMALL_PAYMENT keeps the purse, raises loaded, and debits under the Ktac that the card derives",
        payment_slot,
    ),
    case(
        "09.11",
        "09 DG3",
        Class::Keys,
        Phase::Active,
        WRITES,
        "DG3 replaces the permit block, and key number, digest and signature in the signature object",
        permit_block,
    ),
    case(
        "09.12",
        "09 FLOOR",
        Class::Keys,
        Phase::Active,
        WRITES,
        "FLOOR moves the floor up only; more than 400 days ahead is 6985",
        floor,
    ),
    case(
        "09.13",
        "09 ERASE",
        Class::Keys,
        Phase::Active,
        WRITES,
        "ERASE removes the slot it names and no other; none there is no error",
        erase,
    ),
    case(
        "09.14",
        "09 Sealed updates",
        Class::Keys,
        Phase::Active,
        WRITES,
        "while a script of door I is open an update is 6985; afterwards the same one is done",
        open_script,
    ),
    case(
        "09.15",
        "09 BLOCK",
        Class::Keys,
        Phase::Active,
        WRITES,
        "BLOCK stops the card: TAP is a decoy, UPDATE 6982, and only door I brings it back",
        block,
    ),
    case(
        "09.16",
        "09 Sealed updates",
        Class::Keys,
        Phase::Personalised,
        WRITES,
        "before the hand-over an update behind the decoy is 6982 and nothing is done",
        not_before_the_hand_over,
    ),
];

fn not_before_the_hand_over(bench: &mut Bench<'_>) -> Check {
    takes_updates(bench)?;
    let before = DoorI::open(bench)?.status(bench)?;
    let sealed = seal(bench, &plain(0x12, &[]))?;
    let kv = bench.newest(Role::Transit)?;
    bench.select()?;
    let tapped = Tap::send(bench, Role::Transit.code(), kv)?;
    let m = bench.slot(Role::Transit, kv)?.m.duplicate();
    update(bench, &tapped, &m, &sealed)?.is(0x6982, "UPDATE before the hand-over")?;
    let after = DoorI::open(bench)?.status(bench)?;
    ensure(before == after, "an update that was refused changed the card")
}

fn takes_updates(bench: &Bench<'_>) -> Check {
    if bench.world.takes_updates {
        Ok(())
    } else {
        not_run("card info has no tag 83: the card takes no updates and is rewritten through door I")
    }
}

fn without_tap(bench: &mut Bench<'_>) -> Check {
    let sw = if bench.world.takes_updates { 0x6985 } else { 0x6D00 };
    for role in [0x01, 0x03, 0xFF] {
        bench.select()?;
        bench
            .send(&encode([0x80, 0x14, role, 0x01], &[0; 252], Some(0x10)))?
            .is(sw, "UPDATE without a TAP")?;
    }
    Ok(())
}

fn of_a_stranger(bench: &mut Bench<'_>) -> Check {
    takes_updates(bench)?;
    let mut data = vec![0; 252];
    let tmac: [u8; 8] = bench.random();
    data[244..].copy_from_slice(&tmac);
    Tap::send(bench, 0x01, 0xFE)?;
    bench
        .send(&encode([0x80, 0x14, 0x01, 0xFE], &data, Some(0x10)))?
        .is(0x6982, "UPDATE after a decoy")?;
    bench
        .send(&encode([0x80, 0x14, 0x01, 0xFE], &data, Some(0x10)))?
        .is(0x6985, "a second UPDATE after one TAP")?;
    for length in [0, 16, 251, 253] {
        bench.select()?;
        Tap::send(bench, 0x01, 0xFE)?;
        bench
            .send(&encode([0x80, 0x14, 0x01, 0xFE], &vec![0; length], Some(0x10)))?
            .is(0x6700, &format!("UPDATE with {length} bytes"))?;
        bench
            .send(&encode([0x80, 0x14, 0x01, 0xFE], &data, Some(0x10)))?
            .is(0x6985, "UPDATE after one of a wrong length")?;
    }
    bench.select()?;
    Tap::send(bench, 0x01, 0xFE)?;
    bench
        .send(&encode([0x80, 0x14, 0x01, 0xFD], &data, Some(0x10)))?
        .is(0x6985, "UPDATE of another version than the TAP's")
}

/// P224: op, what follows, zeros.
fn plain(op: u8, rest: &[u8]) -> [u8; UPDATE_LEN] {
    let mut plain = [0; UPDATE_LEN];
    plain[0] = op;
    plain[1..=rest.len()].copy_from_slice(rest);
    plain
}

/// Seals an update with the next counter.
fn seal(bench: &mut Bench<'_>, plain: &[u8; UPDATE_LEN]) -> Result<SealedUpdate, Stop> {
    bench.world.update += 1;
    seal_as(bench, bench.world.update, plain)
}

/// Seals an update with a given counter.
fn seal_as(bench: &Bench<'_>, counter: u32, plain: &[u8; UPDATE_LEN]) -> Result<SealedUpdate, Stop> {
    let keys = bench.keys()?.update_keys(&bench.serial()?)?;
    Ok(SealedUpdate::seal(&keys, counter, plain)?)
}

/// Delivers behind a fresh TAP of a role.
fn deliver(bench: &mut Bench<'_>, role: Role, sealed: &SealedUpdate) -> Result<Answer, Stop> {
    bench.select()?;
    let (tapped, _) = tap(bench, role)?;
    let m = bench.slot(role, tapped.version)?.m.duplicate();
    update(bench, &tapped, &m, sealed)
}

/// Delivers an update that must be done; the receipt is checked.
fn done(bench: &mut Bench<'_>, role: Role, sealed: &SealedUpdate) -> Check {
    let receipt = deliver(bench, role, sealed)?.ok("UPDATE")?;
    is_receipt(bench, sealed, &receipt)
}

fn is_receipt(bench: &Bench<'_>, sealed: &SealedUpdate, receipt: &[u8]) -> Check {
    let keys = bench.keys()?.update_keys(&bench.serial()?)?;
    ensure(receipt == sealed.receipt(&keys), "the receipt is wrong")
}

fn is_still(bench: &mut Bench<'_>) -> Check {
    let expected = purse(bench)?;
    bench.select()?;
    let (_, plain) = tap(bench, Role::SmallPayment)?;
    shows(&plain, &expected)
}

/// LOAD of an amount above what the purse has.
fn load_more(bench: &mut Bench<'_>, more: u32) -> Result<(u32, [u8; UPDATE_LEN]), Stop> {
    let loaded = purse(bench)?.loaded + more;
    Ok((loaded, plain(0x14, &loaded.to_be_bytes())))
}

/// The suite's purse follows a LOAD.
fn loaded(bench: &mut Bench<'_>, loaded: u32) {
    if let Some(purse) = &mut bench.world.purse {
        purse.loaded = purse.loaded.max(loaded);
    }
}

fn load(bench: &mut Bench<'_>) -> Check {
    takes_updates(bench)?;
    let (amount, text) = load_more(bench, 700)?;
    let sealed = seal(bench, &text)?;
    done(bench, Role::Transit, &sealed)?;
    loaded(bench, amount);
    is_still(bench)?;
    let less = plain(0x14, &(amount - 1).to_be_bytes());
    let sealed = seal(bench, &less)?;
    done(bench, Role::Door, &sealed)?;
    is_still(bench)
}

fn again(bench: &mut Bench<'_>) -> Check {
    takes_updates(bench)?;
    let (amount, text) = load_more(bench, 100)?;
    let sealed = seal(bench, &text)?;
    done(bench, Role::Transit, &sealed)?;
    loaded(bench, amount);
    for role in [Role::Transit, Role::Door, Role::SmallPayment] {
        done(bench, role, &sealed)?;
        is_still(bench)?;
    }
    bench.reset()?;
    done(bench, Role::Transit, &sealed)
}

fn counter(bench: &mut Bench<'_>) -> Check {
    takes_updates(bench)?;
    let (amount, text) = load_more(bench, 100)?;
    bench.world.update += 5;
    let sealed = seal(bench, &text)?;
    done(bench, Role::Transit, &sealed)?;
    loaded(bench, amount);
    let (_, text) = load_more(bench, 5000)?;
    let last = bench.world.update;
    for counter in [last, last - 1, last - 5, 0] {
        let stale = seal_as(bench, counter, &text)?;
        deliver(bench, Role::Transit, &stale)?.is(0x6985, &format!("counter {counter} after {last}"))?;
    }
    is_still(bench)?;
    // The last one is still the last one.
    done(bench, Role::Transit, &sealed)
}

fn wrong_macs(bench: &mut Bench<'_>) -> Check {
    takes_updates(bench)?;
    let (amount, text) = load_more(bench, 100)?;
    let sealed = seal(bench, &text)?;
    let (stale, _) = tap(bench, Role::Transit)?;
    let keys = bench.keys()?.update_keys(&bench.serial()?)?;
    for what in [
        "a changed tmac",
        "a tmac of an earlier TAP",
        "a tmac under another M",
        "a changed E",
        "a changed counter",
        "a changed umac",
    ] {
        bench.select()?;
        let (tapped, _) = tap(bench, Role::Transit)?;
        let m = bench.slot(Role::Transit, tapped.version)?.m.duplicate();
        let mut changed = sealed;
        match what {
            "a changed E" => changed.cipher[100] ^= 0x01,
            "a changed counter" => changed.counter += 1,
            "a changed umac" => changed.mac[0] ^= 0x01,
            _ => {}
        }
        let (of, key): (&Tap, &Key16) = match what {
            "a tmac of an earlier TAP" => (&stale, &m),
            "a tmac under another M" => (&tapped, &keys.mac),
            _ => (&tapped, &m),
        };
        let mut tmac = changed.tap_mac(
            key,
            tapped.role,
            tapped.version,
            &of.rt,
            &of.answer.card_challenge,
        )?;
        if what == "a changed tmac" {
            tmac[7] ^= 0x01;
        }
        let data = changed.command_data(&tmac)?;
        bench
            .send(&encode(
                [0x80, 0x14, tapped.role, tapped.version],
                &data,
                Some(0x10),
            ))?
            .is(0x6982, what)?;
    }
    is_still(bench)?;
    done(bench, Role::Transit, &sealed)?;
    loaded(bench, amount);
    is_still(bench)
}

fn once(bench: &mut Bench<'_>) -> Check {
    takes_updates(bench)?;
    let (amount, text) = load_more(bench, 100)?;
    let sealed = seal(bench, &text)?;
    bench.select()?;
    let (tapped, _) = tap(bench, Role::SmallPayment)?;
    let m = bench.slot(Role::SmallPayment, tapped.version)?.m.duplicate();
    let receipt = update(bench, &tapped, &m, &sealed)?.ok("UPDATE")?;
    is_receipt(bench, &sealed, &receipt)?;
    loaded(bench, amount);
    update(bench, &tapped, &m, &sealed)?.is(0x6985, "a second UPDATE behind one TAP")?;
    bench.select()?;
    let (tapped, _) = tap(bench, Role::SmallPayment)?;
    update(bench, &tapped, &m, &sealed)?.ok("UPDATE")?;
    let body = purchase(bench, 0);
    let seq = purse(bench)?.seq;
    commit(bench, &tapped, &body, seq)?.is(0x6985, "COMMIT behind an UPDATE")?;
    is_still(bench)
}

fn wrong_forms(bench: &mut Bench<'_>) -> Check {
    takes_updates(bench)?;
    let publics = bench.publics()?;
    let slot = new_slot(
        bench,
        Role::Transit,
        bench.newest(Role::Transit)? + 1,
        &publics,
        CAP,
    )?;
    let slot: [u8; UPDATE_LEN] = match slot_bytes(&slot, 0, 0)?.try_into() {
        Ok(slot) => slot,
        Err(_) => return failed("a SLOT step is not 224 bytes: a fault of the suite"),
    };
    let block = dg3(bench, 9)?;
    let length = u8::try_from(block.len()).unwrap_or(u8::MAX);
    let permit = plain(0x10, &[&[0x01, length], &block[..]].concat());
    let with = |mut text: [u8; UPDATE_LEN], at: usize, value: u8| {
        text[at] = value;
        text
    };
    let floor = plain(0x11, &bench.day(0)?.to_bytes());
    let forms = [
        ("op 00", plain(0x00, &[])),
        ("op 01 of a script", plain(0x01, &[1; 17])),
        ("op 15", plain(0x15, &[])),
        ("op FF", [0xFF; UPDATE_LEN]),
        ("SLOT of role 00", with(slot, 1, 0)),
        ("SLOT of role 06", with(slot, 1, 6)),
        ("SLOT with kv 0", with(slot, 2, 0)),
        ("SLOT with flags 02", with(slot, 3, 2)),
        ("SLOT of TRANSIT with money", with(slot, 215, 1)),
        ("SLOT of TRANSIT with a cap", with(slot, 219, 1)),
        ("SLOT with a byte in its zeros", with(slot, 223, 1)),
        ("DG3 of length 0", with(permit, 2, 0)),
        ("DG3 of length 158", with(permit, 2, 158)),
        (
            "DG3 of another length than its template",
            with(permit, 2, length - 1),
        ),
        ("DG3 of another tag", with(permit, 3, 0x61)),
        (
            "DG3 with a byte behind it",
            with(permit, usize::from(length) + 3, 1),
        ),
        ("FLOOR that is no date", with(floor, 3, 0x13)),
        ("FLOOR with a byte behind it", with(floor, 5, 1)),
        ("BLOCK with a byte behind it", with(plain(0x12, &[]), 1, 1)),
        ("BLOCK with a last byte", with(plain(0x12, &[]), 223, 1)),
        ("ERASE of role 00", plain(0x13, &[0, 1])),
        ("ERASE of role 06", plain(0x13, &[6, 1])),
        ("ERASE of kv 0", plain(0x13, &[1, 0])),
        ("ERASE with a byte behind it", plain(0x13, &[1, 1, 1])),
        (
            "LOAD with a byte behind it",
            with(plain(0x14, &[0, 0, 0, 1]), 5, 1),
        ),
    ];
    // None of them is done, so each may use the same counter, and so may the right one behind them.
    bench.world.update += 1;
    let next = bench.world.update;
    for (what, text) in forms {
        let sealed = seal_as(bench, next, &text)?;
        deliver(bench, Role::Transit, &sealed)?.is(0x6A80, what)?;
    }
    let (amount, text) = load_more(bench, 1)?;
    let sealed = seal_as(bench, next, &text)?;
    done(bench, Role::Transit, &sealed)?;
    loaded(bench, amount);
    is_still(bench)
}

/// P224 of SLOT, and the slot as the suite will know it.
fn slot_update(
    bench: &mut Bench<'_>,
    role: Role,
    kv: u8,
    loaded: u32,
) -> Result<([u8; UPDATE_LEN], Slot), Stop> {
    let publics = bench.publics()?;
    let mut slot = new_slot(bench, role, kv, &publics, CAP)?;
    let mut text: [u8; UPDATE_LEN] = match slot_bytes(&slot, 1, loaded)?.try_into() {
        Ok(text) => text,
        Err(_) => return failed("a SLOT step is not 224 bytes: a fault of the suite"),
    };
    if role == Role::SmallPayment {
        text[216..220].copy_from_slice(&slot.cap.to_be_bytes());
        let keys = bench.keys()?.update_keys(&bench.serial()?)?;
        slot.ktac = tac_key(&keys, role, kv, &slot.pid);
    }
    Ok((text, slot))
}

/// The suite's slots follow a SLOT with flags 01.
fn brought(bench: &mut Bench<'_>, slot: Slot) {
    let (role, kv) = (slot.role, slot.kv);
    bench
        .world
        .slots
        .retain(|old| old.role != role || old.kv.checked_add(1) == Some(kv));
    bench.world.slots.push(slot);
}

fn slot(bench: &mut Bench<'_>) -> Check {
    takes_updates(bench)?;
    for (role, by) in [
        (Role::Transit, Role::Door),
        (Role::Clinic, Role::Transit),
        (Role::Door, Role::Door),
    ] {
        let kv = bench.newest(role)? + 1;
        let (text, slot) = slot_update(bench, role, kv, 0)?;
        let sealed = seal(bench, &text)?;
        done(bench, by, &sealed)?;
        brought(bench, slot);
        if role.has_door_f() {
            for version in [kv, kv - 1] {
                bench.select()?;
                Tap::send(bench, role.code(), version)?.open(bench)?;
            }
        } else {
            let mut door = DoorS::open(bench, Rights::role(role))?;
            let seen = door.read(bench, Object::Newest(role))?;
            let ours = bench.slot(role, kv)?;
            let right = [&[kv][..], &ours.pid, &ours.record].concat();
            ensure(
                seen == right,
                format!("the slot of {role} is not what the update brought"),
            )?;
        }
    }
    // CLINIC as the other cases expect it: one version.
    let kv = bench.newest(Role::Clinic)?;
    let text = plain(0x13, &[Role::Clinic.code(), kv - 1]);
    let sealed = seal(bench, &text)?;
    done(bench, Role::Transit, &sealed)?;
    bench
        .world
        .slots
        .retain(|slot| (slot.role, slot.kv) != (Role::Clinic, kv - 1));
    Ok(())
}

fn payment_slot(bench: &mut Bench<'_>) -> Check {
    takes_updates(bench)?;
    let role = Role::SmallPayment;
    let kv = bench.newest(role)? + 1;
    let more = purse(bench)?.loaded + 900;
    let (text, slot) = slot_update(bench, role, kv, more)?;
    let sealed = seal(bench, &text)?;
    done(bench, Role::Transit, &sealed)?;
    brought(bench, slot);
    loaded(bench, more);
    is_still(bench)?;
    bench.select()?;
    pay(bench, 3)?;
    is_still(bench)?;
    // Its cap is that of the slot.
    bench.select()?;
    let (tapped, _) = tap(bench, role)?;
    let seq = purse(bench)?.seq;
    let body = purchase(bench, CAP + 1);
    commit(bench, &tapped, &body, seq)?.is(0x6985, "an amount above the cap of an updated slot")
}

fn permit_block(bench: &mut Bench<'_>) -> Check {
    takes_updates(bench)?;
    let publics = bench.publics()?;
    let signer = &bench.keys()?.document_signer;
    let new = dg3(bench, 11)?;
    let [dg1, dg2, _, _] = bench.world.objects.clone();
    let object = SignatureObject::sign(7, signer, &publics[0], [&dg1, &dg2, &new], bench.rng())?;
    let length = u8::try_from(new.len()).unwrap_or(u8::MAX);
    let mut text = plain(0x10, &[&[7, length], &new[..]].concat());
    text[160..].copy_from_slice(&object.signature);
    let sealed = seal(bench, &text)?;
    done(bench, Role::Transit, &sealed)?;
    let signature = object.encode()?.to_vec();
    let mut door = DoorS::open(bench, Rights::PERMIT)?;
    let seen = door.read(bench, Object::Dg3)?;
    ensure(seen == new, "DG3 is not what the update brought")?;
    let seen = door.read(bench, Object::Signature)?;
    ensure(
        seen == signature,
        "the signature object was not changed as it must be",
    )?;
    bench.world.objects = [dg1, dg2, new, signature];
    // What it does not replace is as it was.
    let seen = DoorS::open(bench, Rights::IDENTITY)?.read(bench, Object::Dg1)?;
    ensure(seen == bench.world.objects[0], "DG1 changed")
}

fn floor(bench: &mut Bench<'_>) -> Check {
    takes_updates(bench)?;
    rewrite_trust(bench, EPOCH, bench.day(-20)?)?;
    let floor_of = |bench: &mut Bench<'_>| -> Result<card_applet_spec::date::Date, Stop> {
        let mut door = DoorI::open(bench)?;
        Ok(door.status(bench)?.floor)
    };
    for (ahead, expected) in [(3, 3), (1, 3), (-100, 3)] {
        let text = plain(0x11, &bench.day(ahead)?.to_bytes());
        let sealed = seal(bench, &text)?;
        done(bench, Role::Transit, &sealed)?;
        let seen = floor_of(bench)?;
        ensure(
            seen == bench.day(expected)?,
            format!("after FLOOR the floor is {seen}"),
        )?;
    }
    let far = plain(0x11, &bench.day(3 + 401)?.to_bytes());
    bench.world.update += 1;
    let sealed = seal_as(bench, bench.world.update, &far)?;
    deliver(bench, Role::Transit, &sealed)?.is(0x6985, "FLOOR 401 days ahead")?;
    let seen = floor_of(bench)?;
    ensure(seen == bench.day(3)?, "a refused FLOOR moved the floor")?;
    rewrite_trust(bench, EPOCH, bench.day(-20)?)
}

fn erase(bench: &mut Bench<'_>) -> Check {
    takes_updates(bench)?;
    let role = Role::Door;
    let kv = bench.newest(role)? + 1;
    let (text, slot) = slot_update(bench, role, kv, 0)?;
    let sealed = seal(bench, &text)?;
    done(bench, Role::Transit, &sealed)?;
    brought(bench, slot);
    let old = bench.slot(role, kv - 1)?;
    let (g, m) = (old.g.duplicate(), old.m.duplicate());
    for round in 0..2 {
        let text = plain(0x13, &[role.code(), kv - 1]);
        let sealed = seal(bench, &text)?;
        done(bench, Role::Transit, &sealed)?;
        bench.select()?;
        let gone = Tap::send(bench, role.code(), kv - 1)?;
        ensure(
            gone.answer.open(&g).is_err() && gone.answer.verify(&m, role.code(), kv - 1, &gone.rt).is_err(),
            format!("an erased version answers (round {round})"),
        )?;
    }
    bench
        .world
        .slots
        .retain(|slot| (slot.role, slot.kv) != (role, kv - 1));
    bench.select()?;
    tap(bench, role)?;
    bench.select()?;
    tap(bench, Role::Transit).map(drop)
}

fn open_script(bench: &mut Bench<'_>) -> Check {
    takes_updates(bench)?;
    let (amount, text) = load_more(bench, 10)?;
    let sealed = seal(bench, &text)?;
    let mut door = DoorI::open(bench)?;
    Script::begin(bench, &mut door, ScriptKind::Rewrite)?;
    deliver(bench, Role::Transit, &sealed)?.is(0x6985, "UPDATE while a script is open")?;
    is_still(bench)?;
    let mut door = DoorI::open(bench)?;
    abandon(bench, &mut door)?;
    done(bench, Role::Transit, &sealed)?;
    loaded(bench, amount);
    is_still(bench)
}

fn block(bench: &mut Bench<'_>) -> Check {
    takes_updates(bench)?;
    let sealed = seal(bench, &plain(0x12, &[]))?;
    done(bench, Role::Transit, &sealed)?;
    let kv = bench.newest(Role::Transit)?;
    bench.select()?;
    let tapped = Tap::send(bench, Role::Transit.code(), kv)?;
    ensure(
        !tapped.is_live(bench)?,
        "a card that was blocked by an update still taps",
    )?;
    let m = bench.slot(Role::Transit, kv)?.m.duplicate();
    update(bench, &tapped, &m, &sealed)?.is(0x6982, "UPDATE of a blocked card")?;
    ensure(bench.state()? == CardState::Blocked, "the card is not BLOCKED")?;
    let back = change_state(bench, ScriptKind::Unblock)?;
    ensure(
        back == CardState::Active,
        format!("the card is {back} after the unblock"),
    )?;
    done(bench, Role::Transit, &sealed)?;
    ensure(
        bench.state()? == CardState::Active,
        "the BLOCK that was done already is done again by its repetition",
    )
}
