//! A scratch vault, a clock that can be set, a blank card and the issuer's part of the conversation.

use std::path::Path;
use std::sync::{Arc, Mutex};

use card_applet_spec::codes::{Serial, Tier};
use card_applet_spec::crypto::PrivateKey;
use card_applet_spec::data_group::{Dg1, Dg2, Dg3, PortraitFormat};
use card_applet_spec::{apdu, lot, sealed_box};
use jiff::civil::{Date, date};
use jiff::{SignedDuration, Span, Timestamp};
use keyvault::custody::share_envelope::ShareEnvelope;
use keyvault::{Random, Vault};
use keyvault_protocol::{
    CardContent, CardResult, CardTask, Client, Entitlement, Error, Identity, LotRequest, Order, OrderSession,
    Role, Script, SignedOrder, TaskKind,
};
use p256::ecdsa::SigningKey;
use program_contract::Clock;
use rand::SeedableRng;
use rand::rngs::StdRng;
use scratch_vault::{Approved as _, Everybody};
use sqlx::Connection;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use virtual_card::chip::Chip;
use virtual_card::{Card, CardMemory, CardRandom};

/// A time that a test moves, and the clock that shows it.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<Mutex<Timestamp>>);

impl TestClock {
    pub(crate) fn at(text: &str) -> Self {
        Self(Arc::new(Mutex::new(text.parse().unwrap())))
    }

    pub(crate) fn clock(&self) -> Clock {
        let time = Arc::clone(&self.0);
        Clock::new(move || *time.lock().unwrap())
    }

    pub(crate) fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    pub(crate) fn advance(&self, by: SignedDuration) {
        let mut now = self.0.lock().unwrap();
        *now = now.checked_add(by).unwrap();
    }
}

pub(crate) const NOON: &str = "2026-11-21T04:00:00Z";

/// Distinct seeded sources, so that a failure can be repeated.
pub(crate) fn random(seed: u64) -> impl FnMut() -> Random {
    let mut next = seed * 1000;
    move || {
        next += 1;
        Box::new(StdRng::seed_from_u64(next))
    }
}

pub(crate) struct Installation {
    pub(crate) folder: TempDir,
    pub(crate) clock: TestClock,
    pub(crate) envelopes: Vec<ShareEnvelope>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) issuer: SigningKey,
}

pub(crate) type TestClient = Everybody<DuplexStream>;

impl Installation {
    /// An open vault with the issuer `shenzhen` enrolled.
    pub(crate) async fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = TestClock::at(NOON);
        let mut sources = random(seed);
        let envelopes = scratch_vault::create(folder.path(), &clock.clock(), sources())
            .await
            .unwrap();
        let vault = scratch_vault::reopen(folder.path(), &envelopes, clock.clock(), sources)
            .await
            .unwrap();
        Self {
            folder,
            clock,
            envelopes,
            vault,
            issuer: scratch_vault::officer("shenzhen"),
        }
    }

    /// The issuer's service, once it is enrolled.
    pub(crate) async fn identity(&self) -> Identity {
        drop(self.client().await);
        let anchors = self.vault.anchors().await.unwrap();
        Identity::of(
            scratch_vault::key("shenzhen"),
            anchors,
            Clock::fixed(self.clock.now()),
        )
    }

    pub(crate) async fn client(&self) -> TestClient {
        connect(&self.vault).await
    }

    /// As a process that was killed and started again: nothing is said to the old vault.
    pub(crate) async fn restart(&mut self, seed: u64) {
        let folder = self.folder.path().to_owned();
        let moved = folder.join("moved");
        // The lock and the connection of the old vault are still held: work on a copy of what is on disk.
        copy_folder(&folder.join("vault"), &moved);
        std::fs::remove_dir_all(folder.join("vault")).unwrap();
        std::fs::rename(&moved, folder.join("vault")).unwrap();
        self.vault = scratch_vault::reopen(&folder, &self.envelopes, self.clock.clock(), random(seed))
            .await
            .unwrap();
    }

    /// Two custodians open it again.
    pub(crate) async fn unseal(&self) {
        let mut rng = random(60)();
        for envelope in &self.envelopes[1..] {
            let share = envelope
                .open(scratch_vault::passphrase(&envelope.custodian).as_bytes())
                .unwrap();
            scratch_vault::give(&self.vault, &share, &mut rng).await.unwrap();
        }
    }

    /// Kinds of the journal's entries as they are on disk at this moment.
    pub(crate) async fn journal(&self) -> Vec<String> {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(&self.folder.path().join("vault"), copy.path());
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(copy.path().join("vault.sqlite"));
        let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query_scalar("SELECT kind FROM journal ORDER BY seq")
            .fetch_all(&mut connection)
            .await
            .unwrap()
    }

    pub(crate) fn order(&self, number: u8, cards: u32) -> Order {
        let now = self.clock.now();
        Order {
            order: [number; 16],
            issuer: "shenzhen".into(),
            profile: "resident-1".into(),
            cards,
            tasks: vec![
                TaskKind::Personalise,
                TaskKind::Activate,
                TaskKind::Block,
                TaskKind::Unblock,
                TaskKind::Terminate,
            ],
            station: "counter 1".into(),
            from: now,
            until: now.checked_add(SignedDuration::from_hours(24)).unwrap(),
        }
    }

    pub(crate) fn signed(&self, number: u8, cards: u32) -> SignedOrder {
        self.order(number, cards).sign(&self.issuer).unwrap()
    }

    /// The first blanks of a lot.
    pub(crate) async fn blanks(&self, count: u32) -> Vec<TestCard> {
        let mut client = self.client().await;
        blanks(&mut client, count).await
    }
}

