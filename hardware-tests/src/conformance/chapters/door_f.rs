//! Chapter 06: TAP and COMMIT.

use card_applet_spec::apdu::Header;
use card_applet_spec::codes::{CardState, Role};
use card_applet_spec::script::ScriptKind;

use super::super::bench::{Bench, Purse, encode, ensure};
use super::super::office::{CAP, DoorI, Script, change_state, rewrite_slots, slot_bytes, slot_valid};
use super::super::tap::{Tap, check_commit, commit, debited, pay, purchase, purse, shows, tap};
use super::super::{Case, Check, Class, Phase, Stop};
use super::{WRITES, case};

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

fn always_256(bench: &mut Bench<'_>) -> Check {
    for role in [0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x7F, 0xFF] {
        for version in [0x00, 0x01, 0x02, 0x7F, 0xFF] {
            Tap::send(bench, role, version)?;
        }
    }
    Ok(())
}

fn fresh(bench: &mut Bench<'_>) -> Check {
    let rt = [0x22; 16];
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..bench.samples().clamp(16, 64) {
        if round % 8 == 0 {
            bench.select()?;
        }
        let body = bench.command([0x80, 0x10, 0x01, 0x01], &rt)?.ok("TAP")?;
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
    bench: &mut Bench<'_>,
    role: u8,
    version: u8,
) -> Result<super::super::bench::Answer, Stop> {
    let mut data = vec![0; 44];
    data[3] = 1;
    let mac: [u8; 16] = bench.random();
    data[28..].copy_from_slice(&mac);
    bench.send(&encode([0x80, 0x12, role, version], &data, Some(0x19)))
}

fn commit_of_a_stranger(bench: &mut Bench<'_>) -> Check {
    Tap::send(bench, 0x03, 0xFE)?;
    stranger_commit(bench, 0x03, 0xFE)?.is(0x6982, "COMMIT after a decoy")?;
    for (role, version) in [(0x03, 0xFD), (0x01, 0xFE)] {
        bench.select()?;
        Tap::send(bench, 0x03, 0xFE)?;
        stranger_commit(bench, role, version)?
            .is(0x6985, "COMMIT of another role or version than the TAP's")?;
    }
    bench.select()?;
    Tap::send(bench, 0x01, 0xFE)?;
    stranger_commit(bench, 0x01, 0xFE)?.is(0x6985, "COMMIT of a role without a purse")?;
    bench.select()?;
    stranger_commit(bench, 0x03, 0xFE)?.is(0x6985, "COMMIT without a TAP")
}

fn commit_lengths(bench: &mut Bench<'_>) -> Check {
    for length in [0, 16, 43, 45] {
        bench.select()?;
        Tap::send(bench, 0x03, 0xFE)?;
        bench
            .send(&encode([0x80, 0x12, 0x03, 0xFE], &vec![0; length], Some(0x19)))?
            .is(0x6700, &format!("COMMIT with {length} bytes"))?;
        stranger_commit(bench, 0x03, 0xFE)?.is(0x6985, "COMMIT after one that was refused")?;
    }
    Ok(())
}

fn live(bench: &mut Bench<'_>) -> Check {
    for role in [Role::Transit, Role::SmallPayment, Role::Door] {
        for _ in 0..3 {
            bench.select()?;
            tap(bench, role)?;
        }
        // A second TAP in the same session too.
        tap(bench, role)?;
    }
    Ok(())
}

fn writes_nothing(bench: &mut Bench<'_>) -> Check {
    let before = purse(bench)?;
    for _ in 0..200 {
        let (_, plain) = tap(bench, Role::SmallPayment)?;
        shows(&plain, &before)?;
    }
    Ok(())
}

/// The purse as the card shows it must be this one.
fn is_still(bench: &mut Bench<'_>, expected: &Purse) -> Check {
    bench.select()?;
    let (_, plain) = tap(bench, Role::SmallPayment)?;
    shows(&plain, expected)
}

fn debit(bench: &mut Bench<'_>) -> Check {
    for amount in [1, 250, 33] {
        bench.select()?;
        pay(bench, amount)?;
        let after = purse(bench)?;
        is_still(bench, &after)?;
    }
    Ok(())
}

fn again(bench: &mut Bench<'_>) -> Check {
    let body = pay(bench, 100)?;
    let after = purse(bench)?;
    let mut proofs = Vec::new();
    for _ in 0..3 {
        bench.select()?;
        let (tapped, plain) = tap(bench, Role::SmallPayment)?;
        shows(&plain, &after)?;
        let answer = commit(bench, &tapped, &body, after.seq)?.ok("the same COMMIT again")?;
        check_commit(bench, &tapped, &body, &answer, 0x01, &after)?;
        let proof = answer[9..].to_vec();
        ensure(!proofs.contains(&proof), "the proof is not fresh")?;
        proofs.push(proof);
    }
    is_still(bench, &after)
}

fn same_number(bench: &mut Bench<'_>) -> Check {
    let body = pay(bench, 100)?;
    let after = purse(bench)?;
    let mut others = [body; 4];
    others[0].amount += 1;
    others[1].time ^= 1;
    others[2].tid ^= 1;
    others[3].kind ^= 1;
    for other in others {
        bench.select()?;
        let (tapped, _) = tap(bench, Role::SmallPayment)?;
        commit(bench, &tapped, &other, after.seq)?.is(0x6985, "the same txno with another body")?;
        is_still(bench, &after)?;
    }
    Ok(())
}

fn wrong_mac(bench: &mut Bench<'_>) -> Check {
    let before = purse(bench)?;
    let body = purchase(bench, 10);
    let (tapped, _) = tap(bench, Role::SmallPayment)?;
    let stale = tapped.clone();
    let mac_for = |bench: &Bench<'_>, tapped: &Tap, role: u8, version: u8, seq: u32| {
        let slot = bench.slot(Role::SmallPayment, tapped.version)?;
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
    let mut flipped = mac_for(bench, &tapped, role, version, before.seq)?;
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
        bench.select()?;
        let (tapped, _) = tap(bench, Role::SmallPayment)?;
        let mut mixed = tapped.clone();
        let mac = match what {
            "a changed MAC" => flipped,
            "an earlier rC" => {
                mixed.answer.card_challenge = stale.answer.card_challenge;
                mac_for(bench, &mixed, role, version, before.seq)?
            }
            "an earlier rT" => {
                mixed.rt = stale.rt;
                mac_for(bench, &mixed, role, version, before.seq)?
            }
            "seq + 1" => mac_for(bench, &tapped, role, version, before.seq + 1)?,
            "seq - 1" => mac_for(bench, &tapped, role, version, before.seq.wrapping_sub(1))?,
            "another role" => mac_for(bench, &tapped, 0x01, version, before.seq)?,
            _ => mac_for(bench, &tapped, role, version ^ 0x40, before.seq)?,
        };
        let data = [&body.encode()?[..], &mac].concat();
        bench
            .send(&encode(
                Header::commit(role, version).to_bytes(),
                &data,
                Some(0x19),
            ))?
            .is(0x6982, &format!("COMMIT with {what} under the MAC"))?;
    }
    is_still(bench, &before)
}

