//! The signers of the authority, each for one kind of statement, and their numbers in what they sign.

/// The signers, each for one kind of statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Signer {
    CardCa,
    TerminalCaRoot,
    TerminalCaIntermediate,
    Document,
    Entitlement,
    DenyList,
    Audit,
    /// Signs the transport key while the vault is open: by it clients know the vault of their anchors.
    Operating,
}

impl Signer {
    pub(crate) const ALL: [Self; 8] = [
        Self::CardCa,
        Self::TerminalCaRoot,
        Self::TerminalCaIntermediate,
        Self::Document,
        Self::Entitlement,
        Self::DenyList,
        Self::Audit,
        Self::Operating,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CardCa => "card-ca",
            Self::TerminalCaRoot => "terminal-ca-root",
            Self::TerminalCaIntermediate => "terminal-ca-intermediate",
            Self::Document => "document-signer",
            Self::Entitlement => "entitlement-signer",
            Self::DenyList => "deny-list-signer",
            Self::Audit => "audit-signer",
            Self::Operating => "operating-key",
        }
    }
}

/// Number of the card CA's key in card certificates.
pub(crate) const CARD_CA_NUMBER: u8 = 1;

/// Number of the document signer's key in signature objects.
pub(crate) const DOCUMENT_SIGNER_NUMBER: u8 = 1;
