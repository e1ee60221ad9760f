//! What a holder was served with: the cards that were handed over, and the changes that were written at a counter.
//!
//! Left out: who served, and when: an evaluation keeps neither.

use issuer_store::Snapshot;
use permit_domain::{ApplicationId, ApplicationState, ChangeState, Digest, Division, OrderState, Way};

use crate::error::OfficeError;
use crate::on_file;

/// What a holder was served with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceKind {
    /// The first card of a permit.
    FirstIssue,
    /// Another card.
    Replacement,
    /// A change of the card at the counter: endorsement, tier, address.
    Change,
}

impl ServiceKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::FirstIssue, Self::Replacement, Self::Change];

    /// The name in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FirstIssue => "FIRST_ISSUE",
            Self::Replacement => "REPLACEMENT",
            Self::Change => "CHANGE",
        }
    }
}

/// A service that a holder was given, and where.
pub(crate) struct Service {
    pub(crate) kind: ServiceKind,
    pub(crate) division: Division,
    /// Digest that stands for it once it is evaluated.
    pub(crate) mark: [u8; 32],
}

/// The newest service that the holder was given and did not evaluate: a card, or a change of it at the counter.
pub(crate) async fn to_evaluate(
    ledger: &mut Snapshot,
    id: ApplicationId,
) -> Result<Option<Service>, OfficeError> {
    let key = ledger.slip_key().await?;
    let case = on_file::application(ledger, id).await?;
    let ApplicationState::Approved { permit, .. } = case.application.state() else {
        return Ok(None);
    };
    let orders = ledger.orders_of_permit(*permit).await?;
    let mut services: Vec<(ServiceKind, [u8; 16])> = orders
        .iter()
        .filter(|order| matches!(order.state(), OrderState::HandedOver { .. }))
        .enumerate()
        .map(|(index, order)| {
            let kind = if index == 0 {
                ServiceKind::FirstIssue
            } else {
                ServiceKind::Replacement
            };
            (kind, *order.id().as_bytes())
        })
        .collect();
    for stored in ledger.changes_of_permit(*permit).await? {
        if matches!(
            stored.change.state(),
            ChangeState::Done {
                way: Way::Counter,
                ..
            }
        ) {
            services.push((ServiceKind::Change, *stored.change.id().as_bytes()));
        }
    }
    // Ids begin with the time at which they were made.
    services.sort_by_key(|(_, id)| *id);
    for (kind, service) in services.into_iter().rev() {
        let mark = mark(&key, &service);
        if !ledger.is_evaluated(&mark).await? {
            return Ok(Some(Service {
                kind,
                division: case.applicant.residence.division,
                mark,
            }));
        }
    }
    Ok(None)
}

/// What stands for a service once it is evaluated: nobody finds it from an id without the office's secret.
fn mark(key: &[u8; 32], service: &[u8; 16]) -> [u8; 32] {
    *Digest::of(&[&key[..], b"YZT-EVALUATED-1", service].concat()).as_bytes()
}
