//! The running installation: vault opened by its custodians, photo store, terminals, blanks, office, production, reader.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use card_applet_spec::crypto::PublicKey;
use card_reader::transport::{Connect, PcscTransport, Transport, TransportError};
use issuer::installation::{Config, Installation as IssuerInstallation};
use issuer::rehearsal;
use issuer_mandate::SignerRole;
use issuer_office::card_content::CardContent;
use issuer_office::error::OfficeError;
use issuer_office::office::Office;
use issuer_office::random::Random;
use issuer_office::staff::{Member, Staff, StaffRole};
use issuer_production::Production;
use jiff::ToSpan as _;
use jiff::civil::Date;
use keyvault_protocol::{
    BundleKind, ChannelKey, Client, LotRequest, OfficerAct, RequestOutcome, TerminalEnrolment,
};
use permit_domain::{CardSerial, Order, ScrapState, StaffId};
use program_contract::language::Words;
use program_contract::{Clock, Failing as _, Failure, Founded, file};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use service_contract::Caller;
use tokio::net::UnixStream;
use virtual_card::model::{self, Model};
use virtual_card::pcscd::READERS;
use virtual_card::{CardRandom, InProcess, blank, control};

use crate::arguments::Common;
use crate::folder::{Folder, replace, write_new};
use crate::local_socket::LocalSocket;
use crate::process::Service;
use crate::report::Steps;
use crate::{failure, officers, private_pcscd, process, report, samples, vault};

/// Blanks in the demo's lot.
const LOT_CARDS: u32 = 16;
/// How long a card may take until the service has seen it: 0.4 s on a machine at rest.
const CARD_WAIT: std::time::Duration = std::time::Duration::from_secs(10);
const ISSUER: [u8; 2] = [0x44, 0x03];
const LOT: [u8; 4] = [0, 0, 0, 1];
/// An address of this machine with a free port.
pub(crate) const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const LOT_NAME: &str = "4403-00000001";

/// Who works here: a person for each role, because one may not review, approve and produce the same case; two administrators, because
/// one alone brings no account back.
pub(crate) const STAFF: [(&str, StaffRole); 11] = [
    ("clerk.lin", StaffRole::IntakeClerk),
    ("reviewer.chen", StaffRole::Reviewer),
    ("approver.huang", StaffRole::Approver),
    ("producer.wu", StaffRole::Producer),
    ("counter.guo", StaffRole::HandOverClerk),
    ("change.ma", StaffRole::ChangeClerk),
    ("settlement.he", StaffRole::SettlementOfficer),
    ("auditor.luo", StaffRole::Auditor),
    ("chief.qin", StaffRole::Chief),
    ("admin.xu", StaffRole::Administrator),
    ("admin.zhou", StaffRole::Administrator),
];

/// The account of a role.
pub(crate) fn account(role: StaffRole) -> &'static str {
    STAFF
        .iter()
        .find(|(_, has)| *has == role)
        .map_or("", |(account, _)| account)
}

/// Who acts in a role.
pub(crate) fn actor<A: FromStr<Err = permit_domain::Error>>(role: StaffRole) -> Result<A, Failure> {
    Ok(account(role).parse().map_err(OfficeError::from)?)
}

/// Where the card answers.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// A reader of a PC/SC service; with a card manipulator where the service is ours.
    Pcsc {
        reader: String,
        manipulator: Option<control::Control>,
    },
    /// In this process.
    InProcess,
}

impl Place {
    pub(crate) const fn transport(&self) -> &'static str {
        match self {
            Self::Pcsc { .. } => "pcsc",
            Self::InProcess => "in-process",
        }
    }

    pub(crate) fn reader(&self) -> Option<&str> {
        match self {
            Self::Pcsc { reader, .. } => Some(reader),
            Self::InProcess => None,
        }
    }

    /// The reader that commands have to be told: one of the machine's own PC/SC service, which may have others.
    pub(crate) fn named(&self) -> Option<&str> {
        match self {
            Self::Pcsc {
                reader,
                manipulator: None,
            } => Some(reader),
            Self::Pcsc { .. } | Self::InProcess => None,
        }
    }
}

