//! Chapter 05: door I from its opening to the last script.

use card_applet_spec::apdu::Header;
use card_applet_spec::codes::{CardState, Domain, Rights, Role};
use card_applet_spec::crypto::PrivateKey;
use card_applet_spec::door_s::Object;
use card_applet_spec::script::{ScriptKind, Status, WritableObject};

use crate::conformance::case::{Case, Class, TRIES, WRITES, case};
use crate::conformance::chapters::records::abandon;
use crate::conformance::check::{Check, Stop, ensure, failed};
use crate::conformance::issuer::{
    CAP, DoorI, OwnSession, Part, Script, begin_bytes, certificate_step, change_state, dg3, generate,
    keys_step, new_slot, purse_bytes, rewrite_trust, slot_bytes, stage, trust_step, write_bytes, wrong_try,
};
use crate::conformance::keys::EPOCH;
use crate::conformance::phase::Phase;
use crate::conformance::tap::{Tap, tap};
use crate::conformance::terminal::{Chain, DoorS, Plan, present};
use crate::conformance::test_rig::{TestRig, encode};

/// Wrong tries after which door I is locked.
const LIMIT: u8 = 16;

pub(super) const CASES: &[Case] = &[
    case(
        "05.01",
        "05 Opening",
        Class::Outside,
        Phase::AsLaid,
        "",
        "INITIALIZE UPDATE answers 29 bytes whose first 13 are constants: no diversification data, no sequence",
        constants,
    ),
    case(
        "05.02",
        "05 Opening",
        Class::Outside,
        Phase::AsLaid,
        "",
        "card challenge and cryptogram are new each time, for the same host challenge too",
        fresh,
    ),
    case(
        "05.03",
        "05 Opening",
        Class::Outside,
        Phase::AsLaid,
        TRIES,
        "a wrong host cryptogram is 6982 and ends the opening",
        wrong_cryptogram,
    ),
    case(
        "05.04",
        "05 Reading",
        Class::Keys,
        Phase::Blank,
        "",
        "door I opens with right keys; GET STATUS has 59 bytes and says BLANK and no failures",
        opens,
    ),
    case(
        "05.05",
        "05 Opening",
        Class::Keys,
        Phase::Blank,
        TRIES,
        "a right cryptogram under a wrong C-MAC, and a wrong one under a right C-MAC, are 6982",
        half_right,
    ),
    case(
        "05.06",
        "05 Failure counter",
        Class::Keys,
        Phase::Blank,
        TRIES,
        "a BLANK is not locked by wrong tries",
        blank_is_not_locked,
    ),
    case(
        "05.07",
        "05 Opening",
        Class::Keys,
        Phase::Blank,
        "",
        "in the channel a wrong MAC, a changed header, a repeated command and a bare one are 6982 and end the session",
        record_layer,
    ),
    case(
        "05.08",
        "05 Reading",
        Class::Keys,
        Phase::Blank,
        "",
        "GET PUBLIC KEY of a domain without a staged pair is 6A88, wrong parameters are 6A86",
        reading,
    ),
    case(
        "05.09",
        "05 Steps",
        Class::Keys,
        Phase::Blank,
        WRITES,
        "a script of a kind that does not fit BLANK is 6985, an unknown kind is 6A80",
        kinds_of_a_blank,
    ),
    case(
        "05.10",
        "05 Steps",
        Class::Keys,
        Phase::Blank,
        WRITES,
        "BEGIN is step 1 and no other; repeated at once it is accepted and nothing changes",
        begin,
    ),
    case(
        "05.11",
        "05 Steps",
        Class::Keys,
        Phase::Blank,
        WRITES,
        "a step is accepted at last + 1; at last + 2, at 0 and before last it is 6985",
        numbers,
    ),
    case(
        "05.12",
        "05 Steps",
        Class::Keys,
        Phase::Blank,
        WRITES,
        "the last step again gives the same answer and counts nothing; with other content it is 6985",
        repeated,
    ),
    case(
        "05.13",
        "05 Resuming",
        Class::Keys,
        Phase::Blank,
        WRITES,
        "after a reset GET STATUS tells script, last and h, and the script goes on at last + 1",
        resumes,
    ),
    case(
        "05.14",
        "05 Steps",
        Class::Keys,
        Phase::Blank,
        WRITES,
        "the id of an unfinished script that has gone on is 6985; another id drops what was staged",
        another_begin,
    ),
    case(
        "05.15",
        "05 Steps",
        Class::Keys,
        Phase::Blank,
        WRITES,
        "GENERATE gives a point on the curve, again the same when repeated, and a second one is 6985",
        generates,
    ),
    case(
        "05.16",
        "05 Steps",
        Class::Keys,
        Phase::Blank,
        WRITES,
        "CERTIFICATE of another key or domain is 6A80, a second one is 6985",
        certificate,
    ),
    case(
        "05.17",
        "05 Steps",
        Class::Keys,
        Phase::Blank,
        WRITES,
        "WRITE out of order, with another total, above the object's room or of an unknown object is refused",
        write,
    ),
    case(
        "05.18",
        "05 Steps",
        Class::Keys,
        Phase::Blank,
        WRITES,
        "SLOT of an unknown role, with kv 0, with unknown flags, or twice is 6A80",
        slot_forms,
    ),
    case(
        "05.19",
        "05 Steps",
        Class::Keys,
        Phase::Blank,
        WRITES,
        "PURSE without its slot and a second PURSE are 6985, a seq of 2^31 is 6A80",
        purse_forms,
    ),
    case(
        "05.20",
        "05 Steps",
        Class::Keys,
        Phase::Blank,
        WRITES,
        "a second KEYS and a second TRUST in a script are 6985",
        keys_and_trust_once,
    ),
    case(
        "05.21",
        "05 Steps",
        Class::Keys,
        Phase::Blank,
        WRITES,
        "a step of unknown op, a cut one and a too long one are 6A80",
        wrong_forms,
    ),
    case(
        "05.22",
        "05 Steps",
        Class::Keys,
        Phase::Blank,
        WRITES,
        "a personalisation without any one of its parts is 6985",
        incomplete,
    ),
    case(
        "05.23",
        "05 Steps",
        Class::Keys,
        Phase::Blank,
        WRITES,
        "FINALISE with a wrong count or a wrong h is 6985, and until it is right the card is a BLANK to everybody",
        finalise_counts,
    ),
    case(
        "05.24",
        "05 Steps",
        Class::Keys,
        Phase::Personalised,
        WRITES,
        "FINALISE answers the state, again when repeated; status keeps the finished script; the session goes on",
        finalised,
    ),
    case(
        "05.25",
        "05 Steps",
        Class::Keys,
        Phase::Personalised,
        "",
        "without an open script a step is 6985",
        nothing_open,
    ),
    case(
        "05.26",
        "05 Steps",
        Class::Keys,
        Phase::Personalised,
        WRITES,
        "the id of the script that finished last is 6985",
        id_of_the_finished,
    ),
    case(
        "05.27",
        "05 Steps",
        Class::Keys,
        Phase::Personalised,
        WRITES,
        "a script of a kind that does not fit PERSONALISED is 6985",
        |rig| wrong_kinds(rig, &[ScriptKind::Personalise, ScriptKind::Unblock]),
    ),
    case(
        "05.28",
        "01 States",
        Class::Keys,
        Phase::Personalised,
        WRITES,
        "a card blocked before its hand-over goes back to PERSONALISED",
        |rig| block_and_unblock(rig, CardState::Personalised),
    ),
    case(
        "05.29",
        "05 Steps",
        Class::Keys,
        Phase::Active,
        WRITES,
        "a script of a kind that does not fit ACTIVE is 6985",
        |rig| {
            wrong_kinds(
                rig,
                &[ScriptKind::Personalise, ScriptKind::Activate, ScriptKind::Unblock],
            )
        },
    ),
    case(
        "05.30",
        "01 States",
        Class::Keys,
        Phase::Active,
        WRITES,
        "a card blocked in use goes back to ACTIVE, with the same slots",
        |rig| block_and_unblock(rig, CardState::Active),
    ),
    case(
        "05.31",
        "05 Steps",
        Class::Keys,
        Phase::Active,
        WRITES,
        "a script that changes the state only takes no other step",
        no_content,
    ),
    case(
        "05.32",
        "05 Steps",
        Class::Keys,
        Phase::Active,
        WRITES,
        "until FINALISE the old slot and group answer, after it the new ones",
        nothing_before_finalise,
    ),
    case(
        "05.33",
        "05 Steps",
        Class::Keys,
        Phase::Active,
        WRITES,
        "FINALISE is 6985 while a staged slot of SMALL_PAYMENT has no PURSE",
        slot_without_purse,
    ),
    case(
        "05.34",
        "05 Steps",
        Class::Keys,
        Phase::Active,
        WRITES,
        "TRUST sets epoch and floor up and down; FINALISE moves the floor to its day and never back",
        floor,
    ),
    case(
        "05.35",
        "05 Steps",
        Class::Keys,
        Phase::Active,
        WRITES,
        "a day more than 400 days ahead of the floor is 6985 in a rewrite, and moves nothing in a block",
        leap,
    ),
    case(
        "05.36",
        "05 Failure counter",
        Class::Keys,
        Phase::Active,
        TRIES,
        "after 16 wrong tries right keys are 6982 too; only door I is locked, and ISSUER in door S opens it",
        locks,
    ),
    case(
        "05.37",
        "05 Failure counter",
        Class::Keys,
        Phase::Active,
        TRIES,
        "a right try sets the counter to zero",
        success_resets,
    ),
    case(
        "05.38",
        "05 Steps",
        Class::Keys,
        Phase::Blocked,
        WRITES,
        "a blocked card takes neither a rewrite nor an activation nor a second block",
        |rig| {
            let kinds = [
                ScriptKind::Personalise,
                ScriptKind::Rewrite,
                ScriptKind::Activate,
                ScriptKind::Block,
            ];
            wrong_kinds(rig, &kinds)
        },
    ),
    case(
        "05.39",
        "01 States",
        Class::Keys,
        Phase::Terminated,
        TRIES,
        "a terminated card answers INITIALIZE UPDATE as ever, and no key opens door I",
        terminated_door_i,
    ),
    case(
        "05.40",
        "01 States",
        Class::Keys,
        Phase::Terminated,
        "",
        "a terminated card shows no serial, refuses S1 with 6985 and taps as a decoy",
        terminated_elsewhere,
    ),
    case(
        "05.41",
        "05 Opening",
        Class::Outside,
        Phase::AsLaid,
        "",
        "INITIALIZE UPDATE takes P1 00 and 01, the key version that it names; any other is 6A86",
        key_version,
    ),
    case(
        "05.42",
        "05 Opening",
        Class::Keys,
        Phase::Blank,
        "",
        "Le on EXTERNAL AUTHENTICATE is 6700 and no try; in the channel a missing Le and one that is not 00 are 6700",
        le,
    ),
    case(
        "05.43",
        "05 Opening",
        Class::Keys,
        Phase::Blank,
        "",
        "encrypted padding where there is no data is 6982 and ends the session",
        padding_alone,
    ),
    case(
        "05.44",
        "05 Reading",
        Class::Keys,
        Phase::Active,
        TRIES,
        "GET STATUS in door I says how many wrong tries came before this session, and the next session none",
        failures_before,
    ),
    case(
        "05.45",
        "05 Failure counter",
        Class::Keys,
        Phase::Active,
        TRIES,
        "tries at a locked door I change nothing: the count stays at 16, and one reset opens it",
        tries_at_a_lock,
    ),
];

