//! The mandate of what a case decides on: made when intake ends, signed by a reviewer and an approver, held against what is about to be
//! written before anything is.
//!
//! Left out: what a mandate is and how an assertion is checked (`issuer-mandate`), showing it and asking an authenticator (the signing
//! page), the mandates of changes of a card.

use issuer_mandate::{
    CardItems, CaseRef, EnrolledKey, Given, Kind, Mandate, MandateError, Relying, Signature, SignerRole,
    Wanted, authorise,
};
use issuer_store::{
    Entry, MandateSignature, SigningKey, SigningKeyKind, Snapshot, StoredApplication, Transaction,
};
use jiff::SignedDuration;
use permit_domain::{
    Actor as _, ApplicationId, Approver, CaseContent, ContentState, Digest, Division, Order, Reviewer,
    StaffId,
};

use crate::authenticators::named;
use crate::card_content::CardContent;
use crate::completion;
use crate::error::{ContentError, OfficeError};
use crate::frozen_case::FrozenCase;
use crate::office::Office;
use crate::on_file;
use crate::signing_error::SigningError;

/// How long a mandate holds from the end of intake.
const HOLDS_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Under which policy is signed: its digest stands in each mandate, so that none counts under another one.
const POLICY: &[u8] = b"YZT-POLICY-1\npersonalise: REVIEWER and APPROVER, two people, ES256, user verified\n";
/// The number of no vault, for a ledger of before the vault of its founding was written down: no vault acts on such a mandate.
const NO_VAULT: [u8; 16] = [0; 16];

/// What a person is to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToSign {
    /// The mandate's bytes.
    pub mandate: Vec<u8>,
    /// Ids of the keys with which they may.
    pub keys: Vec<Vec<u8>>,
}

/// A signature as a form or a request has it; none where the field is empty.
///
/// # Errors
/// [`SigningError::Form`].
pub fn given(text: &str) -> Result<Option<Given>, OfficeError> {
    if text.is_empty() {
        return Ok(None);
    }
    let given = Given::from_text(text).map_err(|_| SigningError::Form)?;
    Ok(Some(given))
}

impl Office {
    /// The mandate of what was frozen, from now on.
    pub(crate) fn mandate(
        &self,
        id: ApplicationId,
        frozen: Digest,
        organ: &Division,
        content: CardItems,
    ) -> Result<Vec<u8>, OfficeError> {
        let from = self.second()?;
        let mandate = Mandate {
            vault: self.vault_number(),
            kind: Kind::Personalise,
            id: self.random().bytes(),
            case: CaseRef {
                id: *id.as_bytes(),
                frozen: *frozen.as_bytes(),
            },
            organ: organ.as_str().to_owned(),
            content,
            from,
            until: from.saturating_add(HOLDS_FOR.as_secs().unsigned_abs()),
            policy: policy(),
        };
        let form = ContentError::Form { what: "a face item" };
        Ok(mandate.encode().map_err(|_| form)?)
    }

    /// In which role the next signature of a case is given.
    ///
    /// # Errors
    /// [`OfficeError::NotFound`], [`OfficeError::NotCompleted`].
    pub async fn signs_next(&self, id: ApplicationId) -> Result<SignerRole, OfficeError> {
        let case = on_file::application(&mut self.read().await?, id).await?;
        let live = case.content.ok_or(OfficeError::NotCompleted)?;
        Ok(match live.state() {
            ContentState::Completed => SignerRole::Reviewer,
            _ => SignerRole::Approver,
        })
    }

