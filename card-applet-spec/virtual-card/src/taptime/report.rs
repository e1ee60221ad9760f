//! The uses of a card, each gone through once and counted, and what they take on measured cards.

use card_applet_spec::codes::{Rights, Role};
use card_applet_spec::door_s::Object;
use card_applet_spec::script::ScriptKind;
use serde::Serialize;

use crate::error::Error;
use crate::taptime::cards::{CARDS, Card};
use crate::taptime::gate::{Gate, Passage};
use crate::taptime::issuer::{Exchange, Issuer, KV, Reader};
use crate::taptime::time::{Assumptions, TARGET_BIT_RATE, Time};
use crate::taptime::work::{KeyObjects, SetUp, Work};

/// Schema of the object.
pub const SCHEMA: &str = "yzt.taptime/1";

/// A command of a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Command {
    /// In the words of the specification.
    pub name: &'static str,
    /// How often it came, one behind the other.
    pub count: u32,
    /// Bytes of all its commands.
    pub sent: usize,
    /// Bytes of all its answers.
    pub answered: usize,
    /// What a Java Card does for all of them.
    pub work: Work,
}

/// One use of a card, from field to result.
#[derive(Debug, Clone, Serialize)]
pub struct Scenario {
    /// Name for programs.
    pub id: &'static str,
    /// For people.
    pub zh: &'static str,
    /// For people.
    pub en: &'static str,
    /// What came over the link, in order.
    pub commands: Vec<Command>,
    /// Everything together.
    pub work: Work,
    #[serde(skip)]
    exchanges: Vec<(usize, usize, Work)>,
}

impl Scenario {
    fn of(
        (id, zh, en): (&'static str, &'static str, &'static str),
        exchanges: &[Exchange],
        mut keys: KeyObjects<'_>,
    ) -> Self {
        let mut scenario = Self {
            id,
            zh,
            en,
            commands: Vec::new(),
            work: Work::default(),
            exchanges: Vec::new(),
        };
        for exchange in exchanges {
            let work = keys.work(exchange);
            let (name, sent, answered) = (exchange.command, exchange.sent, exchange.answered);
            scenario.work.add(&work);
            match scenario.commands.last_mut() {
                Some(last) if last.name == name => {
                    last.count += 1;
                    last.sent += sent;
                    last.answered += answered;
                    last.work.add(&work);
                }
                _ => scenario.commands.push(Command {
                    name,
                    count: 1,
                    sent,
                    answered,
                    work: work.clone(),
                }),
            }
            scenario.exchanges.push((sent, answered, work));
        }
        scenario
    }

    /// What it takes on a card, from the field to the last answer.
    #[must_use]
    pub fn time(&self, card: &Card, assumptions: &Assumptions, bit_rate: u32) -> Time {
        let mut time = Time {
            link: assumptions.activation_ms,
            ..Time::default()
        };
        for (sent, answered, work) in &self.exchanges {
            time.add(&Time::of(work, (*sent, *answered), card, assumptions, bit_rate));
        }
        time
    }
}

/// Runs the card through every door and command.
///
/// # Errors
///
/// [`Error::ModelStopped`] when the card answers otherwise than the specification says.
pub(crate) fn scenarios(rule: SetUp) -> Result<Vec<Scenario>, Error> {
    let mut issuer = Issuer::new()?;
    let mut done: Vec<(Name, Vec<Exchange>)> = Vec::new();

    // A card's life in door I; each session starts with power on.
    let mut image = issuer.blank()?;
    let mut live = |name: Name, step: &mut Session<'_>| -> Result<Vec<u8>, Error> {
        let mut reader = Reader::power_on(&image, 1)?;
        step(&mut reader)?;
        done.push((name, std::mem::take(&mut reader.exchanges)));
        image = reader.image();
        Ok(image.clone())
    };
    live(PERSONALISE, &mut |reader| issuer.personalise(reader))?;
    let active = live(ACTIVATE, &mut |reader| {
        issuer.change_state(reader, ScriptKind::Activate)
    })?;
    live(REWRITE, &mut |reader| issuer.change_address(reader))?;
    live(BLOCK, &mut |reader| {
        issuer.change_state(reader, ScriptKind::Block)
    })?;
    live(UNBLOCK, &mut |reader| {
        issuer.change_state(reader, ScriptKind::Unblock)
    })?;
    live(TERMINATE, &mut |reader| {
        issuer.change_state(reader, ScriptKind::Terminate)
    })?;

