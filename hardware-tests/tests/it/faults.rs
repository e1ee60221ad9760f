//! Everything that goes wrong at a reader, over a real PC/SC stack: each is told apart, leaves the card before or after,
//! and is mended by the same step run again.

use std::time::Duration;

use card_applet_spec::codes::Role;
use card_reader::transport::{Connect, Outcome, PcscTransport, Transport, TransportError};
use card_reader::{Card, Error as CardError, Reason};
use hardware_tests::rig::{Needs, stray_blank, with_reader};
use hardware_tests::scratch_issuer::REHEARSAL;
use hardware_tests::{Error, Rig, ScratchIssuer, scenario};
use keyvault_protocol::{CardState, RefusalCode};
use rand::SeedableRng;
use rand::rngs::StdRng;
use virtual_card::control::{Control, Order};
use virtual_card::slot::LineFault;

fn office() -> (tempfile::TempDir, ScratchIssuer) {
    let folder = tempfile::tempdir().unwrap();
    let office = ScratchIssuer::found(&folder.path().join("vault"), REHEARSAL).unwrap();
    (folder, office)
}

fn rng() -> StdRng {
    StdRng::from_seed([6; 32])
}

fn with_hand(test: &str, body: impl FnOnce(&Rig, &Control)) {
    with_reader(&format!("faults::{test}"), Needs::Manipulator, |rig| {
        body(rig, &rig.manipulator().unwrap());
    })
    .unwrap();
}

/// Code, message and action, as programs and people see them.
fn told(error: &TransportError, code: &str) {
    assert_eq!(error.code(), code);
    assert!(
        !error.to_string().is_empty() && error.action().ends_with('.'),
        "{error}"
    );
}

