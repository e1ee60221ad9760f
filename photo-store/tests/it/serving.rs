//! `photo-store serve` as a process: socket, signals, faults of disk and mount, crashes.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use keyvault_protocol::{ChannelKey, PointBytes, VaultAnchors};
use photo_store_protocol::{
    Client, Error, FailureCode, OpenCase, PersonId, PhotoState, Profile, Purpose, Read, ReceiptPeriod,
    Submission, Submit,
};
use program_contract::Founded;
use serde_json::Value;
use service_contract::frame;
use tokio::net::UnixStream;

use crate::support::vault::{Reach, TestVault};
use crate::support::{pictures, vault};

const PERSON: PersonId = PersonId::from_bytes([0x51; 16]);

struct Serving {
    process: Child,
    socket: PathBuf,
}

impl Serving {
    /// Founds it where it is not there, starts it, inside a mount namespace after `mount` where one is given, waits until it
    /// serves, and has its key enrolled.
    async fn start(folder: &Path, vault: &Reach, mount: Option<&str>) -> Self {
        if mount.is_none() && !folder.join("store/photos.sqlite").exists() {
            assert_eq!(init(&folder.join("store"), &vault.anchors).0, 0);
        }
        let mut serving = Self::spawn(folder, vault, mount);
        let mut line = String::new();
        BufReader::new(serving.process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let object: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not serving: {line}"));
        assert_eq!(
            (object["schema"].as_str(), object["ok"].as_bool()),
            (Some("yzt.photo-serve/1"), Some(true)),
            "{line}"
        );
        // What is mounted is visible through the process's own root only.
        let root = PathBuf::from(format!("/proc/{}/root{}", serving.process.id(), folder.display()));
        let key = ChannelKey::read(&root.join("store/vault.key")).unwrap();
        vault.enrol(key.public()).await;
        serving
    }

    /// Starts it with the machine's day.
    fn on_today(folder: &Path, vault: &Reach) -> Self {
        let mut serving = Self::spawn_on(folder, vault, None, &[]);
        let mut line = String::new();
        BufReader::new(serving.process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(line.contains("\"ok\":true"), "{line}");
        serving
    }

    fn spawn(folder: &Path, vault: &Reach, mount: Option<&str>) -> Self {
        Self::spawn_on(folder, vault, mount, &["--at", "2026-11-21"])
    }

    fn spawn_on(folder: &Path, vault: &Reach, mount: Option<&str>, day: &[&str]) -> Self {
        let socket = folder.join("photos.sock");
        let program = env!("CARGO_BIN_EXE_photo-store");
        let mut command = match mount {
            Some(mount) => {
                let mut command = Command::new("unshare");
                command.args([
                    "-Urm",
                    "sh",
                    "-c",
                    // What is mounted may be empty.
                    &format!(
                        "{mount} && {{ \"$0\" init --dir \"$1\" --anchors \"$2\" >/dev/null 2>&1; shift 2; exec \"$0\" \"$@\"; }}"
                    ),
                    program,
                ]);
                command.arg(folder.join("store")).arg(&vault.anchors);
                command
            }
            None => Command::new(program),
        };
        let process = command
            .args(["serve", "--json"])
            .args(day)
            .arg("--socket")
            .arg(&socket)
            .arg("--dir")
            .arg(folder.join("store"))
            .arg("--vault")
            .arg(&vault.socket)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, socket }
    }

    async fn client(&self) -> Client<UnixStream> {
        Client::connect(UnixStream::connect(&self.socket).await.unwrap())
            .await
            .unwrap()
    }

    fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    /// Ends it in order.
    fn stop(mut self) {
        self.signal("-TERM");
        assert!(self.process.wait().unwrap().success());
        assert!(!self.socket.exists(), "the socket is taken away");
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Founds a store: exit code, and the one JSON object.
fn init_says(dir: &Path, anchors: &Path) -> (i32, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_photo-store"))
        .args(["init", "--json", "--dir"])
        .arg(dir)
        .arg("--anchors")
        .arg(anchors)
        .stderr(Stdio::null())
        .output()
        .unwrap();
    let object = serde_json::from_slice(&output.stdout).unwrap();
    (output.status.code().unwrap(), object)
}

/// The same: exit code, and the code of a failure.
fn init(dir: &Path, anchors: &Path) -> (i32, String) {
    let (exit, object) = init_says(dir, anchors);
    let code = object["error"]["code"].as_str().unwrap_or_default().to_owned();
    (exit, code)
}

/// Writes an anchors file.
fn write_anchors(path: &Path, vault: [u8; 16], operating_key: PointBytes) {
    let (vault, operating_key) = (hex::encode(vault), hex::encode(operating_key));
    let object = serde_json::json!({ "vault": vault, "operating_key": operating_key });
    std::fs::write(path, object.to_string()).unwrap();
}

fn submit(file: Vec<u8>) -> Submit {
    Submit {
        person: PERSON,
        by: "相机 3".parse().unwrap(),
        period: ReceiptPeriod::Days90,
        file,
    }
}

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> FailureCode {
    result.unwrap_err().code()
}

fn already_held(submission: &Submission) -> bool {
    match submission {
        Submission::Held { photo, already_held } => {
            assert_eq!(photo.state, PhotoState::Sealed);
            *already_held
        }
        Submission::Refused(_) => panic!("{submission:?}"),
    }
}

fn objects(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .map(|entry| entry.unwrap().path())
        .map(|path| if path.is_dir() { objects(&path) } else { 1 })
        .sum()
}

#[tokio::test]
async fn a_client_submits_and_reads_over_the_socket_and_the_program_ends_on_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault::shared().await;
    let serving = Serving::start(folder.path(), &vault, None).await;
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&serving.socket).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    let mut client = serving.client().await;
    let Submission::Held { photo, .. } = client.submit(submit(pictures::studio_jpeg())).await.unwrap() else {
        panic!("refused")
    };
    let case: photo_store_protocol::CaseNumber = "K-1".parse().unwrap();
    let clerk: photo_store_protocol::Actor = "李强".parse().unwrap();
    client
        .open_case(OpenCase {
            case: case.clone(),
            person: PERSON,
            by: clerk.clone(),
        })
        .await
        .unwrap();
    let read = Read {
        photo: photo.photo,
        profile: Profile::Chip,
        purpose: Purpose::Production,
        case,
        reader: clerk,
    };
    assert!(client.read(read).await.unwrap().jpeg.len() <= 3_000);
    let status = client.status().await.unwrap();
    assert_eq!(status.vault, photo_store_protocol::VaultState::Open);
    // `--at` sets the day.
    let now = jiff::Timestamp::from_second(status.now).unwrap();
    assert_eq!(program_contract::day::of(now), jiff::civil::date(2026, 11, 21));
    drop(client);
    serving.stop();
}

#[tokio::test]
async fn bytes_that_are_no_protocol_end_the_connection_and_not_the_store() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let folder = tempfile::tempdir().unwrap();
    let vault = vault::shared().await;
    let serving = Serving::start(folder.path(), &vault, None).await;
    for garbage in [
        b"GET / HTTP/1.1\r\n\r\n".as_slice(),
        &[0xff; 64],
        &[0, 0, 0, 2, 0x82, 0x63],
    ] {
        let mut stream = UnixStream::connect(&serving.socket).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok();
    }
    serving.client().await.status().await.unwrap();
    serving.stop();
}

