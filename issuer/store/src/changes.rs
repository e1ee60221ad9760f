//! Changes of cards in use, purses, and a card's standing.
//!
//! Each step of a change is one transaction: change, permit, card, purse and ledger move together. A load is decided in
//! the transaction that books it, so two clerks at once cannot pass a limit together. What the holder pays for stands
//! nowhere: a purse is two figures. Left out: the updates themselves (the vault's), and who delivered one.

use jiff::{Timestamp, civil::Date};
use permit_domain::{
    Actor as _, AllocatedCard, Applicant, ApplicantForm, Approver, CardNumber, CardState, Change,
    ChangeClerk, ChangeId, ChangeKind, ChangeState, Content, Decision, LoadDecision, Permit, PermitId,
    PermitState, Purse, StaffId, Standing, Way,
};
use permit_rules::PurseRules;

use crate::{
    Card, Error, Store,
    ledger::{Entry, append, writing},
    orders::{CARD_BY_NUMBER, CardRow},
    permits,
    rows::{millis, present_date, present_value, value},
    rule_sets::digest,
    store::on_engine,
};

/// A change with what it rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredChange {
    /// What, who, and where it stands.
    pub change: Change,
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

/// What became of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadOutcome {
    /// Booked now.
    Booked(Box<StoredChange>, LoadDecision),
    /// The same load was booked before.
    Known(Box<StoredChange>),
    /// The purse rules do not allow it. Nothing was booked.
    Refused(LoadDecision),
}

const SELECT: &str = "
    SELECT h.id, h.permit, h.card, c.serial, h.kind, h.clerk, h.approver, h.content, h.content_digest,
           h.permit_version, h.granted, h.applicant, h.decision, h.amount, h.loaded, h.purse_rules, h.state, h.way,
           h.done_on, h.version
    FROM changes h JOIN cards c ON c.number = h.card WHERE h.id = $1";
const OF_CARD: &str = "
    SELECT h.id, h.permit, h.card, c.serial, h.kind, h.clerk, h.approver, h.content, h.content_digest,
           h.permit_version, h.granted, h.applicant, h.decision, h.amount, h.loaded, h.purse_rules, h.state, h.way,
           h.done_on, h.version
    FROM changes h JOIN cards c ON c.number = h.card WHERE h.card = $1 ORDER BY h.created_at, h.id";
const OF_PERMIT: &str = "
    SELECT h.id, h.permit, h.card, c.serial, h.kind, h.clerk, h.approver, h.content, h.content_digest,
           h.permit_version, h.granted, h.applicant, h.decision, h.amount, h.loaded, h.purse_rules, h.state, h.way,
           h.done_on, h.version
    FROM changes h JOIN cards c ON c.number = h.card WHERE h.permit = $1 ORDER BY h.created_at, h.id";
const INSERT: &str = "
    INSERT INTO changes (id, permit, card, kind, clerk, content, content_digest, permit_version, applicant, decision,
                         amount, loaded, purse_rules, state, version, created_at, changed_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 1, $15, $16)";
const FOUND: &str = "SELECT state, version FROM changes WHERE id = $1";
const UPDATE: &str = "
    UPDATE changes SET state = $1, approver = $2, granted = COALESCE($3, granted), way = $4, done_on = $5,
        version = version + 1, changed_at = $6
    WHERE id = $7 AND version = $8";
const OPEN: &str = "
    SELECT id FROM changes WHERE card = $1 AND kind = $2 AND state IN ('PROPOSED', 'ORDERED', 'WRITING')";
const PURSE: &str = "SELECT loaded, spent FROM purses WHERE card = $1";
const STANDING: &str = "
    UPDATE cards SET state = $1, denial = $2, chip = $3, version = version + 1, changed_at = $4 WHERE number = $5";

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
    state: String,
    way: Option<String>,
    done_on: Option<String>,
    version: i64,
}

fn damaged(what: &str) -> Error {
    Error::Damaged {
        what: what.to_owned(),
    }
}

fn fen(value: i64, what: &str) -> Result<u32, Error> {
    u32::try_from(value).map_err(|_| damaged(what))
}

