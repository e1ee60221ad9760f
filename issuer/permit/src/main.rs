//! `permit demo` and `permit up`: the whole installation on one machine, no hardware needed. `permit photo` and
//! `permit hand-over` ask the one that `permit up` runs.
//!
//! Results on standard output, prose on standard error; `--json` prints exactly one object; exit codes as the contracts
//! say. The vault and the photo store run as child processes, and the card lies behind a private PC/SC service; all of
//! them end with this program, however it ends.

mod case;
mod demo;
mod desk;
mod failure;
mod folder;
mod inside;
mod installation;
mod process;
mod reads;
mod report;
mod seen;
mod stranger;
mod terminals;
mod up;
mod vault;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use jiff::civil::Date;
use permit_domain::{ApplicationId, OrderId};

use crate::failure::{Exit, Failure};

#[derive(Debug, Parser)]
#[command(
    name = "permit",
    version,
    about = "一证通：在一台机器上运行整套系统 / The whole residence-permit system on one machine"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// 演示 / Issue a permit, write its card, read it at a bus and a clinic, and say what each of them saw
    Demo(DemoArguments),
    /// 运行 / Keep the installation running: HTTP API, vault, photo store, reader with a card
    Up(UpArguments),
    /// 照片 / Give an applicant's photo to the installation that `permit up` runs, and get the receipt for the order
    Photo(PhotoArguments),
    /// 交付 / Hand the card of a verified order to its holder, at the installation that `permit up` runs
    HandOver(HandOverArguments),
}

/// What both commands take.
#[derive(Debug, Clone, Args)]
struct Common {
    /// Folder of the installation; default: a fresh one, which is kept and printed
    #[arg(long, value_name = "D")]
    dir: Option<PathBuf>,
    /// Sets every clock to this day, certificates included
    #[arg(long, value_name = "DATE")]
    at: Option<Date>,
    /// The card answers in this process, without PC/SC; never a fallback
    #[arg(long, conflicts_with = "reader")]
    no_pcsc: bool,
    /// Use this reader of the machine's own PC/SC service, and the card that lies on it
    #[arg(long, value_name = "NAME")]
    reader: Option<String>,
    /// Print one JSON object to standard output, also on failure
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Args)]
struct DemoArguments {
    #[command(flatten)]
    common: Common,
    /// Applicant file; its JSON Schema is docs/applicant.schema.json
    #[arg(long, value_name = "F")]
    applicant: Option<PathBuf>,
    /// Photo, JPEG or PNG
    #[arg(long, value_name = "F")]
    photo: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
struct UpArguments {
    #[command(flatten)]
    common: Common,
    /// Address and port of the HTTP API; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: std::net::SocketAddr,
}

#[derive(Debug, Clone, Args)]
struct PhotoArguments {
    /// Folder of the installation
    #[arg(long, value_name = "D")]
    dir: PathBuf,
    /// The application
    #[arg(long, value_name = "ID")]
    application: ApplicationId,
    /// The clerk has looked at the photo and takes it with its warnings
    #[arg(long)]
    confirm: bool,
    /// Print one JSON object, also on failure
    #[arg(long)]
    json: bool,
    /// Photo, JPEG or PNG
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, Clone, Args)]
struct HandOverArguments {
    /// Folder of the installation
    #[arg(long, value_name = "D")]
    dir: PathBuf,
    /// The order
    #[arg(long, value_name = "ID")]
    order: OrderId,
    /// Whom the clerk checked
    #[arg(long, value_enum)]
    checked: desk::Checked,
    /// Print one JSON object, also on failure
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let json_asked = std::env::args().any(|argument| argument == "--json");
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => {
            if json_asked {
                let text = error.to_string();
                let first = text
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .trim_start_matches("error: ");
                return usage(first);
            }
            let _ = error.print();
            return ExitCode::from(Exit::Usage.code());
        }
        Err(help) => {
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
    };
    run(&arguments)
}

fn usage(message: &str) -> ExitCode {
    let failure = Failure::new(Exit::Usage, "USAGE", message.to_owned(), "See `permit --help`.");
    report::failure("yzt.permit/1", &failure, true);
    ExitCode::from(failure.exit.code())
}

fn run(arguments: &Arguments) -> ExitCode {
    let command = &arguments.command;
    let (schema, json, outcome) = match command {
        Command::Demo(demo) => ("yzt.demo/1", demo.common.json, installed(command, &demo.common)),
        Command::Up(up) => ("yzt.up/1", up.common.json, installed(command, &up.common)),
        Command::Photo(photo) => (desk::PHOTO, photo.json, desk::photo(photo)),
        Command::HandOver(over) => (desk::HAND_OVER, over.json, desk::hand_over(over)),
    };
    match outcome {
        Ok(exit) => exit,
        Err(failure) => {
            report::failure(schema, &failure, json);
            ExitCode::from(failure.exit.code())
        }
    }
}

/// Runs a command that starts an installation.
fn installed(command: &Command, common: &Common) -> Result<ExitCode, Failure> {
    // A PC/SC client is pointed at its service when it is spawned: the outer process starts the service and runs this
    // program again as its client.
    if common.no_pcsc || common.reader.is_some() || inside::is_client() {
        client(command)
    } else {
        inside::run_as_client()
    }
}

fn client(command: &Command) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::machine("the runtime does not start", &error))?;
    runtime.block_on(async {
        match command {
            Command::Demo(arguments) => Box::pin(demo::run(arguments)).await,
            Command::Up(arguments) => Box::pin(up::run(arguments)).await,
            // They ask an installation that runs, and start none.
            Command::Photo(_) | Command::HandOver(_) => Ok(ExitCode::SUCCESS),
        }
    })
}
