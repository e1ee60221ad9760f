//! A PostgreSQL for tests: a private server in a temporary folder, on a Unix socket, one for each test program, with
//! a migrated template database that is copied for each test. Only tests depend on this crate.
//!
//! `initdb` and `postgres` refuse to run as root, so root steps down to the `postgres` user. The server is watched by a
//! shell that holds a pipe to us: when this process ends, however it ends, the pipe closes, the server stops and the
//! folder goes. Left out: any server that runs already; it is never touched.
//!
//! Binaries: `YZT_POSTGRES_BIN`, else the newest of `/usr/lib/postgresql/*/bin`, else the `PATH`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "for tests, which fail by panicking"
)]

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, postgres::PgConnectOptions};
use tokio::sync::{Mutex, OnceCell};

/// The server of this test program.
struct Server {
    folder: PathBuf,
    /// Copies of the template are made one at a time: PostgreSQL refuses to copy a database in use.
    copying: Mutex<()>,
    copies: AtomicU32,
    /// Its standard input is the pipe.
    _watchdog: Child,
}

static SERVER: OnceCell<Server> = OnceCell::const_new();

/// The URL of a new database: a copy of the one that `migrate` was given, once in this program.
///
/// # Panics
/// Without PostgreSQL.
pub async fn database(migrate: impl AsyncFnOnce(String)) -> String {
    let server = SERVER
        .get_or_init(async || {
            let server = Server::start().await;
            migrate(server.url("template")).await;
            server
        })
        .await;
    server.copy().await
}

impl Server {
    async fn start() -> Self {
        let bin = binaries();
        // Socket paths have at most 107 bytes, so not in a deep TMPDIR.
        let root = Some(std::env::temp_dir()).filter(|p| p.as_os_str().len() < 60);
        let folder = tempfile::Builder::new()
            .prefix("yzt-pg-")
            .tempdir_in(root.unwrap_or_else(|| "/tmp".into()))
            .unwrap()
            .keep();
        let is_root = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0;
        let step_down: &[&str] = if is_root {
            run(Command::new("chown").arg("postgres:postgres").arg(&folder));
            &["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        } else {
            &["env"]
        };
        let data = folder.join("data");
        run(Command::new(step_down[0])
            .args(&step_down[1..])
            .arg(bin.join("initdb"))
            .args([
                "--username=clerk",
                "--auth=trust",
                "--encoding=UTF8",
                "--no-locale",
                "--no-sync",
            ])
            .args(["--wal-segsize=1", "--pgdata"])
            .arg(&data)
            .current_dir("/"));

        // $1 the folder, the rest the server. `read` returns when the pipe closes.
        let script = r#"folder=$1; shift; "$@" >"$folder/log" 2>&1 & server=$!
            read -r _; kill -QUIT $server; wait $server; rm -rf "$folder""#;
        let watchdog = Command::new("sh")
            .args(["-c", script, "watchdog"])
            .arg(&folder)
            .args(step_down)
            .arg(bin.join("postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(&folder)
            .args([
                "-F",
                "-c",
                "listen_addresses=",
                "-c",
                "max_connections=300",
                // A server set up for speed: no store may take its default.
                "-c",
                "synchronous_commit=off",
                "-c",
                "shared_buffers=16MB",
            ])
            .args([
                "-c",
                "max_wal_size=16MB",
                "-c",
                "min_wal_size=4MB",
                "-c",
                "autovacuum=off",
            ])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();

        let server = Self {
            folder,
            copying: Mutex::new(()),
            copies: AtomicU32::new(0),
            _watchdog: watchdog,
        };
        let mut admin = None;
        for _ in 0..300 {
            match server.options("postgres").connect().await {
                Ok(connection) => {
                    admin = Some(connection);
                    break;
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        let Some(mut admin) = admin else {
            let log = std::fs::read_to_string(server.folder.join("log")).unwrap_or_default();
            panic!("PostgreSQL did not start: {log}");
        };
        sqlx::query("CREATE DATABASE template")
            .execute(&mut admin)
            .await
            .unwrap();
        admin.close().await.unwrap();
        server
    }

    fn options(&self, database: &str) -> PgConnectOptions {
        self.url(database).parse().unwrap()
    }

    fn url(&self, database: &str) -> String {
        format!("postgres:///{database}?host={}&user=clerk", self.folder.display())
    }

    async fn copy(&self) -> String {
        let _one = self.copying.lock().await;
        let name = format!("copy_{}", self.copies.fetch_add(1, Ordering::Relaxed));
        let mut admin = self.options("postgres").connect().await.unwrap();
        let text = format!("CREATE DATABASE {name} TEMPLATE template");
        sqlx::query(AssertSqlSafe(text))
            .execute(&mut admin)
            .await
            .unwrap();
        admin.close().await.unwrap();
        self.url(&name)
    }
}

fn binaries() -> PathBuf {
    if let Some(bin) = std::env::var_os("YZT_POSTGRES_BIN") {
        return bin.into();
    }
    let mut found: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    found.sort();
    found.pop().unwrap_or_else(|| Path::new("").to_owned())
}

fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}: install postgresql (make setup)"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