/// Everything that runs. Services end when it is dropped.
#[derive(Debug)]
pub(crate) struct Installation {
    pub(crate) folder: Folder,
    pub(crate) production: Production,
    pub(crate) staff: PathBuf,
    pub(crate) clock: Clock,
    /// The day on which everything was told to work.
    pub(crate) at: Option<Date>,
    pub(crate) place: Place,
    pub(crate) random: StdRng,
    pub(crate) services: Vec<Service>,
    /// Folder of the sockets.
    pub(crate) sockets: PathBuf,
}

impl Installation {
    /// Starts everything in the folder, or goes on with what an earlier run left. `listen`: where the HTTP API will be.
    pub(crate) async fn start(
        folder: Folder,
        common: &Common,
        listen: Option<SocketAddr>,
        clock: &Clock,
        steps: &mut Steps,
    ) -> Result<Self, Failure> {
        let mut random = StdRng::try_from_rng(&mut getrandom::SysRng).map_err(|error| no_random(&error))?;
        let at = common.at.map(|day| day.to_string());
        let sockets = folder.sockets()?;

        let vault_socket = sockets.join("vault.sock");
        if !vault::is_founded(&folder) {
            let founding = steps.begin(
                Words("建立密钥库", "found the vault"),
                Words(
                    "保管人 zhao、qian、sun、li、zhou",
                    "custodians zhao, qian, sun, li, zhou",
                ),
            );
            steps.end(founding, vault::create(&folder, at.as_deref(), &mut random))?;
        }
        let starting = steps.begin(Words("启动密钥库（封存）", "start the vault, sealed"), "permit");
        let service = steps.end(
            starting,
            vault::serve(&folder, &vault_socket, at.as_deref()).await,
        )?;
        let mut services = vec![service];
        // A folder of before may hold a real vault, which takes no day.
        let anchors = officers::anchors(&folder)?;
        let number = anchors.vault;
        let founded = Founded::around(&number);
        let office_clock = clock.at(common.at, founded)?;
        if let Some(banner) = founded.banner() {
            report::say(&format!("  {banner} · 样本 SPECIMEN\n"));
        }
        for custodian in 0..vault::THRESHOLD {
            let name = vault::CUSTODIANS.get(custodian).copied().unwrap_or_default();
            let giving = steps.begin(
                Words("给出一份分片", "give a share"),
                (format!("保管人 {name}"), format!("custodian {name}")),
            );
            let left = vault::give_share(&folder, &number, &vault_socket, custodian);
            if steps.end(giving, left)? == 0 {
                break;
            }
        }

        let photo_socket = sockets.join("photos.sock");
        let starting = steps.begin(Words("启动照片库", "start the photo store"), "permit");
        let photos = start_photo_store(&folder, &photo_socket, &vault_socket, at.as_deref()).await;
        services.push(steps.end(starting, photos)?);

        let place = reader(common, &sockets, steps)?;
        let settings = Config {
            vault: vault_socket.clone(),
            photo_store: photo_socket,
            listen: listen.or_else(|| listened(&folder)).unwrap_or(ANY_PORT),
            reader_here: matches!(place, Place::Pcsc { .. }),
            ..Config::default()
        };
        write_settings(&folder, &settings)?;
        let opening = steps.begin(
            Words(
                "开启机构：台账、规则、人员、密钥",
                "open the office: ledger, rules, staff, keys",
            ),
            "permit",
        );
        let opened = open_office(&folder, settings, clock, common.at, &mut random).await;
        let (production, staff) = steps.end(opening, opened)?;

        let mut installation = Self {
            folder,
            production,
            staff,
            clock: office_clock,
            at: common.at,
            place,
            random,
            services,
            sockets,
        };
        installation.receive_blanks(common.card, steps).await?;
        installation.write_samples()?;
        Ok(installation)
    }

    pub(crate) fn office(&self) -> &Office {
        self.production.office()
    }

    /// Opens the local socket for the commands of a person at this machine.
    pub(crate) fn local_socket(&self) -> Result<LocalSocket, Failure> {
        LocalSocket::open(&self.folder)
    }

