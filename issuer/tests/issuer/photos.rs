//! A photo from the camera to its end, by the commands of the people whose job it is: real photo store, real vault, real
//! ledger.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use issuer_office::changes::Proposal;
use issuer_office::staff::{Member, Staff, StaffRole};
use jiff::civil::date;
use photo_store_protocol::{PhotoState, Profile, Purpose};
use serde_json::Value;

use crate::fixture::{self, Fixture};
use crate::vault_away::issuer_on;

const STUDIO: &[u8] = include_bytes!("../../../photo-store/samples/studio.jpg");

fn staff() -> Staff {
    let member = |account: &str, role| {
        let token = format!("token of {account}");
        Member::new(account.parse().unwrap(), vec![role], &token, date(2026, 12, 31))
    };
    Staff::new(vec![
        member("liu", StaffRole::IntakeClerk),
        member("lin", StaffRole::IntakeClerk),
        member("luo", StaffRole::ChangeClerk),
        member("zhao", StaffRole::Approver),
        member("sun", StaffRole::Producer),
        member("gu", StaffRole::Auditor),
    ])
    .unwrap()
}

/// Everybody signs in, each with a session of their own.
async fn sign_in(day: &str, folder: &Path) {
    std::fs::write(folder.join("staff.toml"), staff().to_toml().unwrap()).unwrap();
    for account in ["liu", "lin", "luo", "zhao", "sun", "gu"] {
        std::fs::write(folder.join("token"), format!("token of {account}")).unwrap();
        let arguments = ["sign-in", "--token-file", "token", "--session", account];
        let (exit, object) = issuer_on(day, folder, &arguments).await;
        assert_eq!(exit, Some(0), "{object}");
    }
}

/// The counter of a fixture: its folder as an installation.
struct Counter<'a> {
    day: &'static str,
    folder: &'a Path,
    application: String,
}