fn initialize(rig: &mut TestRig<'_>, host: [u8; 8]) -> Result<Vec<u8>, Stop> {
    rig.command(Header::INITIALIZE_UPDATE.to_bytes(), &host)?
        .ok("INITIALIZE UPDATE")
}

fn constants(rig: &mut TestRig<'_>) -> Check {
    let host: [u8; 8] = rig.random();
    let body = initialize(rig, host)?;
    ensure(
        body.len() == 29,
        format!("it answers {} bytes instead of 29", body.len()),
    )?;
    ensure(
        body[..13] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0x03, 0x60],
        "diversification data, key version, protocol or i are not the constants",
    )
}

fn fresh(rig: &mut TestRig<'_>) -> Check {
    let host = [0x11; 8];
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..rig.samples().clamp(16, 64) {
        rig.select()?;
        let body = initialize(rig, host)?;
        let Some(parts) = body.get(13..29) else {
            return failed("INITIALIZE UPDATE answers less than 29 bytes");
        };
        let (challenge, cryptogram) = parts.split_at(8);
        ensure(seen.insert(challenge.to_vec()), "a card challenge comes again")?;
        ensure(seen.insert(cryptogram.to_vec()), "a card cryptogram comes again")?;
    }
    Ok(())
}

fn wrong_cryptogram(rig: &mut TestRig<'_>) -> Check {
    wrong_try(rig)?;
    rig.send(&encode(Header::EXTERNAL_AUTHENTICATE.to_bytes(), &[0; 16], None))?
        .is(0x6985, "a second EXTERNAL AUTHENTICATE after a wrong one")
}

