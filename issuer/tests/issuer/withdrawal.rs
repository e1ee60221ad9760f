//! An application before its card is made: withdrawn from every state, and corrected, whatever stopped it; by the office, over
//! HTTP and by the program.

use issuer_office::staff::{Member, Staff, StaffRole};
use issuer_store::Submission;
use jiff::civil::date;
use permit_domain::{
    Applicant, ApplicantForm, ApplicationId, ApplicationState, EndReason, IntakeClerk, OrderState,
    PermitState, PersonId, Raw,
};
use photo_store_protocol::{Profile, Purpose};

use crate::fixture::{self, APPLICANT, Fixture, applicant, person};
use crate::vault_away::issuer_on;

fn clerk(name: &str) -> IntakeClerk {
    name.parse().unwrap()
}

async fn accepted(fixture: &Fixture, facts: Applicant) -> ApplicationId {
    let id = fixture.office().new_application_id();
    fixture.office().apply(id, clerk("liu"), facts).await.unwrap();
    id
}

async fn state(fixture: &Fixture, id: ApplicationId) -> ApplicationState {
    let case = fixture.office().application(id).await.unwrap();
    case.application.state().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_is_withdrawn_from_every_state_before_its_card_is_made_and_its_person_applies_again() {
    let fixture = Fixture::new().await;
    let office = fixture.office();
    let taken = accepted(&fixture, applicant(&person(0))).await;
    let reviewed = accepted(&fixture, applicant(&person(1))).await;
    let content = fixture.completed(reviewed).await;
    fixture.reviewed(reviewed, content).await;
    let (approved, permit) = fixture.approved(&person(2)).await;
    fixture.photo(approved).await;
    office
        .open_photo_case(approved, &"liu".parse().unwrap())
        .await
        .unwrap();
    let taken_photo = office.photos_of(approved).await.unwrap()[0].photo;
    let look = async || {
        let (profile, why, by) = (Profile::Thumb, Purpose::Review, "liu".parse().unwrap());
        let seen = office
            .look_at_photo(approved, taken_photo, profile, why, &by)
            .await;
        seen.err().map(|error| error.code())
    };
    assert_eq!(look().await, None);
    for (number, id) in [(0, taken), (1, reviewed), (2, approved)] {
        office.withdraw(id, &clerk("luo")).await.unwrap();
        assert_eq!(state(&fixture, id).await, ApplicationState::Withdrawn);
        assert_eq!(
            office
                .withdraw(id, &clerk("liu"))
                .await
                .unwrap()
                .application
                .state(),
            &ApplicationState::Withdrawn,
            "said again"
        );
        let error = office
            .open_photo_case(id, &"liu".parse().unwrap())
            .await
            .unwrap_err();
        assert_eq!(error.code(), "WRONG_STATE", "nobody looks for it any more");
        accepted(&fixture, applicant(&person(number))).await;
    }
    assert_eq!(look().await, Some("CASE_NOT_OPEN"));
    let ended = office.permit(permit).await.unwrap();
    assert!(matches!(
        ended.state(),
        PermitState::Ended {
            reason: EndReason::Withdrawn,
            ..
        }
    ));

    // A card that is being made is given up first; one in its holder's hand stands in the way for good.
    let (application, permit) = fixture.approved(&person(3)).await;
    let receipt = fixture.photo(application).await;
    let order = fixture.order(permit, receipt).await.id();
    let error = office.withdraw(application, &clerk("liu")).await.unwrap_err();
    assert_eq!(error.code(), "CARD_BEING_MADE");
    assert!(error.to_string().contains(&order.to_string()) && error.action().contains("issuer give-up"));
    office.give_up(order, &"sun".parse().unwrap()).await.unwrap();
    office.withdraw(application, &clerk("liu")).await.unwrap();
    let (permit, _card) = fixture.in_use(&person(4)).await;
    let application = office.permit(permit).await.unwrap().grant().application;
    let error = office.withdraw(application, &clerk("liu")).await.unwrap_err();
    assert_eq!(error.code(), "CARD_WAS_MADE");
    assert!(matches!(
        state(&fixture, application).await,
        ApplicationState::Approved { .. }
    ));
    office.verify_ledger().await.unwrap();
}

/// Files facts as an office of before filed them, which looked at less.
async fn filed_before(fixture: &Fixture, form: ApplicantForm) -> ApplicationId {
    let (id, now) = (fixture.office().new_application_id(), fixture.clock.now());
    let facts = form.into_filed(date(2026, 11, 20)).unwrap();
    let person = PersonId::from_bytes(*id.as_bytes());
    let mut tx = fixture.store.begin(now).await.unwrap();
    tx.insert_person(person, &facts.citizen_number).await.unwrap();
    let new = Submission {
        id,
        person,
        applicant: &facts,
        intake: clerk("liu"),
        on: date(2026, 11, 20),
    };
    let (filed, _) = tx.insert_application(&new).await.unwrap();
    let (_, appended) = tx
        .update_application(filed.accept(date(2026, 11, 20)).unwrap())
        .await
        .unwrap();
    tx.commit(appended).await.unwrap();
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_whose_text_cannot_be_printed_is_not_completed_but_corrected_and_its_card_made() {
    let fixture = Fixture::new().await;
    let office = fixture.office();
    let right = applicant(APPLICANT);
    let mut wrong = ApplicantForm::from(&right);
    // An ideographic space is no glyph of theirs; a half space and a letter that no font draws are what stops here.
    wrong.residence.address = Raw::from("广东省深圳市南山区\u{2009}科苑路8号\u{10a0e}");
    let id = filed_before(&fixture, wrong).await;
    let receipt = fixture.photo(id).await;
    let completed = office.complete_intake(id, clerk("liu"), Some(receipt)).await;
    assert_eq!(completed.unwrap_err().code(), "MISSING_GLYPH");

    let corrected = office.new_application_id();
    let case = office.correct(id, corrected, clerk("luo"), right).await.unwrap();
    assert_eq!(
        case.accepted_on,
        Some(date(2026, 11, 20)),
        "nobody waits longer for a slip"
    );
    assert_eq!(state(&fixture, id).await, ApplicationState::Withdrawn);
    let permit = fixture.decided(corrected).await;
    let receipt = fixture.photo(corrected).await;
    let order = fixture.order(permit, receipt).await;
    let card = fixture.blank();
    fixture.run(order.id(), &mut card.station()).await.unwrap();
    let order = fixture.hand_over(order.id(), &mut card.station()).await.unwrap();
    assert!(matches!(order.state(), OrderState::HandedOver { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_the_vault_refused_before_its_first_byte_is_given_up_and_its_application_corrected() {
    let fixture = Fixture::new().await;
    let office = fixture.office();
    let order = fixture.ordered().await;
    let card = fixture.blank();
    fixture.vault.seal("test").await.unwrap();
    let error = fixture.run(order.id(), &mut card.station()).await.unwrap_err();
    assert_eq!(error.code(), "VAULT_SEALED");
    let stored = fixture.stored(order.id()).await;
    assert!(matches!(stored.state(), OrderState::Allocated { .. }));
    office.give_up(order.id(), &"sun".parse().unwrap()).await.unwrap();
    fixture.unseal().await;
    let id = office.permit(order.permit()).await.unwrap().grant().application;
    let mut moved = ApplicantForm::from(&applicant(APPLICANT));
    moved.hukou_address = Raw::from("湖南省长沙市岳麓区麓山南路38号");
    let moved = moved.into_applicant(date(2026, 11, 21)).unwrap();
    let corrected = office.new_application_id();
    office.correct(id, corrected, clerk("liu"), moved).await.unwrap();
    let permit = fixture.decided(corrected).await;
    assert_ne!(permit, order.permit());
    let receipt = fixture.photo(corrected).await;
    let order = fixture.order(permit, receipt).await;
    let card = fixture.blank();
    fixture.run(order.id(), &mut card.station()).await.unwrap();
}

#[expect(clippy::too_many_lines, reason = "one walk, step by step")]
#[tokio::test(flavor = "multi_thread")]
async fn the_program_withdraws_and_corrects_for_who_signed_in() {
    let fixture = Fixture::new().await;
    // Before the program works, on the next day.
    let id = accepted(&fixture, applicant(APPLICANT)).await.to_string();
    let folder = fixture.folder.path();
    let member = |account: &str, role| {
        let token = format!("token of {account}");
        Member::new(account.parse().unwrap(), vec![role], &token, date(2026, 12, 31))
    };
    let staff = Staff::new(vec![
        member("liu", StaffRole::IntakeClerk),
        member("wang", StaffRole::Reviewer),
    ]);
    std::fs::write(folder.join("staff.toml"), staff.unwrap().to_toml().unwrap()).unwrap();
    let run = async |arguments: &[&str]| issuer_on("2026-11-22", folder, arguments).await;
    for account in ["liu", "wang"] {
        let token = folder.join(format!("{account}.token"));
        std::fs::write(&token, format!("token of {account}")).unwrap();
        let token = token.display().to_string();
        let signed = run(&["sign-in", "--session", account, "--token-file", &token]).await;
        assert_eq!(signed.0, Some(0), "{}", signed.1);
    }
    let file = folder.join("right.json");
    std::fs::write(&file, APPLICANT.replace("科苑路8号", "科苑路18号")).unwrap();
    let file = file.display().to_string();
    let again = folder.join("again.json");
    std::fs::write(&again, APPLICANT.replace("科苑路8号", "科苑路28号")).unwrap();
    let again = again.display().to_string();
    let (exit, shown) = run(&[
        "application",
        "correct",
        "--application",
        &id,
        "--session",
        "wang",
        &file,
    ])
    .await;
    assert_eq!((exit, &shown["error"]["code"]), (Some(1), &"ROLE_MISSING".into()));
    let (exit, shown) = run(&[
        "application",
        "correct",
        "--application",
        &id,
        "--session",
        "liu",
        &file,
    ])
    .await;
    assert_eq!(exit, Some(0), "{shown}");
    assert_eq!(
        (&shown["schema"], &shown["state"], &shown["corrects"]),
        (
            &"yzt.application/1".into(),
            &"ACCEPTED".into(),
            &id.as_str().into()
        )
    );
    let corrected = shown["application_id"].as_str().unwrap().to_owned();
    // The store of photos goes in the middle of the next one: what is filed is told, and the same command goes on with it.
    let correct = |dir: &str| {
        let mut command = assert_cmd::Command::cargo_bin("issuer").unwrap();
        let person = ["--session", "liu", "--application", &corrected];
        command
            .current_dir(folder)
            .args(["application", "correct", "--dir", dir, "--at", "2026-11-22"])
            .args(person)
            .arg(&again);
        command.output().unwrap()
    };
    std::fs::write(folder.join("issuer.toml"), "photo_store = \"nobody.sock\"").unwrap();
    let stopped: Vec<_> = (0..2)
        .map(|_| tokio::task::block_in_place(|| correct(".")))
        .collect();
    std::fs::remove_file(folder.join("issuer.toml")).unwrap();
    let done = tokio::task::block_in_place(|| correct("."));
    assert_eq!(done.status.code(), Some(0));
    let told = |output: &std::process::Output| String::from_utf8(output.stdout.clone()).unwrap();
    let corrected = told(&done).split(' ').next().unwrap().to_owned();
    for output in stopped {
        assert_eq!(output.status.code(), Some(4));
        assert_eq!(
            told(&output),
            told(&done),
            "the same application, told to a person"
        );
    }
    // Another clerk's correction of the same application, or other facts, are another one.
    let (exit, shown) = run(&[
        "application",
        "correct",
        "--application",
        &id,
        "--session",
        "liu",
        &again,
    ])
    .await;
    assert_eq!((exit, &shown["error"]["code"]), (Some(1), &"WRONG_STATE".into()));
    // The same file, as an editor of another country saved it.
    let marked = folder.join("marked.json");
    std::fs::write(&marked, [b"\xef\xbb\xbf", APPLICANT.as_bytes()].concat()).unwrap();
    let marked = marked.display().to_string();
    let correct = [
        "application",
        "correct",
        "--application",
        &corrected,
        "--session",
        "liu",
        &marked,
    ];
    let (exit, shown) = run(&correct).await;
    assert_eq!(
        (exit, &shown["errors"][0]["code"]),
        (Some(2), &"BYTE_ORDER_MARK".into())
    );
    for _ in 0..2 {
        let withdraw = [
            "application",
            "withdraw",
            "--application",
            &corrected,
            "--session",
            "liu",
        ];
        let (exit, shown) = run(&withdraw).await;
        assert_eq!((exit, &shown["state"]), (Some(0), &"WITHDRAWN".into()), "{shown}");
    }
    // The program worked on the next day.
    fixture.time.set("2026-11-22T15:59:59Z");
    accepted(&fixture, fixture::applicant(APPLICANT)).await;
}
