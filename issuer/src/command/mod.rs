//! The commands of program `issuer`, by the contracts: results on standard output, prose on standard error, `--json`
//! prints exactly one object, exit codes 0 done, 1 refused, 2 usage, 3 absent, 4 outcome unknown, 5 damaged.

mod application;
mod card;
mod change;
mod change_now;
mod counters;
mod decide;
mod doctor;
mod faces;
mod failure;
mod hand_over;
mod load;
mod migrate;
mod openapi;
mod photo;
mod place;
mod receipts;
mod receive;
mod rehearsal_sign;
mod serve;
mod session;
mod settlement;
mod signing_page;
mod station;
mod vault;
mod verify_qr;
mod words;
mod worker;

use std::process::ExitCode;

use issuer_office::random::Random;
use program_contract::{Clock, Failure, Outcome, Program};

/// The program.
pub const PROGRAM: Program = Program::new("issuer");

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
    Serve(serve::Serve),
    /// Serve the page on which reviewers and approvers sign mandates, at an origin of its own.
    SigningPage(signing_page::ServeSigningPage),
    /// In a rehearsal: sign the mandate of a case with your key file, for a request to the HTTP API.
    RehearsalSign(rehearsal_sign::RehearsalSign),
    /// Sign in with your token: commands act for you for some hours.
    SignIn(session::SignIn),
    /// Sign out.
    SignOut(session::SignOut),
    /// Withdraw or correct an application before its card is made.
    Application(application::ApplicationCommand),
    /// Make cards: run the open orders up to the verified card.
    Worker(worker::Worker),
    /// Hand a verified card over: activate it for its holder.
    HandOver(hand_over::HandOver),
    /// Give an order up whose card is damaged or lost, so that its permit can be ordered again.
    GiveUp(hand_over::GiveUp),
    /// Load money onto a permit's card: decided by the purse rules, booked once for each key.
    Load(load::Load),
    /// Change a card in use: endorse, tier, entitlement, address, rotate, block, unblock, end.
    Change(change::ChangeCard),
    /// A card is lost, found, confiscated, allowed again, blocked, replaced or destroyed.
    Card(card::CardCommand),
    /// An applicant's photo: submit, show, read, confirm, take back, erase; its case and who read it.
    Photo(photo::PhotoCommand),
    /// Take the receipts that cards gave to terminals.
    Receipts(receipts::TakeReceipts),
    /// Register terminals, for their payments and for their counts.
    Terminal(settlement::Terminal),
    /// Import the counts of terminals, and say what may be told of them.
    Counters(counters::CountersCommand),
    /// Import settlement files of payment terminals.
    Settle(settlement::Settle),
    /// What a payment terminal is owed.
    Settlement(settlement::SettlementCommand),
    /// Say with another person that the vault was put back on purpose.
    Vault(vault::VaultCommand),
    /// Receive a lot of blank cards into the stock.
    Receive(receive::Receive),
    /// Prepare or update the ledger, publish the rule sets, make the service key.
    Migrate(migrate::Migrate),
    /// Print the OpenAPI document of the API.
    Openapi(openapi::Openapi),
    /// Say what a rule set decides about an applicant file.
    Decide(decide::Decide),
    /// Say whether the QR code of a card's back is genuine, by the anchors alone.
    VerifyQr(verify_qr::VerifyQr),
    /// Look at everything that work needs and say what is wrong.
    Doctor(doctor::Doctor),
    /// Draw the sample faces of a card as PNG files.
    Faces(faces::Faces),
}

/// Runs a command and says how it went.
#[must_use]
pub fn run(arguments: Arguments, clock: &Clock, random: &Random) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let failure =
                Failure::internal((format!("运行时无法启动：{error}"), format!("no runtime: {error}")));
            return end("yzt.issuer/1", false, Err(failure));
        }
    };
    runtime.block_on(async {
        match arguments.command {
            Command::Serve(it) => end("yzt.serve/1", it.place.json, it.run(clock, random).await),
            Command::SigningPage(it) => end("yzt.signing_page/1", it.json, it.run().await),
            Command::RehearsalSign(it) => {
                end("yzt.rehearsal_sign/1", it.place.json, it.run(clock, random).await)
            }
            Command::SignIn(it) => end("yzt.sign_in/1", it.place.json, it.run(clock, random).await),
            Command::SignOut(it) => end("yzt.sign_out/1", it.place.json, it.run(clock, random).await),
            Command::Application(it) => end("yzt.application/1", it.json(), it.run(clock, random).await),
            Command::Worker(it) => end(
                "yzt.worker/1",
                it.place.json,
                Box::pin(it.run(clock, random)).await,
            ),
            Command::HandOver(it) => end(
                "yzt.hand_over/1",
                it.place.json,
                Box::pin(it.run(clock, random)).await,
            ),
            Command::GiveUp(it) => end("yzt.give_up/1", it.place.json, it.run(clock, random).await),
            Command::Load(it) => end("yzt.load/1", it.place.json, Box::pin(it.run(clock, random)).await),
            Command::Change(it) => end("yzt.change/1", it.json(), Box::pin(it.run(clock, random)).await),
            Command::Card(it) => end("yzt.card/1", it.json(), Box::pin(it.run(clock, random)).await),
            Command::Photo(it) => end(it.schema(), it.json(), it.run(clock, random).await),
            Command::Receipts(it) => end("yzt.receipts/1", it.place.json, it.run(clock, random).await),
            Command::Terminal(it) => end("yzt.terminal/1", it.json(), it.run(clock, random).await),
            Command::Counters(it) => end(it.schema(), it.json(), it.run(clock, random).await),
            Command::Settle(it) => end(
                "yzt.settle/1",
                it.place.json,
                Box::pin(it.run(clock, random)).await,
            ),
            Command::Settlement(it) => end("yzt.settlement_report/1", it.json(), it.run(clock, random).await),
            Command::Vault(it) => end("yzt.vault_restored/1", it.json(), it.run(clock, random).await),
            Command::Receive(it) => end("yzt.receive/1", it.place.json, it.run(clock, random).await),
            Command::Migrate(it) => end("yzt.migrate/1", it.place.json, it.run(clock, random).await),
            Command::Doctor(it) => end("yzt.doctor/1", it.place.json, it.run(clock, random).await),
            Command::Decide(it) => end("yzt.decision/1", it.json, it.run()),
            Command::VerifyQr(it) => end("yzt.verify_qr/1", it.json, it.run()),
            Command::Faces(it) => end("yzt.faces/1", it.json, it.run()),
            Command::Openapi(it) => match it.run() {
                Ok(()) => ExitCode::SUCCESS,
                Err(failure) => end("yzt.openapi/1", it.json, Err(failure)),
            },
        }
    })
}

fn end(schema: &'static str, json: bool, outcome: Result<Outcome, Failure>) -> ExitCode {
    PROGRAM.end(schema, json, outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_is_written_down_exists() {
        let held = program_contract::documents::hold::<Arguments>(PROGRAM, env!("CARGO_MANIFEST_DIR"));
        assert_eq!(held, Ok(()));
    }

    #[test]
    fn every_door_of_this_program_is_a_command() {
        let vault = keyvault_protocol::OPERATIONS.iter();
        let photos = photo_store_protocol::OPERATIONS.iter();
        for door in vault.chain(photos).flat_map(|operation| operation.doors) {
            assert_ne!(PROGRAM.has_door::<Arguments>(door), Some(false), "{door}");
        }
        // A command that leads on to others is no door.
        assert_eq!(PROGRAM.has_door::<Arguments>("issuer card"), Some(false));
    }
}