impl Counter<'_> {
    /// `issuer photo STEP [FILE] --application ID ARGUMENTS`, in the session of a member of staff.
    async fn photo(&self, step: &[&str], by: &str, arguments: &[&str]) -> (Option<i32>, Value) {
        let whose = ["--application", &self.application, "--session", by];
        issuer_on(
            self.day,
            self.folder,
            &[&["photo"], step, &whose[..], arguments].concat(),
        )
        .await
    }

    async fn done(&self, step: &[&str], by: &str, arguments: &[&str]) -> Value {
        let (exit, object) = self.photo(step, by, arguments).await;
        assert_eq!(exit, Some(0), "{step:?} {object}");
        object
    }

    async fn refused(&self, step: &[&str], by: &str, arguments: &[&str], code: &str) -> Value {
        let (exit, object) = self.photo(step, by, arguments).await;
        assert_eq!(
            (exit, object["error"]["code"].as_str()),
            (Some(1), Some(code)),
            "{step:?} {object}"
        );
        object
    }
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object[key]
        .as_str()
        .unwrap_or_else(|| panic!("{key} of {object}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warned_photo_is_seen_and_confirmed_by_a_colleague_and_taken_back_by_the_counter() {
    let fixture = Fixture::new().await;
    let application = fixture.accepted(fixture::APPLICANT).await;
    let folder = fixture.folder.path();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    sign_in("2026-11-22", folder).await;
    let (face, no_face) = (file("face.png", fixture::FACE), file("note.txt", b"no picture"));
    let counter = Counter {
        day: "2026-11-22",
        folder,
        application: application.to_string(),
    };

    // What the checks say reaches the clerk in words, with what to do.
    let refused = counter.refused(&["submit", &no_face], "liu", &[], "FORMAT").await;
    assert_eq!(refused["checks"][0]["level"], "hard");
    counter
        .refused(&["submit", &face], "sun", &[], "ROLE_MISSING")
        .await;
    let taken = counter.done(&["submit", &face], "liu", &[]).await;
    assert_eq!(
        (text(&taken, "state"), taken["photo_receipt"].is_null()),
        ("WAITING", true)
    );
    for check in taken["checks"].as_array().unwrap() {
        for words in ["message_zh", "message", "action_zh", "action"] {
            assert!(!text(check, words).is_empty(), "{check}");
        }
    }
    let id = text(&taken, "photo_id").to_owned();
    let photo = ["--photo", id.as_str()];
    let both = ["--warning", "FACE_ENLARGED", "--warning", "BACKGROUND"];
    let confirm = [&photo[..], &both[..]].concat();

    // Who took it does not confirm it, and a colleague looks first, for an open case.
    counter
        .refused(&["confirm"], "liu", &confirm, "SAME_PERSON_TWICE")
        .await;
    let out = folder.join("look.jpg").display().to_string();
    let look = [&photo[..], &["--purpose", "review", "--out", &out]].concat();
    let closed = counter.refused(&["read"], "lin", &look, "CASE_NOT_OPEN").await;
    assert!(text(&closed["error"], "action").contains("issuer photo open-case"));
    let case = counter.done(&["open-case"], "lin", &[]).await;
    assert_eq!(
        (text(&case, "case"), &case["open"]),
        (counter.application.as_str(), &true.into())
    );
    let looked = counter.done(&["read"], "lin", &look).await;
    assert_eq!((&looked["width"], &looked["height"]), (&358.into(), &441.into()));
    assert!(std::fs::read(&out).unwrap().starts_with(&[0xff, 0xd8]));
    let mode = std::fs::metadata(&out).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "a face is for its reader alone");
    let one = [&photo[..], &both[..2]].concat();
    counter.refused(&["confirm"], "lin", &one, "WRONG_WARNINGS").await;
    let confirmed = counter.done(&["confirm"], "lin", &confirm).await;
    assert_eq!(
        (text(&confirmed, "state"), text(&confirmed, "confirmed_by")),
        ("SEALED", "lin")
    );
    let receipt = text(&confirmed, "photo_receipt").to_owned();
    let asked = ["photo", "receipt", "--session", "luo", "--receipt", &receipt];
    let (_, asked) = issuer_on(counter.day, folder, &asked).await;
    assert_eq!(text(&asked, "state"), "VALID");

    // Who read it is the auditor's to answer.
    counter.refused(&["reads"], "liu", &[], "ROLE_MISSING").await;
    let reads = counter.done(&["reads"], "gu", &[]).await;
    let refusals: Vec<_> = reads["reads"]
        .as_array()
        .unwrap()
        .iter()
        .map(|read| {
            (
                text(read, "reader"),
                text(read, "purpose"),
                read["refused"].as_str(),
            )
        })
        .collect();
    assert_eq!(
        refusals,
        [("lin", "REVIEW", None), ("lin", "REVIEW", Some("CASE_NOT_OPEN"))]
    );

    let taken_back = counter.done(&["take-back"], "luo", &photo).await;
    assert_eq!(text(&taken_back, "state"), "SHREDDED");
    let shown = counter.done(&["show"], "zhao", &[]).await;
    assert_eq!(shown["photos"].as_array().unwrap().len(), 1);
    let by_its_id = ["photo", "show", "--session", "zhao", "--photo", &id];
    let (_, by_its_id) = issuer_on(counter.day, folder, &by_its_id).await;
    assert_eq!(by_its_id["photos"], shown["photos"]);

    // A photo of another applicant is not there.
    fixture.time.set("2026-11-22T16:00:00Z");
    let other = fixture.accepted(&fixture::person(1)).await;
    let others = Counter {
        day: "2026-11-24",
        folder,
        application: other.to_string(),
    };
    sign_in(others.day, folder).await;
    others.refused(&["confirm"], "lin", &confirm, "NOT_FOUND").await;
    others
        .refused(&["take-back"], "luo", &photo, "WRONG_PERSON")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_that_is_on_a_card_ends_by_an_order_and_two_people_and_not_while_the_card_is_made() {
    let fixture = Fixture::new().await;
    let application = fixture.accepted(fixture::APPLICANT).await;
    let folder = fixture.folder.path();
    sign_in("2026-11-22", folder).await;
    let studio = folder.join("studio.jpg").display().to_string();
    std::fs::write(&studio, STUDIO).unwrap();
    let counter = Counter {
        day: "2026-11-22",
        folder,
        application: application.to_string(),
    };
    // Nothing to confirm: the receipt comes at once, and the same file again is the same photo.
    let taken = counter.done(&["submit", &studio], "luo", &[]).await;
    assert_eq!(text(&taken, "state"), "SEALED");
    assert_eq!(counter.done(&["submit", &studio], "liu", &[]).await, taken);
    let id = text(&taken, "photo_id").to_owned();
    let photo = ["--photo", id.as_str()];
    let erase = [&photo[..], &["--order", "GD-2026/17"]].concat();

    let receipt = text(&taken, "photo_receipt").parse().unwrap();
    fixture.time.set("2026-11-22T16:00:00Z");
    fixture
        .office()
        .complete_intake(application, "liu".parse().unwrap(), Some(receipt))
        .await
        .unwrap();
    let permit = fixture.decided(application).await;
    let order = fixture.order(permit, receipt).await;
    let counter = Counter {
        day: "2026-11-24",
        ..counter
    };
    sign_in(counter.day, folder).await;
    counter
        .refused(&["take-back"], "liu", &photo, "PHOTO_IN_USE")
        .await;
    counter.refused(&["erase"], "sun", &erase, "ROLE_MISSING").await;
    counter.refused(&["erase"], "liu", &erase, "WRONG_STATE").await;
    counter.refused(&["close-case"], "liu", &[], "WRONG_STATE").await;

    fixture.time.set("2026-11-24T16:00:00Z");
    let card = fixture.blank();
    fixture.run(order.id(), &mut card.station()).await.unwrap();
    fixture.hand_over(order.id(), &mut card.station()).await.unwrap();
    let counter = Counter {
        day: "2026-11-26",
        ..counter
    };
    sign_in(counter.day, folder).await;
    let out = folder.join("look.jpg").display().to_string();
    let look = [&photo[..], &["--purpose", "inspection", "--out", &out]].concat();
    counter.refused(&["read"], "gu", &look, "CASE_NOT_OPEN").await;
    counter
        .refused(&["approve-erase"], "zhao", &erase, "ERASURE_NOT_REQUESTED")
        .await;
    // An approver who requests it approves no more than anybody who requests; and nobody approves another order.
    for by in ["zhao", "liu"] {
        let requested = counter.done(&["erase"], by, &erase).await;
        assert_eq!(text(&requested, "state"), "SEALED", "nothing ended");
        let other = [&photo[..], &["--order", "GD-2026/18"]].concat();
        counter
            .refused(&["approve-erase"], "zhao", &other, "OTHER_CONTENT")
            .await;
        let own = if by == "zhao" {
            "SAME_PERSON_TWICE"
        } else {
            "ROLE_MISSING"
        };
        counter.refused(&["approve-erase"], by, &erase, own).await;
    }
    for _ in 0..2 {
        assert_eq!(counter.done(&["close-case"], "liu", &[]).await["open"], false);
        let erased = counter.done(&["approve-erase"], "zhao", &erase).await;
        assert_eq!(text(&erased, "state"), "SHREDDED");
    }
    counter.done(&["open-case"], "zhao", &[]).await;
    counter.refused(&["read"], "gu", &look, "SHREDDED").await;
    assert!(!Path::new(&out).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_ends_under_no_application_of_its_person_while_a_card_is_made_with_it_and_is_seen_for_its_own()
 {
    let fixture = Fixture::new().await;
    let office = fixture.office();
    // The first application is refused; the second is approved, and its card is being made.
    let clerk = "liu".parse().unwrap();
    let first = office.new_application_id();
    let newcomer = fixture::applicant(fixture::REFUSED);
    office
        .apply(first, "liu".parse().unwrap(), newcomer)
        .await
        .unwrap();
    let content = fixture.completed(first).await;
    let refused = fixture.reviewed(first, content).await;
    assert_eq!(refused.application.state().name(), "REFUSED");
    let mut settled: Value = serde_json::from_str(fixture::REFUSED).unwrap();
    settled["residence"]["registered_on"] = "2026-02-10".into();
    settled["insurance_months"] = 9.into();
    for paper in settled["evidence"].as_array_mut().unwrap().iter_mut().skip(1) {
        paper["from"] = "2026-02-01".into();
    }
    let (second, permit) = fixture.approved(&settled.to_string()).await;
    let receipt = fixture.photo(second).await;
    let order = fixture.order(permit, receipt).await;
    let photo = office.photos_of(second).await.unwrap()[0].photo;

    let erased = office.request_erasure(first, photo, "GD-2026/17", &clerk).await;
    assert_eq!(
        erased.unwrap_err().code(),
        "WRONG_STATE",
        "its card is being made"
    );
    // Nor is it looked at for the case of the other one.
    let (print, why) = (Profile::Print, Purpose::Review);
    for (application, found) in [(first, false), (second, true)] {
        office.open_photo_case(application, &clerk).await.unwrap();
        let seen = office.look_at_photo(application, photo, print, why, &clerk).await;
        assert_eq!(seen.is_ok(), found);
        if let Err(error) = seen {
            assert_eq!(error.code(), "NOT_FOUND");
        }
    }

    // An open decision about the card holds the photo's digest and needs no picture: it is in nobody's way.
    let card = fixture.blank();
    fixture.run(order.id(), &mut card.station()).await.unwrap();
    fixture.hand_over(order.id(), &mut card.station()).await.unwrap();
    let id = office.new_change_id();
    office
        .propose(id, permit, Proposal::Entitlement(None), "liu".parse().unwrap())
        .await
        .unwrap();
    office
        .request_erasure(second, photo, "GD-2026/17", &clerk)
        .await
        .unwrap();
    let zhao = "zhao".parse().unwrap();
    let erased = office
        .approve_erasure(second, photo, "GD-2026/17", &zhao)
        .await
        .unwrap();
    assert_eq!(erased.state, PhotoState::Shredded);
}
