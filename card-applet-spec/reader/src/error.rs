//! Everything that can go wrong at a terminal: a refusal (the rules say no), or trouble (nobody knows).
//!
//! To the holder there is one outcome for all refusals that are about the card ([`Told`]): a gate that explains itself tells a
//! bystander about the holder. What the terminal itself lacks is no matter of the holder's, and sends nobody anywhere. The
//! reason is for the operator's log, and holds no pseudonym, name or number.

use std::borrow::Cow;

use program_contract::{Exit, Failing};
use thiserror::Error;

use crate::transport::{Outcome, TransportError};

/// Why a terminal refuses: the closed list of the contracts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Nothing on the card answers this terminal: not handed over yet, blocked, ended, without this entitlement, or of
    /// a region or key version that the terminal does not serve (the card makes these look alike on purpose); or its
    /// first day is still to come.
    NotActive,
    /// Today is behind the last day of the entitlement or of the card's certificate.
    Expired,
    /// The card is on the deny list, or its entitlement does not reach this place.
    Denied,
    /// A signature, a MAC, a seal or a binding does not hold.
    NotGenuine,
    /// The terminal may not, or this record does not, serve the role that was asked for.
    WrongRole,
    /// No card of this specification, or one that trusts another authority.
    ForeignCard,
    /// The answer has been seen before.
    Replay,
    /// The deny list is missing or older than it may be: nobody is accepted.
    ListTooOld,
    /// The terminal's bundle or certificate has ended.
    BundleExpired,
    /// The amount is above what the card holds.
    BalanceTooLow,
    /// Nobody knows whether the card was debited: present the same card again.
    OutcomeUnknown,
    /// The terminal's clock is behind a day that it has seen: nobody is accepted.
    ClockWrong,
}

impl Reason {
    /// Every reason, in the order of the contracts.
    pub const ALL: [Self; 12] = [
        Self::NotActive,
        Self::Expired,
        Self::Denied,
        Self::NotGenuine,
        Self::WrongRole,
        Self::ForeignCard,
        Self::Replay,
        Self::ListTooOld,
        Self::BundleExpired,
        Self::BalanceTooLow,
        Self::OutcomeUnknown,
        Self::ClockWrong,
    ];

    /// The code of the contracts, for programs.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NotActive => "NOT_ACTIVE",
            Self::Expired => "EXPIRED",
            Self::Denied => "DENIED",
            Self::NotGenuine => "NOT_GENUINE",
            Self::WrongRole => "WRONG_ROLE",
            Self::ForeignCard => "FOREIGN_CARD",
            Self::Replay => "REPLAY",
            Self::ListTooOld => "LIST_TOO_OLD",
            Self::BundleExpired => "BUNDLE_EXPIRED",
            Self::BalanceTooLow => "BALANCE_TOO_LOW",
            Self::OutcomeUnknown => "OUTCOME_UNKNOWN",
            Self::ClockWrong => "CLOCK_WRONG",
        }
    }

    /// What happened, for the operator.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::NotActive => "nothing on this card answers this terminal",
            Self::Expired => "the entitlement or the card's certificate has ended",
            Self::Denied => "the card is on the deny list, or its entitlement does not reach this place",
            Self::NotGenuine => "the card did not prove that it is genuine",
            Self::WrongRole => "this terminal or this record does not serve the role that was asked for",
            Self::ForeignCard => "this is no permit card that this terminal knows",
            Self::Replay => "this answer has been given before",
            Self::ListTooOld => "the deny list is missing or too old",
            Self::BundleExpired => "the terminal's bundle or certificate has ended",
            Self::BalanceTooLow => "the amount is above what the card holds",
            Self::OutcomeUnknown => "nobody knows yet whether the card was debited",
            Self::ClockWrong => "the terminal's clock is behind a day that it has seen",
        }
    }

    /// What the operator can do.
    #[must_use]
    pub fn action(self) -> &'static str {
        match self {
            Self::NotActive | Self::Expired | Self::Denied => {
                "Ask the holder to take the card to the office that issued it."
            }
            Self::NotGenuine | Self::Replay => {
                "Do not accept the card. Tap once more; if it happens again, report the reader."
            }
            Self::WrongRole => {
                "Load a bundle of this service (`keyvault export-bundle` with its --kind, then `card-reader sync`), or use a terminal \
                 that has one."
            }
            Self::ForeignCard => "Ask for the permit card, and present only one card at a time.",
            Self::ListTooOld => {
                "Load the newest list or bundle (`card-reader sync`); until then this terminal accepts nobody."
            }
            Self::BundleExpired => {
                "Load a new bundle for this terminal (`keyvault export-bundle`, then `card-reader sync`)."
            }
            Self::BalanceTooLow => "Take a smaller amount, or have money loaded onto the card at the office.",
            Self::OutcomeUnknown => {
                "Present the same card again. Hand out nothing before that; if the card is gone, give the purchase up."
            }
            Self::ClockWrong => {
                "Set the clock of this machine. If it is right and the day that was seen is not, load a bundle that was made today \
                 (`keyvault export-bundle`, then `card-reader sync`)."
            }
        }
    }
}

