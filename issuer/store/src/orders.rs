//! Production orders, cards, card numbers and the stock of blanks.
//!
//! Each step of an order is one transaction: order, card, permit, step record and ledger move together, and the next
//! step begins only when it returned. A number is drawn, and a blank leaves the stock, in one transaction with the card
//! that they become. Left out: the queue, couriers, counting of the stock.

use jiff::Timestamp;
use permit_domain::{
    Actor as _, AllocatedCard, Approver, CardNumber, CardSerial, CardState, Chip, Content, Denial, EndOfCard,
    Order, OrderId, OrderState, Permit, PermitId, PermitState, Producer, Province, Reviewer, SeparatedDuties,
    StaffId, Standing,
};

use crate::{
    Error, Store,
    applications::follows,
    ledger::{Entry, append, writing},
    permits::{self, update_permit},
    rows::{instant, millis, present_date, present_value, value},
    store::on_engine,
};

/// A card of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Printed on it.
    pub number: CardNumber,
    /// Of its chip.
    pub serial: CardSerial,
    /// The permit that it was made for.
    pub permit: PermitId,
    /// The order that made it.
    pub order: OrderId,
    /// Where it stands.
    pub state: CardState,
    /// On the deny lists.
    pub denial: Denial,
    /// What the office knows of its chip.
    pub chip: Chip,
    /// Grows with every stored change.
    pub version: i64,
}

impl Card {
    /// Where it stands in all three.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        Standing::new(self.state, self.denial, self.chip)
    }

    /// The standing of a card that its holder uses.
    #[must_use]
    pub const fn standing_in_use(&self) -> Standing {
        Standing::new(CardState::HandedOver, Denial::No, Chip::Open)
    }
}

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

/// The stock of blanks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stock {
    /// Ready to be used.
    pub in_stock: i64,
    /// Used, well or badly.
    pub allocated: i64,
    /// Called back by the maker or us.
    pub recalled: i64,
}

const SELECT: &str = "
    SELECT id, permit, reviewer, approver, producer, content, content_digest, state, card_number, card_serial, clerk,
           handed_over_on, version
    FROM orders WHERE id = $1";

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
        let damaged = |what: &str| Error::Damaged {
            what: what.to_owned(),
        };
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

/// The states that may stand before this one.
const fn before(state: &OrderState) -> &'static [&'static str] {
    match state {
        OrderState::Ordered => &[],
        OrderState::Allocated { .. } => &["ORDERED"],
        OrderState::Encoding { .. } => &["ALLOCATED", "ENCODING"],
        OrderState::Encoded { .. } => &["ENCODING"],
        OrderState::Drawn { .. } => &["ENCODED"],
        OrderState::Verified { .. } => &["DRAWN"],
        OrderState::HandingOver { .. } => &["VERIFIED", "HANDING_OVER"],
        OrderState::HandedOver { .. } => &["HANDING_OVER"],
        OrderState::GivenUp { .. } => &["ORDERED", "ALLOCATED", "ENCODING", "ENCODED", "DRAWN", "VERIFIED"],
    }
}

const FOUND: &str = "SELECT state, version FROM orders WHERE id = $1";
const UPDATE: &str = "
    UPDATE orders SET state = $1, card_number = COALESCE($2, card_number), card_serial = COALESCE($3, card_serial),
        clerk = $4, handed_over_on = $5, version = version + 1, changed_at = $6
    WHERE id = $7 AND version = $8";
const UPDATE_CARD: &str =
    "UPDATE cards SET state = $1, version = version + 1, changed_at = $2 WHERE number = $3 AND state <> $4";
pub(crate) const CARD_BY_NUMBER: &str =
    "SELECT number, serial, permit, order_id, state, denial, chip, version FROM cards WHERE number = $1";
