//! Authenticators of people: enrolled by an invitation (the token that a person was given face to face, or the code of a recovery) or
//! by who is signed in; two before any work; removed by one person at once.
//!
//! Once an account had its two, its token opens no page any more. Left out: signing in with them (`sign_in`), the way back when all
//! are lost (`recovery`).

use issuer_store::{Authenticator, Entry, OpenedBy};
use permit_domain::{Digest, StaffId};

use crate::attempts::Counted;
use crate::challenge::Purpose;
use crate::error::OfficeError;
use crate::office::Office;
use crate::session::{ADMINISTRATOR, AtPage, ROLE, SignedIn};
use crate::sign_in::{AT_LEAST, Question, in_use};
use crate::sign_in_error::SignInError;
use crate::staff::{Staff, StaffRole};
use crate::webauthn::{RelyingParty, challenge_of};

/// Longest name of an authenticator, characters.
const LABEL: usize = 40;

/// What a page asks of an authenticator that is to be enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentQuestion {
    /// Challenge, and ids of the keys that the person has already.
    pub question: Question,
    /// By which the authenticator knows the person, 32 bytes.
    pub handle: [u8; 32],
}

/// What an authenticator answered that is to be enrolled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Presented {
    /// What its person calls it.
    pub label: String,
    /// What the browser says it was asked, JSON.
    pub client_data: Vec<u8>,
    /// What the authenticator says, CBOR.
    pub attestation: Vec<u8>,
}

/// Where an account stands after another authenticator was enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enrolled {
    /// Another one is wanted before any work.
    AnotherIsWanted,
    /// It has its two: the session that was for enrolling alone is over.
    SignInNow,
    /// One more, for somebody who is at work.
    OneMore,
}

impl Office {
    /// Opens a session for enrolling authenticators to the owner of the token. `from` is the address that it came from.
    ///
    /// # Errors
    /// [`OfficeError::Staff`] for a token that is nobody's or has ended; [`SignInError::Enrolled`] for an account that had its two;
    /// [`SignInError::Locked`].
    pub async fn open_enrolment(
        &self,
        staff: &Staff,
        token: &str,
        from: &str,
    ) -> Result<SignedIn, OfficeError> {
        let counted = [Counted::address(from)];
        self.attempts.may(&counted, self.clock().now())?;
        let member = match staff.owner(token, self.clock().today()) {
            Ok(member) => member,
            Err(error) => {
                self.wrong_attempt(&counted, None).await?;
                return Err(error.into());
            }
        };
        if self.token_is_used_up(&member.account).await? {
            return Err(SignInError::Enrolled.into());
        }
        self.open_session(member, OpenedBy::InvitedByToken).await
    }

    async fn token_is_used_up(&self, account: &StaffId) -> Result<bool, OfficeError> {
        // Also with those that were removed: a token brings no account back.
        Ok(self.read().await?.authenticators_of(account).await?.len() >= AT_LEAST)
    }

    /// The question to an authenticator that this person enrols.
    ///
    /// # Errors
    /// Outages.
    pub async fn ask_enrolment(&self, by: &AtPage) -> Result<EnrolmentQuestion, OfficeError> {
        let account = &by.member.account;
        let key = self.challenge_key().await?;
        let enrolled = self.authenticators(account).await?;
        Ok(EnrolmentQuestion {
            question: Question {
                challenge: self.ask(&key, Purpose::Enrol, account.as_str()),
                allowed: enrolled.into_iter().map(|one| one.credential).collect(),
            },
            handle: key.handle(account.as_str()),
        })
    }