fn once(bench: &mut Bench<'_>) -> Check {
    let (tapped, _) = tap(bench, Role::SmallPayment)?;
    let before = purse(bench)?;
    let body = purchase(bench, 5);
    let answer = commit(bench, &tapped, &body, before.seq)?.ok("COMMIT")?;
    let after = debited(bench, &tapped, &body, &before)?;
    check_commit(bench, &tapped, &body, &answer, 0x00, &after)?;
    bench.world.purse = Some(after);
    commit(bench, &tapped, &body, after.seq)?.is(0x6985, "a second COMMIT behind one TAP")?;
    bench.select()?;
    let (tapped, _) = tap(bench, Role::SmallPayment)?;
    let body = purchase(bench, 5);
    bench
        .send(&[0x80, 0xCA, 0x00, 0x45, 0x00])?
        .is(0x6A88, "GET DATA between TAP and COMMIT")?;
    commit(bench, &tapped, &body, after.seq)?.is(0x6985, "COMMIT behind another command")?;
    bench.select()?;
    let (tapped, _) = tap(bench, Role::SmallPayment)?;
    bench.select_again()?;
    commit(bench, &tapped, &body, after.seq)?.is(0x6985, "COMMIT behind a SELECT")?;
    is_still(bench, &after)
}

/// Puts money on the purse, so that the next cases do not run dry.
pub(super) fn fill(bench: &mut Bench<'_>, balance: u32) -> Check {
    let now = purse(bench)?;
    let kv = bench.newest(Role::SmallPayment)?;
    rewrite_slots(bench, &[(Role::SmallPayment, kv + 1, 1)], now.spent + balance)?;
    bench.select().map(drop)
}

fn cap(bench: &mut Bench<'_>) -> Check {
    fill(bench, 4 * CAP)?;
    let before = purse(bench)?;
    for amount in [CAP + 1, 2 * CAP] {
        bench.select()?;
        let (tapped, _) = tap(bench, Role::SmallPayment)?;
        let body = purchase(bench, amount);
        commit(bench, &tapped, &body, before.seq)?
            .is(0x6985, &format!("an amount of {amount} with a cap of {CAP}"))?;
    }
    is_still(bench, &before)?;
    bench.select()?;
    pay(bench, CAP).map(drop)
}

