//! `issuer receipts`: what cards gave to terminals, taken.

use std::path::PathBuf;

use issuer_office::random::Random;
use issuer_office::staff::StaffRole;
use issuer_office::updates::ReceiptsTaken;
use permit_domain::StaffId;
use program_contract::{Clock, Failure, Outcome};

use crate::command::place::{Context, Place};

/// Arguments of `receipts`.
#[derive(Debug, clap::Args)]
pub(super) struct TakeReceipts {
    #[command(flatten)]
    pub(super) place: Place,
    /// Receipts files of terminals; mix those of several terminals.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Account of the officer: of staff.toml, with the role `SETTLEMENT_OFFICER`.
    #[arg(long, value_name = "ACCOUNT")]
    by: StaffId,
}

impl TakeReceipts {
    /// Hands cards' receipts to the vault and finishes the changes that they prove.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        let context = Context::open(&self.place, clock, random).await?;
        let by = context
            .installation
            .acting_as(&self.by, StaffRole::SettlementOfficer)?;
        let mut all = ReceiptsTaken::default();
        for path in &self.files {
            let bytes = std::fs::read(path).map_err(|error| Failure::file("read", path, &error))?;
            let taken = context.office.take_receipts(&bytes, &by).await?;
            all.proved += taken.proved;
            all.known += taken.known;
            all.unknown += taken.unknown;
            all.forged += taken.forged;
            all.changes_done.extend(taken.changes_done);
        }
        let lines = vec![format!(
            "{} proved, {} known, {} unknown, {} forged; {} changes done",
            all.proved,
            all.known,
            all.unknown,
            all.forged,
            all.changes_done.len()
        )];
        Outcome::done("yzt.receipts/1", &all, lines)
    }
}