/// The card maker's part: a lot of transport keys, and blanks made of it.
pub(crate) async fn blanks<S: AsyncRead + AsyncWrite + Unpin + Send>(
    client: &mut Client<S>,
    count: u32,
) -> Vec<TestCard> {
    let mut rng = StdRng::seed_from_u64(77);
    let maker = PrivateKey::generate(&mut rng);
    let request = LotRequest {
        issuer: [0x44, 0x03],
        lot: [0, 0, 0, 1],
        first: 1,
        count,
        maker: "card maker".into(),
        maker_key: maker.public().to_point65(),
    };
    let mut sealed = client.export_lot(&request).await.unwrap();
    let plain = sealed_box::open(sealed_box::LOT, &maker, &mut sealed).unwrap();
    let anchors = client.anchors().await.unwrap();
    let card_ca = card_applet_spec::crypto::PublicKey::from_point65(&anchors.card_ca).unwrap();
    let mut lot = lot::Lot::parse_and_verify(plain, &card_ca).unwrap();
    let mut cards = Vec::new();
    while let Some((serial, transport)) = lot.next_blank().unwrap() {
        let mut memory = CardMemory::ram(card_applet::MEMORY_LEN);
        let blank = card_applet::Blank {
            serial,
            transport: &transport,
        };
        card_applet::manufacture(&mut memory, &blank, &mut rng).unwrap();
        cards.push(TestCard::new(serial, memory, &mut rng));
    }
    cards
}

pub(crate) async fn connect(vault: &Arc<Vault>) -> TestClient {
    scratch_vault::everybody(vault, "shenzhen").await.unwrap()
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

pub(crate) struct TestCard {
    pub(crate) serial: Serial,
    pub(crate) memory: CardMemory,
    pub(crate) chip: Card,
}

impl TestCard {
    pub(crate) fn new(serial: Serial, memory: CardMemory, rng: &mut StdRng) -> Self {
        let mut chip = Card::new(memory.clone(), CardRandom::from_source(rng));
        assert!(chip.power_on());
        Self { serial, memory, chip }
    }

    /// The same card at this moment, again.
    pub(crate) fn copy(&self) -> Self {
        let mut rng = StdRng::seed_from_u64(5);
        Self::new(self.serial, CardMemory::from_image(self.memory.image()), &mut rng)
    }

    pub(crate) fn reset(&mut self) {
        self.chip.power_off();
        assert!(self.chip.power_on());
    }
}

/// What happens on the way to the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mishap {
    None,
    /// The card is pulled before command `n` (from 0) reaches it.
    BeforeCommand(usize),
    /// The card is pulled after it carried out command `n`, before the answer is read.
    BeforeAnswer(usize),
    /// One bit of answer `n` is changed.
    FlipAnswer(usize, usize),
}

