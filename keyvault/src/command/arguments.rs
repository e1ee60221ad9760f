//! The arguments of the program.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use jiff::civil::Date;
use keyvault_protocol::{BundleKind, Role};
use service_contract::Caller;

/// Heading of what goes with every command.
const HEADING: &str = "With every command";

#[derive(Parser)]
#[command(
    name = "keyvault",
    version,
    about = "The sealed key vault of the residence-permit card system"
)]
pub(crate) struct Arguments {
    /// Folder of the vault.
    #[arg(long, global = true, help_heading = HEADING, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Socket of the running vault; by default the one that `serve` noted in the folder.
    #[arg(long, global = true, help_heading = HEADING, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
    /// One JSON object on standard output.
    #[arg(long, global = true, help_heading = HEADING)]
    pub(crate) json: bool,
    /// The day to work on instead of today: the machine's clock with its day moved to that one, UTC+8. For rehearsals alone.
    #[arg(long, global = true, help_heading = HEADING, value_name = "DATE")]
    pub(crate) at: Option<Date>,
    /// The caller's own key, enrolled in the vault. Without one the status alone can be asked for.
    #[arg(
        long,
        global = true,
        help_heading = HEADING,
        value_name = "FILE",
        env = "YZT_VAULT_KEY",
        requires = "anchors"
    )]
    pub(crate) key: Option<PathBuf>,
    /// The anchors of the vault that is meant, as its founding wrote them: who cannot prove to be it is told nothing.
    #[arg(long, global = true, help_heading = HEADING, value_name = "FILE", env = "YZT_VAULT_ANCHORS")]
    pub(crate) anchors: Option<PathBuf>,
    /// The file whose first line is the passphrase of an officer's `--key`; `-` to type it, or for a line of standard input.
    #[arg(
        long,
        global = true,
        help_heading = HEADING,
        value_name = "FILE|-",
        default_value = "-",
        env = "YZT_VAULT_KEY_PASSPHRASE_FILE"
    )]
    pub(crate) key_passphrase_file: PathBuf,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Founds a vault and writes one share envelope per custodian.
    Init(Init),
    /// Serves the vault on a Unix socket, sealed until custodians unseal it.
    Serve {
        /// Ends with the thread of the process that started this one (`PR_SET_PDEATHSIG`): start it from one that lasts.
        #[arg(long)]
        end_with_parent: bool,
        /// Another user of this machine whose processes may connect, by name or number; once for each. What they may ask for
        /// their keys say.
        #[arg(long, value_name = "USER")]
        allow_user: Vec<String>,
    },
    /// Passes connections on to a vault, from TCP to a Unix socket or the other way. What goes through it is cipher text.
    Relay(Relay),
    /// A custodian's own envelope, without the vault.
    #[command(subcommand)]
    Share(ShareCommand),
    /// An officer's own key, without the vault.
    #[command(subcommand)]
    Officer(OfficerCommand),
    /// Keys of services and auditors, without the vault.
    #[command(subcommand)]
    Key(KeyCommand),
    /// What two officers want done: made, read, signed and submitted.
    #[command(subcommand)]
    Request(RequestCommand),
    #[command(flatten)]
    Ask(Ask),
}

#[derive(clap::Args)]
pub(crate) struct Relay {
    /// Address to listen at; port 0 for any.
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        required_unless_present = "listen_socket",
        conflicts_with = "listen_socket"
    )]
    pub(crate) listen: Option<SocketAddr>,
    /// Socket to make, for this user alone.
    #[arg(long, value_name = "PATH")]
    pub(crate) listen_socket: Option<PathBuf>,
    /// Where connections go: the vault's socket, or with --listen-socket the host and port of the relay beside it, looked up once.
    #[arg(long, value_name = "SOCKET|HOST:PORT")]
    pub(crate) to: OsString,
    /// The group of this process may connect to the socket too (mode 0660).
    #[arg(long, conflicts_with = "listen")]
    pub(crate) group_may_connect: bool,
}

