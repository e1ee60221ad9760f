//! Cards that lie in the safe because nobody fetches them: after 30, 60 and 90 days a notice is due, and after the last of them the card
//! may be taken back. Design, screen S17. Left out: sending the notice; it is printed.

use issuer_store::Entry;
use jiff::Timestamp;
use jiff::civil::Date;
use permit_domain::{Actor as _, Agent, Applicant, HandOverClerk, Order, OrderId, OrderState};
use program_contract::day;

use crate::error::OfficeError;
use crate::office::Office;
use crate::on_file;

/// Days after which a notice is due, in order: a habit of counters, no rule of the law.
pub const TERMS: [i32; 3] = [30, 60, LAST_TERM];
/// Days after which a card that nobody fetched may be taken back.
pub(crate) const LAST_TERM: i32 = 90;

const NOTICE: &str = "notice to fetch the card";

/// A card that waits for its holder.
#[derive(Debug, Clone)]
pub struct Uncollected {
    /// Its order.
    pub order: Order,
    /// The holder's facts.
    pub holder: Applicant,
    /// Since which day.
    pub since: Date,
    /// How many days.
    pub days: i32,
    /// When a notice was printed.
    pub notices: Vec<Timestamp>,
}

impl Uncollected {
    /// Terms that are over.
    #[must_use]
    pub fn terms(&self) -> usize {
        TERMS.iter().filter(|term| self.days >= **term).count()
    }

    /// Whether a term is over for which no notice was printed.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.terms() > self.notices.len()
    }

    /// Whether the card may be taken back.
    #[must_use]
    pub const fn may_be_taken_back(&self) -> bool {
        self.days >= LAST_TERM
    }
}

impl Office {
    /// The cards that nobody fetched within the first term, those that wait longest first.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn uncollected(&self) -> Result<Vec<Uncollected>, OfficeError> {
        let running = self.running_orders().await?;
        let mut found = Vec::new();
        for order in running {
            if let Some(waiting) = self.waits_for_holder(order).await?
                && waiting.terms() > 0
            {
                found.push(waiting);
            }
        }
        found.sort_by_key(|waiting| std::cmp::Reverse(waiting.days));
        Ok(found)
    }

    /// A card that waits for its holder, since when; `None` for an order that is not verified, or was handed over.
    async fn waits_for_holder(&self, order: Order) -> Result<Option<Uncollected>, OfficeError> {
        if !matches!(order.state(), OrderState::Verified { .. }) {
            return Ok(None);
        }
        let mut ledger = self.read().await?;
        let Some(at) = on_file::verified_at(&mut ledger, order.id()).await? else {
            return Ok(None);
        };
        let permit = on_file::permit(&mut ledger, order.permit()).await?;
        let (holder, _) = on_file::facts_of(&mut ledger, &permit).await?;
        let entries = ledger.ledger_of(&order.id().to_string()).await?;
        let notices = entries.iter().filter(|entry| entry.action == NOTICE);
        let notices = notices.map(|entry| entry.at).collect();
        let since = day::of(at);
        let days = self.clock().today().since(since);
        Ok(Some(Uncollected {
            days: days.map_or(0, |span| span.get_days()),
            order,
            holder,
            since,
            notices,
        }))
    }

    /// Enters that a notice was printed for the holder, and gives what it says.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`] for an order whose card waits for nobody, or not that long; the ledger's.
    pub async fn notice(&self, id: OrderId, by: &HandOverClerk) -> Result<Uncollected, OfficeError> {
        let order = self.order_status(id).await?;
        let waiting = self.waits_for_holder(order).await?;
        let waiting = waiting
            .filter(|waiting| waiting.terms() > 0)
            .ok_or(OfficeError::NotFound { what: "order" })?;
        let mut tx = self.begin().await?;
        let appended = tx
            .append(Entry {
                role: HandOverClerk::ROLE,
                actor: by.staff().as_str(),
                action: NOTICE,
                subject: &id.to_string(),
                detail: &format!(r#"{{"days":{}}}"#, waiting.days),
            })
            .await?;
        tx.commit(appended).await?;
        Ok(waiting)
    }

    /// Keeps who fetches an order's card in its holder's name: a name and a kind of document. Before the card is handed over; whoever
    /// was named before is forgotten.
    ///
    /// # Errors
    /// [`permit_domain::Error::WrongState`] for an order whose card waits for nobody; the ledger's.
    pub async fn keep_agent(
        &self,
        id: OrderId,
        agent: &Agent,
        by: &HandOverClerk,
    ) -> Result<(), OfficeError> {
        let mut tx = self.begin().await?;
        let order = on_file::order(&mut tx, id).await?;
        // The domain's word on state and people.
        let _due = order.begin_hand_over(by.clone())?;
        let appended = tx.set_agent(id, agent, HandOverClerk::ROLE, by.staff()).await?;
        Ok(tx.commit(appended).await?)
    }

    /// Who was kept as the agent that fetches, or fetched, an order's card.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn agent_of(&self, id: OrderId) -> Result<Option<Agent>, OfficeError> {
        Ok(self.read().await?.agent(id).await?)
    }
}
