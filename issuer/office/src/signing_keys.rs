//! Keys with which people sign mandates: an administrator proposes one, face to face, that an authenticator made on the signing page;
//! another administrator confirms it; one removes it at once. Neither is its person. In a rehearsal sample staff have key files.
//!
//! Left out: signing (`mandate`), and signing in, for which there are other keys (`authenticators`).

use issuer_mandate::SignerRole;
use issuer_store::{Entry, SigningKey, SigningKeyKind, signer_role};
use jiff::{SignedDuration, Timestamp};
use permit_domain::{Digest, Division, StaffId};

use crate::authenticators::{EnrolmentQuestion, named};
use crate::challenge::Purpose;
use crate::error::OfficeError;
use crate::office::Office;
use crate::session::{ADMINISTRATOR, AtPage};
use crate::sign_in::Question;
use crate::sign_in_error::SignInError;
use crate::signing_error::SigningError;
use crate::staff::{Staff, StaffRole};
use crate::webauthn::{RelyingParty, challenge_of};

/// How long a key signs: a right that nobody looks at again ends, in two years.
const SIGNS_FOR: SignedDuration = SignedDuration::from_hours(2 * 365 * 24);
/// How long a key file signs: longer than any rehearsal goes on.
const REHEARSED_FOR: SignedDuration = SignedDuration::from_hours(100 * 365 * 24);
/// How long a proposal may be confirmed.
const CONFIRMED_WITHIN: SignedDuration = SignedDuration::from_hours(24);
/// Who enrols the keys of a rehearsal, in its ledger.
const FOUNDING: &str = "founding";

/// For whom a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The person.
    pub account: StaffId,
    /// In which role they sign.
    pub role: SignerRole,
    /// For which organ.
    pub organ: Division,
}

impl Signer {
    /// What a challenge is asked for.
    fn named(&self) -> String {
        format!("{} {} {}", self.account, signer_role(self.role), self.organ)
    }

    /// The role in the staff file that goes with it.
    const fn staff_role(&self) -> StaffRole {
        match self.role {
            SignerRole::Approver => StaffRole::Approver,
            _ => StaffRole::Reviewer,
        }
    }
}

impl Office {
    /// The question to the authenticator that makes a signing key.
    ///
    /// # Errors
    /// [`OfficeError::Staff`] for who may not, or a person without the role; outages.
    pub async fn ask_signing_key(
        &self,
        staff: &Staff,
        by: &AtPage,
        signer: &Signer,
    ) -> Result<EnrolmentQuestion, OfficeError> {
        proposer(by, &signer.account)?;
        staff
            .member(&signer.account, self.clock().today())?
            .acting_as(signer.staff_role())?;
        let key = self.challenge_key().await?;
        let known = self.read().await?.signing_keys().await?;
        Ok(EnrolmentQuestion {
            question: Question {
                challenge: self.ask(&key, Purpose::SigningKey, &signer.named()),
                allowed: known.into_iter().map(|one| one.credential).collect(),
            },
            handle: key.handle(&format!("signs {}", signer.named())),
        })
    }

    /// Proposes the key that an authenticator made on this signing page.
    ///
    /// # Errors
    /// [`OfficeError::Staff`], [`SignInError`] for an answer that is not taken, [`SigningError`].
    pub async fn propose_signing_key(
        &self,
        by: &AtPage,
        page: &RelyingParty,
        signer: Signer,
        (client_data, attestation): (&[u8], &[u8]),
    ) -> Result<(), OfficeError> {
        let proposer = proposer(by, &signer.account)?;
        let challenge = challenge_of(client_data).map_err(SignInError::from)?;
        let made = page
            .register(&challenge, client_data, attestation)
            .map_err(SignInError::from)?;
        self.check_challenge(Purpose::SigningKey, &signer.named(), &challenge)
            .await?;
        let mut tx = self.begin().await?;
        self.take_challenge(&mut tx, &challenge).await?;
        let key = SigningKey {
            credential: made.credential,
            kind: SigningKeyKind::Authenticator,
            origin: page.origin().to_owned(),
            public_key: made.public_key,
            counter: made.counter,
            until: later(tx.at(), SIGNS_FOR)?,
            proposed: (proposer.clone(), tx.at()),
            confirmed: None,
            removed: None,
            account: signer.account,
            role: signer.role,
            organ: signer.organ,
        };
        match tx.insert_signing_key(&key).await {
            Err(issuer_store::Error::Exists { .. }) => return Err(SigningError::KeyKnown.into()),
            kept => kept?,
        }
        let appended = tx
            .append(entry(
                "signing key PROPOSED",
                ADMINISTRATOR,
                &proposer,
                &key,
                &said(&key),
            ))
            .await?;
        Ok(tx.commit(appended).await?)
    }

