//! What the office works with, and how it reaches it: ledger, rules, artist, vault, clock and random source.
//!
//! The work itself stands in files by subject: intake, decision, ordering, changes, loads, loss, settlement. Each call is
//! durable when it returns.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use issuer_artwork::Artist;
use issuer_store::{LedgerState, Snapshot, Store, Transaction};
use jiff::civil::Date;
use keyvault_protocol as vault;
use permit_domain::{Applicant, ApplicationId, Digest, OrderId, Tier};
use permit_rules::{PurseRules, RuleSet, RuleSets};
use program_contract::{Clock, Founded};

use crate::attempts::Attempts;
use crate::connection::{Dialer, Stream, VaultDoor};
use crate::error::OfficeError;
use crate::random::Random;

/// What the office works with.
#[derive(Debug, Clone)]
pub struct Office {
    store: Store,
    pub(crate) rules: Arc<RuleSets>,
    pub(crate) artist: Arc<Artist>,
    vault: VaultDoor,
    pub(crate) photos: Dialer,
    /// Number of the vault under which the ledger was founded.
    under: Option<[u8; 16]>,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) writing: Arc<AtomicBool>,
    pub(crate) attempts: Attempts,
}

impl Office {
    /// An office.
    #[must_use]
    pub fn new(
        store: Store,
        rules: Arc<RuleSets>,
        artist: Arc<Artist>,
        vault: VaultDoor,
        photos: Dialer,
        clock: Clock,
        random: Random,
    ) -> Self {
        Self {
            store,
            rules,
            artist,
            vault,
            photos,
            under: None,
            clock,
            random,
            writing: Arc::default(),
            attempts: Attempts::default(),
        }
    }

    /// The same office over a ledger that was founded under the vault with this number; none: a ledger of before that was
    /// written down, which is a real one.
    #[must_use]
    pub fn founded_under(self, vault: Option<[u8; 16]>) -> Self {
        Self { under: vault, ..self }
    }

    /// Number of the vault under which the ledger was founded.
    pub(crate) const fn under(&self) -> Option<[u8; 16]> {
        self.under
    }

    /// What the office was founded as.
    #[must_use]
    pub fn founded(&self) -> Founded {
        self.under.map_or(Founded::Real, |vault| Founded::around(&vault))
    }

    /// The clock.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The random source.
    #[must_use]
    pub const fn random(&self) -> &Random {
        &self.random
    }

    /// Who draws faces.
    #[must_use]
    pub fn artist(&self) -> Arc<Artist> {
        Arc::clone(&self.artist)
    }

    /// The rule sets.
    #[must_use]
    pub fn rules(&self) -> &RuleSets {
        &self.rules
    }

    /// The way to the vault.
    #[must_use]
    pub const fn vault(&self) -> &VaultDoor {
        &self.vault
    }

    /// One state of the ledger to read from.
    pub(crate) async fn read(&self) -> Result<Snapshot, OfficeError> {
        Ok(self.store.read().await?)
    }

    /// A transaction that writes to the ledger, now. Nobody else writes while it is open.
    pub(crate) async fn begin(&self) -> Result<Transaction, OfficeError> {
        Ok(self.store.begin(self.clock.now()).await?)
    }

    /// Prepares the ledger: its tables, and the rule sets that decisions will name.
    ///
    /// # Errors
    /// [`OfficeError::Store`]; [`permit_domain::Error::RuleSetEdited`] for a rule set published with another text.
    pub async fn migrate(&self) -> Result<(), OfficeError> {
        self.store.migrate().await?;
        // The usual case needs no writer.
        let (sets, purses) = self.unpublished(&mut self.read().await?).await?;
        if sets.is_empty() && purses.is_empty() {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        let (sets, purses) = self.unpublished(&mut tx).await?;
        let mut last = None;
        for set in sets {
            last = Some(tx.publish_rule_set(set.id(), set.digest(), set.text()).await?);
        }
        for rules in purses {
            let (id, digest, text) = (rules.id(), rules.digest(), rules.text());
            last = Some(tx.publish_purse_rules(id, digest, text).await?);
        }
        if let Some(appended) = last {
            tx.commit(appended).await?;
        }
        Ok(())
    }

    /// The rule sets and purse rules that the ledger does not have yet; refused if it has one with another text.
    async fn unpublished(
        &self,
        ledger: &mut Snapshot,
    ) -> Result<(Vec<&RuleSet>, Vec<&PurseRules>), OfficeError> {
        let (mut sets, mut purses) = (Vec::new(), Vec::new());
        for set in self.rules.iter() {
            match ledger.published_rule_set(set.id()).await? {
                Some(published) => same_text(set.id(), published.digest, set.digest())?,
                None => sets.push(set),
            }
        }
        for rules in self.rules.purses() {
            match ledger.published_purse_rules(rules.id()).await? {
                Some(published) => same_text(rules.id(), published.digest, rules.digest())?,
                None => purses.push(rules),
            }
        }
        Ok((sets, purses))
    }

    /// Whether the ledger answers, is of this version and takes writes.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn ready(&self) -> Result<(), OfficeError> {
        Ok(self.store.ready().await?)
    }

