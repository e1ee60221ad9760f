//! Who may do what: the staff file.
//!
//! TOML, one `[[staff]]` table each: `account`, `roles`, `token_sha256` (64 hex digits: of the random token of 32 bytes that
//! a program sends as `Authorization: Bearer`, with which a person signs in at a command line, and which invites that person once to
//! enrol authenticators at the counter's pages) and `token_until`, the last day of the token and of all that its account does. A token is random, so a plain digest is enough. The actor of a step is the owner of the token and never
//! a field of the request: a person cannot review under another's name.
//!
//! The file is the authority at every moment: [`StaffFile`] reads it again when it changed, and a file that cannot be read
//! lets nobody in. Left out: passwords, and the authenticators by which people sign in to the counter's pages (`authenticators`).

use std::borrow::Cow;
use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::civil::Date;
use permit_domain::StaffId;
use program_contract::language::Said as _;
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
    /// Answers who read a photo; changes nothing.
    Auditor,
    /// Sees how the office stands, closes its day, answers for both.
    Chief,
    /// Brings accounts back with another one, and removes lost authenticators; sees no case.
    Administrator,
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
            Self::Auditor => "AUDITOR",
            Self::Chief => "CHIEF",
            Self::Administrator => "ADMINISTRATOR",
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
    /// Nobody has this token.
    #[error("this is no token of a member of staff")]
    TokenUnknown,
    /// Sample staff sign in to a rehearsal alone.
    #[error("this is no rehearsal: nobody signs in by a name")]
    NotARehearsal,
    /// The token's last day is over.
    #[error("the token of {account} ended on {until}")]
    TokenEnded {
        /// Whose it was.
        account: StaffId,
        /// Its last day.
        until: Date,
    },
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
            Self::TokenUnknown => "NOT_SIGNED_IN",
            Self::NotARehearsal => "NOT_A_REHEARSAL",
            Self::TokenEnded { .. } => "TOKEN_ENDED",
            Self::RoleMissing { .. } => "ROLE_MISSING",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        match self {
            Self::File(_) => "Check the path and its rights.",
            Self::Form(_) => {
                "Write [[staff]] tables with account, roles, token_sha256 and token_until, and nothing else."
            }
            Self::Twice(_) => "Give every account one entry and a token of its own.",
            Self::TokenUnknown | Self::NotARehearsal => {
                "Take the token that was given to you for this office."
            }
            Self::TokenEnded { .. } => "Ask whoever keeps staff.toml for a new token.",
            Self::RoleMissing { .. } => "Ask somebody who has the role.",
        }
    }

    /// What happened and what to do, in Chinese.
    #[must_use]
    pub fn chinese(&self) -> (String, &'static str) {
        match self {
            Self::File(error) => (
                format!("工作人员文件无法读取：{}", error.zh()),
                "请检查路径及其权限。",
            ),
            Self::Form(problem) => (
                format!("工作人员文件格式不对：{problem}"),
                "请只写 [[staff]] 表，含 account、roles、token_sha256 和 token_until。",
            ),
            Self::Twice(account) => (
                format!("工作人员文件中 {account} 出现两次，或两个账号共用一个令牌"),
                "请让每个账号只有一项和自己的令牌。",
            ),
            Self::TokenUnknown => ("这不是工作人员的令牌".to_owned(), "请使用本机关发给您的令牌。"),
            Self::NotARehearsal => (
                "这不是演练系统，不能只报姓名登录".to_owned(),
                "请使用本机关发给您的令牌。",
            ),
            Self::TokenEnded { account, until } => (
                format!("{account} 的令牌已于 {until} 到期"),
                "请向 staff.toml 的维护人领取新令牌。",
            ),
            Self::RoleMissing { account, role } => (
                format!("账号 {account} 没有 {} 角色", role.name()),
                "请由有该角色的人办理。",
            ),
        }
    }
}

impl Failing for StaffError {
    fn code(&self) -> Cow<'static, str> {
        self.code().into()
    }

    fn exit(&self) -> Exit {
        match self {
            Self::TokenUnknown | Self::NotARehearsal | Self::TokenEnded { .. } | Self::RoleMissing { .. } => {
                Exit::Refused
            }
            Self::File(_) | Self::Form(_) | Self::Twice(_) => Exit::Damaged,
        }
    }

    fn action(&self) -> Cow<'static, str> {
        self.action().into()
    }

    fn chinese(&self) -> (String, String) {
        let (message, action) = self.chinese();
        (message, action.to_owned())
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
    token_until: Date,
}

impl Member {
    /// An entry for the holder of `token`, which works up to its last day.
    #[must_use]
    pub fn new(account: StaffId, roles: Vec<StaffRole>, token: &str, until: Date) -> Self {
        Self {
            account,
            roles,
            token_sha256: digest(token),
            token_until: until,
        }
    }

    /// The account, if it may act in this role.
    ///
    /// # Errors
    /// [`StaffError::RoleMissing`].
    pub fn acting_as(&self, role: StaffRole) -> Result<StaffId, StaffError> {
        let account = self.account.clone();
        if self.roles.contains(&role) {
            Ok(account)
        } else {
            Err(StaffError::RoleMissing { account, role })
        }
    }

