//! The `keyvault` program: `init`, `serve`, `unseal`, `seal`, `status`, and what an administrator asks of an open vault.
//!
//! Standard output holds the result only. No secret in arguments or environment: passphrases come from files or standard
//! input.

use std::io::Read as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;
use keyvault::custody::ceremony::{self, Custodian, Plan};
use keyvault::custody::share_envelope::{Cost, Package, passphrase_line};
use keyvault::keys::arena::Arena;
use keyvault::{Clock, Error, Random, Vault, isolation, serve};
use keyvault_protocol::{
    BundleKind, BundleRequest, Client, LotRequest, PointBytes, Region, Role, RoleKeyInfo, Serial, Status,
    TerminalInfo, UnsealProgress, VaultState, division,
};
use rand_core::UnwrapErr;
use serde_json::{Value, json};
use tokio::net::UnixStream;
use zeroize::Zeroizing;

#[derive(Parser)]
#[command(
    name = "keyvault",
    version,
    about = "The sealed key vault of the residence-permit card system"
)]
struct Arguments {
    /// Folder of the vault.
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Socket of the running vault; by default the one that `serve` noted in the folder.
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// One JSON object on standard output.
    #[arg(long, global = true)]
    json: bool,
    /// The day to work on instead of today (a clock that starts at noon of that day, UTC+8).
    #[arg(long, global = true, value_name = "DATE")]
    at: Option<Date>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Founds a vault and writes one share package per custodian.
    Init {
        /// Shares needed to open, at least 2.
        #[arg(long, value_name = "M")]
        threshold: u8,
        /// Shares made; one per custodian.
        #[arg(long, value_name = "N")]
        shares: u8,
        /// A custodian and the file whose first line is the passphrase; once for each.
        #[arg(long, value_name = "NAME=PASSPHRASE_FILE", required = true)]
        custodian: Vec<String>,
        /// Folder for the packages.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Serves the vault on a Unix socket, sealed until custodians unseal it.
    Serve {
        /// Ends with the thread of the process that started this one (`PR_SET_PDEATHSIG`): start it from one that lasts.
        #[arg(long)]
        end_with_parent: bool,
    },
    /// Gives one share to the running vault.
    Unseal {
        /// The share package.
        #[arg(long, value_name = "FILE")]
        share: PathBuf,
        /// The file whose first line is the passphrase; `-` for standard input.
        #[arg(long, value_name = "FILE|-")]
        passphrase_file: PathBuf,
    },
    /// Seals the running vault.
    Seal {
        /// Who seals, for the journal.
        #[arg(long, default_value = "operator")]
        by: String,
    },
    /// Says how the vault stands: exit 0 open, 1 sealed, 3 not running, 5 damaged.
    Status,
    /// Enrols an issuer's service key.
    EnrolIssuer {
        /// Name that its orders carry.
        #[arg(long)]
        name: String,
        /// File with the public key.
        #[arg(long, value_name = "FILE")]
        public_key: PathBuf,
    },
    /// Exports a terminal's bundle, sealed to the terminal's key.
    ExportBundle {
        /// Kind of terminal.
        #[arg(long)]
        kind: Kind,
        /// The terminal's request: the JSON object that `card-reader enrol` prints, with name and public keys.
        #[arg(long, value_name = "FILE")]
        request: PathBuf,
        /// A region of GB/T 2260; once for each.
        #[arg(long, required = true)]
        region: Vec<String>,
        /// Zones that the terminal stands in, a bit mask; 0 for no check.
        #[arg(long, default_value_t = 0)]
        zones: u64,
        /// First day.
        #[arg(long)]
        from: Date,
        /// Last day.
        #[arg(long)]
        to: Date,
        /// File to write; not overwritten.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Exports the transport keys of blanks, sealed to the card maker's key.
    ExportLot {
        /// Number of the issuer, 4 hex digits.
        #[arg(long)]
        issuer: String,
        /// Number of the lot, 8 hex digits.
        #[arg(long)]
        lot: String,
        /// Number of the first card.
        #[arg(long)]
        first: u32,
        /// Count of cards.
        #[arg(long)]
        count: u32,
        /// Name of the card maker.
        #[arg(long)]
        maker: String,
        /// File with the card maker's public key.
        #[arg(long, value_name = "FILE")]
        maker_key: PathBuf,
        /// File to write; not overwritten.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Prints the public keys.
    Anchors,
    /// Lists all versions of all role keys, with their states and how many cards have them.
    RoleKeys,
    /// Makes a new Active version of a role key; the one before it drains until a day.
    Rotate {
        /// The role.
        #[arg(long)]
        role: RoleName,
        /// The region of GB/T 2260.
        #[arg(long)]
        region: String,
        /// Last day, included, on which terminals accept the version that was Active.
        #[arg(long, value_name = "DATE")]
        drain_until: Date,
    },
    /// Says that a version is compromised: no bundle carries it any more. It stays so.
    Compromise {
        /// The role.
        #[arg(long)]
        role: RoleName,
        /// The region of GB/T 2260.
        #[arg(long)]
        region: String,
        /// The version.
        #[arg(long)]
        version: u8,
    },
    /// Destroys the keys of a version that no live card has alone.
    Retire {
        /// The role.
        #[arg(long)]
        role: RoleName,
        /// The region of GB/T 2260.
        #[arg(long)]
        region: String,
        /// The version.
        #[arg(long)]
        version: u8,
    },
    /// Puts a card onto the deny lists of its roles.
    Deny {
        /// Serial of the card, 20 hex digits.
        #[arg(long, value_name = "HEX20")]
        serial: String,
    },
    /// Takes a card that was found from the deny lists.
    Allow {
        /// Serial of the card, 20 hex digits.
        #[arg(long, value_name = "HEX20")]
        serial: String,
    },
    /// Writes the signed deny lists of one or more roles as a list file.
    DenyList {
        /// A role; once for each.
        #[arg(long, required = true)]
        role: Vec<RoleName>,
        /// Day of issue.
        #[arg(long, value_name = "DATE")]
        issued: Date,
        /// Days for which terminals may use it.
        #[arg(long, value_name = "N", default_value_t = 30)]
        max_age_days: u16,
        /// Days behind these for which a terminal of TRANSIT or CLINIC may still accept if its operator asks for it.
        #[arg(long, value_name = "N", default_value_t = 0)]
        grace_days: u16,
        /// File to write; not overwritten.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Revokes a terminal: no bundle and no updates for it any more.
    RevokeTerminal {
        /// Its name.
        #[arg(long)]
        name: String,
    },
    /// Lists all terminals, and until when each can do what.
    Terminals,
}

#[derive(Clone, Copy, ValueEnum)]
enum RoleName {
    Transit,
    SocialInsurance,
    SmallPayment,
    Clinic,
    Door,
}

impl From<RoleName> for Role {
    fn from(role: RoleName) -> Self {
        match role {
            RoleName::Transit => Self::Transit,
            RoleName::SocialInsurance => Self::SocialInsurance,
            RoleName::SmallPayment => Self::SmallPayment,
            RoleName::Clinic => Self::Clinic,
            RoleName::Door => Self::Door,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Bus,
    Clinic,
    Door,
    Counter,
    SocialInsurance,
    Shop,
}

impl From<Kind> for BundleKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Bus => Self::Bus,
            Kind::Clinic => Self::Clinic,
            Kind::Door => Self::Door,
            Kind::Counter => Self::Counter,
            Kind::SocialInsurance => Self::SocialInsurance,
            Kind::Shop => Self::Shop,
        }
    }
}

/// What is shown of a failure.
struct Failure {
    code: &'static str,
    message: String,
    action: String,
    exit: u8,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (code, action, exit) = (error.code(), error.action().to_owned(), error.exit_code());
        Self {
            code,
            message: error.to_string(),
            action,
            exit,
        }
    }
}

impl From<keyvault_protocol::Error> for Failure {
    fn from(error: keyvault_protocol::Error) -> Self {
        let (code, exit) = (error.code(), error.exit_code());
        let text = error.to_string();
        if let Some(refusal) = error.refusal() {
            let (message, action) = (refusal.message.clone(), refusal.action.clone());
            return Self {
                code,
                message,
                action,
                exit,
            };
        }
        let (message, action) = text.split_once("; ").unwrap_or((&text, "try again"));
        Self {
            code,
            message: message.to_owned(),
            action: action.to_owned(),
            exit,
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self {
            code: "FILE",
            message: format!("{error:#}"),
            action: "correct it and try again".into(),
            exit: 5,
        }
    }
}

fn usage(message: impl Into<String>) -> Failure {
    Failure {
        code: "USAGE",
        message: message.into(),
        action: "see `keyvault --help`".into(),
        exit: 2,
    }
}

/// What a command prints, and its exit code.
struct Outcome {
    fields: Value,
    prose: String,
    exit: u8,
}

impl Outcome {
    fn done(fields: Value, prose: impl Into<String>) -> Self {
        Self {
            fields,
            prose: prose.into(),
            exit: 0,
        }
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let asked = matches!(
                error.kind(),
                clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion
            );
            if !asked && std::env::args().any(|argument| argument == "--json") {
                return show_failure("keyvault", &usage(first_line(&error.to_string())), true);
            }
            let _ = error.print();
            return ExitCode::from(if asked { 0 } else { 2 });
        }
    };
    let name = arguments.command.name();
    let json = arguments.json;
    match run(arguments) {
        Ok(outcome) => {
            if json {
                println!("{}", with_head(name, true, outcome.fields));
            } else if !outcome.prose.is_empty() {
                println!("{}", outcome.prose);
            }
            ExitCode::from(outcome.exit)
        }
        Err(failure) => show_failure(name, &failure, json),
    }
}

fn first_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .trim_start_matches("error: ")
        .to_owned()
}

fn with_head(name: &str, ok: bool, fields: Value) -> Value {
    let mut object = serde_json::Map::new();
    object.insert("schema".into(), format!("yzt.{name}/1").into());
    object.insert("ok".into(), ok.into());
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
    Value::Object(object)
}

fn show_failure(name: &str, failure: &Failure, json: bool) -> ExitCode {
    let Failure {
        code,
        message,
        action,
        exit,
    } = failure;
    if json {
        let error = json!({ "error": { "code": code, "message": message, "action": action } });
        println!("{}", with_head(name, false, error));
    }
    eprintln!("keyvault: {message} [{code}]\n  {action}");
    ExitCode::from(*exit)
}

impl Command {
    fn name(&self) -> &'static str {
        match self {
            Self::Init { .. } => "keyvault_init",
            Self::Serve { .. } => "keyvault_serve",
            Self::Unseal { .. } => "keyvault_unseal",
            Self::Seal { .. } => "keyvault_seal",
            Self::Status => "keyvault_status",
            Self::EnrolIssuer { .. } => "keyvault_enrol_issuer",
            Self::ExportBundle { .. } => "keyvault_export_bundle",
            Self::ExportLot { .. } => "keyvault_export_lot",
            Self::Anchors => "anchors",
            Self::RoleKeys => "role_keys",
            Self::Rotate { .. } => "keyvault_rotate",
            Self::Compromise { .. } => "keyvault_compromise",
            Self::Retire { .. } => "keyvault_retire",
            Self::Deny { .. } => "keyvault_deny",
            Self::Allow { .. } => "keyvault_allow",
            Self::DenyList { .. } => "keyvault_deny_list",
            Self::RevokeTerminal { .. } => "keyvault_revoke_terminal",
            Self::Terminals => "terminals",
        }
    }
}

