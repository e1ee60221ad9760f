//! A case of the office's ledger up to each stage of its life, one call a stage. Shared by the tests of the store, which write
//! rows, and those of the office, which decide before they write.

use permit_domain::{
    Applicant, Application, ApplicationId, CaseContent, Content, Decision, Order, Permit, PermitId,
};

use super::ledger::{Book as _, Ledger};
use super::people::{TODAY, at, n, new_order, serial, staff};
use super::reads::Reads as _;

impl Ledger {
    /// An accepted application, and content with which its intake ended: any bytes, where only rows are looked at.
    pub(crate) async fn completed(&self, applicant: &Applicant, number: u8) -> (Application, CaseContent) {
        let application = self.accepted(applicant, number).await;
        let frozen = Content::freeze(format!("case {number}").into_bytes());
        let content = CaseContent::completed(application.id(), 1, "liu".parse().unwrap(), frozen);
        let mut tx = self.store.begin(at()).await.unwrap();
        let appended = tx.insert_case_content(&content, None).await.unwrap();
        tx.commit(appended).await.unwrap();
        (application, content)
    }

    /// Content of the next card of a permit that two people signed.
    #[allow(dead_code, reason = "the store's own tests order no second card")]
    pub(crate) async fn signed_anew(&self, application: ApplicationId) {
        let mut tx = self.store.begin(at()).await.unwrap();
        let version = tx.last_content_version(application).await.unwrap() + 1;
        let frozen = Content::freeze(format!("version {version}").into_bytes());
        let content = CaseContent::completed(application, version, "liu".parse().unwrap(), frozen);
        let appended = tx.insert_case_content(&content, None).await.unwrap();
        tx.commit(appended).await.unwrap();
        let content = content.review("wang".parse().unwrap()).unwrap();
        let content = self.advanced(content, ("reviewer", "wang")).await;
        let content = content.sign("zhao".parse().unwrap()).unwrap();
        self.advanced(content, ("approver", "zhao")).await;
    }

    /// Live content after a transition.
    pub(crate) async fn advanced(&self, content: CaseContent, by: (&str, &str)) -> CaseContent {
        let mut tx = self.store.begin(at()).await.unwrap();
        let appended = tx.update_case_content(&content, by).await.unwrap();
        tx.commit(appended).await.unwrap();
        content
    }

    pub(crate) async fn reviewed(&self, applicant: &Applicant, number: u8) -> (Application, Decision) {
        let (application, content) = self.completed(applicant, number).await;
        let content = content.review("wang".parse().unwrap()).unwrap();
        self.advanced(content, ("reviewer", "wang")).await;
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
        let live = self
            .store
            .application(application.id())
            .await
            .unwrap()
            .unwrap()
            .content;
        let signed = live.unwrap().sign("zhao".parse().unwrap()).unwrap();
        self.advanced(signed, ("approver", "zhao")).await;
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
            .allocate_card(order, serial(number), at())
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
