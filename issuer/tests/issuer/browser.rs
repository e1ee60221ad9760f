//! A clerk's browser at the real pages: Chromium, driven from Node by the walk in `issuer/web/browser/`. By keyboard alone a card goes from
//! the sign-in to its holder's hand; axe-core looks at every page, and what breaks the pages' own security policy fails. Left out: the
//! longer walks and the pictures, which are in `make e2e`.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::pages::Town;

/// Where `scripts/setup.sh` puts the packages of Node: beside what cargo builds.
const PACKAGES: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/../node");
const WALK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/web/browser/issue.mjs");
const PHOTO: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../photo-store/samples/astronaut.png"
);

#[tokio::test(flavor = "multi_thread")]
async fn by_keyboard_alone_a_card_is_issued_in_a_browser_and_no_page_breaks_a_rule_of_accessibility_or_its_policy()
 {
    assert!(
        Path::new(PACKAGES).join("node_modules").exists(),
        "the packages of Node are missing: run scripts/setup.sh"
    );
    let town = Town::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let counter = format!(
        "http://localhost:{}/counter",
        listener.local_addr().unwrap().port()
    );
    let served = tokio::spawn(axum::serve(listener, town.router.clone()).into_future());
    let walked = Command::new("node")
        .arg(WALK)
        .args(["--counter", &counter, "--photo", PHOTO])
        .current_dir(PACKAGES)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    served.abort();
    let (said, wrong) = (
        String::from_utf8_lossy(&walked.stdout),
        String::from_utf8_lossy(&walked.stderr),
    );
    assert!(walked.status.success(), "{said}{wrong}");
    // What a clerk pressed for one intake, for whoever runs the tests with --nocapture.
    print!("{said}");
}
