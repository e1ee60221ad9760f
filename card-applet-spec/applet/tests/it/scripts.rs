//! What scripts may and may not do to a card (chapters 01, 05, 10): floor, block, lock, staging, memory that fails.
use card_applet_spec::apdu::{Header, StatusWord};
use card_applet_spec::certificate::CardCertificate;
use card_applet_spec::codes::{CardState, Domain, Rights, Role};
use card_applet_spec::door_s::Object;
use card_applet_spec::script::{ScriptKind, Step};
use card_host::{
    Card, Event, Host, KV, Plan, Ram, TODAY, begin, check, date, events, finalise, pay, payment_purse,
    payment_slot, purse_seen, read_object, read_status, rewrite, run_step, run_steps, select, slot,
    status_at_door_s, trust, unwrap, wrong_try,
};

const NEXT: u8 = KV + 1;
const NEW_PID: [u8; 16] = [0x99; 16];

/// A script of `kind` with `content` that says that it is `today`.
fn script_on(kind: ScriptKind, id: u8, content: Vec<Vec<u8>>, today: &str) -> Vec<Vec<u8>> {
    let mut steps = vec![begin(kind, [id; 16])];
    steps.extend(content);
    let last = finalise([id; 16], &steps, today);
    steps.push(last);
    steps
}

#[test]
fn a_wrong_clock_is_refused_and_trust_sets_the_floor_back() {
    use ScriptKind::{Block, Rewrite, Unblock};
    let mut host = Host::new(100);
    let mut card = host.active_card();
    let refused = Err((2, StatusWord::CONDITIONS));
    for (id, today, expected) in [
        (1, "2062-11-21", refused),
        (2, "2027-12-27", refused),
        (3, "2027-12-26", Ok(())),
    ] {
        let steps = script_on(Rewrite, id, vec![], today);
        assert_eq!(run_steps(&mut host, &mut card, &steps, 0), expected, "{today}");
    }
    assert_eq!(
        host.status(&mut card).floor,
        date("2027-12-26"),
        "400 days are not too many"
    );
    // With TRUST the clock is believed: the issuer says both. The next TRUST takes it back.
    let wrong = script_on(Rewrite, 4, vec![trust(&host, 7, "2026-11-01")], "2062-11-21");
    run_steps(&mut host, &mut card, &wrong, 0).unwrap();
    assert_eq!(host.status(&mut card).floor, date("2062-11-21"));
    assert_eq!(
        host.open_door_s(&mut card, Rights::IDENTITY).err(),
        Some(StatusWord::ENDED)
    );
    let right = script_on(Rewrite, 5, vec![trust(&host, 1, "2026-11-01")], TODAY);
    run_steps(&mut host, &mut card, &right, 0).unwrap();
    let status = host.status(&mut card);
    assert_eq!((status.floor, status.epoch), (date(TODAY), 1));
    assert!(host.open_door_s(&mut card, Rights::IDENTITY).is_ok());
    // A card that was away for years can be blocked and unblocked, and its floor stays.
    for (id, kind, state) in [(6, Block, CardState::Blocked), (7, Unblock, CardState::Active)] {
        run_steps(
            &mut host,
            &mut card,
            &script_on(kind, id, vec![], "2062-11-21"),
            0,
        )
        .unwrap();
        let status = host.status(&mut card);
        assert_eq!((status.state, status.floor), (state, date(TODAY)));
    }
}

#[test]
fn a_card_blocked_before_its_hand_over_is_not_made_active_by_unblocking() {
    use ScriptKind::{Activate, Block, Unblock};
    let mut host = Host::new(101);
    let mut card = host.personalised_card();
    host.short_script(&mut card, Block, [1; 16]).unwrap();
    let (ram, _) = card.power_off();
    let mut card = host.power_on(ram);
    host.short_script(&mut card, Unblock, [2; 16]).unwrap();
    assert_eq!(host.status(&mut card).state, CardState::Personalised);
    let (rt, tap) = host.tap(&mut card, Role::Transit, KV);
    assert!(!host.tap_is_genuine(Role::Transit, KV, &rt, &tap));
    host.short_script(&mut card, Activate, [3; 16]).unwrap();
    host.short_script(&mut card, Block, [4; 16]).unwrap();
    host.short_script(&mut card, Unblock, [5; 16]).unwrap();
    assert_eq!(host.status(&mut card).state, CardState::Active);
}

