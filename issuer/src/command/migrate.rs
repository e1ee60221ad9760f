//! `issuer migrate`: the ledger, the rule sets, the service key.

use std::path::{Path, PathBuf};

use card_reader::Pinned;
use issuer_office::random::Random;
use program_contract::language::Words;
use program_contract::{Clock, Exit, Failure, Outcome, file, line};
use serde::Serialize;

use crate::command::place::{MAX_ANCHORS, Place};

program_contract::sentences! {
    fn enrol_key(path, issuer) =
        "服务密钥 {path}；请将下列公钥以 `{issuer}` 之名登记到密钥库：",
        "Service key {path}; enrol this public key in the vault as `{issuer}`:";
    fn enrol_settlement(path) =
        "结算密钥 {path}；请将下列公钥登记为结算：",
        "Settlement key {path}; enrol this public key as a settlement:";
}

const ENROL_COUNTER: Words = Words(
    "柜台终端的登记请求，由两名密钥官员登记（`keyvault request new enrol-terminal`）：",
    "Requests of the counter's terminals, for two officers to enrol (`keyvault request new enrol-terminal`):",
);
const NO_ANCHORS: Words = Words(
    "尚无密钥库的锚点文件：请再运行 `issuer migrate --anchors 文件`，此前无法使用密钥库。",
    "The vault's anchors are not here: run `issuer migrate --anchors FILE`, without it the vault cannot be used.",
);

/// Arguments of `migrate`.
#[derive(Debug, clap::Args)]
pub(super) struct Migrate {
    #[command(flatten)]
    pub(super) place: Place,
    /// Found a new office: its folder and an empty ledger, under the vault of the anchors. Refused where there is one.
    #[arg(long, requires = "anchors")]
    new: bool,
    /// The anchors file that the vault's founding wrote: it is kept in the folder, and by it the office knows its vault.
    #[arg(long, value_name = "FILE")]
    anchors: Option<PathBuf>,
}

#[derive(Serialize)]
struct Migrated {
    service_key: PathBuf,
    public_key: String,
    settlement_key: PathBuf,
    settlement_public_key: String,
    /// Requests of the counter's terminals; none where the vault's anchors are not here yet.
    counter_requests: Vec<PathBuf>,
    rehearsal: bool,
}

impl Migrate {
    /// Tables, rule sets, keys.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        let anchors = self.anchors.as_deref().map(read_anchors).transpose()?;
        let (installation, office) = match &anchors {
            Some((_, vault)) if self.new => {
                let installation = self.place.open_new()?;
                let office = self.place.new_office(&installation, vault, clock, random).await?;
                (installation, office)
            }
            _ => {
                let installation = self.place.open()?;
                let office = self.place.office(&installation, clock, random).await?;
                (installation, office)
            }
        };
        office.migrate().await?;
        if let Some((text, vault)) = &anchors {
            office.check_vault(vault)?;
            installation.keep_anchors(text)?;
        }
        let key = installation.service_key_or_new(random)?;
        let settlement = installation.settlement_key_or_new(random)?;
        let has_anchors = installation.anchors().is_ok();
        let counter_requests = if has_anchors {
            installation.counter_keys_or_new(random)?
        } else {
            Vec::new()
        };
        let report = Migrated {
            service_key: installation.service_key_path(),
            public_key: hex::encode(key.public()),
            settlement_key: installation.settlement_key_path(),
            settlement_public_key: hex::encode(settlement.public()),
            counter_requests,
            rehearsal: office.founded().is_rehearsal(),
        };
        let mut lines = vec![
            line!(Words("台账已是最新。", "The ledger is up to date.")),
            line!(enrol_key(
                report.service_key.display(),
                &installation.config().issuer
            )),
            line!(&report.public_key),
            line!(enrol_settlement(report.settlement_key.display())),
            line!(&report.settlement_public_key),
        ];
        if has_anchors {
            lines.push(line!(ENROL_COUNTER));
            lines.extend(report.counter_requests.iter().map(|path| line!(path.display())));
        } else {
            lines.push(line!(NO_ANCHORS));
        }
        Outcome::done("yzt.migrate/1", &report, lines)
    }
}

/// An anchors file, and the number of its vault.
fn read_anchors(path: &Path) -> Result<(Vec<u8>, [u8; 16]), Failure> {
    let anchors =
        file::read(path, MAX_ANCHORS).map_err(|error| Failure::file(Words("读取", "read"), path, &error))?;
    let pinned = Pinned::from_anchors_json(&anchors).map_err(|error| {
        let mut failure = Failure::from(error);
        failure.exit = Exit::Usage;
        failure
    })?;
    Ok((anchors, pinned.vault))
}
