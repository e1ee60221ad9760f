//! The card's states, doors and refusals, through APDUs only (chapters 01 to 07).
use card_applet_spec::apdu::{Header, StatusWord};
use card_applet_spec::certificate::CertificateName;
use card_applet_spec::codes::{CardState, Domain, Rights, Role};
use card_applet_spec::crypto::PrivateKey;
use card_applet_spec::data_group::{CardInfo, Dg1, SignatureObject};
use card_applet_spec::door_f::CommitBody;
use card_applet_spec::door_s::{Object, SlotObject};
use card_applet_spec::kdf;
use card_applet_spec::record::Entitlement;
use card_applet_spec::script::{ScriptKind, Step};
use card_host::{Host, Plan, check, date, ok, read_object, run_step, select, unwrap, wrong_try};

#[test]
fn a_card_is_written_checked_handed_over_blocked_and_ended() {
    let mut host = Host::new(1);
    let ram = host.blank();
    let mut card = host.power_on(ram);
    assert_eq!(
        CardInfo::parse(&select(&mut card).unwrap()).unwrap(),
        CardInfo::CURRENT
    );
    assert_eq!(
        ok(&card.process(&Header::GET_SERIAL.command(&[], Some(0)).unwrap())).unwrap(),
        host.serial.0
    );
    assert!(host.personalise(&mut card, &mut Plan::new(vec![0xAA; 3000])));
    assert_eq!(host.status(&mut card).state, CardState::Personalised);

    select(&mut card).unwrap();
    let serial = check(&card.process(&Header::GET_SERIAL.command(&[], Some(0)).unwrap()));
    assert_eq!(
        serial,
        Err(StatusWord::NOT_FOUND),
        "the serial is not for the air once the card is written"
    );

    let (rt, tap) = host.tap(&mut card, Role::Transit, card_host::KV);
    assert!(
        !host.tap_is_genuine(Role::Transit, card_host::KV, &rt, &tap),
        "dead until it is handed over"
    );

    host.short_script(&mut card, ScriptKind::Activate, [1; 16])
        .unwrap();
    for role in [Role::Transit, Role::SmallPayment, Role::Door] {
        let (rt, tap) = host.tap(&mut card, role, card_host::KV);
        assert!(host.tap_is_genuine(role, card_host::KV, &rt, &tap), "{role}");
    }
    for role in [Role::Clinic, Role::SocialInsurance] {
        let (rt, tap) = host.tap(&mut card, role, card_host::KV);
        assert!(
            !host.tap_is_genuine(role, card_host::KV, &rt, &tap),
            "{role} has no door F"
        );
    }
    host.short_script(&mut card, ScriptKind::Block, [2; 16]).unwrap();
    let (rt, tap) = host.tap(&mut card, Role::Transit, card_host::KV);
    assert!(!host.tap_is_genuine(Role::Transit, card_host::KV, &rt, &tap));
    host.short_script(&mut card, ScriptKind::Unblock, [3; 16])
        .unwrap();
    let (rt, tap) = host.tap(&mut card, Role::Transit, card_host::KV);
    assert!(host.tap_is_genuine(Role::Transit, card_host::KV, &rt, &tap));
    host.short_script(&mut card, ScriptKind::Terminate, [4; 16])
        .unwrap();
    let (ram, _) = card.power_off();
    for secret in [host.pid(Role::Transit), host.pid(Role::Clinic)] {
        assert!(
            !ram.bytes.windows(16).any(|window| window == secret),
            "nothing is left"
        );
    }
    assert!(!ram.bytes.windows(6).any(|window| window == "李娜".as_bytes()));
    let mut card = host.power_on(ram);
    select(&mut card).unwrap();
    let certificate = Header::present_certificate(0).command(&[0x7F], None).unwrap();
    assert_eq!(check(&card.process(&certificate)), Err(StatusWord::CONDITIONS));
}

