//! Ceilings: what a day gives and no more, over a restart and at midnight; what a purse may be given; how many versions a role
//! key has (claims K9, K14).

use std::sync::Arc;

use jiff::SignedDuration;
use jiff::civil::{Date, date};
use keyvault::Vault;
use keyvault_protocol::{
    BundleKind, BundleRequest, CardTask, Client, Counted, ENROLLED_KINDS, Enrolment, Error, LineCheck,
    LotRequest, LoweredCeiling, OPERATIONS, OfficerAct, OrderSession, PhotoKeyContext, ReadJournal,
    RefusalCode, RewriteContent, Role, RoleKeyState, TaskKind, UpdateTask, UpdatesRequest, WrappedKey,
    sealed,
};
use program_contract::day;
use rand::SeedableRng;
use rand::rngs::StdRng;
use scratch_vault::{Approved as _, PHOTO_STORE};
use service_contract::Caller;
use tokio::io::DuplexStream;

use super::gate::{Gate, REGION};
use super::settlement::Shop;
use super::support::*;

const TODAY: Date = date(2026, 11, 21);

pub(crate) async fn lot(client: &mut Client<DuplexStream>, number: u8) -> Result<Vec<u8>, Error> {
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
    assert!(near[0].starts_with("vault lots 80 100"), "{near:?}");
    assert_eq!(near.len(), 1);
    let before = client.role_keys().await.unwrap();
    let error = lot(&mut client, 1).await.unwrap_err();
    assert!(error.is(RefusalCode::CeilingReached), "{error}");
    assert_eq!(error.exit_code(), 1);
    for word in ["100", "lots", "vault", "2026-11-22"] {
        assert!(error.to_string().contains(word), "{error}");
    }
    // What is counted elsewhere goes on; the refusal wrote nothing, of a lot that has no key yet neither; and another's request is
    // no other day's.
    let written = installation.journal().await;
    let mut other = scratch_vault::connect(&installation.vault, scratch_vault::key(PHOTO_STORE))
        .await
        .unwrap();
    for client in [&mut *client, &mut other] {
        let error = lot(client, 99).await.unwrap_err();
        assert!(error.is(RefusalCode::CeilingReached), "{error}");
    }
    assert_eq!(installation.journal().await, written);
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
    let (installation, mut client, session, mut card) = card_in_use(122).await;
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
    // Two loads of the most a day, and with the fiftieth the life of the purse is over.
    let mut order = installation.order(2, 200);
    order.tasks.push(TaskKind::Update);
    order.until = order
        .from
        .checked_add(SignedDuration::from_hours(29 * 24))
        .unwrap();
    let session = client
        .open_order(&order.sign(&installation.issuer).unwrap())
        .await
        .unwrap();
    for n in 2..=50u32 {
        let loaded = n * 100_000;
        let task = || UpdateTask::Load { loaded };
        if n % 2 == 1 {
            let error = client.seal_update(&session, n, serial, task()).await.unwrap_err();
            assert!(
                error.is(RefusalCode::PurseLimit) && error.to_string().contains("in one day"),
                "{error}"
            );
            installation.clock.advance(SignedDuration::from_hours(24));
        }
        client.seal_update(&session, n, serial, task()).await.unwrap();
    }
    installation.clock.advance(SignedDuration::from_hours(24));
    let beyond = UpdateTask::Load { loaded: 5_000_001 };
    let error = client
        .seal_update(&session, 100, serial, beyond)
        .await
        .unwrap_err();
    assert!(
        error.is(RefusalCode::PurseLimit) && error.to_string().contains("5000000"),
        "{error}"
    );
    bus.renew(&mut client, day::of(installation.clock.now())).await;
}

/// What one purchase takes is the card's to refuse: the vault tells no card of more than a load.
#[tokio::test]
async fn a_purse_pays_no_more_at_once_than_a_purse_may() {
    let (_installation, mut client, session, mut card) = card_in_use(128).await;
    for (index, purse_cap, fits) in [(10, 100_001, false), (10, u32::MAX, false), (11, 100_000, true)] {
        let CardTask::Rewrite(mut content) = rewrite(1_000) else {
            panic!("a rewrite");
        };
        content.entitlements[0].purse_cap = purse_cap;
        card.reset();
        let task = CardTask::Rewrite(content);
        let (written, _) = run(&mut client, &session, index, &mut card, task, Mishap::None).await;
        match written {
            Ok(_) => assert!(fits),
            Err(error) => assert!(
                !fits && error.is(RefusalCode::PurseLimit) && error.to_string().contains("a purchase"),
                "{error}"
            ),
        }
    }
}

