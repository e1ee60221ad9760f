//! A card that its holder has: its standing when it is lost, found, blocked; the order to change it; the permit behind it.

use jiff::Timestamp;
use jiff::civil::{Date, date};
use permit_domain::{
    AllocatedCard, ApplicantForm, ApplicationId, CardChange, CardNumber, CardSerial, CardStage, ChangeId,
    ChangeKind, ChangeState, Chip, Content, Decision, Denial, EndOfCard, Error, OrderId, Permit, PermitId,
    PermitState, PersonId, Standing, Tier, Way,
};
use permit_rules::RuleSets;
use rstest::rstest;

const TODAY: Date = date(2026, 11, 21);

fn at() -> Timestamp {
    "2026-11-21T02:00:00Z".parse().unwrap()
}

fn decision(on: Date) -> Decision {
    let rules = RuleSets::embedded().unwrap();
    let applicant = ApplicantForm::from_json(include_str!("../../../permit/samples/applicant-li-na.json"))
        .unwrap()
        .into_applicant(TODAY)
        .unwrap();
    rules
        .get(RuleSets::DEFAULT)
        .unwrap()
        .decide(&applicant, on, rules.calendar())
        .unwrap()
}

fn active() -> Permit {
    let order = OrderId::new(at(), [4; 10]);
    Permit::granted(
        PermitId::new(at(), [1; 10]),
        PersonId::new(at(), [2; 10]),
        ApplicationId::new(at(), [3; 10]),
        &decision(TODAY),
    )
    .unwrap()
    .change(|s| {
        s.start_production(order)?
            .produced(order)?
            .hand_over(order, TODAY)
    })
    .unwrap()
}

fn change(kind: ChangeKind) -> CardChange {
    let card = AllocatedCard {
        number: CardNumber::new("44".parse().unwrap(), 1).unwrap(),
        serial: CardSerial::from_bytes([3; 10]),
    };
    let (id, permit) = (ChangeId::new(at(), [5; 10]), PermitId::new(at(), [1; 10]));
    CardChange::new(
        id,
        permit,
        card,
        kind,
        "liu".parse().unwrap(),
        Content::freeze(b"x".to_vec()),
    )
}

fn ordered(kind: ChangeKind) -> CardChange {
    match change(kind) {
        c if kind.needs_approval() => c.approve("zhao".parse().unwrap(), TODAY).unwrap(),
        c => c,
    }
}

fn is_wrong_state<T: std::fmt::Debug>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::WrongState { .. }))
}

fn in_use() -> Standing {
    Standing::new(CardStage::HandedOver, Denial::No, Chip::Open)
}

#[test]
fn a_lost_card_that_is_found_never_comes_back_by_itself() {
    let lost = in_use().end(EndOfCard::Lost).unwrap();
    assert_eq!(
        (lost.state(), lost.denial()),
        (CardStage::Ended(EndOfCard::Lost), Denial::Wanted)
    );
    assert!(is_wrong_state(&lost.allow_again()), "nobody has it");
    assert!(is_wrong_state(&lost.unblocked()));
    assert!(
        is_wrong_state(&lost.destroyed()),
        "a lost card cannot be destroyed"
    );
    let found = lost.end(EndOfCard::Returned).unwrap();
    assert_eq!(found.denial(), Denial::Wanted, "still to be denied");
    assert!(is_wrong_state(&found.unblocked()));
    let again = found.allow_again().unwrap();
    assert_eq!(again.denial(), Denial::Lifting);
    assert_eq!(again.denial_confirmed().unwrap(), in_use());
    assert!(is_wrong_state(&in_use().denial_confirmed()));
}

#[test]
fn a_confiscated_destroyed_or_ended_card_is_never_allowed_again() {
    let confiscated = in_use()
        .end(EndOfCard::Lost)
        .unwrap()
        .end(EndOfCard::Confiscated)
        .unwrap();
    assert!(is_wrong_state(&confiscated.allow_again()));
    let found = in_use().end(EndOfCard::Returned).unwrap();
    assert!(is_wrong_state(&found.terminated().unwrap().allow_again()));
    assert!(is_wrong_state(&found.destroyed().unwrap().allow_again()));
    assert!(is_wrong_state(&found.terminated().unwrap().blocked()));
    assert!(
        is_wrong_state(&in_use().terminated()),
        "a card in its holder's hand is not ended"
    );
}