#[tokio::test]
async fn a_second_store_on_the_socket_is_refused_and_a_dead_socket_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault::shared().await;
    let mut serving = Serving::start(folder.path(), &vault, None).await;
    let second = Serving::spawn(folder.path(), &vault, None).into_child();
    let output = wait_with_output(second);
    assert_eq!(output, (5, "STORE_IN_USE".to_owned()), "the folder comes first");
    // Another store at the same socket.
    let other = tempfile::tempdir().unwrap();
    assert_eq!(init(&other.path().join("store"), &vault.anchors).0, 0);
    std::os::unix::fs::symlink(&serving.socket, other.path().join("photos.sock")).unwrap();
    let second = Serving::spawn(other.path(), &vault, None).into_child();
    assert_eq!(wait_with_output(second), (5, "SOCKET_IN_USE".to_owned()));
    serving.client().await.status().await.unwrap();

    serving.process.kill().unwrap();
    serving.process.wait().unwrap();
    assert!(serving.socket.exists(), "a killed program leaves its socket");
    let again = Serving::start(folder.path(), &vault, None).await;
    again.client().await.status().await.unwrap();
    again.stop();
}

fn wait_with_output(mut process: Child) -> (i32, String) {
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let object: Value = serde_json::from_str(&line).unwrap();
    assert!(!object["error"]["message"].as_str().unwrap().is_empty());
    assert!(!object["error"]["action"].as_str().unwrap().is_empty());
    (
        process.wait().unwrap().code().unwrap(),
        object["error"]["code"].as_str().unwrap().to_owned(),
    )
}

