//! Chapter 09: sealed updates. A card that does not say tag 83 is only asked whether it answers 6D00.

use card_applet_spec::codes::Rights;
use card_applet_spec::codes::{CardState, Role};
use card_applet_spec::crypto::Key16;
use card_applet_spec::data_group::SignatureObject;
use card_applet_spec::door_s::Object;
use card_applet_spec::script::ScriptKind;
use card_applet_spec::update::{SealedUpdate, UPDATE_LEN, tac_key};

use crate::conformance::case::{Case, Class, WRITES, case};
use crate::conformance::chapters::records::abandon;
use crate::conformance::check::{Check, Stop, ensure, failed, not_run};
use crate::conformance::issuer::{
    CAP, DoorI, Script, change_state, dg3, new_slot, rewrite_trust, slot_bytes,
};
use crate::conformance::keys::EPOCH;
use crate::conformance::phase::Phase;
use crate::conformance::tap::{Tap, commit, pay, purchase, purse, shows, tap, update};
use crate::conformance::terminal::DoorS;
use crate::conformance::test_rig::{Answer, Slot, TestRig, encode};

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

fn not_before_the_hand_over(rig: &mut TestRig<'_>) -> Check {
    takes_updates(rig)?;
    let before = DoorI::open(rig)?.status(rig)?;
    let sealed = seal(rig, &plain(0x12, &[]))?;
    let kv = rig.newest(Role::Transit)?;
    rig.select()?;
    let tapped = Tap::send(rig, Role::Transit.code(), kv)?;
    let m = rig.slot(Role::Transit, kv)?.m.duplicate();
    update(rig, &tapped, &m, &sealed)?.is(0x6982, "UPDATE before the hand-over")?;
    let after = DoorI::open(rig)?.status(rig)?;
    ensure(before == after, "an update that was refused changed the card")
}

fn takes_updates(rig: &TestRig<'_>) -> Check {
    if rig.fixture.takes_updates {
        Ok(())
    } else {
        not_run("card info has no tag 83: the card takes no updates and is rewritten through door I")
    }
}

fn without_tap(rig: &mut TestRig<'_>) -> Check {
    let sw = if rig.fixture.takes_updates { 0x6985 } else { 0x6D00 };
    for role in [0x01, 0x03, 0xFF] {
        rig.select()?;
        rig.send(&encode([0x80, 0x14, role, 0x01], &[0; 252], Some(0x10)))?
            .is(sw, "UPDATE without a TAP")?;
    }
    Ok(())
}

