//! Who sits at the command line, or at a page of the counter. A person signs in and holds a session for some hours; commands and
//! pages act for whom the session names, and no name is an argument.
//!
//! What the person holds is a random secret; the ledger has its digest. A session ends by itself after 12 hours, or when nobody used
//! it for half an hour; when its person signs out; and with the token of its account: when the member leaves the staff file, gets
//! another token, or the token's last day is over. A command line's session is opened by the token and opens no page; a page's is
//! opened by an authenticator (`sign_in`), or in a rehearsal by choosing a sample member. Left out: where a program keeps the secret.

use issuer_store::{Entry, OpenedBy, Session, Transaction};
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use permit_domain::{Digest, StaffId};
use zeroize::Zeroizing;

use crate::error::OfficeError;
use crate::office::Office;
use crate::sign_in_error::SignInError;
use crate::staff::{Member, Staff, StaffError};

/// How long a session lasts: a long day at a counter.
const HOURS: i64 = 12;
/// How long a session for enrolling authenticators lasts.
const ENROLS_FOR: SignedDuration = SignedDuration::from_mins(30);
/// How long a session lasts that nobody uses.
const IDLE: SignedDuration = SignedDuration::from_mins(30);
/// How much earlier than it is written down a session may have been used: not every page writes.
const SEEN_EVERY: SignedDuration = SignedDuration::from_mins(2);
/// How long somebody's proof to be there counts.
const FRESH: SignedDuration = SignedDuration::from_mins(5);

/// The role under which the ledger has who signed in and out.
pub(crate) const ROLE: &str = "staff";
/// The one under which it has what administrators do.
pub(crate) const ADMINISTRATOR: &str = "administrator";

/// A session that was just opened.
#[derive(Debug)]
pub struct SignedIn {
    /// What its person holds, hex. Nobody else has it.
    pub secret: Zeroizing<String>,
    /// Whose it is.
    pub account: StaffId,
    /// When it ends.
    pub until: Timestamp,
    /// Whether it is for enrolling authenticators alone.
    pub enrols_alone: bool,
}

/// Who sits at a page.
#[derive(Debug, Clone)]
pub struct AtPage {
    /// The member.
    pub member: Member,
    /// How their session was opened.
    pub opened_by: OpenedBy,
    /// Whether they proved within the last five minutes to be there.
    pub fresh: bool,
}

impl AtPage {
    /// Refuses who did not prove within the last five minutes to be there.
    ///
    /// # Errors
    /// [`SignInError::ProveAgain`].
    pub(crate) fn check_fresh(&self) -> Result<(), SignInError> {
        if self.fresh {
            Ok(())
        } else {
            Err(SignInError::ProveAgain)
        }
    }
}

impl Office {
    /// Opens a session of a command line for the owner of the token.
    ///
    /// # Errors
    /// [`OfficeError::Staff`] for a token that is nobody's or has ended.
    pub async fn sign_in(&self, staff: &Staff, token: &str) -> Result<SignedIn, OfficeError> {
        let member = staff.owner(token, self.clock().today())?;
        self.open_session(member, OpenedBy::Command).await
    }

    /// Opens a session for a sample member of a rehearsal installation, whom nobody proves to be.
    ///
    /// # Errors
    /// [`OfficeError::Staff`] where this is no rehearsal, for an account that is not there, or one whose token has ended.
    pub async fn sign_in_sample(&self, staff: &Staff, account: &StaffId) -> Result<SignedIn, OfficeError> {
        if !self.founded().is_rehearsal() {
            return Err(StaffError::NotARehearsal.into());
        }
        let member = staff.member(account, self.clock().today())?;
        self.open_session(member, OpenedBy::Sample).await
    }

    pub(crate) async fn open_session(
        &self,
        member: &Member,
        opened_by: OpenedBy,
    ) -> Result<SignedIn, OfficeError> {
        let mut tx = self.begin().await?;
        let opened = self.begin_session(&mut tx, member, opened_by).await?;
        let appended = tx.append(entry("signed in", &opened.account)).await?;
        tx.commit(appended).await?;
        Ok(opened)
    }

