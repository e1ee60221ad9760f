//! Which generation of the vault's store the office saw, and which one a person says that the vault was put back to on purpose.

use permit_domain::StaffId;

use crate::{
    entry::Entry,
    error::Error,
    rows::{damaged, value},
    transaction::{Appended, Snapshot, Transaction, on_engine, write_on_engine},
};

/// What the ledger remembers of the vault.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VaultSeen {
    /// The largest generation that was seen; 0 where none was.
    pub generation: u64,
    /// The generation that the vault was put back to, as one person says, and who.
    pub proposed: Option<(u64, StaffId)>,
}

#[derive(sqlx::FromRow)]
struct Row {
    generation: i64,
    proposed: Option<i64>,
    proposed_by: Option<String>,
}

impl Snapshot {
    /// What is remembered of the vault.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn vault_seen(&mut self) -> Result<VaultSeen, Error> {
        const SELECT: &str = "SELECT generation, proposed, proposed_by FROM vault_seen WHERE id = 1";
        let row: Row = on_engine!(self, |c| sqlx::query_as(SELECT).fetch_one(c))?;
        let number = |number: i64| u64::try_from(number).map_err(|_| damaged("vault_seen"));
        let proposed = match (row.proposed, row.proposed_by) {
            (Some(proposed), Some(by)) => Some((number(proposed)?, value(&by, "vault_seen.proposed_by")?)),
            _ => None,
        };
        Ok(VaultSeen {
            generation: number(row.generation)?,
            proposed,
        })
    }
}

impl Transaction {
    /// Remembers a generation that was seen, if none later was. No entry: it is nobody's act.
    ///
    /// # Errors
    /// Outages.
    pub async fn saw_vault(&mut self, generation: u64) -> Result<(), Error> {
        const SAW: &str = "UPDATE vault_seen SET generation = $1 WHERE id = 1 AND generation < $1";
        let generation = stored(generation)?;
        write_on_engine!(self, |c| sqlx::query(SAW).bind(generation).execute(c))?;
        Ok(())
    }

    /// Stores what was seen, and what is proposed, on purpose.
    ///
    /// # Errors
    /// Outages, [`Error::ClockBehind`].
    pub async fn set_vault_seen(
        &mut self,
        seen: &VaultSeen,
        (role, actor): (&str, &StaffId),
    ) -> Result<Appended, Error> {
        const SET: &str =
            "UPDATE vault_seen SET generation = $1, proposed = $2, proposed_by = $3 WHERE id = 1";
        let generation = stored(seen.generation)?;
        let (proposed, by) = match &seen.proposed {
            Some((proposed, by)) => (Some(stored(*proposed)?), Some(by.as_str())),
            None => (None, None),
        };
        write_on_engine!(self, |c| sqlx::query(SET)
            .bind(generation)
            .bind(proposed)
            .bind(by)
            .execute(c))?;
        let (action, of) = match proposed {
            Some(proposed) => ("vault RESTORED_PROPOSED", proposed),
            None => ("vault RESTORED_ACCEPTED", generation),
        };
        self.append(Entry {
            role,
            actor: actor.as_str(),
            action,
            subject: "vault",
            detail: &format!(r#"{{"generation":{of}}}"#),
        })
        .await
    }
}

/// No store is of a generation that does not fit.
fn stored(generation: u64) -> Result<i64, Error> {
    i64::try_from(generation).map_err(|_| damaged("vault_seen"))
}
