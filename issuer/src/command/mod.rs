//! The commands of program `issuer`, by the contracts: results on standard output, prose on standard error, `--json`
//! prints exactly one object, exit codes 0 done, 1 refused, 2 usage, 3 absent, 4 outcome unknown, 5 damaged.

mod cards;
mod decide;
mod faces;
mod openapi;
mod service;
mod settlement;

use std::io::Write as _;
use std::process::ExitCode;

use issuer_artwork::ArtworkError;
use issuer_office::error::OfficeError;
use issuer_office::fault::artwork_exit;
use issuer_office::random::Random;
use issuer_production::ProductionError;
use program_contract::Clock;
use serde::Serialize;

use crate::installation::InstallationError;

/// The command line.
#[derive(Debug, clap::Parser)]
#[command(
    name = "issuer",
    version,
    about = "The issuing office of the residence permit"
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Serve the HTTP API.
    Serve(service::Serve),
    /// Make cards: run the open orders up to the verified card.
    Worker(service::Worker),
    /// Hand a verified card over: activate it for its holder.
    HandOver(service::HandOver),
    /// Give an order up whose card is damaged or lost, so that its permit can be ordered again.
    GiveUp(service::GiveUp),
    /// Load money onto a permit's card: decided by the purse rules, booked once for each key.
    Load(cards::Load),
    /// Change a card in use: endorse, tier, entitlement, address, rotate, block, unblock, end.
    Change(cards::ChangeCard),
    /// A card is lost, found, confiscated, allowed again, blocked, replaced or destroyed.
    Card(cards::CardCommand),
    /// Take the receipts that cards gave to terminals.
    Receipts(cards::TakeReceipts),
    /// Register payment terminals.
    Terminal(settlement::Terminal),
    /// Import settlement files of payment terminals.
    Settle(settlement::Settle),
    /// What a payment terminal is owed.
    Settlement(settlement::SettlementCommand),
    /// Receive a lot of blank cards into the stock.
    Receive(service::Receive),
    /// Prepare or update the ledger, publish the rule sets, make the service key.
    Migrate(service::Migrate),
    /// Print the OpenAPI document of the API.
    Openapi(openapi::Openapi),
    /// Say what a rule set decides about an applicant file.
    Decide(decide::Decide),
    /// Look at everything that work needs and say what is wrong.
    Doctor(service::Doctor),
    /// Draw the sample faces of a card as PNG files.
    Faces(faces::Faces),
}

/// What a command prints: the fields of its object besides `schema` and `ok`, and lines for a person.
struct Done {
    schema: &'static str,
    fields: serde_json::Map<String, serde_json::Value>,
    lines: Vec<String>,
}

impl Done {
    fn new(schema: &'static str, result: &impl Serialize, lines: Vec<String>) -> Result<Self, Failure> {
        match serde_json::to_value(result) {
            Ok(serde_json::Value::Object(fields)) => Ok(Self {
                schema,
                fields,
                lines,
            }),
            _ => Err(Failure::internal("the result is no object")),
        }
    }
}

/// Why a command did not do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Code from a closed list, upper case.
    pub code: &'static str,
    /// What happened.
    pub message: String,
    /// What to do.
    pub action: String,
    /// Exit code of the contracts.
    pub exit: u8,
    /// Fields beside the error, such as an explanation.
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// Lines for a person that come before the error.
    pub lines: Vec<String>,
}

impl Failure {
    fn new(code: &'static str, exit: u8, message: impl Into<String>, action: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            action: action.into(),
            exit,
            fields: serde_json::Map::new(),
            lines: Vec::new(),
        }
    }

    fn internal(what: &str) -> Self {
        Self::new("INTERNAL", 5, what, "Report this: it is a fault of the program.")
    }

    fn file(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(
            "FILE",
            5,
            format!("{what} {}: {error}", path.display()),
            "Check the path and its rights, then try again.",
        )
    }
}

impl From<ArtworkError> for Failure {
    fn from(error: ArtworkError) -> Self {
        Self::new(
            error.code(),
            artwork_exit(&error),
            error.to_string(),
            error.action(),
        )
    }
}

impl From<permit_domain::Error> for Failure {
    fn from(error: permit_domain::Error) -> Self {
        let exit = match error {
            permit_domain::Error::RuleSetUnknown { .. } => 2,
            permit_domain::Error::RuleSetEdited { .. }
            | permit_domain::Error::RuleSetInvalid { .. }
            | permit_domain::Error::RuleSetUnreadable { .. } => 5,
            _ => 1,
        };
        Self::new(error.code(), exit, error.to_string(), error.action())
    }
}

impl From<issuer_store::Error> for Failure {
    fn from(error: issuer_store::Error) -> Self {
        OfficeError::from(error).into()
    }
}

