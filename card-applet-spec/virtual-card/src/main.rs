//! The program `virtual-card`: cards to hold without hardware, and a PC/SC service of their own to lay them on.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
#[cfg(feature = "taptime")]
use program_contract::file;
use program_contract::language::{Said as _, Words};
use program_contract::{Failure, Outcome, Program, line};
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use serde_json::json;
use virtual_card::control::{self, Control, Order, Reply, SCHEMA, SlotStatus};
use virtual_card::manipulator::CardManipulator;
use virtual_card::model::Model;
use virtual_card::pcscd::{self, Options, PrivatePcscd, READERS};
use virtual_card::slot::{FIRST_PORT, Slot};
#[cfg(feature = "taptime")]
use virtual_card::taptime::{
    Report, SCHEMA as TAPTIME_SCHEMA,
    cards::{CARDS, Card},
    chart,
    gate::Gate,
    time::{Assumptions, BIT_RATES, TARGET_BIT_RATE},
};
use virtual_card::{CardRandom, Error, blank};

const PROGRAM: Program = Program::new("virtual-card");

/// How a command ends that did not fail.
enum Ended {
    /// With something to say.
    Said(Outcome),
    /// With the exit code of what ran.
    With(ExitCode),
}

impl From<Outcome> for Ended {
    fn from(outcome: Outcome) -> Self {
        Self::Said(outcome)
    }
}

