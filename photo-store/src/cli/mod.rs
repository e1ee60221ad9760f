//! The command line: arguments, and which command answers them.
//!
//! Left out: what the commands do, and how a program ends (`program-contract`). Results go to standard output, prose to
//! standard error in Chinese with English beside it.

mod check;
mod init;
mod input;
mod normalise;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use jiff::civil::Date;
use program_contract::{Clock, Language, Program};
use rand_core::TryCryptoRng;

use crate::decoding;

const PROGRAM: Program = Program::new("photo-store");
const CHECK: &str = "yzt.photo-check/1";
const NORMALISE: &str = "yzt.photo-normalise/1";
const INIT: &str = "yzt.photo-init/1";
const SERVE: &str = "yzt.photo-serve/1";
const DECODE: &str = "yzt.photo-decode/1";

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
    /// 建立照片库 / Found a store, once: its folder, an empty index and its key, under a vault; or give one its key and anchors
    Init {
        /// The store's folder: absent or empty; or that of a store without key or anchors
        #[arg(long)]
        dir: PathBuf,
        /// The vault's anchors: the file that `keyvault init` wrote, or what `keyvault anchors --json` prints
        #[arg(long)]
        anchors: PathBuf,
        /// A file that holds the index's URL (`postgres:` or `sqlite:`); default: a file in the folder
        #[arg(long)]
        database_file: Option<PathBuf>,
    },
    /// 启动照片库 / Serve the store on a Unix socket until SIGINT or SIGTERM
    Serve {
        /// The group of this process may connect too (socket of mode 0660): an office with a Unix user of its own
        #[arg(long)]
        group_may_connect: bool,
        /// The socket to make, mode 0600
        #[arg(long)]
        socket: PathBuf,
        /// The store's folder: index, sealed objects, its key and the vault's anchors
        #[arg(long)]
        dir: PathBuf,
        /// The key vault's socket
        #[arg(long)]
        vault: PathBuf,
        /// A file that holds the index's URL (`postgres:` or `sqlite:`); default: a file in the folder
        #[arg(long)]
        database_file: Option<PathBuf>,
        /// Set the clock to this day (YYYY-MM-DD, UTC+8); in a rehearsal installation alone
        #[arg(long)]
        at: Option<Date>,
    },
    /// Decode one picture from standard input, for `serve`
    #[command(hide = true)]
    Decode,
}

/// Runs the program with the arguments of the process.
pub fn run(clock: &Clock, random: impl TryCryptoRng + Send + 'static) -> ExitCode {
    let Arguments { json, command } = match PROGRAM.arguments("yzt.photo-store/1") {
        Ok(arguments) => arguments,
        Err(ended) => return ended,
    };
    match command {
        Command::Check { file } => PROGRAM.end(CHECK, json, check::run(CHECK, &file)),
        Command::Normalise {
            file,
            profile,
            out,
            force,
        } => PROGRAM.end(
            NORMALISE,
            json,
            normalise::run(NORMALISE, &file, &profile, &out, force),
        ),
        Command::Init {
            dir,
            anchors,
            database_file,
        } => {
            log_to_standard_error();
            let founded = init::run(INIT, &dir, &anchors, database_file.as_deref(), random);
            PROGRAM.end(INIT, json, founded)
        }
        Command::Decode => match decoding::run(std::io::stdin(), std::io::stdout().lock()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => PROGRAM.end(DECODE, json, Err(error.into())),
        },
        Command::Serve {
            group_may_connect,
            socket,
            dir,
            vault,
            database_file,
            at,
        } => {
            log_to_standard_error();
            let options = serve::Options {
                group_may_connect,
                socket,
                dir,
                vault,
                database_file,
                clock: clock.clone(),
                at,
            };
            let announce = |outcome| {
                let (mut out, mut prose) = (std::io::stdout().lock(), std::io::stderr().lock());
                PROGRAM.end_to(
                    &mut out,
                    &mut prose,
                    Language::of_process(),
                    SERVE,
                    json,
                    Ok(outcome),
                )
            };
            match serve::run(SERVE, options, random, announce) {
                // Its one object was printed when it began to serve.
                Ok(exit) => exit.into(),
                Err(failure) => PROGRAM.end(SERVE, json, Err(failure)),
            }
        }
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
        // A log that cannot be written is lost: said on the same stream, it would be a panic.
        .log_internal_errors(false)
        .init();
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
    }
}
