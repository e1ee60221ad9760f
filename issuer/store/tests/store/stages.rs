//! A case of the office's ledger up to each stage of its life, one call a stage. Shared by the tests of the store, which write
//! rows, and those of the office, which decide before they write.

use permit_domain::{Applicant, Application, Decision, Order, Permit, PermitId};

use super::ledger::{Book as _, Ledger};
use super::people::{TODAY, at, n, new_order, serial, staff};

impl Ledger {
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