#[derive(Debug, Parser)]
#[command(
    version,
    about = "Cards to hold without hardware, and a PC/SC service of their own"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Print one JSON object, also on failure
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the card maker's key; prints the public point for the vault
    MakerKey {
        /// New file for the private key
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Make a blank card in a new file, out of a lot that the vault sealed to the maker's key
    Blank {
        /// New memory file of the card
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Sealed lot file from the vault
        #[arg(long, value_name = "FILE")]
        lot_file: PathBuf,
        /// The card maker's private key: the file that `maker-key` made, 64 hex digits
        #[arg(long, value_name = "FILE")]
        maker_key: PathBuf,
        /// File with the public key of the vault's card authority: `card_ca` of `keyvault anchors`, 130 hex digits
        #[arg(long, value_name = "FILE")]
        card_ca: PathBuf,
        /// Which blank of the lot
        #[arg(long, default_value_t = 1)]
        number: u32,
        /// Which model of card
        #[arg(long, value_enum, default_value_t)]
        card: Model,
    },
    /// Lay a card on a virtual reader that already runs (pcscd with vsmartcard-vpcd), until interrupted
    Serve {
        /// Memory file of the card; without one the reader stays empty
        #[arg(long, value_name = "FILE")]
        memory: Option<PathBuf>,
        /// Unix socket for orders
        #[arg(long, value_name = "SOCKET")]
        control: PathBuf,
        /// Port of the virtual reader on the loopback interface
        #[arg(long, default_value_t = FIRST_PORT)]
        port: u16,
        #[command(flatten)]
        seed: Seed,
    },
    /// Run a command under a PC/SC service of its own, with a card on its first reader. Orders go to card0.sock in the folder
    Reader {
        /// Folder for the service's sockets and log, kept; without one a temporary folder
        #[arg(long, value_name = "FOLDER")]
        dir: Option<PathBuf>,
        /// Memory file of the card; without one the readers stay empty
        #[arg(long, value_name = "FILE")]
        memory: Option<PathBuf>,
        #[command(flatten)]
        seed: Seed,
        /// The command and its arguments
        #[arg(required = true, last = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// Say what lies on a reader
    Status {
        /// Unix socket of the card
        #[arg(long, value_name = "SOCKET")]
        control: PathBuf,
    },
    /// Give an order, as JSON: {"order":"eject"} takes the card away, {"order":"insert","memory":"FILE"} lays that one there; all
    /// orders are in the README of virtual-card
    Order {
        /// Unix socket of the card or the service
        #[arg(long, value_name = "SOCKET")]
        control: PathBuf,
        /// The order
        #[arg(value_name = "JSON")]
        order: String,
    },
    /// Model how long each use of a card takes on cards that were measured (docs/taptime.md)
    Taptime(Box<Taptime>),
    /// The first process of a private service. Started by the harness, never by hand
    #[command(hide = true)]
    Inside {
        #[arg(long)]
        dir: PathBuf,
        #[arg(long)]
        temporary: bool,
        #[arg(long)]
        memory: Option<PathBuf>,
        #[command(flatten)]
        seed: Seed,
    },
}

#[derive(Debug, clap::Args)]
struct Seed {
    /// Let the card repeat itself from this seed, 64 hex digits; only for comparing what two cards answer
    #[arg(long, value_name = "HEX", value_parser = parse_seed)]
    seed: Option<[u8; 32]>,
}

/// Arguments of the tap-time model.
#[cfg(feature = "taptime")]
#[derive(Debug, clap::Args)]
struct Taptime {
    /// Only this card: j3r180, p71d321, j3h145, secora-id-x
    #[arg(long, value_name = "NAME", value_parser = parse_card)]
    card: Option<&'static Card>,
    /// Bit rate of the link, kbit/s: 106, 212, 424, 848; with --json all of them unless one is named
    #[arg(long, value_name = "KBIT/S", value_parser = parse_bit_rate)]
    bit_rate: Option<u32>,
    /// Draw the uses of a card as a chart into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Draw TAP at each bit rate as a chart into this file
    #[arg(long, value_name = "FILE")]
    svg_rates: Option<PathBuf>,
    #[command(flatten)]
    assumptions: Assumptions,
    #[command(flatten)]
    gate: Gate,
}

/// This build counts nothing: whatever is asked for, the answer is how to build it.
#[cfg(not(feature = "taptime"))]
#[derive(Debug, clap::Args)]
struct Taptime {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    ignored: Vec<OsString>,
}

fn main() -> ExitCode {
    let arguments: Arguments = match PROGRAM.arguments(SCHEMA) {
        Ok(arguments) => arguments,
        Err(exit) => return exit,
    };
    let json = arguments.json || swallowed_json(&arguments.command);
    match run(&arguments) {
        Ok(Ended::With(exit)) => exit,
        Ok(Ended::Said(outcome)) => PROGRAM.end(SCHEMA, json, Ok(outcome)),
        Err(failure) => PROGRAM.end(SCHEMA, json, Err(failure)),
    }
}

/// True when `--json` stands among arguments that this build takes without looking at them.
#[cfg(not(feature = "taptime"))]
fn swallowed_json(command: &Command) -> bool {
    matches!(command, Command::Taptime(asked) if asked.ignored.iter().any(|argument| argument == "--json"))
}

#[cfg(feature = "taptime")]
const fn swallowed_json(_: &Command) -> bool {
    false
}

fn run(arguments: &Arguments) -> Result<Ended, Failure> {
    Ok(match &arguments.command {
        Command::MakerKey { out } => {
            let public = blank::make_maker_key(out, &mut system_random()?)?;
            let point = hex::encode(public.to_point65());
            Outcome::done("yzt.maker-key/1", &json!({ "public": point }), vec![line!(point)])?.into()
        }
        Command::Blank {
            out,
            lot_file,
            maker_key,
            card_ca,
            number,
            card,
        } => {
            let maker = blank::read_private_key(maker_key)?;
            let card_ca = blank::read_public_key(card_ca)?;
            let serial = blank::make_file(
                lot_file,
                &maker,
                &card_ca,
                *number,
                *card,
                out,
                &mut system_random()?,
            )?;
            let serial = serial.to_string();
            Outcome::done(
                "yzt.blank/1",
                &json!({ "card_serial": serial }),
                vec![line!(serial)],
            )?
            .into()
        }
        Command::Serve {
            memory,
            control,
            port,
            seed,
        } => {
            let (manipulator, slot) = (manipulator(seed)?, Slot::new(*port));
            if let Some(memory) = memory {
                accepted(manipulator.carry_out(
                    &slot,
                    &Order::Insert {
                        memory: Some(memory.clone()),
                    },
                ))?;
            }
            let ordered = slot.clone();
            control::listen(control, move |order| manipulator.carry_out(&ordered, order))?;
            program_contract::tell!("virtual-card: ", on_the_reader(control.display()));
            loop {
                std::thread::park();
            }
        }
        Command::Reader {
            dir,
            memory,
            seed,
            command,
        } => under_private_service(dir.clone(), memory.clone(), seed, command)?,
        Command::Status { control } => reply(Control::at(control).order(&Order::Status)?)?.into(),
        Command::Order { control, order } => {
            let order = serde_json::from_str(order).map_err(|error| {
                Failure::usage(
                    PROGRAM,
                    (
                        format!("这不是指令：{error}"),
                        format!("this is no order: {error}"),
                    ),
                )
            })?;
            reply(Control::at(control).order(&order)?)?.into()
        }
        Command::Taptime(asked) => taptime(asked)?.into(),
        Command::Inside {
            dir,
            temporary,
            memory,
            seed,
        } => {
            let manipulator = manipulator(seed)?;
            let first = memory
                .clone()
                .map(|memory| Order::Insert { memory: Some(memory) });
            pcscd::inside(
                dir,
                *temporary,
                move |slot, order| manipulator.carry_out(slot, order),
                first,
            )?;
            Ended::With(ExitCode::SUCCESS)
        }
    })
}

#[cfg(feature = "taptime")]
fn taptime(asked: &Taptime) -> Result<Outcome, Failure> {
    let report = Report::make(asked.assumptions, asked.gate, asked.card)?;
    let charts = [
        (&asked.svg, chart::uses as fn(&Report) -> String),
        (&asked.svg_rates, chart::rates),
    ];
    for (path, draw) in charts {
        if let Some(path) = path {
            file::replace(path, draw(&report).as_bytes(), file::PRIVATE).map_err(|source| Error::File {
                what: "write",
                path: path.clone(),
                source,
            })?;
        }
    }
    let rates = asked
        .bit_rate
        .map_or_else(|| BIT_RATES.to_vec(), |bit_rate| vec![bit_rate]);
    let text = report.to_text(asked.bit_rate.unwrap_or(TARGET_BIT_RATE));
    Outcome::done(
        TAPTIME_SCHEMA,
        &report.to_json(&rates),
        text.lines().map(|text| line!(text)).collect(),
    )
}

#[cfg(not(feature = "taptime"))]
fn taptime(_: &Taptime) -> Result<Outcome, Failure> {
    Err(Error::CountsNothing.into())
}

#[cfg(feature = "taptime")]
fn parse_card(name: &str) -> Result<&'static Card, String> {
    Card::named(name).ok_or_else(|| {
        let names: Vec<_> = CARDS.iter().map(|card| card.id).collect();
        format!("the cards are {}", names.join(", "))
    })
}

