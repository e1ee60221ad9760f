//! `issuer receipts`: what cards gave to terminals, taken.

use std::path::PathBuf;

use issuer_office::random::Random;
use issuer_office::updates::ReceiptsTaken;
use program_contract::language::Words;
use program_contract::{Clock, Failure, Outcome, file, line};

use crate::command::place::{Context, Place};
use crate::command::session::Person;

/// Arguments of `receipts`.
#[derive(Debug, clap::Args)]
pub(super) struct TakeReceipts {
    #[command(flatten)]
    pub(super) place: Place,
    /// Receipts files of terminals; mix those of several terminals.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    person: Person,
}

program_contract::sentences! {
    fn receipts_taken(proved, known, unknown, forged, done) =
        "已证实 {proved} 份，重复 {known} 份，不明 {unknown} 份，伪造 {forged} 份；完成变更 {done} 项",
        "{proved} proved, {known} known, {unknown} unknown, {forged} forged; {done} changes done";
}

/// Longest receipt file, bytes.
const MAX_RECEIPTS: u64 = 16 << 20;

impl TakeReceipts {
    /// Hands cards' receipts to the vault and finishes the changes that they prove.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        let context = Context::open(&self.place, clock, random).await?;
        let by = self.person.settlement_officer(&context).await?;
        let mut all = ReceiptsTaken::default();
        for path in &self.files {
            let bytes = file::read(path, MAX_RECEIPTS)
                .map_err(|error| Failure::file(Words("读取", "read"), path, &error))?;
            let taken = context.office.take_receipts(&bytes, &by).await?;
            all.proved += taken.proved;
            all.known += taken.known;
            all.unknown += taken.unknown;
            all.forged += taken.forged;
            all.changes_done.extend(taken.changes_done);
        }
        let lines = vec![line!(receipts_taken(
            all.proved,
            all.known,
            all.unknown,
            all.forged,
            all.changes_done.len()
        ))];
        Outcome::done("yzt.receipts/1", &all, lines)
    }
}
