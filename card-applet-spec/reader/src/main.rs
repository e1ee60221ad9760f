//! `card-reader`: reads a permit card as a bus, a clinic, a shop, a door or a stranger would (design, contracts).
//!
//! Standard output holds the result and nothing else. The clock is made here, and the machine's random source is read in
//! `program::clock` only.

mod program;

use std::process::ExitCode;
use std::time::Duration;

use card_applet_spec::apdu::Header;
use card_applet_spec::codes::Role;
use card_applet_spec::date::Date;
use card_reader::transport::{PcscTransport, Transport};
use card_reader::{Card, Check, Counting, Counts, Error, Stopwatch as _, TerminalKey, counter};
use program_contract::language::Words;
use program_contract::{Clock, Failure, Outcome, Program, line};
use rand_core::CryptoRng;

use crate::program::args::{
    Cli, Command, Enrolling, Holding, Identifying, Inspecting, Material, Reading, Service, Serving, Shopping,
    Syncing,
};
use crate::program::clock::{self, Watch};
use crate::program::config::Config;
use crate::program::report::{self, Decision, SCHEMA, Saw};
use crate::program::serving::{ServingLoop, Task};
use crate::program::terminal::{self, Loaded, NotReady};
use crate::program::wire::{self, Source, Tape};
use crate::program::{failure, founding, holding, identity, run, self_test, sync};

const PROGRAM: Program = Program::new("card-reader");

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        // Colours for people, not for files.
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_writer(std::io::stderr)
        // A log that cannot be written is lost: said on the same stream, it would be a panic.
        .log_internal_errors(false)
        .init();
    let cli: Cli = match PROGRAM.arguments(SCHEMA) {
        Ok(cli) => cli,
        Err(exit) => return exit,
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "main is where the machine's clock comes from"
    )]
    let machine = Clock::machine();
    let json = cli.command.json();
    match perform(cli.command, &machine).transpose() {
        None => ExitCode::SUCCESS,
        Some(outcome) => PROGRAM.end(SCHEMA, json, outcome),
    }
}

/// Nothing comes back from a run, which has printed its lines itself.
fn perform(command: Command, machine: &Clock) -> Result<Option<Outcome>, Failure> {
    let name = command.name();
    let clock = match command.at() {
        None => machine.clone(),
        day => machine.at(day, founding::of(&command)?)?,
    };
    let mut rng = clock::random();
    match command {
        Command::List(_) => report::readers(&PcscTransport::list()?),
        Command::Info(reading) => with_card(name, &reading, None, None, |wire, _| stranger(wire, &mut rng)),
        Command::Bus(serving) => serve(Service::Bus, &serving, &clock),
        Command::Door(serving) => serve(Service::Door, &serving, &clock),
        Command::Clinic(serving) => serve(Service::Clinic, &serving, &clock),
        Command::Insurance(serving) => serve(Service::Insurance, &serving, &clock),
        Command::Identity(identifying) => identify(name, &identifying, &clock, &mut rng),
        Command::Shop(shopping) => shop(&shopping, &clock),
        Command::Run(running) => return run::run(&running, &clock, machine).map(|()| None),
        Command::Inspect(inspecting) => inspect(name, &inspecting, &clock, &mut rng),
        Command::Enrol(enrolling) => enrol(&enrolling, &mut rng),
        Command::Sync(syncing) => synchronise(&syncing, &clock, machine, &mut rng),
        Command::SelfTest(testing) => self_test::run(&Config::read(&testing.config)?, clock::today(&clock)),
        Command::WhatCanItDo(holding) => hold(name, &holding, &clock),
    }
    .map(Some)
}

/// Connects, lets `read` do its work, and puts what it saw or said into the one form of the contracts.
fn with_card(
    command: &'static str,
    reading: &Reading,
    reader: Option<&str>,
    tape: Option<&Tape>,
    read: impl FnOnce(&mut Counting<Box<dyn Transport>, Watch>, Watch) -> Result<Saw, Error>,
) -> Result<Outcome, Failure> {
    let reader = reading.reader.as_deref().or(reader);
    let wire = wire::connect(reader, Duration::from_millis(reading.timeout_ms), None, tape)?;
    on_wire(command, wire, false, read)
}