fn run(arguments: Arguments) -> Result<Outcome, Failure> {
    // Nothing that this program writes is for other users.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("KEYVAULT_LOG").unwrap_or_else(|_| "warn".into()),
        )
        .init();
    let Arguments {
        dir,
        socket,
        json,
        at,
        command,
    } = arguments;
    let place = Place { dir, socket };
    // Before the first passphrase, share or key: `init` and `unseal` hold those too.
    isolation::forbid_dumps()?;
    match command {
        Command::Init {
            threshold,
            shares,
            custodian,
            out,
        } => init(&place, at, threshold, shares, &custodian, out),
        Command::Serve { end_with_parent } => run_serve(&place, at, end_with_parent, json),
        command => runtime()?.block_on(ask(&place, command)),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime does not start")?)
}

fn random() -> Random {
    Box::new(UnwrapErr(getrandom::SysRng))
}

/// The machine's clock, or one that starts at noon of a given day and runs on.
struct RunningClock {
    start: Timestamp,
    since: Instant,
    given: bool,
}

impl RunningClock {
    fn new(at: Option<Date>) -> Result<Self, Failure> {
        let start = match at {
            Some(day) => Offset::constant(8)
                .to_timestamp(day.at(12, 0, 0, 0))
                .map_err(|_| usage("--at is out of range"))?,
            None => machine_time(),
        };
        Ok(Self {
            start,
            since: Instant::now(),
            given: at.is_some(),
        })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the program takes the machine's time"
)]
fn machine_time() -> Timestamp {
    Timestamp::now()
}