#[test]
fn no_service_is_told() {
    // In a process of its own, which the private service never pointed anywhere: the environment is the test's.
    let nowhere = tempfile::tempdir().unwrap();
    let running = std::env::current_exe().unwrap();
    let output = std::process::Command::new(running)
        .args([
            "--exact",
            "faults::without_a_service_nothing_is_listed",
            "--nocapture",
        ])
        .env("PCSCLITE_CSOCK_NAME", nowhere.path().join("none"))
        .env("YZT_NO_SERVICE", "1")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn without_a_service_nothing_is_listed() {
    if std::env::var_os("YZT_NO_SERVICE").is_some() {
        told(&PcscTransport::list().unwrap_err(), "NO_SERVICE");
        told(
            &PcscTransport::connect(&Connect::default()).unwrap_err(),
            "NO_SERVICE",
        );
    }
}

#[test]
fn an_absent_card_an_unknown_reader_a_dead_card_and_a_foreign_one_are_told_apart() {
    let test = "an_absent_card_an_unknown_reader_a_dead_card_and_a_foreign_one_are_told_apart";
    with_hand(test, |rig, manipulator| {
        told(&rig.connect_now().unwrap_err(), "NO_CARD");
        let unknown = Connect {
            reader: Some("a reader that nobody has".to_owned()),
            wait: Duration::ZERO,
        };
        told(&PcscTransport::connect(&unknown).unwrap_err(), "UNKNOWN_READER");
        manipulator.order(&Order::Mute).unwrap();
        told(&rig.connect().unwrap_err(), "CARD_UNPOWERED");
        manipulator.order(&Order::Foreign).unwrap();
        let (_folder, mut office) = office();
        let mut card = rig.connect().unwrap();
        let error = scenario::issue(&mut office, &mut card, 1).unwrap_err();
        let Error::Card(CardError::Refused(refusal)) = &error else {
            panic!("{error}")
        };
        assert_eq!(refusal.reason, Reason::ForeignCard);
    });
}

#[test]
fn a_blank_of_another_maker_is_refused_by_the_vault_and_stays_blank() {
    with_hand(
        "a_blank_of_another_maker_is_refused_by_the_vault_and_stays_blank",
        |rig, _| {
            let (_folder, mut office) = office();
            let stray = stray_blank();
            rig.lay_blank(&stray, &mut rng()).unwrap();
            let mut card = rig.connect().unwrap();
            let task = scenario::personalise(office.rng()).unwrap();
            let error = office.write(&mut card, 1, stray.serial.0, task).unwrap_err();
            assert!(matches!(error, Error::VaultClient(_)), "{error}");
            assert_eq!(still_blank(&mut card), Some(stray.serial.0));
        },
    );
}

#[test]
fn a_card_pulled_at_some_commands_is_finished_by_the_same_step_without_a_new_number() {
    let test = "a_card_pulled_at_some_commands_is_finished_by_the_same_step_without_a_new_number";
    with_hand(test, |rig, manipulator| {
        let (_folder, mut office) = office();
        let blank = office.blank(1).unwrap();
        rig.lay_blank(&blank, &mut rng()).unwrap();
        let mut card = rig.connect().unwrap();
        let task = scenario::personalise(office.rng()).unwrap();
        // A sample: the opening, the data groups, the keys, the end. Every command is cut in process elsewhere.
        for fault in [
            LineFault::PullBefore { apdu: 2 },
            LineFault::PullAfter { apdu: 4 },
            LineFault::PullAfter { apdu: 20 },
            LineFault::PullBefore { apdu: 30 },
        ] {
            manipulator.order(&Order::Fault { fault }).unwrap();
            let error = office
                .write(&mut card, 1, blank.serial.0, task.clone())
                .unwrap_err();
            let lost = error.transport().unwrap_or_else(|| panic!("{fault:?}: {error}"));
            assert_eq!(lost.outcome(), Outcome::Unknown, "{fault:?}: {error}");
            manipulator.order(&Order::Insert { memory: None }).unwrap();
        }
        let result = office.write(&mut card, 1, blank.serial.0, task).unwrap();
        assert_eq!(
            (result.serial, result.state),
            (blank.serial, CardState::Personalised)
        );
        office
            .write(&mut card, 1, blank.serial.0, scenario::activate())
            .unwrap();
        let (mut bus, _) = scenario::bus_and_clinic(&mut office).unwrap();
        scenario::tap(&mut bus, &mut card, Role::Transit, &mut rng()).unwrap();
    });
}

#[test]
fn a_card_swapped_between_two_steps_is_not_handed_over() {
    with_hand(
        "a_card_swapped_between_two_steps_is_not_handed_over",
        |rig, manipulator| {
            let (_folder, mut office) = office();
            let (first, second) = (office.blank(1).unwrap(), office.blank(2).unwrap());
            let other = rig.make_blank(&second, &mut rng()).unwrap();
            rig.lay_blank(&first, &mut rng()).unwrap();
            let mut card = rig.connect().unwrap();
            let task = scenario::personalise(office.rng()).unwrap();
            office.write(&mut card, 1, first.serial.0, task).unwrap();
            // So fast that the reader reports nothing: the old handle reaches the new card.
            manipulator.order(&Order::Swap { memory: other }).unwrap();
            let error = office.write(&mut card, 1, first.serial.0, scenario::activate());
            assert!(error.is_err(), "the wrong card was handed over");
            assert_eq!(still_blank(&mut card), Some(second.serial.0));
        },
    );
}

#[test]
fn a_service_killed_in_the_middle_is_lost_and_the_step_goes_on_with_the_next_one() {
    let test = "a_service_killed_in_the_middle_is_lost_and_the_step_goes_on_with_the_next_one";
    with_hand(test, |rig, manipulator| {
        let (_folder, mut office) = office();
        let blank = office.blank(1).unwrap();
        rig.lay_blank(&blank, &mut rng()).unwrap();
        let mut card = KillAt {
            card: rig.connect().unwrap(),
            service: rig.service().unwrap(),
            at: 12,
        };
        let task = scenario::personalise(office.rng()).unwrap();
        let error = office
            .write(&mut card, 1, blank.serial.0, task.clone())
            .unwrap_err();
        told(error.transport().unwrap(), "READER_LOST");
        let error = office
            .write(&mut card, 1, blank.serial.0, task.clone())
            .unwrap_err();
        told(error.transport().unwrap(), "NO_SERVICE");
        rig.service().unwrap().order(&Order::Start).unwrap();
        manipulator.order(&Order::Insert { memory: None }).unwrap();
        let result = office.write(&mut card, 1, blank.serial.0, task).unwrap();
        assert_eq!(result.state, CardState::Personalised);
    });
}

#[test]
fn a_sealed_vault_refuses_the_next_step_and_leaves_the_card_as_it_was() {
    let test = "a_sealed_vault_refuses_the_next_step_and_leaves_the_card_as_it_was";
    with_hand(test, |rig, _| {
        let (_folder, mut office) = office();
        let blank = office.blank(1).unwrap();
        rig.lay_blank(&blank, &mut rng()).unwrap();
        let mut card = rig.connect().unwrap();
        let task = scenario::personalise(office.rng()).unwrap();
        // As after a restart of the issuer: another connection, the same order.
        office.reconnect().unwrap();
        office.write(&mut card, 1, blank.serial.0, task).unwrap();
        office.seal().unwrap();
        let error = office
            .write(&mut card, 1, blank.serial.0, scenario::activate())
            .unwrap_err();
        let Error::VaultClient(refused) = &error else {
            panic!("{error}")
        };
        assert!(refused.is(RefusalCode::Sealed), "{error}");
        assert_eq!(
            still_blank(&mut card),
            None,
            "written, and neither blank nor handed over"
        );
    });
}

/// The serial, from a card that is blank.
fn still_blank(card: &mut impl Transport) -> Option<[u8; 10]> {
    let card = Card::new(card).reset().unwrap().select().unwrap();
    card.blank_serial().unwrap().1.map(|serial| serial.0)
}

/// Kills the service before a command.
struct KillAt {
    card: PcscTransport,
    service: Control,
    at: u32,
}

impl Transport for KillAt {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        self.at = self.at.saturating_sub(1);
        if self.at == 1 {
            self.service.order(&Order::Stop).unwrap();
        }
        self.card.transmit(command)
    }

    fn reset(&mut self) -> Result<(), TransportError> {
        self.card.reset()
    }

    fn name(&self) -> &str {
        self.card.name()
    }
}
