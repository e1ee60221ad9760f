//! The work of the office that needs no card: take an application, decide it, sign it off, order its card, say where
//! things stand. The HTTP API, the demo and the tests call it; each call is durable when it returns.
//!
//! Decree 663, articles 8 and 9. Left out: drafts and notices of missing papers, endorsement, replacement.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use issuer_store::{Store, StoredApplication, Submission};
use permit_domain::{
    Applicant, ApplicationId, ApplicationState, Approver, IntakeClerk, Order, OrderId, Permit, PermitId,
    PersonId, Producer, Reviewer, SeparatedDuties,
};
use permit_rules::RuleSets;
use photo_store_protocol as photo;

use issuer_artwork::Artist;
use program_contract::Clock;

use crate::card_content::{CardContent, Case, ContentError, FrozenPhoto};
use crate::connection::{Dialer, Stream};
use crate::error::OfficeError;
use crate::fault::Fault;
use crate::random::Random;
use crate::readiness::Check;

/// Seconds between two probes that make a key: the vault journals each, and a probe comes every few seconds.
const PROBE_SECONDS: i64 = 60;

/// What the office works with.
#[derive(Debug, Clone)]
pub struct Office {
    store: Store,
    rules: Arc<RuleSets>,
    artist: Arc<Artist>,
    vault: Dialer,
    photos: Dialer,
    clock: Clock,
    random: Random,
    /// When the vault last made and opened a key for a probe, seconds since 1970; 0: never.
    probed: Arc<AtomicI64>,
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

    /// Takes a complete application and accepts it. Repeating it with the same id and facts answers the same.
    ///
    /// # Errors
    /// [`issuer_store::Error::AlreadyHasPermit`], [`issuer_store::Error::ApplicationOpen`], [`OfficeError::IdTaken`].
    /// [`OfficeError::NoRuleSet`], [`permit_domain::Error::TierNotOffered`], [`ContentError::NoOrgan`] and
    /// [`issuer_artwork::ArtworkError::NoTemplate`] when the office could never decide it or print its card; then nothing is stored.
    pub async fn apply(
        &self,
        id: ApplicationId,
        intake: IntakeClerk,
        applicant: Applicant,
    ) -> Result<StoredApplication, OfficeError> {
        if !self.is_filed(id, &intake, &applicant).await? {
            let (now, today) = (self.clock.now(), self.clock.today());
            self.can_be_decided(&applicant, today)?;
            let new = Submission {
                id,
                person: PersonId::new(now, self.random.bytes()),
                applicant: &applicant,
                intake: intake.clone(),
                on: today,
            };
            if let Err(error) = self.store.submit(new, now).await.map_err(OfficeError::from) {
                // The same request may have come a moment before: then its outcome is the answer to this one too.
                if error.fault() != Fault::Conflict || !self.is_filed(id, &intake, &applicant).await? {
                    return Err(error);
                }
            }
        }
        let filed = self.application(id).await?;
        if !matches!(filed.application.state(), ApplicationState::Applied) {
            return Ok(filed);
        }
        let accepted = filed.application.accept(self.clock.today())?;
        let saved = self.store.save_application(accepted, self.clock.now()).await;
        let after = self.application(id).await?;
        match saved {
            Err(error) if matches!(after.application.state(), ApplicationState::Applied) => Err(error.into()),
            _ => Ok(after),
        }
    }

    /// Whether the id stands for this very application.
    async fn is_filed(
        &self,
        id: ApplicationId,
        intake: &IntakeClerk,
        applicant: &Applicant,
    ) -> Result<bool, OfficeError> {
        match self.store.application(id).await? {
            None => Ok(false),
            Some(known) if known.applicant == *applicant && known.application.intake() == intake => Ok(true),
            Some(_) => Err(OfficeError::IdTaken),
        }
    }

