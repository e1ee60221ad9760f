//! Every command that asks the vault, with a vault that is sealed and with none: exit code 3, and never a refusal. What is
//! in the ledger already and waits for the vault alone is 4: the same command goes on.

use std::path::Path;
use std::process::Output;

use issuer_office::connection::Dialer;
use issuer_office::staff::{Member, Staff, StaffRole};
use jiff::civil::date;
use rand::SeedableRng as _;
use serde_json::Value;

use crate::cards::{Shop, clerk, load, load_now, number, officer};
use crate::fixture;
use crate::fixture::Fixture;

/// On the day after the fixture's: what it enters in the ledger comes later than what the fixture entered, at whatever time of
/// day this runs.
async fn issuer(folder: &Path, arguments: &[&str]) -> (Option<i32>, Value) {
    issuer_on("2026-11-22", folder, arguments).await
}

/// The program on the folder of a fixture, whose vault and photo store listen at `vault.sock` and `photos.sock` there.
pub(crate) async fn issuer_on(day: &str, folder: &Path, arguments: &[&str]) -> (Option<i32>, Value) {
    let mut command = assert_cmd::Command::cargo_bin("issuer").unwrap();
    let (name, rest) = arguments.split_first().unwrap();
    let steps = rest
        .iter()
        .take_while(|word| !word.starts_with('-') && !word.starts_with('/'));
    let steps = steps.count();
    command
        // Sessions are named as the people whose they are.
        .current_dir(folder)
        .arg(name)
        .args(&rest[..steps])
        .args(["--dir", folder.to_str().unwrap(), "--at", day, "--json"])
        .args(&rest[steps..]);
    let output: Output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let object = serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), object)
}

fn staff() -> Staff {
    let member = |account: &str, role| {
        let token = format!("token of {account}");
        Member::new(account.parse().unwrap(), vec![role], &token, date(2026, 12, 31))
    };
    Staff::new(vec![
        member("liu", StaffRole::ChangeClerk),
        member("sun", StaffRole::Producer),
        member("chen", StaffRole::HandOverClerk),
        member("gao", StaffRole::SettlementOfficer),
    ])
    .unwrap()
}

#[expect(clippy::too_many_lines, reason = "one walk, step by step")]
#[tokio::test(flavor = "multi_thread")]
async fn every_command_that_asks_a_sealed_or_absent_vault_ends_with_3_and_never_with_1() {
    let fixture = Fixture::new().await;
    let (permit, card) = fixture.in_use(fixture::APPLICANT).await;
    let mut shop = Shop::open(&fixture, "shop 1", 61).await;
    load_now(&fixture, permit, &card, 20_000, "till-1").await;
    assert!(shop.sell(&fixture, &card, 10).is_ok());
    let queued = load(&fixture, permit, 1_000, "till-2").await.change.id();
    fixture.production.queue_change(queued, &clerk()).await.unwrap();
    let receipts = shop.deliver(&fixture, &card).await;
    let change = load(&fixture, permit, 1_000, "till-3")
        .await
        .change
        .id()
        .to_string();
    let (application, other) = fixture.approved(&fixture::person(1)).await;
    let receipt = fixture.photo(application).await;
    let order = fixture.order(other, receipt).await.id().to_string();
    let number = number(&fixture, permit).await.to_string();
    let permit = permit.to_string();
    assert_eq!(officer().as_str(), "gao");

    let folder = fixture.folder.path();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let (receipts, settlement) = (file("receipts", &receipts), file("settlement", &shop.file()));
    file("staff.toml", staff().to_toml().unwrap().as_bytes());
    rights(folder, 0o700);
    for account in ["liu", "sun", "chen", "gao"] {
        file("token", format!("token of {account}").as_bytes());
        let (exit, object) = issuer(
            folder,
            &["sign-in", "--token-file", "token", "--session", account],
        )
        .await;
        assert_eq!(exit, Some(0), "{object}");
    }
    fixture.key.save_new(&folder.join("service.key")).unwrap();

    let away: [&[&str]; 8] = [
        &["worker", "--once", "--session", "sun"],
        &[
            "hand-over",
            "--order",
            &order,
            "--session",
            "chen",
            "--checked",
            "holder",
        ],
        &[
            "load",
            "--permit",
            &permit,
            "--amount",
            "10",
            "--key",
            "till-3",
            "--session",
            "liu",
        ],
        &["change", "queue", "--id", &change, "--session", "liu"],
        &["change", "write", "--id", &change, "--session", "sun"],
        &["card", "block", "--card", &number, "--session", "liu"],
        &["receipts", &receipts, "--session", "gao"],
        &["settle", &settlement, "--session", "gao"],
    ];
    let half_done: [&[&str]; 2] = [
        &["card", "lost", "--card", &number, "--session", "liu"],
        &["card", "confirm"],
    ];
    for (vault, code) in [
        ("vault.sock", "VAULT_SEALED"),
        ("nobody.sock", "VAULT_NOT_RUNNING"),
    ] {
        file("issuer.toml", format!("vault = {vault:?}").as_bytes());
        fixture.vault.seal("li").await.unwrap();
        for arguments in away {
            let (exit, object) = issuer(folder, arguments).await;
            let said = &object["error"]["code"];
            // Who works with a card looks for the reader first, and here is none.
            let is_told = *said == code || *said == "NO_SERVICE";
            assert!(exit == Some(3) && is_told, "{arguments:?} {object}");
        }
        for arguments in half_done {
            let (exit, object) = issuer(folder, arguments).await;
            let said = &object["error"]["code"];
            assert_eq!(
                (exit, said),
                (Some(4), &"DENIAL_WANTED".into()),
                "{arguments:?} {object}"
            );
        }
        let (exit, object) = issuer(folder, &["doctor"]).await;
        assert_eq!(
            (exit, &object["error"]["code"]),
            (Some(3), &"NOT_READY".into()),
            "{object}"
        );
        let checks = object["checks"].as_array().unwrap();
        let vault = checks.iter().find(|check| check["name"] == "vault").unwrap();
        assert_eq!(vault["code"], code);
        fixture.unseal().await;
    }
    // What ended with 4 goes on, said again.
    file("issuer.toml", b"vault = \"vault.sock\"");
    for arguments in half_done {
        let (exit, object) = issuer(folder, arguments).await;
        assert_eq!(exit, Some(0), "{arguments:?} {object}");
    }
}

