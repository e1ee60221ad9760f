//! The two engines and one office, for the tests: a migrated empty store, an applicant, and the way of a case.

#![allow(dead_code, reason = "no test programme uses all of it")]

use issuer_store::{Store, Submission};
use jiff::{
    Timestamp,
    civil::{Date, date},
};
use permit_domain::{
    Applicant, ApplicantForm, Application, ApplicationId, CardSerial, Content, Decision, Order, OrderId,
    Permit, PermitId, PersonId, Province, Raw, SeparatedDuties, StaffId,
};
use permit_rules::RuleSets;
use tempfile::TempDir;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// A store of its own for one test.
pub(crate) struct Office {
    pub(crate) store: Store,
    pub(crate) url: String,
    pub(crate) rules: RuleSets,
    _folder: Option<TempDir>,
}

pub(crate) const TODAY: Date = date(2026, 11, 21);

pub(crate) fn at() -> Timestamp {
    "2026-11-21T02:00:00Z".parse().unwrap()
}

/// Ten bytes that make an id: tests have no random source.
pub(crate) fn n(number: u8) -> [u8; 10] {
    [number; 10]
}

pub(crate) fn serial(number: u8) -> CardSerial {
    CardSerial::from_bytes([0, 1, 0, 0, 0, 1, 0, 0, 0, number])
}

pub(crate) fn guangdong() -> Province {
    "44".parse().unwrap()
}

pub(crate) fn staff(name: &str) -> StaffId {
    name.parse().unwrap()
}

pub(crate) fn li_na() -> Applicant {
    let text = include_str!("../../../permit/samples/applicant-li-na.json");
    ApplicantForm::from_json(text)
        .unwrap()
        .into_applicant(TODAY)
        .unwrap()
}

/// Somebody else with the same papers. GB 11643 check characters are computed here.
pub(crate) fn somebody(number: u8) -> Applicant {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let body = format!("44030519851112{:03}", u32::from(number) * 2);
    let sum: u32 = body
        .bytes()
        .zip(WEIGHTS)
        .map(|(d, w)| u32::from(d - b'0') * w)
        .sum();
    let check = char::from(b"10X98765432"[(sum % 11) as usize]);
    let mut form = ApplicantForm::from(&li_na());
    form.citizen_number = Raw::from(format!("{body}{check}"));
    form.into_applicant(TODAY).unwrap()
}

/// A new order by three people.
pub(crate) fn new_order(permit: PermitId, number: u8) -> Order {
    let duties = SeparatedDuties::new(
        "wang".parse().unwrap(),
        "zhao".parse().unwrap(),
        "sun".parse().unwrap(),
    )
    .unwrap();
    let content = Content::freeze(format!("content {number}").into_bytes());
    Order::new(OrderId::new(at(), n(number)), permit, duties, content)
}

impl Office {
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
            Engine::Postgres => (crate::postgres::database().await, None),
        };
        Self {
            _folder: folder,
            ..Self::at(url).await
        }
    }

    /// The store at this URL, migrated.
    pub(crate) async fn at(url: String) -> Self {
        let store = Store::open(&url).await.unwrap();
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
        let set = self.rules.get(RuleSets::DEFAULT).unwrap();
        self.store.publish_rule_set(set, at()).await.unwrap();
        let application = self.submit(applicant, number).await;
        self.store
            .save_application(application.accept(TODAY).unwrap(), at())
            .await
            .unwrap()
    }

    pub(crate) async fn reviewed(&self, applicant: &Applicant, number: u8) -> (Application, Decision) {
        let application = self.accepted(applicant, number).await;
        let decision = self.decision(applicant);
        let application = application.review("wang".parse().unwrap(), &decision).unwrap();
        (
            self.store
                .record_review(application, &decision, at())
                .await
                .unwrap(),
            decision,
        )
    }

    pub(crate) async fn approved(&self, applicant: &Applicant, number: u8) -> (Application, Permit) {
        let (application, decision) = self.reviewed(applicant, number).await;
        let id = PermitId::new(at(), n(number));
        let permit = Permit::granted(id, application.person(), application.id(), &decision).unwrap();
        let application = application.approve("zhao".parse().unwrap(), id).unwrap();
        let application = self
            .store
            .record_approval(application, &permit, at())
            .await
            .unwrap();
        (application, permit)
    }

    /// An order with a card, and a blank received for it.
    pub(crate) async fn allocated(&self, applicant: &Applicant, number: u8) -> Order {
        let (_, permit) = self.approved(applicant, number).await;
        let order = self
            .store
            .order_production(&new_order(permit.id(), number), at())
            .await
            .unwrap();
        self.store
            .receive_blanks(&[serial(number)], "lot-1", &staff("gao"), at())
            .await
            .unwrap();
        self.store
            .allocate_card(order, guangdong(), serial(number), at())
            .await
            .unwrap()
    }

    pub(crate) async fn verified(&self, applicant: &Applicant, number: u8) -> Order {
        let order = self.allocated(applicant, number).await;
        let s = &self.store;
        let order = s
            .advance_order(order.begin_encoding().unwrap(), "{}", at())
            .await
            .unwrap();
        let order = s
            .advance_order(order.encoded().unwrap(), r#"{"apdus":41}"#, at())
            .await
            .unwrap();
        let order = s.advance_order(order.drawn().unwrap(), "{}", at()).await.unwrap();
        s.advance_order(order.verified().unwrap(), "{}", at())
            .await
            .unwrap()
    }

    pub(crate) async fn handed_over(&self, applicant: &Applicant, number: u8) -> Order {
        let order = self.verified(applicant, number).await;
        let s = &self.store;
        let order = order.begin_hand_over("chen".parse().unwrap()).unwrap();
        let order = s.advance_order(order, "{}", at()).await.unwrap();
        s.advance_order(order.handed_over(TODAY).unwrap(), "{}", at())
            .await
            .unwrap()
    }
}
