//! `card-reader`: reads a permit card as a bus, a clinic, a shop, a door or a stranger would (design, contracts).
//!
//! Standard output holds the result and nothing else. The clock and the machine's random source are read in
//! `program::clock` only.

mod program;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use card_applet_spec::apdu::Header;
use card_applet_spec::codes::Role;
use card_applet_spec::date::Date;
use card_reader::transport::{PcscTransport, Transport, TransportError};
use card_reader::{Card, Check, Counting, Counts, Error, Pinned, Stopwatch as _, TerminalKey, counter};
use clap::Parser as _;
use rand_core::CryptoRng;

use self::program::args::{
    Cli, Command, Enrolling, Holding, Identifying, Inspecting, Material, Reading, Service, Serving, Shopping,
    Syncing, Testing,
};
use self::program::clock::{self, Clock, Watch};
use self::program::config::Config;
use self::program::desk::{Desk, Task};
use self::program::report::{self, Decision, Exit, Failure, Report, Saw, exit_of};
use self::program::terminal::{self, Loaded, NotReady};
use self::program::wire::{self, Source, Tape};
use self::program::{holding, identity, run, self_test, sync};

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
    let report = perform(cli.command);
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
        // A run has printed its lines itself.
        (true, _) if report.json.is_null() => Ok(()),
        (true, _) => writeln!(out, "{}", report.json),
        (false, "") => Ok(()),
        (false, text) => writeln!(out, "{text}"),
    };
    if let (false, Some(note)) = (json, &report.note) {
        let _ = writeln!(std::io::stderr().lock(), "{note}");
    }
    ExitCode::from(report.exit as u8)
}

fn perform(command: Command) -> Report {
    let name = command.name();
    let mut rng = clock::random();
    let result = match command {
        Command::List(_) => match PcscTransport::list() {
            Ok(readers) => Ok(report::readers(&readers)),
            Err(error) => Err(absent(&error)),
        },
        Command::Info(reading) => Ok(info(name, &reading, &mut rng)),
        Command::Bus(serving) => serve(Service::Bus, &serving),
        Command::Door(serving) => serve(Service::Door, &serving),
        Command::Clinic(serving) => serve(Service::Clinic, &serving),
        Command::Insurance(serving) => serve(Service::Insurance, &serving),
        Command::Identity(identifying) => identify(name, &identifying, &mut rng),
        Command::Shop(shopping) => shop(&shopping),
        Command::Run(running) => run::run(&running),
        Command::Inspect(inspecting) => Ok(inspect(name, &inspecting, &mut rng)),
        Command::Enrol(enrolling) => enrol(&enrolling, &mut rng),
        Command::Sync(syncing) => synchronise(&syncing, &mut rng),
        Command::SelfTest(testing) => test(&testing),
        Command::WhatCanItDo(holding) => hold(name, &holding),
    };
    result.unwrap_or_else(|failure| failure.report())
}

fn absent(error: &TransportError) -> Failure {
    let exit = exit_of(&Error::Transport(error.clone()), false);
    Failure::new(exit, error.code(), error.to_string(), error.action())
}

/// Connects, lets `read` do its work, and puts what it saw or said into the one form of the contracts.
fn with_card(
    command: &'static str,
    reading: &Reading,
    reader: Option<&str>,
    tape: Option<&Tape>,
    read: impl FnOnce(&mut Counting<Box<dyn Transport>, Watch>, Watch) -> Result<Saw, Error>,
) -> Report {
    let reader = reading.reader.as_deref().or(reader);
    match wire::connect(reader, Duration::from_millis(reading.timeout_ms), tape) {
        Ok(wire) => on_wire(command, wire, false, read),
        Err(error) => absent(&error).report(),
    }
}

fn on_wire(
    command: &'static str,
    wire: Box<dyn Transport>,
    replayed: bool,
    read: impl FnOnce(&mut Counting<Box<dyn Transport>, Watch>, Watch) -> Result<Saw, Error>,
) -> Report {
    let watch = Watch::start();
    let mut counting = Counting::new(wire, watch);
    let outcome = read(&mut counting, watch);
    let decision = Decision {
        command,
        reader: Some(counting.name().to_owned()),
        counts: counting.counts(),
        nanoseconds: watch.nanoseconds(),
        replayed,
        grace: false,
    };
    finished(&decision, outcome)
}