/// What the holder is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Told {
    /// The one sentence for everything about the card. It says where to go and not why.
    Office,
    /// Whatever was presented is no permit card.
    NotAPermitCard,
    /// The terminal itself cannot serve; its operator must do something, and the holder nothing.
    OutOfService,
    /// A payment above the balance.
    BalanceTooLow,
    /// A payment above the limit for one.
    AboveLimit,
    /// A payment whose outcome is unknown.
    SameCardAgain,
}

impl Told {
    /// Everything that a holder can be told.
    pub const ALL: [Self; 6] = [
        Self::Office,
        Self::NotAPermitCard,
        Self::OutOfService,
        Self::BalanceTooLow,
        Self::AboveLimit,
        Self::SameCardAgain,
    ];

    /// zh-CN, then English.
    #[must_use]
    pub const fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::Office => (
                "请持卡到受理点办理。",
                "Please take this card to a permit office.",
            ),
            Self::NotAPermitCard => ("这不是居住证卡。", "This is not a permit card."),
            Self::OutOfService => ("暂停服务。", "Out of service."),
            Self::BalanceTooLow => ("余额不足。", "The balance is too low."),
            Self::AboveLimit => ("超过单笔限额。", "The amount is above the limit for one payment."),
            Self::SameCardAgain => ("请再次出示同一张卡。", "Please present the same card again."),
        }
    }
}

