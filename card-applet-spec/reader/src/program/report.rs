//! What `card-reader` prints: the fields of its JSON objects, and lines for people in Chinese and English.
//!
//! Never printed: a pseudonym, a name, a number of a person. To the holder every refusal of a card reads the same; the reason
//! is for the operator, on standard error.

use std::borrow::Cow;

use card_applet_spec::codes::{Role, Tier};
use card_applet_spec::date::Date;
use card_reader::counter::Structure;
use card_reader::purchase::Sale;
use card_reader::transport::ListedReader;
use card_reader::{Admission, Counts, Error, Reason, Refusal, Told};
use program_contract::language::{Line, Said, Words};
use program_contract::money::Fen;
use program_contract::{Exit, Failure, Outcome, line};
use serde_json::{Map, Value, json};

use crate::program::clock::civil;
use crate::program::services::Services;

pub(crate) const SCHEMA: &str = "yzt.card-reader/1";

/// What a command did: these keys and lines.
pub(crate) fn done(command: &str, mut fields: Map<String, Value>, lines: Vec<Line>) -> Outcome {
    fields.insert("command".to_owned(), json!(command));
    Outcome {
        exit: Exit::Done,
        schema: SCHEMA.into(),
        fields,
        lines,
    }
}

/// What a command saw, in both forms.
#[derive(Debug, Clone, Default)]
pub(crate) struct Saw {
    pub(crate) json: Map<String, Value>,
    pub(crate) lines: Vec<Line>,
    /// The first line, where it is not "accepted".
    pub(crate) title: Option<Words>,
}

impl Saw {
    /// A line of its own and a value for programs.
    pub(crate) fn say(&mut self, key: &str, value: Value, line: Line) {
        self.json.insert(key.to_owned(), value);
        self.lines.push(line);
    }

    /// A value for programs, and for people as it is shown, under its label.
    pub(crate) fn put_as(&mut self, key: &str, label: Words, shown: &dyn Said, value: Value) {
        self.say(key, value, line!("  ", label, ": ", shown));
    }

    /// A value that programs and people see alike.
    pub(crate) fn put(&mut self, key: &str, label: Words, value: Value) {
        let shown: &dyn Said = match &value {
            Value::Null => &Words("无", "none"),
            Value::Bool(true) => &Words("是", "yes"),
            Value::Bool(false) => &Words("否", "no"),
            Value::String(text) => text,
            other => &other.to_string(),
        };
        let line = line!("  ", label, ": ", shown);
        self.say(key, value, line);
    }
}

program_contract::sentences! {
    fn receipt(at, tid, amount, after, txno) =
        "{at} 终端 {tid} 付款 {amount} 元，余额 {after} 元，交易号 {txno}",
        "{at} terminal {tid}: paid CNY {amount}, balance CNY {after}, transaction {txno}";
}

/// A sale for the clerk and the holder: amounts, balance, and the line for the paper in two languages.
pub(crate) fn sale(sale: &Sale) -> Saw {
    let mut saw = Saw {
        title: Some(Words("已付款", "paid")),
        ..Saw::default()
    };
    let (amount, before, after) = (Fen(sale.amount), Fen(sale.before), Fen(sale.after));
    let (tid, txno, at) = (
        format!("{:08x}", sale.tid),
        hex::encode(sale.txno),
        civil(sale.seconds),
    );
    saw.say(
        "amount_fen",
        json!(sale.amount),
        line!("  ", Words("金额", "amount"), ": ", amount),
    );
    saw.say(
        "balance_before_fen",
        json!(sale.before),
        line!("  ", Words("原余额", "balance before"), ": ", before),
    );
    saw.say(
        "balance_after_fen",
        json!(sale.after),
        line!("  ", Words("余额", "balance after"), ": ", after),
    );
    saw.json.insert("tid".to_owned(), json!(sale.tid));
    saw.json.insert("txno".to_owned(), json!(txno));
    saw.json.insert("time".to_owned(), json!(at));
    saw.json.insert("earlier".to_owned(), json!(sale.earlier));
    let (zh, en) = receipt(at, tid, amount, after, txno);
    saw.say("receipt", json!({ "zh": zh, "en": en }), line!("  ", (zh, en)));
    saw
}

