//! The private PC/SC service with a real `pcscd` and the virtual reader.
//!
//! A PC/SC client learns where its service is from its environment, once: so each test starts a service and runs its body
//! in a child process, this same test program, with the environment set.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use card_reader::transport::{Connect, PcscTransport, Transport, TransportError};
use virtual_card::control::Order;
use virtual_card::pcscd::{self, Folder, Options, PrivatePcscd, READERS};
use virtual_card::slot::LineFault;

/// Long enough for pcscd to look twice.
const WAIT: Duration = Duration::from_secs(3);

fn options() -> Options {
    Options {
        program: Some(env!("CARGO_BIN_EXE_virtual-card").into()),
        ..Options::default()
    }
}

fn as_client(test: &str, body: impl FnOnce(&Folder)) {
    pcscd::as_client(&format!("private_service::{test}"), &options(), body).unwrap();
}

fn connect(reader: usize, wait: Duration) -> Result<PcscTransport, TransportError> {
    PcscTransport::connect(&Connect {
        reader: Some(READERS[reader].to_owned()),
        wait,
    })
}

const SELECT: [u8; 7] = [0x00, 0xA4, 0x04, 0x00, 0x01, 0xF0, 0x00];

#[test]
fn a_card_answers_through_pcscd_fast() {
    as_client("a_card_answers_through_pcscd_fast", |folder| {
        folder.manipulator(0).order(&Order::Foreign).unwrap();
        let mut card = connect(0, WAIT).unwrap();
        assert_eq!(card.transmit(&SELECT).unwrap(), [0x6A, 0x82]);
        let rounds = 2000;
        let begin = Instant::now();
        for _ in 0..rounds {
            card.transmit(&SELECT).unwrap();
        }
        let each = begin.elapsed() / rounds;
        println!("{each:?} for each command through pcscd");
        assert!(
            each < Duration::from_millis(5),
            "{each:?}: the kernel delays acknowledgements"
        );
    });
}

#[test]
fn no_card_no_such_reader_and_a_mute_card_are_told_apart() {
    as_client(
        "no_card_no_such_reader_and_a_mute_card_are_told_apart",
        |folder| {
            assert_eq!(connect(0, Duration::ZERO).unwrap_err(), TransportError::NoCard);
            let unknown = PcscTransport::connect(&Connect {
                reader: Some("Nobody's".to_owned()),
                wait: Duration::ZERO,
            });
            let present = READERS.map(str::to_owned).to_vec();
            assert_eq!(
                unknown.unwrap_err(),
                TransportError::UnknownReader {
                    wanted: "Nobody's".to_owned(),
                    present: present.clone()
                }
            );
            // Of several readers the one that a card lies on is meant.
            let any = || PcscTransport::connect(&Connect::default());
            assert_eq!(any().unwrap_err(), TransportError::NoCard);
            folder.manipulator(1).order(&Order::Foreign).unwrap();
            assert_eq!(connect(1, WAIT).unwrap().name(), READERS[1]);
            assert_eq!(any().unwrap().name(), READERS[1]);
            folder.manipulator(0).order(&Order::Foreign).unwrap();
            drop(connect(0, WAIT).unwrap());
            assert_eq!(any().unwrap_err(), TransportError::SeveralReaders { present });
            folder.manipulator(1).order(&Order::Eject).unwrap();
            folder.manipulator(0).order(&Order::Mute).unwrap();
            std::thread::sleep(Duration::from_secs(1));
            assert_eq!(connect(0, WAIT).unwrap_err(), TransportError::CardUnpowered);
            println!("{:?}", PcscTransport::list());
        },
    );
}

#[test]
fn a_card_pulled_during_a_command_leaves_the_outcome_open() {
    as_client(
        "a_card_pulled_during_a_command_leaves_the_outcome_open",
        |folder| {
            for fault in [
                LineFault::PullBefore { apdu: 1 },
                LineFault::PullAfter { apdu: 1 },
            ] {
                folder.manipulator(0).order(&Order::Foreign).unwrap();
                let mut card = connect(0, WAIT).unwrap();
                folder.manipulator(0).order(&Order::Fault { fault }).unwrap();
                assert_eq!(card.transmit(&SELECT).unwrap_err(), TransportError::ReaderLost);
                assert_eq!(card.transmit(&SELECT).unwrap_err(), TransportError::CardReset);
                assert_eq!(
                    folder
                        .manipulator(0)
                        .order(&Order::Insert { memory: None })
                        .unwrap()
                        .unwrap()
                        .state,
                    "foreign"
                );
                card.reset().unwrap();
                assert_eq!(card.transmit(&SELECT).unwrap(), [0x6A, 0x82]);
            }
        },
    );
}