/// Which check failed, for a log: one step finer than [`Reason`], and still without anything of the holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Check {
    /// The card does not know our application, or answers SELECT with something else than card info.
    #[error("the application is not on the card")]
    Application,
    /// No group key of the bundle opens the answer to TAP.
    #[error("no key of the bundle opens the answer")]
    Keys,
    /// A group key opens the answer and the MAC T is wrong.
    #[error("the MAC of the tap")]
    TapMac,
    /// The same random number came before.
    #[error("a random number of the card came twice")]
    Repeated,
    /// The record's header names another role or key version than its slot, or the record is malformed.
    #[error("the header of the record")]
    RecordHeader,
    /// The record's role is not the one that was asked for.
    #[error("the role of the record")]
    RecordRole,
    /// The record does not open (AES-GCM), or the entitlement signer did not sign what is inside.
    #[error("the seal or the signature of the record")]
    RecordSeal,
    /// The record is bound to another card's key.
    #[error("the binding of the record to the card's key")]
    RecordBinding,
    /// Today is behind the record's last day.
    #[error("the last day of the record")]
    RecordDays,
    /// Today is before the record's first day.
    #[error("the first day of the record")]
    RecordNotYet,
    /// The zones of the record.
    #[error("the zones of the record")]
    Zones,
    /// The deny list holds the card.
    #[error("the deny list")]
    DenyList,
    /// The deny list is missing or older than it may be.
    #[error("the age of the deny list")]
    DenyListAge,
    /// The clock is behind a day that the bundle, a list or the terminal's own marks show.
    #[error("the clock, against the days that were seen")]
    Clock,
    /// The bundle is behind its last day.
    #[error("the last day of the bundle")]
    BundleDays,
    /// The card refused the terminal's certificate as ended, or as older than what it has seen.
    #[error("the days of the terminal's certificate, at the card")]
    CertificateEnded,
    /// The bundle has no key, or no door-S certificate, for what was asked.
    #[error("what the bundle is for")]
    BundleRole,
    /// The card refused a certificate of the terminal.
    #[error("the terminal's certificate, at the card")]
    TerminalCertificate,
    /// The card refused the terminal's rights.
    #[error("the terminal's rights, at the card")]
    TerminalRights,
    /// The card is not in a state in which door S answers.
    #[error("the state of the card")]
    CardState,
    /// The card's answer to AGREE has a wrong form, or a point off the curve.
    #[error("the form of the card's key agreement")]
    AgreementForm,
    /// The card certificate's form or domain.
    #[error("the form of the card certificate")]
    CertificateForm,
    /// The card CA's signature on the card certificate.
    #[error("the signature of the card certificate")]
    CertificateSignature,
    /// Today is behind the last day of the card certificate.
    #[error("the last day of the card certificate")]
    CertificateDays,
    /// Today is before the first day of the card certificate.
    #[error("the first day of the card certificate")]
    CertificateNotYet,
    /// The MAC that proves that the card holds the certified key.
    #[error("the proof of the card's key")]
    KeyProof,
    /// A MAC inside the secure channel.
    #[error("a MAC inside the secure channel")]
    ChannelMac,
    /// An object read through the secure channel has a wrong form.
    #[error("the form of an object")]
    ObjectForm,
    /// The signature object's signature, form or key.
    #[error("the signature object")]
    SignatureObject,
    /// The signature object was made for another card's key.
    #[error("the signature object's binding to the card's key")]
    SignatureObjectBinding,
    /// A data group's digest is not the one in the signature object.
    #[error("the digest of a data group")]
    GroupDigest,
    /// The tap took longer than this terminal's bound: the card may be somewhere else, behind a relay.
    #[error("the time of the tap")]
    TapTime,
    /// The amount is above loaded - spent.
    #[error("the balance of the card")]
    Balance,
    /// The card refused the debit and a fresh tap shows that nothing was debited: its limit for one payment.
    #[error("the card's limit for one payment")]
    CardLimit,
    /// The terminal has no registration number for payments.
    #[error("the registration of the terminal for payments")]
    Registration,
    /// The card gave no proof of a debit.
    #[error("the proof of the debit")]
    Proof,
    /// Another card than that of the open purchase.
    #[error("the card of the open purchase")]
    OtherCard,
}

impl Check {
    /// The reason of the contracts under which this check refuses.
    #[must_use]
    pub fn reason(self) -> Reason {
        match self {
            // A card that does not know our authority; door S says more where the card's status does.
            Self::Application | Self::TerminalCertificate => Reason::ForeignCard,
            Self::Keys | Self::CardState | Self::RecordNotYet | Self::CertificateNotYet => Reason::NotActive,
            Self::Repeated => Reason::Replay,
            Self::RecordRole | Self::BundleRole | Self::TerminalRights | Self::Registration => {
                Reason::WrongRole
            }
            Self::RecordDays | Self::CertificateDays => Reason::Expired,
            Self::Zones | Self::DenyList | Self::CardLimit => Reason::Denied,
            Self::Balance => Reason::BalanceTooLow,
            Self::Proof | Self::OtherCard => Reason::OutcomeUnknown,
            Self::DenyListAge => Reason::ListTooOld,
            Self::BundleDays | Self::CertificateEnded => Reason::BundleExpired,
            Self::Clock => Reason::ClockWrong,
            Self::TapMac
            | Self::RecordHeader
            | Self::RecordSeal
            | Self::RecordBinding
            | Self::AgreementForm
            | Self::CertificateForm
            | Self::CertificateSignature
            | Self::KeyProof
            | Self::ChannelMac
            | Self::ObjectForm
            | Self::SignatureObject
            | Self::SignatureObjectBinding
            | Self::GroupDigest
            | Self::TapTime => Reason::NotGenuine,
        }
    }
}