    /// What a PC/SC client must have in its environment, where the service is ours.
    pub(crate) fn pcsc(&self) -> Option<(&'static str, PathBuf)> {
        match &self.place {
            Place::Pcsc {
                manipulator: Some(_), ..
            } => Some(private_pcscd::run_folder(&self.sockets).environment()),
            _ => None,
        }
    }

    pub(crate) fn today(&self) -> Date {
        self.clock.today()
    }

    /// A connection to the vault.
    pub(crate) async fn vault(&self) -> Result<Client<UnixStream>, Failure> {
        officers::connect(&self.folder, &self.clock).await
    }

    /// Lets the counter read and write the card of this order: its two terminals are enrolled for its region.
    pub(crate) async fn serve_region_of(&self, order: &Order) -> Result<(), Failure> {
        let region = CardContent::from_content(order.content()).and_then(|content| content.region());
        let region = region.map_err(OfficeError::from)?;
        let random = &mut self.office().random().session();
        let mut vault = self.vault().await?;
        let known = vault.terminals().await.map_err(OfficeError::from)?;
        let issuer = IssuerInstallation::open(&self.folder.at("issuer"), None)?;
        let until = self.today().saturating_add(5.years());
        for (request, kind) in issuer
            .counter_requests()?
            .into_iter()
            .zip([BundleKind::Counter, BundleKind::Shop])
        {
            let name = request.terminal.as_str();
            let has = known.iter().find(|known| known.name == name);
            let mut regions = has.map(|known| known.regions.clone()).unwrap_or_default();
            if !regions.contains(&region) {
                regions.push(region);
            }
            let terminal = TerminalEnrolment {
                kind,
                terminal: name.to_owned(),
                sealing_key: request.sealing_key,
                authentication_key: request.authentication_key,
                regions,
                zones: 0,
                until,
                replaces: false,
            };
            officers::enrol_terminal(&self.folder, &mut vault, terminal, &self.clock, random).await?;
        }
        Ok(())
    }

    /// A lot of blanks: the vault seals its transport keys to the card maker, the card maker makes the cards, the office
    /// takes them into stock. Done once.
    async fn receive_blanks(&mut self, model: Model, steps: &mut Steps) -> Result<(), Failure> {
        let cards = self.folder.at("cards");
        let received = cards.join("received");
        if received.exists() {
            return Ok(());
        }
        let making = steps.begin(
            Words("制作一批空白卡", "make a lot of blanks"),
            Words("制卡商", "card maker"),
        );
        let made = self.make_blanks(&cards, model).await;
        let serials = steps.end(making, made)?;
        let taking = steps.begin(
            Words("空白卡入库", "take the blanks into stock"),
            Words("库管员", "stock keeper"),
        );
        let keeper: StaffId = "stock.tang".parse().map_err(OfficeError::from)?;
        let taken = self.office().receive_blanks(&serials, LOT_NAME, &keeper).await;
        let taken = match taken {
            // A run that was cut right behind this step.
            Err(OfficeError::Store(issuer_store::Error::Exists { .. })) => Ok(()),
            taken => taken.map_err(Failure::from),
        };
        steps.end(taking, taken)?;
        replace(&received, b"")
    }

