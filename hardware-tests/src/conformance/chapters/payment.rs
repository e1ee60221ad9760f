//! Chapter 11 as far as the card can be seen to keep it: the retry rule.

use card_applet_spec::codes::Role;

use super::super::bench::{Bench, ensure};
use super::super::tap::{check_commit, commit, debited, purchase, purse, shows, tap};
use super::super::{Case, Check, Class, Phase};
use super::{WRITES, case};

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

fn lost_answer(bench: &mut Bench<'_>) -> Check {
    let (tapped, _) = tap(bench, Role::SmallPayment)?;
    let before = purse(bench)?;
    let body = purchase(bench, 0);
    commit(bench, &tapped, &body, before.seq)?.ok("COMMIT")?;
    let after = debited(bench, &tapped, &body, &before)?;
    bench.world.purse = Some(after);
    // Nobody has read that answer.
    bench.select()?;
    let (tapped, plain) = tap(bench, Role::SmallPayment)?;
    ensure(
        plain.seq == before.seq + 1 && plain.last_txno == body.txno,
        "the TAP does not show that our debit came last",
    )?;
    let answer = commit(bench, &tapped, &body, after.seq)?.ok("the same COMMIT")?;
    check_commit(bench, &tapped, &body, &answer, 0x01, &after)
}

fn lost_command(bench: &mut Bench<'_>) -> Check {
    let (_, plain) = tap(bench, Role::SmallPayment)?;
    let before = purse(bench)?;
    shows(&plain, &before)?;
    let body = purchase(bench, 0);
    bench.select()?;
    let (tapped, plain) = tap(bench, Role::SmallPayment)?;
    shows(&plain, &before)?;
    let answer = commit(bench, &tapped, &body, before.seq)?.ok("COMMIT")?;
    let after = debited(bench, &tapped, &body, &before)?;
    bench.world.purse = Some(after);
    check_commit(bench, &tapped, &body, &answer, 0x00, &after)
}

fn another_debit(bench: &mut Bench<'_>) -> Check {
    let mut bodies = Vec::new();
    for _ in 0..2 {
        bench.select()?;
        bodies.push(super::super::tap::pay(bench, 0)?);
    }
    bench.select()?;
    let (tapped, _) = tap(bench, Role::SmallPayment)?;
    let before = purse(bench)?;
    let answer = commit(bench, &tapped, &bodies[0], before.seq)?.ok("COMMIT of an earlier body")?;
    let after = debited(bench, &tapped, &bodies[0], &before)?;
    bench.world.purse = Some(after);
    check_commit(bench, &tapped, &bodies[0], &answer, 0x00, &after)
}
