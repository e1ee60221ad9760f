//! A change as commands show it.

use issuer_office::error::OfficeError;
use issuer_office::office::Office;
use issuer_office::proposal::Proposed;
use issuer_store::StoredCardChange;
use permit_domain::{Actor as _, ChangeId, ChangeState, Entitlement, ExplanationLine};
use program_contract::language::Words;
use program_contract::{Failure, Outcome, line};
use serde::Serialize;

use crate::command::place::{Context, Place};
use crate::command::words::{of_change, of_kind};

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
        let (decided, card) = office.last_days_of(change).await?;
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
            decided_until: decided.to_string(),
            card_until: card.map(|day| day.to_string()),
        })
    }
}

pub(super) async fn shown(
    schema: &'static str,
    context: &Context,
    stored: &StoredCardChange,
) -> Result<Outcome, Failure> {
    let now = ChangeNow::of(&context.office, stored).await?;
    let mut lines = vec![
        line!(&now.change_id, " ", of_kind(now.kind), " ", of_change(now.state)),
        line!(decided_until(
            &now.decided_until,
            now.card_until.as_deref().unwrap_or("-")
        )),
    ];
    if let (false, Some(day)) = (stored.change.state().is_over(), &now.holds_until) {
        lines.push(line!(holds_until(day)));
    }
    if let ChangeState::Proposed = stored.change.state() {
        lines.push(line!(to_be_read(context.place.here(), &now.change_id)));
    }
    Outcome::done(schema, &now, lines)
}

program_contract::sentences! {
    fn decided_until(decided, card) =
        "核定至 {decided}，卡上至 {card}", "decided until {decided}, on the card until {card}";
    fn holds_until(day) =
        "须在 {day} 之前签批并写卡；逾期失效", "to be signed off and written by {day}; behind it, it expires";
    fn to_be_read(here, id) =
        "请第二人查阅后按其内容签批：`issuer change proposal{here} --id {id}`",
        "A second person reads it, and signs off what it says: `issuer change proposal{here} --id {id}`";
    fn proposed_by(clerk, card) = "，由 {clerk} 提议，卡 {card}", ", proposed by {clerk}, card {card}";
    fn last_days(now, proposed, card) =
        "截止日 {now} -> {proposed}，卡上至 {card}", "last day {now} -> {proposed}, on the card until {card}";
    fn entitled(role, class, services, zones) =
        "{role}：档次 {class}，服务 {services}，区域 {zones}", "{role}: class {class}, services {services}, zones {zones}";
    fn to_be_signed(here, id, content) =
        "无误的，请签批：`issuer change approve{here} --id {id} --content {content}`",
        "Sign it off, if that is right: `issuer change approve{here} --id {id} --content {content}`";
}

/// What the second person reads: the change, what it decides against what is granted now, the holder's newer facts, why, and
/// the digest that stands for all of it. With personal data, for that person alone.
#[derive(Serialize)]
struct ProposalRead<'a> {
    change_id: String,
    permit_id: String,
    card_number: String,
    kind: &'static str,
    state: &'static str,
    clerk: &'a str,
    holds_until: Option<String>,
    card_until: Option<String>,
    tier: Compared<&'static str>,
    valid_to: Compared<String>,
    entitlements: &'a [Entitlement],
    facts: Vec<FactRead>,
    explanation: &'a [ExplanationLine],
    /// 64 hex digits, for `issuer change approve --content`.
    content: String,
}

#[derive(Serialize)]
struct Compared<T> {
    now: T,
    proposed: T,
}

#[derive(Serialize)]
struct FactRead {
    field: String,
    now: serde_json::Value,
    proposed: serde_json::Value,
}

/// The proposal of a change, for whoever signs it off.
pub(super) fn read(place: &Place, proposed: &Proposed) -> Result<Outcome, Failure> {
    let change = &proposed.stored.change;
    let decision = proposed.stored.decision.as_ref();
    let grant = &proposed.grant;
    let tier = decision.and_then(|decision| decision.tier).unwrap_or(grant.tier);
    let valid_to = decision
        .and_then(|decision| decision.valid_to)
        .unwrap_or(grant.valid_to);
    let now = ProposalRead {
        change_id: change.id().to_string(),
        permit_id: change.permit().to_string(),
        card_number: change.card().number.to_string(),
        kind: change.kind().name(),
        state: change.state().name(),
        clerk: change.clerk().staff().as_str(),
        holds_until: change.holds_until().map(|day| day.to_string()),
        card_until: proposed.card_until.map(|day| day.to_string()),
        tier: Compared {
            now: grant.tier.as_str(),
            proposed: tier.as_str(),
        },
        valid_to: Compared {
            now: grant.valid_to.to_string(),
            proposed: valid_to.to_string(),
        },
        entitlements: decision
            .map(|decision| decision.entitlements.as_slice())
            .unwrap_or_default(),
        facts: proposed
            .newer_facts()
            .into_iter()
            .map(|(field, now, proposed)| FactRead { field, now, proposed })
            .collect(),
        explanation: decision
            .map(|decision| decision.explanation.as_slice())
            .unwrap_or_default(),
        content: proposed.content.to_string(),
    };
    let mut lines = vec![
        line!(
            &now.change_id,
            " ",
            of_kind(now.kind),
            " ",
            of_change(now.state),
            proposed_by(now.clerk, &now.card_number)
        ),
        line!(
            Words("类别", "tier"),
            " ",
            now.tier.now,
            " -> ",
            now.tier.proposed
        ),
        line!(last_days(
            &now.valid_to.now,
            &now.valid_to.proposed,
            now.card_until.as_deref().unwrap_or("-")
        )),
    ];
    lines.extend(now.entitlements.iter().map(|entitlement| {
        line!(entitled(
            format!("{:?}", entitlement.role),
            entitlement.class.to_string(),
            format!("{:#x}", entitlement.services),
            format!("{:#x}", entitlement.zones)
        ))
    }));
    lines.extend(now.facts.iter().map(|fact| {
        line!(
            &fact.field,
            ": ",
            fact.now.to_string(),
            " -> ",
            fact.proposed.to_string()
        )
    }));
    lines.extend(now.explanation.iter().map(|explained| {
        let met = if explained.met {
            Words("满足", "met")
        } else {
            Words("不满足", "not met")
        };
        line!(
            &explained.article,
            " ",
            &explained.condition,
            " ",
            met,
            ": ",
            (explained.chinese(), &explained.because)
        )
    }));
    if let ChangeState::Proposed = change.state() {
        lines.push(line!(to_be_signed(place.here(), &now.change_id, &now.content)));
    }
    Outcome::done("yzt.change_proposal/1", &now, lines)
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
