//! The ledger: append-only entries, each with the SHA-256 of itself and the one before.
//!
//! Entry hash: SHA-256 over `yzt.ledger/1`, seq (8 bytes, big endian), at (8 bytes, big endian, milliseconds), role,
//! actor, action, subject, detail (each with its length, 4 bytes, big endian, before it), and the previous hash (32
//! bytes; zeros before the first). Left out: signatures over the head (the vault's audit tree), personal data.

use jiff::Timestamp;
use permit_domain::Digest;

use crate::{
    error::Error,
    rows::{instant, millis},
    transaction::{Snapshot, on_engine},
};

/// Takes the end of the chain: an update, so that PostgreSQL locks the row.
pub(crate) const TAKE_HEAD: &str = "UPDATE ledger_head SET seq = seq WHERE id = 1 RETURNING seq, hash";
pub(crate) const INSERT_EVENT: &str = "
    INSERT INTO events (seq, at, role, actor, action, subject, detail, prev, hash)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
pub(crate) const MOVE_HEAD: &str = "UPDATE ledger_head SET seq = $1, hash = $2 WHERE id = 1";

/// The end of the chain.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Head {
    pub(crate) seq: i64,
    pub(crate) hash: Vec<u8>,
}

/// What is to be appended. Role and actor are those of the person who acted.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The role in which somebody acted, for example `reviewer`.
    pub role: &'a str,
    /// The account.
    pub actor: &'a str,
    /// What was done, for example `application REVIEWED`.
    pub action: &'a str,
    /// The id of what it was done to.
    pub subject: &'a str,
    /// JSON without personal data.
    pub detail: &'a str,
}

impl Head {
    /// The end of the chain after this entry.
    pub(crate) fn next(&self, at: Timestamp, entry: &Entry<'_>) -> Self {
        let seq = self.seq + 1;
        let mut bytes = b"yzt.ledger/1".to_vec();
        bytes.extend_from_slice(&seq.to_be_bytes());
        bytes.extend_from_slice(&millis(at).to_be_bytes());
        for field in [entry.role, entry.actor, entry.action, entry.subject, entry.detail] {
            // Fields are ids, names of states and short JSON: far below 4 GB.
            bytes.extend_from_slice(&u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend_from_slice(field.as_bytes());
        }
        bytes.extend_from_slice(&self.hash);
        Self {
            seq,
            hash: Digest::of(&bytes).as_bytes().to_vec(),
        }
    }
}

/// One entry of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// 1 and up, without gaps.
    pub seq: i64,
    /// When, by the clock of the writer.
    pub at: Timestamp,
    /// The role in which somebody acted, for example `reviewer`.
    pub role: String,
    /// The account.
    pub actor: String,
    /// What was done, for example `application REVIEWED`.
    pub action: String,
    /// The id of what it was done to.
    pub subject: String,
    /// JSON without personal data.
    pub detail: String,
}

/// What a whole verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerState {
    /// How many entries.
    pub entries: i64,
    /// The hash of the last; zeros for none.
    pub head: Digest,
}

#[derive(sqlx::FromRow)]
struct Row {
    seq: i64,
    at: i64,
    role: String,
    actor: String,
    action: String,
    subject: String,
    detail: String,
    prev: Vec<u8>,
    hash: Vec<u8>,
}

impl Row {
    fn entry(&self) -> Entry<'_> {
        Entry {
            role: &self.role,
            actor: &self.actor,
            action: &self.action,
            subject: &self.subject,
            detail: &self.detail,
        }
    }
}

impl TryFrom<Row> for LedgerEntry {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            seq: row.seq,
            at: instant(row.at, "events.at")?,
            role: row.role,
            actor: row.actor,
            action: row.action,
            subject: row.subject,
            detail: row.detail,
        })
    }
}

/// Entries per read of a verification.
const PAGE: i64 = 1000;

impl Snapshot {
    /// The entries after `seq`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn ledger_after(&mut self, seq: i64, limit: u32) -> Result<Vec<LedgerEntry>, Error> {
        self.page(seq, i64::from(limit))
            .await?
            .into_iter()
            .map(TryInto::try_into)
            .collect()
    }

    /// The entries about one id (an application, permit, order, card number), oldest first.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn ledger_of(&mut self, subject: &str) -> Result<Vec<LedgerEntry>, Error> {
        const OF: &str = "
            SELECT seq, at, role, actor, action, subject, detail, prev, hash FROM events
            WHERE subject = $1 ORDER BY seq";
        let rows: Vec<Row> = on_engine!(self, |c| sqlx::query_as(OF).bind(subject).fetch_all(c))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Reads the whole ledger and checks every link and the head.
    ///
    /// # Errors
    /// [`Error::BrokenLedger`] with the first entry that does not fit; outages.
    pub async fn verify_ledger(&mut self) -> Result<LedgerState, Error> {
        const HEAD: &str = "SELECT seq, hash FROM ledger_head WHERE id = 1";
        let end: Head = on_engine!(self, |c| sqlx::query_as(HEAD).fetch_one(c))?;
        let mut head = Head {
            seq: 0,
            hash: vec![0; 32],
        };
        while head.seq < end.seq {
            let rows = self.page(head.seq, PAGE.min(end.seq - head.seq)).await?;
            if rows.is_empty() {
                return Err(Error::BrokenLedger { seq: head.seq + 1 });
            }
            for row in rows {
                let at = instant(row.at, "events.at")?;
                let next = head.next(at, &row.entry());
                if row.seq != next.seq || row.prev != head.hash || row.hash != next.hash {
                    return Err(Error::BrokenLedger { seq: next.seq });
                }
                head = next;
            }
        }
        let hash: [u8; 32] = head
            .hash
            .as_slice()
            .try_into()
            .map_err(|_| Error::BrokenLedger { seq: head.seq })?;
        if head.hash != end.hash {
            return Err(Error::BrokenLedger { seq: end.seq });
        }
        Ok(LedgerState {
            entries: head.seq,
            head: Digest::from_bytes(hash),
        })
    }

    async fn page(&mut self, after: i64, limit: i64) -> Result<Vec<Row>, Error> {
        const AFTER: &str = "
            SELECT seq, at, role, actor, action, subject, detail, prev, hash FROM events
            WHERE seq > $1 ORDER BY seq LIMIT $2";
        on_engine!(self, |c| sqlx::query_as(AFTER)
            .bind(after)
            .bind(limit)
            .fetch_all(c))
    }
}