fn opens(rig: &mut TestRig<'_>) -> Check {
    let mut door = DoorI::open(rig)?;
    let body = door.call(rig, Header::GET_STATUS, &[])?.ok("GET STATUS")?;
    ensure(
        body.len() == 59,
        format!("GET STATUS answers {} bytes instead of 59", body.len()),
    )?;
    let status = Status::parse(&body)?;
    ensure(
        status.state == CardState::Blank,
        format!("the card says {}", status.state),
    )?;
    // The session before this one was a success.
    ensure(
        DoorI::open(rig)?.status(rig)?.failures == 0,
        "failures are not zero after a success",
    )?;
    let untouched = status.last == 0;
    ensure(
        !untouched || (status.script == [0; 16] && status.digest == [0; 32] && !status.open),
        "before the first BEGIN script, last and h are not zero",
    )
}

fn half_right(rig: &mut TestRig<'_>) -> Check {
    for at in [5, 12, 13, 20] {
        rig.select()?;
        let (mut channel, cryptogram, _) = DoorI::propose(rig)?;
        let mut command = channel.external_authenticate(&cryptogram)?.to_vec();
        command[at] ^= 0x01;
        rig.send(&command)?
            .is(0x6982, &format!("EXTERNAL AUTHENTICATE with byte {at} changed"))?;
    }
    // A wrong cryptogram under the C-MAC that fits it.
    rig.select()?;
    let (mut channel, mut cryptogram, _) = DoorI::propose(rig)?;
    cryptogram[0] ^= 0x01;
    let command = channel.external_authenticate(&cryptogram)?;
    rig.send(&command)?
        .is(0x6982, "a wrong cryptogram under a right C-MAC")?;
    DoorI::open(rig).map(drop)
}

fn blank_is_not_locked(rig: &mut TestRig<'_>) -> Check {
    for _ in 0..LIMIT + 2 {
        wrong_try(rig)?;
    }
    DoorI::open(rig).map(drop)
}

fn record_layer(rig: &mut TestRig<'_>) -> Check {
    type Break = fn(&mut Vec<u8>);
    let breaks: [(&str, Break); 5] = [
        ("a changed MAC", |command| {
            let at = command.len() - 2;
            command[at] ^= 0x01;
        }),
        ("a changed P1", |command| command[2] ^= 0x01),
        ("a command without MAC", |command| {
            command.truncate(4);
            command.push(0x00);
        }),
        ("seven bytes instead of a MAC", |command| {
            command.truncate(5);
            command[4] = 7;
            command.extend([0; 8]);
        }),
        ("cipher text that is no whole block", |command| {
            command.truncate(5);
            command[4] = 15;
            command.extend([0; 16]);
        }),
    ];
    for (what, change) in breaks {
        let mut door = DoorI::open(rig)?;
        let mut command = door.channel().wrap_command(Header::GET_STATUS, &[])?.to_vec();
        change(&mut command);
        rig.send(&command)?.is(0x6982, what)?;
        let next = door.channel().wrap_command(Header::GET_STATUS, &[])?;
        rig.send(&next)?
            .is(0x6985, &format!("the next command of the session after {what}"))?;
    }
    let mut door = DoorI::open(rig)?;
    let command = door.channel().wrap_command(Header::GET_STATUS, &[])?;
    rig.send(&command)?.ok("GET STATUS")?;
    rig.send(&command)?.is(0x6982, "the same wrapped command again")?;
    // Changed cipher text under a MAC that does not fit it.
    let mut door = DoorI::open(rig)?;
    let id = rig.random();
    let mut command = door
        .channel()
        .wrap_command(Header::step(1), &begin_bytes(ScriptKind::Personalise, id)?)?
        .to_vec();
    command[6] ^= 0x01;
    rig.send(&command)?.is(0x6982, "changed cipher text")
}

fn reading(rig: &mut TestRig<'_>) -> Check {
    for (header, sw, what) in [
        (Header::get_public_key(0), 0x6A88, "GET PUBLIC KEY of domain 00"),
        (Header::get_public_key(4), 0x6A88, "GET PUBLIC KEY of domain 04"),
        (
            Header {
                cla: 0x84,
                ins: 0xF2,
                p1: 0x02,
                p2: 0x00,
            },
            0x6A86,
            "GET STATUS with P1 02",
        ),
        (
            Header {
                cla: 0x84,
                ins: 0xF2,
                p1: 0x00,
                p2: 0x01,
            },
            0x6A86,
            "GET STATUS with P2 01",
        ),
    ] {
        let mut door = DoorI::open(rig)?;
        door.call(rig, header, &[])?.is(sw, what)?;
    }
    let mut door = DoorI::open(rig)?;
    door.call(rig, Header::GET_STATUS, &[0x00])?
        .is(0x6700, "GET STATUS with data")
}

fn kinds_of_a_blank(rig: &mut TestRig<'_>) -> Check {
    let mut door = DoorI::open(rig)?;
    for kind in 2..=6 {
        let id: [u8; 16] = rig.random();
        let begin = [&[0x01, kind], &id[..]].concat();
        door.refused(rig, 1, &begin, Some(0x6985), &format!("BEGIN of kind {kind:02X}"))?;
    }
    for kind in [0x00, 0x07, 0xFF] {
        let id: [u8; 16] = rig.random();
        let begin = [&[0x01, kind], &id[..]].concat();
        door.refused(rig, 1, &begin, Some(0x6A80), &format!("BEGIN of kind {kind:02X}"))?;
    }
    Ok(())
}

fn begin(rig: &mut TestRig<'_>) -> Check {
    let mut door = DoorI::open(rig)?;
    let id = rig.random();
    let bytes = begin_bytes(ScriptKind::Personalise, id)?;
    for n in [0, 2, 0xFFFF] {
        door.refused(rig, n, &bytes, Some(0x6985), &format!("BEGIN as step {n}"))?;
    }
    let script = Script::begin_as(rig, &mut door, ScriptKind::Personalise, id)?;
    let before = door.status(rig)?;
    ensure(
        (before.script, before.last, before.digest, before.open) == (id, 1, script.h, true),
        "GET STATUS does not tell the script that was begun",
    )?;
    let body = door.step(rig, 1, &bytes)?;
    ensure(body.is_empty(), "BEGIN answers bytes")?;
    ensure(door.status(rig)? == before, "a repeated BEGIN changed something")
}

