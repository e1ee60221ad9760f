//! Whose fault a failure is, and with it who can mend it: HTTP status and exit code of every failure of the office follow from
//! this one table.
//!
//! A failure of a crate below is sorted here; one of the office says it itself. A vault or photo store that is sealed or away
//! is never a refusal.

use issuer_artwork::ArtworkError;
use keyvault_protocol as vault;
use keyvault_protocol::RefusalCode;
use photo_store_protocol::FailureCode;
use program_contract::Exit;

use crate::staff::StaffError;

/// Who can mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The caller: what was asked for is not there.
    Absent,
    /// The caller: the request's values.
    Caller,
    /// Nobody at once: the state of the case does not allow it.
    State,
    /// Nobody is known to ask: a token or session that opens nothing.
    Stranger,
    /// Another person has to ask.
    Person,
    /// A service that is sealed or away; the same call may succeed later.
    Service,
    /// Nobody knows yet whether a service did it: the same call again goes on.
    Unknown,
    /// A disk or database of this installation that takes nothing now; the same call may succeed later.
    Storage,
    /// This machine or program: damaged or misconfigured.
    Machine,
}

impl Fault {
    /// The exit code of a program that meets it.
    #[must_use]
    pub const fn exit(self) -> Exit {
        match self {
            Self::Absent | Self::Caller | Self::State | Self::Stranger | Self::Person => Exit::Refused,
            Self::Service => Exit::Absent,
            Self::Unknown => Exit::Unknown,
            Self::Storage | Self::Machine => Exit::Damaged,
        }
    }

    /// Whose fault a failure of the vault is.
    #[must_use]
    pub fn of_vault(error: &vault::Error) -> Self {
        match error {
            vault::Error::NotRunning | vault::Error::HungUp => Self::Service,
            vault::Error::ConnectionLost(_) | vault::Error::NoAnswer => Self::Unknown,
            vault::Error::Refused(refusal) => match refusal.code {
                RefusalCode::Sealed => Self::Service,
                RefusalCode::CardRefused => Self::Unknown,
                RefusalCode::StoreUnavailable | RefusalCode::ClockBehind => Self::Storage,
                RefusalCode::Damaged | RefusalCode::SelfTestFailed | RefusalCode::Malformed => Self::Machine,
                _ => Self::State,
            },
            _ => Self::Machine,
        }
    }

    /// Whose fault a failure of the photo store is.
    #[must_use]
    pub const fn of_photo_store(code: FailureCode) -> Self {
        use FailureCode as Code;
        match code {
            Code::StoreUnreachable
            | Code::VaultSealed
            | Code::VaultUnreachable
            | Code::ObjectsUnavailable
            | Code::IndexUnavailable => Self::Service,
            // Somebody has to make room or give a right back; the request was right and may be repeated.
            Code::ObjectsReadOnly
            | Code::IndexReadOnly
            | Code::StoreDenied
            | Code::StorageFull
            // The vault refuses no photo by a rule: its disk is full, or it is damaged.
            | Code::VaultRefused => Self::Storage,
            Code::ObjectMissing
            | Code::ObjectDamaged
            | Code::IndexDamaged
            | Code::IndexOtherVersion
            | Code::DecoderFault
            | Code::FileUnreadable
            | Code::OutputUnwritable
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
            | Code::Protocol => Self::Machine,
            _ => Self::Caller,
        }
    }

    /// Whose fault it is that somebody may not act.
    #[must_use]
    pub(crate) const fn of_staff(error: &StaffError) -> Self {
        match error {
            StaffError::TokenUnknown | StaffError::NotARehearsal | StaffError::TokenEnded { .. } => {
                Self::Stranger
            }
            StaffError::RoleMissing { .. } => Self::Person,
            StaffError::File(_) | StaffError::Form(_) | StaffError::Twice(_) => Self::Machine,
        }
    }

