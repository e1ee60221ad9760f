//! Who fetches a card in its holder's name, by a power of attorney: a name and a kind of document, and nothing else of the person.
//!
//! Left out on purpose: the document's number and any copy of it. The clerk looks at both papers and gives them back.

use std::fmt;
use std::str::FromStr;

use crate::applicant::PersonName;
use crate::error::Error;

/// What the agent showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentDocument {
    /// Identity card (居民身份证).
    IdentityCard,
    /// Residence permit of Hong Kong, Macao or Taiwan residents (港澳台居民居住证).
    RegionPermit,
    /// Passport.
    Passport,
    /// Foreigner's permanent residence card (外国人永久居留身份证).
    ForeignerCard,
}

impl AgentDocument {
    /// Every kind.
    pub const ALL: [Self; 4] = [
        Self::IdentityCard,
        Self::RegionPermit,
        Self::Passport,
        Self::ForeignerCard,
    ];

    /// The name in forms and in the ledger.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::IdentityCard => "IDENTITY_CARD",
            Self::RegionPermit => "REGION_PERMIT",
            Self::Passport => "PASSPORT",
            Self::ForeignerCard => "FOREIGNER_CARD",
        }
    }
}

impl fmt::Display for AgentDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for AgentDocument {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or(Error::UnknownCode {
                table: "documents of an agent",
            })
    }
}

/// An agent with a power of attorney.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// As the document has it.
    pub name: PersonName,
    /// Which document.
    pub document: AgentDocument,
}
