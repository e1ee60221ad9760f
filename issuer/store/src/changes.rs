//! Changes of cards in use, and the vault's numbers of their sealed updates. Left out: the updates themselves (the
//! vault's), and who delivered one.

use jiff::civil::Date;
use permit_domain::{
    Actor as _, AllocatedCard, Applicant, ApplicantForm, Approver, CardChange, CardNumber, ChangeClerk,
    ChangeId, ChangeKind, ChangeState, Content, Decision, PermitId,
};

use crate::{
    entry::Entry,
    error::Error,
    rows::{damaged, digest, json, number, present_date, present_value, value},
    transaction::{Appended, Snapshot, Transaction, on_engine, write_on_engine},
};

/// A change with what it rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCardChange {
    /// What, who, and where it stands.
    pub change: CardChange,
    /// The holder's facts, where they changed.
    pub applicant: Option<Applicant>,
    /// The decision behind it, where there is one.
    pub decision: Option<Decision>,
    /// A load's money.
    pub load: Option<Booked>,
    /// The permit's row that it was proposed on.
    pub permit_version: i64,
    /// The permit's row that its approval made: the order in which the changes of a card hold.
    pub granted: Option<i64>,
    /// Since when its updates are being sealed; `None`: none is, or all are.
    pub sealing_since: Option<Date>,
}

/// A load as booked, fen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booked {
    /// What was paid in.
    pub amount: u32,
    /// All money loaded, this load included.
    pub loaded: u32,
    /// Id of the purse rules that allowed it.
    pub rules: String,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    permit: String,
    card: String,
    serial: String,
    kind: String,
    clerk: String,
    approver: Option<String>,
    content: Vec<u8>,
    content_digest: Vec<u8>,
    permit_version: i64,
    granted: Option<i64>,
    applicant: Option<String>,
    decision: Option<String>,
    amount: Option<i64>,
    loaded: Option<i64>,
    purse_rules: Option<String>,
    holds_until: Option<String>,
    sealing_since: Option<String>,
    state: String,
    way: Option<String>,
    done_on: Option<String>,
    version: i64,
}

impl TryFrom<Row> for StoredCardChange {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let content = Content::freeze(row.content);
        if content.digest() != digest(row.content_digest, "changes.content_digest")? {
            return Err(damaged("changes.content"));
        }
        let state = match row.state.as_str() {
            "PROPOSED" => ChangeState::Proposed,
            "ORDERED" => ChangeState::Ordered,
            "QUEUED" => ChangeState::Queued,
            "WRITING" => ChangeState::Writing,
            "DONE" => ChangeState::Done {
                way: present_value(row.way.as_deref(), "changes.way")?,
                on: present_date(row.done_on.as_deref(), "changes.done_on")?,
            },
            "GIVEN_UP" => ChangeState::GivenUp,
            "EXPIRED" => ChangeState::Expired,
            _ => return Err(damaged("changes.state")),
        };
        let card = AllocatedCard {
            number: value(&row.card, "changes.card")?,
            serial: value(&row.serial, "cards.serial")?,
        };
        let clerk: ChangeClerk = value(&row.clerk, "changes.clerk")?;
        let approver = row
            .approver
            .as_deref()
            .map(|text| value::<Approver>(text, "changes.approver"))
            .transpose()?;
        let mut new = CardChange::new(
            value(&row.id, "changes.id")?,
            value(&row.permit, "changes.permit")?,
            card,
            value(&row.kind, "changes.kind")?,
            clerk,
            content,
        );
        if let Some(day) = row.holds_until.as_deref() {
            new = new.holding_until(value(day, "changes.holds_until")?);
        }
        let change = CardChange::from_ledger(new, approver, state, row.version)
            .map_err(|_| damaged("changes.approver"))?;
        let applicant = row
            .applicant
            .map(|text| {
                // The day is that of the first check; a registration after it cannot be in a row of ours.
                ApplicantForm::from_json(&text)
                    .and_then(|form| form.into_filed(Date::MAX))
                    .map_err(|_| damaged("changes.applicant"))
            })
            .transpose()?;
        let decision = row
            .decision
            .map(|text| serde_json::from_str(&text).map_err(|_| damaged("changes.decision")))
            .transpose()?;
        let load = match (row.amount, row.loaded, row.purse_rules) {
            (Some(amount), Some(loaded), Some(rules)) => Some(Booked {
                amount: number(amount, "changes.amount")?,
                loaded: number(loaded, "changes.loaded")?,
                rules,
            }),
            _ => None,
        };
        Ok(Self {
            change,
            applicant,
            decision,
            load,
            permit_version: row.permit_version,
            granted: row.granted,
            sealing_since: row
                .sealing_since
                .as_deref()
                .map(|day| value(day, "changes.sealing_since"))
                .transpose()?,
        })
    }
}