#[tokio::test]
async fn a_store_is_founded_once_by_init_and_never_by_a_mistyped_folder() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault::shared().await;
    let store = folder.path().join("store");
    let start = || wait_with_output(Serving::spawn(folder.path(), &vault, None).into_child());
    for empty in [false, true] {
        if empty {
            std::fs::create_dir(&store).unwrap();
        }
        assert_eq!(start(), (5, "NO_STORE".to_owned()));
        assert_eq!(store.exists(), empty);
        assert!(!empty || std::fs::read_dir(&store).unwrap().count() == 0);
    }
    // Without the anchors of its vault nothing is founded either.
    let wrong = folder.path().join("wrong.json");
    for _ in 0..2 {
        assert_eq!(init(&store, &wrong), (5, "ANCHORS_UNUSABLE".to_owned()));
        assert_eq!(start(), (5, "NO_STORE".to_owned()));
        std::fs::write(&wrong, b"{}").unwrap();
    }

    let (exit, object) = init_says(&store, &vault.anchors);
    assert_eq!((exit, &object["founded"]), (0, &Value::from(true)), "{object}");
    let key_file = store.join("vault.key");
    assert_eq!(object["vault_key"].as_str(), key_file.to_str());
    let key = ChannelKey::read(&key_file).unwrap();
    assert_eq!(object["public_key"], hex::encode(key.public()));
    let anchors = VaultAnchors::read(&vault.anchors).unwrap();
    assert_eq!(object["vault"], hex::encode(anchors.vault));
    assert_eq!(VaultAnchors::read(&store.join("anchors.json")).unwrap(), anchors);
    for file in ["vault.key", "anchors.json"] {
        let mode = std::fs::metadata(store.join(file)).unwrap().permissions();
        let mode = std::os::unix::fs::PermissionsExt::mode(&mode);
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    assert_eq!(init(&store, &vault.anchors), (1, "STORE_EXISTS".to_owned()));
    assert_eq!(ChannelKey::read(&key_file).unwrap().public(), key.public());
    let serving = Serving::start(folder.path(), &vault, None).await;
    assert_eq!(init(&store, &vault.anchors), (5, "STORE_IN_USE".to_owned()));
    serving.stop();
    // Objects without their index are no new store.
    std::fs::remove_file(store.join("photos.sqlite")).unwrap();
    assert_eq!(start(), (5, "NO_STORE".to_owned()));
    assert!(!store.join("photos.sqlite").exists());
}

#[tokio::test]
async fn a_store_of_before_is_given_key_and_anchors_by_init_under_its_own_vault_alone() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault::shared().await;
    let store = folder.path().join("store");
    assert_eq!(init(&store, &vault.anchors).0, 0);
    let files = ["vault.key", "anchors.json"].map(|name| store.join(name));
    for file in &files {
        std::fs::remove_file(file).unwrap();
    }
    let start = || wait_with_output(Serving::spawn(folder.path(), &vault, None).into_child());
    assert_eq!(start(), (5, "VAULT_KEY_UNUSABLE".to_owned()));
    let other = folder.path().join("other.json");
    let anchors = VaultAnchors::read(&vault.anchors).unwrap();
    write_anchors(&other, [7; 16], anchors.operating_key);
    assert_eq!(init(&store, &other), (5, "OTHER_VAULT".to_owned()));
    assert!(!files.iter().any(|file| file.exists()), "nothing was made");

    let (exit, object) = init_says(&store, &vault.anchors);
    assert_eq!((exit, &object["founded"]), (0, &Value::from(false)), "{object}");
    let key = ChannelKey::read(&files[0]).unwrap();
    assert_eq!(object["public_key"], hex::encode(key.public()));
    assert_eq!(init(&store, &vault.anchors), (1, "STORE_EXISTS".to_owned()));
    Serving::start(folder.path(), &vault, None).await.stop();
}