fn milliseconds(nanoseconds: u64) -> Value {
    // Whole microseconds, so that the number has three decimals and no noise.
    let microseconds = u32::try_from(nanoseconds.div_euclid(1000)).unwrap_or(u32::MAX);
    json!(f64::from(microseconds) / 1000.0)
}

/// What a holder is told: where nobody chose a language, a line in each.
struct ToHolder(Told);

impl Said for ToHolder {
    fn zh(&self) -> Cow<'_, str> {
        self.0.texts().0.into()
    }

    fn en(&self) -> Cow<'_, str> {
        self.0.texts().1.into()
    }

    fn both(&self) -> String {
        let (chinese, english) = self.0.texts();
        format!("{chinese}\n{english}")
    }
}

/// The decision object of the contracts.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) command: &'static str,
    pub(crate) reader: Option<String>,
    pub(crate) counts: Counts,
    /// Wall time from the first command to the decision.
    pub(crate) nanoseconds: u64,
    /// A tape was judged and not a card.
    pub(crate) replayed: bool,
    /// Accepted in the days of grace of an old list.
    pub(crate) grace: bool,
    /// The terminal's clock is behind a day that it has seen: today and that day.
    pub(crate) clock: Option<(Date, Date)>,
    /// What a shop was asked to sell for.
    pub(crate) amount: Option<Fen>,
}

impl Decision {
    fn fields(&self, refusal: Option<Refusal>, saw: Map<String, Value>) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        put("command", json!(self.command));
        put("reader", json!(self.reader));
        put(
            "decision",
            json!(if refusal.is_none() { "accepted" } else { "refused" }),
        );
        put("reason", json!(refusal.map(|refusal| refusal.reason.code())));
        put("saw", Value::Object(saw));
        put("apdus", json!(self.counts.apdus));
        put("bytes_sent", json!(self.counts.bytes_sent));
        put("bytes_received", json!(self.counts.bytes_received));
        put("ms", milliseconds(self.nanoseconds));
        // Only where it is so: the object of the contracts stays what it was.
        let out_of_service = refusal.is_some_and(|refusal| refusal.told() == Told::OutOfService);
        for (name, said) in [
            ("replayed", self.replayed),
            ("grace", self.grace),
            ("out_of_service", out_of_service),
        ] {
            if said {
                put(name, json!(true));
            }
        }
        if let Some((today, seen)) = self.clock {
            put(
                "clock",
                json!({ "today": today.to_string(), "seen": seen.to_string() }),
            );
        }
        if let Some(Fen(amount)) = self.amount {
            put("amount_fen", json!(amount));
        }
        fields
    }

    fn wire(&self) -> Line {
        line!(
            "  ",
            Words("用时", "time"),
            ": ",
            milliseconds(self.nanoseconds).to_string(),
            " ms; ",
            self.counts.apdus,
            " APDU, ",
            Words("发送", "sent"),
            " ",
            self.counts.bytes_sent,
            " B, ",
            Words("收到", "received"),
            " ",
            self.counts.bytes_received,
            " B"
        )
    }

    pub(crate) fn accepted(&self, saw: Saw) -> Outcome {
        let mut lines = vec![line!(saw.title.unwrap_or(Words("通过", "accepted")))];
        if self.replayed {
            lines.push(line!(
                "  ",
                Words("回放，不是卡", "replayed from a tape: no card is here")
            ));
        }
        if self.grace {
            lines.push(line!(
                "  ",
                Words(
                    "名单已过期，宽限期内",
                    "the list is old: accepted in its days of grace"
                )
            ));
        }
        lines.extend(saw.lines);
        lines.push(self.wire());
        Outcome {
            exit: Exit::Done,
            schema: SCHEMA.into(),
            fields: self.fields(None, saw.json),
            lines,
        }
    }

    pub(crate) fn refused(&self, refusal: Refusal) -> Failure {
        let reason = refusal.reason;
        let exit = match reason {
            Reason::OutcomeUnknown => Exit::Unknown,
            Reason::ClockWrong => Exit::Damaged,
            _ => Exit::Refused,
        };
        let mut failure = Failure::from(refusal);
        failure.exit = exit;
        failure.fields = self.fields(Some(refusal), Map::new());
        failure.lines = vec![line!(ToHolder(refusal.told()))];
        failure.notes = vec![line!(
            Words("核查", "check"),
            ": ",
            (refusal.check.chinese(), refusal.check.to_string())
        )];
        failure
    }

    /// A refusal, or trouble on the way.
    pub(crate) fn failed(&self, error: &Error) -> Failure {
        match error {
            Error::Refused(refusal) => self.refused(*refusal),
            error => {
                let mut failure = Failure::from(error.clone());
                // Once a command has gone out, a card that is gone was lost in the middle.
                if self.counts.apdus > 0 && matches!(error, Error::Transport(_)) {
                    failure.exit = Exit::Unknown;
                }
                failure
            }
        }
    }
}