impl TryFrom<Row> for StoredChange {
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
        let new = Change::new(
            value(&row.id, "changes.id")?,
            value(&row.permit, "changes.permit")?,
            card,
            value(&row.kind, "changes.kind")?,
            clerk,
            content,
        );
        let change = Change::from_ledger(new, approver, state, row.version)
            .map_err(|_| damaged("changes.approver"))?;
        let applicant = row
            .applicant
            .map(|text| {
                // The day is that of the first check; a registration after it cannot be in a row of ours.
                ApplicantForm::from_json(&text)
                    .and_then(|form| form.into_applicant(Date::MAX))
                    .map_err(|_| damaged("changes.applicant"))
            })
            .transpose()?;
        let decision = row
            .decision
            .map(|text| serde_json::from_str(&text).map_err(|_| damaged("changes.decision")))
            .transpose()?;
        let load = match (row.amount, row.loaded, row.purse_rules) {
            (Some(amount), Some(loaded), Some(rules)) => Some(Booked {
                amount: fen(amount, "changes.amount")?,
                loaded: fen(loaded, "changes.loaded")?,
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
        })
    }
}

/// The states that may stand before this one.
const fn before(state: &ChangeState) -> &'static [&'static str] {
    match state {
        ChangeState::Proposed => &[],
        ChangeState::Ordered => &["PROPOSED"],
        ChangeState::Queued => &["ORDERED", "QUEUED"],
        ChangeState::Writing | ChangeState::Done { way: Way::Update, .. } => {
            &["ORDERED", "QUEUED", "WRITING"]
        }
        ChangeState::Done {
            way: Way::Counter, ..
        } => &["WRITING"],
        ChangeState::GivenUp => &["PROPOSED", "ORDERED"],
    }
}

/// What the row of a new change holds besides the change.
struct NewRow<'a> {
    permit_version: i64,
    applicant: Option<String>,
    decision: Option<String>,
    booked: Option<(i64, i64, &'a str)>,
}

/// Refuses a second change of a kind while the first one is not on its way.
macro_rules! refuse_open {
    ($tx:ident, $change:expr) => {{
        let change: &Change = $change;
        let open: Option<String> = sqlx::query_scalar(OPEN)
            .bind(change.card().number.as_str())
            .bind(change.kind().name())
            .fetch_optional(&mut *$tx)
            .await?;
        if let Some(open) = open {
            return Err(Error::ChangeOpen {
                change: value(&open, "changes.id")?,
            });
        }
    }};
}

/// The card's row, which must be this very chip of this permit.
macro_rules! card_of {
    ($tx:ident, $change:expr) => {{
        let change: &Change = $change;
        let row: Option<CardRow> = sqlx::query_as(CARD_BY_NUMBER)
            .bind(change.card().number.as_str())
            .fetch_optional(&mut *$tx)
            .await?;
        let card: Card = row.ok_or(Error::Missing { what: "card" })?.try_into()?;
        if card.serial != change.card().serial || card.permit != change.permit() {
            return Err(Error::Missing { what: "card" });
        }
        card
    }};
}

