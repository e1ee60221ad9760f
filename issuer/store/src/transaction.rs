//! One state of the database to read from, and the transaction that changes it: the service opens either.
//!
//! A [`Transaction`] takes the end of the ledger before anything else, so writers come one after the other on both
//! engines and what one has read stays so until it commits: `BEGIN IMMEDIATE` is SQLite's one writer, and on PostgreSQL
//! (READ COMMITTED) the update of the ledger's head locks its row, behind which every statement sees all that the writers
//! before it committed. No two writers run at once, so nothing fails for want of serialisation and nothing is tried
//! again; unique indexes and version conditions stand behind it. A writer that waits longer than a call may is told so
//! ([`Error::Unavailable`]).
//!
//! A state change and its entry of the ledger are one transaction: [`Transaction::commit`] wants the proof that an entry
//! was appended. Whoever lets go of a transaction without it has changed nothing. While one is open nobody else writes:
//! nothing slow (a card, the vault, the photo store) is asked in between, and no second one is opened. Left out:
//! savepoints.

use std::ops::{Deref, DerefMut};

use jiff::{SignedDuration, Timestamp};
use sqlx::{Postgres, Sqlite};

use crate::{
    entry::{Entry, Head, INSERT_EVENT, MOVE_HEAD, TAKE_HEAD},
    error::Error,
    rows::{instant, millis},
    store::Store,
};

/// How far the clocks of two machines may differ.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

/// One state of the database: what is read through it fits together. Reading waits for no writer.
#[derive(Debug)]
pub struct Snapshot(pub(crate) Engine);

/// A transaction of either engine. Dropped, it rolls back.
#[derive(Debug)]
pub(crate) enum Engine {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

/// Runs a statement on whichever engine it is.
macro_rules! on_engine {
    ($snapshot:expr, |$connection:ident| $statement:expr) => {
        match &mut $snapshot.0 {
            $crate::transaction::Engine::Sqlite(tx) => {
                let $connection = &mut **tx;
                $statement.await
            }
            $crate::transaction::Engine::Postgres(tx) => {
                let $connection = &mut **tx;
                $statement.await
            }
        }
        .map_err($crate::error::Error::from)
    };
}
pub(crate) use on_engine;

/// Runs a statement that writes on whichever engine it is; how many rows it wrote.
macro_rules! write_on_engine {
    ($snapshot:expr, |$connection:ident| $statement:expr) => {
        match &mut $snapshot.0 {
            $crate::transaction::Engine::Sqlite(tx) => {
                let $connection = &mut **tx;
                $statement.await.map(|done| done.rows_affected())
            }
            $crate::transaction::Engine::Postgres(tx) => {
                let $connection = &mut **tx;
                $statement.await.map(|done| done.rows_affected())
            }
        }
        .map_err($crate::error::Error::from)
    };
}
pub(crate) use write_on_engine;

/// A transaction that changes the ledger, at one instant. It reads what it writes.
#[derive(Debug)]
pub struct Transaction {
    snapshot: Snapshot,
    at: Timestamp,
    /// When the last entry of the ledger was made.
    last: Timestamp,
    head: Head,
    /// Whether an entry was appended, so that the ledger's head moves.
    appended: bool,
}

/// The proof that the transaction holds an entry of the ledger.
#[derive(Debug)]
#[must_use = "commit the transaction with it"]
pub struct Appended(());

impl Store {
    /// One state of the database to read from.
    ///
    /// # Errors
    /// Outages.
    pub async fn read(&self) -> Result<Snapshot, Error> {
        Ok(Snapshot(match self {
            Self::Sqlite(pool) => Engine::Sqlite(pool.begin().await?),
            Self::Postgres(pool) => Engine::Postgres(
                pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    .await?,
            ),
        }))
    }

