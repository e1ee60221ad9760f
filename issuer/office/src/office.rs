//! What the office works with, and how it reaches it: ledger, rules, artist, vault, clock and random source.
//!
//! The work itself stands in files by subject: intake, decision, ordering, changes, loads, loss, settlement. Each call is
//! durable when it returns.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use issuer_artwork::Artist;
use issuer_store::Store;
use jiff::civil::Date;
use keyvault_protocol as vault;
use permit_domain::{Applicant, ApplicationId, OrderId, Tier};
use permit_rules::{RuleSet, RuleSets};
use program_contract::Clock;

use crate::connection::{Dialer, Stream};
use crate::error::OfficeError;
use crate::random::Random;

/// What the office works with.
#[derive(Debug, Clone)]
pub struct Office {
    pub(crate) store: Store,
    pub(crate) rules: Arc<RuleSets>,
    pub(crate) artist: Arc<Artist>,
    vault: Dialer,
    pub(crate) photos: Dialer,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    /// When the vault last made and opened a key for a probe, seconds since 1970; 0: never.
    pub(crate) probed: Arc<AtomicI64>,
}

impl Office {
    /// An office.
    #[must_use]
    pub fn new(
        store: Store,
        rules: Arc<RuleSets>,
        artist: Arc<Artist>,
        vault: Dialer,
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
            clock,
            random,
            probed: Arc::default(),
        }
    }

    /// The ledger.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
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
    pub const fn vault(&self) -> &Dialer {
        &self.vault
    }

    /// Prepares the ledger: its tables, and the rule sets that decisions will name.
    ///
    /// # Errors
    /// [`OfficeError::Store`]; [`permit_domain::Error::RuleSetEdited`] for a rule set published with another text.
    pub async fn migrate(&self) -> Result<(), OfficeError> {
        self.store.migrate().await?;
        for set in self.rules.iter() {
            self.store.publish_rule_set(set, self.clock.now()).await?;
        }
        for rules in self.rules.purses() {
            self.store.publish_purse_rules(rules, self.clock.now()).await?;
        }
        Ok(())
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

    /// A connection to the vault.
    ///
    /// # Errors
    /// The vault is away, or speaks another version.
    pub async fn vault_client(&self) -> Result<vault::Client<Stream>, vault::Error> {
        let stream = self
            .vault()
            .connect()
            .await
            .map_err(|_| vault::Error::NotRunning)?;
        vault::Client::connect(stream).await
    }
}