fn finished(decision: &Decision, outcome: Result<Saw, Error>) -> Report {
    match outcome {
        Ok(saw) => decision.accepted(saw),
        Err(error) => {
            tracing::info!(command = decision.command, %error, "not accepted");
            decision.failed(&error)
        }
    }
}

/// A decision without any card.
fn untouched(command: &'static str) -> Decision {
    Decision {
        command,
        reader: None,
        counts: Counts::default(),
        nanoseconds: 0,
        replayed: false,
        grace: false,
    }
}

/// Loads the terminal's files, or says in the form of the contracts why not.
fn ready(command: &'static str, material: &Material, today: Date) -> Result<Loaded, Report> {
    terminal::ready(material, today).map_err(|error| not_ready(command, &error))
}

fn not_ready(command: &'static str, error: &NotReady) -> Report {
    match error {
        NotReady::Files(failure) => failure.report(),
        NotReady::Bundle(error) => untouched(command).failed(error),
    }
}

fn info(command: &'static str, reading: &Reading, rng: &mut impl CryptoRng) -> Report {
    with_card(command, reading, None, None, |wire, _| stranger(wire, rng))
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

/// One card at a bus, a door, a clinic or a social-insurance desk.
fn serve(service: Service, serving: &Serving) -> Result<Report, Failure> {
    let moment = Clock::at(serving.reading.at).moment();
    let loaded = match ready(service.name(), &serving.material, moment.today) {
        Ok(loaded) => loaded,
        Err(report) => return Ok(report),
    };
    let mut desk = Desk::new(loaded, service, moment)?;
    if let Some(limit) = serving.tap_limit_ms {
        desk.terminal.set_tap_limit(Some(Duration::from_millis(limit)));
    }
    if let Some(path) = &serving.replay {
        if !service.role().has_door_f() {
            return Err(Failure::new(
                Exit::Usage,
                "USAGE",
                "a session of the strong door cannot be replayed: its keys are on no tape".to_owned(),
                "Give --replay to bus or door.",
            ));
        }
        let (wire, challenges) = wire::replay(path)?;
        // Neither counted nor delivered to: no card is here.
        return Ok(on_wire(service.name(), wire, true, |wire, watch| {
            let mut rng = Source::Tape(challenges);
            let mut served = desk.serve(wire, Task::Admit, moment, &watch, &mut rng);
            std::mem::replace(&mut served.result, Ok(Saw::default()))
        }));
    }
    let tape = Tape::create(serving.taping.record.as_deref())?;
    one_card(&mut desk, &serving.reading, tape.as_ref(), Task::Admit)
}

/// Serves one card at a desk, and writes the counts down.
fn one_card(desk: &mut Desk, reading: &Reading, tape: Option<&Tape>, task: Task) -> Result<Report, Failure> {
    let moment = Clock::at(reading.at).moment();
    let command = desk.service.name();
    let configured = desk.config.as_ref().and_then(|config| config.reader.clone());
    let reader = reading.reader.clone().or(configured);
    let wire = match wire::connect(reader.as_deref(), Duration::from_millis(reading.timeout_ms), tape) {
        Ok(wire) => wire,
        Err(error) => return Err(absent(&error)),
    };
    let watch = Watch::start();
    let mut rng = Source::Machine;
    let mut counting = Counting::new(wire, watch);
    let mut served = desk.serve(&mut counting, task, moment, &watch, &mut rng);
    let decision = Decision {
        command,
        reader: Some(counting.name().to_owned()),
        counts: counting.counts(),
        nanoseconds: watch.nanoseconds(),
        replayed: false,
        grace: served.grace,
    };
    desk.finish(&mut served, &mut counting, moment, &watch, &mut rng);
    desk.save()?;
    if let Some(failure) = served.failure.take() {
        return Err(failure);
    }
    Ok(finished(&decision, served.result))
}

fn identify(
    command: &'static str,
    identifying: &Identifying,
    rng: &mut impl CryptoRng,
) -> Result<Report, Failure> {
    let reading = &identifying.reading;
    let moment = Clock::at(reading.at).moment();
    let loaded = match ready(command, &identifying.material, moment.today) {
        Ok(loaded) => loaded,
        Err(report) => return Ok(report),
    };
    let reader = loaded
        .settled
        .as_ref()
        .and_then(|(config, _)| config.reader.clone());
    let mut failure = None;
    let report = with_card(command, reading, reader.as_deref(), None, |wire, _| {
        let groups = identity::read(wire, &loaded, moment, rng)?;
        let mut saw = identity::saw(groups.content());
        match identity::portrait(
            groups.content(),
            identifying.portrait.as_deref(),
            identifying.show,
        ) {
            Ok(line) => saw.lines.push(line),
            Err(error) => failure = Some(error),
        }
        saw.json.insert(
            "portrait".to_owned(),
            serde_json::json!(
                identifying
                    .portrait
                    .as_ref()
                    .map(|path| path.display().to_string())
            ),
        );
        Ok(saw)
    });
    match failure {
        Some(failure) => Err(failure),
        None => Ok(report),
    }
}

fn shop(shopping: &Shopping) -> Result<Report, Failure> {
    let reading = &shopping.reading;
    let moment = Clock::at(reading.at).moment();
    let material = Material {
        config: Some(shopping.config.clone()),
        bundle: None,
        terminal_key: None,
    };
    let loaded = match ready(Service::Shop.name(), &material, moment.today) {
        Ok(loaded) => loaded,
        Err(report) => return Ok(report),
    };
    let mut desk = Desk::new(loaded, Service::Shop, moment)?;
    let task = match (shopping.give_up, shopping.amount) {
        (true, _) => {
            desk.give_up()?;
            return Ok(Report {
                exit: Exit::Done,
                json: serde_json::json!({ "schema": report::SCHEMA, "ok": true, "command": "shop", "given_up": true }),
                text: "已放弃，由结算决定 given up: the settlement decides. 不得交付商品 hand out no goods."
                    .to_owned(),
                note: None,
            });
        }
        (false, Some(amount)) => Task::Sell(amount),
        (false, None) => Task::Again,
    };
    let tape = Tape::create(shopping.taping.record.as_deref())?;
    one_card(&mut desk, reading, tape.as_ref(), task)
}

fn inspect(command: &'static str, inspecting: &Inspecting, rng: &mut impl CryptoRng) -> Report {
    let reading = &inspecting.reading;
    let Some(bundle) = &inspecting.bundle else {
        return with_card(command, reading, None, None, |wire, _| stranger(wire, rng));
    };
    let today = Clock::at(reading.at).today();
    let material = Material {
        config: None,
        bundle: Some(bundle.clone()),
        terminal_key: inspecting.terminal_key.clone(),
    };
    let Loaded { key, bundle, .. } = match ready(command, &material, today) {
        Ok(loaded) => loaded,
        Err(report) => return report,
    };
    with_card(command, reading, None, None, |wire, _| {
        let info = *Card::new(&mut *wire).select()?.info();
        let seen = counter::inspect(wire, &bundle, &key, today, rng)?;
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

fn synchronise(syncing: &Syncing, rng: &mut impl CryptoRng) -> Result<Report, Failure> {
    let config = Config::read(&syncing.config)?;
    let today = Clock::at(syncing.at).today();
    let now = clock::system_time();
    sync::run(
        &config,
        syncing.from.as_deref(),
        syncing.to.as_deref(),
        today,
        now,
        rng,
    )
}

fn test(testing: &Testing) -> Result<Report, Failure> {
    let config = Config::read(&testing.config)?;
    Ok(self_test::run(&config, Clock::at(testing.at).today()))
}

fn hold(command: &'static str, holding: &Holding) -> Result<Report, Failure> {
    let moment = Clock::at(holding.at).moment();
    let loaded = match ready(command, &holding.material, moment.today) {
        Ok(loaded) => loaded,
        Err(report) => return Ok(report),
    };
    let updates = match &loaded.settled {
        Some((_, folder)) => folder
            .updates(&loaded.key, moment.today)
            .map_err(|error| terminal::folder_failure(&error))?
            .map_or(0, |updates| updates.len()),
        None => 0,
    };
    Ok(holding::report(&loaded, updates, moment.today))
}
