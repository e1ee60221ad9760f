//! The one purse of a card (chapters 03, 05, 06): scripts, rotation, debits, and a cut at every byte of all of them.
use card_applet_spec::apdu::StatusWord;
use card_applet_spec::codes::Role;
use card_applet_spec::door_f::{CommitBody, TapPlain};
use card_applet_spec::kdf;
use card_host::{
    Card, Host, KV, at_every_byte, begin, finalise, pay, payment_purse, payment_slot, purse_seen, rewrite,
    run_steps,
};

const NEXT: u8 = KV + 1;
const SCRIPT: [u8; 16] = [0x31; 16];
const NEW_PID: [u8; 16] = [0x99; 16];

/// (seq, loaded, spent) as a shop sees them.
fn figures(plain: &TapPlain) -> (u32, u32, u32) {
    (plain.seq, plain.loaded, plain.spent)
}

fn seen(host: &mut Host, card: &mut Card, kv: u8) -> (u32, u32, u32) {
    figures(&purse_seen(host, card, kv).2)
}

/// A new key version, as a rotation brings it: SLOT and PURSE.
fn rotation(host: &Host, loaded: u32) -> Vec<Vec<u8>> {
    rewrite(
        SCRIPT,
        vec![
            payment_slot(host, NEXT, NEW_PID, loaded),
            payment_purse(host, NEXT, NEW_PID, 77_000_000),
        ],
    )
}

/// An active card that has paid twice: 9000 and 8000 of 20 000.
fn used_card(host: &mut Host) -> Card {
    let mut card = host.active_card();
    pay(host, &mut card, KV, 9_000, 1).unwrap();
    pay(host, &mut card, KV, 8_000, 2).unwrap();
    card
}

#[test]
fn a_load_adds_what_was_loaded_and_gives_back_nothing_that_was_spent() {
    let mut host = Host::new(60);
    let mut card = used_card(&mut host);
    assert_eq!(seen(&mut host, &mut card, KV), (1002, 20_000, 17_000));
    let pid = host.pid(Role::SmallPayment);
    let steps = rewrite(
        SCRIPT,
        vec![
            payment_slot(&host, KV, pid, 21_000),
            payment_purse(&host, KV, pid, 5),
        ],
    );
    run_steps(&mut host, &mut card, &steps, 0).unwrap();
    assert_eq!(
        seen(&mut host, &mut card, KV),
        (1002, 21_000, 17_000),
        "the counter goes on, or a mask would be used twice"
    );
    assert_eq!(
        pay(&mut host, &mut card, KV, 4_001, 3),
        Err(StatusWord::CONDITIONS)
    );
    assert_eq!(pay(&mut host, &mut card, KV, 4_000, 3).unwrap().0, 0);
    // An older snapshot takes nothing back.
    let steps = rewrite(
        [0x32; 16],
        vec![
            payment_slot(&host, KV, pid, 500),
            payment_purse(&host, KV, pid, 5),
        ],
    );
    run_steps(&mut host, &mut card, &steps, 0).unwrap();
    assert_eq!(seen(&mut host, &mut card, KV), (1003, 21_000, 21_000));
}

#[test]
fn two_live_key_versions_look_at_one_purse() {
    let mut host = Host::new(61);
    let mut card = used_card(&mut host);
    let steps = rotation(&host, 20_000);
    run_steps(&mut host, &mut card, &steps, 0).unwrap();
    for kv in [KV, NEXT] {
        assert_eq!(seen(&mut host, &mut card, kv), (1002, 20_000, 17_000));
    }
    assert_eq!(pay(&mut host, &mut card, NEXT, 2_000, 3).unwrap().0, 0);
    assert_eq!(pay(&mut host, &mut card, KV, 1_000, 4).unwrap().0, 0);
    for kv in [KV, NEXT] {
        assert_eq!(seen(&mut host, &mut card, kv), (1004, 20_000, 20_000));
        assert_eq!(
            pay(&mut host, &mut card, kv, 1, 5),
            Err(StatusWord::CONDITIONS),
            "empty for both"
        );
    }
}