    /// Whether what is live of a case grants a card and has no mandate that holds: it is completed anew, with the photo that it has.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn mandate_lapsed(&self, live: &CaseContent) -> Result<bool, OfficeError> {
        if !FrozenCase::from_content(live.content())?.grants() {
            return Ok(false);
        }
        let mut ledger = self.read().await?;
        let Some(bytes) = ledger.mandate(live.application(), live.version()).await? else {
            return Ok(true);
        };
        let mandate = Mandate::decode(&bytes).map_err(|_| damaged())?;
        Ok(self.second()? > mandate.until)
    }

    /// What a person signs of a case in this role: its live mandate, and their keys.
    ///
    /// # Errors
    /// [`OfficeError::NotCompleted`]; [`SigningError::NoMandate`]; [`SigningError::KeyUnknown`] for a person without a key.
    pub async fn to_sign(
        &self,
        id: ApplicationId,
        account: &StaffId,
        role: SignerRole,
    ) -> Result<ToSign, OfficeError> {
        let mut ledger = self.read().await?;
        let case = on_file::application(&mut ledger, id).await?;
        let live = case.content.ok_or(OfficeError::NotCompleted)?;
        let mandate = ledger.mandate(id, live.version()).await?;
        let mandate = mandate.ok_or(SigningError::NoMandate)?;
        let keys: Vec<_> = ledger
            .signing_keys()
            .await?
            .into_iter()
            .filter(|key| key.is_enrolled() && key.account == *account && key.role == role)
            .map(|key| key.credential)
            .collect();
        if keys.is_empty() {
            return Err(SigningError::KeyUnknown.into());
        }
        Ok(ToSign { mandate, keys })
    }

    /// Checks what a person signed of live content, and keeps it. Content without a card takes no signature: it gives nothing.
    pub(crate) async fn take_signature(
        &self,
        tx: &mut Transaction,
        live: &CaseContent,
        (role, account): (SignerRole, &StaffId),
        given: Option<&Given>,
        grants: bool,
    ) -> Result<(), OfficeError> {
        if !grants {
            return Ok(());
        }
        let (id, version) = (live.application(), live.version());
        let bytes = tx.mandate(id, version).await?.ok_or(SigningError::NoMandate)?;
        let mandate = Mandate::decode(&bytes).map_err(|_| damaged())?;
        let given = given.ok_or(SigningError::NotSigned)?;
        let now = self.second()?;
        let key = tx
            .signing_key(&given.credential)
            .await?
            .filter(SigningKey::is_enrolled)
            .ok_or(SigningError::KeyUnknown)?;
        let enrolled = self.enrolled(&key)?;
        if key.account != *account {
            return Err(SigningError::KeyOther.into());
        }
        if key.role != role {
            return Err(SigningError::KeyRole.into());
        }
        if now > enrolled.until {
            return Err(SigningError::KeyEnded.into());
        }
        if !enrolled.signs(&mandate.organ, now) {
            return Err(SigningError::KeyOrgan.into());
        }
        if now < mandate.from || now > mandate.until {
            return Err(SigningError::MandateEnded.into());
        }
        let counter = given
            .signature
            .verify(&bytes, &enrolled)
            .map_err(SigningError::from)?;
        let signature = Signature {
            assertion: given
                .signature
                .assertion
                .clone()
                .in_one_form()
                .map_err(|_| SigningError::Refused)?,
            proof: given.signature.proof.clone(),
        };
        let kept = MandateSignature {
            role,
            credential: key.credential.clone(),
            signature: minicbor::to_vec(&signature).map_err(|_| OfficeError::Internal)?,
            counter: key.counter,
        };
        tx.insert_mandate_signature(id, version, &kept).await?;
        tx.set_signing_counter(&key.credential, counter).await?;
        let detail = format!(
            r#"{{"version":{version},"mandate":"{}","signature":"{}","key":"{}"}}"#,
            hex::encode(Mandate::digest(&bytes)),
            Digest::of(&kept.signature),
            named(&key.credential)
        );
        let _first = tx
            .append(Entry {
                role: match role {
                    SignerRole::Approver => Approver::ROLE,
                    _ => Reviewer::ROLE,
                },
                actor: account.as_str(),
                action: "mandate SIGNED",
                subject: &id.to_string(),
                detail: &detail,
            })
            .await?;
        Ok(())
    }

    /// Whether two people signed the card of an order whose card was not written yet, with keys that are enrolled now.
    ///
    /// # Errors
    /// [`SigningError`]; [`OfficeError::SignedOtherwise`] where they signed something else.
    pub async fn may_write(&self, order: &Order) -> Result<(), OfficeError> {
        let mut ledger = self.read().await?;
        let permit = on_file::permit(&mut ledger, order.permit()).await?;
        let case = on_file::application(&mut ledger, permit.grant().application).await?;
        let content = CardContent::from_content(order.content())?;
        self.authorised(&mut ledger, &case, &content).await
    }

    /// Whether two people signed what this content writes.
    pub(crate) async fn authorised(
        &self,
        ledger: &mut Snapshot,
        case: &StoredApplication,
        content: &CardContent,
    ) -> Result<(), OfficeError> {
        // An order of before content was signed has none.
        let frozen = content.signed_content().ok_or(SigningError::NoMandate)?;
        let live = completion::signed(case)?;
        let (id, version) = (live.application(), live.version());
        let bytes = ledger
            .mandate(id, version)
            .await?
            .ok_or(SigningError::NoMandate)?;
        let signed = ledger.mandate_signatures(id, version).await?;
        let [reviewer, approver] = signed.as_slice() else {
            return Err(SigningError::NotSigned.into());
        };
        let reviewer = self.kept(ledger, reviewer).await?;
        let approver = self.kept(ledger, approver).await?;
        let items = content.items()?;
        let wanted = Wanted {
            vault: self.vault_number(),
            kind: Kind::Personalise,
            case: CaseRef {
                id: *id.as_bytes(),
                frozen: *frozen.as_bytes(),
            },
            organ: content.division().as_str(),
            content: &items,
            policy: policy(),
            at: self.second()?,
        };
        let both = [(&reviewer.0, &reviewer.1), (&approver.0, &approver.1)];
        match authorise(&wanted, &bytes, both) {
            Ok(_) => Ok(()),
            Err(MandateError::Form) => Err(damaged()),
            Err(
                MandateError::OtherVault
                | MandateError::OtherKind
                | MandateError::OtherCase
                | MandateError::OtherOrgan
                | MandateError::OtherContent
                | MandateError::OtherPolicy,
            ) => Err(OfficeError::SignedOtherwise),
            Err(error) => Err(SigningError::from(error).into()),
        }
    }

    /// A signature that was kept, with its key as it is enrolled now and as its counter stood before.
    async fn kept(
        &self,
        ledger: &mut Snapshot,
        kept: &MandateSignature,
    ) -> Result<(Signature, EnrolledKey), OfficeError> {
        let signature = minicbor::decode(&kept.signature).map_err(|_| damaged())?;
        let key = ledger
            .signing_key(&kept.credential)
            .await?
            .filter(SigningKey::is_enrolled)
            .ok_or(SigningError::KeyUnknown)?;
        let enrolled = EnrolledKey {
            counter: kept.counter,
            ..self.enrolled(&key)?
        };
        Ok((signature, enrolled))
    }

    /// A key of the ledger as a verifier takes it. Key files count in a rehearsal alone.
    fn enrolled(&self, key: &SigningKey) -> Result<EnrolledKey, OfficeError> {
        if key.kind == SigningKeyKind::Rehearsal {
            self.check_rehearsal_keys()?;
        }
        Ok(EnrolledKey {
            person: key.account.to_string(),
            role: key.role,
            organ: key.organ.as_str().to_owned(),
            until: key.until.as_second().try_into().unwrap_or(0),
            public_key: key.public_key.to_vec(),
            page: Relying::at(&key.origin).map_err(|_| damaged())?,
            counter: key.counter,
        })
    }

    fn vault_number(&self) -> [u8; 16] {
        self.under().unwrap_or(NO_VAULT)
    }

    /// Now, seconds since 1970.
    fn second(&self) -> Result<u64, OfficeError> {
        let now = self.clock().now().as_second();
        now.try_into().map_err(|_| OfficeError::Internal)
    }
}

fn policy() -> [u8; 32] {
    *Digest::of(POLICY).as_bytes()
}

fn damaged() -> OfficeError {
    issuer_store::Error::Damaged {
        what: "mandates".to_owned(),
    }
    .into()
}