fn rights(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

/// What the doctor says of each check that failed.
async fn doctor(day: &str, folder: &Path) -> Vec<(String, String)> {
    let (_, object) = issuer_on(day, folder, &["doctor"]).await;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let checks = object["checks"].as_array().unwrap().iter();
    checks
        .filter(|check| check["ok"] == false && check["name"] != "reader")
        .map(|check| (text(&check["name"]), text(&check["code"])))
        .collect()
}

/// What would stop the next card is told before anybody lays one down.
#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_a_key_that_is_not_enrolled_an_old_vault_and_a_ledger_of_later() {
    const DAY: &str = "2026-11-22";
    let failed = |name: &str, code: &str| vec![(name.to_owned(), code.to_owned())];
    let fixture = Fixture::new().await;
    let folder = fixture.folder.path();
    let file = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    file("staff.toml", &staff().to_toml().unwrap());
    rights(folder, 0o700);
    fixture.key.save_new(&folder.join("service.key")).unwrap();
    file("issuer.toml", "issuer = \"shenzhen\"");
    assert_eq!(doctor(DAY, folder).await, []);

    // A vault that is put back from a copy of now does not know the card that is made next.
    let old = tempfile::tempdir().unwrap();
    let copy = old.path().join("vault");
    std::fs::create_dir(&copy).unwrap();
    rights(&copy, 0o700);
    for found in std::fs::read_dir(folder.join("vault"))
        .unwrap()
        .map(Result::unwrap)
    {
        if found.file_type().unwrap().is_file() {
            std::fs::copy(found.path(), copy.join(found.file_name())).unwrap();
        }
    }
    let (_permit, _card) = fixture.in_use(fixture::APPLICANT).await;
    assert_eq!(doctor(DAY, folder).await, []);
    let random = || Box::new(rand::rngs::StdRng::from_seed([77; 32])) as Box<_>;
    let restored = scratch_vault::reopen(old.path(), &fixture.envelopes, fixture.clock.clone(), random).await;
    let listener = tokio::net::UnixListener::bind(folder.join("old.sock")).unwrap();
    let serving = tokio::spawn(async move {
        let server = keyvault::serve::Server::new(restored.unwrap()).unwrap();
        let _ = keyvault::serve::listen(listener, server, &[], std::future::pending()).await;
    });
    file("issuer.toml", "issuer = \"shenzhen\"\nvault = \"old.sock\"");
    // The office saw it later than that; and once two people said that it is meant, the card is still unknown to it.
    let rolled_back = doctor(DAY, folder).await;
    assert!(
        rolled_back.contains(&("vault".to_owned(), "ROLLED_BACK".to_owned())),
        "{rolled_back:?}"
    );
    for somebody in ["zhao", "qian"] {
        let somebody = somebody.parse().unwrap();
        let accepted = fixture.office().accept_restored(1, ("operator", &somebody)).await;
        accepted.unwrap();
    }
    assert_eq!(
        doctor(DAY, folder).await,
        failed("cards", "CARD_UNKNOWN_TO_VAULT")
    );
    serving.abort();

    // Nobody enrolled this name; another key has the other.
    file("issuer.toml", "");
    assert_eq!(doctor(DAY, folder).await, failed("enrolment", "UNKNOWN_ISSUER"));
    std::fs::remove_file(folder.join("service.key")).unwrap();
    let random = issuer_office::random::Random::new(rand::rngs::StdRng::from_seed([78; 32]));
    issuer_production::ServiceKey::generate(&random)
        .save_new(&folder.join("service.key"))
        .unwrap();
    file("issuer.toml", "issuer = \"shenzhen\"");
    let stranger = doctor(DAY, folder).await;
    for check in ["vault", "enrolment"] {
        assert!(
            stranger.contains(&(check.to_owned(), "UNKNOWN_CALLER".to_owned())),
            "{stranger:?}"
        );
    }
    std::fs::remove_file(folder.join("service.key")).unwrap();
    fixture.key.save_new(&folder.join("service.key")).unwrap();

    // Everybody may write who is staff, and then everything.
    rights(&folder.join("staff.toml"), 0o666);
    assert_eq!(doctor(DAY, folder).await, failed("rights", "EXPOSED"));
    rights(&folder.join("staff.toml"), 0o644);
    rights(folder, 0o777);
    assert_eq!(doctor(DAY, folder).await, failed("rights", "EXPOSED"));
    rights(folder, 0o700);

    // Somebody worked a year ahead: the vault saw nothing of it, and every write is refused until then.
    fixture.time.set("2027-11-22T02:00:00Z");
    fixture
        .office()
        .recall_lot("002c-00000001", &officer())
        .await
        .unwrap();
    fixture.time.set(fixture::NOW);
    assert_eq!(doctor(DAY, folder).await, failed("clock", "CLOCK_BEHIND"));
    let checks = fixture.office().checks().await;
    let behind: Vec<_> = checks.iter().filter(|check| check.failure.is_some()).collect();
    assert_eq!(behind.len(), 1, "{behind:?}");
    let failure = behind[0].failure.as_ref().unwrap();
    assert!(failure.action.contains("--at") && failure.chinese.1.contains("--at"));
}

