//! What a bus, a clinic, the office and a stranger see of a card: each through a connection of its own, with its own
//! keys, and counted.

use card_applet_spec::codes::{Rights, Role};
use card_applet_spec::date::Date;
use card_reader::transport::Transport;
use card_reader::{Admission, Card, Counting, Error as CardError, Terminal as DoorF, counter};
use program_contract::{Exit, Failure};
use rand_core::CryptoRng;
use serde::Serialize;
use serde_json::{Value, json};

use crate::failure;
use crate::terminals::Terminal;

/// One read.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Read {
    pub(crate) decision: &'static str,
    pub(crate) reason: Option<&'static str>,
    pub(crate) saw: Value,
    pub(crate) apdus: u32,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    pub(crate) ms: f64,
}

/// Nanoseconds of a clock that only goes forward.
pub(crate) fn stopwatch() -> impl Fn() -> u64 {
    let began = std::time::Instant::now();
    move || u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Counts one read and turns its outcome into what is shown.
fn counted<T: Transport>(
    transport: T,
    read: impl FnOnce(&mut Counting<T, Box<dyn Fn() -> u64>>) -> Result<Value, CardError>,
) -> Result<Read, Failure> {
    let watch: Box<dyn Fn() -> u64> = Box::new(stopwatch());
    let mut counting = Counting::new(transport, watch);
    let outcome = read(&mut counting);
    let counts = counting.counts();
    let (decision, reason, saw) = match outcome {
        Ok(saw) => ("accepted", None, saw),
        Err(error) => {
            let refused = error.refusal().ok_or_else(|| not_read(&error))?;
            ("refused", Some(refused.reason.code()), json!({}))
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "a read takes milliseconds")]
    let ms = counts.nanoseconds as f64 / 1e6;
    Ok(Read {
        decision,
        reason,
        saw,
        apdus: counts.apdus,
        bytes_sent: counts.bytes_sent,
        bytes_received: counts.bytes_received,
        ms,
    })
}

/// A card or reader that went away: nothing was decided.
fn not_read(error: &CardError) -> Failure {
    let exit = if error.outcome_unknown() {
        Exit::Unknown
    } else {
        Exit::Absent
    };
    failure::ending(exit, error.clone())
}

fn admission(admission: &Admission) -> Value {
    json!({
        "role": admission.role.as_str(),
        "region": admission.region.to_string(),
        "tier": admission.tier.as_str(),
        "class": admission.class,
        "services": hex::encode(admission.services.to_be_bytes()),
        "zones": hex::encode(admission.zones.to_be_bytes()),
        "valid_from": admission.valid_from.to_string(),
        "valid_to": admission.valid_to.to_string(),
        "rule_set": hex::encode(admission.rule_set),
    })
}

/// Door F: one TAP.
pub(crate) fn tap(
    transport: impl Transport,
    gate: &mut DoorF,
    role: Role,
    today: Date,
    random: &mut impl CryptoRng,
) -> Result<Read, Failure> {
    counted(transport, |transport| {
        let card = Card::new(transport).select()?;
        gate.tap(card, role, today, random).map(|seen| admission(&seen))
    })
}

/// Door S: one record, with the role's right alone.
pub(crate) fn strong(
    transport: impl Transport,
    terminal: &Terminal,
    role: Role,
    today: Date,
    random: &mut impl CryptoRng,
) -> Result<Read, Failure> {
    counted(transport, |transport| {
        let card = Card::new(transport).select()?.present(&terminal.bundle, today)?;
        let card = card.agree(Rights::role(role), &terminal.key, today, random)?;
        let (_, seen) = card.read_entitlement(role, &terminal.bundle, today)?;
        Ok(admission(seen.content()))
    })
}

/// The office: everything, through door S with the counter's rights.
pub(crate) fn office(
    transport: impl Transport,
    counter: &Terminal,
    today: Date,
    random: &mut impl CryptoRng,
) -> Result<Read, Failure> {
    counted(transport, |transport| {
        let seen = counter::look(transport, &counter.bundle, &counter.key, &[], &[], today, random)
            .map_err(|error| error.source)?;
        let groups = seen.groups.content();
        let dg1 = groups.dg1();
        let dg3 = groups.dg3();
        Ok(json!({
            "serial": seen.serial.to_string(),
            "state": seen.status.state.as_str(),
            "identity": dg1.map(|dg1| json!({
                "name": dg1.name,
                "sex": dg1.sex,
                "nation": dg1.nation,
                "birth_date": dg1.birth_date.to_string(),
                "citizen_number": dg1.citizen_number,
                "hukou_address": dg1.hukou_address,
                "residence_address": dg1.residence_address,
                "issuing_organ": dg1.issuing_organ,
                "issue_date": dg1.issue_date.to_string(),
            })),
            "portrait_bytes": groups.dg2().map(|dg2| dg2.image.len()),
            "permit": dg3.map(|dg3| json!({
                "tier": dg3.tier.as_str(),
                "issued": dg3.issued.to_string(),
                "endorsed_until": dg3.endorsed_until.to_string(),
                "rule_set": dg3.rule_set,
            })),
            "records": seen.records.iter().map(|record| record.role.as_str()).collect::<Vec<_>>(),
        }))
    })
}
