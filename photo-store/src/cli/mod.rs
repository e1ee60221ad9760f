//! The command line: arguments, what is printed, and exit codes.
//!
//! Left out: what the commands do; that is in the library. Results go to standard output, prose to standard error in
//! Chinese with English beside it.

mod check;
mod normalise;
mod serve;

use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use photo_store::error::Error;
use photo_store::picture::faces::Faces;
use photo_store::picture::rules::Rules;
use photo_store_protocol::frame::MAX_PHOTO_BYTES;
use photo_store_protocol::{CheckCode, FailureCode, Profile, Texts};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

#[derive(Parser)]
#[command(
    name = "photo-store",
    version,
    about = "居住证相片：检查、规格化、保存 / Permit photos: check, normalise, store"
)]
struct Arguments {
    /// Print one JSON object to standard output, also on failure
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// 检查照片 / Judge a photo: exit 0 for accept and warn, 1 for refuse
    Check {
        /// JPEG or PNG file; `-` reads standard input
        file: PathBuf,
    },
    /// 按规格输出照片 / Make a rendition: 358 x 441 at 350 dpi and others
    Normalise {
        /// JPEG or PNG file
        file: PathBuf,
        /// ga461, print, chip or thumb
        #[arg(long)]
        profile: String,
        /// Where the JPEG file goes
        #[arg(long)]
        out: PathBuf,
        /// Overwrite an existing file
        #[arg(long)]
        force: bool,
    },
    /// 启动照片库 / Serve the store on a Unix socket until SIGINT or SIGTERM
    Serve {
        /// The socket to make, mode 0600
        #[arg(long)]
        socket: PathBuf,
        /// The store's folder: index and sealed objects
        #[arg(long)]
        dir: PathBuf,
        /// The key vault's socket
        #[arg(long)]
        vault: PathBuf,
        /// A file that holds the index's URL (`postgres:` or `sqlite:`); default: a file in the folder
        #[arg(long)]
        database_file: Option<PathBuf>,
        /// Start the clock at this date (noon in China) or RFC 3339 instant instead of now
        #[arg(long, value_parser = instant)]
        at: Option<jiff::Timestamp>,
    },
}

/// A result: the keys of its JSON object beside `schema` and `ok`, and the lines for people.
struct Outcome {
    fields: Map<String, Value>,
    lines: Vec<String>,
    failure: Option<Failure>,
}

/// A failure with its texts and exit code.
struct Failure {
    code: &'static str,
    texts: Texts,
    exit: u8,
}

impl From<FailureCode> for Failure {
    fn from(code: FailureCode) -> Self {
        Self {
            code: code.as_str(),
            texts: code.texts(),
            exit: exit_code(code),
        }
    }
}

impl From<CheckCode> for Failure {
    fn from(code: CheckCode) -> Self {
        Self {
            code: code.as_str(),
            texts: code.texts(),
            exit: 1,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        tracing::debug!(%error, "failed");
        error.code().into()
    }
}

/// The exit code of a failure, by the contract of all programs.
fn exit_code(code: FailureCode) -> u8 {
    match code {
        FailureCode::Usage | FailureCode::UnknownProfile | FailureCode::BadField => 2,
        FailureCode::VaultSealed
        | FailureCode::VaultUnreachable
        | FailureCode::StoreUnreachable
        | FailureCode::ObjectsUnavailable
        | FailureCode::IndexUnavailable => 3,
        FailureCode::FileUnreadable
        | FailureCode::OutputUnwritable
        | FailureCode::ObjectsReadOnly
        | FailureCode::IndexReadOnly
        | FailureCode::StorageFull
        | FailureCode::ObjectMissing
        | FailureCode::ObjectDamaged
        | FailureCode::IndexDamaged
        | FailureCode::DecoderFault
        | FailureCode::NotAStore
        | FailureCode::SocketInUse
        | FailureCode::SocketUnusable
        | FailureCode::Version
        | FailureCode::Protocol => 5,
        _ => 1,
    }
}

/// Runs the program and returns its exit code.
pub(crate) fn run(arguments: Vec<OsString>) -> ExitCode {
    let wants_json = arguments.iter().any(|argument| argument == "--json");
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) if !error.use_stderr() => {
            // --help and --version.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}");
            return finish("yzt.photo-store/1", wants_json, Err(FailureCode::Usage.into()));
        }
    };
    match arguments.command {
        Command::Check { file } => finish("yzt.photo-check/1", arguments.json, check::run(&file)),
        Command::Normalise {
            file,
            profile,
            out,
            force,
        } => finish(
            "yzt.photo-normalise/1",
            arguments.json,
            normalise::run(&file, &profile, &out, force),
        ),
        Command::Serve {
            socket,
            dir,
            vault,
            database_file,
            at,
        } => {
            log_to_standard_error();
            let json = arguments.json;
            match serve::run(serve::Options {
                socket,
                dir,
                vault,
                database_file,
                at,
                json,
            }) {
                // Its one object was printed when it began to serve.
                Ok(_) => ExitCode::SUCCESS,
                Err(failure) => finish("yzt.photo-serve/1", json, Err(failure)),
            }
        }
    }
}