    /// Confirms a key that another administrator proposed: from now on it signs.
    ///
    /// # Errors
    /// [`OfficeError::Staff`], [`SigningError`].
    pub async fn confirm_signing_key(&self, by: &AtPage, credential: &[u8]) -> Result<(), OfficeError> {
        let confirmer = administrator(by)?;
        let mut tx = self.begin().await?;
        let now = tx.at();
        let key = tx
            .signing_key(credential)
            .await?
            .filter(|key| key.confirmed.is_none() && key.removed.is_none())
            .filter(|key| now.duration_since(key.proposed.1) < CONFIRMED_WITHIN)
            .ok_or(SigningError::NotProposed)?;
        if confirmer == key.account || confirmer == key.proposed.0 {
            return Err(SigningError::ByTwoOthers.into());
        }
        tx.confirm_signing_key(credential, &confirmer).await?;
        let appended = tx
            .append(entry(
                "signing key ENROLLED",
                ADMINISTRATOR,
                &confirmer,
                &key,
                &said(&key),
            ))
            .await?;
        Ok(tx.commit(appended).await?)
    }

    /// Removes a key at once, or takes its proposal back. What it signed and nobody acted on is signed anew.
    ///
    /// # Errors
    /// [`OfficeError::Staff`], [`SigningError::KeyUnknown`].
    pub async fn remove_signing_key(&self, by: &AtPage, credential: &[u8]) -> Result<(), OfficeError> {
        let remover = administrator(by)?;
        let mut tx = self.begin().await?;
        let key = tx
            .signing_key(credential)
            .await?
            .ok_or(SigningError::KeyUnknown)?;
        if !tx.remove_signing_key(credential, &remover).await? {
            return Err(SigningError::KeyUnknown.into());
        }
        let appended = tx
            .append(entry(
                "signing key REMOVED",
                ADMINISTRATOR,
                &remover,
                &key,
                &said(&key),
            ))
            .await?;
        Ok(tx.commit(appended).await?)
    }

    /// Every signing key that is enrolled or proposed, by account.
    ///
    /// # Errors
    /// Outages.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKey>, OfficeError> {
        let all = self.read().await?.signing_keys().await?;
        Ok(all.into_iter().filter(|key| key.removed.is_none()).collect())
    }

    /// Whether key files sign here.
    ///
    /// # Errors
    /// [`SigningError::RehearsalKey`] in an office that is no rehearsal.
    pub fn check_rehearsal_keys(&self) -> Result<(), OfficeError> {
        if self.founded().is_rehearsal() {
            Ok(())
        } else {
            Err(SigningError::RehearsalKey.into())
        }
    }

    /// Enrols the key file of a sample member of a rehearsal. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`SigningError::RehearsalKey`] in an office that is no rehearsal; outages.
    pub async fn enrol_rehearsal_key(
        &self,
        signer: Signer,
        origin: &str,
        (credential, public_key): (&[u8], &[u8; 65]),
    ) -> Result<(), OfficeError> {
        self.check_rehearsal_keys()?;
        // The usual case needs no writer.
        if self.read().await?.signing_key(credential).await?.is_some() {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        if tx.signing_key(credential).await?.is_some() {
            return Ok(());
        }
        let founding: StaffId = FOUNDING.parse()?;
        let key = SigningKey {
            credential: credential.to_vec(),
            kind: SigningKeyKind::Rehearsal,
            origin: origin.to_owned(),
            public_key: *public_key,
            counter: 0,
            until: later(tx.at(), REHEARSED_FOR)?,
            proposed: (founding.clone(), tx.at()),
            confirmed: Some((founding.clone(), tx.at())),
            removed: None,
            account: signer.account,
            role: signer.role,
            organ: signer.organ,
        };
        tx.insert_signing_key(&key).await?;
        let appended = tx
            .append(entry(
                "signing key ENROLLED",
                "rehearsal",
                &founding,
                &key,
                &said(&key),
            ))
            .await?;
        Ok(tx.commit(appended).await?)
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Result<Timestamp, OfficeError> {
    at.checked_add(by).map_err(|_| OfficeError::Internal)
}

fn administrator(by: &AtPage) -> Result<StaffId, OfficeError> {
    let account = by.member.acting_as(StaffRole::Administrator)?;
    by.check_fresh()?;
    Ok(account)
}

/// An administrator who is not the person whose key it is.
fn proposer(by: &AtPage, of: &StaffId) -> Result<StaffId, OfficeError> {
    let proposer = administrator(by)?;
    if proposer == *of {
        return Err(SigningError::ByTwoOthers.into());
    }
    Ok(proposer)
}

/// What the ledger keeps of a key: which, for what, and the digest of its public half.
fn said(key: &SigningKey) -> String {
    format!(
        r#"{{"key":"{}","role":"{}","organ":"{}","public_key":"{}"}}"#,
        named(&key.credential),
        signer_role(key.role),
        key.organ,
        Digest::of(&key.public_key)
    )
}

fn entry<'a>(
    action: &'a str,
    role: &'a str,
    by: &'a StaffId,
    key: &'a SigningKey,
    detail: &'a str,
) -> Entry<'a> {
    Entry {
        role,
        actor: by.as_str(),
        action,
        subject: key.account.as_str(),
        detail,
    }
}