fn of_a_stranger(rig: &mut TestRig<'_>) -> Check {
    takes_updates(rig)?;
    let mut data = vec![0; 252];
    let tmac: [u8; 8] = rig.random();
    data[244..].copy_from_slice(&tmac);
    Tap::send(rig, 0x01, 0xFE)?;
    rig.send(&encode([0x80, 0x14, 0x01, 0xFE], &data, Some(0x10)))?
        .is(0x6982, "UPDATE after a decoy")?;
    rig.send(&encode([0x80, 0x14, 0x01, 0xFE], &data, Some(0x10)))?
        .is(0x6985, "a second UPDATE after one TAP")?;
    for length in [0, 16, 251, 253] {
        rig.select()?;
        Tap::send(rig, 0x01, 0xFE)?;
        rig.send(&encode([0x80, 0x14, 0x01, 0xFE], &vec![0; length], Some(0x10)))?
            .is(0x6700, &format!("UPDATE with {length} bytes"))?;
        rig.send(&encode([0x80, 0x14, 0x01, 0xFE], &data, Some(0x10)))?
            .is(0x6985, "UPDATE after one of a wrong length")?;
    }
    rig.select()?;
    Tap::send(rig, 0x01, 0xFE)?;
    rig.send(&encode([0x80, 0x14, 0x01, 0xFD], &data, Some(0x10)))?
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
fn seal(rig: &mut TestRig<'_>, plain: &[u8; UPDATE_LEN]) -> Result<SealedUpdate, Stop> {
    rig.fixture.update += 1;
    seal_as(rig, rig.fixture.update, plain)
}

/// Seals an update with a given counter.
fn seal_as(rig: &TestRig<'_>, counter: u32, plain: &[u8; UPDATE_LEN]) -> Result<SealedUpdate, Stop> {
    let keys = rig.keys()?.update_keys(&rig.serial()?)?;
    Ok(SealedUpdate::seal(&keys, counter, plain)?)
}

/// Delivers behind a fresh TAP of a role.
fn deliver(rig: &mut TestRig<'_>, role: Role, sealed: &SealedUpdate) -> Result<Answer, Stop> {
    rig.select()?;
    let (tapped, _) = tap(rig, role)?;
    let m = rig.slot(role, tapped.version)?.m.duplicate();
    update(rig, &tapped, &m, sealed)
}

/// Delivers an update that must be done; the receipt is checked.
fn done(rig: &mut TestRig<'_>, role: Role, sealed: &SealedUpdate) -> Check {
    let receipt = deliver(rig, role, sealed)?.ok("UPDATE")?;
    is_receipt(rig, sealed, &receipt)
}

fn is_receipt(rig: &TestRig<'_>, sealed: &SealedUpdate, receipt: &[u8]) -> Check {
    let keys = rig.keys()?.update_keys(&rig.serial()?)?;
    ensure(receipt == sealed.receipt(&keys), "the receipt is wrong")
}

fn is_still(rig: &mut TestRig<'_>) -> Check {
    let expected = purse(rig)?;
    rig.select()?;
    let (_, plain) = tap(rig, Role::SmallPayment)?;
    shows(&plain, &expected)
}

/// LOAD of an amount above what the purse has.
fn load_more(rig: &mut TestRig<'_>, more: u32) -> Result<(u32, [u8; UPDATE_LEN]), Stop> {
    let loaded = purse(rig)?.loaded + more;
    Ok((loaded, plain(0x14, &loaded.to_be_bytes())))
}

/// The suite's purse follows a LOAD.
fn loaded(rig: &mut TestRig<'_>, loaded: u32) {
    if let Some(purse) = &mut rig.fixture.purse {
        purse.loaded = purse.loaded.max(loaded);
    }
}

fn load(rig: &mut TestRig<'_>) -> Check {
    takes_updates(rig)?;
    let (amount, text) = load_more(rig, 700)?;
    let sealed = seal(rig, &text)?;
    done(rig, Role::Transit, &sealed)?;
    loaded(rig, amount);
    is_still(rig)?;
    let less = plain(0x14, &(amount - 1).to_be_bytes());
    let sealed = seal(rig, &less)?;
    done(rig, Role::Door, &sealed)?;
    is_still(rig)
}

fn again(rig: &mut TestRig<'_>) -> Check {
    takes_updates(rig)?;
    let (amount, text) = load_more(rig, 100)?;
    let sealed = seal(rig, &text)?;
    done(rig, Role::Transit, &sealed)?;
    loaded(rig, amount);
    for role in [Role::Transit, Role::Door, Role::SmallPayment] {
        done(rig, role, &sealed)?;
        is_still(rig)?;
    }
    rig.reset()?;
    done(rig, Role::Transit, &sealed)
}

fn counter(rig: &mut TestRig<'_>) -> Check {
    takes_updates(rig)?;
    let (amount, text) = load_more(rig, 100)?;
    rig.fixture.update += 5;
    let sealed = seal(rig, &text)?;
    done(rig, Role::Transit, &sealed)?;
    loaded(rig, amount);
    let (_, text) = load_more(rig, 5000)?;
    let last = rig.fixture.update;
    for counter in [last, last - 1, last - 5, 0] {
        let stale = seal_as(rig, counter, &text)?;
        deliver(rig, Role::Transit, &stale)?.is(0x6985, &format!("counter {counter} after {last}"))?;
    }
    is_still(rig)?;
    // The last one is still the last one.
    done(rig, Role::Transit, &sealed)
}

fn wrong_macs(rig: &mut TestRig<'_>) -> Check {
    takes_updates(rig)?;
    let (amount, text) = load_more(rig, 100)?;
    let sealed = seal(rig, &text)?;
    let (stale, _) = tap(rig, Role::Transit)?;
    let keys = rig.keys()?.update_keys(&rig.serial()?)?;
    for what in [
        "a changed tmac",
        "a tmac of an earlier TAP",
        "a tmac under another M",
        "a changed E",
        "a changed counter",
        "a changed umac",
    ] {
        rig.select()?;
        let (tapped, _) = tap(rig, Role::Transit)?;
        let m = rig.slot(Role::Transit, tapped.version)?.m.duplicate();
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
        rig.send(&encode(
            [0x80, 0x14, tapped.role, tapped.version],
            &data,
            Some(0x10),
        ))?
        .is(0x6982, what)?;
    }
    is_still(rig)?;
    done(rig, Role::Transit, &sealed)?;
    loaded(rig, amount);
    is_still(rig)
}

fn once(rig: &mut TestRig<'_>) -> Check {
    takes_updates(rig)?;
    let (amount, text) = load_more(rig, 100)?;
    let sealed = seal(rig, &text)?;
    rig.select()?;
    let (tapped, _) = tap(rig, Role::SmallPayment)?;
    let m = rig.slot(Role::SmallPayment, tapped.version)?.m.duplicate();
    let receipt = update(rig, &tapped, &m, &sealed)?.ok("UPDATE")?;
    is_receipt(rig, &sealed, &receipt)?;
    loaded(rig, amount);
    update(rig, &tapped, &m, &sealed)?.is(0x6985, "a second UPDATE behind one TAP")?;
    rig.select()?;
    let (tapped, _) = tap(rig, Role::SmallPayment)?;
    update(rig, &tapped, &m, &sealed)?.ok("UPDATE")?;
    let body = purchase(rig, 0);
    let seq = purse(rig)?.seq;
    commit(rig, &tapped, &body, seq)?.is(0x6985, "COMMIT behind an UPDATE")?;
    is_still(rig)
}

fn wrong_forms(rig: &mut TestRig<'_>) -> Check {
    takes_updates(rig)?;
    let publics = rig.publics()?;
    let slot = new_slot(rig, Role::Transit, rig.newest(Role::Transit)? + 1, &publics, CAP)?;
    let slot: [u8; UPDATE_LEN] = match slot_bytes(&slot, 0, 0)?.try_into() {
        Ok(slot) => slot,
        Err(_) => return failed("a SLOT step is not 224 bytes: a fault of the suite"),
    };
    let block = dg3(rig, 9)?;
    let length = u8::try_from(block.len()).unwrap_or(u8::MAX);
    let permit = plain(0x10, &[&[0x01, length], &block[..]].concat());
    let with = |mut text: [u8; UPDATE_LEN], at: usize, value: u8| {
        text[at] = value;
        text
    };
    let floor = plain(0x11, &rig.day(0)?.to_bytes());
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
    rig.fixture.update += 1;
    let next = rig.fixture.update;
    for (what, text) in forms {
        let sealed = seal_as(rig, next, &text)?;
        deliver(rig, Role::Transit, &sealed)?.is(0x6A80, what)?;
    }
    let (amount, text) = load_more(rig, 1)?;
    let sealed = seal_as(rig, next, &text)?;
    done(rig, Role::Transit, &sealed)?;
    loaded(rig, amount);
    is_still(rig)
}

/// P224 of SLOT, and the slot as the suite will know it.
fn slot_update(
    rig: &mut TestRig<'_>,
    role: Role,
    kv: u8,
    loaded: u32,
) -> Result<([u8; UPDATE_LEN], Slot), Stop> {
    let publics = rig.publics()?;
    let mut slot = new_slot(rig, role, kv, &publics, CAP)?;
    let mut text: [u8; UPDATE_LEN] = match slot_bytes(&slot, 1, loaded)?.try_into() {
        Ok(text) => text,
        Err(_) => return failed("a SLOT step is not 224 bytes: a fault of the suite"),
    };
    if role == Role::SmallPayment {
        text[216..220].copy_from_slice(&slot.cap.to_be_bytes());
        let keys = rig.keys()?.update_keys(&rig.serial()?)?;
        slot.ktac = tac_key(&keys, role, kv, &slot.pid);
    }
    Ok((text, slot))
}

/// The suite's slots follow a SLOT with flags 01.
fn brought(rig: &mut TestRig<'_>, slot: Slot) {
    let (role, kv) = (slot.role, slot.kv);
    rig.fixture
        .slots
        .retain(|old| old.role != role || old.kv.checked_add(1) == Some(kv));
    rig.fixture.slots.push(slot);
}

fn slot(rig: &mut TestRig<'_>) -> Check {
    takes_updates(rig)?;
    for (role, by) in [
        (Role::Transit, Role::Door),
        (Role::Clinic, Role::Transit),
        (Role::Door, Role::Door),
    ] {
        let kv = rig.newest(role)? + 1;
        let (text, slot) = slot_update(rig, role, kv, 0)?;
        let sealed = seal(rig, &text)?;
        done(rig, by, &sealed)?;
        brought(rig, slot);
        if role.has_door_f() {
            for version in [kv, kv - 1] {
                rig.select()?;
                Tap::send(rig, role.code(), version)?.open(rig)?;
            }
        } else {
            let mut door = DoorS::open(rig, Rights::role(role))?;
            let seen = door.read(rig, Object::Newest(role))?;
            let ours = rig.slot(role, kv)?;
            let right = [&[kv][..], &ours.pid, &ours.record].concat();
            ensure(
                seen == right,
                format!("the slot of {role} is not what the update brought"),
            )?;
        }
    }
    // CLINIC as the other cases expect it: one version.
    let kv = rig.newest(Role::Clinic)?;
    let text = plain(0x13, &[Role::Clinic.code(), kv - 1]);
    let sealed = seal(rig, &text)?;
    done(rig, Role::Transit, &sealed)?;
    rig.fixture
        .slots
        .retain(|slot| (slot.role, slot.kv) != (Role::Clinic, kv - 1));
    Ok(())
}

fn payment_slot(rig: &mut TestRig<'_>) -> Check {
    takes_updates(rig)?;
    let role = Role::SmallPayment;
    let kv = rig.newest(role)? + 1;
    let more = purse(rig)?.loaded + 900;
    let (text, slot) = slot_update(rig, role, kv, more)?;
    let sealed = seal(rig, &text)?;
    done(rig, Role::Transit, &sealed)?;
    brought(rig, slot);
    loaded(rig, more);
    is_still(rig)?;
    rig.select()?;
    pay(rig, 3)?;
    is_still(rig)?;
    // Its cap is that of the slot.
    rig.select()?;
    let (tapped, _) = tap(rig, role)?;
    let seq = purse(rig)?.seq;
    let body = purchase(rig, CAP + 1);
    commit(rig, &tapped, &body, seq)?.is(0x6985, "an amount above the cap of an updated slot")
}

fn permit_block(rig: &mut TestRig<'_>) -> Check {
    takes_updates(rig)?;
    let publics = rig.publics()?;
    let signer = &rig.keys()?.document_signer;
    let new = dg3(rig, 11)?;
    let [dg1, dg2, _, _] = rig.fixture.objects.clone();
    let object = SignatureObject::sign(7, signer, &publics[0], [&dg1, &dg2, &new], rig.rng())?;
    let length = u8::try_from(new.len()).unwrap_or(u8::MAX);
    let mut text = plain(0x10, &[&[7, length], &new[..]].concat());
    text[160..].copy_from_slice(&object.signature);
    let sealed = seal(rig, &text)?;
    done(rig, Role::Transit, &sealed)?;
    let signature = object.encode()?.to_vec();
    let mut door = DoorS::open(rig, Rights::PERMIT)?;
    let seen = door.read(rig, Object::Dg3)?;
    ensure(seen == new, "DG3 is not what the update brought")?;
    let seen = door.read(rig, Object::Signature)?;
    ensure(
        seen == signature,
        "the signature object was not changed as it must be",
    )?;
    rig.fixture.objects = [dg1, dg2, new, signature];
    // What it does not replace is as it was.
    let seen = DoorS::open(rig, Rights::IDENTITY)?.read(rig, Object::Dg1)?;
    ensure(seen == rig.fixture.objects[0], "DG1 changed")
}

fn floor(rig: &mut TestRig<'_>) -> Check {
    takes_updates(rig)?;
    rewrite_trust(rig, EPOCH, rig.day(-20)?)?;
    let floor_of = |rig: &mut TestRig<'_>| -> Result<card_applet_spec::date::Date, Stop> {
        let mut door = DoorI::open(rig)?;
        Ok(door.status(rig)?.floor)
    };
    for (ahead, expected) in [(3, 3), (1, 3), (-100, 3)] {
        let text = plain(0x11, &rig.day(ahead)?.to_bytes());
        let sealed = seal(rig, &text)?;
        done(rig, Role::Transit, &sealed)?;
        let seen = floor_of(rig)?;
        ensure(
            seen == rig.day(expected)?,
            format!("after FLOOR the floor is {seen}"),
        )?;
    }
    let far = plain(0x11, &rig.day(3 + 401)?.to_bytes());
    rig.fixture.update += 1;
    let sealed = seal_as(rig, rig.fixture.update, &far)?;
    deliver(rig, Role::Transit, &sealed)?.is(0x6985, "FLOOR 401 days ahead")?;
    let seen = floor_of(rig)?;
    ensure(seen == rig.day(3)?, "a refused FLOOR moved the floor")?;
    rewrite_trust(rig, EPOCH, rig.day(-20)?)
}