/// What officers do with their own keys.
#[derive(Subcommand)]
pub(crate) enum OfficerCommand {
    /// Makes a key that signs requests, under a passphrase, and prints its public half.
    New {
        /// Name of the officer, as it is to stand on the access list.
        #[arg(long)]
        name: String,
        /// The file whose first line is the passphrase; `-` to type it, or for a line of standard input.
        #[arg(long, value_name = "FILE|-", default_value = "-")]
        passphrase_file: PathBuf,
        /// The program makes the passphrase, shows it at the terminal and has it typed back.
        #[arg(long, conflicts_with = "passphrase_file")]
        generate: bool,
        /// For a rehearsal, which takes any passphrase; no other vault is founded with such a key.
        #[arg(long)]
        rehearsal: bool,
        /// File to write; not overwritten.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Writes another file with the same key under a new passphrase. The old one still opens: destroy it.
    Passphrase {
        /// The key file.
        #[arg(long, value_name = "FILE")]
        officer: PathBuf,
        /// The file whose first line is the present passphrase; `-` to type it, or for a line of standard input.
        #[arg(long, value_name = "FILE|-", default_value = "-")]
        passphrase_file: PathBuf,
        #[command(flatten)]
        new: NewPassphrase,
        /// File to write; not overwritten.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// Keys of services and auditors.
#[derive(Subcommand)]
pub(crate) enum KeyCommand {
    /// Makes a key file that only its owner may read, and prints the public half.
    New {
        /// File to write; not overwritten.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// The way of a request.
#[derive(Subcommand)]
pub(crate) enum RequestCommand {
    /// Makes a request that nobody has signed.
    New(NewRequest),
    /// Says in words what a request would change, and who signed it.
    Show {
        /// The request.
        #[arg(value_name = "FILE")]
        request: PathBuf,
    },
    /// Signs a request, after it was shown.
    Sign {
        /// The request; the signature is added to it.
        #[arg(value_name = "FILE")]
        request: PathBuf,
        /// The officer's key file; NAME=FILE where the access list has the key under another name, and in a rehearsal for a key file
        /// without a passphrase.
        #[arg(
            long,
            value_name = "FILE",
            required_unless_present = "share",
            conflicts_with = "share"
        )]
        officer: Option<PathBuf>,
        /// A custodian's share envelope, for a request that replaces officers.
        #[arg(long, value_name = "FILE")]
        share: Option<PathBuf>,
        /// The file whose first line is the passphrase; `-` to type it, or for a line of standard input.
        #[arg(long, value_name = "FILE|-", default_value = "-")]
        passphrase_file: PathBuf,
    },
    /// Submits a request to the running vault, which does what it says.
    Submit {
        /// The request.
        #[arg(value_name = "FILE")]
        request: PathBuf,
        /// File for what leaves the vault, a lot file; not overwritten.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// The share envelope of a custodian who submits it, in the place of a caller with `--key`. The share is not given.
        #[arg(long, value_name = "FILE")]
        share: Option<PathBuf>,
        /// The file whose first line is the envelope's passphrase; `-` to type it, or for a line of standard input.
        #[arg(long, value_name = "FILE|-", default_value = "-")]
        passphrase_file: PathBuf,
    },
}

#[derive(clap::Args)]
pub(crate) struct NewRequest {
    /// What is to be done.
    #[command(subcommand)]
    pub(crate) act: ActCommand,
    /// For whom: a person or a service, who does not sign.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) requester: Option<String>,
    /// Days for which it can be submitted, 1 to 7.
    #[arg(long, global = true, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u8).range(1..=7))]
    pub(crate) days: u8,
    /// File to write; not overwritten.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// What can be requested.
#[derive(Subcommand)]
pub(crate) enum ActCommand {
    /// Puts a service, an officer or an auditor onto the access list.
    EnrolCaller {
        /// Name; an issuer's orders carry it.
        #[arg(long)]
        name: String,
        /// What the caller is.
        #[arg(long)]
        kind: CallerKind,
        /// File with the public key, or an officer's key file.
        #[arg(long, value_name = "FILE")]
        public_key: PathBuf,
        /// A region of GB/T 2260 that it may have to do with; once for each, none for all.
        #[arg(long)]
        region: Vec<String>,
        /// An operation that it may ask for, as the table of operations names it; once for each, none for all of its kind.
        #[arg(long)]
        operation: Vec<String>,
        /// A ceiling below the built-in one, such as `cards=100`; once for each.
        #[arg(long, value_name = "COUNTED=N")]
        ceiling: Vec<String>,
    },
    /// Gives a suspended caller back what was taken.
    RestoreCaller {
        /// Its name.
        #[arg(long)]
        name: String,
    },
    /// Puts another key in the place of a caller's.
    ReplaceKey {
        /// Its name.
        #[arg(long)]
        name: String,
        /// File with the new public key, or an officer's key file.
        #[arg(long, value_name = "FILE")]
        public_key: PathBuf,
    },
    /// Enrols a terminal, or gives one that is enrolled other terms.
    EnrolTerminal {
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
        /// Last day of the last bundle that it may have.
        #[arg(long, value_name = "DATE")]
        until: Date,
        /// These keys take the place of others that the name has.
        #[arg(long)]
        replaces: bool,
    },
    /// Makes a new Active version of a role key; the one before it drains until a day.
    RotateRole {
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
    /// Destroys the keys of a version that no live card has alone.
    RetireRole {
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
    },
    /// Sets the time of the sealed vault to the machine's clock on this day, forwards or back. The custodians give it as they open
    /// the vault (`keyvault unseal --time-request`).
    SetTime {
        /// The day that it is (UTC+8).
        #[arg(long, value_name = "DATE")]
        day: Date,
        /// Generation of the store, as `keyvault status --json` says it of the sealed vault; asked for where it is not given.
        #[arg(long, value_name = "N")]
        generation: Option<u64>,
    },
    /// Where fewer than two officers are left: puts these onto the access list. A quorum of custodians signs it.
    ReplaceOfficers {
        /// An officer, and the key file or the file with the public key; once for each.
        #[arg(long, value_name = "NAME=FILE", required = true)]
        officer: Vec<String>,
    },
}

/// What custodians do with their own envelopes.
#[derive(Subcommand)]
pub(crate) enum ShareCommand {
    /// Says whether an envelope opens, and whose and which vault's it is. Nothing is sent or written.
    Check {
        /// The share envelope.
        #[arg(long, value_name = "FILE")]
        share: PathBuf,
        /// The file whose first line is the passphrase; `-` to type it, or for a line of standard input.
        #[arg(long, value_name = "FILE|-", default_value = "-")]
        passphrase_file: PathBuf,
    },
    /// Writes another envelope with the same share under a new passphrase. The old one still opens: destroy it.
    Passphrase {
        /// The share envelope.
        #[arg(long, value_name = "FILE")]
        share: PathBuf,
        /// The file whose first line is the present passphrase; `-` to type it, or for a line of standard input.
        #[arg(long, value_name = "FILE|-", default_value = "-")]
        passphrase_file: PathBuf,
        #[command(flatten)]
        new: NewPassphrase,
        /// File to write; not overwritten.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Writes another envelope with the same share and passphrase that pins the running vault's transport key.
    Pin {
        /// The share envelope.
        #[arg(long, value_name = "FILE")]
        share: PathBuf,
        /// The file whose first line is the passphrase; `-` to type it, or for a line of standard input.
        #[arg(long, value_name = "FILE|-", default_value = "-")]
        passphrase_file: PathBuf,
        /// Fingerprint of the vault's transport key, as the vault's own console shows it.
        #[arg(long, value_name = "HEX16")]
        fingerprint: String,
        /// File to write; not overwritten.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// Where a new passphrase comes from.
#[derive(clap::Args)]
pub(crate) struct NewPassphrase {
    /// The file whose first line is the new passphrase; `-` to type it, or for a line of standard input.
    #[arg(long, value_name = "FILE|-", default_value = "-")]
    pub(crate) new_passphrase_file: PathBuf,
    /// The program makes the new passphrase, shows it at the terminal and has it typed back.
    #[arg(long, conflicts_with = "new_passphrase_file")]
    pub(crate) generate: bool,
}

#[derive(clap::Args)]
pub(crate) struct Init {
    /// Shares needed to open, at least 2.
    #[arg(long, value_name = "M")]
    pub(crate) threshold: u8,
    /// Shares made; one per custodian.
    #[arg(long, value_name = "N")]
    pub(crate) shares: u8,
    /// A custodian and the file whose first line is the passphrase, `-` to type it; once for each.
    #[arg(long, value_name = "NAME=PASSPHRASE_FILE", required = true)]
    pub(crate) custodian: Vec<String>,
    /// An officer, and the key file or the file with the public key; once for each, at least three.
    #[arg(long, value_name = "NAME=FILE", required = true)]
    pub(crate) officer: Vec<String>,
    /// Folder for the envelopes, and for the vault's anchors.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The program makes the passphrases that would be typed (`-`), shows each at the terminal and has it typed back.
    #[arg(long)]
    pub(crate) generate: bool,
    /// Found a rehearsal installation: it takes --at, and its cards are marked 样本 SPECIMEN. It stays one for good.
    #[arg(long)]
    pub(crate) rehearsal: bool,
}

/// What is asked of a running vault.
#[derive(Subcommand)]
pub(crate) enum Ask {
    /// Gives one share to the running vault.
    Unseal {
        /// The share envelope.
        #[arg(long, value_name = "FILE")]
        share: PathBuf,
        /// The file whose first line is the passphrase; `-` to type it, or for a line of standard input.
        #[arg(long, value_name = "FILE|-", default_value = "-")]
        passphrase_file: PathBuf,
        /// Fingerprint of the vault's transport key, as the vault's own console shows it: for an envelope that pins none.
        #[arg(long, value_name = "HEX16")]
        fingerprint: Option<String>,
        /// The store was put back on purpose: what was remembered of it does not count, and is written anew.
        #[arg(long)]
        restored: bool,
        /// The request of two officers that sets the time, where the vault refuses the machine's clock: every custodian who
        /// opens it gives the same, and says so that it is that day.
        #[arg(long, value_name = "FILE", conflicts_with = "day")]
        time_request: Option<PathBuf>,
        /// The day that it is (UTC+8), in the place of such a request where fewer than two officers are left.
        #[arg(long, value_name = "DATE")]
        day: Option<Date>,
    },
    /// Seals the running vault, as any custodian can, and any officer with `--key`; while it is being opened, ends the attempt that the
    /// same custodian began.
    Seal {
        /// The custodian's share envelope. The share is not given. Without one the officer of `--key` seals.
        #[arg(long, value_name = "FILE")]
        share: Option<PathBuf>,
        /// The file whose first line is the passphrase; `-` to type it, or for a line of standard input.
        #[arg(long, value_name = "FILE|-", default_value = "-")]
        passphrase_file: PathBuf,
        /// Fingerprint of the vault's transport key, as the vault's own console shows it: for an envelope that pins none.
        #[arg(long, value_name = "HEX16")]
        fingerprint: Option<String>,
    },
    /// Says how the vault stands: exit 0 open, 1 sealed, 3 not running, 5 damaged.
    Status,
    /// Exports the bundle of an enrolled terminal, sealed to the key that it is enrolled with.
    ExportBundle {
        /// Name of the terminal.
        #[arg(long)]
        terminal: String,
        /// Zones that it stands in, a bit mask, if they are fewer than it is enrolled for.
        #[arg(long)]
        zones: Option<u64>,
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
    /// Lists who may ask: services, officers and auditors, with their keys, and who of them is suspended.
    Callers,
    /// Says what each caller has used of its ceilings today, and what is counted whoever asks.
    Ceilings,
    /// Suspends a caller at once: nothing that they ask for is done any more, and no signature of theirs counts.
    Suspend {
        /// Its name.
        #[arg(long)]
        name: String,
    },
    /// Prints the public keys.
    Anchors,
    /// Lists all versions of all role keys, with their states and how many cards have them.
    RoleKeys,
    /// Says that a version is compromised: no bundle carries it any more, and of the Active one the vault makes the next. It stays so.
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
        /// The version once more, such as `transit/440300/1`: it is never taken back. Without this the command asks at the terminal.
        #[arg(long, value_name = "ROLE/REGION/VERSION")]
        confirm: Option<String>,
    },
    /// Puts a card onto the deny lists of its roles.
    Deny {
        /// Serial of the card, 20 hex digits.
        #[arg(long, value_name = "HEX20")]
        serial: String,
    },
    /// Says that a card is out of use: denied, and no key version is kept for it.
    EndCard {
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
        /// Its name once more: it is never taken back. Without this the command asks at the terminal.
        #[arg(long, value_name = "NAME")]
        confirm: Option<String>,
    },
    /// Lists all terminals, and until when each can do what.
    Terminals,
    /// Seals what waits for a terminal as an update batch.
    ExportUpdates {
        /// Name of the terminal, as in its bundle.
        #[arg(long)]
        terminal: String,
        /// Last day of use, included.
        #[arg(long, value_name = "DATE")]
        to: Date,
        /// File to write; not overwritten.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Lists the live slots of a card and their key versions.
    CardVersions {
        /// Serial of the card, 20 hex digits.
        #[arg(long, value_name = "HEX20")]
        serial: String,
    },
    /// Reads what the vault wrote down of its doings: every use of a key, oldest first.
    Journal {
        /// Only this day and later, by the office's clock.
        #[arg(long, value_name = "DATE")]
        from: Option<Date>,
        /// Only up to this day, included.
        #[arg(long, value_name = "DATE")]
        to: Option<Date>,
        /// Only lines in which a value is exactly this: a serial, an order, a terminal, a caller, an operation, a key version.
        #[arg(long, value_name = "VALUE")]
        about: Option<String>,
        /// Only lines behind this number.
        #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
        after: i64,
    },
    /// Counts the changes that wait for a card.
    PendingUpdates {
        /// Serial of the card, 20 hex digits.
        #[arg(long, value_name = "HEX20")]
        serial: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum RoleName {
    Transit,
    SocialInsurance,
    SmallPayment,
    Clinic,
    Door,
}

impl RoleName {
    /// As it is typed.
    pub(crate) fn as_argument(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(
            || Role::from(self).to_string(),
            |value| value.get_name().to_owned(),
        )
    }
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
pub(crate) enum Kind {
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

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum CallerKind {
    Issuer,
    PhotoStore,
    Settlement,
    KeyOfficer,
    Auditor,
}

impl From<CallerKind> for Caller {
    fn from(kind: CallerKind) -> Self {
        match kind {
            CallerKind::Issuer => Self::Issuer,
            CallerKind::PhotoStore => Self::PhotoStore,
            CallerKind::Settlement => Self::Settlement,
            CallerKind::KeyOfficer => Self::KeyOfficer,
            CallerKind::Auditor => Self::Auditor,
        }
    }
}

impl Command {
    /// Schema of the JSON object.
    pub(crate) const fn schema(&self) -> &'static str {
        match self {
            Self::Init(_) => "yzt.keyvault_init/1",
            Self::Serve { .. } => "yzt.keyvault_serve/1",
            Self::Relay(_) => "yzt.keyvault_relay/1",
            Self::Share(ShareCommand::Check { .. }) => "yzt.keyvault_share_check/1",
            Self::Share(ShareCommand::Passphrase { .. }) => "yzt.keyvault_share_passphrase/1",
            Self::Share(ShareCommand::Pin { .. }) => "yzt.keyvault_share_pin/1",
            Self::Officer(OfficerCommand::New { .. }) => "yzt.keyvault_officer_new/1",
            Self::Officer(OfficerCommand::Passphrase { .. }) => "yzt.keyvault_officer_passphrase/1",
            Self::Key(KeyCommand::New { .. }) => "yzt.keyvault_key_new/1",
            Self::Request(RequestCommand::New(_)) => "yzt.keyvault_request_new/1",
            Self::Request(RequestCommand::Show { .. }) => "yzt.keyvault_request_show/1",
            Self::Request(RequestCommand::Sign { .. }) => "yzt.keyvault_request_sign/1",
            Self::Request(RequestCommand::Submit { .. }) => "yzt.keyvault_request_submit/1",
            Self::Ask(ask) => ask.schema(),
        }
    }
}

impl Ask {
    /// Schema of the JSON object.
    pub(crate) const fn schema(&self) -> &'static str {
        match self {
            Self::Unseal { .. } => "yzt.keyvault_unseal/1",
            Self::Seal { .. } => "yzt.keyvault_seal/1",
            Self::Status => "yzt.keyvault_status/1",
            Self::ExportBundle { .. } => "yzt.keyvault_export_bundle/1",
            Self::Callers => "yzt.keyvault_callers/1",
            Self::Ceilings => "yzt.keyvault_ceilings/1",
            Self::Suspend { .. } => "yzt.keyvault_suspend/1",
            Self::Anchors => "yzt.anchors/1",
            Self::RoleKeys => "yzt.role_keys/1",
            Self::Compromise { .. } => "yzt.keyvault_compromise/1",
            Self::Deny { .. } => "yzt.keyvault_deny/1",
            Self::EndCard { .. } => "yzt.keyvault_end_card/1",
            Self::Allow { .. } => "yzt.keyvault_allow/1",
            Self::DenyList { .. } => "yzt.keyvault_deny_list/1",
            Self::RevokeTerminal { .. } => "yzt.keyvault_revoke_terminal/1",
            Self::Terminals => "yzt.terminals/1",
            Self::ExportUpdates { .. } => "yzt.keyvault_export_updates/1",
            Self::CardVersions { .. } => "yzt.keyvault_card_versions/1",
            Self::Journal { .. } => "yzt.keyvault_journal/1",
            Self::PendingUpdates { .. } => "yzt.keyvault_pending_updates/1",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory as _;
    use keyvault_protocol::OPERATIONS;
    use service_contract::{Hands, Kind};

    use super::*;
    use crate::command::place::PROGRAM;

    #[test]
    fn every_command_that_is_written_down_exists() {
        let held = program_contract::documents::hold::<Arguments>(PROGRAM, env!("CARGO_MANIFEST_DIR"));
        assert_eq!(held, Ok(()));
    }

    #[test]
    fn every_door_of_this_program_is_a_command() {
        for door in OPERATIONS.iter().flat_map(|operation| operation.doors) {
            assert_ne!(PROGRAM.has_door::<Arguments>(door), Some(false), "{door}");
        }
        assert_eq!(PROGRAM.has_door::<Arguments>("keyvault denie"), Some(false));
    }

    #[test]
    fn what_one_person_does_once_and_for_all_wants_its_name_twice() {
        let program = Arguments::command();
        let mut asked = 0;
        for operation in OPERATIONS {
            let policy = operation.policy;
            let is_asked = policy.irreversible && policy.hands == Hands::One && policy.kind != Kind::Service;
            for door in operation.doors {
                let command = door.strip_prefix("keyvault ");
                let command = command.and_then(|name| program.find_subcommand(name));
                let has_it = command.is_some_and(|command| {
                    command
                        .get_arguments()
                        .any(|argument| argument.get_id() == "confirm")
                });
                assert_eq!(has_it, is_asked, "{}: {door}", operation.name);
                asked += usize::from(is_asked);
            }
        }
        assert!(asked >= 2, "{asked}");
    }

    #[test]
    fn the_readme_has_the_table_of_the_operations() {
        let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
        let command = "cargo test -p keyvault --bin keyvault the_readme";
        service_contract::table::hold(&readme, OPERATIONS, command).unwrap();
    }
}
