//! Power fails at every write of everything that a card does, and at every byte of it (chapter 10): the card is in the
//! old or in the new state, never in another, no money is made or lost, and the same thing done again comes to its end.
//!
//! Debits and rotation by a script are in `purse.rs`, the failure counter of door I in `scripts.rs`.
use card_applet_spec::apdu::Header;
use card_applet_spec::codes::{CardState, Rights, Role};
use card_applet_spec::data_group::SignatureObject;
use card_applet_spec::door_s::Object;
use card_applet_spec::script::ScriptKind;
use card_applet_spec::update::Operation;
use card_host::{
    Host, KV, Observed, Plain, Plan, Ram, at_every_byte, check, date, deliver, dg3_update, expected_receipt,
    observe, pay, plain, read_object, rewrite, run_steps, seal, select, slot_update,
};

const BUS: Role = Role::Transit;
const SHOP: Role = Role::SmallPayment;
const NEW_PID: [u8; 16] = [0x99; 16];

#[test]
fn personalisation_survives_a_cut_at_every_byte() {
    let mut host = Host::new(21);
    let blank = host.blank();
    let cuts = at_every_byte(
        &mut host,
        &blank,
        &mut |host, card| {
            let mut plan = Plan::new(vec![0x77; 20]);
            host.personalise(card, &mut plan);
            plan
        },
        &mut |host, card, plan, cut| {
            let status = host.status(card);
            if status.state == CardState::Blank {
                // Provably not finished: it still shows its serial.
                select(card).unwrap();
                let serial = card.process(&Header::GET_SERIAL.command(&[], Some(0)).unwrap());
                assert!(check(&serial).is_ok(), "{cut:?}");
            } else {
                assert_eq!(status.state, CardState::Personalised, "{cut:?}");
            }
            let (rt, tap) = host.tap(card, BUS, KV);
            assert!(!host.tap_is_genuine(BUS, KV, &rt, &tap), "{cut:?}");
            let mut plan = plan.clone();
            let ours = status.script == plan.script;
            if !ours || status.last < 4 {
                // A key pair that was not counted is made anew: certificates are made of what the card shows then.
                plan.steps.truncate(4);
            }
            assert!(
                host.personalise(card, &mut plan),
                "a second run finishes, {cut:?}"
            );
            host.short_script(card, ScriptKind::Activate, [1; 16]).unwrap();
            for role in [BUS, Role::Door, SHOP] {
                let (rt, tap) = host.tap(card, role, KV);
                assert!(host.tap_is_genuine(role, KV, &rt, &tap), "{cut:?}");
            }
        },
    );
    assert!(cuts.writes > 40 && cuts.images > 3_000, "{cuts:?}");
}

#[test]
fn every_short_script_survives_a_cut_at_every_byte() {
    use ScriptKind::{Activate, Block, Terminate, Unblock};
    let mut host = Host::new(22);
    let run = |host: &mut Host, ram: &Ram, kind, id| {
        let mut card = host.power_on(ram.clone());
        host.short_script(&mut card, kind, [id; 16]).unwrap();
        card.power_off().0
    };
    let handed_out = host.personalised_card().power_off().0;
    let active = run(&mut host, &handed_out, Activate, 1);
    let blocked = run(&mut host, &active, Block, 2);
    let early = run(&mut host, &handed_out, Block, 2);
    for (kind, ram, before, after) in [
        (Activate, &handed_out, CardState::Personalised, CardState::Active),
        (Block, &active, CardState::Active, CardState::Blocked),
        (Block, &handed_out, CardState::Personalised, CardState::Blocked),
        (Unblock, &blocked, CardState::Blocked, CardState::Active),
        (Unblock, &early, CardState::Blocked, CardState::Personalised),
        (
            Terminate,
            &handed_out,
            CardState::Personalised,
            CardState::Terminated,
        ),
        (Terminate, &active, CardState::Active, CardState::Terminated),
        (Terminate, &blocked, CardState::Blocked, CardState::Terminated),
    ] {
        let serial = host.serial.0;
        let pid = host.pid(BUS);
        at_every_byte(
            &mut host,
            ram,
            &mut |host, card| {
                let _ = host.short_script(card, kind, [6; 16]);
            },
            &mut |host, card, (), cut| {
                if after == CardState::Terminated && host.open_door_i(card).is_none() {
                    let blank = host.power_on(Ram::clone(ram));
                    let (ram, _) = std::mem::replace(card, blank).power_off();
                    // Of what the card held only what was burnt in when it was made.
                    assert!(!ram.bytes.windows(16).any(|part| part == pid), "{kind:?} {cut:?}");
                    assert!(ram.bytes.windows(10).any(|part| part == serial));
                    return;
                }
                let state = host.status(card).state;
                assert!(state == before || state == after, "{kind:?} {cut:?}: {state}");
                if state == before {
                    host.short_script(card, kind, [6; 16]).unwrap();
                }
                if after == CardState::Terminated {
                    assert!(host.open_door_i(card).is_none(), "{kind:?} {cut:?}");
                } else {
                    assert_eq!(host.status(card).state, after, "{kind:?} {cut:?}");
                }
            },
        );
    }
}