    /// Whether the ledger takes an entry now: there is room for it, and the clock is not behind the last one.
    ///
    /// # Errors
    /// The ledger's.
    pub(crate) async fn takes_an_entry(&self) -> Result<(), OfficeError> {
        self.store.ready().await?;
        Ok(self.store.takes_an_entry(self.clock.now()).await?)
    }

    /// Reads the whole ledger and checks every link.
    ///
    /// # Errors
    /// [`issuer_store::Error::BrokenLedger`]; outages.
    pub async fn verify_ledger(&self) -> Result<LedgerState, OfficeError> {
        Ok(self.read().await?.verify_ledger().await?)
    }

    /// Ends every connection to the ledger; waits for the ones in use.
    pub async fn close(&self) {
        self.store.close().await;
    }

    /// A new id from the clock and the random source.
    #[must_use]
    pub fn new_application_id(&self) -> ApplicationId {
        ApplicationId::new(self.clock.now(), self.random.bytes())
    }

    /// As [`Office::new_application_id`], of an order.
    #[must_use]
    pub fn new_order_id(&self) -> OrderId {
        OrderId::new(self.clock.now(), self.random.bytes())
    }

    /// As [`Office::new_application_id`], of a change.
    #[must_use]
    pub fn new_change_id(&self) -> permit_domain::ChangeId {
        permit_domain::ChangeId::new(self.clock.now(), self.random.bytes())
    }

    pub(crate) fn purse_cap(&self, applicant: &Applicant, tier: Tier, on: Date) -> Option<u32> {
        self.rules()
            .purse_in_force(&applicant.residence.division, on)
            .and_then(|rules| rules.limits(tier))
            .map(|limits| limits.cap)
    }

    pub(crate) fn set_in_force(&self, applicant: &Applicant, today: Date) -> Result<&RuleSet, OfficeError> {
        self.rules()
            .in_force(&applicant.residence.division, today)
            .ok_or(OfficeError::NoRuleSet)
    }

    /// A connection to the vault, as the issuer's service.
    ///
    /// # Errors
    /// The vault is away, speaks another version, is not the one of this office's founding, or was put back.
    pub async fn vault_client(&self) -> Result<vault::Client<Stream>, vault::Error> {
        self.of_this_office(self.vault.open(self.vault.issuer.as_ref()).await?)
            .await
    }

    /// A connection to the vault, as the settlement.
    ///
    /// # Errors
    /// As [`Self::vault_client`].
    pub(crate) async fn settlement_client(&self) -> Result<vault::Client<Stream>, vault::Error> {
        self.of_this_office(self.vault.open(self.vault.settlement.as_ref()).await?)
            .await
    }

    /// Refuses anchors of another vault than the one of this office's founding.
    ///
    /// # Errors
    /// [`vault::RefusalCode::WrongVault`].
    pub fn check_vault(&self, vault: &[u8; 16]) -> Result<(), OfficeError> {
        let is_ours = match self.under {
            Some(under) => under == *vault,
            None => !Founded::around(vault).is_rehearsal(),
        };
        if is_ours {
            Ok(())
        } else {
            Err(wrong_vault().into())
        }
    }

    async fn of_this_office(
        &self,
        client: vault::Client<Stream>,
    ) -> Result<vault::Client<Stream>, vault::Error> {
        if self.check_vault(&client.vault()).is_err() {
            return Err(wrong_vault());
        }
        if let Some(generation) = client.generation() {
            self.hold_against_memory(generation).await?;
        }
        Ok(client)
    }
}

fn wrong_vault() -> vault::Error {
    vault::Error::Refused(vault::Refusal {
        code: vault::RefusalCode::WrongVault,
        message: "this office was founded under another vault".to_owned(),
        action: "correct `vault` in issuer.toml and the anchors; an office works with the vault of its founding alone"
            .to_owned(),
        message_zh: "本机关是在另一个密钥库下建立的".to_owned(),
        action_zh: "请改正 issuer.toml 中的 `vault` 和锚点文件；机关只与建立时的密钥库配合".to_owned(),
    })
}

/// Refuses a rule set that is not published, or was published with another text.
pub(crate) async fn published_as(ledger: &mut Snapshot, id: &str, now: Digest) -> Result<(), OfficeError> {
    let published = ledger.published_rule_set(id).await?;
    let published = published.ok_or(issuer_store::Error::Missing { what: "rule set" })?;
    Ok(same_text(id, published.digest, now)?)
}

fn same_text(id: &str, published: Digest, now: Digest) -> Result<(), permit_domain::Error> {
    if published == now {
        return Ok(());
    }
    Err(permit_domain::Error::RuleSetEdited {
        id: id.to_owned(),
        published,
        now,
    })
}