fn numbers(rig: &mut TestRig<'_>) -> Check {
    let mut door = DoorI::open(rig)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Personalise)?;
    let first = write_bytes(1, 300, 0, &[0x5A; 100]);
    for n in [0, 3, 4, 0x0100, 0xFFFF] {
        door.refused(rig, n, &first, Some(0x6985), &format!("step {n} after step 1"))?;
    }
    script.next(rig, &mut door, &first)?;
    let second = write_bytes(1, 300, 100, &[0x5A; 100]);
    script.next(rig, &mut door, &second)?;
    door.refused(rig, 2, &first, Some(0x6985), "step 2 again after step 3")?;
    let status = door.status(rig)?;
    ensure(
        (status.last, status.digest) == (3, script.h),
        "a refused step changed last or h",
    )
}

fn repeated(rig: &mut TestRig<'_>) -> Check {
    let mut door = DoorI::open(rig)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Personalise)?;
    let first = write_bytes(1, 300, 0, &[0x5A; 100]);
    script.next(rig, &mut door, &first)?;
    let before = door.status(rig)?;
    for _ in 0..2 {
        let body = door.step(rig, script.n, &first)?;
        ensure(body.is_empty(), "a repeated WRITE answers bytes")?;
    }
    ensure(door.status(rig)? == before, "a repeated step changed last or h")?;
    let mut other = first.clone();
    other[50] ^= 0x01;
    door.refused(
        rig,
        script.n,
        &other,
        Some(0x6985),
        "another step under the last number",
    )?;
    // Had the repetition been written twice, the object would be further than the office thinks.
    script.next(rig, &mut door, &write_bytes(1, 300, 100, &[0x5A; 200]))?;
    let (step, values) = keys_step(rig, door.transport)?;
    script.next(rig, &mut door, &step)?;
    let again = door.step(rig, script.n, &step)?;
    ensure(again == values, "a repeated KEYS answers something else")
}

fn resumes(rig: &mut TestRig<'_>) -> Check {
    let mut door = DoorI::open(rig)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Personalise)?;
    script.next(rig, &mut door, &write_bytes(1, 300, 0, &[0x5A; 100]))?;
    let mut door = DoorI::open(rig)?;
    let status = door.status(rig)?;
    ensure(
        (status.script, status.last, status.digest, status.open) == (script.id, script.n, script.h, true),
        "after a reset GET STATUS does not tell where the script stands",
    )?;
    // The step whose answer was lost, then the next.
    let last = script.last.clone();
    door.step(rig, script.n, &last)?;
    script.next(rig, &mut door, &write_bytes(1, 300, 100, &[0x5A; 100]))?;
    Ok(())
}

fn another_begin(rig: &mut TestRig<'_>) -> Check {
    let mut door = DoorI::open(rig)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Personalise)?;
    let public = script.next(rig, &mut door, &generate(Domain::Clinic))?;
    let seen = door
        .call(rig, Header::get_public_key(Domain::Clinic.code()), &[])?
        .ok("GET PUBLIC KEY")?;
    ensure(seen == public, "GET PUBLIC KEY gives another key than GENERATE")?;
    let again = begin_bytes(ScriptKind::Personalise, script.id)?;
    door.refused(rig, 1, &again, Some(0x6985), "BEGIN of a script that has gone on")?;
    let seen = door
        .call(rig, Header::get_public_key(Domain::Clinic.code()), &[])?
        .ok("GET PUBLIC KEY after a refused BEGIN")?;
    ensure(seen == public, "a refused BEGIN dropped what was staged")?;
    Script::begin(rig, &mut door, ScriptKind::Personalise)?;
    door.call(rig, Header::get_public_key(Domain::Clinic.code()), &[])?
        .is(0x6A88, "GET PUBLIC KEY after another script has begun")
}

fn generates(rig: &mut TestRig<'_>) -> Check {
    let mut door = DoorI::open(rig)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Personalise)?;
    let mut seen: Vec<Vec<u8>> = Vec::new();
    for domain in Domain::ALL {
        let public = script.next(rig, &mut door, &generate(*domain))?;
        let again = door.step(rig, script.n, &generate(*domain))?;
        ensure(again == public, "a repeated GENERATE gives another key")?;
        let point: Result<[u8; 64], _> = public[..].try_into();
        let on_curve =
            point.is_ok_and(|point| card_applet_spec::crypto::PublicKey::from_public64(&point).is_ok());
        ensure(on_curve, "GENERATE gives no point on the curve")?;
        ensure(!seen.contains(&public), "two domains have the same key")?;
        seen.push(public);
        script.refused(
            rig,
            &mut door,
            &generate(*domain),
            Some(0x6985),
            "a second GENERATE of a domain",
        )?;
    }
    for domain in [0x00, 0x04] {
        script.refused(
            rig,
            &mut door,
            &[0x03, domain],
            Some(0x6A80),
            "GENERATE of an unknown domain",
        )?;
    }
    // Another script makes other keys.
    let mut script = Script::begin(rig, &mut door, ScriptKind::Personalise)?;
    let public = script.next(rig, &mut door, &generate(Domain::Person))?;
    ensure(
        !seen.contains(&public),
        "a later GENERATE gives a key that came before",
    )
}

fn certificate(rig: &mut TestRig<'_>) -> Check {
    let mut door = DoorI::open(rig)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Personalise)?;
    let public = script.next(rig, &mut door, &generate(Domain::Person))?;
    let Ok(public) = <[u8; 64]>::try_from(&public[..]) else {
        return failed("the answer of GENERATE is not 64 bytes");
    };
    let other = PrivateKey::generate(rig.rng()).public().to_public64();
    let step = certificate_step(rig, Domain::Person, &other)?;
    script.refused(rig, &mut door, &step, Some(0x6A80), "CERTIFICATE of another key")?;
    let mut step = certificate_step(rig, Domain::Clinic, &public)?;
    step[1] = Domain::Person.code();
    script.refused(
        rig,
        &mut door,
        &step,
        Some(0x6A80),
        "CERTIFICATE of another domain",
    )?;
    let step = certificate_step(rig, Domain::Person, &public)?;
    script.next(rig, &mut door, &step)?;
    let again = certificate_step(rig, Domain::Person, &public)?;
    script.refused(
        rig,
        &mut door,
        &again,
        Some(0x6985),
        "a second CERTIFICATE of a domain",
    )
}

