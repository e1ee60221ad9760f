//! Why the vault did not do what was asked: one closed list, each with a code, what to do, and an exit code.

use std::borrow::Cow;
use std::io::ErrorKind;
use std::path::Path;

use keyvault_protocol::{Counted, Refusal, RefusalCode};
use program_contract::language::Said as _;
use program_contract::user::Barrier;
use program_contract::{Exit, Failing};

use crate::words::chinese;

/// What happened, and whose fault it is. No variant can carry key bytes or personal data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // --- state of the vault
    /// No key is in memory.
    #[error("the vault is sealed")]
    Sealed,
    /// It is open already.
    #[error("the vault is open already")]
    AlreadyOpen,
    /// The store is damaged or was changed from outside.
    #[error("the store is damaged: {what}")]
    Damaged {
        /// The part, never its content.
        what: &'static str,
    },
    /// The store is of an earlier moment than a custodian remembers.
    #[error("the store is of generation {found}, and {custodian} has seen generation {seen} of it")]
    RolledBack {
        /// Who remembers that.
        custodian: String,
        /// Its generation.
        found: u64,
        /// The newest one that was remembered.
        seen: u64,
    },
    /// The clock is before a day that the vault has seen.
    #[error("the clock says {now}, but the vault has already seen {seen}")]
    ClockBehind {
        /// Day of the clock, UTC+8.
        now: jiff::civil::Date,
        /// Day of the high-water mark, UTC+8.
        seen: jiff::civil::Date,
    },
    /// The clock is too far beyond the last thing that was written.
    #[error("the clock says {now}, more than 7 days beyond {seen}, the last day that the vault has seen")]
    ClockLeap {
        /// Day of the clock, UTC+8.
        now: jiff::civil::Date,
        /// Day of the high-water mark, UTC+8.
        seen: jiff::civil::Date,
    },
    /// The starts together are too far beyond it.
    #[error(
        "the clock says {now}, and the vault has last seen {seen}: with this start it would have leapt over more than 31 days since its time was last set"
    )]
    ClockLeaps {
        /// Day of the clock, UTC+8.
        now: jiff::civil::Date,
        /// Day of the high-water mark, UTC+8.
        seen: jiff::civil::Date,
    },
    /// The machine's clock shows another day than a custodian says.
    #[error("the custodian says that it is {said}, and the machine's clock says {now}")]
    NotTheDay {
        /// Day of the clock, UTC+8.
        now: jiff::civil::Date,
        /// What was said.
        said: jiff::civil::Date,
    },
    /// Those who open the vault say different days, or not all of them say one.
    #[error("the custodians, and the officers' request where there is one, do not all say the same day")]
    DaysDiffer,
    /// The custodians alone said the day, where there are officers.
    #[error("two officers or more are there, and without their request the custodians do not set the time")]
    OfficersSayTheDay,
    /// The request sets the time of a store that was written since, or of a later one.
    #[error("the request sets the time of this vault as its store stood at another moment")]
    RequestOfAnotherOpening,
    /// The store cannot be read or written.
    #[error("the store cannot be used: {what}")]
    StoreUnavailable {
        /// What failed.
        what: &'static str,
    },
    /// What was asked has not become durable for so long that somebody should look.
    #[error("the vault has waited for its disk for 30 seconds; whether the change was made is not known")]
    StoreSilent,
    /// The store was written by a newer program.
    #[error(
        "the store has format {found}, and this program knows the formats up to {known}: a newer program wrote it"
    )]
    StoreNewer {
        /// Its format.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// Another process has the store open.
    #[error("another keyvault process has this folder open")]
    InUse,
    /// A program that is no keyvault has the store's file open.
    #[error("another program has the file vault.sqlite open, or copies it")]
    StoreHeld,
    /// The folder holds no vault.
    #[error("there is no vault in this folder")]
    NoVault,
    /// The self-test failed.
    #[error("the self-test failed: {what}")]
    SelfTestFailed {
        /// The test.
        what: &'static str,
    },
    /// Memory cannot be locked.
    #[error("memory for keys cannot be locked")]
    MemoryNotLocked,
    /// The process cannot be isolated.
    #[error("the process cannot be isolated: {what}")]
    NotIsolated {
        /// The mechanism.
        what: &'static str,
    },
    /// The arena is full.
    #[error("the vault holds as many keys as it has room for")]
    TooManyKeys,

    // --- ceremony and shares
    /// `init` on a folder that has a vault.
    #[error("this folder holds a vault already")]
    AlreadyInitialised,
    /// `init` on a folder that has something else.
    #[error("this folder is not empty and holds no vault")]
    FolderOfSomethingElse,
    /// Share envelopes are in the way.
    #[error("{path} is a share envelope, and those of two sets do not lie in one folder")]
    EnvelopeExists {
        /// The first that was found.
        path: String,
    },
    /// A rule of the ceremony is broken.
    #[error("the ceremony cannot be held: {what}")]
    BadCeremony {
        /// The rule.
        what: &'static str,
    },
    /// A file or folder cannot be read or written.
    #[error("{what} cannot be used: {path}: {kind}{}", of_another(whose.as_deref()))]
    File {
        /// Which file.
        what: &'static str,
        /// Where it is.
        path: String,
        /// What the operating system said.
        kind: ErrorKind,
        /// Whose it is, where another user's rights are in the way.
        whose: Option<Box<Barrier>>,
    },
    /// What was given is no envelope, or one of another form.
    #[error("this file is no share envelope of a form that this program knows")]
    EnvelopeForm,
    /// A passphrase is no text.
    #[error("a passphrase is not UTF-8 text on one line")]
    PassphraseForm,
    /// A passphrase would be guessed.
    #[error(
        "the passphrase of {custodian} is too easy to guess: it is worth about {bits} bits, and {needed} are needed"
    )]
    WeakPassphrase {
        /// Name of the custodian.
        custodian: String,
        /// What it is worth.
        bits: u32,
        /// What it should be worth.
        needed: u32,
    },
    /// A passphrase is another custodian's too, which is not said.
    #[error("the passphrase of {custodian} cannot be taken")]
    PassphraseRefused {
        /// Name of the custodian.
        custodian: String,
    },
    /// The new passphrase is the old one.
    #[error("the new passphrase is the old one")]
    SamePassphrase,
    /// An envelope is not in its form, or its checksum is wrong.
    #[error("the share envelope is damaged")]
    EnvelopeDamaged,
    /// What was given is no key file of an officer.
    #[error("this file is no officer's key file")]
    OfficerKeyForm,
    /// A key file is not in its form, or its checksum is wrong.
    #[error("the officer's key file is damaged")]
    OfficerKeyDamaged,
    /// The passphrase does not open the envelope.
    #[error("the passphrase does not open the file of {custodian}")]
    WrongPassphrase {
        /// Name of the custodian.
        custodian: String,
    },
    /// The passphrase does not open the key file.
    #[error("the passphrase does not open the key file of {officer}")]
    WrongOfficerPassphrase {
        /// Name of the officer.
        officer: String,
    },
    /// The share is another vault's.
    #[error("the share belongs to another vault")]
    WrongVault,
    /// The share is of another set.
    #[error("the share is of set {share}, the vault's present set is {vault}")]
    WrongEpoch {
        /// Epoch of the share.
        share: u32,
        /// Epoch of the vault.
        vault: u32,
    },
    /// The share does not match its commitment.
    #[error("the share of {custodian} is wrong")]
    WrongShare {
        /// Name of the custodian.
        custodian: String,
    },
    /// The share was given before.
    #[error("the share of {custodian} was given already")]
    SameShareTwice {
        /// Name of the custodian.
        custodian: String,
    },
    /// Who asks is no custodian of the present set.
    #[error("who asks is no custodian of the present set of shares")]
    NotACustodian,
    /// The attempt that runs was begun by somebody else.
    #[error("this unseal attempt was begun by {custodian}")]
    AttemptOfAnother {
        /// Name of the custodian.
        custodian: String,
    },
    /// No attempt runs.
    #[error("this unseal attempt is over or never began")]
    NoAttempt,

    // --- who asks
    /// The key that the channel proved is enrolled for nobody.
    #[error("the key of who asks is not enrolled in this vault")]
    UnknownCaller,
    /// The caller may not ask for this operation.
    #[error("this caller, of kind {kind}, may not ask for {operation}")]
    NotPermitted {
        /// Kind of the caller.
        kind: &'static str,
        /// Name of the operation.
        operation: &'static str,
    },
    /// The number of the request stands for another request.
    #[error("the number of this request was used for another request")]
    RequestIdUsed,
    /// The same request is being done.
    #[error("the same request under the same number is being done")]
    RequestRunning,
    /// What became of the request of this number is not known any more.
    #[error(
        "the vault does not know any more what became of the request of this number, and does not do it again"
    )]
    RequestForgotten,

    // --- requests
    /// A sealed value does not open.
    #[error("a sealed value in the request does not open")]
    NotOpened,
    /// The bytes are no request.
    #[error("the request is not in the form of the protocol")]
    MalformedRequest,
    /// A value breaks a rule.
    #[error("{what}")]
    BadContent {
        /// Which rule.
        what: &'static str,
    },
    /// A limit.
    #[error("{what} goes beyond the limit of {limit}")]
    LimitExceeded {
        /// What.
        what: &'static str,
        /// The limit.
        limit: u32,
    },
    /// What a day gives is used.
    #[error("{of} has {most} {} a day, and this goes beyond; there are more on {until}", counted.name())]
    CeilingReached {
        /// Whose ceiling it is: a caller, or a role and region.
        of: String,
        /// What is counted.
        counted: Counted,
        /// The ceiling.
        most: u64,
        /// The day on which there is more.
        until: jiff::civil::Date,
    },
    /// A purse would get more than it may.
    #[error("{what} has at most {most} fen")]
    PurseLimit {
        /// A load, a purse, or its life.
        what: &'static str,
        /// The most.
        most: u32,
    },
    /// No version is left for what is asked.
    #[error("{role} in {region} has {left} key versions left, and they are kept for a compromise")]
    VersionsUsedUp {
        /// The role.
        role: &'static str,
        /// The region.
        region: String,
        /// How many.
        left: u8,
    },
    /// Nothing there.
    #[error("the vault has no {what}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
    },
    /// The name has another key.
    #[error("this name is taken, or this key is enrolled under another name")]
    NameTaken,
    /// A wrapped key does not open.
    #[error("this wrapped key does not belong to this photo, profile and version")]
    NotWrappedHere,

    // --- orders and cards
    /// The issuer is not enrolled.
    #[error("the issuer that the order names is not enrolled")]
    UnknownIssuer,
    /// The signature is wrong.
    #[error("the order is not signed by the issuer that it names")]
    OrderNotSigned,
    /// The order's time.
    #[error("the order is not valid now")]
    OrderExpired,
    /// The order forbids the task.
    #[error("the order does not allow this task")]
    TaskNotOrdered,
    /// Beyond the count of cards.
    #[error("the order is for {cards} cards, and this index is beyond them")]
    QuotaUsed {
        /// Cards in the order.
        cards: u32,
    },
    /// Another order has this number.
    #[error("another order has the same number")]
    OrderConflict,
    /// The index or the serial is bound to something else.
    #[error("{what}")]
    CardConflict {
        /// What is bound to what.
        what: &'static str,
    },
    /// No session.
    #[error("no session runs for this card")]
    NoCardSession,
    /// The card is not ours.
    #[error("the card has not shown that it is genuine")]
    CardNotGenuine,
    /// An answer without MAC, or none.
    #[error("the card did not finish {step}: {answer}")]
    CardRefused {
        /// The command in words, with the step number.
        step: String,
        /// Its status word in hex, or that there was none.
        answer: String,
    },
    /// Wrong state on the card.
    #[error("the card is {state}, and this task is not possible then")]
    CardState {
        /// State in words.
        state: &'static str,
    },
    /// The card is denied.
    #[error("the card is on the deny lists")]
    CardDenied,
    /// Settlement found the card copied or broken.
    #[error("settlement found this card copied; it stays on the deny lists")]
    CardCopied,
    /// The card number is another card's, or its back says something else.
    #[error("this card number was given out before")]
    NumberUsed,
    /// No slot over which a terminal could deliver.
    #[error("the card has no live slot at whose terminals an update could be delivered")]
    NoDelivery,

    // --- key versions and terminals
    /// Nothing new can be written with this role and region.
    #[error("{role} in {region} has no Active key version")]
    NoActiveVersion {
        /// The role.
        role: &'static str,
        /// The region.
        region: String,
    },
    /// A transition that does not exist.
    #[error("the key version {version} is {state}, and this is not possible then")]
    RoleKeyState {
        /// Role, region and number.
        version: String,
        /// Its state.
        state: &'static str,
    },
    /// Cards would lose the role.
    #[error("{cards} live cards have this key version alone")]
    StillHeld {
        /// How many.
        cards: u64,
    },
    /// Keys of another terminal.
    #[error("these keys are another terminal's")]
    TerminalKeys,
    /// The terminal is revoked.
    #[error("this terminal is revoked")]
    TerminalRevoked,
    /// A bundle or a batch would serve longer than the terminal is enrolled for.
    #[error("this terminal is enrolled until {until}")]
    EnrolmentEnded {
        /// Last day of its enrolment.
        until: jiff::civil::Date,
    },

    // --- officers
    /// The request names another vault.
    #[error("the request is for another vault")]
    RequestOfAnotherVault,
    /// The request's time.
    #[error("the request has ended, or was made later than now")]
    RequestExpired,
    /// Too few of those who may.
    #[error("{found} signatures under the request count, and {needed} are needed")]
    TwoOfficersNeeded {
        /// Signatures that count, each of another person.
        found: usize,
        /// How many must.
        needed: usize,
    },
    /// Custodians do not stand in for officers who are there.
    #[error("two officers or more are there, and custodians enrol others only where fewer are left")]
    OfficersThere,
    /// Who asks is suspended.
    #[error("this caller is suspended, and nothing that it asks for is done")]
    CallerSuspended,
    /// What is asked for is about a region that the caller has nothing to do with.
    #[error("the request is about {region}, and this caller is not for that region")]
    WrongRegion {
        /// The region.
        region: String,
    },
}

