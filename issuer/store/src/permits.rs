//! Permits: one row for each, one that has not ended for each person.

use jiff::Timestamp;
use permit_domain::{Grant, Permit, PermitId, PermitState, PersonId, StaffId};

use crate::{
    Error, Store,
    applications::follows,
    ledger::{Entry, append, writing},
    rows::{present_date, present_value, value},
    store::on_engine,
};

pub(crate) const LIVE_PERMIT_ID: &str = "SELECT id FROM permits WHERE person = $1 AND state <> 'ENDED'";
pub(crate) const INSERT: &str = "
    INSERT INTO permits (id, person, application, tier, rule_set, valid_from, valid_to, state, version, created_at,
                         changed_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, 'APPROVED', 1, $8, $9)";
pub(crate) const SELECT: &str = "
    SELECT id, person, application, tier, rule_set, valid_from, valid_to, state, order_id, state_on, end_reason,
           version
    FROM permits WHERE id = $1";
pub(crate) const UPDATE: &str = "
    UPDATE permits SET state = $1, order_id = $2, state_on = $3, end_reason = $4, valid_to = $5,
        version = version + 1, changed_at = $6
    WHERE id = $7 AND version = $8";

#[derive(sqlx::FromRow)]
pub(crate) struct Row {
    id: String,
    person: String,
    application: String,
    tier: String,
    rule_set: String,
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
                return Err(Error::Damaged {
                    what: "permits.state".to_owned(),
                });
            }
        };
        let grant = Grant {
            person: value(&row.person, "permits.person")?,
            application: value(&row.application, "permits.application")?,
            tier: value(&row.tier, "permits.tier")?,
            rule_set: row.rule_set,
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

/// The columns of a state.
#[derive(Default)]
pub(crate) struct Columns {
    pub(crate) order: Option<String>,
    pub(crate) on: Option<String>,
    pub(crate) reason: Option<&'static str>,
}

pub(crate) fn columns(state: &PermitState) -> Columns {
    let mut c = Columns::default();
    match state {
        PermitState::Approved => {}
        PermitState::InProduction { order } | PermitState::Produced { order } => {
            c.order = Some(order.to_string());
        }
        PermitState::Active { since } | PermitState::Suspended { since } => c.on = Some(since.to_string()),
        PermitState::Ended { on, reason } => {
            c.on = Some(on.to_string());
            c.reason = Some(reason.name());
        }
    }
    c
}

/// Stores a permit after a transition, in the transaction, without an entry of the ledger.
macro_rules! update_permit {
    ($tx:ident, $permit:expr, $at:expr) => {{
        let permit: &permit_domain::Permit = $permit;
        let c = $crate::permits::columns(permit.state());
        sqlx::query($crate::permits::UPDATE)
            .bind(permit.state().name())
            .bind(c.order)
            .bind(c.on)
            .bind(c.reason)
            .bind(permit.grant().valid_to.to_string())
            .bind($crate::rows::millis($at))
            .bind(permit.id().to_string())
            .bind(permit.version())
            .execute(&mut *$tx)
            .await?;
    }};
}
pub(crate) use update_permit;

impl Store {
    /// A permit.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn permit(&self, id: PermitId) -> Result<Option<Permit>, Error> {
        let row: Option<Row> = on_engine!(self, |pool| sqlx::query_as(SELECT)
            .bind(id.to_string())
            .fetch_optional(pool)
            .await?);
        row.map(TryInto::try_into).transpose()
    }

    /// The permit of a person that has not ended.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn live_permit(&self, person: PersonId) -> Result<Option<Permit>, Error> {
        let id: Option<String> = on_engine!(self, |pool| {
            sqlx::query_scalar(LIVE_PERMIT_ID)
                .bind(person.to_string())
                .fetch_optional(pool)
                .await?
        });
        match id {
            Some(id) => self.permit(value(&id, "permits.id")?).await,
            None => Ok(None),
        }
    }

    /// Stores a permit after a suspension, a restoration or its end. Production and hand-over go by the order.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::Missing`]; [`permit_domain::Error::WrongState`] for a state of production; outages.
    pub async fn save_permit(&self, permit: Permit, by: &StaffId, at: Timestamp) -> Result<Permit, Error> {
        const STATE: &str = "SELECT state, version FROM permits WHERE id = $1";
        let before: &[&str] = match permit.state() {
            PermitState::Suspended { .. } => &["ACTIVE"],
            PermitState::Active { .. } => &["SUSPENDED"],
            PermitState::Ended { .. } => &["APPROVED", "ACTIVE", "SUSPENDED"],
            state => {
                let wanted = "storing it without its order";
                return Err(permit_domain::Error::WrongState {
                    thing: "permit",
                    state: state.name(),
                    wanted,
                }
                .into());
            }
        };
        let id = permit.id().to_string();
        let action = format!("permit {}", permit.state().name());
        writing!(self, |tx, head| {
            let found: Option<(String, i64)> = sqlx::query_as(STATE)
                .bind(id.as_str())
                .fetch_optional(&mut *tx)
                .await?;
            follows("permit", found, permit.version(), before)?;
            update_permit!(tx, &permit, at);
            append!(
                tx,
                head,
                at,
                Entry {
                    role: "officer",
                    actor: by.as_str(),
                    action: &action,
                    subject: &id,
                    detail: "{}",
                }
            );
        });
        let version = permit.version() + 1;
        Ok(Permit::from_ledger(
            permit.id(),
            permit.grant().clone(),
            permit.state().clone(),
            version,
        ))
    }
}