    pub(crate) fn token_sha256(&self) -> &str {
        &self.token_sha256
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

    /// Whether an account has this name.
    #[must_use]
    pub fn has(&self, account: &StaffId) -> bool {
        self.staff.iter().any(|member| member.account == *account)
    }

    /// The owner of a token.
    ///
    /// # Errors
    /// [`StaffError::TokenUnknown`], [`StaffError::TokenEnded`].
    pub fn owner(&self, token: &str, today: Date) -> Result<&Member, StaffError> {
        // Digests are compared, not tokens: the time of a comparison tells nothing that helps to guess a token.
        self.owner_of_digest(&digest(token), today)
    }

    pub(crate) fn owner_of_digest(&self, token_sha256: &str, today: Date) -> Result<&Member, StaffError> {
        in_time(
            self.staff
                .iter()
                .find(|member| member.token_sha256 == token_sha256),
            today,
        )
    }

    /// The member with this account, while the token lasts.
    pub(crate) fn member(&self, account: &StaffId, today: Date) -> Result<&Member, StaffError> {
        in_time(self.staff.iter().find(|member| member.account == *account), today)
    }

    /// Everybody, in the order of the file.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.staff
    }
}

/// A member who was found, unless the token has ended.
fn in_time(found: Option<&Member>, today: Date) -> Result<&Member, StaffError> {
    let member = found.ok_or(StaffError::TokenUnknown)?;
    if today > member.token_until {
        return Err(StaffError::TokenEnded {
            account: member.account.clone(),
            until: member.token_until,
        });
    }
    Ok(member)
}

/// The staff file as it stands: read again when it changed.
#[derive(Debug)]
pub struct StaffFile {
    path: PathBuf,
    read: Mutex<Option<(Stamp, Arc<Staff>)>>,
}

/// By what a changed file is told: a file that was replaced is another one, one that was edited has another time or length.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    changed: (i64, i64),
    length: u64,
}

impl StaffFile {
    /// The file at this path, which is read at the first question.
    #[must_use]
    pub const fn at(path: PathBuf) -> Self {
        Self {
            path,
            read: Mutex::new(None),
        }
    }

    /// Everybody who is in the file now.
    ///
    /// # Errors
    /// [`StaffError::File`], [`StaffError::Form`], [`StaffError::Twice`]: who was in the file before is not let in either.
    pub fn now(&self) -> Result<Arc<Staff>, StaffError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let found = std::fs::metadata(&self.path).map_err(StaffError::File)?;
        let stamp = Stamp {
            file: (found.dev(), found.ino()),
            changed: (found.mtime(), found.mtime_nsec()),
            length: found.len(),
        };
        match &*read {
            Some((known, staff)) if *known == stamp => Ok(Arc::clone(staff)),
            _ => {
                let staff = Arc::new(Staff::load(&self.path)?);
                *read = Some((stamp, Arc::clone(&staff)));
                Ok(staff)
            }
        }
    }
}

fn digest(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    const TODAY: Date = date(2026, 11, 21);
    const UNTIL: Date = date(2026, 12, 31);

    fn member(account: &str, token: &str) -> Member {
        Member::new(account.parse().unwrap(), vec![StaffRole::Reviewer], token, UNTIL)
    }

    #[test]
    fn the_owner_of_a_token_is_found_and_nobody_else() {
        let staff = Staff::new(vec![member("wang", "token one"), member("zhao", "token two")]).unwrap();
        assert_eq!(staff.owner("token two", TODAY).unwrap().account.as_str(), "zhao");
        assert_eq!(
            staff.owner("token three", TODAY).unwrap_err().code(),
            "NOT_SIGNED_IN"
        );
    }

    #[test]
    fn a_token_works_on_its_last_day_and_never_again() {
        let staff = Staff::new(vec![member("wang", "token one")]).unwrap();
        assert!(staff.owner("token one", UNTIL).is_ok());
        for late in [UNTIL.tomorrow().unwrap(), date(2046, 12, 31)] {
            assert_eq!(staff.owner("token one", late).unwrap_err().code(), "TOKEN_ENDED");
        }
    }

    #[test]
    fn the_file_is_the_authority_at_every_moment() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("staff.toml");
        let file = StaffFile::at(path.clone());
        assert_eq!(file.now().unwrap_err().code(), "STAFF_FILE");
        let write = |members: Vec<Member>| {
            let text = Staff::new(members).unwrap().to_toml().unwrap();
            program_contract::file::replace(&path, text.as_bytes(), program_contract::file::PRIVATE).unwrap();
        };
        write(vec![member("wang", "token one"), member("zhao", "token two")]);
        assert!(file.now().unwrap().owner("token two", TODAY).is_ok());
        assert!(Arc::ptr_eq(&file.now().unwrap(), &file.now().unwrap()));
        write(vec![member("wang", "token one")]);
        assert_eq!(
            file.now().unwrap().owner("token two", TODAY).unwrap_err().code(),
            "NOT_SIGNED_IN"
        );
        // Half an edit lets nobody in, also nobody who was in before; mended, it is read again.
        std::fs::write(&path, "[[staff]]\naccount = ").unwrap();
        assert_eq!(file.now().unwrap_err().code(), "STAFF_FORM");
        assert_eq!(file.now().unwrap_err().code(), "STAFF_FORM");
        write(vec![member("wang", "token one")]);
        assert!(file.now().unwrap().owner("token one", TODAY).is_ok());
    }

    #[test]
    fn a_member_acts_in_the_own_roles_alone() {
        let wang = member("wang", "token one");
        assert_eq!(wang.acting_as(StaffRole::Reviewer).unwrap().as_str(), "wang");
        assert_eq!(
            wang.acting_as(StaffRole::HandOverClerk).unwrap_err().code(),
            "ROLE_MISSING"
        );
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
            "[[staff]]\naccount = \"wang\"\nroles = [\"REVIEWER\"]\ntoken_sha256 = \"secret\"\ntoken_until = \"2026-12-31\"",
            &format!(
                "[[staff]]\naccount = \"wang\"\nroles = []\ntoken_sha256 = \"{}\"",
                "0".repeat(64)
            ),
        ] {
            let error = Staff::parse(text).unwrap_err();
            assert_eq!(error.code(), "STAFF_FORM");
            assert!(!error.to_string().contains("secret"));
        }
    }
}
