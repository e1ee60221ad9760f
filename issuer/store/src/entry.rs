//! The chain of the ledger: its end, and the entry that comes next. Append-only, each entry with the SHA-256 of itself and
//! the one before.
//!
//! Entry hash: SHA-256 over `yzt.ledger/1`, seq (8 bytes, big endian), at (8 bytes, big endian, milliseconds), role,
//! actor, action, subject, detail (each with its length, 4 bytes, big endian, before it), and the previous hash (32
//! bytes; zeros before the first). Left out: signatures over the head (the vault's audit tree), personal data.

use jiff::Timestamp;
use permit_domain::Digest;

use crate::rows::millis;

/// Takes the end of the chain: an update, so that PostgreSQL locks the row.
pub(crate) const TAKE_HEAD: &str = "
    UPDATE ledger_head SET seq = seq WHERE id = 1
    RETURNING seq, hash, (SELECT at FROM events WHERE events.seq = ledger_head.seq) AS at";
pub(crate) const INSERT_EVENT: &str = "
    INSERT INTO events (seq, at, role, actor, action, subject, detail, prev, hash)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
pub(crate) const MOVE_HEAD: &str = "UPDATE ledger_head SET seq = $1, hash = $2 WHERE id = 1";

/// The end of the chain.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Head {
    pub(crate) seq: i64,
    pub(crate) hash: Vec<u8>,
    /// When the last entry was made, milliseconds.
    #[sqlx(default)]
    pub(crate) at: Option<i64>,
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
            at: Some(millis(at)),
        }
    }
}
