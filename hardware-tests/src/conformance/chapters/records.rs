//! Chapter 03: records and slots, the one purse, the decoy.

use card_applet_spec::codes::{Domain, Rights, Role};
use card_applet_spec::door_s::{Object, SlotObject};
use card_applet_spec::record::Entitlement;
use card_applet_spec::script::ScriptKind;

use crate::conformance::case::{Case, Class, WRITES, case};
use crate::conformance::check::{Check, Stop, ensure, failed};
use crate::conformance::issuer::{
    CAP, DoorI, LOADED, Script, Staged, certificate_step, generate, new_slot, rewrite_slots, slot_bytes,
};
use crate::conformance::phase::Phase;
use crate::conformance::tap::{Tap, pay, purse, shows, tap};
use crate::conformance::terminal::{DoorS, rights_of};
use crate::conformance::test_rig::TestRig;

pub(super) const CASES: &[Case] = &[
    case(
        "03.01",
        "03 Entitlement record",
        Class::Keys,
        Phase::Active,
        "",
        "the slot of each role holds the version, pid and record of the script, bound to the right key of the card",
        slots,
    ),
    case(
        "03.02",
        "03 Role slot",
        Class::Keys,
        Phase::Active,
        WRITES,
        "a second version comes into the spare slot and both are live; the newest is object 10 + role",
        two_versions,
    ),
    case(
        "03.03",
        "03 Role slot",
        Class::Keys,
        Phase::Active,
        WRITES,
        "of a role with two live slots one is spare: a second SLOT of it in a script is 6985",
        one_spare,
    ),
    case(
        "03.04",
        "03 Role slot",
        Class::Keys,
        Phase::Active,
        WRITES,
        "flags bit 0 erases the versions other than kv and kv - 1",
        drop_others,
    ),
    case(
        "03.05",
        "03 Purse",
        Class::Keys,
        Phase::Active,
        WRITES,
        "the purse goes on over a new slot: seq, spent and last stay, loaded never shrinks, both versions show and debit it",
        one_purse,
    ),
    case(
        "03.06",
        "03 Purse",
        Class::Keys,
        Phase::Active,
        "",
        "for TRANSIT and DOOR the purse's fields read as zero",
        no_purse_elsewhere,
    ),
    case(
        "03.07",
        "03 Decoy",
        Class::Keys,
        Phase::Active,
        "",
        "another version, a role without door F and an unknown role are answered from the decoy",
        decoy,
    ),
    case(
        "03.08",
        "03 Decoy",
        Class::Keys,
        Phase::Personalised,
        "",
        "before the hand-over every TAP is answered from the decoy",
        no_live_slot,
    ),
    case(
        "03.09",
        "03 Decoy",
        Class::Keys,
        Phase::Blocked,
        "",
        "a blocked card answers every TAP from the decoy",
        no_live_slot,
    ),
    case(
        "03.10",
        "03 Entitlement record",
        Class::Keys,
        Phase::Active,
        WRITES,
        "a new key pair erases the slots whose records are bound to the old one, and no others",
        new_pair,
    ),
];

/// What door S must be asked for to see the slots of a role.
fn rights_for(role: Role) -> Rights {
    if role.has_door_f() {
        Rights::role(role).union(Rights::VERIFY)
    } else {
        Rights::role(role)
    }
}

/// The slot object of a role: the newest or the other.
fn read_slot(rig: &mut TestRig<'_>, role: Role, older: bool) -> Result<(SlotObject, [u8; 64]), Stop> {
    let mut door = DoorS::open(rig, rights_for(role))?;
    let object = if older {
        Object::Older(role)
    } else {
        Object::Newest(role)
    };
    let bytes = door.read(rig, object)?;
    match SlotObject::parse(&bytes) {
        Ok(slot) => Ok((slot, door.certificate.public64)),
        Err(_) => failed(format!("the slot object of {role} has another form")),
    }
}

/// The slot must be the one that the suite wrote.
fn is_ours(rig: &TestRig<'_>, role: Role, seen: &SlotObject) -> Check {
    let ours = rig.slot(role, seen.kv)?;
    ensure(
        seen.pid == ours.pid && seen.record == ours.record,
        format!("the slot of {role} holds another pid or record"),
    )
}