fn erase(rig: &mut TestRig<'_>) -> Check {
    takes_updates(rig)?;
    let role = Role::Door;
    let kv = rig.newest(role)? + 1;
    let (text, slot) = slot_update(rig, role, kv, 0)?;
    let sealed = seal(rig, &text)?;
    done(rig, Role::Transit, &sealed)?;
    brought(rig, slot);
    let old = rig.slot(role, kv - 1)?;
    let (g, m) = (old.g.duplicate(), old.m.duplicate());
    for round in 0..2 {
        let text = plain(0x13, &[role.code(), kv - 1]);
        let sealed = seal(rig, &text)?;
        done(rig, Role::Transit, &sealed)?;
        rig.select()?;
        let gone = Tap::send(rig, role.code(), kv - 1)?;
        ensure(
            gone.answer.open(&g).is_err() && gone.answer.verify(&m, role.code(), kv - 1, &gone.rt).is_err(),
            format!("an erased version answers (round {round})"),
        )?;
    }
    rig.fixture
        .slots
        .retain(|slot| (slot.role, slot.kv) != (role, kv - 1));
    rig.select()?;
    tap(rig, role)?;
    rig.select()?;
    tap(rig, Role::Transit).map(drop)
}

fn open_script(rig: &mut TestRig<'_>) -> Check {
    takes_updates(rig)?;
    let (amount, text) = load_more(rig, 10)?;
    let sealed = seal(rig, &text)?;
    let mut door = DoorI::open(rig)?;
    Script::begin(rig, &mut door, ScriptKind::Rewrite)?;
    deliver(rig, Role::Transit, &sealed)?.is(0x6985, "UPDATE while a script is open")?;
    is_still(rig)?;
    let mut door = DoorI::open(rig)?;
    abandon(rig, &mut door)?;
    done(rig, Role::Transit, &sealed)?;
    loaded(rig, amount);
    is_still(rig)
}

fn block(rig: &mut TestRig<'_>) -> Check {
    takes_updates(rig)?;
    let sealed = seal(rig, &plain(0x12, &[]))?;
    done(rig, Role::Transit, &sealed)?;
    let kv = rig.newest(Role::Transit)?;
    rig.select()?;
    let tapped = Tap::send(rig, Role::Transit.code(), kv)?;
    ensure(
        !tapped.is_live(rig)?,
        "a card that was blocked by an update still taps",
    )?;
    let m = rig.slot(Role::Transit, kv)?.m.duplicate();
    update(rig, &tapped, &m, &sealed)?.is(0x6982, "UPDATE of a blocked card")?;
    ensure(rig.state()? == CardState::Blocked, "the card is not BLOCKED")?;
    let back = change_state(rig, ScriptKind::Unblock)?;
    ensure(
        back == CardState::Active,
        format!("the card is {back} after the unblock"),
    )?;
    done(rig, Role::Transit, &sealed)?;
    ensure(
        rig.state()? == CardState::Active,
        "the BLOCK that was done already is done again by its repetition",
    )
}
