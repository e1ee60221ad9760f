//! Why a call did not succeed, and how a program that meets a failure of the photo store ends (`docs/contracts.md`).

use std::borrow::Cow;

use program_contract::{Exit, Failing};
use service_contract::FrameError;

use crate::codes::{CheckCode, FailureCode};

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store refused or could not do it; nothing was changed. The code has message and action.
    #[error("{code}: {message} {action}", code = .0.as_str(), message = .0.texts().message, action = .0.texts().action)]
    Failed(FailureCode),
    /// The connection broke; whether the request was done is not known. It may be repeated.
    #[error("the connection to the photo store broke: {0}. Connect again and repeat the request")]
    Broken(#[source] std::io::Error),
}

impl Error {
    /// Why the photo store's socket could not be connected to.
    #[must_use]
    pub fn from_connecting(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::PermissionDenied => Self::Failed(FailureCode::StoreOtherUser),
            _ => Self::Broken(error),
        }
    }

    /// The code of the closed list that says this.
    #[must_use]
    pub const fn code(&self) -> FailureCode {
        match self {
            Self::Failed(code) => *code,
            Self::Broken(_) => FailureCode::StoreUnreachable,
        }
    }
}

impl From<FrameError> for Error {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Broken(error) => Self::Broken(error),
            FrameError::TooLong { .. } => Self::Failed(FailureCode::TooLarge),
            _ => Self::Failed(FailureCode::Protocol),
        }
    }
}

/// A list of codes ends programs by the texts of its code; the exit code is said beside.
macro_rules! failing {
    ($list:ident, $exit:expr) => {
        impl std::error::Error for $list {}

        impl Failing for $list {
            fn code(&self) -> Cow<'static, str> {
                self.as_str().into()
            }

            fn exit(&self) -> Exit {
                let exit: fn(Self) -> Exit = $exit;
                exit(*self)
            }

            fn message(&self) -> String {
                self.texts().message.to_owned()
            }

            fn action(&self) -> Cow<'static, str> {
                self.texts().action.into()
            }

            fn chinese(&self) -> (String, String) {
                let texts = self.texts();
                (texts.message_zh.to_owned(), texts.action_zh.to_owned())
            }
        }
    };
}

failing!(CheckCode, |_| Exit::Refused);
failing!(FailureCode, exit);

impl Failing for Error {
    fn code(&self) -> Cow<'static, str> {
        Failing::code(&self.code())
    }

    fn exit(&self) -> Exit {
        self.code().exit()
    }

    fn message(&self) -> String {
        self.code().message()
    }

    fn action(&self) -> Cow<'static, str> {
        self.code().action()
    }

    fn chinese(&self) -> (String, String) {
        self.code().chinese()
    }
}

/// The exit code of a failure, by who can mend it.
const fn exit(code: FailureCode) -> Exit {
    use FailureCode as Code;
    match code {
        // Whoever asked, by asking otherwise.
        Code::UnknownProfile | Code::BadField => Exit::Usage,
        // The person at the camera or at the counter: the photo, its receipt or its case stands otherwise.
        Code::PhotoRefused
        | Code::DoesNotFit
        | Code::TooLarge
        | Code::OutputExists
        | Code::StoreExists
        | Code::UnknownPhoto
        | Code::NotConfirmed
        | Code::NothingToConfirm
        | Code::WrongWarnings
        | Code::Shredded
        | Code::UnknownPage
        | Code::TooManyPages
        | Code::UnknownReceipt
        | Code::ReceiptMistyped
        | Code::ReceiptExpired
        | Code::ReceiptUsed
        | Code::PhotoInUse
        | Code::WrongPerson
        | Code::CaseNotOpen
        | Code::TokenInvalid
        | Code::TokenExpired => Exit::Refused,
        // The custodians, or whoever starts services: it is away, and the same request succeeds when it is back.
        Code::VaultSealed
        | Code::VaultUnreachable
        | Code::StoreUnreachable
        | Code::ObjectsUnavailable
        | Code::IndexUnavailable => Exit::Absent,
        // The operator of the machine: full, read-only, damaged, or set up wrongly.
        Code::FileUnreadable
        | Code::OutputUnwritable
        | Code::ObjectsReadOnly
        | Code::IndexReadOnly
        | Code::StoreDenied
        | Code::StorageFull
        | Code::ObjectMissing
        | Code::ObjectDamaged
        | Code::IndexDamaged
        | Code::IndexOtherVersion
        // The vault refuses no photo by a rule: our key is not enrolled, the day's ceiling is reached, its disk is full, or it is damaged.
        | Code::VaultRefused
        | Code::DecoderFault
        | Code::NotAStore
        | Code::NoStore
        | Code::StoreInUse
        | Code::OtherVault
        | Code::VaultKeyUnusable
        | Code::AnchorsUnusable
        | Code::SocketInUse
        | Code::SocketUnusable
        | Code::StoreOtherUser
        | Code::Version
        | Code::Protocol => Exit::Damaged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_ends_by_the_texts_of_the_code_and_by_who_can_mend_it() {
        for (code, exit) in [
            (FailureCode::BadField, 2),
            (FailureCode::ReceiptUsed, 1),
            (FailureCode::VaultSealed, 3),
            (FailureCode::VaultUnreachable, 3),
            (FailureCode::StoreUnreachable, 3),
            (FailureCode::VaultRefused, 5),
            (FailureCode::StorageFull, 5),
        ] {
            let failure = program_contract::Failure::from(Error::Failed(code));
            assert_eq!(
                (failure.exit.code(), failure.code.as_ref()),
                (exit, code.as_str())
            );
            assert_eq!(failure.message, code.texts().message);
            assert_eq!(failure.chinese.1, code.texts().action_zh);
        }
        let broken = Error::Broken(std::io::ErrorKind::BrokenPipe.into());
        assert_eq!(broken.exit(), Exit::Absent);
        assert_eq!(CheckCode::NoFace.exit(), Exit::Refused);
    }
}