/// The issuer's part: passes commands on and answers back, until the vault is done or refuses. Gives the outcome and how
/// many commands were sent.
pub(crate) async fn run<S: AsyncRead + AsyncWrite + Unpin + Send>(
    client: &mut Client<S>,
    session: &OrderSession,
    index: u32,
    card: &mut TestCard,
    task: CardTask,
    mishap: Mishap,
) -> (Result<CardResult, Error>, usize) {
    let mut sent = 0;
    let task = for_card(card.serial, task);
    let mut script = client.start_card(session, index, card.serial, task).await;
    loop {
        let commands = match script {
            Ok(Script::Send { commands }) => commands,
            Ok(Script::Done(result)) => return (Ok(*result), sent),
            Err(error) => return (Err(error), sent),
        };
        let mut answers = Vec::new();
        for command in &commands {
            let number = sent;
            sent += 1;
            if mishap == Mishap::BeforeCommand(number) {
                card.reset();
                break;
            }
            let mut answer = card.chip.process(command).unwrap();
            if mishap == Mishap::BeforeAnswer(number) {
                card.reset();
                break;
            }
            if let Mishap::FlipAnswer(flipped, bit) = mishap
                && flipped == number
            {
                let bit = bit % (answer.len() * 8);
                answer[bit / 8] ^= 1 << (bit % 8);
            }
            let go_on = apdu::split_answer(&answer).is_ok_and(|(_, status)| status.is_ok());
            answers.push(answer);
            if !go_on {
                break;
            }
        }
        script = client.continue_card(session, index, answers).await;
    }
}

/// A person's content of the day that the tests' clock shows, salted with `salt`.
pub(crate) fn content(salt: u8) -> CardContent {
    content_of(salt, date(2026, 11, 21))
}

/// The number that the tests print on a card.
pub(crate) fn number_of(card: Serial) -> String {
    format!("SZ-{}", hex::encode(card.0))
}

/// The task for a card: a personalisation without a number gets this card's.
pub(crate) fn for_card(card: Serial, mut task: CardTask) -> CardTask {
    if let CardTask::Personalise(content) = &mut task
        && content.card_number.is_empty()
    {
        content.card_number = number_of(card);
    }
    task
}

/// A person's content, issued on `issued` for a year.
pub(crate) fn content_of(salt: u8, issued: Date) -> CardContent {
    let image = vec![salt; 5000];
    let day = |text: &str| text.parse().unwrap();
    let last = issued
        .saturating_add(Span::new().years(1))
        .saturating_sub(Span::new().days(1));
    let dg1 = Dg1 {
        name: "王小明",
        sex: 1,
        nation: 1,
        birth_date: day("1990-01-01"),
        citizen_number: "11010519491231002X",
        photo: [7; 32],
        hukou_address: "湖南省长沙市岳麓区一号",
        residence_address: "广东省深圳市南山区二号",
        issuing_organ: "深圳市公安局南山分局",
        issue_date: day(&issued.to_string()),
        salt: [salt; 16],
    };
    let mut dg2 = card_applet_spec::Bytes::<6200>::new();
    Dg2 {
        format: PortraitFormat::Jpeg,
        image: &image,
        salt: [salt; 16],
    }
    .encode(&mut dg2)
    .unwrap();
    let dg3 = Dg3 {
        permit_id: [salt; 16],
        tier: Tier::Employment,
        issued: day(&issued.to_string()),
        endorsed_until: day(&last.to_string()),
        rule_set: "cn-440300-2026",
        state_counter: 1,
        salt: [salt; 16],
    };
    let entitlement = |role| Entitlement {
        role,
        region: "440300".parse().unwrap(),
        tier: Tier::Employment,
        class: 1,
        services: 3,
        zones: 1,
        valid_from: issued,
        valid_to: last,
        rule_set: "cn-440300-2026".into(),
        purse_cap: if role == Role::SmallPayment { 20_000 } else { 0 },
    };
    CardContent {
        dg1: dg1.encode().unwrap().to_vec(),
        dg2: dg2.to_vec(),
        dg3: dg3.encode().unwrap().to_vec(),
        entitlements: Role::ALL.iter().copied().map(entitlement).collect(),
        certificate_from: issued,
        certificate_to: issued.saturating_add(Span::new().years(10)),
        card_number: String::new(),
    }
}

pub(crate) fn personalise(salt: u8) -> CardTask {
    CardTask::Personalise(Box::new(content(salt)))
}

/// What one connection says of a card.
pub(crate) async fn inspect(
    client: &mut TestClient,
    session: &OrderSession,
    card: &mut TestCard,
) -> CardResult {
    card.reset();
    run(client, session, 0, card, CardTask::Inspect, Mishap::None)
        .await
        .0
        .unwrap()
}