#[test]
fn a_script_is_refused_where_it_does_not_belong() {
    let mut host = Host::new(2);
    let mut card = host.personalised_card();
    for kind in [ScriptKind::Personalise, ScriptKind::Unblock] {
        assert!(host.short_script(&mut card, kind, [8; 16]).is_none(), "{kind:?}");
    }
    assert_eq!(host.status(&mut card).state, CardState::Personalised);
    // FINALISE counts the steps and knows their digest.
    let mut channel = host.open_door_i(&mut card).unwrap();
    let begin = Step::Begin {
        kind: ScriptKind::Activate,
        script: [8; 16],
    }
    .encode()
    .unwrap();
    run_step(&mut channel, &mut card, 1, &begin).unwrap();
    let lie = Step::Finalise {
        count: 1,
        digest: [0; 32],
        today: date("2026-11-21"),
    }
    .encode()
    .unwrap();
    assert!(run_step(&mut channel, &mut card, 2, &lie).is_none());
    assert_eq!(host.status(&mut card).state, CardState::Personalised);
}

#[test]
fn a_personalisation_that_lacks_anything_is_not_finished() {
    for missing in 4..40 {
        let mut host = Host::new(3);
        let ram = host.blank();
        let mut card = host.power_on(ram);
        let mut plan = Plan::new(vec![0x11; 300]);
        // A first card shows how many steps there are.
        let mut other = Host::new(3);
        let ram = other.blank();
        let mut whole = other.power_on(ram);
        assert!(other.personalise(&mut whole, &mut plan));
        let steps = plan.steps.len();
        // Slots and purse may be missing (a tier without an entitlement); everything before them may not.
        if missing >= steps - 7 {
            break;
        }
        let mut channel = host.open_door_i(&mut card).unwrap();
        let mut n = 0;
        let mut publics = [[0; 64]; 3];
        for (index, step) in plan.steps[..4].iter().enumerate() {
            n += 1;
            let body = run_step(&mut channel, &mut card, n, step).unwrap();
            if index > 0 {
                publics[index - 1] = body[..].try_into().unwrap();
            }
        }
        let mut steps: Vec<Vec<u8>> = plan.steps[..4].to_vec();
        let mut refused = false;
        for (index, step) in host.content_steps(&publics, &[0x11; 300]).into_iter().enumerate() {
            if index + 4 == missing {
                continue;
            }
            n += 1;
            if run_step(&mut channel, &mut card, n, &step).is_none() {
                refused = true;
                break;
            }
            steps.push(step);
        }
        if refused {
            // A chunk in the middle was left out: its successor is refused already.
            assert_eq!(host.status(&mut card).state, CardState::Blank);
            continue;
        }
        let mut digest = card_applet_spec::script::chain_start(&plan.script);
        for (n, step) in (1..).zip(&steps) {
            digest = card_applet_spec::script::chain_next(&digest, n, step);
        }
        let finalise = Step::Finalise {
            count: n,
            digest,
            today: date("2026-11-21"),
        }
        .encode()
        .unwrap();
        assert!(
            run_step(&mut channel, &mut card, n + 1, &finalise).is_none(),
            "without step {missing}"
        );
        assert_eq!(host.status(&mut card).state, CardState::Blank);
    }
}

#[test]
fn the_same_step_again_writes_nothing_and_another_content_is_refused() {
    let mut host = Host::new(4);
    let ram = host.blank();
    let mut card = host.power_on(ram);
    let mut channel = host.open_door_i(&mut card).unwrap();
    let begin = Step::Begin {
        kind: ScriptKind::Personalise,
        script: [1; 16],
    }
    .encode()
    .unwrap();
    run_step(&mut channel, &mut card, 1, &begin).unwrap();
    run_step(&mut channel, &mut card, 1, &begin).unwrap();
    let generate = Step::Generate {
        domain: Domain::Person,
    }
    .encode()
    .unwrap();
    let public = run_step(&mut channel, &mut card, 2, &generate).unwrap();
    assert_eq!(run_step(&mut channel, &mut card, 2, &generate).unwrap(), public);
    let other = Step::Generate {
        domain: Domain::Clinic,
    }
    .encode()
    .unwrap();
    assert!(run_step(&mut channel, &mut card, 2, &other).is_none());
    // The error ended the session.
    let command = channel.wrap_command(Header::GET_STATUS, &[]).unwrap();
    assert_eq!(check(&card.process(&command)), Err(StatusWord::CONDITIONS));
}

