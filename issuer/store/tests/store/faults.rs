//! A store that cannot write: on a read-only mount, on a full disk, on a server that takes no writes. Each gives its
//! typed error and changes nothing; when the fault is gone the same call succeeds.
//!
//! The mounts live in a user and mount namespace of their own (`unshare`), where no other process sees them; the part of
//! a test that runs inside is a test of this file that is ignored by itself. Root ignores file modes, so nothing less
//! than a mount would do.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use issuer_store::{Error, LedgerState, Store};
use permit_domain::ApplicationId;
use sqlx::AssertSqlSafe;

use crate::ledger::{Book as _, Ledger};
use crate::people::{Engine, at, li_na, n, new_order, serial, somebody, staff};
use crate::reads::Reads as _;

/// Where the inner part of a test finds its folder.
const FOLDER: &str = "YZT_STORE_TEST_FOLDER";

/// Runs an ignored test of this file in namespaces of its own, after `mounts`.
fn inside(folder: &Path, mounts: &str, step_down: &str, test: &str) {
    let script = format!(r#"set -e; {mounts}; exec {step_down} "$0" --ignored --exact "$1" --nocapture"#);
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .env(FOLDER, folder)
        .env("TMPDIR", folder)
        .output()
        .expect("unshare is part of util-linux");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn folder() -> PathBuf {
    std::env::var_os(FOLDER)
        .expect("runs inside another test only")
        .into()
}

fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|e| e.unwrap().path())
        .map(|p| (p.clone(), std::fs::read(p).unwrap()))
        .collect()
}

fn sqlite_in(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("issuer.db").display())
}

#[tokio::test]
async fn a_sqlite_store_on_a_read_only_mount_says_so_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::at(sqlite_in(folder.path())).await;
    let (application, _) = ledger.approved(&li_na(), 1).await;
    ledger.store.close().await;
    let before = contents(folder.path());

    inside(
        folder.path(),
        r#"mount --bind "$YZT_STORE_TEST_FOLDER" "$YZT_STORE_TEST_FOLDER";
           mount -o remount,bind,ro "$YZT_STORE_TEST_FOLDER""#,
        "",
        "faults::on_a_read_only_mount",
    );

    assert!(contents(folder.path()) == before, "not a byte changed");
    let store = Store::open(&ledger.url).await.unwrap();
    assert_eq!(
        store
            .application(application.id())
            .await
            .unwrap()
            .unwrap()
            .application,
        application
    );
    store.submit(&somebody(2), 2).await.unwrap();
}

#[tokio::test]
#[ignore = "runs inside another test"]
async fn on_a_read_only_mount() {
    let error = Store::open(&sqlite_in(&folder())).await.unwrap_err();
    assert!(matches!(error, Error::ReadOnly), "{error:?}");
    assert_eq!(error.code(), "STORE_READ_ONLY");
    assert!(error.action().contains("Mount"));
}

#[tokio::test]
async fn a_sqlite_store_of_another_user_says_so_and_not_that_it_is_read_only() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::at(sqlite_in(folder.path())).await;
    ledger.store.close().await;
    let file = folder.path().join("issuer.db");
    std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    // Root would pass the mode.
    let step_down = "unshare --user --map-user=1000 --map-group=1000";
    inside(folder.path(), ":", step_down, "faults::on_a_file_of_another_user");
}

#[tokio::test]
#[ignore = "runs inside another test"]
async fn on_a_file_of_another_user() {
    let error = Store::open(&sqlite_in(&folder())).await.unwrap_err();
    assert!(matches!(error, Error::Denied), "{error:?}");
    assert_eq!(error.code(), "STORE_DENIED");
    assert!(error.action().contains("user") && error.chinese().1.contains("用户"));
}

#[tokio::test]
async fn a_postgres_store_that_takes_no_writes_says_so_and_changes_nothing() {
    let ledger = Ledger::open(Engine::Postgres).await;
    ledger.approved(&li_na(), 1).await;
    let before = ledger.store.verify_ledger().await.unwrap();
    let Store::Postgres(pool) = &ledger.store else {
        panic!("PostgreSQL")
    };
    let name: String = sqlx::query_scalar("SELECT current_database()")
        .fetch_one(pool)
        .await
        .unwrap();
    let set = |value: &str| {
        AssertSqlSafe(format!(
            "ALTER DATABASE {name} SET default_transaction_read_only = {value}"
        ))
    };
    sqlx::query(set("on")).execute(pool).await.unwrap();

    let store = ledger.again().await;
    for error in [
        store.submit(&somebody(2), 2).await.unwrap_err(),
        store.ready().await.unwrap_err(),
        store
            .receive_blanks(&[serial(1)], "lot-1", &staff("gao"), at())
            .await
            .unwrap_err(),
    ] {
        assert!(matches!(error, Error::ReadOnly), "{error:?}");
    }
    assert_eq!(store.verify_ledger().await.unwrap(), before);
    assert_eq!(
        store.application(ApplicationId::new(at(), n(2))).await.unwrap(),
        None
    );
    store.close().await;

    // The setting holds for new connections; this one is older.
    sqlx::query(set("off")).execute(pool).await.unwrap();
    ledger.again().await.submit(&somebody(2), 2).await.unwrap();
}