#[tokio::test]
async fn a_missing_or_changed_key_or_anchors_file_is_named_at_the_start_and_mended_by_init() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault::shared().await;
    let store = folder.path().join("store");
    assert_eq!(init(&store, &vault.anchors).0, 0);
    let (key_file, anchors_file) = (store.join("vault.key"), store.join("anchors.json"));
    let start = || wait_with_output(Serving::spawn(folder.path(), &vault, None).into_child());

    // It may be the one that is enrolled: nothing makes another in its place.
    let good = std::fs::read(&key_file).unwrap();
    let mut changed = good.clone();
    changed[50] ^= 1;
    std::fs::write(&key_file, &changed).unwrap();
    assert_eq!(start(), (5, "VAULT_KEY_UNUSABLE".to_owned()));
    assert_eq!(init(&store, &vault.anchors), (5, "VAULT_KEY_UNUSABLE".to_owned()));
    assert_eq!(std::fs::read(&key_file).unwrap(), changed);
    std::fs::remove_file(&key_file).unwrap();
    assert_eq!(start(), (5, "VAULT_KEY_UNUSABLE".to_owned()));
    assert_eq!(init(&store, &vault.anchors).0, 0);
    let other = std::fs::read(&key_file).unwrap();
    assert_ne!(other, good);

    let anchors = VaultAnchors::read(&vault.anchors).unwrap();
    for (file, code) in [
        (None, "ANCHORS_UNUSABLE"),
        (Some("{}".to_owned()), "ANCHORS_UNUSABLE"),
        (
            Some(
                std::fs::read_to_string(&vault.anchors)
                    .unwrap()
                    .replace(&hex::encode(anchors.vault), &hex::encode([7; 16])),
            ),
            "OTHER_VAULT",
        ),
    ] {
        match file {
            None => std::fs::remove_file(&anchors_file).unwrap(),
            Some(text) => std::fs::write(&anchors_file, text).unwrap(),
        }
        assert_eq!(start(), (5, code.to_owned()));
        assert_eq!(init(&store, &vault.anchors).0, 0);
        assert_eq!(VaultAnchors::read(&anchors_file).unwrap(), anchors);
    }
    assert_eq!(std::fs::read(&key_file).unwrap(), other, "the key stays");
    Serving::start(folder.path(), &vault, None).await.stop();
}

// The vault answers on another thread while this one waits for a program.
#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_cannot_show_the_operating_key_of_the_anchors_is_given_no_photo() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault::shared().await;
    let anchors = VaultAnchors::read(&vault.anchors).unwrap();
    let other = folder.path().join("other.json");
    write_anchors(&other, anchors.vault, ChannelKey::fresh().public());
    let store = folder.path().join("store");
    assert_eq!(init(&store, &other).0, 0);
    let serving = Serving::start(folder.path(), &vault, None).await;
    let mut client = serving.client().await;
    let submitted = client.submit(submit(pictures::studio_jpeg())).await;
    assert_eq!(code(submitted), FailureCode::OtherVault);
    assert_eq!(objects(&store.join("objects")), 0);
    drop(client);
    serving.stop();
    // The same number under its own key is the vault of the founding.
    assert_eq!(init(&store, &vault.anchors).0, 0);
    let serving = Serving::start(folder.path(), &vault, None).await;
    let mut client = serving.client().await;
    assert!(!already_held(
        &client.submit(submit(pictures::studio_jpeg())).await.unwrap()
    ));
    drop(client);
    serving.stop();
}

