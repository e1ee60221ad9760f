//! What waits at the counter, and for whom: one query for a list, its number beside its name, and whatever else tells of it.
//!
//! Left out: search. A list has the cases that wait for its role, and no others.

use issuer_store::{Card, Snapshot, StoredApplication};
use jiff::civil::Date;
use permit_domain::{
    Applicant, ApplicationId, CardChange, ChangeState, Decision, Order, OrderState, StaffId, Tier,
};

use crate::error::OfficeError;
use crate::office::Office;
use crate::on_file;
use crate::photo::CONFIRMS;
use crate::scrap::WITNESSES;
use crate::staff::StaffRole;

/// The most cases that a list shows: those that wait longest.
const SHOWN: u32 = 50;

/// A list of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WorkList {
    /// Accepted applications whose intake has not ended, and permits whose next card waits for its photo.
    Complete,
    /// Photos with warnings that wait for a colleague of who took them.
    ConfirmPhoto,
    /// Completed cases that nobody has reviewed.
    Review,
    /// Reviewed ones that nobody has signed off.
    SignOff,
    /// Signed ones without a card on order.
    Order,
    /// Cards under way, those in doubt among them.
    Production,
    /// Verified cards that wait for their holder.
    HandOver,
    /// Changes of cards in use that nobody has signed off.
    SignChange,
    /// Changes that were signed off, and those in doubt, which a producer writes.
    WriteChange,
    /// Cards that were being written or handed over, nobody knows how far: each is to be presented before anything else. They
    /// stand in the lists of their steps too.
    InDoubt,
    /// Cards that were brought back, and that a second person allows again.
    AllowCard,
    /// Blanks and cards that were set aside, and that are destroyed before a second person ([`Office::all_set_aside`]).
    Destroy,
}

impl WorkList {
    /// All lists, in the order of a case.
    pub const ALL: [Self; 12] = [
        Self::Complete,
        Self::ConfirmPhoto,
        Self::Review,
        Self::SignOff,
        Self::Order,
        Self::Production,
        Self::HandOver,
        Self::SignChange,
        Self::WriteChange,
        Self::InDoubt,
        Self::AllowCard,
        Self::Destroy,
    ];

    /// Its name in addresses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::ConfirmPhoto => "confirm-photo",
            Self::Review => "review",
            Self::SignOff => "sign-off",
            Self::Order => "order",
            Self::Production => "production",
            Self::HandOver => "hand-over",
            Self::SignChange => "sign-change",
            Self::WriteChange => "write-change",
            Self::InDoubt => "in-doubt",
            Self::AllowCard => "allow-card",
            Self::Destroy => "destroy",
        }
    }

    /// Whose work it is.
    #[must_use]
    pub const fn roles(self) -> &'static [StaffRole] {
        match self {
            Self::Complete => &[StaffRole::IntakeClerk],
            Self::ConfirmPhoto => CONFIRMS,
            Self::Review => &[StaffRole::Reviewer],
            Self::SignOff | Self::SignChange | Self::AllowCard => &[StaffRole::Approver],
            Self::Order | Self::Production | Self::WriteChange => &[StaffRole::Producer],
            Self::HandOver => &[StaffRole::HandOverClerk],
            Self::InDoubt => &[StaffRole::Producer, StaffRole::HandOverClerk],
            Self::Destroy => WITNESSES,
        }
    }

    /// Whether this state of the ledger stands in the list.
    fn has(self, state: &str) -> bool {
        Self::of(state) == Some(self)
            || (self == Self::InDoubt && matches!(state, "ENCODING" | "HANDING_OVER" | "CHANGE_WRITING"))
    }

    /// The list of the step that is next in this state of the ledger.
    fn of(state: &str) -> Option<Self> {
        match state {
            "TO_COMPLETE" => Some(Self::Complete),
            "PHOTO_TO_CONFIRM" => Some(Self::ConfirmPhoto),
            "CONTENT_COMPLETED" => Some(Self::Review),
            "CONTENT_REVIEWED" => Some(Self::SignOff),
            "CONTENT_SIGNED" => Some(Self::Order),
            "VERIFIED" | "HANDING_OVER" => Some(Self::HandOver),
            "CHANGE_PROPOSED" => Some(Self::SignChange),
            "CHANGE_ORDERED" | "CHANGE_WRITING" => Some(Self::WriteChange),
            "ORDERED" | "ALLOCATED" | "ENCODING" | "ENCODED" | "DRAWN" => Some(Self::Production),
            "CARD_TO_ALLOW" => Some(Self::AllowCard),
            "TO_DESTROY" => Some(Self::Destroy),
            _ => None,
        }
    }
}

