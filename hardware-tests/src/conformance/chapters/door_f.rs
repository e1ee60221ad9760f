//! Chapter 06: TAP and COMMIT.

use card_applet_spec::apdu::Header;
use card_applet_spec::codes::{CardState, Role};
use card_applet_spec::script::ScriptKind;

use crate::conformance::case::{Case, Class, WRITES, case};
use crate::conformance::check::{Check, Stop, ensure};
use crate::conformance::issuer::{CAP, DoorI, Script, change_state, rewrite_slots, slot_bytes, slot_valid};
use crate::conformance::phase::Phase;
use crate::conformance::tap::{Tap, check_commit, commit, debited, pay, purchase, purse, shows, tap};
use crate::conformance::test_rig::{Purse, TestRig, encode};

pub(super) const CASES: &[Case] = &[
    case(
        "06.01",
        "06 TAP",
        Class::Outside,
        Phase::AsLaid,
        "",
        "TAP of any role and version is answered with 256 bytes and 9000",
        always_256,
    ),
    case(
        "06.02",
        "06 TAP",
        Class::Outside,
        Phase::AsLaid,
        "",
        "rC, C and T are new each time, for the same rT too",
        fresh,
    ),
    case(
        "06.03",
        "06 COMMIT",
        Class::Outside,
        Phase::AsLaid,
        "",
        "COMMIT after a decoy is 6982; of another role or version than the TAP's, and without a TAP, it is 6985",
        commit_of_a_stranger,
    ),
    case(
        "06.04",
        "06 COMMIT",
        Class::Outside,
        Phase::AsLaid,
        "",
        "COMMIT with a wrong length is 6700, and the TAP is used up by it",
        commit_lengths,
    ),
    case(
        "06.05",
        "06 TAP",
        Class::Keys,
        Phase::Active,
        "",
        "each role with door F answers its live version: P opens under G, T holds, the record is the slot's",
        live,
    ),
    case(
        "06.06",
        "06 TAP",
        Class::Keys,
        Phase::Active,
        "",
        "TAP writes nothing: two hundred of them leave seq and the record as they were",
        writes_nothing,
    ),
    case(
        "06.07",
        "06 COMMIT",
        Class::Keys,
        Phase::Active,
        WRITES,
        "a debit answers result 00, TAC and proof; the next TAP shows seq + 1, spent, txno, TAC and SB",
        debit,
    ),
    case(
        "06.08",
        "06 COMMIT",
        Class::Keys,
        Phase::Active,
        WRITES,
        "the same body again answers result 01, the stored TAC and a fresh proof, and debits nothing",
        again,
    ),
    case(
        "06.09",
        "06 COMMIT",
        Class::Keys,
        Phase::Active,
        WRITES,
        "the same txno with another amount, time, terminal or kind is 6985",
        same_number,
    ),
    case(
        "06.10",
        "06 COMMIT",
        Class::Keys,
        Phase::Active,
        WRITES,
        "a wrong MAC, another rT, rC, seq or role and version under the MAC is 6982 and debits nothing",
        wrong_mac,
    ),
    case(
        "06.11",
        "06 COMMIT",
        Class::Keys,
        Phase::Active,
        WRITES,
        "rC serves once: a second COMMIT, and one behind another command, is 6985",
        once,
    ),
    case(
        "06.12",
        "06 COMMIT",
        Class::Keys,
        Phase::Active,
        WRITES,
        "an amount above the cap is 6985, the cap itself is taken",
        cap,
    ),
    case(
        "06.13",
        "06 COMMIT",
        Class::Keys,
        Phase::Active,
        WRITES,
        "an amount above loaded - spent is 6985, up to 2^32 - 1; the rest to the last fen is taken",
        balance,
    ),
    case(
        "06.14",
        "06 COMMIT",
        Class::Keys,
        Phase::Active,
        WRITES,
        "the same body under another version than that debit's is 6985",
        other_version,
    ),
    case(
        "06.15",
        "06 COMMIT",
        Class::Keys,
        Phase::Active,
        "",
        "COMMIT behind a TAP of a role without a purse is 6985",
        no_purse,
    ),
    case(
        "06.16",
        "06 COMMIT",
        Class::Keys,
        Phase::Active,
        WRITES,
        "a body with a byte set in its rfu is 6A80",
        rfu,
    ),
    case(
        "06.17",
        "06 COMMIT",
        Class::Keys,
        Phase::Active,
        WRITES,
        "a debit of zero is a debit; seq and last follow",
        zero,
    ),
    case(
        "06.18",
        "06 COMMIT",
        Class::Keys,
        Phase::Blocked,
        WRITES,
        "a blocked card debits nothing, and the purse is the same after the unblock",
        blocked,
    ),
    case(
        "06.19",
        "06 What a terminal does",
        Class::Keys,
        Phase::Active,
        WRITES,
        "validity is the terminal's affair: a slot whose record has ended, or has not begun, is answered like any other",
        ended_record,
    ),
];