    /// An application that could never be decided or printed here would stand open and keep its person from applying
    /// anywhere: it is refused before anything is stored.
    fn can_be_decided(&self, applicant: &Applicant, today: jiff::civil::Date) -> Result<(), OfficeError> {
        let division = &applicant.residence.division;
        let set = self
            .rules
            .in_force(division, today)
            .ok_or(OfficeError::NoRuleSet)?;
        if let Some(tier) = applicant.requested_tier
            && !set.tiers().iter().any(|rule| rule.tier == tier)
        {
            let id = set.id().to_owned();
            return Err(permit_domain::Error::TierNotOffered { id, tier }.into());
        }
        if set.organ(division).is_none() {
            let division = division.clone();
            return Err(ContentError::NoOrgan { division }.into());
        }
        let asked = |tier| applicant.requested_tier.is_none_or(|wanted| wanted == tier);
        let without_limits = set.tiers().iter().any(|rule| {
            asked(rule.tier)
                && rule
                    .entitlements
                    .iter()
                    .any(|entitlement| entitlement.role == permit_domain::Role::SmallPayment)
                && self.purse_cap(applicant, rule.tier, today).is_none()
        });
        if without_limits {
            let division = division.clone();
            return Err(ContentError::NoPurseRules { division }.into());
        }
        Ok(self.artist.prints_for(division.as_str())?)
    }

    /// An application with its decision.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`].
    pub async fn application(&self, id: ApplicationId) -> Result<StoredApplication, OfficeError> {
        self.store
            .application(id)
            .await?
            .ok_or(OfficeError::NotFound { what: "application" })
    }

    /// The reviewer's decision, by the rule set in force on the day of acceptance. Repeating it answers the same.
    ///
    /// # Errors
    /// [`permit_domain::Error::SamePersonTwice`], [`permit_domain::Error::WrongState`], [`OfficeError::NoRuleSet`].
    pub async fn review(
        &self,
        id: ApplicationId,
        reviewer: Reviewer,
    ) -> Result<StoredApplication, OfficeError> {
        let case = self.application(id).await?;
        let accepted = match case.application.state() {
            ApplicationState::Accepted { on } => *on,
            _ if reviewed_by(&case, &reviewer) => return Ok(case),
            // The domain says what is wrong with the state; it needs no decision for that.
            _ => self.clock.today(),
        };
        let division = &case.applicant.residence.division;
        let set = self
            .rules
            .in_force(division, accepted)
            .ok_or(OfficeError::NoRuleSet)?;
        // A rule set that ended between acceptance and review still decides the case, for its last day.
        let today = self.clock.today();
        let at = if set.in_force(today) { today } else { accepted };
        let decision = set.decide_accepted(&case.applicant, accepted, at, self.rules.calendar())?;
        let after = case.application.review(reviewer.clone(), &decision)?;
        let recorded = self.store.record_review(after, &decision, self.clock.now()).await;
        self.outcome(id, recorded, |case| reviewed_by(case, &reviewer))
            .await
    }

