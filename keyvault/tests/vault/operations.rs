//! The policy of every operation, held against what the vault does.

use std::sync::Arc;

use jiff::Span;
use keyvault::serve;
use keyvault_protocol::{
    AllowCard, BundleKind, CardBack, CardVersions, CheckLines, CompromiseRole, DenyCard, DenyListRequest,
    EnrolIssuer, ExportBundle, ExportDenyList, ExportLot, ExportUpdates, Greeting, Hello, IssuerKey,
    LotRequest, OPERATIONS, OpenOrder, PROTOCOL_VERSION, PhotoKeyContext, PhotoKeyNew, PhotoKeyOpen,
    ReadAnchors, ReadPending, ReadStatus, RefusalCode, Request, Response, RetireRole, RevokeTerminal, Role,
    RoleKeys, RotateRole, Seal, SealRequest, SignCardBack, Terminals, UpdatesRequest, frame, sealed,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use service_contract::{Answer, Journal, Operation};

use super::custody::sealed as sealed_vault;
use super::gate::{Gate, REGION};
use super::support::*;

/// One of every request, from the list that holds the wire.
fn requests() -> Vec<(String, Request)> {
    include_str!("../../protocol/src/encoding.txt")
        .lines()
        .filter_map(|line| line.strip_prefix("request ")?.split_once(": "))
        .map(|(name, bytes)| {
            let bytes = hex::decode(bytes).unwrap();
            (name.to_owned(), minicbor::decode(&bytes).unwrap())
        })
        .collect()
}

#[tokio::test]
async fn a_sealed_vault_answers_what_its_policies_say_and_nothing_else() {
    let (_folder, _, _, vault) = sealed_vault(91).await;
    let requests = requests();
    for operation in OPERATIONS {
        let is_there = |(_, request): &(String, Request)| request.listed().number == operation.number;
        assert!(requests.iter().any(is_there), "{}", operation.name);
    }
    for (name, request) in requests {
        if matches!(request, Request::Hello(_)) {
            continue;
        }
        let (mut near, far) = tokio::io::duplex(1 << 16);
        tokio::spawn(serve::connection(far, Arc::clone(&vault)));
        let hello = Request::from(Hello(Greeting {
            version: PROTOCOL_VERSION,
            client_key: [4; 65],
        }));
        frame::write(&mut near, &hello).await.unwrap();
        let welcome: Option<Response> = frame::read(&mut near).await.unwrap();
        assert!(matches!(welcome, Some(Response::Welcome(_))));
        frame::write(&mut near, &request).await.unwrap();
        let response: Response = frame::read(&mut near).await.unwrap().unwrap();
        let is_sealed =
            matches!(&response, Response::Refused(refusal) if refusal.code == RefusalCode::Sealed);
        assert_eq!(
            is_sealed,
            !request.listed().policy.while_sealed,
            "{name}: {response:?}"
        );
    }
}

/// Asks, and holds the journal against the policy.
async fn asked<O>(installation: &Installation, client: &mut TestClient, operation: O) -> O::Answer
where
    O: Operation + Into<Request>,
    O::Answer: Answer<Response>,
{
    let name = std::any::type_name::<O>();
    let before = installation.journal().await.len();
    let answer = client.ask(operation).await;
    let answer = answer.unwrap_or_else(|error| panic!("{name}: {error}"));
    let grown = installation.journal().await.len() > before;
    assert_eq!(grown, O::POLICY.journal != Journal::None, "{name}");
    answer
}

#[tokio::test]
async fn an_operation_leaves_in_the_journal_what_its_policy_says() {
    let installation = Installation::new(92).await;
    let mut client = installation.client().await;
    let client = &mut client;
    let at = &installation;
    let today = content(1).certificate_from;
    let key = sealed::point_of(&sealed::fresh_key(&mut StdRng::seed_from_u64(5)).public_key());

    asked(at, client, ReadStatus).await;
    asked(at, client, ReadAnchors).await;
    let name = "another".to_owned();
    asked(at, client, EnrolIssuer(IssuerKey { name, key })).await;

    let context = PhotoKeyContext {
        photo_id: [1; 16],
        person: [2; 16],
        profile: "chip".into(),
        version: 1,
    };
    let made = asked(at, client, PhotoKeyNew(context.clone())).await;
    let wrapped = made.wrapped;
    asked(at, client, PhotoKeyOpen { context, wrapped }).await;

    let session = asked(at, client, OpenOrder(installation.signed(1, 1))).await;
    let mut cards = installation.blanks(1).await;
    run(client, &session, 0, &mut cards[0], personalise(1), Mishap::None)
        .await
        .0
        .unwrap();
    let serial = cards[0].serial;
    asked(at, client, CardVersions { serial }).await;
    asked(at, client, ReadPending { serial }).await;
    asked(at, client, DenyCard { serial }).await;
    asked(at, client, AllowCard { serial }).await;
    asked(at, client, CheckLines { lines: Vec::new() }).await;
    let back = CardBack {
        card_number: "SZ1".into(),
        region: REGION.parse().unwrap(),
        issued_on: today,
    };
    asked(at, client, SignCardBack(back)).await;
    let list = DenyListRequest {
        role: Role::Transit,
        issued: today,
        max_age_days: 30,
        grace_days: 0,
    };
    asked(at, client, ExportDenyList(list)).await;

    let anchors = client.anchors().await.unwrap();
    let (_, bundle) = Gate::request(&anchors, BundleKind::Bus, "bus 1", today);
    asked(at, client, ExportBundle(bundle)).await;
    let updates = UpdatesRequest {
        terminal: "bus 1".into(),
        to: today.saturating_add(Span::new().days(7)),
    };
    asked(at, client, ExportUpdates(updates)).await;
    asked(at, client, Terminals).await;
    let name = "bus 1".to_owned();
    asked(at, client, RevokeTerminal { name }).await;
    let lot = LotRequest {
        issuer: [0, 1],
        lot: [0, 0, 0, 9],
        first: 1,
        count: 1,
        maker: "maker".into(),
        maker_key: key,
    };
    asked(at, client, ExportLot(lot)).await;

    let (role, region) = (Role::Door, "110000".parse().unwrap());
    let made = asked(
        at,
        client,
        RotateRole {
            role,
            region,
            drain_until: today,
        },
    )
    .await;
    let version = made.version;
    asked(at, client, RoleKeys).await;
    asked(
        at,
        client,
        CompromiseRole {
            role,
            region,
            version,
        },
    )
    .await;
    asked(
        at,
        client,
        RetireRole {
            role,
            region,
            version,
        },
    )
    .await;
    asked(at, client, Seal(SealRequest { by: "test".into() })).await;
}