    // Everybody else meets the card as it was handed over. A use that this card does not offer is left out.
    let mut meet = |name: Name, step: &mut Meeting<'_>| -> Result<(), Error> {
        let mut reader = Reader::power_on(&active, 2)?;
        if step(&mut reader)? {
            done.push((name, reader.exchanges));
        }
        Ok(())
    };
    meet(SELECT, &mut |reader| reader.select().map(|()| true))?;
    meet(TAP, &mut |reader| {
        reader.select()?;
        issuer.tap(reader, Role::Transit, KV).map(|_| true)
    })?;
    meet(TAP_COMMIT, &mut |reader| {
        reader.select()?;
        let tapped = issuer.tap(reader, Role::SmallPayment, KV)?;
        issuer.commit(reader, &tapped, 1).map(|()| true)
    })?;
    meet(TAP_UPDATE, &mut |reader| {
        reader.select()?;
        let tapped = issuer.tap(reader, Role::Transit, KV)?;
        issuer.update(reader, &tapped)
    })?;
    for (name, role) in [
        (DOOR_S_CLINIC, Role::Clinic),
        (DOOR_S_SOCIAL_INSURANCE, Role::SocialInsurance),
    ] {
        meet(name, &mut |reader| {
            let mut channel = issuer.open_door_s(reader, Rights::role(role))?;
            reader
                .read_object(&mut channel, Object::Newest(role))
                .map(|_| true)
        })?;
    }
    meet(DOOR_S_PERSON, &mut |reader| {
        let rights = Rights::IDENTITY.union(Rights::PORTRAIT).union(Rights::PERMIT);
        let mut channel = issuer.open_door_s(reader, rights)?;
        for object in [Object::Dg1, Object::Dg2, Object::Dg3, Object::Signature] {
            reader.read_object(&mut channel, object)?;
        }
        Ok(true)
    })?;
    meet(DOOR_S_OFFICE, &mut |reader| {
        let mut channel = issuer.open_door_s(reader, Rights::VERIFY.union(Rights::ISSUER))?;
        for object in [Object::Serial, Object::Status] {
            reader.read_object(&mut channel, object)?;
        }
        reader.reset_counter(&mut channel).map(|()| true)
    })?;

    // Doors F and S first: they are what people wait for.
    done.sort_by_key(|((id, ..), _)| id.starts_with("door_i"));
    Ok(done
        .into_iter()
        .map(|(name, exchanges)| Scenario::of(name, &exchanges, KeyObjects::new(&issuer.stored, rule)))
        .collect())
}

