//! Twenty years of permits and their cards, in one office with the real vault, photo store, applet and terminals.
//!
//! What is expected is counted here by hand: months by their numbers, rest days by weekday and date. Left out: settlement of
//! what was spent.

use scratch_vault::{Approved as _, Outfit};
use std::collections::BTreeMap;

use card_applet_spec::codes::{Rights, Role};
use card_reader::transport::Transport as _;
use card_reader::{Admission, Bundle, Card, Outcome, Terminal, TerminalKey};
use issuer_office::changes::Proposal;
use issuer_production::{ProductionError, Station, pinned};
use issuer_store::StoredCardChange;
use jiff::civil::{Date, Weekday, date};
use keyvault_protocol::{BundleKind, RefusalCode};
use permit_domain::{
    Applicant, ApplicantForm, ApplicationId, ChangeId, ChangeState, EndOfCard, PermitId, Raw, Tier, Way,
};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use virtual_card::InProcess;
use virtual_card::fault::{Fault, Faulty};

use crate::cards::{Shop, approve, clerk, load, number, producer, today};
use crate::fixture;
use crate::fixture::{Fixture, TestCard};

/// The day of this number so many months later, or the last day of that month.
fn months_later(day: Date, months: i32) -> Date {
    let count = i32::from(day.year()) * 12 + i32::from(day.month()) - 1 + months;
    let first = date(
        i16::try_from(count.div_euclid(12)).unwrap(),
        i8::try_from(count.rem_euclid(12) + 1).unwrap(),
        1,
    );
    first
        .with()
        .day(day.day().min(first.days_in_month()))
        .build()
        .unwrap()
}

/// The day itself, or the first behind weekend and holidays of fixed date: no year after 2026 has a table of its own.
fn working(mut day: Date) -> Date {
    while matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
        || matches!((day.month(), day.day()), (1, 1) | (5, 1 | 2) | (10, 1..=3))
    {
        day = day.tomorrow().unwrap();
    }
    day
}

fn days_later(day: Date, days: i32) -> Date {
    day.checked_add(jiff::Span::new().days(days)).unwrap()
}

const fn months_of(tier: Tier) -> i32 {
    match tier {
        Tier::Temp => 6,
        _ => 12,
    }
}

/// When a holder comes.
#[derive(Debug, Clone, Copy)]
enum Comes {
    /// On the first day of the window.
    First,
    /// On its last.
    Last,
    /// So many days behind it.
    Late(i32),
}

/// A terminal of the town.
struct Gate {
    kind: BundleKind,
    key: TerminalKey,
    terminal: Terminal,
    bundle: Bundle,
    rng: StdRng,
}

impl Gate {
    async fn open(fixture: &Fixture, name: &str, kind: BundleKind, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut vault = fixture.vault_client().await;
        let key = TerminalKey::generate(name.parse().unwrap(), pinned(&mut vault).await.unwrap(), &mut rng);
        let bundle = Self::fetch(fixture, kind, &key).await;
        Self {
            kind,
            terminal: Terminal::new(Self::fetch(fixture, kind, &key).await),
            key,
            bundle,
            rng,
        }
    }

    async fn fetch(fixture: &Fixture, kind: BundleKind, key: &TerminalKey) -> Bundle {
        let (request, day) = (key.request(), fixture.clock.today());
        let sealed = fixture
            .vault_client()
            .await
            .outfit(&Outfit {
                kind,
                terminal: request.terminal.as_str().to_owned(),
                sealing_key: request.sealing_key,
                authentication_key: request.authentication_key,
                regions: vec!["440300".parse().unwrap()],
                zones: 0,
                from: day,
                to: days_later(day, 6),
            })
            .await
            .unwrap();
        Bundle::open(&sealed, key, None, today(fixture)).unwrap()
    }

    async fn sync(&mut self, fixture: &Fixture) {
        self.bundle = Self::fetch(fixture, self.kind, &self.key).await;
        self.terminal
            .replace_bundle(Self::fetch(fixture, self.kind, &self.key).await);
    }

    /// Door F.
    fn tap(&mut self, fixture: &Fixture, card: &TestCard, role: Role) -> Result<Admission, String> {
        let mut reader = card.reader();
        reader.reset().unwrap();
        let selected = Card::new(reader).select().map_err(|error| error.to_string())?;
        self.terminal
            .tap(selected, role, today(fixture), &mut self.rng)
            .map_err(|error| error.to_string())
    }

