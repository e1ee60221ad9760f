//! Every command that asks the vault, with a vault that is sealed and with none: exit code 3, and never a refusal. What is
//! in the ledger already and waits for the vault alone is 4: the same command goes on.

use std::path::Path;
use std::process::Output;

use issuer_office::staff::{Member, Staff, StaffRole};
use jiff::civil::date;
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
            assert_eq!(
                (exit, &object["error"]["code"]),
                (Some(3), &code.into()),
                "{arguments:?} {object}"
            );
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
}