pub(crate) fn role_words(role: Role) -> Words {
    let chinese = match role {
        Role::Transit => "公交",
        Role::SocialInsurance => "社会保障",
        Role::SmallPayment => "小额消费",
        Role::Clinic => "医疗服务",
        Role::Door => "门禁",
    };
    Words(chinese, role.as_str())
}

fn tier_words(tier: Tier) -> Words {
    let chinese = match tier {
        Tier::Temp => "临时居住",
        Tier::Employment => "就业居住",
        Tier::Talent => "人才居住",
    };
    Words(chinese, tier.as_str())
}

/// What a service sees of one record. No pseudonym, no identity. Programs get the fields as they stand; people get words,
/// and first what they decide by.
pub(crate) fn admission(admission: &Admission, services: &Services) -> Saw {
    let Admission {
        role, tier, class, ..
    } = *admission;
    let (from, to) = (admission.valid_from.to_string(), admission.valid_to.to_string());
    let mut lines = vec![
        line!("  ", role_words(role), " · ", tier_words(tier)),
        line!("  ", Words("有效期", "valid"), ": ", from, " – ", to),
        line!(
            "  ",
            Words("服务", "services"),
            ": ",
            services.words(admission.rule_set, admission.services)
        ),
        line!("  ", Words("档次", "class"), ": ", class),
    ];
    if admission.zones != 0 {
        let zones: Vec<String> = (0..64_u8)
            .filter(|bit| admission.zones >> bit & 1 == 1)
            .map(|bit| bit.to_string())
            .collect();
        lines.push(line!("  ", Words("区域", "zones"), ": ", zones.join(", ")));
    }
    let fields = [
        ("role", json!(role.as_str())),
        ("tier", json!(tier.as_str())),
        ("class", json!(class)),
        ("services", json!(hex::encode(admission.services.to_be_bytes()))),
        ("zones", json!(hex::encode(admission.zones.to_be_bytes()))),
        ("valid_from", json!(from)),
        ("valid_to", json!(to)),
        ("rule_set", json!(hex::encode(admission.rule_set))),
    ];
    Saw {
        json: fields
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
        lines,
        title: None,
    }
}

/// What a stranger sees: card info, a blank's serial, and how little TAP says.
pub(crate) fn stranger(
    info: card_applet_spec::data_group::CardInfo,
    serial: Option<card_applet_spec::codes::Serial>,
    taps: Option<(usize, bool)>,
) -> Saw {
    let mut saw = Saw::default();
    let [major, minor] = info.specification;
    saw.put(
        "specification",
        Words("规范版本", "specification"),
        json!(format!("{major}.{minor}")),
    );
    saw.put("profile", Words("规格", "profile"), json!(info.profile));
    saw.put(
        "serial",
        Words("序列号（仅空白卡）", "serial (blank cards only)"),
        json!(serial.map(|s| s.to_string())),
    );
    if let Some((bytes, repeats)) = taps {
        saw.put(
            "tap_bytes",
            Words("快速门应答字节", "bytes of a tap"),
            json!(bytes),
        );
        saw.put(
            "tap_repeats",
            Words("两次应答有重复", "anything repeated in two taps"),
            json!(repeats),
        );
    }
    saw
}