fn write(rig: &mut TestRig<'_>) -> Check {
    let mut door = DoorI::open(rig)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Personalise)?;
    let data = [0x5A; 50];
    for (what, step, sw) in [
        (
            "WRITE that begins in the middle",
            write_bytes(1, 200, 50, &data),
            None,
        ),
        (
            "WRITE of an unknown object",
            write_bytes(4, 200, 0, &data),
            Some(0x6A80),
        ),
        ("WRITE without data", write_bytes(1, 200, 0, &[]), Some(0x6A80)),
        ("WRITE above its own total", write_bytes(1, 40, 0, &data), None),
        (
            "WRITE of a DG1 above 1024 bytes",
            write_bytes(1, 1025, 0, &data),
            None,
        ),
        (
            "WRITE of a DG2 above its room",
            write_bytes(2, 6300, 0, &data),
            None,
        ),
    ] {
        script.refused(rig, &mut door, &step, sw, what)?;
    }
    script.next(rig, &mut door, &write_bytes(1, 200, 0, &data))?;
    for (what, step) in [
        ("WRITE that leaves a gap", write_bytes(1, 200, 60, &data)),
        ("WRITE that goes back", write_bytes(1, 200, 40, &data)),
        ("WRITE with another total", write_bytes(1, 201, 50, &data)),
        ("WRITE above the total", write_bytes(1, 200, 50, &[0x5A; 151])),
    ] {
        script.refused(rig, &mut door, &step, None, what)?;
    }
    script.next(rig, &mut door, &write_bytes(1, 200, 50, &[0x5A; 150]))?;
    Ok(())
}

fn slot_forms(rig: &mut TestRig<'_>) -> Check {
    let publics = [PrivateKey::generate(rig.rng()).public().to_public64(); 3];
    let mut door = DoorI::open(rig)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Personalise)?;
    let slot = new_slot(rig, Role::Transit, 1, &publics, CAP)?;
    let right = slot_bytes(&slot, 0, 0)?;
    let with = |at: usize, value: u8| {
        let mut step = right.clone();
        step[at] = value;
        step
    };
    for (what, step) in [
        ("SLOT of role 00", with(1, 0)),
        ("SLOT of role 06", with(1, 6)),
        ("SLOT with kv 0", with(2, 0)),
        ("SLOT with flags 02", with(3, 2)),
        ("SLOT with a byte set in its zeros", with(223, 1)),
        ("a SLOT that is cut", right[..223].to_vec()),
        ("a SLOT that is too long", [&right[..], &[0]].concat()),
    ] {
        script.refused(rig, &mut door, &step, Some(0x6A80), what)?;
    }
    script.next(rig, &mut door, &right)?;
    let again = new_slot(rig, Role::Transit, 1, &publics, CAP)?;
    script.refused(
        rig,
        &mut door,
        &slot_bytes(&again, 0, 0)?,
        Some(0x6A80),
        "a second SLOT of the same role and kv",
    )
}

fn purse_forms(rig: &mut TestRig<'_>) -> Check {
    let publics = [PrivateKey::generate(rig.rng()).public().to_public64(); 3];
    let mut door = DoorI::open(rig)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Personalise)?;
    let slot = new_slot(rig, Role::SmallPayment, 1, &publics, CAP)?;
    let right = purse_bytes(&slot, 7)?;
    script.refused(rig, &mut door, &right, Some(0x6985), "PURSE without a slot")?;
    script.next(rig, &mut door, &slot_bytes(&slot, 0, 100)?)?;
    let high = purse_bytes(&slot, 1 << 31)?;
    script.refused(rig, &mut door, &high, Some(0x6A80), "PURSE with a seq of 2^31")?;
    let mut other = right.clone();
    other[1] = 2;
    script.refused(rig, &mut door, &other, Some(0x6985), "PURSE of another version")?;
    script.next(rig, &mut door, &right)?;
    let again = purse_bytes(&slot, 8)?;
    script.refused(rig, &mut door, &again, Some(0x6985), "a second PURSE of a slot")
}

fn keys_and_trust_once(rig: &mut TestRig<'_>) -> Check {
    let mut door = DoorI::open(rig)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Personalise)?;
    let (keys, _) = keys_step(rig, door.transport)?;
    let trust = trust_step(rig, EPOCH, rig.day(-20)?)?;
    script.next(rig, &mut door, &keys)?;
    script.next(rig, &mut door, &trust)?;
    let other = trust_step(rig, EPOCH + 1, rig.day(-19)?)?;
    script.refused(rig, &mut door, &other, Some(0x6985), "a second TRUST")?;
    script.refused(rig, &mut door, &keys, Some(0x6985), "a second KEYS")
}

fn wrong_forms(rig: &mut TestRig<'_>) -> Check {
    let mut door = DoorI::open(rig)?;
    let script = Script::begin(rig, &mut door, ScriptKind::Personalise)?;
    let trust = trust_step(rig, EPOCH, rig.day(0)?)?;
    for (what, step) in [
        ("op 00", vec![0x00]),
        ("op 09", vec![0x09, 1, 2, 3]),
        ("op 10 of an update", vec![0x10; 224]),
        ("a GENERATE without domain", vec![0x03]),
        ("a GENERATE with two domains", vec![0x03, 1, 2]),
        ("a TRUST that is cut", trust[..trust.len() - 1].to_vec()),
        ("a TRUST whose floor is no date", {
            let mut step = trust.clone();
            let at = step.len() - 2;
            step[at] = 0x13;
            step
        }),
        ("KEYS of 95 bytes", vec![0x07; 96]),
    ] {
        script.refused(rig, &mut door, &step, Some(0x6A80), what)?;
    }
    Ok(())
}

fn incomplete(rig: &mut TestRig<'_>) -> Check {
    for part in Part::all() {
        let mut door = DoorI::open(rig)?;
        let mut script = Script::begin(rig, &mut door, ScriptKind::Personalise)?;
        // A small portrait: what is missing is the point.
        stage(rig, &mut door, &mut script, Some(part), 64)?;
        let finalise = script.finalise_bytes(rig.day(0)?)?;
        script.refused(
            rig,
            &mut door,
            &finalise,
            Some(0x6985),
            &format!("FINALISE without {part:?}"),
        )?;
    }
    let mut door = DoorI::open(rig)?;
    let status = door.status(rig)?;
    ensure(
        status.state == CardState::Blank,
        "a refused FINALISE changed the state",
    )
}

