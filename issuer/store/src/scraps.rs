//! Blanks and cards that were set aside to be destroyed, and who fetched a card for its holder.

use permit_domain::{Agent, CardSerial, OrderId, Scrap, ScrapState, StaffId};

use crate::{
    entry::Entry,
    error::Error,
    rows::{damaged, present_value, value},
    transaction::{Appended, Snapshot, Transaction, on_engine, write_on_engine},
};

#[derive(sqlx::FromRow)]
struct Row {
    serial: String,
    reason: String,
    proposer: String,
    witness: Option<String>,
    state: String,
    version: i64,
}

impl TryFrom<Row> for Scrap {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let state = match row.state.as_str() {
            "OPEN" => ScrapState::Open,
            "DONE" => ScrapState::Done {
                witness: present_value(row.witness.as_deref(), "scraps.witness")?,
            },
            "TAKEN_BACK" => ScrapState::TakenBack,
            _ => return Err(damaged("scraps.state")),
        };
        Ok(Self::from_ledger(
            value(&row.serial, "scraps.serial")?,
            value(&row.reason, "scraps.reason")?,
            value(&row.proposer, "scraps.proposer")?,
            state,
            row.version,
        ))
    }
}

impl Snapshot {
    /// What became of a chip that was set aside; `None` for one that never was.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn scrap(&mut self, serial: CardSerial) -> Result<Option<Scrap>, Error> {
        const SCRAP: &str =
            "SELECT serial, reason, proposer, witness, state, version FROM scraps WHERE serial = $1";
        let row: Option<Row> = on_engine!(self, |c| sqlx::query_as(SCRAP)
            .bind(serial.to_string())
            .fetch_optional(c))?;
        row.map(TryInto::try_into).transpose()
    }

    /// What is set aside and not destroyed, oldest first, at most `limit`.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn open_scraps(&mut self, limit: u32) -> Result<Vec<Scrap>, Error> {
        const OPEN: &str = "
            SELECT serial, reason, proposer, witness, state, version FROM scraps
            WHERE state = 'OPEN' ORDER BY changed_at, serial LIMIT $1";
        let rows: Vec<Row> = on_engine!(self, |c| sqlx::query_as(OPEN).bind(i64::from(limit)).fetch_all(c))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Who fetched, or is to fetch, an order's card in its holder's name.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn agent(&mut self, order: OrderId) -> Result<Option<Agent>, Error> {
        const AGENT: &str = "SELECT name, document FROM hand_over_agents WHERE order_id = $1";
        let row: Option<(String, String)> = on_engine!(self, |c| sqlx::query_as(AGENT)
            .bind(order.to_string())
            .fetch_optional(c))?;
        row.map(|(name, document)| {
            Ok(Agent {
                name: value(&name, "hand_over_agents.name")?,
                document: value(&document, "hand_over_agents.document")?,
            })
        })
        .transpose()
    }
}

impl Transaction {
    /// Stores that a chip was set aside, by whoever did it in this role.
    ///
    /// # Errors
    /// [`Error::Exists`] for one that is; [`Error::Missing`] for a chip that never was in stock; outages.
    pub async fn insert_scrap(&mut self, scrap: &Scrap, role: &str) -> Result<Appended, Error> {
        const INSERT: &str = "
            INSERT INTO scraps (serial, reason, proposer, state, version, created_at, changed_at)
            VALUES ($1, $2, $3, 'OPEN', 1, $4, $5)";
        let at = self.millis();
        write_on_engine!(self, |c| sqlx::query(INSERT)
            .bind(scrap.serial().to_string())
            .bind(scrap.reason().name())
            .bind(scrap.proposer().as_str())
            .bind(at)
            .bind(at)
            .execute(c))
        .map_err(|e| e.of("card to be destroyed"))?;
        self.enter_scrap(scrap, (role, scrap.proposer().as_str())).await
    }

    /// Stores a chip that was set aside after a transition.
    ///
    /// # Errors
    /// [`Error::Stale`] if the row changed since it was read, [`Error::Missing`]; outages.
    pub async fn update_scrap(&mut self, scrap: Scrap, by: (&str, &str)) -> Result<(Scrap, Appended), Error> {
        const UPDATE: &str = "
            UPDATE scraps SET reason = $1, proposer = $2, witness = $3, state = $4, version = version + 1, changed_at = $5
            WHERE serial = $6 AND version = $7";
        const KNOWN: &str = "SELECT count(*) FROM scraps WHERE serial = $1";
        let (at, serial) = (self.millis(), scrap.serial().to_string());
        let witness = match scrap.state() {
            ScrapState::Done { witness } => Some(witness.as_str()),
            ScrapState::Open | ScrapState::TakenBack => None,
        };
        let rows = write_on_engine!(self, |c| sqlx::query(UPDATE)
            .bind(scrap.reason().name())
            .bind(scrap.proposer().as_str())
            .bind(witness)
            .bind(scrap.state().name())
            .bind(at)
            .bind(serial.as_str())
            .bind(scrap.version())
            .execute(c))?;
        self.written(rows, "card to be destroyed", KNOWN, &serial).await?;
        let appended = self.enter_scrap(&scrap, by).await?;
        Ok((scrap.newer(), appended))
    }

    async fn enter_scrap(&mut self, scrap: &Scrap, (role, actor): (&str, &str)) -> Result<Appended, Error> {
        self.append(Entry {
            role,
            actor,
            action: &format!("scrap {}", scrap.state().name()),
            subject: &scrap.serial().to_string(),
            detail: &format!(r#"{{"reason":"{}"}}"#, scrap.reason()),
        })
        .await
    }

    /// Stores who fetches an order's card in its holder's name; whoever was named before is forgotten. The ledger has the kind of
    /// document and no name.
    ///
    /// # Errors
    /// [`Error::Missing`] for an unknown order; outages.
    pub async fn set_agent(
        &mut self,
        order: OrderId,
        agent: &Agent,
        role: &str,
        by: &StaffId,
    ) -> Result<Appended, Error> {
        const SET: &str = "
            INSERT INTO hand_over_agents (order_id, name, document, changed_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (order_id) DO UPDATE SET name = excluded.name, document = excluded.document,
                changed_at = excluded.changed_at";
        let (at, id) = (self.millis(), order.to_string());
        write_on_engine!(self, |c| sqlx::query(SET)
            .bind(id.as_str())
            .bind(agent.name.as_str())
            .bind(agent.document.name())
            .bind(at)
            .execute(c))
        .map_err(|e| e.of("production order"))?;
        self.append(Entry {
            role,
            actor: by.as_str(),
            action: "agent CHECKED",
            subject: &id,
            detail: &format!(r#"{{"document":"{}"}}"#, agent.document),
        })
        .await
    }
}