#[test]
fn sixteen_wrong_tries_lock_door_i_and_door_s_opens_it_again() {
    let mut host = Host::new(5);
    let mut card = host.active_card();
    for _ in 0..3 {
        wrong_try(&mut card).unwrap_err();
    }
    assert_eq!(
        host.status(&mut card).failures,
        3,
        "door I tells what came before the session"
    );
    assert_eq!(host.status(&mut card).failures, 0, "a success ends the count");
    for _ in 0..20 {
        select(&mut card).unwrap();
        let command = Header::INITIALIZE_UPDATE.command(&[0; 8], Some(0)).unwrap();
        assert_eq!(ok(&card.process(&command)).unwrap().len(), 29);
        let wrong = Header::EXTERNAL_AUTHENTICATE.command(&[0; 16], None).unwrap();
        assert_eq!(check(&card.process(&wrong)), Err(StatusWord::SECURITY));
    }
    assert!(
        host.open_door_i(&mut card).is_none(),
        "the right keys do not help any more"
    );
    let (rt, tap) = host.tap(&mut card, Role::Transit, card_host::KV);
    assert!(
        host.tap_is_genuine(Role::Transit, card_host::KV, &rt, &tap),
        "the holder still takes the bus"
    );
    let (mut channel, _) = host.open_door_s(&mut card, Rights::ISSUER).unwrap();
    let command = channel.wrap_command(Header::RESET_COUNTER, &[]).unwrap();
    unwrap(&mut channel, &card.process(&command)).unwrap();
    assert_eq!(host.status(&mut card).failures, 0);
}

#[test]
fn door_s_shows_each_right_its_part_and_nothing_else() {
    let mut host = Host::new(6);
    let mut card = host.active_card();
    let (mut channel, certificate) = host.open_door_s(&mut card, Rights::role(Role::Clinic)).unwrap();
    assert_eq!(certificate.domain, Domain::Clinic);
    let slot =
        SlotObject::parse(&read_object(&mut channel, &mut card, Object::Newest(Role::Clinic)).unwrap())
            .unwrap();
    let key = kdf::record_key(&host.record, Role::Clinic, host.region, slot.kv, &slot.pid).unwrap();
    let entitlement =
        Entitlement::open(&slot.record, &key, &slot.pid, &host.entitlement_signer.public()).unwrap();
    assert!(entitlement.is_bound_to(&certificate.public64, &slot.pid));
    for object in [
        Object::Dg1,
        Object::Dg2,
        Object::Dg3,
        Object::Signature,
        Object::Serial,
        Object::Status,
    ] {
        let (mut channel, _) = host.open_door_s(&mut card, Rights::role(Role::Clinic)).unwrap();
        assert_eq!(
            read_object(&mut channel, &mut card, object),
            Err(StatusWord::SECURITY),
            "{object:?}"
        );
    }
    let (mut channel, certificate) = host.open_door_s(&mut card, Rights::IDENTITY).unwrap();
    let dg1 = read_object(&mut channel, &mut card, Object::Dg1).unwrap();
    assert_eq!(Dg1::parse(&dg1).unwrap().name, "李娜");
    let signature = read_object(&mut channel, &mut card, Object::Signature).unwrap();
    let signature = SignatureObject::parse(&signature).unwrap();
    signature
        .verify(&host.document_signer.public(), &certificate.public64)
        .unwrap();
    assert!(signature.covers(1, &dg1));
    assert_eq!(
        read_object(&mut channel, &mut card, Object::Dg2),
        Err(StatusWord::SECURITY)
    );
    // TRANSIT beside a personal right, but without VERIFY.
    let rights = Rights::IDENTITY.union(Rights::role(Role::Transit));
    let (mut channel, _) = host.open_door_s(&mut card, rights).unwrap();
    let transit = read_object(&mut channel, &mut card, Object::Newest(Role::Transit));
    assert_eq!(transit, Err(StatusWord::SECURITY));
    let two = Rights::role(Role::Clinic).union(Rights::role(Role::SocialInsurance));
    assert_eq!(
        host.open_door_s(&mut card, two).err(),
        Some(StatusWord::WRONG_DATA),
        "two departments never join"
    );
}

