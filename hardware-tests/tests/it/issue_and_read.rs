//! A card is written by the vault over a real PC/SC stack and read by a bus, a clinic, a counter and a stranger.

use card_applet_spec::codes::Role;
use card_reader::transport::Transport;
use card_reader::{Error as CardError, Reason, Terminal};
use hardware_tests::rig::{Needs, with_reader};
use hardware_tests::scratch_issuer::REHEARSAL;
use hardware_tests::{Error, Rig, ScratchIssuer, sample, scenario};
use keyvault_protocol::{BundleKind, CardState};
use rand::SeedableRng;
use rand::rngs::StdRng;
use virtual_card::tape::{Recorder, Tape};
use virtual_card::{Card, CardMemory, CardRandom, InProcess};

fn office(folder: &tempfile::TempDir) -> ScratchIssuer {
    ScratchIssuer::found(&folder.path().join("vault"), REHEARSAL).unwrap()
}

fn rng() -> StdRng {
    StdRng::from_seed([6; 32])
}

fn reason(error: &Error) -> Option<Reason> {
    match error {
        Error::Card(CardError::Refused(refusal)) => Some(refusal.reason),
        _ => None,
    }
}

/// Lays blank 1 on the reader and writes it, without handing it over.
fn written(office: &mut ScratchIssuer, rig: &Rig) -> card_reader::transport::PcscTransport {
    let blank = office.blank(1).unwrap();
    rig.lay_blank(&blank, &mut rng()).unwrap();
    let mut card = rig.connect().unwrap();
    let task = scenario::personalise(office.rng()).unwrap();
    let result = office.write(&mut card, 1, blank.serial.0, task).unwrap();
    assert_eq!(result.state, CardState::Personalised);
    card
}

#[test]
fn each_reader_sees_its_own_part_and_a_stranger_nothing() {
    with_reader(
        "issue_and_read::each_reader_sees_its_own_part_and_a_stranger_nothing",
        Needs::Writing,
        |rig| {
            let folder = tempfile::tempdir().unwrap();
            let mut office = office(&folder);
            let (mut bus, clinic) = scenario::bus_and_clinic(&mut office).unwrap();
            let mut door = Terminal::new(office.enrol(BundleKind::Door, "door 1").unwrap().bundle);
            let counter = office.enrol(BundleKind::Counter, "counter 1").unwrap();
            let mut card = written(&mut office, rig);

            let dead = scenario::tap(&mut bus, &mut card, Role::Transit, &mut rng()).unwrap_err();
            assert!(
                reason(&dead).is_some(),
                "a card stolen before hand-over is dead: {dead}"
            );
            assert_eq!(
                reason(&scenario::clinic(&clinic, &mut card, &mut rng()).unwrap_err()),
                Some(Reason::NotActive)
            );
            let before = scenario::stranger(&mut card).unwrap();

            let serial = office.blank(1).unwrap().serial.0;
            let result = office.write(&mut card, 1, serial, scenario::activate()).unwrap();
            assert_eq!(result.state, CardState::Active);

            let mut other = StdRng::from_seed([7; 32]);
            let seen = scenario::tap(&mut bus, &mut card, Role::Transit, &mut other).unwrap();
            assert_eq!((seen.role, seen.class, seen.zones), (Role::Transit, 1, 1));
            let seen = scenario::tap(&mut door, &mut card, Role::Door, &mut other).unwrap();
            assert_eq!(seen.role, Role::Door);
            let seen = scenario::clinic(&clinic, &mut card, &mut other).unwrap();
            assert_eq!((seen.role, seen.services), (Role::Clinic, 0b11));
            assert_eq!(
                scenario::counter(&counter, &mut card, &mut other).unwrap(),
                Some(sample::PERMIT)
            );

            let wrong = scenario::tap(&mut bus, &mut card, Role::Door, &mut other).unwrap_err();
            assert_eq!(
                reason(&wrong),
                Some(Reason::WrongRole),
                "a bus has no keys of a door"
            );

            // A card that lives and one that is dead look alike: the same lengths and the same status words.
            let after = scenario::stranger(&mut card).unwrap();
            let shape = |seen: &[Vec<u8>]| {
                seen.iter()
                    .map(|answer| (answer.len(), answer[answer.len() - 2..].to_vec()))
                    .collect::<Vec<_>>()
            };
            assert_eq!(shape(&before), shape(&after));
            assert_eq!(before[1], after[1], "card info is the same on every card");
        },
    )
    .unwrap();
}

#[test]
fn the_tape_of_an_issue_over_pcsc_is_that_of_one_in_process() {
    const CARD: [u8; 32] = [8; 32];
    // The manipulator of the private service gives its cards fresh randomness: this test brings a service of its own.
    let folder = tempfile::tempdir().unwrap();
    let mut office_here = office(&folder);
    let blank = office_here.blank(1).unwrap();
    let make = |memory: &CardMemory| virtual_card::blank::manufacture(memory, &blank, &mut rng()).unwrap();

    let path = folder.path().join("1.card");
    make(&CardMemory::create(&path, card_applet::MEMORY_LEN).unwrap());
    let options = virtual_card::pcscd::Options {
        memory: Some(path),
        seed: Some(CARD),
        ..Default::default()
    };
    let test = "issue_and_read::the_tape_of_an_issue_over_pcsc_is_that_of_one_in_process";
    if std::env::var_os(hardware_tests::rig::READER_VARIABLE).is_some() {
        println!("{test}: left out, a physical card has no seed");
        return;
    }
    virtual_card::pcscd::as_client(test, &options, |service| {
        let tape = |office: &mut ScratchIssuer, card: &mut dyn Transport| -> Tape {
            let mut card = Recorder::new(card);
            scenario::issue(office, &mut card, 1).unwrap();
            let (mut bus, clinic) = scenario::bus_and_clinic(office).unwrap();
            scenario::tap(&mut bus, &mut card, Role::Transit, &mut rng()).unwrap();
            scenario::clinic(&clinic, &mut card, &mut rng()).unwrap();
            card.into_parts().1
        };
        let mut behind = Rig::of_private(service).connect().unwrap();
        let behind = tape(&mut office_here, &mut behind);

        let again = tempfile::tempdir().unwrap();
        let mut office = office(&again);
        let memory = CardMemory::ram(card_applet::MEMORY_LEN);
        make(&memory);
        let here = tape(
            &mut office,
            &mut InProcess::with(Card::new(memory, CardRandom::repeating(CARD))),
        );
        assert_eq!(behind.to_json_lines(), here.to_json_lines());
        assert!(behind.commands() > 50, "{}", behind.commands());
    })
    .unwrap();
}