fn finalise_counts(rig: &mut TestRig<'_>) -> Check {
    let mut door = DoorI::open(rig)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Personalise)?;
    let staged = stage(rig, &mut door, &mut script, None, 64)?;
    let right = script.finalise_bytes(rig.day(0)?)?;
    for (what, at) in [
        ("FINALISE with a wrong count", 2),
        ("FINALISE with a wrong h", 3),
        ("FINALISE with a wrong h", 34),
    ] {
        let mut wrong = right.clone();
        wrong[at] ^= 0x01;
        script.refused(rig, &mut door, &wrong, Some(0x6985), what)?;
    }
    // Everything is there but FINALISE: to everybody else it is a blank.
    rig.select()?;
    let serial = rig
        .send(&[0x80, 0xCA, 0x00, 0x45, 0x00])?
        .ok("GET DATA of the serial")?;
    ensure(serial == rig.serial()?.0, "the serial is another")?;
    present(rig, 0, &[0x7F, 0x21])?.is(0x6985, "S1 before FINALISE")?;
    for slot in &staged.slots {
        rig.select()?;
        let tap = Tap::send(rig, slot.role.code(), slot.kv)?;
        ensure(
            tap.answer.open(&slot.g).is_err(),
            "a staged slot answers before FINALISE",
        )?;
    }
    let mut door = DoorI::open(rig)?;
    ensure(door.transport, "the issuance keys are in force before FINALISE")?;
    ensure(
        door.status(rig)?.open,
        "GET STATUS does not say that the script is open",
    )?;
    Script::begin(rig, &mut door, ScriptKind::Personalise)?;
    Ok(())
}

fn finalised(rig: &mut TestRig<'_>) -> Check {
    let mut door = DoorI::open(rig)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Rewrite)?;
    let (keys, _) = keys_step(rig, door.transport)?;
    script.next(rig, &mut door, &keys)?;
    let state = script.finalise(rig, &mut door)?;
    ensure(
        state == CardState::Personalised.code(),
        "FINALISE of a rewrite answers another state",
    )?;
    // The session goes on with its keys, though the static ones were just replaced.
    let status = door.status(rig)?;
    ensure(
        (status.script, status.last, status.digest, status.open) == (script.id, script.n, script.h, false),
        "GET STATUS does not keep the finished script",
    )?;
    let last = script.last.clone();
    let again = door.step(rig, script.n, &last)?;
    ensure(
        again == [state],
        "the repetition of FINALISE answers something else",
    )?;
    let mut door = DoorI::open(rig)?;
    let again = door.step(rig, script.n, &last)?;
    ensure(
        again == [state],
        "the repetition of FINALISE after a reset answers something else",
    )
}

fn nothing_open(rig: &mut TestRig<'_>) -> Check {
    let mut door = DoorI::open(rig)?;
    let status = door.status(rig)?;
    ensure(!status.open, "a script is open")?;
    let next = status.last.saturating_add(1);
    for step in [&generate(Domain::Person)[..], &write_bytes(1, 100, 0, &[1; 10])] {
        door.refused(rig, next, step, Some(0x6985), "a step without an open script")?;
    }
    Ok(())
}

fn id_of_the_finished(rig: &mut TestRig<'_>) -> Check {
    let mut door = DoorI::open(rig)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Rewrite)?;
    script.finalise(rig, &mut door)?;
    let again = begin_bytes(ScriptKind::Rewrite, script.id)?;
    door.refused(
        rig,
        1,
        &again,
        Some(0x6985),
        "BEGIN with the id of the finished script",
    )
}

fn wrong_kinds(rig: &mut TestRig<'_>, kinds: &[ScriptKind]) -> Check {
    let mut door = DoorI::open(rig)?;
    let before = door.status(rig)?;
    for kind in kinds {
        let id = rig.random();
        let begin = begin_bytes(*kind, id)?;
        door.refused(
            rig,
            1,
            &begin,
            Some(0x6985),
            &format!("BEGIN of {kind:?} in {}", before.state),
        )?;
    }
    let after = door.status(rig)?;
    ensure(after == before, "a refused BEGIN changed something")
}

fn block_and_unblock(rig: &mut TestRig<'_>, state: CardState) -> Check {
    let blocked = change_state(rig, ScriptKind::Block)?;
    ensure(
        blocked == CardState::Blocked,
        format!("FINALISE of kind 04 answers {blocked}"),
    )?;
    ensure(rig.state()? == CardState::Blocked, "the card is not BLOCKED")?;
    let kv = rig.newest(Role::Transit)?;
    rig.select()?;
    let tapped = Tap::send(rig, Role::Transit.code(), kv)?;
    ensure(!tapped.is_live(rig)?, "a blocked card answers a TAP")?;
    let back = change_state(rig, ScriptKind::Unblock)?;
    ensure(
        back == state,
        format!("FINALISE of kind 05 answers {back} instead of {state}"),
    )?;
    ensure(rig.state()? == state, format!("the card is not {state} again"))?;
    rig.select()?;
    let tapped = Tap::send(rig, Role::Transit.code(), kv)?;
    ensure(
        tapped.is_live(rig)? == (state == CardState::Active),
        "after the unblock door F does not answer as the state says",
    )
}

fn no_content(rig: &mut TestRig<'_>) -> Check {
    let mut door = DoorI::open(rig)?;
    let script = Script::begin(rig, &mut door, ScriptKind::Block)?;
    let trust = trust_step(rig, EPOCH, rig.day(-20)?)?;
    for step in [
        &generate(Domain::Person)[..],
        &write_bytes(3, 100, 0, &[1; 10]),
        &trust,
    ] {
        script.refused(
            rig,
            &mut door,
            step,
            Some(0x6985),
            "a step with content in a block",
        )?;
    }
    abandon(rig, &mut door)?;
    ensure(
        rig.state()? == CardState::Active,
        "the card is not ACTIVE any more",
    )
}