#[test]
fn before_hand_over_only_verify_opens_door_s() {
    let mut host = Host::new(7);
    let mut card = host.personalised_card();
    let clinic = host.open_door_s(&mut card, Rights::role(Role::Clinic)).err();
    assert_eq!(clinic, Some(StatusWord::CONDITIONS));
    assert_eq!(
        host.open_door_s(&mut card, Rights::IDENTITY).err(),
        Some(StatusWord::CONDITIONS)
    );
    let rights = Rights::VERIFY
        .union(Rights::ISSUER)
        .union(Rights::role(Role::Transit));
    let (mut channel, _) = host.open_door_s(&mut card, rights).unwrap();
    assert_eq!(
        read_object(&mut channel, &mut card, Object::Serial).unwrap(),
        host.serial.0
    );
    assert!(read_object(&mut channel, &mut card, Object::Newest(Role::Transit)).is_ok());
}

#[test]
fn certificates_that_ended_or_give_no_right_are_refused() {
    let mut host = Host::new(8);
    let mut card = host.active_card();
    let key = PrivateKey::generate(&mut host.rng);
    let clinic = Rights::role(Role::Clinic);
    let good = host.intermediate(Rights::ALL, "2026-11-01", "2027-11-01");
    let mut attempt = |host: &mut Host, intermediate: &[u8], rights, effective, expiry, ask| {
        let leaf = host.leaf(&key, rights, effective, expiry);
        host.open_door_s_with(&mut card, ask, intermediate, &leaf, &key)
            .err()
    };
    // FINALISE put the floor at 2026-11-21.
    let ended = attempt(&mut host, &good, clinic, "2026-11-10", "2026-11-16", clinic);
    assert_eq!(ended, Some(StatusWord::ENDED));
    let long = attempt(&mut host, &good, clinic, "2026-11-20", "2026-11-28", clinic);
    assert_eq!(long, Some(StatusWord::WRONG_DATA), "8 days");
    assert_eq!(
        attempt(&mut host, &good, clinic, "2026-11-20", "2026-11-27", clinic),
        None,
        "7 days"
    );
    let empty = attempt(&mut host, &good, Rights::NONE, "2026-11-20", "2026-11-25", clinic);
    assert_eq!(empty, Some(StatusWord::WRONG_DATA));
    let more = attempt(
        &mut host,
        &good,
        clinic,
        "2026-11-20",
        "2026-11-25",
        Rights::IDENTITY,
    );
    assert_eq!(
        more,
        Some(StatusWord::SECURITY),
        "asks for more than the leaf has"
    );
    let nothing = attempt(&mut host, &good, clinic, "2026-11-20", "2026-11-25", Rights::NONE);
    assert_eq!(nothing, Some(StatusWord::SECURITY));
    let narrow = host.intermediate(Rights::IDENTITY, "2026-11-01", "2027-11-01");
    let disjoint = attempt(&mut host, &narrow, clinic, "2026-11-20", "2026-11-25", clinic);
    assert_eq!(
        disjoint,
        Some(StatusWord::WRONG_DATA),
        "rights are ANDed over the chain"
    );
    let old = host.intermediate(Rights::ALL, "2025-11-01", "2026-11-20");
    assert_eq!(
        attempt(&mut host, &old, clinic, "2026-11-20", "2026-11-25", clinic),
        Some(StatusWord::ENDED)
    );
    let stranger = Host::new(99).intermediate(Rights::ALL, "2026-11-01", "2027-11-01");
    assert_eq!(
        attempt(&mut host, &stranger, clinic, "2026-11-20", "2026-11-25", clinic),
        Some(StatusWord::SECURITY)
    );
    // A later intermediate moves the floor: what ended before it began is refused from then on.
    let later = host.intermediate(Rights::ALL, "2026-12-10", "2027-11-01");
    assert_eq!(
        attempt(&mut host, &later, clinic, "2026-12-09", "2026-12-12", clinic),
        None
    );
    let before = attempt(&mut host, &good, clinic, "2026-12-01", "2026-12-05", clinic);
    assert_eq!(before, Some(StatusWord::ENDED));
    // So does an epoch.
    let first_name = host.intermediate_name;
    host.intermediate_name = CertificateName::new("YZTCA", 2, 1);
    let second = host.intermediate(Rights::ALL, "2026-12-10", "2027-11-01");
    assert_eq!(
        attempt(&mut host, &second, clinic, "2026-12-12", "2026-12-15", clinic),
        None
    );
    host.intermediate_name = first_name;
    assert_eq!(
        attempt(&mut host, &later, clinic, "2026-12-12", "2026-12-15", clinic),
        Some(StatusWord::ENDED)
    );
}

