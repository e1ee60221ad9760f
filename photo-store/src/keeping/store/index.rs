//! The two engines behind one type: how they are opened, brought to this version and closed.
//!
//! SQLite runs with a write-ahead log, full synchronisation, one connection and overwriting of deleted rows. Left out: what
//! is written and read; a [`Transaction`] and a [`Snapshot`] do that.
//!
//! [`Transaction`]: crate::keeping::store::transaction::Transaction
//! [`Snapshot`]: crate::keeping::store::transaction::Snapshot

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use photo_store_protocol::FailureCode;
use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::error::Error;

/// How long a statement waits for the lock of another process, and a connection for a free place.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same for PostgreSQL.
const LOCK_TIMEOUT: &str = "5s";
/// Connections to PostgreSQL of one store.
const POSTGRES_CONNECTIONS: u32 = 8;

/// The index on one of two engines.
#[derive(Debug, Clone)]
pub enum Store {
    /// One file.
    Sqlite(sqlx::SqlitePool),
    /// A server.
    Postgres(sqlx::PgPool),
}

impl Store {
    /// Opens (or makes) the index in a file and brings it to this version.
    ///
    /// # Errors
    /// `INDEX_DAMAGED` for a file that is no database, `INDEX_OTHER_VERSION` for that of another release, `INDEX_READ_ONLY`, `STORAGE_FULL` or `INDEX_UNAVAILABLE`.
    pub async fn open_file(path: &Path) -> Result<Self, Error> {
        only_ours(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE)
            // Deleted rows hold wrapped keys: they are overwritten, not only unlinked.
            .pragma("secure_delete", "ON");
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            // SQLite rolls back by itself where the disk is full; the driver then believes the transaction open and
            // would refuse the next one on this connection.
            .before_acquire(|connection, _| Box::pin(async { Ok(!connection.is_in_transaction()) }))
            .connect_with(options)
            .await?;
        sqlx::migrate!("./migrations/sqlite")
            .run(&pool)
            .await
            .map_err(migration_error)?;
        Ok(Self::Sqlite(pool))
    }

    /// Opens the index on a PostgreSQL server and brings it to this version.
    ///
    /// # Errors
    /// `INDEX_UNAVAILABLE` when the server cannot be reached or the URL is none.
    pub async fn open_server(url: &str) -> Result<Self, Error> {
        let pool = PgPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS)
            .acquire_timeout(PATIENCE)
            // What was answered is durable, whatever the server's default.
            .connect_with(
                PgConnectOptions::from_str(url)?
                    .options([("synchronous_commit", "on"), ("lock_timeout", LOCK_TIMEOUT)]),
            )
            .await?;
        sqlx::migrate!("./migrations/postgres")
            .run(&pool)
            .await
            .map_err(migration_error)?;
        Ok(Self::Postgres(pool))
    }

    /// Closes every connection; SQLite folds its write-ahead log into the file.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }

    /// Overwrites what was deleted: on SQLite the log is folded into the file, on PostgreSQL the table of keys is vacuumed.
    /// Copies in backups end by the backup policy. Where it fails (a backup runs), that happens later: what was deleted is
    /// committed, so this is no error.
    pub(crate) async fn overwrite_deleted(&self, what: &impl std::fmt::Display) {
        let overwritten = match self {
            Self::Sqlite(pool) => sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
                .execute(pool)
                .await
                .map(|_| ()),
            Self::Postgres(pool) => sqlx::query("VACUUM renditions, pages")
                .execute(pool)
                .await
                .map(|_| ()),
        };
        if let Err(error) = overwritten {
            tracing::warn!(%error, %what, "shredded; the index will overwrite the deleted rows later than usual");
        }
    }
}

/// Makes the file readable by its owner only before SQLite opens it, which gives its log and its shared memory the same
/// mode; files that an earlier version left open to others are closed.
fn only_ours(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    // Where it cannot be made, SQLite says why.
    let _ = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let open_to_others =
            std::fs::metadata(&name).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0);
        if open_to_others {
            std::fs::set_permissions(&name, std::fs::Permissions::from_mode(0o600))
                .map_err(|_| Error::Refused(FailureCode::IndexReadOnly))?;
        }
    }
    Ok(())
}

fn migration_error(error: sqlx::migrate::MigrateError) -> Error {
    use sqlx::migrate::MigrateError;
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        MigrateError::VersionMissing(_)
        | MigrateError::VersionMismatch(_)
        | MigrateError::VersionTooNew(..)
        | MigrateError::VersionTooOld(..) => Error::Refused(FailureCode::IndexOtherVersion),
        _ => Error::IndexDamaged("migrations"),
    }
}
