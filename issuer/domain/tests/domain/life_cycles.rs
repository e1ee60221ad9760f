//! The states of application, permit, card and order: every transition that the law has, and the refusal of all others.

use jiff::Timestamp;
use jiff::civil::date;
use permit_domain::{
    ApplicantForm, Application, ApplicationId, ApplicationState, CardNumber, CardSerial, CardStage,
    CaseContent, Content, Decision, EndOfCard, EndReason, Error, IntakeClerk, Order, OrderId, Permit,
    PermitId, PermitState, PersonId, SeparatedDuties, Step,
};
use permit_rules::RuleSets;

const TODAY: jiff::civil::Date = date(2026, 11, 21);

fn at() -> Timestamp {
    "2026-11-21T02:00:00Z".parse().unwrap()
}

fn decision(sample: &str) -> Decision {
    let rules = RuleSets::embedded().unwrap();
    let applicant = ApplicantForm::from_json(sample)
        .unwrap()
        .into_applicant(TODAY)
        .unwrap();
    rules
        .get(RuleSets::DEFAULT)
        .unwrap()
        .decide(&applicant, TODAY, rules.calendar())
        .unwrap()
}

fn granted() -> Decision {
    decision(include_str!("../../../permit/samples/applicant-li-na.json"))
}

fn refused() -> Decision {
    decision(include_str!("../../../permit/samples/applicant-refused.json"))
}

fn application() -> Application {
    let id = ApplicationId::new(at(), [1; 10]);
    Application::new(id, PersonId::new(at(), [2; 10]), "liu".parse().unwrap())
}

fn permit_id() -> PermitId {
    PermitId::new(at(), [3; 10])
}

fn order_id(n: u8) -> OrderId {
    OrderId::new(at(), [n; 10])
}

fn is_wrong_state<T: std::fmt::Debug>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::WrongState { .. }))
}

#[test]
fn an_application_goes_from_intake_to_approval_by_three_people() {
    let a = application().need_more().unwrap().accept(TODAY).unwrap();
    let a = a.review("wang".parse().unwrap(), &granted()).unwrap();
    let a = a.approve("zhao".parse().unwrap(), permit_id()).unwrap();
    assert!(!a.state().is_open());
}

fn content() -> CaseContent {
    let frozen = Content::freeze(b"what a case decides on".to_vec());
    CaseContent::completed(application().id(), 1, "liu".parse().unwrap(), frozen)
}

#[test]
fn content_is_signed_by_two_who_did_not_complete_it_and_is_used_once() {
    let is_one_person_twice = |result: Result<CaseContent, Error>| {
        assert!(matches!(result, Err(Error::SamePersonTwice { .. })), "{result:?}");
    };
    is_one_person_twice(content().review("liu".parse().unwrap()));
    assert!(is_wrong_state(&content().sign("zhao".parse().unwrap())));
    assert!(is_wrong_state(&content().used()));
    let reviewed = content().review("wang".parse().unwrap()).unwrap();
    assert!(is_wrong_state(&reviewed.clone().review("deng".parse().unwrap())));
    is_one_person_twice(reviewed.clone().sign("wang".parse().unwrap()));
    is_one_person_twice(reviewed.clone().sign("liu".parse().unwrap()));
    let signed = reviewed.clone().sign("zhao".parse().unwrap()).unwrap();
    let duties = |approver: &str| {
        let [wang, sun] = ["wang", "sun"];
        SeparatedDuties::new(
            wang.parse().unwrap(),
            approver.parse().unwrap(),
            sun.parse().unwrap(),
        )
        .unwrap()
    };
    assert_eq!(signed.signed_by_those_of(&duties("zhao")), Ok(()));
    for other in [
        signed.signed_by_those_of(&duties("deng")),
        reviewed.signed_by_those_of(&duties("zhao")),
    ] {
        assert_eq!(other, Err(permit_domain::Refusal::OtherPeople));
    }
    let used = signed.clone().used().unwrap();
    assert!(is_wrong_state(&used.clone().used()));
    assert!(is_wrong_state(&used.superseded()));
    // A newer version takes the place of what has no card yet, also of what two people signed.
    for live in [content(), reviewed, signed] {
        let over = live.superseded().unwrap();
        assert!(is_wrong_state(&over.review("wang".parse().unwrap())));
    }
}

