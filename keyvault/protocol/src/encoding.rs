//! The bytes of every request and response, held against a list: the wire stays as it is when the types change.

use jiff::civil::date;
use jiff::{Timestamp, civil::Date};

use crate::*;

const SERIAL: Serial = Serial([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
const POINT: PointBytes = [4; 65];

fn day(number: i8) -> Date {
    date(2026, 11, number)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).unwrap()
}

fn region() -> Region {
    "440300".parse().unwrap()
}

fn entitlement() -> Entitlement {
    Entitlement {
        role: Role::SmallPayment,
        region: region(),
        tier: Tier::Employment,
        class: 3,
        services: 0x0102_0304,
        zones: u64::MAX,
        valid_from: day(21),
        valid_to: day(30),
        rule_set: "shenzhen-2026".into(),
        purse_cap: 30_000,
    }
}

fn attempt() -> Attempt {
    Attempt {
        id: [9; 16],
        key: POINT,
        fingerprint: "0011 2233".into(),
        given: vec!["one".into()],
        ends: at(900),
    }
}

fn journal() -> Request {
    let ask = ReadJournal {
        after: 7,
        from: Some(1_795_000_000),
        before: None,
        about: Some("01020304".into()),
    };
    ask.into()
}

fn order() -> SignedOrder {
    SignedOrder::from_bytes(&[[0x82, 0x43, 1, 2, 3, 0x58, 0x40].as_slice(), &[7; 64]].concat()).unwrap()
}

fn request() -> SignedRequest {
    SignedRequest {
        request: vec![1, 2, 3],
        signatures: vec![
            RequestSignature {
                signer: RequestSigner::Officer { name: "chen".into() },
                signature: [7; 64],
            },
            RequestSignature {
                signer: RequestSigner::Custodian { epoch: 1, index: 2 },
                signature: [7; 64],
            },
        ],
    }
}

fn enrolment() -> Enrolment {
    Enrolment {
        name: "shenzhen".into(),
        kind: service_contract::Caller::Issuer,
        key: POINT,
        regions: vec![region()],
        operations: vec![9, 10],
        ceilings: vec![LoweredCeiling {
            counted: "cards".into(),
            per_day: 100,
        }],
    }
}

/// What officers can want, one of each.
fn acts() -> Vec<OfficerAct> {
    vec![
        OfficerAct::EnrolCaller(enrolment()),
        OfficerAct::RestoreCaller { name: "bank".into() },
        OfficerAct::ReplaceKey {
            name: "bank".into(),
            key: POINT,
        },
        OfficerAct::EnrolTerminal(TerminalEnrolment {
            kind: BundleKind::Clinic,
            terminal: "clinic 1".into(),
            sealing_key: POINT,
            authentication_key: [5; 65],
            regions: vec![region()],
            zones: 6,
            until: day(30),
            replaces: true,
        }),
        OfficerAct::RotateRole {
            role: Role::SocialInsurance,
            region: region(),
            drain_until: day(30),
        },
        OfficerAct::RetireRole {
            role: Role::Door,
            region: region(),
            version: 255,
        },
        OfficerAct::ExportLot(LotRequest {
            issuer: [0, 1],
            lot: [0, 0, 0, 2],
            first: 3,
            count: 40_000,
            maker: "maker".into(),
            maker_key: POINT,
        }),
        OfficerAct::ReplaceOfficers {
            officers: vec![enrolment()],
        },
        OfficerAct::SetTime {
            day: day(21),
            generation: 7,
        },
    ]
}

fn start(task: CardTask) -> Request {
    Request::StartCard(StartCard {
        order: [3; 16],
        index: 4,
        serial: SERIAL,
        task,
    })
}

fn update(task: UpdateTask) -> Request {
    Request::SealUpdate(SealUpdate {
        order: [3; 16],
        index: 4,
        serial: SERIAL,
        task,
    })
}

fn share() -> SealedShare {
    SealedShare {
        attempt: [9; 16],
        vault: [8; 16],
        epoch: 1,
        index: 2,
        sealed: vec![7; 5],
        seen: 6,
        day: None,
    }
}

fn photo() -> PhotoKeyContext {
    PhotoKeyContext {
        photo_id: [1; 16],
        person: [2; 16],
        profile: "chip".into(),
        version: 3,
    }
}

#[expect(clippy::too_many_lines, reason = "one of each, read as a table")]
fn requests() -> Vec<(&'static str, Request)> {
    vec![
        (
            "Hello",
            Hello(Greeting {
                version: 2,
                client_key: POINT,
            })
            .into(),
        ),
        ("Status", ReadStatus.into()),
        ("BeginUnseal", BeginUnseal.into()),
        ("GiveShare", GiveShare(share(), None).into()),
        (
            "GiveShare with a request",
            GiveShare(share(), Some(request())).into(),
        ),
        ("Seal", Seal.into()),
        ("PhotoKeyNew", PhotoKeyNew(photo()).into()),
        (
            "PhotoKeyOpen",
            PhotoKeyOpen {
                context: photo(),
                wrapped: WrappedKey::from_bytes(vec![1; 9]),
            }
            .into(),
        ),
        ("OpenOrder", OpenOrder(order()).into()),
        (
            "StartCard personalise",
            start(CardTask::Personalise(Box::new(CardContent {
                dg1: vec![1; 3],
                dg2: vec![2; 4],
                dg3: vec![3; 5],
                entitlements: vec![entitlement()],
                certificate_from: day(1),
                certificate_to: day(2),
                card_number: "SZ123".into(),
            }))),
        ),
        ("StartCard activate", start(CardTask::Activate { date: day(21) })),
        ("StartCard block", start(CardTask::Block)),
        ("StartCard inspect", start(CardTask::Inspect)),
        ("StartCard unblock", start(CardTask::Unblock)),
        ("StartCard terminate", start(CardTask::Terminate)),
        (
            "StartCard rewrite",
            start(CardTask::Rewrite(Box::new(RewriteContent {
                dg1: None,
                dg2: Some(vec![2; 3]),
                dg3: None,
                entitlements: vec![entitlement()],
                loaded: Some(70_000),
            }))),
        ),
        (
            "StartCard rewrite of nothing",
            start(CardTask::Rewrite(Box::default())),
        ),
        (
            "ContinueCard",
            ContinueCard {
                order: [3; 16],
                index: 4,
                answers: vec![vec![0x90, 0], vec![]],
            }
            .into(),
        ),
        (
            "ExportBundle",
            ExportBundle(BundleRequest {
                terminal: "clinic 1".into(),
                zones: Some(6),
                from: day(21),
                to: day(28),
            })
            .into(),
        ),
        (
            "SignCardBack",
            SignCardBack(CardBack {
                card_number: "SZ123".into(),
                region: region(),
                issued_on: day(21),
            })
            .into(),
        ),
        ("Anchors", ReadAnchors.into()),
        ("DenyCard", DenyCard { serial: SERIAL }.into()),
        ("AllowCard", AllowCard { serial: SERIAL }.into()),
        ("DenyChain", DenyChain { chain: [6; 16] }.into()),
        ("EndCard", EndCard { serial: SERIAL }.into()),
        (
            "ExportDenyList",
            ExportDenyList(DenyListRequest {
                role: Role::Transit,
                issued: day(21),
                max_age_days: 30,
                grace_days: 0,
            })
            .into(),
        ),
        (
            "CompromiseRole",
            CompromiseRole {
                role: Role::Clinic,
                region: region(),
                version: 2,
            }
            .into(),
        ),
        ("RoleKeys", RoleKeys.into()),
        ("CardVersions", CardVersions { serial: SERIAL }.into()),
        (
            "SealUpdate entitlement",
            update(UpdateTask::Entitlement(entitlement())),
        ),
        (
            "SealUpdate permit block",
            update(UpdateTask::PermitBlock { dg3: vec![3; 4] }),
        ),
        ("SealUpdate date floor", update(UpdateTask::DateFloor(day(21)))),
        ("SealUpdate block", update(UpdateTask::Block)),
        (
            "SealUpdate erase version",
            update(UpdateTask::EraseVersion {
                role: Role::Door,
                version: 3,
            }),
        ),
        ("SealUpdate load", update(UpdateTask::Load { loaded: 50_000 })),
        (
            "ExportUpdates",
            ExportUpdates(UpdatesRequest {
                terminal: "gate 1".into(),
                to: day(30),
            })
            .into(),
        ),
        (
            "AcceptReceipts",
            AcceptReceipts {
                receipts: vec![Receipt {
                    update: [1; 16],
                    receipt: [2; 16],
                }],
            }
            .into(),
        ),
        ("ReadJournal", journal()),
        ("SubmitRequest", SubmitRequest(request()).into()),
        (
            "SuspendCaller",
            SuspendCaller {
                name: "shenzhen".into(),
            }
            .into(),
        ),
        ("Callers", Callers.into()),
        ("Ceilings", Ceilings.into()),
        ("PendingUpdates", ReadPending { serial: SERIAL }.into()),
        (
            "RevokeTerminal",
            RevokeTerminal {
                name: "gate 1".into(),
            }
            .into(),
        ),
        ("Terminals", Terminals.into()),
        (
            "CheckLines",
            CheckLines {
                lines: vec![
                    SettlementLine {
                        key_version: 1,
                        pid: [1; 16],
                        body: [2; 28],
                        seq: 3,
                        loaded: 4,
                        spent: 5,
                        tac: [6; 8],
                        before: Some([7; 44]),
                    },
                    SettlementLine {
                        key_version: 1,
                        pid: [1; 16],
                        body: [2; 28],
                        seq: 3,
                        loaded: 4,
                        spent: 5,
                        tac: [6; 8],
                        before: None,
                    },
                ],
            }
            .into(),
        ),
    ]
}

fn slot(delivered_by: DeliveredBy) -> SlotVersion {
    SlotVersion {
        role: Role::Transit,
        region: region(),
        key_version: 2,
        state: RoleKeyState::Draining,
        issue_counter: 7,
        delivered_by,
    }
}

fn role_key(state: RoleKeyState, until: Option<Date>) -> RoleKeyInfo {
    RoleKeyInfo {
        role: Role::Transit,
        region: region(),
        version: 1,
        state,
        until,
        cards: 70_000,
        cards_alone: 1,
    }
}

fn result(state: CardState, domain: Domain) -> Response {
    Response::Script(Script::Done(Box::new(CardResult {
        serial: SERIAL,
        state,
        last_step: 9,
        steps: 10,
        keys: vec![CardKey {
            domain,
            public_key: POINT,
            certificate: vec![1; 3],
        }],
        slots: vec![slot(DeliveredBy::Script), slot(DeliveredBy::Update)],
    })))
}

fn terminal(kind: BundleKind, day: Option<Date>, authentication_key: Option<PointBytes>) -> TerminalInfo {
    TerminalInfo {
        name: "gate 1".into(),
        kind,
        tid: 5,
        regions: vec![region()],
        sequence: 6,
        revoked: day,
        bundle_until: day,
        leaf_until: None,
        updates_until: day,
        authentication_key,
        enrolled_until: day,
    }
}

fn status(state: VaultState, attempt: Option<Attempt>) -> Response {
    Response::Status(Status {
        state,
        vault: [8; 16],
        epoch: 1,
        threshold: 3,
        custodians: vec!["one".into(), "two".into()],
        attempt,
        high_water: at(0),
        generation: 7,
    })
}

#[expect(clippy::too_many_lines, reason = "one of each, read as a table")]
fn responses() -> Vec<(&'static str, Response)> {
    vec![
        (
            "Refused",
            Response::Refused(Refusal {
                code: RefusalCode::StillHeld,
                message: "m".into(),
                action: "a".into(),
                message_zh: "事".into(),
                action_zh: "办".into(),
            }),
        ),
        (
            "Welcome",
            Response::Welcome(Welcome {
                version: 2,
                vault: [8; 16],
                statement: Some(TransportStatement {
                    from: at(0),
                    until: at(900),
                    signature: [7; 64],
                }),
                generation: Some(6),
            }),
        ),
        ("Status", status(VaultState::Unsealing, Some(attempt()))),
        ("Status open", status(VaultState::Open, None)),
        ("Status sealed", status(VaultState::Sealed, None)),
        ("Status damaged", status(VaultState::Damaged, None)),
        ("Attempt", Response::Attempt(attempt())),
        (
            "Progress",
            Response::Progress(UnsealProgress {
                state: VaultState::Unsealing,
                given: 1,
                needed: 2,
                epoch: 3,
                missing: vec!["two".into()],
                generation: Some(4),
            }),
        ),
        ("Done", Response::Done),
        (
            "PhotoKey",
            Response::PhotoKey {
                sealed: vec![1; 5],
                wrapped: WrappedKey::from_bytes(vec![2; 6]),
            },
        ),
        (
            "Order",
            Response::Order(OrderSession {
                order: [3; 16],
                cards: 4,
                until: at(60),
            }),
        ),
        (
            "Script send",
            Response::Script(Script::Send {
                commands: vec![vec![0x80, 0x50], vec![1]],
            }),
        ),
        ("Script done blank", result(CardState::Blank, Domain::Person)),
        (
            "Script done personalised",
            result(CardState::Personalised, Domain::Clinic),
        ),
        (
            "Script done active",
            result(CardState::Active, Domain::SocialInsurance),
        ),
        ("Script done blocked", result(CardState::Blocked, Domain::Person)),
        (
            "Script done terminated",
            result(CardState::Terminated, Domain::Person),
        ),
        ("Export", Response::Export(vec![1; 300])),
        ("Signature", Response::Signature([5; 64])),
        (
            "Anchors",
            Response::Anchors(Anchors {
                vault: [8; 16],
                card_ca: [1; 65],
                terminal_ca: [2; 65],
                document_signer: [3; 65],
                entitlement_signer: [4; 65],
                deny_list_signer: [5; 65],
                audit_signer: [6; 65],
                operating_key: [7; 65],
            }),
        ),
        (
            "RoleCompromised",
            Response::RoleCompromised(RoleCompromised {
                version: role_key(RoleKeyState::Compromised, None),
                active: Some(role_key(RoleKeyState::Active, None)),
            }),
        ),
        (
            "RoleCompromised, none Active",
            Response::RoleCompromised(RoleCompromised {
                version: role_key(RoleKeyState::Compromised, None),
                active: None,
            }),
        ),
        (
            "RoleKeys",
            Response::RoleKeys(vec![
                role_key(RoleKeyState::Draining, Some(day(30))),
                role_key(RoleKeyState::Compromised, None),
                role_key(RoleKeyState::Destroyed, None),
            ]),
        ),
        (
            "CardVersions",
            Response::CardVersions(vec![slot(DeliveredBy::Script)]),
        ),
        (
            "Queued",
            Response::Queued(QueuedUpdate {
                change: [1; 16],
                envelopes: vec![QueuedEnvelope {
                    update: [2; 16],
                    role: Role::Door,
                    region: region(),
                }],
            }),
        ),
        (
            "Receipts",
            Response::Receipts(vec![
                ReceiptOutcome::Done {
                    serial: SERIAL,
                    change: [1; 16],
                },
                ReceiptOutcome::AlreadyKnown {
                    serial: SERIAL,
                    change: [1; 16],
                },
                ReceiptOutcome::UnknownUpdate,
                ReceiptOutcome::Forged,
            ]),
        ),
        (
            "Pending",
            Response::Pending(PendingUpdates {
                waiting: 1,
                withdrawn: 2,
            }),
        ),
        (
            "Terminals",
            Response::Terminals(vec![
                terminal(BundleKind::Bus, Some(day(21)), Some(POINT)),
                terminal(BundleKind::Counter, None, None),
                terminal(BundleKind::Door, None, None),
                terminal(BundleKind::SocialInsurance, None, None),
                terminal(BundleKind::Shop, None, None),
            ]),
        ),
        (
            "Lines",
            Response::Lines(vec![
                LineCheck::Forged,
                LineCheck::UnknownCard,
                LineCheck::Genuine {
                    chain: [1; 16],
                    loaded_known: true,
                    before: None,
                    given: 70_000,
                },
                LineCheck::Genuine {
                    chain: [1; 16],
                    loaded_known: false,
                    before: Some(OpenedDebit {
                        seq: 1,
                        tid: 2,
                        amount: 3,
                        spent: 4,
                        time: 5,
                        txno: [6; 8],
                        kind: 1,
                        tac: [7; 8],
                    }),
                    given: 0,
                },
            ]),
        ),
        (
            "Journal",
            Response::Journal(JournalPage {
                lines: vec![JournalLine {
                    seq: 8,
                    at: 1_795_000_001,
                    kind: "card-denied".into(),
                    values: vec![("serial".into(), "01020304".into())],
                    hash: [5; 32],
                }],
                next: Some(8),
            }),
        ),
        ("Request done", Response::Request(RequestOutcome::Done)),
        (
            "Request role key",
            Response::Request(RequestOutcome::RoleKey(role_key(RoleKeyState::Active, None))),
        ),
        ("Request lot", Response::Request(RequestOutcome::Lot(vec![1; 3]))),
        (
            "Request waits",
            Response::Request(RequestOutcome::Waits(at(86_400))),
        ),
        (
            "Ceilings",
            Response::Ceilings(vec![CeilingUse {
                of: "shenzhen".into(),
                counted: "cards".into(),
                used: 9,
                most: 10,
            }]),
        ),
        (
            "Callers",
            Response::Callers(vec![
                CallerEntry {
                    enrolment: enrolment(),
                    enrolled: at(0),
                    suspended: None,
                },
                CallerEntry {
                    enrolment: enrolment(),
                    enrolled: at(0),
                    suspended: Some(at(60)),
                },
            ]),
        ),
    ]
}

/// The list: a line for each, with its name and its bytes in hexadecimal digits.
const LIST: &str = include_str!("encoding.txt");

#[test]
fn every_request_and_response_has_the_bytes_of_the_list() {
    let mut lines = Vec::new();
    for (name, request) in requests() {
        let bytes = minicbor::to_vec(&request).unwrap();
        assert_eq!(minicbor::decode::<Request>(&bytes).unwrap(), request, "{name}");
        lines.push(format!("request {name}: {}", hex::encode(&bytes)));
    }
    for (name, response) in responses() {
        let bytes = minicbor::to_vec(&response).unwrap();
        assert_eq!(minicbor::decode::<Response>(&bytes).unwrap(), response, "{name}");
        lines.push(format!("response {name}: {}", hex::encode(&bytes)));
    }
    for act in acts() {
        // What officers sign: the bytes of a request are for good.
        let name = act.as_str();
        let request = OfficersRequest {
            vault: [8; 16],
            act,
            requester: "shenzhen".into(),
            made: at(0),
            until: at(600),
            nonce: [9; 16],
        };
        let signed = request.unsigned().unwrap();
        assert_eq!(signed.claimed().unwrap(), request, "{name}");
        lines.push(format!("signed {name}: {}", hex::encode(&signed.request)));
    }
    for operation in OPERATIONS {
        let is_there = requests()
            .iter()
            .any(|(_, request)| request.listed().number == operation.number);
        assert!(is_there, "no request {} in this test", operation.name);
    }
    let listed: Vec<&str> = LIST.lines().collect();
    assert_eq!(lines, listed);
}