#[test]
fn a_killed_service_is_lost_in_the_middle_and_absent_afterwards() {
    as_client(
        "a_killed_service_is_lost_in_the_middle_and_absent_afterwards",
        |folder| {
            folder.manipulator(0).order(&Order::Foreign).unwrap();
            let mut card = connect(0, WAIT).unwrap();
            folder.service().order(&Order::Stop).unwrap();
            assert_eq!(card.transmit(&SELECT).unwrap_err(), TransportError::ReaderLost);
            assert_eq!(card.reset().unwrap_err(), TransportError::NoService);
            folder.service().order(&Order::Start).unwrap();
            folder
                .manipulator(0)
                .order(&Order::Insert { memory: None })
                .unwrap();
            card.reset().unwrap();
            assert_eq!(card.transmit(&SELECT).unwrap(), [0x6A, 0x82]);
        },
    );
}

#[test]
fn two_services_run_side_by_side() {
    let one = PrivatePcscd::start(&options()).unwrap();
    let two = PrivatePcscd::start(&options()).unwrap();
    assert_ne!(one.socket(), two.socket());
    for service in [&one, &two] {
        assert_eq!(
            service
                .manipulator(0)
                .order(&Order::Foreign)
                .unwrap()
                .unwrap()
                .state,
            "foreign"
        );
        assert_eq!(
            service
                .manipulator(1)
                .order(&Order::Foreign)
                .unwrap()
                .unwrap()
                .state,
            "foreign"
        );
    }
}