macro_rules! entry {
    ($tx:ident, $head:ident, $change:expr, $actor:expr, $at:expr) => {{
        let change: &Change = $change;
        let (role, actor): (&str, &str) = $actor;
        let action = format!("change {} {}", change.kind(), change.state().name());
        let subject = change.id().to_string();
        let detail = format!(r#"{{"card":"{}"}}"#, change.card().number);
        append!(
            $tx,
            $head,
            $at,
            Entry {
                role,
                actor,
                action: &action,
                subject: &subject,
                detail: &detail,
            }
        );
    }};
}

macro_rules! insert {
    ($tx:ident, $head:ident, $change:expr, $new:expr, $at:expr) => {{
        let change: &Change = $change;
        let new: NewRow<'_> = $new;
        let (amount, loaded, rules) = new
            .booked
            .map_or((None, None, None), |(a, l, r)| (Some(a), Some(l), Some(r)));
        sqlx::query(INSERT)
            .bind(change.id().to_string())
            .bind(change.permit().to_string())
            .bind(change.card().number.as_str())
            .bind(change.kind().name())
            .bind(change.clerk().staff().as_str())
            .bind(change.content().bytes().to_vec())
            .bind(change.content().digest().as_bytes().to_vec())
            .bind(new.permit_version)
            .bind(new.applicant)
            .bind(new.decision)
            .bind(amount)
            .bind(loaded)
            .bind(rules)
            .bind(change.state().name())
            .bind(millis($at))
            .bind(millis($at))
            .execute(&mut *$tx)
            .await?;
        entry!($tx, $head, change, change.last_actor(), $at);
    }};
}

/// Stores a change after a transition, with its entry of the ledger, in the transaction.
macro_rules! update {
    ($tx:ident, $head:ident, $change:expr, $granted:expr, $actor:expr, $at:expr) => {{
        let change: &Change = $change;
        let id = change.id().to_string();
        let found: Option<(String, i64)> = sqlx::query_as(FOUND)
            .bind(id.as_str())
            .fetch_optional(&mut *$tx)
            .await?;
        crate::applications::follows("change", found, change.version(), before(change.state()))?;
        let (way, on) = match change.state() {
            ChangeState::Done { way, on } => (Some(way.name()), Some(on.to_string())),
            _ => (None, None),
        };
        let granted: Option<i64> = $granted;
        sqlx::query(UPDATE)
            .bind(change.state().name())
            .bind(change.approver().map(|a| a.staff().as_str()))
            .bind(granted)
            .bind(way)
            .bind(on)
            .bind(millis($at))
            .bind(id.as_str())
            .bind(change.version())
            .execute(&mut *$tx)
            .await?;
        entry!($tx, $head, change, $actor, $at);
    }};
}

/// What a change that is on the card means for the card's standing.
fn standing_after(change: &Change, standing: Standing) -> Result<Option<Standing>, permit_domain::Error> {
    if !matches!(change.state(), ChangeState::Done { .. }) {
        return Ok(None);
    }
    match change.kind() {
        ChangeKind::Block => standing.blocked().map(Some),
        ChangeKind::Unblock => standing.unblocked().map(Some),
        ChangeKind::End => standing.terminated().map(Some),
        _ => Ok(None),
    }
}

/// Whether a card in this standing may be changed like that.
fn may_change(kind: ChangeKind, card: &Card) -> Result<(), permit_domain::Error> {
    let standing = card.standing();
    match kind {
        ChangeKind::Block => standing.blocked().map(drop),
        ChangeKind::Unblock => standing.unblocked().map(drop),
        ChangeKind::End => standing.terminated().map(drop),
        _ if standing.state() == CardState::HandedOver => Ok(()),
        _ => Err(permit_domain::Error::WrongState {
            thing: "card",
            state: standing.state().name(),
            wanted: "a change",
        }),
    }
}

/// Refuses while another card of the permit is in use, or on its way to its holder.
macro_rules! refuse_second {
    ($tx:ident, $card:expr) => {{
        const OTHERS: &str = "
            SELECT count(*) FROM cards WHERE permit = $1 AND number <> $2
                AND state IN ('ALLOCATED', 'ENCODED', 'PRINTED', 'VERIFIED', 'HANDED_OVER')";
        let card: &Card = $card;
        let others: i64 = sqlx::query_scalar(OTHERS)
            .bind(card.permit.to_string())
            .bind(card.number.as_str())
            .fetch_one(&mut *$tx)
            .await?;
        if others > 0 {
            return Err(permit_domain::Error::WrongState {
                thing: "permit",
                state: "WITH_ANOTHER_CARD",
                wanted: "a second one",
            }
            .into());
        }
    }};
}

/// Stores a card's standing in the transaction.
macro_rules! stand {
    ($tx:ident, $number:expr, $standing:expr, $at:expr) => {{
        let standing: Standing = $standing;
        sqlx::query(STANDING)
            .bind(standing.state().name())
            .bind(standing.denial().name())
            .bind(standing.chip().name())
            .bind(millis($at))
            .bind($number.as_str())
            .execute(&mut *$tx)
            .await?;
    }};
}

impl Store {
    /// Publishes purse rules: their text is kept for good. The same text again changes nothing.
    ///
    /// # Errors
    /// [`permit_domain::Error::RuleSetEdited`]; outages.
    pub async fn publish_purse_rules(&self, rules: &PurseRules, at: Timestamp) -> Result<(), Error> {
        const SELECT: &str = "SELECT digest FROM purse_rules WHERE id = $1";
        const INSERT: &str =
            "INSERT INTO purse_rules (id, digest, body, published_at) VALUES ($1, $2, $3, $4)";
        let detail = format!(r#"{{"digest":"{}"}}"#, rules.digest());
        let known = |published: Vec<u8>| -> Result<(), Error> {
            let published = digest(published, "purse_rules.digest")?;
            if published == rules.digest() {
                return Ok(());
            }
            Err(permit_domain::Error::RuleSetEdited {
                id: rules.id().to_owned(),
                published,
                now: rules.digest(),
            }
            .into())
        };
        let published: Option<Vec<u8>> = on_engine!(self, |pool| sqlx::query_scalar(SELECT)
            .bind(rules.id())
            .fetch_optional(pool)
            .await?);
        if let Some(published) = published {
            return known(published);
        }
        writing!(self, |tx, head| {
            let published: Option<Vec<u8>> = sqlx::query_scalar(SELECT)
                .bind(rules.id())
                .fetch_optional(&mut *tx)
                .await?;
            if let Some(published) = published {
                known(published)?;
            } else {
                sqlx::query(INSERT)
                    .bind(rules.id())
                    .bind(rules.digest().as_bytes().to_vec())
                    .bind(rules.text())
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
                        action: "purse rules published",
                        subject: rules.id(),
                        detail: &detail,
                    }
                );
            }
        });
        Ok(())
    }

    /// Stores a new change that is no load, proposed or ordered as its kind asks. `permit` is the permit as it was read
    /// when the change was made up.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::ChangeOpen`], [`Error::Stale`] for a permit that changed since,
    /// [`permit_domain::Error::WrongState`] for a card that cannot be changed like that; [`Error::Missing`]; outages.
    pub async fn propose_change(
        &self,
        change: &Change,
        permit: &Permit,
        applicant: Option<&Applicant>,
        decision: Option<&Decision>,
        at: Timestamp,
    ) -> Result<StoredChange, Error> {
        const VERSION: &str = "SELECT version FROM permits WHERE id = $1";
        if change.kind() == ChangeKind::Load || change.permit() != permit.id() {
            return Err(Error::Missing { what: "permit" });
        }
        let unwritable = |_| damaged("a value that cannot be written");
        let form = applicant
            .map(|a| serde_json::to_string(&ApplicantForm::from(a)))
            .transpose()
            .map_err(unwritable)?;
        let body = decision
            .map(serde_json::to_string)
            .transpose()
            .map_err(unwritable)?;
        writing!(self, |tx, head| {
            let found: Option<(String, i64)> = sqlx::query_as(FOUND)
                .bind(change.id().to_string())
                .fetch_optional(&mut *tx)
                .await?;
            if found.is_some() {
                return Err(Error::Exists { what: "change" });
            }
            let version: Option<i64> = sqlx::query_scalar(VERSION)
                .bind(permit.id().to_string())
                .fetch_optional(&mut *tx)
                .await?;
            if version.ok_or(Error::Missing { what: "permit" })? != permit.version() {
                return Err(Error::Stale { what: "permit" });
            }
            let card: Card = card_of!(tx, change);
            may_change(change.kind(), &card)?;
            refuse_open!(tx, change);
            let new = NewRow {
                permit_version: permit.version(),
                applicant: form.clone(),
                decision: body.clone(),
                booked: None,
            };
            insert!(tx, head, change, new, at);
        });
        Ok(StoredChange {
            change: change.clone(),
            applicant: applicant.cloned(),
            decision: decision.cloned(),
            load: None,
            permit_version: permit.version(),
            granted: None,
        })
    }

    /// Stores the approval of a change. What grants something moves the permit along: tier, rule set, last day and state
    /// of the decision, in the same transaction.
    ///
    /// # Errors
    /// [`Error::Stale`] if the change or the permit is not as it was proposed on; outages.
    pub async fn approve_change(
        &self,
        stored: StoredChange,
        approver: Approver,
        on: Date,
        at: Timestamp,
    ) -> Result<StoredChange, Error> {
        const PERMIT: &str = "
            UPDATE permits SET tier = $1, rule_set = $2, valid_to = $3, state = $4, state_on = $5,
                version = version + 1, changed_at = $6
            WHERE id = $7 AND version = $8";
        let change = stored.change.approve(approver)?;
        let touches_permit = change.kind().is_granted() || change.kind() == ChangeKind::Address;
        let granted = touches_permit.then_some(stored.permit_version + 1);
        writing!(self, |tx, head| {
            let card: Card = card_of!(tx, &change);
            may_change(change.kind(), &card)?;
            if touches_permit {
                let row: Option<permits::Row> = sqlx::query_as(permits::SELECT)
                    .bind(change.permit().to_string())
                    .fetch_optional(&mut *tx)
                    .await?;
                let permit: Permit = row.ok_or(Error::Missing { what: "permit" })?.try_into()?;
                if permit.version() != stored.permit_version {
                    return Err(Error::Stale { what: "permit" });
                }
                let permit = match &stored.decision {
                    Some(decision) => permit.regranted(decision, on)?,
                    None => permit,
                };
                let columns = permits::columns(permit.state());
                sqlx::query(PERMIT)
                    .bind(permit.grant().tier.as_str())
                    .bind(permit.grant().rule_set.as_str())
                    .bind(permit.grant().valid_to.to_string())
                    .bind(permit.state().name())
                    .bind(columns.on)
                    .bind(millis(at))
                    .bind(permit.id().to_string())
                    .bind(permit.version())
                    .execute(&mut *tx)
                    .await?;
            }
            update!(tx, head, &change, granted, change.last_actor(), at);
        });
        Ok(StoredChange {
            change: change.newer(),
            granted,
            ..stored
        })
    }

    /// Decides a load by the rules and books it: all in one transaction, so whoever comes second sees the first.
    /// `change` is a new load; the same again, with the same amount, is known.
    ///
    /// # Errors
    /// [`Error::Exists`] for an id of another load or change, [`Error::ChangeOpen`] while an earlier load of the card is
    /// neither on it nor on its way, [`permit_domain::Error::WrongState`] for a card or permit that is not in use; outages.
    pub async fn book_load(
        &self,
        change: &Change,
        amount: u32,
        rules: &PurseRules,
        at: Timestamp,
    ) -> Result<LoadOutcome, Error> {
        const OPEN_PURSE: &str = "INSERT INTO purses (card, loaded, spent) VALUES ($1, $2, 0)";
        const GROW_PURSE: &str = "UPDATE purses SET loaded = $2 WHERE card = $1";
        let refused = |thing, state| {
            Error::from(permit_domain::Error::WrongState {
                thing,
                state,
                wanted: "a load",
            })
        };
        if change.kind() != ChangeKind::Load {
            return Err(refused("change", change.kind().name()));
        }
        Ok(writing!(self, |tx, head| {
            let row: Option<Row> = sqlx::query_as(SELECT)
                .bind(change.id().to_string())
                .fetch_optional(&mut *tx)
                .await?;
            if let Some(row) = row {
                let known = StoredChange::try_from(row)?;
                let same = known.change.permit() == change.permit()
                    && known.change.card() == change.card()
                    && known.load.as_ref().is_some_and(|load| load.amount == amount);
                if !same {
                    return Err(Error::Exists { what: "load" });
                }
                LoadOutcome::Known(Box::new(known))
            } else {
                let row: Option<permits::Row> = sqlx::query_as(permits::SELECT)
                    .bind(change.permit().to_string())
                    .fetch_optional(&mut *tx)
                    .await?;
                let permit: Permit = row.ok_or(Error::Missing { what: "permit" })?.try_into()?;
                if !matches!(permit.state(), PermitState::Active { .. }) {
                    return Err(refused("permit", permit.state().name()));
                }
                let card: Card = card_of!(tx, change);
                may_change(ChangeKind::Load, &card)?;
                if card.standing() != card.standing_in_use() {
                    return Err(refused("card", "DENIED_OR_BLOCKED"));
                }
                refuse_open!(tx, change);
                let purse: Option<(i64, i64)> = sqlx::query_as(PURSE)
                    .bind(card.number.as_str())
                    .fetch_optional(&mut *tx)
                    .await?;
                let is_new = purse.is_none();
                let (loaded, spent) = purse.unwrap_or_default();
                let purse = Purse {
                    loaded: fen(loaded, "purses.loaded")?,
                    spent: fen(spent, "purses.spent")?,
                };
                let decision = rules.decide_load(permit.grant().tier, purse, amount);
                match decision.loaded {
                    None => LoadOutcome::Refused(decision),
                    Some(loaded) => {
                        sqlx::query(if is_new { OPEN_PURSE } else { GROW_PURSE })
                            .bind(card.number.as_str())
                            .bind(i64::from(loaded))
                            .execute(&mut *tx)
                            .await?;
                        let new = NewRow {
                            permit_version: permit.version(),
                            applicant: None,
                            decision: None,
                            booked: Some((i64::from(amount), i64::from(loaded), rules.id())),
                        };
                        insert!(tx, head, change, new, at);
                        let booked = StoredChange {
                            change: change.clone(),
                            applicant: None,
                            decision: None,
                            load: Some(Booked {
                                amount,
                                loaded,
                                rules: rules.id().to_owned(),
                            }),
                            permit_version: permit.version(),
                            granted: None,
                        };
                        LoadOutcome::Booked(Box::new(booked), decision)
                    }
                }
            }
        }))
    }

    /// Stores a change after [`Change::begin_writing`], [`Change::done`] or [`Change::give_up`]. A block, an unblocking or
    /// an end that is done moves the card along.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::Missing`]; outages.
    pub async fn advance_change(
        &self,
        change: Change,
        (role, actor): (&str, &str),
        at: Timestamp,
    ) -> Result<Change, Error> {
        writing!(self, |tx, head| {
            let card: Card = card_of!(tx, &change);
            update!(tx, head, &change, None, (role, actor), at);
            if let Some(standing) = standing_after(&change, card.standing())? {
                stand!(tx, card.number, standing, at);
            }
        });
        Ok(change.newer())
    }

    /// Stores that the vault sealed the updates of a change, with the vault's number of each. The same again changes
    /// nothing but the row's version.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::Exists`] if a number belongs to another change; outages.
    pub async fn queue_change(
        &self,
        change: Change,
        sealed: &[[u8; 16]],
        at: Timestamp,
    ) -> Result<Change, Error> {
        const OWNER: &str = "SELECT change_id FROM change_updates WHERE vault_change = $1";
        const INSERT: &str = "INSERT INTO change_updates (vault_change, change_id) VALUES ($1, $2)";
        let change = change.queued()?;
        let id = change.id().to_string();
        writing!(self, |tx, head| {
            update!(tx, head, &change, None, change.last_actor(), at);
            for number in sealed {
                let owner: Option<String> = sqlx::query_scalar(OWNER)
                    .bind(number.to_vec())
                    .fetch_optional(&mut *tx)
                    .await?;
                match owner {
                    Some(owner) if owner == id => {}
                    Some(_) => return Err(Error::Exists { what: "update" }),
                    None => {
                        sqlx::query(INSERT)
                            .bind(number.to_vec())
                            .bind(id.as_str())
                            .execute(&mut *tx)
                            .await?;
                    }
                }
            }
        });
        Ok(change.newer())
    }

    /// Takes the vault's word that these updates are on their cards. A change whose updates are all there is done; which
    /// ones are.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn updates_done(
        &self,
        sealed: &[[u8; 16]],
        by: &StaffId,
        on: Date,
        at: Timestamp,
    ) -> Result<Vec<ChangeId>, Error> {
        const MARK: &str = "UPDATE change_updates SET done = 1 WHERE vault_change = $1 AND done = 0";
        const OWNER: &str = "SELECT change_id FROM change_updates WHERE vault_change = $1";
        const LEFT: &str = "SELECT count(*) FROM change_updates WHERE change_id = $1 AND done = 0";
        Ok(writing!(self, |tx, head| {
            let mut done = Vec::new();
            for number in sealed {
                let owner: Option<String> = sqlx::query_scalar(OWNER)
                    .bind(number.to_vec())
                    .fetch_optional(&mut *tx)
                    .await?;
                // An update of a change that was made elsewhere (a key officer's) is none of the ledger's.
                let Some(owner) = owner else { continue };
                sqlx::query(MARK).bind(number.to_vec()).execute(&mut *tx).await?;
                let left: i64 = sqlx::query_scalar(LEFT)
                    .bind(owner.as_str())
                    .fetch_one(&mut *tx)
                    .await?;
                let row: Option<Row> = sqlx::query_as(SELECT)
                    .bind(owner.as_str())
                    .fetch_optional(&mut *tx)
                    .await?;
                let stored = StoredChange::try_from(row.ok_or(Error::Missing { what: "change" })?)?;
                if left > 0 || stored.change.state().is_over() {
                    continue;
                }
                let change = stored.change.done(Way::Update, on)?;
                let card: Card = card_of!(tx, &change);
                update!(tx, head, &change, None, ("receipts clerk", by.as_str()), at);
                // A receipt that comes late does not move a card that has gone on: it was ended or is being unblocked.
                if let Ok(Some(standing)) = standing_after(&change, card.standing()) {
                    stand!(tx, card.number, standing, at);
                }
                done.push(change.id());
            }
            done
        }))
    }

    /// A change.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn change(&self, id: ChangeId) -> Result<Option<StoredChange>, Error> {
        let row: Option<Row> = on_engine!(self, |pool| sqlx::query_as(SELECT)
            .bind(id.to_string())
            .fetch_optional(pool)
            .await?);
        row.map(TryInto::try_into).transpose()
    }

    /// The changes of a card, oldest first.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn changes_of_card(&self, card: &CardNumber) -> Result<Vec<StoredChange>, Error> {
        let rows: Vec<Row> = on_engine!(self, |pool| sqlx::query_as(OF_CARD)
            .bind(card.as_str())
            .fetch_all(pool)
            .await?);
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The changes of all cards of a permit, oldest first.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn changes_of_permit(&self, permit: PermitId) -> Result<Vec<StoredChange>, Error> {
        let rows: Vec<Row> = on_engine!(self, |pool| sqlx::query_as(OF_PERMIT)
            .bind(permit.to_string())
            .fetch_all(pool)
            .await?);
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// A card's purse; empty for a card that was never loaded.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn purse(&self, card: &CardNumber) -> Result<Purse, Error> {
        let row: Option<(i64, i64)> = on_engine!(self, |pool| sqlx::query_as(PURSE)
            .bind(card.as_str())
            .fetch_optional(pool)
            .await?);
        let (loaded, spent) = row.unwrap_or_default();
        Ok(Purse {
            loaded: fen(loaded, "purses.loaded")?,
            spent: fen(spent, "purses.spent")?,
        })
    }

    /// Takes over what a card on the counter shows of its purse.
    ///
    /// # Errors
    /// [`permit_domain::Error::PurseFigures`] for a card with more money than the ledger gave it; outages.
    pub async fn see_purse(&self, card: &CardNumber, shown: Purse) -> Result<Purse, Error> {
        const SPENT: &str = "UPDATE purses SET spent = $2 WHERE card = $1 AND spent < $2";
        let seen = self.purse(card).await?.seen(shown)?;
        // No entry of the ledger: what a person spent in all is kept, when it was seen is not.
        on_engine!(self, |pool| {
            sqlx::query(SPENT)
                .bind(card.as_str())
                .bind(i64::from(seen.spent))
                .execute(pool)
                .await?;
        });
        Ok(seen)
    }

    /// Stores a card after a transition of its standing that no change made: lost, found, allowed again, confirmed by the
    /// vault, destroyed.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::Missing`]; outages.
    pub async fn save_standing(
        &self,
        card: Card,
        standing: Standing,
        (role, actor): (&str, &str),
        at: Timestamp,
    ) -> Result<Card, Error> {
        let action = if standing.state() == card.state {
            format!("card denial {}", standing.denial().name())
        } else {
            format!("card {}", standing.state().name())
        };
        writing!(self, |tx, head| {
            let row: Option<CardRow> = sqlx::query_as(CARD_BY_NUMBER)
                .bind(card.number.as_str())
                .fetch_optional(&mut *tx)
                .await?;
            let found: Card = row.ok_or(Error::Missing { what: "card" })?.try_into()?;
            if found != card {
                return Err(Error::Stale { what: "card" });
            }
            if standing.state() == CardState::HandedOver && card.state != CardState::HandedOver {
                refuse_second!(tx, &card);
            }
            stand!(tx, card.number, standing, at);
            append!(
                tx,
                head,
                at,
                Entry {
                    role,
                    actor,
                    action: &action,
                    subject: card.number.as_str(),
                    detail: "{}",
                }
            );
        });
        Ok(Card {
            state: standing.state(),
            denial: standing.denial(),
            chip: standing.chip(),
            version: card.version + 1,
            ..card
        })
    }

    /// Ends a card for another one: the old card is REPLACED (or stays as it ended), the permit waits for a production
    /// order, in one transaction.
    ///
    /// # Errors
    /// [`permit_domain::Error::WrongState`] for a permit that is not active, or whose other card is in use;
    /// [`Error::Stale`], [`Error::Missing`]; outages.
    pub async fn replace_card(
        &self,
        card: Card,
        standing: Standing,
        (role, actor): (&str, &str),
        at: Timestamp,
    ) -> Result<Card, Error> {
        let permit_id = card.permit.to_string();
        writing!(self, |tx, head| {
            let row: Option<CardRow> = sqlx::query_as(CARD_BY_NUMBER)
                .bind(card.number.as_str())
                .fetch_optional(&mut *tx)
                .await?;
            let found: Card = row.ok_or(Error::Missing { what: "card" })?.try_into()?;
            if found != card {
                return Err(Error::Stale { what: "card" });
            }
            refuse_second!(tx, &card);
            let row: Option<permits::Row> = sqlx::query_as(permits::SELECT)
                .bind(permit_id.as_str())
                .fetch_optional(&mut *tx)
                .await?;
            let permit: Permit = row.ok_or(Error::Missing { what: "permit" })?.try_into()?;
            let permit = permit.change(PermitState::replace_card)?;
            permits::update_permit!(tx, &permit, at);
            stand!(tx, card.number, standing, at);
            let action = format!("card {} to be replaced", standing.state().name());
            append!(
                tx,
                head,
                at,
                Entry {
                    role,
                    actor,
                    action: &action,
                    subject: card.number.as_str(),
                    detail: "{}",
                }
            );
        });
        Ok(Card {
            state: standing.state(),
            denial: standing.denial(),
            chip: standing.chip(),
            version: card.version + 1,
            ..card
        })
    }

    /// Cards whose deny-list entry the vault has not confirmed: WANTED or LIFTING.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn unconfirmed_denials(&self) -> Result<Vec<Card>, Error> {
        const UNCONFIRMED: &str = "
            SELECT number, serial, permit, order_id, state, denial, chip, version FROM cards
            WHERE denial IN ('WANTED', 'LIFTING') ORDER BY number";
        let rows: Vec<CardRow> = on_engine!(self, |pool| sqlx::query_as(UNCONFIRMED).fetch_all(pool).await?);
        rows.into_iter().map(TryInto::try_into).collect()
    }
}
