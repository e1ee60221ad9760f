//! Power fails at every write of every script, with any part of it written (chapter 10): the card is in the old or the
//! new state, and a second run finishes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "a test says what it expects by failing"
)]

mod support;

use card_applet_spec::apdu::Header;
use card_applet_spec::codes::{Role, State};
use card_applet_spec::door_f::CommitBody;
use card_applet_spec::kdf;
use card_applet_spec::script::ScriptKind;
use support::{Card, Host, Plan, Ram, check, select};

/// Cuts of a write: nothing, one byte, the middle, all (the write happened, the power failed right after).
const CUTS: [usize; 4] = [0, 1, 100, usize::MAX];

/// Runs `action` with power failing at the `at`-th write; gives the card after power came back, or `None` when the
/// action came to its end before.
fn torn(
    host: &mut Host,
    ram: Ram,
    at: usize,
    cut: usize,
    action: &mut dyn FnMut(&mut Host, &mut Card),
) -> Option<Card> {
    let mut card = host.power_on(ram);
    let (mut ram, rng) = card.power_off();
    ram.writes = 0;
    ram.tear = Some((at, cut));
    card = card_applet::Applet::power_on(ram, rng).unwrap();
    action(host, &mut card);
    let (ram, _) = card.power_off();
    ram.dead.then(|| host.power_on(ram))
}

#[test]
fn personalisation_survives_a_cut_at_every_write() {
    let mut host = Host::new(21);
    let blank = host.blank();
    let mut tears = 0;
    for at in 1.. {
        let mut more = false;
        for cut in CUTS {
            let mut plan = Plan::new(vec![0x77; 500]);
            let result = torn(&mut host, blank.clone(), at, cut, &mut |host, card| {
                assert!(!host.personalise(card, &mut plan) || !matches!(card.process(&[0; 4]).len(), 0));
            });
            let Some(mut card) = result else { continue };
            more = true;
            tears += 1;
            let state = host.status(&mut card).state;
            if state == State::Blank {
                // Provably not finished: it still shows its serial, and taps as a decoy.
                select(&mut card).unwrap();
                assert!(check(&card.process(&Header::GET_SERIAL.command(&[], Some(0)).unwrap())).is_ok());
            } else {
                assert_eq!(state, State::Personalised);
            }
            let (rt, tap) = host.tap(&mut card, Role::Transit, support::KV);
            assert!(!host.tap_is_genuine(Role::Transit, support::KV, &rt, &tap));
            assert!(
                host.personalise(&mut card, &mut plan),
                "a second run finishes (write {at}, cut {cut})"
            );
            host.short_script(&mut card, ScriptKind::Activate, [1; 16])
                .unwrap();
            for role in [Role::Transit, Role::Door, Role::SmallPayment] {
                let (rt, tap) = host.tap(&mut card, role, support::KV);
                assert!(host.tap_is_genuine(role, support::KV, &rt, &tap));
            }
        }
        if !more {
            break;
        }
    }
    assert!(tears > 200, "{tears} tears");
}

#[test]
fn every_short_script_survives_a_cut_at_every_write() {
    use ScriptKind::{Activate, Block, Terminate, Unblock};
    let mut host = Host::new(22);
    let mut card = host.personalised_card();
    let mut states = vec![];
    let (ram, _) = {
        let snapshot = card.power_off();
        states.push((Activate, snapshot.0.clone(), State::Personalised, State::Active));
        snapshot
    };
    card = host.power_on(ram);
    host.short_script(&mut card, Activate, [1; 16]).unwrap();
    let (ram, _) = card.power_off();
    states.push((Block, ram.clone(), State::Active, State::Blocked));
    states.push((Terminate, ram.clone(), State::Active, State::Terminated));
    card = host.power_on(ram);
    host.short_script(&mut card, Block, [2; 16]).unwrap();
    states.push((Unblock, card.power_off().0, State::Blocked, State::Active));
    for (kind, ram, before, after) in states {
        for at in 1.. {
            let mut more = false;
            for cut in CUTS {
                let result = torn(&mut host, ram.clone(), at, cut, &mut |host, card| {
                    let _ = host.short_script(card, kind, [6; 16]);
                });
                let Some(mut card) = result else { continue };
                more = true;
                if after == State::Terminated && host.open_door_i(&mut card).is_none() {
                    let (ram, _) = card.power_off();
                    assert!(
                        !ram.bytes
                            .windows(16)
                            .any(|window| window == host.pid(Role::Transit))
                    );
                    continue;
                }
                let state = host.status(&mut card).state;
                assert!(state == before || state == after, "{kind:?}: {state}");
                if state == before {
                    host.short_script(&mut card, kind, [6; 16]).unwrap();
                }
                if after != State::Terminated {
                    assert_eq!(host.status(&mut card).state, after);
                }
            }
            if !more {
                break;
            }
        }
    }
}

#[test]
fn a_debit_is_whole_or_not_at_all() {
    let mut host = Host::new(23);
    let (ram, _) = host.active_card().power_off();
    let role = Role::SmallPayment;
    for cut in CUTS.into_iter().chain(2..60) {
        let pay = |host: &mut Host, card: &mut Card| {
            let (rt, tap) = host.tap(card, role, support::KV);
            let g = kdf::group_key(&host.group, role, host.region, support::KV, 77).unwrap();
            let plain = tap.open(&g).unwrap();
            let m = kdf::tap_key(&host.tap, role, host.region, support::KV, &plain.pid).unwrap();
            let body = CommitBody {
                amount: 700,
                tid: 1,
                txno: [4; 8],
                time: 1,
                kind: 1,
            };
            let mac = body
                .mac(&m, 3, support::KV, &rt, &tap.card_challenge, plain.seq)
                .unwrap();
            let data = [&body.encode().unwrap()[..], &mac].concat();
            let answer = card.process(&Header::commit(3, support::KV).command(&data, Some(25)).unwrap());
            (plain.spent, check(&answer).map(|body| body[0]))
        };
        let mut card = torn(&mut host, ram.clone(), 1, cut, &mut |host, card| {
            assert!(pay(host, card).1.is_err());
        })
        .expect("a debit is one write");
        let (spent, result) = pay(&mut host, &mut card);
        match spent {
            0 => assert_eq!(result, Ok(0)),
            700 => assert_eq!(result, Ok(1), "already paid: no second debit"),
            other => panic!("spent {other}"),
        }
        assert_eq!(pay(&mut host, &mut card), (700, Ok(1)));
    }
}

#[test]
fn a_try_at_door_i_counts_even_when_the_card_is_pulled() {
    let mut host = Host::new(24);
    let (ram, _) = host.active_card().power_off();
    // The first write of EXTERNAL AUTHENTICATE counts the try; power fails at the second.
    let mut card = torn(&mut host, ram, 2, 0, &mut |host, card| {
        assert!(host.open_door_i(card).is_none());
    })
    .unwrap();
    let mut channel = host.open_door_i(&mut card).unwrap();
    assert_eq!(support::read_status(&mut channel, &mut card).unwrap().failures, 0);
}