#[test]
fn a_rewrite_of_everything_survives_a_cut_at_every_byte() {
    let mut host = Host::new(23);
    let (ram, _) = host.active_card().power_off();
    let dg3 = vec![0x6D, 3, 1, 2, 3];
    let steps = rewrite(
        [0x31; 16],
        [
            card_host::write_steps(card_applet_spec::script::WritableObject::Dg3, &dg3),
            vec![
                card_host::slot(&host, Role::Clinic, 2, NEW_PID, 0),
                card_host::slot(&host, Role::Door, 2, NEW_PID, 0),
                card_host::trust(&host, 2, "2026-11-22"),
            ],
        ]
        .concat(),
    );
    let mut card = host.power_on(ram.clone());
    let before = observe(&mut host, &mut card, &[]);
    run_steps(&mut host, &mut card, &steps, 0).unwrap();
    let after = observe(&mut host, &mut card, &[]);
    at_every_byte(
        &mut host,
        &ram,
        &mut |host, card| {
            let _ = run_steps(host, card, &steps, 0);
        },
        &mut |host, card, (), cut| {
            let status = host.status(card);
            let done = if status.script == [0x31; 16] {
                usize::from(status.last)
            } else {
                0
            };
            let seen = observe(host, card, &[]);
            let expected = if done == steps.len() { &after } else { &before };
            assert_eq!(seen.taps, expected.taps, "{cut:?} after {done} steps");
            assert_eq!(seen.floor, expected.floor, "{cut:?}");
            run_steps(host, card, &steps, done).unwrap();
            let seen = observe(host, card, &[]);
            assert_eq!(
                (&seen.taps, seen.floor, seen.script),
                (&after.taps, after.floor, after.script),
                "{cut:?}"
            );
        },
    );
}

/// One update on one card.
struct Case {
    name: &'static str,
    ram: Ram,
    plain: Plain,
    /// What is looked at through door S.
    objects: Vec<Object>,
    /// The tapped version cannot answer any more when it is done.
    silent: bool,
    /// The card chooses the start of its purse at each attempt anew.
    first_purse: bool,
}

/// Cards to update: one that has paid twice, the same with two versions of the purse's slot, and one without a purse.
fn cards(host: &mut Host) -> (Ram, Ram, Ram, SignatureObject) {
    let mut card = host.active_card();
    pay(host, &mut card, KV, 9_000, 1).unwrap();
    pay(host, &mut card, KV, 8_000, 2).unwrap();
    let (mut channel, _) = host.open_door_s(&mut card, Rights::PERMIT).unwrap();
    let object = SignatureObject::parse(&read_object(&mut channel, &mut card, Object::Signature).unwrap());
    let used = card.power_off().0;
    let mut card = host.power_on(used.clone());
    let rotated = seal(
        host,
        3,
        &slot_update(host, (SHOP, 2, 0), [0x55; 16], 20_000, 10_000),
    );
    deliver(host, &mut card, BUS, KV, &rotated).unwrap();
    let two = card.power_off().0;
    let roles = std::mem::replace(&mut host.roles, vec![BUS, Role::Clinic]);
    let bare = host.active_card().power_off().0;
    host.roles = roles;
    (used, two, bare, object.unwrap())
}

