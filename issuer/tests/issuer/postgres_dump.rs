//! The office's ledger on PostgreSQL, dumped and restored by PostgreSQL's own programs: `issuer doctor` looks at the copy, and
//! work goes on in it.

use std::path::Path;
use std::process::Command;

use issuer_store::Store;
use serde_json::Value;

use crate::fixture::Fixture;

fn run(command: &mut Command) -> (bool, String) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}: `make setup` installs postgresql"));
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// Runs SQL in a database.
fn psql(url: &str, how: &[&str]) {
    let (done, said) = run(Command::new("psql")
        .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname", url])
        .args(how));
    assert!(done, "{said}");
}

/// What the doctor says of the ledger and its chain in a database: code, or nothing where all is well.
fn doctor(office: &Path, url: &str) -> [Option<String>; 2] {
    std::fs::write(office.join("issuer.toml"), format!("database = {url:?}")).unwrap();
    let output = Command::new(assert_cmd::cargo::cargo_bin("issuer"))
        .args(["doctor", "--json", "--dir"])
        .arg(office)
        .output()
        .unwrap();
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = object["checks"].as_array().unwrap_or_else(|| panic!("{object}"));
    ["ledger", "ledger_chain"].map(|name| {
        let check = checks.iter().find(|check| check["name"] == name).unwrap();
        assert_eq!(check["ok"] == true, check["code"].is_null(), "{check}");
        check["code"].as_str().map(str::to_owned)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_restored_into_another_database_is_whole_for_the_doctor_and_work_goes_on_in_it() {
    let empty = async || scratch_postgres::database(async |_| ()).await;
    let (first, second) = (empty().await, empty().await);
    let fixture = Fixture::with(tempfile::tempdir().unwrap(), &first).await;
    let order = fixture.ordered().await;
    let card = fixture.blank();
    let verified = fixture.run(order.id(), &mut card.station()).await.unwrap();
    let state = fixture.office().verify_ledger().await.unwrap();
    assert!(state.entries > 10, "{state:?}");

    let dump = fixture.folder.path().join("ledger.sql");
    let (dumped, said) = run(Command::new("pg_dump")
        .args(["--dbname", &first, "--file"])
        .arg(&dump));
    assert!(dumped, "{said}");
    psql(&second, &["--file", dump.to_str().unwrap()]);
    let office = tempfile::tempdir().unwrap();
    for database in [&first, &second] {
        assert_eq!(doctor(office.path(), database), [None, None]);
    }

    // What stands in the copy is what stood in the first, and its cards are handed over.
    let restored = Store::open(&second).await.unwrap();
    let over = fixture.over(restored);
    assert_eq!(over.office().verify_ledger().await.unwrap(), state);
    assert_eq!(over.stored(order.id()).await, verified);
    let handed = over.hand_over(order.id(), &mut card.station()).await.unwrap();
    assert_eq!(handed.state().name(), "HANDED_OVER");
    let later = over.office().verify_ledger().await.unwrap();
    assert!(later.entries > state.entries);

    // What somebody changed on the way is found; the tables themselves refuse it where they are not told otherwise.
    let change = "UPDATE events SET actor = 'nobody' WHERE seq = 3";
    let (changed, said) = run(Command::new("psql").args(["--dbname", &second, "--command", change]));
    assert!(!changed && said.contains("append-only"), "{said}");
    psql(
        &second,
        &[
            "--command",
            "ALTER TABLE events DISABLE TRIGGER events_stay",
            "--command",
            change,
        ],
    );
    let [ledger, chain] = doctor(office.path(), &second);
    assert_eq!(ledger, None);
    assert!(chain.is_some_and(|code| code.starts_with("LEDGER")));
    assert_eq!(doctor(office.path(), &first), [None, None]);
}