const INSERT_STEP: &str = "
    INSERT INTO order_steps (order_id, position, step, role, actor, result, finished_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// Stores an order after a transition, with its step record and its entry of the ledger, in the transaction.
macro_rules! update {
    ($tx:ident, $head:ident, $order:expr, $actor:expr, $result:expr, $at:expr) => {{
        let order: &Order = $order;
        let id = order.id().to_string();
        let found: Option<(String, i64)> = sqlx::query_as(FOUND)
            .bind(id.as_str())
            .fetch_optional(&mut *$tx)
            .await?;
        follows("production order", found, order.version(), before(order.state()))?;
        let card = order.state().card();
        let (clerk, on) = match order.state() {
            OrderState::HandingOver { clerk, .. } => (Some(clerk.staff().as_str()), None),
            OrderState::HandedOver { clerk, on, .. } => (Some(clerk.staff().as_str()), Some(on.to_string())),
            _ => (None, None),
        };
        sqlx::query(UPDATE)
            .bind(order.state().name())
            .bind(card.map(|c| c.number.to_string()))
            .bind(card.map(|c| c.serial.to_string()))
            .bind(clerk)
            .bind(on)
            .bind(millis($at))
            .bind(id.as_str())
            .bind(order.version())
            .execute(&mut *$tx)
            .await?;
        let (role, actor): (&str, &str) = $actor;
        sqlx::query(INSERT_STEP)
            .bind(id.as_str())
            .bind(order.version() + 1)
            .bind(order.state().name())
            .bind(role)
            .bind(actor)
            .bind($result)
            .bind(millis($at))
            .execute(&mut *$tx)
            .await?;
        let action = format!("production {}", order.state().name());
        let detail = card.map_or_else(|| "{}".to_owned(), |c| format!(r#"{{"card":"{}"}}"#, c.number));
        append!(
            $tx,
            $head,
            $at,
            Entry {
                role,
                actor,
                action: &action,
                subject: &id,
                detail: &detail
            }
        );
    }};
}

impl Store {
    /// Puts blanks into the stock.
    ///
    /// # Errors
    /// [`Error::Exists`] if one of the serials was ever in stock (then none is taken); outages.
    pub async fn receive_blanks(
        &self,
        serials: &[CardSerial],
        lot: &str,
        by: &StaffId,
        at: Timestamp,
    ) -> Result<(), Error> {
        const KNOWN: &str = "SELECT count(*) FROM blanks WHERE serial = $1";
        const INSERT: &str = "
            INSERT INTO blanks (serial, lot, state, received_at, changed_at) VALUES ($1, $2, 'IN_STOCK', $3, $4)";
        let detail = format!(r#"{{"blanks":{}}}"#, serials.len());
        writing!(self, |tx, head| {
            for serial in serials {
                let serial = serial.to_string();
                let known: i64 = sqlx::query_scalar(KNOWN)
                    .bind(serial.as_str())
                    .fetch_one(&mut *tx)
                    .await?;
                if known > 0 {
                    return Err(Error::Exists { what: "blank" });
                }
                sqlx::query(INSERT)
                    .bind(serial.as_str())
                    .bind(lot)
                    .bind(millis(at))
                    .bind(millis(at))
                    .execute(&mut *tx)
                    .await?;
            }
            append!(
                tx,
                head,
                at,
                Entry {
                    role: "stock keeper",
                    actor: by.as_str(),
                    action: "blanks RECEIVED",
                    subject: lot,
                    detail: &detail,
                }
            );
        });
        Ok(())
    }

    /// Calls back every blank of a lot that is still in stock. How many there were.
    ///
    /// # Errors
    /// Outages.
    pub async fn recall_lot(&self, lot: &str, by: &StaffId, at: Timestamp) -> Result<u64, Error> {
        const RECALL: &str =
            "UPDATE blanks SET state = 'RECALLED', changed_at = $1 WHERE lot = $2 AND state = 'IN_STOCK'";
        Ok(writing!(self, |tx, head| {
            let count = sqlx::query(RECALL)
                .bind(millis(at))
                .bind(lot)
                .execute(&mut *tx)
                .await?
                .rows_affected();
            let detail = format!(r#"{{"blanks":{count}}}"#);
            append!(
                tx,
                head,
                at,
                Entry {
                    role: "stock keeper",
                    actor: by.as_str(),
                    action: "blanks RECALLED",
                    subject: lot,
                    detail: &detail,
                }
            );
            count
        }))
    }

    /// How many blanks there are.
    ///
    /// # Errors
    /// Outages.
    pub async fn stock(&self) -> Result<Stock, Error> {
        const COUNT: &str = "SELECT state, count(*) FROM blanks GROUP BY state";
        let rows: Vec<(String, i64)> = on_engine!(self, |pool| sqlx::query_as(COUNT).fetch_all(pool).await?);
        let of = |state: &str| rows.iter().find(|r| r.0 == state).map_or(0, |r| r.1);
        Ok(Stock {
            in_stock: of("IN_STOCK"),
            allocated: of("ALLOCATED"),
            recalled: of("RECALLED"),
        })
    }

    /// Stores a new order; the permit goes into production by it.
    ///
    /// # Errors
    /// [`Error::OtherPeople`] unless the order's reviewer and approver are those of the permit's application;
    /// [`permit_domain::Error::WrongState`] unless the permit is approved; [`Error::Missing`]; outages.
    pub async fn order_production(&self, order: &Order, at: Timestamp) -> Result<Order, Error> {
        const DECIDED_BY: &str = "
            SELECT a.reviewer, a.approver FROM permits p JOIN applications a ON a.id = p.application
            WHERE p.id = $1 AND a.reviewer IS NOT NULL AND a.approver IS NOT NULL";
        const INSERT: &str = "
            INSERT INTO orders (id, permit, reviewer, approver, producer, content, content_digest, state, version,
                                created_at, changed_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, 'ORDERED', 1, $8, $9)";

        if !matches!(order.state(), OrderState::Ordered) {
            let (state, wanted) = (order.state().name(), "storing it as new");
            return Err(permit_domain::Error::WrongState {
                thing: "production order",
                state,
                wanted,
            }
            .into());
        }
        let (id, permit_id) = (order.id().to_string(), order.permit().to_string());
        let duties = order.duties();
        let (reviewer, approver) = (
            duties.reviewer().staff().as_str(),
            duties.approver().staff().as_str(),
        );
        let detail = format!(
            r#"{{"permit":"{permit_id}","content":"{}"}}"#,
            order.content().digest()
        );
        writing!(self, |tx, head| {
            let row: Option<permits::Row> = sqlx::query_as(permits::SELECT)
                .bind(permit_id.as_str())
                .fetch_optional(&mut *tx)
                .await?;
            let permit: Permit = row.ok_or(Error::Missing { what: "permit" })?.try_into()?;
            let decided: Option<(String, String)> = sqlx::query_as(DECIDED_BY)
                .bind(permit_id.as_str())
                .fetch_optional(&mut *tx)
                .await?;
            if decided.as_ref().map(|(r, a)| (r.as_str(), a.as_str())) != Some((reviewer, approver)) {
                return Err(Error::OtherPeople);
            }
            let permit = permit.change(|state| state.start_production(order.id()))?;
            update_permit!(tx, &permit, at);
            sqlx::query(INSERT)
                .bind(id.as_str())
                .bind(permit_id.as_str())
                .bind(reviewer)
                .bind(approver)
                .bind(duties.producer().staff().as_str())
                .bind(order.content().bytes().to_vec())
                .bind(order.content().digest().as_bytes().to_vec())
                .bind(millis(at))
                .bind(millis(at))
                .execute(&mut *tx)
                .await?;
            append!(
                tx,
                head,
                at,
                Entry {
                    role: Producer::ROLE,
                    actor: duties.producer().staff().as_str(),
                    action: "production ORDERED",
                    subject: &id,
                    detail: &detail,
                }
            );
        });
        Ok(order.clone())
    }

    /// An order; its content is compared with its digest.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn order(&self, id: OrderId) -> Result<Option<Order>, Error> {
        let row: Option<Row> = on_engine!(self, |pool| sqlx::query_as(SELECT)
            .bind(id.to_string())
            .fetch_optional(pool)
            .await?);
        row.map(TryInto::try_into).transpose()
    }

    /// The orders of a permit, oldest first.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn orders_of_permit(&self, permit: PermitId) -> Result<Vec<Order>, Error> {
        const OF: &str = "
            SELECT id, permit, reviewer, approver, producer, content, content_digest, state, card_number, card_serial,
                   clerk, handed_over_on, version
            FROM orders WHERE permit = $1 ORDER BY created_at, id";
        let rows: Vec<Row> = on_engine!(self, |pool| sqlx::query_as(OF)
            .bind(permit.to_string())
            .fetch_all(pool)
            .await?);
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The orders to resume after a restart: neither handed over nor given up, oldest first. Those whose state is
    /// [`OrderState::in_doubt`] need their card presented before anything else.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn running_orders(&self) -> Result<Vec<Order>, Error> {
        const RUNNING: &str = "
            SELECT id, permit, reviewer, approver, producer, content, content_digest, state, card_number, card_serial,
                   clerk, handed_over_on, version
            FROM orders WHERE state NOT IN ('HANDED_OVER', 'GIVEN_UP') ORDER BY created_at, id";
        let rows: Vec<Row> = on_engine!(self, |pool| sqlx::query_as(RUNNING).fetch_all(pool).await?);
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Draws the next card number of the province, takes the blank from the stock, and joins both to the order.
    ///
    /// # Errors
    /// [`Error::BlankNotInStock`], [`permit_domain::Error::CardNumbersExhausted`],
    /// [`permit_domain::Error::WrongState`] unless ordered, [`Error::Stale`]; outages. None of them spends a number.
    pub async fn allocate_card(
        &self,
        order: Order,
        province: Province,
        serial: CardSerial,
        at: Timestamp,
    ) -> Result<Order, Error> {
        const BLANK: &str = "SELECT state FROM blanks WHERE serial = $1";
        const TAKE: &str = "UPDATE blanks SET state = 'ALLOCATED', changed_at = $1 WHERE serial = $2";
        const LAST: &str = "SELECT last FROM card_counters WHERE province = $1";
        const FIRST: &str = "INSERT INTO card_counters (province, last) VALUES ($1, $2)";
        const NEXT: &str = "UPDATE card_counters SET last = $2 WHERE province = $1";
        const INSERT: &str = "
            INSERT INTO cards (number, serial, permit, order_id, state, version, created_at, changed_at)
            VALUES ($1, $2, $3, $4, 'ALLOCATED', 1, $5, $6)";

        let chip = serial.to_string();
        let (order_id, permit_id) = (order.id().to_string(), order.permit().to_string());
        let order = writing!(self, |tx, head| {
            let blank: Option<String> = sqlx::query_scalar(BLANK)
                .bind(chip.as_str())
                .fetch_optional(&mut *tx)
                .await?;
            match blank.as_deref() {
                Some("IN_STOCK") => {}
                Some("ALLOCATED") => {
                    return Err(Error::BlankNotInStock {
                        serial,
                        state: "ALLOCATED",
                    });
                }
                Some(_) => {
                    return Err(Error::BlankNotInStock {
                        serial,
                        state: "RECALLED",
                    });
                }
                None => {
                    return Err(Error::BlankNotInStock {
                        serial,
                        state: "UNKNOWN",
                    });
                }
            }
            let last: Option<i64> = sqlx::query_scalar(LAST)
                .bind(province.as_str())
                .fetch_optional(&mut *tx)
                .await?;
            let running = last.unwrap_or(0) + 1;
            let unsigned = u64::try_from(running).map_err(|_| Error::Damaged {
                what: "card_counters.last".to_owned(),
            })?;
            let number = CardNumber::new(province, unsigned)?;
            let printed = number.to_string();
            let order = order.allocate(number, serial)?;

            sqlx::query(if last.is_some() { NEXT } else { FIRST })
                .bind(province.as_str())
                .bind(running)
                .execute(&mut *tx)
                .await?;
            sqlx::query(TAKE)
                .bind(millis(at))
                .bind(chip.as_str())
                .execute(&mut *tx)
                .await?;
            update!(tx, head, &order, order.last_actor(), "{}", at);
            sqlx::query(INSERT)
                .bind(printed.as_str())
                .bind(chip.as_str())
                .bind(permit_id.as_str())
                .bind(order_id.as_str())
                .bind(millis(at))
                .bind(millis(at))
                .execute(&mut *tx)
                .await?;
            order
        });
        Ok(newer(&order))
    }

    /// Stores an order after any transition but the allocation. `result` is JSON of the issuer, without personal data.
    /// The card goes along; at `verified` the permit is produced, at `handed_over` it becomes active, at `give_up` it is
    /// free for another order and the card is damaged.
    ///
    /// # Errors
    /// [`Error::Stale`] if the row changed since it was read or the state does not follow; [`Error::Missing`]; outages.
    pub async fn advance_order(&self, order: Order, result: &str, at: Timestamp) -> Result<Order, Error> {
        if matches!(order.state(), OrderState::Ordered | OrderState::Allocated { .. }) {
            let (state, wanted) = (order.state().name(), "storing it as advanced");
            return Err(permit_domain::Error::WrongState {
                thing: "production order",
                state,
                wanted,
            }
            .into());
        }
        let (role, actor) = order.last_actor();
        self.advance_as(&order, (role, actor), result, at).await
    }

    /// Stores an order that was given up, by the producer who did it: not always the one who ordered it. `result` as in
    /// [`Store::advance_order`].
    ///
    /// # Errors
    /// [`permit_domain::Error::WrongState`] for an order in another state; else as [`Store::advance_order`].
    pub async fn give_up_order(
        &self,
        order: Order,
        by: &Producer,
        result: &str,
        at: Timestamp,
    ) -> Result<Order, Error> {
        if !matches!(order.state(), OrderState::GivenUp { .. }) {
            let (state, wanted) = (order.state().name(), "storing it as given up");
            return Err(permit_domain::Error::WrongState {
                thing: "production order",
                state,
                wanted,
            }
            .into());
        }
        self.advance_as(&order, (Producer::ROLE, by.staff().as_str()), result, at)
            .await
    }

    async fn advance_as(
        &self,
        order: &Order,
        (role, actor): (&str, &str),
        result: &str,
        at: Timestamp,
    ) -> Result<Order, Error> {
        let permit_id = order.permit().to_string();
        let id = order.id();
        writing!(self, |tx, head| {
            update!(tx, head, order, (role, actor), result, at);
            if let (Some(card), Some(state)) = (order.state().card(), order.state().card_state()) {
                sqlx::query(UPDATE_CARD)
                    .bind(state.name())
                    .bind(millis(at))
                    .bind(card.number.as_str())
                    .bind(state.name())
                    .execute(&mut *tx)
                    .await?;
            }
            let transition: Option<Box<dyn FnOnce(PermitState) -> _ + Send>> = match order.state() {
                OrderState::Verified { .. } => Some(Box::new(move |p: PermitState| p.produced(id))),
                OrderState::HandedOver { on, .. } => {
                    let on = *on;
                    Some(Box::new(move |p: PermitState| p.hand_over(id, on)))
                }
                OrderState::GivenUp { .. } => Some(Box::new(move |p: PermitState| p.production_given_up(id))),
                _ => None,
            };
            if let Some(transition) = transition {
                let row: Option<permits::Row> = sqlx::query_as(permits::SELECT)
                    .bind(permit_id.as_str())
                    .fetch_optional(&mut *tx)
                    .await?;
                let permit: Permit = row.ok_or(Error::Missing { what: "permit" })?.try_into()?;
                let permit = permit.change(transition)?;
                update_permit!(tx, &permit, at);
                let action = format!("permit {}", permit.state().name());
                append!(
                    tx,
                    head,
                    at,
                    Entry {
                        role,
                        actor,
                        action: &action,
                        subject: &permit_id,
                        detail: "{}",
                    }
                );
            }
        });
        Ok(newer(order))
    }

    /// What each step of an order left behind, oldest first. A resumed step has several records of its intent.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn order_steps(&self, order: OrderId) -> Result<Vec<StepRecord>, Error> {
        const STEPS: &str = "
            SELECT step, role, actor, result, finished_at FROM order_steps WHERE order_id = $1 ORDER BY position";
        let rows: Vec<(String, String, String, String, i64)> = on_engine!(self, |pool| sqlx::query_as(STEPS)
            .bind(order.to_string())
            .fetch_all(pool)
            .await?);
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

    /// A card by its number.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn card(&self, number: &CardNumber) -> Result<Option<Card>, Error> {
        let row: Option<CardRow> = on_engine!(self, |pool| {
            sqlx::query_as(CARD_BY_NUMBER)
                .bind(number.as_str())
                .fetch_optional(pool)
                .await?
        });
        row.map(TryInto::try_into).transpose()
    }

    /// A card by the serial of its chip: how hand-over opens the case.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn card_by_serial(&self, serial: CardSerial) -> Result<Option<Card>, Error> {
        const BY_SERIAL: &str = "SELECT number, serial, permit, order_id, state, denial, chip, version FROM cards WHERE serial = $1";
        let row: Option<CardRow> = on_engine!(self, |pool| {
            sqlx::query_as(BY_SERIAL)
                .bind(serial.to_string())
                .fetch_optional(pool)
                .await?
        });
        row.map(TryInto::try_into).transpose()
    }

    /// The cards of a permit, oldest first.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn cards_of_permit(&self, permit: PermitId) -> Result<Vec<Card>, Error> {
        const OF: &str = "
            SELECT number, serial, permit, order_id, state, denial, chip, version FROM cards WHERE permit = $1
            ORDER BY created_at, number";
        let rows: Vec<CardRow> = on_engine!(self, |pool| sqlx::query_as(OF)
            .bind(permit.to_string())
            .fetch_all(pool)
            .await?);
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Takes a handed-over card out of use: it is to go onto the deny lists.
    ///
    /// # Errors
    /// [`permit_domain::Error::WrongState`], [`Error::Stale`], [`Error::Missing`]; outages.
    pub async fn end_card(
        &self,
        card: Card,
        how: EndOfCard,
        by: &StaffId,
        at: Timestamp,
    ) -> Result<Card, Error> {
        let standing = card.standing().end(how)?;
        self.save_standing(card, standing, ("officer", by.as_str()), at)
            .await
    }

    /// Records that a card was cut up.
    ///
    /// # Errors
    /// [`permit_domain::Error::WrongState`], [`Error::Stale`], [`Error::Missing`]; outages.
    pub async fn destroy_card(&self, card: Card, by: &StaffId, at: Timestamp) -> Result<Card, Error> {
        let standing = card.standing().destroyed()?;
        self.save_standing(card, standing, ("officer", by.as_str()), at)
            .await
    }
}

#[derive(sqlx::FromRow)]
pub(crate) struct CardRow {
    number: String,
    serial: String,
    permit: String,
    order_id: String,
    state: String,
    denial: String,
    chip: String,
    version: i64,
}

impl TryFrom<CardRow> for Card {
    type Error = Error;

    fn try_from(row: CardRow) -> Result<Self, Error> {
        Ok(Self {
            number: value(&row.number, "cards.number")?,
            serial: value(&row.serial, "cards.serial")?,
            permit: value(&row.permit, "cards.permit")?,
            order: value(&row.order_id, "cards.order_id")?,
            state: value(&row.state, "cards.state")?,
            denial: value(&row.denial, "cards.denial")?,
            chip: value(&row.chip, "cards.chip")?,
            version: row.version,
        })
    }
}

/// The order as it now stands in its row.
fn newer(o: &Order) -> Order {
    Order::from_ledger(
        o.id(),
        o.permit(),
        o.duties().clone(),
        o.content().clone(),
        o.state().clone(),
        o.version() + 1,
    )
}