type Session<'a> = dyn FnMut(&mut Reader) -> Result<(), Error> + 'a;
type Meeting<'a> = dyn FnMut(&mut Reader) -> Result<bool, Error> + 'a;
type Name = (&'static str, &'static str, &'static str);

const SELECT: Name = ("select", "选卡", "SELECT");
const TAP: Name = ("tap", "刷卡", "TAP");
const TAP_COMMIT: Name = ("tap_commit", "刷卡扣款", "TAP + COMMIT");
const TAP_UPDATE: Name = ("tap_update", "刷卡更新", "TAP + UPDATE");
const DOOR_S_CLINIC: Name = ("door_s_clinic", "就医", "door S, CLINIC");
const DOOR_S_SOCIAL_INSURANCE: Name = ("door_s_social_insurance", "社保", "door S, SOCIAL_INSURANCE");
const DOOR_S_PERSON: Name = (
    "door_s_person",
    "身份、照片、证件",
    "door S, IDENTITY + PORTRAIT + PERMIT",
);
const DOOR_S_OFFICE: Name = ("door_s_office", "窗口核验", "door S, VERIFY + ISSUER");
const PERSONALISE: Name = ("door_i_personalise", "写卡", "door I, personalise");
const ACTIVATE: Name = ("door_i_activate", "激活", "door I, activate");
const REWRITE: Name = ("door_i_rewrite", "改址重写", "door I, change of address");
const BLOCK: Name = ("door_i_block", "锁定", "door I, block");
const UNBLOCK: Name = ("door_i_unblock", "解锁", "door I, unblock");
const TERMINATE: Name = ("door_i_terminate", "注销", "door I, terminate");

/// What a use of a card may take at most, at 424 kbit/s.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Target {
    /// Scenario.
    pub scenario: &'static str,
    /// Card.
    pub card: &'static str,
    /// Milliseconds.
    pub limit_ms: f64,
    /// Who says so.
    pub source: &'static str,
}

const DESIGN: &str = "design";
const CARD_MAKERS: &str = "specification, chapter 13";

/// The targets of the design, and the limits for card makers that the design's cards of the second row are held to.
pub const TARGETS: [Target; 6] = [
    target("tap", "j3r180", 45.0, DESIGN),
    target("tap", "j3h145", 80.0, DESIGN),
    target("tap_commit", "j3r180", 75.0, DESIGN),
    target("tap_commit", "j3h145", 145.0, CARD_MAKERS),
    target("door_s_clinic", "j3r180", 360.0, DESIGN),
    target("door_s_clinic", "j3h145", 800.0, CARD_MAKERS),
];

const fn target(scenario: &'static str, card: &'static str, limit_ms: f64, source: &'static str) -> Target {
    Target {
        scenario,
        card,
        limit_ms,
        source,
    }
}

/// A target and what the model says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Outcome {
    /// The target.
    #[serde(flatten)]
    pub target: Target,
    /// Modelled, milliseconds.
    pub modelled_ms: f64,
    /// It is not above the limit.
    pub holds: bool,
}

/// The time of a scenario on a card at a bit rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Row {
    /// Scenario.
    pub scenario: &'static str,
    /// Card.
    pub card: &'static str,
    /// kbit/s.
    pub bit_rate: u32,
    /// Parts, milliseconds.
    pub ms: Time,
    /// Sum of the parts.
    pub total_ms: f64,
}

/// Everything that the model says.
#[derive(Debug, Clone)]
pub struct Report {
    /// What is assumed.
    pub assumptions: Assumptions,
    /// What is assumed of a gate.
    pub gate: Gate,
    /// Cards of the report.
    pub cards: Vec<&'static Card>,
    /// Uses of a card.
    pub scenarios: Vec<Scenario>,
}

impl Report {
    /// Counts and models.
    ///
    /// # Errors
    ///
    /// [`Error::ModelStopped`].
    pub fn make(assumptions: Assumptions, gate: Gate, card: Option<&'static Card>) -> Result<Self, Error> {
        Ok(Self {
            assumptions,
            gate,
            cards: card.map_or_else(|| CARDS.iter().collect(), |card| vec![card]),
            scenarios: scenarios(assumptions.key_set_up)?,
        })
    }

    /// The scenario of this name.
    #[must_use]
    pub fn scenario(&self, id: &str) -> Option<&Scenario> {
        self.scenarios.iter().find(|scenario| scenario.id == id)
    }

    /// The rows at these bit rates.
    #[must_use]
    pub fn rows(&self, bit_rates: &[u32]) -> Vec<Row> {
        let mut rows = Vec::new();
        for scenario in &self.scenarios {
            for card in &self.cards {
                for bit_rate in bit_rates {
                    let ms = scenario.time(card, &self.assumptions, *bit_rate);
                    rows.push(Row {
                        scenario: scenario.id,
                        card: card.id,
                        bit_rate: *bit_rate,
                        ms,
                        total_ms: ms.total(),
                    });
                }
            }
        }
        rows
    }