// The vault answers on another thread while this one waits for a program.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_a_real_vault_takes_no_other_day_and_asks_no_other_vault() {
    let folder = tempfile::tempdir().unwrap();
    let real = TestVault::founded(folder.path(), Founded::Real).await;
    let store = folder.path().join("store");
    assert_eq!(init(&store, &real.reach.anchors).0, 0);
    let spawn = |vault: &Reach| Serving::spawn(folder.path(), vault, None).into_child();
    assert_eq!(
        wait_with_output(spawn(&real.reach)),
        (1, "NOT_A_REHEARSAL".to_owned())
    );
    // A rehearsal's vault in its place makes no rehearsal of it.
    let rehearsal = vault::shared().await;
    assert_eq!(
        wait_with_output(spawn(&rehearsal)),
        (1, "NOT_A_REHEARSAL".to_owned())
    );
    let serving = Serving::on_today(folder.path(), &rehearsal);
    let mut client = serving.client().await;
    let submitted = client.submit(submit(pictures::studio_jpeg())).await;
    assert_eq!(code(submitted), FailureCode::OtherVault);
    assert_eq!(objects(&store.join("objects")), 0);
    drop(client);
    serving.stop();
}

#[tokio::test]
async fn a_folder_of_something_else_and_a_damaged_index_exit_5() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    std::fs::create_dir(&store).unwrap();
    std::fs::write(store.join("thesis.txt"), b"not photos").unwrap();
    let vault = vault::shared().await;
    let start = || wait_with_output(Serving::spawn(folder.path(), &vault, None).into_child());
    assert_eq!(start(), (5, "NOT_A_STORE".to_owned()));
    assert_eq!(
        std::fs::read_dir(&store).unwrap().count(),
        1,
        "nothing was made in it"
    );

    std::fs::remove_file(store.join("thesis.txt")).unwrap();
    // What a founding leaves that was cut is in nobody's way.
    std::fs::write(store.join("lock"), b"").unwrap();
    std::fs::write(store.join(".probe.7"), b"").unwrap();
    assert_eq!(init(&store, &vault.anchors).0, 0);
    std::fs::write(store.join("photos.sqlite"), vec![0x5a; 8_192]).unwrap();
    assert_eq!(start(), (5, "INDEX_DAMAGED".to_owned()));
}

/// Before: it was called damaged, and the backup was to be restored.
#[tokio::test]
async fn an_index_that_a_newer_program_wrote_is_not_called_damaged() {
    use sqlx::Connection as _;

    const LATER: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (99, 'later', TRUE, x'00', 0)";
    let folder = tempfile::tempdir().unwrap();
    let vault = vault::shared().await;
    Serving::start(folder.path(), &vault, None).await.stop();
    let index = folder.path().join("store/photos.sqlite");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&index);
    let mut other = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query(LATER).execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    let before = std::fs::read(&index).unwrap();
    let started = wait_with_output(Serving::spawn(folder.path(), &vault, None).into_child());
    assert_eq!(started, (5, "INDEX_OTHER_VERSION".to_owned()));
    assert!(std::fs::read(&index).unwrap() == before);
}

impl Serving {
    fn into_child(mut self) -> Child {
        let stand_in = Command::new("true").spawn().unwrap();
        std::mem::replace(&mut self.process, stand_in)
    }
}

#[tokio::test]
async fn a_read_only_object_folder_refuses_new_photos_and_still_serves_the_old() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault::shared().await;
    let clerk: photo_store_protocol::Actor = "李强".parse().unwrap();
    let case: photo_store_protocol::CaseNumber = "K-1".parse().unwrap();

    let serving = Serving::start(folder.path(), &vault, None).await;
    let mut client = serving.client().await;
    let Submission::Held { photo, .. } = client.submit(submit(pictures::studio_jpeg())).await.unwrap() else {
        panic!("refused")
    };
    client
        .open_case(OpenCase {
            case: case.clone(),
            person: PERSON,
            by: clerk.clone(),
        })
        .await
        .unwrap();
    drop(client);
    serving.stop();
    let at = folder.path().join("store/objects");
    let before = objects(&at);

    let at_text = at.to_str().unwrap();
    let mount = format!("mount --bind {at_text} {at_text} && mount -o remount,ro,bind {at_text}");
    let serving = Serving::start(folder.path(), &vault, Some(&mount)).await;
    let mut client = serving.client().await;
    let other = pictures::SAMPLE.to_vec();
    for _ in 0..2 {
        assert_eq!(
            code(client.submit(submit(other.clone())).await),
            FailureCode::ObjectsReadOnly
        );
    }
    let status = client.status().await.unwrap();
    assert_eq!((status.sealed, status.waiting), (1, 0));
    let read = Read {
        photo: photo.photo,
        profile: Profile::Chip,
        purpose: Purpose::Review,
        case,
        reader: clerk,
    };
    client.read(read).await.unwrap();
    drop(client);
    serving.stop();
    assert_eq!(objects(&at), before);

    let serving = Serving::start(folder.path(), &vault, None).await;
    let submitted = serving.client().await.submit(submit(other)).await.unwrap();
    assert!(
        matches!(
            submitted,
            Submission::Held {
                already_held: false,
                ..
            }
        ),
        "nothing of it had been kept"
    );
    serving.stop();
}

