//! Ceilings: what a day gives and no more, over a restart and at midnight; what a purse may be given; how many versions a role
//! key has (claims K9, K14).

use jiff::SignedDuration;
use jiff::civil::{Date, date};
use keyvault_protocol::{
    BundleKind, CardTask, Counted, Error, LotRequest, OrderSession, ReadJournal, RefusalCode, RewriteContent,
    Role, RoleKeyState, TaskKind, UpdateTask, sealed,
};
use program_contract::day;
use rand::SeedableRng;
use rand::rngs::StdRng;
use scratch_vault::Approved as _;

use super::gate::{Gate, REGION};
use super::support::*;

const TODAY: Date = date(2026, 11, 21);

pub(crate) async fn lot(client: &mut TestClient, number: u8) -> Result<Vec<u8>, Error> {
    let maker = sealed::fresh_key(&mut StdRng::seed_from_u64(1));
    let request = LotRequest {
        issuer: [0x44, 0x03],
        lot: [0, 0, 0, number],
        first: 1,
        count: 1,
        maker: "card maker".into(),
        maker_key: sealed::point_of(&maker.public_key()),
    };
    client.export_lot(&request).await
}

/// The values of the journal's lines of a kind.
pub(crate) async fn lines(client: &mut TestClient, kind: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut ask = ReadJournal::default();
    loop {
        let page = client.journal(&ask).await.unwrap();
        for line in page.lines.into_iter().filter(|line| line.kind == kind) {
            // What it is about; for whom it was done is in every line.
            let about = line
                .values
                .into_iter()
                .take_while(|(name, _)| name != "operation");
            let mut values: Vec<String> = about.map(|(_, value)| value).collect();
            values.pop();
            found.push(values.join(" "));
        }
        match page.next {
            Some(next) => ask.after = next,
            None => return found,
        }
    }
}

#[tokio::test]
async fn a_day_gives_the_number_and_not_one_more_whatever_is_restarted_until_midnight() {
    let mut installation = Installation::new(120).await;
    let mut client = installation.client().await;
    let most = Counted::Lots.per_day();
    for n in 0..most {
        lot(&mut client, u8::try_from(n % 5).unwrap()).await.unwrap();
    }
    let near = lines(&mut client, "ceiling-near").await;
    assert!(near[0].starts_with("shenzhen lots 80 100"), "{near:?}");
    assert_eq!(near.len(), 1);
    let before = client.role_keys().await.unwrap();
    let error = lot(&mut client, 1).await.unwrap_err();
    assert!(error.is(RefusalCode::CeilingReached), "{error}");
    assert_eq!(error.exit_code(), 1);
    for word in ["100", "lots", "shenzhen", "2026-11-22"] {
        assert!(error.to_string().contains(word), "{error}");
    }
    // What is counted elsewhere goes on, and the refusal wrote nothing.
    assert_eq!(client.role_keys().await.unwrap(), before);
    client.open_order(&installation.signed(1, 1)).await.unwrap();
    installation.restart(121).await;
    let mut client = installation.client().await;
    let error = lot(&mut client, 1).await.unwrap_err();
    assert!(error.is(RefusalCode::CeilingReached), "{error}");
    // It is noon; eleven hours and 59 minutes later it is the same day.
    installation.clock.advance(SignedDuration::from_mins(12 * 60 - 1));
    assert!(
        lot(&mut client, 1)
            .await
            .unwrap_err()
            .is(RefusalCode::CeilingReached)
    );
    installation.clock.advance(SignedDuration::from_mins(1));
    lot(&mut client, 1).await.unwrap();
}

/// An order of updates and rewrites, and a card in use.
pub(crate) async fn card_in_use(seed: u64) -> (Installation, TestClient, OrderSession, TestCard) {
    let installation = Installation::new(seed).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(1).await;
    let mut order = installation.order(1, 200);
    order.tasks.extend([TaskKind::Rewrite, TaskKind::Update]);
    let session = client
        .open_order(&order.sign(&installation.issuer).unwrap())
        .await
        .unwrap();
    let mut card = cards.remove(0);
    for task in [personalise(1), CardTask::Activate { date: TODAY }] {
        card.reset();
        let done = run(&mut client, &session, 0, &mut card, task, Mishap::None).await;
        done.0.unwrap();
    }
    (installation, client, session, card)
}

