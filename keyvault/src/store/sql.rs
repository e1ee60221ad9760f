//! The vault's store: one SQLite file, one writer, write-ahead log, synchronous FULL. All SQL of the vault is here.
//!
//! Every row but the header, the share commitments and the journal is a sealed value with the same five columns. Nothing
//! is in `leaf` of sealed rows and in `header.state_root`: which rows there must be is held by one sum in the sealed state row
//! ([`crate::open::freshness`]). Left for the vault's own issue, with their places kept: `journal.leaf` (RFC 6962 tree) and
//! `share.protection` (custodian cards beside passphrases).

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use keyvault_protocol::PointBytes;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteLockingMode, SqliteSynchronous,
};
use sqlx::{Connection, Row as _};

use crate::error::Error;
use crate::keys::arena::stack;
use crate::store::commitment::Commitment;

/// Name of the file in the vault's folder.
pub(crate) const FILE: &str = "vault.sqlite";
/// Name of its log, as SQLite has it.
pub(crate) const LOG: &str = "vault.sqlite-wal";
/// Version of the layout below. An older one is brought up to date at the first unseal.
pub(crate) const FORMAT: i64 = 5;
/// The layout before the access list: issuers alone were enrolled, in a table of their own.
pub(crate) const WITHOUT_CALLERS: i64 = 4;
/// The layout before the state row had a sum over the rows: the same tables.
pub(crate) const WITHOUT_SUM: i64 = 3;
/// The layout before custodians had keys: [`SCHEMA`] and [`SCHEMA_2`].
pub(crate) const WITHOUT_CUSTODIANS: i64 = 2;
/// The layout before key versions and updates: [`SCHEMA`] alone.
pub(crate) const FIRST_FORMAT: i64 = 1;

/// Whether the header of a store of this format has keys of custodians.
pub(crate) fn has_custodians(format: i64) -> bool {
    format > WITHOUT_CUSTODIANS
}

const SCHEMA: &str = "
CREATE TABLE header (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    format INTEGER NOT NULL,
    suite INTEGER NOT NULL,
    vault BLOB NOT NULL CHECK (length(vault) = 16),
    instance BLOB NOT NULL CHECK (length(instance) = 16),
    epoch INTEGER NOT NULL CHECK (epoch > 0),
    threshold INTEGER NOT NULL CHECK (threshold BETWEEN 1 AND 255),
    kek_commitment BLOB NOT NULL CHECK (length(kek_commitment) = 32),
    root BLOB NOT NULL,
    term INTEGER NOT NULL CHECK (term > 0),
    high_water INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    state_root BLOB
) STRICT;
CREATE TABLE share (
    epoch INTEGER NOT NULL,
    number INTEGER NOT NULL CHECK (number BETWEEN 1 AND 255),
    custodian TEXT NOT NULL,
    protection TEXT NOT NULL CHECK (protection IN ('argon2id')),
    salt BLOB NOT NULL CHECK (length(salt) = 16),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (epoch, number)
) STRICT;
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY CHECK (seq > 0),
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body BLOB NOT NULL,
    previous BLOB NOT NULL CHECK (length(previous) = 32),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    leaf BLOB
) STRICT;
CREATE TABLE sealed_ring (id BLOB PRIMARY KEY, row_version INTEGER NOT NULL, term INTEGER NOT NULL, sealed BLOB NOT NULL, leaf BLOB) STRICT, WITHOUT ROWID;
CREATE TABLE sealed_state (id BLOB PRIMARY KEY, row_version INTEGER NOT NULL, term INTEGER NOT NULL, sealed BLOB NOT NULL, leaf BLOB) STRICT, WITHOUT ROWID;
CREATE TABLE sealed_key (id BLOB PRIMARY KEY, row_version INTEGER NOT NULL, term INTEGER NOT NULL, sealed BLOB NOT NULL, leaf BLOB) STRICT, WITHOUT ROWID;
CREATE TABLE sealed_issuer (id BLOB PRIMARY KEY, row_version INTEGER NOT NULL, term INTEGER NOT NULL, sealed BLOB NOT NULL, leaf BLOB) STRICT, WITHOUT ROWID;
CREATE TABLE sealed_order (id BLOB PRIMARY KEY, row_version INTEGER NOT NULL, term INTEGER NOT NULL, sealed BLOB NOT NULL, leaf BLOB) STRICT, WITHOUT ROWID;
CREATE TABLE sealed_job (id BLOB PRIMARY KEY, row_version INTEGER NOT NULL, term INTEGER NOT NULL, sealed BLOB NOT NULL, leaf BLOB) STRICT, WITHOUT ROWID;
CREATE TABLE sealed_card (id BLOB PRIMARY KEY, row_version INTEGER NOT NULL, term INTEGER NOT NULL, sealed BLOB NOT NULL, leaf BLOB) STRICT, WITHOUT ROWID;
CREATE TABLE sealed_terminal (id BLOB PRIMARY KEY, row_version INTEGER NOT NULL, term INTEGER NOT NULL, sealed BLOB NOT NULL, leaf BLOB) STRICT, WITHOUT ROWID;
CREATE TABLE sealed_denied (id BLOB PRIMARY KEY, row_version INTEGER NOT NULL, term INTEGER NOT NULL, sealed BLOB NOT NULL, leaf BLOB) STRICT, WITHOUT ROWID;
";

