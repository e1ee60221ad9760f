//! A ledger for one test, and each decision of the office in a transaction of its own.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use issuer_artwork::{Artist, CardFonts};
use issuer_mandate::{CardItems, Given, SignerRole};
use issuer_signing::{REHEARSAL_ORIGIN, RehearsalKey};
use issuer_store::{Appended, Card, Store, StoredApplication, StoredCardChange, Submission};
use jiff::Timestamp;
use jiff::civil::Date;
use permit_domain::payment::{CardPseudonym, CheckedFile, Registration};
use permit_domain::{
    Applicant, Application, ApplicationId, Approver, CardChange, CardNumber, CardSerial, ChangeId, Decision,
    Digest, Order, Permit, PermitId, PersonId, Purse, StaffId, Standing,
};
use permit_rules::{PurseRules, RuleSets};
use photo_store_protocol::PhotoId;
use program_contract::Clock;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tempfile::TempDir;

use super::people::{Engine, TODAY, at, guangdong, n, who};
use crate::connection::{Dialer, VaultDoor};
use crate::error::OfficeError;
use crate::frozen_case::{CardPlan, FrozenCase};
use crate::frozen_photo::FrozenPhoto;
use crate::loads::LoadOutcome;
use crate::office::Office;
use crate::random::Random;
use crate::settlement::Imported;
use crate::signing_keys::Signer;
use crate::{changes, completion, decision, intake, loads, loss, on_file, ordering, settlement, updates};

/// Number of the vault of a rehearsal.
const REHEARSAL: [u8; 16] = *b"officeofREHEARSE";

/// Fonts are read once.
static ARTIST: OnceLock<Arc<Artist>> = OnceLock::new();

/// A store of its own for one test.
pub(crate) struct Ledger {
    pub(crate) store: Store,
    pub(crate) url: String,
    pub(crate) rules: RuleSets,
    _folder: Option<TempDir>,
}

async fn committed<T>(
    tx: issuer_store::Transaction,
    (value, appended): (T, Appended),
) -> Result<T, OfficeError> {
    tx.commit(appended).await?;
    Ok(value)
}

/// Each decision in a transaction of its own.
pub(crate) trait Book {
    fn ledger(&self) -> &Store;

    async fn submit(&self, new: Submission<'_>, at: Timestamp) -> Result<Application, OfficeError> {
        let mut tx = self.ledger().begin(at).await?;
        let done = intake::file(&mut tx, new).await?;
        committed(tx, done).await
    }

    async fn save_application(&self, it: Application, at: Timestamp) -> Result<Application, OfficeError> {
        let mut tx = self.ledger().begin(at).await?;
        let done = tx.update_application(it).await?;
        committed(tx, done).await
    }

    async fn withdraw(&self, it: Application, at: Timestamp) -> Result<Application, OfficeError> {
        let mut tx = self.ledger().begin(at).await?;
        let clerk = "liu".parse().unwrap();
        let it = it.withdraw(&clerk)?;
        let done = tx.withdraw_application(it, &clerk, None).await?;
        committed(tx, done).await
    }

    async fn record_review(
        &self,
        application: Application,
        decision: &Decision,
        at: Timestamp,
    ) -> Result<Application, OfficeError> {
        let mut tx = self.ledger().begin(at).await?;
        let done = decision::review(&mut tx, application, 1, decision).await?;
        committed(tx, done).await
    }

    async fn record_approval(
        &self,
        application: Application,
        permit: &Permit,
        at: Timestamp,
    ) -> Result<Application, OfficeError> {
        let mut tx = self.ledger().begin(at).await?;
        let done = decision::approve(&mut tx, application, permit).await?;
        committed(tx, done).await
    }

    async fn receive_blanks(
        &self,
        serials: &[CardSerial],
        lot: &str,
        by: &StaffId,
        at: Timestamp,
    ) -> Result<(), OfficeError> {
        let mut tx = self.ledger().begin(at).await?;
        let appended = tx.receive_blanks(serials, lot, by).await?;
        committed(tx, ((), appended)).await
    }