fn nothing_before_finalise(rig: &mut TestRig<'_>) -> Check {
    let publics = rig.publics()?;
    let role = Role::Transit;
    let kv = rig.newest(role)?;
    let new = dg3(rig, 2)?;
    let keys = rig.keys()?;
    let [dg1, dg2, old, _] = rig.fixture.objects.clone();
    let signature = card_applet_spec::data_group::SignatureObject::sign(
        1,
        &keys.document_signer,
        &publics[0],
        [&dg1, &dg2, &new],
        rig.rng(),
    )?
    .encode()?
    .to_vec();
    let mut door = DoorI::open(rig)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Rewrite)?;
    crate::conformance::issuer::write_object(rig, &mut door, &mut script, WritableObject::Dg3, &new)?;
    crate::conformance::issuer::write_object(
        rig,
        &mut door,
        &mut script,
        WritableObject::Signature,
        &signature,
    )?;
    let slot = new_slot(rig, role, kv + 1, &publics, CAP)?;
    script.next(rig, &mut door, &slot_bytes(&slot, 1, 0)?)?;
    // Staged, not live.
    rig.select()?;
    let staged = Tap::send(rig, role.code(), slot.kv)?;
    ensure(staged.answer.open(&slot.g).is_err(), "a staged slot answers")?;
    rig.select()?;
    tap(rig, role)?;
    let seen = DoorS::open(rig, Rights::PERMIT)?.read(rig, Object::Dg3)?;
    ensure(seen == old, "a staged DG3 is read")?;
    let mut door = DoorI::open(rig)?;
    script.finalise(rig, &mut door)?;
    rig.fixture.objects = [dg1, dg2, new.clone(), signature];
    rig.fixture.slots.retain(|old| old.role != role || old.kv == kv);
    rig.fixture.slots.push(slot);
    rig.select()?;
    tap(rig, role)?;
    let seen = DoorS::open(rig, Rights::PERMIT)?.read(rig, Object::Dg3)?;
    ensure(seen == new, "after FINALISE the old DG3 is read")
}

fn slot_without_purse(rig: &mut TestRig<'_>) -> Check {
    let publics = rig.publics()?;
    let role = Role::SmallPayment;
    let kv = rig.newest(role)?;
    let mut door = DoorI::open(rig)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Rewrite)?;
    let slot = new_slot(rig, role, kv + 1, &publics, CAP)?;
    script.next(rig, &mut door, &slot_bytes(&slot, 1, 0)?)?;
    let finalise = script.finalise_bytes(rig.day(0)?)?;
    script.refused(
        rig,
        &mut door,
        &finalise,
        Some(0x6985),
        "FINALISE with a slot that has no PURSE",
    )?;
    abandon(rig, &mut door)?;
    rig.select()?;
    tap(rig, role).map(drop)
}

fn floor(rig: &mut TestRig<'_>) -> Check {
    rewrite_trust(rig, EPOCH + 4, rig.day(-30)?)?;
    let mut door = DoorI::open(rig)?;
    let status = door.status(rig)?;
    ensure(status.epoch == EPOCH + 4, "TRUST did not set the epoch")?;
    ensure(
        status.floor == rig.day(0)?,
        "FINALISE did not move the floor to its day",
    )?;
    // An older day does not move it back.
    let mut script = Script::begin(rig, &mut door, ScriptKind::Rewrite)?;
    let older = script.finalise_bytes(rig.day(-5)?)?;
    script.next(rig, &mut door, &older)?;
    ensure(
        door.status(rig)?.floor == rig.day(0)?,
        "an older day moved the floor back",
    )?;
    // TRUST does: it sets.
    let step = trust_step(rig, EPOCH, rig.day(-40)?)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Rewrite)?;
    script.next(rig, &mut door, &step)?;
    let finalise = script.finalise_bytes(rig.day(-35)?)?;
    script.next(rig, &mut door, &finalise)?;
    let status = door.status(rig)?;
    ensure(
        status.floor == rig.day(-35)? && status.epoch == EPOCH,
        "TRUST did not set epoch and floor down",
    )?;
    abandon(rig, &mut door)
}

fn leap(rig: &mut TestRig<'_>) -> Check {
    let mut door = DoorI::open(rig)?;
    abandon(rig, &mut door)?;
    let before = door.status(rig)?.floor;
    let script = Script::begin(rig, &mut door, ScriptKind::Rewrite)?;
    let finalise = script.finalise_bytes(rig.day(401)?)?;
    script.refused(
        rig,
        &mut door,
        &finalise,
        Some(0x6985),
        "FINALISE 401 days ahead of the floor",
    )?;
    ensure(
        door.status(rig)?.floor == before,
        "a refused FINALISE moved the floor",
    )?;
    abandon(rig, &mut door)?;
    let mut script = Script::begin(rig, &mut door, ScriptKind::Block)?;
    let finalise = script.finalise_bytes(rig.day(401)?)?;
    script.next(rig, &mut door, &finalise)?;
    let status = door.status(rig)?;
    ensure(
        status.state == CardState::Blocked,
        "a block with a day far ahead was not done",
    )?;
    ensure(
        status.floor == before,
        "a block with a day far ahead moved the floor",
    )?;
    let back = change_state(rig, ScriptKind::Unblock)?;
    ensure(back == CardState::Active, "the card is not ACTIVE again")
}

fn locks(rig: &mut TestRig<'_>) -> Check {
    DoorI::open(rig)?;
    for _ in 0..LIMIT {
        wrong_try(rig)?;
    }
    rig.select()?;
    let command = right_try(rig)?;
    let locked = rig.send(&command)?;
    // Whatever this case finds, the next one needs door I.
    let other = (|| {
        rig.select()?;
        tap(rig, Role::Transit)?;
        let mut door = DoorS::open(rig, Rights::VERIFY)?;
        let status = Status::parse(&door.read(rig, Object::Status)?)?;
        ensure(
            status.failures == LIMIT,
            format!("status says {} failures instead of 16", status.failures),
        )
    })();
    rig.unlock()?;
    locked.is(0x6982, "right keys after 16 wrong tries")?;
    other?;
    let mut door = DoorI::open(rig)?;
    ensure(
        door.status(rig)?.failures == 0,
        "the counter is not zero after a success",
    )
}

fn success_resets(rig: &mut TestRig<'_>) -> Check {
    for _ in 0..LIMIT - 1 {
        wrong_try(rig)?;
    }
    DoorI::open(rig)?;
    let mut door = DoorS::open(rig, Rights::VERIFY)?;
    let status = Status::parse(&door.read(rig, Object::Status)?)?;
    ensure(
        status.failures == 0,
        format!("status says {} failures after a success", status.failures),
    )?;
    for _ in 0..3 {
        wrong_try(rig)?;
    }
    let mut door = DoorS::open(rig, Rights::VERIFY)?;
    let status = Status::parse(&door.read(rig, Object::Status)?)?;
    ensure(
        status.failures == 3,
        format!("status says {} failures instead of 3", status.failures),
    )?;
    DoorI::open(rig).map(drop)
}

/// EXTERNAL AUTHENTICATE with the right keys, not sent yet.
fn right_try(rig: &mut TestRig<'_>) -> Result<Vec<u8>, Stop> {
    let (mut channel, cryptogram, _) = DoorI::propose(rig)?;
    Ok(channel.external_authenticate(&cryptogram)?.to_vec())
}