/// What format 2 and later ones have beside [`SCHEMA`].
const SCHEMA_2: &str = "
CREATE TABLE sealed_role_key (id BLOB PRIMARY KEY, row_version INTEGER NOT NULL, term INTEGER NOT NULL, sealed BLOB NOT NULL, leaf BLOB) STRICT, WITHOUT ROWID;
CREATE TABLE sealed_pid (id BLOB PRIMARY KEY, row_version INTEGER NOT NULL, term INTEGER NOT NULL, sealed BLOB NOT NULL, leaf BLOB) STRICT, WITHOUT ROWID;
CREATE TABLE sealed_change (id BLOB PRIMARY KEY, row_version INTEGER NOT NULL, term INTEGER NOT NULL, sealed BLOB NOT NULL, leaf BLOB) STRICT, WITHOUT ROWID;
CREATE TABLE sealed_update (id BLOB PRIMARY KEY, row_version INTEGER NOT NULL, term INTEGER NOT NULL, sealed BLOB NOT NULL, leaf BLOB) STRICT, WITHOUT ROWID;
CREATE TABLE sealed_waiting (id BLOB PRIMARY KEY, row_version INTEGER NOT NULL, term INTEGER NOT NULL, sealed BLOB NOT NULL, leaf BLOB) STRICT, WITHOUT ROWID;
CREATE TABLE sealed_list (id BLOB PRIMARY KEY, row_version INTEGER NOT NULL, term INTEGER NOT NULL, sealed BLOB NOT NULL, leaf BLOB) STRICT, WITHOUT ROWID;
";

/// What format 3 has beside them: the public halves of the custodians' keys.
const SCHEMA_3: &str = "
CREATE TABLE custodian_key (
    epoch INTEGER NOT NULL,
    number INTEGER NOT NULL CHECK (number BETWEEN 1 AND 255),
    key BLOB NOT NULL CHECK (length(key) = 65),
    PRIMARY KEY (epoch, number)
) STRICT;
";

/// What format 5 has beside them: the access list, requests of officers that were done or wait, what callers have used of their ceilings, and
/// milestones of the journal. Nothing is in `sealed_issuer` any more.
const SCHEMA_5: &str = "
CREATE TABLE sealed_milestone (id BLOB PRIMARY KEY, row_version INTEGER NOT NULL, term INTEGER NOT NULL, sealed BLOB NOT NULL, leaf BLOB) STRICT, WITHOUT ROWID;
CREATE TABLE sealed_count (id BLOB PRIMARY KEY, row_version INTEGER NOT NULL, term INTEGER NOT NULL, sealed BLOB NOT NULL, leaf BLOB) STRICT, WITHOUT ROWID;
CREATE TABLE sealed_caller (id BLOB PRIMARY KEY, row_version INTEGER NOT NULL, term INTEGER NOT NULL, sealed BLOB NOT NULL, leaf BLOB) STRICT, WITHOUT ROWID;
CREATE TABLE sealed_request (id BLOB PRIMARY KEY, row_version INTEGER NOT NULL, term INTEGER NOT NULL, sealed BLOB NOT NULL, leaf BLOB) STRICT, WITHOUT ROWID;
";

/// The tables of sealed rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    /// Keys under the root key.
    Ring,
    /// The one row that says what the rest must look like.
    State,
    /// Keys under a barrier term.
    Key,
    /// Enrolled issuers of format 4 and before; they are in [`Table::Caller`] since.
    Issuer,
    /// Orders that were accepted.
    Order,
    /// Work on one card under an order: (order, index).
    Job,
    /// Cards, by serial.
    Card,
    /// Terminals, by name.
    Terminal,
    /// Cards on the deny lists, by serial.
    Denied,
    /// States of role key versions, by role, region and version.
    RoleKey,
    /// Serials by the keyed hash of what names a card elsewhere: a purse's pseudonym, the printed number.
    Pid,
    /// Changes that were sealed as updates, by their number.
    CardChange,
    /// Envelopes of changes, by update id: what a receipt must be.
    Update,
    /// Envelopes that batches carry, by delivering role, region and update id.
    Waiting,
    /// The last deny list of each role: version and digest.
    List,
    /// What was used of a day's ceilings, by caller and kind.
    Count,
    /// Hashes of entries of the journal, by their sequence: from one to the next it is proved.
    Milestone,
    /// The access list, by name.
    Caller,
    /// Requests of officers, by their digest: what was done, until they end, or since when they wait.
    Request,
}