fn always_256(rig: &mut TestRig<'_>) -> Check {
    for role in [0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x7F, 0xFF] {
        for version in [0x00, 0x01, 0x02, 0x7F, 0xFF] {
            Tap::send(rig, role, version)?;
        }
    }
    Ok(())
}

fn fresh(rig: &mut TestRig<'_>) -> Check {
    let rt = [0x22; 16];
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..rig.samples().clamp(16, 64) {
        if round % 8 == 0 {
            rig.select()?;
        }
        let body = rig.command([0x80, 0x10, 0x01, 0x01], &rt)?.ok("TAP")?;
        ensure(body.len() == 256, "TAP does not answer 256 bytes")?;
        for (what, part) in [
            ("rC", &body[..16]),
            ("the first block of C", &body[16..32]),
            ("T", &body[240..]),
        ] {
            ensure(seen.insert(part.to_vec()), format!("{what} comes again"))?;
        }
        // Neither the last block may be constant: a decoy is not recognised by it.
        ensure(
            seen.insert(body[224..240].to_vec()),
            "the last block of C comes again",
        )?;
    }
    Ok(())
}

/// COMMIT with a MAC of nobody.
fn stranger_commit(
    rig: &mut TestRig<'_>,
    role: u8,
    version: u8,
) -> Result<crate::conformance::test_rig::Answer, Stop> {
    let mut data = vec![0; 44];
    data[3] = 1;
    let mac: [u8; 16] = rig.random();
    data[28..].copy_from_slice(&mac);
    rig.send(&encode([0x80, 0x12, role, version], &data, Some(0x19)))
}

fn commit_of_a_stranger(rig: &mut TestRig<'_>) -> Check {
    Tap::send(rig, 0x03, 0xFE)?;
    stranger_commit(rig, 0x03, 0xFE)?.is(0x6982, "COMMIT after a decoy")?;
    for (role, version) in [(0x03, 0xFD), (0x01, 0xFE)] {
        rig.select()?;
        Tap::send(rig, 0x03, 0xFE)?;
        stranger_commit(rig, role, version)?
            .is(0x6985, "COMMIT of another role or version than the TAP's")?;
    }
    rig.select()?;
    Tap::send(rig, 0x01, 0xFE)?;
    stranger_commit(rig, 0x01, 0xFE)?.is(0x6985, "COMMIT of a role without a purse")?;
    rig.select()?;
    stranger_commit(rig, 0x03, 0xFE)?.is(0x6985, "COMMIT without a TAP")
}

fn commit_lengths(rig: &mut TestRig<'_>) -> Check {
    for length in [0, 16, 43, 45] {
        rig.select()?;
        Tap::send(rig, 0x03, 0xFE)?;
        rig.send(&encode([0x80, 0x12, 0x03, 0xFE], &vec![0; length], Some(0x19)))?
            .is(0x6700, &format!("COMMIT with {length} bytes"))?;
        stranger_commit(rig, 0x03, 0xFE)?.is(0x6985, "COMMIT after one that was refused")?;
    }
    Ok(())
}