/// A case that waits.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The application.
    pub application: ApplicationId,
    /// The holder's facts.
    pub applicant: Applicant,
    /// The tier that was granted; asked for, where nothing is granted yet.
    pub tier: Option<Tier>,
    /// Day of acceptance.
    pub accepted_on: Option<Date>,
    /// The last day on which the organ may issue the permit (Decree 663, article 9), or on which a change may be written.
    pub issue_by: Option<Date>,
    /// The order, where there is one.
    pub order: Option<Order>,
    /// The change that waits, where it is one.
    pub change: Option<CardChange>,
    /// The card that a second person allows again, where it is one.
    pub card: Option<Card>,
    /// Who took the photo that waits, where it is one.
    pub taken_by: Option<StaffId>,
}

impl Waiting {
    /// Whether its card was being written or handed over, nobody knows how far.
    #[must_use]
    pub fn in_doubt(&self) -> bool {
        self.order.as_ref().is_some_and(|order| order.state().in_doubt())
            || self
                .change
                .as_ref()
                .is_some_and(|change| matches!(change.state(), ChangeState::Writing))
    }
}

impl Office {
    /// How many cases wait in each list.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn waiting(&self) -> Result<Vec<(WorkList, u64)>, OfficeError> {
        let counted = self.read().await?.waiting().await?;
        Ok(WorkList::ALL
            .into_iter()
            .map(|list| {
                let of = counted.iter().filter(|(state, _)| list.has(state));
                (list, of.map(|(_, number)| number.unsigned_abs()).sum())
            })
            .collect())
    }

    /// How many entries the ledger has: another number when anything moved.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn entries(&self) -> Result<i64, OfficeError> {
        Ok(self.read().await?.entries().await?)
    }

    /// The cases of a list that wait longest, at most 50.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn work(&self, list: WorkList) -> Result<Vec<Waiting>, OfficeError> {
        let mut ledger = self.read().await?;
        let (cases, orders) = match list {
            WorkList::SignChange => return self.changes(&mut ledger, &["PROPOSED"]).await,
            // What is in doubt comes first: its card has to be presented before anything else.
            WorkList::WriteChange => return self.changes(&mut ledger, &["WRITING", "ORDERED"]).await,
            WorkList::AllowCard => return to_allow(&mut ledger).await,
            // What is set aside is nobody's case, and may be a blank.
            WorkList::Destroy => return Ok(Vec::new()),
            WorkList::ConfirmPhoto => {
                let mut waiting = Vec::new();
                for photo in ledger.photos_to_confirm(SHOWN).await? {
                    let case = on_file::application(&mut ledger, photo.application).await?;
                    waiting.push(Waiting {
                        taken_by: Some(photo.taken_by),
                        ..self.waits(case, None)
                    });
                }
                return Ok(waiting);
            }
            WorkList::Complete => (ledger.applications_to_complete(SHOWN).await?, Vec::new()),
            WorkList::Review | WorkList::SignOff | WorkList::Order => {
                let state = match list {
                    WorkList::Review => "COMPLETED",
                    WorkList::SignOff => "REVIEWED",
                    _ => "SIGNED",
                };
                (ledger.applications_with_content(state, SHOWN).await?, Vec::new())
            }
            WorkList::Production | WorkList::HandOver | WorkList::InDoubt => {
                let (mut cases, mut orders) = (Vec::new(), Vec::new());
                for order in ledger.running_orders().await? {
                    if !list.has(order.state().name()) || orders.len() >= SHOWN as usize {
                        continue;
                    }
                    let permit = on_file::permit(&mut ledger, order.permit()).await?;
                    cases.push(on_file::application(&mut ledger, permit.grant().application).await?);
                    orders.push(order);
                }
                (cases, orders)
            }
        };
        let mut orders = orders.into_iter();
        let mut waiting: Vec<Waiting> = cases
            .into_iter()
            .map(|case| self.waits(case, orders.next()))
            .collect();
        if list == WorkList::InDoubt {
            waiting.extend(self.changes(&mut ledger, &["WRITING"]).await?);
        }
        // As above.
        waiting.sort_by_key(|case| !case.in_doubt());
        Ok(waiting)
    }

    /// By when the organ has to issue what an application asks for; none before it is accepted, or where no rule set says it.
    #[must_use]
    pub fn issue_by(&self, case: &StoredApplication) -> Option<Date> {
        let accepted = case.accepted_on?;
        let decided = case.decision.as_ref().and_then(|decision| decision.issue_by);
        decided.or_else(|| {
            let set = self
                .rules()
                .in_force(&case.applicant.residence.division, accepted)?;
            set.issue_by(accepted, self.rules().calendar()).ok()
        })
    }

    /// What the rule set in force at acceptance would say of an application today; nothing is stored.
    ///
    /// # Errors
    /// [`OfficeError::NoRuleSet`]; the rules'.
    pub fn foresee(&self, case: &StoredApplication) -> Result<Decision, OfficeError> {
        let today = self.clock().today();
        let accepted = case.accepted_on.unwrap_or(today);
        self.decided_at(&case.applicant, accepted)
    }

    /// What would be decided of facts that nobody filed yet, if they were accepted today; nothing is stored.
    ///
    /// # Errors
    /// What [`Office::apply`](crate::office::Office::apply) refuses of facts that could never be decided or printed here.
    pub async fn foresee_intake(&self, applicant: &Applicant) -> Result<Decision, OfficeError> {
        let today = self.clock().today();
        self.can_be_made(applicant, today).await?;
        self.decided_at(applicant, today)
    }

    /// The newest order of a permit that was not given up.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn order_of(&self, permit: permit_domain::PermitId) -> Result<Option<Order>, OfficeError> {
        let orders = self.read().await?.orders_of_permit(permit).await?;
        Ok(orders
            .into_iter()
            .rfind(|order| !matches!(order.state(), OrderState::GivenUp { .. })))
    }

    /// What the ledger has about a case: its application, its permit, the orders of its permit; oldest first.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn history(
        &self,
        case: &StoredApplication,
    ) -> Result<Vec<issuer_store::LedgerEntry>, OfficeError> {
        let mut ledger = self.read().await?;
        let mut entries = ledger.ledger_of(&case.application.id().to_string()).await?;
        if let permit_domain::ApplicationState::Approved { permit, .. } = case.application.state() {
            entries.extend(ledger.ledger_of(&permit.to_string()).await?);
            for order in ledger.orders_of_permit(*permit).await? {
                entries.extend(ledger.ledger_of(&order.id().to_string()).await?);
            }
        }
        entries.sort_by_key(|entry| entry.seq);
        Ok(entries)
    }

    async fn changes(&self, ledger: &mut Snapshot, states: &[&str]) -> Result<Vec<Waiting>, OfficeError> {
        let mut waiting = Vec::new();
        for state in states {
            for id in ledger.changes_in(state, SHOWN).await? {
                let stored = on_file::change(ledger, id).await?;
                let permit = on_file::permit(ledger, stored.change.permit()).await?;
                let (applicant, _) = on_file::facts_of(ledger, &permit).await?;
                waiting.push(Waiting {
                    application: permit.grant().application,
                    applicant,
                    tier: Some(permit.grant().tier),
                    accepted_on: None,
                    issue_by: stored.change.holds_until(),
                    order: None,
                    change: Some(stored.change),
                    card: None,
                    taken_by: None,
                });
            }
        }
        Ok(waiting)
    }

    fn waits(&self, case: StoredApplication, order: Option<Order>) -> Waiting {
        Waiting {
            application: case.application.id(),
            tier: case
                .decision
                .as_ref()
                .and_then(|decision| decision.tier)
                .or(case.applicant.requested_tier),
            accepted_on: case.accepted_on,
            issue_by: self.issue_by(&case),
            applicant: case.applicant,
            order,
            change: None,
            card: None,
            taken_by: None,
        }
    }
}

/// Cards that somebody proposed to allow again, with their holders.
async fn to_allow(ledger: &mut Snapshot) -> Result<Vec<Waiting>, OfficeError> {
    let mut waiting = Vec::new();
    for card in ledger.cards_to_allow(SHOWN).await? {
        let permit = on_file::permit(ledger, card.permit).await?;
        let (applicant, _) = on_file::facts_of(ledger, &permit).await?;
        waiting.push(Waiting {
            application: permit.grant().application,
            applicant,
            tier: Some(permit.grant().tier),
            accepted_on: None,
            issue_by: None,
            order: None,
            change: None,
            card: Some(card),
            taken_by: None,
        });
    }
    Ok(waiting)
}