impl Check {
    /// What the holder is told when this check refuses: only what is about the card sends the holder to the office.
    #[must_use]
    pub fn told(self) -> Told {
        match self {
            Self::Clock
            | Self::BundleDays
            | Self::BundleRole
            | Self::CertificateEnded
            | Self::DenyListAge
            | Self::Registration
            | Self::TerminalRights => Told::OutOfService,
            Self::Application | Self::TerminalCertificate => Told::NotAPermitCard,
            Self::Balance => Told::BalanceTooLow,
            Self::CardLimit => Told::AboveLimit,
            Self::Proof | Self::OtherCard => Told::SameCardAgain,
            Self::Keys
            | Self::TapMac
            | Self::Repeated
            | Self::RecordHeader
            | Self::RecordRole
            | Self::RecordSeal
            | Self::RecordBinding
            | Self::RecordDays
            | Self::RecordNotYet
            | Self::Zones
            | Self::DenyList
            | Self::CardState
            | Self::AgreementForm
            | Self::CertificateForm
            | Self::CertificateSignature
            | Self::CertificateDays
            | Self::CertificateNotYet
            | Self::KeyProof
            | Self::ChannelMac
            | Self::ObjectForm
            | Self::SignatureObject
            | Self::SignatureObjectBinding
            | Self::GroupDigest
            | Self::TapTime => Told::Office,
        }
    }
}

/// A terminal says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{}: {check}", reason.code())]
pub struct Refusal {
    /// The reason of the contracts.
    pub reason: Reason,
    /// The check behind it.
    pub check: Check,
}

impl Refusal {
    /// What the holder is told.
    #[must_use]
    pub fn told(&self) -> Told {
        self.check.told()
    }

    /// What the operator can do: for what the terminal itself lacks, and for limits, it is the check that says it.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self.check {
            Check::Registration => {
                "Have this terminal registered for payments (`issuer terminal`), and load the bundle that names its number."
            }
            Check::CardLimit => "Take a smaller amount.",
            _ => self.reason.action(),
        }
    }
}

impl From<Check> for Refusal {
    fn from(check: Check) -> Self {
        Self {
            reason: check.reason(),
            check,
        }
    }
}

/// What the terminal was doing when the card said no in a way that is no refusal of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// SELECT of the application.
    Select,
    /// GET DATA of the serial.
    ReadSerial,
    /// TAP.
    Tap,
    /// PRESENT CERTIFICATE.
    PresentCertificate,
    /// GET CHALLENGE.
    Challenge,
    /// AGREE.
    Agree,
    /// READ OBJECT.
    ReadObject,
    /// RESET COUNTER.
    ResetCounter,
    /// COMMIT.
    Commit,
    /// UPDATE.
    Update,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Select => "SELECT",
            Self::ReadSerial => "GET DATA",
            Self::Tap => "TAP",
            Self::PresentCertificate => "PRESENT CERTIFICATE",
            Self::Challenge => "GET CHALLENGE",
            Self::Agree => "AGREE",
            Self::ReadObject => "READ OBJECT",
            Self::ResetCounter => "RESET COUNTER",
            Self::Commit => "COMMIT",
            Self::Update => "UPDATE",
        })
    }
}

/// Everything that can go wrong between a terminal and a card. Every one of them ends the session.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The card or the reader could not be reached.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The rules say no.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
    /// The card answered with a status that no rule explains. Whoever holds the wire can forge it: what the card did
    /// is unknown.
    #[error("the card answered {step} with status {status:04X}")]
    CardRefused {
        /// The command.
        step: Step,
        /// The status word.
        status: u16,
    },
    /// The answer has a form that no card of this specification gives.
    #[error("the answer to {step} has a wrong form")]
    BadAnswer {
        /// The command.
        step: Step,
    },
    /// The terminal's own material cannot be used.
    #[error(transparent)]
    Material(#[from] MaterialError),
}