fn live(rig: &mut TestRig<'_>) -> Check {
    for role in [Role::Transit, Role::SmallPayment, Role::Door] {
        for _ in 0..3 {
            rig.select()?;
            tap(rig, role)?;
        }
        // A second TAP in the same session too.
        tap(rig, role)?;
    }
    Ok(())
}

fn writes_nothing(rig: &mut TestRig<'_>) -> Check {
    let before = purse(rig)?;
    for _ in 0..200 {
        let (_, plain) = tap(rig, Role::SmallPayment)?;
        shows(&plain, &before)?;
    }
    Ok(())
}

/// The purse as the card shows it must be this one.
fn is_still(rig: &mut TestRig<'_>, expected: &Purse) -> Check {
    rig.select()?;
    let (_, plain) = tap(rig, Role::SmallPayment)?;
    shows(&plain, expected)
}

fn debit(rig: &mut TestRig<'_>) -> Check {
    for amount in [1, 250, 33] {
        rig.select()?;
        pay(rig, amount)?;
        let after = purse(rig)?;
        is_still(rig, &after)?;
    }
    Ok(())
}

fn again(rig: &mut TestRig<'_>) -> Check {
    let body = pay(rig, 100)?;
    let after = purse(rig)?;
    let mut proofs = Vec::new();
    for _ in 0..3 {
        rig.select()?;
        let (tapped, plain) = tap(rig, Role::SmallPayment)?;
        shows(&plain, &after)?;
        let answer = commit(rig, &tapped, &body, after.seq)?.ok("the same COMMIT again")?;
        check_commit(rig, &tapped, &body, &answer, 0x01, &after)?;
        let proof = answer[9..].to_vec();
        ensure(!proofs.contains(&proof), "the proof is not fresh")?;
        proofs.push(proof);
    }
    is_still(rig, &after)
}

fn same_number(rig: &mut TestRig<'_>) -> Check {
    let body = pay(rig, 100)?;
    let after = purse(rig)?;
    let mut others = [body; 4];
    others[0].amount += 1;
    others[1].time ^= 1;
    others[2].tid ^= 1;
    others[3].kind ^= 1;
    for other in others {
        rig.select()?;
        let (tapped, _) = tap(rig, Role::SmallPayment)?;
        commit(rig, &tapped, &other, after.seq)?.is(0x6985, "the same txno with another body")?;
        is_still(rig, &after)?;
    }
    Ok(())
}

fn wrong_mac(rig: &mut TestRig<'_>) -> Check {
    let before = purse(rig)?;
    let body = purchase(rig, 10);
    let (tapped, _) = tap(rig, Role::SmallPayment)?;
    let stale = tapped.clone();
    let mac_for = |rig: &TestRig<'_>, tapped: &Tap, role: u8, version: u8, seq: u32| {
        let slot = rig.slot(Role::SmallPayment, tapped.version)?;
        Ok::<_, Stop>(body.mac(
            &slot.m,
            role,
            version,
            &tapped.rt,
            &tapped.answer.card_challenge,
            seq,
        )?)
    };
    let (role, version) = (tapped.role, tapped.version);
    let mut flipped = mac_for(rig, &tapped, role, version, before.seq)?;
    flipped[15] ^= 0x01;
    for what in [
        "a changed MAC",
        "an earlier rC",
        "an earlier rT",
        "seq + 1",
        "seq - 1",
        "another role",
        "another version",
    ] {
        rig.select()?;
        let (tapped, _) = tap(rig, Role::SmallPayment)?;
        let mut mixed = tapped.clone();
        let mac = match what {
            "a changed MAC" => flipped,
            "an earlier rC" => {
                mixed.answer.card_challenge = stale.answer.card_challenge;
                mac_for(rig, &mixed, role, version, before.seq)?
            }
            "an earlier rT" => {
                mixed.rt = stale.rt;
                mac_for(rig, &mixed, role, version, before.seq)?
            }
            "seq + 1" => mac_for(rig, &tapped, role, version, before.seq + 1)?,
            "seq - 1" => mac_for(rig, &tapped, role, version, before.seq.wrapping_sub(1))?,
            "another role" => mac_for(rig, &tapped, 0x01, version, before.seq)?,
            _ => mac_for(rig, &tapped, role, version ^ 0x40, before.seq)?,
        };
        let data = [&body.encode()?[..], &mac].concat();
        rig.send(&encode(
            Header::commit(role, version).to_bytes(),
            &data,
            Some(0x19),
        ))?
        .is(0x6982, &format!("COMMIT with {what} under the MAC"))?;
    }
    is_still(rig, &before)
}