#[test]
fn what_was_reviewed_is_reviewed_anew_when_its_content_changes_and_keeps_its_day() {
    let accepted = application().accept(TODAY).unwrap();
    let reviewed = accepted
        .clone()
        .review("wang".parse().unwrap(), &granted())
        .unwrap();
    assert_eq!(
        reviewed.clone().completed_anew(TODAY).unwrap().state(),
        accepted.state()
    );
    assert_eq!(
        accepted.clone().completed_anew(TODAY).unwrap().state(),
        accepted.state()
    );
    let approved = reviewed.approve("zhao".parse().unwrap(), permit_id()).unwrap();
    assert!(is_wrong_state(&approved.completed_anew(TODAY)));
    assert!(is_wrong_state(&application().completed_anew(TODAY)));
}

#[test]
fn an_application_is_withdrawn_until_it_is_over_and_never_by_who_decided_it() {
    let clerk = |name: &str| IntakeClerk::new(name.parse().unwrap());
    let accepted = || application().accept(TODAY).unwrap();
    let reviewed = || accepted().review("wang".parse().unwrap(), &granted()).unwrap();
    let approved = || reviewed().approve("zhao".parse().unwrap(), permit_id()).unwrap();
    for open in [
        application(),
        application().need_more().unwrap(),
        accepted(),
        reviewed(),
        approved(),
    ] {
        // By who took it, and at another counter.
        for name in ["liu", "luo"] {
            let withdrawn = open.clone().withdraw(&clerk(name)).unwrap();
            assert_eq!(withdrawn.state(), &ApplicationState::Withdrawn);
            assert!(is_wrong_state(&withdrawn.withdraw(&clerk(name))));
        }
    }
    for (case, name, first) in [
        (reviewed(), "wang", "reviewer"),
        (approved(), "wang", "reviewer"),
        (approved(), "zhao", "approver"),
    ] {
        assert_eq!(
            case.withdraw(&clerk(name)),
            Err(Error::SamePersonTwice {
                first,
                second: "intake clerk"
            })
        );
    }
    let turned_down = accepted().review("wang".parse().unwrap(), &refused()).unwrap();
    assert!(is_wrong_state(&turned_down.withdraw(&clerk("liu"))));
}

#[test]
fn nobody_decides_what_they_took_in_or_approves_what_they_reviewed() {
    let accepted = || application().accept(TODAY).unwrap();
    let own = accepted().review("liu".parse().unwrap(), &granted());
    assert_eq!(
        own,
        Err(Error::SamePersonTwice {
            first: "intake clerk",
            second: "reviewer"
        })
    );
    let reviewed = || accepted().review("wang".parse().unwrap(), &granted()).unwrap();
    let own = reviewed().approve("wang".parse().unwrap(), permit_id());
    assert_eq!(
        own,
        Err(Error::SamePersonTwice {
            first: "reviewer",
            second: "approver"
        })
    );
    let own = reviewed().approve("liu".parse().unwrap(), permit_id());
    assert_eq!(
        own,
        Err(Error::SamePersonTwice {
            first: "intake clerk",
            second: "approver"
        })
    );
}

#[test]
fn a_refused_application_cannot_be_approved_and_grants_no_permit() {
    let a = application()
        .accept(TODAY)
        .unwrap()
        .review("wang".parse().unwrap(), &refused())
        .unwrap();
    assert!(matches!(a.state(), ApplicationState::Refused { .. }));
    let (id, person) = (a.id(), a.person());
    assert!(is_wrong_state(&a.approve("zhao".parse().unwrap(), permit_id())));
    assert_eq!(
        Permit::granted(permit_id(), person, id, &refused()),
        Err(Error::NothingGranted)
    );
}

