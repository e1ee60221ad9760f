//! Bundles: what a bus, a clinic, a door and the counter can read of a card that the vault wrote, and what they cannot.

use card_applet_spec::codes::{Rights, Role};
use card_applet_spec::date::Date;
use card_reader::{Bundle, Card, Pinned, Terminal, TerminalKey};
use jiff::civil::date;
use keyvault_protocol::{Anchors, BundleKind, CardTask, RefusalCode};
use rand::SeedableRng;
use rand::rngs::StdRng;
use scratch_vault::{Approved as _, Outfit};
use virtual_card::{CardRandom, InProcess};

use super::gate::Gate;
use super::support::*;

fn today() -> Date {
    "2026-11-21".parse().unwrap()
}

fn pinned(anchors: &Anchors) -> Pinned {
    Pinned {
        vault: anchors.vault,
        root: card_applet_spec::crypto::PublicKey::from_point65(&anchors.terminal_ca).unwrap(),
    }
}

async fn terminal(client: &mut TestClient, kind: BundleKind, name: &str) -> (TerminalKey, Outfit) {
    let anchors = client.anchors().await.unwrap();
    // A key for each name.
    let seed = name.bytes().fold(7u64, |seed, byte| {
        seed.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    let mut rng = StdRng::seed_from_u64(seed);
    let key = TerminalKey::generate(name.parse().unwrap(), pinned(&anchors), &mut rng);
    let made = key.request();
    let request = Outfit {
        kind,
        terminal: name.into(),
        sealing_key: made.sealing_key,
        authentication_key: made.authentication_key,
        regions: vec!["440300".parse().unwrap(), "440305".parse().unwrap()],
        zones: 0,
        from: date(2026, 11, 21),
        to: date(2026, 11, 28),
    };
    (key, request)
}

fn on_reader(card: &TestCard) -> InProcess {
    let mut rng = StdRng::seed_from_u64(3);
    InProcess::with(virtual_card::Card::new(
        card.memory.clone(),
        CardRandom::from_source(&mut rng),
    ))
}

#[tokio::test]
async fn bus_clinic_door_and_counter_read_their_part_and_a_denied_card_is_refused() {
    let installation = Installation::new(40).await;
    let mut client = installation.client().await;
    let mut cards = installation.blanks(1).await;
    let session = client.open_order(&installation.signed(1, 1)).await.unwrap();
    let card = &mut cards[0];
    run(&mut client, &session, 0, card, personalise(1), Mishap::None)
        .await
        .0
        .unwrap();
    let mut rng = StdRng::seed_from_u64(41);

    let (counter_key, request) = terminal(&mut client, BundleKind::Counter, "counter 1").await;
    let sealed = client.outfit(&request).await.unwrap();
    let counter = Bundle::open(&sealed, &counter_key, None, today()).unwrap();
    let secure = Card::new(on_reader(card)).reset().unwrap().select().unwrap();
    let rights = Rights::IDENTITY
        .union(Rights::PERMIT)
        .union(Rights::PORTRAIT)
        .union(Rights::VERIFY)
        .union(Rights::ISSUER);
    let secure = secure
        .present(&counter, today())
        .unwrap()
        .agree(rights, &counter_key, today(), &mut rng)
        .unwrap();
    let (secure, groups) = secure
        .read_groups(Rights::IDENTITY.union(Rights::PERMIT))
        .unwrap();
    assert_eq!(groups.content().encoded(1).unwrap(), content(1).dg1);
    assert_eq!(secure.serial().unwrap().1, card.serial);

    card.reset();
    let day = CardTask::Activate {
        date: date(2026, 11, 21),
    };
    run(&mut client, &session, 0, card, day, Mishap::None)
        .await
        .0
        .unwrap();

    let mut last = None;
    for (kind, role) in [
        (BundleKind::Bus, Role::Transit),
        (BundleKind::Door, Role::Door),
        (BundleKind::Shop, Role::SmallPayment),
    ] {
        let (key, request) = terminal(&mut client, kind, kind.as_str()).await;
        let sealed = client.outfit(&request).await.unwrap();
        let mut terminal = Terminal::new(Bundle::open(&sealed, &key, None, today()).unwrap());
        let selected = Card::new(on_reader(card)).reset().unwrap().select().unwrap();
        terminal.tap(selected, role, today(), &mut rng).unwrap();
        // Another role's keys are not in the bundle.
        for other in Role::ALL {
            assert_eq!(terminal.bundle().serves(*other), *other == role);
        }
        last = Some((key, request, role));
    }
    let (clinic_key, request) = terminal(&mut client, BundleKind::Clinic, "clinic").await;
    let sealed = client.outfit(&request).await.unwrap();
    let clinic = Bundle::open(&sealed, &clinic_key, None, today()).unwrap();
    let secure = Card::new(on_reader(card))
        .reset()
        .unwrap()
        .select()
        .unwrap()
        .present(&clinic, today())
        .unwrap();
    let secure = secure
        .agree(Rights::role(Role::Clinic), &clinic_key, today(), &mut rng)
        .unwrap();
    secure.read_entitlement(Role::Clinic, &clinic, today()).unwrap();
    let presented = Card::new(on_reader(card))
        .reset()
        .unwrap()
        .select()
        .unwrap()
        .present(&clinic, today())
        .unwrap();
    assert_eq!(
        presented
            .agree(Rights::IDENTITY, &clinic_key, today(), &mut rng)
            .unwrap_err()
            .code(),
        "WRONG_ROLE"
    );

    // A bundle for another key does not open, and an older one is not loaded.
    let (key, request, role) = last.unwrap();
    assert!(Bundle::open(&sealed, &key, None, today()).is_err());
    client.deny_card(card.serial).await.unwrap();
    client.deny_card(card.serial).await.unwrap();
    let newer = client.outfit(&request).await.unwrap();
    let bundle = Bundle::open(&newer, &key, Some(1), today()).unwrap();
    assert_eq!(bundle.sequence(), 2);
    let selected = Card::new(on_reader(card)).reset().unwrap().select().unwrap();
    let denied = Terminal::new(bundle)
        .tap(selected, role, today(), &mut rng)
        .unwrap_err();
    assert_eq!(denied.code(), "DENIED");
}

#[tokio::test]
async fn a_bundle_request_that_asks_for_too_much_is_refused() {
    let installation = Installation::new(42).await;
    let mut client = installation.client().await;
    let (_, good) = terminal(&mut client, BundleKind::Clinic, "clinic").await;
    let cases = [
        (
            Outfit {
                to: date(2026, 11, 29),
                ..good.clone()
            },
            RefusalCode::BadContent,
        ),
        (
            Outfit {
                to: date(2026, 11, 20),
                from: date(2026, 11, 19),
                ..good.clone()
            },
            RefusalCode::BadContent,
        ),
        (
            Outfit {
                terminal: String::new(),
                ..good.clone()
            },
            RefusalCode::BadContent,
        ),
        (
            Outfit {
                terminal: "x\ny".into(),
                ..good.clone()
            },
            RefusalCode::BadContent,
        ),
        (
            Outfit {
                regions: Vec::new(),
                ..good.clone()
            },
            RefusalCode::LimitExceeded,
        ),
        (
            Outfit {
                sealing_key: [4; 65],
                ..good.clone()
            },
            RefusalCode::BadContent,
        ),
    ];
    for (request, code) in cases {
        let error = client.outfit(&request).await.unwrap_err();
        assert!(error.is(code), "{request:?}: {error}");
    }
    client.outfit(&good).await.unwrap();
    // The name of a clinic cannot become a bus.
    let bus = Outfit {
        kind: BundleKind::Bus,
        ..good
    };
    assert!(client.outfit(&bus).await.unwrap_err().is(RefusalCode::NameTaken));
}

#[tokio::test]
async fn the_card_back_is_signed_by_the_document_signer_for_what_it_says() {
    let installation = Installation::new(43).await;
    let mut client = installation.client().await;
    let anchors = client.anchors().await.unwrap();
    let region = "440305".parse().unwrap();
    let issued_on = date(2026, 11, 21);
    let mut cards = installation.blanks(1).await;
    let session = client.open_order(&installation.signed(1, 1)).await.unwrap();
    let number = number_of(cards[0].serial);
    // Not before the card is finished.
    let early = client.sign_card_back(&number, region, issued_on).await;
    assert!(early.unwrap_err().is(RefusalCode::NotFound));
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
    let signature = client.sign_card_back(&number, region, issued_on).await.unwrap();
    let back = keyvault_protocol::CardBack {
        card_number: number.clone(),
        region,
        issued_on,
    };
    assert!(back.is_signed(&signature, &anchors.document_signer));
    let other = keyvault_protocol::CardBack {
        card_number: "4403-000124".into(),
        ..back.clone()
    };
    // Drawn again it says the same; it never says anything else, and no number without a card is signed.
    let again = client.sign_card_back(&number, region, issued_on).await.unwrap();
    assert!(back.is_signed(&again, &anchors.document_signer));
    let tomorrow = date(2026, 11, 22);
    let another = client.sign_card_back(&number, region, tomorrow).await;
    assert!(another.unwrap_err().is(RefusalCode::NumberUsed));
    let nobody = client.sign_card_back(&other.card_number, region, issued_on).await;
    assert!(nobody.unwrap_err().is(RefusalCode::NotFound));
    assert!(!other.is_signed(&signature, &anchors.document_signer));
    assert!(!back.is_signed(&signature, &anchors.card_ca));
    assert!(
        client
            .sign_card_back("", region, issued_on)
            .await
            .unwrap_err()
            .is(RefusalCode::BadContent)
    );
    assert!(
        client
            .sign_card_back("王小明", region, issued_on)
            .await
            .unwrap_err()
            .is(RefusalCode::BadContent)
    );
}

#[tokio::test]
async fn no_bundle_has_a_certificate_before_its_day_a_long_leaf_a_missing_deny_list_or_a_retired_key() {
    use card_applet_spec::certificate::TerminalCertificate;
    use card_applet_spec::codes::KeyState;
    use card_applet_spec::crypto::{PrivateKey, PublicKey};
    use card_applet_spec::deny_list::DenyList;
    use card_applet_spec::sealed_box;

    let installation = Installation::new(44).await;
    let mut client = installation.client().await;
    let anchors = client.anchors().await.unwrap();
    let root = PublicKey::from_point65(&anchors.terminal_ca).unwrap();
    let deny_signer = PublicKey::from_point65(&anchors.deny_list_signer).unwrap();
    let mut rng = StdRng::seed_from_u64(45);
    let kinds: [(BundleKind, &[Role], bool); 6] = [
        (BundleKind::Bus, &[Role::Transit], false),
        (BundleKind::Door, &[Role::Door], false),
        (BundleKind::Shop, &[Role::SmallPayment], false),
        (BundleKind::Clinic, &[Role::Clinic], true),
        (BundleKind::SocialInsurance, &[Role::SocialInsurance], true),
        (BundleKind::Counter, Role::ALL, true),
    ];
    for (kind, roles, door_s) in kinds {
        let (sealing, authentication) = (PrivateKey::generate(&mut rng), PrivateKey::generate(&mut rng));
        // Begun some days ago, today, and made as far ahead as it may be.
        for from in [date(2026, 11, 16), date(2026, 11, 21), date(2026, 11, 28)] {
            let request = Outfit {
                kind,
                terminal: kind.as_str().into(),
                sealing_key: sealing.public().to_point65(),
                authentication_key: authentication.public().to_point65(),
                regions: vec!["440300".parse().unwrap(), "440305".parse().unwrap()],
                zones: 0,
                from,
                to: from.saturating_add(jiff::Span::new().days(7)),
            };
            let mut sealed = client.outfit(&request).await.unwrap();
            let plain = sealed_box::open(sealed_box::BUNDLE, &sealing, &mut sealed).unwrap();
            let bundle = card_applet_spec::bundle::Bundle::parse_and_verify(plain, &root).unwrap();
            assert_eq!(bundle.head.issued, today());

            let mut keys = 0;
            for key in bundle.role_keys() {
                let key = key.unwrap();
                assert_eq!((key.state, key.until), (KeyState::Active, Date::NONE));
                assert!(key.kv > 0 && roles.contains(&key.role));
                keys += 1;
            }
            assert_eq!(keys, roles.len() * 2);

            let lists: Vec<DenyList<'_>> = bundle
                .deny_lists()
                .map(|list| DenyList::parse_and_verify(list, &deny_signer).unwrap())
                .collect();
            let listed: Vec<Role> = lists.iter().map(|list| list.role).collect();
            assert_eq!(listed, roles, "one list per role, empty ones too");
            assert!(
                lists
                    .iter()
                    .all(|list| list.entries.is_empty() && list.is_fresh_on(today()))
            );

            assert_eq!(bundle.head.chain.is_some(), door_s);
            let Some((intermediate, leaf)) = bundle.head.chain else {
                continue;
            };
            let intermediate = TerminalCertificate::parse_and_verify(intermediate, &root).unwrap();
            let leaf = TerminalCertificate::parse_and_verify(leaf, &intermediate.public).unwrap();
            assert!(intermediate.effective <= today(), "{kind:?} {from}");
            assert!(intermediate.effective <= leaf.effective && leaf.expiry <= intermediate.expiry);
            assert!(intermediate.expiry.day_number() - today().day_number() <= 90);
            assert!(leaf.expiry.day_number() - leaf.effective.day_number() <= 7);
            assert!(leaf.is_short_lived() && leaf.has_sound_dates());
        }
    }
    for kind in [BundleKind::Clinic, BundleKind::Bus] {
        let (_, good) = terminal(&mut client, kind, &format!("{} ahead", kind.as_str())).await;
        for (from, to) in [
            (date(2026, 11, 29), date(2026, 12, 6)),
            (date(2036, 11, 21), date(2036, 11, 28)),
        ] {
            let request = Outfit {
                from,
                to,
                ..good.clone()
            };
            let error = client.outfit(&request).await.unwrap_err();
            assert!(error.is(RefusalCode::BadContent), "{error}");
        }
    }
}

#[tokio::test]
async fn new_keys_are_a_new_enrolment_and_a_key_is_one_terminals() {
    let installation = Installation::new(47).await;
    let mut client = installation.client().await;
    let anchors = client.anchors().await.unwrap();
    let today = date(2026, 11, 21);
    let (_, known) = Gate::request(&anchors, BundleKind::Bus, "bus 1", today);
    let (_, other) = Gate::request(&anchors, BundleKind::Bus, "bus 2", today);
    client.outfit(&known).await.unwrap();
    let before = client.terminals().await.unwrap();
    for (sealing_key, authentication_key) in [
        (other.sealing_key, other.authentication_key),
        (known.sealing_key, other.authentication_key),
        (other.sealing_key, known.authentication_key),
    ] {
        let request = Outfit {
            sealing_key,
            authentication_key,
            ..known.clone()
        };
        let error = client.outfit(&request).await.unwrap_err();
        assert!(error.is(RefusalCode::NameTaken), "{error}");
        assert!(error.refusal().unwrap().action.contains("--replaces"));
        // Nor does one of its keys get another name.
        if sealing_key == known.sealing_key || authentication_key == known.authentication_key {
            let renamed = Outfit {
                terminal: "bus 3".into(),
                ..request
            };
            let error = client.outfit(&renamed).await.unwrap_err();
            assert!(error.is(RefusalCode::TerminalKeys), "{error}");
        }
    }
    assert_eq!(client.terminals().await.unwrap(), before);
    // The same keys are the same enrolment, until it is revoked; and then they are nobody's.
    client.outfit(&known).await.unwrap();
    client.revoke_terminal("bus 1").await.unwrap();
    let back = Outfit {
        terminal: "bus 1 again".into(),
        ..known.clone()
    };
    let error = client.outfit(&back).await.unwrap_err();
    assert!(error.is(RefusalCode::TerminalKeys), "{error}");
    client.outfit(&other).await.unwrap();
    let numbers: Vec<u32> = client
        .terminals()
        .await
        .unwrap()
        .iter()
        .map(|terminal| terminal.tid)
        .collect();
    assert_eq!(numbers.len(), 2);
    assert_ne!(numbers[0], numbers[1]);
}

#[tokio::test]
async fn a_refused_bundle_or_card_makes_no_key_version_and_no_terminal() {
    let installation = Installation::new(47).await;
    let mut client = installation.client().await;
    let (_, bus) = terminal(&mut client, BundleKind::Bus, "gate 1").await;
    client.outfit(&bus).await.unwrap();
    let (_, other) = terminal(&mut client, BundleKind::Bus, "gate 2").await;
    let far: keyvault_protocol::Region = "510104".parse().unwrap();
    let door = client
        .rotate_role(Role::Door, far, date(2026, 12, 31))
        .await
        .unwrap();
    // One officer's word makes two new ones a day; behind the third there is none.
    for version in [door.version, 3, 5] {
        client.compromise_role(Role::Door, far, version).await.unwrap();
    }
    let (keys, terminals) = (
        client.role_keys().await.unwrap(),
        client.terminals().await.unwrap(),
    );

    let nowhere = "990000".parse().unwrap();
    let there = |request: &Outfit| Outfit {
        regions: vec![far],
        ..request.clone()
    };
    let refused = [
        // The name is another kind's.
        (
            there(&Outfit {
                kind: BundleKind::Clinic,
                ..bus.clone()
            }),
            RefusalCode::NameTaken,
        ),
        // The keys are another terminal's, or the name has others.
        (
            there(&Outfit {
                terminal: "gate 9".into(),
                ..bus.clone()
            }),
            RefusalCode::TerminalKeys,
        ),
        (
            there(&Outfit {
                terminal: "gate 1".into(),
                ..other.clone()
            }),
            RefusalCode::NameTaken,
        ),
        // One region of the two does not exist.
        (
            Outfit {
                regions: vec![far, nowhere],
                ..other.clone()
            },
            RefusalCode::BadContent,
        ),
        (
            Outfit {
                to: date(2026, 11, 20),
                ..there(&other)
            },
            RefusalCode::BadContent,
        ),
    ];
    for (request, code) in refused {
        let error = client.outfit(&request).await.unwrap_err();
        assert!(error.is(code), "{error}");
        assert_eq!(client.role_keys().await.unwrap(), keys, "{code:?}");
        assert_eq!(client.terminals().await.unwrap(), terminals, "{code:?}");
    }
    let error = client
        .rotate_role(Role::Door, nowhere, date(2026, 12, 31))
        .await
        .unwrap_err();
    assert!(error.is(RefusalCode::BadContent), "{error}");

    // A card of which one entitlement can be written and the other cannot: nothing is made for the first, and the card stays blank.
    let mut cards = installation.blanks(1).await;
    let session = client.open_order(&installation.signed(1, 1)).await.unwrap();
    let mut content = content(1);
    for entitlement in &mut content.entitlements {
        entitlement.region = far;
    }
    let task = CardTask::Personalise(Box::new(content));
    let card = &mut cards[0];
    let error = run(&mut client, &session, 0, card, task, Mishap::None)
        .await
        .0
        .unwrap_err();
    assert!(error.is(RefusalCode::NoActiveVersion), "{error}");
    assert_eq!(client.role_keys().await.unwrap(), keys);
    card.reset();
    run(&mut client, &session, 0, card, personalise(1), Mishap::None)
        .await
        .0
        .unwrap();
}
