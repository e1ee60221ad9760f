//! A change as commands show it.

use issuer_office::error::OfficeError;
use issuer_office::office::Office;
use issuer_store::StoredCardChange;
use permit_domain::{Actor as _, ChangeId, ChangeState};
use program_contract::{Failure, Outcome};
use serde::Serialize;

/// A change as programs see it. Never a person's data.
#[derive(Serialize)]
pub(super) struct ChangeNow {
    pub(super) change_id: String,
    pub(super) permit_id: String,
    pub(super) card_number: String,
    pub(super) kind: &'static str,
    pub(super) state: &'static str,
    pub(super) in_doubt: bool,
    pub(super) clerk: String,
    pub(super) approver: Option<String>,
    pub(super) way: Option<&'static str>,
    pub(super) amount: Option<u32>,
    pub(super) loaded: Option<u32>,
    /// The last day on which it may be signed off, queued or begun at a counter.
    pub(super) holds_until: Option<String>,
    /// The permit's last day as it is decided, and the one that its card shows.
    pub(super) decided_until: String,
    pub(super) card_until: Option<String>,
}

impl ChangeNow {
    pub(super) async fn of(office: &Office, stored: &StoredCardChange) -> Result<Self, OfficeError> {
        let change = &stored.change;
        let permit = office.permit(change.permit()).await?;
        let card = office.card(&change.card().number).await?;
        Ok(Self {
            change_id: change.id().to_string(),
            permit_id: change.permit().to_string(),
            card_number: change.card().number.to_string(),
            kind: change.kind().name(),
            state: change.state().name(),
            in_doubt: matches!(change.state(), ChangeState::Writing),
            clerk: change.clerk().staff().to_string(),
            approver: change.approver().map(|a| a.staff().to_string()),
            way: match change.state() {
                ChangeState::Done { way, .. } => Some(way.name()),
                _ => None,
            },
            amount: stored.load.as_ref().map(|load| load.amount),
            loaded: stored.load.as_ref().map(|load| load.loaded),
            holds_until: change.holds_until().map(|day| day.to_string()),
            decided_until: permit.grant().valid_to.to_string(),
            card_until: card.until.map(|day| day.to_string()),
        })
    }
}

pub(super) async fn shown(
    schema: &'static str,
    office: &Office,
    stored: &StoredCardChange,
) -> Result<Outcome, Failure> {
    let now = ChangeNow::of(office, stored).await?;
    let mut lines = vec![format!("{} {} {}", now.change_id, now.kind, now.state)];
    lines.push(format!(
        "decided until {}, on the card until {}",
        now.decided_until,
        now.card_until.as_deref().unwrap_or("-")
    ));
    if let (false, Some(day)) = (stored.change.state().is_over(), &now.holds_until) {
        lines.push(format!(
            "to be signed off and written by {day}; behind it, it expires"
        ));
    }
    if let ChangeState::Proposed = stored.change.state() {
        lines.push(format!(
            "A second person signs it off: issuer change approve --id {}",
            now.change_id
        ));
    }
    Outcome::done(schema, &now, lines)
}

/// Says with a failure which change it left where.
pub(super) async fn about(office: &Office, id: ChangeId, mut failure: Failure) -> Failure {
    if let Ok(stored) = office.change(id).await {
        failure.fields.insert("change_id".into(), id.to_string().into());
        failure
            .fields
            .insert("state".into(), stored.change.state().name().into());
        let in_doubt = matches!(stored.change.state(), ChangeState::Writing);
        failure.fields.insert("in_doubt".into(), in_doubt.into());
    }
    failure
}