    async fn recall_lot(&self, lot: &str, by: &StaffId, at: Timestamp) -> Result<u64, OfficeError> {
        let mut tx = self.ledger().begin(at).await?;
        let done = tx.recall_lot(lot, by).await?;
        committed(tx, done).await
    }

    async fn order_production(&self, order: &Order, at: Timestamp) -> Result<Order, OfficeError> {
        let mut tx = self.ledger().begin(at).await?;
        let appended = ordering::enter(&mut tx, order, TODAY).await?;
        committed(tx, (order.clone(), appended)).await
    }

    async fn allocate_card(
        &self,
        order: Order,
        serial: CardSerial,
        at: Timestamp,
    ) -> Result<Order, OfficeError> {
        let mut tx = self.ledger().begin(at).await?;
        let done = ordering::allocate(&mut tx, order, guangdong(), serial, ("producer", "sun")).await?;
        committed(tx, done).await
    }

    async fn advance_order(&self, order: Order, result: &str, at: Timestamp) -> Result<Order, OfficeError> {
        let (role, actor) = who(&order);
        let mut tx = self.ledger().begin(at).await?;
        let done = ordering::advance(&mut tx, order, (role, &actor), result).await?;
        committed(tx, done).await
    }

    async fn propose_change(
        &self,
        change: &CardChange,
        permit: &Permit,
        applicant: Option<&Applicant>,
        decision: Option<&Decision>,
        at: Timestamp,
    ) -> Result<StoredCardChange, OfficeError> {
        let new = StoredCardChange {
            change: change.clone(),
            applicant: applicant.cloned(),
            decision: decision.cloned(),
            load: None,
            permit_version: permit.version(),
            granted: None,
            sealing_since: None,
        };
        let mut tx = self.ledger().begin(at).await?;
        let appended = changes::enter(&mut tx, &new).await?;
        committed(tx, (new, appended)).await
    }

    async fn approve_change(
        &self,
        stored: StoredCardChange,
        approver: Approver,
        on: Date,
        at: Timestamp,
    ) -> Result<StoredCardChange, OfficeError> {
        let mut tx = self.ledger().begin(at).await?;
        let done = changes::sign_off(&mut tx, stored, approver, on).await?;
        committed(tx, done).await
    }

    async fn book_load(
        &self,
        change: &CardChange,
        amount: u32,
        rules: &PurseRules,
        at: Timestamp,
    ) -> Result<LoadOutcome, OfficeError> {
        let mut tx = self.ledger().begin(at).await?;
        let (outcome, appended) = loads::book(&mut tx, change, amount, rules, TODAY).await?;
        if let Some(appended) = appended {
            tx.commit(appended).await?;
        }
        Ok(outcome)
    }

    async fn see_purse(&self, card: &CardNumber, shown: Purse, at: Timestamp) -> Result<Purse, OfficeError> {
        let mut tx = self.ledger().begin(at).await?;
        let seen = loads::see(&mut tx, card, shown).await?;
        tx.commit_without_entry().await?;
        Ok(seen)
    }

    async fn advance_change(
        &self,
        change: CardChange,
        by: (&str, &str),
        at: Timestamp,
    ) -> Result<CardChange, OfficeError> {
        let mut tx = self.ledger().begin(at).await?;
        let done = changes::advance(&mut tx, change, by).await?;
        committed(tx, done).await
    }

    /// As the clerk: queued, each number as it comes, then all of them.
    async fn queue_change(
        &self,
        change: CardChange,
        sealed: &[[u8; 16]],
        at: Timestamp,
    ) -> Result<CardChange, OfficeError> {
        let id = change.id();
        self.begin_queue(id, "liu", at).await?;
        for update in sealed {
            self.update_sealed(id, update, at).await?;
        }
        self.end_queue(id, sealed, at).await
    }

    async fn begin_queue(&self, id: ChangeId, by: &str, at: Timestamp) -> Result<CardChange, OfficeError> {
        let mut tx = self.ledger().begin(at).await?;
        let stored = on_file::change(&mut tx, id).await?;
        let (stored, appended) = updates::queue(&mut tx, stored, &by.parse()?, TODAY).await?;
        if let Some(appended) = appended {
            tx.commit(appended).await?;
        }
        Ok(stored.change)
    }