/// Structure and states.
pub(crate) fn structure(info: card_applet_spec::data_group::CardInfo, seen: &Structure) -> Saw {
    let mut saw = Saw::default();
    let [major, minor] = info.specification;
    saw.put(
        "specification",
        Words("规范版本", "specification"),
        json!(format!("{major}.{minor}")),
    );
    saw.put("profile", Words("规格", "profile"), json!(info.profile));
    let chip = seen.chip.content();
    saw.put(
        "key_domain",
        Words("密钥域", "key domain"),
        json!(chip.domain.as_str()),
    );
    saw.put(
        "certificate_from",
        Words("证书起", "certificate from"),
        json!(chip.from.to_string()),
    );
    saw.put(
        "certificate_to",
        Words("证书止", "certificate to"),
        json!(chip.to.to_string()),
    );
    if let Some(status) = &seen.status {
        saw.put("state", Words("状态", "state"), json!(status.state.as_str()));
        saw.put(
            "failures",
            Words("发卡门失败次数", "failures of door I"),
            json!(status.failures),
        );
        let floor = (!status.floor.is_none()).then(|| status.floor.to_string());
        saw.put("date_floor", Words("日期下限", "date floor"), json!(floor));
        saw.put(
            "epoch",
            Words("终端证书纪元", "terminal-CA epoch"),
            json!(status.epoch),
        );
        saw.put(
            "script_step",
            Words("脚本步", "last script step"),
            json!(status.last),
        );
        saw.put(
            "script_open",
            Words("脚本未完", "script unfinished"),
            json!(status.open),
        );
    }
    let slots: Vec<Value> = seen
        .slots
        .iter()
        .map(|slot| {
            json!({
                "role": slot.role.as_str(),
                "present": slot.header.is_some(),
                "key_version": slot.header.map(|header| header.kv),
                "issue_counter": slot.header.map(|header| header.issue_counter),
                "expiry": slot.header.map(|header| header.expiry.to_string()),
            })
        })
        .collect();
    for slot in &seen.slots {
        saw.lines.push(match slot.header {
            Some(header) => line!(
                "  ",
                role_words(slot.role),
                ": ",
                Words("版本", "version"),
                " ",
                header.kv,
                ", ",
                Words("序", "counter"),
                " ",
                header.issue_counter,
                ", ",
                Words("止", "until"),
                " ",
                header.expiry
            ),
            None => line!("  ", role_words(slot.role), ": ", Words("无", "none")),
        });
    }
    saw.json.insert("slots".to_owned(), Value::Array(slots));
    saw
}

/// The readers.
pub(crate) fn readers(listed: &[ListedReader]) -> Result<Outcome, Failure> {
    let list: Vec<Value> = listed
        .iter()
        .map(|reader| {
            json!({
                "name": reader.name,
                "card_present": reader.card_present,
                "card_mute": reader.card_mute,
                "atr": hex::encode(&reader.atr),
            })
        })
        .collect();
    if listed.is_empty() {
        return Err(Failure::from(card_reader::transport::TransportError::NoReader)
            .with("command", "list")
            .with("readers", list));
    }
    let lines: Vec<Line> = listed
        .iter()
        .map(|reader| {
            let card = match (reader.card_present, reader.card_mute) {
                (false, _) => Words("无卡", "no card"),
                (true, true) => Words("有卡，无法上电", "card without power"),
                (true, false) => Words("有卡", "card"),
            };
            line!(reader.name, " · ", card)
        })
        .collect();
    Ok(done(
        "list",
        Map::from_iter([("readers".to_owned(), json!(list))]),
        lines,
    ))
}