#[test]
fn an_application_skips_no_step() {
    assert!(is_wrong_state(
        &application().review("wang".parse().unwrap(), &granted())
    ));
    assert!(is_wrong_state(
        &application().approve("zhao".parse().unwrap(), permit_id())
    ));
    let accepted = application().accept(TODAY).unwrap();
    assert!(is_wrong_state(&accepted.clone().accept(TODAY)));
    assert!(is_wrong_state(&accepted.clone().need_more()));
    assert!(is_wrong_state(
        &accepted.clone().approve("zhao".parse().unwrap(), permit_id())
    ));
    assert!(is_wrong_state(
        &accepted.withdraw(&"liu".parse().unwrap()).unwrap().accept(TODAY)
    ));
}

/// Every permit state against every transition: allowed ones give the state named, all others are refused.
#[test]
fn a_permit_moves_as_the_decree_says_and_in_no_other_way() {
    use PermitState as S;
    let (order, other) = (order_id(1), order_id(2));
    let end = |s: S| s.end(TODAY, EndReason::Withdrawn);
    let states = [
        S::Approved,
        S::InProduction { order },
        S::Produced { order },
        S::Active { since: TODAY },
        S::Suspended { since: TODAY },
        S::Ended {
            on: TODAY,
            reason: EndReason::Death,
        },
    ];
    let after: Vec<[Option<&str>; 8]> = states
        .into_iter()
        .map(|s| {
            let name = |r: Result<S, Error>| match r {
                Ok(s) => Some(s.name()),
                Err(Error::WrongState { thing: "permit", .. }) => None,
                Err(e) => panic!("{e}"),
            };
            assert_eq!(name(s.clone().produced(other)), None, "another order");
            assert_eq!(name(s.clone().hand_over(other, TODAY)), None, "another order");
            [
                name(s.clone().start_production(order)),
                name(s.clone().produced(order)),
                name(s.clone().production_given_up(order)),
                name(s.clone().hand_over(order, TODAY)),
                name(s.clone().suspend(TODAY)),
                name(s.clone().restore(TODAY)),
                name(s.clone().withdraw(TODAY)),
                name(end(s)),
            ]
        })
        .collect();
    assert_eq!(
        after,
        [
            [
                Some("IN_PRODUCTION"),
                None,
                None,
                None,
                None,
                None,
                Some("ENDED"),
                Some("ENDED")
            ],
            [
                None,
                Some("PRODUCED"),
                Some("APPROVED"),
                None,
                None,
                None,
                None,
                None
            ],
            [
                None,
                None,
                Some("APPROVED"),
                Some("ACTIVE"),
                None,
                None,
                None,
                None
            ],
            [
                None,
                None,
                None,
                None,
                Some("SUSPENDED"),
                None,
                None,
                Some("ENDED")
            ],
            [None, None, None, None, None, Some("ACTIVE"), None, Some("ENDED")],
            [None, None, None, None, None, None, None, None],
        ]
    );
}

#[test]
fn a_card_moves_forward_only() {
    use CardStage as S;
    let mut state = S::Allocated;
    for expected in [S::Encoded, S::Printed, S::Verified, S::HandedOver] {
        assert!(is_wrong_state(&state.end(EndOfCard::Lost)), "not handed over yet");
        assert_eq!(state.end(EndOfCard::Damaged), Ok(S::Ended(EndOfCard::Damaged)));
        state = state.next_in_production().unwrap();
        assert_eq!(state, expected);
    }
    assert!(is_wrong_state(&state.next_in_production()));
    assert!(
        is_wrong_state(&state.destroy()),
        "scrap of a handed-over card is blocked"
    );
    let lost = state.end(EndOfCard::Lost).unwrap();
    assert!(is_wrong_state(&lost.destroy()) && is_wrong_state(&lost.end(EndOfCard::Replaced)));
    assert_eq!(
        lost.end(EndOfCard::Returned),
        state.end(EndOfCard::Returned),
        "it was found"
    );
    let returned = state.end(EndOfCard::Returned).unwrap();
    assert!(is_wrong_state(&returned.destroy().unwrap().destroy()));
    for state in S::ALL {
        assert_eq!(state.name().parse(), Ok(state));
    }
}

