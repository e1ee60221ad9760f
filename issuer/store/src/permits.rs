//! Permits: one row for each, one that has not ended for each person.

use permit_domain::{Grant, Permit, PermitId, PermitState, PersonId};

use crate::{
    error::Error,
    rows::{damaged, present_date, present_value, value},
    transaction::{Snapshot, Transaction, on_engine, write_on_engine},
};

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    person: String,
    application: String,
    tier: String,
    rule_set: String,
    anchor: String,
    valid_from: String,
    valid_to: String,
    state: String,
    order_id: Option<String>,
    state_on: Option<String>,
    end_reason: Option<String>,
    version: i64,
}

impl TryFrom<Row> for Permit {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let order = || present_value(row.order_id.as_deref(), "permits.order_id");
        let on = || present_date(row.state_on.as_deref(), "permits.state_on");
        let state = match row.state.as_str() {
            "APPROVED" => PermitState::Approved,
            "IN_PRODUCTION" => PermitState::InProduction { order: order()? },
            "PRODUCED" => PermitState::Produced { order: order()? },
            "ACTIVE" => PermitState::Active { since: on()? },
            "SUSPENDED" => PermitState::Suspended { since: on()? },
            "ENDED" => PermitState::Ended {
                on: on()?,
                reason: present_value(row.end_reason.as_deref(), "permits.end_reason")?,
            },
            _ => {
                return Err(damaged("permits.state"));
            }
        };
        let grant = Grant {
            person: value(&row.person, "permits.person")?,
            application: value(&row.application, "permits.application")?,
            tier: value(&row.tier, "permits.tier")?,
            rule_set: row.rule_set,
            anchor: value(&row.anchor, "permits.anchor")?,
            valid_from: value(&row.valid_from, "permits.valid_from")?,
            valid_to: value(&row.valid_to, "permits.valid_to")?,
        };
        Ok(Self::from_ledger(
            value(&row.id, "permits.id")?,
            grant,
            state,
            row.version,
        ))
    }
}

impl Snapshot {
    /// A permit.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn permit(&mut self, id: PermitId) -> Result<Option<Permit>, Error> {
        const SELECT: &str = "
            SELECT id, person, application, tier, rule_set, anchor, valid_from, valid_to, state, order_id, state_on,
                   end_reason, version
            FROM permits WHERE id = $1";
        let row: Option<Row> = on_engine!(self, |c| sqlx::query_as(SELECT)
            .bind(id.to_string())
            .fetch_optional(c))?;
        row.map(TryInto::try_into).transpose()
    }

    /// The permit of a person that has not ended: a unique index keeps it the only one.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn live_permit(&mut self, person: PersonId) -> Result<Option<Permit>, Error> {
        const LIVE: &str = "
            SELECT id, person, application, tier, rule_set, anchor, valid_from, valid_to, state, order_id, state_on,
                   end_reason, version
            FROM permits WHERE person = $1 AND state <> 'ENDED'";
        let row: Option<Row> = on_engine!(self, |c| sqlx::query_as(LIVE)
            .bind(person.to_string())
            .fetch_optional(c))?;
        row.map(TryInto::try_into).transpose()
    }
}

impl Transaction {
    /// Stores a permit after a transition. The entry of the ledger is that of the order or change that moved it, or the
    /// caller's.
    ///
    /// # Errors
    /// [`Error::Stale`] if the row changed since it was read, [`Error::Missing`]; outages.
    pub async fn update_permit(&mut self, permit: Permit) -> Result<Permit, Error> {
        const UPDATE: &str = "
            UPDATE permits SET tier = $1, rule_set = $2, valid_to = $3, state = $4, order_id = $5, state_on = $6,
                end_reason = $7, version = version + 1, changed_at = $8
            WHERE id = $9 AND version = $10";
        const KNOWN: &str = "SELECT count(*) FROM permits WHERE id = $1";
        let (at, id) = (self.millis(), permit.id().to_string());
        let (mut order, mut on, mut reason) = (None, None, None);
        match permit.state() {
            PermitState::Approved => {}
            PermitState::InProduction { order: of } | PermitState::Produced { order: of } => {
                order = Some(of.to_string());
            }
            PermitState::Active { since } | PermitState::Suspended { since } => on = Some(since.to_string()),
            PermitState::Ended {
                on: last,
                reason: why,
            } => {
                on = Some(last.to_string());
                reason = Some(why.name());
            }
        }
        let rows = write_on_engine!(self, |c| sqlx::query(UPDATE)
            .bind(permit.grant().tier.as_str())
            .bind(permit.grant().rule_set.as_str())
            .bind(permit.grant().valid_to.to_string())
            .bind(permit.state().name())
            .bind(order.clone())
            .bind(on.clone())
            .bind(reason)
            .bind(at)
            .bind(id.as_str())
            .bind(permit.version())
            .execute(c))?;
        self.written(rows, "permit", KNOWN, &id).await?;
        Ok(permit.newer())
    }
}
