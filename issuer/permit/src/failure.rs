//! Failures as the contracts show them: code, message, action, exit code.

use std::borrow::Cow;

/// Exit codes of the contracts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Refused by a rule or a check.
    Refused,
    /// Usage, unknown keys in input files too.
    Usage,
    /// Device or service absent.
    Absent,
    /// Outcome unknown: resume.
    Unknown,
    /// Damaged or misconfigured.
    Damaged,
}

impl Exit {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Refused => 1,
            Self::Usage => 2,
            Self::Absent => 3,
            Self::Unknown => 4,
            Self::Damaged => 5,
        }
    }

    pub(crate) const fn from_code(code: i32) -> Self {
        match code {
            1 => Self::Refused,
            2 => Self::Usage,
            3 => Self::Absent,
            4 => Self::Unknown,
            _ => Self::Damaged,
        }
    }
}

/// What happened, and what to do.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: String,
    pub(crate) action: Cow<'static, str>,
    /// Further keys of the object, such as the explanation of a refused application.
    pub(crate) fields: serde_json::Map<String, serde_json::Value>,
}

impl Failure {
    pub(crate) fn new(
        exit: Exit,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
        action: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            exit,
            code: code.into(),
            message: message.into(),
            action: action.into(),
            fields: serde_json::Map::new(),
        }
    }

    /// A file that cannot be read or written.
    pub(crate) fn file(doing: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(
            Exit::Damaged,
            "FILE",
            format!("cannot {doing} {}: {error}", path.display()),
            "Check the path, its rights and the disk, and run the same command again.",
        )
    }

    /// Something of the machine.
    pub(crate) fn machine(what: &str, error: &dyn std::error::Error) -> Self {
        Self::new(
            Exit::Damaged,
            "MACHINE",
            format!("{what}: {error}"),
            "Check the machine, and run the same command again.",
        )
    }

    /// A service of ours that is not there.
    pub(crate) fn absent(what: &str, log: &std::path::Path) -> Self {
        Self::new(
            Exit::Absent,
            "SERVICE_ABSENT",
            format!("{what} does not answer"),
            format!("Read its log, {}, and run the same command again.", log.display()),
        )
    }

    pub(crate) fn interrupted() -> Self {
        Self::new(
            Exit::Unknown,
            "INTERRUPTED",
            "interrupted; everything that was started has been ended",
            "Run the same command again with the same --dir: it goes on where it stopped.",
        )
    }
}

impl From<keyvault_protocol::Error> for Failure {
    fn from(error: keyvault_protocol::Error) -> Self {
        let exit = Exit::from_code(i32::from(error.exit_code()));
        match error.refusal() {
            Some(refusal) => Self::new(
                exit,
                error.code(),
                refusal.message.clone(),
                refusal.action.clone(),
            ),
            None => Self::new(
                exit,
                error.code(),
                error.to_string(),
                "Check the vault's log, and run the same command again.",
            ),
        }
    }
}

impl From<photo_store_protocol::Error> for Failure {
    fn from(error: photo_store_protocol::Error) -> Self {
        let code = error.code();
        let texts = code.texts();
        Self::new(photo_exit(&error), code.as_str(), texts.message, texts.action)
    }
}

/// The exit codes of the photo store's own program.
const fn photo_exit(error: &photo_store_protocol::Error) -> Exit {
    use photo_store_protocol::FailureCode as Code;
    match error.code() {
        Code::Usage | Code::UnknownProfile | Code::BadField => Exit::Usage,
        Code::VaultSealed
        | Code::VaultUnreachable
        | Code::StoreUnreachable
        | Code::ObjectsUnavailable
        | Code::IndexUnavailable => Exit::Absent,
        Code::FileUnreadable
        | Code::OutputUnwritable
        | Code::ObjectsReadOnly
        | Code::IndexReadOnly
        | Code::StorageFull
        | Code::ObjectMissing
        | Code::ObjectDamaged
        | Code::IndexDamaged
        // The vault refuses no photo by a rule: its disk is full, or it is damaged.
        | Code::VaultRefused
        | Code::DecoderFault
        | Code::NotAStore
        | Code::SocketInUse
        | Code::SocketUnusable
        | Code::Version
        | Code::Protocol => Exit::Damaged,
        _ => Exit::Refused,
    }
}

impl From<issuer_office::error::OfficeError> for Failure {
    fn from(error: issuer_office::error::OfficeError) -> Self {
        use issuer_office::{error::OfficeError, fault::Fault};
        let exit = match (&error, error.fault()) {
            (OfficeError::Photo(error), _) => photo_exit(error),
            (_, Fault::Absent | Fault::Request | Fault::Conflict | Fault::Person) => Exit::Refused,
            // The ledger is a file or a database of ours: a full disk is no absent service.
            (OfficeError::Store(_), Fault::Service) | (_, Fault::Machine) => Exit::Damaged,
            (_, Fault::Service) => Exit::Absent,
        };
        Self::new(exit, error.code(), error.to_string(), error.action())
    }
}

impl From<issuer_store::Error> for Failure {
    fn from(error: issuer_store::Error) -> Self {
        issuer_office::error::OfficeError::from(error).into()
    }
}

impl From<permit_domain::Error> for Failure {
    fn from(error: permit_domain::Error) -> Self {
        Self::new(Exit::Refused, error.code(), error.to_string(), error.action())
    }
}

impl From<issuer_production::ProductionError> for Failure {
    fn from(error: issuer_production::ProductionError) -> Self {
        let exit = Exit::from_code(i32::from(error.exit_code()));
        Self::new(exit, error.code(), error.to_string(), error.action())
    }
}

impl From<virtual_card::Error> for Failure {
    fn from(error: virtual_card::Error) -> Self {
        use virtual_card::Error as E;
        let exit = match error {
            E::LotRefused { .. } | E::NoSuchBlank { .. } | E::Refused { .. } => Exit::Refused,
            E::File { .. } | E::NotACard { .. } | E::KeyForm { .. } | E::BlankFailed => Exit::Damaged,
            _ => Exit::Absent,
        };
        Self::new(
            exit,
            error.code().to_owned(),
            error.to_string(),
            error.action().to_owned(),
        )
    }
}

impl From<card_reader::transport::TransportError> for Failure {
    fn from(error: card_reader::transport::TransportError) -> Self {
        let exit = match error.outcome() {
            card_reader::transport::Outcome::Unknown => Exit::Unknown,
            card_reader::transport::Outcome::NotSent => Exit::Absent,
        };
        Self::new(exit, error.code(), error.to_string(), error.action())
    }
}

impl From<card_reader::MaterialError> for Failure {
    fn from(error: card_reader::MaterialError) -> Self {
        Self::new(Exit::Damaged, error.code(), error.to_string(), error.action())
    }
}
