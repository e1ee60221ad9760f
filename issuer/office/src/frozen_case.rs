//! What a case decides on, as the ledger keeps it from the end of intake: the facts, the decision by the rules with its tier, dates and
//! entitlements, the photo by the digests of its renditions, and the digest of the front as it will be printed.
//!
//! One digest stands for all of it; a reviewer and an approver stand for that digest, and a card is made of it and of nothing else.
//! Bound later: the order's salts, the state counter and the certificates' days when it is ordered; card number, chip and keys, and
//! with them the back, by the vault.

use std::fmt;

use issuer_artwork::FrontFace;
use issuer_mandate::CardItems;
use jiff::civil::Date;
use permit_domain::{
    Applicant, ApplicantForm, Application, Content, Decision, Digest, Grant, Permit, PermitId, Tier,
};
use serde::{Deserialize, Serialize};

use crate::card_content::{CardContent, Case, Signed};
use crate::error::{ContentError, OfficeError};
use crate::frozen_photo::FrozenPhoto;
use crate::random::Random;

/// Version of the frozen form.
const VERSION: u8 = 1;

/// What a case decides on.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrozenCase {
    version: u8,
    application: String,
    permit: String,
    applicant: ApplicantForm,
    decision: Decision,
    /// What of the card is decided; absent where nothing is granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    card: Option<FrozenCard>,
}

/// What of a card is decided before it has a number.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FrozenCard {
    tier: Tier,
    rule_set: String,
    valid_from: Date,
    valid_to: Date,
    organ: String,
    issued_on: Date,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    purse_cap: Option<u32>,
    photo: FrozenPhoto,
    /// SHA-256 of the PNG file of the front.
    front: Digest,
}

impl fmt::Debug for FrozenCase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FrozenCase(personal data)")
    }
}

/// What the card of a case is made up from, before its photo is there.
#[derive(Debug)]
pub(crate) struct CardPlan<'a> {
    pub(crate) permit: &'a Permit,
    pub(crate) applicant: &'a Applicant,
    pub(crate) decision: &'a Decision,
    pub(crate) organ: &'a str,
    pub(crate) issued_on: Date,
    pub(crate) purse_cap: Option<u32>,
}

impl CardPlan<'_> {
    /// The card as it would be with this photo. Salts are its own: what is compared later are the items.
    pub(crate) fn with(&self, photo: FrozenPhoto, random: &Random) -> Result<CardContent, ContentError> {
        let case = Case {
            permit: self.permit,
            applicant: self.applicant,
            decision: self.decision,
            organ: self.organ,
            issued_on: self.issued_on,
            made_on: self.issued_on,
            purse_cap: self.purse_cap,
            state_counter: 1,
        };
        CardContent::freeze(&case, photo, random)
    }

    /// The front as it will be printed.
    pub(crate) fn front(
        &self,
        photo: FrozenPhoto,
        print: Vec<u8>,
        random: &Random,
    ) -> Result<FrontFace, ContentError> {
        self.with(photo, random)?.front(print)
    }

    /// What a mandate says of it.
    pub(crate) fn items(&self, photo: FrozenPhoto, random: &Random) -> Result<CardItems, ContentError> {
        self.with(photo, random)?.items()
    }

    /// What is frozen of it.
    pub(crate) fn freeze(self, photo: FrozenPhoto, front: Digest) -> FrozenCard {
        let grant = self.permit.grant();
        FrozenCard {
            tier: grant.tier,
            rule_set: grant.rule_set.clone(),
            valid_from: grant.valid_from,
            valid_to: grant.valid_to,
            organ: self.organ.to_owned(),
            issued_on: self.issued_on,
            purse_cap: self.purse_cap,
            photo,
            front,
        }
    }
}

impl FrozenCase {
    pub(crate) fn new(
        application: &Application,
        permit: PermitId,
        applicant: &Applicant,
        decision: Decision,
        card: Option<FrozenCard>,
    ) -> Self {
        Self {
            version: VERSION,
            application: application.id().to_string(),
            permit: permit.to_string(),
            applicant: applicant.into(),
            decision,
            card,
        }
    }

