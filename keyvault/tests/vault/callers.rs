//! Callers: each may ask what its entry says and nothing else, until it is suspended, on open connections too.

use std::sync::Arc;

use keyvault::serve::Server;
use keyvault_protocol::{
    BundleKind, BundleRequest, CallerEntry, CardTask, ChannelKey, Client, Enrolment, Identity, OfficerAct,
    ReadJournal, RefusalCode, Request, Response, Script, TaskKind, UpdateTask, custodian_key,
};
use scratch_vault::OFFICERS;
use service_contract::Caller;
use tokio::io::DuplexStream;
use virtual_card::chip::Chip as _;

use super::gate::{Gate, REGION};
use super::operations::{ask, requests};
use super::support::*;

/// A connection as the caller of this name, whose key everybody can make.
async fn as_caller(installation: &Installation, name: &str) -> Client<DuplexStream> {
    scratch_vault::connect(&installation.vault, scratch_vault::key(name))
        .await
        .unwrap()
}

async fn enrol(installation: &Installation, enrolment: Enrolment) -> Result<(), keyvault_protocol::Error> {
    let mut client = as_caller(installation, OFFICERS[0]).await;
    let act = OfficerAct::EnrolCaller(enrolment);
    scratch_vault::approved(&mut client, act).await.map(drop)
}

fn entry(name: &str, kind: Caller) -> Enrolment {
    scratch_vault::enrolment(name, kind, scratch_vault::point(name))
}

#[tokio::test]
async fn a_caller_may_ask_what_its_kind_may_and_nothing_else() {
    let installation = Installation::new(130).await;
    for (name, kind) in [
        ("audit", Caller::Auditor),
        ("photos", Caller::PhotoStore),
        ("shenzhen", Caller::Issuer),
    ] {
        enrol(&installation, entry(name, kind)).await.unwrap();
    }
    let mut audit = as_caller(&installation, "audit").await;
    let mut photos = as_caller(&installation, "photos").await;
    let mut officer = as_caller(&installation, OFFICERS[0]).await;
    let names: Vec<String> = audit
        .callers()
        .await
        .unwrap()
        .into_iter()
        .map(|entry| entry.enrolment.name)
        .collect();
    assert_eq!(names, ["audit", "chen", "photos", "shenzhen", "sun", "zhou"]);
    photos.anchors().await.unwrap();
    for refused in [
        audit.suspend_caller("shenzhen").await.unwrap_err(),
        audit.deny_card([1; 10]).await.unwrap_err(),
        photos.callers().await.unwrap_err(),
        photos.open_order(&installation.signed(1, 1)).await.unwrap_err(),
        officer.open_order(&installation.signed(1, 1)).await.unwrap_err(),
        officer.check_lines(&[]).await.unwrap_err(),
    ] {
        assert!(refused.is(RefusalCode::NotPermitted), "{refused}");
    }
    // What each did is in the journal under its name, and what was done by two under both.
    let ask = |about: &str| ReadJournal {
        about: Some(about.into()),
        ..ReadJournal::default()
    };
    let by_officers = audit.journal(&ask(OFFICERS[1])).await.unwrap().lines;
    assert!(by_officers.iter().any(|line| line.kind == "request-done"));
    let by_chen = audit.journal(&ask(OFFICERS[0])).await.unwrap().lines;
    let enrolled = by_chen.iter().rfind(|line| {
        line.kind == "caller-enrolled" && line.values.contains(&("name".into(), "audit".into()))
    });
    let enrolled = enrolled.unwrap();
    for said in [
        ("caller", OFFICERS[0]),
        ("operation", "SubmitRequest"),
        ("name", "audit"),
    ] {
        let (name, value) = said;
        assert!(
            enrolled.values.contains(&(name.into(), value.into())),
            "{enrolled:?}"
        );
    }
}