    /// Door S.
    fn read(&mut self, fixture: &Fixture, card: &TestCard, role: Role) -> Result<Admission, String> {
        let mut reader = card.reader();
        reader.reset().unwrap();
        self.look(reader, role, today(fixture))
            .map_err(|error| error.to_string())
    }

    fn look(
        &mut self,
        reader: InProcess,
        role: Role,
        day: card_applet_spec::date::Date,
    ) -> Result<Admission, card_reader::Error> {
        let card = Card::new(reader).select()?.present(&self.bundle, day)?;
        let card = card.agree(Rights::role(role), &self.key, day, &mut self.rng)?;
        let (_, seen) = card.read_entitlement(role, &self.bundle, day)?;
        Ok(*seen.content())
    }
}

/// The office and its terminals.
struct Town {
    fixture: Fixture,
    shop: Shop,
    bus: Gate,
    clinic: Gate,
    loads: u32,
}

/// A permit and its cards.
struct Life {
    name: &'static str,
    person: u32,
    tier: Tier,
    /// The day from which its years are counted.
    anchor: Date,
    /// The last day that was decided, and the last on its card.
    decided: Date,
    on_card: Date,
    application: ApplicationId,
    permit: PermitId,
    card: TestCard,
    loaded: u32,
    spent: u32,
    address: Option<&'static str>,
    /// How its holder comes, one turn after the other.
    comes: &'static [Comes],
    turn: usize,
    is_away: bool,
}

/// The sample applicant as this person, with papers that last, asking for a tier.
fn form(person: u32, tier: Tier, address: Option<&str>) -> ApplicantForm {
    let mut form = ApplicantForm::from_json(&fixture::person(person)).unwrap();
    for paper in &mut form.evidence {
        paper.to = Raw::from("2099-01-01");
    }
    if tier == Tier::Talent {
        form.education = Raw::from("20");
    }
    form.requested_tier = Raw::from(tier.as_str().to_owned());
    if let Some(address) = address {
        form.residence.address = Raw::from(address.to_owned());
    }
    form
}

impl Life {
    fn facts(&self) -> Applicant {
        form(self.person, self.tier, self.address)
            .into_applicant(date(2026, 11, 21))
            .unwrap()
    }

    /// The end of the period of this number, not moved.
    fn end(&self, number: i32) -> Date {
        months_later(self.anchor, number * months_of(self.tier))
    }

    /// The number of the last full period that was decided.
    fn periods(&self) -> i32 {
        (1..400)
            .take_while(|n| self.end(*n) <= self.decided)
            .last()
            .unwrap_or(0)
    }

    fn opens(&self, number: i32) -> Date {
        months_later(self.end(number), -1)
    }

    /// The day on which its holder comes next.
    fn next(&self) -> Date {
        if self.is_away {
            return Date::MAX;
        }
        let number = self.periods();
        match self.comes[self.turn % self.comes.len()] {
            Comes::First => self.opens(number),
            Comes::Last => working(self.end(number)),
            Comes::Late(days) => days_later(working(self.end(number)), days),
        }
    }

    /// The last day that an endorsement of this day gives: of the first period whose window is not open.
    fn granted(&self, on: Date) -> Date {
        let number = (1..400).find(|n| on < self.opens(*n)).unwrap();
        working(self.end(number))
    }
}

impl Town {
    async fn new() -> Self {
        let fixture = Fixture::new().await;
        Self {
            shop: Shop::unregistered(&fixture, "shop 1", 71).await,
            bus: Gate::open(&fixture, "bus 1", BundleKind::Bus, 72).await,
            clinic: Gate::open(&fixture, "clinic 1", BundleKind::Clinic, 73).await,
            fixture,
            loads: 0,
        }
    }

    /// It is ten in the morning of this day.
    fn is(&self, day: Date) {
        self.fixture.time.set(&format!("{day}T02:00:00Z"));
    }

    async fn sync(&mut self) {
        self.fixture.enrol_counters().await;
        self.shop.sync(&self.fixture).await;
        self.bus.sync(&self.fixture).await;
        self.clinic.sync(&self.fixture).await;
    }

    /// Makes the card of a permit, and hands it over.
    async fn card(&self, application: ApplicationId, permit: PermitId) -> TestCard {
        let receipt = self.fixture.photo(application).await;
        let order = self.fixture.order(permit, receipt).await;
        let card = self.fixture.blank();
        self.fixture.run(order.id(), &mut card.station()).await.unwrap();
        self.fixture
            .hand_over(order.id(), &mut card.station())
            .await
            .unwrap();
        card
    }