#[test]
fn a_card_that_was_never_handed_over_is_not_lost_but_spoilt_with_its_order() {
    for state in [
        CardStage::Allocated,
        CardStage::Encoded,
        CardStage::Printed,
        CardStage::Verified,
    ] {
        let standing = Standing::new(state, Denial::No, Chip::Open);
        for how in [EndOfCard::Lost, EndOfCard::Damaged] {
            assert!(is_wrong_state(&standing.end(how)));
        }
    }
}

#[test]
fn a_blocked_chip_is_unblocked_only_for_a_holder_whose_card_is_allowed() {
    let blocked = in_use().blocked().unwrap();
    assert_eq!(blocked.blocked().unwrap(), blocked, "again changes nothing");
    assert_eq!(blocked.unblocked().unwrap(), in_use());
    let lost = blocked.end(EndOfCard::Lost).unwrap();
    assert!(is_wrong_state(&lost.unblocked()));
    let back = lost.end(EndOfCard::Returned).unwrap().allow_again().unwrap();
    assert_eq!(back.chip(), Chip::Blocked, "a counter has to unblock it");
    assert_eq!(back.unblocked().unwrap().chip(), Chip::Open);
}

#[test]
fn what_was_left_to_the_next_card_is_written_when_its_own_card_comes_back() {
    let left = ordered(ChangeKind::Endorse).done(Way::NextCard, TODAY).unwrap();
    assert_eq!(left.for_its_own_card().unwrap(), ordered(ChangeKind::Endorse));
    let written = ordered(ChangeKind::Endorse).queued(TODAY).unwrap();
    for other in [written.clone(), written.done(Way::Update, TODAY).unwrap()] {
        assert!(is_wrong_state(&other.for_its_own_card()));
    }
}

#[test]
fn what_a_counter_did_to_a_chip_is_so_wherever_its_card_went_meanwhile() {
    let done = |kind| {
        let writing = ordered(kind).begin_writing(TODAY).unwrap();
        writing.done(Way::Counter, TODAY).unwrap()
    };
    let lost = in_use().blocked().unwrap().end(EndOfCard::Lost).unwrap();
    assert!(
        is_wrong_state(&ChangeKind::Unblock.may_be_done(lost)),
        "not begun"
    );
    let opened = done(ChangeKind::Unblock).moves(lost).unwrap().unwrap();
    assert_eq!((opened.chip(), opened.state()), (Chip::Open, lost.state()));
    assert!(
        is_wrong_state(&ChangeKind::End.may_be_done(in_use())),
        "not begun"
    );
    let ended = done(ChangeKind::End).moves(in_use()).unwrap().unwrap();
    assert_eq!(ended.chip(), Chip::Terminated);
    assert!(is_wrong_state(&done(ChangeKind::Block).moves(ended)));
    assert!(
        is_wrong_state(&ChangeKind::Endorse.may_be_done(lost)),
        "the next card waits for it"
    );
    assert_eq!(ChangeKind::Endorse.may_change(lost), Ok(()));
}

#[rstest]
#[case(ChangeKind::Endorse)]
#[case(ChangeKind::Tier)]
#[case(ChangeKind::Entitlement)]
#[case(ChangeKind::Address)]
#[case(ChangeKind::Unblock)]
#[case(ChangeKind::End)]
fn what_grants_something_needs_a_second_person(#[case] kind: ChangeKind) {
    let proposed = change(kind);
    assert_eq!(proposed.state(), &ChangeState::Proposed);
    assert!(is_wrong_state(&proposed.clone().begin_writing(TODAY)));
    assert!(is_wrong_state(&proposed.clone().queued(TODAY)));
    assert_eq!(
        proposed
            .clone()
            .approve("liu".parse().unwrap(), TODAY)
            .unwrap_err()
            .code(),
        "SAME_PERSON_TWICE"
    );
    let approved = proposed.approve("zhao".parse().unwrap(), TODAY).unwrap();
    assert_eq!(approved.last_actor(), ("approver", "zhao"));
    assert!(is_wrong_state(&approved.approve("sun".parse().unwrap(), TODAY)));
}

