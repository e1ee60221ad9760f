//! Published rule sets and purse rules: their text as it was when the first decision used it.

use jiff::Timestamp;
use permit_domain::Digest;

use crate::{
    entry::Entry,
    error::Error,
    rows::{damaged, digest, instant},
    transaction::{Appended, Snapshot, Transaction, on_engine, write_on_engine},
};

/// Rules as published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedRules {
    /// SHA-256 of the text.
    pub digest: Digest,
    /// The TOML.
    pub text: String,
    /// When it was first published here.
    pub published_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    digest: Vec<u8>,
    body: String,
    published_at: i64,
}

impl TryFrom<Row> for PublishedRules {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let digest = digest(row.digest, "rule_sets.digest")?;
        if Digest::of(row.body.as_bytes()) != digest {
            return Err(damaged("rule_sets.body"));
        }
        Ok(Self {
            digest,
            text: row.body,
            published_at: instant(row.published_at, "rule_sets.published_at")?,
        })
    }
}

const RULE_SET: &str = "SELECT digest, body, published_at FROM rule_sets WHERE id = $1";
const PURSE_RULES: &str = "SELECT digest, body, published_at FROM purse_rules WHERE id = $1";

impl Snapshot {
    /// A rule set as published.
    ///
    /// # Errors
    /// Outages; [`Error::Damaged`] if text and digest do not fit.
    pub async fn published_rule_set(&mut self, id: &str) -> Result<Option<PublishedRules>, Error> {
        self.published(RULE_SET, id).await
    }

    /// Purse rules as published.
    ///
    /// # Errors
    /// As [`Snapshot::published_rule_set`].
    pub async fn published_purse_rules(&mut self, id: &str) -> Result<Option<PublishedRules>, Error> {
        self.published(PURSE_RULES, id).await
    }

    async fn published(&mut self, select: &'static str, id: &str) -> Result<Option<PublishedRules>, Error> {
        let row: Option<Row> = on_engine!(self, |c| sqlx::query_as(select).bind(id).fetch_optional(c))?;
        row.map(TryInto::try_into).transpose()
    }
}

impl Transaction {
    /// Publishes a rule set: its text is kept for good.
    ///
    /// # Errors
    /// [`Error::Exists`] for a published id; outages.
    pub async fn publish_rule_set(
        &mut self,
        id: &str,
        digest: Digest,
        text: &str,
    ) -> Result<Appended, Error> {
        const INSERT: &str = "INSERT INTO rule_sets (id, digest, body, published_at) VALUES ($1, $2, $3, $4)";
        self.publish(INSERT, "rule set published", id, digest, text).await
    }

    /// Publishes purse rules: their text is kept for good.
    ///
    /// # Errors
    /// As [`Transaction::publish_rule_set`].
    pub async fn publish_purse_rules(
        &mut self,
        id: &str,
        digest: Digest,
        text: &str,
    ) -> Result<Appended, Error> {
        const INSERT: &str =
            "INSERT INTO purse_rules (id, digest, body, published_at) VALUES ($1, $2, $3, $4)";
        self.publish(INSERT, "purse rules published", id, digest, text)
            .await
    }

    async fn publish(
        &mut self,
        insert: &'static str,
        action: &'static str,
        id: &str,
        digest: Digest,
        text: &str,
    ) -> Result<Appended, Error> {
        let at = self.millis();
        write_on_engine!(self, |c| sqlx::query(insert)
            .bind(id)
            .bind(digest.as_bytes().to_vec())
            .bind(text)
            .bind(at)
            .execute(c))
        .map_err(|e| e.of("rule set"))?;
        self.append(Entry {
            role: "programme",
            actor: "issuer",
            action,
            subject: id,
            detail: &format!(r#"{{"digest":"{digest}"}}"#),
        })
        .await
    }
}
