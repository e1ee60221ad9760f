//! Cards through the issuer's hands: a whole life, cuts at every command, flips in every answer, a vault that dies in
//! the middle, wrong cards, orders that do not allow it.

use card_applet_spec::codes::Serial;
use jiff::SignedDuration;
use jiff::civil::date;
use keyvault_protocol::{
    CardContent, CardState, CardTask, Domain, RefusalCode, Role, Script, TaskKind, Tier,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use virtual_card::chip::{Chip, Foreign};

use super::support::*;

#[tokio::test]
async fn a_card_is_written_activated_blocked_unblocked_and_ended() {
    let installation = Installation::new(1).await;
    let mut cards = installation.blanks(1).await;
    let card = &mut cards[0];
    let mut client = installation.client().await;
    let session = client.open_order(&installation.signed(1, 1)).await.unwrap();

    let blank = run(&mut client, &session, 0, card, CardTask::Inspect, Mishap::None)
        .await
        .0
        .unwrap();
    assert_eq!(blank.state, CardState::Blank);
    let (result, commands) = run(&mut client, &session, 0, card, personalise(1), Mishap::None).await;
    let result = result.unwrap();
    assert_eq!(result.state, CardState::Personalised);
    assert_eq!(result.last_step, result.steps);
    // SELECT, INITIALIZE UPDATE, EXTERNAL AUTHENTICATE and the steps: nothing is sent that need not be.
    assert_eq!(commands, usize::from(result.steps) + 3);
    assert_eq!(
        result.keys.iter().map(|key| key.domain).collect::<Vec<_>>(),
        Domain::ALL
    );
    assert_eq!(
        result.slots.iter().map(|slot| slot.role).collect::<Vec<_>>(),
        Role::ALL
    );

    // Again: the same card, the same keys, nothing written.
    card.reset();
    let again = run(&mut client, &session, 0, card, personalise(1), Mishap::None)
        .await
        .0
        .unwrap();
    assert_eq!(again, result);

    let today = jiff::civil::date(2026, 11, 21);
    let tomorrow = CardTask::Activate {
        date: jiff::civil::date(2026, 11, 22),
    };
    card.reset();
    let (refused, sent) = run(&mut client, &session, 0, card, tomorrow, Mishap::None).await;
    assert!(refused.unwrap_err().is(RefusalCode::BadContent) && sent == 0);
    for (task, state) in [
        (CardTask::Activate { date: today }, CardState::Active),
        (CardTask::Activate { date: today }, CardState::Active),
        (CardTask::Block, CardState::Blocked),
        (CardTask::Block, CardState::Blocked),
        (CardTask::Unblock, CardState::Active),
    ] {
        card.reset();
        let result = run(&mut client, &session, 0, card, task.clone(), Mishap::None)
            .await
            .0
            .unwrap();
        assert_eq!(result.state, state, "{task:?}");
    }
    // What is active is not activated from another state, and an ended card answers nothing more.
    card.reset();
    let ended = run(&mut client, &session, 0, card, CardTask::Terminate, Mishap::None)
        .await
        .0
        .unwrap();
    assert_eq!(ended.state, CardState::Terminated);
    card.reset();
    let error = run(&mut client, &session, 0, card, CardTask::Block, Mishap::None)
        .await
        .0
        .unwrap_err();
    assert_eq!(error.exit_code(), 1, "{error}");
}

#[tokio::test]
async fn a_blocked_card_cannot_be_activated_by_a_hand_over() {
    let installation = Installation::new(2).await;
    let mut cards = installation.blanks(1).await;
    let card = &mut cards[0];
    let mut client = installation.client().await;
    let session = client.open_order(&installation.signed(1, 1)).await.unwrap();
    let date = jiff::civil::date(2026, 11, 21);
    run(&mut client, &session, 0, card, personalise(1), Mishap::None)
        .await
        .0
        .unwrap();
    card.reset();
    run(&mut client, &session, 0, card, CardTask::Block, Mishap::None)
        .await
        .0
        .unwrap();
    card.reset();
    let refused = run(
        &mut client,
        &session,
        0,
        card,
        CardTask::Activate { date },
        Mishap::None,
    )
    .await
    .0;
    let error = refused.unwrap_err();
    assert!(error.is(RefusalCode::CardState), "{error}");
    assert!(error.to_string().contains("BLOCKED"));
    assert_eq!(
        inspect(&mut client, &session, card).await.state,
        CardState::Blocked
    );
}

#[tokio::test]
async fn a_card_pulled_at_any_command_is_finished_by_a_second_run() {
    let installation = Installation::new(3).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(140).await;
    let session = client.open_order(&installation.signed(1, 140)).await.unwrap();
    let (first, commands) = run(
        &mut client,
        &session,
        0,
        &mut cards[0],
        personalise(0),
        Mishap::None,
    )
    .await;
    let steps = first.unwrap().steps;
    assert!(commands * 2 < 140, "{commands}");
    let mishaps = (0..commands).flat_map(|n| [Mishap::BeforeCommand(n), Mishap::BeforeAnswer(n)]);
    for (index, mishap) in (1u32..).zip(mishaps) {
        let card = &mut cards[index as usize];
        let salt = u8::try_from(index).unwrap();
        let (outcome, _) = run(&mut client, &session, index, card, personalise(salt), mishap).await;
        let error = outcome.unwrap_err();
        assert!(error.is(RefusalCode::CardRefused), "{mishap:?}: {error}");
        assert_eq!(
            error.exit_code(),
            4,
            "the outcome is unknown, and the code says so"
        );
        card.reset();
        let (outcome, _) = run(
            &mut client,
            &session,
            index,
            card,
            personalise(salt),
            Mishap::None,
        )
        .await;
        let result = outcome.unwrap_or_else(|error| panic!("{mishap:?}: {error}"));
        assert_eq!(
            (result.state, result.steps),
            (CardState::Personalised, steps),
            "{mishap:?}"
        );
        assert_eq!((result.keys.len(), result.slots.len()), (3, 5), "{mishap:?}");
    }
}

#[tokio::test]
async fn a_card_that_is_cut_again_and_again_is_finished_in_the_end() {
    let installation = Installation::new(4).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(1).await;
    let session = client.open_order(&installation.signed(1, 1)).await.unwrap();
    let mut attempts = 0;
    let result = loop {
        attempts += 1;
        assert!(attempts < 60);
        cards[0].reset();
        // Each attempt gets five commands further; every third answer before the cut is lost with the card.
        let mishap = if attempts % 3 == 0 {
            Mishap::BeforeAnswer(8)
        } else {
            Mishap::BeforeCommand(8)
        };
        let (outcome, _) = run(&mut client, &session, 0, &mut cards[0], personalise(1), mishap).await;
        match outcome {
            Ok(result) => break result,
            Err(error) => assert!(error.is(RefusalCode::CardRefused), "{error}"),
        }
    };
    assert!(attempts > 5);
    assert_eq!(result.state, CardState::Personalised);
}

#[tokio::test]
async fn a_vault_that_dies_between_two_batches_goes_on_where_it_was() {
    let mut installation = Installation::new(5).await;
    let mut cards = installation.blanks(4).await;
    for (index, commands) in [(0u32, 2usize), (1, 20), (2, 40), (3, 43)] {
        let card = &mut cards[index as usize];
        let salt = u8::try_from(index).unwrap();
        let mut client = installation.client().await;
        let session = client.open_order(&installation.signed(1, 4)).await.unwrap();
        let mishap = Mishap::BeforeCommand(commands);
        run(&mut client, &session, index, card, personalise(salt), mishap)
            .await
            .0
            .unwrap_err();
        installation.restart(u64::from(50 + index)).await;
        card.reset();
        let mut client = installation.client().await;
        let session = client.open_order(&installation.signed(1, 4)).await.unwrap();
        // The session died with the process: the vault says so, and a new start goes on.
        let stale = client
            .continue_card(&session, index, Vec::new())
            .await
            .unwrap_err();
        assert!(stale.is(RefusalCode::NoCardSession));
        let result = run(
            &mut client,
            &session,
            index,
            card,
            personalise(salt),
            Mishap::None,
        )
        .await
        .0
        .unwrap();
        assert_eq!(result.state, CardState::Personalised);
    }
}

#[tokio::test]
async fn a_flipped_bit_in_any_answer_never_passes() {
    let installation = Installation::new(6).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(70).await;
    let session = client.open_order(&installation.signed(1, 70)).await.unwrap();
    let (_, commands) = run(
        &mut client,
        &session,
        0,
        &mut cards[0],
        personalise(0),
        Mishap::None,
    )
    .await;
    for n in 0..commands {
        let index = u32::try_from(n + 1).unwrap();
        let card = &mut cards[n + 1];
        // A bit of each answer, spread over body, MAC and status word. SELECT's answer is the same for everybody and
        // carries no secret; a flip that leaves it well-formed is no attack.
        let bit = n * 37 + 5;
        let (outcome, sent) = run(
            &mut client,
            &session,
            index,
            card,
            personalise(1),
            Mishap::FlipAnswer(n, bit),
        )
        .await;
        if n == 0 && outcome.is_ok() {
            continue;
        }
        // EXTERNAL AUTHENTICATE's answer has no MAC; all that can be flipped is its status, which stops the script.
        let error = outcome.unwrap_err();
        assert!(
            error.is(RefusalCode::CardRefused) || error.is(RefusalCode::CardNotGenuine),
            "answer {n} of {sent}: {error}"
        );
        card.reset();
        let result = run(&mut client, &session, index, card, personalise(1), Mishap::None)
            .await
            .0
            .unwrap();
        assert_eq!(result.state, CardState::Personalised, "answer {n}");
    }
}

#[tokio::test]
async fn a_card_swapped_between_two_steps_gets_nothing() {
    let installation = Installation::new(7).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(2).await;
    let session = client.open_order(&installation.signed(1, 2)).await.unwrap();
    let mut other = cards.pop().unwrap();
    let mut card = cards.pop().unwrap();
    let before = other.memory.image();
    let serial = card.serial;
    run(
        &mut client,
        &session,
        0,
        &mut card,
        personalise(1),
        Mishap::BeforeCommand(20),
    )
    .await
    .0
    .unwrap_err();
    // Another blank of the same lot lies on the reader; the issuer still names the first one's serial.
    other.serial = serial;
    let error = run(&mut client, &session, 0, &mut other, personalise(1), Mishap::None)
        .await
        .0
        .unwrap_err();
    assert!(error.is(RefusalCode::CardNotGenuine), "{error}");
    assert_eq!(other.memory.image(), before);
    // Named by its own serial it is not this index's card.
    other.serial = Serial([0x44, 0x03, 0, 0, 0, 1, 0, 0, 0, 2]);
    let error = run(&mut client, &session, 0, &mut other, personalise(1), Mishap::None)
        .await
        .0
        .unwrap_err();
    assert!(error.is(RefusalCode::CardConflict), "{error}");
    card.reset();
    run(&mut client, &session, 0, &mut card, personalise(1), Mishap::None)
        .await
        .0
        .unwrap();
}

#[tokio::test]
async fn a_foreign_card_and_a_card_of_an_unknown_lot_are_not_genuine() {
    let installation = Installation::new(8).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(1).await;
    let session = client.open_order(&installation.signed(1, 2)).await.unwrap();
    let mut foreign = Foreign;
    foreign.power_on();
    let script = client
        .start_card(&session, 0, cards[0].serial, CardTask::Inspect)
        .await
        .unwrap();
    let Script::Send { commands } = script else {
        panic!("nothing to send")
    };
    let answers = vec![foreign.process(&commands[0]).unwrap()];
    let error = client.continue_card(&session, 0, answers).await.unwrap_err();
    assert!(error.is(RefusalCode::CardNotGenuine), "{error}");
    // A lot that the vault never made keys for.
    cards[0].serial.0[5] = 9;
    let error = run(
        &mut client,
        &session,
        0,
        &mut cards[0],
        personalise(1),
        Mishap::None,
    )
    .await
    .0
    .unwrap_err();
    assert!(error.is(RefusalCode::CardNotGenuine), "{error}");
}

#[tokio::test]
async fn an_order_is_kept_to_the_letter() {
    let installation = Installation::new(9).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(3).await;
    let refused = |result: Result<_, keyvault_protocol::Error>, code| {
        let error = Result::<keyvault_protocol::OrderSession, _>::unwrap_err(result);
        assert!(error.is(code), "{error}");
    };

    let mut rng = StdRng::seed_from_u64(99);
    let stranger = p256::ecdsa::SigningKey::from(&keyvault_protocol::sealed::fresh_key(&mut rng));
    let signed = installation.order(1, 1).sign(&stranger).unwrap();
    refused(client.open_order(&signed).await, RefusalCode::OrderNotSigned);
    let mut order = installation.order(1, 1);
    order.issuer = "nobody".into();
    refused(
        client
            .open_order(&order.sign(&installation.issuer).unwrap())
            .await,
        RefusalCode::UnknownIssuer,
    );
    let mut order = installation.order(1, 1);
    order.until = order
        .from
        .checked_add(SignedDuration::from_hours(31 * 24))
        .unwrap();
    refused(
        client
            .open_order(&order.sign(&installation.issuer).unwrap())
            .await,
        RefusalCode::BadContent,
    );

    let mut order = installation.order(1, 1);
    order.tasks = vec![TaskKind::Personalise];
    let session = client
        .open_order(&order.sign(&installation.issuer).unwrap())
        .await
        .unwrap();
    // The same order again is the same session; another one under its number is refused.
    assert_eq!(
        client
            .open_order(&order.sign(&installation.issuer).unwrap())
            .await
            .unwrap(),
        session
    );
    order.cards = 2;
    refused(
        client
            .open_order(&order.sign(&installation.issuer).unwrap())
            .await,
        RefusalCode::OrderConflict,
    );

    let today = jiff::civil::date(2026, 11, 21);
    let mut expect = async |index, card: &mut TestCard, task, code| {
        let (outcome, sent) = run(&mut client, &session, index, card, task, Mishap::None).await;
        let error = outcome.unwrap_err();
        assert!(error.is(code), "{error}");
        assert_eq!(sent, 0, "the card was touched");
    };
    expect(
        0,
        &mut cards[0],
        CardTask::Activate { date: today },
        RefusalCode::TaskNotOrdered,
    )
    .await;
    expect(1, &mut cards[1], personalise(1), RefusalCode::QuotaUsed).await;
    let mut bad = content(1);
    bad.dg1.push(0);
    expect(
        0,
        &mut cards[0],
        CardTask::Personalise(Box::new(bad)),
        RefusalCode::BadContent,
    )
    .await;
    let mut bad = content(1);
    bad.entitlements[1].role = Role::Transit;
    expect(
        0,
        &mut cards[0],
        CardTask::Personalise(Box::new(bad)),
        RefusalCode::BadContent,
    )
    .await;

    let mut client = installation.client().await;
    run(
        &mut client,
        &session,
        0,
        &mut cards[0],
        personalise(1),
        Mishap::BeforeCommand(9),
    )
    .await
    .0
    .unwrap_err();
    let mut expect = async |card: &mut TestCard, task, code| {
        let (outcome, sent) = run(&mut client, &session, 0, card, task, Mishap::None).await;
        let error = outcome.unwrap_err();
        assert!(error.is(code), "{error}");
        assert_eq!(sent, 0, "the card was touched");
    };
    expect(&mut cards[0], personalise(2), RefusalCode::CardConflict).await;
    expect(&mut cards[1], personalise(1), RefusalCode::CardConflict).await;
    installation.clock.advance(SignedDuration::from_hours(25));
    expect(&mut cards[0], personalise(1), RefusalCode::OrderExpired).await;
}

#[tokio::test]
async fn an_abandoned_blank_may_be_taken_over_and_a_finished_card_may_not() {
    let installation = Installation::new(10).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(1).await;
    let card = &mut cards[0];
    let one = client.open_order(&installation.signed(1, 1)).await.unwrap();
    let two = client.open_order(&installation.signed(2, 1)).await.unwrap();
    let three = client.open_order(&installation.signed(3, 1)).await.unwrap();
    run(
        &mut client,
        &one,
        0,
        card,
        personalise(1),
        Mishap::BeforeCommand(30),
    )
    .await
    .0
    .unwrap_err();
    card.reset();
    run(&mut client, &two, 0, card, personalise(2), Mishap::None)
        .await
        .0
        .unwrap();
    for session in [&one, &three] {
        card.reset();
        let error = run(&mut client, session, 0, card, personalise(1), Mishap::None)
            .await
            .0
            .unwrap_err();
        assert!(error.is(RefusalCode::CardConflict), "{error}");
    }
}

#[tokio::test]
async fn a_blank_that_came_back_from_before_a_finished_personalisation_is_not_written_again() {
    let installation = Installation::new(11).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(1).await;
    let session = client.open_order(&installation.signed(1, 1)).await.unwrap();
    let mut earlier = cards[0].copy();
    run(
        &mut client,
        &session,
        0,
        &mut cards[0],
        personalise(1),
        Mishap::None,
    )
    .await
    .0
    .unwrap();
    let error = run(
        &mut client,
        &session,
        0,
        &mut earlier,
        personalise(1),
        Mishap::None,
    )
    .await
    .0
    .unwrap_err();
    assert!(error.is(RefusalCode::CardNotGenuine), "{error}");
    // Nor does another order speak to it.
    let other = client.open_order(&installation.signed(2, 1)).await.unwrap();
    earlier.reset();
    let image = earlier.memory.image();
    let (seen, _) = run(
        &mut client,
        &other,
        0,
        &mut earlier,
        CardTask::Inspect,
        Mishap::None,
    )
    .await;
    assert!(seen.unwrap_err().is(RefusalCode::CardNotGenuine));
    assert_eq!(earlier.memory.image(), image, "not one step went to it");
}

#[tokio::test]
async fn a_vault_that_is_sealed_in_the_middle_goes_on_when_it_is_open_again() {
    let installation = Installation::new(12).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(1).await;
    let card = &mut cards[0];
    let session = client.open_order(&installation.signed(1, 1)).await.unwrap();
    run(
        &mut client,
        &session,
        0,
        card,
        personalise(1),
        Mishap::BeforeCommand(25),
    )
    .await
    .0
    .unwrap_err();
    card.reset();
    let Script::Send { commands } = client
        .start_card(&session, 0, card.serial, for_card(card.serial, personalise(1)))
        .await
        .unwrap()
    else {
        panic!("nothing to send");
    };
    let answers = commands
        .iter()
        .map(|command| card.chip.process(command).unwrap())
        .collect();
    let wang = &installation.envelopes[1];
    let wang = wang.open(scratch_vault::passphrase("wang").as_bytes()).unwrap();
    let mut custodian = scratch_vault::connect_custodian(&installation.vault, &wang)
        .await
        .unwrap();
    custodian.seal().await.unwrap();
    let error = client.continue_card(&session, 0, answers).await.unwrap_err();
    assert!(error.is(RefusalCode::Sealed), "{error}");
    installation.unseal().await;
    card.reset();
    let result = run(&mut client, &session, 0, card, personalise(1), Mishap::None)
        .await
        .0
        .unwrap();
    assert_eq!(result.state, CardState::Personalised);
}

#[tokio::test]
async fn the_intent_is_durable_before_the_first_step_leaves_and_the_outcome_follows() {
    let installation = Installation::new(13).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(1).await;
    let card = &mut cards[0];
    let session = client.open_order(&installation.signed(1, 1)).await.unwrap();
    let started = client
        .start_card(&session, 0, card.serial, for_card(card.serial, personalise(1)))
        .await
        .unwrap();
    let Script::Send { commands } = started else {
        panic!("nothing to send")
    };
    assert_eq!(commands.len(), 2, "SELECT and INITIALIZE UPDATE only");
    assert!(
        !installation
            .journal()
            .await
            .iter()
            .any(|kind| kind == "card-intent")
    );
    let answers = commands
        .iter()
        .map(|command| card.chip.process(command).unwrap())
        .collect();
    let steps = client.continue_card(&session, 0, answers).await.unwrap();
    assert!(matches!(steps, Script::Send { .. }));
    assert_eq!(installation.journal().await.last().unwrap(), "card-intent");
    card.reset();
    run(&mut client, &session, 0, card, personalise(1), Mishap::None)
        .await
        .0
        .unwrap();
    assert_eq!(installation.journal().await.last().unwrap(), "card-outcome");

    // A name, an address or a citizen number is neither in the store nor in the journal, sealed or not.
    for entry in std::fs::read_dir(installation.folder.path().join("vault")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for personal in ["王小明", "11010519491231002X", "岳麓区", "南山区"] {
            assert!(
                !bytes
                    .windows(personal.len())
                    .any(|window| window == personal.as_bytes()),
                "{personal}"
            );
        }
    }
}

#[tokio::test]
async fn bytes_of_the_callers_choice_are_refused_before_anything_is_signed_or_derived() {
    let installation = Installation::new(14).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(1).await;
    let session = client.open_order(&installation.signed(1, 1)).await.unwrap();
    let before = installation.journal().await;
    let free = [
        vec![],
        vec![0; 16],
        vec![0xFF; 300],
        b"YZT-CC-1".to_vec(),
        b"YZT-R-1".to_vec(),
    ];
    for bytes in free {
        for group in 0..3 {
            let mut content = content(1);
            match group {
                0 => content.dg1.clone_from(&bytes),
                1 => content.dg2.clone_from(&bytes),
                _ => content.dg3.clone_from(&bytes),
            }
            let task = CardTask::Personalise(Box::new(content));
            let (outcome, sent) = run(&mut client, &session, 0, &mut cards[0], task, Mishap::None).await;
            assert!(outcome.unwrap_err().is(RefusalCode::BadContent) && sent == 0);
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let context = keyvault_protocol::PhotoKeyContext {
            photo_id: [1; 16],
            person: [2; 16],
            profile: text.clone(),
            version: 1,
        };
        assert!(
            client
                .photo_key_new(&context)
                .await
                .unwrap_err()
                .is(RefusalCode::BadContent)
        );
        if !text.starts_with("YZT") {
            let day = jiff::civil::date(2026, 11, 21);
            let signed = client.sign_card_back(&text, "440300".parse().unwrap(), day).await;
            assert!(signed.unwrap_err().is(RefusalCode::BadContent));
        }
    }
    assert_eq!(installation.journal().await, before);
}

type Change = fn(&mut CardContent);

#[tokio::test]
async fn a_card_whose_records_or_dates_do_not_fit_its_permit_is_refused_before_it_is_touched() {
    let installation = Installation::new(15).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(1).await;
    let session = client.open_order(&installation.signed(1, 1)).await.unwrap();
    let before = installation.journal().await;
    let cases: [(&str, Change); 11] = [
        ("tier", |content| content.entitlements[0].tier = Tier::Talent),
        ("tier", |content| content.entitlements[2].tier = Tier::Temp),
        ("rule set", |content| {
            content.entitlements[1].rule_set = "cn-440300-2025".into();
        }),
        ("outlives", |content| {
            content.entitlements[0].valid_to = date(2027, 11, 21);
        }),
        ("ends before", |content| {
            content.entitlements[0].valid_to = date(2026, 11, 20);
        }),
        ("31 days ahead", |content| {
            content.entitlements[0].valid_from = date(2026, 12, 23);
        }),
        ("not over yet", |content| {
            content.entitlements[0].valid_from = date(2026, 11, 1);
            content.entitlements[0].valid_to = date(2026, 11, 20);
        }),
        ("ten years", |content| {
            content.certificate_to = date(2036, 11, 22);
        }),
        ("ten years", |content| {
            content.certificate_from = date(2026, 1, 1);
            content.certificate_to = date(2026, 11, 20);
        }),
        ("certificates begin", |content| {
            content.certificate_from = date(2026, 11, 29);
        }),
        ("certificates begin", |content| {
            content.certificate_from = date(2025, 11, 19);
            content.certificate_to = date(2027, 11, 20);
        }),
    ];
    let mut wrong: Vec<(&str, CardContent)> = Vec::new();
    for (says, change) in cases {
        let mut content = content(1);
        change(&mut content);
        wrong.push((says, content));
    }
    for issued in [date(2025, 11, 19), date(2026, 11, 29), date(2089, 11, 21)] {
        wrong.push(("", content_of(1, issued)));
    }
    for (says, content) in wrong {
        let task = CardTask::Personalise(Box::new(content));
        let (outcome, sent) = run(&mut client, &session, 0, &mut cards[0], task, Mishap::None).await;
        let error = outcome.unwrap_err();
        assert!(error.is(RefusalCode::BadContent) && sent == 0, "{says}: {error}");
        assert!(error.refusal().unwrap().message.contains(says), "{says}: {error}");
    }
    assert_eq!(installation.journal().await, before, "nothing was done");
    // The bounds themselves are within, and a permit may be of any age: its card is a new one.
    let mut content = content_of(1, date(2026, 11, 28));
    for (entitlement, from) in content
        .entitlements
        .iter_mut()
        .zip([date(2006, 11, 21), date(2024, 2, 29)])
    {
        entitlement.valid_from = from;
    }
    let task = CardTask::Personalise(Box::new(content));
    run(&mut client, &session, 0, &mut cards[0], task, Mishap::None)
        .await
        .0
        .unwrap();
}

#[tokio::test]
async fn a_session_that_nobody_continued_for_ten_minutes_is_not_continued_later() {
    let installation = Installation::new(16).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(1).await;
    let session = client.open_order(&installation.signed(1, 1)).await.unwrap();
    let card = &mut cards[0];
    let Script::Send { commands } = client
        .start_card(&session, 0, card.serial, for_card(card.serial, personalise(1)))
        .await
        .unwrap()
    else {
        panic!("nothing to send")
    };
    let answers = commands
        .iter()
        .map(|command| card.chip.process(command).unwrap())
        .collect();
    installation.clock.advance(SignedDuration::from_mins(10));
    let error = client.continue_card(&session, 0, answers).await.unwrap_err();
    assert!(error.is(RefusalCode::NoCardSession), "{error}");
    card.reset();
    run(&mut client, &session, 0, card, personalise(1), Mishap::None)
        .await
        .0
        .unwrap();
}

#[tokio::test]
async fn a_card_that_was_begun_on_its_permit_s_last_day_is_finished_on_a_later_one() {
    let installation = Installation::new(17).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(2).await;
    let session = client.open_order(&installation.signed(1, 2)).await.unwrap();
    let last_day = || {
        let mut content = content(1);
        for entitlement in &mut content.entitlements {
            entitlement.valid_from = date(2006, 11, 21);
            entitlement.valid_to = date(2026, 11, 21);
        }
        CardTask::Personalise(Box::new(content))
    };
    let (torn, _) = run(
        &mut client,
        &session,
        0,
        &mut cards[0],
        last_day(),
        Mishap::BeforeCommand(30),
    )
    .await;
    torn.unwrap_err();
    // The next day of the office, and the order still holds.
    installation.clock.advance(SignedDuration::from_hours(16));
    cards[0].reset();
    let (resumed, _) = run(&mut client, &session, 0, &mut cards[0], last_day(), Mishap::None).await;
    assert_eq!(resumed.unwrap().state, CardState::Personalised);
    let (refused, sent) = run(&mut client, &session, 1, &mut cards[1], last_day(), Mishap::None).await;
    assert!(
        refused.unwrap_err().is(RefusalCode::BadContent) && sent == 0,
        "a new one is over"
    );
}

/// A chip that somebody made with the transport keys of a lot: it says that it is the blank of a serial.
async fn forged(installation: &Installation, card: &TestCard) -> TestCard {
    let mut blanks = installation.blanks(2).await;
    blanks.retain(|blank| blank.serial == card.serial);
    blanks.remove(0)
}

#[tokio::test]
async fn a_chip_with_the_transport_keys_of_a_card_in_use_is_not_taken_for_it_by_any_task() {
    let installation = Installation::new(16).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(2).await;
    let mut order = installation.order(1, 20);
    order.tasks.push(TaskKind::Rewrite);
    let session = client
        .open_order(&order.sign(&installation.issuer).unwrap())
        .await
        .unwrap();
    let today = jiff::civil::date(2026, 11, 21);
    let (outcome, _) = run(
        &mut client,
        &session,
        0,
        &mut cards[0],
        personalise(1),
        Mishap::None,
    )
    .await;
    outcome.unwrap();
    let rewrite = || {
        CardTask::Rewrite(Box::new(keyvault_protocol::RewriteContent {
            entitlements: vec![content(1).entitlements.remove(0)],
            ..keyvault_protocol::RewriteContent::default()
        }))
    };
    let mut index = 1;
    // In whatever state its own record has it: written, in use, blocked, out of use, ended.
    let lives: [Option<CardTask>; 5] = [
        None,
        Some(CardTask::Activate { date: today }),
        Some(CardTask::Block),
        None,
        Some(CardTask::Terminate),
    ];
    for (step, life) in lives.into_iter().enumerate() {
        if let Some(task) = life {
            cards[0].reset();
            run(&mut client, &session, index, &mut cards[0], task, Mishap::None)
                .await
                .0
                .unwrap();
            index += 1;
        }
        if step == 3 {
            client.end_card(cards[0].serial).await.unwrap();
            client.allow_card(cards[0].serial).await.unwrap();
        }
        let versions = client.card_versions(cards[0].serial).await.unwrap();
        let before = installation.journal().await;
        for (task, index) in [
            (CardTask::Inspect, 18),
            (rewrite(), 19),
            (CardTask::Activate { date: today }, 17),
            (CardTask::Block, 16),
            (CardTask::Unblock, 15),
            (CardTask::Terminate, 14),
            (personalise(1), 0),
        ] {
            let mut chip = forged(&installation, &cards[0]).await;
            let image = chip.memory.image();
            let (outcome, sent) = run(&mut client, &session, index, &mut chip, task, Mishap::None).await;
            let error = outcome.unwrap_err();
            assert!(error.is(RefusalCode::CardNotGenuine), "step {step}: {error}");
            // SELECT and INITIALIZE UPDATE, and no key afterwards.
            assert_eq!((sent, chip.memory.image() == image), (2, true));
        }
        // The lots that made the chips leave lines of their own.
        let own = |journal: Vec<String>| -> Vec<String> {
            journal
                .into_iter()
                .filter(|kind| !kind.starts_with("lot") && kind != "request-done")
                .collect()
        };
        assert_eq!(own(installation.journal().await), own(before));
        assert_eq!(client.card_versions(cards[0].serial).await.unwrap(), versions);
    }
    // A blank that was never finished has its transport keys still.
    let (outcome, _) = run(
        &mut client,
        &session,
        13,
        &mut cards[1],
        personalise(2),
        Mishap::BeforeCommand(30),
    )
    .await;
    outcome.unwrap_err();
    cards[1].reset();
    let (outcome, _) = run(
        &mut client,
        &session,
        13,
        &mut cards[1],
        personalise(2),
        Mishap::None,
    )
    .await;
    outcome.unwrap();
}

#[tokio::test]
async fn a_card_number_is_given_to_one_card_and_never_to_a_second() {
    let installation = Installation::new(17).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(3).await;
    let session = client.open_order(&installation.signed(1, 3)).await.unwrap();
    // The ledger of a restored backup knows nothing of the first order, and draws the number again.
    let restored = client.open_order(&installation.signed(2, 3)).await.unwrap();
    let numbered = |salt: u8, number: &str| {
        let mut content = content(salt);
        content.card_number = number.to_owned();
        CardTask::Personalise(Box::new(content))
    };
    // Two are started before either has touched its card: the first to write has the number.
    let (one, two) = (numbered(1, "4403000000017"), numbered(2, "4403000000017"));
    let late = client
        .start_card(&restored, 0, cards[1].serial, two.clone())
        .await
        .unwrap();
    let (outcome, _) = run(&mut client, &session, 0, &mut cards[0], one.clone(), Mishap::None).await;
    outcome.unwrap();
    let Script::Send { commands } = late else {
        panic!("{late:?}");
    };
    let answers = commands
        .iter()
        .map(|command| cards[1].chip.process(command).unwrap())
        .collect();
    let image = cards[1].memory.image();
    let error = client.continue_card(&restored, 0, answers).await.unwrap_err();
    assert!(error.is(RefusalCode::NumberUsed), "{error}");
    let refusal = error.refusal().unwrap();
    assert!(refusal.action.contains("issuer doctor"), "{}", refusal.action);

    let before = installation.journal().await;
    let (outcome, sent) = run(&mut client, &restored, 1, &mut cards[1], two, Mishap::None).await;
    assert!(outcome.unwrap_err().is(RefusalCode::NumberUsed) && sent == 0);
    assert_eq!(cards[1].memory.image(), image);
    for wrong in ["", "4403 000", "卡号", &"1".repeat(33)] {
        let task = numbered(2, wrong);
        let started = client.start_card(&restored, 1, cards[1].serial, task).await;
        assert!(started.unwrap_err().is(RefusalCode::BadContent), "{wrong}");
    }
    assert_eq!(installation.journal().await, before);
    // The same card has it still, and a torn one keeps it for the next run.
    cards[0].reset();
    run(&mut client, &session, 0, &mut cards[0], one, Mishap::None)
        .await
        .0
        .unwrap();
    let three = numbered(3, "4403000000025");
    let torn = Mishap::BeforeCommand(30);
    let (outcome, _) = run(&mut client, &restored, 1, &mut cards[1], three.clone(), torn).await;
    outcome.unwrap_err();
    let (outcome, sent) = run(
        &mut client,
        &restored,
        2,
        &mut cards[2],
        numbered(4, "4403000000025"),
        Mishap::None,
    )
    .await;
    assert!(outcome.unwrap_err().is(RefusalCode::NumberUsed) && sent == 0);
    cards[1].reset();
    run(&mut client, &restored, 1, &mut cards[1], three, Mishap::None)
        .await
        .0
        .unwrap();
}