impl From<Check> for Error {
    fn from(check: Check) -> Self {
        Self::Refused(check.into())
    }
}

impl Error {
    /// The code for programs, from a closed list.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Transport(error) => error.code(),
            Self::Refused(refusal) => refusal.reason.code(),
            Self::CardRefused { .. } => "CARD_REFUSED",
            Self::BadAnswer { .. } => "BAD_ANSWER",
            Self::Material(error) => error.code(),
        }
    }

    /// What the person at the terminal can do.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::Transport(error) => error.action(),
            Self::Refused(refusal) => refusal.action(),
            Self::CardRefused { .. } | Self::BadAnswer { .. } => {
                "Take the card off, put it back, and try again. If it happens again, take the card to the office that issued it."
            }
            Self::Material(error) => error.action(),
        }
    }

    /// The refusal, where it is one.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refused(refusal) => Some(*refusal),
            _ => None,
        }
    }

    /// Whether the last command may or may not have been carried out.
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        match self {
            Self::Transport(error) => error.outcome() == Outcome::Unknown,
            Self::CardRefused { .. } | Self::BadAnswer { .. } => true,
            Self::Refused(_) | Self::Material(_) => false,
        }
    }
}

impl Failing for Error {
    fn code(&self) -> Cow<'static, str> {
        self.code().into()
    }

    /// Before any command has gone out; once one has, a card that is gone was lost in the middle: [`Exit::Unknown`].
    fn exit(&self) -> Exit {
        match self {
            Self::Refused(_) => Exit::Refused,
            Self::Material(error) => error.exit(),
            Self::Transport(error) => error.exit(),
            Self::CardRefused { .. } | Self::BadAnswer { .. } => Exit::Unknown,
        }
    }

    fn action(&self) -> Cow<'static, str> {
        self.action().into()
    }
}

/// Why the terminal's own files cannot be used. Nothing of their content is in the message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MaterialError {
    /// The key file is no key file, or was changed.
    #[error("the terminal key file is damaged or is something else")]
    KeyFile,
    /// Others than its owner can read the key file.
    #[error("the terminal key file can be read by others than its owner")]
    KeyFileExposed,
    /// The anchors file is not what the vault hands out.
    #[error("the anchors file has a wrong form")]
    AnchorsFile,
    /// The terminal's name is empty, longer than 64 bytes, or has control characters.
    #[error("a terminal name has 1 to 64 bytes of text")]
    TerminalName,
    /// The bundle is sealed for another terminal's key, or was changed.
    #[error("the bundle does not open with this terminal's key")]
    BundleSeal,
    /// The bundle is not signed by the authority that this terminal was enrolled with.
    #[error("the bundle is not signed by the authority of this terminal")]
    BundleSignature,
    /// The bundle opens and is signed, and its content is malformed.
    #[error("the content of the bundle has a wrong form")]
    BundleForm,
    /// The bundle is for a terminal of another name.
    #[error("the bundle is for another terminal")]
    BundleName,
    /// The bundle is older than one that this terminal has loaded.
    #[error("the bundle is older than the one loaded before (sequence {offered}, loaded {loaded})")]
    BundleOlder {
        /// Sequence of the bundle that was offered.
        offered: u32,
        /// Highest sequence loaded so far.
        loaded: u32,
    },
    /// A deny list is not signed by the signer that the bundle names, or is malformed.
    #[error("a deny list is damaged or is not signed by this terminal's authority")]
    ListDamaged,
    /// The batch of updates does not open with this terminal's key, or was changed.
    #[error("the update batch does not open with this terminal's key")]
    UpdatesSeal,
    /// The batch of updates is not signed by the authority of this terminal, or is malformed.
    #[error("the update batch is not signed by the authority of this terminal, or is damaged")]
    UpdatesDamaged,
    /// The batch of updates is for another terminal.
    #[error("the update batch is for another terminal")]
    UpdatesName,
    /// The batch of updates is older than one that this terminal has loaded.
    #[error("the update batch is older than the one loaded before (sequence {offered}, loaded {loaded})")]
    UpdatesOlder {
        /// Sequence of the batch that was offered.
        offered: u32,
        /// Highest sequence loaded so far.
        loaded: u32,
    },
    /// The batch of updates is behind its last day.
    #[error("the update batch has ended")]
    UpdatesEnded,
}