#[cfg(feature = "taptime")]
fn parse_bit_rate(text: &str) -> Result<u32, &'static str> {
    text.parse()
        .ok()
        .filter(|bit_rate| BIT_RATES.contains(bit_rate))
        .ok_or("the bit rates are 106, 212, 424, 848")
}

/// Whether there is such a program, here or on the `PATH`.
fn is_found(program: &OsStr) -> bool {
    let program = Path::new(program);
    if program.components().count() > 1 {
        return program.is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn under_private_service(
    folder: Option<PathBuf>,
    memory: Option<PathBuf>,
    seed: &Seed,
    command: &[OsString],
) -> Result<Ended, Failure> {
    let program = std::env::current_exe().map_err(|error| {
        Failure::internal((
            format!("运行中的程序没有路径：{error}"),
            format!("the running program has no path: {error}"),
        ))
    })?;
    let service = PrivatePcscd::start(&Options {
        program: Some(program),
        folder,
        memory,
        seed: seed.seed,
        ..Options::default()
    })?;
    let (variable, socket) = service.folder().environment();
    program_contract::tell!(
        "virtual-card: ",
        Words("读卡器", "reader"),
        " ",
        format!("{:?}, {variable}={}", READERS[0], socket.display())
    );
    let (program, rest) = command
        .split_first()
        .ok_or_else(|| Failure::usage(PROGRAM, Words("没有给出命令", "no command")))?;
    let unstarted = |error: std::io::Error| {
        Failure::usage(
            PROGRAM,
            (
                format!("{} 无法启动：{}", program.to_string_lossy(), error.zh()),
                format!("{} cannot be started: {error}", program.to_string_lossy()),
            ),
        )
    };
    if !is_found(program) {
        return Err(unstarted(std::io::ErrorKind::NotFound.into()));
    }
    // The kernel asks the command to end when this process ends, in whatever way: its reader is gone then.
    let status = std::process::Command::new("setpriv")
        .args(["--pdeathsig", "TERM", "--"])
        .arg(program)
        .args(rest)
        .env(variable, socket)
        .status()
        .map_err(unstarted)?;
    Ok(Ended::With(
        status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .map_or(ExitCode::FAILURE, ExitCode::from),
    ))
}

fn manipulator(seed: &Seed) -> Result<CardManipulator, Failure> {
    Ok(match seed.seed {
        Some(seed) => CardManipulator::repeating(seed),
        None => CardManipulator::new(CardRandom::from_source(&mut system_random()?)),
    })
}

/// `main` is where randomness comes from the machine.
fn system_random() -> Result<StdRng, Failure> {
    StdRng::try_from_rng(&mut SysRng).map_err(|error| no_randomness(error.to_string()))
}

program_contract::failures! {
    fn no_randomness(error) = Damaged "RANDOM" {
        "系统没有给出随机数：{error}", "the system gives no randomness: {error}";
        "请停用本机。", "Do not use this machine.";
    }
}

fn parse_seed(text: &str) -> Result<[u8; 32], &'static str> {
    let mut seed = [0; 32];
    hex::decode_to_slice(text, &mut seed).map_err(|_| "a seed is 64 hex digits")?;
    Ok(seed)
}

fn accepted(reply: Reply) -> Result<(), Error> {
    match reply.error {
        Some(failure) => Err(failure.into()),
        None => Ok(()),
    }
}

program_contract::sentences! {
    fn on_the_reader(control) =
        "已放在读卡器上；指令发往 {control}；中断即结束", "on the reader; orders at {control}; end with an interrupt";
}

/// What the other side said, as it said it.
fn reply(status: Option<SlotStatus>) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::done(SCHEMA, &json!({}), Vec::new())?;
    if let Some(status) = status {
        outcome.fields.insert("status".to_owned(), json!(status));
    }
    outcome.lines = vec![line!(outcome.object().to_string())];
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_is_written_down_exists() {
        let held = program_contract::documents::hold::<Arguments>(PROGRAM, env!("CARGO_MANIFEST_DIR"));
        assert_eq!(held, Ok(()));
    }
}