    /// The targets of the cards of this report.
    #[must_use]
    pub fn outcomes(&self) -> Vec<Outcome> {
        TARGETS
            .iter()
            .filter_map(|target| {
                let card = self.cards.iter().find(|card| card.id == target.card)?;
                let time = self
                    .scenario(target.scenario)?
                    .time(card, &self.assumptions, TARGET_BIT_RATE);
                let modelled_ms = time.total();
                Some(Outcome {
                    target: *target,
                    modelled_ms,
                    holds: modelled_ms <= target.limit_ms,
                })
            })
            .collect()
    }

    /// The passages of a gate: TAP, alone and with COMMIT.
    #[must_use]
    pub fn passages(&self) -> Vec<Passage> {
        ["tap", "tap_commit"]
            .iter()
            .filter_map(|id| self.scenario(id))
            .flat_map(|scenario| {
                self.cards.iter().map(|card| {
                    let time = scenario.time(card, &self.assumptions, TARGET_BIT_RATE);
                    Passage::of(scenario.id, time.total(), card, &self.gate, &self.assumptions)
                })
            })
            .collect()
    }

    /// The keys of [`SCHEMA`]: milliseconds with two decimals.
    #[must_use]
    pub fn to_json(&self, bit_rates: &[u32]) -> serde_json::Value {
        let rows: Vec<_> = self
            .rows(bit_rates)
            .iter()
            .map(|row| {
                let [link, dispatch, key_setup, symmetric, public_key, memory] = row.ms.parts().map(rounded);
                serde_json::json!({
                    "scenario": row.scenario, "card": row.card, "bit_rate": row.bit_rate,
                    "ms": {
                        "link": link, "dispatch": dispatch, "key_setup": key_setup,
                        "symmetric": symmetric, "public_key": public_key, "memory": memory,
                    },
                    "total_ms": rounded(row.total_ms),
                })
            })
            .collect();
        let targets: Vec<_> = self
            .outcomes()
            .iter()
            .map(|outcome| {
                serde_json::json!({
                    "scenario": outcome.target.scenario, "card": outcome.target.card,
                    "bit_rate": TARGET_BIT_RATE, "limit_ms": outcome.target.limit_ms,
                    "modelled_ms": rounded(outcome.modelled_ms), "holds": outcome.holds,
                    "source": outcome.target.source,
                })
            })
            .collect();
        let cards: Vec<_> = self
            .cards
            .iter()
            .map(|card| {
                serde_json::json!({
                    "id": card.id, "name": card.name, "source": card.source, "remark": card.remark,
                    "one_more_key_setup_ms": {
                        "stored": rounded(card.cipher_init),
                        "session": rounded(card.set_key + card.cipher_init),
                    },
                })
            })
            .collect();
        let passages: Vec<_> = self
            .passages()
            .iter()
            .map(|passage| {
                let [polling, activation, other_selects, ours, search, verify, output] = passage.parts().map(rounded);
                serde_json::json!({
                    "scenario": passage.scenario, "card": passage.card, "bit_rate": TARGET_BIT_RATE,
                    "assumed_ms": { "polling": polling, "activation": activation, "search": search, "verify": verify, "output": output },
                    "modelled_ms": { "other_selects": other_selects, "ours": ours },
                    "total_ms": rounded(passage.total()), "goal_ms": passage.goal(),
                })
            })
            .collect();
        serde_json::json!({
            "assumptions": self.assumptions,
            "cards": cards,
            "scenarios": self.scenarios,
            "times": rows,
            "targets": targets,
            "gate": { "assumptions": self.gate, "passages": passages },
        })
    }

