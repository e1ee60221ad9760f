//! `issuer receive`: a lot of blanks into the stock.

use std::path::{Path, PathBuf};

use issuer_office::random::Random;
use permit_domain::{Actor as _, CardSerial};
use program_contract::language::Words;
use program_contract::{Clock, Failure, Outcome, file, line};
use serde::Serialize;

use crate::command::failure;
use crate::command::place::{Context, Place};
use crate::command::session::Person;

/// Arguments of `receive`.
#[derive(Debug, clap::Args)]
pub(super) struct Receive {
    #[command(flatten)]
    pub(super) place: Place,
    /// The lot: issuer and number, the first 12 digits of its serials, such as 4403-00000001.
    #[arg(long, value_name = "LOT")]
    lot: String,
    /// A file with one card serial (20 hex digits) a line.
    #[arg(long, value_name = "FILE")]
    serials: PathBuf,
    #[command(flatten)]
    person: Person,
}

#[derive(Serialize)]
struct Received {
    lot: String,
    blanks: usize,
    in_stock: i64,
}

impl Receive {
    /// Puts a lot of blanks into the stock.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        let context = Context::open(&self.place, clock, random).await?;
        let by = self.person.producer(&context).await?;
        let serials = read_serials(&self.serials)?;
        context
            .office
            .receive_blanks(&serials, &self.lot, by.staff())
            .await?;
        let stock = context.office.stock().await?;
        let report = Received {
            lot: self.lot.clone(),
            blanks: serials.len(),
            in_stock: stock.in_stock,
        };
        let lines = vec![line!(blanks_received(report.blanks, report.in_stock))];
        Outcome::done("yzt.receive/1", &report, lines)
    }
}

program_contract::sentences! {
    fn blanks_received(blanks, stock) =
        "收到 {blanks} 张空白卡，现存 {stock} 张", "{blanks} blanks received, {stock} in stock";
}

/// Longest list of serials, bytes: the cards of the largest lot.
const MAX_SERIALS: u64 = 2 << 20;

fn read_serials(path: &Path) -> Result<Vec<CardSerial>, Failure> {
    let text = file::read_text(path, MAX_SERIALS)
        .map_err(|error| Failure::file(Words("读取", "read"), path, &error))?;
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| line.trim().parse().map_err(|_| failure::no_serial(index + 1)))
        .collect()
}