    async fn issue(
        &self,
        name: &'static str,
        tier: Tier,
        on: Date,
        person: u32,
        comes: &'static [Comes],
    ) -> Life {
        self.is(on);
        let json = serde_json::to_string(&form(person, tier, None)).unwrap();
        let (application, permit) = self.fixture.approved(&json).await;
        let card = self.card(application, permit).await;
        let last = working(months_later(on, months_of(tier)));
        Life {
            name,
            person,
            tier,
            anchor: on,
            decided: last,
            on_card: last,
            application,
            permit,
            card,
            loaded: 0,
            spent: 0,
            address: None,
            comes,
            turn: 0,
            is_away: false,
        }
    }

    /// What ledger and terminals say of a permit.
    async fn check(&mut self, life: &Life, what: &str) {
        self.sync().await;
        let day = self.fixture.clock.today();
        let what = format!("{}: {what} on {day}", life.name);
        let (permit, on_card) = self.fixture.office().permit_and_card(life.permit).await.unwrap();
        let grant = permit.grant();
        assert_eq!(
            (grant.anchor, grant.tier, grant.valid_to, on_card),
            (life.anchor, life.tier, life.decided, Some(life.on_card)),
            "{what}"
        );
        let bus = self.bus.tap(&self.fixture, &life.card, Role::Transit);
        let clinic = self.clinic.read(&self.fixture, &life.card, Role::Clinic);
        if day > life.on_card {
            assert!(bus.is_err() && clinic.is_err(), "{what}: it is over");
            return;
        }
        for admitted in [bus, clinic] {
            let admitted = admitted.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(
                (
                    admitted.tier,
                    admitted.valid_from.to_string(),
                    admitted.valid_to.to_string()
                ),
                (life.tier, life.anchor.to_string(), life.on_card.to_string()),
                "{what}"
            );
        }
        assert_eq!(
            self.shop.purse(&self.fixture, &life.card),
            (life.loaded, life.spent),
            "{what}"
        );
    }

    async fn signed_off(&self, life: &Life, proposal: Proposal) -> StoredCardChange {
        let office = self.fixture.office();
        let id = office.new_change_id();
        let stored = office.propose(id, life.permit, proposal, clerk()).await;
        let stored = stored.unwrap_or_else(|error| panic!("{}: {error}", life.name));
        match stored.change.state() {
            ChangeState::Proposed => approve(office, id, "zhao").await.unwrap(),
            _ => stored,
        }
    }

    async fn write_on(
        &self,
        id: ChangeId,
        station: &mut Station,
    ) -> Result<StoredCardChange, ProductionError> {
        self.fixture
            .production
            .write_change(id, station, &producer())
            .await
    }

    async fn write(&self, id: ChangeId, life: &Life) {
        let done = self.write_on(id, &mut life.card.station()).await;
        let done = done.unwrap_or_else(|error| panic!("{}: {error}", life.name));
        assert!(is_done(&done), "{}", life.name);
    }

