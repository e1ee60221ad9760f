//! The command line of `permit`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use jiff::civil::Date;
use permit_domain::{ApplicationId, OrderId};
use serde::{Deserialize, Serialize};
use virtual_card::model::Model;

#[derive(Debug, Parser)]
#[command(
    name = "permit",
    version,
    about = "一证通：在一台机器上运行整套系统 / The whole residence-permit system on one machine"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
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
pub(crate) struct Common {
    /// Folder of the installation; default: a fresh one, which is kept and printed
    #[arg(long, value_name = "D")]
    pub(crate) dir: Option<PathBuf>,
    /// Sets every clock to this day, certificates included
    #[arg(long, value_name = "DATE")]
    pub(crate) at: Option<Date>,
    /// The card answers in this process, without PC/SC; never a fallback
    #[arg(long, conflicts_with = "reader")]
    pub(crate) no_pcsc: bool,
    /// Use this reader of the machine's own PC/SC service, and the card that lies on it
    #[arg(long, value_name = "NAME")]
    pub(crate) reader: Option<String>,
    /// Which card the blanks of a new installation are; an older one keeps those that it has
    #[arg(
        long,
        value_enum,
        default_value_t,
        value_name = "MODEL",
        conflicts_with = "reader"
    )]
    pub(crate) card: Model,
    /// Print one JSON object to standard output, also on failure
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct DemoArguments {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Applicant file; its JSON Schema is docs/applicant.schema.json
    #[arg(long, value_name = "F")]
    pub(crate) applicant: Option<PathBuf>,
    /// Photo, JPEG or PNG
    #[arg(long, value_name = "F")]
    pub(crate) photo: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct UpArguments {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Address and port of the HTTP API; port 0 takes a free one. Default: those of the last start, or 127.0.0.1 and a free port
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct PhotoArguments {
    /// Folder of the installation
    #[arg(long, value_name = "D")]
    pub(crate) dir: PathBuf,
    /// The application
    #[arg(long, value_name = "ID")]
    pub(crate) application: ApplicationId,
    /// A colleague of the clerk has looked at the photo and confirms its warnings
    #[arg(long)]
    pub(crate) confirm: bool,
    /// Print one JSON object, also on failure
    #[arg(long)]
    pub(crate) json: bool,
    /// Photo, JPEG or PNG
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct HandOverArguments {
    /// Folder of the installation
    #[arg(long, value_name = "D")]
    pub(crate) dir: PathBuf,
    /// The order
    #[arg(long, value_name = "ID")]
    pub(crate) order: OrderId,
    /// Whom the clerk checked
    #[arg(long, value_enum)]
    pub(crate) checked: Checked,
    /// Print one JSON object, also on failure
    #[arg(long)]
    pub(crate) json: bool,
}

/// Whom the clerk checked at the counter.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Checked {
    /// The holder
    Holder,
    /// An agent with a power of attorney
    Agent,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PROGRAM;

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