/// A caller whose entry has these ceilings.
async fn enrolled(
    client: &mut TestClient,
    vault: &Arc<Vault>,
    name: &str,
    kind: Caller,
    ceilings: &[(Counted, u32)],
) -> Result<Client<DuplexStream>, Error> {
    let ceilings = ceilings.iter().map(|(counted, per_day)| LoweredCeiling {
        counted: counted.name().to_owned(),
        per_day: *per_day,
    });
    let enrolment = Enrolment {
        ceilings: ceilings.collect(),
        ..scratch_vault::enrolment(name, kind, scratch_vault::point(name))
    };
    scratch_vault::approved(client, OfficerAct::EnrolCaller(enrolment)).await?;
    scratch_vault::connect(vault, scratch_vault::key(name)).await
}

/// An order of an issuer of this name.
async fn ordered(
    installation: &Installation,
    client: &mut Client<DuplexStream>,
    name: &str,
    number: u8,
) -> Result<OrderSession, Error> {
    let mut order = installation.order(number, 200);
    order.issuer = name.to_owned();
    order.tasks.extend([TaskKind::Rewrite, TaskKind::Update]);
    client
        .open_order(&order.sign(&scratch_vault::officer(name)).unwrap())
        .await
}

fn photo() -> PhotoKeyContext {
    PhotoKeyContext {
        photo_id: [1; 16],
        person: [2; 16],
        profile: "chip".into(),
        version: 1,
    }
}

/// For each operation a caller of its own, whose entry lowers what it is counted for.
#[tokio::test]
#[allow(clippy::too_many_lines, reason = "an arm for each operation, read as a table")]
async fn every_operation_with_a_ceiling_warns_before_its_number_and_stops_at_it() {
    let (installation, mut client, session, first) = card_in_use(129).await;
    let mut bus = Gate::new(&mut client, BundleKind::Bus, "bus 1", TODAY).await;
    bus.renew(&mut client, TODAY).await;
    let mut shop = Shop::new(&mut client, "shop 1").await;
    let wrapped = client.photo_key_new(&photo()).await.unwrap().1;
    let back = number_of(first.serial);
    let mut blanks = installation.blanks(7).await.split_off(1);
    // Cards in use: the first, and behind StartCard five more.
    let mut cards = vec![first];
    let (mut lines, mut chains) = (Vec::new(), Vec::new());
    let mut tried = 0;
    for listed in OPERATIONS {
        let Some(ceiling) = listed.policy.ceiling else {
            continue;
        };
        let name = listed.name;
        let counted = Counted::ALL
            .iter()
            .find(|counted| counted.name() == ceiling.counted);
        let counted = *counted.unwrap();
        let kind = ENROLLED_KINDS
            .iter()
            .find(|kind| listed.policy.who.contains(kind));
        // Denying by lines takes a purchase each.
        let most = if name == "DenyChain" { 1 } else { 5 };
        let mut caller = enrolled(
            &mut client,
            &installation.vault,
            name,
            *kind.unwrap(),
            &[(counted, most)],
        )
        .await
        .unwrap();
        let ordered = match name {
            "StartCard" => ordered(&installation, &mut caller, name, 50).await,
            "SealUpdate" => ordered(&installation, &mut caller, name, 51).await,
            _ => Ok(session.clone()),
        };
        let ordered = ordered.unwrap();
        for n in 0..=most {
            let card = cards.get(n as usize).map(|card| card.serial);
            let outcome = match name {
                "PhotoKeyNew" => caller.photo_key_new(&photo()).await.map(drop),
                "PhotoKeyOpen" => caller.photo_key_open(&photo(), &wrapped).await.map(drop),
                "OpenOrder" => {
                    let number = 100 + u8::try_from(n).unwrap();
                    self::ordered(&installation, &mut caller, name, number)
                        .await
                        .map(drop)
                }
                "StartCard" => {
                    let card = &mut blanks[n as usize];
                    let task = personalise(1);
                    run(&mut caller, &ordered, n, card, task, Mishap::None)
                        .await
                        .0
                        .map(drop)
                }
                "ExportBundle" => caller
                    .export_bundle(&BundleRequest {
                        terminal: bus.name.clone(),
                        zones: None,
                        from: bus.request.from,
                        to: bus.request.to,
                    })
                    .await
                    .map(drop),
                "SignCardBack" => {
                    let region = REGION.parse().unwrap();
                    caller.sign_card_back(&back, region, TODAY).await.map(drop)
                }
                "DenyCard" => caller.deny_card(card.unwrap()).await,
                "AllowCard" => caller.allow_card(card.unwrap()).await,
                "DenyChain" => caller.deny_chain(chains[n as usize]).await,
                "SealUpdate" => {
                    let floor = UpdateTask::DateFloor(TODAY);
                    let serial = cards[0].serial;
                    caller.seal_update(&ordered, n, serial, floor).await.map(drop)
                }
                "ExportUpdates" => {
                    let request = UpdatesRequest {
                        terminal: bus.name.clone(),
                        to: bus.request.to,
                    };
                    caller.export_updates(&request).await.map(drop)
                }
                "CheckLines" => caller.check_lines(&lines[..1]).await.map(drop),
                "EndCard" => caller.end_card(card.unwrap()).await,
                other => panic!("{other} is counted, and nobody tries it"),
            };
            let of = format!("{name} {} ", counted.name());
            let warned = self::lines(&mut client, "ceiling-near").await;
            let warned = warned.iter().filter(|line| line.starts_with(&of)).count();
            assert_eq!(warned, usize::from((n + 1) * 5 >= most * 4), "{name} {n}");
            if n < most {
                outcome.unwrap_or_else(|error| panic!("{name} {n}: {error}"));
            } else {
                let error = outcome.unwrap_err();
                assert!(error.is(RefusalCode::CeilingReached), "{name}: {error}");
                let said = error.to_string();
                for word in [name, ceiling.counted, &most.to_string()] {
                    assert!(said.contains(word), "{said}");
                }
            }
        }
        let used = client.ceilings().await.unwrap();
        let used = used
            .iter()
            .find(|used| used.of == name && used.counted == ceiling.counted);
        let used = used.unwrap();
        assert_eq!(
            (used.used, used.most, used.is_near()),
            (most.into(), most.into(), true),
            "{name}"
        );
        tried += 1;
        match name {
            "StartCard" => {
                cards.extend(blanks.drain(..5));
                // Two of the cards pay, before anybody denies them.
                for n in 0..2u32 {
                    let card = &mut cards[n as usize];
                    if n > 0 {
                        card.reset();
                        let activate = CardTask::Activate { date: TODAY };
                        run(&mut client, &session, 150, card, activate, Mishap::None)
                            .await
                            .0
                            .unwrap();
                    }
                    card.reset();
                    run(
                        &mut client,
                        &session,
                        151 + n,
                        card,
                        rewrite(20_000),
                        Mishap::None,
                    )
                    .await
                    .0
                    .unwrap();
                    card.reset();
                    lines.push(shop.sell(card, 500));
                }
                for checked in client.check_lines(&lines).await.unwrap() {
                    match checked {
                        LineCheck::Genuine { chain, .. } => chains.push(chain),
                        other => panic!("{other:?}"),
                    }
                }
            }
            "DenyCard" => client.deny_card(cards[5].serial).await.unwrap(),
            _ => {}
        }
    }
    assert_eq!(tried, 13);
}

