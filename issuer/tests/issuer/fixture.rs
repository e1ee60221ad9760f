//! A whole office for tests: real vault, real photo store, real card, one folder, nothing mocked.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use card_applet_spec::codes::Serial;
use card_applet_spec::crypto::{PrivateKey, PublicKey};
use card_reader::TerminalKey;
use issuer_artwork::{Artist, CardFonts};
use issuer_mandate::{Given, SignerRole};
use issuer_office::connection::{Dialer, Stream, VaultDoor};
use issuer_office::office::Office;
use issuer_office::random::Random;
use issuer_office::signing_keys::Signer;
use issuer_production::{Production, ProductionError, ServiceKey, Settings, Station, pinned};
use issuer_signing::{REHEARSAL_ORIGIN, RehearsalKey};
use issuer_store::{Store, StoredApplication};
use keyvault::Vault;
use keyvault::serve::Server;
use keyvault_protocol::{BundleKind, ChannelKey, Client, Identity, LotRequest};
use permit_domain::{
    Applicant, ApplicantForm, ApplicationId, ApplicationState, CardSerial, Digest, HandOverClerk, Maker,
    Order, OrderId, PermitId,
};
use permit_rules::RuleSets;
use photo_store_protocol as photo;
use program_contract::Clock;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use scratch_vault::{Approved as _, Everybody, Outfit};
use tokio::task::JoinHandle;
use virtual_card::blank::Blank;
use virtual_card::{Card, CardMemory, CardRandom, InProcess};

pub(crate) const APPLICANT: &str = include_str!("../../permit/samples/applicant-li-na.json");
pub(crate) const REFUSED: &str = include_str!("../../permit/samples/applicant-refused.json");
pub(crate) const FACE: &[u8] = include_bytes!("../../../photo-store/samples/astronaut.png");

pub(crate) const NOW: &str = "2026-11-21T02:00:00Z";

/// The issuer in whose name the tests themselves ask the vault.
const ISSUER: &str = "scratch issuer";
/// Where the counter's terminals may read cards.
const REGIONS: [&str; 3] = ["440300", "440100", "110100"];

/// Blanks in the lot of one office.
const LOT: u32 = 400;

/// The one clock of a fixture, seconds since 1970: a test sets it forward.
#[derive(Clone)]
pub(crate) struct FixtureClock(Arc<AtomicI64>);

impl FixtureClock {
    fn new() -> Self {
        Self(Arc::new(AtomicI64::new(now().as_second())))
    }

    pub(crate) fn set(&self, at: &str) {
        let at: jiff::Timestamp = at.parse().unwrap();
        self.0.store(at.as_second(), Ordering::SeqCst);
    }

    fn at(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

pub(crate) fn now() -> jiff::Timestamp {
    NOW.parse().unwrap()
}

/// The sample applicant as another person: another citizen number of the same day.
pub(crate) fn person(number: u32) -> String {
    let body = format!("44030519851112{:03}", 102 + 2 * number);
    let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = body
        .bytes()
        .zip(weights)
        .map(|(digit, weight)| u32::from(digit - b'0') * weight)
        .sum();
    let check = char::from(b"10X98765432"[(sum % 11) as usize]);
    APPLICANT.replace("440305198511120028", &format!("{body}{check}"))
}

pub(crate) fn applicant(json: &str) -> Applicant {
    ApplicantForm::from_json(json)
        .unwrap()
        .into_applicant(jiff::civil::date(2026, 11, 21))
        .unwrap()
}

/// What the key of a sample person is made of.
pub(crate) fn drawn_for(account: &str, role: SignerRole) -> [u8; 32] {
    *Digest::of(format!("{account} {role:?}").as_bytes()).as_bytes()
}

fn seeded(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

/// A generator that no other in this run equals.
fn fresh() -> StdRng {
    static NEXT: AtomicU64 = AtomicU64::new(1 << 32);
    seeded(NEXT.fetch_add(1, Ordering::SeqCst))
}

/// The way to the vault, which a test can cut.
#[derive(Clone)]
pub(crate) struct VaultLine {
    cut: Arc<AtomicBool>,
    connections: Arc<std::sync::Mutex<Vec<tokio::task::AbortHandle>>>,
}

impl VaultLine {
    /// The vault's process is gone: nobody answers, and what was connected hears nothing more.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        for connection in self.connections.lock().unwrap().drain(..) {
            connection.abort();
        }
    }

    /// How often somebody connected since it was last cut.
    pub(crate) fn count(&self) -> usize {
        self.connections.lock().unwrap().len()
    }

    pub(crate) fn mend(&self) {
        self.cut.store(false, Ordering::SeqCst);
    }
}

pub(crate) struct Fixture {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) vault: Arc<Vault>,
    pub(crate) envelopes: Vec<keyvault::custody::share_envelope::ShareEnvelope>,
    pub(crate) line: VaultLine,
    /// The ledger behind the office.
    pub(crate) store: Store,
    pub(crate) production: Production,
    pub(crate) clock: Clock,
    pub(crate) time: FixtureClock,
    photos: Dialer,
    vault_door: VaultDoor,
    pub(crate) key: Arc<ServiceKey>,
    terminal: Arc<TerminalKey>,
    purse: Arc<TerminalKey>,
    settings: Settings,
    blanks: Vec<Blank>,
    next_blank: AtomicU32,
    next_order: AtomicU32,
    /// Receipts with which intake was completed here, until somebody asks for them.
    taken: Mutex<HashMap<ApplicationId, photo::ReceiptNumber>>,
    serving: Vec<JoinHandle<()>>,
}

