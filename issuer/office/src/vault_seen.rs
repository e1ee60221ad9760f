//! What the office remembers of its vault: the largest generation of the store that it saw. A vault that shows an earlier one was put
//! back, and is not worked with until two people say that it was meant.
//!
//! What is seen is written down every [`STEP`] generations and beside the work, so that no work waits for it: a vault that was put
//! back by fewer may pass. Left out: what the vault did since; the journal tells.

use std::sync::atomic::Ordering;

use issuer_store::VaultSeen;
use keyvault_protocol as vault;
use permit_domain::StaffId;

use crate::error::OfficeError;
use crate::office::Office;

/// How far the vault may go on before it is written down again.
pub(crate) const STEP: u64 = 16;

/// What somebody's word did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restored {
    /// Another person has to say so too.
    Proposed,
    /// The office works with the vault again.
    Accepted,
}

impl Office {
    /// Refuses a vault whose store is of an earlier generation than the office saw.
    pub(crate) async fn hold_against_memory(&self, generation: u64) -> Result<(), vault::Error> {
        let seen = async { Ok::<_, OfficeError>(self.read().await?.vault_seen().await?) };
        let Ok(VaultSeen { generation: seen, .. }) = seen.await else {
            // Whoever cannot read the ledger does no work with the vault either, and says why.
            return Ok(());
        };
        if generation < seen {
            return Err(rolled_back(generation, seen));
        }
        if generation >= seen + STEP && !self.writing.swap(true, Ordering::AcqRel) {
            let office = self.clone();
            tokio::spawn(async move {
                // A ledger that takes no write is told by the work beside, and the next connection tries again.
                let _ = office.remember(generation).await;
                office.writing.store(false, Ordering::Release);
            });
        }
        Ok(())
    }

    async fn remember(&self, generation: u64) -> Result<(), OfficeError> {
        let mut tx = self.begin().await?;
        tx.saw_vault(generation).await?;
        Ok(tx.commit_without_entry().await?)
    }

    /// Takes a person's word that the vault was put back to this generation on purpose. Two people have to say the same.
    ///
    /// # Errors
    /// [`OfficeError::NotRolledBack`] where the office saw nothing later; [`permit_domain::Error::SamePersonTwice`]; the ledger's.
    pub async fn accept_restored(
        &self,
        generation: u64,
        by: (&'static str, &StaffId),
    ) -> Result<Restored, OfficeError> {
        let mut tx = self.begin().await?;
        let mut seen = tx.vault_seen().await?;
        if generation >= seen.generation {
            return Err(OfficeError::NotRolledBack);
        }
        let done = match &seen.proposed {
            Some((proposed, first)) if *proposed == generation && first == by.1 => {
                return Err(permit_domain::Error::SamePersonTwice {
                    first: by.0,
                    second: by.0,
                }
                .into());
            }
            Some((proposed, _)) if *proposed == generation => {
                (seen.generation, seen.proposed) = (generation, None);
                Restored::Accepted
            }
            _ => {
                seen.proposed = Some((generation, by.1.clone()));
                Restored::Proposed
            }
        };
        let appended = tx.set_vault_seen(&seen, by).await?;
        tx.commit(appended).await?;
        Ok(done)
    }
}

fn rolled_back(found: u64, seen: u64) -> vault::Error {
    vault::Error::Refused(vault::Refusal {
        code: vault::RefusalCode::RolledBack,
        message: format!(
            "the vault's store is of generation {found}, and this office has seen generation {seen} of it"
        ),
        action: format!(
            "write nothing; find out who put this store there, and put the newest one back. After a restore that was decided on, two people say so: `issuer vault accept-restored --generation {found}`"
        ),
        message_zh: format!("密钥库的存储是第 {found} 代，而本机关已见过第 {seen} 代"),
        action_zh: format!(
            "不得写入；请查明是谁放入了旧的存储，并换回最新的；经决定恢复备份的，由两人分别确认：`issuer vault accept-restored --generation {found}`"
        ),
    })
}