#[test]
fn a_blank_cannot_be_locked_by_wrong_tries_and_a_written_card_can() {
    let mut host = Host::new(102);
    let ram = host.blank();
    let mut card = host.power_on(ram);
    for _ in 0..40 {
        assert_eq!(wrong_try(&mut card), Err(StatusWord::SECURITY));
    }
    assert!(host.personalise(&mut card, &mut Plan::new(vec![1; 10])));
    for _ in 0..16 {
        assert_eq!(wrong_try(&mut card), Err(StatusWord::SECURITY));
    }
    assert!(host.open_door_i(&mut card).is_none());
    assert_eq!(status_at_door_s(&mut host, &mut card).failures, 16);
}

#[test]
fn attempts_at_door_i_wear_only_their_own_cell() {
    let mut host = Host::new(103);
    let mut card = host.active_card();
    let (ram, _) = card.power_off();
    let before = ram.bytes.clone();
    card = host.power_on(ram);
    select(&mut card).unwrap();
    let writes = |events: Vec<Event>| -> Vec<Event> {
        let is_write = |event: &Event| matches!(event, Event::Write(_));
        events.into_iter().filter(is_write).collect()
    };
    let (tried, done) = events(|| wrong_try(&mut card));
    assert_eq!(tried, Err(StatusWord::SECURITY));
    assert_eq!(writes(done), [Event::Write(16)], "one failure");
    let (opened, done) = events(|| host.open_door_i(&mut card));
    assert!(opened.is_some());
    assert_eq!(writes(done), [Event::Write(16); 2], "one attempt, one success");
    for _ in 0..20 {
        assert_eq!(wrong_try(&mut card), Err(StatusWord::SECURITY));
    }
    let (ram, _) = card.power_off();
    let cell = ram.bytes.len() - 32;
    assert_eq!(ram.bytes[..cell], before[..cell]);
    assert_ne!(ram.bytes[cell..], before[cell..]);
}

#[test]
fn the_failure_counter_cut_at_every_byte_forgets_no_failure() {
    let mut host = Host::new(104);
    let mut card = host.active_card();
    for _ in 0..3 {
        assert_eq!(wrong_try(&mut card), Err(StatusWord::SECURITY));
    }
    let (ram, _) = card.power_off();
    let torn = |host: &mut Host, at, kept, right: bool| {
        let (mut ram, rng) = host.power_on(ram.clone()).power_off();
        ram.writes = 0;
        ram.tear = Some((at, kept));
        let mut card = card_applet::Applet::power_on(ram, rng).unwrap();
        if right {
            assert!(host.open_door_i(&mut card).is_none());
        } else {
            assert_eq!(wrong_try(&mut card), Err(StatusWord::MEMORY_FAILURE));
        }
        let (ram, _) = card.power_off();
        let mut card = host.power_on(ram);
        status_at_door_s(host, &mut card).failures
    };
    for kept in 0..=16 {
        let counted = torn(&mut host, 1, kept, false);
        assert_eq!(counted, if kept == 16 { 4 } else { 3 }, "{kept} bytes");
        // The second write of a success: the attempt was counted, the reset may be lost.
        let reset = torn(&mut host, 2, kept, true);
        assert_eq!(reset, if kept == 16 { 0 } else { 4 }, "{kept} bytes");
    }
    // Without a whole copy, which no cut makes, door I is locked until the office opens it.
    let mut ram = ram.clone();
    let cell = ram.bytes.len() - 32;
    ram.bytes[cell..].fill(0x55);
    let mut card = host.power_on(ram);
    assert!(host.open_door_i(&mut card).is_none());
    let (mut channel, _) = host.open_door_s(&mut card, Rights::ISSUER).unwrap();
    let command = channel.wrap_command(Header::RESET_COUNTER, &[]).unwrap();
    unwrap(&mut channel, &card.process(&command)).unwrap();
    assert!(host.open_door_i(&mut card).is_some());
}

