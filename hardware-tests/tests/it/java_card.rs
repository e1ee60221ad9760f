//! The card as a Java Card applet: the conformance suite that the reference card passes, with the same answers to the same
//! commands.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, LazyLock, Mutex};

use card_applet_spec::apdu::Header;
use card_applet_spec::codes::AID;
use card_applet_spec::scp03::{Channel, InitializeUpdate, SessionKeys};
use card_applet_spec::script::Status;
use card_reader::transport::{Transport, TransportError};
use hardware_tests::conformance::{
    Case, Choice, Cutter, Report, Setup, TestKeys, Verdict, cases, report, run,
};
use hardware_tests::{rig, sample};
use rand::SeedableRng;
use rand::rngs::StdRng;
use virtual_card::{CardRandom, InProcess, JavaCard, model};

/// The folder of the compiled classes; none, and said, where there is no Java compiler.
static CLASSES: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/javacard.sh");
    let built = Command::new(script).arg("build").output().unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    if said.contains("there is no Java compiler") {
        println!("{said}");
        return None;
    }
    assert!(built.status.success(), "{said}");
    Some(PathBuf::from(String::from_utf8(built.stdout).unwrap().trim()))
});

fn rng(seed: u8) -> StdRng {
    StdRng::from_seed([seed; 32])
}

/// One command and its answer, without bytes that are random: header, length; length and status.
type Heard = ([u8; 4], usize, Option<(usize, u16)>);

/// What a card was asked in each case, and how it answered.
#[derive(Default)]
struct Tape {
    case: &'static str,
    heard: Vec<(&'static str, Heard)>,
}

struct Recorded<T> {
    card: T,
    tape: Arc<Mutex<Tape>>,
}

impl<T: Transport> Transport for Recorded<T> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        let answer = self.card.transmit(command);
        let shape = answer.as_ref().ok().and_then(|answer| {
            let (body, status) = answer.split_last_chunk::<2>()?;
            // What a platform says while nothing is selected is its own affair (chapter 01).
            let status = match u16::from_be_bytes(*status) {
                0x6999 => 0x6985,
                status => status,
            };
            Some((body.len(), status))
        });
        if let Some(header) = command.first_chunk::<4>() {
            let mut tape = self.tape.lock().unwrap();
            let case = tape.case;
            tape.heard.push((case, (*header, command.len(), shape)));
        }
        answer
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.card.reset()
    }

    fn name(&self) -> &str {
        self.card.name()
    }
}