impl Drop for Fixture {
    fn drop(&mut self) {
        for task in &self.serving {
            task.abort();
        }
    }
}

fn duplex_dialer(
    name: &str,
    serve: impl Fn(tokio::io::DuplexStream) -> Option<()> + Send + Sync + 'static,
) -> Dialer {
    let serve = Arc::new(serve);
    Dialer::new(name, move || {
        let serve = Arc::clone(&serve);
        async move {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            serve(theirs).ok_or(std::io::Error::from(std::io::ErrorKind::ConnectionRefused))?;
            Ok(Box::new(ours) as Stream)
        }
    })
}

/// The database of a fixture: SQLite in its folder.
fn ledger(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("issuer.db").display())
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = ledger(folder.path());
        Self::with(folder, &url).await
    }

    #[allow(clippy::too_many_lines, reason = "it wires everything, once")]
    pub(crate) async fn with(folder: tempfile::TempDir, ledger: &str) -> Self {
        let time = FixtureClock::new();
        let reading = time.clone();
        let clock = Clock::new(move || reading.at());
        let envelopes = scratch_vault::create(folder.path(), &clock, Box::new(seeded(1)))
            .await
            .unwrap();
        let vault = scratch_vault::reopen(folder.path(), &envelopes, clock.clone(), || Box::new(fresh()))
            .await
            .unwrap();
        let store = Store::found(ledger, &vault.id()).await.unwrap();
        let mut serving = Vec::new();

        let line = VaultLine {
            cut: Arc::default(),
            connections: Arc::default(),
        };
        let server = Server::new(Arc::clone(&vault)).unwrap();
        let (to_vault, at_line) = (Arc::clone(&server), line.clone());
        let vault_dialer = duplex_dialer("vault", move |stream| {
            if at_line.cut.load(Ordering::SeqCst) {
                return None;
            }
            let connection = to_vault.serve(stream);
            at_line
                .connections
                .lock()
                .unwrap()
                .push(connection.abort_handle());
            Some(())
        });

        let mut client = scratch_vault::everybody(&vault, ISSUER).await.unwrap();
        let anchors = vault.anchors().await.unwrap();
        let of = |key: ChannelKey| Identity::of(key, anchors, clock.clone());
        let random = Random::new(seeded(4));
        let key = Arc::new(ServiceKey::generate(&random));
        client.enrol_issuer("shenzhen", &key.public()).await.unwrap();
        // The photo store reaches the vault by its socket.
        let socket = folder.path().join("vault.sock");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        serving.push(tokio::spawn(async move {
            let _ = keyvault::serve::listen(listener, server, &[], std::future::pending()).await;
        }));
        let objects = folder.path().join("objects");
        std::fs::create_dir(&objects).unwrap();
        let service = photo_store::service::Service::new(
            photo_store::keeping::store::index::Store::open_file(&folder.path().join("photos.db"))
                .await
                .unwrap(),
            photo_store::keeping::objects::Objects::in_folder(&objects).unwrap(),
            photo_store::keeping::vault::Vault::at(
                socket.clone(),
                of(scratch_vault::key(scratch_vault::PHOTO_STORE)),
            ),
            photo_store::decoding::Decoder::here().unwrap(),
            program_contract::Clock::new({
                let time = time.clone();
                move || time.at()
            }),
            seeded(3),
        )
        .unwrap();
        let service = Arc::new(service);
        let socket = folder.path().join("photos.sock");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        serving.push(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = Arc::clone(&service);
                tokio::spawn(async move { photo_store::socket::connection(stream, &service).await });
            }
        }));
        let photos = Dialer::unix(&socket);

        let artist = Arc::new(Artist::new(CardFonts::installed().unwrap()).unwrap());
        let rules = Arc::new(RuleSets::embedded().unwrap());
        let vault_door = VaultDoor {
            way: vault_dialer.clone(),
            issuer: Some(of(key.channel_key())),
            settlement: Some(of(scratch_vault::key("scratch settlement"))),
        };
        let office = Office::new(
            store.clone(),
            rules,
            artist,
            vault_door.clone(),
            photos.clone(),
            clock.clone(),
            random.clone(),
        )
        .founded_under(Some(vault.id()));
        office.migrate().await.unwrap();

        let pinned = pinned(&mut client).await.unwrap();
        let terminal = |name: &str, seed| {
            let name = name.parse().unwrap();
            Arc::new(TerminalKey::generate(name, pinned.clone(), &mut seeded(seed)))
        };
        let (terminal, purse) = (terminal("counter 1", 5), terminal("counter 1 purse", 15));

        let maker = PrivateKey::generate(&mut seeded(6));
        let sealed = client
            .export_lot(&LotRequest {
                issuer: [0, 44],
                lot: [0, 0, 0, 1],
                first: 1,
                count: LOT,
                maker: "maker".into(),
                maker_key: maker.public().to_point65(),
            })
            .await
            .unwrap();
        let card_ca = PublicKey::from_point65(&client.anchors().await.unwrap().card_ca).unwrap();
        let blanks: Vec<Blank> = (1..=LOT)
            .map(|number| {
                virtual_card::blank::from_lot(Path::new("lot"), &sealed, &maker, &card_ca, number).unwrap()
            })
            .collect();
        let serials: Vec<CardSerial> = blanks
            .iter()
            .map(|blank| CardSerial::from_bytes(blank.serial.0))
            .collect();
        office
            .receive_blanks(&serials, "002c-00000001", &"gao".parse().unwrap())
            .await
            .unwrap();

        let settings = Settings {
            issuer: "shenzhen".into(),
            profile: "resident-1".into(),
            station: "counter 1".into(),
            faces: folder.path().join("faces"),
        };
        let production = Production::new(
            office,
            key.clone(),
            terminal.clone(),
            purse.clone(),
            settings.clone(),
        );
        let fixture = Self {
            folder,
            vault,
            envelopes,
            line,
            store,
            production,
            clock,
            time,
            photos,
            vault_door,
            key,
            terminal,
            purse,
            settings,
            blanks,
            next_blank: AtomicU32::new(0),
            next_order: AtomicU32::new(0),
            taken: Mutex::default(),
            serving,
        };
        fixture.write_anchors().await;
        fixture.enrol_counters().await;
        fixture
    }

    /// The same fixture after the issuer's process was started again over the same ledger file.
    pub(crate) async fn with_ledger_opened_again(self) -> Self {
        let store = Store::open(&ledger(self.folder.path())).await.unwrap();
        self.over(store)
    }

    /// What the ledger has about one id.
    pub(crate) async fn ledger_of(&self, subject: &str) -> Vec<issuer_store::LedgerEntry> {
        self.store.read().await.unwrap().ledger_of(subject).await.unwrap()
    }

    /// Another one that makes cards of the same office.
    pub(crate) fn production_again(&self) -> Production {
        Production::new(
            self.office().clone(),
            self.key.clone(),
            self.terminal.clone(),
            self.purse.clone(),
            self.settings.clone(),
        )
    }

    /// The same fixture over another ledger.
    pub(crate) fn over(mut self, store: Store) -> Self {
        let office = self.office_over(store.clone(), self.vault_dialer());
        self.store = store;
        self.production = Production::new(
            office,
            self.key.clone(),
            self.terminal.clone(),
            self.purse.clone(),
            self.settings.clone(),
        );
        self
    }

    /// An office with another ledger or another way to the vault.
    pub(crate) fn office_over(&self, store: Store, vault: Dialer) -> Office {
        Office::new(
            store,
            Arc::new(RuleSets::embedded().unwrap()),
            Arc::new(Artist::new(CardFonts::installed().unwrap()).unwrap()),
            VaultDoor {
                way: vault,
                ..self.vault_door.clone()
            },
            self.photos.clone(),
            self.clock.clone(),
            Random::new(fresh()),
        )
        .founded_under(Some(self.vault.id()))
    }

    /// The office as it is on another day.
    pub(crate) fn office_at(&self, clock: Clock) -> Office {
        Office::new(
            self.store.clone(),
            Arc::new(RuleSets::embedded().unwrap()),
            Arc::new(Artist::new(CardFonts::installed().unwrap()).unwrap()),
            self.vault_door.clone(),
            self.photos.clone(),
            clock,
            Random::new(fresh()),
        )
        .founded_under(Some(self.vault.id()))
    }

    pub(crate) fn office(&self) -> &Office {
        self.production.office()
    }

    /// The way to the vault.
    pub(crate) fn vault_dialer(&self) -> Dialer {
        self.vault_door.way.clone()
    }

    pub(crate) fn faces(&self) -> PathBuf {
        self.folder.path().join("faces")
    }

    /// The vault's public keys.
    pub(crate) async fn anchors(&self) -> keyvault_protocol::Anchors {
        self.vault_client().await.anchors().await.unwrap()
    }

    /// Two officers enrol the counter's terminals, for as long as they may: once in so many years.
    pub(crate) async fn enrol_counters(&self) {
        let mut client = self.vault_client().await;
        let today = self.clock.today();
        for (key, kind) in [
            (&self.terminal, BundleKind::Counter),
            (&self.purse, BundleKind::Shop),
        ] {
            let request = key.request();
            let outfit = Outfit {
                kind,
                terminal: request.terminal.as_str().to_owned(),
                sealing_key: request.sealing_key,
                authentication_key: request.authentication_key,
                regions: REGIONS.map(|region| region.parse().unwrap()).to_vec(),
                zones: 0,
                from: today,
                to: today.saturating_add(jiff::Span::new().years(5)),
            };
            client.enrol_terminal(&outfit).await.unwrap();
        }
    }

    /// Writes the vault's anchors and the settlement's key into the folder, as an installation there keeps them.
    async fn write_anchors(&self) {
        let anchors = self.anchors().await;
        let object = serde_json::json!({
            "schema": "yzt.anchors/1",
            "ok": true,
            "vault": hex::encode(anchors.vault),
            "card_ca": hex::encode(anchors.card_ca),
            "terminal_ca": hex::encode(anchors.terminal_ca),
            "document_signer": hex::encode(anchors.document_signer),
            "entitlement_signer": hex::encode(anchors.entitlement_signer),
            "deny_list_signer": hex::encode(anchors.deny_list_signer),
            "audit_signer": hex::encode(anchors.audit_signer),
            "operating_key": hex::encode(anchors.operating_key),
            "rehearsal": true,
        });
        let folder = self.folder.path();
        std::fs::write(folder.join("anchors.json"), object.to_string()).unwrap();
        let settlement = scratch_vault::key("scratch settlement");
        settlement.save_new(&folder.join("settlement.key")).unwrap();
        for (key, name) in [
            (&self.terminal, "counter.key"),
            (&self.purse, "counter-purse.key"),
        ] {
            key.save_new(&folder.join(name)).unwrap();
        }
    }

    /// A new blank of the lot.
    pub(crate) fn blank(&self) -> TestCard {
        let index = self.next_blank.fetch_add(1, Ordering::SeqCst);
        let blank = self.blanks.get(index as usize).expect("the lot is used up");
        let memory = CardMemory::ram(card_applet::MEMORY_LEN);
        virtual_card::blank::manufacture(&memory, blank, &mut seeded(1000 + u64::from(index))).unwrap();
        TestCard {
            memory,
            serial: blank.serial,
        }
    }

    /// Opens the vault again after it was sealed.
    pub(crate) async fn unseal(&self) {
        let mut rng: keyvault::Random = Box::new(fresh());
        for envelope in self.envelopes.iter().take(2) {
            let share = envelope
                .open(scratch_vault::passphrase(&envelope.custodian).as_bytes())
                .unwrap();
            scratch_vault::give(&self.vault, &share, &mut rng).await.unwrap();
        }
    }

    /// Everybody whom the vault lets ask.
    pub(crate) async fn vault_client(&self) -> Everybody<Stream> {
        let anchors = self.vault.anchors().await.unwrap();
        let dial = async |name: &str| {
            let identity = Identity::of(scratch_vault::key(name), anchors, self.clock.clone());
            Client::connect(self.vault_door.way.connect().await.unwrap(), &identity).await
        };
        scratch_vault::everybody_by(dial, true, ISSUER).await.unwrap()
    }

    /// A card in its holder's hand, and its permit.
    pub(crate) async fn in_use(&self, json: &str) -> (PermitId, TestCard) {
        let (application, permit) = self.approved(json).await;
        let receipt = self.photo(application).await;
        let order = self.order(permit, receipt).await;
        let card = self.blank();
        self.run(order.id(), &mut card.station()).await.unwrap();
        self.hand_over(order.id(), &mut card.station()).await.unwrap();
        (permit, card)
    }

    /// An approved application, and its permit.
    pub(crate) async fn approved(&self, json: &str) -> (ApplicationId, PermitId) {
        let id = self.accepted(json).await;
        (id, self.decided(id).await)
    }

    /// An accepted application.
    pub(crate) async fn accepted(&self, json: &str) -> ApplicationId {
        let office = self.office();
        let id = office.new_application_id();
        office
            .apply(id, "liu".parse().unwrap(), applicant(json))
            .await
            .unwrap();
        id
    }

    /// What stands for what an application decides on; its intake is completed now if it was not, with a photo where a card is
    /// granted.
    pub(crate) async fn completed(&self, id: ApplicationId) -> Digest {
        let office = self.office();
        let mut case = office.application(id).await.unwrap();
        if case.content.is_none() {
            let receipt = match office.foresee(&case).unwrap().tier {
                Some(_) => Some(self.photo(id).await),
                None => None,
            };
            case = office
                .complete_intake(id, "liu".parse().unwrap(), receipt)
                .await
                .unwrap();
            if let Some(receipt) = receipt {
                self.taken.lock().unwrap().insert(id, receipt);
            }
        }
        case.content.unwrap().content().digest()
    }

    /// The key file of a sample person, enrolled for the whole country.
    pub(crate) async fn key_of(&self, account: &str, role: SignerRole) -> RehearsalKey {
        let key = RehearsalKey::from_bytes(&drawn_for(account, role)).unwrap();
        let signer = Signer {
            account: account.parse().unwrap(),
            role,
            organ: "100000".parse().unwrap(),
        };
        let ids = (&key.credential()[..], &key.public_key());
        self.office()
            .enrol_rehearsal_key(signer, REHEARSAL_ORIGIN, ids)
            .await
            .unwrap();
        key
    }

    /// What a sample person signs of a case; nothing where it grants nothing.
    pub(crate) async fn signs(&self, account: &str, role: SignerRole, id: ApplicationId) -> Option<Given> {
        let key = self.key_of(account, role).await;
        let to_sign = self.office().to_sign(id, &account.parse().unwrap(), role).await;
        Some(key.sign(&to_sign.ok()?.mandate).unwrap())
    }

    /// The same as a form or a request has it.
    pub(crate) async fn signature(&self, account: &str, role: SignerRole, id: ApplicationId) -> String {
        let given = self.signs(account, role, id).await;
        given.map(|given| given.to_text().unwrap()).unwrap_or_default()
    }

    /// A review by the one reviewer of most tests.
    pub(crate) async fn reviewed(&self, id: ApplicationId, content: Digest) -> StoredApplication {
        let signed = self.signs("wang", SignerRole::Reviewer, id).await;
        let wang = "wang".parse().unwrap();
        let reviewed = self.office().review(id, wang, content, signed.as_ref()).await;
        reviewed.unwrap()
    }

    /// Completed, reviewed and signed off; the permit.
    pub(crate) async fn decided(&self, id: ApplicationId) -> PermitId {
        let (office, content) = (self.office(), self.completed(id).await);
        self.reviewed(id, content).await;
        let signed = self.signs("zhao", SignerRole::Approver, id).await;
        let case = office
            .approve(id, "zhao".parse().unwrap(), content, signed.as_ref())
            .await
            .unwrap();
        match case.application.state() {
            ApplicationState::Approved { permit, .. } => *permit,
            state => panic!("{}", state.name()),
        }
    }

    /// The receipt of the photo with which the intake of an application was completed here, the first time that it is asked for. Else
    /// takes the sample photo of its applicant, with its warnings confirmed by a colleague; the receipt.
    pub(crate) async fn photo(&self, application: ApplicationId) -> photo::ReceiptNumber {
        if let Some(receipt) = self.taken.lock().unwrap().remove(&application) {
            return receipt;
        }
        let (office, clerk) = (self.office(), "liu".parse().unwrap());
        let taken = office
            .submit_photo(application, FACE.to_vec(), &clerk)
            .await
            .unwrap()
            .photo;
        if let Some(receipt) = taken.receipt {
            return receipt.number;
        }
        let warnings = taken.judgement.unwrap().warnings();
        let confirmed = office
            .confirm_photo(application, taken.photo, warnings, &"luo".parse().unwrap())
            .await
            .unwrap();
        confirmed.receipt.unwrap().number
    }

    /// Whether the photo store gives the person's photo out for the case of this application.
    pub(crate) async fn may_read_photo(&self, application: ApplicationId) -> bool {
        let office = self.office();
        let reads = office.photo_reads(application).await.unwrap();
        let (thumb, why) = (photo::Profile::Thumb, photo::Purpose::HandOver);
        let clerk = "chen".parse().unwrap();
        office
            .look_at_photo(application, reads.first().unwrap().photo, thumb, why, &clerk)
            .await
            .is_ok()
    }

    /// A new order for a permit, whose card is made with the photo of this receipt: completed and signed anew where another one was.
    pub(crate) async fn order(&self, permit: PermitId, receipt: photo::ReceiptNumber) -> Order {
        let id = OrderId::from_bytes({
            let mut id = [7; 16];
            id[..4].copy_from_slice(&self.next_order.fetch_add(1, Ordering::SeqCst).to_be_bytes());
            id
        });
        let office = self.office();
        let order = async || {
            office
                .order(id, permit, "sun".parse().unwrap(), Some(receipt))
                .await
        };
        match order().await {
            Err(error) if ["NOT_COMPLETED", "OTHER_CONTENT"].contains(&error.code()) => {
                let application = office.permit(permit).await.unwrap().grant().application;
                let clerk = "liu".parse().unwrap();
                office
                    .complete_intake(application, clerk, Some(receipt))
                    .await
                    .unwrap();
                self.decided(application).await;
                order().await.unwrap()
            }
            ordered => ordered.unwrap(),
        }
    }

    /// An order whose card is not yet made.
    pub(crate) async fn ordered(&self) -> Order {
        let (application, permit) = self.approved(APPLICANT).await;
        let receipt = self.photo(application).await;
        self.order(permit, receipt).await
    }

    pub(crate) async fn run(&self, order: OrderId, station: &mut Station) -> Result<Order, ProductionError> {
        let maker = Maker::Person("sun".parse().unwrap());
        Box::pin(self.production.run(order, station, &maker, &mut |_| {})).await
    }

    pub(crate) async fn hand_over(
        &self,
        order: OrderId,
        station: &mut Station,
    ) -> Result<Order, ProductionError> {
        let clerk = HandOverClerk::new("chen".parse().unwrap());
        self.production
            .hand_over(
                order,
                station,
                clerk,
                issuer_production::HolderChecked::Holder,
                &mut |_| {},
            )
            .await
    }

    pub(crate) async fn stored(&self, order: OrderId) -> Order {
        self.office().order_status(order).await.unwrap()
    }
}

/// A card whose memory outlives every reader that it lies on.
#[derive(Clone)]
pub(crate) struct TestCard {
    pub(crate) memory: CardMemory,
    pub(crate) serial: Serial,
}

impl TestCard {
    pub(crate) fn reader(&self) -> InProcess {
        InProcess::with(self.chip())
    }

    pub(crate) fn chip(&self) -> Card {
        // A terminal refuses a card whose random numbers come again.
        Card::new(self.memory.clone(), CardRandom::from_source(&mut fresh()))
    }

    pub(crate) fn station(&self) -> Station {
        Station::new(self.reader())
    }

    pub(crate) fn serial(&self) -> CardSerial {
        CardSerial::from_bytes(self.serial.0)
    }
}