    async fn state(&self, id: ChangeId) -> &'static str {
        self.fixture
            .office()
            .change(id)
            .await
            .unwrap()
            .change
            .state()
            .name()
    }

    /// Decided and written on one day.
    async fn endorse(&mut self, life: &mut Life) {
        let on = self.fixture.clock.today();
        let stored = self.signed_off(life, Proposal::Endorse(None)).await;
        life.decided = life.granted(on);
        self.write(stored.change.id(), life).await;
        life.on_card = life.decided;
        life.turn += 1;
        self.check(life, "endorsed").await;
    }

    async fn rotate(&mut self, life: &Life) {
        let stored = self.signed_off(life, Proposal::Rotate).await;
        self.write(stored.change.id(), life).await;
        self.check(life, "rotated").await;
    }

    async fn tier(&mut self, life: &mut Life, tier: Tier) {
        let on = self.fixture.clock.today();
        life.tier = tier;
        let facts = Some(life.facts());
        let stored = self.signed_off(life, Proposal::Tier(tier, facts)).await;
        // It ends no sooner than what was decided before.
        life.decided = life.granted(on).max(life.decided);
        self.write(stored.change.id(), life).await;
        life.on_card = life.decided;
        self.check(life, "another tier").await;
    }

    async fn load(&mut self, life: &mut Life, fen: u32) {
        self.loads += 1;
        let key = format!("till-{}", self.loads);
        let stored = load(&self.fixture, life.permit, fen, &key).await;
        self.write(stored.change.id(), life).await;
        life.loaded += fen;
        self.check(life, "loaded").await;
    }

    fn buy(&mut self, life: &mut Life, fen: u32) {
        let sold = self.shop.sell(&self.fixture, &life.card, fen).unwrap();
        assert!(matches!(sold, Outcome::Sold(_)), "{}: {sold:?}", life.name);
        life.spent += fen;
    }

    async fn lose(&mut self, life: &Life) {
        let lost = number(&self.fixture, life.permit).await;
        let office = self.fixture.office();
        office.end_card(&lost, EndOfCard::Lost, &clerk()).await.unwrap();
        office.replace(&lost, &clerk()).await.unwrap();
        self.sync().await;
        let found = self.bus.tap(&self.fixture, &life.card, Role::Transit);
        assert!(found.is_err(), "{}: a lost card is refused", life.name);
    }

    /// Another card, with everything that was signed off, and an empty purse.
    async fn replace(&mut self, life: &mut Life) {
        life.card = self.card(life.application, life.permit).await;
        (life.on_card, life.loaded, life.spent) = (life.decided, 0, 0);
        self.check(life, "replaced").await;
    }

    async fn move_to(&mut self, life: &mut Life, address: &'static str) {
        life.address = Some(address);
        let receipt = self.fixture.photo(life.application).await;
        let asked = Proposal::Address(Box::new(life.facts()), receipt);
        let stored = self.signed_off(life, asked).await;
        self.write(stored.change.id(), life).await;
        self.check(life, "moved").await;
    }

    /// Another version of every role's keys; those of before are taken for so many days.
    async fn rotate_keys(&self, drain: i32) {
        let mut vault = self.fixture.vault_client().await;
        let until = days_later(self.fixture.clock.today(), drain);
        for role in keyvault_protocol::Role::ALL {
            vault
                .rotate_role(*role, "440300".parse().unwrap(), until)
                .await
                .unwrap();
        }
    }
}

fn is_done(stored: &StoredCardChange) -> bool {
    matches!(
        stored.change.state(),
        ChangeState::Done {
            way: Way::Counter,
            ..
        }
    )
}