impl MaterialError {
    /// The code for programs, from a closed list.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::KeyFile => "TERMINAL_KEY_DAMAGED",
            Self::KeyFileExposed => "TERMINAL_KEY_EXPOSED",
            Self::AnchorsFile => "ANCHORS_DAMAGED",
            Self::TerminalName => "TERMINAL_NAME",
            Self::BundleSeal => "BUNDLE_NOT_OURS",
            Self::BundleSignature => "BUNDLE_SIGNATURE",
            Self::BundleForm => "BUNDLE_DAMAGED",
            Self::BundleName => "BUNDLE_OTHER_TERMINAL",
            Self::BundleOlder { .. } => "BUNDLE_OLDER",
            Self::ListDamaged => "LIST_DAMAGED",
            Self::UpdatesSeal => "UPDATES_NOT_OURS",
            Self::UpdatesDamaged => "UPDATES_DAMAGED",
            Self::UpdatesName => "UPDATES_OTHER_TERMINAL",
            Self::UpdatesOlder { .. } => "UPDATES_OLDER",
            Self::UpdatesEnded => "UPDATES_ENDED",
        }
    }

    /// What the operator can do.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::KeyFile => "Restore the key file from where it was made, or enrol this terminal again.",
            Self::KeyFileExposed => {
                "Take the rights of others away (`chmod 600`); if others may have read it, enrol this terminal again."
            }
            Self::AnchorsFile => "Fetch the anchors from the vault again.",
            Self::TerminalName => "Give another name with --name.",
            Self::BundleSeal | Self::BundleSignature | Self::BundleForm | Self::BundleName => {
                "Fetch the bundle for this terminal from the vault again; if it is refused again, enrol the terminal again."
            }
            Self::BundleOlder { .. } => "Load the newest bundle for this terminal.",
            Self::ListDamaged => {
                "Fetch the list file again; if it is refused again, fetch a new bundle first."
            }
            Self::UpdatesSeal | Self::UpdatesDamaged | Self::UpdatesName | Self::UpdatesEnded => {
                "Fetch the update batch for this terminal from the vault again."
            }
            Self::UpdatesOlder { .. } => "Load the newest update batch for this terminal.",
        }
    }
}

impl Failing for MaterialError {
    fn code(&self) -> Cow<'static, str> {
        self.code().into()
    }

    fn exit(&self) -> Exit {
        Exit::Damaged
    }

    fn action(&self) -> Cow<'static, str> {
        self.action().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reasons_are_the_closed_list_of_the_contracts() {
        let codes: Vec<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(
            codes,
            [
                "NOT_ACTIVE",
                "EXPIRED",
                "DENIED",
                "NOT_GENUINE",
                "WRONG_ROLE",
                "FOREIGN_CARD",
                "REPLAY",
                "LIST_TOO_OLD",
                "BUNDLE_EXPIRED",
                "BALANCE_TOO_LOW",
                "OUTCOME_UNKNOWN",
                "CLOCK_WRONG"
            ]
        );
        for reason in Reason::ALL {
            assert!(!reason.message().is_empty() && reason.action().ends_with('.'));
        }
    }

    #[test]
    fn a_status_without_a_mac_leaves_the_outcome_open() {
        assert!(
            Error::CardRefused {
                step: Step::ReadObject,
                status: 0x6985
            }
            .outcome_unknown()
        );
        assert!(!Error::from(Check::TapMac).outcome_unknown());
    }
}
