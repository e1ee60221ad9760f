//! What a failure of the photo store means for a caller and for an exit code: one table for the API, the programs and
//! production. The exit codes are those of the photo store's own program.

use photo_store_protocol::FailureCode as Code;

use crate::office::Fault;

/// Whose fault it is.
pub(crate) const fn fault(code: Code) -> Fault {
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

/// The exit code of the contracts.
pub(crate) const fn exit_code(code: Code) -> u8 {
    match (fault(code), code) {
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
            assert_eq!((fault(code), exit_code(code)), (whose, exit), "{}", code.as_str());
        }
    }
}
