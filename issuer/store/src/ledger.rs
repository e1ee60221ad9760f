//! Reads the ledger, and checks every link of its chain.

use jiff::Timestamp;
use permit_domain::Digest;

use crate::{
    entry::{Entry, Head},
    error::Error,
    rows::instant,
    transaction::{Snapshot, on_engine},
};

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
    /// How many entries the ledger has.
    ///
    /// # Errors
    /// Outages.
    pub async fn entries(&mut self) -> Result<i64, Error> {
        const SEQ: &str = "SELECT seq FROM ledger_head WHERE id = 1";
        on_engine!(self, |c| sqlx::query_scalar(SEQ).fetch_one(c))
    }

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
            at: None,
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
