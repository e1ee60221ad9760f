//! The two engines behind one type, their opening and their migration.
//!
//! SQLite runs in write-ahead mode with `synchronous = FULL`: a function that returned is on the disk. PostgreSQL is
//! taken as configured, and `synchronous_commit` is turned on for our connections. Left out: backup.

use std::{
    fs::OpenOptions, os::unix::fs::OpenOptionsExt as _, path::Path, str::FromStr as _, time::Duration,
};

use jiff::Timestamp;
use sqlx::{
    Connection as _, PgPool, SqlitePool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::error::{Error, from_io};

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// Connections at most: the writers queue anyway, the rest is for readers.
const MAX_CONNECTIONS: u32 = 8;
/// How long a call waits for a connection or for another writer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The issuer's database.
#[derive(Debug, Clone)]
pub enum Store {
    /// One file, one host.
    Sqlite(SqlitePool),
    /// A server.
    Postgres(PgPool),
}

impl Store {
    /// Opens `sqlite:PATH` (the file is made, for its owner only, if it is missing) or `postgres://...`. Creates no
    /// tables: see [`Self::migrate`].
    ///
    /// # Errors
    /// [`Error::Url`], [`Error::ReadOnly`], [`Error::DiskFull`], [`Error::Unavailable`].
    pub async fn open(url: &str) -> Result<Self, Error> {
        if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url).map_err(|_| Error::Url)?;
            make_file(options.get_filename())?;
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
    /// [`Error::OtherVersion`] for a database of a newer program; outages.
    pub async fn migrate(&self) -> Result<(), Error> {
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

    /// Ends every connection; waits for the ones in use.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// Makes the database file with mode 0600, or proves that it can be written. The operating system tells a read-only
/// mount apart from a missing folder, which the engine does not.
fn make_file(path: &Path) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    options.open(path).map(drop).map_err(|e| from_io(&e))
}
