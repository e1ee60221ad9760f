//! Versions of role keys: their names and their rows.
//!
//! The rows are in memory while the vault is open and change with their transaction only, so that no cache outlives a
//! revocation (claim K11).

use std::collections::BTreeMap;

use card_applet_spec::codes::{KeyState, Region, Role};
use card_applet_spec::date::Date;
use jiff::Timestamp;
use keyvault_protocol::RoleKeyState;
use minicbor::{Decode, Encode};

/// Role, region and key version: the narrowest level that a terminal works with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RoleKeyId {
    pub(crate) role: Role,
    pub(crate) region: Region,
    pub(crate) version: u8,
}

impl RoleKeyId {
    /// Id of its row.
    pub(crate) fn row_id(self) -> [u8; 5] {
        let [a, b, c] = self.region.to_bytes();
        [self.role.code(), a, b, c, self.version]
    }

    pub(crate) fn from_row_id(id: &[u8]) -> Option<Self> {
        let [role, a, b, c, version] = *id else {
            return None;
        };
        Some(Self {
            role: Role::try_from(role).ok()?,
            region: Region::from_bytes([a, b, c]).ok()?,
            version,
        })
    }

    /// Role, region and version for the journal and for messages.
    pub(crate) fn words(self) -> String {
        format!("{}/{}/{}", self.role, self.region, self.version)
    }
}

/// Row of a version; its id is role, region and version.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct RoleKeyRow {
    #[n(0)]
    pub(crate) state: RoleKeyState,
    /// Last day of a Draining version, date4.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) until: Option<[u8; 4]>,
    /// Seconds since 1970 of the last transition.
    #[n(2)]
    pub(crate) since: i64,
    /// Cards with a live slot of this version.
    #[n(3)]
    pub(crate) cards: u64,
    /// Cards whose only live slot of the role it is.
    #[n(4)]
    pub(crate) alone: u64,
}

impl RoleKeyRow {
    pub(crate) fn active(now: Timestamp) -> Self {
        Self {
            state: RoleKeyState::Active,
            until: None,
            since: now.as_second(),
            cards: 0,
            alone: 0,
        }
    }

    /// State and last day as terminals see them on `today`; none when no terminal may use it.
    pub(crate) fn usable(&self, today: Date) -> Option<(KeyState, Date)> {
        match self.state {
            RoleKeyState::Active => Some((KeyState::Active, Date::NONE)),
            RoleKeyState::Draining => {
                let until = Date::from_bytes(self.until?).ok()?;
                (until >= today).then_some((KeyState::Draining, until))
            }
            _ => None,
        }
    }
}

/// All versions, by role, region and number.
pub(crate) type Roles = BTreeMap<RoleKeyId, RoleKeyRow>;