fn rewrite(loaded: u32) -> CardTask {
    let purse = content(1)
        .entitlements
        .into_iter()
        .filter(|wanted| wanted.role == Role::SmallPayment);
    CardTask::Rewrite(Box::new(RewriteContent {
        entitlements: purse.collect(),
        loaded: Some(loaded),
        ..RewriteContent::default()
    }))
}

/// Before: any figure up to 2^32 was taken.
#[tokio::test]
async fn a_purse_is_given_no_more_at_once_and_in_its_life_than_a_purse_may_be() {
    let (_installation, mut client, session, mut card) = card_in_use(122).await;
    let mut bus = Gate::new(&mut client, BundleKind::Bus, "bus 1", TODAY).await;
    let serial = card.serial;
    for (index, loaded, what) in [(10, 100_001, "a load"), (10, u32::MAX, "a load")] {
        let sealed = client
            .seal_update(&session, index, serial, UpdateTask::Load { loaded })
            .await
            .unwrap_err();
        assert!(sealed.is(RefusalCode::PurseLimit), "{sealed}");
        assert!(sealed.to_string().contains(what), "{sealed}");
        card.reset();
        let (written, _) = run(
            &mut client,
            &session,
            11,
            &mut card,
            rewrite(loaded),
            Mishap::None,
        )
        .await;
        assert!(written.unwrap_err().is(RefusalCode::PurseLimit));
    }
    card.reset();
    let (written, _) = run(
        &mut client,
        &session,
        11,
        &mut card,
        rewrite(100_000),
        Mishap::None,
    )
    .await;
    written.unwrap();
    // Fifty loads of the most, and the life of the purse is over.
    for n in 2..=50u32 {
        let task = UpdateTask::Load { loaded: n * 100_000 };
        client.seal_update(&session, 10 + n, serial, task).await.unwrap();
    }
    let beyond = UpdateTask::Load { loaded: 5_000_001 };
    let error = client
        .seal_update(&session, 100, serial, beyond)
        .await
        .unwrap_err();
    assert!(
        error.is(RefusalCode::PurseLimit) && error.to_string().contains("5000000"),
        "{error}"
    );
    bus.renew(&mut client, TODAY).await;
}