macro_rules! per_table {
    ($table:expr, $before:literal, $after:literal) => {
        match $table {
            Table::Ring => concat!($before, "sealed_ring", $after),
            Table::State => concat!($before, "sealed_state", $after),
            Table::Key => concat!($before, "sealed_key", $after),
            Table::Issuer => concat!($before, "sealed_issuer", $after),
            Table::Order => concat!($before, "sealed_order", $after),
            Table::Job => concat!($before, "sealed_job", $after),
            Table::Card => concat!($before, "sealed_card", $after),
            Table::Terminal => concat!($before, "sealed_terminal", $after),
            Table::Denied => concat!($before, "sealed_denied", $after),
            Table::RoleKey => concat!($before, "sealed_role_key", $after),
            Table::Pid => concat!($before, "sealed_pid", $after),
            Table::CardChange => concat!($before, "sealed_change", $after),
            Table::Update => concat!($before, "sealed_update", $after),
            Table::Waiting => concat!($before, "sealed_waiting", $after),
            Table::List => concat!($before, "sealed_list", $after),
            Table::Count => concat!($before, "sealed_count", $after),
            Table::Milestone => concat!($before, "sealed_milestone", $after),
            Table::Caller => concat!($before, "sealed_caller", $after),
            Table::Request => concat!($before, "sealed_request", $after),
        }
    };
}

impl Table {
    /// Tables whose rows the state row counts: all but the state itself.
    pub(crate) const COUNTED: [Self; 18] = [
        Self::Ring,
        Self::Key,
        Self::Issuer,
        Self::Order,
        Self::Job,
        Self::Card,
        Self::Terminal,
        Self::Denied,
        Self::RoleKey,
        Self::Pid,
        Self::CardChange,
        Self::Update,
        Self::Waiting,
        Self::List,
        Self::Count,
        Self::Milestone,
        Self::Caller,
        Self::Request,
    ];
    /// How many of them, from the first, format 1 has.
    pub(crate) const FIRST_COUNTED: usize = 8;
    /// How many of them the formats from 2 to 4 have.
    const COUNTED_WITHOUT_CALLERS: usize = 14;

    /// Tables of a store that are counted.
    pub(crate) fn counted(format: i64) -> &'static [Self] {
        match format {
            FIRST_FORMAT => &Self::COUNTED[..Self::FIRST_COUNTED],
            FORMAT => &Self::COUNTED,
            _ => &Self::COUNTED[..Self::COUNTED_WITHOUT_CALLERS],
        }
    }

    /// Whether the table is read in the order of its ids, so that a row that is left out must be found.
    pub(crate) fn is_walked(self) -> bool {
        matches!(
            self,
            Self::Key
                | Self::Issuer
                | Self::Terminal
                | Self::Denied
                | Self::RoleKey
                | Self::Waiting
                | Self::Caller
                | Self::Request
                | Self::Count
        )
    }

    /// Name in associated data.
    pub(crate) fn name(self) -> &'static str {
        per_table!(self, "", "")
    }
}

/// A sealed row.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_field_names,
    reason = "`row_version` is the column's name; `version` would be the format's"
)]
pub(crate) struct Row {
    pub(crate) id: Vec<u8>,
    pub(crate) row_version: i64,
    pub(crate) term: i64,
    pub(crate) sealed: Vec<u8>,
}

/// Ids and versions of rows.
pub(crate) struct Versions(Option<String>);

impl Versions {
    /// The id of the last row, if there is one.
    pub(crate) fn last(&self) -> Result<Option<Vec<u8>>, Error> {
        let last = self.0.as_ref().and_then(|text| text.rsplit(',').next());
        let id = last.and_then(|row| row.split_once(' ')).map(|(id, _)| id);
        id.map(hex::decode)
            .transpose()
            .map_err(|_| Error::Damaged { what: "a row" })
    }

    /// Gives each to `take`.
    pub(crate) fn each(&self, mut take: impl FnMut(&[u8], i64) -> Result<(), Error>) -> Result<(), Error> {
        let damaged = || Error::Damaged { what: "a row" };
        let mut id = Vec::new();
        for part in self.0.iter().flat_map(|text| text.split(',')) {
            let (text, version) = part.split_once(' ').ok_or_else(damaged)?;
            id.resize(text.len() / 2, 0);
            hex::decode_to_slice(text, &mut id).map_err(|_| damaged())?;
            take(&id, version.parse().map_err(|_| damaged())?)?;
        }
        Ok(())
    }
}