/// What a caller would do to have more of a day.
#[tokio::test]
async fn a_ceiling_is_a_callers_over_connections_refusals_suspension_another_key_and_a_start() {
    let mut installation = Installation::new(130).await;
    let mut client = installation.client().await;
    let (name, kind) = ("copies", Caller::PhotoStore);
    let lowered = [(Counted::NewPhotoKeys, 10), (Counted::OpenedPhotoKeys, 5)];
    let mut caller = enrolled(&mut client, &installation.vault, name, kind, &lowered)
        .await
        .unwrap();
    // What is refused is not counted.
    for _ in 0..12 {
        let other = WrappedKey::from_bytes(vec![1; 90]);
        let error = caller.photo_key_open(&photo(), &other).await.unwrap_err();
        assert!(error.is(RefusalCode::NotWrappedHere), "{error}");
    }
    // Eight connections at once, three requests each.
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let vault = Arc::clone(&installation.vault);
        asking.spawn(async move {
            let mut client = scratch_vault::connect(&vault, scratch_vault::key(name))
                .await
                .unwrap();
            let mut made = Vec::new();
            for _ in 0..3 {
                match client.photo_key_new(&photo()).await {
                    Ok((_, wrapped)) => made.push(wrapped),
                    Err(error) => assert!(error.is(RefusalCode::CeilingReached), "{error}"),
                }
            }
            made
        });
    }
    let made = asking.join_all().await.concat();
    assert_eq!(made.len(), 10);
    let stopped = async |vault: &Arc<Vault>, key: &str| {
        let mut caller = scratch_vault::connect(vault, scratch_vault::key(key))
            .await
            .unwrap();
        let error = caller.photo_key_new(&photo()).await.unwrap_err();
        assert!(error.is(RefusalCode::CeilingReached), "{error}");
    };
    stopped(&installation.vault, name).await;
    client.suspend_caller(name).await.unwrap();
    for act in [
        OfficerAct::ReplaceKey {
            name: name.into(),
            key: scratch_vault::point("copies, again"),
        },
        OfficerAct::RestoreCaller { name: name.into() },
    ] {
        scratch_vault::approved(&mut client, act).await.unwrap();
    }
    stopped(&installation.vault, "copies, again").await;
    installation.restart(131).await;
    stopped(&installation.vault, "copies, again").await;
    // The five that may be opened are all there.
    let key = scratch_vault::key("copies, again");
    let mut caller = scratch_vault::connect(&installation.vault, key).await.unwrap();
    for wrapped in &made[..5] {
        caller.photo_key_open(&photo(), wrapped).await.unwrap();
    }
    let error = caller.photo_key_open(&photo(), &made[5]).await.unwrap_err();
    assert!(error.is(RefusalCode::CeilingReached), "{error}");
    let mut client = installation.client().await;
    let used = client.ceilings().await.unwrap();
    let used = |of: &str, counted: Counted| {
        let found = used
            .iter()
            .find(|used| used.of == of && used.counted == counted.name());
        found.map(|used| (used.used, used.most))
    };
    assert_eq!(used(name, Counted::NewPhotoKeys), Some((10, 10)));
    assert_eq!(used(name, Counted::OpenedPhotoKeys), Some((5, 5)));
    assert_eq!(used(name, Counted::Cards), None);
    assert_eq!(used("vault", Counted::Lots), Some((0, 100)));
    // Another day is another one.
    installation.clock.advance(SignedDuration::from_hours(24));
    caller.photo_key_new(&photo()).await.unwrap();
    let used = client.ceilings().await.unwrap();
    assert!(used.iter().any(|used| used.of == name && used.used == 1));
    assert!(!used.iter().any(|used| used.used > 1));
}