#[tokio::test]
async fn a_read_only_store_folder_is_named_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault::shared().await;
    Serving::start(folder.path(), &vault, None).await.stop();
    let at = folder.path().join("store");
    let at = at.to_str().unwrap();
    let mount = format!("mount --bind {at} {at} && mount -o remount,ro,bind {at}");
    let process = Serving::spawn(folder.path(), &vault, Some(&mount)).into_child();
    assert_eq!(wait_with_output(process), (5, "INDEX_READ_ONLY".to_owned()));
}

#[tokio::test]
async fn a_full_disk_refuses_the_photo_and_the_store_recovers_with_the_space() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault::shared().await;
    std::fs::create_dir_all(folder.path().join("store")).unwrap();
    let at = folder.path().join("store");
    let mount = format!("mount -t tmpfs -o size=2m tmpfs {}", at.display());
    let serving = Serving::start(folder.path(), &vault, Some(&mount)).await;
    // The tmpfs is visible through the process's own root only.
    let inside = PathBuf::from(format!("/proc/{}/root{}", serving.process.id(), at.display()));
    let mut client = serving.client().await;
    client.submit(submit(pictures::SAMPLE.to_vec())).await.unwrap();
    let before = (
        objects(&inside.join("objects")),
        client.status().await.unwrap().sealed,
    );

    let filler = inside.join("filler");
    // A block is left, so that the objects do not fit, and later nothing does.
    fill(&filler, 8 * 1024);
    for _ in 0..2 {
        assert_eq!(
            code(client.submit(submit(pictures::studio_jpeg())).await),
            FailureCode::StorageFull
        );
    }
    fill(&filler, 0);
    assert_eq!(
        code(client.submit(submit(pictures::studio_jpeg())).await),
        FailureCode::StorageFull
    );
    std::fs::remove_file(&filler).unwrap();
    assert_eq!(
        (
            objects(&inside.join("objects")),
            client.status().await.unwrap().sealed
        ),
        before
    );
    assert!(!already_held(
        &client.submit(submit(pictures::studio_jpeg())).await.unwrap()
    ));
    drop(client);
    serving.stop();
}

/// Writes until the disk is full but for `spare` bytes.
fn fill(path: &Path, spare: u64) {
    use std::io::Write as _;
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    while file.write(&[0x55; 1024]).is_ok_and(|written| written > 0) {}
    let length = file.metadata().unwrap().len();
    file.set_len(length.saturating_sub(spare)).unwrap();
}