/// The clear header. What matters of it stands again in the sealed state row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// [`FORMAT`] or one before.
    pub(crate) format: i64,
    pub(crate) vault: [u8; 16],
    pub(crate) instance: [u8; 16],
    pub(crate) epoch: u32,
    pub(crate) threshold: u8,
    pub(crate) kek_commitment: [u8; 32],
    pub(crate) root: Vec<u8>,
    pub(crate) term: i64,
    pub(crate) high_water: Timestamp,
    pub(crate) generation: i64,
}

impl Header {
    /// The generation, as others are told it.
    pub(crate) fn generation(&self) -> u64 {
        u64::try_from(self.generation).unwrap_or(0)
    }
}

/// A journal entry as stored.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) seq: i64,
    pub(crate) at: i64,
    pub(crate) kind: String,
    pub(crate) body: Vec<u8>,
    pub(crate) previous: [u8; 32],
    pub(crate) hash: [u8; 32],
}

/// The open store.
pub(crate) struct Store {
    path: PathBuf,
    /// Absent after a failed change: a connection whose transaction SQLite gave up by itself is not used again.
    connection: Option<SqliteConnection>,
}

impl Store {
    /// Creates the file and its tables.
    pub(crate) async fn create(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(FILE);
        // Made here for its mode: SQLite would let others read it, and the log takes the mode of the file.
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|_| Error::StoreUnavailable {
                what: "its file cannot be made",
            })?;
        let connection = Some(connect(&path, true).await?);
        let mut store = Self { path, connection };
        for schema in [SCHEMA, SCHEMA_2, SCHEMA_3, SCHEMA_5] {
            sqlx::raw_sql(schema)
                .execute(store.connection().await?)
                .await
                .map_err(failed("its tables cannot be made"))?;
        }
        Ok(store)
    }

    /// Opens an existing file and checks its structure.
    pub(crate) async fn open(folder: &Path) -> Result<Self, Error> {
        const CHECK: &str = "PRAGMA quick_check(1)";
        let path = folder.join(FILE);
        look(folder)?;
        let connection = Some(connect(&path, false).await?);
        let mut store = Self { path, connection };
        let verdict: String = sqlx::query_scalar(CHECK)
            .fetch_one(store.connection().await?)
            .await
            .map_err(failed("its structure cannot be read"))?;
        if verdict == "ok" {
            Ok(store)
        } else {
            Err(Error::Damaged {
                what: "the structure of the file",
            })
        }
    }

    /// Makes the layout that of format 1, for tests of the migration.
    #[cfg(test)]
    pub(crate) async fn turn_into_the_first_format(&mut self) {
        const FIRST_FORMAT: &str = "
DROP TABLE custodian_key; DROP TABLE sealed_role_key; DROP TABLE sealed_pid; DROP TABLE sealed_change;
DROP TABLE sealed_update; DROP TABLE sealed_waiting; DROP TABLE sealed_list; DROP TABLE sealed_count; DROP TABLE sealed_milestone;
DROP TABLE sealed_caller; DROP TABLE sealed_request;
UPDATE header SET format = 1";
        let connection = self.connection().await.expect("the store is open");
        sqlx::raw_sql(FIRST_FORMAT)
            .execute(connection)
            .await
            .expect("it runs");
    }

    /// Folds the log into the file: it has everything then, and is whole without the log beside it.
    pub(crate) async fn fold(&mut self) -> Result<(), Error> {
        const FOLD: &str = "PRAGMA wal_checkpoint(TRUNCATE)";
        sqlx::query(FOLD)
            .fetch_one(self.connection().await?)
            .await
            .map(drop)
            .map_err(failed("its log cannot be folded in"))
    }

    /// What another process does to a row at a moment when this one has not the file, as it has not after a change that failed.
    #[cfg(test)]
    pub(crate) async fn change_from_outside(&mut self, table: Table, id: &[u8], row: Option<&Row>) {
        if let Some(connection) = self.connection.take() {
            connection.close().await.expect("it closes");
        }
        let options = SqliteConnectOptions::new().filename(&self.path);
        let mut other = SqliteConnection::connect_with(&options)
            .await
            .expect("nobody has the file");
        let gone = sqlx::query(per_table!(table, "DELETE FROM ", " WHERE id = $1")).bind(id);
        gone.execute(&mut other).await.expect("it runs");
        if let Some(row) = row {
            let put = per_table!(
                table,
                "INSERT INTO ",
                " (id, row_version, term, sealed) VALUES ($1, $2, $3, $4)"
            );
            let put = sqlx::query(put)
                .bind(&row.id)
                .bind(row.row_version)
                .bind(row.term)
                .bind(&row.sealed);
            put.execute(&mut other).await.expect("it runs");
        }
        other.close().await.expect("it closes");
    }

    /// Puts another entry in the place of one.
    #[cfg(test)]
    pub(crate) async fn forge(&mut self, entry: &Entry) {
        const FORGE: &str =
            "UPDATE journal SET at = $2, kind = $3, body = $4, previous = $5, hash = $6 WHERE seq = $1";
        let connection = self.connection().await.expect("the store is open");
        sqlx::query(FORGE)
            .bind(entry.seq)
            .bind(entry.at)
            .bind(&entry.kind)
            .bind(&entry.body)
            .bind(&entry.previous[..])
            .bind(&entry.hash[..])
            .execute(connection)
            .await
            .expect("it runs");
    }

    /// A connection that keeps others from writing, of another process.
    #[cfg(test)]
    pub(crate) async fn held_from_outside(&mut self) -> SqliteConnection {
        if let Some(connection) = self.connection.take() {
            connection.close().await.expect("it closes");
        }
        let options = SqliteConnectOptions::new().filename(&self.path);
        let mut other = SqliteConnection::connect_with(&options)
            .await
            .expect("nobody has the file");
        sqlx::raw_sql("BEGIN IMMEDIATE")
            .execute(&mut other)
            .await
            .expect("it runs");
        other
    }

    /// Writes everything out and closes the file.
    pub(crate) async fn close(self) -> Result<(), Error> {
        match self.connection {
            Some(connection) => connection.close().await.map_err(failed("it cannot be closed")),
            None => Ok(()),
        }
    }

    async fn connection(&mut self) -> Result<&mut SqliteConnection, Error> {
        // What is moved to SQLite's thread takes nothing of what was worked out before along.
        stack::wipe();
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.path, false).await?,
        };
        Ok(self.connection.insert(connection))
    }

    /// The header and the share commitments of its epoch.
    pub(crate) async fn header(&mut self) -> Result<(Header, Vec<Commitment>), Error> {
        const FORMAT_ALONE: &str = "SELECT format FROM header WHERE id = 1";
        const HEADER: &str = "SELECT format, suite, vault, instance, epoch, threshold, kek_commitment, root, term, high_water, generation FROM header WHERE id = 1";
        const SHARES: &str =
            "SELECT number, custodian, salt, hash, NULL AS key FROM share WHERE epoch = $1 ORDER BY number";
        const SHARES_WITH_KEYS: &str = "SELECT number, custodian, salt, hash, key FROM share LEFT JOIN custodian_key USING (epoch, number) WHERE epoch = $1 ORDER BY number";
        let damaged = || Error::Damaged { what: "the header" };
        // By itself: what else a newer header has is not known here.
        let found: Option<i64> = sqlx::query_scalar(FORMAT_ALONE)
            .fetch_optional(self.connection().await?)
            .await
            .map_err(failed("the header cannot be read"))?;
        if let Some(found) = found.filter(|found| *found > FORMAT) {
            return Err(Error::StoreNewer { found, known: FORMAT });
        }
        let row = sqlx::query(HEADER)
            .fetch_optional(self.connection().await?)
            .await
            .map_err(failed("the header cannot be read"))?
            .ok_or_else(damaged)?;
        let format: i64 = row.try_get("format").map_err(|_| damaged())?;
        if !(FIRST_FORMAT..=FORMAT).contains(&format)
            || row.try_get::<i64, _>("suite").ok() != Some(i64::from(crate::store::sealing::SUITE))
        {
            return Err(Error::Damaged {
                what: "the store has a format that this program does not know",
            });
        }
        let epoch: i64 = row.try_get("epoch").map_err(|_| damaged())?;
        let threshold: i64 = row.try_get("threshold").map_err(|_| damaged())?;
        let high_water: i64 = row.try_get("high_water").map_err(|_| damaged())?;
        let header = Header {
            format,
            vault: bytes(&row, "vault").ok_or_else(damaged)?,
            instance: bytes(&row, "instance").ok_or_else(damaged)?,
            epoch: u32::try_from(epoch).map_err(|_| damaged())?,
            threshold: u8::try_from(threshold).map_err(|_| damaged())?,
            kek_commitment: bytes(&row, "kek_commitment").ok_or_else(damaged)?,
            root: row.try_get("root").map_err(|_| damaged())?,
            term: row.try_get("term").map_err(|_| damaged())?,
            high_water: Timestamp::from_second(high_water).map_err(|_| damaged())?,
            generation: row.try_get("generation").map_err(|_| damaged())?,
        };
        let has_keys = has_custodians(format);
        let rows = sqlx::query(if has_keys { SHARES_WITH_KEYS } else { SHARES })
            .bind(epoch)
            .fetch_all(self.connection().await?)
            .await
            .map_err(failed("the shares cannot be read"))?;
        let shares = rows
            .iter()
            .map(|row| {
                Some(Commitment {
                    index: u8::try_from(row.try_get::<i64, _>("number").ok()?).ok()?,
                    custodian: row.try_get("custodian").ok()?,
                    salt: bytes(row, "salt")?,
                    hash: bytes(row, "hash")?,
                    key: if has_keys { Some(bytes(row, "key")?) } else { None },
                })
            })
            .collect::<Option<Vec<_>>>()
            .ok_or_else(damaged)?;
        if shares.len() < usize::from(header.threshold) {
            return Err(damaged());
        }
        Ok((header, shares))
    }

    /// The generation, which grows with each transaction.
    pub(crate) async fn generation(&mut self) -> Result<i64, Error> {
        const GENERATION: &str = "SELECT generation FROM header WHERE id = 1";
        sqlx::query_scalar(GENERATION)
            .fetch_one(self.connection().await?)
            .await
            .map_err(failed("the header cannot be read"))
    }

    /// One sealed row.
    pub(crate) async fn row(&mut self, table: Table, id: &[u8]) -> Result<Option<Row>, Error> {
        let sql = per_table!(
            table,
            "SELECT id, row_version, term, sealed FROM ",
            " WHERE id = $1"
        );
        sqlx::query(sql)
            .bind(id)
            .fetch_optional(self.connection().await?)
            .await
            .map_err(failed("a row cannot be read"))?
            .map(|row| sealed_row(&row))
            .transpose()
    }

    /// All sealed rows of a table, in the order of their ids.
    pub(crate) async fn rows(&mut self, table: Table) -> Result<Vec<Row>, Error> {
        let sql = per_table!(
            table,
            "SELECT id, row_version, term, sealed FROM ",
            " ORDER BY id"
        );
        sqlx::query(sql)
            .fetch_all(self.connection().await?)
            .await
            .map_err(failed("rows cannot be read"))?
            .iter()
            .map(sealed_row)
            .collect()
    }

    /// Up to `limit` sealed rows with ids behind `after`, in the order of their ids.
    pub(crate) async fn rows_after(
        &mut self,
        table: Table,
        after: &[u8],
        limit: usize,
    ) -> Result<Vec<Row>, Error> {
        let sql = per_table!(
            table,
            "SELECT id, row_version, term, sealed FROM ",
            " WHERE id > $1 ORDER BY id LIMIT $2"
        );
        sqlx::query(sql)
            .bind(after)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(self.connection().await?)
            .await
            .map_err(failed("rows cannot be read"))?
            .iter()
            .map(sealed_row)
            .collect()
    }

    /// Ids and versions of up to `limit` sealed rows behind `after`, in the order of their ids: SQLite makes one text of them, which
    /// costs a tenth of rows that come one by one.
    pub(crate) async fn versions_after(
        &mut self,
        table: Table,
        after: &[u8],
        limit: usize,
    ) -> Result<Versions, Error> {
        let sql = per_table!(
            table,
            "SELECT group_concat(hex(id) || ' ' || row_version) FROM (SELECT id, row_version FROM ",
            " WHERE id > $1 ORDER BY id LIMIT $2)"
        );
        let text: Option<String> = sqlx::query_scalar(sql)
            .bind(after)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_one(self.connection().await?)
            .await
            .map_err(failed("rows cannot be read"))?;
        Ok(Versions(text))
    }

    /// Up to `limit` journal entries behind `after`.
    pub(crate) async fn entries_after(&mut self, after: i64, limit: usize) -> Result<Vec<Entry>, Error> {
        const ENTRIES: &str =
            "SELECT seq, at, kind, body, previous, hash FROM journal WHERE seq > $1 ORDER BY seq LIMIT $2";
        sqlx::query(ENTRIES)
            .bind(after)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(self.connection().await?)
            .await
            .map_err(failed("the journal cannot be read"))?
            .iter()
            .map(|row| {
                Some(Entry {
                    seq: row.try_get("seq").ok()?,
                    at: row.try_get("at").ok()?,
                    kind: row.try_get("kind").ok()?,
                    body: row.try_get("body").ok()?,
                    previous: bytes(row, "previous")?,
                    hash: bytes(row, "hash")?,
                })
            })
            .collect::<Option<Vec<_>>>()
            .ok_or(Error::Damaged { what: "the journal" })
    }

    /// Writes one change durably: all of it or nothing.
    pub(crate) async fn commit(&mut self, change: &Batch) -> Result<(), Error> {
        let outcome = self.try_commit(change).await;
        if outcome.is_err()
            && let Some(connection) = self.connection.take()
        {
            // Nothing of the change is durable; what closing has to say about it adds nothing.
            let _ = connection.close().await;
        }
        outcome
    }

    async fn try_commit(&mut self, change: &Batch) -> Result<(), Error> {
        const HIGH_WATER: &str =
            "UPDATE header SET high_water = $1, generation = $2 WHERE id = 1 AND generation = $3";
        const JOURNAL: &str =
            "INSERT INTO journal (seq, at, kind, body, previous, hash) VALUES ($1, $2, $3, $4, $5, $6)";
        let mut transaction = self
            .connection()
            .await?
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(failed("it cannot be written"))?;
        let steps = [
            (change.from_first_format, SCHEMA_2, FIRST_FORMAT),
            (!change.custodians.is_empty(), SCHEMA_3, WITHOUT_CUSTODIANS),
            (change.with_sum, "", WITHOUT_SUM),
            (change.with_callers, SCHEMA_5, WITHOUT_CALLERS),
        ];
        for (_, schema, format) in steps.into_iter().filter(|(is_taken, ..)| *is_taken) {
            const FORMATS: &str = "UPDATE header SET format = $1 WHERE id = 1 AND format = $2";
            sqlx::raw_sql(schema)
                .execute(&mut *transaction)
                .await
                .map_err(failed("its tables cannot be made"))?;
            sqlx::query(FORMATS)
                .bind(format + 1)
                .bind(format)
                .execute(&mut *transaction)
                .await
                .map_err(failed("the header cannot be written"))?;
        }
        for (epoch, number, key) in &change.custodians {
            sqlx::query(CUSTODIAN)
                .bind(i64::from(*epoch))
                .bind(i64::from(*number))
                .bind(&key[..])
                .execute(&mut *transaction)
                .await
                .map_err(failed("a share cannot be written"))?;
        }
        for (table, id) in &change.deleted {
            let sql = per_table!(*table, "DELETE FROM ", " WHERE id = $1");
            sqlx::query(sql)
                .bind(id)
                .execute(&mut *transaction)
                .await
                .map_err(failed("a row cannot be taken away"))?;
        }
        for (table, row) in &change.rows {
            let sql = per_table!(
                *table,
                "INSERT INTO ",
                " (id, row_version, term, sealed) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO UPDATE SET row_version = excluded.row_version, term = excluded.term, sealed = excluded.sealed"
            );
            sqlx::query(sql)
                .bind(&row.id)
                .bind(row.row_version)
                .bind(row.term)
                .bind(&row.sealed)
                .execute(&mut *transaction)
                .await
                .map_err(failed("a row cannot be written"))?;
        }
        for entry in &change.entries {
            sqlx::query(JOURNAL)
                .bind(entry.seq)
                .bind(entry.at)
                .bind(&entry.kind)
                .bind(&entry.body)
                .bind(&entry.previous[..])
                .bind(&entry.hash[..])
                .execute(&mut *transaction)
                .await
                .map_err(failed("the journal cannot be written"))?;
        }
        let updated = sqlx::query(HIGH_WATER)
            .bind(change.high_water.as_second())
            .bind(change.generation)
            .bind(change.generation - 1)
            .execute(&mut *transaction)
            .await
            .map_err(failed("the header cannot be written"))?;
        if updated.rows_affected() != 1 {
            return Err(Error::Damaged {
                what: "the store was changed by somebody else",
            });
        }
        transaction
            .commit()
            .await
            .map_err(failed("a change cannot be made durable"))
    }

    /// Writes the header and the commitments of a new vault.
    pub(crate) async fn create_header(
        &mut self,
        header: &Header,
        shares: &[Commitment],
    ) -> Result<(), Error> {
        const HEADER: &str = "INSERT INTO header (id, format, suite, vault, instance, epoch, threshold, kek_commitment, root, term, high_water, generation) VALUES (1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        const SHARE: &str = "INSERT INTO share (epoch, number, custodian, protection, salt, hash) VALUES ($1, $2, $3, 'argon2id', $4, $5)";
        let mut transaction = self
            .connection()
            .await?
            .begin()
            .await
            .map_err(failed("it cannot be written"))?;
        sqlx::query(HEADER)
            .bind(FORMAT)
            .bind(i64::from(crate::store::sealing::SUITE))
            .bind(&header.vault[..])
            .bind(&header.instance[..])
            .bind(i64::from(header.epoch))
            .bind(i64::from(header.threshold))
            .bind(&header.kek_commitment[..])
            .bind(&header.root)
            .bind(header.term)
            .bind(header.high_water.as_second())
            .bind(header.generation)
            .execute(&mut *transaction)
            .await
            .map_err(failed("the header cannot be written"))?;
        for share in shares {
            sqlx::query(SHARE)
                .bind(i64::from(header.epoch))
                .bind(i64::from(share.index))
                .bind(&share.custodian)
                .bind(&share.salt[..])
                .bind(&share.hash[..])
                .execute(&mut *transaction)
                .await
                .map_err(failed("a share cannot be written"))?;
            if let Some(key) = &share.key {
                sqlx::query(CUSTODIAN)
                    .bind(i64::from(header.epoch))
                    .bind(i64::from(share.index))
                    .bind(&key[..])
                    .execute(&mut *transaction)
                    .await
                    .map_err(failed("a share cannot be written"))?;
            }
        }
        transaction
            .commit()
            .await
            .map_err(failed("a change cannot be made durable"))
    }
}