impl From<OfficeError> for Failure {
    fn from(error: OfficeError) -> Self {
        let mut failure = Self::new(error.code(), error.exit_code(), error.to_string(), error.action());
        if let OfficeError::NotEligible(decision) = &error {
            let explanation = serde_json::to_value(&decision.explanation).unwrap_or_default();
            failure.fields.insert("explanation".into(), explanation);
        }
        failure
    }
}

impl From<ProductionError> for Failure {
    fn from(error: ProductionError) -> Self {
        Self::new(error.code(), error.exit_code(), error.to_string(), error.action())
    }
}

impl From<InstallationError> for Failure {
    fn from(error: InstallationError) -> Self {
        Self::new(error.code(), error.exit_code(), error.to_string(), error.action())
    }
}

/// Runs a command and says how it went.
#[must_use]
pub fn run(arguments: Arguments, clock: &Clock, random: &Random) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "INTERNAL: no runtime: {error}");
            return ExitCode::from(5);
        }
    };
    runtime.block_on(async {
        match arguments.command {
            Command::Serve(it) => finish("yzt.serve/1", it.place.json, it.run(clock, random).await),
            Command::Worker(it) => finish(
                "yzt.worker/1",
                it.place.json,
                Box::pin(it.run(clock, random)).await,
            ),
            Command::HandOver(it) => finish(
                "yzt.hand_over/1",
                it.place.json,
                Box::pin(it.run(clock, random)).await,
            ),
            Command::GiveUp(it) => finish("yzt.give_up/1", it.place.json, it.run(clock, random).await),
            Command::Load(it) => finish("yzt.load/1", it.place.json, Box::pin(it.run(clock, random)).await),
            Command::Change(it) => finish("yzt.change/1", it.json(), Box::pin(it.run(clock, random)).await),
            Command::Card(it) => finish("yzt.card/1", it.json(), Box::pin(it.run(clock, random)).await),
            Command::Receipts(it) => finish("yzt.receipts/1", it.place.json, it.run(clock, random).await),
            Command::Terminal(it) => finish("yzt.terminal/1", it.json(), it.run(clock, random).await),
            Command::Settle(it) => finish(
                "yzt.settle/1",
                it.place.json,
                Box::pin(it.run(clock, random)).await,
            ),
            Command::Settlement(it) => {
                finish("yzt.settlement_report/1", it.json(), it.run(clock, random).await)
            }
            Command::Receive(it) => finish("yzt.receive/1", it.place.json, it.run(clock, random).await),
            Command::Migrate(it) => finish("yzt.migrate/1", it.place.json, it.run(clock, random).await),
            Command::Doctor(it) => finish("yzt.doctor/1", it.place.json, it.run(clock, random).await),
            Command::Decide(it) => finish("yzt.decision/1", it.json, it.run()),
            Command::Faces(it) => finish("yzt.faces/1", it.json, it.run()),
            Command::Openapi(it) => match it.run() {
                Ok(()) => ExitCode::SUCCESS,
                Err(failure) => finish("yzt.openapi/1", it.json, Err(failure)),
            },
        }
    })
}

/// Says that a command line was not understood: exit code 2, with `json` as one object of schema `yzt.issuer/1`.
#[must_use]
pub fn usage(error: &clap::Error, json: bool) -> ExitCode {
    if !json {
        let _ = error.print();
        return ExitCode::from(2);
    }
    let text = error.to_string();
    // The lines up to the first empty one say what is wrong; usage and hints follow.
    let message = text
        .trim_start_matches("error: ")
        .lines()
        .take_while(|line| !line.trim().is_empty())
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ");
    let failure = Failure::new("USAGE", 2, message, "See `issuer --help`.");
    finish("yzt.issuer/1", true, Err(failure))
}

fn finish(schema: &'static str, json: bool, outcome: Result<Done, Failure>) -> ExitCode {
    let mut object = serde_json::Map::new();
    let exit = match outcome {
        Ok(done) => {
            object.insert("schema".into(), done.schema.into());
            object.insert("ok".into(), true.into());
            object.extend(done.fields);
            if !json {
                print_lines(done.lines);
            }
            0
        }
        Err(failure) => {
            object.insert("schema".into(), schema.into());
            object.insert("ok".into(), false.into());
            object.extend(failure.fields);
            object.insert(
                "error".into(),
                serde_json::json!({"code": failure.code, "message": failure.message, "action": failure.action}),
            );
            if !json {
                print_lines(failure.lines);
                let _ = writeln!(
                    std::io::stderr().lock(),
                    "{}: {}\n{}",
                    failure.code,
                    failure.message,
                    failure.action
                );
            }
            failure.exit
        }
    };
    if json {
        let _ = writeln!(std::io::stdout().lock(), "{}", serde_json::Value::Object(object));
    }
    ExitCode::from(exit)
}

/// Results for a person, on standard output.
fn print_lines(lines: Vec<String>) {
    let mut out = std::io::stdout().lock();
    for line in lines {
        // A reader that closed the pipe wants no more lines.
        if writeln!(out, "{line}").is_err() {
            break;
        }
    }
}
