//! What work needs, each checked by doing it.

use std::time::Duration;

use jiff::Timestamp;
use keyvault_protocol as vault;
use keyvault_protocol::{RefusalCode, RoleKeyState};
use photo_store_protocol as photo;
use photo_store_protocol::FailureCode;
use program_contract::{Exit, Failure, Language};
use serde::Serialize;

use crate::connection::Stream;
use crate::error::OfficeError;
use crate::fault::Fault;
use crate::office::Office;

program_contract::failures! {
    fn photo_store_without_vault() = Absent "VAULT_SEALED" {
        "密钥库已封存，照片库不能工作", "the vault is sealed, and the photo store cannot work";
        "请保管人将密钥库解封。", "Ask the custodians to open the vault.";
    }
    fn clock_behind() = Damaged "CLOCK_BEHIND" {
        "本机时钟早于密钥库见过的时间", "the machine's clock is behind a time that the vault has seen";
        "请校准本机时钟：密钥库见过更晚的时间。", "Set the machine's clock: the vault has seen a later time.";
    }
    fn photo_store_not_checked() = Absent "NOT_CHECKED" {
        "密钥库没有应答，照片库在等它", "the vault does not answer, and the photo store waits for it";
        "须先恢复密钥库。", "The vault has to answer first.";
    }
    fn cards_not_checked() = Absent "NOT_CHECKED" {
        "密钥库没有应答，所制的卡未核对", "the vault does not answer, and its cards were not checked";
        "须先恢复密钥库。", "The vault has to answer first.";
    }
    fn card_unknown(number) = Damaged "CARD_UNKNOWN_TO_VAULT" {
        "密钥库不认得本机关最近写成的卡 {number}：它是从较早的备份恢复的",
        "the vault does not know this office's newest card {number}: it was restored from an older copy";
        "请停止密钥库，恢复最新的副本；没有的，须更换副本之后所制的卡。",
        "Stop the vault and restore its newest copy; where there is none, replace the cards that were made after the copy.";
    }
    fn no_active_key(role, region) = Damaged "NO_ACTIVE_VERSION" {
        "{role} 在 {region} 没有启用（ACTIVE）的密钥版本", "{role} in {region} has no Active key version";
        "请由两名密钥官员用 `keyvault request new rotate-role` 生成。", "Let two key officers make one with `keyvault request new rotate-role`.";
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

    /// The same, saying at which socket nobody was found.
    fn at(mut self, socket: &str) -> Self {
        if let Some(failure) = &mut self.failure {
            failure.message = format!("{} ({socket})", failure.message.trim_end_matches('.'));
            failure.chinese.0 = format!("{}（{socket}）", failure.chinese.0.trim_end_matches('。'));
        }
        self
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

/// How long a service may take for its checks; one that hangs is told, not waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What an open vault answered.
struct Answered {
    high_water: Timestamp,
    cards: Check,
}

impl Office {
    /// What work needs, each checked by doing it: the ledger takes an entry, the vault is open and knows the card that was written
    /// last, the photo store answers, the clock is behind neither vault nor ledger. The vault is asked for what it does not journal:
    /// who may look whether work can be done is anybody, and nobody fills its journal by it.
    pub async fn checks(&self) -> Vec<Check> {
        let (entry, vault, photos) = tokio::join!(
            self.takes_an_entry(),
            tokio::time::timeout(PATIENCE, self.ask_vault()),
            tokio::time::timeout(PATIENCE, async { self.photo_store().await?.status().await }),
        );
        let vault = vault.unwrap_or(Err(vault::Error::NoAnswer));
        let photos = match photos {
            Ok(Ok(status)) => match status.vault {
                photo::VaultState::Open => Check::passed("photo_store"),
                photo::VaultState::Sealed => Check::failed("photo_store", photo_store_without_vault()),
                photo::VaultState::Refused => photos_failed(photo::Error::Failed(FailureCode::VaultRefused)),
                _ => photos_failed(photo::Error::Failed(FailureCode::VaultUnreachable)),
            },
            Ok(Err(error)) => {
                let is_nobody = matches!(
                    error.code(),
                    FailureCode::StoreUnreachable | FailureCode::StoreOtherUser
                );
                let failed = photos_failed(error);
                if is_nobody {
                    failed.at(self.photos.name())
                } else {
                    failed
                }
            }
            // It waits for the vault itself.
            Err(_) if vault.is_err() => Check::failed("photo_store", photo_store_not_checked()),
            Err(_) => photos_failed(photo::Error::Failed(FailureCode::StoreUnreachable)),
        };
        let clock = |high_water| {
            if high_water <= self.clock.now() {
                Check::passed("clock")
            } else {
                Check::failed("clock", clock_behind())
            }
        };
        let (vault, cards, clock) = match vault {
            Ok(answered) => (Check::passed("vault"), answered.cards, clock(answered.high_water)),
            Err(error) => (
                vault_failed(error, self.vault().way.name()),
                Check::failed("cards", cards_not_checked()),
                Check::failed("clock", clock_not_checked()),
            ),
        };
        let (ledger, clock) = match entry {
            Ok(()) => (Check::passed("ledger"), clock),
            Err(error @ OfficeError::Store(issuer_store::Error::ClockBehind { .. })) => {
                (Check::passed("ledger"), Check::failed("clock", error))
            }
            Err(error) => (Check::failed("ledger", error), clock),
        };
        vec![ledger, vault, photos, clock, cards]
    }

    async fn ask_vault(&self) -> Result<Answered, vault::Error> {
        let mut client = self.vault_client().await?;
        let status = client.status().await?;
        // Only an open vault answers this.
        client.anchors().await?;
        Ok(Answered {
            high_water: status.high_water,
            cards: self.check_cards(&mut client).await?,
        })
    }

    /// Whether the vault knows the card that was written last, and has a key to write each of its roles anew: a vault that was
    /// put back from an old copy does not.
    async fn check_cards(&self, client: &mut vault::Client<Stream>) -> Result<Check, vault::Error> {
        let newest = async { Ok::<_, OfficeError>(self.read().await?.newest_written_card().await?) };
        let card = match newest.await {
            Ok(Some(card)) => card,
            Ok(None) => return Ok(Check::passed("cards")),
            Err(error) => return Ok(Check::failed("cards", error)),
        };
        let slots = match client.card_versions(card.serial).await {
            Err(error) if error.is(RefusalCode::NotFound) => {
                return Ok(Check::failed("cards", card_unknown(card.number.to_string())));
            }
            answered => answered?,
        };
        let keys = client.role_keys().await?;
        let without = slots.iter().find(|slot| {
            !keys.iter().any(|key| {
                (key.role, key.region, key.state) == (slot.role, slot.region, RoleKeyState::Active)
            })
        });
        Ok(match without {
            None => Check::passed("cards"),
            Some(slot) => Check::failed(
                "cards",
                no_active_key(slot.role.to_string(), slot.region.to_string()),
            ),
        })
    }
}

fn photos_failed(error: photo::Error) -> Check {
    Check::failed("photo_store", OfficeError::from(error))
}

fn vault_failed(error: vault::Error, socket: &str) -> Check {
    let is_nobody = matches!(
        error,
        vault::Error::NotRunning
            | vault::Error::HungUp
            | vault::Error::NotAVault
            | vault::Error::OtherUser(_)
    );
    let failed = Check::failed("vault", away(error));
    if is_nobody { failed.at(socket) } else { failed }
}

/// The vault's failure, of a question behind which nothing waits.
fn away(error: vault::Error) -> Failure {
    let exit = match Fault::of_vault(&error) {
        Fault::Unknown => Exit::Absent,
        fault => fault.exit(),
    };
    let mut away = Failure::from(error);
    away.exit = exit;
    away
}
