//! Production orders and the records of their steps. Left out: the queue, couriers.

use jiff::Timestamp;
use permit_domain::{
    Actor as _, AllocatedCard, Approver, Content, Order, OrderId, OrderState, PermitId, Producer, Reviewer,
    SeparatedDuties,
};

use crate::{
    entry::Entry,
    error::Error,
    rows::{damaged, instant, present_date, present_value, value},
    transaction::{Appended, Snapshot, Transaction, on_engine, write_on_engine},
};

/// What a finished step left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRecord {
    /// The state that it led to, for example `ENCODED`.
    pub step: String,
    /// The role in which somebody acted.
    pub role: String,
    /// The account.
    pub actor: String,
    /// JSON of the issuer, without personal data: APDUs, bytes, milliseconds, paths.
    pub result: String,
    /// When.
    pub finished_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    permit: String,
    reviewer: String,
    approver: String,
    producer: String,
    content: Vec<u8>,
    content_digest: Vec<u8>,
    state: String,
    card_number: Option<String>,
    card_serial: Option<String>,
    clerk: Option<String>,
    handed_over_on: Option<String>,
    version: i64,
}

impl TryFrom<Row> for Order {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let content = Content::freeze(row.content);
        if content.digest().as_bytes().as_slice() != row.content_digest {
            return Err(damaged("orders.content"));
        }
        let reviewer: Reviewer = value(&row.reviewer, "orders.reviewer")?;
        let approver: Approver = value(&row.approver, "orders.approver")?;
        let producer: Producer = value(&row.producer, "orders.producer")?;
        let duties =
            SeparatedDuties::new(reviewer, approver, producer).map_err(|_| damaged("orders.producer"))?;
        let card = || -> Result<AllocatedCard, Error> {
            Ok(AllocatedCard {
                number: present_value(row.card_number.as_deref(), "orders.card_number")?,
                serial: present_value(row.card_serial.as_deref(), "orders.card_serial")?,
            })
        };
        let clerk = || present_value(row.clerk.as_deref(), "orders.clerk");
        let state = match row.state.as_str() {
            "ORDERED" => OrderState::Ordered,
            "ALLOCATED" => OrderState::Allocated { card: card()? },
            "ENCODING" => OrderState::Encoding { card: card()? },
            "ENCODED" => OrderState::Encoded { card: card()? },
            "DRAWN" => OrderState::Drawn { card: card()? },
            "VERIFIED" => OrderState::Verified { card: card()? },
            "HANDING_OVER" => OrderState::HandingOver {
                card: card()?,
                clerk: clerk()?,
            },
            "HANDED_OVER" => OrderState::HandedOver {
                card: card()?,
                clerk: clerk()?,
                on: present_date(row.handed_over_on.as_deref(), "orders.handed_over_on")?,
            },
            "GIVEN_UP" => OrderState::GivenUp {
                card: row.card_number.as_ref().map(|_| card()).transpose()?,
            },
            _ => return Err(damaged("orders.state")),
        };
        let (id, permit) = (value(&row.id, "orders.id")?, value(&row.permit, "orders.permit")?);
        Ok(Self::from_ledger(id, permit, duties, content, state, row.version))
    }
}

impl Snapshot {
    /// An order; its content is compared with its digest.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn order(&mut self, id: OrderId) -> Result<Option<Order>, Error> {
        const SELECT: &str = "
            SELECT id, permit, reviewer, approver, producer, content, content_digest, state, card_number, card_serial, clerk,
                   handed_over_on, version
            FROM orders WHERE id = $1";
        let row: Option<Row> = on_engine!(self, |c| sqlx::query_as(SELECT)
            .bind(id.to_string())
            .fetch_optional(c))?;
        row.map(TryInto::try_into).transpose()
    }

    /// The orders of a permit, oldest first.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn orders_of_permit(&mut self, permit: PermitId) -> Result<Vec<Order>, Error> {
        const OF: &str = "
            SELECT id, permit, reviewer, approver, producer, content, content_digest, state, card_number, card_serial, clerk,
                   handed_over_on, version
            FROM orders WHERE permit = $1 ORDER BY created_at, id";
        let rows: Vec<Row> = on_engine!(self, |c| sqlx::query_as(OF).bind(permit.to_string()).fetch_all(c))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The orders to resume after a restart: neither handed over nor given up, oldest first. Those whose state is
    /// [`OrderState::in_doubt`] need their card presented before anything else.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn running_orders(&mut self) -> Result<Vec<Order>, Error> {
        const RUNNING: &str = "
            SELECT id, permit, reviewer, approver, producer, content, content_digest, state, card_number, card_serial, clerk,
                   handed_over_on, version
            FROM orders WHERE state NOT IN ('HANDED_OVER', 'GIVEN_UP') ORDER BY created_at, id";
        let rows: Vec<Row> = on_engine!(self, |c| sqlx::query_as(RUNNING).fetch_all(c))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The order that was made last; `None` before the first.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn newest_order(&mut self) -> Result<Option<Order>, Error> {
        const NEWEST: &str = "
            SELECT id, permit, reviewer, approver, producer, content, content_digest, state, card_number, card_serial, clerk,
                   handed_over_on, version
            FROM orders ORDER BY created_at DESC, id DESC LIMIT 1";
        let row: Option<Row> = on_engine!(self, |c| sqlx::query_as(NEWEST).fetch_optional(c))?;
        row.map(TryInto::try_into).transpose()
    }

    /// What each step of an order left behind, oldest first. A resumed step has several records of its intent.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn order_steps(&mut self, order: OrderId) -> Result<Vec<StepRecord>, Error> {
        const STEPS: &str = "
            SELECT step, role, actor, result, finished_at FROM order_steps WHERE order_id = $1 ORDER BY position";
        let rows: Vec<(String, String, String, String, i64)> = on_engine!(self, |c| sqlx::query_as(STEPS)
            .bind(order.to_string())
            .fetch_all(c))?;
        rows.into_iter()
            .map(|(step, role, actor, result, at)| {
                let finished_at = instant(at, "order_steps.finished_at")?;
                Ok(StepRecord {
                    step,
                    role,
                    actor,
                    result,
                    finished_at,
                })
            })
            .collect()
    }
}

