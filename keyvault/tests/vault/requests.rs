//! Requests: what gives something is signed by two officers; where they are gone, by a quorum of custodians, who wait a day.

use std::path::Path;

use jiff::SignedDuration;
use keyvault::custody::share_envelope::ShareEnvelope;
use keyvault_protocol::{
    BundleKind, BundleRequest, Error, OfficerAct, RefusalCode, RequestOutcome, Role, RoleKeyState,
    SignedRequest, TerminalEnrolment, sign_as_custodian,
};
use scratch_vault::{Approved as _, OFFICERS, Outfit};
use service_contract::Caller;

use super::gate::{Gate, REGION};
use super::support::*;

fn rotate() -> OfficerAct {
    OfficerAct::RotateRole {
        role: Role::Door,
        region: REGION.parse().unwrap(),
        drain_until: "2026-12-31".parse().unwrap(),
    }
}

fn request(installation: &Installation, act: OfficerAct, requester: &str) -> SignedRequest {
    scratch_vault::request(installation.vault.id(), act, requester, installation.clock.now()).unwrap()
}

fn signed(installation: &Installation, act: OfficerAct, officers: &[&str]) -> SignedRequest {
    let mut request = request(installation, act, "tests");
    scratch_vault::sign(&mut request, officers);
    request
}

async fn submit(installation: &Installation, request: &SignedRequest) -> Result<RequestOutcome, Error> {
    installation.client().await.submit_request(request).await
}

async fn refused(installation: &Installation, request: &SignedRequest, code: RefusalCode) {
    let error = submit(installation, request).await.unwrap_err();
    assert!(error.is(code), "{error}");
    let keys = installation.client().await.role_keys().await.unwrap();
    assert_eq!(keys, [], "a refused request did something");
}

#[tokio::test]
async fn a_request_counts_with_two_officers_for_this_vault_in_its_time_and_unchanged_and_is_done_once() {
    let mut installation = Installation::new(140).await;
    for officers in [
        &[][..],
        &OFFICERS[..1],
        &[OFFICERS[0], OFFICERS[0]],
        &[OFFICERS[0], "nobody"],
    ] {
        let request = signed(&installation, rotate(), officers);
        refused(&installation, &request, RefusalCode::TwoOfficersNeeded).await;
    }
    // One signature under two names, and one of a requester who is an officer.
    let mut doubled = signed(&installation, rotate(), &OFFICERS[..1]);
    let mut other = doubled.signatures[0].clone();
    other.signer = keyvault_protocol::RequestSigner::Officer {
        name: OFFICERS[1].into(),
    };
    doubled.signatures.push(other);
    refused(&installation, &doubled, RefusalCode::TwoOfficersNeeded).await;
    let mut own = request(&installation, rotate(), OFFICERS[0]);
    scratch_vault::sign(&mut own, &OFFICERS[..2]);
    refused(&installation, &own, RefusalCode::TwoOfficersNeeded).await;
    // A flood of signatures: one that bears a name is looked at, and the true one behind it is not.
    let mut flood = signed(&installation, rotate(), &OFFICERS[..2]);
    let mut forged = flood.signatures[0].clone();
    forged.signature[9] ^= 1;
    flood.signatures.insert(0, forged);
    refused(&installation, &flood, RefusalCode::TwoOfficersNeeded).await;
    // Who would be taken for somebody else; and what is long to hash.
    for (requester, code) in [
        ("tests\u{2066}", RefusalCode::BadContent),
        ("sun, zhou", RefusalCode::BadContent),
        (&"x".repeat(1 << 16), RefusalCode::LimitExceeded),
    ] {
        let mut odd = request(&installation, rotate(), requester);
        scratch_vault::sign(&mut odd, &OFFICERS[..2]);
        refused(&installation, &odd, code).await;
    }
    let now = installation.clock.now();
    let mut elsewhere = scratch_vault::request([7; 16], rotate(), "tests", now).unwrap();
    scratch_vault::sign(&mut elsewhere, &OFFICERS[..2]);
    refused(&installation, &elsewhere, RefusalCode::WrongVault).await;
    let good = signed(&installation, rotate(), &OFFICERS[..2]);
    for at in 0..good.request.len() {
        let mut changed = good.clone();
        changed.request[at] ^= 1;
        let error = submit(&installation, &changed).await.unwrap_err();
        assert!(error.refusal().is_some(), "byte {at}: {error}");
    }
    assert_eq!(installation.client().await.role_keys().await.unwrap(), []);
    // Done once, and answered the same, after a restart too.
    let done = submit(&installation, &good).await.unwrap();
    assert!(matches!(&done, RequestOutcome::RoleKey(key) if key.version == 1));
    installation.restart(141).await;
    assert_eq!(submit(&installation, &good).await.unwrap(), done);
    let keys = installation.client().await.role_keys().await.unwrap();
    assert_eq!((keys.len(), keys[0].state), (1, RoleKeyState::Active));
    installation.clock.advance(SignedDuration::from_hours(7 * 24));
    let error = submit(&installation, &good).await.unwrap_err();
    assert!(error.is(RefusalCode::RequestExpired), "{error}");
    // Another one for the same is another one.
    let next = signed(&installation, rotate(), &OFFICERS[..2]);
    let done = submit(&installation, &next).await.unwrap();
    assert!(matches!(&done, RequestOutcome::RoleKey(key) if key.version == 2));
}