    /// The tables for people, at one bit rate.
    #[must_use]
    pub fn to_text(&self, bit_rate: u32) -> String {
        let mut text = String::new();
        let mut line = |columns: String| {
            text.push_str(columns.trim_end());
            text.push('\n');
        };
        let Assumptions {
            dispatch_ms,
            activation_ms,
            frame,
            frame_overhead,
            turnaround_us,
            key_set_up,
        } = self.assumptions;
        line(format!(
            "Modelled, not measured: counts of the reference card, times of JCAlgTest. {bit_rate} kbit/s, ISO 14443 type A."
        ));
        line(format!(
            "Assumed: {activation_ms} ms activation, {dispatch_ms} ms dispatch a command, frames of {frame} bytes with \
             {frame_overhead} of overhead, {turnaround_us} us turnaround, a key is set up {}.",
            match key_set_up {
                SetUp::Once => "once for each key and tap",
                SetUp::EachChange => "at each change of key",
            }
        ));
        line(String::new());
        line(format!(
            "{:<38}{:>5}{:>6}{:>6}{:>7}{:>5}{:>6}{:>6}{:>6}{:>6}{:>7}",
            "operations", "APDU", "out", "in", "setups", "AES", "CMAC", "hash", "ECDH", "ECDSA", "writes"
        ));
        for scenario in &self.scenarios {
            let work = &scenario.work;
            let sum = |pick: fn(&Command) -> usize| scenario.commands.iter().map(pick).sum::<usize>();
            line(format!(
                "{:<38}{:>5}{:>6}{:>6}{:>7}{:>5}{:>6}{:>6}{:>6}{:>6}{:>7}",
                scenario.en,
                scenario.commands.iter().map(|command| command.count).sum::<u32>(),
                sum(|command| command.sent),
                sum(|command| command.answered),
                work.key_set_ups(),
                work.aes.len(),
                work.cmac.len(),
                work.sha256.len(),
                work.agreements,
                work.verifications,
                work.written.len(),
            ));
        }
        for card in &self.cards {
            line(String::new());
            line(format!(
                "{:<38}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>10}",
                card.name, "link", "dispatch", "keys", "symm.", "public", "memory", "ms"
            ));
            for scenario in &self.scenarios {
                let time = scenario.time(card, &self.assumptions, bit_rate);
                let parts = time.parts().map(|part| format!("{part:>9.1}")).concat();
                line(format!("{:<38}{parts}{:>10.1}", scenario.en, time.total()));
            }
            line(format!(
                "one more set-up: {:.1} ms for a key that stays, {:.1} ms for a session key",
                card.cipher_init,
                card.set_key + card.cipher_init
            ));
        }
        line(String::new());
        line(format!(
            "{:<38}{:<18}{:>9}{:>10}",
            "targets at 424 kbit/s", "card", "at most", "modelled"
        ));
        for outcome in self.outcomes() {
            let Target {
                scenario,
                card,
                limit_ms,
                ..
            } = outcome.target;
            line(format!(
                "{:<38}{:<18}{limit_ms:>9.0}{:>10.1}  {}",
                self.scenario(scenario).map_or(scenario, |scenario| scenario.en),
                Card::named(card).map_or(card, |card| card.name),
                outcome.modelled_ms,
                if outcome.holds {
                    "holds".to_owned()
                } else {
                    format!("missed by {:.1} ms", outcome.modelled_ms - limit_ms)
                }
            ));
        }
        line(String::new());
        self.gate_lines().into_iter().for_each(line);
        text
    }

    fn gate_lines(&self) -> Vec<String> {
        let mut lines = self.gate.lines();
        lines.extend(self.passages().iter().map(|passage| {
            let scenario = self.scenario(passage.scenario);
            passage.line(scenario.map_or(passage.scenario, |scenario| scenario.en))
        }));
        lines
    }
}

