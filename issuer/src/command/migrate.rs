//! `issuer migrate`: the ledger, the rule sets, the service key.

use std::path::PathBuf;

use card_reader::Pinned;
use issuer_office::random::Random;
use program_contract::language::Words;
use program_contract::{Clock, Exit, Failure, Outcome, file, line};
use serde::Serialize;

use crate::command::place::{MAX_ANCHORS, Place};
use crate::installation::Installation;

program_contract::sentences! {
    fn enrol_key(path, issuer) =
        "服务密钥 {path}；请将下列公钥以 `{issuer}` 之名登记到密钥库：",
        "Service key {path}; enrol this public key in the vault as `{issuer}`:";
}

/// Arguments of `migrate`.
#[derive(Debug, clap::Args)]
pub(super) struct Migrate {
    #[command(flatten)]
    pub(super) place: Place,
    /// Found a new office: its folder and an empty ledger, under the vault that runs. Refused where there is one.
    #[arg(long)]
    new: bool,
    /// With --new: the vault's anchors file (`keyvault anchors --json`), in place of asking the vault at its socket.
    #[arg(long, value_name = "FILE", requires = "new")]
    anchors: Option<PathBuf>,
}

#[derive(Serialize)]
struct Migrated {
    service_key: PathBuf,
    public_key: String,
    rehearsal: bool,
}

impl Migrate {
    /// Tables, rule sets, service key.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        let (installation, office) = if self.new {
            let installation = self.place.open_new()?;
            // Before anything is made.
            let vault = self.vault(&installation).await?;
            let office = self
                .place
                .new_office(&installation, &vault, clock, random)
                .await?;
            (installation, office)
        } else {
            let installation = self.place.open()?;
            let office = self.place.office(&installation, clock, random).await?;
            (installation, office)
        };
        office.migrate().await?;
        let key = installation.service_key_or_new(random)?;
        let report = Migrated {
            service_key: installation.service_key_path(),
            public_key: hex::encode(key.public()),
            rehearsal: office.founded().is_rehearsal(),
        };
        let lines = vec![
            line!(Words("台账已是最新。", "The ledger is up to date.")),
            line!(enrol_key(
                report.service_key.display(),
                &installation.config().issuer
            )),
            line!(&report.public_key),
        ];
        Outcome::done("yzt.migrate/1", &report, lines)
    }

    /// The number of the vault that the new office belongs to.
    async fn vault(&self, installation: &Installation) -> Result<[u8; 16], Failure> {
        let Some(path) = &self.anchors else {
            return Ok(installation.number_of_vault().await?);
        };
        let anchors = file::read(path, MAX_ANCHORS)
            .map_err(|error| Failure::file(Words("读取", "read"), path, &error))?;
        let pinned = Pinned::from_anchors_json(&anchors).map_err(|error| {
            let mut failure = Failure::from(error);
            failure.exit = Exit::Usage;
            failure
        })?;
        Ok(pinned.vault)
    }
}