/// Shows certificates at S1; gives each answer.
fn show(card: &mut card_host::Card, certificates: &[&[u8]]) -> Vec<Option<StatusWord>> {
    select(card).unwrap();
    let show = |(place, certificate): (u8, &&[u8])| {
        let command = Header::present_certificate(place)
            .command(certificate, None)
            .unwrap();
        check(&card.process(&command)).err()
    };
    (0..).zip(certificates).map(show).collect()
}

#[test]
fn collected_certificates_neither_move_nor_show_the_floor() {
    let mut host = Host::new(15);
    let mut card = host.active_card();
    let good = host.intermediate(Rights::ALL, "2026-11-01", "2027-11-01");
    let key = PrivateKey::generate(&mut host.rng);
    let before = host.status(&mut card);
    // FINALISE put the floor at 2026-11-21: leaves on both sides of it are answered alike.
    for end in ["2026-11-19", "2026-11-20", "2026-11-21", "2026-11-22"] {
        let leaf = host.leaf(&key, Rights::IDENTITY, "2026-11-16", end);
        assert_eq!(show(&mut card, &[&good, &leaf]), [None, None], "{end}");
    }
    let ended = host.intermediate(Rights::ALL, "2025-11-01", "2026-11-20");
    assert_eq!(show(&mut card, &[&ended]), [None]);
    // Next year's intermediate, under a later epoch.
    let name = host.intermediate_name;
    host.intermediate_name = CertificateName::new("YZTCA", 9, 1);
    let future = host.intermediate(Rights::ALL, "2027-06-01", "2028-11-01");
    let leaf = host.leaf(&key, Rights::IDENTITY, "2027-06-01", "2027-06-05");
    assert_eq!(show(&mut card, &[&future, &leaf]), [None, None]);
    // With a wrong signature at AGREE nothing moves either.
    let wrong = PrivateKey::generate(&mut host.rng);
    let refused = host.open_door_s_with(&mut card, Rights::IDENTITY, &future, &leaf, &wrong);
    assert_eq!(refused.err(), Some(StatusWord::SECURITY));
    host.intermediate_name = name;
    let after = host.status(&mut card);
    assert_eq!((before.floor, before.epoch), (after.floor, after.epoch));
    assert!(
        host.open_door_s(&mut card, Rights::IDENTITY).is_ok(),
        "door S still opens"
    );
}