impl Clock for RunningClock {
    fn now(&self) -> Timestamp {
        if self.given {
            self.start
                .saturating_add(self.since.elapsed())
                .unwrap_or(self.start)
        } else {
            machine_time()
        }
    }
}

/// Folder and socket of the vault.
struct Place {
    dir: Option<PathBuf>,
    socket: Option<PathBuf>,
}

impl Place {
    fn dir(&self) -> Result<&Path, Failure> {
        self.dir.as_deref().ok_or_else(|| usage("--dir is missing"))
    }

    /// Where `serve` listens, or where it said that it does.
    fn socket(&self) -> Result<PathBuf, Failure> {
        if let Some(socket) = &self.socket {
            return Ok(socket.clone());
        }
        let dir = self.dir()?;
        match std::fs::read_to_string(dir.join(SOCKET_NOTE)) {
            Ok(path) => Ok(PathBuf::from(path.trim_end())),
            Err(_) => Ok(dir.join("keyvault.sock")),
        }
    }

    async fn connect(&self) -> Result<Client<UnixStream>, Failure> {
        Ok(Client::connect_unix(&self.socket()?).await?)
    }
}

/// File in the vault's folder that says where the running vault listens.
const SOCKET_NOTE: &str = "socket";

fn init(
    place: &Place,
    at: Option<Date>,
    threshold: u8,
    shares: u8,
    custodians: &[String],
    out: PathBuf,
) -> Result<Outcome, Failure> {
    if usize::from(shares) != custodians.len() {
        return Err(usage(format!(
            "--shares is {shares}, but {} custodians are named",
            custodians.len()
        )));
    }
    let mut named = Vec::new();
    for custodian in custodians {
        let (name, file) = custodian
            .split_once('=')
            .ok_or_else(|| usage("--custodian has the form NAME=PASSPHRASE_FILE"))?;
        let passphrase = read_passphrase(Path::new(file))?;
        named.push(Custodian {
            name: name.to_owned(),
            passphrase,
        });
    }
    let plan = Plan {
        folder: place.dir()?.to_owned(),
        out,
        threshold,
        custodians: named,
        cost: Cost::STANDARD,
    };
    let clock = RunningClock::new(at)?;
    let founded = runtime()?.block_on(ceremony::init(&plan, clock.now(), random()))?;
    let packages: Vec<String> = founded
        .packages
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let prose = format!(
        "vault {} was founded; {threshold} of {shares} shares open it\n{}",
        hex::encode(founded.vault),
        packages.join("\n")
    );
    let fields = json!({
        "vault": hex::encode(founded.vault),
        "epoch": founded.epoch,
        "threshold": threshold,
        "shares": shares,
        "packages": packages,
    });
    Ok(Outcome::done(fields, prose))
}