    async fn make_blanks(&mut self, cards: &Path, model: Model) -> Result<Vec<CardSerial>, Failure> {
        let key_file = cards.join("maker.key");
        let maker_key = if key_file.exists() {
            let key = blank::read_private_key(&key_file)?;
            key.public()
        } else {
            blank::make_maker_key(&key_file, &mut self.random)?
        };
        let maker = blank::read_private_key(&key_file)?;
        let mut vault = self.vault().await?;
        let lot_file = cards.join(format!("{LOT_NAME}.lot"));
        if !lot_file.exists() {
            let lot = OfficerAct::ExportLot(LotRequest {
                issuer: ISSUER,
                lot: LOT,
                first: 1,
                count: LOT_CARDS,
                maker: "demo card maker".to_owned(),
                maker_key: maker_key.to_point65(),
            });
            let made =
                officers::approved(&self.folder, &mut vault, lot, &self.clock, &mut self.random).await?;
            let RequestOutcome::Lot(sealed) = made else {
                return Err(officers::another_answer());
            };
            write_new(&lot_file, &sealed)?;
        }
        let anchors = vault.anchors().await.map_err(OfficeError::from)?;
        let card_ca = PublicKey::from_point65(&anchors.card_ca).map_err(|error| {
            failure::machine(
                Words("密钥库的卡证书机构公钥不是公钥", "the vault's card CA is no key"),
                error.to_string(),
            )
        })?;
        let mut serials = Vec::new();
        for number in 1..=LOT_CARDS {
            let sealed = std::fs::read(&lot_file)
                .map_err(|error| Failure::file(Words("读取", "read"), &lot_file, &error))?;
            let serial = blank::from_lot(&lot_file, &sealed, &maker, &card_ca, number)?.serial;
            let file = card_file(cards, &serial.to_string());
            if !file.exists() {
                let making = cards.join("making");
                let _ = std::fs::remove_file(&making);
                blank::make_file(
                    &lot_file,
                    &maker,
                    &card_ca,
                    number,
                    model,
                    &making,
                    &mut self.random,
                )?;
                program_contract::file::rename(&making, &file)
                    .map_err(|error| Failure::file(Words("写入", "write"), &file, &error))?;
            }
            serials.push(serial);
        }
        Ok(serials)
    }

    /// The memory file of a card.
    pub(crate) fn card_file(&self, serial: CardSerial) -> PathBuf {
        card_file(&self.folder.at("cards"), &serial.to_string())
    }

    /// A blank that no order has yet.
    pub(crate) async fn free_blank(&self) -> Result<CardSerial, Failure> {
        for number in 1..=LOT_CARDS {
            let mut serial = [0; 10];
            let bytes = ISSUER.iter().chain(&LOT).copied().chain(number.to_be_bytes());
            serial.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
            let serial = CardSerial::from_bytes(serial);
            let scrap = self.office().scrap_of(serial).await?;
            let is_set_aside = scrap.is_some_and(|scrap| *scrap.state() != ScrapState::TakenBack);
            if !is_set_aside && self.office().card_of_chip(serial).await?.is_none() {
                return Ok(serial);
            }
        }
        Err(failure::no_blank(LOT_CARDS))
    }

    /// Lays a card on the reader, where there is a card manipulator.
    pub(crate) fn insert(&self, serial: CardSerial) -> Result<(), Failure> {
        if let Place::Pcsc {
            manipulator: Some(manipulator),
            ..
        } = &self.place
        {
            manipulator.order(&control::Order::Insert {
                memory: Some(self.card_file(serial)),
            })?;
            replace(&self.on_the_reader(), serial.to_string().as_bytes())?;
        }
        Ok(())
    }

    /// Lays the card on the reader that lay there last, where there is a card manipulator.
    pub(crate) fn lay_back(&self) -> Result<(), Failure> {
        let file = self.on_the_reader();
        match std::fs::read_to_string(&file) {
            // A file that was cut says nothing: the reader stays empty until the next card.
            Ok(serial) => serial.parse().map_or(Ok(()), |serial| self.insert(serial)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Failure::file(Words("读取", "read"), &file, &error)),
        }
    }

    /// The card that was laid on the reader last, where there is a card manipulator.
    pub(crate) fn lies_there(&self) -> Option<CardSerial> {
        std::fs::read_to_string(self.on_the_reader()).ok()?.parse().ok()
    }

    /// Where it is written which card lies on the reader.
    fn on_the_reader(&self) -> PathBuf {
        self.folder.at("cards").join("on-the-reader")
    }

    /// A new connection to the card that lies on the reader; in process, to the card with this serial.
    pub(crate) fn connect(&self, serial: CardSerial) -> Result<Box<dyn Transport + Send>, Failure> {
        match &self.place {
            Place::Pcsc { reader, .. } => {
                let wanted = Connect {
                    reader: Some(reader.clone()),
                    wait: CARD_WAIT,
                };
                Ok(Box::new(PcscTransport::connect(&wanted)?))
            }
            Place::InProcess => {
                let mut source =
                    StdRng::try_from_rng(&mut getrandom::SysRng).map_err(|error| no_random(&error))?;
                let card = model::open(&self.card_file(serial), CardRandom::from_source(&mut source))?;
                let mut reader = InProcess::empty();
                reader.insert(card);
                Ok(Box::new(reader))
            }
        }
    }