/// Prints the object or line of a program that goes on running.
fn announce(schema: &str, as_json: bool, fields: Map<String, Value>, line: &str) {
    if as_json {
        let _ = finish(
            schema,
            true,
            Ok(Outcome {
                fields,
                lines: Vec::new(),
                failure: None,
            }),
        );
    } else {
        println!("{line}");
    }
}

/// Logs as JSON lines to standard error; `RUST_LOG` chooses what.
fn log_to_standard_error() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,sqlx=warn"));
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}

/// `YYYY-MM-DD` (04:00 UTC, noon in China) or an RFC 3339 instant.
fn instant(text: &str) -> Result<jiff::Timestamp, String> {
    if let Ok(date) = text.parse::<jiff::civil::Date>()
        && text.len() == 10
    {
        let noon = date.at(4, 0, 0, 0).to_zoned_datetime(jiff::tz::TimeZone::UTC);
        return noon
            .map(|noon| noon.timestamp())
            .map_err(|_| "out of range".to_owned());
    }
    text.parse()
        .map_err(|_| "give YYYY-MM-DD or an RFC 3339 instant".to_owned())
}

/// Prints a result and turns it into the exit code.
fn finish(schema: &str, as_json: bool, outcome: Result<Outcome, Failure>) -> ExitCode {
    let outcome = outcome.unwrap_or_else(|failure| Outcome {
        fields: Map::new(),
        lines: Vec::new(),
        failure: Some(failure),
    });
    if as_json {
        let mut object = Map::new();
        object.insert("schema".to_owned(), json!(schema));
        object.insert("ok".to_owned(), json!(outcome.failure.is_none()));
        object.extend(outcome.fields);
        if let Some(Failure { code, texts, .. }) = &outcome.failure {
            let error = json!({ "code": code, "message": texts.message, "action": texts.action });
            object.insert("error".to_owned(), error);
        }
        println!("{}", Value::Object(object));
    } else {
        for line in &outcome.lines {
            println!("{line}");
        }
    }
    let Some(failure) = outcome.failure else {
        return ExitCode::SUCCESS;
    };
    eprintln!(
        "{}：{} {}",
        failure.code, failure.texts.message_zh, failure.texts.action_zh
    );
    eprintln!(
        "{}: {} {}",
        failure.code, failure.texts.message, failure.texts.action
    );
    ExitCode::from(failure.exit)
}

/// Rules and detector, as both commands need them.
fn tools() -> Result<(Rules, Faces), Failure> {
    Ok((Rules::built_in()?, Faces::new()?))
}

/// Reads a file, or standard input for `-`, but never more than one byte over the limit.
fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let unreadable = |_| Failure::from(FailureCode::FileUnreadable);
    let limit = u64::try_from(MAX_PHOTO_BYTES).unwrap_or(u64::MAX) + 1;
    let mut bytes = Zeroizing::new(Vec::new());
    if path == Path::new("-") {
        std::io::stdin()
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
    } else {
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
    }
    Ok(bytes)
}

/// The profile of a name.
fn profile(name: &str) -> Result<Profile, Failure> {
    name.parse().map_err(|_| FailureCode::UnknownProfile.into())
}
