//! The two engines behind one type, their opening and their migration.
//!
//! SQLite runs in write-ahead mode with `synchronous = FULL`: a function that returned is on the disk. PostgreSQL is
//! taken as configured, and `synchronous_commit` is turned on for our connections. Left out: backup.

use std::{
    fs::OpenOptions, io, os::unix::fs::OpenOptionsExt as _, path::Path, str::FromStr as _, time::Duration,
};

use jiff::Timestamp;
use sqlx::{
    Connection as _, PgPool, SqlitePool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::entry::Entry;
use crate::error::{Error, from_io};

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// Connections at most: the writers queue anyway, the rest is for readers.
const MAX_CONNECTIONS: u32 = 8;
/// How long a call waits for a connection or for another writer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes that an SQLite ledger's disk must have free.
const LEAST_ROOM: u64 = 256 * 1024;

/// The issuer's database.
#[derive(Debug, Clone)]
pub enum Store {
    /// One file, one host.
    Sqlite(SqlitePool),
    /// A server.
    Postgres(PgPool),
}

impl Store {
    /// Founds a ledger under the vault with this number: at `sqlite:PATH` the file is made, for its owner only; at
    /// `postgres://...` the tables are made in the database that is there.
    ///
    /// # Errors
    /// [`Error::Founded`] where there is a ledger; else as [`Self::open`] and [`Self::migrate`].
    pub async fn found(url: &str, vault: &[u8; 16]) -> Result<Self, Error> {
        // Before the tables: a founding that was cut in the middle is finished by `migrate`, and has its vault then.
        const WRITE: &str = "INSERT INTO founding (id, vault) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET vault = excluded.vault";
        let store = Self::connect(url, true).await?;
        if store.is_founded().await? {
            return Err(Error::Founded);
        }
        match &store {
            Self::Sqlite(pool) => {
                sqlx::raw_sql(include_str!("../migrations/sqlite/0006_founding.sql"))
                    .execute(pool)
                    .await?;
                sqlx::query(WRITE).bind(&vault[..]).execute(pool).await?;
            }
            Self::Postgres(pool) => {
                sqlx::raw_sql(include_str!("../migrations/postgres/0006_founding.sql"))
                    .execute(pool)
                    .await?;
                sqlx::query(WRITE).bind(&vault[..]).execute(pool).await?;
            }
        }
        store.bring_up().await?;
        Ok(store)
    }

    /// Number of the vault under which the ledger was founded; none for a ledger of before that was written down.
    ///
    /// # Errors
    /// [`Error::Damaged`], outages.
    pub async fn founded_under(&self) -> Result<Option<[u8; 16]>, Error> {
        const READ: &str = "SELECT vault FROM founding WHERE id = 1";
        let found: Result<Option<Vec<u8>>, sqlx::Error> = match self {
            Self::Sqlite(pool) => sqlx::query_scalar(READ).fetch_optional(pool).await,
            Self::Postgres(pool) => sqlx::query_scalar(READ).fetch_optional(pool).await,
        };
        match found.map_err(Error::from) {
            Ok(None) | Err(Error::NotMigrated) => Ok(None),
            Ok(Some(vault)) => vault.try_into().map(Some).map_err(|_| Error::Damaged {
                what: "founding.vault".to_owned(),
            }),
            Err(error) => Err(error),
        }
    }

    /// Opens the ledger at `sqlite:PATH` or `postgres://...`. Creates nothing: a mistyped path founds no second ledger.
    ///
    /// # Errors
    /// [`Error::Url`], [`Error::NoLedger`], [`Error::ReadOnly`], [`Error::DiskFull`], [`Error::Unavailable`].
    pub async fn open(url: &str) -> Result<Self, Error> {
        Self::connect(url, false).await
    }

    async fn connect(url: &str, new: bool) -> Result<Self, Error> {
        if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url).map_err(|_| Error::Url)?;
            open_file(options.get_filename(), new)?;
            let options = options
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(PATIENCE);
            let pool = SqlitePoolOptions::new()
                .max_connections(MAX_CONNECTIONS)
                .acquire_timeout(PATIENCE)
                // SQLite rolls back by itself where the disk is full; the driver then believes the transaction open and
                // would refuse the next one on this connection.
                .before_acquire(|connection, _| Box::pin(async { Ok(!connection.is_in_transaction()) }));
            Ok(Self::Sqlite(pool.connect_with(options).await?))
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let options = PgConnectOptions::from_str(url).map_err(|_| Error::Url)?;
            // A returned function is durable, whatever the server's default.
            let options = options.options([("synchronous_commit", "on")]);
            let pool = PgPoolOptions::new()
                .max_connections(MAX_CONNECTIONS)
                .acquire_timeout(PATIENCE);
            Ok(Self::Postgres(pool.connect_with(options).await?))
        } else {
            Err(Error::Url)
        }
    }

    /// Brings the tables to this version. Does nothing when they are.
    ///
    /// # Errors
    /// [`Error::NoLedger`] for a database that has none; [`Error::OtherVersion`] for one of a newer program; outages.
    pub async fn migrate(&self) -> Result<(), Error> {
        if !self.is_founded().await? {
            return Err(Error::NoLedger);
        }
        self.bring_up().await
    }

    async fn is_founded(&self) -> Result<bool, Error> {
        const ANY: &str = "SELECT count(*) FROM _sqlx_migrations";
        let found: Result<i64, sqlx::Error> = match self {
            Self::Sqlite(pool) => sqlx::query_scalar(ANY).fetch_one(pool).await,
            Self::Postgres(pool) => sqlx::query_scalar(ANY).fetch_one(pool).await,
        };
        match found.map_err(Error::from) {
            Ok(count) => Ok(count > 0),
            Err(Error::NotMigrated) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn bring_up(&self) -> Result<(), Error> {
        match self {
            Self::Sqlite(pool) => SQLITE.run(pool).await?,
            Self::Postgres(pool) => POSTGRES.run(pool).await?,
        }
        Ok(())
    }

    /// Whether the database answers, is migrated to this version, and takes writes: takes the end of the ledger as a
    /// writer does, and rolls back.
    ///
    /// # Errors
    /// [`Error::NotMigrated`], [`Error::OtherVersion`], outages.
    pub async fn ready(&self) -> Result<(), Error> {
        const VERSION: &str = "SELECT max(version) FROM _sqlx_migrations WHERE success";

        let expected = match self {
            Self::Sqlite(_) => &SQLITE,
            Self::Postgres(_) => &POSTGRES,
        };
        let newest = expected.iter().map(|m| m.version).max();
        let found: Option<i64> = match self {
            Self::Sqlite(pool) => sqlx::query_scalar(VERSION).fetch_one(pool).await?,
            Self::Postgres(pool) => sqlx::query_scalar(VERSION).fetch_one(pool).await?,
        };
        match (found, newest) {
            (Some(found), Some(newest)) if found == newest => {}
            (Some(found), Some(newest)) if found > newest => return Err(Error::OtherVersion),
            _ => return Err(Error::NotMigrated),
        }
        self.begin(Timestamp::UNIX_EPOCH).await.map(drop)
    }

    /// Whether an entry could be made durable at this instant: appends one and lets go of it. SQLite writes to the disk at the
    /// end of a transaction alone, so its disk is asked for room.
    ///
    /// # Errors
    /// [`Error::ClockBehind`], [`Error::DiskFull`], other outages.
    pub async fn takes_an_entry(&self, at: Timestamp) -> Result<(), Error> {
        if let Self::Sqlite(pool) = self {
            has_room(pool.connect_options().get_filename())?;
        }
        let probe = Entry {
            role: "office",
            actor: "readiness",
            action: "probe",
            subject: "ledger",
            detail: "{}",
        };
        self.begin(at).await?.append(probe).await.map(drop)
    }

    /// Ends every connection; waits for the ones in use.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// Refuses a disk on which a transaction or two would not fit any more.
fn has_room(path: &Path) -> Result<(), Error> {
    let disk = rustix::fs::statvfs(path).map_err(|error| from_io(&error.into()))?;
    if disk.f_bavail.saturating_mul(disk.f_frsize) < LEAST_ROOM {
        return Err(Error::DiskFull);
    }
    Ok(())
}

/// Proves that the database file can be written, and makes a new one with mode 0600. The operating system tells a read-only
/// mount apart from a missing folder, which the engine does not.
fn open_file(path: &Path, new: bool) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(new)
        .truncate(false)
        .mode(0o600);
    match options.open(path) {
        Err(error) if !new && error.kind() == io::ErrorKind::NotFound => Err(Error::NoLedger),
        opened => opened.map(drop).map_err(|e| from_io(&e)),
    }
}