/// What to do about a clock that is too far ahead.
const TIME_ZH: &str = "未做任何改动；请校准本机时钟后重新解封；时钟无误而密钥库确已停用如此之久的，由两名密钥官员签署 `keyvault request new set-time`，每名保管人以 `--time-request` 附上该文件解封；密钥官员不足两名的，以 `--day` 写明当日日期";

/// Code for scripts, exit code, and what to do.
struct Facts {
    code: &'static str,
    exit: Exit,
    action: &'static str,
    wire: RefusalCode,
}

impl Error {
    #[expect(clippy::too_many_lines, reason = "one line per error, read as a table")]
    fn facts(&self) -> Facts {
        use RefusalCode as W;
        let of = |wire: RefusalCode, action| Facts {
            code: wire.as_str(),
            exit: wire.exit(),
            action,
            wire,
        };
        let own = |code, exit, wire, action| Facts {
            code,
            exit,
            action,
            wire,
        };
        match self {
            Self::Sealed => of(W::Sealed, "let the custodians unseal it, then try again"),
            Self::AlreadyOpen => of(W::AlreadyOpen, "nothing to do"),
            Self::Damaged { .. } => of(
                W::Damaged,
                "do not write to it; restore the last backup and keep this folder for examination",
            ),
            Self::ClockBehind { .. } => of(
                W::ClockBehind,
                "nothing was changed; set the machine's clock and try again. Where the clock is right, and the one of before was wrong, two officers sign `keyvault request new set-time`, and every custodian unseals with `--time-request` and that file; where fewer than two officers are left, with `--day` and the day that it is. A rehearsal that went on to that day is served with --at on that day or a later one",
            ),
            Self::ClockLeap { .. } | Self::ClockLeaps { .. } => of(
                W::ClockLeap,
                "nothing was changed; set the machine's clock and unseal again. Where the clock is right, and the vault was away for so long, two officers sign `keyvault request new set-time`, and every custodian unseals with `--time-request` and that file; where fewer than two officers are left, with `--day` and the day that it is",
            ),
            Self::NotTheDay { .. } => of(
                W::NotTheDay,
                "nothing was changed; look at a calendar and at the machine's clock, set the one that is wrong, and give the share again",
            ),
            Self::DaysDiffer => of(
                W::NotTheDay,
                "this share was not taken; agree on the day, and give it with the same `--time-request` or `--day` as the others, or as they did without",
            ),
            Self::OfficersSayTheDay => of(
                W::OfficersThere,
                "nothing was changed; have two officers sign `keyvault request new set-time`, and unseal with `--time-request` and that file, all custodians again",
            ),
            Self::RequestOfAnotherOpening => of(
                W::RequestExpired,
                "nothing was changed; make a new `keyvault request new set-time` while the vault is sealed, have it signed, and give the share with that",
            ),
            Self::StoreUnavailable { .. } => of(
                W::StoreUnavailable,
                "make room and check that the folder can be written; nothing was changed",
            ),
            Self::StoreSilent => of(
                W::StoreUnavailable,
                "look at the disk of the vault, then ask for the same again; its journal says whether it was done",
            ),
            Self::RolledBack { .. } => of(
                W::RolledBack,
                "write nothing; find out who put this store there, and put the newest one back, with vault.sqlite-wal beside vault.sqlite where the copy has it. After a restore that was decided on, give the shares again with `keyvault unseal --restored`",
            ),
            Self::InUse => own(
                "IN_USE",
                Exit::Damaged,
                W::StoreUnavailable,
                "stop the other process, or use another folder",
            ),
            Self::StoreHeld => own(
                "IN_USE",
                Exit::Damaged,
                W::StoreUnavailable,
                "end that program (`fuser` names who has a file open), and run the same command again; the store is copied while no vault is served from it, as docs/operations.md has it",
            ),
            Self::StoreNewer { .. } => own(
                "STORE_NEWER",
                Exit::Damaged,
                W::StoreUnavailable,
                "serve it with the program of the newer release; nothing was changed. Who has to go back to the older release restores the copy from before the update (docs/operations.md, Updating the programs)",
            ),
            Self::NoVault => own(
                "NO_VAULT",
                Exit::Damaged,
                W::Damaged,
                "name the right folder, or hold `keyvault init` first",
            ),
            Self::SelfTestFailed { .. } => of(W::SelfTestFailed, "do not use this machine or this build"),
            Self::MemoryNotLocked => own(
                "MEMORY_NOT_LOCKED",
                Exit::Damaged,
                W::StoreUnavailable,
                "let this process lock 8 MiB or more: `LimitMEMLOCK=infinity` in its unit, `ulimit -l 8192` in a shell, `--ulimit memlock=-1` of a container",
            ),
            Self::NotIsolated { .. } => own(
                "NOT_ISOLATED",
                Exit::Damaged,
                W::StoreUnavailable,
                "use a kernel with seccomp, version 5.13 or newer",
            ),
            Self::TooManyKeys => own(
                "TOO_MANY_KEYS",
                Exit::Damaged,
                W::LimitExceeded,
                "retire key versions that no card uses",
            ),
            Self::AlreadyInitialised => own(
                "ALREADY_INITIALISED",
                Exit::Refused,
                W::NameTaken,
                "unseal it, or name another folder",
            ),
            Self::FolderOfSomethingElse => own(
                "NOT_A_VAULT_FOLDER",
                Exit::Damaged,
                W::Damaged,
                "name a folder that does not exist or is empty",
            ),
            Self::EnvelopeExists { .. } => own(
                "PACKAGE_EXISTS",
                Exit::Refused,
                W::NameTaken,
                "name with --out a folder without share envelopes, and find out which vault those belong to before you destroy any; nothing was overwritten",
            ),
            Self::BadCeremony { .. } => own(
                "BAD_CEREMONY",
                Exit::Usage,
                W::BadContent,
                "correct the command; nothing was written",
            ),
            Self::File { kind, whose, .. } => own(
                "FILE",
                Exit::Damaged,
                W::StoreUnavailable,
                match kind {
                    ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                        "make room on that disk, and run the same command again"
                    }
                    ErrorKind::PermissionDenied if whose.is_some() => {
                        "run the same command as the user whose it is (root does so with `runuser -u USER -- ...`), or have the rights corrected"
                    }
                    ErrorKind::PermissionDenied => {
                        "have the rights corrected, and run the same command again"
                    }
                    _ => "check the path, its rights and the disk, and run the same command again",
                },
            ),
            Self::EnvelopeForm => own(
                "PACKAGE_FORM",
                Exit::Usage,
                W::WrongShare,
                "give the envelope that the founding wrote; one of a later release is for that release's program",
            ),
            Self::PassphraseForm => own(
                "PASSPHRASE_FORM",
                Exit::Usage,
                W::BadContent,
                "save its file as UTF-8, without control or invisible characters, or type it; nothing was written",
            ),
            Self::WeakPassphrase { .. } => own(
                "WEAK_PASSPHRASE",
                Exit::Refused,
                W::BadContent,
                "take five words that do not belong together, in Chinese too with a blank between them and no line of a text, without names, dates, rows and repeats; or let the program make one with --generate; nothing was written",
            ),
            Self::PassphraseRefused { .. } => own(
                "PASSPHRASE_REFUSED",
                Exit::Refused,
                W::BadContent,
                "let that custodian think of another one, or let the program make one with --generate; nothing was written",
            ),
            Self::SamePassphrase => own(
                "SAME_PASSPHRASE",
                Exit::Refused,
                W::BadContent,
                "think of another one, or let the program make one with --generate; nothing was written",
            ),
            Self::EnvelopeDamaged => own(
                "PACKAGE_DAMAGED",
                Exit::Refused,
                W::WrongShare,
                "take the custodian's other copy; without one, ask other custodians, as many as are needed open the vault",
            ),
            Self::OfficerKeyForm => own(
                "OFFICER_KEY_FORM",
                Exit::Usage,
                W::BadContent,
                "give the file that `keyvault officer new` wrote",
            ),
            Self::OfficerKeyDamaged => own(
                "OFFICER_KEY_DAMAGED",
                Exit::Refused,
                W::BadContent,
                "take another copy of it; without one, let the other officers replace the key with `keyvault request new replace-key`",
            ),
            Self::WrongPassphrase { .. } => own(
                "WRONG_PASSPHRASE",
                Exit::Refused,
                W::WrongShare,
                "let its owner type it again; nothing was sent to the vault. Forgotten, a custodian's envelope counts as lost, and an officer's key is replaced with `keyvault request new replace-key`",
            ),
            Self::WrongOfficerPassphrase { .. } => own(
                "WRONG_PASSPHRASE",
                Exit::Refused,
                W::BadContent,
                "let the officer type it again, and look whether it is the right file; nothing was sent to the vault",
            ),
            Self::WrongVault => of(W::WrongVault, "look for the envelope of this vault"),
            Self::WrongEpoch { .. } => of(
                W::WrongEpoch,
                "use the envelope of the present set and destroy the old one",
            ),
            Self::WrongShare { .. } => of(
                W::WrongShare,
                "ask another custodian, and find out what happened to this envelope",
            ),
            Self::SameShareTwice { .. } => of(W::SameShareTwice, "give another custodian's share"),
            Self::NotACustodian => of(
                W::NotACustodian,
                "use the envelope of the present set, or ask another custodian and find out what happened to this envelope; nothing was done",
            ),
            Self::AttemptOfAnother { .. } => of(
                W::AttemptOfAnother,
                "let that custodian end it, or wait: it ends after 15 minutes by itself",
            ),
            Self::NoAttempt => of(
                W::NoAttempt,
                "begin again; the shares given before have been forgotten",
            ),
            Self::UnknownCaller => of(
                W::UnknownCaller,
                "two officers enrol a key: `keyvault request new enrol-caller`; nothing was done",
            ),
            Self::NotPermitted { .. } => of(
                W::NotPermitted,
                "use the key of a caller who may: the table in keyvault/README.md, and `keyvault callers` for what an entry is narrowed to; nothing was done",
            ),
            Self::RequestRunning => of(
                W::RequestRunning,
                "ask it again in a moment, and its answer is there",
            ),
            Self::RequestForgotten => of(
                W::RequestForgotten,
                "look whether it was done (`keyvault journal` says so of what changes something); where it was not, ask anew",
            ),
            Self::RequestIdUsed => of(
                W::RequestIdUsed,
                "draw a new number for another request; nothing was done",
            ),
            Self::NotOpened => of(W::NotOpened, "connect again and repeat the request"),
            Self::MalformedRequest => of(W::Malformed, "check that client and vault have the same version"),
            Self::BadContent { .. } => of(W::BadContent, "correct the request; nothing was done"),
            Self::LimitExceeded { .. } => of(W::LimitExceeded, "ask for less; nothing was done"),
            Self::CeilingReached { .. } => of(
                W::CeilingReached,
                "nothing was done; go on from 00:00 (UTC+8) of that day on. Where nobody works so much, find out who asks: `keyvault journal`",
            ),
            Self::PurseLimit { .. } => of(W::PurseLimit, "nothing was done; load less, or give another card"),
            Self::VersionsUsedUp { .. } => of(
                W::VersionsUsedUp,
                "nothing was done; a card knows 255 versions of a role key and no more: speak with those who maintain the system before the rest is needed",
            ),
            Self::NotFound { .. } => of(
                W::NotFound,
                "check the name or the number: `keyvault callers` and `keyvault terminals` list theirs; nothing was done",
            ),
            Self::NameTaken => of(
                W::NameTaken,
                "use another name or key: one name has one key and one key one name; a terminal gets other keys in the place of its own with --replaces, a caller with `keyvault request new replace-key`; nothing was done",
            ),
            Self::NotWrappedHere => of(
                W::NotWrappedHere,
                "check which photo the wrapped key was stored with",
            ),
            Self::UnknownIssuer => of(
                W::UnknownIssuer,
                "let two officers enrol the issuer with `keyvault request new enrol-caller`, or give it back what was taken",
            ),
            Self::OrderNotSigned => of(W::OrderNotSigned, "sign the order with the enrolled key"),
            Self::OrderExpired => of(W::OrderExpired, "make a new order, and check both clocks"),
            Self::TaskNotOrdered => of(W::TaskNotOrdered, "make an order that allows it"),
            Self::QuotaUsed { .. } => of(W::QuotaUsed, "make another order"),
            Self::OrderConflict => of(W::OrderConflict, "give the new order a new number"),
            Self::CardConflict { .. } => of(
                W::CardConflict,
                "put the right card on the reader, or use another index of the order",
            ),
            Self::NoCardSession => of(
                W::NoCardSession,
                "reset the card and start it again with the same task",
            ),
            Self::CardNotGenuine => of(W::CardNotGenuine, "take the card away and keep it apart"),
            Self::CardRefused { .. } => of(
                W::CardRefused,
                "the outcome is unknown: reset the card and start it again with the same task",
            ),
            Self::CardState { .. } => of(W::CardState, "inspect the card and compare it with the ledger"),
            Self::CardDenied => of(
                W::CardDenied,
                "give it nothing; if it was found, take it from the deny lists first",
            ),
            Self::CardCopied => of(
                W::CardDenied,
                "give the holder another card; this one is never allowed again",
            ),
            Self::NumberUsed => of(
                W::NumberUsed,
                "the office's ledger is older than the vault: restore its newest backup, look at it with `issuer doctor`, and make another order",
            ),
            Self::NoDelivery => of(
                W::NoDelivery,
                "ask the holder to the counter and rewrite the card there",
            ),
            Self::NoActiveVersion { .. } => of(
                W::NoActiveVersion,
                "let two officers make one with `keyvault request new rotate-role`",
            ),
            Self::RoleKeyState { .. } => of(
                W::RoleKeyState,
                "look at `keyvault role-keys`; the Active version is rotated first, and a destroyed one stays so",
            ),
            Self::StillHeld { .. } => of(
                W::StillHeld,
                "bring these cards to the Active version by updates or at the counter, and tell the vault of those that are out of use with `issuer card destroyed` or `issuer card replace`",
            ),
            Self::TerminalKeys => of(
                W::TerminalKeys,
                "let `card-reader enrol` make keys of its own for the terminal, and have it enrolled with those",
            ),
            Self::TerminalRevoked => of(
                W::TerminalRevoked,
                "enrol the terminal anew, with new keys and under another name",
            ),
            Self::EnrolmentEnded { .. } => of(
                W::EnrolmentEnded,
                "ask for a day up to that one, or let two officers enrol the terminal for longer with `keyvault request new enrol-terminal`",
            ),
            Self::RequestOfAnotherVault => of(
                W::WrongVault,
                "submit it to the vault that it names, or make a new one; nothing was done",
            ),
            Self::RequestExpired => of(
                W::RequestExpired,
                "make a new request and have it signed, and check both clocks; nothing was done",
            ),
            Self::TwoOfficersNeeded { .. } => of(
                W::TwoOfficersNeeded,
                "look at it with `keyvault request show`, and have it signed by so many different officers, under their names of the access list, who are not suspended and not the requester, or, where it replaces officers, by custodians of the present set; nothing was done",
            ),
            Self::OfficersThere => of(
                W::OfficersThere,
                "let two officers enrol the others with `keyvault request new enrol-caller`; nothing was done",
            ),
            Self::CallerSuspended => of(
                W::CallerSuspended,
                "find out why an officer suspended it; two officers give it back with `keyvault request new restore-caller`",
            ),
            Self::WrongRegion { .. } => of(
                W::RegionNotPermitted,
                "ask as a caller who is enrolled for that region; nothing was done",
            ),
        }
    }

    /// A file or folder that cannot be used; where rights are in the way, with whose it is.
    #[must_use]
    pub fn file(what: &'static str, path: &Path, kind: ErrorKind) -> Self {
        let whose = match kind {
            ErrorKind::PermissionDenied => Barrier::before(path).map(Box::new),
            _ => None,
        };
        Self::File {
            what,
            path: path.display().to_string(),
            kind,
            whose,
        }
    }

    /// Upper-case code from the closed list.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.facts().code
    }
}