/// The whole suite on one card: its report and its tape.
fn conform(card: impl Transport, keys: &TestKeys, cutter: &mut (dyn Cutter + 'static)) -> (Report, Tape) {
    let tape = Arc::new(Mutex::new(Tape::default()));
    let mut card = Recorded {
        card,
        tape: Arc::clone(&tape),
    };
    let setup = Setup {
        transport: &mut card,
        keys: Some(keys),
        rng: rng(2),
        watch: &|| 0,
        cutter: Some(cutter),
        today: sample::TODAY,
        samples: 256,
        wear: 30,
    };
    let choice = Choice {
        destructive: true,
        ..Choice::default()
    };
    let report = run(setup, &choice, &mut |case: &Case| {
        tape.lock().unwrap().case = case.number;
    })
    .unwrap();
    let tape = std::mem::take(&mut *tape.lock().unwrap());
    (report, tape)
}

#[test]
fn the_java_card_passes_every_case_of_the_suite_and_answers_as_the_reference_card() {
    let Some(classes) = &*CLASSES else { return };
    let keys = TestKeys::generate(&mut rng(1));
    let (card, mut cutter) = rig::java_blank(&keys, 1, classes).unwrap();
    let (report, java) = conform(card, &keys, &mut cutter);
    let (_, failed, not_run) = report.counts();
    assert_eq!(failed, 0, "{}", report::table(&report));
    // A card in a process has no radio interface.
    let left: Vec<&str> = report
        .outcomes
        .iter()
        .filter(|outcome| matches!(outcome.verdict, Verdict::NotRun(_)))
        .map(|outcome| outcome.case.number)
        .collect();
    assert_eq!(
        (not_run, &left[..]),
        (1, &["13.03"][..]),
        "{}",
        report::table(&report)
    );
    assert_eq!(report.outcomes.len(), cases().len());
    let figure = |name| cutter.card().figure(name).unwrap().unwrap();
    assert_eq!(figure("memory.allocations-after-install"), 0);
    assert!(figure("write.largest-transaction") <= 384);
    assert!(figure("memory.transient") <= 2048);

    let (card, mut cutter) = rig::test_blank(&keys, 1, &mut rng(3)).unwrap();
    let (_, reference) = conform(card, &keys, &mut cutter);
    for case in cases() {
        let of = |tape: &Tape| -> Vec<Heard> {
            tape.heard
                .iter()
                .filter(|(heard, _)| *heard == case.number)
                .map(|(_, heard)| *heard)
                .collect()
        };
        // Chapter 10 cuts each card at its own writes; at 13.06 a card may find out later (decision 0045).
        let differs = case.chapter() == 10 || case.number == "13.06";
        if !differs {
            assert_eq!(of(&java), of(&reference), "case {}", case.number);
        }
    }
}

/// Opens door I of a blank with its transport keys, and gives what GET STATUS says.
fn status(card: &mut InProcess, keys: &card_applet_spec::kdf::KeySet) -> Status {
    const HOST: [u8; 8] = [7; 8];
    card.transmit(&Header::SELECT.command(&AID, Some(0)).unwrap())
        .unwrap();
    let command = Header::INITIALIZE_UPDATE.command(&HOST, Some(0)).unwrap();
    let answer = card.transmit(&command).unwrap();
    let said = InitializeUpdate::parse(answer.strip_suffix(&[0x90, 0x00]).unwrap()).unwrap();
    let session = SessionKeys::derive(keys, &HOST, &said.card_challenge);
    let cryptogram = session.host_cryptogram(&HOST, &said.card_challenge);
    let mut channel = Channel::new(session);
    let command = channel.external_authenticate(&cryptogram).unwrap();
    assert_eq!(card.transmit(&command).unwrap(), [0x90, 0x00]);
    let command = channel.wrap_command(Header::GET_STATUS, &[]).unwrap();
    let (plain, _) = channel.unwrap_answer(&card.transmit(&command).unwrap()).unwrap();
    Status::parse(&plain).unwrap()
}

#[test]
fn a_java_card_is_the_same_after_its_process_ended() {
    if CLASSES.is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("j.card");
    let blank = rig::stray_blank();
    JavaCard::create(&file, blank.serial, &blank.keys).unwrap();
    let lay = || {
        let mut reader = InProcess::empty();
        reader.insert(model::open(&file, CardRandom::from_source(&mut rng(4))).unwrap());
        reader
    };
    let wrong_try = |card: &mut InProcess| {
        card.transmit(&Header::SELECT.command(&AID, Some(0)).unwrap())
            .unwrap();
        card.transmit(&Header::INITIALIZE_UPDATE.command(&[7; 8], Some(0)).unwrap())
            .unwrap();
        let command = Header::EXTERNAL_AUTHENTICATE.command(&[0; 16], None).unwrap();
        assert_eq!(card.transmit(&command).unwrap(), [0x69, 0x82]);
    };
    let mut card = lay();
    wrong_try(&mut card);
    wrong_try(&mut card);
    assert_eq!(JavaCard::open(&file).unwrap_err().code(), "CARD_IN_USE");
    drop(card);
    let mut card = lay();
    assert_eq!(status(&mut card, &blank.keys).failures, 2);
    drop(card);
    assert_eq!(status(&mut lay(), &blank.keys).failures, 0);
}