impl Transaction {
    /// Stores a new order.
    ///
    /// # Errors
    /// [`Error::Exists`] for a used id, or a permit with an order that runs; [`Error::Missing`] for an unknown permit;
    /// [`permit_domain::Error::WrongState`] for an order that is not new; outages.
    pub async fn insert_order(&mut self, order: &Order) -> Result<Appended, Error> {
        const INSERT: &str = "
            INSERT INTO orders (id, permit, reviewer, approver, producer, content, content_digest, state, version,
                                created_at, changed_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, 'ORDERED', 1, $8, $9)";
        if !matches!(order.state(), OrderState::Ordered) {
            return Err(wrong(order, "storing it as new"));
        }
        let (at, id, duties) = (self.millis(), order.id().to_string(), order.duties());
        write_on_engine!(self, |c| sqlx::query(INSERT)
            .bind(id.as_str())
            .bind(order.permit().to_string())
            .bind(duties.reviewer().staff().as_str())
            .bind(duties.approver().staff().as_str())
            .bind(duties.producer().staff().as_str())
            .bind(order.content().bytes().to_vec())
            .bind(order.content().digest().as_bytes().to_vec())
            .bind(at)
            .bind(at)
            .execute(c))
        .map_err(|e| e.of("production order"))?;
        self.append(Entry {
            role: Producer::ROLE,
            actor: duties.producer().staff().as_str(),
            action: "production ORDERED",
            subject: &id,
            detail: &format!(
                r#"{{"permit":"{}","content":"{}"}}"#,
                order.permit(),
                order.content().digest()
            ),
        })
        .await
    }

    /// Stores an order after a transition, with the record of its step by whoever did it. `result` is JSON of the issuer,
    /// without personal data.
    ///
    /// # Errors
    /// [`Error::Stale`] if the row changed since it was read; [`Error::Missing`];
    /// [`permit_domain::Error::WrongState`] for one that is new; outages.
    pub async fn update_order(
        &mut self,
        order: Order,
        (role, actor): (&str, &str),
        result: &str,
    ) -> Result<(Order, Appended), Error> {
        const UPDATE: &str = "
            UPDATE orders SET state = $1, card_number = COALESCE($2, card_number),
                card_serial = COALESCE($3, card_serial), clerk = $4, handed_over_on = $5, version = version + 1,
                changed_at = $6
            WHERE id = $7 AND version = $8";
        const KNOWN: &str = "SELECT count(*) FROM orders WHERE id = $1";
        const INSERT_STEP: &str = "
            INSERT INTO order_steps (order_id, position, step, role, actor, result, finished_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7)";
        if matches!(order.state(), OrderState::Ordered) {
            return Err(wrong(&order, "storing it as advanced"));
        }
        let (at, id, card) = (self.millis(), order.id().to_string(), order.state().card());
        let (clerk, on) = match order.state() {
            OrderState::HandingOver { clerk, .. } => (Some(clerk.staff().as_str()), None),
            OrderState::HandedOver { clerk, on, .. } => (Some(clerk.staff().as_str()), Some(on.to_string())),
            _ => (None, None),
        };
        let rows = write_on_engine!(self, |c| sqlx::query(UPDATE)
            .bind(order.state().name())
            .bind(card.map(|card| card.number.to_string()))
            .bind(card.map(|card| card.serial.to_string()))
            .bind(clerk)
            .bind(on.clone())
            .bind(at)
            .bind(id.as_str())
            .bind(order.version())
            .execute(c))?;
        self.written(rows, "production order", KNOWN, &id).await?;
        write_on_engine!(self, |c| sqlx::query(INSERT_STEP)
            .bind(id.as_str())
            .bind(order.version() + 1)
            .bind(order.state().name())
            .bind(role)
            .bind(actor)
            .bind(result)
            .bind(at)
            .execute(c))?;
        let appended = self
            .append(Entry {
                role,
                actor,
                action: &format!("production {}", order.state().name()),
                subject: &id,
                detail: &card.map_or_else(
                    || "{}".to_owned(),
                    |card| format!(r#"{{"card":"{}"}}"#, card.number),
                ),
            })
            .await?;
        Ok((order.newer(), appended))
    }
}

fn wrong(order: &Order, wanted: &'static str) -> Error {
    permit_domain::Error::WrongState {
        thing: "production order",
        state: order.state().name(),
        wanted,
    }
    .into()
}