fn read_passphrase(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    if path == Path::new("-") {
        std::io::stdin()
            .take(4096)
            .read_to_end(&mut bytes)
            .context("the passphrase cannot be read")?;
    } else {
        std::fs::File::open(path)
            .and_then(|file| file.take(4096).read_to_end(&mut bytes))
            .context("the passphrase file cannot be read")?;
    }
    Ok(Zeroizing::new(passphrase_line(&bytes).to_vec()))
}

fn run_serve(place: &Place, at: Option<Date>, end_with_parent: bool, json: bool) -> Result<Outcome, Failure> {
    let dir = std::fs::canonicalize(place.dir()?).map_err(|_| Error::NoVault)?;
    let socket = std::path::absolute(place.socket.clone().unwrap_or_else(|| dir.join("keyvault.sock")))
        .context("the socket's path cannot be used")?;
    // A panic may have left a key half-way: the process ends at once. The payload may quote values and is not shown.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        eprintln!("keyvault: a fault of this program at {place}; it ends, start it again and unseal it");
        std::process::abort();
    }));
    if end_with_parent {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))
            .context("the parent cannot be watched")?;
    }
    let arena = Arena::new()?;
    let clock = Arc::new(RunningClock::new(at)?);
    // The lock comes before the socket: only the one process that has the folder may replace a dead one's socket.
    let held = keyvault::FolderLock::take(&dir)?;
    let listener = bind(&socket)?;
    let isolated = isolation::confine(&dir, &socket)?;
    if !isolated.landlock {
        tracing::warn!("this kernel has no landlock: files are not confined");
    }
    let outcome = runtime()?.block_on(async {
        let vault = Vault::load_locked(held, arena, clock, random()).await?;
        std::fs::write(dir.join(SOCKET_NOTE), format!("{}\n", socket.display())).map_err(|_| {
            Error::StoreUnavailable {
                what: "its folder cannot be written",
            }
        })?;
        let listener = tokio::net::UnixListener::from_std(listener).context("the socket cannot be used")?;
        let stop = stop_signal()?;
        let ready = json!({
            "vault": hex::encode(vault.id()),
            "socket": socket.display().to_string(),
            "landlock": isolated.landlock,
            "state": vault.status().await.state.as_str(),
        });
        if json {
            println!("{}", with_head("keyvault_serve", true, ready));
        }
        eprintln!(
            "keyvault: vault {} listens on {}, sealed",
            hex::encode(vault.id()),
            socket.display()
        );
        serve::listen(listener, Arc::clone(&vault), stop).await?;
        // Keys leave memory before the process does; a vault that is sealed already is as it should be.
        let _ = vault.seal("shutdown").await;
        Ok::<(), Failure>(())
    });
    let _ = std::fs::remove_file(&socket);
    let note = dir.join(SOCKET_NOTE);
    // Only our own: where the store was in use, the note is the other process's.
    if std::fs::read_to_string(&note).is_ok_and(|text| text.trim_end() == socket.display().to_string()) {
        let _ = std::fs::remove_file(note);
    }
    match outcome {
        Ok(()) => std::process::exit(0),
        Err(failure) => Err(failure),
    }
}

fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("signals cannot be watched")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("signals cannot be watched")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn bind(socket: &Path) -> Result<UnixListener, Failure> {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    if std::fs::symlink_metadata(socket).is_ok_and(|meta| meta.file_type().is_socket()) {
        if std::os::unix::net::UnixStream::connect(socket).is_ok() {
            return Err(Error::InUse.into());
        }
        let _ = std::fs::remove_file(socket);
    }
    let listener = UnixListener::bind(socket).context(
        "the socket cannot be made there (the folder must exist, and a path of at most 107 bytes fits)",
    )?;
    // The mask of `run` made it private from its first moment; said again for file systems that know no mask.
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))
        .context("the socket cannot be kept private")?;
    listener
        .set_nonblocking(true)
        .context("the socket cannot be used")?;
    Ok(listener)
}

async fn ask(place: &Place, command: Command) -> Result<Outcome, Failure> {
    match command {
        Command::Init { .. } | Command::Serve { .. } => Err(usage("not a request to a running vault")),
        Command::Unseal {
            share,
            passphrase_file,
        } => unseal(place, &share, &passphrase_file).await,
        Command::Seal { by } => {
            place.connect().await?.seal(&by).await?;
            Ok(Outcome::done(json!({ "state": "sealed" }), "the vault is sealed"))
        }
        Command::Status => Ok(describe(&place.connect().await?.status().await?)),
        Command::EnrolIssuer { name, public_key } => {
            let key = read_point(&public_key)?;
            place.connect().await?.enrol_issuer(&name, &key).await?;
            Ok(Outcome::done(
                json!({ "name": name }),
                format!("{name} is enrolled"),
            ))
        }
        Command::ExportBundle {
            kind,
            request,
            region,
            zones,
            from,
            to,
            out,
        } => {
            let (terminal, sealing_key, authentication_key) = read_request(&request)?;
            let regions = region
                .iter()
                .map(|text| division(text))
                .collect::<Result<Vec<Region>, _>>()?;
            let kind = kind.into();
            let request = BundleRequest {
                kind,
                terminal,
                sealing_key,
                authentication_key,
                regions,
                zones,
                from,
                to,
            };
            let bytes = place.connect().await?.export_bundle(&request).await?;
            write_new(&out, &bytes)
        }
        Command::ExportLot {
            issuer,
            lot,
            first,
            count,
            maker,
            maker_key,
            out,
        } => {
            let issuer = read_hex(&issuer, "--issuer has 4 hex digits")?;
            let lot = read_hex(&lot, "--lot has 8 hex digits")?;
            let maker_key = read_point(&maker_key)?;
            let request = LotRequest {
                issuer,
                lot,
                first,
                count,
                maker,
                maker_key,
            };
            let bytes = place.connect().await?.export_lot(&request).await?;
            write_new(&out, &bytes)
        }
        Command::Anchors => {
            let anchors = place.connect().await?.anchors().await?;
            let fields = json!({
                "vault": hex::encode(anchors.vault),
                "card_ca": hex::encode(anchors.card_ca),
                "terminal_ca": hex::encode(anchors.terminal_ca),
                "document_signer": hex::encode(anchors.document_signer),
                "entitlement_signer": hex::encode(anchors.entitlement_signer),
                "deny_list_signer": hex::encode(anchors.deny_list_signer),
                "audit_signer": hex::encode(anchors.audit_signer),
            });
            let mut prose = Vec::new();
            if let Value::Object(fields) = &fields {
                for (name, value) in fields {
                    prose.push(format!("{name} {}", value.as_str().unwrap_or_default()));
                }
            }
            Ok(Outcome::done(fields, prose.join("\n")))
        }
        command => ask_of_lists(place, command).await,
    }
}

