//! One installation of the issuer: its folder, its settings file, and the parts wired from both.
//!
//! The folder holds `issuer.toml`, `service.key`, `counter.key`, `staff.toml`, the faces, and the SQLite ledger where no
//! other database is named. Every setting has a default, so an empty folder is a working installation. Left out: secrets
//! in the settings (a PostgreSQL password belongs into `.pgpass` or a client certificate).

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use card_reader::enrol::EnrolRequest;
use card_reader::{Pinned, TerminalKey};
use issuer_artwork::{Artist, CardFonts};
use issuer_office::connection::{Dialer, VaultDoor};
use issuer_office::error::OfficeError;
use issuer_office::office::Office;
use issuer_office::random::Random;
use issuer_office::staff::{Staff, StaffError};
use issuer_office::webauthn::{OriginError, RelyingParty};
use issuer_production::{Production, ProductionError, ServiceKey, ServiceKeyError, Settings};
use issuer_store::Store;
use issuer_web::Public;
use jiff::civil::Date;
use keyvault_protocol::{ChannelKey, Identity, VaultAnchors};
use permit_rules::RuleSets;
use program_contract::language::Said as _;
use program_contract::user::Barrier;
use program_contract::{Clock, Exit, Failing, Founded, NotARehearsal, file};
use serde::Deserialize;

/// The settings file, `issuer.toml`. Relative paths start at the installation's folder.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `sqlite:PATH` or `postgres://...`.
    pub database: String,
    /// The vault's socket.
    pub vault: PathBuf,
    /// The photo store's socket.
    pub photo_store: PathBuf,
    /// Address of the HTTP API.
    pub listen: SocketAddr,
    /// Where people reach the pages for everybody, such as `https://permits.example.org`; none: as the counter's browser does.
    pub public_address: Option<String>,
    /// Where browsers find the counter's pages: `https://` and a host name, or `http://localhost`, with the port. Without it
    /// `http://localhost` and the port of `listen`.
    pub origin: Option<String>,
    /// Where browsers find the signing page, such as `https://sign.example.cn`: a host name that is neither the one of the counter nor
    /// above or below it. Without it nobody reviews or signs off a card at the counter's pages.
    pub signing_page: Option<String>,
    /// Name under which the service key is enrolled in the vault.
    pub issuer: String,
    /// Card profile.
    pub profile: String,
    /// The station that writes cards.
    pub station: String,
    /// Name of the counter's terminal.
    pub terminal: String,
    /// Name of the worker in the ledger where it runs as a service; no account of a person.
    pub service: String,
    /// Whether cards are made at this machine: `/readyz` then asks for its reader too.
    pub reader_here: bool,
    /// Font files in the order in which they are asked; empty: the installed ones.
    pub fonts: Vec<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            database: "sqlite:issuer.db".into(),
            vault: "vault.sock".into(),
            photo_store: "photos.sock".into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8440)),
            public_address: None,
            origin: None,
            signing_page: None,
            issuer: "issuer".into(),
            profile: "resident-1".into(),
            station: "counter 1".into(),
            terminal: "counter 1".into(),
            service: "worker".into(),
            reader_here: false,
            fonts: Vec::new(),
        }
    }
}

/// Longest settings file, bytes.
const MAX_SETTINGS: u64 = 1 << 16;