fn key_version(rig: &mut TestRig<'_>) -> Check {
    for (p1, p2) in [(0x02, 0x00), (0x7F, 0x00), (0xFF, 0x00), (0x01, 0x01)] {
        rig.select()?;
        let host: [u8; 8] = rig.random();
        rig.command([0x80, 0x50, p1, p2], &host)?
            .is(0x6A86, &format!("INITIALIZE UPDATE with P1 P2 {p1:02X} {p2:02X}"))?;
    }
    for header in [Header::INITIALIZE_UPDATE, Header::INITIALIZE_UPDATE_NAMED] {
        rig.select()?;
        let host: [u8; 8] = rig.random();
        let what = format!("INITIALIZE UPDATE with P1 {:02X}", header.p1);
        let body = rig.command(header.to_bytes(), &host)?.ok(&what)?;
        ensure(
            body.len() == 29 && body.get(10) == Some(&0x01),
            format!("{what} does not answer 29 bytes that name version 01"),
        )?;
    }
    Ok(())
}

fn le(rig: &mut TestRig<'_>) -> Check {
    DoorI::open(rig)?;
    for le in [0x00, 0x10] {
        rig.select()?;
        let command = [&right_try(rig)?[..], &[le]].concat();
        rig.send(&command)?
            .is(0x6700, &format!("EXTERNAL AUTHENTICATE with Le {le:02X}"))?;
    }
    let mut door = DoorI::open(rig)?;
    ensure(
        door.status(rig)?.failures == 0,
        "EXTERNAL AUTHENTICATE with Le was counted as a try",
    )?;
    let begin = [0x01, 0x01].repeat(9);
    let commands = [
        ("GET STATUS", Header::GET_STATUS, &[][..]),
        ("GET PUBLIC KEY", Header::get_public_key(1), &[]),
        ("a step", Header::step(7), &begin),
    ];
    for (what, header, data) in commands {
        for wrong in [None, Some(0x01), Some(0xFF)] {
            let mut door = DoorI::open(rig)?;
            let mut command = door.channel().wrap_command(header, data)?.to_vec();
            command.pop();
            command.extend(wrong);
            rig.send(&command)?
                .is(0x6700, &format!("{what} with Le {wrong:02X?} instead of 00"))?;
        }
    }
    Ok(())
}

fn padding_alone(rig: &mut TestRig<'_>) -> Check {
    for header in [Header::GET_STATUS, Header::get_public_key(1), Header::step(1)] {
        let mut session = OwnSession::open(rig)?;
        let command = session.padding_alone(header)?;
        rig.send(&command)?
            .is(0x6982, &format!("padding alone under INS {:02X}", header.ins))?;
        rig.send(&[0x84, 0xF2, 0x00, 0x00, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 0x00])?
            .is(0x6985, "the next command after padding alone")?;
    }
    Ok(())
}

fn failures_before(rig: &mut TestRig<'_>) -> Check {
    DoorI::open(rig)?;
    for tries in [3, 1, LIMIT - 1] {
        for _ in 0..tries {
            wrong_try(rig)?;
        }
        let mut door = DoorI::open(rig)?;
        for _ in 0..2 {
            let said = door.status(rig)?.failures;
            ensure(
                said == tries,
                format!("GET STATUS says {said} wrong tries instead of {tries}"),
            )?;
        }
        let said = DoorI::open(rig)?.status(rig)?.failures;
        ensure(said == 0, format!("the session after says {said} wrong tries"))?;
    }
    Ok(())
}

fn tries_at_a_lock(rig: &mut TestRig<'_>) -> Check {
    DoorI::open(rig)?;
    for _ in 0..LIMIT {
        wrong_try(rig)?;
    }
    let found = (|| {
        for at in 0..2 * LIMIT {
            if at % 8 == 7 {
                rig.select()?;
                let command = right_try(rig)?;
                rig.send(&command)?.is(0x6982, "right keys at a locked door I")?;
            } else {
                wrong_try(rig)?;
            }
        }
        let mut door = DoorS::open(rig, Rights::VERIFY)?;
        let said = Status::parse(&door.read(rig, Object::Status)?)?.failures;
        ensure(
            said == LIMIT,
            format!("after 48 tries status says {said} failures instead of 16"),
        )
    })();
    // Whatever was found, the next case needs door I.
    rig.unlock()?;
    found?;
    DoorI::open(rig).map(drop)
}

fn terminated_door_i(rig: &mut TestRig<'_>) -> Check {
    let keys = rig.static_keys()?;
    let host: [u8; 8] = rig.random();
    let body = initialize(rig, host)?;
    ensure(body.len() == 29, "INITIALIZE UPDATE does not answer 29 bytes")?;
    rig.select()?;
    constants(rig)?;
    for keys in &keys {
        rig.select()?;
        let host: [u8; 8] = rig.random();
        let body = initialize(rig, host)?;
        let card = card_applet_spec::scp03::InitializeUpdate::parse(&body)?;
        let session = card_applet_spec::scp03::SessionKeys::derive(keys, &host, &card.card_challenge);
        ensure(
            session.card_cryptogram(&host, &card.card_challenge) != card.card_cryptogram,
            "a terminated card still proves its keys",
        )?;
        let cryptogram = session.host_cryptogram(&host, &card.card_challenge);
        let mut channel = card_applet_spec::scp03::Channel::new(session);
        let command = channel.external_authenticate(&cryptogram)?;
        rig.send(&command)?
            .is(0x6982, "EXTERNAL AUTHENTICATE of a terminated card")?;
    }
    Ok(())
}

fn terminated_elsewhere(rig: &mut TestRig<'_>) -> Check {
    rig.send(&[0x80, 0xCA, 0x00, 0x45, 0x00])?
        .is(0x6A88, "GET DATA of the serial")?;
    rig.select()?;
    present(rig, 0, &[0x7F, 0x21])?.is(0x6985, "S1 of a terminated card")?;
    let chain = Chain::make(rig, Plan::with(Rights::ALL))?;
    rig.select()?;
    present(rig, 0, &chain.intermediate)?.is(0x6985, "S1 of a terminated card with a right chain")?;
    for role in Role::ALL {
        let kv = rig.newest(*role)?;
        rig.select()?;
        let tap = Tap::send(rig, role.code(), kv)?;
        ensure(!tap.is_live(rig)?, format!("{role} still answers"))?;
    }
    Ok(())
}