impl Snapshot {
    /// A change.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn change(&mut self, id: ChangeId) -> Result<Option<StoredCardChange>, Error> {
        const SELECT: &str = "
            SELECT h.id, h.permit, h.card, c.serial, h.kind, h.clerk, h.approver, h.content, h.content_digest,
                   h.permit_version, h.granted, h.applicant, h.decision, h.amount, h.loaded, h.purse_rules,
                   h.holds_until, h.sealing_since, h.state, h.way, h.done_on, h.version
            FROM changes h JOIN cards c ON c.number = h.card WHERE h.id = $1";
        let row: Option<Row> = on_engine!(self, |c| sqlx::query_as(SELECT)
            .bind(id.to_string())
            .fetch_optional(c))?;
        row.map(TryInto::try_into).transpose()
    }

    /// The changes of a card, oldest first.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn changes_of_card(&mut self, card: &CardNumber) -> Result<Vec<StoredCardChange>, Error> {
        const OF_CARD: &str = "
            SELECT h.id, h.permit, h.card, c.serial, h.kind, h.clerk, h.approver, h.content, h.content_digest,
                   h.permit_version, h.granted, h.applicant, h.decision, h.amount, h.loaded, h.purse_rules,
                   h.holds_until, h.sealing_since, h.state, h.way, h.done_on, h.version
            FROM changes h JOIN cards c ON c.number = h.card WHERE h.card = $1 ORDER BY h.created_at, h.id";
        let rows: Vec<Row> = on_engine!(self, |c| sqlx::query_as(OF_CARD).bind(card.as_str()).fetch_all(c))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The changes of all cards of a permit, oldest first.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn changes_of_permit(&mut self, permit: PermitId) -> Result<Vec<StoredCardChange>, Error> {
        const OF_PERMIT: &str = "
            SELECT h.id, h.permit, h.card, c.serial, h.kind, h.clerk, h.approver, h.content, h.content_digest,
                   h.permit_version, h.granted, h.applicant, h.decision, h.amount, h.loaded, h.purse_rules,
                   h.holds_until, h.sealing_since, h.state, h.way, h.done_on, h.version
            FROM changes h JOIN cards c ON c.number = h.card WHERE h.permit = $1 ORDER BY h.created_at, h.id";
        let rows: Vec<Row> = on_engine!(self, |c| sqlx::query_as(OF_PERMIT)
            .bind(permit.to_string())
            .fetch_all(c))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The change of a kind that is neither on the card nor on its way to it: a unique index keeps it the only one.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn open_change(
        &mut self,
        card: &CardNumber,
        kind: ChangeKind,
    ) -> Result<Option<ChangeId>, Error> {
        const OPEN: &str = "
            SELECT id FROM changes WHERE card = $1 AND kind = $2
                AND (state IN ('PROPOSED', 'ORDERED', 'WRITING') OR (state = 'QUEUED' AND sealing_since IS NOT NULL))";
        let id: Option<String> = on_engine!(self, |c| sqlx::query_scalar(OPEN)
            .bind(card.as_str())
            .bind(kind.name())
            .fetch_optional(c))?;
        id.map(|id| value(&id, "changes.id")).transpose()
    }

    /// The changes that were to be signed off, queued or begun before this day and were not.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn overdue_changes(&mut self, before: Date) -> Result<Vec<ChangeId>, Error> {
        const OVERDUE: &str = "
            SELECT id FROM changes WHERE state IN ('PROPOSED', 'ORDERED') AND holds_until < $1 ORDER BY created_at, id";
        let ids: Vec<String> = on_engine!(self, |c| sqlx::query_scalar(OVERDUE)
            .bind(before.to_string())
            .fetch_all(c))?;
        ids.iter().map(|id| value(id, "changes.id")).collect()
    }

    /// The changes in a state, those that were proposed first first, at most `limit`.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn changes_in(&mut self, state: &str, limit: u32) -> Result<Vec<ChangeId>, Error> {
        const IN: &str = "SELECT id FROM changes WHERE state = $1 ORDER BY created_at, id LIMIT $2";
        let ids: Vec<String> = on_engine!(self, |c| sqlx::query_scalar(IN)
            .bind(state)
            .bind(i64::from(limit))
            .fetch_all(c))?;
        ids.iter().map(|id| value(id, "changes.id")).collect()
    }

    /// The change that a sealed update belongs to, by the vault's number; `None` for one that was not queued here.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn change_of_update(&mut self, update: &[u8; 16]) -> Result<Option<ChangeId>, Error> {
        const OWNER: &str = "SELECT change_id FROM change_updates WHERE vault_change = $1";
        let id: Option<String> = on_engine!(self, |c| sqlx::query_scalar(OWNER)
            .bind(update.to_vec())
            .fetch_optional(c))?;
        id.map(|id| value(&id, "change_updates.change_id")).transpose()
    }

    /// How many updates of a change are not on their card, as far as the office knows; while they are being sealed, one more
    /// than are known.
    ///
    /// # Errors
    /// Outages.
    pub async fn updates_left(&mut self, change: ChangeId) -> Result<i64, Error> {
        const LEFT: &str = "
            SELECT (SELECT count(*) FROM change_updates WHERE change_id = $1 AND done = 0)
                 + (SELECT count(*) FROM changes WHERE id = $1 AND sealing_since IS NOT NULL)";
        on_engine!(self, |c| sqlx::query_scalar(LEFT)
            .bind(change.to_string())
            .fetch_one(c))
    }
}