    async fn update_sealed(&self, id: ChangeId, update: &[u8; 16], at: Timestamp) -> Result<(), OfficeError> {
        let mut tx = self.ledger().begin(at).await?;
        updates::keep(&mut tx, id, update).await?;
        Ok(tx.commit_without_entry().await?)
    }

    async fn end_queue(
        &self,
        id: ChangeId,
        sealed: &[[u8; 16]],
        at: Timestamp,
    ) -> Result<CardChange, OfficeError> {
        let mut tx = self.ledger().begin(at).await?;
        let by = ("change clerk", "liu");
        match updates::all_sealed(&mut tx, id, sealed, by, TODAY).await? {
            Some(appended) => tx.commit(appended).await?,
            None => tx.commit_without_entry().await?,
        }
        let stored = on_file::change(&mut self.ledger().read().await?, id).await?;
        Ok(stored.change)
    }

    async fn updates_done(
        &self,
        sealed: &[[u8; 16]],
        by: &StaffId,
        on: Date,
        at: Timestamp,
    ) -> Result<Vec<ChangeId>, OfficeError> {
        let mut tx = self.ledger().begin(at).await?;
        let (done, appended) = updates::finish(&mut tx, sealed, by, on).await?;
        match appended {
            Some(appended) => tx.commit(appended).await?,
            None => tx.commit_without_entry().await?,
        }
        Ok(done)
    }

    async fn save_standing(
        &self,
        card: Card,
        standing: Standing,
        by: (&str, &str),
        at: Timestamp,
    ) -> Result<Card, OfficeError> {
        let mut tx = self.ledger().begin(at).await?;
        let done = loss::enter(&mut tx, card, standing, by).await?;
        committed(tx, done).await
    }

    async fn replace_card(
        &self,
        card: Card,
        standing: Standing,
        by: (&str, &str),
        at: Timestamp,
    ) -> Result<Card, OfficeError> {
        let mut tx = self.ledger().begin(at).await?;
        let permit = tx.permit(card.permit).await?.unwrap();
        let done = loss::replace(&mut tx, card, permit, standing, by).await?;
        committed(tx, done).await
    }

    async fn register_terminal(
        &self,
        terminal: &Registration,
        by: &StaffId,
        at: Timestamp,
    ) -> Result<(), OfficeError> {
        let mut tx = self.ledger().begin(at).await?;
        if let Some(appended) = settlement::register(&mut tx, terminal, by).await? {
            tx.commit(appended).await?;
        }
        Ok(())
    }

    async fn withdraw_terminal(
        &self,
        tid: u32,
        after: Date,
        by: &StaffId,
        at: Timestamp,
    ) -> Result<Registration, OfficeError> {
        let mut tx = self.ledger().begin(at).await?;
        let (terminal, appended) = settlement::withdraw(&mut tx, tid, after, by).await?;
        if let Some(appended) = appended {
            tx.commit(appended).await?;
        }
        Ok(terminal)
    }

    async fn import_settlement(
        &self,
        files: &[CheckedFile],
        by: &StaffId,
        at: Timestamp,
    ) -> Result<Imported, OfficeError> {
        let mut tx = self.ledger().begin(at).await?;
        let (imported, appended) = settlement::import(
            &mut tx,
            files,
            program_contract::day::of(at),
            &BTreeSet::new(),
            by,
        )
        .await?;
        if let Some(appended) = appended {
            tx.commit(appended).await?;
        }
        Ok(imported)
    }

    async fn denied(&self, card: CardPseudonym, at: Timestamp) -> Result<(), OfficeError> {
        let mut tx = self.ledger().begin(at).await?;
        tx.set_denied(card).await?;
        Ok(tx.commit_without_entry().await?)
    }
}

impl Book for Store {
    fn ledger(&self) -> &Store {
        self
    }
}

async fn migrated(url: String) {
    Store::found(&url, &[7; 16]).await.unwrap().close().await;
}