fn new_order() -> Order {
    let duties = SeparatedDuties::new(
        "wang".parse().unwrap(),
        "zhao".parse().unwrap(),
        "sun".parse().unwrap(),
    )
    .unwrap();
    Order::new(
        order_id(1),
        permit_id(),
        duties,
        Content::freeze(b"content".to_vec()),
    )
}

/// The order after each step of the whole way.
fn way() -> Vec<Order> {
    let mut way = vec![new_order()];
    let number = CardNumber::new("44".parse().unwrap(), 1).unwrap();
    let steps: [&dyn Fn(Order) -> Result<Order, Error>; 7] = [
        &move |o| o.allocate(number.clone(), CardSerial::from_bytes([1; 10])),
        &Order::begin_encoding,
        &Order::encoded,
        &Order::drawn,
        &Order::verified,
        &|o| o.begin_hand_over("chen".parse().unwrap()),
        &|o| o.handed_over(TODAY),
    ];
    for step in steps {
        way.push(step(way.last().unwrap().clone()).unwrap());
    }
    way
}

#[test]
fn an_order_does_its_steps_in_order_and_names_the_next() {
    let way = way();
    let next: Vec<_> = way
        .iter()
        .map(|o| (o.state().name(), o.state().next_step(), o.state().in_doubt()))
        .collect();
    assert_eq!(
        next,
        [
            ("ORDERED", Some(Step::Allocate), false),
            ("ALLOCATED", Some(Step::Encode), false),
            ("ENCODING", Some(Step::Encode), true),
            ("ENCODED", Some(Step::Draw), false),
            ("DRAWN", Some(Step::Verify), false),
            ("VERIFIED", Some(Step::HandOver), false),
            ("HANDING_OVER", Some(Step::HandOver), true),
            ("HANDED_OVER", None, false),
        ]
    );
    assert!(
        way[1..].iter().all(|o| o.state().card() == way[1].state().card()),
        "one card all the way"
    );
    assert!(way[0].state().card_state().is_none());
}

#[test]
fn an_order_skips_and_repeats_no_step_but_the_two_that_resume() {
    for (i, order) in way().into_iter().enumerate() {
        let number = CardNumber::new("44".parse().unwrap(), 2).unwrap();
        let tries = [
            (
                order
                    .clone()
                    .allocate(number, CardSerial::from_bytes([2; 10]))
                    .is_ok(),
                i == 0,
            ),
            (order.clone().begin_encoding().is_ok(), i == 1 || i == 2),
            (order.clone().encoded().is_ok(), i == 2),
            (order.clone().drawn().is_ok(), i == 3),
            (order.clone().verified().is_ok(), i == 4),
            (
                order.clone().begin_hand_over("chen".parse().unwrap()).is_ok(),
                i == 5 || i == 6,
            ),
            (order.clone().handed_over(TODAY).is_ok(), i == 6),
            (order.clone().give_up().is_ok(), i < 6),
        ];
        for (step, (done, expected)) in tries.into_iter().enumerate() {
            assert_eq!(done, expected, "state {i}, step {step}");
        }
    }
}

#[test]
fn who_produced_a_card_does_not_hand_it_over() {
    let verified = way().swap_remove(5);
    assert_eq!(
        verified.begin_hand_over("sun".parse().unwrap()),
        Err(Error::SamePersonTwice {
            first: "producer",
            second: "hand-over clerk"
        })
    );
}

#[test]
fn a_given_up_order_damages_its_card_and_stays_given_up() {
    let given_up = way().swap_remove(2).give_up().unwrap();
    assert_eq!(
        given_up.state().card_state(),
        Some(CardStage::Ended(EndOfCard::Damaged))
    );
    assert!(is_wrong_state(&given_up.clone().begin_encoding()) && is_wrong_state(&given_up.give_up()));
    assert_eq!(new_order().give_up().unwrap().state().card(), None);
}

#[test]
fn the_content_of_an_order_does_not_show_in_debug_output() {
    assert!(!format!("{:?}", Content::freeze(b"secret".to_vec())).contains("secret"));
}