/// Before: 255 rotations in 0.4 seconds ended a role.
#[tokio::test]
async fn a_role_is_rotated_twice_a_day_and_its_last_versions_are_for_a_compromise() {
    let installation = Installation::new(123).await;
    let mut client = installation.client().await;
    let region = REGION.parse().unwrap();
    let mut today = TODAY;
    // The first version is none that takes another's place.
    let first = client.rotate_role(Role::Door, region, TODAY).await.unwrap();
    let mut newest = first.version;
    loop {
        let mut refused = None;
        for turn in 0..3 {
            let drain = today.tomorrow().unwrap();
            match client.rotate_role(Role::Door, region, drain).await {
                Ok(key) => {
                    assert!(turn < 2);
                    newest += 1;
                    assert_eq!((key.version, key.state), (newest, RoleKeyState::Active));
                    // The one before is not needed by any card: its place in memory is free again.
                    client.retire_role(Role::Door, region, newest - 1).await.unwrap();
                }
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        let refused = refused.unwrap();
        if refused.is(RefusalCode::VersionsUsedUp) {
            break;
        }
        assert!(refused.is(RefusalCode::CeilingReached), "{refused}");
        for word in [
            "DOOR 440300",
            "2 rotations",
            &today.tomorrow().unwrap().to_string(),
        ] {
            assert!(refused.to_string().contains(word), "{refused}");
        }
        // Another role has its own two.
        if newest == 3 {
            client
                .rotate_role(Role::Transit, region, today.tomorrow().unwrap())
                .await
                .unwrap();
        }
        installation.clock.advance(SignedDuration::from_hours(24));
        today = today.tomorrow().unwrap();
    }
    assert_eq!(newest, 247);
    let warned = lines(&mut client, "versions-run-out").await;
    assert_eq!(warned.len(), 16);
    assert!(warned[0].starts_with("DOOR/440300/232 23"), "{warned:?}");
    // What was kept is taken behind a compromise, by two and not by the one who says it. Where its keys are destroyed before no card
    // has the compromised version, and none is left out. Then nothing is left, and the vault says so.
    for (next, is_retired) in [
        (249u8, false),
        (251, false),
        (253, false),
        (254, true),
        (255, true),
    ] {
        let compromised = client.compromise_role(Role::Door, region, newest).await.unwrap();
        assert_eq!(
            (compromised.version.state, compromised.active),
            (RoleKeyState::Compromised, None)
        );
        if is_retired {
            client.retire_role(Role::Door, region, newest).await.unwrap();
        }
        let drain = today.tomorrow().unwrap();
        let key = client.rotate_role(Role::Door, region, drain).await.unwrap();
        assert_eq!(key.version, next);
        newest = next;
        installation.clock.advance(SignedDuration::from_hours(24));
        today = today.tomorrow().unwrap();
    }
    client.compromise_role(Role::Door, region, 255).await.unwrap();
    let drain = today.tomorrow().unwrap();
    let error = client.rotate_role(Role::Door, region, drain).await.unwrap_err();
    assert!(
        error.is(RefusalCode::VersionsUsedUp) && error.to_string().contains(" 0 "),
        "{error}"
    );
    assert_eq!(day::of(client.status().await.unwrap().high_water), today);
}

/// Before: a compromise left the role without an Active version until two officers were found.
#[tokio::test]
async fn what_one_officer_compromises_has_a_next_version_twice_a_day_and_two_officers_make_one_beside() {
    let mut installation = Installation::new(125).await;
    let mut client = installation.client().await;
    let region = REGION.parse().unwrap();
    let tomorrow = TODAY.tomorrow().unwrap();
    for _ in 0..2 {
        client.rotate_role(Role::Clinic, region, tomorrow).await.unwrap();
    }
    // Of a version that drains the next one is there.
    let drained = client.compromise_role(Role::Clinic, region, 1).await.unwrap();
    assert_eq!(drained.active.map(|key| key.version), Some(2));
    let mut newest = 2;
    for next in [Some(4), Some(6), None] {
        let compromised = client
            .compromise_role(Role::Clinic, region, newest)
            .await
            .unwrap();
        assert_eq!(compromised.version.state, RoleKeyState::Compromised);
        assert_eq!(compromised.active.as_ref().map(|key| key.version), next);
        // The same again makes no other one, on the same day or over a restart, and what was used stays used.
        installation.restart(126 + u64::from(newest)).await;
        client = installation.client().await;
        let again = client
            .compromise_role(Role::Clinic, region, newest)
            .await
            .unwrap();
        assert_eq!(again, compromised);
        newest = next.unwrap_or(newest);
    }
    let told = lines(&mut client, "role-compromised").await;
    let version = |number: u8| format!("CLINIC/{region}/{number}");
    assert_eq!(
        told,
        [
            version(1),
            format!("{} {}", version(2), version(4)),
            format!("{} {}", version(4), version(6)),
            version(6),
        ]
    );
    // Two officers have their own two; what one says behind that has none again, and theirs are used up.
    for next in [8, 10] {
        let made = client.rotate_role(Role::Clinic, region, tomorrow).await.unwrap();
        assert_eq!((made.version, made.state), (next, RoleKeyState::Active));
        let compromised = client.compromise_role(Role::Clinic, region, next).await.unwrap();
        assert_eq!(compromised.active, None);
    }
    let refused = client.rotate_role(Role::Clinic, region, tomorrow).await;
    let refused = refused.unwrap_err();
    assert!(refused.is(RefusalCode::CeilingReached), "{refused}");
    // Another region has its own.
    let far = "510104".parse().unwrap();
    client.rotate_role(Role::Clinic, far, tomorrow).await.unwrap();
    let compromised = client.compromise_role(Role::Clinic, far, 1).await.unwrap();
    assert_eq!(compromised.active.map(|key| key.version), Some(3));
    // On another day there are new ones.
    installation.clock.advance(SignedDuration::from_hours(24));
    let made = client.rotate_role(Role::Clinic, region, tomorrow).await.unwrap();
    let compromised = client
        .compromise_role(Role::Clinic, region, made.version)
        .await
        .unwrap();
    assert_eq!(compromised.active.map(|key| key.version), Some(made.version + 2));
}