    /// What a step left behind. If it met another's change, that may have been the same request, sent at the same moment:
    /// when the case says that the step is done, that is the answer.
    async fn outcome<T>(
        &self,
        id: ApplicationId,
        recorded: Result<T, issuer_store::Error>,
        is_done: impl Fn(&StoredApplication) -> bool,
    ) -> Result<StoredApplication, OfficeError> {
        match recorded.map_err(OfficeError::from) {
            Ok(_) => self.application(id).await,
            Err(error) if error.fault() == Fault::Conflict => {
                let case = self.application(id).await?;
                if is_done(&case) { Ok(case) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }

    /// The approver's sign-off: the permit comes into being. Repeating it answers the same.
    ///
    /// # Errors
    /// [`permit_domain::Error::SamePersonTwice`], [`permit_domain::Error::WrongState`],
    /// [`issuer_store::Error::AlreadyHasPermit`].
    pub async fn approve(
        &self,
        id: ApplicationId,
        approver: Approver,
    ) -> Result<StoredApplication, OfficeError> {
        let case = self.application(id).await?;
        if approved_by(&case, &approver) {
            return Ok(case);
        }
        let now = self.clock.now();
        let permit_id = PermitId::new(now, self.random.bytes());
        let person = case.application.person();
        let after = case.application.approve(approver.clone(), permit_id)?;
        let decision = case
            .decision
            .as_ref()
            .ok_or(permit_domain::Error::NothingGranted)?;
        let permit = Permit::granted(permit_id, person, id, decision)?;
        let recorded = self.store.record_approval(after, &permit, now).await;
        self.outcome(id, recorded, |case| approved_by(case, &approver))
            .await
    }

    /// A permit.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`].
    pub async fn permit(&self, id: PermitId) -> Result<Permit, OfficeError> {
        self.store
            .permit(id)
            .await?
            .ok_or(OfficeError::NotFound { what: "permit" })
    }

    /// Where an order stands.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`].
    pub async fn order_status(&self, id: OrderId) -> Result<Order, OfficeError> {
        self.store
            .order(id)
            .await?
            .ok_or(OfficeError::NotFound { what: "order" })
    }

    /// Gives an order up: its card is to be destroyed and its number is spent, and the permit may be ordered again.
    /// Repeating it answers the same.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`]; [`permit_domain::Error::WrongState`] once hand-over began.
    pub async fn give_up(&self, id: OrderId, by: &Producer) -> Result<Order, OfficeError> {
        let order = self.order_status(id).await?;
        if matches!(order.state(), permit_domain::OrderState::GivenUp { .. }) {
            return Ok(order);
        }
        let now = self.clock.now();
        Ok(self.store.give_up_order(order.give_up()?, by, "{}", now).await?)
    }

    /// Orders the card of a permit: takes the photo's receipt, freezes what goes onto the card, and draws the front once
    /// to see that it can be printed, before a card number is spent. Repeating it with the same id answers the same.
    ///
    /// # Errors
    /// The photo store's refusal, [`issuer_artwork::ArtworkError::MissingGlyph`], [`issuer_artwork::ArtworkError::Overflow`], a wrong state of the
    /// permit, one person in two roles.
    pub async fn order(
        &self,
        id: OrderId,
        permit: PermitId,
        producer: Producer,
        receipt: photo::ReceiptNumber,
    ) -> Result<Order, OfficeError> {
        if let Some(known) = self.ordered(id, permit, &producer, receipt).await? {
            return Ok(known);
        }
        match self.order_new(id, permit, &producer, receipt).await {
            // The same request may have come a moment before: then its outcome is the answer to this one too.
            Err(error) if error.fault() == Fault::Conflict => {
                self.ordered(id, permit, &producer, receipt).await?.ok_or(error)
            }
            done => done,
        }
    }

    /// The order that the id stands for, if it is this very one: an id that was used with another permit, producer or
    /// photo receipt is refused.
    async fn ordered(
        &self,
        id: OrderId,
        permit: PermitId,
        producer: &Producer,
        receipt: photo::ReceiptNumber,
    ) -> Result<Option<Order>, OfficeError> {
        let Some(known) = self.store.order(id).await? else {
            return Ok(None);
        };
        let same = known.permit() == permit
            && known.duties().producer() == producer
            && CardContent::from_content(known.content())?
                .photo()
                .came_by(receipt);
        if same {
            Ok(Some(known))
        } else {
            Err(OfficeError::IdTaken)
        }
    }

    async fn order_new(
        &self,
        id: OrderId,
        permit: PermitId,
        producer: &Producer,
        receipt: photo::ReceiptNumber,
    ) -> Result<Order, OfficeError> {
        let permit = self.permit(permit).await?;
        // Before the photo's receipt is used up: may this permit be produced at all, and by this person?
        permit.state().clone().start_production(id)?;
        let case = self.application(permit.grant().application).await?;
        // A card that replaces another one holds what was signed off since.
        let (applicant, decision) = self.facts_of(&permit).await?;
        let (reviewer, approver) = case
            .application
            .decided_by()
            .ok_or(permit_domain::Error::NothingGranted)?;
        let duties = SeparatedDuties::new(reviewer.clone(), approver.clone(), producer.clone())?;
        let division = &applicant.residence.division;
        let organ = self
            .rules
            .get(&permit.grant().rule_set)?
            .organ(division)
            .ok_or_else(|| ContentError::NoOrgan {
                division: division.clone(),
            })?;

        let (frozen, print) = self.take_photo(&case, &permit, producer, receipt).await?;
        let issued_on = self.clock.today();
        let facts = Case {
            permit: &permit,
            applicant: &applicant,
            decision: &decision,
            organ,
            issued_on,
            purse_cap: self.purse_cap(&applicant, permit.grant().tier, issued_on),
            state_counter: self.next_state_counter(permit.id()).await?,
        };
        let content = CardContent::freeze(&facts, frozen, &self.random)?;
        self.try_print(&content, print).await?;
        let order = Order::new(id, permit.id(), duties, content.to_content()?);
        Ok(self.store.order_production(&order, self.clock.now()).await?)
    }

    /// The state counter of the permit's next card: above every one that a card of it ever had.
    async fn next_state_counter(&self, permit: PermitId) -> Result<u32, OfficeError> {
        let mut highest = 0;
        for card in self.store.cards_of_permit(permit).await? {
            highest = highest.max(self.content_of(&card).await?.state_counter()?);
        }
        Ok(highest.saturating_add(1))
    }

    async fn take_photo(
        &self,
        case: &StoredApplication,
        permit: &Permit,
        producer: &Producer,
        receipt: photo::ReceiptNumber,
    ) -> Result<(FrozenPhoto, Vec<u8>), OfficeError> {
        let number = case.application.id().to_string();
        self.take_photo_for(&number, permit, producer, receipt).await
    }

    /// Takes a photo for the case of this number and freezes it; with its rendition for the face.
    pub(crate) async fn take_photo_for(
        &self,
        number: &str,
        permit: &Permit,
        producer: &Producer,
        receipt: photo::ReceiptNumber,
    ) -> Result<(FrozenPhoto, Vec<u8>), OfficeError> {
        let mut photos = self.photo_store().await?;
        let take = || -> Result<photo::TakeReceipt, photo::Error> {
            Ok(photo::TakeReceipt {
                number: receipt,
                case: case_number(number)?,
                person: photo::PersonId::from_bytes(*permit.grant().person.as_bytes()),
                by: photo_actor(producer)?,
            })
        };
        let taken = match photos.take_receipt(take()?).await {
            // Two of the same request at one moment: the one that came second asks again, and the receipt that this very
            // case has used is given to it like the first time.
            Err(photo::Error::Failed(photo::FailureCode::ReceiptUsed)) => {
                photos.take_receipt(take()?).await?
            }
            taken => taken?,
        };
        let mut chip = read_photo(&mut photos, taken.photo, photo::Profile::Chip, number, producer).await?;
        let mut print = read_photo(&mut photos, taken.photo, photo::Profile::Print, number, producer).await?;
        let frozen = FrozenPhoto::new(taken.photo, number, &chip.jpeg, &print.jpeg).by(receipt);
        chip.jpeg.clear();
        Ok((frozen, std::mem::take(&mut print.jpeg)))
    }

    pub(crate) async fn try_print(&self, content: &CardContent, print: Vec<u8>) -> Result<(), OfficeError> {
        let front = content.front(print)?;
        let (artist, division) = (self.artist(), content.division().as_str().to_owned());
        tokio::task::spawn_blocking(move || artist.front(&division, &front).map(drop))
            .await
            .map_err(|_| OfficeError::Internal)??;
        Ok(())
    }

    /// A connection to the photo store.
    ///
    /// # Errors
    /// The photo store is away, or speaks another version.
    pub async fn photo_store(&self) -> Result<photo::Client<Stream>, photo::Error> {
        let stream = self.photos.connect().await.map_err(photo::Error::Broken)?;
        photo::Client::connect(stream).await
    }

    /// Nobody reads the photo for this case any more.
    ///
    /// # Errors
    /// The photo store's.
    pub async fn close_photo_case(&self, case: &str, producer: &Producer) -> Result<(), photo::Error> {
        let mut photos = self.photo_store().await?;
        photos
            .close_case(case_number(case)?, photo_actor(producer)?)
            .await
    }

    /// What work needs, each checked by doing it: the ledger writes, the vault answers and at most once a minute makes and opens a key, the photo store
    /// answers, the clock is not behind what the vault has seen.
    pub async fn checks(&self) -> Vec<Check> {
        let ledger = match self.store.ready().await {
            Ok(()) => Check::passed("ledger"),
            Err(error) => Check::failed("ledger", error.code(), error.action()),
        };
        let (vault, clock) = self.check_vault().await;
        let photos = match async { self.photo_store().await?.status().await }.await {
            Ok(status) if status.vault == photo::VaultState::Open => Check::passed("photo_store"),
            Ok(_) => Check::failed(
                "photo_store",
                "VAULT_SEALED",
                "Ask the custodians to open the vault.",
            ),
            Err(error) => Check::failed("photo_store", error.code().as_str(), error.code().texts().action),
        };
        vec![ledger, vault, photos, clock]
    }

    async fn check_vault(&self) -> (Check, Check) {
        use keyvault_protocol::{Client, Error, PhotoKeyContext};
        let checked = async {
            let stream = self.vault.connect().await.map_err(|_| Error::NotRunning)?;
            let mut vault = Client::connect(stream).await?;
            let status = vault.status().await?;
            // Only an open vault answers this.
            vault.anchors().await?;
            let now = self.clock.now().as_second();
            if now - self.probed.load(Ordering::Relaxed) >= PROBE_SECONDS {
                let context = PhotoKeyContext {
                    photo_id: [0; 16],
                    person: [0; 16],
                    // No photo has this profile, so the key opens nothing.
                    profile: "readiness".to_owned(),
                    version: 1,
                };
                let (made, wrapped) = vault.photo_key_new(&context).await?;
                let opened = vault.photo_key_open(&context, &wrapped).await?;
                if made != opened {
                    return Err(Error::NotOpened);
                }
                self.probed.store(now, Ordering::Relaxed);
            }
            Ok(status.high_water)
        }
        .await;
        match checked {
            Ok(high_water) if high_water <= self.clock.now() => {
                (Check::passed("vault"), Check::passed("clock"))
            }
            Ok(_) => (
                Check::passed("vault"),
                Check::failed(
                    "clock",
                    "CLOCK_BEHIND",
                    "Set the machine's clock: the vault has seen a later time.",
                ),
            ),
            Err(error) => (
                Check::failed(
                    "vault",
                    error.code(),
                    "Start the vault and have the custodians open it.",
                ),
                Check::failed("clock", "NOT_CHECKED", "The vault has to answer first."),
            ),
        }
    }
}

fn reviewed_by(case: &StoredApplication, reviewer: &Reviewer) -> bool {
    matches!(
        case.application.state(),
        ApplicationState::Refused { reviewer: by }
            | ApplicationState::Reviewed { reviewer: by }
            | ApplicationState::Approved { reviewer: by, .. } if by == reviewer
    )
}

fn approved_by(case: &StoredApplication, approver: &Approver) -> bool {
    matches!(case.application.state(), ApplicationState::Approved { approver: by, .. } if by == approver)
}

/// Reads one rendition for a case.
pub async fn read_photo(
    photos: &mut photo::Client<Stream>,
    id: photo::PhotoId,
    profile: photo::Profile,
    case: &str,
    producer: &Producer,
) -> Result<photo::Picture, photo::Error> {
    let reader = photo_actor(producer)?;
    let case = case_number(case)?;
    photos
        .read(photo::Read {
            photo: id,
            profile,
            purpose: photo::Purpose::Production,
            case,
            reader,
        })
        .await
}

fn case_number(text: &str) -> Result<photo::CaseNumber, photo::Error> {
    text.parse().map_err(photo::Error::Failed)
}

fn photo_actor(producer: &Producer) -> Result<photo::Actor, photo::Error> {
    use permit_domain::Actor as _;
    producer.staff().as_str().parse().map_err(photo::Error::Failed)
}