    /// The bytes that the ledger keeps, with their digest.
    ///
    /// # Errors
    /// [`ContentError::Unreadable`] if they cannot be written as JSON.
    pub(crate) fn to_content(&self) -> Result<Content, ContentError> {
        serde_json::to_vec(self)
            .map(Content::freeze)
            .map_err(|_| ContentError::Unreadable)
    }

    /// Takes the ledger's bytes back.
    ///
    /// # Errors
    /// [`ContentError::Unreadable`].
    pub fn from_content(content: &Content) -> Result<Self, ContentError> {
        let read: Self = serde_json::from_slice(content.bytes()).map_err(|_| ContentError::Unreadable)?;
        let whole = read.version == VERSION && read.card.is_some() == read.decision.tier.is_some();
        if whole && read.permit.parse::<PermitId>().is_ok() {
            Ok(read)
        } else {
            Err(ContentError::Unreadable)
        }
    }

    /// Whether both say the same of the case. Two that were made up at one moment for a permit to come have each drawn its id.
    pub(crate) fn says_the_same_as(&self, other: &Self) -> bool {
        let permit = other.permit.clone();
        Self {
            permit,
            ..self.clone()
        } == *other
    }

    /// The decision by the rules.
    #[must_use]
    pub const fn decision(&self) -> &Decision {
        &self.decision
    }

    /// The permit that it grants, or whose next card is made of it.
    ///
    /// # Errors
    /// [`ContentError::Unreadable`].
    pub(crate) fn permit(&self) -> Result<PermitId, ContentError> {
        self.permit.parse().map_err(|_| ContentError::Unreadable)
    }

    /// The photo that goes onto the card.
    #[must_use]
    pub fn photo(&self) -> Option<&FrozenPhoto> {
        self.card.as_ref().map(|card| &card.photo)
    }

    /// Whether it grants a card.
    #[must_use]
    pub(crate) const fn grants(&self) -> bool {
        self.card.is_some()
    }

    /// SHA-256 of the PNG file of the front.
    #[must_use]
    pub fn front(&self) -> Option<Digest> {
        self.card.as_ref().map(|card| card.front)
    }

    /// Day of issue, as printed.
    #[must_use]
    pub fn issued_on(&self) -> Option<Date> {
        self.card.as_ref().map(|card| card.issued_on)
    }

    /// The content of an order of it, made on this day. What the ledger says of the permit's facts must still be what was signed.
    ///
    /// # Errors
    /// [`OfficeError::SignedOtherwise`]; [`ContentError`].
    pub(crate) fn to_card(
        &self,
        content: &Content,
        permit: &Permit,
        (applicant, decision): (&Applicant, &Decision),
        made: (Date, u32),
        random: &Random,
    ) -> Result<CardContent, OfficeError> {
        let card = self.card.as_ref().ok_or(ContentError::NothingGranted)?;
        let same = self.applicant == ApplicantForm::from(applicant)
            && self.decision == *decision
            && self.permit()? == permit.id()
            && self.application == permit.grant().application.to_string()
            && card.grants(permit.grant());
        if !same {
            return Err(OfficeError::SignedOtherwise);
        }
        let (made_on, state_counter) = made;
        let case = Case {
            permit,
            applicant,
            decision,
            organ: &card.organ,
            issued_on: card.issued_on,
            made_on,
            purse_cap: card.purse_cap,
            state_counter,
        };
        let signed = Signed {
            content: content.digest(),
            front: card.front,
        };
        Ok(CardContent::freeze(&case, card.photo.clone(), random)?.signed(signed))
    }
}

impl FrozenCard {
    fn grants(&self, grant: &Grant) -> bool {
        self.tier == grant.tier
            && self.rule_set == grant.rule_set
            && self.valid_from == grant.valid_from
            && self.valid_to == grant.valid_to
    }
}
