//! One office's ledger for a test: a migrated store, and cases written row by row as the service would leave them. What the
//! service decides before it writes is tested there.

use issuer_store::{Card, Entry, Error, Store, Submission};
use jiff::Timestamp;
use permit_domain::{
    AllocatedCard, Applicant, Application, ApplicationId, CardNumber, CardSerial, Decision, Order, Permit,
    PersonId, StaffId, Standing,
};
use permit_rules::{RuleSet, RuleSets};
use tempfile::TempDir;

use crate::people::{Engine, TODAY, at, guangdong, n, who};

/// A store of its own for one test.
pub(crate) struct Ledger {
    pub(crate) store: Store,
    pub(crate) url: String,
    pub(crate) rules: RuleSets,
    _folder: Option<TempDir>,
}

/// One transaction for each row that the service would write with its entry.
pub(crate) trait Book {
    async fn submit(&self, applicant: &Applicant, number: u8) -> Result<Application, Error>;
    async fn publish(&self, set: &RuleSet) -> Result<(), Error>;
    async fn save_application(&self, application: Application, at: Timestamp) -> Result<Application, Error>;
    async fn record_review(
        &self,
        application: Application,
        decision: &Decision,
        at: Timestamp,
    ) -> Result<Application, Error>;
    async fn record_approval(
        &self,
        application: Application,
        permit: &Permit,
        at: Timestamp,
    ) -> Result<Application, Error>;
    async fn save_permit(&self, permit: Permit, by: &StaffId, at: Timestamp) -> Result<Permit, Error>;
    async fn receive_blanks(
        &self,
        serials: &[CardSerial],
        lot: &str,
        by: &StaffId,
        at: Timestamp,
    ) -> Result<(), Error>;
    async fn order_production(&self, order: &Order, at: Timestamp) -> Result<Order, Error>;
    async fn allocate_card(&self, order: Order, serial: CardSerial, at: Timestamp) -> Result<Order, Error>;
    async fn advance_order(&self, order: Order, result: &str, at: Timestamp) -> Result<Order, Error>;
    async fn save_standing(
        &self,
        card: Card,
        standing: Standing,
        by: &StaffId,
        at: Timestamp,
    ) -> Result<Card, Error>;
}

impl Book for Store {
    async fn submit(&self, applicant: &Applicant, number: u8) -> Result<Application, Error> {
        let mut tx = self.begin(at()).await?;
        let person = if let Some(person) = tx.person(&applicant.citizen_number).await? {
            person
        } else {
            let id = PersonId::new(at(), n(number));
            tx.insert_person(id, &applicant.citizen_number).await?;
            id
        };
        let new = Submission {
            id: ApplicationId::new(at(), n(number)),
            person,
            applicant,
            intake: "liu".parse().unwrap(),
            on: TODAY,
        };
        let (application, appended) = tx.insert_application(&new).await?;
        tx.commit(appended).await?;
        Ok(application)
    }

    async fn publish(&self, set: &RuleSet) -> Result<(), Error> {
        if self.read().await?.published_rule_set(set.id()).await?.is_some() {
            return Ok(());
        }
        let mut tx = self.begin(at()).await?;
        let appended = tx.publish_rule_set(set.id(), set.digest(), set.text()).await?;
        tx.commit(appended).await
    }

    async fn save_application(&self, application: Application, at: Timestamp) -> Result<Application, Error> {
        let mut tx = self.begin(at).await?;
        let (application, appended) = tx.update_application(application).await?;
        tx.commit(appended).await?;
        Ok(application)
    }

    async fn record_review(
        &self,
        application: Application,
        decision: &Decision,
        at: Timestamp,
    ) -> Result<Application, Error> {
        let mut tx = self.begin(at).await?;
        let (application, appended) = tx.insert_review(application, 1, decision).await?;
        tx.commit(appended).await?;
        Ok(application)
    }

    async fn record_approval(
        &self,
        application: Application,
        permit: &Permit,
        at: Timestamp,
    ) -> Result<Application, Error> {
        let mut tx = self.begin(at).await?;
        let (application, appended) = tx.insert_approval(application, permit).await?;
        tx.commit(appended).await?;
        Ok(application)
    }

    async fn save_permit(&self, permit: Permit, by: &StaffId, at: Timestamp) -> Result<Permit, Error> {
        let mut tx = self.begin(at).await?;
        let permit = tx.update_permit(permit).await?;
        let entry = Entry {
            role: "officer",
            actor: by.as_str(),
            action: &format!("permit {}", permit.state().name()),
            subject: &permit.id().to_string(),
            detail: "{}",
        };
        let appended = tx.append(entry).await?;
        tx.commit(appended).await?;
        Ok(permit)
    }

