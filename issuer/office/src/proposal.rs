//! What the second of two people reads and signs: a change as it is proposed, whole, with the digest that stands for it.
//!
//! The digest covers everything that is shown and everything that is written, so that nobody signs off what they did not
//! read. Left out: signing itself ([`crate::changes`]), and who may read it (the doors know).

use issuer_store::StoredCardChange;
use jiff::civil::Date;
use permit_domain::{Applicant, ApplicantForm, ChangeId, Decision, Digest, Grant};
use serde::Serialize;

use crate::error::{ContentError, OfficeError};
use crate::office::Office;
use crate::on_file;

/// A change as it was proposed, and what it stands against.
#[derive(Debug, Clone)]
pub struct Proposed {
    /// The change.
    pub stored: StoredCardChange,
    /// What the permit grants now.
    pub grant: Grant,
    /// The holder's facts that are on file now.
    pub facts: Applicant,
    /// The last day that the card shows now.
    pub card_until: Option<Date>,
    /// SHA-256 that stands for all of it.
    pub content: Digest,
}

impl Proposed {
    /// The fields of the holder's facts that the change brings and that differ from those on file: name, old and new value.
    #[must_use]
    pub fn newer_facts(&self) -> Vec<(String, serde_json::Value, serde_json::Value)> {
        let Some(newer) = &self.stored.applicant else {
            return Vec::new();
        };
        let as_object = |applicant: &Applicant| {
            let form = serde_json::to_value(ApplicantForm::from(applicant)).unwrap_or_default();
            form.as_object().cloned().unwrap_or_default()
        };
        let (old, new) = (as_object(&self.facts), as_object(newer));
        let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
        names.sort_unstable();
        names.dedup();
        names
            .into_iter()
            .filter(|name| old.get(*name) != new.get(*name))
            .map(|name| {
                let value = |of: &serde_json::Map<_, _>| of.get(name).cloned().unwrap_or_default();
                (name.clone(), value(&old), value(&new))
            })
            .collect()
    }
}

impl Office {
    /// A change as it was proposed, for whoever signs it off.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`]; the ledger's.
    pub async fn proposal(&self, id: ChangeId) -> Result<Proposed, OfficeError> {
        let mut ledger = self.read().await?;
        let stored = on_file::change(&mut ledger, id).await?;
        let permit = on_file::permit(&mut ledger, stored.change.permit()).await?;
        let (facts, _) = on_file::facts_of(&mut ledger, &permit).await?;
        let card = on_file::card_of(&mut ledger, &stored.change).await?;
        Ok(Proposed {
            content: content_to_sign(&stored)?,
            grant: permit.grant().clone(),
            facts,
            card_until: card.until,
            stored,
        })
    }
}

/// Everything of a change that a second person signs off.
#[derive(Serialize)]
struct ToSign<'a> {
    version: u8,
    change: String,
    permit: String,
    card: &'a str,
    kind: &'static str,
    clerk: &'a str,
    holds_until: Option<Date>,
    permit_version: i64,
    decision: Option<&'a Decision>,
    applicant: Option<ApplicantForm>,
    /// What is written onto the card.
    content: String,
}

/// SHA-256 of what a second person signs off: kind, permit, card, decision, newer facts, and what is written onto the card.
///
/// # Errors
/// [`ContentError::Unreadable`].
pub(crate) fn content_to_sign(stored: &StoredCardChange) -> Result<Digest, OfficeError> {
    let change = &stored.change;
    let to_sign = ToSign {
        version: 1,
        change: change.id().to_string(),
        permit: change.permit().to_string(),
        card: change.card().number.as_str(),
        kind: change.kind().name(),
        clerk: permit_domain::Actor::staff(change.clerk()).as_str(),
        holds_until: change.holds_until(),
        permit_version: stored.permit_version,
        decision: stored.decision.as_ref(),
        applicant: stored.applicant.as_ref().map(ApplicantForm::from),
        content: change.content().digest().to_string(),
    };
    let bytes = serde_json::to_vec(&to_sign).map_err(|_| ContentError::Unreadable)?;
    Ok(Digest::of(&bytes))
}