#[test]
fn only_what_an_update_can_carry_is_queued() {
    for kind in ChangeKind::ALL {
        assert_eq!(ordered(kind).queued(TODAY).is_ok(), kind.by_update(), "{kind}");
        assert_eq!(kind.name().parse::<ChangeKind>().unwrap(), kind);
    }
}

#[test]
fn a_change_ends_once_by_the_counter_or_by_a_receipt() {
    let queued = ordered(ChangeKind::Endorse).queued(TODAY).unwrap();
    assert!(
        is_wrong_state(&queued.clone().done(Way::Counter, TODAY)),
        "a counter says first what it does"
    );
    let done = queued.clone().done(Way::Update, TODAY).unwrap();
    for again in [Way::Update, Way::Counter] {
        assert!(is_wrong_state(&done.clone().done(again, TODAY)));
    }
    assert!(is_wrong_state(&done.begin_writing(TODAY)));
    let writing = queued.begin_writing(TODAY).unwrap();
    assert_eq!(writing.clone().begin_writing(TODAY).unwrap(), writing, "resumed");
    assert!(
        writing.clone().done(Way::Update, TODAY).is_ok(),
        "a terminal was faster"
    );
    assert!(writing.done(Way::Counter, TODAY).is_ok());
}

#[test]
fn nothing_that_may_be_on_a_card_in_use_and_no_money_is_given_up() {
    let in_use = CardStage::HandedOver;
    assert!(ordered(ChangeKind::Endorse).give_up(in_use).is_ok());
    assert!(change(ChangeKind::Endorse).give_up(in_use).is_ok());
    assert!(
        is_wrong_state(&ordered(ChangeKind::Load).give_up(in_use)),
        "the money was taken"
    );
    let queued = ordered(ChangeKind::Endorse).queued(TODAY).unwrap();
    let writing = ordered(ChangeKind::Address).begin_writing(TODAY).unwrap();
    for open in [queued, writing] {
        assert!(is_wrong_state(&open.clone().give_up(in_use)));
        for may_come_back in [EndOfCard::Lost, EndOfCard::Returned] {
            assert!(
                is_wrong_state(&open.clone().give_up(CardStage::Ended(may_come_back))),
                "it may stand on the card"
            );
        }
        // What was open for a card that never comes back is not open for ever.
        for gone in [EndOfCard::Damaged, EndOfCard::Confiscated, EndOfCard::Replaced] {
            let given_up = open.clone().give_up(CardStage::Ended(gone)).unwrap();
            assert!(given_up.state().is_over());
            assert!(is_wrong_state(&given_up.give_up(CardStage::Destroyed)));
        }
    }
    let lost = CardStage::Ended(EndOfCard::Lost);
    assert!(
        ordered(ChangeKind::Endorse).give_up(lost).is_ok(),
        "nothing was sealed"
    );
    let rotate = ordered(ChangeKind::Rotate).queued(TODAY).unwrap();
    assert!(rotate.give_up(lost).is_ok(), "nothing was decided");
    assert!(ordered(ChangeKind::Load).give_up(lost).is_ok());
    let block = ordered(ChangeKind::Block).queued(TODAY).unwrap();
    assert!(
        is_wrong_state(&block.clone().give_up(lost)),
        "it may still meet a terminal"
    );
    assert!(block.give_up(CardStage::Destroyed).is_ok());
}

#[test]
fn what_a_counter_began_and_the_card_does_not_have_goes_back_to_where_it_was() {
    let writing = ordered(ChangeKind::Rotate).begin_writing(TODAY).unwrap();
    assert_eq!(
        writing.clone().not_written(false).unwrap(),
        ordered(ChangeKind::Rotate)
    );
    assert_eq!(
        writing.not_written(true).unwrap(),
        ordered(ChangeKind::Rotate).queued(TODAY).unwrap()
    );
    assert!(is_wrong_state(&ordered(ChangeKind::Rotate).not_written(false)));
}