/// A vault that is there and says nothing holds up nobody who asks how things stand.
#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_hangs_is_told_within_seconds_and_is_not_said_to_be_sealed() {
    let fixture = Fixture::new().await;
    let hung = Dialer::new("hung", async || {
        let (ours, theirs) = tokio::io::duplex(1024);
        // Whoever holds the other end reads nothing and lives on.
        std::mem::forget(theirs);
        Ok(Box::new(ours) as issuer_office::connection::Stream)
    });
    let office = fixture.office_over(fixture.store.clone(), hung);
    let checks = tokio::time::timeout(std::time::Duration::from_secs(10), office.checks());
    let checks = checks.await.expect("nobody waits for it");
    let code = |name: &str| {
        let check = checks.iter().find(|check| check.name == name).unwrap();
        check.failure.as_ref().map(|failure| failure.code.as_ref())
    };
    assert_eq!(code("vault"), Some("VAULT_NO_ANSWER"));
    assert_eq!((code("ledger"), code("photo_store")), (None, None));
    let failures = || checks.iter().filter_map(|check| check.failure.as_ref());
    assert!(failures().all(|failure| failure.exit == program_contract::Exit::Absent));
}

/// Three programs that begin in a fresh office at once have one counter key and one service key between them.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_second_in_a_fresh_office_uses_the_key_that_is_there() {
    let fixture = Fixture::new().await;
    let folder = fixture.folder.path().to_owned();
    let together = (0..3).map(|number| {
        let (folder, office) = (folder.clone(), fixture.office().clone());
        tokio::spawn(async move {
            let installation = issuer::installation::Installation::open(&folder, None).unwrap();
            let random = issuer_office::random::Random::new(rand::rngs::StdRng::from_seed([number; 32]));
            let key = installation.service_key_or_new(&random).unwrap();
            installation.counter_keys_or_new(&random).unwrap();
            installation.production(office).unwrap();
            key.public()
        })
    });
    let mut keys = Vec::new();
    for one in together.collect::<Vec<_>>() {
        keys.push(one.await.unwrap());
    }
    assert!(keys.iter().all(|key| *key == keys[0]));
    for key in ["counter.key", "counter-purse.key"] {
        card_reader::TerminalKey::load(&folder.join(key)).unwrap();
    }
}