/// Claim K0: one of every request, as somebody whose key nobody enrolled, and as each kind that its policy does not name.
#[tokio::test]
async fn an_open_vault_does_nothing_for_an_unknown_key_and_nothing_of_another_kind_for_a_known_one() {
    let installation = Installation::new(134).await;
    for (name, kind) in [
        ("audit", Caller::Auditor),
        ("payments", Caller::Settlement),
        ("photos", Caller::PhotoStore),
    ] {
        enrol(&installation, entry(name, kind)).await.unwrap();
    }
    drop(installation.client().await);
    let envelope = &installation.envelopes[0];
    let passphrase = scratch_vault::passphrase(&envelope.custodian);
    let share = envelope.open(passphrase.as_bytes()).unwrap();
    let callers = [
        (Caller::Anyone, ChannelKey::fresh()),
        (Caller::Issuer, scratch_vault::key("shenzhen")),
        (Caller::PhotoStore, scratch_vault::key("photos")),
        (Caller::Settlement, scratch_vault::key("payments")),
        (Caller::KeyOfficer, scratch_vault::key(OFFICERS[0])),
        (Caller::Auditor, scratch_vault::key("audit")),
        (Caller::Custodian, custodian_key(&share).unwrap()),
    ];
    let before = installation.journal().await;
    let mut refused = 0;
    for (name, request) in requests() {
        let policy = request.listed().policy;
        if policy.who == [Caller::Anyone] {
            continue;
        }
        for (kind, key) in callers.iter().filter(|(kind, _)| !policy.who.contains(kind)) {
            let expected = match kind {
                Caller::Anyone if policy.who.contains(&Caller::Custodian) && policy.while_sealed => {
                    RefusalCode::NotACustodian
                }
                Caller::Anyone => RefusalCode::UnknownCaller,
                _ => RefusalCode::NotPermitted,
            };
            let (response, _) = ask(&installation.vault, key, key.public(), request.clone()).await;
            let code = match &response {
                Response::Refused(refusal) => Some(refusal.code),
                _ => None,
            };
            assert_eq!(code, Some(expected), "{name} as {kind:?}: {response:?}");
            refused += 1;
        }
    }
    assert!(refused > 130, "{refused}");
    assert_eq!(installation.journal().await, before);
    assert_eq!(installation.vault.status().await.state.as_str(), "open");
}

#[tokio::test]
async fn a_caller_is_held_to_its_own_regions_and_operations() {
    let installation = Installation::new(131).await;
    let mut client = installation.client().await;
    let today = "2026-11-21".parse().unwrap();
    Gate::new(&mut client, BundleKind::Bus, "bus 1", today).await;
    let there = Enrolment {
        regions: vec!["440100".parse().unwrap()],
        ..entry("guangzhou", Caller::Issuer)
    };
    enrol(&installation, there).await.unwrap();
    let mut issuer = as_caller(&installation, "guangzhou").await;
    let bundle = BundleRequest {
        terminal: "bus 1".into(),
        zones: None,
        from: today,
        to: today,
    };
    for refused in [
        issuer.export_bundle(&bundle).await.unwrap_err(),
        issuer
            .sign_card_back("SZ-1", REGION.parse().unwrap(), today)
            .await
            .unwrap_err(),
    ] {
        assert!(refused.is(RefusalCode::RegionNotPermitted), "{refused}");
    }
    issuer.role_keys().await.unwrap();
    let number = Request::from(keyvault_protocol::RoleKeys).listed().number;
    let few = Enrolment {
        operations: vec![number],
        ..entry("reader", Caller::Issuer)
    };
    enrol(&installation, few).await.unwrap();
    let mut reader = as_caller(&installation, "reader").await;
    reader.role_keys().await.unwrap();
    let refused = reader.terminals().await.unwrap_err();
    assert!(refused.is(RefusalCode::NotPermitted), "{refused}");
    // No entry gives more than its kind has.
    for wrong in [
        // Who would be taken for somebody else, in a list of names or on a screen.
        entry("chen, sun", Caller::Auditor),
        entry("chen\u{200B}", Caller::KeyOfficer),
        entry("\u{202E}nehc", Caller::Auditor),
        entry(" chen", Caller::Auditor),
        entry("chen” (key officer): “sun", Caller::Auditor),
        Enrolment {
            operations: vec![35],
            ..entry("more", Caller::Issuer)
        },
        Enrolment {
            regions: vec!["990000".parse().unwrap()],
            ..entry("more", Caller::Issuer)
        },
    ] {
        let refused = enrol(&installation, wrong).await.unwrap_err();
        assert!(refused.is(RefusalCode::BadContent), "{refused}");
    }
    for taken in [
        entry("reader", Caller::Auditor),
        entry(OFFICERS[0], Caller::Auditor),
        entry("li", Caller::Auditor),
        entry("vault", Caller::Auditor),
        scratch_vault::enrolment("more", Caller::Auditor, scratch_vault::point("reader")),
    ] {
        let refused = enrol(&installation, taken).await.unwrap_err();
        assert!(refused.is(RefusalCode::NameTaken), "{refused}");
    }
}

