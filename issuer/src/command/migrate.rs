//! `issuer migrate`: the ledger, the rule sets, the service key.

use std::path::PathBuf;

use issuer_office::random::Random;
use program_contract::{Clock, Failure, Outcome};
use serde::Serialize;

use crate::command::place::Place;

/// Arguments of `migrate`.
#[derive(Debug, clap::Args)]
pub(super) struct Migrate {
    #[command(flatten)]
    pub(super) place: Place,
    /// Found a new office: its folder and an empty ledger. Refused where there is one.
    #[arg(long)]
    new: bool,
}

#[derive(Serialize)]
struct Migrated {
    service_key: PathBuf,
    public_key: String,
}

impl Migrate {
    /// Tables, rule sets, service key.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        if self.new {
            std::fs::create_dir_all(&self.place.dir)
                .map_err(|error| Failure::file("make", &self.place.dir, &error))?;
        }
        let installation = self.place.open()?;
        let (clock, random_too) = (self.place.clock(clock), random.clone());
        let office = if self.new {
            installation.new_office(clock, random_too).await?
        } else {
            installation.office(clock, random_too).await?
        };
        office.migrate().await?;
        let key = installation.service_key_or_new(random)?;
        let report = Migrated {
            service_key: installation.service_key_path(),
            public_key: hex::encode(key.public()),
        };
        let lines = vec![
            "The ledger is up to date.".into(),
            format!(
                "Service key {}; enrol this public key in the vault as `{}`:",
                report.service_key.display(),
                installation.config().issuer
            ),
            report.public_key.clone(),
        ];
        Outcome::done("yzt.migrate/1", &report, lines)
    }
}
