//! A clerk's browser at the real pages: Chromium, driven from Node by the walk in `issuer/web/browser/`. By keyboard alone a card goes from
//! the sign-in to its holder's hand; axe-core looks at every page, and what breaks the pages' own security policy fails. Left out: the
//! longer walks, which are in `make e2e`, and pictures, unless `YZT_PICTURES` names a folder for them.

use std::path::Path;
use std::process::Stdio;

use issuer_office::webauthn::RelyingParty;
use issuer_signing::{RehearsalKeys, SigningPage};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::api::rehearsal_keys;
use crate::fixture::{APPLICANT, Fixture, person};
use crate::pages::Town;
use crate::production::read_qr;
use crate::sign_in::Pages;

/// Where `scripts/setup.sh` puts the packages of Node: beside what cargo builds.
const PACKAGES: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/../node");
const WALKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/web/browser/");
const PHOTO: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../photo-store/samples/astronaut.png"
);

/// What the camera sees.
const STUDIO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../photo-store/samples/studio.jpg");

/// A place for the signing page, under another name of this machine.
async fn signing_place() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, format!("http://sign.localhost:{port}"))
}

/// Serves the town and its signing page, and walks through it with these arguments behind the counter's address; what the walk said.
async fn walked(
    town: &Town,
    signing: (TcpListener, Option<RehearsalKeys>),
    walk: &str,
    arguments: &[(&str, &str)],
) -> String {
    assert!(
        Path::new(PACKAGES).join("node_modules").exists(),
        "the packages of Node are missing: run scripts/setup.sh"
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let counter = format!(
        "http://localhost:{}/counter",
        listener.local_addr().unwrap().port()
    );
    let served = tokio::spawn(axum::serve(listener, town.router.clone()).into_future());
    let origin = counter.strip_suffix("/counter").unwrap();
    let page = match signing.1 {
        Some(keys) => SigningPage::of_rehearsal(origin, keys),
        None => SigningPage::of(origin),
    };
    let signs = tokio::spawn(issuer_signing::serve(signing.0, page, std::future::pending()));
    let mut node = Command::new("node");
    node.arg(format!("{WALKS}{walk}"))
        .args(["--counter", &counter])
        .current_dir(PACKAGES)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    // For whoever changes the style.
    if let Some(folder) = std::env::var_os("YZT_PICTURES") {
        node.arg("--pictures").arg(folder);
    }
    for (name, value) in arguments {
        node.arg(name).arg(value.replace("COUNTER", &counter));
    }
    let walked = node.output().await.unwrap();
    served.abort();
    signs.abort();
    let said = String::from_utf8_lossy(&walked.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&walked.stderr);
    assert!(walked.status.success(), "{said}{wrong}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn by_keyboard_alone_a_card_is_issued_in_a_browser_and_no_page_breaks_a_rule_of_accessibility_or_its_policy()
 {
    let (listener, signing) = signing_place().await;
    let town = Town::beside(Fixture::new().await, &signing).await;
    let keys = rehearsal_keys(&town.fixture).await;
    // Moving pictures of one picture: a motion JPEG is its pictures one behind the other.
    let camera = town.fixture.folder.path().join("camera.mjpeg");
    std::fs::copy(STUDIO, &camera).unwrap();
    let photo = [("--photo", PHOTO), ("--camera", camera.to_str().unwrap())];
    let said = walked(&town, (listener, Some(keys)), "issue.mjs", &photo).await;
    // What a clerk pressed for one intake, for whoever runs the tests with --nocapture.
    print!("{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_browser_a_day_is_closed_a_case_looked_up_and_a_code_checked_and_no_page_breaks_a_rule_of_accessibility_or_its_policy()
 {
    let town = Town::new().await;
    let (permit, _card) = town.fixture.in_use(APPLICANT).await;
    let office = town.fixture.office();
    let number = office.card_in_use(permit).await.unwrap().number;
    let case = office.permit(permit).await.unwrap().grant().application;
    let order = office.order_of(permit).await.unwrap().unwrap();
    let back = town.fixture.production.faces_of(order.id()).join("back.png");
    let code = read_qr(&std::fs::read(back).unwrap());
    let slip = format!("COUNTER/cases/{case}/slip");
    let arguments = [
        ("--code", code.as_str()),
        ("--number", number.as_str()),
        ("--slip", &slip),
    ];
    let (listener, _) = signing_place().await;
    walked(&town, (listener, None), "chief.mjs", &arguments).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_browser_two_enrol_a_signing_key_and_a_page_that_asks_for_a_signature_over_another_digest_gets_none()
 {
    let (listener, signing) = signing_place().await;
    let town = Town::beside(Fixture::new().await, &signing).await;
    let mut cases = Vec::new();
    for (number, name) in [(0, "李娜"), (1, "王小苗")] {
        let id = town.fixture.accepted(&person(number).replace("李娜", name)).await;
        town.fixture.completed(id).await;
        cases.push(format!("/counter/cases/{id}"));
    }
    let arguments = [
        ("--signing", signing.as_str()),
        ("--first", &cases[0]),
        ("--second", &cases[1]),
    ];
    walked(&town, (listener, None), "signing.mjs", &arguments).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_browser_authenticators_are_enrolled_sign_in_and_prove_and_a_session_that_ends_loses_no_form() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let pages = Pages::at(false, RelyingParty::on_this_machine(port)).await;
    let served = tokio::spawn(axum::serve(listener, pages.router.clone()).into_future());
    let mut walk = Command::new("node")
        .arg(format!("{WALKS}authenticators.mjs"))
        .args(["--counter", &format!("http://localhost:{port}/counter")])
        .args(["--token", "token of liu"])
        .current_dir(PACKAGES)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut asked = BufReader::new(walk.stdout.take().unwrap()).lines();
    let mut answers = walk.stdin.take().unwrap();
    while let Some(line) = asked.next_line().await.unwrap() {
        match line.strip_prefix("later ") {
            Some(minutes) => {
                pages.minutes_later(minutes.parse().unwrap());
                answers.write_all(b"done\n").await.unwrap();
            }
            None => println!("{line}"),
        }
    }
    let walked = walk.wait_with_output().await.unwrap();
    served.abort();
    assert!(
        walked.status.success(),
        "{}",
        String::from_utf8_lossy(&walked.stderr)
    );
}