/// Why an installation cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallationError {
    /// The settings cannot be read.
    #[error("the settings {} cannot be read: {problem}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The origin of the pages in the settings.
    #[error("`{setting}` in issuer.toml cannot be used: {error}")]
    Origin {
        /// Which setting.
        setting: &'static str,
        /// What is wrong with it.
        error: OriginError,
    },
    /// A file or folder of the installation.
    #[error("{} cannot be used: {source}", path.display())]
    File {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The settings are another user's.
    #[error("the settings {} cannot be read: {whose}", path.display())]
    OtherUser {
        /// The file.
        path: PathBuf,
        /// Whose they are.
        whose: Box<Barrier>,
    },
    /// The vault's anchors.
    #[error("the vault's anchors {} cannot be read: {source}", path.display())]
    Anchors {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The service key.
    #[error(transparent)]
    Key(#[from] ServiceKeyError),
    /// The counter's terminal key.
    #[error("the counter's key {} cannot be used", .0.display())]
    CounterKey(PathBuf),
    /// The staff file.
    #[error(transparent)]
    Staff(#[from] StaffError),
    /// The ledger, the rule sets, fonts or templates.
    #[error(transparent)]
    Office(#[from] OfficeError),
    /// The vault, when the counter is enrolled.
    #[error(transparent)]
    Production(#[from] ProductionError),
    /// Another day than today, in a real office.
    #[error(transparent)]
    NotARehearsal(#[from] NotARehearsal),
}

impl Failing for InstallationError {
    fn code(&self) -> Cow<'static, str> {
        match self {
            Self::Config { .. } | Self::Origin { .. } => "SETTINGS".into(),
            Self::File { .. } | Self::OtherUser { .. } => "FILE".into(),
            Self::Anchors { .. } => "VAULT_ANCHORS".into(),
            Self::CounterKey(_) => "COUNTER_KEY".into(),
            Self::Key(error) => Failing::code(error),
            Self::Staff(error) => Failing::code(error),
            Self::Office(error) => Failing::code(error),
            Self::Production(error) => Failing::code(error),
            Self::NotARehearsal(error) => Failing::code(error),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Config { .. }
            | Self::Origin { .. }
            | Self::File { .. }
            | Self::OtherUser { .. }
            | Self::Anchors { .. }
            | Self::CounterKey(_) => Exit::Damaged,
            Self::Key(error) => error.exit(),
            Self::Staff(error) => error.exit(),
            Self::Office(error) => error.exit(),
            Self::Production(error) => error.exit(),
            Self::NotARehearsal(error) => error.exit(),
        }
    }

    fn action(&self) -> Cow<'static, str> {
        match self {
            Self::Config { .. } => {
                "Correct issuer.toml, whose keys are all optional and none other is taken, or its rights: the user that runs the command reads it.".into()
            }
            Self::Origin { .. } => "Write where browsers open the pages (scheme, host name, port), or leave it out.".into(),
            Self::File { .. } => "Check the path, its rights and the disk.".into(),
            Self::OtherUser { whose, .. } => format!(
                "Run the same command as user {0} (root does so with `runuser -u {0} -- ...`), or have the rights corrected.",
                whose.owner()
            )
            .into(),
            Self::Anchors { .. } => {
                "Bring the file that the vault's founding wrote: `issuer migrate --anchors FILE`.".into()
            }
            Self::CounterKey(_) => {
                "Give it mode 0600 and restore it from where it was made; or remove it, make a new one with `issuer migrate`, and have two officers enrol its request."
                    .into()
            }
            Self::Key(error) => Failing::action(error),
            Self::Staff(error) => Failing::action(error),
            Self::Office(error) => Failing::action(error),
            Self::Production(error) => Failing::action(error),
            Self::NotARehearsal(error) => error.action(),
        }
    }

    fn chinese(&self) -> (String, String) {
        let (message, action) = match self {
            Self::OtherUser { path, whose } => {
                let owner = whose.owner();
                return (
                    format!("设置文件 {} 无法读取：{}", path.display(), whose.zh()),
                    format!(
                        "请以用户 {owner} 运行同一命令（root 可用 `runuser -u {owner} -- ...`），或请其更正权限。"
                    ),
                );
            }
            Self::Config { path, problem } => (
                format!("设置文件 {} 无法读取：{problem}", path.display()),
                "请改正 issuer.toml（各键均可省略，不认得的键不予接受）或其权限：运行命令的用户须能读取。",
            ),
            Self::Origin { setting, error } => (
                format!("issuer.toml 中的 `{setting}` 无法使用：{}", error.chinese()),
                "请写浏览器打开该页面的地址（协议、主机名、端口），或删去此项。",
            ),
            Self::File { path, source } => (
                format!("{} 无法使用：{}", path.display(), source.zh()),
                "请检查路径、权限和磁盘。",
            ),
            Self::Anchors { path, source } => (
                format!("密钥库的锚点文件 {} 无法读取：{}", path.display(), source.zh()),
                "请带入密钥库建立时写出的文件：`issuer migrate --anchors 文件`。",
            ),
            Self::CounterKey(path) => (
                format!("柜台终端密钥 {} 无法使用", path.display()),
                "请把权限设为 0600 并用制作时的备份恢复；或将其删除，用 `issuer migrate` 生成新的，并由两名密钥官员登记其请求。",
            ),
            Self::Key(error) => return Failing::chinese(error),
            Self::Staff(error) => return Failing::chinese(error),
            Self::Office(error) => return Failing::chinese(error),
            Self::Production(error) => return Failing::chinese(error),
            Self::NotARehearsal(error) => return error.chinese(),
        };
        (message, action.to_owned())
    }
}

/// A folder with its settings.
#[derive(Debug, Clone)]
pub struct Installation {
    folder: PathBuf,
    config: Config,
}

impl Installation {
    /// Opens a folder; `config` is another settings file than its own `issuer.toml`.
    ///
    /// # Errors
    /// [`InstallationError::Config`], [`InstallationError::OtherUser`].
    pub fn open(folder: &Path, config: Option<&Path>) -> Result<Self, InstallationError> {
        let own = folder.join("issuer.toml");
        let path = config.unwrap_or(&own);
        let read = match file::read_text(path, MAX_SETTINGS) {
            Ok(text) => toml::from_str(&text).map_err(|error| InstallationError::Config {
                path: path.to_owned(),
                problem: error.message().to_owned(),
            })?,
            // Only its own file may be missing: a file that somebody named must be there.
            Err(error) if error.kind() == io::ErrorKind::NotFound && config.is_none() => Config::default(),
            Err(error) => {
                let is_denied = error.kind() == io::ErrorKind::PermissionDenied;
                if let Some(whose) = is_denied.then(|| Barrier::before(path)).flatten() {
                    let (path, whose) = (path.to_owned(), Box::new(whose));
                    return Err(InstallationError::OtherUser { path, whose });
                }
                return Err(InstallationError::Config {
                    path: path.to_owned(),
                    problem: error.to_string(),
                });
            }
        };
        Ok(Self::new(folder, read))
    }

    /// A folder with settings from elsewhere.
    #[must_use]
    pub fn new(folder: &Path, config: Config) -> Self {
        Self {
            folder: folder.to_owned(),
            config,
        }
    }

    /// The settings.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.join(name)
    }

    /// Where the service key is.
    #[must_use]
    pub(crate) fn service_key_path(&self) -> PathBuf {
        self.path("service.key")
    }

    /// Where the staff file is.
    #[must_use]
    pub fn staff_path(&self) -> PathBuf {
        self.path("staff.toml")
    }

    fn database(&self) -> String {
        match self.config.database.strip_prefix("sqlite:") {
            Some(file) if !file.starts_with('/') && !file.starts_with(':') => {
                format!("sqlite:{}", self.path(file).display())
            }
            _ => self.config.database.clone(),
        }
    }

    /// Where the anchors of the office's vault are.
    #[must_use]
    pub(crate) fn anchors_path(&self) -> PathBuf {
        self.path("anchors.json")
    }

    /// Where the settlement's key is.
    #[must_use]
    pub(crate) fn settlement_key_path(&self) -> PathBuf {
        self.path("settlement.key")
    }

    /// Keeps the vault's anchors, as its founding wrote them.
    ///
    /// # Errors
    /// The file, or that these anchors are another vault's than those that are kept.
    pub fn keep_anchors(&self, text: &[u8]) -> Result<(), InstallationError> {
        let path = self.anchors_path();
        file::replace(&path, text, 0o644).map_err(|source| InstallationError::File { path, source })
    }

    /// The vault's anchors.
    ///
    /// # Errors
    /// The file, which `issuer migrate --anchors` brings.
    pub fn anchors(&self) -> Result<VaultAnchors, InstallationError> {
        let path = self.anchors_path();
        VaultAnchors::read(&path).map_err(|source| InstallationError::Anchors { path, source })
    }

    /// What everybody may know of the office: its address, and the keys by which a card's code is checked, where it has them.
    #[must_use]
    pub fn public(&self) -> Public {
        let anchors = file::read(&self.anchors_path(), MAX_SETTINGS).ok();
        let signer = anchors.and_then(|text| Pinned::with_document_signer(&text).ok());
        Public {
            address: self.config.public_address.clone(),
            document_signer: signer.map(|(_, key)| key.to_point65()),
            key: ServiceKey::load(&self.service_key_path()).ok().map(Arc::new),
        }
    }

    /// The way to the vault, and who the office is on it; nobody where anchors or keys are missing, which is said when the vault
    /// is needed.
    fn vault_door(&self, clock: &Clock) -> VaultDoor {
        let anchors = self.anchors().ok();
        let identity = |key: ChannelKey| anchors.map(|anchors| Identity::of(key, anchors, clock.clone()));
        let issuer = ServiceKey::load(&self.service_key_path()).ok();
        let settlement = ChannelKey::read(&self.settlement_key_path()).ok();
        VaultDoor {
            way: Dialer::to_vault(&self.path(&self.config.vault)),
            issuer: issuer.and_then(|key| identity(key.channel_key())),
            settlement: settlement.and_then(identity),
        }
    }

    /// Founds the ledger of a new office under the vault with this number, and wires it: with the machine's clock, or with its
    /// day moved to `at`, which rehearsals alone take.
    ///
    /// # Errors
    /// As [`Self::office`], and where there is a ledger.
    pub async fn new_office(
        &self,
        vault: &[u8; 16],
        machine: &Clock,
        at: Option<Date>,
        random: Random,
    ) -> Result<Office, InstallationError> {
        machine.at(at, Founded::around(vault))?;
        Store::found(&self.database(), vault)
            .await
            .map_err(OfficeError::from)?
            .close()
            .await;
        self.office(machine, at, random).await
    }

    /// Wires the office: with the machine's clock, or with its day moved to `at`, which rehearsals alone take.
    ///
    /// # Errors
    /// Fonts, rule sets, or a database that does not open; `at` in an office that was not founded as a rehearsal.
    pub async fn office(
        &self,
        machine: &Clock,
        at: Option<Date>,
        random: Random,
    ) -> Result<Office, InstallationError> {
        let fonts = if self.config.fonts.is_empty() {
            CardFonts::installed().map_err(OfficeError::from)?
        } else {
            CardFonts::from_files(&self.config.fonts).map_err(OfficeError::from)?
        };
        let rules = Arc::new(RuleSets::embedded().map_err(OfficeError::from)?);
        let store = Store::open(&self.database()).await.map_err(OfficeError::from)?;
        let under = match store.founded_under().await {
            Ok(under) => under,
            // Where no day was given, whoever works with the ledger next says what is wrong with it.
            Err(_) if at.is_none() => None,
            Err(error) => return Err(OfficeError::from(error).into()),
        };
        let founded = under.map_or(Founded::Real, |vault| Founded::around(&vault));
        let clock = machine.at(at, founded)?;
        let artist = Artist::new(fonts).map_err(OfficeError::from)?;
        let artist = Arc::new(artist.of_specimens(founded.is_rehearsal()));
        let vault = self.vault_door(&clock);
        let photos = Dialer::unix(&self.path(&self.config.photo_store));
        let office = Office::new(store, rules, artist, vault, photos, clock, random);
        Ok(office.founded_under(under))
    }

    /// Where browsers find the pages that are served at this port, and whose authenticators answer there.
    ///
    /// # Errors
    /// [`InstallationError::Origin`].
    pub(crate) fn relying_party(&self, port: u16) -> Result<RelyingParty, InstallationError> {
        match &self.config.origin {
            Some(origin) => RelyingParty::at(origin).map_err(|error| InstallationError::Origin {
                setting: "origin",
                error,
            }),
            None => Ok(RelyingParty::on_this_machine(port)),
        }
    }

    /// Where browsers find the signing page beside this counter; none where the settings name none.
    ///
    /// # Errors
    /// [`InstallationError::Origin`], also for a host that is above or below the counter's.
    pub(crate) fn signing_page(
        &self,
        counter: &RelyingParty,
    ) -> Result<Option<RelyingParty>, InstallationError> {
        let wrong = |error| InstallationError::Origin {
            setting: "signing_page",
            error,
        };
        let Some(origin) = &self.config.signing_page else {
            return Ok(None);
        };
        let page = RelyingParty::at(origin).map_err(wrong)?;
        page.check_apart_from(counter).map_err(wrong)?;
        Ok(Some(page))
    }

    /// Where the key files of a rehearsal's sample staff are.
    #[must_use]
    pub fn rehearsal_keys(&self) -> PathBuf {
        self.path("rehearsal-keys")
    }

    /// The staff file.
    ///
    /// # Errors
    /// [`InstallationError::Staff`].
    pub fn staff(&self) -> Result<Staff, InstallationError> {
        Ok(Staff::load(&self.staff_path())?)
    }

    /// The settlement's key, made (mode 0600) if there is none.
    ///
    /// # Errors
    /// The file.
    pub fn settlement_key_or_new(&self, random: &Random) -> Result<ChannelKey, InstallationError> {
        let path = self.settlement_key_path();
        let failed = |source| InstallationError::File {
            path: path.clone(),
            source,
        };
        match ChannelKey::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match ChannelKey::generate(&mut random.session()).save_new(&path) {
                    // Another program began here at the same moment.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    saved => saved.map_err(failed)?,
                }
                ChannelKey::read(&path).map_err(failed)
            }
            read => read.map_err(failed),
        }
    }

    /// The service key, made (mode 0600) if there is none.
    ///
    /// # Errors
    /// [`InstallationError::Key`].
    pub fn service_key_or_new(&self, random: &Random) -> Result<ServiceKey, InstallationError> {
        let path = self.service_key_path();
        match ServiceKey::load(&path) {
            Err(ServiceKeyError::Absent(_)) => {
                let key = ServiceKey::generate(random);
                match key.save_new(&path) {
                    Err(ServiceKeyError::File { source, .. })
                        if source.kind() == io::ErrorKind::AlreadyExists =>
                    {
                        Ok(ServiceKey::load(&path)?)
                    }
                    saved => Ok(saved.map(|()| key)?),
                }
            }
            loaded => Ok(loaded?),
        }
    }

    /// Wires production, with the keys that `issuer migrate` made.
    ///
    /// # Errors
    /// The service key, the counter's key, or the vault.
    pub fn production(&self, office: Office) -> Result<Production, InstallationError> {
        let key = ServiceKey::load(&self.service_key_path())?;
        let terminal = self.terminal_key(COUNTER)?;
        let purse = self.terminal_key(COUNTER_PURSE)?;
        let settings = Settings {
            issuer: self.config.issuer.clone(),
            profile: self.config.profile.clone(),
            station: self.config.station.clone(),
            faces: self.path("faces"),
        };
        Ok(Production::new(
            office,
            Arc::new(key),
            Arc::new(terminal),
            Arc::new(purse),
            settings,
        ))
    }

    fn terminal_key(&self, (file, _): (&str, &str)) -> Result<TerminalKey, InstallationError> {
        let path = self.path(format!("{file}.key"));
        TerminalKey::load(&path).map_err(|_| InstallationError::CounterKey(path))
    }

    /// The requests of the counter's two terminals: the counter, and the shop that shows it a purse.
    ///
    /// # Errors
    /// [`InstallationError::CounterKey`].
    pub fn counter_requests(&self) -> Result<[EnrolRequest; 2], InstallationError> {
        Ok([
            self.terminal_key(COUNTER)?.request(),
            self.terminal_key(COUNTER_PURSE)?.request(),
        ])
    }

    /// The keys of these terminals, made where there are none; gives the files with the requests by which two officers enrol them.
    ///
    /// # Errors
    /// The anchors, the settings, the files.
    pub fn counter_keys_or_new(&self, random: &Random) -> Result<Vec<PathBuf>, InstallationError> {
        let anchors = self.anchors_path();
        let text = file::read(&anchors, MAX_SETTINGS).map_err(|source| InstallationError::Anchors {
            path: anchors.clone(),
            source,
        })?;
        let pinned = Pinned::from_anchors_json(&text).map_err(|_| InstallationError::Anchors {
            path: anchors,
            source: io::ErrorKind::InvalidData.into(),
        })?;
        let mut requests = Vec::new();
        for (file, which) in [COUNTER, COUNTER_PURSE] {
            let path = self.path(format!("{file}.key"));
            if !path.exists() {
                let name = format!("{}{which}", self.config.terminal);
                let name = name.parse().map_err(|_| InstallationError::Config {
                    path: self.path("issuer.toml"),
                    problem: "terminal: a terminal name has 1 to 64 bytes of text, with ` purse` behind it"
                        .into(),
                })?;
                let key = TerminalKey::generate(name, pinned.clone(), &mut random.session());
                match key.save_new(&path) {
                    // Another program began here at the same moment: one key serves both.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    saved => saved.map_err(|source| InstallationError::File { path, source })?,
                }
            }
            let key = self.terminal_key((file, which))?;
            let path = self.path(format!("{file}.request.json"));
            let text = format!("{}\n", key.request().to_json(&pinned.vault));
            file::replace(&path, text.as_bytes(), 0o644).map_err(|source| InstallationError::File {
                path: path.clone(),
                source,
            })?;
            requests.push(path);
        }
        Ok(requests)
    }
}

/// File and name of the counter's terminal: the name is the one of the settings with this behind it.
const COUNTER: (&str, &str) = ("counter", "");
/// The same of the shop that shows the counter a purse.
const COUNTER_PURSE: (&str, &str) = ("counter-purse", " purse");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_folder_is_an_installation_with_every_default() {
        let folder = tempfile::tempdir().unwrap();
        let installation = Installation::open(folder.path(), None).unwrap();
        assert_eq!(*installation.config(), Config::default());
        assert_eq!(
            installation.database(),
            format!("sqlite:{}/issuer.db", folder.path().display())
        );
    }

    #[test]
    fn an_unknown_setting_or_a_named_file_that_is_not_there_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("issuer.toml"), "databse = \"sqlite:x\"").unwrap();
        assert_eq!(
            Installation::open(folder.path(), None).unwrap_err().code(),
            "SETTINGS"
        );
        assert!(Installation::open(folder.path(), Some(&folder.path().join("none.toml"))).is_err());
    }

    #[test]
    fn the_pages_are_at_this_machine_unless_told_otherwise_and_an_origin_without_authenticators_is_refused() {
        let at = |origin: Option<&str>| {
            let config = Config {
                origin: origin.map(str::to_owned),
                ..Config::default()
            };
            let installation = Installation::new(Path::new("/nowhere"), config);
            installation.relying_party(8441)
        };
        assert_eq!(at(None).unwrap().origin(), "http://localhost:8441");
        let named = at(Some("https://counter.example.cn")).unwrap();
        assert_eq!(named.id(), "counter.example.cn");
        for wrong in [
            "http://10.1.2.3:8440",
            "http://counter.example.cn",
            "counter.example.cn",
        ] {
            let refused = at(Some(wrong)).unwrap_err();
            assert_eq!(refused.code(), "SETTINGS");
            assert!(
                refused.to_string().contains("origin") && Failing::chinese(&refused).0.contains("origin")
            );
        }
    }
}
