//! What work needs, each checked by doing it.

use std::sync::atomic::Ordering;

use photo_store_protocol as photo;
use program_contract::{Failing as _, Failure, Language};
use serde::Serialize;

use crate::error::OfficeError;
use crate::fault::Fault;
use crate::office::Office;

program_contract::failures! {
    fn photo_store_without_vault() = Absent "VAULT_SEALED" {
        "密钥库已封存，照片库不能工作", "the vault is sealed, and the photo store cannot work";
        "请保管人将密钥库解封。", "Ask the custodians to open the vault.";
    }
    fn vault_away(what) = Absent "VAULT" {
        "{what}", "{what}";
        "请启动密钥库，并请保管人解封。", "Start the vault and have the custodians open it.";
    }
    fn clock_behind() = Damaged "CLOCK_BEHIND" {
        "本机时钟早于密钥库见过的时间", "the machine's clock is behind a time that the vault has seen";
        "请校准本机时钟：密钥库见过更晚的时间。", "Set the machine's clock: the vault has seen a later time.";
    }
    fn clock_not_checked() = Absent "NOT_CHECKED" {
        "密钥库没有应答，时钟未核对", "the vault does not answer, and the clock was not checked";
        "须先恢复密钥库。", "The vault has to answer first.";
    }
}

/// One thing that the office needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// What was checked, such as `vault`.
    pub name: &'static str,
    /// Why it cannot be used.
    pub failure: Option<Failure>,
}

/// A check as programs and the API show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckNow {
    /// What was checked, such as `vault`.
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
        Self { name, failure: None }
    }

    /// A check that met this failure.
    #[must_use]
    pub fn failed(name: &'static str, failure: impl Into<Failure>) -> Self {
        Self {
            name,
            failure: Some(failure.into()),
        }
    }

    /// The check, with what to do in the one language that there is room for.
    #[must_use]
    pub fn now(&self, language: Language) -> CheckNow {
        let failure = self.failure.as_ref();
        CheckNow {
            name: self.name,
            ok: failure.is_none(),
            code: failure.map(|failure| failure.code.clone().into_owned()),
            action: failure.map(|failure| failure.said(language).1.to_owned()),
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
            Err(error) => Check::failed("ledger", error),
        };
        let (vault, clock) = self.check_vault().await;
        let photos = match async { self.photo_store().await?.status().await }.await {
            Ok(status) if status.vault == photo::VaultState::Open => Check::passed("photo_store"),
            Ok(_) => Check::failed("photo_store", photo_store_without_vault()),
            Err(error) => Check::failed("photo_store", OfficeError::from(error)),
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
            Ok(_) => (Check::passed("vault"), Check::failed("clock", clock_behind())),
            Err(error) => {
                let mut away = vault_away((error.chinese().0, error.to_string()));
                away.exit = Fault::of_vault(&error).exit();
                away.code = error.code().into();
                (
                    Check::failed("vault", away),
                    Check::failed("clock", clock_not_checked()),
                )
            }
        }
    }
}
