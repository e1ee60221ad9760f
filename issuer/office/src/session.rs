//! Who sits at the command line, or at a page of the counter. A person signs in once with their token and holds a session for some
//! hours; commands and pages act for whom the session names, and no name is an argument.
//!
//! What the person holds is a random secret; the ledger has its digest. A session ends by itself, when its person signs out,
//! and with the token that opened it: when the member leaves the staff file, gets another token, or the token's last day is
//! over. Left out: where the program keeps the secret.

use issuer_store::{Entry, Session};
use jiff::{Timestamp, ToSpan as _};
use permit_domain::{Digest, StaffId};
use zeroize::Zeroizing;

use crate::error::OfficeError;
use crate::office::Office;
use crate::staff::{Member, Staff, StaffError};

/// How long a session lasts: a long day at a counter.
const HOURS: i64 = 12;

/// The role under which the ledger has who signed in and out.
const ROLE: &str = "staff";

/// A session that was just opened.
#[derive(Debug)]
pub struct SignedIn {
    /// What its person holds, hex. Nobody else has it.
    pub secret: Zeroizing<String>,
    /// Whose it is.
    pub account: StaffId,
    /// When it ends.
    pub until: Timestamp,
}

impl Office {
    /// Opens a session for the owner of the token.
    ///
    /// # Errors
    /// [`OfficeError::Staff`] for a token that is nobody's or has ended.
    pub async fn sign_in(&self, staff: &Staff, token: &str) -> Result<SignedIn, OfficeError> {
        self.open_session(staff.owner(token, self.clock().today())?).await
    }

    /// Opens a session for a sample member of a rehearsal installation, whom nobody proves to be.
    ///
    /// # Errors
    /// [`OfficeError::Staff`] where this is no rehearsal, for an account that is not there, or one whose token has ended.
    pub async fn sign_in_sample(&self, staff: &Staff, account: &StaffId) -> Result<SignedIn, OfficeError> {
        if !self.founded().is_rehearsal() {
            return Err(StaffError::NotARehearsal.into());
        }
        self.open_session(staff.member(account, self.clock().today())?)
            .await
    }

    async fn open_session(&self, member: &Member) -> Result<SignedIn, OfficeError> {
        let now = self.clock().now();
        let secret = Zeroizing::new(hex::encode(self.random().bytes::<32>()));
        let session = Session {
            account: member.account.clone(),
            token_sha256: member.token_sha256().to_owned(),
            since: now,
            until: now
                .checked_add(HOURS.hours())
                .map_err(|_| OfficeError::Internal)?,
        };
        let mut tx = self.begin().await?;
        tx.insert_session(Digest::of(secret.as_bytes()), &session).await?;
        let appended = tx.append(entry("signed in", &session.account)).await?;
        tx.commit(appended).await?;
        Ok(SignedIn {
            secret,
            account: session.account,
            until: session.until,
        })
    }

    /// Whose session this is, now.
    ///
    /// # Errors
    /// [`OfficeError::SessionEnded`]; [`OfficeError::Staff`] when its token ended before it.
    pub async fn signed_in(&self, staff: &Staff, secret: &str) -> Result<Member, OfficeError> {
        let (now, today) = (self.clock().now(), self.clock().today());
        let session = self.read().await?.session(Digest::of(secret.as_bytes())).await?;
        // A clock that went back does not make a session longer.
        let session = session
            .filter(|session| session.since <= now && now < session.until)
            .ok_or(OfficeError::SessionEnded)?;
        let member = staff.owner_of_digest(&session.token_sha256, today)?;
        if member.account != session.account {
            return Err(OfficeError::SessionEnded);
        }
        Ok(member.clone())
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

fn entry<'a>(action: &'a str, account: &'a StaffId) -> Entry<'a> {
    Entry {
        role: ROLE,
        actor: account.as_str(),
        action,
        subject: account.as_str(),
        detail: "{}",
    }
}
