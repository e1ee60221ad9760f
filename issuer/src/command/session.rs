//! `issuer sign-in` and `issuer sign-out`: who acts. A person gives their token once; commands act for the session that
//! they find in that person's own folder.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use issuer_office::random::Random;
use issuer_office::staff::StaffRole;
use permit_domain::{Approver, ChangeClerk, Digest, HandOverClerk, IntakeClerk, Producer, StaffId};
use program_contract::language::Words;
use program_contract::{Clock, Failure, Outcome, day, file, line, secret};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::command::failure;
use crate::command::place::{Context, Place};

/// Hexadecimal digits of a session's secret.
const SECRET_DIGITS: usize = 64;

/// Whose session a command acts for.
#[derive(Debug, clap::Args)]
pub(super) struct Person {
    /// The session's file; without it that of `YZT_SESSION`, or the one of this installation in your own folder
    /// (`~/.local/state/yizhengtong`).
    // The variable is no value of the option: where it is empty, or nobody's session is wanted, it stands in no way.
    #[arg(long, value_name = "FILE")]
    session: Option<PathBuf>,
}

impl Person {
    /// Where the session is. One installation, one session: who signs in there again is the person who signed in last.
    fn path(&self, place: &Place) -> Result<PathBuf, Failure> {
        let of_environment = || std::env::var_os("YZT_SESSION").filter(|path| !path.is_empty());
        if let Some(path) = self
            .session
            .clone()
            .or_else(|| of_environment().map(PathBuf::from))
        {
            return Ok(path);
        }
        let folder = ["XDG_STATE_HOME", "HOME"]
            .into_iter()
            .find_map(|name| {
                let path = PathBuf::from(std::env::var_os(name)?);
                let state = if name == "HOME" { ".local/state" } else { "" };
                path.is_absolute().then(|| path.join(state))
            })
            .ok_or_else(failure::no_home)?;
        let installation = std::fs::canonicalize(&place.dir)
            .map_err(|error| Failure::file(Words("找到", "find"), &place.dir, &error))?;
        let name = Digest::of(installation.as_os_str().as_encoded_bytes()).to_string();
        Ok(folder
            .join("yizhengtong")
            .join(format!("{}.session", name.get(..16).unwrap_or(&name))))
    }

    fn secret(&self, place: &Place) -> Result<Zeroizing<String>, Failure> {
        let path = self.path(place)?;
        let nobody = failure::not_signed_in;
        let found = match std::fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(nobody()),
            Err(error) => return Err(Failure::file(Words("读取", "read"), &path, &error)),
            Ok(found) => found,
        };
        if found.mode() & 0o077 != 0 {
            return Err(failure::session_exposed(path.display()));
        }
        let text = Zeroizing::new(
            std::fs::read_to_string(&path)
                .map_err(|error| Failure::file(Words("读取", "read"), &path, &error))?,
        );
        Ok(Zeroizing::new(text.trim().to_owned()))
    }

    /// The account that is signed in, if it may act in this role.
    pub(super) async fn acting_as(&self, context: &Context, role: StaffRole) -> Result<StaffId, Failure> {
        let secret = self.secret(&context.place)?;
        let staff = context.installation.staff()?;
        let member = context.office.signed_in(&staff, &secret).await?;
        Ok(member.acting_as(role)?)
    }

    /// The account that is signed in, if it may act in one of these roles.
    pub(super) async fn acting_as_any(
        &self,
        context: &Context,
        roles: &[StaffRole],
    ) -> Result<StaffId, Failure> {
        let secret = self.secret(&context.place)?;
        let staff = context.installation.staff()?;
        let member = context.office.signed_in(&staff, &secret).await?;
        let mut refused = None;
        for role in roles {
            match member.acting_as(*role) {
                Ok(account) => return Ok(account),
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.map_or_else(
            || Failure::internal(Words("无人可办此事", "nobody may do this")),
            Failure::from,
        ))
    }

    pub(super) async fn intake_clerk(&self, context: &Context) -> Result<IntakeClerk, Failure> {
        let account = self.acting_as(context, StaffRole::IntakeClerk).await?;
        Ok(IntakeClerk::new(account))
    }

    pub(super) async fn clerk(&self, context: &Context) -> Result<ChangeClerk, Failure> {
        let account = self.acting_as(context, StaffRole::ChangeClerk).await?;
        Ok(ChangeClerk::new(account))
    }

    pub(super) async fn approver(&self, context: &Context) -> Result<Approver, Failure> {
        Ok(Approver::new(self.acting_as(context, StaffRole::Approver).await?))
    }

    pub(super) async fn producer(&self, context: &Context) -> Result<Producer, Failure> {
        Ok(Producer::new(self.acting_as(context, StaffRole::Producer).await?))
    }

    pub(super) async fn hand_over_clerk(&self, context: &Context) -> Result<HandOverClerk, Failure> {
        let account = self.acting_as(context, StaffRole::HandOverClerk).await?;
        Ok(HandOverClerk::new(account))
    }

    pub(super) async fn settlement_officer(&self, context: &Context) -> Result<StaffId, Failure> {
        self.acting_as(context, StaffRole::SettlementOfficer).await
    }
}