#[test]
fn a_card_that_slept_five_years_with_door_i_locked_is_read_and_mended_and_a_chain_of_2095_moves_nothing() {
    let mut host = Host::new(18);
    let mut card = host.active_card();
    let before = host.status(&mut card);
    let key = PrivateKey::generate(&mut host.rng);
    for _ in 0..16 {
        wrong_try(&mut card).unwrap_err();
    }
    // A vault whose clock was wrong for an hour; its epoch is as wrong.
    let name = std::mem::replace(
        &mut host.intermediate_name,
        CertificateName::new("YZTCA", 0x7FFF, 1),
    );
    let wrong = host.intermediate(Rights::ALL, "2095-01-01", "2096-01-01");
    let leaf = host.leaf(&key, Rights::ALL, "2095-01-01", "2095-01-07");
    let opened = host.open_door_s_with(&mut card, Rights::role(Role::Clinic), &wrong, &leaf, &key);
    let (mut channel, _) = opened.unwrap();
    assert!(read_object(&mut channel, &mut card, Object::Newest(Role::Clinic)).is_ok());
    host.intermediate_name = name;
    assert!(
        host.open_door_s(&mut card, Rights::IDENTITY).is_ok(),
        "honest terminals of the card's own day still read it"
    );
    // Five years later.
    let honest = host.intermediate(Rights::ALL, "2031-11-01", "2032-11-01");
    let leaf = host.leaf(&key, Rights::ALL, "2031-11-20", "2031-11-26");
    for rights in [Rights::IDENTITY, Rights::role(Role::Clinic), Rights::VERIFY] {
        assert!(
            host.open_door_s_with(&mut card, rights, &honest, &leaf, &key)
                .is_ok(),
            "{rights:?}"
        );
    }
    assert!(host.open_door_i(&mut card).is_none(), "it is still locked");
    let (mut channel, _) = host
        .open_door_s_with(&mut card, Rights::ISSUER, &honest, &leaf, &key)
        .unwrap();
    let command = channel.wrap_command(Header::RESET_COUNTER, &[]).unwrap();
    unwrap(&mut channel, &card.process(&command)).unwrap();
    let after = host.status(&mut card);
    assert_eq!((after.floor, after.epoch), (before.floor, before.epoch));
    // A chain 400 days ahead is followed, one of 401 is not.
    assert_eq!(before.floor, date("2026-11-21"));
    for (first, last, floor) in [
        ("2027-12-27", "2027-12-31", "2026-11-21"),
        ("2027-12-26", "2027-12-31", "2027-12-26"),
    ] {
        let chain = host.intermediate(Rights::ALL, first, "2032-11-01");
        let leaf = host.leaf(&key, Rights::ALL, first, last);
        host.open_door_s_with(&mut card, Rights::VERIFY, &chain, &leaf, &key)
            .unwrap();
        assert_eq!(host.status(&mut card).floor, date(floor), "{first}");
    }
}

#[test]
fn a_refused_agreement_moves_nothing() {
    let mut host = Host::new(16);
    let mut card = host.personalised_card();
    let key = PrivateKey::generate(&mut host.rng);
    let before = host.status(&mut card);
    let later = host.intermediate(Rights::ALL, "2026-12-10", "2027-11-01");
    // A leaf that ended before its intermediate began.
    let old = host.leaf(&key, Rights::ALL, "2026-12-05", "2026-12-09");
    let refused = host.open_door_s_with(&mut card, Rights::VERIFY, &later, &old, &key);
    assert_eq!(refused.err(), Some(StatusWord::ENDED));
    // A right that the card's state does not serve.
    let leaf = host.leaf(&key, Rights::ALL, "2026-12-10", "2026-12-15");
    let refused = host.open_door_s_with(&mut card, Rights::IDENTITY, &later, &leaf, &key);
    assert_eq!(refused.err(), Some(StatusWord::CONDITIONS));
    let after = host.status(&mut card);
    assert_eq!((before.floor, before.epoch), (after.floor, after.epoch));
}