fn on_wire(
    command: &'static str,
    wire: Box<dyn Transport>,
    replayed: bool,
    read: impl FnOnce(&mut Counting<Box<dyn Transport>, Watch>, Watch) -> Result<Saw, Error>,
) -> Result<Outcome, Failure> {
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
        clock: None,
        amount: None,
    };
    finished(&decision, outcome)
}

fn finished(decision: &Decision, outcome: Result<Saw, Error>) -> Result<Outcome, Failure> {
    match outcome {
        Ok(saw) => Ok(decision.accepted(saw)),
        Err(error) => {
            tracing::info!(command = decision.command, %error, "not accepted");
            Err(decision.failed(&error))
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
        clock: None,
        amount: None,
    }
}

/// Loads the terminal's files, or says in the form of the contracts why not.
fn ready(command: &'static str, material: &Material, today: Date) -> Result<Loaded, Failure> {
    terminal::ready(material, today).map_err(|error| match error {
        NotReady::Files(failure) => failure,
        NotReady::Bundle(error) => untouched(command).failed(&error),
    })
}

/// Refuses before any card is asked where the clock is wrong.
fn own_clock(command: &'static str, loaded: &Loaded, today: Date) -> Result<(), Failure> {
    let doubt = loaded.clock_doubt(today);
    let decision = Decision {
        clock: doubt.map(|doubt| (today, doubt.seen())),
        ..untouched(command)
    };
    match doubt {
        Some(_) => Err(decision.refused(Check::Clock.into())),
        None => Ok(()),
    }
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
    let answers = match taps.as_slice() {
        // Two status words without a body are a card without the fast door.
        [one, two] if one.len() > 2 && two.len() > 2 => {
            Some((one.len().saturating_sub(2), repeats(one, two)))
        }
        _ => None,
    };
    Ok(report::stranger(info, serial, answers))
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

/// One card at a bus, a door, a clinic or a social-insurance office.
fn serve(service: Service, asked: &Serving, clock: &Clock) -> Result<Outcome, Failure> {
    let moment = clock::moment(clock);
    let loaded = ready(service.name(), &asked.material, moment.today)?;
    let mut serving = ServingLoop::new(loaded, service, moment)?;
    if let Some(limit) = asked.tap_limit_ms {
        serving.terminal.set_tap_limit(Some(Duration::from_millis(limit)));
    }
    if let Some(path) = &asked.replay {
        if !service.role().has_door_f() {
            return Err(failure::no_replay());
        }
        let (wire, challenges) = wire::replay(path)?;
        // Neither counted nor delivered to: no card is here.
        return on_wire(service.name(), wire, true, |wire, watch| {
            let mut rng = Source::Tape(challenges);
            let mut served = serving.serve(wire, Task::Admit, moment, &watch, &mut rng);
            std::mem::replace(&mut served.result, Ok(Saw::default()))
        });
    }
    let tape = Tape::create(asked.taping.record.as_deref())?;
    one_card(&mut serving, &asked.reading, clock, tape.as_ref(), Task::Admit)
}

/// Serves one card, and writes the counts down.
fn one_card(
    serving: &mut ServingLoop,
    reading: &Reading,
    clock: &Clock,
    tape: Option<&Tape>,
    task: Task,
) -> Result<Outcome, Failure> {
    let moment = clock::moment(clock);
    let command = serving.service.name();
    let configured = serving.config.as_ref().and_then(|config| config.reader.clone());
    let reader = reading.reader.clone().or(configured);
    let wire = wire::connect(
        reader.as_deref(),
        Duration::from_millis(reading.timeout_ms),
        serving.config.as_ref().and_then(Config::exchange_limit),
        tape,
    )?;
    let watch = Watch::start();
    let mut rng = Source::Machine;
    let mut counting = Counting::new(wire, watch);
    let mut served = serving.serve(&mut counting, task, moment, &watch, &mut rng);
    let decision = Decision {
        command,
        reader: Some(counting.name().to_owned()),
        counts: counting.counts(),
        nanoseconds: watch.nanoseconds(),
        replayed: false,
        grace: served.grace,
        clock: serving
            .clock_doubt(moment)
            .map(|doubt| (moment.today, doubt.seen())),
        amount: match task {
            Task::Sell(amount) => Some(amount),
            Task::Admit | Task::Again => None,
        },
    };
    serving.finish(&mut served, &mut counting, moment, &watch, &mut rng);
    serving.save()?;
    if let Some(failure) = served.failure.take() {
        return Err(failure);
    }
    finished(&decision, served.result)
}

fn identify(
    command: &'static str,
    identifying: &Identifying,
    clock: &Clock,
    rng: &mut impl CryptoRng,
) -> Result<Outcome, Failure> {
    let reading = &identifying.reading;
    let moment = clock::moment(clock);
    let loaded = ready(command, &identifying.material, moment.today)?;
    let reader = loaded
        .settled
        .as_ref()
        .and_then(|(config, _)| config.reader.clone());
    own_clock(command, &loaded, moment.today)?;
    let mut failure = None;
    let outcome = with_card(command, reading, reader.as_deref(), None, |wire, _| {
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
        None => outcome,
    }
}

fn shop(shopping: &Shopping, clock: &Clock) -> Result<Outcome, Failure> {
    let reading = &shopping.reading;
    let moment = clock::moment(clock);
    let material = Material {
        config: Some(shopping.config.clone()),
        bundle: None,
        terminal_key: None,
        rules: Vec::new(),
    };
    let loaded = ready(Service::Shop.name(), &material, moment.today)?;
    let mut serving = ServingLoop::new(loaded, Service::Shop, moment)?;
    let task = match (shopping.give_up, shopping.amount) {
        (true, _) => {
            serving.give_up()?;
            let line = Words(
                "已放弃，由结算决定。不得交付商品。",
                "given up: the settlement decides. Hand out no goods.",
            );
            let fields = serde_json::Map::from_iter([("given_up".to_owned(), true.into())]);
            return Ok(report::done(Service::Shop.name(), fields, vec![line!(line)]));
        }
        (false, Some(amount)) => Task::Sell(amount),
        (false, None) => Task::Again,
    };
    let tape = Tape::create(shopping.taping.record.as_deref())?;
    one_card(&mut serving, reading, clock, tape.as_ref(), task)
}

fn inspect(
    command: &'static str,
    inspecting: &Inspecting,
    clock: &Clock,
    rng: &mut impl CryptoRng,
) -> Result<Outcome, Failure> {
    let reading = &inspecting.reading;
    let Some(bundle) = &inspecting.bundle else {
        return with_card(command, reading, None, None, |wire, _| stranger(wire, rng));
    };
    let today = clock::today(clock);
    let material = Material {
        config: None,
        bundle: Some(bundle.clone()),
        terminal_key: inspecting.terminal_key.clone(),
        rules: Vec::new(),
    };
    let loaded = ready(command, &material, today)?;
    own_clock(command, &loaded, today)?;
    let Loaded { key, bundle, .. } = loaded;
    with_card(command, reading, None, None, |wire, _| {
        let info = *Card::new(&mut *wire).select()?.info();
        let structure = counter::inspect(wire, &bundle, &key, today, rng)?;
        Ok(report::structure(info, &structure))
    })
}

fn enrol(enrolling: &Enrolling, rng: &mut impl CryptoRng) -> Result<Outcome, Failure> {
    let pinned = founding::anchors(enrolling)?;
    let vault = pinned.vault;
    let key = TerminalKey::generate(enrolling.name.clone(), pinned, rng);
    key.save_new(&enrolling.out).map_err(|error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            return failure::key_exists(enrolling.out.display(), error.kind());
        }
        failure::key_unwritable(enrolling.out.display(), error.kind())
    })?;
    report::request(&key.request(), &vault)
}

/// Files that were handed out have the machine's times, whatever day it is said to be.
fn synchronise(
    syncing: &Syncing,
    clock: &Clock,
    machine: &Clock,
    rng: &mut impl CryptoRng,
) -> Result<Outcome, Failure> {
    sync::run(
        &Config::read(&syncing.config)?,
        syncing.from.as_deref(),
        syncing.to.as_deref(),
        clock::today(clock),
        clock::stamp(machine),
        rng,
    )
}

fn hold(command: &'static str, holding: &Holding, clock: &Clock) -> Result<Outcome, Failure> {
    let moment = clock::moment(clock);
    let loaded = ready(command, &holding.material, moment.today)?;
    let updates = match &loaded.settled {
        Some((_, folder)) => folder
            .updates(&loaded.key, moment.today)?
            .map_or(0, |updates| updates.len()),
        None => 0,
    };
    holding::report(&loaded, updates, moment.today)
}