fn once(rig: &mut TestRig<'_>) -> Check {
    let (tapped, _) = tap(rig, Role::SmallPayment)?;
    let before = purse(rig)?;
    let body = purchase(rig, 5);
    let answer = commit(rig, &tapped, &body, before.seq)?.ok("COMMIT")?;
    let after = debited(rig, &tapped, &body, &before)?;
    check_commit(rig, &tapped, &body, &answer, 0x00, &after)?;
    rig.fixture.purse = Some(after);
    commit(rig, &tapped, &body, after.seq)?.is(0x6985, "a second COMMIT behind one TAP")?;
    rig.select()?;
    let (tapped, _) = tap(rig, Role::SmallPayment)?;
    let body = purchase(rig, 5);
    rig.send(&[0x80, 0xCA, 0x00, 0x45, 0x00])?
        .is(0x6A88, "GET DATA between TAP and COMMIT")?;
    commit(rig, &tapped, &body, after.seq)?.is(0x6985, "COMMIT behind another command")?;
    rig.select()?;
    let (tapped, _) = tap(rig, Role::SmallPayment)?;
    rig.select_again()?;
    commit(rig, &tapped, &body, after.seq)?.is(0x6985, "COMMIT behind a SELECT")?;
    is_still(rig, &after)
}

/// Puts money on the purse, so that the next cases do not run dry.
pub(super) fn fill(rig: &mut TestRig<'_>, balance: u32) -> Check {
    let now = purse(rig)?;
    let kv = rig.newest(Role::SmallPayment)?;
    rewrite_slots(rig, &[(Role::SmallPayment, kv + 1, 1)], now.spent + balance)?;
    rig.select().map(drop)
}

fn cap(rig: &mut TestRig<'_>) -> Check {
    fill(rig, 4 * CAP)?;
    let before = purse(rig)?;
    for amount in [CAP + 1, 2 * CAP] {
        rig.select()?;
        let (tapped, _) = tap(rig, Role::SmallPayment)?;
        let body = purchase(rig, amount);
        commit(rig, &tapped, &body, before.seq)?
            .is(0x6985, &format!("an amount of {amount} with a cap of {CAP}"))?;
    }
    is_still(rig, &before)?;
    rig.select()?;
    pay(rig, CAP).map(drop)
}

fn balance(rig: &mut TestRig<'_>) -> Check {
    // Down to less than the cap, so that it is the balance that refuses.
    fill(rig, CAP)?;
    loop {
        let now = purse(rig)?;
        let above = (now.loaded - now.spent).saturating_sub(CAP / 2);
        if above == 0 {
            break;
        }
        rig.select()?;
        pay(rig, above.min(CAP))?;
    }
    let before = purse(rig)?;
    let rest = before.loaded - before.spent;
    for amount in [rest + 1, CAP, u32::MAX, u32::MAX - rest, 1 << 31] {
        rig.select()?;
        let (tapped, _) = tap(rig, Role::SmallPayment)?;
        let body = purchase(rig, amount);
        commit(rig, &tapped, &body, before.seq)?
            .is(0x6985, &format!("an amount of {amount} with a balance of {rest}"))?;
    }
    is_still(rig, &before)?;
    rig.select()?;
    pay(rig, rest)?;
    rig.select()?;
    let empty = purse(rig)?;
    let (tapped, _) = tap(rig, Role::SmallPayment)?;
    let body = purchase(rig, 1);
    commit(rig, &tapped, &body, empty.seq)?.is(0x6985, "one fen from an empty purse")?;
    is_still(rig, &empty)
}

