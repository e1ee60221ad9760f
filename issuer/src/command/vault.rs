//! `issuer vault`: what two people say of the vault.

use issuer_office::random::Random;
use issuer_office::staff::StaffRole;
use issuer_office::vault_seen::Restored;
use program_contract::language::Words;
use program_contract::{Clock, Failure, Outcome, line};
use serde_json::json;

use crate::command::place::{Context, Place};
use crate::command::session::Person;

/// Arguments of `vault`.
#[derive(Debug, clap::Args)]
pub(super) struct VaultCommand {
    #[command(subcommand)]
    action: VaultAction,
}

#[derive(Debug, clap::Subcommand)]
enum VaultAction {
    /// Say that the vault was put back to this generation on purpose; it counts when two people have said so.
    AcceptRestored(AcceptRestored),
}

#[derive(Debug, clap::Args)]
struct AcceptRestored {
    #[command(flatten)]
    place: Place,
    /// The generation that the vault shows, as the refusal says it.
    #[arg(long, value_name = "N")]
    generation: u64,
    #[command(flatten)]
    person: Person,
}

impl VaultCommand {
    pub(super) fn json(&self) -> bool {
        let VaultAction::AcceptRestored(it) = &self.action;
        it.place.json
    }

    /// Takes one person's word.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        const ROLES: [StaffRole; 2] = [StaffRole::Approver, StaffRole::Producer];
        let VaultAction::AcceptRestored(it) = &self.action;
        let context = Context::open(&it.place, clock, random).await?;
        let by = it.person.acting_as_any(&context, &ROLES).await?;
        let done = context
            .office
            .accept_restored(it.generation, ("operator", &by))
            .await?;
        let (accepted, line) = match done {
            Restored::Proposed => (
                false,
                Words(
                    "已记录；另一人以同一命令确认后，本机关才与该密钥库配合",
                    "noted; the office works with this vault when another person has given the same command",
                ),
            ),
            Restored::Accepted => (
                true,
                Words(
                    "本机关重新与该密钥库配合",
                    "the office works with this vault again",
                ),
            ),
        };
        let fields = json!({ "generation": it.generation, "accepted": accepted });
        Outcome::done("yzt.vault_restored/1", &fields, vec![line!(line)])
    }
}
