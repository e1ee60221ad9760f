//! The program `virtual-card`: cards to hold without hardware.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use virtual_card::{Error, hand, pcscd};

/// A virtual card, and a PC/SC service of its own to lay it on.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The first process of a private service. Started by the harness, never by hand.
    #[command(hide = true)]
    Inside {
        #[arg(long)]
        dir: PathBuf,
        /// Remove the folder at the end.
        #[arg(long)]
        temporary: bool,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("virtual-card: {error}\n{}", error.action());
            ExitCode::from(3)
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode, Error> {
    match arguments.command {
        Command::Inside { dir, temporary } => {
            pcscd::inside(&dir, temporary, hand::carry_out, None)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