#[tokio::test]
async fn the_signature_of_a_suspended_officer_does_not_count_and_where_two_are_left_the_requester_may_sign() {
    let installation = Installation::new(142).await;
    let mut request = request(&installation, rotate(), OFFICERS[0]);
    scratch_vault::sign(&mut request, &[OFFICERS[0], OFFICERS[2]]);
    let mut client = installation.client().await;
    client.suspend_caller(OFFICERS[2]).await.unwrap();
    refused(&installation, &request, RefusalCode::TwoOfficersNeeded).await;
    scratch_vault::sign(&mut request, &OFFICERS[1..2]);
    submit(&installation, &request).await.unwrap();
}

#[tokio::test]
async fn other_keys_of_an_enrolled_terminal_need_a_request_that_says_so() {
    let installation = Installation::new(143).await;
    let mut client = installation.client().await;
    let today = "2026-11-21".parse().unwrap();
    let anchors = client.anchors().await.unwrap();
    let (_, known) = Gate::request(&anchors, BundleKind::Bus, "bus 1", today);
    let (_, other) = Gate::request(&anchors, BundleKind::Bus, "bus 2", today);
    client.outfit(&known).await.unwrap();
    let tid = client.terminals().await.unwrap()[0].tid;
    let replaced = Outfit {
        terminal: "bus 1".into(),
        ..other
    };
    let error = client.enrol_terminal(&replaced).await.unwrap_err();
    assert!(error.is(RefusalCode::NameTaken), "{error}");
    let act = OfficerAct::EnrolTerminal(TerminalEnrolment {
        kind: BundleKind::Bus,
        terminal: "bus 1".into(),
        sealing_key: replaced.sealing_key,
        authentication_key: replaced.authentication_key,
        regions: replaced.regions.clone(),
        zones: 3,
        until: replaced.to,
        replaces: true,
    });
    scratch_vault::approved(&mut client, act).await.unwrap();
    let terminal = client.terminals().await.unwrap().remove(0);
    assert_eq!(terminal.authentication_key, Some(replaced.authentication_key));
    assert_eq!((terminal.tid, terminal.enrolled_until), (tid, Some(replaced.to)));
    // Renewal is within the enrolment: its zones, and its last day.
    let bundle = |zones, to| BundleRequest {
        terminal: "bus 1".into(),
        zones,
        from: today,
        to,
    };
    client.export_bundle(&bundle(Some(1), replaced.to)).await.unwrap();
    for zones in [Some(0), Some(4)] {
        let error = client
            .export_bundle(&bundle(zones, replaced.to))
            .await
            .unwrap_err();
        assert!(error.is(RefusalCode::BadContent), "{error}");
    }
    let late = replaced.to.tomorrow().unwrap();
    let error = client.export_bundle(&bundle(None, late)).await.unwrap_err();
    assert!(error.is(RefusalCode::EnrolmentEnded), "{error}");
}