impl Transaction {
    /// Stores a new change. `granted` is left out: its approval makes it.
    ///
    /// # Errors
    /// [`Error::Exists`] for a used id, or while a change of this kind is open for the card; [`Error::Missing`] for
    /// purse rules that are not published; outages.
    pub async fn insert_change(&mut self, new: &StoredCardChange) -> Result<Appended, Error> {
        const INSERT: &str = "
            INSERT INTO changes (id, permit, card, kind, clerk, content, content_digest, permit_version, applicant,
                                 decision, amount, loaded, purse_rules, holds_until, state, version, created_at,
                                 changed_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 1, $16, $17)";
        let (at, change) = (self.millis(), &new.change);
        let applicant = new
            .applicant
            .as_ref()
            .map(|applicant| json(&ApplicantForm::from(applicant)))
            .transpose()?;
        let decision = new.decision.as_ref().map(json).transpose()?;
        let load = new.load.as_ref();
        write_on_engine!(self, |c| sqlx::query(INSERT)
            .bind(change.id().to_string())
            .bind(change.permit().to_string())
            .bind(change.card().number.as_str())
            .bind(change.kind().name())
            .bind(change.clerk().staff().as_str())
            .bind(change.content().bytes().to_vec())
            .bind(change.content().digest().as_bytes().to_vec())
            .bind(new.permit_version)
            .bind(applicant)
            .bind(decision)
            .bind(load.map(|load| i64::from(load.amount)))
            .bind(load.map(|load| i64::from(load.loaded)))
            .bind(load.map(|load| load.rules.as_str()))
            .bind(change.holds_until().map(|day| day.to_string()))
            .bind(change.state().name())
            .bind(at)
            .bind(at)
            .execute(c))
        .map_err(|e| e.of("change"))?;
        self.append_change(change, change.last_actor()).await
    }