/// Commands that speak of deny lists and terminals.
async fn ask_of_lists(place: &Place, command: Command) -> Result<Outcome, Failure> {
    match command {
        Command::Deny { serial } => {
            let number = read_serial(&serial)?;
            place.connect().await?.deny_card(number).await?;
            Ok(Outcome::done(
                json!({ "serial": serial }),
                format!("{serial} is denied"),
            ))
        }
        Command::Allow { serial } => {
            let number = read_serial(&serial)?;
            place.connect().await?.allow_card(number).await?;
            Ok(Outcome::done(
                json!({ "serial": serial }),
                format!("{serial} is on no deny list; terminals know with their next list"),
            ))
        }
        Command::DenyList {
            role,
            issued,
            max_age_days,
            grace_days,
            out,
        } => {
            let mut client = place.connect().await?;
            let mut file = Vec::new();
            for role in role {
                let list = client
                    .export_deny_list(role.into(), issued, max_age_days, grace_days)
                    .await?;
                file.extend(list);
            }
            write_new(&out, &file)
        }
        Command::RevokeTerminal { name } => {
            let mut client = place.connect().await?;
            client.revoke_terminal(&name).await?;
            let terminals = client.terminals().await?;
            let terminal = terminals.iter().find(|terminal| terminal.name == name);
            let terminal = terminal.context("the vault lists no such terminal")?;
            let (fields, prose) = show_terminal(terminal);
            Ok(Outcome::done(json!({ "terminal": fields }), prose))
        }
        Command::Terminals => {
            let terminals = place.connect().await?.terminals().await?;
            let (fields, prose): (Vec<Value>, Vec<String>) = terminals.iter().map(show_terminal).unzip();
            Ok(Outcome::done(json!({ "terminals": fields }), prose.join("\n")))
        }
        command => ask_of_versions(place, command).await,
    }
}

