//! Cards in use with the real vault, photo store, applet and terminals in process: changes, loads, losses, settlement.

use scratch_vault::{Approved as _, Outfit};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use card_applet_spec::codes::Role;
use card_applet_spec::date::Date as CardDate;
use card_reader::transport::Transport as _;
use card_reader::updates::{Delivered, receipts_file};
use card_reader::{Bundle, Card, Journal, Moment, Outcome, Stopwatch, Terminal, TerminalKey, Till, Updates};
use issuer_office::card_content::CardContent;
use issuer_office::changes::Proposal;
use issuer_office::connection::Dialer;
use issuer_office::error::OfficeError;
use issuer_office::loads::{LoadOutcome, load_id};
use issuer_office::loss::allowing_to_sign;
use issuer_office::office::Office;
use issuer_office::settlement::{FileOutcome, FileRefusal, SettledFile, Settlement};
use issuer_production::{ProductionError, Station, pinned};
use issuer_store::StoredCardChange;
use keyvault_protocol::{BundleKind, RefusalCode, RoleKeyInfo, RoleKeyState, UpdatesRequest};
use permit_domain::payment::{FileSums, Registration, Sum};
use permit_domain::{
    Actor, Applicant, ApplicantForm, Approver, CardNumber, CardStage, ChangeClerk, ChangeId, ChangeState,
    Chip, Denial, EndOfCard, PermitId, Producer, Raw, ScrapReason, StaffId, Tier, Way,
};
use program_contract::Failing as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use virtual_card::fault::{Fault, Faulty};
use virtual_card::{CardMemory, InProcess};

use crate::fixture;
use crate::fixture::{Fixture, TestCard};

pub(crate) fn clerk() -> ChangeClerk {
    "liu".parse().unwrap()
}

/// The clerk proposes it, `second` signs it off.
async fn allowed_by_two(
    office: &Office,
    number: &CardNumber,
    second: &Approver,
) -> Result<issuer_store::Card, OfficeError> {
    let card = office.propose_allowing(number, &clerk()).await?;
    office.allow_again(number, second, allowing_to_sign(&card)).await
}

/// Somebody reads a change and signs off what they read.
pub(crate) async fn approve(
    office: &Office,
    id: ChangeId,
    second: &str,
) -> Result<StoredCardChange, OfficeError> {
    let read = office.proposal(id).await?;
    office
        .approve_change(id, second.parse().unwrap(), read.content)
        .await
}

pub(crate) fn officer() -> StaffId {
    "gao".parse().unwrap()
}

pub(crate) fn producer() -> Producer {
    "sun".parse().unwrap()
}

pub(crate) fn today(fixture: &Fixture) -> CardDate {
    let day = fixture.clock.today();
    let part = |n: i8| u8::try_from(n).unwrap();
    CardDate::new(
        u16::try_from(day.year()).unwrap(),
        part(day.month()),
        part(day.day()),
    )
    .unwrap()
}

/// Nobody looks at how long a tap takes here.
struct NoWatch;

impl Stopwatch for NoWatch {
    fn nanoseconds(&self) -> u64 {
        0
    }
}

/// A terminal of a shop, with a till.
pub(crate) struct Shop {
    key: TerminalKey,
    tid: u32,
    terminal: Terminal,
    journal: Journal,
    rng: StdRng,
    _folder: tempfile::TempDir,
}

impl Shop {
    /// Enrols a shop and registers it for the year.
    pub(crate) async fn open(fixture: &Fixture, name: &str, seed: u64) -> Self {
        let shop = Self::unregistered(fixture, name, seed).await;
        fixture
            .office()
            .register_terminal(&shop.registration(), &officer())
            .await
            .unwrap();
        shop
    }

    pub(crate) async fn unregistered(fixture: &Fixture, name: &str, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut vault = fixture.vault_client().await;
        let pinned = pinned(&mut vault).await.unwrap();
        let key = TerminalKey::generate(name.parse().unwrap(), pinned, &mut rng);
        let bundle = bundle(fixture, &key).await;
        let tid = bundle.tid().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open_file(&folder.path().join("journal"), tid).unwrap();
        Self {
            key,
            tid,
            terminal: Terminal::new(bundle),
            journal,
            rng,
            _folder: folder,
        }
    }

    fn registration(&self) -> Registration {
        Registration {
            tid: self.tid,
            name: self.key.name().as_str().to_owned(),
            authentication_key: self.key.request().authentication_key,
            from: "2026-11-01".parse().unwrap(),
            to: "2027-10-31".parse().unwrap(),
            withdrawn_after: None,
        }
    }

    pub(crate) async fn sync(&mut self, fixture: &Fixture) {
        self.terminal.replace_bundle(bundle(fixture, &self.key).await);
    }

    fn moment(fixture: &Fixture) -> Moment {
        Moment {
            today: today(fixture),
            seconds: u32::try_from(fixture.clock.now().as_second() - 946_684_800).unwrap(),
        }
    }

    pub(crate) fn sell(
        &mut self,
        fixture: &Fixture,
        card: &TestCard,
        amount: u32,
    ) -> Result<Outcome, String> {
        self.sell_through(fixture, &mut card.reader(), amount)
    }

    fn sell_through(
        &mut self,
        fixture: &Fixture,
        wire: &mut dyn card_reader::transport::Transport,
        amount: u32,
    ) -> Result<Outcome, String> {
        wire.reset().unwrap();
        Till::new(&mut self.terminal, &mut self.journal)
            .sell(wire, amount, Self::moment(fixture), &NoWatch, &mut self.rng)
            .map_err(|error| error.to_string())
    }

    /// The next settlement file; the journal begins anew.
    pub(crate) fn file(&mut self) -> Vec<u8> {
        let file = self
            .journal
            .settlement(&self.key, &mut self.rng)
            .unwrap()
            .unwrap();
        self.journal.settled().unwrap();
        file
    }

    /// What the card shows of its purse: loaded and spent.
    pub(crate) fn purse(&mut self, fixture: &Fixture, card: &TestCard) -> (u32, u32) {
        let mut reader = card.reader();
        reader.reset().unwrap();
        let selected = Card::new(reader).select().unwrap();
        self.terminal
            .open(
                selected,
                Role::SmallPayment,
                today(fixture),
                &NoWatch,
                &mut self.rng,
            )
            .unwrap()
            .purse()
    }

    /// Delivers everything that waits for the card; the receipts file.
    pub(crate) async fn deliver(&mut self, fixture: &Fixture, card: &TestCard) -> Vec<u8> {
        let mut vault = fixture.vault_client().await;
        let sealed = vault
            .export_updates(&UpdatesRequest {
                terminal: self.key.name().as_str().to_owned(),
                to: fixture.clock.today(),
            })
            .await
            .unwrap();
        let day = today(fixture);
        let mut updates = Updates::open(&sealed, &self.key, None, &HashSet::new(), day).unwrap();
        let mut receipts = Vec::new();
        loop {
            let mut reader = card.reader();
            reader.reset().unwrap();
            let selected = Card::new(&mut reader).select().unwrap();
            let watch = NoWatch;
            let Ok(tapped) = self
                .terminal
                .open(selected, Role::SmallPayment, day, &watch, &mut self.rng)
            else {
                break;
            };
            let Some(waiting) = updates.waits_for(&tapped, day) else {
                break;
            };
            drop(tapped);
            match updates.deliver(
                &mut self.terminal,
                &mut reader,
                &waiting,
                day,
                &watch,
                &mut self.rng,
            ) {
                Delivered::Receipt(receipt) => receipts.push(receipt),
                Delivered::Dropped(_) => {}
                other => panic!("{other:?}"),
            }
        }
        receipts_file(&receipts).unwrap()
    }
}

async fn bundle(fixture: &Fixture, key: &TerminalKey) -> Bundle {
    let request = key.request();
    let day = fixture.clock.today();
    let sealed = fixture
        .vault_client()
        .await
        .outfit(&Outfit {
            kind: BundleKind::Shop,
            terminal: request.terminal.as_str().to_owned(),
            sealing_key: request.sealing_key,
            authentication_key: request.authentication_key,
            regions: vec!["440300".parse().unwrap()],
            zones: 0,
            from: day,
            to: day.checked_add(jiff::Span::new().days(60)).unwrap(),
        })
        .await
        .unwrap();
    Bundle::open(&sealed, key, None, today(fixture)).unwrap()
}