#[test]
fn what_is_staged_is_not_staged_again() {
    let mut host = Host::new(105);
    let mut card = host.active_card();
    let mut channel = host.open_door_i(&mut card).unwrap();
    run_step(&mut channel, &mut card, 1, &begin(ScriptKind::Rewrite, [1; 16])).unwrap();
    let generate = Step::Generate {
        domain: Domain::Clinic,
    };
    let generate = generate.encode().unwrap().to_vec();
    let public = run_step(&mut channel, &mut card, 2, &generate).unwrap();
    let certificate = |id: u8, host: &mut Host| {
        let public64 = public[..].try_into().unwrap();
        let (from, to) = (date(TODAY), date("2036-11-20"));
        let ca = &host.card_ca;
        let made = CardCertificate::sign(ca, Domain::Clinic, 1, from, to, [id; 16], public64, &mut host.rng);
        let made = made.unwrap().encode().unwrap();
        let step = Step::Certificate {
            domain: Domain::Clinic,
            certificate: &made,
        };
        step.encode().unwrap().to_vec()
    };
    let first = certificate(1, &mut host);
    run_step(&mut channel, &mut card, 3, &first).unwrap();
    run_step(&mut channel, &mut card, 4, &trust(&host, 1, TODAY)).unwrap();
    let mut keys = card_host::issued_keys(&host.issuance, &host.serial);
    let issuance = card_applet_spec::kdf::issuance_keys(&host.issuance, &host.serial).unwrap();
    issuance.dek.cbc_encrypt(&[0; 16], &mut keys).unwrap();
    let renew = Step::Keys { wrapped: &keys }.encode().unwrap().to_vec();
    run_step(&mut channel, &mut card, 5, &renew).unwrap();
    // The repetition of the last step is no second one.
    run_step(&mut channel, &mut card, 5, &renew).unwrap();
    let other = certificate(2, &mut host);
    for again in [generate, other, trust(&host, 2, TODAY), renew] {
        let (ram, _) = card.power_off();
        let before = ram.bytes.clone();
        card = host.power_on(ram);
        let mut channel = host.open_door_i(&mut card).unwrap();
        let command = channel.wrap_command(Header::step(6), &again).unwrap();
        assert_eq!(
            check(&card.process(&command)),
            Err(StatusWord::CONDITIONS),
            "op {}",
            again[0]
        );
        let (ram, _) = card.power_off();
        let cell = ram.bytes.len() - 32;
        assert_eq!(
            ram.bytes[..cell],
            before[..cell],
            "op {} wrote something",
            again[0]
        );
        card = host.power_on(ram);
    }
}

#[test]
fn a_role_with_two_live_slots_takes_one_slot_in_a_script() {
    let mut host = Host::new(106);
    let mut card = host.active_card();
    let rotate = |kv: u8| slot(&host, Role::Transit, kv, [kv; 16], 0);
    let (second, third, fourth) = (rotate(2), rotate(3), rotate(4));
    run_steps(&mut host, &mut card, &rewrite([1; 16], vec![second]), 0).unwrap();
    let both = rewrite([2; 16], vec![third.clone(), fourth.clone()]);
    assert_eq!(
        run_steps(&mut host, &mut card, &both, 0),
        Err((3, StatusWord::CONDITIONS))
    );
    run_steps(&mut host, &mut card, &rewrite([3; 16], vec![third]), 0).unwrap();
    run_steps(&mut host, &mut card, &rewrite([4; 16], vec![fourth]), 0).unwrap();
}

#[test]
fn a_new_key_pair_drops_the_slots_that_were_bound_to_the_old_one() {
    let mut host = Host::new(107);
    let mut card = host.active_card();
    pay(&mut host, &mut card, KV, 700, 1).unwrap();
    let script = [1; 16];
    let generate = Step::Generate {
        domain: Domain::Person,
    };
    let mut steps = vec![
        begin(ScriptKind::Rewrite, script),
        generate.encode().unwrap().to_vec(),
    ];
    let mut channel = host.open_door_i(&mut card).unwrap();
    run_step(&mut channel, &mut card, 1, &steps[0]).unwrap();
    let public = run_step(&mut channel, &mut card, 2, &steps[1]).unwrap();
    let certificate = CardCertificate::sign(
        &host.card_ca,
        Domain::Person,
        1,
        date(TODAY),
        date("2036-11-20"),
        [9; 16],
        public[..].try_into().unwrap(),
        &mut host.rng,
    );
    let certificate = certificate.unwrap().encode().unwrap();
    let certify = Step::Certificate {
        domain: Domain::Person,
        certificate: &certificate,
    };
    steps.push(certify.encode().unwrap().to_vec());
    steps.push(slot(&host, Role::Transit, NEXT, NEW_PID, 0));
    let last = finalise(script, &steps, TODAY);
    steps.push(last);
    run_steps(&mut host, &mut card, &steps, 2).unwrap();
    let rights = Rights::VERIFY
        .union(Rights::role(Role::Transit))
        .union(Rights::role(Role::SmallPayment))
        .union(Rights::role(Role::Door));
    for (object, there) in [
        (Object::Newest(Role::Transit), true),
        (Object::Older(Role::Transit), false),
        (Object::Newest(Role::Door), false),
        (Object::Newest(Role::SmallPayment), false),
    ] {
        let (mut channel, _) = host.open_door_s(&mut card, rights).unwrap();
        let read = read_object(&mut channel, &mut card, object);
        assert_eq!(read.is_ok(), there, "{object:?}");
    }
    // The clinic's pair is another one.
    let (mut channel, _) = host.open_door_s(&mut card, Rights::role(Role::Clinic)).unwrap();
    assert!(read_object(&mut channel, &mut card, Object::Newest(Role::Clinic)).is_ok());
    // The purse outlives its slots.
    let again = vec![
        payment_slot(&host, NEXT, NEW_PID, 0),
        payment_purse(&host, NEXT, NEW_PID, 5),
    ];
    run_steps(&mut host, &mut card, &rewrite([2; 16], again), 0).unwrap();
    let (_, _, plain) = purse_seen(&mut host, &mut card, NEXT);
    assert_eq!((plain.seq, plain.loaded, plain.spent), (1001, 20_000, 700));
}