    /// Applicants and a photo to try, as files.
    fn write_samples(&self) -> Result<(), Failure> {
        for (name, bytes) in samples::SAMPLES {
            replace(&self.folder.at("samples").join(name), bytes)?;
        }
        Ok(())
    }
}

fn no_random(error: &impl std::error::Error) -> Failure {
    failure::machine(
        Words("系统没有给出随机数", "the system has no random numbers"),
        error.to_string(),
    )
}

fn card_file(cards: &Path, serial: &str) -> PathBuf {
    cards.join(format!("{serial}.card"))
}

async fn start_photo_store(
    folder: &Folder,
    socket: &Path,
    vault: &Path,
    at: Option<&str>,
) -> Result<Service, Failure> {
    let store = folder.at("photo-store");
    let anchors = folder.anchors();
    let founding: [&OsStr; 5] = [
        "init".as_ref(),
        "--dir".as_ref(),
        store.as_ref(),
        "--anchors".as_ref(),
        anchors.as_ref(),
    ];
    // At the first start; a founding that was cut is finished.
    match process::run(&process::program("photo-store")?, &founding) {
        Err(failure) if failure.code == "STORE_EXISTS" => {}
        founded => {
            founded?;
        }
    }
    let mut arguments: Vec<&OsStr> = vec![
        "serve".as_ref(),
        "--socket".as_ref(),
        socket.as_ref(),
        "--dir".as_ref(),
        store.as_ref(),
        "--vault".as_ref(),
        vault.as_ref(),
    ];
    if let Some(at) = at {
        arguments.extend(["--at".as_ref(), at.as_ref()] as [&OsStr; 2]);
    }
    let log = folder.log("photo-store");
    let mut service = Service::start(
        Words("照片库", "photo store"),
        &process::program("photo-store")?,
        &arguments,
        &log,
    )?;
    service.ready(socket).await?;
    Ok(service)
}

fn reader(common: &Common, sockets: &Path, steps: &mut Steps) -> Result<Place, Failure> {
    if common.no_pcsc {
        return Ok(Place::InProcess);
    }
    if let Some(reader) = &common.reader {
        let looking = steps.begin(Words("寻找读卡器", "find the reader"), "permit");
        let seen = PcscTransport::list().map_err(Failure::from).and_then(|readers| {
            let found = readers.iter().any(|seen| seen.name == *reader);
            if found {
                Ok(())
            } else {
                let present = readers.into_iter().map(|seen| seen.name).collect();
                Err(Failure::from(TransportError::UnknownReader {
                    wanted: reader.clone(),
                    present,
                }))
            }
        });
        steps.end(looking, seen)?;
        return Ok(Place::Pcsc {
            reader: reader.clone(),
            manipulator: None,
        });
    }
    steps.done(
        Words(
            "启动私有 PC/SC 服务和虚拟读卡器",
            "start a private PC/SC service with a virtual reader",
        ),
        "permit",
        true,
        private_pcscd::started_in(),
    );
    Ok(Place::Pcsc {
        reader: READERS[0].to_owned(),
        manipulator: Some(private_pcscd::run_folder(sockets).manipulator(0)),
    })
}

/// The settings of the office, `issuer.toml`, so that program `issuer` finds everything that runs here.
fn write_settings(folder: &Folder, settings: &Config) -> Result<(), Failure> {
    // A string of JSON is one of TOML.
    let text = |path: &Path| serde_json::Value::from(path.display().to_string()).to_string();
    let toml = format!(
        "# 由 permit 在每次启动时写入 · Written by permit at each start.\nvault = {}\nphoto_store = {}\nlisten = \"{}\"\nreader_here = {}\n",
        text(&settings.vault),
        text(&settings.photo_store),
        settings.listen,
        settings.reader_here
    );
    replace(&folder.at("issuer").join("issuer.toml"), toml.as_bytes())
}

