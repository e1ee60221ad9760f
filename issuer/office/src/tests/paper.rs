//! Paper forms on both engines: numbers come once, two people make an application of a paper, and its day is the paper's.

use issuer_mandate::SignerRole;
use jiff::civil::date;
use permit_domain::{ApplicationState, Reviewer};
use rstest::rstest;

use super::chief::at_the;
use super::ledger::Ledger;
use super::people::{Engine, TODAY, li_na, staff};
use crate::paper::typed_digest;

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn a_paper_is_typed_by_one_and_confirmed_by_another_with_the_day_that_it_says(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    ledger.key_of("wang", SignerRole::Reviewer).await;
    let office = ledger.service();
    let (liu, he, wang) = (staff("liu"), staff("he"), staff("wang"));
    let division = li_na().residence.division;
    let numbers = office.give_out_forms(&division, 3, &liu).await.unwrap();
    let more = office.give_out_forms(&division, 1, &liu).await.unwrap();
    let shown: Vec<String> = numbers.iter().chain(&more).map(ToString::to_string).collect();
    assert!(
        shown.iter().all(|number| number.starts_with("440305-26-0000")),
        "{shown:?}"
    );
    assert_eq!(shown.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
    assert!(office.give_out_forms(&division, 0, &liu).await.is_err());
    let number = &numbers[0];

    // The system is back four days later. A day before the form was printed, or one that has not come, is on no such paper.
    let office = at_the(&office, "2026-11-25T02:00:00Z");
    for wrong in [date(2026, 11, 20), date(2026, 11, 26)] {
        let refused = office.type_form(number, wrong, li_na(), &liu).await.unwrap_err();
        assert_eq!(refused.code(), "PAPER_DAY");
    }
    let day = date(2026, 11, 22);
    let typed = office.type_form(number, day, li_na(), &liu).await.unwrap();
    // Typed again by the same person it is the same application; a colleague does not type over it.
    let again = office.type_form(number, day, li_na(), &liu).await.unwrap();
    assert_eq!(typed.state, again.state);
    assert_eq!(
        office
            .type_form(number, day, li_na(), &he)
            .await
            .unwrap_err()
            .code(),
        "PAPER_FORM"
    );
    let read = typed_digest(day, &li_na());
    assert_eq!(
        office.confirm_form(number, read, &liu).await.unwrap_err().code(),
        "SAME_PERSON_TWICE"
    );
    let other = typed_digest(TODAY, &li_na());
    assert_eq!(
        office.confirm_form(number, other, &he).await.unwrap_err().code(),
        "OTHER_CONTENT"
    );
    // Sent back it is typed anew, and nothing of what was typed is left.
    office.return_form(number, &he).await.unwrap();
    let (waiting, out) = office.paper_forms().await.unwrap();
    assert_eq!((waiting.len(), out.len()), (0, 4));
    office.type_form(number, day, li_na(), &liu).await.unwrap();
    assert_eq!(office.paper_forms().await.unwrap().0.len(), 1);

    let id = office.confirm_form(number, read, &he).await.unwrap();
    assert_eq!(
        office.confirm_form(number, read, &he).await.unwrap(),
        id,
        "a double press"
    );
    let case = office.application(id).await.unwrap();
    assert!(matches!(case.application.state(), ApplicationState::Accepted { on } if *on == day));
    assert_eq!((case.submitted_on, case.accepted_on), (day, Some(day)));
    let deadline = office.issue_by(&case).unwrap();
    assert_eq!(deadline, day.checked_add(jiff::Span::new().days(15)).unwrap());
    // Neither of the two decides it.
    let now = office.clock().now();
    let content = ledger.complete_at(now, id, "chen", b"her photo").await;
    for both in [liu, he] {
        let refused = office
            .review(id, Reviewer::new(both), content, None)
            .await
            .unwrap_err();
        assert_eq!(refused.code(), "SAME_PERSON_TWICE");
    }
    let signed = ledger.signs("wang", SignerRole::Reviewer, id).await;
    office
        .review(id, Reviewer::new(wang.clone()), content, Some(&signed))
        .await
        .unwrap();

    // A spoiled form is out of use, and one that was filed is over.
    office.void_form(&numbers[1], &wang).await.unwrap();
    assert!(office.void_form(&numbers[1], &wang).await.is_err());
    assert!(office.return_form(number, &wang).await.is_err());
    assert_eq!(office.paper_forms().await.unwrap().1.len(), 2);
    let mut reads = ledger.store.read().await.unwrap();
    let lines = reads.ledger_of(&number.to_string()).await.unwrap();
    let steps: Vec<(&str, &str)> = lines
        .iter()
        .map(|line| (line.action.as_str(), line.actor.as_str()))
        .collect();
    assert_eq!(steps.first(), Some(&("paper forms GIVEN_OUT", "liu")));
    assert_eq!(steps.last(), Some(&("paper form FILED", "he")));
    reads.verify_ledger().await.unwrap();
}

#[rstest]
#[case::sqlite(Engine::Sqlite)]
#[case::postgres(Engine::Postgres)]
#[tokio::test]
async fn who_typed_read_or_took_in_what_a_case_corrects_does_not_decide_it(#[case] engine: Engine) {
    let ledger = Ledger::open(engine).await;
    ledger.key_of("wang", SignerRole::Reviewer).await;
    let office = ledger.service();
    let (liu, he) = (staff("liu"), staff("he"));
    let division = li_na().residence.division;
    let number = office.give_out_forms(&division, 1, &liu).await.unwrap().remove(0);
    office.type_form(&number, TODAY, li_na(), &liu).await.unwrap();
    let read = typed_digest(TODAY, &li_na());
    let first = office.confirm_form(&number, read, &he).await.unwrap();
    // A colleague corrects it, and somebody else corrects that: neither word goes away.
    let now = office.clock().now();
    let mut before = first;
    for (clerk, months) in [("luo", 11_u8), ("gao", 12)] {
        let corrected = permit_domain::ApplicationId::new(now, super::people::n(months));
        let mut facts = li_na();
        facts.insurance_months = months.into();
        // The photo store is away: the case is closed there later, and the ledger has it.
        let error = office
            .correct(before, corrected, staff(clerk).as_str().parse().unwrap(), facts)
            .await
            .unwrap_err();
        assert_eq!(error.code(), "PHOTO_CASE_OPEN");
        before = corrected;
    }
    let content = ledger.complete_at(now, before, "chen", b"her photo").await;
    for earlier in ["liu", "he", "luo", "gao", "chen"] {
        let refused = office
            .review(before, Reviewer::new(staff(earlier)), content, None)
            .await
            .unwrap_err();
        assert_eq!(refused.code(), "SAME_PERSON_TWICE", "{earlier}");
    }
    let signed = ledger.signs("wang", SignerRole::Reviewer, before).await;
    office
        .review(before, Reviewer::new(staff("wang")), content, Some(&signed))
        .await
        .unwrap();
    for earlier in ["liu", "he", "luo", "gao", "wang"] {
        let refused = office
            .approve(before, staff(earlier).as_str().parse().unwrap(), content, None)
            .await
            .unwrap_err();
        assert_eq!(refused.code(), "SAME_PERSON_TWICE", "{earlier}");
    }
}