#[test]
fn a_debit_is_repeated_under_its_own_version_and_never_paid_again_under_the_other() {
    let mut host = Host::new(62);
    let mut card = used_card(&mut host);
    let steps = rotation(&host, 20_000);
    run_steps(&mut host, &mut card, &steps, 0).unwrap();
    let (result, tac) = pay(&mut host, &mut card, KV, 700, 9).unwrap();
    assert_eq!(result, 0);
    assert_eq!(
        pay(&mut host, &mut card, NEXT, 700, 9),
        Err(StatusWord::CONDITIONS)
    );
    assert_eq!(pay(&mut host, &mut card, KV, 700, 9), Ok((1, tac)));
    assert_eq!(seen(&mut host, &mut card, NEXT), (1003, 20_000, 17_700));
    // The code and the mask are those of the version that paid.
    let pid = host.pid(Role::SmallPayment);
    let ktac = kdf::tac_key(&host.tac, Role::SmallPayment, KV, &pid).unwrap();
    let body = CommitBody {
        amount: 700,
        tid: 42,
        txno: [9; 8],
        time: 848_000_000,
        kind: 1,
    };
    let expected = body.tac(&ktac, 3, KV, &pid, 1003, 20_000, 17_700).unwrap();
    assert_eq!(tac, expected);
    let (_, _, plain) = purse_seen(&mut host, &mut card, NEXT);
    assert_eq!(plain.tac, tac);
    assert_eq!(
        plain.masked,
        body.masked(&ktac, 3, KV, &pid, 1003, 17_700).unwrap()
    );
}

#[test]
fn a_load_after_a_debit_does_not_hide_that_it_was_paid() {
    let mut host = Host::new(63);
    let mut card = host.active_card();
    let (_, tac) = pay(&mut host, &mut card, KV, 700, 9).unwrap();
    let pid = host.pid(Role::SmallPayment);
    let steps = rewrite(
        SCRIPT,
        vec![
            payment_slot(&host, KV, pid, 30_000),
            payment_purse(&host, KV, pid, 5),
        ],
    );
    run_steps(&mut host, &mut card, &steps, 0).unwrap();
    assert_eq!(
        pay(&mut host, &mut card, KV, 700, 9),
        Ok((1, tac)),
        "the shop asks again"
    );
    assert_eq!(seen(&mut host, &mut card, KV), (1001, 30_000, 700));
}

#[test]
fn a_debit_while_a_script_is_staged_is_not_lost() {
    let mut host = Host::new(64);
    let mut card = used_card(&mut host);
    let steps = rotation(&host, 25_000);
    run_steps(&mut host, &mut card, &steps[..3], 0).unwrap();
    assert_eq!(
        seen(&mut host, &mut card, KV),
        (1002, 20_000, 17_000),
        "nothing before FINALISE"
    );
    pay(&mut host, &mut card, KV, 3_000, 7).unwrap();
    run_steps(&mut host, &mut card, &steps, 3).unwrap();
    for kv in [KV, NEXT] {
        assert_eq!(seen(&mut host, &mut card, kv), (1003, 25_000, 20_000));
    }
}

#[test]
fn a_staged_load_is_dropped_with_its_script() {
    let mut host = Host::new(65);
    let mut card = host.active_card();
    let steps = rotation(&host, 90_000);
    run_steps(&mut host, &mut card, &steps[..3], 0).unwrap();
    let empty = rewrite([0x77; 16], Vec::new());
    run_steps(&mut host, &mut card, &empty, 0).unwrap();
    assert_eq!(seen(&mut host, &mut card, KV), (1000, 20_000, 0));
}

#[test]
fn a_slot_of_small_payment_without_its_purse_is_not_finished() {
    let mut host = Host::new(66);
    let mut card = host.active_card();
    let slot = payment_slot(&host, NEXT, NEW_PID, 20_000);
    let steps = rewrite(SCRIPT, vec![slot]);
    assert_eq!(
        run_steps(&mut host, &mut card, &steps, 0),
        Err((3, StatusWord::CONDITIONS)),
        "its codes would be made under a key of zeros"
    );
    // The same script takes the PURSE yet, once.
    let mut steps = steps[..2].to_vec();
    steps.push(payment_purse(&host, NEXT, NEW_PID, 5));
    run_steps(&mut host, &mut card, &steps, 2).unwrap();
    let mut twice = steps.clone();
    twice.push(payment_purse(&host, NEXT, NEW_PID, 6));
    assert_eq!(
        run_steps(&mut host, &mut card, &twice, 3),
        Err((4, StatusWord::CONDITIONS))
    );
    let last = finalise(SCRIPT, &steps, card_host::TODAY);
    steps.push(last);
    run_steps(&mut host, &mut card, &steps, 3).unwrap();
    assert_eq!(pay(&mut host, &mut card, NEXT, 1, 1).unwrap().0, 0);
}

