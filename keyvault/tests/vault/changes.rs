//! Cards in use: rotation of role keys, rewrites at the counter, updates through terminals, denied cards, terminals that
//! are revoked.

use card_applet_spec::codes::{Rights, Tier};
use card_applet_spec::data_group::{Dg1, Dg3};
use card_applet_spec::deny_list::DenyList;
use card_reader::updates::Delivered;
use card_reader::{Bundle, Card};
use jiff::civil::{Date, date};
use jiff::{SignedDuration, Span};
use keyvault_protocol::{
    BundleKind, CardState, CardTask, DeliveredBy, Entitlement, OrderSession, PendingUpdates, Receipt,
    ReceiptOutcome, RefusalCode, RewriteContent, Role, RoleKeyState, Script, TaskKind, UpdateTask,
    UpdatesRequest,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use scratch_vault::Approved as _;
use virtual_card::chip::Chip as _;

use super::gate::{Gate, REGION, card_day, on_reader};
use super::support::*;

const TODAY: Date = date(2026, 11, 21);

fn days(n: i64) -> Date {
    TODAY.saturating_add(Span::new().days(n))
}

/// An order for everything.
async fn order(installation: &Installation, client: &mut TestClient, number: u8, cards: u32) -> OrderSession {
    let mut order = installation.order(number, cards);
    order.tasks.extend([TaskKind::Rewrite, TaskKind::Update]);
    client
        .open_order(&order.sign(&installation.issuer).unwrap())
        .await
        .unwrap()
}

/// A card that was personalised (index 0 of `session`) and handed over.
async fn active(client: &mut TestClient, session: &OrderSession, card: &mut TestCard) {
    done(client, session, 0, card, personalise(1)).await;
    done(client, session, 0, card, CardTask::Activate { date: TODAY }).await;
}

async fn done(
    client: &mut TestClient,
    session: &OrderSession,
    index: u32,
    card: &mut TestCard,
    task: CardTask,
) -> keyvault_protocol::CardResult {
    card.reset();
    let words = format!("{:?}", task.kind());
    let (outcome, _) = run(client, session, index, card, task, Mishap::None).await;
    card.reset();
    outcome.unwrap_or_else(|error| panic!("{words}: {error}"))
}

fn entitlement(role: Role) -> Entitlement {
    content(1)
        .entitlements
        .into_iter()
        .find(|wanted| wanted.role == role)
        .unwrap()
}

fn rewrite(roles: &[Role]) -> CardTask {
    CardTask::Rewrite(Box::new(RewriteContent {
        entitlements: roles.iter().map(|role| entitlement(*role)).collect(),
        ..RewriteContent::default()
    }))
}

/// The permit block of another day.
fn dg3(salt: u8, tier: Tier) -> Vec<u8> {
    Dg3 {
        permit_id: [1; 16],
        tier,
        issued: card_day(TODAY),
        endorsed_until: card_day(days(364)),
        rule_set: "cn-440300-2026",
        state_counter: u32::from(salt),
        salt: [salt; 16],
    }
    .encode()
    .unwrap()
    .to_vec()
}

/// DG1 after a move.
fn moved(salt: u8) -> Vec<u8> {
    let before = content(1);
    let dg1 = Dg1::parse(&before.dg1).unwrap();
    Dg1 {
        residence_address: "广东省深圳市福田区三号",
        salt: [salt; 16],
        ..dg1
    }
    .encode()
    .unwrap()
    .to_vec()
}

async fn versions(client: &mut TestClient, card: &TestCard, role: Role) -> Vec<u8> {
    let slots = client.card_versions(card.serial).await.unwrap();
    slots
        .iter()
        .filter(|slot| slot.role == role)
        .map(|slot| slot.key_version)
        .collect()
}

async fn rotate(client: &mut TestClient, role: Role, until: Date) -> u8 {
    client
        .rotate_role(role, REGION.parse().unwrap(), until)
        .await
        .unwrap()
        .version
}

/// What the counter reads over door S: permit block and signature object fit, or the code of the refusal.
async fn at_the_counter(client: &mut TestClient, card: &mut TestCard, today: Date) -> (Vec<u8>, Vec<u8>) {
    let anchors = client.anchors().await.unwrap();
    let (key, request) = Gate::request(&anchors, BundleKind::Counter, "counter 1", today);
    let sealed = client.outfit(&request).await.unwrap();
    let bundle = Bundle::open(&sealed, &key, None, card_day(today)).unwrap();
    let mut rng = StdRng::seed_from_u64(8);
    let rights = Rights::IDENTITY.union(Rights::PERMIT).union(Rights::VERIFY);
    let secure = Card::new(on_reader(card, 17))
        .select()
        .unwrap()
        .present(&bundle, card_day(today))
        .unwrap()
        .agree(rights, &key, card_day(today), &mut rng)
        .unwrap();
    let (_, groups) = secure
        .read_groups(Rights::IDENTITY.union(Rights::PERMIT))
        .unwrap();
    card.reset();
    (
        groups.content().encoded(1).unwrap().to_vec(),
        groups.content().encoded(3).unwrap().to_vec(),
    )
}

#[tokio::test]
async fn a_card_that_slept_three_versions_is_brought_to_the_active_one_in_one_script() {
    let installation = Installation::new(101).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(1).await;
    let card = &mut cards[0];
    let session = order(&installation, &mut client, 1, 2).await;
    active(&mut client, &session, card).await;
    for &role in Role::ALL {
        assert_eq!(versions(&mut client, card, role).await, [1]);
    }
    let region = REGION.parse().unwrap();
    for expected in 2..=4 {
        if expected == 4 {
            // A day gives a role two new versions.
            installation.clock.advance(SignedDuration::from_hours(24));
        }
        for &role in Role::ALL {
            assert_eq!(rotate(&mut client, role, days(1)).await, expected);
        }
        let keys = client.role_keys().await.unwrap();
        for &role in Role::ALL {
            let active = keys
                .iter()
                .filter(|key| key.role == role && key.state == RoleKeyState::Active);
            assert_eq!(active.map(|key| key.version).collect::<Vec<_>>(), [expected]);
        }
    }
    // Until its last day the first version is accepted; behind it the card is refused everywhere.
    let mut bus = Gate::new(&mut client, BundleKind::Bus, "bus 1", days(1)).await;
    assert_eq!(bus.tap(card, days(1)), Ok(()));
    installation.clock.advance(SignedDuration::from_hours(24));
    bus.renew(&mut client, days(2)).await;
    assert!(bus.tap(card, days(2)).is_err());
    let error = client.retire_role(Role::Transit, region, 1).await.unwrap_err();
    assert!(error.is(RefusalCode::StillHeld), "{error}");
    assert!(error.to_string().contains("1 live cards"), "{error}");
    let error = client.retire_role(Role::Transit, region, 4).await.unwrap_err();
    assert!(error.is(RefusalCode::RoleKeyState), "{error}");
    // A version that no card has at all can go at once.
    client.retire_role(Role::Transit, region, 2).await.unwrap();

    let session = order(&installation, &mut client, 2, 2).await;
    let result = done(&mut client, &session, 0, card, rewrite(Role::ALL)).await;
    assert_eq!(result.state, CardState::Active);
    for slot in &result.slots {
        assert_eq!((slot.key_version, slot.issue_counter), (4, 2));
        assert_eq!(
            (slot.state, slot.delivered_by),
            (RoleKeyState::Active, DeliveredBy::Script)
        );
    }
    assert_eq!(result.slots.len(), 5, "the first version has left the card");
    assert_eq!(bus.tap(card, days(2)), Ok(()));
    for (kind, name) in [(BundleKind::Door, "door 1"), (BundleKind::Shop, "shop 1")] {
        let mut gate = Gate::new(&mut client, kind, name, days(2)).await;
        assert_eq!(gate.tap(card, days(2)), Ok(()), "{name}");
    }
    // Nobody has the first version now: it can be destroyed, and its number does not come back.
    let gone = client.retire_role(Role::Transit, region, 1).await.unwrap();
    assert_eq!(
        (gone.state, gone.cards, gone.cards_alone),
        (RoleKeyState::Destroyed, 0, 0)
    );
    assert_eq!(client.retire_role(Role::Transit, region, 1).await.unwrap(), gone);
    let error = client
        .compromise_role(Role::Transit, region, 1)
        .await
        .unwrap_err();
    assert!(error.is(RefusalCode::RoleKeyState), "{error}");
    assert_eq!(rotate(&mut client, Role::Transit, days(30)).await, 5);
    assert_eq!(bus.tap(card, days(2)), Ok(()));
}

#[tokio::test]
async fn key_versions_stay_what_they_were_when_the_vault_is_killed_behind_any_transition() {
    let mut installation = Installation::new(102).await;
    let region = REGION.parse().unwrap();
    let mut client = installation.client().await;
    let mut cards = installation.blanks(1).await;
    let session = order(&installation, &mut client, 1, 2).await;
    active(&mut client, &session, &mut cards[0]).await;
    rotate(&mut client, Role::Transit, days(10)).await;
    let mut seed = 700;
    let mut killed = async |installation: &mut Installation, before: Vec<keyvault_protocol::RoleKeyInfo>| {
        seed += 1;
        installation.restart(seed).await;
        let mut client = installation.client().await;
        assert_eq!(client.role_keys().await.unwrap(), before);
        client
    };
    let keys = client.role_keys().await.unwrap();
    let mut client = killed(&mut installation, keys).await;
    // Behind a compromised version one number is left out.
    let compromised = client.compromise_role(Role::Transit, region, 2).await.unwrap();
    assert_eq!(compromised.active.map(|key| key.version), Some(4));
    let keys = client.role_keys().await.unwrap();
    let mut client = killed(&mut installation, keys).await;
    client.retire_role(Role::Transit, region, 2).await.unwrap();
    let keys = client.role_keys().await.unwrap();
    let mut client = killed(&mut installation, keys.clone()).await;
    let states: Vec<(u8, RoleKeyState, u64)> = keys
        .iter()
        .filter(|key| key.role == Role::Transit)
        .map(|key| (key.version, key.state, key.cards))
        .collect();
    assert_eq!(
        states,
        [
            (1, RoleKeyState::Draining, 1),
            (2, RoleKeyState::Destroyed, 0),
            (4, RoleKeyState::Active, 0)
        ]
    );
    // The bundle knows two of the three.
    let gate = Gate::new(&mut client, BundleKind::Bus, "bus 1", TODAY).await;
    let held: Vec<u8> = gate
        .terminal
        .bundle()
        .held_keys()
        .iter()
        .map(|key| key.kv)
        .collect();
    assert_eq!(held.len(), 2);
    assert!(held.contains(&1) && held.contains(&4));
}

#[tokio::test]
async fn a_rewrite_pulled_at_any_command_is_finished_by_a_second_run() {
    let mut installation = Installation::new(103).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(2).await;
    let session = order(&installation, &mut client, 1, 400).await;
    active(&mut client, &session, &mut cards[0]).await;
    let task = |salt: u8| {
        CardTask::Rewrite(Box::new(RewriteContent {
            dg1: Some(moved(salt)),
            dg3: Some(dg3(salt, Tier::Employment)),
            entitlements: vec![entitlement(Role::Transit), entitlement(Role::SmallPayment)],
            ..RewriteContent::default()
        }))
    };
    let (outcome, commands) = run(&mut client, &session, 1, &mut cards[0], task(2), Mishap::None).await;
    let steps = outcome.unwrap().steps;
    assert!(commands > 9 && steps > 6, "{commands} {steps}");
    let mishaps = (0..commands).flat_map(|n| [Mishap::BeforeCommand(n), Mishap::BeforeAnswer(n)]);
    for (index, mishap) in (2u32..).zip(mishaps) {
        let salt = u8::try_from(index % 200).unwrap() + 3;
        let card = &mut cards[0];
        card.reset();
        let (outcome, _) = run(&mut client, &session, index, card, task(salt), mishap).await;
        let error = outcome.unwrap_err();
        assert!(error.is(RefusalCode::CardRefused), "{mishap:?}: {error}");
        if index % 7 == 0 {
            installation.restart(u64::from(index)).await;
            client = installation.client().await;
        }
        let result = done(&mut client, &session, index, card, task(salt)).await;
        assert_eq!(
            (result.state, result.steps),
            (CardState::Active, steps),
            "{mishap:?}"
        );
        assert_eq!(result.slots.len(), 5, "{mishap:?}");
        // The third call finds it finished and writes nothing.
        let again = done(&mut client, &session, index, card, task(salt)).await;
        assert_eq!(again, result);
        if mishap == Mishap::BeforeAnswer(commands - 1) {
            let (dg1, dg3) = at_the_counter(&mut client, card, TODAY).await;
            assert_eq!((dg1, dg3), (moved(salt), self::dg3(salt, Tier::Employment)));
        }
    }
    let counts = client.role_keys().await.unwrap();
    assert!(
        counts.iter().all(|key| (key.cards, key.cards_alone) == (1, 1)),
        "{counts:?}"
    );
}

#[tokio::test]
async fn the_outcome_of_a_rewrite_whose_last_answer_was_lost_is_learnt_by_whatever_task_comes_next() {
    let installation = Installation::new(104).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(1).await;
    let card = &mut cards[0];
    let session = order(&installation, &mut client, 1, 9).await;
    active(&mut client, &session, card).await;
    let (_, commands) = run(
        &mut client,
        &session,
        1,
        card,
        rewrite(&[Role::Transit]),
        Mishap::None,
    )
    .await;
    rotate(&mut client, Role::Transit, days(10)).await;
    card.reset();
    let lost = Mishap::BeforeAnswer(commands - 1);
    let (outcome, _) = run(&mut client, &session, 2, card, rewrite(&[Role::Transit]), lost).await;
    assert!(outcome.unwrap_err().is(RefusalCode::CardRefused));
    assert_eq!(versions(&mut client, card, Role::Transit).await, [1]);
    // An update that would give something must wait; a block does not.
    let error = client
        .seal_update(&session, 3, card.serial, UpdateTask::Load { loaded: 100 })
        .await
        .unwrap_err();
    assert!(error.is(RefusalCode::CardConflict), "{error}");
    done(&mut client, &session, 4, card, CardTask::Block).await;
    assert_eq!(versions(&mut client, card, Role::Transit).await, [2, 1]);
    let finished = done(&mut client, &session, 2, card, rewrite(&[Role::Transit])).await;
    assert_eq!(finished.state, CardState::Blocked);
}

#[tokio::test]
async fn an_update_travels_over_any_role_and_its_receipt_is_taken_once() {
    let mut installation = Installation::new(105).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(1).await;
    let card = &mut cards[0];
    let session = order(&installation, &mut client, 1, 20).await;
    active(&mut client, &session, card).await;
    rotate(&mut client, Role::Door, days(30)).await;
    let task = UpdateTask::Entitlement(entitlement(Role::Door));
    let queued = client
        .seal_update(&session, 1, card.serial, task.clone())
        .await
        .unwrap();
    assert_eq!(
        queued
            .envelopes
            .iter()
            .map(|envelope| envelope.role)
            .collect::<Vec<_>>()
            .len(),
        3
    );
    // The same again, also after a kill, gives the same envelopes; something else under the index does not.
    installation.restart(61).await;
    let mut client = installation.client().await;
    let again = client.seal_update(&session, 1, card.serial, task).await.unwrap();
    assert_eq!(again, queued);
    let other = client
        .seal_update(&session, 1, card.serial, UpdateTask::Block)
        .await;
    assert!(other.unwrap_err().is(RefusalCode::CardConflict));
    let beyond = client
        .seal_update(&session, 20, card.serial, UpdateTask::Block)
        .await;
    assert!(beyond.unwrap_err().is(RefusalCode::QuotaUsed));

    let mut bus = Gate::new(&mut client, BundleKind::Bus, "bus 1", TODAY).await;
    let mut shop = Gate::new(&mut client, BundleKind::Shop, "shop 1", TODAY).await;
    let mut door = Gate::new(&mut client, BundleKind::Door, "door 1", TODAY).await;
    for gate in [&mut bus, &mut shop, &mut door] {
        assert_eq!(gate.fetch(&mut client, TODAY).await, 1, "{}", gate.name);
    }
    let receipts = bus.receipts(card, TODAY);
    assert_eq!(receipts.len(), 1);
    assert_eq!(client.pending_updates(card.serial).await.unwrap().waiting, 1);
    assert_eq!(versions(&mut client, card, Role::Door).await, [1]);

    // Wrong ones change nothing: another id, another card's answer, flipped bits.
    let mut forged = vec![Receipt {
        update: [7; 16],
        receipt: receipts[0].receipt,
    }];
    let sibling = queued
        .envelopes
        .iter()
        .find(|envelope| envelope.update != receipts[0].update)
        .unwrap();
    forged.push(Receipt {
        update: sibling.update,
        receipt: receipts[0].receipt,
    });
    for bit in 0..128 {
        let mut receipt = receipts[0];
        receipt.receipt[bit / 8] ^= 1 << (bit % 8);
        forged.push(receipt);
    }
    let before = installation.journal().await;
    let outcomes = client.accept_receipts(forged).await.unwrap();
    assert_eq!(outcomes[0], ReceiptOutcome::UnknownUpdate);
    assert!(
        outcomes[1..]
            .iter()
            .all(|outcome| *outcome == ReceiptOutcome::Forged)
    );
    assert_eq!(installation.journal().await, before);
    assert_eq!(client.pending_updates(card.serial).await.unwrap().waiting, 1);

    // Twice in one call, and again after a kill.
    let twice = vec![receipts[0], receipts[0]];
    let outcomes = client.accept_receipts(twice).await.unwrap();
    let (serial, change) = (card.serial, queued.change);
    let known = ReceiptOutcome::AlreadyKnown { serial, change };
    assert_eq!(outcomes, [ReceiptOutcome::Done { serial, change }, known.clone()]);
    installation.restart(62).await;
    let mut client = installation.client().await;
    assert_eq!(
        client.accept_receipts(receipts.clone()).await.unwrap(),
        std::slice::from_ref(&known)
    );
    assert_eq!(versions(&mut client, card, Role::Door).await, [2, 1]);
    assert_eq!(
        client.pending_updates(serial).await.unwrap(),
        PendingUpdates::default()
    );
    let slot = client.card_versions(serial).await.unwrap();
    let slot = slot.iter().find(|slot| slot.role == Role::Door).unwrap();
    assert_eq!((slot.delivered_by, slot.issue_counter), (DeliveredBy::Update, 2));

    // The siblings are withdrawn; a terminal that has one still does the same again, and nobody minds.
    assert_eq!(bus.fetch(&mut client, TODAY).await, 0);
    assert_eq!(door.tap(card, TODAY), Ok(()), "the new version opens the door");
    let late = shop.receipts(card, TODAY);
    assert_eq!(client.accept_receipts(late).await.unwrap(), [known]);
    assert_eq!(versions(&mut client, card, Role::Door).await, [2, 1]);
    // The journal has no word of which card, which role, which terminal.
    let journal = installation.journal().await;
    assert_eq!(
        journal.iter().filter(|kind| *kind == "receipts-accepted").count(),
        1
    );
}

#[tokio::test]
async fn every_kind_of_change_reaches_the_card_and_the_vaults_rows() {
    let installation = Installation::new(106).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(1).await;
    let card = &mut cards[0];
    let session = order(&installation, &mut client, 1, 20).await;
    active(&mut client, &session, card).await;
    let serial = card.serial;
    rotate(&mut client, Role::Transit, days(30)).await;
    let mut bus = Gate::new(&mut client, BundleKind::Bus, "bus 1", TODAY).await;
    let tasks = [
        UpdateTask::DateFloor(TODAY),
        UpdateTask::Load { loaded: 5_000 },
        UpdateTask::PermitBlock {
            dg3: dg3(9, Tier::Employment),
        },
        UpdateTask::Entitlement(entitlement(Role::Transit)),
        UpdateTask::EraseVersion {
            role: Role::Transit,
            version: 1,
        },
    ];
    for (index, task) in (1u32..).zip(tasks) {
        let words = format!("{task:?}");
        client.seal_update(&session, index, serial, task).await.unwrap();
        assert!(bus.fetch(&mut client, TODAY).await > 0, "{words}");
        let receipts = bus.receipts(card, TODAY);
        assert_eq!(receipts.len(), 1, "{words}");
        let outcomes = client.accept_receipts(receipts).await.unwrap();
        assert!(matches!(outcomes[..], [ReceiptOutcome::Done { .. }]), "{words}");
    }
    assert_eq!(versions(&mut client, card, Role::Transit).await, [2]);
    let (_, permit) = at_the_counter(&mut client, card, TODAY).await;
    assert_eq!(
        permit,
        dg3(9, Tier::Employment),
        "signed again over the kept digests"
    );
    // A load is cumulative and grows; a purse that was given more than that is refused.
    for loaded in [5_000, 4_999, 0] {
        let refused = client
            .seal_update(&session, 9, serial, UpdateTask::Load { loaded })
            .await;
        assert!(refused.unwrap_err().is(RefusalCode::BadContent));
    }
    for (task, code) in [
        (UpdateTask::DateFloor(days(1)), RefusalCode::BadContent),
        (
            UpdateTask::EraseVersion {
                role: Role::Transit,
                version: 1,
            },
            RefusalCode::NotFound,
        ),
        (
            UpdateTask::PermitBlock { dg3: vec![1, 2, 3] },
            RefusalCode::BadContent,
        ),
    ] {
        let refused = client.seal_update(&session, 10, serial, task).await;
        let error = refused.unwrap_err();
        assert!(error.is(code), "{error}");
    }
    client
        .seal_update(&session, 11, serial, UpdateTask::Block)
        .await
        .unwrap();
    bus.fetch(&mut client, TODAY).await;
    let receipts = bus.receipts(card, TODAY);
    client.accept_receipts(receipts).await.unwrap();
    assert!(bus.tap(card, TODAY).is_err());
    // A blocked card can be given no update: it would not answer.
    let error = client
        .seal_update(&session, 12, serial, UpdateTask::Block)
        .await
        .unwrap_err();
    assert!(error.is(RefusalCode::CardState), "{error}");
    let seen = inspect(&mut client, &session, card).await;
    assert_eq!(seen.state, CardState::Blocked);
}

#[tokio::test]
async fn an_old_block_in_a_terminal_does_not_come_back_behind_an_unblock() {
    let installation = Installation::new(107).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(1).await;
    let card = &mut cards[0];
    let session = order(&installation, &mut client, 1, 20).await;
    active(&mut client, &session, card).await;
    let serial = card.serial;
    client
        .seal_update(&session, 1, serial, UpdateTask::Load { loaded: 700 })
        .await
        .unwrap();
    client
        .seal_update(&session, 2, serial, UpdateTask::Block)
        .await
        .unwrap();
    let mut bus = Gate::new(&mut client, BundleKind::Bus, "bus 1", TODAY).await;
    let mut door = Gate::new(&mut client, BundleKind::Door, "door 1", TODAY).await;
    // The door has only the block, as a terminal with another part of a long queue would.
    door.fetch(&mut client, TODAY).await;
    bus.fetch(&mut client, TODAY).await;
    assert_eq!(bus.receipts(card, TODAY).len(), 2, "load, then block");
    // Cut behind every command in turn, the unblock ends with new update keys.
    let mut cuts = 0;
    let result = loop {
        card.reset();
        let cut = Mishap::BeforeAnswer(cuts);
        let (outcome, _) = run(&mut client, &session, 3, card, CardTask::Unblock, cut).await;
        match outcome {
            Ok(result) => break result,
            Err(error) => assert!(error.is(RefusalCode::CardRefused), "{error}"),
        }
        cuts += 1;
    };
    card.reset();
    assert!(cuts > 5, "{cuts}");
    assert_eq!(result.state, CardState::Active);
    assert_eq!(door.tap(card, TODAY), Ok(()));
    let outcomes = door.serve(card, TODAY);
    assert!(outcomes.contains(&Delivered::NotToday), "{outcomes:?}");
    assert_eq!(door.tap(card, TODAY), Ok(()), "the block is void");
    // What else waited was sealed again: the load arrives under the new keys.
    assert_eq!(client.pending_updates(serial).await.unwrap().waiting, 1);
    door.fetch(&mut client, TODAY).await;
    let receipts = door.receipts(card, TODAY);
    let outcomes = client.accept_receipts(receipts).await.unwrap();
    assert!(
        matches!(outcomes[..], [ReceiptOutcome::Done { .. }]),
        "{outcomes:?}"
    );
}

#[tokio::test]
async fn an_old_slot_or_permit_block_in_a_terminal_does_not_undo_a_rewrite() {
    let installation = Installation::new(108).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(1).await;
    let card = &mut cards[0];
    let session = order(&installation, &mut client, 1, 20).await;
    active(&mut client, &session, card).await;
    let serial = card.serial;
    rotate(&mut client, Role::Transit, days(30)).await;
    let old = [
        UpdateTask::Entitlement(entitlement(Role::Transit)),
        UpdateTask::PermitBlock {
            dg3: dg3(5, Tier::Employment),
        },
        UpdateTask::Load { loaded: 900 },
    ];
    for (index, task) in (1u32..).zip(old) {
        client.seal_update(&session, index, serial, task).await.unwrap();
    }
    let mut bus = Gate::new(&mut client, BundleKind::Bus, "bus 1", TODAY).await;
    bus.fetch(&mut client, TODAY).await;
    rotate(&mut client, Role::Transit, days(30)).await;
    let task = CardTask::Rewrite(Box::new(RewriteContent {
        dg1: Some(moved(6)),
        dg3: Some(dg3(6, Tier::Employment)),
        entitlements: vec![entitlement(Role::Transit)],
        ..RewriteContent::default()
    }));
    done(&mut client, &session, 9, card, task).await;
    assert_eq!(versions(&mut client, card, Role::Transit).await, [3]);
    let pending = client.pending_updates(serial).await.unwrap();
    assert_eq!(
        (pending.waiting, pending.withdrawn),
        (1, 0),
        "the load alone waits again"
    );
    // The bus still has the old batch: it taps the version that it knows, which has left the card.
    bus.serve(card, TODAY);
    bus.renew(&mut client, TODAY).await;
    bus.serve(card, TODAY);
    assert_eq!(bus.tap(card, TODAY), Ok(()));
    let (dg1, permit) = at_the_counter(&mut client, card, TODAY).await;
    assert_eq!((dg1, permit), (moved(6), dg3(6, Tier::Employment)));
    bus.fetch(&mut client, TODAY).await;
    let receipts = bus.receipts(card, TODAY);
    let outcomes = client.accept_receipts(receipts).await.unwrap();
    assert!(
        matches!(outcomes[..], [ReceiptOutcome::Done { .. }]),
        "{outcomes:?}"
    );
}

#[tokio::test]
async fn a_change_that_a_later_one_overtook_is_sealed_again_and_arrives() {
    let installation = Installation::new(109).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(1).await;
    let card = &mut cards[0];
    let session = order(&installation, &mut client, 1, 20).await;
    active(&mut client, &session, card).await;
    let serial = card.serial;
    let mut bus = Gate::new(&mut client, BundleKind::Bus, "bus 1", TODAY).await;
    let mut door = Gate::new(&mut client, BundleKind::Door, "door 1", TODAY).await;
    let load = client
        .seal_update(&session, 1, serial, UpdateTask::Load { loaded: 300 })
        .await
        .unwrap();
    let floor = client
        .seal_update(&session, 2, serial, UpdateTask::DateFloor(TODAY))
        .await
        .unwrap();
    door.fetch(&mut client, TODAY).await;
    // A door that lost the first of the two delivers the second: the card refuses the first from then on.
    let of_door = |queued: &keyvault_protocol::QueuedUpdate| {
        let envelope = queued
            .envelopes
            .iter()
            .find(|envelope| envelope.role == Role::Door);
        envelope.unwrap().update
    };
    let mut outcomes = door.serve(card, TODAY);
    outcomes.retain(
        |outcome| matches!(outcome, Delivered::Receipt(receipt) if receipt.update == of_door(&floor)),
    );
    let [Delivered::Receipt(receipt)] = outcomes[..] else {
        panic!("{outcomes:?}")
    };
    let receipt = Receipt {
        update: receipt.update,
        receipt: receipt.receipt,
    };
    client.accept_receipts(vec![receipt]).await.unwrap();
    assert_eq!(client.pending_updates(serial).await.unwrap().waiting, 1);
    bus.fetch(&mut client, TODAY).await;
    let receipts = bus.receipts(card, TODAY);
    assert_ne!(receipts[0].update, of_door(&load));
    let outcomes = client.accept_receipts(receipts).await.unwrap();
    assert_eq!(
        outcomes,
        [ReceiptOutcome::Done {
            serial,
            change: load.change
        }]
    );
}

#[tokio::test]
async fn a_compromised_version_is_in_no_bundle_no_batch_and_on_no_new_card() {
    let installation = Installation::new(110).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(3).await;
    let (mut card, mut half, mut third) = (cards.remove(0), cards.remove(0), cards.remove(0));
    let session = order(&installation, &mut client, 1, 20).await;
    active(&mut client, &session, &mut card).await;
    let serial = card.serial;
    let region = REGION.parse().unwrap();
    // A card whose slots are drawn and not finished.
    let cut = Mishap::BeforeCommand(43);
    let (outcome, _) = run(&mut client, &session, 1, &mut half, personalise(2), cut).await;
    outcome.unwrap_err();
    let mut bus = Gate::new(&mut client, BundleKind::Bus, "bus 1", TODAY).await;
    let brings = UpdateTask::Entitlement(entitlement(Role::Transit));
    client.seal_update(&session, 2, serial, brings).await.unwrap();
    let mut door = Gate::new(&mut client, BundleKind::Door, "door 1", TODAY).await;

    let held = |bus: &Gate| -> Vec<u8> {
        let keys = bus.terminal.bundle().held_keys().into_iter();
        keys.map(|key| key.kv).collect()
    };
    let compromised = client.compromise_role(Role::Transit, region, 1).await.unwrap();
    assert_eq!(compromised.version.state, RoleKeyState::Compromised);
    let next = compromised.active.as_ref().unwrap();
    assert_eq!((next.version, next.state), (3, RoleKeyState::Active));
    assert_eq!(
        client.compromise_role(Role::Transit, region, 1).await.unwrap(),
        compromised
    );
    // At once: the next bundle has the next one alone, the door does not carry what would bring the other, new cards get the next.
    bus.renew(&mut client, TODAY).await;
    assert_eq!(held(&bus), [3]);
    assert!(bus.tap(&card, TODAY).is_err());
    assert_eq!(door.fetch(&mut client, TODAY).await, 0);
    assert_eq!(bus.fetch(&mut client, TODAY).await, 0);
    let result = done(&mut client, &session, 1, &mut half, personalise(2)).await;
    assert!(
        result
            .slots
            .iter()
            .any(|slot| (slot.role, slot.key_version) == (Role::Transit, 3))
    );
    assert!(result.slots.iter().all(|slot| slot.state == RoleKeyState::Active));
    // A third on one day has none behind it, and the role waits for two officers.
    for (version, next) in [(3, Some(5)), (5, None)] {
        let compromised = client
            .compromise_role(Role::Transit, region, version)
            .await
            .unwrap();
        assert_eq!(compromised.active.map(|key| key.version), next);
    }
    bus.renew(&mut client, TODAY).await;
    assert!(held(&bus).is_empty());
    let (outcome, _) = run(&mut client, &session, 6, &mut third, personalise(3), Mishap::None).await;
    let error = outcome.unwrap_err();
    assert!(error.is(RefusalCode::NoActiveVersion), "{error}");
    let refused = client
        .seal_update(
            &session,
            3,
            serial,
            UpdateTask::Entitlement(entitlement(Role::Transit)),
        )
        .await;
    assert!(refused.unwrap_err().is(RefusalCode::NoActiveVersion));

    assert_eq!(rotate(&mut client, Role::Transit, days(30)).await, 7);
    let result = done(&mut client, &session, 6, &mut third, personalise(3)).await;
    assert!(
        result
            .slots
            .iter()
            .any(|slot| (slot.role, slot.key_version) == (Role::Transit, 7))
    );
    // The new slot takes the compromised one off the card, over another role's door.
    let task = UpdateTask::Entitlement(entitlement(Role::Transit));
    let queued = client.seal_update(&session, 4, serial, task).await.unwrap();
    assert!(
        queued
            .envelopes
            .iter()
            .all(|envelope| envelope.role != Role::Transit)
    );
    assert_eq!(door.fetch(&mut client, TODAY).await, 1);
    let receipts = door.receipts(&mut card, TODAY);
    client.accept_receipts(receipts).await.unwrap();
    assert_eq!(versions(&mut client, &card, Role::Transit).await, [7]);
    bus.renew(&mut client, TODAY).await;
    assert_eq!(bus.tap(&card, TODAY), Ok(()));
    let gone = client.retire_role(Role::Transit, region, 1).await.unwrap();
    assert_eq!(gone.state, RoleKeyState::Destroyed);
}

#[tokio::test]
async fn a_denied_card_gets_nothing_and_its_new_pseudonyms_are_denied_with_it() {
    let installation = Installation::new(111).await;
    let mut client = installation.client().await;
    let anchors = client.anchors().await.unwrap();
    let signer = card_applet_spec::crypto::PublicKey::from_point65(&anchors.deny_list_signer).unwrap();
    let list = async |client: &mut TestClient, grace: u16| -> (u32, usize, Option<u16>) {
        let template = client
            .export_deny_list(Role::Transit, TODAY, 30, grace)
            .await
            .unwrap();
        let (object, rest) = card_applet_spec::tlv::parse(&template).unwrap();
        assert!(object.tag == 0xA9 && rest.is_empty());
        let list = DenyList::parse_and_verify(object.value, &signer).unwrap();
        (list.version, list.entries.len() / 8, list.grace)
    };
    let mut cards = installation.blanks(1).await;
    let card = &mut cards[0];
    let session = order(&installation, &mut client, 1, 20).await;
    active(&mut client, &session, card).await;
    let serial = card.serial;
    rotate(&mut client, Role::Transit, days(30)).await;
    let first = list(&mut client, 0).await;
    assert_eq!((first.1, first.2), (0, None));
    assert_eq!(
        list(&mut client, 0).await,
        first,
        "the same list has the same number"
    );
    // An update that brings a new pseudonym is already on its way when the card is lost.
    client
        .seal_update(
            &session,
            1,
            serial,
            UpdateTask::Entitlement(entitlement(Role::Transit)),
        )
        .await
        .unwrap();
    client
        .seal_update(&session, 2, serial, UpdateTask::DateFloor(TODAY))
        .await
        .unwrap();
    let mut bus = Gate::new(&mut client, BundleKind::Bus, "bus 1", TODAY).await;
    assert_eq!(bus.fetch(&mut client, TODAY).await, 2);
    client.deny_card(serial).await.unwrap();
    let second = list(&mut client, 3).await;
    assert_eq!((second.1, second.2), (2, Some(3)), "both pseudonyms");
    assert!(second.0 > first.0);
    bus.receipts(card, TODAY);
    bus.renew(&mut client, TODAY).await;
    assert_eq!(
        bus.tap(card, TODAY),
        Err("DENIED".into()),
        "under its new pseudonym"
    );
    for task in [
        UpdateTask::Entitlement(entitlement(Role::Door)),
        UpdateTask::Load { loaded: 1_000 },
        UpdateTask::PermitBlock {
            dg3: dg3(3, Tier::Employment),
        },
    ] {
        let error = client.seal_update(&session, 3, serial, task).await.unwrap_err();
        assert!(error.is(RefusalCode::CardDenied), "{error}");
    }
    let (outcome, sent) = run(
        &mut client,
        &session,
        4,
        card,
        rewrite(&[Role::Door]),
        Mishap::None,
    )
    .await;
    assert!(outcome.unwrap_err().is(RefusalCode::CardDenied) && sent == 0);
    assert_eq!(
        bus.fetch(&mut client, TODAY).await,
        1,
        "the floor still waits, the gift does not"
    );
    client
        .seal_update(&session, 5, serial, UpdateTask::Block)
        .await
        .unwrap();

    // Found: off the lists, under a higher number.
    client.allow_card(serial).await.unwrap();
    client.allow_card(serial).await.unwrap();
    let third = list(&mut client, 3).await;
    assert!(third.0 > second.0 && third.1 == 0);
    // Lost again: an entry leaves when its record is over.
    client.deny_card(serial).await.unwrap();
    assert_eq!(list(&mut client, 3).await.1, 2);
    installation.clock.advance(SignedDuration::from_hours(24 * 365));
    assert_eq!(list(&mut client, 3).await.1, 0);
    for (issued, age, grace, role) in [
        (days(366), 30, 0, Role::Transit),
        (TODAY, 0, 0, Role::Transit),
        (TODAY, 91, 0, Role::Transit),
        (TODAY, 30, 31, Role::Transit),
        (TODAY, 30, 1, Role::Door),
        (TODAY, 30, 1, Role::SmallPayment),
    ] {
        let refused = client.export_deny_list(role, issued, age, grace).await;
        assert!(refused.unwrap_err().is(RefusalCode::BadContent));
    }
    let stranger = client.allow_card([9; 10]).await.unwrap_err();
    assert!(stranger.is(RefusalCode::NotFound), "{stranger}");
}

#[tokio::test]
async fn a_denied_version_leaves_the_lists_when_its_keys_are_destroyed() {
    let installation = Installation::new(112).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(1).await;
    let card = &mut cards[0];
    let session = order(&installation, &mut client, 1, 20).await;
    active(&mut client, &session, card).await;
    rotate(&mut client, Role::Transit, days(1)).await;
    done(&mut client, &session, 1, card, rewrite(&[Role::Transit])).await;
    client.deny_card(card.serial).await.unwrap();
    let length = async |client: &mut TestClient| {
        client
            .export_deny_list(Role::Transit, TODAY, 30, 0)
            .await
            .unwrap()
            .len()
    };
    let both = length(&mut client).await;
    client
        .retire_role(Role::Transit, REGION.parse().unwrap(), 1)
        .await
        .unwrap();
    assert_eq!(length(&mut client).await, both - 8);
    // An ended card stays denied: somebody may have copied it before.
    done(&mut client, &session, 2, card, CardTask::Terminate).await;
    assert_eq!(length(&mut client).await, both - 8);
    let keys = client.role_keys().await.unwrap();
    assert!(
        keys.iter().all(|key| key.cards == 0),
        "an ended card holds no version"
    );
    let error = client
        .seal_update(&session, 3, card.serial, UpdateTask::Block)
        .await
        .unwrap_err();
    assert!(error.is(RefusalCode::CardState), "{error}");
}

#[tokio::test]
async fn a_permit_of_any_age_is_written_up_to_its_last_day_at_the_counter_and_by_updates() {
    let installation = Installation::new(115).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(1).await;
    let card = &mut cards[0];
    let session = order(&installation, &mut client, 1, 30).await;
    active(&mut client, &session, card).await;
    let mut bus = Gate::new(&mut client, BundleKind::Bus, "bus 1", TODAY).await;
    assert_eq!(bus.tap(card, TODAY), Ok(()));
    // Just over a year, of a leap day, of twenty years, and of an age that no law has.
    let first_days = [
        days(-367),
        date(2024, 2, 29),
        date(2006, 11, 21),
        date(2001, 1, 1),
    ];
    let aged = |from, to| {
        let mut wanted = entitlement(Role::Transit);
        (wanted.valid_from, wanted.valid_to) = (from, to);
        wanted
    };
    let rewrite = |wanted| {
        CardTask::Rewrite(Box::new(RewriteContent {
            entitlements: vec![wanted],
            ..RewriteContent::default()
        }))
    };
    let mut index = 1;
    for from in first_days {
        for to in [TODAY, days(30)] {
            done(&mut client, &session, index, card, rewrite(aged(from, to))).await;
            let update = UpdateTask::Entitlement(aged(from, to));
            client
                .seal_update(&session, index + 1, card.serial, update)
                .await
                .unwrap();
            index += 2;
        }
        let over = aged(from, days(-1));
        let (outcome, sent) = run(
            &mut client,
            &session,
            index,
            card,
            rewrite(over.clone()),
            Mishap::None,
        )
        .await;
        assert!(outcome.unwrap_err().is(RefusalCode::BadContent) && sent == 0);
        card.reset();
        let sealed = client
            .seal_update(&session, index, card.serial, UpdateTask::Entitlement(over))
            .await;
        assert!(sealed.unwrap_err().is(RefusalCode::BadContent));
    }
}

#[tokio::test]
async fn a_revoked_terminal_gets_nothing_more_and_the_list_says_what_it_still_has() {
    let mut installation = Installation::new(113).await;
    let mut client = installation.client().await;
    let mut bus = Gate::new(&mut client, BundleKind::Bus, "bus 1", TODAY).await;
    let clinic = Gate::new(&mut client, BundleKind::Clinic, "clinic 1", TODAY).await;
    let shop = Gate::new(&mut client, BundleKind::Shop, "shop 1", TODAY).await;
    bus.fetch(&mut client, TODAY).await;
    let terminals = client.terminals().await.unwrap();
    let named = |name: &str| {
        terminals
            .iter()
            .find(|terminal| terminal.name == name)
            .unwrap()
            .clone()
    };
    let (on_bus, in_clinic, in_shop) = (named("bus 1"), named("clinic 1"), named("shop 1"));
    assert_eq!((on_bus.bundle_until, on_bus.leaf_until), (Some(days(7)), None));
    assert_eq!(on_bus.updates_until, Some(days(7)));
    assert_eq!(in_clinic.leaf_until, Some(days(7)));
    assert_eq!(shop.terminal.bundle().tid(), Some(in_shop.tid));
    assert_eq!(bus.terminal.bundle().tid(), None);
    assert_eq!(in_shop.authentication_key, Some(shop.request.authentication_key));
    drop(clinic);

    client.revoke_terminal("bus 1").await.unwrap();
    client.revoke_terminal("bus 1").await.unwrap();
    installation.restart(91).await;
    let mut client = installation.client().await;
    let error = client.outfit(&bus.request).await.unwrap_err();
    assert!(error.is(RefusalCode::TerminalRevoked), "{error}");
    let wanted = UpdatesRequest {
        terminal: "bus 1".into(),
        to: days(1),
    };
    let error = client.export_updates(&wanted).await.unwrap_err();
    assert!(error.is(RefusalCode::TerminalRevoked), "{error}");
    let revoked = client.terminals().await.unwrap();
    let revoked = revoked.iter().find(|terminal| terminal.name == "bus 1").unwrap();
    assert_eq!(revoked.revoked, Some(TODAY));
    assert_eq!((revoked.bundle_until, revoked.tid), (Some(days(7)), on_bus.tid));
    for name in ["clinic 1", "nobody"] {
        let request = UpdatesRequest {
            terminal: name.into(),
            to: days(1),
        };
        let error = client.export_updates(&request).await.unwrap_err();
        assert!(
            error.is(RefusalCode::BadContent) || error.is(RefusalCode::NotFound),
            "{error}"
        );
    }
    for to in [days(-1), days(32)] {
        let request = UpdatesRequest {
            terminal: "shop 1".into(),
            to,
        };
        let error = client.export_updates(&request).await.unwrap_err();
        assert!(error.is(RefusalCode::BadContent), "{error}");
    }
}

#[tokio::test]
async fn a_card_that_was_blocked_before_its_hand_over_is_personalised_again_and_asking_twice_is_no_fault() {
    let installation = Installation::new(114).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(1).await;
    let card = &mut cards[0];
    let session = order(&installation, &mut client, 1, 3).await;
    done(&mut client, &session, 0, card, personalise(1)).await;
    done(&mut client, &session, 0, card, CardTask::Block).await;
    for _ in 0..2 {
        let result = done(&mut client, &session, 0, card, CardTask::Unblock).await;
        assert_eq!(result.state, CardState::Personalised);
    }
    let result = done(&mut client, &session, 0, card, CardTask::Activate { date: TODAY }).await;
    assert_eq!(result.state, CardState::Active);
}

#[tokio::test]
async fn a_rewrite_or_an_update_that_does_not_fit_is_refused_before_the_card_is_touched() {
    let installation = Installation::new(115).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(2).await;
    let session = order(&installation, &mut client, 1, 30).await;
    active(&mut client, &session, &mut cards[0]).await;
    let mut wrong: Vec<(RewriteContent, &str)> = Vec::new();
    let good = |roles: &[Role]| RewriteContent {
        entitlements: roles.iter().map(|role| entitlement(*role)).collect(),
        ..RewriteContent::default()
    };
    wrong.push((RewriteContent::default(), "changes something"));
    wrong.push((good(&[Role::Door, Role::Door]), "same role"));
    let mut content = good(&[Role::Door, Role::Transit]);
    content.entitlements[1].tier = Tier::Talent;
    wrong.push((content, "one tier"));
    let mut content = good(&[Role::Door]);
    content.dg3 = Some(dg3(1, Tier::Talent));
    wrong.push((content, "not the tier"));
    let mut content = good(&[Role::Door]);
    content.loaded = Some(100);
    wrong.push((content, "comes with the SMALL_PAYMENT"));
    let mut content = good(&[Role::SmallPayment]);
    content.entitlements[0].purse_cap = 0;
    wrong.push((content, "largest amount"));
    let mut content = good(&[]);
    content.dg1 = Some(vec![0x61, 0]);
    wrong.push((content, "DG1"));
    for (content, says) in wrong {
        let task = CardTask::Rewrite(Box::new(content));
        let (outcome, sent) = run(&mut client, &session, 1, &mut cards[0], task, Mishap::None).await;
        let error = outcome.unwrap_err();
        assert!(error.is(RefusalCode::BadContent) && sent == 0, "{says}: {error}");
        assert!(error.to_string().contains(says), "{says}: {error}");
    }
    // A blank is not rewritten, and gets no updates; nor does a card that no order names for it.
    let (outcome, sent) = run(
        &mut client,
        &session,
        2,
        &mut cards[1],
        rewrite(&[Role::Door]),
        Mishap::None,
    )
    .await;
    assert!(outcome.unwrap_err().is(RefusalCode::NotFound) && sent == 0);
    let blank = client
        .seal_update(&session, 2, cards[1].serial, UpdateTask::Block)
        .await;
    assert!(blank.unwrap_err().is(RefusalCode::NotFound));
    let narrow = client.open_order(&installation.signed(9, 3)).await.unwrap();
    let refused = client
        .seal_update(&narrow, 0, cards[0].serial, UpdateTask::Block)
        .await;
    assert!(refused.unwrap_err().is(RefusalCode::TaskNotOrdered));
    let (outcome, _) = run(
        &mut client,
        &narrow,
        0,
        &mut cards[0],
        rewrite(&[Role::Door]),
        Mishap::None,
    )
    .await;
    assert!(outcome.unwrap_err().is(RefusalCode::TaskNotOrdered));
    // A load below what was given before is found when the slot is drawn.
    let load = |loaded| {
        let mut content = RewriteContent {
            entitlements: vec![entitlement(Role::SmallPayment)],
            ..RewriteContent::default()
        };
        content.loaded = loaded;
        CardTask::Rewrite(Box::new(content))
    };
    done(&mut client, &session, 3, &mut cards[0], load(Some(8_000))).await;
    cards[0].reset();
    let (outcome, _) = run(
        &mut client,
        &session,
        4,
        &mut cards[0],
        load(Some(7_999)),
        Mishap::None,
    )
    .await;
    assert!(outcome.unwrap_err().is(RefusalCode::BadContent));
    done(&mut client, &session, 5, &mut cards[0], load(None)).await;
}

#[tokio::test]
async fn a_card_that_nobody_saw_for_two_years_is_rewritten_all_the_same() {
    let installation = Installation::new(116).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(1).await;
    let card = &mut cards[0];
    let session = order(&installation, &mut client, 1, 3).await;
    active(&mut client, &session, card).await;
    installation.clock.advance(SignedDuration::from_hours(24 * 730));
    let session = order(&installation, &mut client, 2, 3).await;
    let mut wanted = entitlement(Role::Transit);
    wanted.valid_from = days(730);
    wanted.valid_to = days(900);
    let content = RewriteContent {
        entitlements: vec![wanted],
        ..RewriteContent::default()
    };
    done(
        &mut client,
        &session,
        0,
        card,
        CardTask::Rewrite(Box::new(content)),
    )
    .await;
    let mut bus = Gate::new(&mut client, BundleKind::Bus, "bus 1", days(730)).await;
    assert_eq!(bus.tap(card, days(730)), Ok(()));
}

/// The state and versions that the vault tells of a card's role keys, in all.
async fn alone(client: &mut TestClient, role: Role, version: u8) -> u64 {
    let keys = client.role_keys().await.unwrap();
    keys.iter()
        .find(|key| (key.role, key.version) == (role, version))
        .unwrap()
        .cards_alone
}

#[tokio::test]
async fn a_card_that_is_out_of_use_is_denied_and_keeps_no_key_version_and_may_come_back() {
    let installation = Installation::new(131).await;
    let mut client = installation.client().await;
    let session = order(&installation, &mut client, 1, 8).await;
    let mut cards = installation.blanks(3).await;
    for (index, card) in (0..).zip(&mut cards) {
        done(&mut client, &session, index, card, personalise(1)).await;
        done(
            &mut client,
            &session,
            index,
            card,
            CardTask::Activate { date: TODAY },
        )
        .await;
    }
    let mut bus = Gate::new(&mut client, BundleKind::Bus, "bus 1", TODAY).await;
    let region = REGION.parse().unwrap();
    rotate(&mut client, Role::Transit, days(30)).await;
    let refused = client.retire_role(Role::Transit, region, 1).await.unwrap_err();
    assert!(refused.is(RefusalCode::StillHeld), "{refused}");
    assert_eq!(alone(&mut client, Role::Transit, 1).await, 3);

    // One was cut up in use, one had ended on the chip before, one was blocked and replaced.
    done(&mut client, &session, 1, &mut cards[1], CardTask::Terminate).await;
    assert_eq!(alone(&mut client, Role::Transit, 1).await, 2);
    done(&mut client, &session, 2, &mut cards[2], CardTask::Block).await;
    for card in &cards {
        client.end_card(card.serial).await.unwrap();
        client.end_card(card.serial).await.unwrap();
    }
    assert_eq!(alone(&mut client, Role::Transit, 1).await, 0);
    bus.renew(&mut client, TODAY).await;
    assert_eq!(bus.tap(&cards[0], TODAY), Err("DENIED".into()));
    let written = done_or(&mut client, &session, 4, &mut cards[0], rewrite(&[Role::Transit])).await;
    assert!(written.unwrap_err().is(RefusalCode::CardDenied));

    // A mistake: it is the holder's again, and counts again.
    client.allow_card(cards[0].serial).await.unwrap();
    assert_eq!(alone(&mut client, Role::Transit, 1).await, 1);
    bus.renew(&mut client, TODAY).await;
    assert_eq!(bus.tap(&cards[0], TODAY), Ok(()));
    client.end_card(cards[0].serial).await.unwrap();
    let retired = client.retire_role(Role::Transit, region, 1).await.unwrap();
    assert_eq!(retired.state, RoleKeyState::Destroyed);
    let nobody = client.end_card([9; 10]).await.unwrap_err();
    assert!(nobody.is(RefusalCode::NotFound));
}

async fn done_or(
    client: &mut TestClient,
    session: &OrderSession,
    index: u32,
    card: &mut TestCard,
    task: CardTask,
) -> Result<keyvault_protocol::CardResult, keyvault_protocol::Error> {
    card.reset();
    run(client, session, index, card, task, Mishap::None).await.0
}

#[tokio::test]
async fn a_rewrite_that_another_orders_look_has_heard_of_is_answered_as_done() {
    let installation = Installation::new(132).await;
    let mut client = installation.client().await;
    let session = order(&installation, &mut client, 1, 2).await;
    let look = order(&installation, &mut client, 2, 1).await;
    let mut cards = installation.blanks(1).await;
    let card = &mut cards[0];
    active(&mut client, &session, card).await;
    // The card does FINALISE, and its answers are under way for a while.
    let mut script = client
        .start_card(&session, 1, card.serial, rewrite(&[Role::Transit]))
        .await
        .unwrap();
    let mut last = Vec::new();
    for round in 0..3 {
        let Script::Send { commands } = script else {
            panic!("{script:?}");
        };
        let answers: Vec<Vec<u8>> = commands
            .iter()
            .map(|command| card.chip.process(command).unwrap())
            .collect();
        if round == 2 {
            last = answers;
            break;
        }
        script = client.continue_card(&session, 1, answers).await.unwrap();
    }
    let seen = inspect(&mut client, &look, card).await;
    assert_eq!(seen.state, CardState::Active);
    let before = installation.journal().await;
    let Script::Done(told) = client.continue_card(&session, 1, last).await.unwrap() else {
        panic!("more is to be sent");
    };
    assert_eq!((told.state, told.serial), (CardState::Active, card.serial));
    assert!(told.steps > 0 && told.slots.iter().any(|slot| slot.issue_counter == 2));
    assert_eq!(
        installation.journal().await,
        before,
        "its outcome is written down once"
    );
}