fn slots(rig: &mut TestRig<'_>) -> Check {
    let keys = rig.keys()?;
    for role in Role::ALL {
        let (seen, public) = read_slot(rig, *role, false)?;
        is_ours(rig, *role, &seen)?;
        let key = keys.record_key(*role, seen.kv, &seen.pid)?;
        let Ok(content) = Entitlement::open(&seen.record, &key, &seen.pid, &keys.entitlement_signer.public())
        else {
            return failed(format!("the record of {role} does not open"));
        };
        // For roles with VERIFY door S is opened with the PERSON key, to which their records are bound too.
        ensure(
            content.is_bound_to(&public, &seen.pid),
            format!("the record of {role} is not bound to the key that door S proved"),
        )?;
    }
    Ok(())
}

fn two_versions(rig: &mut TestRig<'_>) -> Check {
    let role = Role::Transit;
    let kv = rig.newest(role)?;
    rewrite_slots(rig, &[(role, kv + 1, 1)], 0)?;
    let (newest, _) = read_slot(rig, role, false)?;
    let (older, _) = read_slot(rig, role, true)?;
    ensure(
        (newest.kv, older.kv) == (kv + 1, kv),
        "the live versions are not the new one and the one before",
    )?;
    is_ours(rig, role, &newest)?;
    is_ours(rig, role, &older)?;
    for version in [kv, kv + 1] {
        rig.select()?;
        Tap::send(rig, role.code(), version)?.open(rig)?;
    }
    Ok(())
}

fn one_spare(rig: &mut TestRig<'_>) -> Check {
    let role = Role::Door;
    let kv = rig.newest(role)?;
    rewrite_slots(rig, &[(role, kv + 1, 1)], 0)?;
    let publics = rig.publics()?;
    let mut door = DoorI::open(rig)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Rewrite)?;
    let (first, second) = (
        new_slot(rig, role, kv + 2, &publics, CAP)?,
        new_slot(rig, role, kv + 3, &publics, CAP)?,
    );
    script.next(rig, &mut door, &slot_bytes(&first, 1, 0)?)?;
    script.refused(
        rig,
        &mut door,
        &slot_bytes(&second, 1, 0)?,
        Some(0x6985),
        "a second SLOT of a role with two live ones",
    )?;
    abandon(rig, &mut door)?;
    for version in [kv, kv + 1] {
        rig.select()?;
        Tap::send(rig, role.code(), version)?.open(rig)?;
    }
    Ok(())
}

/// An empty rewrite: what an unfinished script staged is dropped.
pub(super) fn abandon(rig: &mut TestRig<'_>, door: &mut DoorI) -> Check {
    let mut script = Script::begin(rig, door, ScriptKind::Rewrite)?;
    script.finalise(rig, door)?;
    Ok(())
}

fn drop_others(rig: &mut TestRig<'_>) -> Check {
    let role = Role::Transit;
    let kv = rig.newest(role)?;
    // Two live ones first, whatever an earlier case left; then a version that leaves both behind.
    rewrite_slots(rig, &[(role, kv + 1, 1)], 0)?;
    let old =
        [rig.slot(role, kv)?, rig.slot(role, kv + 1)?].map(|slot| (slot.g.duplicate(), slot.m.duplicate()));
    rewrite_slots(rig, &[(role, kv + 3, 1)], 0)?;
    for (version, (g, m)) in [kv, kv + 1].into_iter().zip(old) {
        rig.select()?;
        let tap = Tap::send(rig, role.code(), version)?;
        ensure(
            tap.answer.open(&g).is_err() && tap.answer.verify(&m, tap.role, version, &tap.rt).is_err(),
            format!("version {version} still answers"),
        )?;
    }
    rig.select()?;
    Tap::send(rig, role.code(), kv + 3)?.open(rig)?;
    let mut door = DoorS::open(rig, rights_for(role))?;
    door.read_part(rig, Object::Older(role).code(), 0, 177)?
        .is(0x6A88, "the other live slot, where only one is left")
}

fn one_purse(rig: &mut TestRig<'_>) -> Check {
    let role = Role::SmallPayment;
    let kv = rig.newest(role)?;
    pay(rig, 1)?;
    let before = purse(rig)?;
    // A script whose loaded is lower and whose seq is another.
    rewrite_slots(rig, &[(role, kv + 1, 1)], LOADED / 2)?;
    for version in [kv, kv + 1] {
        rig.select()?;
        let plain = Tap::send(rig, role.code(), version)?.open(rig)?;
        shows(&plain, &before)?;
    }
    rig.select()?;
    pay(rig, 2)?;
    let after = purse(rig)?;
    rig.select()?;
    let plain = Tap::send(rig, role.code(), kv)?.open(rig)?;
    shows(&plain, &after)?;
    // Now money comes with a script.
    let more = after.loaded + 500;
    rewrite_slots(rig, &[(role, kv + 2, 1)], more)?;
    rig.select()?;
    let (_, plain) = tap(rig, role)?;
    let purse = purse(rig)?;
    ensure(
        purse.loaded == more,
        "the suite's purse did not follow: a fault of the suite",
    )?;
    shows(&plain, &purse)
}