/// Waits until a condition holds.
fn soon(holds: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + WAIT;
    while Instant::now() < deadline {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

#[test]
fn a_service_and_its_folder_end_with_their_owner() {
    let service = PrivatePcscd::start(&options()).unwrap();
    let folder = service.folder().path().to_owned();
    let socket = service.socket();
    UnixStream::connect(&socket).unwrap();
    drop(service);
    assert!(UnixStream::connect(&socket).is_err());
    assert!(soon(|| !folder.exists()), "{} is left", folder.display());
}

#[test]
fn a_service_ends_even_when_its_owner_is_killed() {
    let mut owner = Command::new(env!("CARGO_BIN_EXE_virtual-card"))
        .args([
            "reader",
            "--",
            "sh",
            "-c",
            "echo \"$PCSCLITE_CSOCK_NAME\"; exec sleep 3",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut socket = String::new();
    BufReader::new(owner.stdout.take().unwrap())
        .read_line(&mut socket)
        .unwrap();
    let socket = Path::new(socket.trim_end());
    UnixStream::connect(socket).unwrap();
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert!(
        soon(|| UnixStream::connect(socket).is_err() && !socket.exists()),
        "{} is left",
        socket.display()
    );
}

#[test]
fn what_is_missing_for_a_service_is_told_with_what_to_do() {
    let nowhere = Options {
        program: Some("/nowhere/virtual-card".into()),
        ..Options::default()
    };
    let error = PrivatePcscd::start(&nowhere).unwrap_err();
    assert_eq!(error.code(), "CARD_PROGRAM_MISSING");
    assert!(error.to_string().contains("/nowhere/virtual-card") && error.action().contains("cargo build"));

    let folder = tempfile::tempdir().unwrap();
    let deep = Options {
        folder: Some(folder.path().join("x".repeat(100))),
        ..options()
    };
    assert_eq!(PrivatePcscd::start(&deep).unwrap_err().code(), "PATH_TOO_LONG");

    let no_card = Options {
        memory: Some("/nowhere/a.card".into()),
        ..options()
    };
    let error = PrivatePcscd::start(&no_card).unwrap_err();
    assert_eq!(error.code(), "FILE");
    assert!(error.to_string().contains("/nowhere/a.card"), "{error}");

    let missing = virtual_card::Error::ProgramMissing {
        program: "pcscd",
        package: "pcscd",
    };
    assert!(missing.to_string().contains("pcscd") && missing.action().contains("make setup"));
}

/// Runs the program as root of a user namespace in which these limits (of `/proc/sys/user`) are zero.
fn under_limits(limits: &[&str]) -> std::process::Output {
    let zero = format!(
        "for limit in {}; do echo 0 > /proc/sys/user/$limit || exit 9; done",
        limits.join(" ")
    );
    let program = env!("CARGO_BIN_EXE_virtual-card");
    Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "sh",
            "-c",
            &format!("{zero}; exec {program} reader --json -- true"),
        ])
        .output()
        .unwrap()
}

#[test]
fn root_needs_no_user_namespace_and_without_any_namespace_it_is_told() {
    let output = under_limits(&["max_user_namespaces"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let output = under_limits(&["max_user_namespaces", "max_net_namespaces"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"NAMESPACES_REFUSED\""));
}

#[test]
fn a_card_that_never_answers_is_a_timeout_and_the_next_one_is_served() {
    as_client(
        "a_card_that_never_answers_is_a_timeout_and_the_next_one_is_served",
        |folder| {
            let manipulator = folder.manipulator(0);
            for silent in [1, 3] {
                manipulator.order(&Order::Foreign).unwrap();
                let mut card = connect(0, WAIT).unwrap();
                card.set_limit(Duration::from_millis(300));
                let fault = LineFault::Silent { apdu: silent };
                manipulator.order(&Order::Fault { fault }).unwrap();
                for _ in 1..silent {
                    assert_eq!(card.transmit(&SELECT).unwrap(), [0x6A, 0x82]);
                }
                let silence = card.transmit(&SELECT).unwrap_err();
                assert_eq!(silence, TransportError::Timeout);
                assert_eq!(silence.outcome(), card_reader::transport::Outcome::Unknown);
                assert_eq!(card.transmit(&SELECT).unwrap_err(), TransportError::CardReset);
                manipulator.order(&Order::Eject).unwrap();
                std::thread::sleep(Duration::from_secs(1));
            }
            manipulator.order(&Order::Foreign).unwrap();
            assert_eq!(connect(0, WAIT).unwrap().transmit(&SELECT).unwrap(), [0x6A, 0x82]);
        },
    );
}

#[test]
fn a_program_that_merely_shares_the_card_stands_in_nobodys_way_and_one_that_holds_it_does() {
    use pcsc::{Context, Protocols, Scope, ShareMode};

    as_client(
        "a_program_that_merely_shares_the_card_stands_in_nobodys_way_and_one_that_holds_it_does",
        |folder| {
            folder.manipulator(0).order(&Order::Foreign).unwrap();
            let name = std::ffi::CString::new(READERS[0]).unwrap();
            let context = Context::establish(Scope::User).unwrap();
            // The service sees a card that was just laid there a little later, and lets go of one a little later too.
            let with_time = |mode| {
                std::iter::repeat_with(|| {
                    std::thread::sleep(Duration::from_millis(100));
                    context.connect(&name, mode, Protocols::ANY)
                })
                .take(50)
                .find_map(Result::ok)
                .unwrap()
            };
            // A key agent that has the card open.
            let mut other = with_time(ShareMode::Shared);
            let mut room = [0; 300];
            other.transmit(&SELECT, &mut room).unwrap();
            let mut ours = connect(0, WAIT).unwrap();
            assert_eq!(ours.transmit(&SELECT).unwrap(), [0x6A, 0x82]);
            ours.reset().unwrap();
            assert_eq!(ours.transmit(&SELECT).unwrap(), [0x6A, 0x82]);
            drop(ours);
            // A second one of ours waits for the first, and says so.
            let first = connect(0, WAIT).unwrap();
            assert_eq!(
                connect(0, Duration::ZERO).unwrap_err(),
                TransportError::ReaderBusy
            );
            drop(first);
            // One in the middle of a transaction, and one that has the card alone.
            let transaction = loop {
                // The first lets go of the card in a thread of its own, and resets it: as often as that comes between.
                std::thread::sleep(Duration::from_millis(20));
                let _ = other.reconnect(ShareMode::Shared, Protocols::ANY, pcsc::Disposition::LeaveCard);
                if let Ok(transaction) = other.transaction() {
                    break transaction;
                }
            };
            let busy = connect(0, Duration::ZERO).unwrap_err();
            assert_eq!(busy, TransportError::ReaderBusy);
            assert!(busy.action().contains("lsof"), "{}", busy.action());
            drop(transaction);
            drop(other);
            // What waited for the transaction above lets go of the card when it hears that nobody waits any more.
            let alone = with_time(ShareMode::Exclusive);
            assert_eq!(
                connect(0, Duration::ZERO).unwrap_err(),
                TransportError::ReaderBusy
            );
            drop(alone);
            assert!(connect(0, WAIT).is_ok());
        },
    );
}
