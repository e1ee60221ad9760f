//! A reader that was written by someone who saw only the specification, in another language, uses cards of ours over PC/SC
//! through every door, agrees with our reader, and its files are read by our vault.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use card_applet_spec::codes::Role;
use card_applet_spec::counters::UnverifiedCounters;
use card_applet_spec::crypto::PublicKey;
use card_applet_spec::data_group::Dg3;
use card_applet_spec::settlement::UnverifiedSettlement;
use card_applet_spec::update_files::Receipts;
use card_reader::{Admission, Pinned, Terminal, TerminalKey};
use hardware_tests::rig::{Needs, with_reader};
use hardware_tests::scratch_issuer::{REHEARSAL, ScratchIssuer};
use hardware_tests::{Rig, sample, scenario};
use jiff::ToSpan as _;
use keyvault_protocol::{
    BundleKind, CardTask, Entitlement, LineCheck, Receipt, ReceiptOutcome, SettlementLine, UpdateTask,
    UpdatesRequest,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use virtual_card::control::{Control, Order};
use virtual_card::slot::LineFault;

const READER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/independent/permit_reader.py");

/// Largest single amount of the sample's purse, fen.
const CAP: u32 = 5000;

/// Index of the first update in the order; cards have the low ones.
const UPDATES: u32 = 101;

/// One run of the other program: its exit code and its object.
type Run = (Option<i32>, Value);

/// A terminal of the other program: its key, bundle and folder are files, as any terminal gets them.
struct Theirs {
    folder: PathBuf,
    name: String,
    reader: String,
    /// Its authentication key, which signs its files.
    key: PublicKey,
}

impl Theirs {
    fn equip(
        office: &mut ScratchIssuer,
        folder: &Path,
        rig: &Rig,
        (kind, name): (BundleKind, &str),
        rng: &mut StdRng,
    ) -> Self {
        let anchors = office.anchors();
        let pinned = Pinned {
            vault: anchors.vault,
            root: PublicKey::from_point65(&anchors.terminal_ca).unwrap(),
        };
        let key = TerminalKey::generate(name.parse().unwrap(), pinned, rng);
        let folder = folder.join(name);
        std::fs::create_dir(&folder).unwrap();
        key.save_new(&folder.join("key")).unwrap();
        let public = key.request();
        let bundle = office
            .bundle_for(kind, name, public.sealing_key, public.authentication_key)
            .unwrap();
        std::fs::write(folder.join("bundle"), bundle).unwrap();
        Self {
            folder,
            name: name.to_owned(),
            reader: rig.reader().to_owned(),
            key: PublicKey::from_point65(&public.authentication_key).unwrap(),
        }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// Runs a command that needs no card.
    fn run(&self, command: &str, more: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
        self.run_on(sample::TODAY, command, more)
    }

    fn run_on(
        &self,
        day: jiff::civil::Date,
        command: &str,
        more: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Run {
        let mut program = python(command);
        program.arg("--bundle").arg(self.path("bundle"));
        program.arg("--key").arg(self.path("key"));
        program.arg("--state").arg(self.path("state"));
        program.args(["--at", &day.to_string()]).args(more);
        run(&mut program)
    }

    /// Runs a command for the card on the reader.
    fn with_card(&self, command: &str, more: &[&str]) -> Run {
        self.run(command, [&["--reader", &self.reader], more].concat())
    }

    /// The same, and the card is accepted.
    fn accepts(&self, command: &str, more: &[&str]) -> Value {
        let (code, object) = self.with_card(command, more);
        assert_eq!(code, Some(0), "{command} {more:?}: {object}");
        assert_eq!(
            (&object["ok"], &object["decision"]),
            (&json!(true), &json!("accepted"))
        );
        object
    }

    /// Fetches what waits for this terminal, lets it deliver to the card, and gives the vault's word on the receipts.
    fn delivers(&self, office: &mut ScratchIssuer, role: &str) -> (Value, Vec<ReceiptOutcome>) {
        let request = UpdatesRequest {
            terminal: self.name.clone(),
            to: sample::TODAY,
        };
        let batch = office
            .ask(async |vault, _| vault.export_updates(&request).await)
            .unwrap();
        std::fs::write(self.path("batch"), batch).unwrap();
        let batch = self.path("batch");
        let delivered = self.accepts("deliver", &["--role", role, "--batch", batch.to_str().unwrap()]);
        (delivered["updates"].clone(), self.hands_in_receipts(office))
    }

    fn hands_in_receipts(&self, office: &mut ScratchIssuer) -> Vec<ReceiptOutcome> {
        let file = self.path("receipts");
        let (code, written) = self.run("receipts", [OsStr::new("--out"), file.as_os_str()]);
        assert_eq!(code, Some(0), "{written}");
        let bytes = std::fs::read(&file).unwrap();
        let receipts = Receipts::parse(&bytes)
            .unwrap()
            .iter()
            .map(|receipt| Receipt {
                update: receipt.update,
                receipt: receipt.receipt,
            })
            .collect();
        let outcomes = office
            .ask(async |vault, _| vault.accept_receipts(receipts).await)
            .unwrap();
        let (code, gone) = self.run("receipts", [OsStr::new("--arrived"), file.as_os_str()]);
        assert_eq!(
            (code, &gone["dropped"]),
            (Some(0), &written["receipts"]),
            "{gone}"
        );
        outcomes
    }
}

/// The other program. The system's own interpreter: `make setup` installs its packages, not those of another one on the
/// search path.
fn python(command: &str) -> Command {
    let mut program = Command::new("/usr/bin/python3");
    program.arg(READER).arg(command);
    program
}

fn run(program: &mut Command) -> Run {
    let output = program.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let object = serde_json::from_str(&text);
    (
        output.status.code(),
        object.unwrap_or_else(|_| json!({"out": text, "err": String::from_utf8_lossy(&output.stderr)})),
    )
}

/// What our reader saw, in the words of the other one.
fn in_its_words(seen: &Admission) -> Value {
    json!({
        "role": seen.role.as_str(),
        "tier": seen.tier.as_str(),
        "class": seen.class,
        "services": hex::encode(seen.services.to_be_bytes()),
        "zones": hex::encode(seen.zones.to_be_bytes()),
        "valid_from": seen.valid_from.to_string(),
        "valid_to": seen.valid_to.to_string(),
        "rule_set": hex::encode(seen.rule_set),
    })
}

/// Issues the sample with a purse as well: the card of blank `number`, which lies on the reader.
fn issue_with_purse(office: &mut ScratchIssuer, rig: &Rig, number: u32) -> [u8; 10] {
    let serial = office.blank(number).unwrap().serial.0;
    let mut content = sample::content(office.rng()).unwrap();
    content.entitlements.push(Entitlement {
        role: keyvault_protocol::Role::SmallPayment,
        purse_cap: CAP,
        ..content.entitlements[0].clone()
    });
    let mut card = rig.connect().unwrap();
    let task = CardTask::Personalise(Box::new(content));
    office.write(&mut card, number, serial, task).unwrap();
    office
        .write(&mut card, number, serial, scenario::activate())
        .unwrap();
    serial
}

fn founded(folder: &Path) -> (ScratchIssuer, StdRng) {
    let office = ScratchIssuer::found(&folder.join("vault"), REHEARSAL).unwrap();
    (office, StdRng::from_seed([4; 32]))
}

/// Runs a test that pulls cards, with the manipulator that does.
fn with_hand(test: &str, body: impl FnOnce(&Rig, Control)) {
    with_reader(&format!("independent::{test}"), Needs::Manipulator, |rig| {
        body(rig, rig.manipulator().unwrap());
    })
    .unwrap();
}

#[test]
fn an_independent_reader_agrees_with_ours() {
    with_reader(
        "independent::an_independent_reader_agrees_with_ours",
        Needs::Writing,
        |rig| {
            let folder = tempfile::tempdir().unwrap();
            let (mut office, mut rng) = founded(folder.path());
            let mut equip = |kind| Theirs::equip(&mut office, folder.path(), rig, kind, &mut rng);
            let bus = equip((BundleKind::Bus, "bus of others"));
            let gate = equip((BundleKind::Door, "door of others"));
            let clinic = equip((BundleKind::Clinic, "clinic of others"));
            let insurance = equip((BundleKind::SocialInsurance, "insurance of others"));
            let counter = equip((BundleKind::Counter, "counter of others"));
            let blank = office.blank(1).unwrap();
            rig.lay_blank(&blank, &mut rng).unwrap();

            let (code, refused) = bus.with_card("tap", &["--role", "transit"]);
            assert_eq!(
                (code, &refused["decision"]),
                (Some(1), &json!("refused")),
                "a blank: {refused}"
            );

            let mut card = rig.connect().unwrap();
            scenario::issue(&mut office, &mut card, 1).unwrap();
            let mut our_bus = Terminal::new(office.enrol(BundleKind::Bus, "bus of ours").unwrap().bundle);
            let at_bus = scenario::tap(&mut our_bus, &mut card, Role::Transit, &mut rng).unwrap();
            let our_clinic = office.enrol(BundleKind::Clinic, "clinic of ours").unwrap();
            let at_clinic = scenario::clinic(&our_clinic, &mut card, &mut rng).unwrap();
            drop(card);

            let seen = bus.accepts("tap", &["--role", "transit"]);
            assert_eq!(seen["saw"], in_its_words(&at_bus));
            let seen = gate.accepts("tap", &["--role", "door"]);
            assert_eq!(seen["saw"]["role"], "DOOR");
            let seen = clinic.accepts("record", &["--role", "clinic"]);
            assert_eq!(seen["saw"], in_its_words(&at_clinic));
            let seen = insurance.accepts("record", &["--role", "social-insurance"]);
            assert_eq!(seen["saw"]["role"], "SOCIAL_INSURANCE");

            let picture = folder.path().join("picture");
            let seen = counter.accepts("identity", &["--portrait", picture.to_str().unwrap()]);
            assert_eq!(seen["saw"]["identity"]["name"], "测试一号");
            assert_eq!(seen["saw"]["identity"]["citizen_number"], "440305199003070029");
            assert_eq!(seen["saw"]["permit"]["permit_id"], hex::encode(sample::PERMIT));
            assert_eq!(
                seen["saw"]["portrait"]["bytes"],
                std::fs::read(&picture).unwrap().len()
            );
            assert_eq!(counter.accepts("verify", &[])["saw"]["state"], "ACTIVE");

            // What a terminal may not ask for, it does not get.
            let (code, refused) = clinic.with_card("identity", &[]);
            assert_eq!(
                (code, &refused["error"]["code"]),
                (Some(2), &json!("NO_RIGHT")),
                "{refused}"
            );

            // A block shows at the next tap; who may verify still sees the card.
            let serial = blank.serial.0;
            let mut card = rig.connect().unwrap();
            office.write(&mut card, 1, serial, CardTask::Block).unwrap();
            drop(card);
            let (code, refused) = bus.with_card("tap", &["--role", "transit"]);
            assert_eq!((code, &refused["reason"]), (Some(1), &json!("NOT_ACTIVE")));
            let (code, refused) = clinic.with_card("record", &["--role", "clinic"]);
            assert_eq!((code, &refused["reason"]), (Some(1), &json!("NOT_ACTIVE")));
            assert_eq!(counter.accepts("verify", &[])["saw"]["state"], "BLOCKED");

            // The day after, the bus hands in its numbers.
            let file = bus.path("counters");
            let tomorrow = sample::TODAY.saturating_add(1.day());
            let (code, written) = bus.run_on(tomorrow, "counters", [OsStr::new("--out"), file.as_os_str()]);
            assert_eq!(code, Some(0), "{written}");
            let file = std::fs::read(file).unwrap();
            let counters = UnverifiedCounters::parse(&file)
                .unwrap()
                .verify(&bus.key)
                .unwrap();
            let numbers: Vec<_> = counters
                .counts()
                .map(|count| (count.role, count.number))
                .collect();
            assert_eq!(counters.head.terminal, "bus of others");
            assert_eq!(numbers, [(Role::Transit, 1), (Role::Transit, 2)]);
        },
    )
    .unwrap();
}

#[test]
fn an_independent_reader_delivers_our_updates_and_our_vault_takes_its_receipts() {
    let test = "an_independent_reader_delivers_our_updates_and_our_vault_takes_its_receipts";
    with_hand(test, |rig, manipulator| {
        let folder = tempfile::tempdir().unwrap();
        let (mut office, mut rng) = founded(folder.path());
        let mut equip = |kind| Theirs::equip(&mut office, folder.path(), rig, kind, &mut rng);
        let bus = equip((BundleKind::Bus, "bus of others"));
        let counter = equip((BundleKind::Counter, "counter of others"));
        rig.lay_blank(&office.blank(1).unwrap(), &mut rng).unwrap();
        let serial = issue_with_purse(&mut office, rig, 1);

        let until = sample::TODAY.saturating_add(2.years());
        let dg3 = endorsed(until);
        let task = UpdateTask::PermitBlock { dg3 };
        let queued = office
            .ask(async |vault, order| vault.seal_update(order, UPDATES, serial, task).await)
            .unwrap();

        // The first answer is lost after the card has done it (SELECT, TAP, UPDATE): the same update gives the same receipt.
        let request = UpdatesRequest {
            terminal: bus.name.clone(),
            to: sample::TODAY,
        };
        let batch = office
            .ask(async |vault, _| vault.export_updates(&request).await)
            .unwrap();
        std::fs::write(bus.path("batch"), batch).unwrap();
        manipulator
            .order(&Order::Fault {
                fault: LineFault::PullAfter { apdu: 3 },
            })
            .unwrap();
        let batch = bus.path("batch");
        let (code, lost) = bus.with_card("deliver", &["--batch", batch.to_str().unwrap()]);
        assert_eq!(
            (code, &lost["error"]["code"]),
            (Some(4), &json!("OUTCOME_UNKNOWN")),
            "{lost}"
        );
        manipulator.order(&Order::Insert { memory: None }).unwrap();
        let (report, outcomes) = bus.delivers(&mut office, "transit");
        assert_eq!(
            report,
            json!({"waiting": 1, "delivered": 1, "dropped": 0, "kept": 0})
        );
        assert_eq!(
            outcomes,
            [ReceiptOutcome::Done {
                serial: serial.into(),
                change: queued.change
            }]
        );

        let seen = counter.accepts("identity", &["--groups", "permit"]);
        assert_eq!(seen["saw"]["permit"]["endorsed_until"], until.to_string());

        // Nothing waits any more, and a block is delivered like everything else.
        let (report, outcomes) = bus.delivers(&mut office, "transit");
        assert_eq!((&report["waiting"], outcomes.len()), (&json!(0), 0));
        office
            .ask(async |vault, order| {
                vault
                    .seal_update(order, UPDATES + 1, serial, UpdateTask::Block)
                    .await
            })
            .unwrap();
        let (report, outcomes) = bus.delivers(&mut office, "transit");
        assert_eq!((&report["delivered"], outcomes.len()), (&json!(1), 1));
        assert_eq!(counter.accepts("verify", &[])["saw"]["state"], "BLOCKED");
    });
}

/// The sample's permit block, endorsed anew.
fn endorsed(until: jiff::civil::Date) -> Vec<u8> {
    let mut rng = StdRng::from_seed([5; 32]);
    let content = sample::content(&mut rng).unwrap();
    let before = Dg3::parse(&content.dg3).unwrap();
    let day = until.strftime("%Y%m%d").to_string();
    let number = |range: std::ops::Range<usize>| day[range].parse::<u16>().unwrap();
    let month_and_day = (
        u8::try_from(number(4..6)).unwrap(),
        u8::try_from(number(6..8)).unwrap(),
    );
    let after = Dg3 {
        endorsed_until: card_applet_spec::date::Date::new(number(0..4), month_and_day.0, month_and_day.1)
            .unwrap(),
        state_counter: before.state_counter + 1,
        ..before
    };
    after.encode().unwrap().to_vec()
}

#[test]
fn an_independent_shop_repairs_a_lost_answer_and_our_vault_finds_its_lines_genuine() {
    let test = "an_independent_shop_repairs_a_lost_answer_and_our_vault_finds_its_lines_genuine";
    with_hand(test, |rig, manipulator| {
        let folder = tempfile::tempdir().unwrap();
        let (mut office, mut rng) = founded(folder.path());
        let mut equip = |kind| Theirs::equip(&mut office, folder.path(), rig, kind, &mut rng);
        let shop = equip((BundleKind::Shop, "shop of others"));
        rig.lay_blank(&office.blank(1).unwrap(), &mut rng).unwrap();
        let serial = issue_with_purse(&mut office, rig, 1);

        let (code, empty) = shop.with_card("pay", &["--amount", "300"]);
        assert_eq!(
            (code, &empty["reason"]),
            (Some(1), &json!("BALANCE_TOO_LOW")),
            "{empty}"
        );
        let load = UpdateTask::Load { loaded: 20_000 };
        office
            .ask(async |vault, order| vault.seal_update(order, UPDATES, serial, load).await)
            .unwrap();
        let (report, outcomes) = shop.delivers(&mut office, "small-payment");
        assert_eq!(
            (&report["delivered"], outcomes.len()),
            (&json!(1), 1),
            "{outcomes:?}"
        );

        let paid = shop.accepts("pay", &["--amount", "300"]);
        assert_eq!(
            paid["saw"],
            json!({"amount": 300, "balance_before": 20_000, "balance_after": 19_700})
        );

        // SELECT, TAP, COMMIT: the card debits and its answer is lost; then the card does not even get the command.
        for (fault, amount, after, repeated) in [
            (LineFault::PullAfter { apdu: 3 }, "250", 19_450, true),
            (LineFault::PullBefore { apdu: 3 }, "150", 19_300, false),
        ] {
            manipulator.order(&Order::Fault { fault }).unwrap();
            let (code, lost) = shop.with_card("pay", &["--amount", amount]);
            assert_eq!(
                (code, &lost["error"]["code"]),
                (Some(4), &json!("OUTCOME_UNKNOWN")),
                "{fault:?}: {lost}"
            );
            manipulator.order(&Order::Insert { memory: None }).unwrap();
            let (code, open) = shop.with_card("pay", &["--amount", "999"]);
            assert_eq!(code, Some(4), "no new purchase while {fault:?} is open: {open}");
            let repaired = shop.accepts("pay", &["--again"]);
            assert_eq!(
                (&repaired["saw"]["balance_after"], &repaired["repeated"]),
                (&json!(after), &json!(repeated)),
                "{fault:?}: {repaired}"
            );
        }

        // Above the largest single amount: the card refuses, and a fresh TAP shows that nothing was debited.
        let (code, refused) = shop.with_card("pay", &["--amount", "5001"]);
        assert_eq!(
            (code, &refused["reason"]),
            (Some(1), &json!("DENIED")),
            "{refused}"
        );
        // One that stays open is given up.
        manipulator
            .order(&Order::Fault {
                fault: LineFault::PullAfter { apdu: 3 },
            })
            .unwrap();
        assert_eq!(shop.with_card("pay", &["--amount", "700"]).0, Some(4));
        manipulator.order(&Order::Insert { memory: None }).unwrap();
        assert_eq!(shop.run("pay", ["--give-up"]).0, Some(0));
        let paid = shop.accepts("pay", &["--amount", "100"]);
        assert_eq!(paid["saw"]["balance_before"], 18_600);

        settled(&mut office, &shop);
    });
}

/// The shop's settlement file: our parser reads it, and the vault finds every line genuine.
fn settled(office: &mut ScratchIssuer, shop: &Theirs) {
    let file = shop.path("settlement");
    let (code, written) = shop.run("settle", [OsStr::new("--out"), file.as_os_str()]);
    assert_eq!(code, Some(0), "{written}");
    let file = std::fs::read(file).unwrap();
    let settlement = UnverifiedSettlement::parse(&file)
        .unwrap()
        .verify(&shop.key)
        .unwrap();
    assert_eq!(
        (settlement.head.terminal, settlement.head.number),
        ("shop of others", 1)
    );
    let registered = office.ask(async |vault, _| vault.terminals().await).unwrap();
    let tid = registered
        .iter()
        .find(|terminal| terminal.name == shop.name)
        .unwrap()
        .tid;
    assert_eq!(settlement.head.tid, tid);

    let lines: Vec<_> = settlement
        .lines()
        .map(|line| SettlementLine {
            key_version: line.kv,
            pid: line.pid,
            body: line.body.encode().unwrap(),
            seq: line.seq,
            loaded: line.loaded,
            spent: line.spent,
            tac: line.tac,
            before: line.before.map(|before| before.encode().unwrap()),
        })
        .collect();
    let amounts: Vec<_> = settlement.lines().map(|line| line.body.amount).collect();
    assert_eq!(amounts, [300, 250, 150, 100]);
    let unknown: Vec<_> = settlement.unknown().collect();
    assert_eq!((unknown.len(), unknown[0].body.amount), (1, 700));

    let verdicts = office
        .ask(async |vault, _| vault.check_lines(&lines).await)
        .unwrap();
    let mut opened = Vec::new();
    let mut chains = Vec::new();
    for (line, verdict) in lines.iter().zip(&verdicts) {
        let LineCheck::Genuine {
            chain,
            loaded_known: true,
            before,
            ..
        } = verdict
        else {
            unreachable!("{verdict:?} of {line:?}");
        };
        chains.push(*chain);
        opened.push(before.as_ref().map(|debit| (debit.tid, debit.amount, debit.txno)));
    }
    chains.dedup();
    assert_eq!(chains.len(), 1, "one card, one chain");
    // The line after the purchase that was given up shows it: the TAP before it saw its debit.
    let given_up = Some((tid, 700, unknown[0].body.txno));
    assert_eq!(opened[3], given_up);
    assert_eq!(opened[0], None);
    assert_eq!(opened[1].map(|debit| debit.1), Some(300));

    let mut forged = lines[0].clone();
    forged.spent += 1;
    let verdict = office
        .ask(async |vault, _| vault.check_lines(&[forged]).await)
        .unwrap();
    assert_eq!(verdict, [LineCheck::Forged]);
}

#[test]
fn an_independent_bench_takes_a_blank_through_its_whole_life() {
    let test = "an_independent_bench_takes_a_blank_through_its_whole_life";
    with_hand(test, |rig, _| {
        let folder = tempfile::tempdir().unwrap();
        let (office, mut rng) = founded(folder.path());
        let blank = office.blank(1).unwrap();
        rig.lay_blank(&blank, &mut rng).unwrap();
        let keys = folder.path().join("transport.keys");
        let transport =
            [&blank.keys.enc, &blank.keys.mac, &blank.keys.dek].map(|key| hex::encode(key.expose()));
        std::fs::write(&keys, transport.concat()).unwrap();
        let bench = |command: &str, more: &[&str]| {
            let mut program = python(command);
            program.arg("--keys").arg(&keys);
            program
                .args(["--reader", rig.reader(), "--at", &sample::TODAY.to_string()])
                .args(more);
            run(&mut program)
        };
        let (code, found) = bench("bench-status", &[]);
        assert_eq!(
            (code, &found["saw"]["state"]),
            (Some(0), &json!("BLANK")),
            "{found}"
        );
        let serial = blank.serial.to_string();
        let (code, lived) = bench("bench-rehearse", &["--serial", &serial]);
        assert_eq!(code, Some(0), "{lived}");
        assert_eq!(
            lived["steps"].as_array().unwrap().last().unwrap(),
            "an ended card does not answer"
        );
        let (code, ended) = bench("bench-status", &[]);
        assert_eq!(
            (code, &ended["error"]["code"]),
            (Some(1), &json!("WRONG_KEYS")),
            "{ended}"
        );
    });
}
