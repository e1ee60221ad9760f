//! One state of the index to read from, and the transaction that changes it: the service opens either.
//!
//! Writers come one after the other on both engines, and what one has read stays so until it commits: `BEGIN IMMEDIATE` is
//! SQLite's one writer, and on PostgreSQL (READ COMMITTED) a lock of the whole index is taken first, behind which every
//! statement sees all that the writers before it committed. So nothing fails for want of serialisation; unique indexes
//! stand behind it. A writer that waits longer than a call may is told `INDEX_UNAVAILABLE`.
//!
//! Dropped, a transaction has changed nothing. While one is open nobody else writes, and on SQLite nobody else reads:
//! nothing slow (a picture, the vault, the objects, the clock of a test) is asked in between, and no second one is opened.

use std::ops::{Deref, DerefMut};

use sqlx::{Postgres, Sqlite};

use crate::error::Error;
use crate::keeping::store::index::Store;

/// The lock of all writers of one index; PostgreSQL keeps such numbers for each database.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7971607)";

/// One state of the index: what is read through it fits together.
#[derive(Debug)]
pub struct Snapshot(pub(super) Engine);

/// A transaction of either engine.
#[derive(Debug)]
pub(super) enum Engine {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

/// Runs a statement on whichever engine it is.
macro_rules! on_engine {
    ($snapshot:expr, |$connection:ident| $statement:expr) => {
        match &mut $snapshot.0 {
            $crate::keeping::store::transaction::Engine::Sqlite(tx) => {
                let $connection = &mut **tx;
                $statement.await
            }
            $crate::keeping::store::transaction::Engine::Postgres(tx) => {
                let $connection = &mut **tx;
                $statement.await
            }
        }
        .map_err($crate::error::Error::from)
    };
}
pub(super) use on_engine;

/// Runs a statement that writes on whichever engine it is; how many rows it wrote.
macro_rules! write_on_engine {
    ($snapshot:expr, |$connection:ident| $statement:expr) => {
        match &mut $snapshot.0 {
            $crate::keeping::store::transaction::Engine::Sqlite(tx) => {
                let $connection = &mut **tx;
                $statement.await.map(|done| done.rows_affected())
            }
            $crate::keeping::store::transaction::Engine::Postgres(tx) => {
                let $connection = &mut **tx;
                $statement.await.map(|done| done.rows_affected())
            }
        }
        .map_err($crate::error::Error::from)
    };
}
pub(super) use write_on_engine;

/// A transaction that changes the index. It reads what it writes; dropped, it rolls back.
#[derive(Debug)]
pub struct Transaction {
    snapshot: Snapshot,
}

impl Store {
    /// One state of the index to read from.
    ///
    /// # Errors
    /// `INDEX_UNAVAILABLE` and the other codes of the index.
    pub async fn read(&self) -> Result<Snapshot, Error> {
        Ok(Snapshot(match self {
            Self::Sqlite(pool) => Engine::Sqlite(pool.begin().await?),
            Self::Postgres(pool) => Engine::Postgres(
                pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    .await?,
            ),
        }))
    }

    /// A transaction that writes. It waits for the writer before it.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub async fn begin(&self) -> Result<Transaction, Error> {
        let snapshot = Snapshot(match self {
            // IMMEDIATE: a deferred transaction that turns into a writer can fail half-way.
            Self::Sqlite(pool) => Engine::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(pool) => {
                let mut transaction = pool.begin().await?;
                sqlx::query(LOCK).execute(&mut *transaction).await?;
                Engine::Postgres(transaction)
            }
        });
        Ok(Transaction { snapshot })
    }
}

impl Deref for Transaction {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.snapshot
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Snapshot {
        &mut self.snapshot
    }
}

impl Transaction {
    /// Makes it durable.
    ///
    /// # Errors
    /// As [`Store::read`]; after `INDEX_UNAVAILABLE` it may have happened or not: every operation may be repeated.
    pub async fn commit(self) -> Result<(), Error> {
        match self.snapshot.0 {
            Engine::Sqlite(tx) => tx.commit().await?,
            Engine::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}
