//! The program `virtual-card`: cards to hold without hardware, and a PC/SC service of their own to lay them on.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use virtual_card::control::{self, Control, Order, Reply, SCHEMA};
use virtual_card::hand::Hand;
use virtual_card::pcscd::{self, Options, PrivatePcscd, READERS};
use virtual_card::slot::{FIRST_PORT, Slot};
#[cfg(feature = "taptime")]
use virtual_card::taptime::{
    Report, TARGET_BIT_RATE,
    cards::{CARDS, Card},
    chart,
    time::{Assumptions, BIT_RATES},
};
use virtual_card::{CardRandom, Error, blank, hex};

/// Exit code: device or service absent (contracts of the command line).
const ABSENT: u8 = 3;
/// Exit code: damaged or misconfigured.
const DAMAGED: u8 = 5;
/// Exit code: refused by a check.
const REFUSED: u8 = 1;

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
        /// Private key of the card maker
        #[arg(long, value_name = "FILE")]
        maker_key: PathBuf,
        /// Public key of the vault's card authority
        #[arg(long, value_name = "FILE")]
        card_ca: PathBuf,
        /// Which blank of the lot
        #[arg(long, default_value_t = 1)]
        number: u32,
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
    /// Run a command under a PC/SC service of its own, with a card on its first reader
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
    /// Give an order, as JSON: {"order":"eject"}
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
}