    /// Stores a change after a transition. `granted` is the version of the permit's row that its approval made, where it
    /// did.
    ///
    /// # Errors
    /// [`Error::Stale`] if the row changed since it was read, [`Error::Missing`]; outages.
    pub async fn update_change(
        &mut self,
        change: CardChange,
        granted: Option<i64>,
        by: (&str, &str),
    ) -> Result<(CardChange, Appended), Error> {
        const UPDATE: &str = "
            UPDATE changes SET state = $1, approver = $2, granted = COALESCE($3, granted), way = $4, done_on = $5,
                version = version + 1, changed_at = $6
            WHERE id = $7 AND version = $8";
        const KNOWN: &str = "SELECT count(*) FROM changes WHERE id = $1";
        let (way, on) = match change.state() {
            ChangeState::Done { way, on } => (Some(way.name()), Some(on.to_string())),
            _ => (None, None),
        };
        let (at, id) = (self.millis(), change.id().to_string());
        let rows = write_on_engine!(self, |c| sqlx::query(UPDATE)
            .bind(change.state().name())
            .bind(change.approver().map(|approver| approver.staff().as_str()))
            .bind(granted)
            .bind(way)
            .bind(on.clone())
            .bind(at)
            .bind(id.as_str())
            .bind(change.version())
            .execute(c))?;
        self.written(rows, "change", KNOWN, &id).await?;
        let appended = self.append_change(&change, by).await?;
        Ok((change.newer(), appended))
    }

    /// Stores the vault's number of a sealed update.
    ///
    /// # Errors
    /// [`Error::Exists`] for a number that is known; outages.
    pub async fn insert_update(&mut self, update: &[u8; 16], change: ChangeId) -> Result<(), Error> {
        const INSERT: &str = "INSERT INTO change_updates (vault_change, change_id) VALUES ($1, $2)";
        write_on_engine!(self, |c| sqlx::query(INSERT)
            .bind(update.to_vec())
            .bind(change.to_string())
            .execute(c))
        .map_err(|e| e.of("update"))?;
        Ok(())
    }

    /// Stores since when the updates of a change are being sealed, or with `None` that all are. Its entry of the ledger is that
    /// of the change.
    ///
    /// # Errors
    /// Outages.
    pub async fn set_sealing(&mut self, change: ChangeId, since: Option<Date>) -> Result<(), Error> {
        const SEALING: &str = "UPDATE changes SET sealing_since = $1 WHERE id = $2";
        write_on_engine!(self, |c| sqlx::query(SEALING)
            .bind(since.map(|day| day.to_string()))
            .bind(change.to_string())
            .execute(c))?;
        Ok(())
    }

    /// The vault's numbers of the updates of a change of which no card has told yet.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn updates_of(&mut self, change: ChangeId) -> Result<Vec<[u8; 16]>, Error> {
        const OF: &str = "SELECT vault_change FROM change_updates WHERE change_id = $1 AND done = 0";
        let found: Vec<Vec<u8>> = on_engine!(self, |c| sqlx::query_scalar(OF)
            .bind(change.to_string())
            .fetch_all(c))?;
        found
            .into_iter()
            .map(|number| {
                number
                    .try_into()
                    .map_err(|_| damaged("change_updates.vault_change"))
            })
            .collect()
    }

    /// Stores that a sealed update is on its card, or that another one took its place. No entry of the ledger: when that was learnt is not kept.
    ///
    /// # Errors
    /// Outages.
    pub async fn set_update_done(&mut self, update: &[u8; 16]) -> Result<(), Error> {
        const MARK: &str = "UPDATE change_updates SET done = 1 WHERE vault_change = $1 AND done = 0";
        write_on_engine!(self, |c| sqlx::query(MARK).bind(update.to_vec()).execute(c))?;
        Ok(())
    }

    async fn append_change(
        &mut self,
        change: &CardChange,
        (role, actor): (&str, &str),
    ) -> Result<Appended, Error> {
        self.append(Entry {
            role,
            actor,
            action: &format!("change {} {}", change.kind(), change.state().name()),
            subject: &change.id().to_string(),
            detail: &format!(r#"{{"card":"{}"}}"#, change.card().number),
        })
        .await
    }
}