    /// A transaction that writes; all that it writes happens at this instant, or with the last entry of the ledger where that
    /// is a moment later. It waits for the writer before it.
    ///
    /// # Errors
    /// Outages, [`Error::ReadOnly`], [`Error::NotMigrated`].
    pub async fn begin(&self, at: Timestamp) -> Result<Transaction, Error> {
        let mut snapshot = Snapshot(match self {
            // IMMEDIATE: a deferred transaction that turns into a writer can fail half-way.
            Self::Sqlite(pool) => Engine::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(pool) => Engine::Postgres(pool.begin().await?),
        });
        let head: Head = on_engine!(snapshot, |c| sqlx::query_as(TAKE_HEAD).fetch_one(c))?;
        let last = instant(head.at.unwrap_or(i64::MIN / 2), "events.at").unwrap_or(Timestamp::MIN);
        // Clocks of two machines differ a little: what comes a moment too early happens with the entry before it.
        let at = if last > at && last.duration_since(at) <= SKEW {
            last
        } else {
            at
        };
        Ok(Transaction {
            snapshot,
            at,
            last,
            head,
            appended: false,
        })
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
    /// The instant of all that it writes: never before that of an entry that is in the ledger, unless the clock is wrong and
    /// nothing can be appended.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// The instant of all that it writes, milliseconds.
    pub(crate) fn millis(&self) -> i64 {
        millis(self.at)
    }

    /// Appends an entry to the ledger, for a change whose writing function appends none of its own.
    ///
    /// # Errors
    /// [`Error::ClockBehind`]: the ledger's time never goes back; outages.
    pub async fn append(&mut self, entry: Entry<'_>) -> Result<Appended, Error> {
        if self.at < self.last {
            return Err(Error::ClockBehind { last: self.last });
        }
        let (next, at) = (self.head.next(self.at, &entry), self.millis());
        write_on_engine!(self.snapshot, |c| sqlx::query(INSERT_EVENT)
            .bind(next.seq)
            .bind(at)
            .bind(entry.role)
            .bind(entry.actor)
            .bind(entry.action)
            .bind(entry.subject)
            .bind(entry.detail)
            .bind(self.head.hash.clone())
            .bind(next.hash.clone())
            .execute(c))?;
        self.head = next;
        self.appended = true;
        Ok(Appended(()))
    }

    /// What it means that a statement with a version condition wrote this many rows; `known` counts the rows of the id.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Stale`]; outages.
    pub(crate) async fn written(
        &mut self,
        rows: u64,
        what: &'static str,
        known: &'static str,
        id: &str,
    ) -> Result<(), Error> {
        if rows == 1 {
            return Ok(());
        }
        let known: i64 = on_engine!(self, |c| sqlx::query_scalar(known).bind(id).fetch_one(c))?;
        Err(match known {
            0 => Error::Missing { what },
            _ => Error::Stale { what },
        })
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// Outages; after [`Error::Unavailable`] it may have happened or not: read again.
    pub async fn commit(mut self, _: Appended) -> Result<(), Error> {
        write_on_engine!(self.snapshot, |c| sqlx::query(MOVE_HEAD)
            .bind(self.head.seq)
            .bind(self.head.hash.clone())
            .execute(c))?;
        self.end().await
    }

    /// Makes durable what has no entry on purpose: what a card spent, that a copied card was denied, which updates the vault
    /// sealed and which are on their cards, what a client's key stood for, how far the vault had come, that a session was used, the key
    /// of challenges, and what a person at the pages has for themselves. When that was learnt, and from whom, is not kept.
    ///
    /// # Errors
    /// As [`Transaction::commit`]; [`Error::Refused`] when an entry was appended, which would stand in the ledger without
    /// its head: nothing is written then.
    pub async fn commit_without_entry(self) -> Result<(), Error> {
        if self.appended {
            return Err(Error::Refused {
                code: "ENTRY_WITHOUT_HEAD".to_owned(),
            });
        }
        self.end().await
    }

    async fn end(self) -> Result<(), Error> {
        match self.snapshot.0 {
            Engine::Sqlite(tx) => tx.commit().await?,
            Engine::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}