const CUSTODIAN: &str = "INSERT INTO custodian_key (epoch, number, key) VALUES ($1, $2, $3)";

/// What one transaction writes.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Whether this transaction turns format 1 into format 2.
    pub(crate) from_first_format: bool,
    /// Epoch, number and key of custodians who had none: this transaction turns format 2 into format 3.
    pub(crate) custodians: Vec<(u32, u8, PointBytes)>,
    /// Whether it turns format 3 into format 4.
    pub(crate) with_sum: bool,
    /// Whether it turns format 4 into format 5.
    pub(crate) with_callers: bool,
    pub(crate) rows: Vec<(Table, Row)>,
    /// Rows that go.
    pub(crate) deleted: Vec<(Table, Vec<u8>)>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) high_water: Timestamp,
    /// The new generation; the store must still be at the one before.
    pub(crate) generation: i64,
}

/// Looks whether there is a store in the folder. What this user may not see is not called absent.
///
/// # Errors
/// [`Error::NoVault`], [`Error::File`].
pub fn look(folder: &Path) -> Result<(), Error> {
    use std::io::ErrorKind;
    let path = folder.join(FILE);
    match std::fs::metadata(&path) {
        Ok(found) if found.is_file() => Ok(()),
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(Error::file("the vault's folder", &path, error.kind()))
        }
        Ok(_) | Err(_) => Err(Error::NoVault),
    }
}