/// The public request of an enrolment: always JSON, because the vault reads it.
pub(crate) fn request(
    request: &card_reader::enrol::EnrolRequest,
    vault: &[u8; 16],
) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::done("yzt.terminal-request/1", &request.to_json(vault), Vec::new())?;
    outcome.lines = vec![line!(outcome.object().to_string())];
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use card_applet_spec::date::Date;
    use card_reader::{Check, Reason};
    use program_contract::line;

    use super::*;

    fn decision() -> Decision {
        Decision {
            command: "bus",
            reader: Some("a reader".to_owned()),
            counts: Counts {
                apdus: 2,
                bytes_sent: 35,
                bytes_received: 284,
                nanoseconds: 900_000,
            },
            nanoseconds: 1_234_567,
            replayed: false,
            grace: false,
            clock: None,
            amount: None,
        }
    }

    fn keys(value: &Value) -> Vec<&str> {
        value.as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[test]
    fn a_decision_has_exactly_the_keys_of_the_contracts() {
        let seen = Admission {
            role: Role::Transit,
            region: "440300".parse().unwrap(),
            tier: Tier::Talent,
            class: 2,
            services: 5,
            zones: 1 << 63,
            valid_from: "2026-11-21".parse::<Date>().unwrap(),
            valid_to: "2027-11-20".parse::<Date>().unwrap(),
            rule_set: [0xAB; 8],
        };
        let report = decision().accepted(admission(&seen, &Services::default()));
        assert_eq!(report.exit, Exit::Done);
        assert_eq!(
            report.object(),
            json!({
                "schema": "yzt.card-reader/1", "ok": true, "command": "bus", "reader": "a reader",
                "decision": "accepted", "reason": null,
                "saw": {
                    "role": "TRANSIT", "tier": "TALENT", "class": 2, "services": "0000000000000005",
                    "zones": "8000000000000000", "valid_from": "2026-11-21", "valid_to": "2027-11-20",
                    "rule_set": "abababababababab"
                },
                "apdus": 2, "bytes_sent": 35, "bytes_received": 284, "ms": 1.234
            })
        );
    }

    #[test]
    fn the_terminals_own_faults_and_foreign_cards_send_nobody_anywhere() {
        use card_reader::Told;

        let lines = |check: Check| decision().refused(check.into());
        for (check, told) in [
            (Check::DenyListAge, Told::OutOfService),
            (Check::BundleDays, Told::OutOfService),
            (Check::BundleRole, Told::OutOfService),
            (Check::TerminalRights, Told::OutOfService),
            (Check::CertificateEnded, Told::OutOfService),
            (Check::Registration, Told::OutOfService),
            (Check::Clock, Told::OutOfService),
            (Check::Application, Told::NotAPermitCard),
            (Check::TerminalCertificate, Told::NotAPermitCard),
            (Check::Balance, Told::BalanceTooLow),
            (Check::CardLimit, Told::AboveLimit),
            (Check::Proof, Told::SameCardAgain),
            (Check::RecordRole, Told::Office),
            (Check::DenyList, Told::Office),
        ] {
            let failure = lines(check);
            assert_eq!(failure.lines, [line!(ToHolder(told))], "{check:?}");
            let own = told == Told::OutOfService;
            assert_eq!(failure.fields.contains_key("out_of_service"), own, "{check:?}");
            assert!(failure.action.ends_with('.') && (!own || !failure.action.contains("holder")));
        }
        assert_eq!(lines(Check::Clock).exit, Exit::Damaged);
        let doubted = Decision {
            clock: Some(("2026-11-20".parse().unwrap(), "2026-11-21".parse().unwrap())),
            ..decision()
        };
        assert_eq!(
            doubted.refused(Check::Clock.into()).fields["clock"],
            json!({ "today": "2026-11-20", "seen": "2026-11-21" })
        );
    }

    #[test]
    fn to_the_holder_every_refusal_of_a_card_reads_the_same() {
        let texts: std::collections::BTreeSet<String> = [Check::Keys, Check::DenyList, Check::RecordDays]
            .into_iter()
            .map(|check| {
                let failure = decision().refused(check.into());
                assert_eq!(failure.exit, Exit::Refused);
                assert_eq!(failure.fields["decision"], "refused");
                assert_eq!(failure.fields["saw"], json!({}));
                assert_eq!(failure.code, check.reason().code());
                assert_eq!(failure.lines.len(), 1);
                failure.lines[0].both()
            })
            .collect();
        assert_eq!(texts.len(), 1);
        assert!(
            Reason::ALL
                .iter()
                .all(|reason| !texts.first().unwrap().contains(reason.code()))
        );
    }

    #[test]
    fn a_card_gone_before_the_first_command_is_absent_and_after_it_lost() {
        let gone = Error::Transport(card_reader::transport::TransportError::NoCard);
        let under_way = decision();
        let before = Decision {
            counts: Counts::default(),
            ..decision()
        };
        assert_eq!(before.failed(&gone).exit, Exit::Absent);
        assert_eq!(under_way.failed(&gone).exit, Exit::Unknown);
    }

    #[test]
    fn no_reader_is_an_empty_list_and_exit_3() {
        let failure = readers(&[]).unwrap_err();
        assert_eq!(failure.exit, Exit::Absent);
        let object = failure.object(SCHEMA, program_contract::Language::English);
        assert_eq!(object["readers"], json!([]));
        assert_eq!(keys(&object), ["command", "error", "ok", "readers", "schema"]);
        assert_eq!(keys(&object["error"]), ["action", "code", "message"]);
    }
}