fn balance(bench: &mut Bench<'_>) -> Check {
    // Down to less than the cap, so that it is the balance that refuses.
    fill(bench, CAP)?;
    loop {
        let now = purse(bench)?;
        let above = (now.loaded - now.spent).saturating_sub(CAP / 2);
        if above == 0 {
            break;
        }
        bench.select()?;
        pay(bench, above.min(CAP))?;
    }
    let before = purse(bench)?;
    let rest = before.loaded - before.spent;
    for amount in [rest + 1, CAP, u32::MAX, u32::MAX - rest, 1 << 31] {
        bench.select()?;
        let (tapped, _) = tap(bench, Role::SmallPayment)?;
        let body = purchase(bench, amount);
        commit(bench, &tapped, &body, before.seq)?
            .is(0x6985, &format!("an amount of {amount} with a balance of {rest}"))?;
    }
    is_still(bench, &before)?;
    bench.select()?;
    pay(bench, rest)?;
    bench.select()?;
    let empty = purse(bench)?;
    let (tapped, _) = tap(bench, Role::SmallPayment)?;
    let body = purchase(bench, 1);
    commit(bench, &tapped, &body, empty.seq)?.is(0x6985, "one fen from an empty purse")?;
    is_still(bench, &empty)
}

fn other_version(bench: &mut Bench<'_>) -> Check {
    fill(bench, CAP)?;
    let kv = bench.newest(Role::SmallPayment)?;
    let body = pay(bench, 10)?;
    let after = purse(bench)?;
    bench.select()?;
    let tapped = Tap::send(bench, Role::SmallPayment.code(), kv - 1)?;
    shows(&tapped.open(bench)?, &after)?;
    commit(bench, &tapped, &body, after.seq)?.is(0x6985, "the same body under the other version")?;
    is_still(bench, &after)
}

fn no_purse(bench: &mut Bench<'_>) -> Check {
    for role in [Role::Transit, Role::Door] {
        bench.select()?;
        let (tapped, _) = tap(bench, role)?;
        let body = purchase(bench, 1);
        let slot = bench.slot(role, tapped.version)?;
        let mac = body.mac(
            &slot.m,
            tapped.role,
            tapped.version,
            &tapped.rt,
            &tapped.answer.card_challenge,
            0,
        )?;
        let data = [&body.encode()?[..], &mac].concat();
        bench
            .send(&encode(
                Header::commit(tapped.role, tapped.version).to_bytes(),
                &data,
                Some(0x19),
            ))?
            .is(0x6985, &format!("COMMIT of {role}"))?;
    }
    Ok(())
}

fn rfu(bench: &mut Bench<'_>) -> Check {
    fill(bench, CAP)?;
    let before = purse(bench)?;
    let body = purchase(bench, 1).encode()?;
    for at in [21, 27] {
        bench.select()?;
        let (tapped, _) = tap(bench, Role::SmallPayment)?;
        let mut body = body;
        body[at] = 1;
        let slot = bench.slot(Role::SmallPayment, tapped.version)?;
        let mac = slot.m.cmac(&[
            &[0x02, tapped.role, tapped.version],
            &tapped.rt,
            &tapped.answer.card_challenge,
            &before.seq.to_be_bytes(),
            &body,
        ]);
        let data = [&body[..], &mac].concat();
        bench
            .send(&encode(
                Header::commit(tapped.role, tapped.version).to_bytes(),
                &data,
                Some(0x19),
            ))?
            .is(0x6A80, "COMMIT with a byte set in its rfu")?;
    }
    is_still(bench, &before)
}

fn ended_record(bench: &mut Bench<'_>) -> Check {
    let publics = bench.publics()?;
    let role = Role::Door;
    for days in [[-30, -1], [30, 60]] {
        let mut door = DoorI::open(bench)?;
        let mut script = Script::begin(bench, &mut door, ScriptKind::Rewrite)?;
        let kv = bench.newest(role)? + 1;
        let slot = slot_valid(bench, role, kv, &publics, CAP, days)?;
        script.next(bench, &mut door, &slot_bytes(&slot, 1, 0)?)?;
        script.finalise(bench, &mut door)?;
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

fn zero(bench: &mut Bench<'_>) -> Check {
    let before = purse(bench)?;
    pay(bench, 0)?;
    let after = purse(bench)?;
    ensure(
        (after.seq, after.spent) == (before.seq + 1, before.spent),
        "the suite's purse did not follow: a fault of the suite",
    )?;
    is_still(bench, &after)
}

fn blocked(bench: &mut Bench<'_>) -> Check {
    let before = purse(bench)?;
    let kv = bench.newest(Role::SmallPayment)?;
    let tapped = Tap::send(bench, Role::SmallPayment.code(), kv)?;
    let body = purchase(bench, 1);
    commit(bench, &tapped, &body, before.seq)?.is(0x6982, "COMMIT of a blocked card")?;
    let back = change_state(bench, ScriptKind::Unblock)?;
    ensure(
        back == CardState::Active,
        format!("the card is {back} after the unblock"),
    )?;
    is_still(bench, &before)?;
    change_state(bench, ScriptKind::Block).map(drop)
}
