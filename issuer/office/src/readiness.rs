//! What work needs, each checked by doing it.

use std::sync::atomic::Ordering;

use photo_store_protocol as photo;
use serde::Serialize;

use crate::office::Office;

/// One thing that the office needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// `ledger`, `vault`, `photo_store` or `clock`.
    pub name: &'static str,
    /// Whether it can be used.
    pub ok: bool,
    /// The code of the failure, or null.
    pub code: Option<String>,
    /// What to do, or null.
    pub action: Option<String>,
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
        }
    }

    /// A check that failed.
    #[must_use]
    pub fn failed(name: &'static str, code: &str, action: &str) -> Self {
        Self {
            name,
            ok: false,
            code: Some(code.to_owned()),
            action: Some(action.to_owned()),
        }
    }
}

/// Seconds between two probes that make a key: the vault journals each, and a probe comes every few seconds.
const PROBE_SECONDS: i64 = 60;

impl Office {
    /// What work needs, each checked by doing it: the ledger writes, the vault answers and at most once a minute makes and opens a key, the photo store
    /// answers, the clock is not behind what the vault has seen.
    pub async fn checks(&self) -> Vec<Check> {
        let ledger = match self.store.ready().await {
            Ok(()) => Check::passed("ledger"),
            Err(error) => Check::failed("ledger", error.code(), error.action()),
        };
        let (vault, clock) = self.check_vault().await;
        let photos = match async { self.photo_store().await?.status().await }.await {
            Ok(status) if status.vault == photo::VaultState::Open => Check::passed("photo_store"),
            Ok(_) => Check::failed(
                "photo_store",
                "VAULT_SEALED",
                "Ask the custodians to open the vault.",
            ),
            Err(error) => Check::failed("photo_store", error.code().as_str(), error.code().texts().action),
        };
        vec![ledger, vault, photos, clock]
    }

    async fn check_vault(&self) -> (Check, Check) {
        use keyvault_protocol::{Client, Error, PhotoKeyContext};
        let checked = async {
            let stream = self.vault().connect().await.map_err(|_| Error::NotRunning)?;
            let mut vault = Client::connect(stream).await?;
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
                Check::failed(
                    "clock",
                    "CLOCK_BEHIND",
                    "Set the machine's clock: the vault has seen a later time.",
                ),
            ),
            Err(error) => (
                Check::failed(
                    "vault",
                    error.code(),
                    "Start the vault and have the custodians open it.",
                ),
                Check::failed("clock", "NOT_CHECKED", "The vault has to answer first."),
            ),
        }
    }
}