impl Ledger {
    /// An empty, migrated store with the rules published.
    pub(crate) async fn open(engine: Engine) -> Self {
        let ledger = Self::unpublished(engine).await;
        let set = ledger.rules.get(RuleSets::DEFAULT).unwrap();
        let mut tx = ledger.store.begin(at()).await.unwrap();
        let mut appended = tx
            .publish_rule_set(set.id(), set.digest(), set.text())
            .await
            .unwrap();
        for rules in ledger.rules.purses() {
            appended = tx
                .publish_purse_rules(rules.id(), rules.digest(), rules.text())
                .await
                .unwrap();
        }
        tx.commit(appended).await.unwrap();
        ledger
    }

    /// An empty, migrated store.
    pub(crate) async fn unpublished(engine: Engine) -> Self {
        let (url, folder) = match engine {
            Engine::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                (
                    format!("sqlite:{}", folder.path().join("issuer.db").display()),
                    Some(folder),
                )
            }
            Engine::Postgres => (scratch_postgres::database(migrated).await, None),
        };
        let store = match engine {
            // A copy of a founded one.
            Engine::Postgres => Store::open(&url).await.unwrap(),
            Engine::Sqlite => Store::found(&url, &[7; 16]).await.unwrap(),
        };
        Self {
            store,
            url,
            rules: RuleSets::embedded().unwrap(),
            _folder: folder,
        }
    }

    /// A second set of connections to the same database.
    pub(crate) async fn again(&self) -> Store {
        Store::open(&self.url).await.unwrap()
    }

    pub(crate) fn decision(&self, applicant: &Applicant) -> Decision {
        self.rules
            .get(RuleSets::DEFAULT)
            .unwrap()
            .decide(applicant, TODAY, self.rules.calendar())
            .unwrap()
    }

    pub(crate) async fn submit(&self, applicant: &Applicant, number: u8) -> Application {
        let submission = Submission {
            id: ApplicationId::new(at(), n(number)),
            person: PersonId::new(at(), n(number)),
            applicant,
            intake: "liu".parse().unwrap(),
            on: TODAY,
        };
        self.store.submit(submission, at()).await.unwrap()
    }

    pub(crate) async fn accepted(&self, applicant: &Applicant, number: u8) -> Application {
        let application = self.submit(applicant, number).await;
        self.store
            .save_application(application.accept(TODAY).unwrap(), at())
            .await
            .unwrap()
    }

    /// Ends the intake of an accepted application with a photo that no store has; the digest that stands for it.
    pub(crate) async fn complete(&self, id: ApplicationId, clerk: &str, picture: &[u8]) -> Digest {
        self.complete_at(at(), id, clerk, picture).await
    }

    /// As above, later.
    pub(crate) async fn complete_at(
        &self,
        now: Timestamp,
        id: ApplicationId,
        clerk: &str,
        picture: &[u8],
    ) -> Digest {
        let mut tx = self.store.begin(now).await.unwrap();
        let read = on_file::application(&mut tx, id).await.unwrap();
        let (frozen, items) = self.frozen(&read, picture);
        let digest = frozen.to_content().unwrap().digest();
        let division = &read.applicant.residence.division;
        let office = self.service_at(now);
        let mandate = office.mandate(id, digest, division, items).unwrap();
        let new = (&frozen, Some(&mandate[..]));
        let done = completion::enter(&mut tx, &read, new, clerk.parse().unwrap(), TODAY).await;
        if let Some(appended) = done.unwrap() {
            tx.commit(appended).await.unwrap();
        }
        digest
    }

    /// What a sample person signs of a case, with a key file that is enrolled now.
    pub(crate) async fn signs(&self, account: &str, role: SignerRole, id: ApplicationId) -> Given {
        let office = self.service();
        let key = self.key_of(account, role).await;
        let to_sign = office.to_sign(id, &account.parse().unwrap(), role).await.unwrap();
        key.sign(&to_sign.mandate).unwrap()
    }

    /// Reviewed and signed off.
    pub(crate) async fn decided(&self, id: ApplicationId, content: Digest) -> StoredApplication {
        let office = self.service();
        let signed = self.signs("wang", SignerRole::Reviewer, id).await;
        let wang = "wang".parse().unwrap();
        office.review(id, wang, content, Some(&signed)).await.unwrap();
        let signed = self.signs("zhao", SignerRole::Approver, id).await;
        let zhao = "zhao".parse().unwrap();
        office.approve(id, zhao, content, Some(&signed)).await.unwrap()
    }

    /// Takes every mandate away, as somebody does who has the database.
    pub(crate) async fn without_mandates(&self) {
        match &self.store {
            Store::Sqlite(pool) => {
                let all = "DROP TRIGGER mandates_no_delete; DELETE FROM mandates;";
                sqlx::raw_sql(all).execute(pool).await.unwrap();
            }
            Store::Postgres(pool) => {
                let all = "SET session_replication_role = replica; DELETE FROM mandates; RESET session_replication_role";
                sqlx::raw_sql(all).execute(pool).await.unwrap();
            }
        }
    }

    /// The key file of a sample person, enrolled for the whole country.
    pub(crate) async fn key_of(&self, account: &str, role: SignerRole) -> RehearsalKey {
        let seed = Digest::of(format!("{account} {role:?}").as_bytes());
        let key = RehearsalKey::from_bytes(seed.as_bytes()).unwrap();
        let signer = Signer {
            account: account.parse().unwrap(),
            role,
            organ: "100000".parse().unwrap(),
        };
        let ids = (&key.credential()[..], &key.public_key());
        self.service()
            .enrol_rehearsal_key(signer, REHEARSAL_ORIGIN, ids)
            .await
            .unwrap();
        key
    }

    /// What the intake of a case ends with, with a photo that no store has.
    fn frozen(&self, read: &StoredApplication, picture: &[u8]) -> (FrozenCase, CardItems) {
        let decision = self.decision(&read.applicant);
        let (id, person) = (read.application.id(), read.application.person());
        let permit = PermitId::from_bytes(*id.as_bytes());
        let permit = Permit::granted(permit, person, id, &decision).unwrap();
        let plan = CardPlan {
            permit: &permit,
            applicant: &read.applicant,
            decision: &decision,
            organ: "深圳市公安局",
            issued_on: TODAY,
            purse_cap: Some(30_000),
        };
        let photo = FrozenPhoto::new(PhotoId::from_bytes([4; 16]), &id.to_string(), picture, picture);
        let random = Random::new(StdRng::seed_from_u64(2));
        let items = plan.items(photo.clone(), &random).unwrap();
        let card = plan.freeze(photo, Digest::of(picture));
        let frozen = FrozenCase::new(
            &read.application,
            permit.id(),
            &read.applicant,
            decision.clone(),
            Some(card),
        );
        (frozen, items)
    }

    /// The whole office over this ledger, on the day of the test, without a vault or a photo store.
    pub(crate) fn service(&self) -> Office {
        Self::service_over(self.store.clone())
    }

    /// As [`Ledger::service`], at another moment.
    pub(crate) fn service_at(&self, at: Timestamp) -> Office {
        Self::service_over_at(self.store.clone(), at)
    }

    /// As [`Ledger::service`], over other connections.
    pub(crate) fn service_over(store: Store) -> Office {
        Self::service_over_at(store, at())
    }

    fn service_over_at(store: Store, at: Timestamp) -> Office {
        let nobody = || {
            Dialer::new("nobody", || async {
                Err(std::io::ErrorKind::ConnectionRefused.into())
            })
        };
        Office::new(
            store,
            Arc::new(RuleSets::embedded().unwrap()),
            Arc::clone(
                ARTIST.get_or_init(|| Arc::new(Artist::new(CardFonts::installed().unwrap()).unwrap())),
            ),
            VaultDoor {
                way: nobody(),
                issuer: None,
                settlement: None,
            },
            nobody(),
            Clock::fixed(at),
            Random::new(StdRng::seed_from_u64(1)),
        )
        .founded_under(Some(REHEARSAL))
    }
}