#[test]
fn a_purse_without_its_slot_is_refused() {
    let mut host = Host::new(67);
    let mut card = host.active_card();
    let steps = [
        begin(card_applet_spec::script::ScriptKind::Rewrite, SCRIPT),
        payment_purse(&host, NEXT, NEW_PID, 5),
    ];
    assert_eq!(
        run_steps(&mut host, &mut card, &steps, 0),
        Err((2, StatusWord::CONDITIONS))
    );
}

#[test]
fn a_rotation_cut_at_every_byte_goes_on_and_makes_no_money() {
    let mut host = Host::new(68);
    let (ram, _) = used_card(&mut host).power_off();
    let steps = rotation(&host, 21_000);
    let cuts = at_every_byte(
        &mut host,
        &ram,
        &mut |host, card| {
            let _ = run_steps(host, card, &steps, 0);
        },
        &mut |host, card, (), cut| {
            let status = host.status(card);
            let done = if status.script == SCRIPT {
                usize::from(status.last)
            } else {
                0
            };
            let loaded = if done == steps.len() { 21_000 } else { 20_000 };
            assert_eq!(seen(host, card, KV), (1002, loaded, 17_000), "{cut:?}");
            assert_eq!(
                run_steps(host, card, &steps, done),
                Ok(()),
                "{cut:?} after {done} steps"
            );
            for kv in [KV, NEXT] {
                assert_eq!(seen(host, card, kv), (1002, 21_000, 17_000), "{cut:?}");
            }
            assert_eq!(pay(host, card, NEXT, 4_000, 8).unwrap().0, 0);
            assert_eq!(pay(host, card, KV, 1, 9), Err(StatusWord::CONDITIONS));
        },
    );
    assert!(cuts.images > 500, "{cuts:?}");
}

#[test]
fn a_debit_cut_at_every_byte_is_whole_or_not_at_all() {
    let mut host = Host::new(69);
    // The first debit ever, the second (the other copy), and one under a second key version.
    let first = host.active_card().power_off().0;
    let mut card = host.power_on(first.clone());
    pay(&mut host, &mut card, KV, 300, 1).unwrap();
    let second = card.power_off().0;
    let mut card = host.power_on(second.clone());
    let steps = rotation(&host, 20_000);
    run_steps(&mut host, &mut card, &steps, 0).unwrap();
    let rotated = card.power_off().0;
    for (ram, kv, spent) in [(first, KV, 0), (second, KV, 300), (rotated, NEXT, 300)] {
        let cuts = at_every_byte(
            &mut host,
            &ram,
            &mut |host, card| {
                let _ = pay(host, card, kv, 700, 4);
            },
            &mut |host, card, (), cut| {
                let before = seen(host, card, kv).2;
                let result = pay(host, card, kv, 700, 4).unwrap().0;
                match before - spent {
                    0 => assert_eq!(result, 0, "{cut:?}"),
                    700 => assert_eq!(result, 1, "{cut:?}: already paid, no second debit"),
                    other => panic!("{other} spent, {cut:?}"),
                }
                assert_eq!(seen(host, card, kv).2, spent + 700, "{cut:?}");
                assert_eq!(pay(host, card, kv, 700, 4).unwrap().0, 1, "{cut:?}");
            },
        );
        assert_eq!(cuts.writes, 1, "a debit is one write");
    }
}

#[test]
fn a_first_purse_cut_at_every_byte_of_finalise_starts_as_it_was_ordered() {
    let mut host = Host::new(70);
    let blank = host.blank();
    let mut card = host.power_on(blank);
    let mut plan = card_host::Plan::new(vec![0x22; 10]);
    // All but FINALISE.
    plan.stop_before_finalise = true;
    assert!(!host.personalise(&mut card, &mut plan));
    plan.stop_before_finalise = false;
    let (ram, _) = card.power_off();
    let steps = plan.steps.clone();
    at_every_byte(
        &mut host,
        &ram,
        &mut |host, card| {
            let _ = run_steps(host, card, &steps, steps.len() - 1);
        },
        &mut |host, card, (), cut| {
            assert!(host.personalise(card, &mut plan), "{cut:?}");
            host.short_script(card, card_applet_spec::script::ScriptKind::Activate, [1; 16])
                .unwrap();
            assert_eq!(seen(host, card, KV), (1000, 20_000, 0), "{cut:?}");
            assert_eq!(pay(host, card, KV, 700, 4).unwrap().0, 0, "{cut:?}");
        },
    );
}