fn rounded(ms: f64) -> f64 {
    (ms * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Scenario> {
        scenarios(SetUp::Once).unwrap()
    }

    fn named<'a>(scenarios: &'a [Scenario], id: &str) -> &'a Scenario {
        scenarios.iter().find(|scenario| scenario.id == id).unwrap()
    }

    fn command<'a>(scenario: &'a Scenario, name: &str) -> &'a Command {
        scenario
            .commands
            .iter()
            .find(|command| command.name == name)
            .unwrap()
    }

    /// Chapter 06: one set-up of G and one of M; CBC over rC and P; CMAC over 01, suite, role, version, rT, rC, C.
    fn tap_of_the_specification() -> Work {
        Work {
            stored_key_set_ups: 2,
            aes: vec![16 + 224],
            cmac: vec![4 + 16 + 16 + 224],
            random: vec![16],
            ..Work::default()
        }
    }

    /// The work without what a Java Card does in its own way.
    fn protocol(work: &Work) -> Work {
        Work {
            read: 0,
            memory_checks: 0,
            ..work.clone()
        }
    }

    #[test]
    fn a_tap_sets_up_two_keys_and_writes_nothing() {
        let all = all();
        let tap = command(named(&all, "tap"), "TAP");
        assert_eq!(protocol(&tap.work), tap_of_the_specification());
        assert_eq!((tap.count, tap.sent, tap.answered), (1, 22, 258));
        // SELECT computes nothing at all.
        assert_eq!(
            command(named(&all, "tap"), "SELECT").work,
            Work::default(),
            "SELECT does something"
        );
    }

    #[test]
    fn a_card_that_shows_nothing_does_the_work_of_one_that_does() {
        let mut issuer = Issuer::new().unwrap();
        let blank = issuer.blank().unwrap();
        let mut reader = Reader::power_on(&blank, 1).unwrap();
        issuer.personalise(&mut reader).unwrap();
        let personalised = reader.image();
        let mut reader = Reader::power_on(&personalised, 1).unwrap();
        issuer.change_state(&mut reader, ScriptKind::Activate).unwrap();
        let active = reader.image();
        let mut reader = Reader::power_on(&active, 1).unwrap();
        issuer.change_state(&mut reader, ScriptKind::Block).unwrap();
        let blocked = reader.image();
        let mut seen = Vec::new();
        for (image, role, kv, live) in [
            (&active, Role::Transit, KV, true),
            (&active, Role::Door, KV, true),
            (&active, Role::SmallPayment, KV, true),
            (&active, Role::Transit, KV + 1, false),
            (&active, Role::Clinic, KV, false),
            (&personalised, Role::Transit, KV, false),
            (&blocked, Role::Transit, KV, false),
            (&blank, Role::Transit, KV, false),
        ] {
            let mut reader = Reader::power_on(image, 1).unwrap();
            reader.select().unwrap();
            assert_eq!(issuer.tap(&mut reader, role, kv).unwrap().is_live(), live);
            // The decoy's keys stay on the card too; what they are nobody knows.
            let mut work = KeyObjects::new(&issuer.stored, SetUp::Once).work(&reader.exchanges[1]);
            work.stored_key_set_ups += std::mem::take(&mut work.session_key_set_ups);
            work.aes.truncate(1);
            let exchange = &reader.exchanges[1];
            seen.push((work, exchange.events.len(), exchange.sent, exchange.answered));
        }
        assert_eq!(protocol(&seen[0].0), tap_of_the_specification());
        for other in &seen {
            assert_eq!(other, &seen[0]);
        }
    }

    #[test]
    fn a_commit_sets_up_one_key_more_and_writes_once() {
        let all = all();
        let commit = command(named(&all, "tap_commit"), "COMMIT");
        // MAC, TAC, SB and proof of chapter 06; M is set up since TAP.
        let mut work = protocol(&commit.work);
        work.cmac.sort_unstable();
        assert_eq!(
            work,
            Work {
                stored_key_set_ups: 1,
                cmac: vec![23, 59, 67, 80],
                written: vec![52],
                ..Work::default()
            }
        );
        assert_eq!((commit.sent, commit.answered), (50, 27));
    }

    #[test]
    fn an_update_sets_up_its_own_keys_and_makes_everything_live_at_once() {
        let all = all();
        let update = command(named(&all, "tap_update"), "UPDATE");
        let mut work = protocol(&update.work);
        work.cmac.sort_unstable();
        // U-MAC, U-ENC for the initial value and for decrypting, U-RCPT; receipt, umac and tmac of chapter 09. The slot
        // goes to its spare place, then the control block.
        assert_eq!(
            work,
            Work {
                stored_key_set_ups: 4,
                new_stored_keys: 2,
                aes: vec![16, 224],
                cmac: vec![1 + 4 + 16, 1 + 4 + 224, 3 + 16 + 16 + 4 + 224 + 16],
                written: update.work.written.clone(),
                ..Work::default()
            }
        );
        assert_eq!(work.written.len(), 2);
        assert_eq!((update.sent, update.answered), (258, 18));
    }

    #[test]
    fn door_s_does_what_chapter_07_says_and_no_more() {
        let all = all();
        for id in ["door_s_clinic", "door_s_social_insurance"] {
            let scenario = named(&all, id);
            let work = &scenario.work;
            let public = (
                work.verifications,
                work.points_set,
                work.agreements,
                work.key_generations,
            );
            // Intermediate, leaf, terminal; the points of intermediate and leaf; Z1 and Z2; one ephemeral pair.
            assert_eq!(public, (3, 2, 2, 1), "{id}");
            // K1, CONF, ENC both ways, MAC, RMAC.
            assert_eq!(
                (
                    work.stored_key_set_ups,
                    work.session_key_set_ups,
                    work.further_inits
                ),
                (0, 5, 1),
                "{id}"
            );
            // CONF, command, answer.
            assert_eq!(work.cmac.len(), 3, "{id}");
            // H(leaf), H(certificates), TH1, key of the certificate, certificate, TH2, two blocks of keys.
            assert_eq!(work.sha256.len(), 8, "{id}");
            assert_eq!(work.random, [16], "{id}");
            assert!(work.written.is_empty(), "{id}");
            assert_eq!(scenario.commands.len(), 6, "{id}");
        }
    }

    #[test]
    fn every_operation_has_a_place_in_the_model() {
        for rule in [SetUp::Once, SetUp::EachChange] {
            for scenario in scenarios(rule).unwrap() {
                assert_eq!(scenario.work.unknown, 0, "{}", scenario.id);
            }
        }
    }

    #[test]
    fn a_card_without_a_cipher_for_each_key_sets_up_more() {
        let (once, each) = (all(), scenarios(SetUp::EachChange).unwrap());
        let set_ups = |all: &[Scenario], id| named(all, id).work.key_set_ups();
        assert_eq!((set_ups(&once, "tap"), set_ups(&each, "tap")), (2, 2));
        // G, M | M, Ktac, M again.
        assert_eq!(
            (set_ups(&once, "tap_commit"), set_ups(&each, "tap_commit")),
            (3, 4)
        );
        assert!(set_ups(&each, "door_s_person") > 10 * set_ups(&once, "door_s_person"));
    }

    #[test]
    fn each_part_of_the_time_comes_from_its_own_figure() {
        let all = all();
        let tap = named(&all, "tap");
        let card = Card::named("j3r180").unwrap();
        let assumptions = Assumptions::default();
        let time = tap.time(card, &assumptions, 424);
        let near = |a: f64, b: f64| assert!((a - b).abs() < 0.005, "{a} {b}");
        near(time.dispatch, 6.0);
        near(time.key_setup, 12.2);
        near(time.symmetric, card.aes(240.0) + card.cmac(260.0) + card.random);
        near(time.public_key, 0.0);
        near(
            time.link,
            12.0 + assumptions.link_ms(13, 29, 424) + assumptions.link_ms(22, 258, 424),
        );
        near(time.total(), time.parts().iter().sum());
        // One more set-up costs what the page says.
        let mut more = tap.work.clone();
        more.stored_key_set_ups += 1;
        let cost = |work: &Work| Time::of(work, (0, 0), card, &assumptions, 424).total();
        near(cost(&more) - cost(&tap.work), 6.1);
    }
}