    /// Whose fault a failure of the ledger is.
    #[must_use]
    pub const fn of_store(error: &issuer_store::Error) -> Self {
        use issuer_store::Error as E;
        match error {
            E::Missing { .. } => Self::Absent,
            E::Exists { .. } | E::Stale { .. } | E::Founded => Self::State,
            E::Domain(error) => Self::of_domain(error),
            error if error.is_outage() => Self::Storage,
            _ => Self::Machine,
        }
    }

    /// Whose fault a breach of a rule of the domain or of a rule set is.
    #[must_use]
    pub const fn of_domain(error: &permit_domain::Error) -> Self {
        use permit_domain::Error as E;
        match error {
            E::WrongState { .. } | E::NothingGranted => Self::State,
            E::SamePersonTwice { .. } => Self::Person,
            E::CardNumbersExhausted
            | E::RuleSetEdited { .. }
            | E::RuleSetInvalid { .. }
            | E::RuleSetUnreadable { .. } => Self::Machine,
            _ => Self::Caller,
        }
    }

    /// Whose fault it is that the ledger does not allow something.
    #[must_use]
    pub(crate) const fn of_refusal(refusal: &permit_domain::Refusal) -> Self {
        use permit_domain::Refusal as R;
        match refusal {
            R::TerminalUnknown { .. } | R::NoCountingTerminal { .. } => Self::Absent,
            R::OtherPeople => Self::Person,
            R::PaperDay { .. } | R::PaperDivision { .. } => Self::Caller,
            _ => Self::State,
        }
    }

    /// Whose fault a face is that was not drawn: fonts and templates are part of the installation.
    #[must_use]
    pub const fn of_artwork(error: &ArtworkError) -> Self {
        match error {
            ArtworkError::NoFont => Self::Service,
            ArtworkError::FontUnreadable { .. } | ArtworkError::Template { .. } => Self::Machine,
            _ => Self::Caller,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_is_away_full_or_damaged_is_never_the_fault_of_the_request() {
        use FailureCode as Code;
        for (code, whose, exit) in [
            (Code::VaultSealed, Fault::Service, 3),
            (Code::VaultUnreachable, Fault::Service, 3),
            (Code::StoreUnreachable, Fault::Service, 3),
            (Code::ObjectsUnavailable, Fault::Service, 3),
            (Code::IndexUnavailable, Fault::Service, 3),
            (Code::StorageFull, Fault::Storage, 5),
            (Code::IndexReadOnly, Fault::Storage, 5),
            (Code::StoreDenied, Fault::Storage, 5),
            (Code::VaultRefused, Fault::Storage, 5),
            (Code::ObjectDamaged, Fault::Machine, 5),
            (Code::ObjectMissing, Fault::Machine, 5),
            (Code::IndexDamaged, Fault::Machine, 5),
            (Code::DecoderFault, Fault::Machine, 5),
            (Code::ReceiptUsed, Fault::Caller, 1),
            (Code::WrongPerson, Fault::Caller, 1),
        ] {
            let fault = Fault::of_photo_store(code);
            assert_eq!((fault, fault.exit().code()), (whose, exit), "{}", code.as_str());
        }
    }

    #[test]
    fn a_vault_that_is_sealed_or_away_never_refuses() {
        let refused = |code| {
            Fault::of_vault(&vault::Error::Refused(vault::Refusal {
                code,
                message: String::new(),
                action: String::new(),
                message_zh: String::new(),
                action_zh: String::new(),
            }))
        };
        assert_eq!(refused(RefusalCode::Sealed), Fault::Service);
        assert_eq!(Fault::of_vault(&vault::Error::NotRunning), Fault::Service);
        assert_eq!(refused(RefusalCode::StoreUnavailable), Fault::Storage);
        assert_eq!(refused(RefusalCode::CardDenied), Fault::State);
        assert_eq!(Fault::Service.exit(), Exit::Absent);
    }
}