    async fn receive_blanks(
        &self,
        serials: &[CardSerial],
        lot: &str,
        by: &StaffId,
        at: Timestamp,
    ) -> Result<(), Error> {
        let mut tx = self.begin(at).await?;
        let appended = tx.receive_blanks(serials, lot, by).await?;
        tx.commit(appended).await
    }

    async fn order_production(&self, order: &Order, at: Timestamp) -> Result<Order, Error> {
        let mut tx = self.begin(at).await?;
        let permit = tx.permit(order.permit()).await?.unwrap();
        let permit = permit.change(|state| state.start_production(order.id()))?;
        tx.update_permit(permit).await?;
        let appended = tx.insert_order(order).await?;
        tx.commit(appended).await?;
        Ok(order.clone())
    }

    async fn allocate_card(&self, order: Order, serial: CardSerial, at: Timestamp) -> Result<Order, Error> {
        let mut tx = self.begin(at).await?;
        let next = tx.last_card_number(guangdong()).await? + 1;
        let number = CardNumber::new(guangdong(), next)?;
        let order = order.allocate(number.clone(), serial)?;
        tx.set_last_card_number(guangdong(), next).await?;
        tx.take_blank(serial).await?;
        let (order, appended) = tx.update_order(order, ("producer", "sun"), "{}").await?;
        tx.insert_card(&AllocatedCard { number, serial }, &order).await?;
        tx.commit(appended).await?;
        Ok(order)
    }

    async fn advance_order(&self, order: Order, result: &str, at: Timestamp) -> Result<Order, Error> {
        let (role, actor) = who(&order);
        let mut tx = self.begin(at).await?;
        let (order, mut appended) = tx.update_order(order, (role, &actor), result).await?;
        let allocated = order.state().card().unwrap();
        let card = tx.card(&allocated.number).await?.unwrap();
        let standing = Standing::new(order.state().card_state().unwrap(), card.denial, card.chip);
        tx.update_card(card, standing).await?;
        let permit = tx.permit(order.permit()).await?.unwrap();
        if let Some(permit) = order.moves(permit)? {
            let permit = tx.update_permit(permit).await?;
            let entry = Entry {
                role,
                actor: &actor,
                action: &format!("permit {}", permit.state().name()),
                subject: &permit.id().to_string(),
                detail: "{}",
            };
            appended = tx.append(entry).await?;
        }
        tx.commit(appended).await?;
        Ok(order)
    }

    async fn save_standing(
        &self,
        card: Card,
        standing: Standing,
        by: &StaffId,
        at: Timestamp,
    ) -> Result<Card, Error> {
        let mut tx = self.begin(at).await?;
        let card = tx.update_card(card, standing).await?;
        let entry = Entry {
            role: "officer",
            actor: by.as_str(),
            action: &format!("card {}", card.state),
            subject: card.number.as_str(),
            detail: "{}",
        };
        let appended = tx.append(entry).await?;
        tx.commit(appended).await?;
        Ok(card)
    }
}

pub(crate) async fn migrated(url: String) {
    Store::found(&url, &[7; 16]).await.unwrap().close().await;
}

impl Ledger {
    /// An empty, migrated store.
    pub(crate) async fn open(engine: Engine) -> Self {
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
        Self {
            _folder: folder,
            ..Self::at(url).await
        }
    }

    /// The store at this URL: a copy of a founded one, or founded here.
    pub(crate) async fn at(url: String) -> Self {
        let store = match Store::open(&url).await {
            Err(Error::NoLedger) => Store::found(&url, &[7; 16]).await,
            opened => opened,
        };
        let store = store.unwrap();
        store.migrate().await.unwrap();
        Self {
            store,
            url,
            rules: RuleSets::embedded().unwrap(),
            _folder: None,
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
        self.store.submit(applicant, number).await.unwrap()
    }

    pub(crate) async fn accepted(&self, applicant: &Applicant, number: u8) -> Application {
        let set = self.rules.get(RuleSets::DEFAULT).unwrap();
        self.store.publish(set).await.unwrap();
        let application = self.submit(applicant, number).await;
        self.store
            .save_application(application.accept(TODAY).unwrap(), at())
            .await
            .unwrap()
    }
}
