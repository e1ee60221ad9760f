//! Chapter 11 as far as the card can be seen to keep it: the retry rule.

use card_applet_spec::codes::Role;

use crate::conformance::case::{Case, Class, WRITES, case};
use crate::conformance::check::{Check, ensure};
use crate::conformance::phase::Phase;
use crate::conformance::tap::{check_commit, commit, debited, purchase, purse, shows, tap};
use crate::conformance::test_rig::TestRig;

pub(super) const CASES: &[Case] = &[
    case(
        "11.01",
        "11 What a payment terminal does",
        Class::Keys,
        Phase::Active,
        WRITES,
        "after a lost answer the next TAP shows seq + 1 and our txno, and the same body brings the proof",
        lost_answer,
    ),
    case(
        "11.02",
        "11 What a payment terminal does",
        Class::Keys,
        Phase::Active,
        WRITES,
        "after a lost command the next TAP shows seq as before, and the same body is debited once",
        lost_command,
    ),
    case(
        "11.03",
        "11 What a payment terminal does",
        Class::Keys,
        Phase::Active,
        WRITES,
        "once another debit came the body of an earlier one is a new debit: that is why a terminal never sends it",
        another_debit,
    ),
];

fn lost_answer(rig: &mut TestRig<'_>) -> Check {
    let (tapped, _) = tap(rig, Role::SmallPayment)?;
    let before = purse(rig)?;
    let body = purchase(rig, 0);
    commit(rig, &tapped, &body, before.seq)?.ok("COMMIT")?;
    let after = debited(rig, &tapped, &body, &before)?;
    rig.fixture.purse = Some(after);
    // Nobody has read that answer.
    rig.select()?;
    let (tapped, plain) = tap(rig, Role::SmallPayment)?;
    ensure(
        plain.seq == before.seq + 1 && plain.last_txno == body.txno,
        "the TAP does not show that our debit came last",
    )?;
    let answer = commit(rig, &tapped, &body, after.seq)?.ok("the same COMMIT")?;
    check_commit(rig, &tapped, &body, &answer, 0x01, &after)
}

fn lost_command(rig: &mut TestRig<'_>) -> Check {
    let (_, plain) = tap(rig, Role::SmallPayment)?;
    let before = purse(rig)?;
    shows(&plain, &before)?;
    let body = purchase(rig, 0);
    rig.select()?;
    let (tapped, plain) = tap(rig, Role::SmallPayment)?;
    shows(&plain, &before)?;
    let answer = commit(rig, &tapped, &body, before.seq)?.ok("COMMIT")?;
    let after = debited(rig, &tapped, &body, &before)?;
    rig.fixture.purse = Some(after);
    check_commit(rig, &tapped, &body, &answer, 0x00, &after)
}

fn another_debit(rig: &mut TestRig<'_>) -> Check {
    let mut bodies = Vec::new();
    for _ in 0..2 {
        rig.select()?;
        bodies.push(crate::conformance::tap::pay(rig, 0)?);
    }
    rig.select()?;
    let (tapped, _) = tap(rig, Role::SmallPayment)?;
    let before = purse(rig)?;
    let answer = commit(rig, &tapped, &bodies[0], before.seq)?.ok("COMMIT of an earlier body")?;
    let after = debited(rig, &tapped, &bodies[0], &before)?;
    rig.fixture.purse = Some(after);
    check_commit(rig, &tapped, &bodies[0], &answer, 0x00, &after)
}
