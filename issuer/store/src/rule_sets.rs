//! Published rule sets: their text as it was when the first decision used it.

use jiff::Timestamp;
use permit_domain::Digest;
use permit_rules::RuleSet;

use crate::{
    Error, Store,
    ledger::{Entry, append, writing},
    rows::{instant, millis, present},
    store::on_engine,
};

/// A rule set as published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedRuleSet {
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

const SELECT: &str = "SELECT digest, body, published_at FROM rule_sets WHERE id = $1";

/// 32 bytes.
pub(crate) fn digest(bytes: Vec<u8>, what: &str) -> Result<Digest, Error> {
    let bytes = bytes.try_into().map_err(|_| Error::Damaged {
        what: what.to_owned(),
    })?;
    Ok(Digest::from_bytes(bytes))
}

impl Store {
    /// Publishes a rule set: its text is kept for good. The same text again changes nothing.
    ///
    /// # Errors
    /// [`permit_domain::Error::RuleSetEdited`] if another text was published under the id; outages.
    pub async fn publish_rule_set(&self, set: &RuleSet, at: Timestamp) -> Result<(), Error> {
        const INSERT: &str = "INSERT INTO rule_sets (id, digest, body, published_at) VALUES ($1, $2, $3, $4)";
        let known = |row: &Row| -> Result<(), Error> {
            let published = digest(row.digest.clone(), "rule_sets.digest")?;
            if published == set.digest() {
                return Ok(());
            }
            let id = set.id().to_owned();
            Err(permit_domain::Error::RuleSetEdited {
                id,
                published,
                now: set.digest(),
            }
            .into())
        };
        // The usual case needs no writer.
        let row: Option<Row> = on_engine!(self, |pool| sqlx::query_as(SELECT)
            .bind(set.id())
            .fetch_optional(pool)
            .await?);
        if let Some(row) = row {
            return known(&row);
        }
        let detail = format!(r#"{{"digest":"{}"}}"#, set.digest());
        writing!(self, |tx, head| {
            let row: Option<Row> = sqlx::query_as(SELECT)
                .bind(set.id())
                .fetch_optional(&mut *tx)
                .await?;
            if let Some(row) = row {
                known(&row)?;
            } else {
                sqlx::query(INSERT)
                    .bind(set.id())
                    .bind(set.digest().as_bytes().to_vec())
                    .bind(set.text())
                    .bind(millis(at))
                    .execute(&mut *tx)
                    .await?;
                append!(
                    tx,
                    head,
                    at,
                    Entry {
                        role: "programme",
                        actor: "issuer",
                        action: "rule set published",
                        subject: set.id(),
                        detail: &detail,
                    }
                );
            }
        });
        Ok(())
    }

    /// A rule set as published.
    ///
    /// # Errors
    /// Outages; [`Error::Damaged`] if text and digest do not fit.
    pub async fn published_rule_set(&self, id: &str) -> Result<Option<PublishedRuleSet>, Error> {
        let row: Option<Row> = on_engine!(self, |pool| sqlx::query_as(SELECT)
            .bind(id)
            .fetch_optional(pool)
            .await?);
        let Some(row) = row else { return Ok(None) };
        let digest = digest(row.digest, "rule_sets.digest")?;
        present(
            (Digest::of(row.body.as_bytes()) == digest).then_some(()),
            "rule_sets.body",
        )?;
        let published_at = instant(row.published_at, "rule_sets.published_at")?;
        Ok(Some(PublishedRuleSet {
            digest,
            text: row.body,
            published_at,
        }))
    }
}