/// Commands that speak of versions of role keys.
async fn ask_of_versions(place: &Place, command: Command) -> Result<Outcome, Failure> {
    let mut client = place.connect().await?;
    let key = match command {
        Command::RoleKeys => {
            let keys = client.role_keys().await?;
            let (fields, prose): (Vec<Value>, Vec<String>) = keys.iter().map(show_role_key).unzip();
            return Ok(Outcome::done(json!({ "role_keys": fields }), prose.join("\n")));
        }
        Command::Rotate {
            role,
            region,
            drain_until,
        } => {
            client
                .rotate_role(role.into(), division(&region)?, drain_until)
                .await?
        }
        Command::Compromise {
            role,
            region,
            version,
        } => {
            client
                .compromise_role(role.into(), division(&region)?, version)
                .await?
        }
        Command::Retire {
            role,
            region,
            version,
        } => {
            client
                .retire_role(role.into(), division(&region)?, version)
                .await?
        }
        _ => return Err(usage("not a request to a running vault")),
    };
    let (fields, prose) = show_role_key(&key);
    Ok(Outcome::done(json!({ "role_key": fields }), prose))
}

fn show_role_key(key: &RoleKeyInfo) -> (Value, String) {
    let RoleKeyInfo {
        role,
        region,
        version,
        state,
        until,
        cards,
        cards_alone,
    } = key;
    let fields = json!({
        "role": role.to_string(),
        "region": region.to_string(),
        "version": version,
        "state": state.as_str(),
        "until": until.map(|day| day.to_string()),
        "cards": cards,
        "cards_alone": cards_alone,
    });
    let until = until.map_or_else(String::new, |day| format!(" until {day}"));
    let prose = format!(
        "{role} {region} version {version}: {}{until}, on {cards} cards, alone on {cards_alone}",
        state.as_str()
    );
    (fields, prose)
}

fn show_terminal(terminal: &TerminalInfo) -> (Value, String) {
    let day = |day: Option<Date>| day.map(|day| day.to_string());
    let fields = json!({
        "name": terminal.name,
        "kind": terminal.kind.as_str(),
        "tid": terminal.tid,
        "regions": terminal.regions.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "sequence": terminal.sequence,
        "revoked": day(terminal.revoked),
        "bundle_until": day(terminal.bundle_until),
        "leaf_until": day(terminal.leaf_until),
        "updates_until": day(terminal.updates_until),
    });
    let mut prose = vec![format!("{} ({})", terminal.name, terminal.kind.as_str())];
    for (what, day) in [
        ("revoked on", terminal.revoked),
        ("its bundle serves until", terminal.bundle_until),
        ("its certificate until", terminal.leaf_until),
        ("its updates until", terminal.updates_until),
    ] {
        if let Some(day) = day {
            prose.push(format!("{what} {day}"));
        }
    }
    (fields, prose.join(", "))
}

fn read_serial(text: &str) -> Result<Serial, Failure> {
    read_hex(text, "--serial has 20 hex digits").map(Serial)
}