fn booked(outcome: LoadOutcome) -> StoredCardChange {
    match outcome {
        LoadOutcome::Booked(stored, _) | LoadOutcome::Known(stored) => *stored,
        LoadOutcome::Refused(decision) => panic!("{decision:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_loads_that_are_on_their_way_the_latest_is_written_and_brings_the_others_with_it() {
    let fixture = Fixture::new().await;
    let (permit, card) = fixture.in_use(fixture::APPLICANT).await;
    let mut queued = Vec::new();
    for (amount, key) in [(1_000, "till-1"), (500, "till-2"), (200, "till-3")] {
        let id = load(&fixture, permit, amount, key).await.change.id();
        fixture.production.queue_change(id, &clerk()).await.unwrap();
        queued.push(id);
    }
    let (latest, earlier) = queued.split_last().unwrap();
    for id in earlier {
        let error = write(&fixture, *id, &card).await.unwrap_err();
        assert_eq!((error.code(), error.exit().code()), ("LATER_LOAD", 1));
        assert!(error.to_string().contains(&latest.to_string()), "{error}");
        assert!(error.chinese().0.contains(&latest.to_string()));
    }
    write(&fixture, *latest, &card).await.unwrap();
    for id in earlier {
        let done = write(&fixture, *id, &card).await.unwrap();
        assert!(matches!(done.change.state(), ChangeState::Done { .. }));
    }
}

pub(crate) async fn load(fixture: &Fixture, permit: PermitId, amount: u32, key: &str) -> StoredCardChange {
    booked(fixture.office().load(permit, amount, key, clerk()).await.unwrap())
}

async fn write(
    fixture: &Fixture,
    id: ChangeId,
    card: &TestCard,
) -> Result<StoredCardChange, ProductionError> {
    fixture
        .production
        .write_change(id, &mut card.station(), &producer())
        .await
}

/// Money on the card, written at the counter.
pub(crate) async fn load_now(fixture: &Fixture, permit: PermitId, card: &TestCard, amount: u32, key: &str) {
    let stored = load(fixture, permit, amount, key).await;
    let done = write(fixture, stored.change.id(), card).await.unwrap();
    assert!(matches!(
        done.change.state(),
        ChangeState::Done {
            way: Way::Counter,
            ..
        }
    ));
}

fn is_done(stored: &StoredCardChange) -> bool {
    matches!(stored.change.state(), ChangeState::Done { .. })
}

pub(crate) async fn number(fixture: &Fixture, permit: PermitId) -> CardNumber {
    fixture.office().card_in_use(permit).await.unwrap().number
}

fn li_na(edit: impl FnOnce(&mut ApplicantForm)) -> Applicant {
    let mut form = ApplicantForm::from_json(fixture::APPLICANT).unwrap();
    edit(&mut form);
    form.into_applicant("2026-11-21".parse().unwrap()).unwrap()
}

/// Proposed by one person, signed off by another.
async fn signed_off(fixture: &Fixture, permit: PermitId, proposal: Proposal) -> StoredCardChange {
    let id = fixture.office().new_change_id();
    let stored = fixture
        .office()
        .propose(id, permit, proposal, clerk())
        .await
        .unwrap();
    match stored.change.state() {
        ChangeState::Proposed => approve(fixture.office(), id, "zhao").await.unwrap(),
        _ => stored,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_reaches_the_card_through_a_shop_and_its_receipt_ends_it() {
    let fixture = Fixture::new().await;
    let (permit, card) = fixture.in_use(fixture::APPLICANT).await;
    let mut shop = Shop::open(&fixture, "shop 1", 61).await;
    let stored = load(&fixture, permit, 30_000, "till-1").await;
    assert_eq!(stored.change.id(), load_id(permit, "till-1"));
    let queued = fixture
        .production
        .queue_change(stored.change.id(), &clerk())
        .await
        .unwrap();
    assert_eq!(queued.change.state(), &ChangeState::Queued);
    let again = fixture
        .production
        .queue_change(stored.change.id(), &clerk())
        .await
        .unwrap();
    assert_eq!(again, queued, "once");

    let receipts = shop.deliver(&fixture, &card).await;
    assert_eq!(shop.purse(&fixture, &card), (30_000, 0));
    let taken = fixture
        .office()
        .take_receipts(&receipts, &officer())
        .await
        .unwrap();
    assert_eq!(taken.changes_done, [stored.change.id().to_string()]);
    let taken = fixture
        .office()
        .take_receipts(&receipts, &officer())
        .await
        .unwrap();
    assert_eq!(
        (taken.proved, taken.changes_done.len()),
        (0, 0),
        "the same file again"
    );
    let done = fixture.office().change(stored.change.id()).await.unwrap();
    assert!(matches!(
        done.change.state(),
        ChangeState::Done { way: Way::Update, .. }
    ));
    let error = fixture
        .office()
        .take_receipts(b"no receipts", &officer())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "RECEIPTS_FORM");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_counter_a_load_is_on_the_card_at_once_and_what_was_spent_makes_room() {
    let fixture = Fixture::new().await;
    let (permit, card) = fixture.in_use(fixture::APPLICANT).await;
    let mut shop = Shop::open(&fixture, "shop 1", 61).await;
    load_now(&fixture, permit, &card, 100_000, "till-1").await;
    assert_eq!(shop.purse(&fixture, &card), (100_000, 0));
    let full = fixture.office().load(permit, 1, "till-2", clerk()).await.unwrap();
    assert!(matches!(full, LoadOutcome::Refused(_)));

    let sold = shop.sell(&fixture, &card, 30_000).unwrap();
    assert!(matches!(sold, Outcome::Sold(sale) if sale.after == 70_000));
    let above_cap = shop.sell(&fixture, &card, 30_001).unwrap();
    assert!(matches!(above_cap, Outcome::Refused(_)), "{above_cap:?}");
    let seen = fixture
        .production
        .see_purse(permit, &mut card.station())
        .await
        .unwrap();
    assert_eq!((seen.loaded, seen.spent), (100_000, 30_000));
    load_now(&fixture, permit, &card, 30_000, "till-2").await;
    assert_eq!(shop.purse(&fixture, &card), (130_000, 30_000));
    let same = fixture
        .office()
        .load(permit, 30_001, "till-2", clerk())
        .await
        .unwrap_err();
    assert!(matches!(same, OfficeError::IdTaken), "{same}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_stops_at_any_command_is_finished_with_the_same_card_and_makes_no_money() {
    let fixture = Fixture::new().await;
    let (permit, card) = fixture.in_use(fixture::APPLICANT).await;
    let mut shop = Shop::open(&fixture, "shop 1", 61).await;
    let mut expected = 0;
    let mut in_doubt = 0;
    for place in (1..=70).step_by(3) {
        for fault in [Fault::CutBefore, Fault::CutAfter] {
            let what = format!("{fault:?} at command {place}");
            let stored = load(&fixture, permit, 100, &what.replace(' ', "-")).await;
            let id = stored.change.id();
            let mut station = Station::new(Faulty::<InProcess>::new(card.reader()).with(place, fault));
            let stopped = fixture
                .production
                .write_change(id, &mut station, &producer())
                .await;
            expected += 100;
            if let Err(error) = stopped {
                assert_eq!(error.exit().code(), 4, "{what}: {error}");
                let now = fixture.office().change(id).await.unwrap();
                in_doubt += u32::from(matches!(now.change.state(), ChangeState::Writing));
                let done = write(&fixture, id, &card)
                    .await
                    .unwrap_or_else(|error| panic!("{what}: {error}"));
                assert!(is_done(&done), "{what}");
            }
            assert_eq!(shop.purse(&fixture, &card), (expected, 0), "{what}");
        }
    }
    assert!(in_doubt > 5, "most places are in doubt: {in_doubt}");
    // And no card but its own takes it.
    let (_, other) = fixture.in_use(&fixture::person(1)).await;
    let stored = load(&fixture, permit, 100, "other").await;
    let error = write(&fixture, stored.change.id(), &other).await.unwrap_err();
    assert_eq!(error.code(), "CARD_SWAPPED");
    assert_eq!(shop.purse(&fixture, &other), (0, 0));
    assert!(is_done(
        &write(&fixture, stored.change.id(), &card).await.unwrap()
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tier_is_decided_signed_off_written_and_read_back() {
    let fixture = Fixture::new().await;
    let (permit, card) = fixture.in_use(fixture::APPLICANT).await;
    let office = fixture.office();
    let id = office.new_change_id();
    let asked = Proposal::Tier(Tier::Talent, None);
    let error = office.propose(id, permit, asked, clerk()).await.unwrap_err();
    assert!(matches!(error, OfficeError::NotEligible(_)), "{error}");

    let graduate = li_na(|form| form.education = Raw::from("20"));
    let asked = Proposal::Tier(Tier::Talent, Some(graduate));
    let stored = office.propose(id, permit, asked.clone(), clerk()).await.unwrap();
    let again = office.propose(id, permit, asked, clerk()).await.unwrap();
    assert_eq!(again.change, stored.change, "a proposal whose answer was lost");
    assert_eq!(
        write(&fixture, id, &card).await.unwrap_err().code(),
        "WRONG_STATE"
    );
    let own = approve(office, id, "liu").await.unwrap_err();
    assert_eq!(own.code(), "SAME_PERSON_TWICE");
    approve(office, id, "sun").await.unwrap();
    assert_eq!(
        write(&fixture, id, &card).await.unwrap_err().code(),
        "SAME_PERSON_TWICE"
    );
    assert_eq!(office.permit(permit).await.unwrap().grant().tier, Tier::Talent);
    // Nor under cover of another change, nor by terminals.
    let rotate = signed_off(&fixture, permit, Proposal::Rotate).await.change.id();
    let covered = write(&fixture, rotate, &card).await.unwrap_err();
    assert_eq!(covered.code(), "SAME_PERSON_TWICE");
    let money = load(&fixture, permit, 100, "till-1").await.change.id();
    let covered = write(&fixture, money, &card).await.unwrap_err();
    assert_eq!(covered.code(), "SAME_PERSON_TWICE");
    let queued = fixture
        .production
        .queue_change(id, &"sun".parse().unwrap())
        .await
        .unwrap_err();
    assert_eq!(queued.code(), "SAME_PERSON_TWICE");
    assert_eq!(
        office.change(id).await.unwrap().change.state(),
        &ChangeState::Ordered
    );
    let qian = "qian".parse().unwrap();
    let done = fixture
        .production
        .write_change(id, &mut card.station(), &qian)
        .await
        .unwrap();
    assert!(is_done(&done));
    assert_eq!(
        fixture
            .production
            .write_change(id, &mut card.station(), &qian)
            .await
            .unwrap(),
        done
    );
    let content = office
        .content_of(&office.card_in_use(permit).await.unwrap())
        .await
        .unwrap();
    assert_eq!(
        (content.tier(), content.state_counter().unwrap()),
        (Tier::Talent, 2)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endorsement_reaches_the_card_by_updates_and_only_all_receipts_end_it() {
    let fixture = Fixture::new().await;
    let (permit, card) = fixture.in_use(fixture::APPLICANT).await;
    let mut shop = Shop::open(&fixture, "shop 1", 61).await;
    let lease = || {
        li_na(|form| {
            for paper in &mut form.evidence {
                paper.to = Raw::from("2036-01-01");
            }
        })
    };
    let office = fixture.office();
    let early = office
        .propose(
            office.new_change_id(),
            permit,
            Proposal::Endorse(Some(lease())),
            clerk(),
        )
        .await
        .unwrap_err();
    assert_eq!(early.code(), "TOO_EARLY");
    fixture.time.set("2027-11-10T02:00:00Z");
    shop.sync(&fixture).await;
    let before = office.permit(permit).await.unwrap().grant().valid_to;
    let stored = signed_off(&fixture, permit, Proposal::Endorse(Some(lease()))).await;
    let after = office.permit(permit).await.unwrap().grant().valid_to;
    assert!(after > before);
    fixture
        .production
        .queue_change(stored.change.id(), &clerk())
        .await
        .unwrap();
    // The record of small payment comes last: with it the card gets another pseudonym at this shop.
    let receipts = shop.deliver(&fixture, &card).await;
    let taken = office.take_receipts(&receipts, &officer()).await.unwrap();
    let waits = fixture
        .vault_client()
        .await
        .pending_updates(card.serial.0)
        .await
        .unwrap();
    assert_eq!(
        taken.changes_done,
        [stored.change.id().to_string()],
        "{taken:?} {waits:?}"
    );
    // The card shows it at a shop, behind the old last day.
    fixture.time.set("2027-12-20T02:00:00Z");
    shop.sync(&fixture).await;
    let mut reader = card.reader();
    reader.reset().unwrap();
    let selected = Card::new(reader).select().unwrap();
    let day = today(&fixture);
    let admission = shop
        .terminal
        .tap(selected, Role::SmallPayment, day, &mut shop.rng)
        .unwrap();
    assert_eq!(admission.valid_to.to_string(), after.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endorsement_of_which_the_vault_sealed_a_part_is_not_taken_back_but_finished() {
    let fixture = Fixture::new().await;
    let (permit, card) = fixture.in_use(fixture::APPLICANT).await;
    let mut shop = Shop::open(&fixture, "shop 1", 61).await;
    let office = fixture.office();
    fixture.time.set("2027-11-10T02:00:00Z");
    let facts = li_na(|form| {
        for paper in &mut form.evidence {
            paper.to = Raw::from("2036-01-01");
        }
    });
    let before = office.permit(permit).await.unwrap().grant().valid_to;
    let id = signed_off(&fixture, permit, Proposal::Endorse(Some(facts)))
        .await
        .change
        .id();
    let decided = office.permit(permit).await.unwrap().grant().valid_to;
    assert!(decided > before);
    // The records of one role have no Active version: what comes before them is sealed, they are not.
    let mut vault = fixture.vault_client().await;
    let region = "440300".parse().unwrap();
    // The vault makes the next one itself, twice a day.
    for version in [1, 3, 5] {
        vault
            .compromise_role(Role::Transit, region, version)
            .await
            .unwrap();
    }
    let luo = "luo".parse().unwrap();
    let queue = async || fixture.production.queue_change(id, &luo).await;
    let refused = queue().await.unwrap_err();
    assert!(
        matches!(&refused, ProductionError::Vault(error) if error.is(RefusalCode::NoActiveVersion)),
        "{refused}"
    );
    let out = vault.pending_updates(card.serial.0).await.unwrap();
    assert!(out.waiting > 0, "terminals deliver a part of it");
    // It stands under who queued it, and not under who proposed it.
    let mut ledger = fixture.store.read().await.unwrap();
    let entries = ledger.ledger_of(&id.to_string()).await.unwrap();
    let last = entries.last().unwrap();
    assert_eq!(
        (last.action.as_str(), last.actor.as_str()),
        ("change ENDORSE QUEUED", "luo")
    );
    drop(ledger);

    let given_up = office.give_up_change(id, &clerk()).await.unwrap_err();
    assert_eq!(given_up.code(), "WRONG_STATE");
    shop.sync(&fixture).await;
    let receipts = shop.deliver(&fixture, &card).await;
    let taken = office.take_receipts(&receipts, &officer()).await.unwrap();
    assert_eq!(
        (taken.proved > 0, taken.changes_done.len()),
        (true, 0),
        "{taken:?}"
    );
    // Behind the window too: the card shows the later day in part.
    fixture.time.set("2027-12-20T02:00:00Z");
    assert!(office.expire_changes().await.unwrap().is_empty());
    assert_eq!(office.permit(permit).await.unwrap().grant().valid_to, decided);

    fixture.time.set("2027-11-11T02:00:00Z");
    let today = fixture.clock.today();
    vault.rotate_role(Role::Transit, region, today).await.unwrap();
    let queued = queue().await.unwrap();
    assert_eq!(queued.change.state(), &ChangeState::Queued);
    assert_eq!(queue().await.unwrap(), queued, "once");
    shop.sync(&fixture).await;
    let receipts = shop.deliver(&fixture, &card).await;
    let taken = office.take_receipts(&receipts, &officer()).await.unwrap();
    assert_eq!(taken.changes_done, [id.to_string()], "{taken:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chip_is_neither_ended_nor_opened_when_its_card_went_on_since_that_was_signed_off() {
    let fixture = Fixture::new().await;
    let (permit, card) = fixture.in_use(fixture::APPLICANT).await;
    let (office, number) = (fixture.office(), number(&fixture, permit).await);
    let zhao = "zhao".parse().unwrap();
    // To be ended, signed off or not yet, it is not allowed.
    office
        .end_card(&number, EndOfCard::Returned, &clerk())
        .await
        .unwrap();
    let end = signed_off(&fixture, permit, Proposal::End).await.change.id();
    let allowed = allowed_by_two(office, &number, &zhao).await.unwrap_err();
    assert!(allowed.to_string().contains("BEING_ENDED"), "{allowed}");
    office.give_up_change(end, &clerk()).await.unwrap();
    let late = office.new_change_id();
    office
        .propose(late, permit, Proposal::End, clerk())
        .await
        .unwrap();
    let refused = allowed_by_two(office, &number, &zhao).await.unwrap_err();
    assert_eq!(refused.code(), "WRONG_STATE");
    office.give_up_change(late, &clerk()).await.unwrap();
    allowed_by_two(office, &number, &zhao).await.unwrap();

    // Unblocked for its holder; and before that is written, lost.
    let block = signed_off(&fixture, permit, Proposal::Block).await;
    write(&fixture, block.change.id(), &card).await.unwrap();
    let unblock = signed_off(&fixture, permit, Proposal::Unblock).await.change.id();
    office.end_card(&number, EndOfCard::Lost, &clerk()).await.unwrap();
    let before = card.memory.image();
    let refused = write(&fixture, unblock, &card).await.unwrap_err();
    assert_eq!(refused.code(), "WRONG_STATE");
    assert_eq!(card.memory.image(), before, "nothing was said to the chip");
    assert_eq!(
        office.change(unblock).await.unwrap().change.state(),
        &ChangeState::Ordered
    );
    office.give_up_change(unblock, &clerk()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_rewritten_at_the_counter_with_a_new_face() {
    let fixture = Fixture::new().await;
    let (application, permit) = fixture.approved(fixture::APPLICANT).await;
    let receipt = fixture.photo(application).await;
    let order = fixture.order(permit, receipt).await;
    let card = fixture.blank();
    fixture.run(order.id(), &mut card.station()).await.unwrap();
    fixture.hand_over(order.id(), &mut card.station()).await.unwrap();

    let receipt = fixture.photo(application).await;
    let moved = li_na(|form| form.residence.address = Raw::from("广东省深圳市福田区福华路12号5栋301"));
    let stranger = fixture::applicant(&fixture::person(3));
    let office = fixture.office();
    let wrong = Proposal::Address(Box::new(stranger), receipt);
    let error = office
        .propose(office.new_change_id(), permit, wrong, clerk())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "OTHER_PERSON");
    let away = li_na(|form| form.residence.division = Raw::from("440106"));
    let away = Proposal::Address(Box::new(away), receipt);
    let error = office
        .propose(office.new_change_id(), permit, away, clerk())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "OTHER_OFFICE");

    let stored = signed_off(
        &fixture,
        permit,
        Proposal::Address(Box::new(moved.clone()), receipt),
    )
    .await;
    let id = stored.change.id();
    assert_eq!(
        fixture
            .production
            .queue_change(id, &clerk())
            .await
            .unwrap_err()
            .code(),
        "WRONG_STATE"
    );
    let mut station = Station::new(Faulty::<InProcess>::new(card.reader()).with(40, Fault::CutAfter));
    let error = fixture
        .production
        .write_change(id, &mut station, &producer())
        .await
        .unwrap_err();
    assert_eq!(error.exit().code(), 4);
    assert!(is_done(&write(&fixture, id, &card).await.unwrap()));
    let face = fixture.faces().join(id.to_string()).join("front.png");
    assert_eq!(
        image::load_from_memory(&std::fs::read(face).unwrap())
            .unwrap()
            .width(),
        1011
    );
    let permit_now = office.permit(permit).await.unwrap();
    assert_eq!(office.facts_of(&permit_now).await.unwrap().0, moved);
    // A decision by the old file is refused: first the address, then the rest.
    let old = Proposal::Entitlement(Some(li_na(|_| ())));
    let error = office
        .propose(office.new_change_id(), permit, old, clerk())
        .await
        .unwrap_err();
    assert_eq!(error.code(), "MOVED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_slept_three_versions_is_brought_up_to_date_at_the_counter() {
    let fixture = Fixture::new().await;
    let (permit, card) = fixture.in_use(fixture::APPLICANT).await;
    load_now(&fixture, permit, &card, 5_000, "till-1").await;
    let mut vault = fixture.vault_client().await;
    let region = "440300".parse().unwrap();
    for turn in 0..3 {
        if turn == 2 {
            // A day gives a role two.
            fixture.time.set("2026-11-22T02:00:00Z");
        }
        for role in [
            keyvault_protocol::Role::Transit,
            keyvault_protocol::Role::SmallPayment,
        ] {
            let until = fixture.clock.today();
            vault.rotate_role(role, region, until).await.unwrap();
        }
    }
    fixture.time.set("2026-11-23T02:00:00Z");
    let mut shop = Shop::open(&fixture, "shop 1", 61).await;
    let slept = shop.sell(&fixture, &card, 10);
    assert!(slept.is_err(), "its version is in no bundle: {slept:?}");
    let stored = signed_off(&fixture, permit, Proposal::Rotate).await;
    assert!(is_done(
        &write(&fixture, stored.change.id(), &card).await.unwrap()
    ));
    let sold = shop.sell(&fixture, &card, 10).unwrap();
    assert!(
        matches!(sold, Outcome::Sold(sale) if sale.before == 5_000),
        "the purse went along"
    );
    let versions = vault.card_versions(card.serial.0).await.unwrap();
    let newest = |role| {
        versions
            .iter()
            .filter(|v| v.role == role)
            .map(|v| v.key_version)
            .max()
    };
    assert_eq!(newest(keyvault_protocol::Role::SmallPayment), Some(4));
    assert_eq!(newest(keyvault_protocol::Role::Transit), Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_made_after_a_rotation_is_verified_by_an_office_that_has_worked_since_before() {
    let fixture = Fixture::new().await;
    // The counter has a bundle now, and keeps it for days.
    fixture.in_use(fixture::APPLICANT).await;
    let (region, until) = ("440300".parse().unwrap(), fixture.clock.today());
    let mut vault = fixture.vault_client().await;
    vault.rotate_role(Role::Transit, region, until).await.unwrap();
    let (_, card) = fixture.in_use(&fixture::person(3)).await;
    let versions = vault.card_versions(card.serial.0).await.unwrap();
    let transit = versions.iter().find(|version| version.role == Role::Transit);
    assert_eq!(transit.unwrap().key_version, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_card_is_refused_at_shops_and_only_two_people_give_it_back() {
    let fixture = Fixture::new().await;
    let (permit, card) = fixture.in_use(fixture::APPLICANT).await;
    load_now(&fixture, permit, &card, 5_000, "till-1").await;
    let mut shop = Shop::open(&fixture, "shop 1", 61).await;
    assert!(matches!(shop.sell(&fixture, &card, 10), Ok(Outcome::Sold(_))));
    let (office, number) = (fixture.office(), number(&fixture, permit).await);
    let lost = office.end_card(&number, EndOfCard::Lost, &clerk()).await.unwrap();
    assert_eq!(
        (lost.state, lost.denial),
        (CardStage::Ended(EndOfCard::Lost), Denial::Yes)
    );
    shop.sync(&fixture).await;
    assert!(shop.sell(&fixture, &card, 10).is_err(), "denied");
    assert_eq!(
        office
            .load(permit, 100, "till-2", clerk())
            .await
            .unwrap_err()
            .code(),
        "NO_CARD"
    );

    let zhao = "zhao".parse().unwrap();
    let early = allowed_by_two(office, &number, &zhao).await.unwrap_err();
    assert_eq!(early.code(), "WRONG_STATE", "nobody brought it");
    let found = office.found(&number, &clerk()).await.unwrap();
    assert_eq!(
        (found.state, found.denial),
        (CardStage::Ended(EndOfCard::Returned), Denial::Yes)
    );
    shop.sync(&fixture).await;
    assert!(
        shop.sell(&fixture, &card, 10).is_err(),
        "a found card does not come back by itself"
    );
    let unproposed = office
        .allow_again(&number, &zhao, allowing_to_sign(&found))
        .await
        .unwrap_err();
    assert_eq!(unproposed.code(), "ALLOWING_NOT_PROPOSED");
    let alone = allowed_by_two(office, &number, &"liu".parse().unwrap())
        .await
        .unwrap_err();
    assert_eq!(alone.code(), "SAME_PERSON_TWICE");
    let unread = office.allow_again(&number, &zhao, allowing_to_sign(&found)).await;
    assert_eq!(unread.unwrap_err().code(), "OTHER_CONTENT");
    let again = allowed_by_two(office, &number, &zhao).await.unwrap();
    assert_eq!((again.state, again.denial), (CardStage::HandedOver, Denial::No));
    assert_eq!(again.allow_proposed_by, None);
    shop.sync(&fixture).await;
    assert!(matches!(shop.sell(&fixture, &card, 10), Ok(Outcome::Sold(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_that_the_vault_did_not_hear_of_is_in_the_ledger_and_told_later() {
    let fixture = Fixture::new().await;
    let (permit, card) = fixture.in_use(fixture::APPLICANT).await;
    let mut shop = Shop::open(&fixture, "shop 1", 61).await;
    let (office, number) = (fixture.office(), number(&fixture, permit).await);
    fixture.line.cut();
    let error = office
        .end_card(&number, EndOfCard::Lost, &clerk())
        .await
        .unwrap_err();
    assert_eq!((error.code(), error.exit().code()), ("DENIAL_WANTED", 4));
    let card_now = office.card(&number).await.unwrap();
    assert_eq!(
        (card_now.state, card_now.denial),
        (CardStage::Ended(EndOfCard::Lost), Denial::Wanted)
    );
    fixture.line.mend();
    assert_eq!(office.confirm_denials().await.unwrap(), 1);
    assert_eq!(office.confirm_denials().await.unwrap(), 0);
    assert_eq!(office.card(&number).await.unwrap().denial, Denial::Yes);
    shop.sync(&fixture).await;
    assert!(shop.sell(&fixture, &card, 10).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_is_lost_while_it_is_being_allowed_stays_on_the_deny_lists() {
    let fixture = Fixture::new().await;
    let (permit, card) = fixture.in_use(fixture::APPLICANT).await;
    load_now(&fixture, permit, &card, 5_000, "till-1").await;
    let mut shop = Shop::open(&fixture, "shop 1", 61).await;
    let (office, number) = (fixture.office(), number(&fixture, permit).await);
    office.end_card(&number, EndOfCard::Lost, &clerk()).await.unwrap();
    office.found(&number, &clerk()).await.unwrap();
    let proposed = office.propose_allowing(&number, &clerk()).await.unwrap();
    // Between the ledger's LIFTING and the vault's word for it, another counter hears that the card is lost again.
    let meanwhile = Arc::new(AtomicBool::new(true));
    let (at_the_other, lost, vault) = (office.clone(), number.clone(), fixture.vault_dialer());
    let dialer = Dialer::new("vault", move || {
        let (office, lost, vault) = (at_the_other.clone(), lost.clone(), vault.clone());
        let meanwhile = Arc::clone(&meanwhile);
        async move {
            if meanwhile.swap(false, Ordering::SeqCst) {
                let lost = office.end_card(&lost, EndOfCard::Lost, &clerk()).await.unwrap();
                assert_eq!(lost.denial, Denial::Yes, "told, and it was denied before");
            }
            vault.connect().await
        }
    });
    let slow = fixture.office_over(fixture.store.clone(), dialer);
    let zhao = "zhao".parse().unwrap();
    let card_now = slow
        .allow_again(&number, &zhao, allowing_to_sign(&proposed))
        .await
        .unwrap();
    assert_eq!(
        (card_now.state, card_now.denial),
        (CardStage::Ended(EndOfCard::Lost), Denial::Yes)
    );
    assert_eq!(office.card(&number).await.unwrap().denial, Denial::Yes);
    shop.sync(&fixture).await;
    assert!(shop.sell(&fixture, &card, 10).is_err(), "the vault says the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_while_a_card_was_lost_is_written_onto_it_when_it_is_found() {
    let fixture = Fixture::new().await;
    let (permit, card) = fixture.in_use(fixture::APPLICANT).await;
    let (office, number) = (fixture.office(), number(&fixture, permit).await);
    fixture.time.set("2027-11-10T02:00:00Z");
    office.end_card(&number, EndOfCard::Lost, &clerk()).await.unwrap();
    let facts = li_na(|form| {
        for paper in &mut form.evidence {
            paper.to = Raw::from("2036-01-01");
        }
    });
    let left = signed_off(&fixture, permit, Proposal::Endorse(Some(facts))).await;
    let decided = office.permit(permit).await.unwrap().grant().valid_to;
    assert!(left.change.is_left_to_the_next_card());
    office.found(&number, &clerk()).await.unwrap();
    let back = allowed_by_two(office, &number, &"zhao".parse().unwrap())
        .await
        .unwrap();
    assert!(back.until.unwrap() < decided, "it is the old card");
    let id = left.change.id();
    assert_eq!(
        office.change(id).await.unwrap().change.state(),
        &ChangeState::Ordered
    );
    assert!(is_done(&write(&fixture, id, &card).await.unwrap()));
    assert_eq!(office.card(&number).await.unwrap().until, Some(decided));
    office.verify_ledger().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_cannot_be_entered_leaves_the_photo_and_one_that_is_given_up_closes_its_case() {
    let fixture = Fixture::new().await;
    let (application, permit) = fixture.approved(fixture::APPLICANT).await;
    let receipt = fixture.photo(application).await;
    let order = fixture.order(permit, receipt).await;
    let card = fixture.blank();
    fixture.run(order.id(), &mut card.station()).await.unwrap();
    fixture.hand_over(order.id(), &mut card.station()).await.unwrap();
    let office = fixture.office();
    let receipt = fixture.photo(application).await;
    let moved_to = |address: &str| {
        let moved = li_na(|form| form.residence.address = Raw::from(address.to_owned()));
        Proposal::Address(Box::new(moved), receipt)
    };
    let is_unused = async || {
        let info = office.photo_receipt(receipt).await.unwrap();
        info.state == photo_store_protocol::ReceiptState::Valid
    };
    // A character that no font on a card has.
    let id = office.new_change_id();
    let glyph = moved_to("广东省深圳市福田区\u{10a0e}华路12号");
    let refused = office.propose(id, permit, glyph, clerk()).await.unwrap_err();
    assert_eq!(refused.code(), "APPLICANT_FORM");
    assert!(is_unused().await, "the photo was not touched");
    let there = "广东省深圳市福田区福华路12号5栋301";
    office
        .propose(id, permit, moved_to(there), clerk())
        .await
        .unwrap();
    assert!(!is_unused().await);
    // The same again is the same; with another address, it is not.
    office
        .propose(id, permit, moved_to(there), clerk())
        .await
        .unwrap();
    let other = office
        .propose(id, permit, moved_to("广东省深圳市福田区福华路13号"), clerk())
        .await;
    assert_eq!(other.unwrap_err().code(), "ID_TAKEN");
    // Open already: a second one takes no photo.
    let second = fixture.photo(application).await;
    let moved = li_na(|form| form.residence.address = Raw::from(there.to_owned()));
    let again = Proposal::Address(Box::new(moved), second);
    let open = office
        .propose(office.new_change_id(), permit, again, clerk())
        .await
        .unwrap_err();
    assert_eq!(open.code(), "CHANGE_OPEN");

    for _ in 0..2 {
        let given_up = office.give_up_change(id, &clerk()).await.unwrap();
        assert_eq!(given_up.change.state(), &ChangeState::GivenUp);
    }
    let photos = office.photos_of(application).await.unwrap();
    let mut store = office.photo_store().await.unwrap();
    let read = photo_store_protocol::Read {
        photo: photos[0].photo,
        profile: photo_store_protocol::Profile::Print,
        purpose: photo_store_protocol::Purpose::Production,
        case: id.to_string().parse().unwrap(),
        reader: "sun".parse().unwrap(),
    };
    let closed = store.read(read).await.map(|_| ());
    assert_eq!(closed.unwrap_err().code().as_str(), "CASE_NOT_OPEN");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_person_signs_off_what_they_read_and_nothing_else() {
    let fixture = Fixture::new().await;
    let (permit, _) = fixture.in_use(fixture::APPLICANT).await;
    let office = fixture.office();
    let graduate = li_na(|form| form.education = Raw::from("20"));
    let id = office.new_change_id();
    let asked = Proposal::Tier(Tier::Talent, Some(graduate));
    office.propose(id, permit, asked, clerk()).await.unwrap();
    let read = office.proposal(id).await.unwrap();
    let decision = read.stored.decision.as_ref().unwrap();
    assert_eq!(
        (read.grant.tier, decision.tier),
        (Tier::Employment, Some(Tier::Talent))
    );
    let facts = read.newer_facts();
    let [(field, old, new)] = &facts[..] else {
        panic!("{facts:?}");
    };
    assert_eq!(field, "education");
    assert_ne!(old, new);
    // Given up, and proposed again with another tier's facts: what was read is not what stands there.
    office.give_up_change(id, &clerk()).await.unwrap();
    let other = office.new_change_id();
    office
        .propose(other, permit, Proposal::Entitlement(None), clerk())
        .await
        .unwrap();
    let zhao = || "zhao".parse().unwrap();
    let unread = office.approve_change(other, zhao(), read.content).await;
    assert_eq!(unread.unwrap_err().code(), "OTHER_CONTENT");
    let stands = office.change(other).await.unwrap();
    assert_eq!(stands.change.state(), &ChangeState::Proposed);
    let read = office.proposal(other).await.unwrap();
    assert!(read.newer_facts().is_empty());
    office.approve_change(other, zhao(), read.content).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_by_update_kills_a_lost_card_and_nobody_allows_it_while_the_block_is_on_its_way() {
    let fixture = Fixture::new().await;
    let (permit, card) = fixture.in_use(fixture::APPLICANT).await;
    let mut shop = Shop::open(&fixture, "shop 1", 61).await;
    let (office, number) = (fixture.office(), number(&fixture, permit).await);
    let stored = signed_off(&fixture, permit, Proposal::Block).await;
    fixture
        .production
        .queue_change(stored.change.id(), &clerk())
        .await
        .unwrap();
    office.end_card(&number, EndOfCard::Lost, &clerk()).await.unwrap();
    office.found(&number, &clerk()).await.unwrap();
    let zhao = "zhao".parse().unwrap();
    let error = allowed_by_two(office, &number, &zhao).await.unwrap_err();
    assert_eq!(error.code(), "WRONG_STATE");
    assert!(error.to_string().contains("BEING_BLOCKED"));
    // At the counter the block is done; then it is allowed, and two people unblock it.
    assert!(is_done(
        &write(&fixture, stored.change.id(), &card).await.unwrap()
    ));
    assert_eq!(office.card(&number).await.unwrap().chip, Chip::Blocked);
    assert!(shop.sell(&fixture, &card, 10).is_err());
    allowed_by_two(office, &number, &zhao).await.unwrap();
    assert!(shop.sell(&fixture, &card, 10).is_err(), "still blocked");
    let unblock = signed_off(&fixture, permit, Proposal::Unblock).await;
    assert!(is_done(
        &write(&fixture, unblock.change.id(), &card).await.unwrap()
    ));
    assert_eq!(office.card(&number).await.unwrap().chip, Chip::Open);
    load_now(&fixture, permit, &card, 100, "till-1").await;
    shop.sync(&fixture).await;
    assert!(matches!(shop.sell(&fixture, &card, 10), Ok(Outcome::Sold(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_card_is_replaced_and_its_purse_is_not_guessed() {
    let fixture = Fixture::new().await;
    let (application, permit) = fixture.approved(fixture::APPLICANT).await;
    let receipt = fixture.photo(application).await;
    let order = fixture.order(permit, receipt).await;
    let old = fixture.blank();
    fixture.run(order.id(), &mut old.station()).await.unwrap();
    fixture.hand_over(order.id(), &mut old.station()).await.unwrap();
    load_now(&fixture, permit, &old, 5_000, "till-1").await;
    let (office, number_before) = (fixture.office(), number(&fixture, permit).await);
    let graduate = li_na(|form| form.education = Raw::from("20"));
    signed_off(&fixture, permit, Proposal::Tier(Tier::Talent, Some(graduate))).await;
    office
        .end_card(&number_before, EndOfCard::Lost, &clerk())
        .await
        .unwrap();
    office.replace(&number_before, &clerk()).await.unwrap();
    office.replace(&number_before, &clerk()).await.unwrap();
    let refused = office.transfer_balance(&number_before).await.unwrap_err();
    assert_eq!(refused.code(), "BALANCE_UNKNOWN");
    assert!(refused.to_string().contains("35 days"), "{refused}");

    let receipt = fixture.photo(application).await;
    let order = fixture.order(permit, receipt).await;
    let new = fixture.blank();
    fixture.run(order.id(), &mut new.station()).await.unwrap();
    fixture.hand_over(order.id(), &mut new.station()).await.unwrap();
    let content = CardContent::from_content(fixture.stored(order.id()).await.content()).unwrap();
    assert_eq!(
        (content.tier(), content.state_counter().unwrap()),
        (Tier::Talent, 3),
        "with what was signed off since"
    );
    let number_now = number(&fixture, permit).await;
    assert_ne!(number_now, number_before);
    load_now(&fixture, permit, &new, 100_000, "till-2").await;
    // The old card comes back: it is destroyed, it is not allowed beside the new one.
    office.found(&number_before, &clerk()).await.unwrap();
    let zhao = "zhao".parse().unwrap();
    let allowed = allowed_by_two(office, &number_before, &zhao).await;
    assert_eq!(allowed.unwrap_err().code(), "WRONG_STATE");
    let serial = office.card(&number_before).await.unwrap().serial;
    office
        .set_aside(serial, ScrapReason::Replaced, &clerk())
        .await
        .unwrap();
    let alone = office
        .destroyed_before(serial, clerk().staff())
        .await
        .unwrap_err();
    assert_eq!(alone.code(), "SAME_PERSON_TWICE");
    office
        .destroyed_before(serial, Actor::staff(&zhao))
        .await
        .unwrap();
    let destroyed = office.card(&number_before).await.unwrap();
    assert_eq!(destroyed.state, CardStage::Destroyed);
}

/// Cards that hold version 1 of TRANSIT, alone, as the vault counts them.
async fn held(fixture: &Fixture) -> u64 {
    let keys = fixture.vault_client().await.role_keys().await.unwrap();
    let region = "440300".parse().unwrap();
    let first = |key: &&RoleKeyInfo| (key.role, key.region, key.version) == (Role::Transit, region, 1);
    keys.iter().find(first).unwrap().cards_alone
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_version_is_retired_when_the_cards_that_hold_it_are_replaced_or_destroyed() {
    let fixture = Fixture::new().await;
    let (office, clerk) = (fixture.office(), clerk());
    let (first, _) = fixture.in_use(fixture::APPLICANT).await;
    let second = fixture::person(3);
    let (second, _) = fixture.in_use(&second).await;
    let (replaced, destroyed) = (number(&fixture, first).await, number(&fixture, second).await);
    let mut vault = fixture.vault_client().await;
    let region = "440300".parse().unwrap();
    let day = fixture.clock.today();
    vault.rotate_role(Role::Transit, region, day).await.unwrap();
    let refused = vault.retire_role(Role::Transit, region, 1).await.unwrap_err();
    assert!(refused.is(RefusalCode::StillHeld), "{refused}");
    assert_eq!(held(&fixture).await, 2);

    // A lost card may be found: it counts until another one takes its place.
    office.end_card(&replaced, EndOfCard::Lost, &clerk).await.unwrap();
    assert_eq!(held(&fixture).await, 2);
    office.replace(&replaced, &clerk).await.unwrap();
    assert_eq!(held(&fixture).await, 1);

    office
        .end_card(&destroyed, EndOfCard::Returned, &clerk)
        .await
        .unwrap();
    let serial = office.card(&destroyed).await.unwrap().serial;
    office
        .set_aside(serial, ScrapReason::Returned, &clerk)
        .await
        .unwrap();
    let witness: StaffId = "zhao".parse().unwrap();
    // The vault is away: the ledger knows what it has not heard, and tells it later.
    fixture.line.cut();
    let error = office.destroyed_before(serial, &witness).await.unwrap_err();
    assert_eq!(error.code(), "DENIAL_WANTED");
    fixture.line.mend();
    assert_eq!(office.card(&destroyed).await.unwrap().state, CardStage::Destroyed);
    assert_eq!(held(&fixture).await, 1);
    assert_eq!(office.confirm_denials().await.unwrap(), 1);
    assert_eq!(held(&fixture).await, 0);
    office.destroyed_before(serial, &witness).await.unwrap();

    let mut vault = fixture.vault_client().await;
    let retired = vault.retire_role(Role::Transit, region, 1).await.unwrap();
    assert_eq!(retired.state, RoleKeyState::Destroyed);
}

fn sums(settled: &Settlement, index: usize) -> FileSums {
    match settled.files[index] {
        SettledFile::Taken {
            outcome: FileOutcome::Imported(sums),
            ..
        } => sums,
        ref other => panic!("{other:?}"),
    }
}

async fn settle(fixture: &Fixture, files: &[Vec<u8>]) -> Settlement {
    let nobody = std::collections::BTreeSet::new();
    fixture.office().settle(files, &nobody, &officer()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn shops_are_paid_once_for_what_cards_spent_and_an_edited_file_is_paid_not_at_all() {
    let fixture = Fixture::new().await;
    let (permit, card) = fixture.in_use(fixture::APPLICANT).await;
    load_now(&fixture, permit, &card, 50_000, "till-1").await;
    let mut shop = Shop::open(&fixture, "shop 1", 61).await;
    for amount in [1_000, 250, 1] {
        assert!(matches!(shop.sell(&fixture, &card, amount), Ok(Outcome::Sold(_))));
    }
    let file = shop.file();
    // The merchant tries every byte: nothing that differs is paid.
    for at in 0..file.len() {
        let mut edited = file.clone();
        edited[at] ^= 1;
        let settled = settle(&fixture, &[edited]).await;
        assert!(
            matches!(settled.files[..], [SettledFile::Refused(_)]),
            "byte {at}: {:?}",
            settled.files
        );
    }
    let settled = settle(&fixture, &[file.clone(), file.clone()]).await;
    assert_eq!(sums(&settled, 0).paid, Sum { count: 3, fen: 1_251 });
    assert!(matches!(
        settled.files[1],
        SettledFile::Taken {
            outcome: FileOutcome::Known,
            ..
        }
    ));
    let report = fixture.office().terminal_report(shop.tid).await.unwrap();
    assert_eq!(report.owed(), Sum { count: 3, fen: 1_251 });
    assert!(settle(&fixture, &[file]).await.batch.missing == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_withdrawn_shops_and_days_that_have_not_come_are_not_paid() {
    let fixture = Fixture::new().await;
    let (permit, card) = fixture.in_use(fixture::APPLICANT).await;
    load_now(&fixture, permit, &card, 50_000, "till-1").await;
    let office = fixture.office();
    let mut stranger = Shop::unregistered(&fixture, "shop 9", 69).await;
    assert!(matches!(
        stranger.sell(&fixture, &card, 100),
        Ok(Outcome::Sold(_))
    ));
    let strange = stranger.file();
    let settled = settle(&fixture, std::slice::from_ref(&strange)).await;
    assert_eq!(
        settled.files,
        [SettledFile::Refused(FileRefusal::TerminalUnknown {
            tid: stranger.tid
        })]
    );
    // A registration under the stranger's number with another key does not help; nor does another name.
    let mut wrong = Shop::open(&fixture, "shop 1", 61).await;
    let mut registration = stranger.registration();
    registration.authentication_key = wrong.registration().authentication_key;
    office.register_terminal(&registration, &officer()).await.unwrap();
    let settled = settle(&fixture, &[strange]).await;
    assert_eq!(settled.files, [SettledFile::Refused(FileRefusal::Signature)]);

    assert!(matches!(wrong.sell(&fixture, &card, 200), Ok(Outcome::Sold(_))));
    let yesterday = "2026-11-20".parse().unwrap();
    office
        .withdraw_terminal(wrong.tid, yesterday, &officer())
        .await
        .unwrap();
    let file = wrong.file();
    let settled = settle(&fixture, std::slice::from_ref(&file)).await;
    let tid = wrong.tid;
    assert_eq!(
        settled.files,
        [SettledFile::Refused(FileRefusal::Closed { tid, number: 1 })]
    );
    // Let in, it is still held against the last day.
    let let_in = [(tid, 1)].into();
    let settled = office.settle(&[file], &let_in, &officer()).await.unwrap();
    let sums_now = sums(&settled, 0);
    assert_eq!(
        (sums_now.paid.count, sums_now.not_registered),
        (0, Sum { count: 1, fen: 200 })
    );
    // Nor through the back door, as evidence of the next shop; but what no registered shop lost stays unpaid.
    let mut next = Shop::open(&fixture, "shop 2", 62).await;
    assert!(matches!(next.sell(&fixture, &card, 300), Ok(Outcome::Sold(_))));
    let settled = settle(&fixture, &[next.file()]).await;
    assert_eq!(
        (sums(&settled, 0).paid.fen, settled.batch.recovered.len()),
        (300, 0)
    );

    // This machine's clock fell behind: debits of tomorrow wait until it is set right.
    fixture.time.set("2026-11-23T02:00:00Z");
    assert!(matches!(next.sell(&fixture, &card, 400), Ok(Outcome::Sold(_))));
    let file = next.file();
    fixture.time.set("2026-11-22T02:00:00Z");
    let settled = settle(&fixture, std::slice::from_ref(&file)).await;
    assert_eq!(settled.files, [SettledFile::Refused(FileRefusal::Future)]);
    fixture.time.set("2026-11-23T03:00:00Z");
    assert_eq!(sums(&settle(&fixture, &[file]).await, 0).paid.fen, 400);
}

/// What a thief does with a terminal: days before its withdrawal, written after it. The file by itself, and through the next shop.
#[tokio::test(flavor = "multi_thread")]
async fn days_before_a_withdrawal_that_come_after_it_are_not_paid_until_a_person_says_so() {
    let fixture = Fixture::new().await;
    let (permit, card) = fixture.in_use(fixture::APPLICANT).await;
    load_now(&fixture, permit, &card, 50_000, "till-1").await;
    let office = fixture.office();
    let (mut stolen, mut next) = (
        Shop::open(&fixture, "shop 1", 61).await,
        Shop::open(&fixture, "shop 2", 62).await,
    );
    // Handed in while it was in service.
    assert!(stolen.sell(&fixture, &card, 100).is_ok());
    let before = stolen.file();
    let settled = settle(&fixture, std::slice::from_ref(&before)).await;
    assert_eq!(sums(&settled, 0).paid.fen, 100);
    // Sold on the last day, and kept back.
    assert!(stolen.sell(&fixture, &card, 200).is_ok());
    let kept = stolen.file();
    office
        .withdraw_terminal(stolen.tid, "2026-11-21".parse().unwrap(), &officer())
        .await
        .unwrap();
    // The terminal's clock stays on that day.
    assert!(stolen.sell(&fixture, &card, 400).is_ok());
    let forged = stolen.file();
    fixture.time.set("2026-11-22T02:00:00Z");
    assert!(next.sell(&fixture, &card, 30).is_ok());
    let seen = next.file();
    let closed = |number| {
        let tid = stolen.tid;
        SettledFile::Refused(FileRefusal::Closed { tid, number })
    };
    for _ in 0..2 {
        let settled = settle(&fixture, &[kept.clone(), forged.clone(), before.clone()]).await;
        assert_eq!(settled.files[..2], [closed(2), closed(3)]);
        assert!(matches!(
            settled.files[2],
            SettledFile::Taken {
                outcome: FileOutcome::Known,
                ..
            }
        ));
    }
    // The next shop is paid, and what it saw of the stolen one is not.
    let settled = settle(&fixture, &[seen]).await;
    assert_eq!(sums(&settled, 0).paid.fen, 30);
    assert!(settled.batch.recovered.is_empty());
    assert_eq!(settled.batch.recovered_unregistered.fen, 400);
    let owed = || office.terminal_report(stolen.tid);
    assert_eq!(owed().await.unwrap().owed().fen, 100);
    // The officer knows where one of them was: that one is taken, and the ledger says who let it in.
    let let_in = [(stolen.tid, 2)].into();
    let settled = office
        .settle(&[kept, forged.clone()], &let_in, &officer())
        .await
        .unwrap();
    assert_eq!(sums(&settled, 0).paid.fen, 200);
    assert_eq!(settled.files[1], closed(3));
    assert_eq!(owed().await.unwrap().owed().fen, 300);
    // What the next shop saw stayed open: a file that is let in is paid as if it had come in time.
    let let_in = [(stolen.tid, 3)].into();
    let settled = office.settle(&[forged], &let_in, &officer()).await.unwrap();
    assert_eq!(sums(&settled, 0).paid.fen, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_debit_of_a_broken_terminal_is_paid_from_what_the_next_shop_saw() {
    let fixture = Fixture::new().await;
    let (permit, card) = fixture.in_use(fixture::APPLICANT).await;
    load_now(&fixture, permit, &card, 50_000, "till-1").await;
    let (mut lost, mut next) = (
        Shop::open(&fixture, "shop 1", 61).await,
        Shop::open(&fixture, "shop 2", 62).await,
    );
    assert!(matches!(lost.sell(&fixture, &card, 700), Ok(Outcome::Sold(_))));
    assert!(matches!(next.sell(&fixture, &card, 30), Ok(Outcome::Sold(_))));
    let settled = settle(&fixture, &[next.file()]).await;
    assert_eq!(settled.batch.recovered[&lost.tid], Sum { count: 1, fen: 700 });
    let late = settle(&fixture, &[lost.file()]).await;
    assert_eq!((sums(&late, 0).paid.fen, sums(&late, 0).doubled.fen), (0, 700));
    let report = fixture.office().terminal_report(lost.tid).await.unwrap();
    assert_eq!(report.owed(), Sum { count: 1, fen: 700 }, "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_whose_answer_was_lost_is_paid_when_the_card_shows_it_elsewhere() {
    let fixture = Fixture::new().await;
    let (permit, card) = fixture.in_use(fixture::APPLICANT).await;
    load_now(&fixture, permit, &card, 50_000, "till-1").await;
    let (mut lost, mut next) = (
        Shop::open(&fixture, "shop 1", 61).await,
        Shop::open(&fixture, "shop 2", 62).await,
    );
    // SELECT, TAP, then COMMIT: its answer is lost.
    let mut cut = Faulty::<InProcess>::new(card.reader()).with(3, Fault::CutAfter);
    let outcome = lost.sell_through(&fixture, &mut cut, 900).unwrap();
    assert!(matches!(outcome, Outcome::PresentAgain(_)), "{outcome:?}");
    lost.journal.give_up().unwrap();
    let settled = settle(&fixture, &[lost.file()]).await;
    assert_eq!(
        (sums(&settled, 0).waiting, sums(&settled, 0).paid.count),
        (Sum { count: 1, fen: 900 }, 0)
    );
    assert!(matches!(next.sell(&fixture, &card, 10), Ok(Outcome::Sold(_))));
    let settled = settle(&fixture, &[next.file()]).await;
    assert_eq!(settled.batch.recovered[&lost.tid], Sum { count: 1, fen: 900 });
    assert_eq!(settled.batch.resolved, 1);
    let report = fixture.office().terminal_report(lost.tid).await.unwrap();
    assert_eq!((report.waiting.count, report.owed().fen), (0, 900));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_card_is_not_paid_and_is_denied_by_the_vault_which_alone_knows_it() {
    let fixture = Fixture::new().await;
    let (permit, card) = fixture.in_use(fixture::APPLICANT).await;
    load_now(&fixture, permit, &card, 50_000, "till-1").await;
    let (mut one, mut two) = (
        Shop::open(&fixture, "shop 1", 61).await,
        Shop::open(&fixture, "shop 2", 62).await,
    );
    let copy = TestCard {
        memory: CardMemory::from_image(card.memory.image()),
        ..card.clone()
    };
    assert!(matches!(one.sell(&fixture, &card, 500), Ok(Outcome::Sold(_))));
    assert!(matches!(two.sell(&fixture, &copy, 600), Ok(Outcome::Sold(_))));
    let settled = settle(&fixture, &[one.file(), two.file()]).await;
    assert_eq!(
        (sums(&settled, 0).copied.fen, sums(&settled, 1).copied.fen),
        (500, 600)
    );
    assert_eq!((settled.batch.copied, settled.denied), (1, 1));
    one.sync(&fixture).await;
    assert!(one.sell(&fixture, &card, 1).is_err(), "denied");
    assert!(one.sell(&fixture, &copy, 1).is_err(), "denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_of_the_ledger_and_no_log_line_has_a_cards_pseudonym() {
    let fixture = Fixture::new().await;
    let (permit, card) = fixture.in_use(fixture::APPLICANT).await;
    load_now(&fixture, permit, &card, 50_000, "till-1").await;
    let mut shop = Shop::open(&fixture, "shop 1", 61).await;
    assert!(matches!(shop.sell(&fixture, &card, 500), Ok(Outcome::Sold(_))));
    let lines: Vec<_> = shop.journal.lines().to_vec();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let file = shop.file();
    let settled = {
        let _guard = tracing::subscriber::set_default(subscriber);
        tracing::info!("the log is listened to");
        settle(&fixture, &[file]).await
    };
    assert_eq!(sums(&settled, 0).paid.count, 1);
    let log = log.0.lock().unwrap().clone();
    assert!(!log.is_empty());
    fixture.office().close().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut ledger = Vec::new();
    for name in ["issuer.db", "issuer.db-wal"] {
        ledger.extend(std::fs::read(fixture.folder.path().join(name)).unwrap_or_default());
    }
    assert!(!ledger.is_empty());
    for line in lines {
        let hex = hex::encode(line.pid);
        for (what, bytes) in [("the ledger", &ledger), ("the log", &log)] {
            for part in [line.pid.as_slice(), hex.as_bytes(), line.body.txno.as_slice()] {
                assert!(!bytes.windows(part.len()).any(|w| w == part), "{what}");
            }
        }
    }
}

#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_came_back_is_ended_by_two_people_and_never_answers_again() {
    let fixture = Fixture::new().await;
    let (permit, card) = fixture.in_use(fixture::APPLICANT).await;
    let (office, number) = (fixture.office(), number(&fixture, permit).await);
    let early = office
        .propose(office.new_change_id(), permit, Proposal::End, clerk())
        .await
        .unwrap_err();
    assert_eq!(early.code(), "WRONG_STATE", "its holder has it");
    office
        .end_card(&number, EndOfCard::Returned, &clerk())
        .await
        .unwrap();
    let end = signed_off(&fixture, permit, Proposal::End).await;
    let mut station = Station::new(Faulty::<InProcess>::new(card.reader()).with(12, Fault::CutAfter));
    let cut = fixture
        .production
        .write_change(end.change.id(), &mut station, &producer())
        .await;
    if let Err(error) = cut {
        assert_eq!(error.exit().code(), 4, "{error}");
    }
    assert!(is_done(&write(&fixture, end.change.id(), &card).await.unwrap()));
    assert_eq!(office.card(&number).await.unwrap().chip, Chip::Terminated);
    let zhao = "zhao".parse().unwrap();
    let allowed = allowed_by_two(office, &number, &zhao).await.unwrap_err();
    assert_eq!(allowed.code(), "WRONG_STATE");
}

/// Somebody with a reader near a pocket, who has no key.
fn tries_at_the_issuers_door(card: &TestCard, tries: usize) {
    let mut reader = card.reader();
    for _ in 0..tries {
        reader.reset().unwrap();
        for (command, status) in [
            ("00A4040007F0595A5452500100", [0x90, 0x00]),
            ("8050000008000102030405060700", [0x90, 0x00]),
            ("848233001000000000000000000000000000000000", [0x69, 0x82]),
        ] {
            let answer = reader.transmit(&hex::decode(command).unwrap()).unwrap();
            assert!(answer.ends_with(&status), "{command}: {answer:02x?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_tries_at_door_i_are_taken_back_at_the_counter_and_told_in_every_state_of_a_card() {
    let fixture = Fixture::new().await;
    let who = producer();
    let (application, permit) = fixture.approved(fixture::APPLICANT).await;
    let receipt = fixture.photo(application).await;
    let order = fixture.order(permit, receipt).await;
    let card = fixture.blank();
    fixture.run(order.id(), &mut card.station()).await.unwrap();
    // Written and waiting in a drawer.
    tries_at_the_issuers_door(&card, 40);
    let mut station = card.station();
    fixture.hand_over(order.id(), &mut station).await.unwrap();
    assert_eq!(station.wrong_tries(), 16);
    let (office, number) = (fixture.office(), number(&fixture, permit).await);
    // In use: fewer tries than lock the door are told too, and leave none behind.
    for (tries, key) in [(16, "till-1"), (15, "till-2"), (1, "till-3"), (0, "till-4")] {
        tries_at_the_issuers_door(&card, tries);
        let stored = load(&fixture, permit, 100, key).await;
        let mut station = card.station();
        let written = fixture
            .production
            .write_change(stored.change.id(), &mut station, &who);
        assert!(is_done(&written.await.unwrap()), "{tries} tries");
        assert_eq!(usize::from(station.wrong_tries()), tries);
    }
    // Blocked.
    office.end_card(&number, EndOfCard::Lost, &clerk()).await.unwrap();
    office.found(&number, &clerk()).await.unwrap();
    let block = signed_off(&fixture, permit, Proposal::Block).await;
    tries_at_the_issuers_door(&card, 17);
    assert!(is_done(&write(&fixture, block.change.id(), &card).await.unwrap()));
    let zhao = "zhao".parse().unwrap();
    allowed_by_two(office, &number, &zhao).await.unwrap();
    let unblock = signed_off(&fixture, permit, Proposal::Unblock).await;
    tries_at_the_issuers_door(&card, 17);
    let (_, other) = fixture.in_use(&fixture::person(1)).await;
    let swapped = write(&fixture, unblock.change.id(), &other).await.unwrap_err();
    assert_eq!(swapped.code(), "CARD_SWAPPED");
    let mut station = card.station();
    let written = fixture
        .production
        .write_change(unblock.change.id(), &mut station, &who);
    assert!(is_done(&written.await.unwrap()));
    assert_eq!(station.wrong_tries(), 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clerks_who_sign_off_and_write_at_once_write_one_change() {
    let fixture = Fixture::new().await;
    let (permit, card) = fixture.in_use(fixture::APPLICANT).await;
    let office = fixture.office();
    let id = office.new_change_id();
    let asked = Proposal::Entitlement(None);
    office.propose(id, permit, asked, clerk()).await.unwrap();
    let (a, b) = tokio::join!(approve(office, id, "zhao"), approve(office, id, "zhao"));
    assert_eq!(a.unwrap().change, b.unwrap().change);
    let (mut one, mut two) = (card.station(), card.station());
    let sun = producer();
    let (a, b) = tokio::join!(
        fixture.production.write_change(id, &mut one, &sun),
        fixture.production.write_change(id, &mut two, &sun)
    );
    assert!(a.is_ok() || b.is_ok() || write(&fixture, id, &card).await.is_ok());
    let done = write(&fixture, id, &card).await.unwrap();
    assert!(is_done(&done));
    let mut ledger = fixture.store.read().await.unwrap();
    assert_eq!(ledger.changes_of_permit(permit).await.unwrap().len(), 1);
    office.verify_ledger().await.unwrap();
}
