//! `card-reader`: reads a permit card as a bus, a clinic, a door or a stranger would (design, contracts).
//!
//! Only here are the clock and the machine's random source read. Standard output holds the result and nothing else.

mod program;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use card_applet_spec::apdu::Header;
use card_applet_spec::codes::{Rights, Role};
use card_applet_spec::date::Date;
use card_reader::transport::{Connect, PcscTransport, Transport, TransportError};
use card_reader::{Card, Check, Counting, Counts, Error, Pinned, Stopwatch, Terminal, TerminalKey, counter};
use clap::Parser as _;
use rand::rngs::SysRng;
use rand_core::{CryptoRng, UnwrapErr};

use self::program::args::{Cli, Command, Enrolling, Inspecting, Reading, Serving, day_of};
use self::program::report::{self, Decision, Exit, Failure, Report, Saw, exit_of};
use self::program::terminal::{self, Loaded, NotReady};

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let json = cli.command.json();
    let report = run(cli.command);
    show(&report, json)
}

/// A wrong command line: the same object as every failure where JSON was asked for.
fn usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && std::env::args_os().any(|argument| argument == "--json") {
        let message = error.kind().to_string();
        let action = "Run card-reader --help.";
        return show(
            &Failure::new(Exit::Usage, "USAGE", message, action).report(),
            true,
        );
    }
    let _ = error.print();
    ExitCode::from(if error.use_stderr() {
        Exit::Usage as u8
    } else {
        Exit::Done as u8
    })
}

fn show(report: &Report, json: bool) -> ExitCode {
    let mut out = std::io::stdout().lock();
    // A reader of our output that went away is no failure of the card.
    let _ = match (json, report.text.as_str()) {
        (true, _) => writeln!(out, "{}", report.json),
        (false, "") => Ok(()),
        (false, text) => writeln!(out, "{text}"),
    };
    if let (false, Some(note)) = (json, &report.note) {
        let _ = writeln!(std::io::stderr().lock(), "{note}");
    }
    ExitCode::from(report.exit as u8)
}

fn run(command: Command) -> Report {
    let name = command.name();
    let mut rng = UnwrapErr(SysRng);
    match command {
        Command::List(_) => match PcscTransport::list() {
            Ok(readers) => report::readers(&readers),
            Err(error) => absent(&error).report(),
        },
        Command::Info(reading) => info(name, &reading, &mut rng),
        Command::Bus(serving) => fast(name, Role::Transit, &serving, &mut rng),
        Command::Door(serving) => fast(name, Role::Door, &serving, &mut rng),
        Command::Clinic(serving) => strong(name, Role::Clinic, &serving, &mut rng),
        Command::Inspect(inspecting) => inspect(name, &inspecting, &mut rng),
        Command::Enrol(enrolling) => enrol(&enrolling, &mut rng).unwrap_or_else(|failure| failure.report()),
    }
}

fn absent(error: &TransportError) -> Failure {
    let exit = exit_of(&Error::Transport(error.clone()), false);
    Failure::new(exit, error.code(), error.to_string(), error.action())
}

/// A clock that only goes forward, from the start of the reading.
struct Watch(Instant);