fn cases(host: &mut Host) -> Vec<Case> {
    let (used, two, bare, object) = cards(host);
    let case = |name, ram: &Ram, plain| Case {
        name,
        ram: ram.clone(),
        plain,
        objects: Vec::new(),
        silent: false,
        first_purse: false,
    };
    let (dg3, _) = dg3_update(host, &object, "2028-11-20");
    vec![
        case(
            "a new version of the bus",
            &used,
            slot_update(host, (BUS, 2, 0), NEW_PID, 0, 0),
        ),
        case(
            "the same version of a door",
            &used,
            slot_update(host, (Role::Door, 1, 0), NEW_PID, 0, 0),
        ),
        Case {
            silent: true,
            ..case(
                "the tapped version anew, with another pid",
                &used,
                slot_update(host, (BUS, 3, 1), NEW_PID, 0, 0),
            )
        },
        case(
            "a rotation of the purse, with a load",
            &used,
            slot_update(host, (SHOP, 2, 0), NEW_PID, 21_000, 10_000),
        ),
        case(
            "a third version of the purse",
            &two,
            slot_update(host, (SHOP, 3, 0), NEW_PID, 21_000, 10_000),
        ),
        case(
            "the same version of the purse",
            &used,
            slot_update(host, (SHOP, 1, 0), NEW_PID, 25_000, 10_000),
        ),
        Case {
            first_purse: true,
            ..case(
                "a first purse",
                &bare,
                slot_update(host, (SHOP, 1, 0), NEW_PID, 700, 10_000),
            )
        },
        Case {
            objects: vec![Object::Newest(Role::Clinic)],
            ..case(
                "a clinic slot",
                &used,
                slot_update(host, (Role::Clinic, 2, 0), NEW_PID, 0, 0),
            )
        },
        Case {
            objects: vec![Object::Dg3, Object::Signature],
            ..case("a permit block", &used, dg3)
        },
        case(
            "a date floor",
            &used,
            plain(&Operation::Floor(date("2026-12-24"))),
        ),
        Case {
            silent: true,
            ..case("a block", &used, plain(&Operation::Block))
        },
        case(
            "an erased version",
            &two,
            plain(&Operation::Erase { role: SHOP, kv: 1 }),
        ),
        Case {
            silent: true,
            ..case(
                "the tapped version erased",
                &used,
                plain(&Operation::Erase { role: BUS, kv: 1 }),
            )
        },
        case("a load", &used, plain(&Operation::Load { loaded: 21_000 })),
    ]
}

/// The same without the start of the purse.
fn without_start(seen: &Observed) -> Observed {
    let mut seen = seen.clone();
    for (role, _, plain) in &mut seen.taps {
        if let Some(plain) = plain.as_mut().filter(|_| *role == SHOP) {
            plain.seq = 0;
        }
    }
    seen
}

#[test]
fn every_update_survives_a_cut_at_every_byte_and_then_gives_its_receipt() {
    let mut host = Host::new(25);
    for case in cases(&mut host) {
        let name = case.name;
        let update = seal(&host, 9, &case.plain);
        let receipt = expected_receipt(&host, &update);
        let mut card = host.power_on(case.ram.clone());
        let before = observe(&mut host, &mut card, &case.objects);
        let compared = |seen: &Observed| {
            if case.first_purse {
                without_start(seen)
            } else {
                seen.clone()
            }
        };
        assert_eq!(
            deliver(&mut host, &mut card, BUS, KV, &update),
            Ok(receipt),
            "{name}"
        );
        let after = compared(&observe(&mut host, &mut card, &case.objects));
        assert_ne!(before, after, "{name}");
        let (mut old, mut new) = (0, 0);
        let cuts = at_every_byte(
            &mut host,
            &case.ram,
            &mut |host, card| {
                let _ = deliver(host, card, BUS, KV, &update);
            },
            &mut |host, card, (), cut| {
                let seen = observe(host, card, &case.objects);
                let is_new = compared(&seen) == after;
                assert!(is_new || seen == before, "{name} {cut:?}: neither old nor new");
                *if is_new { &mut new } else { &mut old } += 1;
                let again = deliver(host, card, BUS, KV, &update);
                if is_new && case.silent {
                    // Found out at the counter (chapter 09).
                    assert!(again.is_err(), "{name} {cut:?}");
                } else {
                    assert_eq!(again, Ok(receipt), "{name} {cut:?}");
                }
                assert_eq!(
                    compared(&observe(host, card, &case.objects)),
                    after,
                    "{name} {cut:?}"
                );
                if let Some((_, loaded, spent)) = after.purse() {
                    let kv = (1..=3).find(|kv| {
                        after
                            .taps
                            .iter()
                            .any(|(role, v, plain)| (*role, v) == (SHOP, kv) && plain.is_some())
                    });
                    let kv = kv.unwrap();
                    // Every fen that is there can be spent, and not one more.
                    let rest = loaded - spent;
                    assert_eq!(
                        pay(host, card, kv, rest.min(10_000), 77).unwrap().0,
                        0,
                        "{name} {cut:?}"
                    );
                    assert!(
                        rest > 10_000 || pay(host, card, kv, 1, 78).is_err(),
                        "{name} {cut:?}"
                    );
                }
            },
        );
        println!("{name}: {cuts:?}, {old} old, {new} new");
        assert!(old > 0 && new > 0, "{name}");
    }
}

#[test]
fn a_try_at_door_i_counts_even_when_the_card_is_pulled() {
    let mut host = Host::new(24);
    let (ram, _) = host.active_card().power_off();
    at_every_byte(
        &mut host,
        &ram,
        &mut |host, card| {
            let _ = host.open_door_i(card);
        },
        &mut |host, card, (), cut| {
            let failures = card_host::status_at_door_s(host, card).failures;
            assert!(failures <= 1, "{cut:?}: {failures}");
            assert!(host.open_door_i(card).is_some(), "{cut:?}");
        },
    );
}
