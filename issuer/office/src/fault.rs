//! Whose fault a failure is: one table for the API, the programs and production. The exit codes of a photo store's failure
//! are those of its own program.

use issuer_artwork::ArtworkError;
use photo_store_protocol::FailureCode as Code;

/// Whose fault a refusal is, as HTTP and exit codes need to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What was asked for is not there.
    Absent,
    /// The request's values.
    Request,
    /// The state of the case.
    Conflict,
    /// The person who asked.
    Person,
    /// A service that is away; the same call may succeed later.
    Service,
    /// This machine or program.
    Machine,
}

/// Whose fault a failure of the photo store is.
pub(crate) const fn photo_fault(code: Code) -> Fault {
    match code {
        Code::StoreUnreachable
        | Code::VaultSealed
        | Code::VaultUnreachable
        | Code::ObjectsUnavailable
        | Code::IndexUnavailable
        // Somebody has to make room or give a right back; the request was right and may be repeated.
        | Code::ObjectsReadOnly
        | Code::IndexReadOnly
        | Code::StorageFull
        // The vault refuses no photo by a rule: its disk is full, or it is damaged.
        | Code::VaultRefused => Fault::Service,
        Code::ObjectMissing
        | Code::ObjectDamaged
        | Code::IndexDamaged
        | Code::DecoderFault
        | Code::FileUnreadable
        | Code::OutputUnwritable
        | Code::NotAStore
        | Code::SocketInUse
        | Code::SocketUnusable
        | Code::Version
        | Code::Protocol => Fault::Machine,
        _ => Fault::Request,
    }
}

/// The exit code of a failure of the photo store.
#[must_use]
pub const fn photo_exit(code: Code) -> u8 {
    match (photo_fault(code), code) {
        (Fault::Machine, _)
        | (
            Fault::Service,
            Code::ObjectsReadOnly | Code::IndexReadOnly | Code::StorageFull | Code::VaultRefused,
        ) => 5,
        (Fault::Service, _) => 3,
        (_, Code::Usage | Code::UnknownProfile | Code::BadField) => 2,
        _ => 1,
    }
}

/// The exit code of a face that was not drawn: fonts and templates are part of the installation.
#[must_use]
pub const fn artwork_exit(error: &ArtworkError) -> u8 {
    match error {
        ArtworkError::NoFont => 3,
        ArtworkError::FontUnreadable { .. }
        | ArtworkError::Template { .. }
        | ArtworkError::NoTemplate { .. } => 5,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_is_away_full_or_damaged_is_never_the_fault_of_the_request() {
        for (code, whose, exit) in [
            (Code::VaultUnreachable, Fault::Service, 3),
            (Code::StoreUnreachable, Fault::Service, 3),
            (Code::ObjectsUnavailable, Fault::Service, 3),
            (Code::IndexUnavailable, Fault::Service, 3),
            (Code::StorageFull, Fault::Service, 5),
            (Code::IndexReadOnly, Fault::Service, 5),
            (Code::VaultRefused, Fault::Service, 5),
            (Code::ObjectDamaged, Fault::Machine, 5),
            (Code::ObjectMissing, Fault::Machine, 5),
            (Code::IndexDamaged, Fault::Machine, 5),
            (Code::DecoderFault, Fault::Machine, 5),
            (Code::ReceiptUsed, Fault::Request, 1),
            (Code::WrongPerson, Fault::Request, 1),
        ] {
            assert_eq!(
                (photo_fault(code), photo_exit(code)),
                (whose, exit),
                "{}",
                code.as_str()
            );
        }
    }
}
