//! What work needs, each checked by doing it.

use std::sync::atomic::Ordering;

use photo_store_protocol as photo;
use program_contract::{Exit, Failing};
use serde::Serialize;

use crate::error::OfficeError;
use crate::fault::Fault;
use crate::office::Office;

/// One thing that the office needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked, such as `vault`.
    pub name: &'static str,
    /// Whether it can be used.
    pub ok: bool,
    /// The code of the failure, or null.
    pub code: Option<String>,
    /// What to do, or null.
    pub action: Option<String>,
    /// How a program ends that needs it.
    #[serde(skip)]
    pub exit: Exit,
}

impl Check {
    /// A check that passed.
    #[must_use]
    pub const fn passed(name: &'static str) -> Self {
        Self {
            name,
            ok: true,
            code: None,
            action: None,
            exit: Exit::Done,
        }
    }

    /// A check that met this failure.
    #[must_use]
    pub fn failed(name: &'static str, failure: &impl Failing) -> Self {
        Self::failed_with(name, failure.exit(), &failure.code(), &failure.action())
    }

    /// A check that failed, and how a program ends that needs what was checked.
    #[must_use]
    pub fn failed_with(name: &'static str, exit: Exit, code: &str, action: &str) -> Self {
        Self {
            name,
            ok: false,
            code: Some(code.to_owned()),
            action: Some(action.to_owned()),
            exit,
        }
    }
}

/// Seconds between two probes that make a key: the vault journals each, and a probe comes every few seconds.
const PROBE_SECONDS: i64 = 60;

impl Office {
    /// What work needs, each checked by doing it: the ledger writes, the vault answers and at most once a minute makes and opens a key, the photo store
    /// answers, the clock is not behind what the vault has seen.
    pub async fn checks(&self) -> Vec<Check> {
        let ledger = match self.ready().await {
            Ok(()) => Check::passed("ledger"),
            Err(error) => Check::failed("ledger", &error),
        };
        let (vault, clock) = self.check_vault().await;
        let photos = match async { self.photo_store().await?.status().await }.await {
            Ok(status) if status.vault == photo::VaultState::Open => Check::passed("photo_store"),
            Ok(_) => Check::failed_with(
                "photo_store",
                Exit::Absent,
                "VAULT_SEALED",
                "Ask the custodians to open the vault.",
            ),
            Err(error) => Check::failed("photo_store", &OfficeError::from(error)),
        };
        vec![ledger, vault, photos, clock]
    }

    async fn check_vault(&self) -> (Check, Check) {
        use keyvault_protocol::{Error, PhotoKeyContext};
        let checked = async {
            let mut vault = self.vault_client().await?;
            let status = vault.status().await?;
            // Only an open vault answers this.
            vault.anchors().await?;
            let now = self.clock.now().as_second();
            if now - self.probed.load(Ordering::Relaxed) >= PROBE_SECONDS {
                let context = PhotoKeyContext {
                    photo_id: [0; 16],
                    person: [0; 16],
                    // No photo has this profile, so the key opens nothing.
                    profile: "readiness".to_owned(),
                    version: 1,
                };
                let (made, wrapped) = vault.photo_key_new(&context).await?;
                let opened = vault.photo_key_open(&context, &wrapped).await?;
                if made != opened {
                    return Err(Error::NotOpened);
                }
                self.probed.store(now, Ordering::Relaxed);
            }
            Ok(status.high_water)
        }
        .await;
        match checked {
            Ok(high_water) if high_water <= self.clock.now() => {
                (Check::passed("vault"), Check::passed("clock"))
            }
            Ok(_) => (
                Check::passed("vault"),
                Check::failed_with(
                    "clock",
                    Exit::Damaged,
                    "CLOCK_BEHIND",
                    "Set the machine's clock: the vault has seen a later time.",
                ),
            ),
            Err(error) => (
                Check::failed_with(
                    "vault",
                    Fault::of_vault(&error).exit(),
                    error.code(),
                    "Start the vault and have the custodians open it.",
                ),
                Check::failed_with(
                    "clock",
                    Exit::Absent,
                    "NOT_CHECKED",
                    "The vault has to answer first.",
                ),
            ),
        }
    }
}
