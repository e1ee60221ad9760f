//! Signing in with an authenticator, and proving again to be there before what is dangerous.
//!
//! Nobody types a name: the authenticator says which of its keys it used, so that a page tells nothing about accounts. Left out: the
//! sessions themselves (`session`), enrolling (`authenticators`), and counting who asks only.

use issuer_store::{Authenticator, OpenedBy};
use permit_domain::{Digest, StaffId};

use crate::attempts::Counted;
use crate::challenge::{ChallengeKey, Purpose};
use crate::error::OfficeError;
use crate::office::Office;
use crate::session::{SignedIn, entry};
use crate::sign_in_error::SignInError;
use crate::staff::{Member, Staff, StaffError};
use crate::webauthn::{Assertion, RelyingParty, challenge_of, went_on};

/// How many authenticators an account has before it does any work.
pub const AT_LEAST: usize = 2;

/// What a page asks of an authenticator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// To be signed.
    pub challenge: Vec<u8>,
    /// Ids of the keys that may answer; where none is named, the authenticator offers its own.
    pub allowed: Vec<Vec<u8>>,
}

impl Office {
    /// The question to somebody who signs in.
    ///
    /// # Errors
    /// Outages.
    pub async fn ask_sign_in(&self) -> Result<Question, OfficeError> {
        let key = self.challenge_key().await?;
        Ok(Question {
            challenge: self.ask(&key, Purpose::SignIn, ""),
            allowed: Vec::new(),
        })
    }

    /// Opens a session for the owner of the authenticator that answered; one who has no second one yet may enrol it and nothing else.
    /// `from` is the address that the answer came from.
    ///
    /// # Errors
    /// [`SignInError`]; [`OfficeError::Staff`] for a member who left.
    pub async fn sign_in_by_authenticator(
        &self,
        staff: &Staff,
        party: &RelyingParty,
        answer: &Assertion,
        from: &str,
    ) -> Result<SignedIn, OfficeError> {
        let known = self.read().await?.authenticator(&answer.credential).await?;
        let mut counted = vec![Counted::address(from)];
        counted.extend(known.iter().map(|known| Counted::account(known.account.as_str())));
        // Whoever has the key is let in: strangers' wrong attempts shut nobody out, and only what is wrong waits.
        let opened = self.answered(staff, party, answer, known.as_ref()).await;
        match (&opened, &known) {
            (Ok(opened), _) => self.attempts.right(Counted::account(opened.account.as_str())),
            // A browser or a line that sends the same answer again guesses nothing.
            (Err(OfficeError::SignIn(SignInError::ChallengeEnded)), _) => {}
            (Err(OfficeError::SignIn(_) | OfficeError::Staff(_)), known) => {
                self.attempts.may(&counted, self.clock().now())?;
                let account = known.as_ref().map(|known| &known.account);
                self.wrong_attempt(&counted, account).await?;
            }
            _ => {}
        }
        opened
    }

    async fn answered(
        &self,
        staff: &Staff,
        party: &RelyingParty,
        answer: &Assertion,
        known: Option<&Authenticator>,
    ) -> Result<SignedIn, OfficeError> {
        let known = known
            .filter(|known| known.removed_at.is_none())
            .ok_or(SignInError::AuthenticatorUnknown)?;
        let counter = self
            .check_answer(Purpose::SignIn, "", party, answer, known)
            .await?;
        let member = staff.member(&known.account, self.clock().today())?;
        let mut tx = self.begin().await?;
        self.take_answer(&mut tx, answer, counter).await?;
        let enrolled = in_use(tx.authenticators_of(&known.account).await?);
        if !enrolled.iter().any(|one| one.credential == known.credential) {
            // Removed a moment ago.
            return Err(SignInError::AuthenticatorUnknown.into());
        }
        let opened_by = if enrolled.len() < AT_LEAST {
            OpenedBy::HalfEnrolled
        } else {
            OpenedBy::Authenticator
        };
        let opened = self.begin_session(&mut tx, member, opened_by).await?;
        let appended = tx.append(entry("signed in", &opened.account)).await?;
        tx.commit(appended).await?;
        Ok(opened)
    }

    /// The question to who is signed in and has to prove to be there.
    ///
    /// # Errors
    /// Outages.
    pub async fn ask_proof(&self, member: &Member) -> Result<Question, OfficeError> {
        let key = self.challenge_key().await?;
        let enrolled = in_use(self.read().await?.authenticators_of(&member.account).await?);
        Ok(Question {
            challenge: self.ask(&key, Purpose::Prove, member.account.as_str()),
            allowed: enrolled.into_iter().map(|one| one.credential).collect(),
        })
    }

    /// Takes the answer of who is signed in with this session as the proof to be there.
    ///
    /// # Errors
    /// [`SignInError`]; [`OfficeError::SessionEnded`].
    pub async fn prove(
        &self,
        staff: &Staff,
        party: &RelyingParty,
        secret: &str,
        answer: &Assertion,
    ) -> Result<(), OfficeError> {
        let (session, member) = self.session(staff, secret).await?;
        let whose = [Counted::account(member.account.as_str())];
        let proved = async {
            let known = self.read().await?.authenticator(&answer.credential).await?;
            let known = known
                .filter(|known| known.removed_at.is_none())
                .ok_or(SignInError::AuthenticatorUnknown)?;
            if known.account != session.account {
                return Err(SignInError::AuthenticatorOther.into());
            }
            let counter = self
                .check_answer(Purpose::Prove, known.account.as_str(), party, answer, &known)
                .await?;
            let mut tx = self.begin().await?;
            self.take_answer(&mut tx, answer, counter).await?;
            let now = self.clock().now();
            tx.proved_session(Digest::of(secret.as_bytes()), now).await?;
            let appended = tx.append(entry("proved to be there", &member.account)).await?;
            Ok::<_, OfficeError>(tx.commit(appended).await?)
        };
        let proved = proved.await;
        match &proved {
            Ok(()) => self.attempts.right(whose[0]),
            Err(OfficeError::SignIn(SignInError::ChallengeEnded)) => {}
            Err(OfficeError::SignIn(_)) => {
                self.attempts.may(&whose, self.clock().now())?;
                self.wrong_attempt(&whose, Some(&member.account)).await?;
            }
            Err(_) => {}
        }
        proved
    }

