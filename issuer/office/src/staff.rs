//! Who may call the API, and in which role: the staff file.
//!
//! TOML, one `[[staff]]` table each: `account`, `roles`, `token_sha256` (64 hex digits of a random token of 32 bytes that
//! the member of staff's program sends as `Authorization: Bearer`). A token is random, so a plain digest is enough.
//! The actor of a step is the owner of the token and never a field of the request: a person cannot review under
//! another's name. Left out: passwords, and signing in with `WebAuthn`, which comes with the counter's pages.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use permit_domain::StaffId;
use program_contract::{Exit, Failing};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What a member of staff may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StaffRole {
    /// Takes applications.
    IntakeClerk,
    /// Decides applications by the rule set.
    Reviewer,
    /// Signs a decision off.
    Approver,
    /// Orders and makes cards.
    Producer,
    /// Hands cards over.
    HandOverClerk,
    /// Proposes changes of cards in use, takes money for loads, reports losses.
    ChangeClerk,
    /// Registers payment terminals, imports their files and the cards' receipts.
    SettlementOfficer,
}

impl StaffRole {
    /// The name in the file and in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::IntakeClerk => "INTAKE_CLERK",
            Self::Reviewer => "REVIEWER",
            Self::Approver => "APPROVER",
            Self::Producer => "PRODUCER",
            Self::HandOverClerk => "HAND_OVER_CLERK",
            Self::ChangeClerk => "CHANGE_CLERK",
            Self::SettlementOfficer => "SETTLEMENT_OFFICER",
        }
    }
}

/// Why the staff file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StaffError {
    /// The file cannot be read.
    #[error("the staff file cannot be read: {0}")]
    File(#[source] std::io::Error),
    /// The file is not in its form. The position, never the content.
    #[error("the staff file has a wrong form: {0}")]
    Form(String),
    /// Two entries share an account or a token.
    #[error("the staff file names {0} twice, or gives two accounts one token")]
    Twice(StaffId),
    /// Nobody has this account.
    #[error("the staff file has no account {0}")]
    Unknown(StaffId),
    /// The account may not do this.
    #[error("the account {account} does not have the role {}", role.name())]
    RoleMissing {
        /// The account.
        account: StaffId,
        /// What it would have to have.
        role: StaffRole,
    },
}

impl StaffError {
    /// The code for programs, from a closed list.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::File(_) => "STAFF_FILE",
            Self::Form(_) => "STAFF_FORM",
            Self::Twice(_) => "STAFF_TWICE",
            Self::Unknown(_) => "STAFF_UNKNOWN",
            Self::RoleMissing { .. } => "ROLE_MISSING",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self {
            Self::File(_) => "Check the path and its rights.",
            Self::Form(_) => "Write [[staff]] tables with account, roles and token_sha256, and nothing else.",
            Self::Twice(_) => "Give every account one entry and a token of its own.",
            Self::Unknown(_) => "Name an account of staff.toml.",
            Self::RoleMissing { .. } => "Ask somebody who has the role.",
        }
    }
}

impl Failing for StaffError {
    fn code(&self) -> Cow<'static, str> {
        self.code().into()
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Unknown(_) | Self::RoleMissing { .. } => Exit::Refused,
            Self::File(_) | Self::Form(_) | Self::Twice(_) => Exit::Damaged,
        }
    }

    fn action(&self) -> Cow<'static, str> {
        self.action().into()
    }
}

/// A member of staff.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The account.
    pub account: StaffId,
    /// What the account may do.
    pub roles: Vec<StaffRole>,
    token_sha256: String,
}

impl Member {
    /// An entry for the holder of `token`.
    #[must_use]
    pub fn new(account: StaffId, roles: Vec<StaffRole>, token: &str) -> Self {
        Self {
            account,
            roles,
            token_sha256: digest(token),
        }
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Member({}, {:?})", self.account, self.roles)
    }
}

/// All members of staff.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Staff {
    #[serde(default)]
    staff: Vec<Member>,
}

impl Staff {
    /// A list.
    ///
    /// # Errors
    /// [`StaffError::Twice`].
    pub fn new(staff: Vec<Member>) -> Result<Self, StaffError> {
        for (index, member) in staff.iter().enumerate() {
            let same = |other: &&Member| {
                other.account == member.account || other.token_sha256 == member.token_sha256
            };
            if staff.iter().skip(index + 1).find(same).is_some() {
                return Err(StaffError::Twice(member.account.clone()));
            }
        }
        Ok(Self { staff })
    }