#[test]
fn agree_is_judged_in_the_order_of_chapter_07() {
    let mut host = Host::new(17);
    let mut card = host.active_card();
    let intermediate = host.intermediate(Rights::ALL, "2026-11-01", "2027-11-01");
    let key = PrivateKey::generate(&mut host.rng);
    let leaf = host.leaf(&key, Rights::ALL, "2026-11-20", "2026-11-25");
    for (length, suite, challenge, rights, expected) in [
        (133, 2, false, [0, 0, 0, 0], StatusWord::WRONG_LENGTH),
        (134, 2, false, [0, 0, 0, 0], StatusWord::WRONG_DATA),
        (134, 1, false, [0, 0, 0, 0], StatusWord::CONDITIONS),
        (134, 1, true, [0, 0, 0, 0], StatusWord::SECURITY),
        (134, 1, true, [0x80, 0, 0, 1], StatusWord::SECURITY),
        (134, 1, true, [0, 0, 0x0A, 0], StatusWord::WRONG_DATA),
        (134, 1, true, [0, 0, 0, 1], StatusWord::SECURITY),
    ] {
        assert_eq!(show(&mut card, &[&intermediate, &leaf]), [None, None]);
        if challenge {
            ok(&card.process(&Header::GET_CHALLENGE.command(&[], Some(16)).unwrap())).unwrap();
        }
        let mut data = vec![suite];
        data.extend(rights);
        data.resize(length, 4);
        let answer = card.process(&Header::AGREE.command(&data, Some(0)).unwrap());
        assert_eq!(
            check(&answer),
            Err(expected),
            "{length} {suite} {challenge} {rights:?}"
        );
    }
}

#[test]
fn a_challenge_serves_one_agreement() {
    let mut host = Host::new(9);
    let mut card = host.active_card();
    let intermediate = host.intermediate(Rights::ALL, "2026-11-01", "2027-11-01");
    let key = PrivateKey::generate(&mut host.rng);
    let leaf = host.leaf(&key, Rights::ALL, "2026-11-20", "2026-11-25");
    select(&mut card).unwrap();
    for (place, certificate) in [(0, &intermediate), (1, &leaf)] {
        ok(&card.process(
            &Header::present_certificate(place)
                .command(certificate, None)
                .unwrap(),
        ))
        .unwrap();
    }
    let ephemeral = PrivateKey::generate(&mut host.rng);
    let sign = |host: &mut Host, challenge: &[u8; 16]| {
        let rights = Rights::role(Role::Clinic);
        let agree = card_applet_spec::door_s::Agree::sign(
            rights,
            &ephemeral.public(),
            challenge,
            &leaf,
            &key,
            &mut host.rng,
        );
        Header::AGREE
            .command(&agree.unwrap().encode().unwrap(), Some(0))
            .unwrap()
    };
    let before = sign(&mut host, &[0; 16]);
    assert_eq!(
        check(&card.process(&before)),
        Err(StatusWord::CONDITIONS),
        "no challenge yet"
    );
    select(&mut card).unwrap();
    for (place, certificate) in [(0, &intermediate), (1, &leaf)] {
        ok(&card.process(
            &Header::present_certificate(place)
                .command(certificate, None)
                .unwrap(),
        ))
        .unwrap();
    }
    let challenge = ok(&card.process(&Header::GET_CHALLENGE.command(&[], Some(16)).unwrap())).unwrap();
    let agree = sign(&mut host, &challenge[..].try_into().unwrap());
    ok(&card.process(&agree)).unwrap();
    assert_eq!(
        check(&card.process(&agree)),
        Err(StatusWord::CONDITIONS),
        "replayed"
    );
}