#[rstest]
#[case(ChangeKind::Endorse)]
#[case(ChangeKind::Tier)]
fn a_change_that_nobody_wrote_in_its_time_expires_and_one_that_went_out_does_not(#[case] kind: ChangeKind) {
    let (last, behind) = (date(2027, 11, 22), date(2027, 11, 23));
    let proposed = change(kind).holding_until(last);
    let zhao = || "zhao".parse().unwrap();
    let ordered = proposed.clone().approve(zhao(), last).unwrap();
    for open in [proposed.clone(), ordered.clone()] {
        assert!(!open.is_overdue(last));
        assert!(is_wrong_state(&open.clone().expire(last)));
        let expired = open.expire(behind).unwrap();
        assert_eq!(expired.state().name(), "EXPIRED");
        assert!(expired.state().is_over());
    }
    let refused = Err(Error::ChangeExpired { until: last });
    assert_eq!(proposed.approve(zhao(), behind), refused);
    assert_eq!(ordered.clone().queued(behind), refused);
    assert_eq!(ordered.clone().begin_writing(behind), refused);
    // Nobody calls an update back, and a chip that was touched is finished.
    let queued = ordered.clone().queued(last).unwrap();
    let writing = ordered.begin_writing(last).unwrap();
    for out in [queued, writing] {
        assert!(is_wrong_state(&out.clone().expire(behind)));
        assert!(out.begin_writing(behind).is_ok());
    }
    assert!(!change(kind).is_overdue(Date::MAX), "without a last day");
}

#[test]
fn an_endorsement_is_the_same_tier_later() {
    let permit = active();
    let (grant, last) = (permit.grant().clone(), permit.grant().valid_to);
    let next = decision(last);
    assert_eq!(ChangeKind::Endorse.check(&grant, &next), Ok(()));
    let same = ChangeKind::Endorse.check(&grant, &decision(TODAY)).unwrap_err();
    assert_eq!(same.code(), "NOT_THIS_CHANGE");
    let mut other = next.clone();
    other.tier = Some(Tier::Talent);
    assert!(ChangeKind::Endorse.check(&grant, &other).is_err());
    assert_eq!(ChangeKind::Tier.check(&grant, &other), Ok(()));
    assert!(ChangeKind::Tier.check(&grant, &next).is_err());
    assert!(ChangeKind::Entitlement.check(&grant, &other).is_err());
    assert_eq!(ChangeKind::Entitlement.check(&grant, &next), Ok(()));
    other.tier = None;
    for kind in [ChangeKind::Endorse, ChangeKind::Tier, ChangeKind::Entitlement] {
        assert_eq!(kind.check(&grant, &other), Err(Error::NothingGranted));
    }
    assert!(ChangeKind::Load.check(&grant, &next).is_err());
}

#[test]
fn a_new_grant_keeps_person_and_first_day_and_restores_a_suspended_permit() {
    let later = date(2027, 11, 22);
    let next = decision(later);
    let permit = active().change(|s| s.suspend(later)).unwrap();
    let before = permit.grant().clone();
    let after = permit.regranted(&next, later).unwrap();
    assert_eq!(after.state(), &PermitState::Active { since: later });
    let grant = after.grant();
    assert_eq!(
        (grant.person, grant.anchor, grant.valid_from),
        (before.person, before.anchor, before.valid_from)
    );
    assert!(grant.valid_to > before.valid_to);
    assert_eq!(
        after.clone().regranted(&decision(TODAY), later),
        Err(Error::Reversed)
    );
    let taken_back = after.decided_as_before(&decision(TODAY)).unwrap();
    assert_eq!(taken_back.grant(), &before, "the decision before it holds again");
}

#[test]
fn another_card_is_ordered_only_for_a_permit_in_force() {
    let permit = active().change(PermitState::replace_card).unwrap();
    assert_eq!(permit.state(), &PermitState::Approved);
    assert!(is_wrong_state(&permit.change(PermitState::replace_card)));
    let suspended = active().change(|s| s.suspend(TODAY)).unwrap();
    assert!(is_wrong_state(&suspended.change(PermitState::replace_card)));
}