#[tokio::test]
async fn officers_who_are_gone_are_replaced_by_a_quorum_of_custodians_after_a_day() {
    let installation = Installation::new(144).await;
    let mut client = installation.client().await;
    let officers = ["he", "ma", "gao"]
        .map(|name| scratch_vault::enrolment(name, Caller::KeyOfficer, scratch_vault::point(name)));
    let act = OfficerAct::ReplaceOfficers {
        officers: officers.to_vec(),
    };
    let shares: Vec<_> = installation
        .envelopes
        .iter()
        .map(|envelope| {
            envelope
                .open(scratch_vault::passphrase(&envelope.custodian).as_bytes())
                .unwrap()
        })
        .collect();
    let mut request = request(&installation, act, "bureau");
    sign_as_custodian(&shares[0], &mut request).unwrap();
    sign_as_custodian(&shares[0], &mut request).unwrap();
    scratch_vault::sign(&mut request, &OFFICERS);
    refused(&installation, &request, RefusalCode::TwoOfficersNeeded).await;
    sign_as_custodian(&shares[2], &mut request).unwrap();
    refused(&installation, &request, RefusalCode::OfficersThere).await;
    // One officer takes away from the others, as one can.
    for name in &OFFICERS[1..] {
        client.suspend_caller(name).await.unwrap();
    }
    let first = submit(&installation, &request).await.unwrap();
    let RequestOutcome::Waits(from) = first else {
        panic!("{first:?}");
    };
    assert_eq!(from, installation.clock.now() + SignedDuration::from_hours(24));
    installation.clock.advance(SignedDuration::from_hours(23));
    assert_eq!(submit(&installation, &request).await.unwrap(), first);
    let enrolled = |callers: Vec<keyvault_protocol::CallerEntry>| {
        callers
            .iter()
            .filter(|entry| entry.enrolment.kind == Caller::KeyOfficer)
            .count()
    };
    assert_eq!(enrolled(client.callers().await.unwrap()), 3);
    installation.clock.advance(SignedDuration::from_hours(1));
    for _ in 0..2 {
        assert_eq!(
            submit(&installation, &request).await.unwrap(),
            RequestOutcome::Done
        );
    }
    assert_eq!(enrolled(client.callers().await.unwrap()), 6);
    let mut rotate = signed(&installation, rotate(), &["he", "ma"]);
    rotate.signatures.rotate_left(1);
    submit(&installation, &rotate).await.unwrap();
}

#[tokio::test]
async fn a_store_of_format_4_keeps_its_issuers_and_terminals_and_gets_officers_from_its_custodians_at_once() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vault/format_4");
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("vault")).unwrap();
    std::fs::copy(
        golden.join("vault.sqlite"),
        folder.path().join("vault/vault.sqlite"),
    )
    .unwrap();
    let envelopes: Vec<ShareEnvelope> = ["li", "wang"]
        .into_iter()
        .map(|name| std::fs::read(golden.join(format!("{name}.share.json"))).unwrap())
        .map(|text| ShareEnvelope::parse(&text).unwrap())
        .collect();
    let clock = TestClock::at("2026-11-23T04:00:00Z");
    let vault = scratch_vault::reopen(folder.path(), &envelopes, clock.clock(), random(145))
        .await
        .unwrap();
    // Nobody gives anything before there are officers; whose key it knows no other way is a custodian.
    let shares: Vec<_> = envelopes
        .iter()
        .map(|envelope| envelope.open(scratch_vault::passphrase(&envelope.custodian).as_bytes()))
        .collect::<Result<_, _>>()
        .unwrap();
    let mut custodian = scratch_vault::connect_custodian(&vault, &shares[0])
        .await
        .unwrap();
    let (region, until) = (REGION.parse().unwrap(), "2026-12-31".parse().unwrap());
    let error = custodian
        .rotate_role(Role::Door, region, until)
        .await
        .unwrap_err();
    assert!(error.is(RefusalCode::TwoOfficersNeeded), "{error}");
    scratch_vault::appoint_officers(&vault, &shares).await.unwrap();
    let mut officer = scratch_vault::connect(&vault, scratch_vault::key(OFFICERS[0]))
        .await
        .unwrap();
    let callers = officer.callers().await.unwrap();
    let issuers: Vec<&str> = callers
        .iter()
        .filter(|entry| entry.enrolment.kind == Caller::Issuer && entry.suspended.is_none())
        .map(|entry| entry.enrolment.name.as_str())
        .collect();
    assert_eq!(issuers, ["guangzhou", "shenzhen"]);
    assert_eq!(callers.len(), issuers.len() + OFFICERS.len());
    // The key of an issuer's orders is its key in the channel; who has it no more gets another.
    let act = OfficerAct::ReplaceKey {
        name: "shenzhen".into(),
        key: scratch_vault::point("shenzhen"),
    };
    scratch_vault::approved(&mut officer, act).await.unwrap();
    let mut client = connect(&vault).await;
    // A clinic renews without anybody; who was revoked does not.
    let bundle = |terminal: &str| BundleRequest {
        terminal: terminal.into(),
        zones: None,
        from: "2026-11-23".parse().unwrap(),
        to: "2026-11-30".parse().unwrap(),
    };
    client.export_bundle(&bundle("clinic 1")).await.unwrap();
    let error = client.export_bundle(&bundle("bus 1")).await.unwrap_err();
    assert!(error.is(RefusalCode::TerminalRevoked), "{error}");
    client.rotate_role(Role::Door, region, until).await.unwrap();
}