    /// Parses the file's text.
    ///
    /// # Errors
    /// [`StaffError::Form`], [`StaffError::Twice`].
    pub fn parse(text: &str) -> Result<Self, StaffError> {
        let read: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(0, |span| {
                text.get(..span.start).unwrap_or_default().lines().count()
            });
            StaffError::Form(format!("line {line}: {}", error.message()))
        })?;
        let digests_fit = |member: &Member| {
            member.token_sha256.len() == 64
                && member
                    .token_sha256
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        if !read.staff.iter().all(digests_fit) {
            return Err(StaffError::Form(
                "a token_sha256 is not 64 lower-case hex digits".into(),
            ));
        }
        Self::new(read.staff)
    }

    /// Reads the file.
    ///
    /// # Errors
    /// Every [`StaffError`].
    pub fn load(path: &Path) -> Result<Self, StaffError> {
        Self::parse(&std::fs::read_to_string(path).map_err(StaffError::File)?)
    }

    /// The file's text.
    ///
    /// # Errors
    /// [`StaffError::Form`] if it cannot be written as TOML.
    pub fn to_toml(&self) -> Result<String, StaffError> {
        toml::to_string(self).map_err(|error| StaffError::Form(error.to_string()))
    }

    /// The account, if it may act in this role.
    ///
    /// # Errors
    /// [`StaffError::Unknown`] for an account that is not in the file, [`StaffError::RoleMissing`].
    pub fn acting_as(&self, account: &StaffId, role: StaffRole) -> Result<StaffId, StaffError> {
        let member = self.staff.iter().find(|member| member.account == *account);
        let member = member.ok_or_else(|| StaffError::Unknown(account.clone()))?;
        if member.roles.contains(&role) {
            Ok(member.account.clone())
        } else {
            let account = account.clone();
            Err(StaffError::RoleMissing { account, role })
        }
    }

    /// The owner of a token.
    #[must_use]
    pub fn owner(&self, token: &str) -> Option<&Member> {
        // Digests are compared, not tokens: the time of a comparison tells nothing that helps to guess a token.
        let digest = digest(token);
        self.staff.iter().find(|member| member.token_sha256 == digest)
    }
}

fn digest(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(account: &str, token: &str) -> Member {
        Member::new(account.parse().unwrap(), vec![StaffRole::Reviewer], token)
    }

    #[test]
    fn the_owner_of_a_token_is_found_and_nobody_else() {
        let staff = Staff::new(vec![member("wang", "token one"), member("zhao", "token two")]).unwrap();
        assert_eq!(staff.owner("token two").unwrap().account.as_str(), "zhao");
        assert_eq!(staff.owner("token three"), None);
    }

    #[test]
    fn an_account_acts_in_its_own_roles_and_nobody_acts_under_a_name_that_is_not_there() {
        let staff = Staff::new(vec![member("wang", "token one")]).unwrap();
        let wang: StaffId = "wang".parse().unwrap();
        assert_eq!(staff.acting_as(&wang, StaffRole::Reviewer).unwrap(), wang);
        let refused = |account: &str, role| {
            let account = account.parse().unwrap();
            staff.acting_as(&account, role).unwrap_err().code()
        };
        assert_eq!(refused("wang", StaffRole::HandOverClerk), "ROLE_MISSING");
        assert_eq!(refused("nobody", StaffRole::Reviewer), "STAFF_UNKNOWN");
    }

    #[test]
    fn a_staff_file_reads_back() {
        let staff = Staff::new(vec![member("wang", "token one"), member("zhao", "token two")]).unwrap();
        assert_eq!(Staff::parse(&staff.to_toml().unwrap()).unwrap(), staff);
    }

    #[test]
    fn two_accounts_with_one_token_are_refused() {
        assert_eq!(
            Staff::new(vec![member("wang", "same"), member("zhao", "same")])
                .unwrap_err()
                .code(),
            "STAFF_TWICE"
        );
        assert_eq!(
            Staff::new(vec![member("wang", "a"), member("wang", "b")])
                .unwrap_err()
                .code(),
            "STAFF_TWICE"
        );
    }

    #[test]
    fn an_unknown_key_or_a_token_in_clear_is_refused() {
        for text in [
            "[[staff]]\naccount = \"wang\"\nroles = []\ntoken = \"x\"",
            "[[staff]]\naccount = \"wang\"\nroles = [\"REVIEWER\"]\ntoken_sha256 = \"secret\"",
        ] {
            let error = Staff::parse(text).unwrap_err();
            assert_eq!(error.code(), "STAFF_FORM");
            assert!(!error.to_string().contains("secret"));
        }
    }
}