/// A card whose memory fails once at write `at` after `kept` bytes, and works on.
fn failing(host: &mut Host, ram: &Ram, at: usize, kept: usize) -> Card {
    let (mut ram, rng) = host.power_on(ram.clone()).power_off();
    ram.writes = 0;
    ram.tear = Some((at, kept));
    ram.stays_lit = true;
    card_applet::Applet::power_on(ram, rng).unwrap()
}

#[test]
fn after_a_failed_write_the_card_is_mute_until_a_reset_reads_what_is_committed() {
    let mut host = Host::new(108);
    let mut card = host.active_card();
    // An unfinished script, whose secrets the next BEGIN drops.
    let forgotten = [0x5A; 16];
    let unfinished = rewrite(
        [8; 16],
        vec![
            slot(&host, Role::Door, NEXT, forgotten, 0),
            trust(&host, 1, TODAY),
        ],
    );
    run_steps(&mut host, &mut card, &unfinished[..3], 0).unwrap();
    let (ram, _) = card.power_off();
    assert!(ram.bytes.windows(16).any(|window| window == forgotten));
    let script = [0x31; 16];
    let steps = rewrite(
        script,
        vec![
            payment_slot(&host, NEXT, NEW_PID, 21_000),
            payment_purse(&host, NEXT, NEW_PID, 5),
        ],
    );
    let mut faults = 0;
    for at in 1.. {
        let mut more = false;
        for kept in [0, 1, 20, 200, usize::MAX] {
            let mut card = failing(&mut host, &ram, at, kept);
            let result = run_steps(&mut host, &mut card, &steps, 0);
            if result.is_ok() {
                continue;
            }
            more = true;
            faults += 1;
            let select = Header::SELECT
                .command(&card_applet_spec::codes::AID, Some(0))
                .unwrap();
            for _ in 0..2 {
                assert_eq!(
                    check(&card.process(&select)),
                    Err(StatusWord::MEMORY_FAILURE),
                    "{at} {kept}"
                );
            }
            card.reset();
            let mut channel = host.open_door_i(&mut card).unwrap();
            let status = read_status(&mut channel, &mut card).unwrap();
            // What the card believes after a reset is what it finds after power was off.
            let mut twin = failing(&mut host, &ram, at, kept);
            let _ = run_steps(&mut host, &mut twin, &steps, 0);
            let mut twin = host.power_on(twin.power_off().0);
            assert_eq!(status, host.status(&mut twin), "{at} {kept}");
            let done = if status.script == script {
                usize::from(status.last)
            } else {
                0
            };
            // Going on without another reset gives what a card gives that nothing happened to.
            assert_eq!(
                run_steps(&mut host, &mut card, &steps, done),
                Ok(()),
                "{at} {kept}"
            );
            let (_, _, plain) = purse_seen(&mut host, &mut card, NEXT);
            assert_eq!((plain.seq, plain.loaded, plain.spent), (1000, 21_000, 0));
            let (left, _) = card.power_off();
            assert!(
                !left.bytes.windows(16).any(|window| window == forgotten),
                "{at} {kept}: what was dropped is erased"
            );
        }
        if !more {
            break;
        }
    }
    assert!(faults > 40, "{faults} faults");
}

#[test]
fn a_card_whose_memory_stays_broken_stays_mute() {
    let mut host = Host::new(109);
    let (ram, _) = host.active_card().power_off();
    let mut card = failing(&mut host, &ram, 1, 0);
    assert_eq!(wrong_try(&mut card), Err(StatusWord::MEMORY_FAILURE));
    let (mut ram, rng) = card.power_off();
    ram.tear = Some((ram.writes + 1, 0));
    ram.stays_lit = false;
    let mut card = card_applet::Applet::power_on(ram, rng).unwrap();
    assert_eq!(wrong_try(&mut card), Err(StatusWord::MEMORY_FAILURE));
    let select = Header::SELECT
        .command(&card_applet_spec::codes::AID, Some(0))
        .unwrap();
    card.reset();
    assert_eq!(check(&card.process(&select)), Err(StatusWord::MEMORY_FAILURE));
}