#[tokio::test]
async fn loads_and_their_money_are_lowered_with_what_carries_them() {
    let (installation, mut client, session, mut card) = card_in_use(132).await;
    let vault = &installation.vault;
    card.reset();
    run(&mut client, &session, 10, &mut card, rewrite(1_000), Mishap::None)
        .await
        .0
        .unwrap();
    let mut loaded = 1_000;
    for (number, counted, most, given) in [(60, Counted::Loads, 2, 2), (61, Counted::Fen, 2_500, 2)] {
        let name = format!("by {}", counted.name());
        let mut caller = enrolled(&mut client, vault, &name, Caller::Issuer, &[(counted, most)])
            .await
            .unwrap();
        let session = ordered(&installation, &mut caller, &name, number).await.unwrap();
        for index in 0..=given {
            let task = UpdateTask::Load {
                loaded: loaded + 1_000,
            };
            match caller.seal_update(&session, index, card.serial, task).await {
                Ok(_) => {
                    assert!(index < given, "{name}");
                    loaded += 1_000;
                }
                Err(error) => assert!(
                    index == given
                        && error.is(RefusalCode::CeilingReached)
                        && error.to_string().contains(counted.name()),
                    "{name}: {error}"
                ),
            }
        }
    }
    // Nobody is promised what is not counted for them.
    for (kind, counted) in [
        (Caller::PhotoStore, Counted::Loads),
        (Caller::Settlement, Counted::Fen),
        (Caller::Issuer, Counted::Blanks),
        (Caller::Issuer, Counted::Rotations),
    ] {
        let name = format!("no {}", counted.name());
        let error = enrolled(&mut client, vault, &name, kind, &[(counted, 1)])
            .await
            .unwrap_err();
        assert!(error.is(RefusalCode::BadContent), "{error}");
    }
}

/// Before: an issuer's key blocked ten times as many cards in a day as it could deny, over every terminal.
#[tokio::test]
async fn a_block_that_is_sealed_counts_as_a_denial_too() {
    let (installation, mut client, _, card) = card_in_use(134).await;
    let denials = [(Counted::Denials, 1)];
    let mut caller = enrolled(
        &mut client,
        &installation.vault,
        "nanshan",
        Caller::Issuer,
        &denials,
    )
    .await
    .unwrap();
    let session = ordered(&installation, &mut caller, "nanshan", 62).await.unwrap();
    // The same again is the same.
    for _ in 0..2 {
        caller
            .seal_update(&session, 0, card.serial, UpdateTask::Block)
            .await
            .unwrap();
    }
    let refused = caller
        .seal_update(&session, 1, card.serial, UpdateTask::Block)
        .await
        .unwrap_err();
    assert!(refused.is(RefusalCode::CeilingReached), "{refused}");
    assert!(refused.to_string().contains(Counted::Denials.name()), "{refused}");
    let floor = UpdateTask::DateFloor(TODAY);
    caller.seal_update(&session, 1, card.serial, floor).await.unwrap();
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