/// What happens in the town besides holders who come in their time.
#[derive(Debug, Clone, Copy)]
enum Happens {
    /// Every role gets new keys.
    NewKeys,
    /// The shops' keys are known to somebody: everybody comes for new ones.
    Compromise,
    /// A card is lost and replaced on one day.
    Replaced(&'static str),
    /// A card is lost, and its holder stays away.
    Lost(&'static str),
    /// A holder without a card comes when the permit is over.
    Lapsed(&'static str),
    /// Another tier.
    Tier(&'static str, Tier),
    /// Another flat.
    Moved(&'static str, &'static str),
}

const SLEEPS_ONCE: [Comes; 20] = {
    let mut comes = [Comes::First; 20];
    comes[1] = Comes::Late(1_615);
    comes
};

/// Name, tier, day of issue, and how the holder comes.
type Birth = (&'static str, Tier, Date, &'static [Comes]);

const BIRTHS: [Birth; 7] = [
    // A Saturday: every sixth year or so its end is moved, and no year after it.
    (
        "an ordinary day",
        Tier::Employment,
        date(2026, 11, 21),
        &[Comes::Last],
    ),
    (
        "New Year's Eve",
        Tier::Temp,
        date(2026, 12, 31),
        &[Comes::Last, Comes::Late(5)],
    ),
    (
        "the sleeper",
        Tier::Employment,
        date(2027, 1, 15),
        // Four years and five months once: behind two rotations and a compromise.
        &SLEEPS_ONCE,
    ),
    (
        "a month's end",
        Tier::Talent,
        date(2027, 1, 31),
        &[Comes::First, Comes::Last],
    ),
    (
        "half-years",
        Tier::Temp,
        date(2027, 8, 31),
        &[Comes::First, Comes::Last],
    ),
    (
        "before the holidays",
        Tier::Employment,
        date(2027, 9, 30),
        &[Comes::Last, Comes::Late(12)],
    ),
    (
        "the leap day",
        Tier::Talent,
        date(2028, 2, 29),
        &[Comes::Last, Comes::First, Comes::Late(40)],
    ),
];

const HAPPENS: [(Date, Happens); 18] = [
    (date(2028, 5, 10), Happens::Tier("half-years", Tier::Employment)),
    (date(2029, 3, 12), Happens::NewKeys),
    (date(2029, 11, 30), Happens::Replaced("an ordinary day")),
    (date(2030, 6, 3), Happens::Tier("half-years", Tier::Talent)),
    (date(2030, 11, 11), Happens::NewKeys),
    (
        date(2031, 7, 8),
        Happens::Moved("half-years", "广东省深圳市南山区后海大道1号2栋303"),
    ),
    (date(2031, 9, 15), Happens::Replaced("before the holidays")),
    (date(2032, 2, 16), Happens::Compromise),
    // A tier of half-years again: what was decided before stays.
    (date(2033, 1, 20), Happens::Tier("half-years", Tier::Temp)),
    (date(2034, 4, 18), Happens::NewKeys),
    (date(2036, 12, 9), Happens::Replaced("the sleeper")),
    (date(2036, 12, 15), Happens::Replaced("a month's end")),
    (date(2036, 12, 22), Happens::Replaced("New Year's Eve")),
    (date(2037, 1, 15), Happens::Lost("the leap day")),
    (date(2037, 4, 13), Happens::Lapsed("the leap day")),
    (date(2037, 5, 7), Happens::Replaced("half-years")),
    (date(2037, 11, 30), Happens::Replaced("an ordinary day")),
    (date(2039, 9, 15), Happens::Replaced("before the holidays")),
];

fn named<'a>(lives: &'a mut [Life], name: &str) -> &'a mut Life {
    lives.iter_mut().find(|life| life.name == name).unwrap()
}

impl Town {
    async fn happens(&mut self, what: Happens, lives: &mut [Life]) {
        let on = self.fixture.clock.today();
        match what {
            Happens::NewKeys => self.rotate_keys(400).await,
            Happens::Compromise => {
                let (role, region) = (keyvault_protocol::Role::SmallPayment, "440300".parse().unwrap());
                let mut vault = self.fixture.vault_client().await;
                let keys = vault.role_keys().await.unwrap();
                let newest = keys.iter().filter(|key| key.role == role).map(|key| key.version);
                let compromised = vault
                    .compromise_role(role, region, newest.max().unwrap())
                    .await
                    .unwrap();
                assert!(compromised.active.is_some());
                self.sync().await;
                for life in lives.iter_mut().filter(|life| on <= life.decided) {
                    let sold = self.shop.sell(&self.fixture, &life.card, 1);
                    assert!(sold.is_err(), "{}: {sold:?}", life.name);
                    self.rotate(life).await;
                    if life.spent < life.loaded {
                        self.buy(life, 1);
                    }
                }
            }
            Happens::Replaced(name) => {
                let life = named(lives, name);
                self.lose(life).await;
                self.replace(life).await;
            }
            Happens::Lost(name) => {
                let life = named(lives, name);
                self.lose(life).await;
                life.is_away = true;
            }
            Happens::Lapsed(name) => {
                let life = named(lives, name);
                let (office, id) = (self.fixture.office(), self.fixture.office().new_order_id());
                let refused = office.order(id, life.permit, "sun".parse().unwrap(), None).await;
                assert_eq!(refused.unwrap_err().code(), "LAST_DAY_OVER");
                // The endorsement stands without a card, and the next one is made with it.
                let stored = self.signed_off(life, Proposal::Endorse(None)).await;
                assert!(matches!(
                    stored.change.state(),
                    ChangeState::Done {
                        way: Way::NextCard,
                        ..
                    }
                ));
                life.decided = life.granted(on);
                life.turn += 1;
                life.is_away = false;
                self.replace(life).await;
            }
            Happens::Tier(name, tier) => {
                let life = named(lives, name);
                self.tier(life, tier).await;
            }
            Happens::Moved(name, address) => {
                let life = named(lives, name);
                self.move_to(life, address).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn for_twenty_years_permits_of_three_tiers_are_endorsed_from_their_anchors_and_their_cards_follow() {
    const END: Date = date(2046, 11, 22);
    let mut town = Town::new().await;
    let mut lives: Vec<Life> = Vec::new();
    let (mut births, mut happens) = (BIRTHS.iter().zip(0..).peekable(), HAPPENS.iter().peekable());
    let mut endorsed: BTreeMap<&str, u32> = BTreeMap::new();
    loop {
        let comes = lives
            .iter()
            .map(Life::next)
            .enumerate()
            .min_by_key(|(_, day)| *day);
        let next = comes.map_or(Date::MAX, |(_, day)| day);
        let birth = births.peek().map_or(Date::MAX, |((_, _, day, _), _)| *day);
        let special = happens.peek().map_or(Date::MAX, |(day, _)| *day);
        if next.min(birth).min(special) > END {
            break;
        }
        if birth <= next.min(special) {
            let ((name, tier, day, comes), person) = births.next().unwrap();
            let mut life = town.issue(name, *tier, *day, person, comes).await;
            town.check(&life, "issued").await;
            town.load(&mut life, 3_000).await;
            lives.push(life);
        } else if special <= next {
            let (day, what) = happens.next().unwrap();
            town.is(*day);
            Box::pin(town.happens(*what, &mut lives)).await;
        } else {
            let (index, day) = comes.unwrap();
            let life = &mut lives[index];
            town.is(day);
            town.endorse(life).await;
            *endorsed.entry(life.name).or_default() += 1;
            if life.turn % 4 == 1 {
                town.load(life, 2_000).await;
                town.buy(life, 700);
            }
        }
    }
    for life in &lives {
        town.check(life, "at the end").await;
    }
    // Every leap year has the leap day again, whatever was between.
    let leap = lives.iter().find(|life| life.name == "the leap day").unwrap();
    assert_eq!(leap.end(16), date(2044, 2, 29));
    assert_eq!(endorsed["an ordinary day"], 20);
    assert!(endorsed["New Year's Eve"] > 38, "{endorsed:?}");
    let office = town.fixture.office();
    office.verify_ledger().await.unwrap();
    assert!(
        office.expire_changes().await.unwrap().is_empty(),
        "nothing is left"
    );
}

/// Of a change that stopped: the ledger's state of it, and the last days of permit and card.
async fn stands(town: &Town, life: &Life, id: ChangeId) -> (&'static str, Date, Option<Date>) {
    let (permit, on_card) = town.fixture.office().permit_and_card(life.permit).await.unwrap();
    (town.state(id).await, permit.grant().valid_to, on_card)
}

/// A key officer's word, past the office: the vault refuses everything that grants the card something.
async fn denied(town: &Town, life: &Life, is_denied: bool) {
    let mut vault = town.fixture.vault_client().await;
    if is_denied {
        vault.deny_card(life.card.serial.0).await.unwrap();
    } else {
        vault.allow_card(life.card.serial.0).await.unwrap();
    }
}

impl Town {
    /// One change through everything that goes wrong: refused before its first byte and given up, without a vault, torn
    /// at these commands, refused when it was torn; then done.
    async fn through_everything(
        &mut self,
        life: &mut Life,
        proposal: Proposal,
        after: (Tier, Date),
        places: &[u32],
    ) {
        let before = (life.tier, life.decided);
        let what = format!("{:?}", proposal.kind());
        let mut stored = self.signed_off(life, proposal.clone()).await;
        let mut id = stored.change.id();
        for is_given_up in [true, false] {
            denied(self, life, true).await;
            let refused = self.write_on(id, &mut life.card.station()).await.unwrap_err();
            assert!(is_refused(&refused, RefusalCode::CardDenied), "{what}: {refused}");
            let open = ("ORDERED", after.1, Some(life.on_card));
            assert_eq!(stands(self, life, id).await, open, "{what}: nothing was begun");
            denied(self, life, false).await;
            if is_given_up {
                let office = self.fixture.office();
                office.give_up_change(id, &clerk()).await.unwrap();
                let grant = office.permit(life.permit).await.unwrap().grant().clone();
                assert_eq!((grant.tier, grant.valid_to), before, "{what}: taken back");
                self.check(life, &what).await;
                stored = self.signed_off(life, proposal.clone()).await;
                id = stored.change.id();
            }
        }
        self.fixture.line.cut();
        let away = self.write_on(id, &mut life.card.station()).await.unwrap_err();
        assert_eq!(program_contract::Failing::exit(&away).code(), 3, "{what}: {away}");
        self.fixture.line.mend();
        assert_eq!(self.state(id).await, "ORDERED", "{what}");

        let mut torn = Vec::new();
        for place in places {
            for fault in [Fault::CutBefore, Fault::CutAfter] {
                let mut station =
                    Station::new(Faulty::<InProcess>::new(life.card.reader()).with(*place, fault));
                let Err(error) = self.write_on(id, &mut station).await else {
                    continue;
                };
                let now = stands(self, life, id).await;
                assert!(["ORDERED", "WRITING"].contains(&now.0), "{what}: {error}");
                assert_eq!((now.1, now.2), (after.1, Some(life.on_card)), "{what}");
                torn.push(now.0);
                // The card itself has all of it or nothing.
                self.sync().await;
                let seen = self.bus.tap(&self.fixture, &life.card, Role::Transit).unwrap();
                let seen = (seen.tier, seen.valid_to.to_string());
                let (old, new) = (
                    (before.0, life.on_card.to_string()),
                    (after.0, after.1.to_string()),
                );
                assert!(seen == old || seen == new, "{what}: {seen:?}");
                if now.0 == "WRITING" {
                    // Nobody gives up what may be on a card, until the card has said that it is not.
                    let office = self.fixture.office();
                    assert!(office.give_up_change(id, &clerk()).await.is_err());
                    denied(self, life, true).await;
                    let told = self.write_on(id, &mut life.card.station()).await;
                    let state = self.state(id).await;
                    match told {
                        Ok(done) => assert!(is_done(&done) && seen == new, "{what}"),
                        Err(error) => {
                            assert!(is_refused(&error, RefusalCode::CardDenied), "{what}: {error}");
                            assert_eq!(state, "ORDERED", "{what}");
                        }
                    }
                    denied(self, life, false).await;
                }
            }
        }
        assert!(torn.contains(&"WRITING"), "{what}: {torn:?}");
        self.write(id, life).await;
        (life.tier, life.decided, life.on_card) = (after.0, after.1, after.1);
    }
}

fn is_refused(error: &ProductionError, code: RefusalCode) -> bool {
    matches!(error, ProductionError::Vault(error) if error.is(code))
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_torn_or_refused_at_any_step_leaves_the_card_s_day_where_it_was_and_has_a_way_out() {
    let mut town = Town::new().await;
    let mut life = town
        .issue("torn", Tier::Employment, date(2026, 11, 21), 1, &[Comes::Last])
        .await;
    town.load(&mut life, 3_000).await;
    let places = [3, 8, 11, 20, 40];

    town.is(date(2027, 11, 10));
    let after = (Tier::Employment, life.granted(date(2027, 11, 10)));
    town.through_everything(&mut life, Proposal::Endorse(None), after, &places)
        .await;
    town.check(&life, "endorsed").await;

    town.is(date(2028, 3, 1));
    let graduate = form(1, Tier::Talent, None)
        .into_applicant(date(2026, 11, 21))
        .unwrap();
    let after = (Tier::Talent, life.decided);
    town.through_everything(
        &mut life,
        Proposal::Tier(Tier::Talent, Some(graduate)),
        after,
        &places,
    )
    .await;
    town.check(&life, "another tier").await;
    let after = (life.tier, life.decided);
    town.through_everything(&mut life, Proposal::Entitlement(None), after, &places)
        .await;
    town.rotate_keys(400).await;
    town.through_everything(&mut life, Proposal::Rotate, after, &places)
        .await;
    town.load(&mut life, 500).await;

    // Ordered on the last day, written behind it: the vault writes no record that is over, and the order is given up.
    let last = working(life.end(2));
    assert_eq!(last, life.on_card);
    town.is(last);
    let late = town.signed_off(&life, Proposal::Rotate).await.change.id();
    town.is(days_later(last, 1));
    let refused = town.write_on(late, &mut life.card.station()).await.unwrap_err();
    assert!(is_refused(&refused, RefusalCode::BadContent), "{refused}");
    assert_eq!(town.state(late).await, "ORDERED");
    town.fixture
        .office()
        .give_up_change(late, &clerk())
        .await
        .unwrap();
    let office = town.fixture.office();
    let over = office
        .propose(office.new_change_id(), life.permit, Proposal::Rotate, clerk())
        .await;
    assert_eq!(over.unwrap_err().code(), "LAST_DAY_OVER");
    town.endorse(&mut life).await;

    // Torn on the last day, and found on the next: the card says what it has.
    for place in [9, 30, 44] {
        let last = life.on_card;
        town.is(last);
        let id = town.signed_off(&life, Proposal::Rotate).await.change.id();
        let mut station =
            Station::new(Faulty::<InProcess>::new(life.card.reader()).with(place, Fault::CutAfter));
        let stopped = town.write_on(id, &mut station).await;
        town.is(days_later(last, 1));
        if stopped.is_err() {
            let told = town.write_on(id, &mut life.card.station()).await;
            assert!(
                told.as_ref()
                    .is_err_and(|error| is_refused(error, RefusalCode::BadContent)),
                "{told:?}"
            );
            assert_eq!(town.state(id).await, "ORDERED", "{place}");
            town.fixture.office().give_up_change(id, &clerk()).await.unwrap();
        }
        town.endorse(&mut life).await;
    }

    // A replacement: no number and no blank for a permit that is over, and one that stopped is made by another order.
    town.lose(&life).await;
    let receipt = town.fixture.photo(life.application).await;
    let order = town.fixture.order(life.permit, receipt).await.id();
    let blank = town.fixture.blank();
    let station = || Station::new(Faulty::<InProcess>::new(blank.reader()).with(30, Fault::CutAfter));
    town.fixture.run(order, &mut station()).await.unwrap_err();
    assert_eq!(town.fixture.stored(order).await.state().name(), "ENCODING");
    let by = producer();
    town.fixture.office().give_up(order, &by).await.unwrap();
    let receipt = town.fixture.photo(life.application).await;
    let order = town.fixture.order(life.permit, receipt).await.id();
    let second = town.fixture.blank();
    town.fixture.line.cut();
    town.fixture.run(order, &mut second.station()).await.unwrap_err();
    town.fixture.line.mend();
    town.fixture.run(order, &mut second.station()).await.unwrap();
    town.fixture
        .hand_over(order, &mut second.station())
        .await
        .unwrap();
    life.card = second;
    (life.on_card, life.loaded, life.spent) = (life.decided, 0, 0);
    town.check(&life, "replaced").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endorsement_that_nobody_wrote_expires_with_its_window_and_stands_in_no_other_s_way() {
    let mut town = Town::new().await;
    let mut life = town
        .issue(
            "forgetful",
            Tier::Employment,
            date(2026, 11, 21),
            1,
            &[Comes::Last],
        )
        .await;
    // Signed off one year and only proposed the next; nobody writes either.
    for (year, is_approved) in [(2027, true), (2028, false)] {
        let (first, last) = (life.opens(life.periods()), working(life.end(life.periods())));
        let early = days_later(first, -1);
        town.is(early);
        let office = town.fixture.office();
        let propose = async |id| {
            office
                .propose(id, life.permit, Proposal::Endorse(None), clerk())
                .await
        };
        let too_early = propose(office.new_change_id()).await.unwrap_err();
        assert_eq!(too_early.code(), "TOO_EARLY");
        town.is(first);
        let id = office.new_change_id();
        propose(id).await.unwrap();
        let granted = life.granted(first);
        if is_approved {
            approve(office, id, "zhao").await.unwrap();
            let until = (granted, Some(life.on_card));
            let now = stands(&town, &life, id).await;
            assert_eq!((now.1, now.2), until, "decided, and not on the card");
        }
        let again = propose(office.new_change_id()).await.unwrap_err();
        let open = if is_approved { "TOO_EARLY" } else { "CHANGE_OPEN" };
        assert_eq!(
            again.code(),
            open,
            "it is decided, or waits for its second person"
        );
        town.is(last);
        assert!(
            office.expire_changes().await.unwrap().is_empty(),
            "it is its last day"
        );
        town.is(days_later(last, 1));
        let written = town.write_on(id, &mut life.card.station()).await.unwrap_err();
        assert_eq!(written.code(), "CHANGE_EXPIRED", "{year}");
        let approved = approve(office, id, "sun").await;
        assert!(approved.is_err());
        assert_eq!(
            stands(&town, &life, id).await,
            ("EXPIRED", life.decided, Some(life.on_card)),
            "taken back"
        );
        // Late, and in the way of nothing.
        town.is(days_later(last, 12));
        town.endorse(&mut life).await;
    }
    // Forgotten again; the next one comes within the window behind it.
    let (first, end) = (life.opens(3), working(life.end(3)));
    town.is(first);
    let forgotten = town.signed_off(&life, Proposal::Endorse(None)).await.change.id();
    town.is(days_later(end, 1));
    let expired = town.fixture.office().expire_changes().await.unwrap();
    assert_eq!(expired, [forgotten]);
    town.is(life.opens(4));
    town.endorse(&mut life).await;
    assert_eq!(life.decided, working(life.end(5)));
    town.fixture.office().verify_ledger().await.unwrap();
}