#[tokio::test]
async fn who_is_suspended_is_refused_at_once_on_an_open_connection_until_two_give_it_back() {
    let installation = Installation::new(132).await;
    enrol(&installation, entry("audit", Caller::Auditor))
        .await
        .unwrap();
    let mut audit = as_caller(&installation, "audit").await;
    audit.callers().await.unwrap();
    let mut client = installation.client().await;
    let mut officer = as_caller(&installation, OFFICERS[2]).await;
    for _ in 0..2 {
        officer.suspend_caller("audit").await.unwrap();
    }
    assert!(
        officer
            .suspend_caller("nobody")
            .await
            .unwrap_err()
            .is(RefusalCode::NotFound)
    );
    let refused = audit.callers().await.unwrap_err();
    assert!(refused.is(RefusalCode::CallerSuspended), "{refused}");
    let listed: Vec<CallerEntry> = officer.callers().await.unwrap();
    assert!(
        listed
            .iter()
            .any(|entry| entry.suspended.is_some() && entry.enrolment.name == "audit")
    );
    officer.suspend_caller("shenzhen").await.unwrap();
    let refused = client.open_order(&installation.signed(1, 1)).await.unwrap_err();
    assert!(refused.is(RefusalCode::CallerSuspended), "{refused}");
    for name in ["audit", "shenzhen"] {
        let act = OfficerAct::RestoreCaller { name: name.into() };
        scratch_vault::approved(&mut officer, act).await.unwrap();
    }
    let mut audit = as_caller(&installation, "audit").await;
    audit.callers().await.unwrap();
    let mut client = installation.client().await;
    client.open_order(&installation.signed(1, 1)).await.unwrap();
    // Another key in the place of the one that it has: the old one is nobody's.
    let key = scratch_vault::point("audit again");
    let act = OfficerAct::ReplaceKey {
        name: "audit".into(),
        key,
    };
    scratch_vault::approved(&mut officer, act).await.unwrap();
    let refused = audit.callers().await.unwrap_err();
    assert!(refused.is(RefusalCode::UnknownCaller), "{refused}");
    let mut again = as_caller(&installation, "audit again").await;
    assert_eq!(again.callers().await.unwrap().len(), listed.len());
    let entries = again.callers().await.unwrap();
    let of_audit = entries.iter().filter(|entry| entry.enrolment.name == "audit");
    assert_eq!(
        of_audit.map(|entry| entry.enrolment.key).collect::<Vec<_>>(),
        [key]
    );
}

