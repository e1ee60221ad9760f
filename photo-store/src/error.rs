//! Everything that can go wrong in the store, each with its code of the closed list.

use photo_store_protocol::FailureCode;
use program_contract::Failure;

/// Why the store could not do something. What it was doing is undone or was never begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A rule of the store says no.
    #[error("{code}: {message} {action}", code = .0.as_str(), message = .0.texts().message, action = .0.texts().action)]
    Refused(FailureCode),
    /// A picture that passed the checks could not be made.
    #[error(transparent)]
    Picture(#[from] photo_picture::error::Error),
    /// A decoder broke off, or did not read what this store itself wrote.
    #[error("a decoder broke off. Report the file's format and size to the maintainers")]
    Decoder,
    /// The index cannot be used.
    #[error("the photo index failed: {0}. Check the database and try again")]
    Index(#[source] Box<sqlx::Error>),
    /// The index holds something that this program never wrote.
    #[error("the photo index holds a value that cannot be read ({0}). Restore it from the backup")]
    IndexDamaged(&'static str),
    /// The object store cannot be used.
    #[error("the photo objects failed: {0}. Check the object store and try again")]
    Objects(#[source] Box<object_store::Error>),
    /// A sealed object does not open: damaged, exchanged, or sealed for another photo.
    #[error("a sealed photo does not open: it is damaged or was exchanged. Restore it from the backup")]
    Seal,
    /// The vault said no or did not answer.
    #[error("the key vault did not serve: {0}")]
    Vault(FailureCode),
    /// The random source of the machine failed.
    #[error("the machine's random source failed. Restart the machine")]
    Random,
}

impl Error {
    /// The code of the closed list.
    #[must_use]
    pub fn code(&self) -> FailureCode {
        match self {
            Self::Refused(code) | Self::Vault(code) => *code,
            Self::Picture(photo_picture::error::Error::DoesNotFit) => FailureCode::DoesNotFit,
            Self::Picture(_) | Self::Decoder | Self::Random => FailureCode::DecoderFault,
            Self::Index(error) => index_code(error),
            Self::IndexDamaged(_) => FailureCode::IndexDamaged,
            Self::Objects(error) => objects_code(error),
            Self::Seal => FailureCode::ObjectDamaged,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        tracing::debug!(%error, "failed");
        error.code().into()
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Index(Box::new(error))
    }
}

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        Self::Objects(Box::new(error))
    }
}

/// Tells a full disk, a read-only mount and a damaged file from a database that is merely away. Codes: SQLite 8
/// (read-only), 10 and its extensions (input/output), 11 (corrupt), 13 (full), 14 (cannot open), 26 (not a database);
/// PostgreSQL 53100 (disk full) and 25006 (read-only transaction).
fn index_code(error: &sqlx::Error) -> FailureCode {
    let Some(database) = error.as_database_error() else {
        return FailureCode::IndexUnavailable;
    };
    let code = database.code().unwrap_or_default();
    if database.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
        return match code.parse::<u32>().unwrap_or_default() & 0xff {
            8 => FailureCode::IndexReadOnly,
            11 | 26 => FailureCode::IndexDamaged,
            13 => FailureCode::StorageFull,
            _ => FailureCode::IndexUnavailable,
        };
    }
    match code.as_ref() {
        "53100" => FailureCode::StorageFull,
        "25006" => FailureCode::IndexReadOnly,
        _ => FailureCode::IndexUnavailable,
    }
}

/// Looks through an object store's error for the operating system's reason.
fn objects_code(error: &object_store::Error) -> FailureCode {
    if matches!(error, object_store::Error::NotFound { .. }) {
        return FailureCode::ObjectMissing;
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(io) = current.downcast_ref::<std::io::Error>() {
            return match io.kind() {
                std::io::ErrorKind::ReadOnlyFilesystem => FailureCode::ObjectsReadOnly,
                std::io::ErrorKind::PermissionDenied => FailureCode::StoreDenied,
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                    FailureCode::StorageFull
                }
                _ => FailureCode::ObjectsUnavailable,
            };
        }
        cause = current.source();
    }
    FailureCode::ObjectsUnavailable
}