    /// As [`Self::prove`], for a sample member of a rehearsal who is chosen again.
    ///
    /// # Errors
    /// [`SignInError::AuthenticatorOther`] for another account than the session's; [`OfficeError::Staff`] where this is no rehearsal.
    pub async fn prove_sample(
        &self,
        staff: &Staff,
        secret: &str,
        account: &StaffId,
    ) -> Result<(), OfficeError> {
        if !self.founded().is_rehearsal() {
            return Err(StaffError::NotARehearsal.into());
        }
        let (session, member) = self.session(staff, secret).await?;
        if session.opened_by.enrols_alone() || *account != member.account {
            return Err(SignInError::AuthenticatorOther.into());
        }
        let mut tx = self.begin().await?;
        tx.proved_session(Digest::of(secret.as_bytes()), self.clock().now())
            .await?;
        let appended = tx.append(entry("proved to be there", &member.account)).await?;
        Ok(tx.commit(appended).await?)
    }

    /// Counts a wrong attempt. That an account is locked by it stands in the ledger.
    pub(crate) async fn wrong_attempt(
        &self,
        counted: &[Counted],
        account: Option<&StaffId>,
    ) -> Result<(), OfficeError> {
        let locks = self.attempts.wrong(counted, self.clock().now());
        if let (true, Some(account)) = (locks, account) {
            let mut tx = self.begin().await?;
            let appended = tx.append(entry("sign-in locked", account)).await?;
            tx.commit(appended).await?;
        }
        Ok(())
    }

    /// Checks an answer against its challenge and key, and gives its counter. Only who has the key is told what else is wrong.
    async fn check_answer(
        &self,
        purpose: Purpose,
        whom: &str,
        party: &RelyingParty,
        answer: &Assertion,
        known: &Authenticator,
    ) -> Result<u32, OfficeError> {
        let challenge = challenge_of(&answer.client_data).map_err(SignInError::from)?;
        let counter = party
            .assert(&challenge, &known.public_key, answer)
            .map_err(SignInError::from)?;
        self.check_challenge(purpose, whom, &challenge).await?;
        Ok(counter)
    }

    pub(crate) async fn check_challenge(
        &self,
        purpose: Purpose,
        whom: &str,
        challenge: &[u8],
    ) -> Result<(), OfficeError> {
        let now = self.clock().now();
        let key = self.challenge_key().await?;
        key.answered_until(purpose, whom, challenge, now)
            .map(|_| ())
            .ok_or(OfficeError::SignIn(SignInError::ChallengeEnded))
    }

    /// Takes the challenge as answered and keeps the counter.
    async fn take_answer(
        &self,
        tx: &mut issuer_store::Transaction,
        answer: &Assertion,
        counter: u32,
    ) -> Result<(), OfficeError> {
        let challenge = challenge_of(&answer.client_data).map_err(SignInError::from)?;
        self.take_challenge(tx, &challenge).await?;
        // Behind the challenge: an answer that comes twice is no copy of the authenticator.
        let known = tx.authenticator(&answer.credential).await?;
        let known = known.ok_or(SignInError::AuthenticatorUnknown)?;
        went_on(known.counter, counter).map_err(SignInError::from)?;
        Ok(tx.set_authenticator_counter(&answer.credential, counter).await?)
    }

    pub(crate) async fn take_challenge(
        &self,
        tx: &mut issuer_store::Transaction,
        challenge: &[u8],
    ) -> Result<(), OfficeError> {
        // Longer than it may be answered: the clocks of two machines differ a little.
        let until = self
            .clock()
            .now()
            .checked_add(2 * crate::challenge::ANSWERED_WITHIN)
            .map_err(|_| OfficeError::Internal)?;
        if tx.answer_challenge(Digest::of(challenge), until).await? {
            Ok(())
        } else {
            Err(SignInError::ChallengeEnded.into())
        }
    }

    pub(crate) fn ask(&self, key: &ChallengeKey, purpose: Purpose, whom: &str) -> Vec<u8> {
        key.ask(purpose, whom, self.clock().now(), self.random().bytes())
    }

    /// The key under which challenges are made; drawn at the first question.
    pub(crate) async fn challenge_key(&self) -> Result<ChallengeKey, OfficeError> {
        if let Some(key) = self.read().await?.sign_in_key().await? {
            return Ok(ChallengeKey::new(key));
        }
        let mut tx = self.begin().await?;
        tx.keep_sign_in_key(self.random().bytes()).await?;
        let key = tx.sign_in_key().await?.ok_or(OfficeError::Internal)?;
        tx.commit_without_entry().await?;
        Ok(ChallengeKey::new(key))
    }
}

/// Without those that were removed.
pub(crate) fn in_use(all: Vec<Authenticator>) -> Vec<Authenticator> {
    all.into_iter().filter(|one| one.removed_at.is_none()).collect()
}