async fn connect(path: &Path, create: bool) -> Result<SqliteConnection, Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(create)
        .journal_mode(SqliteJournalMode::Wal)
        .locking_mode(SqliteLockingMode::Exclusive)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("temp_store", "MEMORY")
        .pragma("trusted_schema", "OFF")
        .pragma("cell_size_check", "ON")
        // Keys of a retired version, sealed as they are, do not stay on free pages.
        .pragma("secure_delete", "ON")
        .thread_name(|_| "vault-store".to_owned());
    SqliteConnection::connect_with(&options)
        .await
        .map_err(failed("it cannot be opened"))
}

fn bytes<const N: usize>(row: &sqlx::sqlite::SqliteRow, column: &str) -> Option<[u8; N]> {
    row.try_get::<&[u8], _>(column).ok()?.try_into().ok()
}

fn sealed_row(row: &sqlx::sqlite::SqliteRow) -> Result<Row, Error> {
    let damaged = |_| Error::Damaged { what: "a row" };
    Ok(Row {
        id: row.try_get("id").map_err(damaged)?,
        row_version: row.try_get("row_version").map_err(damaged)?,
        term: row.try_get("term").map_err(damaged)?,
        sealed: row.try_get("sealed").map_err(damaged)?,
    })
}

/// Tells damage (`SQLITE_CORRUPT` 11, `SQLITE_NOTADB` 26, and a row that is not what the schema says) from a store that
/// cannot be used just now. Texts of the driver stay here: they may quote values.
fn failed(what: &'static str) -> impl Fn(sqlx::Error) -> Error {
    move |error| match &error {
        sqlx::Error::Database(database) => {
            let code = database
                .code()
                .and_then(|code| code.parse::<u32>().ok())
                .unwrap_or(0);
            match code & 0xFF {
                1 | 11 | 26 => Error::Damaged { what: "the file" },
                5 | 6 => Error::StoreHeld,
                8 => Error::StoreUnavailable {
                    what: "it cannot be written (read-only)",
                },
                13 => Error::StoreUnavailable {
                    what: "the disk is full",
                },
                _ => Error::StoreUnavailable { what },
            }
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::TypeNotFound { .. } => {
            Error::Damaged { what: "a row" }
        }
        _ => Error::StoreUnavailable { what },
    }
}
