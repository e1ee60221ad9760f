//! The index on both engines: a SQLite file, and a database of a PostgreSQL server of this test program's own.
//!
//! The server listens on a Unix socket only, runs as `postgres` where the test is root, and ends with the program. It is
//! never another installation's. A migrated template database is copied for each test.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use photo_store::keeping::store::Store;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokio::sync::{Mutex, OnceCell};

use crate::support::scratch::Scratch;

/// One engine with an empty index.
pub(crate) struct Engine {
    pub(crate) name: &'static str,
    pub(crate) store: Store,
    _folder: Option<tempfile::TempDir>,
}

/// Both engines, each empty.
pub(crate) async fn both() -> Vec<Engine> {
    vec![sqlite().await, postgres().await]
}

pub(crate) async fn sqlite() -> Engine {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_file(&folder.path().join("photos.sqlite"))
        .await
        .unwrap();
    Engine {
        name: "SQLite",
        store,
        _folder: Some(folder),
    }
}

pub(crate) async fn postgres() -> Engine {
    let server = SERVER.get_or_init(Server::start).await;
    Engine {
        name: "PostgreSQL",
        store: Store::open_server(&server.copy().await).await.unwrap(),
        _folder: None,
    }
}

static SERVER: OnceCell<Server> = OnceCell::const_new();

struct Server {
    scratch: Scratch,
    /// Copies are made one at a time: PostgreSQL refuses to copy a database in use.
    copying: Mutex<()>,
    copies: AtomicU32,
}

impl Server {
    async fn start() -> Self {
        let scratch = Scratch::with(|folder| {
            let data = folder.join("data").display().to_string();
            let mut server = step_down(folder);
            let mut initdb = Command::new(&server[0]);
            let made = initdb
                .args(&server[1..])
                .arg(programs().join("initdb"))
                .args([
                    "--auth=trust",
                    "--username=postgres",
                    "--encoding=UTF8",
                    "--no-locale",
                ])
                .args(["--no-sync", "--wal-segsize=1", "-D", &data])
                .current_dir("/")
                .stdout(Stdio::null())
                .status()
                .unwrap();
            assert!(made.success(), "initdb");
            server.push(programs().join("postgres").display().to_string());
            let settings = [
                "listen_addresses=",
                "fsync=off",
                // A server set up for speed: the store must not take its default.
                "synchronous_commit=off",
                "shared_buffers=16MB",
                "max_connections=300",
            ];
            server.extend([
                "-D".to_owned(),
                data,
                "-k".to_owned(),
                folder.display().to_string(),
            ]);
            server.extend(
                settings
                    .iter()
                    .flat_map(|one| ["-c".to_owned(), (*one).to_owned()]),
            );
            server
        });
        let server = Self {
            scratch,
            copying: Mutex::new(()),
            copies: AtomicU32::new(0),
        };
        for _ in 0..600 {
            if let Ok(admin) = server.admin().await {
                admin.close().await.unwrap();
                server.make("template", "template1").await;
                let template = Store::open_server(&server.url("template")).await.unwrap();
                template.close().await;
                return server;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let log = std::fs::read_to_string(server.scratch.folder.join("log"));
        panic!("PostgreSQL does not start: {}", log.unwrap_or_default());
    }

    /// The URL of a new, migrated, empty database.
    async fn copy(&self) -> String {
        let _one = self.copying.lock().await;
        let name = format!("copy_{}", self.copies.fetch_add(1, Ordering::Relaxed));
        self.make(&name, "template").await;
        self.url(&name)
    }

    async fn make(&self, name: &str, template: &str) {
        let mut admin = self.admin().await.unwrap();
        sqlx::query(AssertSqlSafe(format!(
            "CREATE DATABASE {name} TEMPLATE {template}"
        )))
        .execute(&mut admin)
        .await
        .unwrap();
        admin.close().await.unwrap();
    }

    async fn admin(&self) -> Result<sqlx::PgConnection, sqlx::Error> {
        let options: PgConnectOptions = self.url("postgres").parse()?;
        options.connect().await
    }

    fn url(&self, database: &str) -> String {
        format!(
            "postgres:///{database}?host={}&user=postgres",
            self.scratch.folder.display()
        )
    }
}

/// How a program is run as the user that PostgreSQL accepts; the folder becomes that user's.
fn step_down(folder: &Path) -> Vec<String> {
    let id = Command::new("id").arg("-u").output().unwrap();
    if id.stdout != b"0\n" {
        return vec!["env".to_owned()];
    }
    let given = Command::new("chown")
        .arg("postgres")
        .arg(folder)
        .status()
        .unwrap();
    assert!(given.success(), "chown");
    [
        "setpriv",
        "--reuid=postgres",
        "--regid=postgres",
        "--clear-groups",
        "--",
    ]
    .map(str::to_owned)
    .to_vec()
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