/// Where the HTTP API was at the last start.
pub(crate) fn listened(folder: &Folder) -> Option<SocketAddr> {
    let issuer = folder.at("issuer");
    if !issuer.join("issuer.toml").exists() {
        return None;
    }
    let settings = IssuerInstallation::open(&issuer, None).ok()?;
    Some(settings.config().listen)
}

async fn open_office(
    folder: &Folder,
    config: Config,
    machine: &Clock,
    at: Option<Date>,
    random: &mut StdRng,
) -> Result<(Production, PathBuf), Failure> {
    let shared = Random::new(StdRng::from_rng(random));
    let name = config.issuer.clone();
    let issuer = IssuerInstallation::new(&folder.at("issuer"), config);
    let path = folder.anchors();
    let anchors = file::read(&path, 1 << 16);
    let anchors =
        anchors.map_err(|error| Failure::file(Words("读取锚点", "read the anchors"), &path, &error))?;
    issuer.keep_anchors(&anchors)?;
    let number = issuer.anchors()?.vault;
    let clock = machine.at(at, Founded::around(&number))?;
    let photos = folder.at("photo-store").join("vault.key");
    let photos = ChannelKey::read(&photos)
        .map_err(|error| Failure::file(Words("读取密钥", "read the key"), &photos, &error))?;
    let services = [
        (
            name.as_str(),
            Caller::Issuer,
            issuer.service_key_or_new(&shared)?.public(),
        ),
        (
            "settlement",
            Caller::Settlement,
            issuer.settlement_key_or_new(&shared)?.public(),
        ),
        ("photo store", Caller::PhotoStore, photos.public()),
    ];
    let services = services.map(|(name, kind, key)| officers::Service { name, kind, key });
    officers::enrol_services(folder, &services, &clock, random).await?;
    issuer.counter_keys_or_new(&shared)?;
    staff(folder, &issuer, clock.today(), &shared)?;
    let staff = issuer.staff_path();
    // Founded at the first start, also where that was interrupted in the middle.
    let founded = issuer.new_office(&number, machine, at, shared.clone()).await;
    let office = match founded {
        Err(error) if error.code() == "LEDGER_FOUNDED" => issuer.office(machine, at, shared).await?,
        founded => founded?,
    };
    office.migrate().await?;
    enrol_signers(&issuer, &office).await?;
    let production = issuer.production(office)?;
    Ok((production, staff))
}

/// The key files with which sample staff sign, made at the first start, and enrolled.
async fn enrol_signers(issuer: &IssuerInstallation, office: &Office) -> Result<(), Failure> {
    // A folder of before may hold a real office, which takes none.
    if !office.founded().is_rehearsal() {
        return Ok(());
    }
    for (account, role) in STAFF {
        let signs = match role {
            StaffRole::Reviewer => SignerRole::Reviewer,
            StaffRole::Approver => SignerRole::Approver,
            _ => continue,
        };
        let account = account.parse().map_err(OfficeError::from)?;
        rehearsal::key_of(issuer, office, &account, signs).await?;
    }
    Ok(())
}

/// The staff file and, for `permit up`, each member's token in a file of its own.
fn staff(folder: &Folder, issuer: &IssuerInstallation, today: Date, random: &Random) -> Result<(), Failure> {
    if issuer.staff_path().exists() {
        issuer.staff()?;
        return Ok(());
    }
    // The tokens of a rehearsal: a year.
    let until = today.saturating_add(1.year());
    let mut members = Vec::new();
    for (account, role) in STAFF {
        let token = hex::encode(random.bytes::<32>());
        replace(
            &folder.at("issuer").join(format!("{account}.token")),
            format!("{token}\n").as_bytes(),
        )?;
        members.push(Member::new(
            account.parse().map_err(OfficeError::from)?,
            vec![role],
            &token,
            until,
        ));
    }
    let staff = Staff::new(members)?;
    replace(&issuer.staff_path(), staff.to_toml()?.as_bytes())?;
    Ok(())
}