impl Stopwatch for Watch {
    fn nanoseconds(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Connects, lets `read` do its work, and puts what it saw or said into the one form of the contracts.
fn with_card(
    command: &'static str,
    reading: &Reading,
    read: impl FnOnce(&mut Counting<PcscTransport, Watch>) -> Result<Saw, Error>,
) -> Report {
    let wanted = Connect {
        reader: reading.reader.clone(),
        wait: Duration::from_millis(reading.timeout_ms),
    };
    let transport = match PcscTransport::connect(&wanted) {
        Ok(transport) => transport,
        Err(error) => return absent(&error).report(),
    };
    let start = Instant::now();
    let mut counting = Counting::new(transport, Watch(start));
    let outcome = read(&mut counting);
    let decision = Decision {
        command,
        reader: Some(counting.name().to_owned()),
        counts: counting.counts(),
        nanoseconds: Watch(start).nanoseconds(),
    };
    match outcome {
        Ok(saw) => decision.accepted(saw),
        Err(error) => {
            tracing::info!(command, %error, "not accepted");
            decision.failed(&error)
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the program reads the clock once, here")]
fn today(reading: &Reading) -> Date {
    // A machine whose clock is outside the years 1 to 9999 gets a day on which nothing is valid.
    reading
        .at
        .or_else(|| day_of(jiff::Timestamp::now()))
        .unwrap_or(Date::NONE)
}

/// Loads the terminal's files, or says in the form of the contracts why not.
fn ready(command: &'static str, serving: &Serving, today: Date) -> Result<Loaded, Report> {
    terminal::load(&serving.bundle, serving.terminal_key.as_deref(), today).map_err(|error| match error {
        NotReady::Files(failure) => failure.report(),
        NotReady::Bundle(error) => Decision {
            command,
            reader: None,
            counts: Counts::default(),
            nanoseconds: 0,
        }
        .failed(&error),
    })
}

fn info(command: &'static str, reading: &Reading, rng: &mut impl CryptoRng) -> Report {
    with_card(command, reading, |transport| stranger(transport, rng))
}

/// What a stranger can do: read card info, ask for the serial, and tap without a key.
fn stranger(transport: &mut impl Transport, rng: &mut impl CryptoRng) -> Result<Saw, Error> {
    let (card, serial) = Card::new(&mut *transport).select()?.blank_serial()?;
    let info = *card.info();
    let transport = card.into_transport();
    let mut taps = Vec::new();
    for _ in 0..2 {
        let mut challenge = [0; 16];
        rng.fill_bytes(&mut challenge);
        let command = Header::tap(Role::Transit.code(), 0x01)
            .command(&challenge, Some(0x00))
            .map_err(|_| Check::Application)?;
        taps.push(transport.transmit(&command)?);
    }
    let seen = match taps.as_slice() {
        // Two status words without a body are a card without the fast door.
        [one, two] if one.len() > 2 && two.len() > 2 => {
            Some((one.len().saturating_sub(2), repeats(one, two)))
        }
        _ => None,
    };
    Ok(report::stranger(info, serial, seen))
}

/// Whether any 8 bytes of the bodies of two answers stand at the same place in both.
fn repeats(one: &[u8], two: &[u8]) -> bool {
    let body = |answer: &[u8]| {
        answer
            .split_last_chunk::<2>()
            .map_or_else(Vec::new, |(body, _)| body.to_vec())
    };
    let (one, two) = (body(one), body(two));
    one.windows(8).zip(two.windows(8)).any(|(one, two)| one == two)
}

fn fast(command: &'static str, role: Role, serving: &Serving, rng: &mut impl CryptoRng) -> Report {
    let today = today(&serving.reading);
    let loaded = match ready(command, serving, today) {
        Ok(loaded) => loaded,
        Err(report) => return report,
    };
    let mut terminal = Terminal::new(loaded.bundle);
    with_card(command, &serving.reading, |transport| {
        let card = Card::new(transport).select()?;
        Ok(report::admission(&terminal.tap(card, role, today, rng)?))
    })
}

fn strong(command: &'static str, role: Role, serving: &Serving, rng: &mut impl CryptoRng) -> Report {
    let today = today(&serving.reading);
    let Loaded { key, bundle } = match ready(command, serving, today) {
        Ok(loaded) => loaded,
        Err(report) => return report,
    };
    with_card(command, &serving.reading, |transport| {
        let card = Card::new(transport).select()?;
        let card = card
            .present(&bundle, today)?
            .agree(Rights::role(role), &key, today, rng)?;
        let (_, admission) = card.read_entitlement(role, &bundle, today)?;
        Ok(report::admission(admission.content()))
    })
}

fn inspect(command: &'static str, inspecting: &Inspecting, rng: &mut impl CryptoRng) -> Report {
    let Some(bundle) = &inspecting.bundle else {
        return with_card(command, &inspecting.reading, |transport| stranger(transport, rng));
    };
    let today = today(&inspecting.reading);
    let serving = Serving {
        bundle: bundle.clone(),
        terminal_key: inspecting.terminal_key.clone(),
        reading: inspecting.reading.clone(),
    };
    let Loaded { key, bundle } = match ready(command, &serving, today) {
        Ok(loaded) => loaded,
        Err(report) => return report,
    };
    with_card(command, &inspecting.reading, |transport| {
        let info = *Card::new(&mut *transport).select()?.info();
        let seen = counter::inspect(transport, &bundle, &key, today, rng)?;
        Ok(report::structure(info, &seen))
    })
}

fn enrol(enrolling: &Enrolling, rng: &mut impl CryptoRng) -> Result<Report, Failure> {
    let anchors = terminal::read(&enrolling.anchors, 1 << 16)?;
    let pinned = Pinned::from_anchors_json(&anchors)
        .map_err(|error| Failure::new(Exit::Usage, error.code(), error.to_string(), error.action()))?;
    let vault = pinned.vault;
    let key = TerminalKey::generate(enrolling.name.clone(), pinned, rng);
    key.save_new(&enrolling.out).map_err(|error| {
        let message = format!("cannot make {}: {}", enrolling.out.display(), error.kind());
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            let action = "A key file is never replaced: give another name with --out.";
            return Failure::new(Exit::Damaged, "KEY_FILE_EXISTS", message, action);
        }
        Failure::new(
            Exit::Damaged,
            "FILE_UNWRITABLE",
            message,
            "Check the folder and its rights.",
        )
    })?;
    Ok(report::request(&key.request(), &vault))
}