fn other_version(rig: &mut TestRig<'_>) -> Check {
    fill(rig, CAP)?;
    let kv = rig.newest(Role::SmallPayment)?;
    let body = pay(rig, 10)?;
    let after = purse(rig)?;
    rig.select()?;
    let tapped = Tap::send(rig, Role::SmallPayment.code(), kv - 1)?;
    shows(&tapped.open(rig)?, &after)?;
    commit(rig, &tapped, &body, after.seq)?.is(0x6985, "the same body under the other version")?;
    is_still(rig, &after)
}

fn no_purse(rig: &mut TestRig<'_>) -> Check {
    for role in [Role::Transit, Role::Door] {
        rig.select()?;
        let (tapped, _) = tap(rig, role)?;
        let body = purchase(rig, 1);
        let slot = rig.slot(role, tapped.version)?;
        let mac = body.mac(
            &slot.m,
            tapped.role,
            tapped.version,
            &tapped.rt,
            &tapped.answer.card_challenge,
            0,
        )?;
        let data = [&body.encode()?[..], &mac].concat();
        rig.send(&encode(
            Header::commit(tapped.role, tapped.version).to_bytes(),
            &data,
            Some(0x19),
        ))?
        .is(0x6985, &format!("COMMIT of {role}"))?;
    }
    Ok(())
}

fn rfu(rig: &mut TestRig<'_>) -> Check {
    fill(rig, CAP)?;
    let before = purse(rig)?;
    let body = purchase(rig, 1).encode()?;
    for at in [21, 27] {
        rig.select()?;
        let (tapped, _) = tap(rig, Role::SmallPayment)?;
        let mut body = body;
        body[at] = 1;
        let slot = rig.slot(Role::SmallPayment, tapped.version)?;
        let mac = slot.m.cmac(&[
            &[0x02, tapped.role, tapped.version],
            &tapped.rt,
            &tapped.answer.card_challenge,
            &before.seq.to_be_bytes(),
            &body,
        ]);
        let data = [&body[..], &mac].concat();
        rig.send(&encode(
            Header::commit(tapped.role, tapped.version).to_bytes(),
            &data,
            Some(0x19),
        ))?
        .is(0x6A80, "COMMIT with a byte set in its rfu")?;
    }
    is_still(rig, &before)
}

fn ended_record(rig: &mut TestRig<'_>) -> Check {
    let publics = rig.publics()?;
    let role = Role::Door;
    for days in [[-30, -1], [30, 60]] {
        let mut door = DoorI::open(rig)?;
        let mut script = Script::begin(rig, &mut door, ScriptKind::Rewrite)?;
        let kv = rig.newest(role)? + 1;
        let slot = slot_valid(rig, role, kv, &publics, CAP, days)?;
        script.next(rig, &mut door, &slot_bytes(&slot, 1, 0)?)?;
        script.finalise(rig, &mut door)?;
        rig.fixture
            .slots
            .retain(|old| old.role != role || old.kv.checked_add(1) == Some(kv));
        rig.fixture.slots.push(slot);
        rig.select()?;
        tap(rig, role)?;
    }
    Ok(())
}

fn zero(rig: &mut TestRig<'_>) -> Check {
    let before = purse(rig)?;
    pay(rig, 0)?;
    let after = purse(rig)?;
    ensure(
        (after.seq, after.spent) == (before.seq + 1, before.spent),
        "the suite's purse did not follow: a fault of the suite",
    )?;
    is_still(rig, &after)
}

fn blocked(rig: &mut TestRig<'_>) -> Check {
    let before = purse(rig)?;
    let kv = rig.newest(Role::SmallPayment)?;
    let tapped = Tap::send(rig, Role::SmallPayment.code(), kv)?;
    let body = purchase(rig, 1);
    commit(rig, &tapped, &body, before.seq)?.is(0x6982, "COMMIT of a blocked card")?;
    let back = change_state(rig, ScriptKind::Unblock)?;
    ensure(
        back == CardState::Active,
        format!("the card is {back} after the unblock"),
    )?;
    is_still(rig, &before)?;
    change_state(rig, ScriptKind::Block).map(drop)
}