/// This build counts nothing: whatever is asked for, the answer is how to build it.
#[cfg(not(feature = "taptime"))]
#[derive(Debug, clap::Args)]
struct Taptime {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    ignored: Vec<OsString>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => complain(&error, arguments.json || swallowed_json(&arguments.command)),
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

fn run(arguments: &Arguments) -> Result<ExitCode> {
    match &arguments.command {
        Command::MakerKey { out } => {
            let public = blank::make_maker_key(out, &mut system_random()?)?;
            let point = hex::encode(&public.to_point65());
            if arguments.json {
                println!(
                    "{}",
                    serde_json::json!({"schema": "yzt.maker-key/1", "ok": true, "public": point})
                );
            } else {
                println!("{point}");
            }
        }
        Command::Blank {
            out,
            lot_file,
            maker_key,
            card_ca,
            number,
        } => {
            let maker = blank::read_private_key(maker_key)?;
            let card_ca = blank::read_public_key(card_ca)?;
            let serial = blank::make_file(lot_file, &maker, &card_ca, *number, out, &mut system_random()?)?;
            if arguments.json {
                println!(
                    "{}",
                    serde_json::json!({"schema": "yzt.blank/1", "ok": true, "card_serial": serial.to_string()})
                );
            } else {
                println!("{serial}");
            }
        }
        Command::Serve {
            memory,
            control,
            port,
            seed,
        } => {
            let (hand, slot) = (hand(seed)?, Slot::new(*port));
            if let Some(memory) = memory {
                accepted(hand.carry_out(
                    &slot,
                    &Order::Insert {
                        memory: Some(memory.clone()),
                    },
                ))?;
            }
            let ordered = slot.clone();
            control::listen(control, move |order| hand.carry_out(&ordered, order))?;
            eprintln!(
                "virtual-card: on the reader; orders at {}; end with an interrupt",
                control.display()
            );
            loop {
                std::thread::park();
            }
        }
        Command::Reader {
            dir,
            memory,
            seed,
            command,
        } => {
            return under_private_service(dir.clone(), memory.clone(), seed, command);
        }
        Command::Status { control } => print_reply(Control::at(control).order(&Order::Status)?)?,
        Command::Order { control, order } => {
            let order = serde_json::from_str(order).context("this is no order")?;
            print_reply(Control::at(control).order(&order)?)?;
        }
        Command::Taptime(asked) => taptime(asked, arguments.json)?,
        Command::Inside {
            dir,
            temporary,
            memory,
            seed,
        } => {
            let hand = hand(seed)?;
            let first = memory
                .clone()
                .map(|memory| Order::Insert { memory: Some(memory) });
            pcscd::inside(
                dir,
                *temporary,
                move |slot, order| hand.carry_out(slot, order),
                first,
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(feature = "taptime")]
fn taptime(asked: &Taptime, json: bool) -> Result<()> {
    let report = Report::make(asked.assumptions, asked.card)?;
    let charts = [
        (&asked.svg, chart::uses as fn(&Report) -> String),
        (&asked.svg_rates, chart::rates),
    ];
    for (path, draw) in charts {
        if let Some(path) = path {
            std::fs::write(path, draw(&report)).map_err(|source| Error::File {
                what: "write",
                path: path.clone(),
                source,
            })?;
        }
    }
    if json {
        let rates = asked
            .bit_rate
            .map_or_else(|| BIT_RATES.to_vec(), |bit_rate| vec![bit_rate]);
        println!("{}", report.to_json(&rates));
    } else {
        print!("{}", report.to_text(asked.bit_rate.unwrap_or(TARGET_BIT_RATE)));
    }
    Ok(())
}

#[cfg(not(feature = "taptime"))]
fn taptime(_: &Taptime, _: bool) -> Result<()> {
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

fn under_private_service(
    folder: Option<PathBuf>,
    memory: Option<PathBuf>,
    seed: &Seed,
    command: &[OsString],
) -> Result<ExitCode> {
    let program = std::env::current_exe().context("the running program has no path")?;
    let service = PrivatePcscd::start(&Options {
        program: Some(program),
        folder,
        memory,
        seed: seed.seed,
        ..Options::default()
    })?;
    let (variable, socket) = service.folder().environment();
    eprintln!(
        "virtual-card: reader {:?}, {variable}={}",
        READERS[0],
        socket.display()
    );
    let (program, rest) = command.split_first().context("no command")?;
    let status = std::process::Command::new(program)
        .args(rest)
        .env(variable, socket)
        .status()
        .with_context(|| format!("{} cannot be started", program.to_string_lossy()))?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}

fn hand(seed: &Seed) -> Result<Hand> {
    Ok(match seed.seed {
        Some(seed) => Hand::repeating(seed),
        None => Hand::new(CardRandom::from_source(&mut system_random()?)),
    })
}

/// `main` is where randomness comes from the machine.
fn system_random() -> Result<StdRng> {
    StdRng::try_from_rng(&mut SysRng).context("the system gives no randomness")
}

fn parse_seed(text: &str) -> Result<[u8; 32], &'static str> {
    hex::decode(text).ok_or("a seed is 64 hex digits")
}

fn accepted(reply: Reply) -> Result<(), Error> {
    match reply.error {
        Some(failure) => Err(failure.into()),
        None => Ok(()),
    }
}

fn print_reply(status: Option<control::SlotStatus>) -> Result<()> {
    println!("{}", serde_json::to_string(&Reply::done(status))?);
    Ok(())
}

/// The failure to standard error, or as one object to standard output, and the exit code of its kind.
fn complain(error: &anyhow::Error, json: bool) -> ExitCode {
    let (code, action, exit) = match error.downcast_ref::<Error>() {
        Some(known) => (known.code(), known.action(), exit_of(known)),
        None => ("USAGE", "See `virtual-card --help`.", 2),
    };
    // Our own messages name their cause themselves.
    let message = if code == "USAGE" {
        format!("{error:#}")
    } else {
        error.to_string()
    };
    if json {
        let object = serde_json::json!({
            "schema": SCHEMA, "ok": false,
            "error": {"code": code, "message": message, "action": action},
        });
        println!("{object}");
    } else {
        eprintln!("virtual-card: {message}\n{action}");
    }
    ExitCode::from(exit)
}

fn exit_of(error: &Error) -> u8 {
    match error {
        Error::LotRefused { .. } | Error::NoSuchBlank { .. } | Error::Refused { .. } => REFUSED,
        Error::File { .. }
        | Error::NotACard { .. }
        | Error::KeyForm { .. }
        | Error::BlankFailed
        | Error::ModelStopped { .. } => DAMAGED,
        _ => ABSENT,
    }
}