    /// Enrols an authenticator of who holds this session.
    ///
    /// # Errors
    /// [`SignInError`]; [`OfficeError::SessionEnded`].
    pub async fn enrol(
        &self,
        staff: &Staff,
        party: &RelyingParty,
        secret: &str,
        new: &Presented,
    ) -> Result<Enrolled, OfficeError> {
        let by = self.at_page(staff, secret).await?;
        let account = &by.member.account;
        if !by.opened_by.enrols_alone() {
            by.check_fresh()?;
        }
        let label = new.label.trim();
        let length = label.chars().count();
        if !(1..=LABEL).contains(&length) || label.chars().any(char::is_control) {
            return Err(SignInError::Label.into());
        }
        let challenge = challenge_of(&new.client_data).map_err(SignInError::from)?;
        let registered = party
            .register(&challenge, &new.client_data, &new.attestation)
            .map_err(SignInError::from)?;
        self.check_challenge(Purpose::Enrol, account.as_str(), &challenge)
            .await?;
        let mut tx = self.begin().await?;
        self.take_challenge(&mut tx, &challenge).await?;
        let before = tx.authenticators_of(account).await?;
        if by.opened_by == OpenedBy::InvitedByToken && before.len() >= AT_LEAST {
            return Err(SignInError::Enrolled.into());
        }
        let authenticator = Authenticator {
            credential: registered.credential,
            account: account.clone(),
            public_key: registered.public_key,
            counter: registered.counter,
            label: label.to_owned(),
            invitation: invitation(by.opened_by).to_owned(),
            enrolled_at: tx.at(),
            removed_at: None,
        };
        match tx.insert_authenticator(&authenticator).await {
            Err(issuer_store::Error::Exists { .. }) => return Err(SignInError::AuthenticatorKnown.into()),
            inserted => inserted?,
        }
        let enough = in_use(before).len() + 1 >= AT_LEAST;
        let enrolled = match (by.opened_by.enrols_alone(), enough) {
            (true, true) => {
                tx.delete_session(Digest::of(secret.as_bytes())).await?;
                Enrolled::SignInNow
            }
            (true, false) => Enrolled::AnotherIsWanted,
            (false, _) => Enrolled::OneMore,
        };
        let detail = format!(
            r#"{{"authenticator":"{}","invitation":"{}"}}"#,
            named(&authenticator.credential),
            authenticator.invitation
        );
        let appended = tx
            .append(Entry {
                role: ROLE,
                actor: account.as_str(),
                action: "authenticator ENROLLED",
                subject: account.as_str(),
                detail: &detail,
            })
            .await?;
        tx.commit(appended).await?;
        Ok(enrolled)
    }

    /// The authenticators of an account that are in use, the oldest first.
    ///
    /// # Errors
    /// Outages.
    pub async fn authenticators(&self, account: &StaffId) -> Result<Vec<Authenticator>, OfficeError> {
        Ok(in_use(self.read().await?.authenticators_of(account).await?))
    }

    /// Removes an authenticator, at once, by its person or an administrator; every session of the account ends.
    ///
    /// # Errors
    /// [`OfficeError::Staff`] for somebody else, [`OfficeError::NotFound`] for one that is not enrolled, [`SignInError::ProveAgain`].
    pub async fn remove_authenticator(
        &self,
        by: &AtPage,
        account: &StaffId,
        credential: &[u8],
    ) -> Result<(), OfficeError> {
        let role = if by.member.account == *account {
            ROLE
        } else {
            by.member.acting_as(StaffRole::Administrator)?;
            ADMINISTRATOR
        };
        by.check_fresh()?;
        let mut tx = self.begin().await?;
        if tx.remove_authenticators(account, Some(credential)).await? == 0 {
            return Err(OfficeError::NotFound {
                what: "authenticator",
            });
        }
        tx.delete_sessions_of(account).await?;
        let detail = format!(r#"{{"authenticator":"{}"}}"#, named(credential));
        let appended = tx
            .append(Entry {
                role,
                actor: by.member.account.as_str(),
                action: "authenticator REMOVED",
                subject: account.as_str(),
                detail: &detail,
            })
            .await?;
        Ok(tx.commit(appended).await?)
    }
}

/// What the ledger calls an authenticator.
pub(crate) fn named(credential: &[u8]) -> String {
    let digest = Digest::of(credential).to_string();
    digest.get(..16).unwrap_or(&digest).to_owned()
}

const fn invitation(opened_by: OpenedBy) -> &'static str {
    match opened_by {
        OpenedBy::InvitedByToken | OpenedBy::Command => "TOKEN",
        OpenedBy::InvitedByCode => "CODE",
        OpenedBy::Authenticator | OpenedBy::HalfEnrolled => "AUTHENTICATOR",
        OpenedBy::Sample => "SAMPLE",
    }
}