/// Arguments of `sign-in`.
#[derive(Debug, clap::Args)]
pub(super) struct SignIn {
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    person: Person,
    /// A file whose first line is your token, `-` for standard input; without it the token is asked for.
    #[arg(long, value_name = "FILE|-")]
    token_file: Option<PathBuf>,
}

/// Arguments of `sign-out`.
#[derive(Debug, clap::Args)]
pub(super) struct SignOut {
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    person: Person,
}

#[derive(Serialize)]
struct SessionNow {
    account: String,
    roles: Vec<StaffRole>,
    until: String,
    session: PathBuf,
}

#[derive(Serialize)]
struct SignedOut {
    signed_out: bool,
}

program_contract::sentences! {
    fn signed_in(account, until) = "已登录：{account}，至 {until}", "signed in as {account} until {until}";
}

impl SignIn {
    /// Opens a session and keeps it in the person's own folder.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        let context = Context::open(&self.place, clock, random).await?;
        let path = self.person.path(&self.place)?;
        // What is replaced is a session, and ends: nobody acts on as whoever sat here before.
        let before = at_hand(&path)?;
        let token = secret::read(self.token_file.as_deref(), Words("您的令牌", "your token"))?;
        let token = std::str::from_utf8(&token).unwrap_or_default();
        let staff = context.installation.staff()?;
        let opened = context.office.sign_in(&staff, token).await?;
        let kept = keep(&path, &opened.secret);
        if let Err(failure) = kept {
            // What nobody holds is no session.
            context.office.sign_out(&opened.secret).await?;
            return Err(failure);
        }
        if let Some(before) = before {
            context.office.sign_out(&before).await?;
        }
        let member = context.office.signed_in(&staff, &opened.secret).await?;
        let now = SessionNow {
            account: opened.account.to_string(),
            roles: member.roles.clone(),
            until: opened.until.to_string(),
            session: path,
        };
        let lines = vec![line!(signed_in(&now.account, day::minute(opened.until)))];
        Outcome::done("yzt.sign_in/1", &now, lines)
    }
}

impl SignOut {
    /// Ends the session; without one there is nothing to do.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        let context = Context::open(&self.place, clock, random).await?;
        let path = self.person.path(&self.place)?;
        // Also one that others may have read.
        let found = at_hand(&path)?;
        let signed_out = found.is_some();
        if let Some(secret) = found {
            context.office.sign_out(&secret).await?;
            file::remove(&path).map_err(|error| Failure::file(Words("删除", "remove"), &path, &error))?;
        }
        let lines = vec![line!(if signed_out {
            Words("已退出登录", "signed out")
        } else {
            Words("此处原本无人登录", "nobody was signed in")
        })];
        Outcome::done("yzt.sign_out/1", &SignedOut { signed_out }, lines)
    }
}

/// The session in a file, if there is one. A file of anything else is left alone.
fn at_hand(path: &Path) -> Result<Option<Zeroizing<String>>, Failure> {
    let mut text = Zeroizing::new(Vec::with_capacity(2 * SECRET_DIGITS));
    // No more than tells whether it is one.
    let read = File::open(path).and_then(|file| file.take(2 * SECRET_DIGITS as u64).read_to_end(&mut text));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::file(Words("读取", "read"), path, &error)),
        Ok(_) => {}
    }
    let secret = text.trim_ascii();
    let is_session = secret.len() == SECRET_DIGITS && secret.iter().all(u8::is_ascii_hexdigit);
    match std::str::from_utf8(secret) {
        Ok(secret) if is_session => Ok(Some(Zeroizing::new(secret.to_owned()))),
        _ => Err(failure::no_session_file(path.display())),
    }
}

fn keep(path: &Path, secret: &str) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::file(Words("写入", "write"), path, &error);
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(failed)?;
    }
    let line = Zeroizing::new(format!("{secret}\n"));
    file::replace(path, line.as_bytes(), file::PRIVATE).map_err(failed)
}