    /// Begins a session in a transaction of the caller, who appends the entry.
    pub(crate) async fn begin_session(
        &self,
        tx: &mut Transaction,
        member: &Member,
        opened_by: OpenedBy,
    ) -> Result<SignedIn, OfficeError> {
        let now = self.clock().now();
        let secret = Zeroizing::new(hex::encode(self.random().bytes::<32>()));
        let until = if opened_by.enrols_alone() {
            now.checked_add(ENROLS_FOR)
        } else {
            now.checked_add(HOURS.hours())
        };
        let until = until.map_err(|_| OfficeError::Internal)?;
        let session = Session {
            account: member.account.clone(),
            token_sha256: member.token_sha256().to_owned(),
            opened_by,
            since: now,
            until,
            seen_at: now,
            // Whoever was invited proved nothing but to have the invitation.
            proved_at: matches!(opened_by, OpenedBy::Sample | OpenedBy::Authenticator).then_some(now),
        };
        tx.delete_drafts_before(self.drafts_since()?).await?;
        tx.insert_session(Digest::of(secret.as_bytes()), &session).await?;
        Ok(SignedIn {
            secret,
            account: session.account,
            until,
            enrols_alone: opened_by.enrols_alone(),
        })
    }

    /// Whose session this is, now, at a command line.
    ///
    /// # Errors
    /// [`OfficeError::SessionEnded`]; [`OfficeError::Staff`] when its token ended before it.
    pub async fn signed_in(&self, staff: &Staff, secret: &str) -> Result<Member, OfficeError> {
        let (session, member) = self.session(staff, secret).await?;
        if session.opened_by.enrols_alone() {
            return Err(OfficeError::SessionEnded);
        }
        Ok(member)
    }

    /// Who sits at a page with this session, now.
    ///
    /// # Errors
    /// [`OfficeError::SessionEnded`], also for a session of a command line; [`OfficeError::Staff`] when its token ended before it.
    pub async fn at_page(&self, staff: &Staff, secret: &str) -> Result<AtPage, OfficeError> {
        let (session, member) = self.session(staff, secret).await?;
        self.at(&session, member)
    }

    /// As [`Self::at_page`], for a page that follows by itself: it is no use of the session.
    ///
    /// # Errors
    /// As [`Self::at_page`].
    pub async fn follows(&self, staff: &Staff, secret: &str) -> Result<AtPage, OfficeError> {
        let (session, member) = self.standing(staff, secret).await?;
        self.at(&session, member)
    }

    fn at(&self, session: &Session, member: Member) -> Result<AtPage, OfficeError> {
        if session.opened_by == OpenedBy::Command {
            return Err(OfficeError::SessionEnded);
        }
        let now = self.clock().now();
        Ok(AtPage {
            member,
            opened_by: session.opened_by,
            fresh: session
                .proved_at
                .is_some_and(|at| at <= now && now.duration_since(at) < FRESH),
        })
    }

    /// A session that goes on, and its member; that it was used is kept.
    pub(crate) async fn session(
        &self,
        staff: &Staff,
        secret: &str,
    ) -> Result<(Session, Member), OfficeError> {
        let (session, member) = self.standing(staff, secret).await?;
        if self.clock().now().duration_since(session.seen_at) >= SEEN_EVERY {
            // A ledger that takes no write is told by the work itself; the session ends a little earlier then.
            let _ = self.saw(Digest::of(secret.as_bytes())).await;
        }
        Ok((session, member))
    }

    /// A session that goes on, and its member.
    async fn standing(&self, staff: &Staff, secret: &str) -> Result<(Session, Member), OfficeError> {
        let (now, today) = (self.clock().now(), self.clock().today());
        let session = self.read().await?.session(Digest::of(secret.as_bytes())).await?;
        // A clock that went back does not make a session longer.
        let session = session
            .filter(|session| session.since <= now && now < session.until)
            .filter(|session| now.duration_since(session.seen_at) < IDLE)
            .ok_or(OfficeError::SessionEnded)?;
        let member = staff.owner_of_digest(&session.token_sha256, today)?;
        if member.account != session.account {
            return Err(OfficeError::SessionEnded);
        }
        Ok((session, member.clone()))
    }

    async fn saw(&self, secret: Digest) -> Result<(), OfficeError> {
        let mut tx = self.begin().await?;
        tx.saw_session(secret, self.clock().now()).await?;
        Ok(tx.commit_without_entry().await?)
    }

    /// Ends a session; one that has ended already is no error.
    ///
    /// # Errors
    /// Outages.
    pub async fn sign_out(&self, secret: &str) -> Result<(), OfficeError> {
        let secret = Digest::of(secret.as_bytes());
        let mut tx = self.begin().await?;
        let Some(session) = tx.session(secret).await? else {
            return Ok(());
        };
        tx.delete_session(secret).await?;
        let appended = tx.append(entry("signed out", &session.account)).await?;
        Ok(tx.commit(appended).await?)
    }
}

pub(crate) fn entry<'a>(action: &'a str, account: &'a StaffId) -> Entry<'a> {
    Entry {
        role: ROLE,
        actor: account.as_str(),
        action,
        subject: account.as_str(),
        detail: "{}",
    }
}