#[test]
fn one_door_inside_another_is_refused_and_ends_the_session() {
    let mut host = Host::new(11);
    let mut card = host.active_card();
    let tap = card_applet_spec::door_f::tap_command(1, card_host::KV, &[0; 16]).unwrap();
    let mut channel = host.open_door_i(&mut card).unwrap();
    assert_eq!(check(&card.process(&tap)), Err(StatusWord::CONDITIONS));
    let command = channel.wrap_command(Header::GET_STATUS, &[]).unwrap();
    assert_eq!(check(&card.process(&command)), Err(StatusWord::CONDITIONS));
    let (mut channel, _) = host.open_door_s(&mut card, Rights::IDENTITY).unwrap();
    assert_eq!(check(&card.process(&tap)), Err(StatusWord::CONDITIONS));
    let command = channel.wrap_command(Header::read_object(1), &[0, 0, 10]).unwrap();
    assert_eq!(check(&card.process(&command)), Err(StatusWord::CONDITIONS));
    card.reset();
    assert_eq!(
        check(&card.process(&tap)),
        Err(StatusWord::CONDITIONS),
        "nothing is selected after a reset"
    );
}

#[test]
fn a_purse_pays_once_and_never_more_than_it_holds() {
    let mut host = Host::new(13);
    let mut card = host.active_card();
    let mut spent = 0;
    let mut pay = |host: &mut Host, amount: u32, txno: [u8; 8]| {
        let role = Role::SmallPayment;
        let (rt, tap) = host.tap(&mut card, role, card_host::KV);
        let g = kdf::group_key(&host.group, role, host.region, card_host::KV, 77).unwrap();
        let plain = tap.open(&g).unwrap();
        assert_eq!((plain.loaded, plain.spent), (20_000, spent));
        let m = kdf::tap_key(&host.tap, role, host.region, card_host::KV, &plain.pid).unwrap();
        let body = CommitBody {
            amount,
            tid: 42,
            txno,
            time: 848_000_000,
            kind: 1,
        };
        let mac = body
            .mac(&m, 3, card_host::KV, &rt, &tap.card_challenge, plain.seq)
            .unwrap();
        let data = [&body.encode().unwrap()[..], &mac].concat();
        let answer = card.process(&Header::commit(3, card_host::KV).command(&data, Some(25)).unwrap());
        let answer = check(&answer)?;
        let seq = if answer[0] == 0 { plain.seq + 1 } else { plain.seq };
        if answer[0] == 0 {
            spent += amount;
        }
        let tac: [u8; 8] = answer[1..9].try_into().unwrap();
        let ktac = kdf::tac_key(&host.tac, role, card_host::KV, &plain.pid).unwrap();
        assert_eq!(
            tac,
            body.tac(&ktac, 3, card_host::KV, &plain.pid, seq, 20_000, spent)
                .unwrap()
        );
        let proof = body
            .proof(
                &m,
                3,
                card_host::KV,
                &rt,
                &tap.card_challenge,
                answer[0],
                seq,
                spent,
                &tac,
            )
            .unwrap();
        assert_eq!(answer[9..], proof);
        Ok::<u8, StatusWord>(answer[0])
    };
    assert_eq!(pay(&mut host, 9_000, [1; 8]), Ok(0));
    assert_eq!(pay(&mut host, 9_000, [1; 8]), Ok(1), "the same again is the same");
    assert_eq!(
        pay(&mut host, 8_000, [1; 8]),
        Err(StatusWord::CONDITIONS),
        "the same number for another amount"
    );
    assert_eq!(
        pay(&mut host, 10_001, [2; 8]),
        Err(StatusWord::CONDITIONS),
        "above the cap"
    );
    assert_eq!(pay(&mut host, 9_000, [3; 8]), Ok(0));
    assert_eq!(
        pay(&mut host, 2_001, [4; 8]),
        Err(StatusWord::CONDITIONS),
        "above the balance"
    );
    assert_eq!(pay(&mut host, 2_000, [5; 8]), Ok(0));
    assert_eq!(pay(&mut host, 1, [6; 8]), Err(StatusWord::CONDITIONS), "empty");
}