/// Claim K11, on the connections of one vault that is served.
#[tokio::test]
async fn who_is_suspended_is_hung_up_on_and_told_why_when_they_come_again() {
    let installation = Installation::new(135).await;
    enrol(&installation, entry("audit", Caller::Auditor))
        .await
        .unwrap();
    let server = Server::new(Arc::clone(&installation.vault)).unwrap();
    let anchors = installation.vault.anchors().await.unwrap();
    let connect = async |name: &str| {
        let (near, far) = tokio::io::duplex(1 << 16);
        drop(server.serve(far));
        let identity = Identity::of(scratch_vault::key(name), anchors, installation.clock.clock());
        Client::connect(near, &identity).await.unwrap()
    };
    let mut audit = connect("audit").await;
    audit.callers().await.unwrap();
    let mut officer = connect(OFFICERS[0]).await;
    officer.suspend_caller("audit").await.unwrap();
    assert_eq!(audit.callers().await.unwrap_err().code(), "VAULT_GONE");
    // The officer's own connection goes on.
    officer.callers().await.unwrap();
    let refused = connect("audit").await.callers().await.unwrap_err();
    assert!(refused.is(RefusalCode::CallerSuspended), "{refused}");
    // Nor does the connection stay of a key in whose place another came.
    enrol(&installation, entry("photos", Caller::PhotoStore))
        .await
        .unwrap();
    let mut photos = connect("photos").await;
    photos.anchors().await.unwrap();
    let act = OfficerAct::ReplaceKey {
        name: "photos".into(),
        key: scratch_vault::point("photos again"),
    };
    scratch_vault::approved(&mut officer, act).await.unwrap();
    assert_eq!(photos.anchors().await.unwrap_err().code(), "VAULT_GONE");
}

/// Claim K0: who knows the number of another issuer's order has neither that order nor the card that is being written under it.
#[tokio::test]
async fn an_order_and_the_card_under_way_are_its_issuers_alone() {
    let installation = Installation::new(136).await;
    let mut client = installation.client().await;
    let mut order = installation.order(1, 2);
    order.tasks.push(TaskKind::Update);
    let order = order.sign(&installation.issuer).unwrap();
    let session = client.open_order(&order).await.unwrap();
    let mut card = installation.blanks(1).await.pop().unwrap();
    enrol(&installation, entry("guangzhou", Caller::Issuer))
        .await
        .unwrap();
    let mut other = as_caller(&installation, "guangzhou").await;
    let task = for_card(card.serial, personalise(1));
    for refused in [
        other
            .start_card(&session, 0, card.serial, task.clone())
            .await
            .unwrap_err(),
        other
            .start_card(&session, 1, card.serial, CardTask::Inspect)
            .await
            .unwrap_err(),
        other
            .seal_update(&session, 1, card.serial, UpdateTask::Block)
            .await
            .unwrap_err(),
    ] {
        assert!(refused.is(RefusalCode::NotFound), "{refused}");
    }
    let begun = client.start_card(&session, 0, card.serial, task).await.unwrap();
    let Script::Send { commands } = begun else {
        panic!("nothing for the card");
    };
    let answers = commands
        .iter()
        .map(|command| card.chip.process(command).unwrap())
        .collect::<Vec<_>>();
    // Neither goes the other on with it, nor ends it.
    let refused = other
        .continue_card(&session, 0, answers.clone())
        .await
        .unwrap_err();
    assert!(refused.is(RefusalCode::NoCardSession), "{refused}");
    client.continue_card(&session, 0, answers).await.unwrap();
}

#[tokio::test]
async fn an_issuer_presents_its_own_orders_alone() {
    let installation = Installation::new(133).await;
    drop(installation.client().await);
    enrol(&installation, entry("guangzhou", Caller::Issuer))
        .await
        .unwrap();
    let mut other = as_caller(&installation, "guangzhou").await;
    let refused = other.open_order(&installation.signed(1, 1)).await.unwrap_err();
    assert!(refused.is(RefusalCode::OrderNotSigned), "{refused}");
    let mut own = installation.order(2, 1);
    own.issuer = "guangzhou".into();
    let signed = own.sign(&scratch_vault::officer("guangzhou")).unwrap();
    other.open_order(&signed).await.unwrap();
}