#[tokio::test]
async fn a_server_that_refuses_this_user_says_so_and_one_without_the_database_has_no_ledger() {
    let ledger = Ledger::open(Engine::Postgres).await;
    let Store::Postgres(pool) = &ledger.store else {
        panic!("PostgreSQL")
    };
    sqlx::query("CREATE ROLE stranger LOGIN")
        .execute(pool)
        .await
        .unwrap();
    let name: String = sqlx::query_scalar("SELECT current_database()")
        .fetch_one(pool)
        .await
        .unwrap();
    let instead = |of: &str, this: &str| {
        assert!(ledger.url.contains(of), "{}", ledger.url);
        ledger.url.replacen(of, this, 1)
    };
    // A role that may log in and read nothing, and one that there is not.
    for role in ["stranger", "nobody"] {
        let error = match Store::open(&instead("user=clerk", &format!("user={role}"))).await {
            Ok(store) => store.ready().await.unwrap_err(),
            Err(error) => error,
        };
        assert!(matches!(error, Error::Denied), "{role}: {error:?}");
        assert!(error.action().contains("GRANT") && error.chinese().1.contains("GRANT"));
    }
    let error = Store::open(&instead(&name, "nowhere")).await.unwrap_err();
    assert!(matches!(error, Error::NoLedger), "{error:?}");
}

/// Writes until nothing fits any more.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [65_536, 4096, 512, 1] {
        let block = vec![0x5A; size];
        while file.write_all(&block).is_ok() {}
    }
}

/// Submits until the disk is full. How many got in, and the error.
async fn submit_until_full(store: &Store) -> (u8, Error) {
    for i in 2..=250 {
        if let Err(error) = store.submit(&somebody(i), i).await {
            return (i, error);
        }
    }
    panic!("the disk did not fill");
}

async fn full_disk_changes_nothing_and_room_helps(ledger: Ledger, filler: PathBuf) {
    // A card under way, so that an allocation can fail too.
    let (_, permit) = ledger.approved(&li_na(), 1).await;
    let order = ledger
        .store
        .order_production(&new_order(permit.id(), 1), at())
        .await
        .unwrap();
    ledger
        .store
        .receive_blanks(&[serial(1)], "lot-1", &staff("gao"), at())
        .await
        .unwrap();
    fill(&filler);

    let (i, error) = submit_until_full(&ledger.store).await;
    assert!(matches!(error, Error::DiskFull), "{error:?}");
    assert_eq!(error.code(), "STORE_DISK_FULL");
    assert!(error.is_outage() && error.action().contains("room"));
    assert!(
        matches!(ledger.store.ready().await, Err(Error::DiskFull) | Ok(())),
        "a rolled-back touch may fit"
    );
    if let Store::Sqlite(_) = &ledger.store {
        let probed = ledger.store.takes_an_entry(at()).await.unwrap_err();
        assert!(matches!(probed, Error::DiskFull), "{probed:?}");
    }
    let stored: LedgerState = ledger.store.verify_ledger().await.unwrap();
    assert_eq!(
        ledger
            .store
            .application(ApplicationId::new(at(), n(i)))
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        ledger.store.person(&somebody(i).citizen_number).await.unwrap(),
        None
    );

    std::fs::remove_file(&filler).unwrap();
    ledger.store.submit(&somebody(i), i).await.unwrap();
    let order = ledger.store.allocate_card(order, serial(1), at()).await.unwrap();
    assert_eq!(
        order.state().card().unwrap().number.as_str().get(..12),
        Some("440000000001")
    );
    assert_eq!(
        ledger.store.verify_ledger().await.unwrap().entries,
        stored.entries + 2
    );
}

#[test]
fn a_sqlite_store_on_a_full_disk_says_so_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mounts = r#"mount -t tmpfs -o size=2m none "$YZT_STORE_TEST_FOLDER""#;
    inside(folder.path(), mounts, "", "faults::sqlite_on_a_full_disk");
}

#[tokio::test]
#[ignore = "runs inside another test"]
async fn sqlite_on_a_full_disk() {
    let ledger = Ledger::at(sqlite_in(&folder())).await;
    full_disk_changes_nothing_and_room_helps(ledger, folder().join("filler")).await;
}

#[test]
fn a_postgres_store_on_a_full_disk_says_so_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // PostgreSQL does not run as root, so a second namespace maps to somebody else.
    let mounts = r#"mount -t tmpfs -o size=128m,mode=1777 none "$YZT_STORE_TEST_FOLDER""#;
    let step_down = "unshare --user --map-user=1000 --map-group=1000";
    inside(
        folder.path(),
        mounts,
        step_down,
        "faults::postgres_on_a_full_disk",
    );
}

#[tokio::test]
#[ignore = "runs inside another test"]
async fn postgres_on_a_full_disk() {
    let ledger = Ledger::open(Engine::Postgres).await;
    full_disk_changes_nothing_and_room_helps(ledger, folder().join("filler")).await;
}