impl Failing for Error {
    fn code(&self) -> Cow<'static, str> {
        self.code().into()
    }

    fn exit(&self) -> Exit {
        self.facts().exit
    }

    fn action(&self) -> Cow<'static, str> {
        self.facts().action.into()
    }

    #[expect(clippy::too_many_lines, reason = "one line per error, read as a table")]
    fn chinese(&self) -> (String, String) {
        let (message, action): (Cow<'static, str>, _) = match self {
            Self::Sealed => ("密钥库处于封存状态".into(), "请由保管人解封后再试"),
            Self::AlreadyOpen => ("密钥库已经打开".into(), "无须处理"),
            Self::Damaged { what } => (
                format!("存储已损坏：{}", chinese(what)).into(),
                "不得再写入；请恢复最近的备份，并保留该目录备查",
            ),
            Self::ClockBehind { now, seen } => (
                format!("时钟为 {now}，而密钥库已见过 {seen}").into(),
                "未做任何改动；请校准本机时钟后再试；时钟无误而此前的时钟有误的，由两名密钥官员签署 `keyvault request new set-time`，每名保管人以 `--time-request` 附上该文件解封；密钥官员不足两名的，以 `--day` 写明当日日期；已进行到那一天的演练密钥库，用 --at 指定当日或之后的日期提供服务",
            ),
            Self::ClockLeap { now, seen } => (
                format!("时钟为 {now}，比密钥库最后见过的 {seen} 晚七天以上").into(),
                TIME_ZH,
            ),
            Self::ClockLeaps { now, seen } => (
                format!("时钟为 {now}，密钥库最后见过 {seen}：本次启动将使其自上次设定时间以来跳过的时间超过 31 天").into(),
                TIME_ZH,
            ),
            Self::NotTheDay { now, said } => (
                format!("保管人说今天是 {said}，而本机时钟为 {now}").into(),
                "未做任何改动；请核对日历和本机时钟，改正有误的一方，再次给出分片",
            ),
            Self::DaysDiffer => (
                "各保管人及密钥官员的申请所说的日期不一致".into(),
                "本分片未被接受；请商定日期，与其他保管人给出相同的 `--time-request` 或 `--day`，或都不给",
            ),
            Self::OfficersSayTheDay => (
                "尚有两名或更多密钥官员；没有他们的申请，保管人不能设定时间".into(),
                "未做任何改动；请由两名密钥官员签署 `keyvault request new set-time`，各保管人以 `--time-request` 附上该文件重新解封",
            ),
            Self::RequestOfAnotherOpening => (
                "申请所设定的是本密钥库存储在另一时刻的时间".into(),
                "未做任何改动；请在密钥库封存时重新制作 `keyvault request new set-time` 并签名，再以其给出分片",
            ),
            Self::StoreUnavailable { what } => (
                format!("存储无法使用：{}", chinese(what)).into(),
                "请腾出空间，并确认目录可写；未做任何改动",
            ),
            Self::StoreSilent => (
                "密钥库等待磁盘已达 30 秒；改动是否完成尚不确定".into(),
                "请检查密钥库的磁盘，再提出同样的请求；是否已完成，见其日志",
            ),
            Self::RolledBack {
                custodian,
                found,
                seen,
            } => (
                format!("存储是第 {found} 代，而 {custodian} 已见过第 {seen} 代").into(),
                "不得写入；请查明是谁放入了旧的存储，并换回最新的，备份中有 vault.sqlite-wal 的须与 vault.sqlite 一并放回；经决定恢复备份的，用 `keyvault unseal --restored` 重新给出分片",
            ),
            Self::InUse => (
                "另一个 keyvault 进程正在使用此目录".into(),
                "请停止另一进程，或换用别的目录",
            ),
            Self::StoreHeld => (
                "有别的程序打开了文件 vault.sqlite，或正在复制它".into(),
                "请结束该程序（`fuser` 可查出谁打开了文件），再运行同一命令；须在密钥库停止服务时复制存储，见 docs/operations.md",
            ),
            Self::StoreNewer { found, known } => (
                format!("存储的格式为第 {found} 版，本程序只认得到第 {known} 版：它由更新版本的程序写成").into(),
                "请用更新版本的程序提供服务；未做任何改动。确须退回旧版本的，请恢复升级之前的备份（见 docs/operations.md 的 Updating the programs）",
            ),
            Self::NoVault => (
                "此目录中没有密钥库".into(),
                "请给出正确的目录，或先举行 `keyvault init` 创建仪式",
            ),
            Self::SelfTestFailed { what } => (
                format!("自检未通过：{}", chinese(what)).into(),
                "不得使用本机或此版本的程序",
            ),
            Self::MemoryNotLocked => (
                "存放密钥的内存无法锁定".into(),
                "请允许本进程锁定 8 MiB 或更多内存：服务单元用 `LimitMEMLOCK=infinity`，终端中用 `ulimit -l 8192`，容器用 `--ulimit memlock=-1`",
            ),
            Self::NotIsolated { what } => (
                format!("进程无法隔离：{}", chinese(what)).into(),
                "请使用支持 seccomp 的 5.13 或更新内核",
            ),
            Self::TooManyKeys => ("密钥库中的密钥已满".into(), "请退役没有卡在用的密钥版本"),
            Self::AlreadyInitialised => ("此目录中已有密钥库".into(), "请将其解封，或换用别的目录"),
            Self::FolderOfSomethingElse => (
                "此目录不为空，且其中没有密钥库".into(),
                "请给出不存在的或空的目录",
            ),
            Self::EnvelopeExists { path } => (
                format!("{path} 是分片信封；两套信封不得放在同一目录").into(),
                "请用 --out 给出没有分片信封的目录；销毁原有信封之前，先查明它们属于哪个密钥库；未覆盖任何文件",
            ),
            Self::BadCeremony { what } => (
                format!("创建仪式不能举行：{}", chinese(what)).into(),
                "请改正命令；未写入任何内容",
            ),
            Self::File {
                what,
                path,
                kind,
                whose,
            } => (
                match whose {
                    Some(whose) => format!("{}无法使用：{path}：{}；{}", chinese(what), kind.zh(), whose.zh()),
                    None => format!("{}无法使用：{path}：{}", chinese(what), kind.zh()),
                }
                .into(),
                match kind {
                    ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                        "请在该磁盘上腾出空间，再运行同一命令"
                    }
                    ErrorKind::PermissionDenied if whose.is_some() => {
                        "请以其所属的用户运行同一命令（root 可用 `runuser -u 用户 -- ...`），或请人更正权限"
                    }
                    ErrorKind::PermissionDenied => "请更正其权限，再运行同一命令",
                    _ => "请检查路径、权限和磁盘，再运行同一命令",
                },
            ),
            Self::EnvelopeForm => (
                "此文件不是本程序认得的分片信封".into(),
                "请给出创建仪式写出的分片信封；更新版本的信封须用相应版本的程序打开",
            ),
            Self::PassphraseForm => (
                "口令不是单行 UTF-8 文本".into(),
                "请将文件存为 UTF-8，不含控制字符和不可见字符，或直接输入；未写入任何内容",
            ),
            Self::WeakPassphrase {
                custodian,
                bits,
                needed,
            } => (
                format!("{custodian} 的口令太容易猜：强度约 {bits} 比特，须达到 {needed} 比特").into(),
                "请取五个互不相干的词，中文词之间也要空格，不用诗词歌曲等现成的句子，不用姓名、日期、键盘顺序和重复；也可用 --generate 由程序生成；未写入任何内容",
            ),
            Self::PassphraseRefused { custodian } => (
                format!("{custodian} 的口令不能采用").into(),
                "请该保管人另想一个，或用 --generate 由程序生成；未写入任何内容",
            ),
            Self::SamePassphrase => (
                "新口令与原口令相同".into(),
                "请另想一个，或用 --generate 由程序生成；未写入任何内容",
            ),
            Self::EnvelopeDamaged => ("分片信封已损坏".into(), "请改用保管人的另一份副本；没有的，请其他保管人给出分片，达到所需份数即可解封"),
            Self::OfficerKeyForm => (
                "此文件不是密钥官员的密钥文件".into(),
                "请给出 `keyvault officer new` 写出的文件",
            ),
            Self::OfficerKeyDamaged => (
                "密钥官员的密钥文件已损坏".into(),
                "请改用其副本；没有副本的，由其他密钥官员用 `keyvault request new replace-key` 更换密钥",
            ),
            Self::WrongPassphrase { custodian } => (
                format!("口令打不开 {custodian} 的文件").into(),
                "请其所有者重新输入；没有向密钥库发送任何内容。忘记口令的，保管人的信封按遗失处理，官员的密钥用 `keyvault request new replace-key` 更换",
            ),
            Self::WrongOfficerPassphrase { officer } => (
                format!("口令打不开 {officer} 的密钥文件").into(),
                "请密钥官员重新输入，并核对文件是否正确；没有向密钥库发送任何内容",
            ),
            Self::WrongVault => ("密钥分片属于另一个密钥库".into(), "请找出本密钥库的分片信封"),
            Self::WrongEpoch { share, vault } => (
                format!("密钥分片属于第 {share} 套，密钥库现行的是第 {vault} 套").into(),
                "请用现行一套的分片信封，并销毁旧的",
            ),
            Self::WrongShare { custodian } => (
                format!("{custodian} 的密钥分片不对").into(),
                "请另找一名保管人，并查明此信封出了什么事",
            ),
            Self::SameShareTwice { custodian } => (
                format!("{custodian} 的密钥分片已经给过").into(),
                "请给出另一名保管人的分片",
            ),
            Self::NotACustodian => (
                "请求者不是现行分片组的保管人".into(),
                "请使用现行分片组的信封，或另找一名保管人，并查明此信封出了什么事；未做任何事",
            ),
            Self::AttemptOfAnother { custodian } => (
                format!("本次解封由 {custodian} 发起").into(),
                "请由该保管人终止，或等待：15 分钟后自动终止",
            ),
            Self::NoAttempt => (
                "本次解封已超时，或没有开始".into(),
                "请重新开始；此前给出的分片已清除",
            ),
            Self::UnknownCaller => (
                "请求者的密钥没有在本密钥库登记".into(),
                "由两名密钥官员登记：`keyvault request new enrol-caller`；未做任何事",
            ),
            Self::NotPermitted { kind, operation } => (
                format!("该请求者（{kind} 类）无权请求 {operation}").into(),
                "请使用有权请求者的密钥，见 keyvault/README.md 中的表，各条目所限见 `keyvault callers`；未做任何改动",
            ),
            Self::RequestRunning => (
                "同一编号的同一请求正在办理".into(),
                "请稍后再问一次，即可得到结果",
            ),
            Self::RequestForgotten => (
                "密钥库已不知道此编号的请求办理得如何，也不再办理".into(),
                "请查明是否已办理（有改动的，`keyvault journal` 中有记载）；未办理的，重新提出",
            ),
            Self::RequestIdUsed => (
                "此请求编号已用于另一请求".into(),
                "请为另一请求取新编号；未做任何事",
            ),
            Self::NotOpened => ("请求中的密封值打不开".into(), "请重新连接，再发一次请求"),
            Self::MalformedRequest => ("请求不符合协议格式".into(), "请确认客户端与密钥库版本相同"),
            Self::BadContent { what } => (chinese(what).into(), "请改正请求；未做任何事"),
            Self::LimitExceeded { what, limit } => (
                format!("{}超过上限 {limit}", chinese(what)).into(),
                "请减少数量；未做任何事",
            ),
            Self::CeilingReached {
                of,
                counted,
                most,
                until,
            } => (
                format!("{of} 每日“{}”上限为 {most}，本次请求将超过上限；{until} 重新计数", counted.zh()).into(),
                "未做任何事；请自该日零时（UTC+8）起继续；若业务量并没有这么大，请用 `keyvault journal` 查明是谁在请求",
            ),
            Self::PurseLimit { what, most } => (
                format!("{}至多 {most} 分", chinese(what)).into(),
                "未做任何事；请减少充值金额，或另发一张卡",
            ),
            Self::VersionsUsedUp { role, region, left } => (
                format!("{region} 的 {role} 只剩 {left} 个密钥版本，留作泄露时轮换之用").into(),
                "未做任何事；一张卡至多认得一个应用密钥的 255 个版本；请在用完之前与系统维护者商议",
            ),
            Self::NotFound { what } => (
                format!("密钥库中没有{}", chinese(what)).into(),
                "请核对名称或编号：`keyvault callers` 和 `keyvault terminals` 列有各自的；未做任何改动",
            ),
            Self::NameTaken => (
                "此名称已被占用，或此密钥已以另一名称登记".into(),
                "请另取名称或密钥：一名一密钥，一密钥一名；终端更换密钥用 --replaces，调用方更换密钥用 `keyvault request new replace-key`；未做任何改动",
            ),
            Self::NotWrappedHere => (
                "此包裹密钥不属于这张照片、规格和版本".into(),
                "请核对包裹密钥是随哪张照片存放的",
            ),
            Self::UnknownIssuer => (
                "制证指令所列的发证系统没有登记".into(),
                "请由两名密钥官员用 `keyvault request new enrol-caller` 登记该发证系统，或恢复其资格",
            ),
            Self::OrderNotSigned => (
                "制证指令不是其所列发证系统签名的".into(),
                "请用已登记的密钥为制证指令签名",
            ),
            Self::OrderExpired => ("制证指令此刻无效".into(), "请另下制证指令，并核对双方时钟"),
            Self::TaskNotOrdered => ("制证指令不含此任务".into(), "请另下包含此任务的制证指令"),
            Self::QuotaUsed { cards } => (
                format!("制证指令只有 {cards} 张卡，此序号超出").into(),
                "请另下制证指令",
            ),
            Self::OrderConflict => ("已有同一编号的制证指令".into(), "请为新的制证指令另编号"),
            Self::CardConflict { what } => (
                chinese(what).into(),
                "请把正确的卡放上读卡器，或使用制证指令的另一序号",
            ),
            Self::NoCardSession => ("没有此卡的会话".into(), "请复位该卡，以同一任务重新开始"),
            Self::CardNotGenuine => ("此卡未能证明为真卡".into(), "请收起此卡，单独存放"),
            Self::CardRefused { step, answer } => (
                format!("卡没有完成 {step}：{answer}").into(),
                "结果不明：请复位该卡，以同一任务重新开始",
            ),
            Self::CardState { state } => (
                format!("卡的状态为 {state}，不能执行此任务").into(),
                "请查看该卡，并与台账核对",
            ),
            Self::CardDenied => (
                "卡在停用名单上".into(),
                "不得为其办理；卡已找回的，先将其移出停用名单",
            ),
            Self::CardCopied => (
                "结算查出此卡被复制；它将一直留在停用名单上".into(),
                "请为持卡人补领新卡；此卡永不恢复使用",
            ),
            Self::NumberUsed => (
                "此卡号以前已经发出".into(),
                "发证机关的台账比密钥库旧：请恢复其最新备份，用 `issuer doctor` 检查，再另下制证指令",
            ),
            Self::NoDelivery => (
                "卡上没有可经终端投递更新的在用槽位".into(),
                "请通知持卡人到柜台重写此卡",
            ),
            Self::NoActiveVersion { role, region } => (
                format!("{role} 在 {region} 没有启用（ACTIVE）的密钥版本").into(),
                "请由两名密钥官员用 `keyvault request new rotate-role` 生成",
            ),
            Self::RoleKeyState { version, state } => (
                format!("密钥版本 {version} 的状态为 {state}，不能执行此操作").into(),
                "请查看 `keyvault role-keys`；启用中的版本须先轮换，已销毁的不能恢复",
            ),
            Self::StillHeld { cards } => (
                format!("有 {cards} 张在用卡只有此密钥版本").into(),
                "请通过更新或在柜台把这些卡换到启用的版本；已不再使用的卡，用 `issuer card destroyed` 或 `issuer card replace` 告知密钥库",
            ),
            Self::TerminalKeys => (
                "这些密钥属于另一台终端".into(),
                "请用 `card-reader enrol` 为该终端生成自己的密钥，并以其登记",
            ),
            Self::TerminalRevoked => ("此终端已注销".into(), "请以新的密钥和另一名称重新登记终端"),
            Self::EnrolmentEnded { until } => (
                format!("此终端登记至 {until} 为止").into(),
                "请改用当日或之前的日期，或由两名密钥官员用 `keyvault request new enrol-terminal` 延长登记",
            ),
            Self::RequestOfAnotherVault => (
                "申请是给另一密钥库的".into(),
                "请提交给申请所列的密钥库，或重新制作申请；未做任何改动",
            ),
            Self::RequestExpired => (
                "申请已过期，或其制作时间晚于现在".into(),
                "请重新制作申请并签名，并核对双方时钟；未做任何改动",
            ),
            Self::TwoOfficersNeeded { found, needed } => (
                format!("申请上有效的签名为 {found} 个，须有 {needed} 个").into(),
                "请用 `keyvault request show` 查看，并由未停用且并非申请人的不同密钥官员以名单中的名称签足；更换密钥官员的申请由本套分片的保管人签足；未做任何改动",
            ),
            Self::OfficersThere => (
                "尚有两名或更多密钥官员；不足两名时才由保管人登记".into(),
                "请由两名密钥官员用 `keyvault request new enrol-caller` 登记其他人；未做任何改动",
            ),
            Self::CallerSuspended => (
                "此调用方已停用，其提出的一概不办理".into(),
                "请查明密钥官员停用它的原因；由两名密钥官员用 `keyvault request new restore-caller` 恢复",
            ),
            Self::WrongRegion { region } => (
                format!("此请求涉及 {region}，该调用方不办理该地区").into(),
                "请以登记办理该地区的调用方提出；未做任何改动",
            ),
        };
        (message.into_owned(), action.to_owned())
    }
}

impl From<&Error> for Refusal {
    fn from(error: &Error) -> Self {
        let facts = error.facts();
        let (message_zh, action_zh) = error.chinese();
        Self {
            code: facts.wire,
            message: error.to_string(),
            action: facts.action.to_owned(),
            message_zh,
            action_zh,
        }
    }
}

/// Behind what the operating system said.
fn of_another(whose: Option<&Barrier>) -> String {
    whose.map(|whose| format!(": {whose}")).unwrap_or_default()
}

/// A failure of the specification's crate on values of our own making is a fault of this program or machine.
pub(crate) fn fault(_: card_applet_spec::Error) -> Error {
    Error::SelfTestFailed {
        what: "a computation on values of the vault's own making",
    }
}