fn no_purse_elsewhere(rig: &mut TestRig<'_>) -> Check {
    for role in [Role::Transit, Role::Door] {
        rig.select()?;
        let (_, plain) = tap(rig, role)?;
        ensure(
            (plain.seq, plain.loaded, plain.spent) == (0, 0, 0)
                && plain.last_txno == [0; 8]
                && plain.masked == [0; 16]
                && plain.tac == [0; 8],
            format!("TAP of {role} shows something of a purse"),
        )?;
    }
    Ok(())
}

fn decoy(rig: &mut TestRig<'_>) -> Check {
    let mut seen: Vec<[u8; 16]> = Vec::new();
    let newest = rig.newest(Role::Transit)?;
    let mut asked = vec![
        (0x00, 1),
        (0x06, 1),
        (0xFF, 0xFF),
        (Role::Transit.code(), 0),
        (Role::Transit.code(), 0xFD),
    ];
    asked.extend([Role::Clinic, Role::SocialInsurance].map(|role| (role.code(), 1)));
    let transit = {
        let slot = rig.slot(Role::Transit, newest)?;
        (slot.g.duplicate(), slot.m.duplicate())
    };
    for (role, version) in asked {
        rig.select()?;
        let tap = Tap::send(rig, role, version)?;
        ensure(
            tap.answer.open(&transit.0).is_err()
                && tap.answer.verify(&transit.1, role, version, &tap.rt).is_err(),
            format!("role {role:02X}, version {version:02X} is answered with the keys of a slot"),
        )?;
        for role in [Role::Clinic, Role::SocialInsurance] {
            if tap.role == role.code() {
                ensure(!tap.is_live(rig)?, format!("{role} answers at door F"))?;
            }
        }
        ensure(
            !seen.contains(&tap.answer.card_challenge),
            "a decoy repeats its rC",
        )?;
        seen.push(tap.answer.card_challenge);
    }
    Ok(())
}

fn no_live_slot(rig: &mut TestRig<'_>) -> Check {
    for role in Role::ALL {
        let kv = rig.newest(*role)?;
        rig.select()?;
        let tap = Tap::send(rig, role.code(), kv)?;
        ensure(
            !tap.is_live(rig)?,
            format!("{role} answers at door F in this state"),
        )?;
    }
    Ok(())
}

fn new_pair(rig: &mut TestRig<'_>) -> Check {
    let domain = Domain::Clinic;
    let mut publics = rig.publics()?;
    let mut door = DoorI::open(rig)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Rewrite)?;
    let public = script.next(rig, &mut door, &generate(domain))?;
    let Ok(public) = <[u8; 64]>::try_from(&public[..]) else {
        return failed("the answer of GENERATE is not 64 bytes");
    };
    ensure(public != publics[1], "GENERATE gives the old key")?;
    let step = certificate_step(rig, domain, &public)?;
    script.next(rig, &mut door, &step)?;
    script.finalise(rig, &mut door)?;
    publics[1] = public;
    rig.fixture.publics = Some(publics);
    rig.fixture.slots.retain(|slot| slot.role != Role::Clinic);
    let mut door = DoorS::open(rig, rights_of(domain))?;
    ensure(
        door.certificate.public64 == public,
        "door S still uses the old key",
    )?;
    door.read_part(rig, Object::Newest(Role::Clinic).code(), 0, 177)?
        .is(0x6A88, "the slot of CLINIC after a new CLINIC key")?;
    rig.select()?;
    tap(rig, Role::Transit)?;
    // As it was for the cases that follow.
    let mut staged = Staged::default();
    let mut door = DoorI::open(rig)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Rewrite)?;
    let slot = new_slot(rig, Role::Clinic, 1, &publics, CAP)?;
    script.next(rig, &mut door, &slot_bytes(&slot, 0, 0)?)?;
    staged.slots.push(slot);
    script.finalise(rig, &mut door)?;
    staged.live(rig);
    Ok(())
}