async fn unseal(place: &Place, share: &Path, passphrase_file: &Path) -> Result<Outcome, Failure> {
    let text = std::fs::read(share).context("the share package cannot be read")?;
    let package = Package::parse(&text)?;
    let passphrase = read_passphrase(passphrase_file)?;
    // Asked first: without a vault nobody should have to wait for Argon2id.
    let mut client = place.connect().await?;
    let share = package.open(&passphrase)?;
    let attempt = client.begin_unseal().await?;
    eprintln!(
        "keyvault: the vault's key for this attempt is {}",
        attempt.fingerprint
    );
    let UnsealProgress {
        state,
        given,
        needed,
        epoch,
        missing,
    } = client.submit_share(&share).await?;
    let prose = if state == VaultState::Open {
        "the vault is open".to_owned()
    } else {
        format!(
            "{given} of {needed} shares given; still to come: any of {}",
            missing.join(", ")
        )
    };
    let fields = json!({
        "state": state.as_str(),
        "given": given,
        "needed": needed,
        "epoch": epoch,
        "missing": missing,
    });
    Ok(Outcome::done(fields, prose))
}

fn describe(status: &Status) -> Outcome {
    let exit = match status.state {
        VaultState::Open => 0,
        VaultState::Sealed | VaultState::Unsealing => 1,
        VaultState::Damaged => 5,
    };
    let attempt = status.attempt.as_ref();
    let fields = json!({
        "state": status.state.as_str(),
        "vault": hex::encode(status.vault),
        "epoch": status.epoch,
        "needed": status.threshold,
        "custodians": status.custodians,
        "given": attempt.map(|attempt| attempt.given.clone()).unwrap_or_default(),
        "attempt_ends": attempt.map(|attempt| attempt.ends.to_string()),
        "fingerprint": attempt.map(|attempt| attempt.fingerprint.clone()),
        "high_water": status.high_water.to_string(),
    });
    Outcome {
        fields,
        prose: format!("the vault is {}", status.state.as_str()),
        exit,
    }
}

/// A public key from a file: 65 bytes `04 || X || Y`, or their 130 hex digits.
fn read_point(path: &Path) -> Result<PointBytes, Failure> {
    let bytes = std::fs::read(path).context("the public key cannot be read")?;
    let raw = match std::str::from_utf8(&bytes) {
        Ok(text) if text.trim().len() == 130 => hex::decode(text.trim()).unwrap_or_default(),
        _ => bytes,
    };
    raw.as_slice()
        .try_into()
        .map_err(|_| usage("a public key file has the 65 bytes 04 || X || Y, or their hex digits"))
}

/// Name and keys of a terminal, from its request.
fn read_request(path: &Path) -> Result<(String, PointBytes, PointBytes), Failure> {
    let wrong = || {
        usage(
            "the request is not a yzt.terminal-request/1 object with terminal, sealing_key, authentication_key",
        )
    };
    let text = std::fs::read(path).context("the terminal's request cannot be read")?;
    let request: Value = serde_json::from_slice(&text).map_err(|_| wrong())?;
    let field = |name: &str| request.get(name).and_then(Value::as_str).ok_or_else(wrong);
    if field("schema")? != "yzt.terminal-request/1" {
        return Err(wrong());
    }
    let point = |name: &str| -> Result<PointBytes, Failure> {
        let bytes = hex::decode(field(name)?).map_err(|_| wrong())?;
        bytes.as_slice().try_into().map_err(|_| wrong())
    };
    Ok((
        field("terminal")?.to_owned(),
        point("sealing_key")?,
        point("authentication_key")?,
    ))
}

fn read_hex<const N: usize>(text: &str, message: &str) -> Result<[u8; N], Failure> {
    let mut out = [0u8; N];
    hex::decode_to_slice(text, &mut out).map_err(|_| usage(message))?;
    Ok(out)
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<Outcome, Failure> {
    use std::io::Write as _;
    std::fs::File::create_new(path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .context("the output file cannot be written, or exists already")?;
    let fields = json!({ "path": path.display().to_string(), "bytes": bytes.len() });
    Ok(Outcome::done(
        fields,
        format!("{} ({} bytes)", path.display(), bytes.len()),
    ))
}
