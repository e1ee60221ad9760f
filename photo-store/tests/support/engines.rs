//! The index on both engines: a SQLite file, and a PostgreSQL server of the test's own in a temporary folder.
//!
//! The server listens on a Unix socket only, runs as `postgres` where the test is root, and ends with the test. It is
//! never another installation's.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use photo_store::keeping::store::Store;

/// One engine with an empty index.
pub struct Engine {
    pub name: &'static str,
    pub store: Store,
    // Dropped after the store: the folder and the server.
    _server: Option<Server>,
    _folder: tempfile::TempDir,
}

/// Both engines, each empty.
pub async fn both() -> Vec<Engine> {
    vec![sqlite().await, postgres().await]
}

pub async fn sqlite() -> Engine {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_file(&folder.path().join("photos.sqlite"))
        .await
        .unwrap();
    Engine {
        name: "SQLite",
        store,
        _server: None,
        _folder: folder,
    }
}

pub async fn postgres() -> Engine {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let url = format!(
        "postgres:///postgres?host={}&user=postgres",
        folder.path().display()
    );
    let store = Store::open_server(&url).await.unwrap();
    Engine {
        name: "PostgreSQL",
        store,
        _server: Some(server),
        _folder: folder,
    }
}

struct Server {
    process: Child,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let programs = programs();
        let root = is_root();
        if root {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
            assert!(
                Command::new("chown")
                    .arg("postgres")
                    .arg(folder)
                    .status()
                    .unwrap()
                    .success()
            );
        }
        let data = folder.join("data");
        let as_server = |program: &str| {
            let path = programs.join(program);
            let mut command = if root {
                let mut command = Command::new("setpriv");
                command
                    .args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"])
                    .arg(path);
                command
            } else {
                Command::new(path)
            };
            command
                .current_dir("/")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command
        };
        let made = as_server("initdb")
            .args([
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
                "--no-sync",
                "--no-locale",
                "-D",
            ])
            .arg(&data)
            .status()
            .unwrap();
        assert!(made.success(), "initdb");
        let process = as_server("postgres")
            .arg("-D")
            .arg(&data)
            .args([
                "-c",
                "listen_addresses=",
                "-c",
                "fsync=off",
                // A server set up for speed: the store must not take its default.
                "-c",
                "synchronous_commit=off",
                "-c",
                "shared_buffers=16MB",
                "-k",
            ])
            .arg(folder)
            .spawn()
            .unwrap();
        let server = Self { process };
        let started = Instant::now();
        loop {
            let ready = as_server("pg_isready")
                .arg("-q")
                .arg("-h")
                .arg(folder)
                .status()
                .unwrap();
            if ready.success() {
                return server;
            }
            assert!(
                started.elapsed() < Duration::from_mins(1),
                "PostgreSQL does not start"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGQUIT: at once; nothing in it is worth keeping.
        let _ = Command::new("kill")
            .arg("-QUIT")
            .arg(self.process.id().to_string())
            .status();
        let _ = self.process.wait();
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.starts_with(b"0")
}

/// The newest PostgreSQL that Debian's packages installed.
fn programs() -> PathBuf {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is installed (package postgresql)")
        .map(|entry| entry.unwrap().path().join("bin"))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    versions.sort();
    versions.pop().expect("a PostgreSQL with initdb")
}