#[tokio::test]
async fn a_store_killed_at_any_moment_of_a_submission_takes_the_photo_once_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault::shared().await;
    let store = folder.path().join("store");
    let mut completed_before = 0;
    for moment in 0..12u64 {
        let _ = std::fs::remove_dir_all(&store);
        let mut serving = Serving::start(folder.path(), &vault, None).await;
        let mut client = serving.client().await;
        // One that is done, so that the digest key exists and only the submission itself is cut.
        client.submit(submit(pictures::SAMPLE.to_vec())).await.unwrap();
        let cut = tokio::spawn(async move { client.submit(submit(pictures::studio_jpeg())).await });
        tokio::time::sleep(Duration::from_millis(moment * 40)).await;
        serving.process.kill().unwrap();
        serving.process.wait().unwrap();
        let _ = cut.await.unwrap();

        let serving = Serving::start(folder.path(), &vault, None).await;
        let mut client = serving.client().await;
        let first = client.submit(submit(pictures::studio_jpeg())).await.unwrap();
        completed_before += u32::from(already_held(&first));
        let second = client.submit(submit(pictures::studio_jpeg())).await.unwrap();
        assert!(already_held(&second));
        // One photo waits (the sample), one is sealed, two objects each: nothing is left of the cut run.
        let status = client.status().await.unwrap();
        assert_eq!((status.sealed, status.waiting), (1, 1), "moment {moment}");
        assert_eq!(objects(&store.join("objects")), 4, "moment {moment}");
        drop(client);
        serving.stop();
    }
    eprintln!("of 12 cuts, {completed_before} came after the photo was complete");
}

// The vault answers on another thread while this one waits for a program.
#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_goes_away_in_the_middle_is_named_and_nothing_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut vault = TestVault::open(folder.path()).await;
    let serving = Serving::start(folder.path(), &vault.reach, None).await;
    let mut client = serving.client().await;
    client.submit(submit(pictures::SAMPLE.to_vec())).await.unwrap();
    let before = objects(&folder.path().join("store/objects"));

    // The digest key is known, so that the submission reaches its data keys: those fail.
    let started = Instant::now();
    let submission =
        tokio::spawn(async move { (client.submit(submit(pictures::studio_jpeg())).await, client) });
    vault.stop();
    let (result, mut client) = submission.await.unwrap();
    assert_eq!(code(result), FailureCode::VaultUnreachable);
    assert!(started.elapsed() < Duration::from_secs(30));
    assert_eq!(objects(&folder.path().join("store/objects")), before);
    let status = client.status().await.unwrap();
    assert_eq!((status.sealed, status.waiting), (0, 1));
    assert_eq!(status.vault, photo_store_protocol::VaultState::Unreachable);
    drop(client);
    serving.stop();
}

#[tokio::test]
async fn a_signal_ends_the_program_while_every_place_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let vault = vault::shared().await;
    let mut serving = Serving::start(folder.path(), &vault, None).await;
    let mut held = Vec::new();
    for _ in 0..64 {
        held.push(serving.client().await);
    }
    let _waiting = UnixStream::connect(&serving.socket).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    serving.signal("-TERM");
    let signalled = Instant::now();
    while serving.process.try_wait().unwrap().is_none() {
        assert!(signalled.elapsed() < Duration::from_secs(30), "it does not end");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_peer_that_accepts_no_answer_is_dropped() {
    use tokio::io::AsyncWriteExt as _;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("objects")).unwrap();
    let engine = crate::support::engines::sqlite().await;
    let service = crate::support::service(
        &engine.store,
        &folder.path().join("objects"),
        &vault::shared().await,
        &crate::support::SetClock::new(),
    );
    let hello = photo_store_protocol::Request::from(photo_store_protocol::operation::Hello {
        version: photo_store_protocol::PROTOCOL_VERSION,
    });
    let mut bytes = Vec::new();
    frame::write(&mut bytes, &hello, photo_store_protocol::MAX_FRAME_BYTES)
        .await
        .unwrap();
    // Room for less than an answer in either direction.
    let (mut peer, ours) = tokio::io::duplex(4);
    let (ended, ()) = tokio::join!(
        tokio::time::timeout(
            Duration::from_secs(30),
            photo_store::socket::connection(ours, &service)
        ),
        async { peer.write_all(&bytes).await.unwrap() },
    );
    assert!(ended.is_ok(), "the connection is still held");
}

#[tokio::test]
async fn the_index_and_its_log_are_readable_by_the_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photos.sqlite");
    for opening in 0..2 {
        let store = photo_store::keeping::store::index::Store::open_file(&path)
            .await
            .unwrap();
        for name in ["photos.sqlite", "photos.sqlite-wal", "photos.sqlite-shm"] {
            let mode = std::fs::metadata(folder.path().join(name))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{name}, opening {opening}");
        }
        store.close().await;
        // As an earlier version left it.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    }
}
