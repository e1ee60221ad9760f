//! What goes onto one card, as its order keeps it: what two people signed ([`crate::frozen_case`]), encoded as DG1 and DG3 with fresh
//! salts, the digests of both renditions of the photo, and the entitlements. Card specification, chapter 02; Decree 663, article 4.
//!
//! The face is printed from the same DG1 that the chip gets, and the card is verified against it: chip, print and
//! order cannot differ. The photo itself stays in the photo store; its digests bind it. Left out: records, keys, pids
//! and certificates, which are the vault's.

use std::fmt;

use card_applet_spec::data_group::{Dg1, Dg2, Dg3, MAX_DG2, PortraitFormat};
use issuer_artwork::FrontFace;
use issuer_mandate as mandate;
use issuer_mandate::{CardItems, PermitItems, PersonItems};
use jiff::civil::Date;
use keyvault_protocol as vault;
use permit_domain::{
    Applicant, CardNumber, Content, Decision, Digest, Division, Entitlement, Grant, Nation, Permit, Role,
    Sex, Tier,
};
use program_contract::day;
use serde::{Deserialize, Serialize};

use crate::error::ContentError;
use crate::frozen_photo::FrozenPhoto;
use crate::random::Random;

/// Version of the frozen form.
const VERSION: u8 = 1;

/// Life of a card's certificates, years. The chip's makers promise data for ten years; a permit ends or is endorsed long
/// before, and the records, not the certificates, carry its dates.
const CARD_YEARS: i16 = 10;

/// Largest single amount of the purse of a card that was frozen before purse rules were published, fen.
const OLD_PURSE_CAP_FEN: u32 = 30_000;

/// The frozen content of an order.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardContent {
    version: u8,
    division: Division,
    dg1: String,
    dg3: String,
    portrait_salt: String,
    photo: FrozenPhoto,
    entitlements: Vec<Entitlement>,
    tier: Tier,
    rule_set: String,
    valid_from: Date,
    valid_to: Date,
    certificate_from: Date,
    certificate_to: Date,
    /// Largest single amount of the purse, fen; absent in orders of before purse rules were published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    purse_cap: Option<u32>,
    /// What two people signed; absent in orders of before that, and of what a change made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signed: Option<Signed>,
}

/// What of an order two people signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Signed {
    /// SHA-256 of the frozen case.
    pub(crate) content: Digest,
    /// SHA-256 of the front's PNG file.
    pub(crate) front: Digest,
}

impl fmt::Debug for CardContent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CardContent(personal data)")
    }
}

/// The encoded parts of frozen content.
struct Parts {
    dg1: Vec<u8>,
    dg3: Vec<u8>,
    /// Of DG2, whose picture the photo store keeps.
    salt: [u8; 16],
}

/// What a card is made from.
#[derive(Debug)]
pub struct Case<'a> {
    /// The permit.
    pub permit: &'a Permit,
    /// Whose it is.
    pub applicant: &'a Applicant,
    /// What was decided.
    pub decision: &'a Decision,
    /// The issuing organ in Chinese.
    pub organ: &'a str,
    /// Day of issue, as printed.
    pub issued_on: Date,
    /// First day of the chip's certificates: that of its order.
    pub made_on: Date,
    /// Largest single amount of the purse by the purse rules in force, fen; `None`: the card has no purse.
    pub purse_cap: Option<u32>,
    /// Tag 86 of DG3: grows with every rewrite of a card of this permit.
    pub state_counter: u32,
}

/// What of a card is written, and compared after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewritten {
    /// All of it: a new card.
    Whole,
    /// DG1 and DG2.
    Person,
    /// DG3 and every record.
    Grant,
    /// Every record.
    Records,
    /// The record of small payment.
    Purse,
}

impl Rewritten {
    const fn has_person(self) -> bool {
        matches!(self, Self::Whole | Self::Person)
    }

    /// Whether the permit block is written, and with it the permit's last day.
    pub(crate) const fn has_permit(self) -> bool {
        matches!(self, Self::Whole | Self::Grant)
    }

    /// Whether the record of this role is written.
    #[must_use]
    pub fn has_record(self, role: Role) -> bool {
        match self {
            Self::Whole | Self::Grant | Self::Records => true,
            Self::Purse => role == Role::SmallPayment,
            Self::Person => false,
        }
    }
}

impl CardContent {
    /// Encodes and salts.
    ///
    /// # Errors
    /// [`ContentError::NothingGranted`], [`ContentError::Form`].
    pub fn freeze(case: &Case<'_>, photo: FrozenPhoto, random: &Random) -> Result<Self, ContentError> {
        let (applicant, grant, decision) = (case.applicant, case.permit.grant(), case.decision);
        if decision.tier != Some(grant.tier) {
            return Err(ContentError::NothingGranted);
        }
        let division = &applicant.residence.division;
        check_purse(&decision.entitlements, case.purse_cap, division)?;
        let issue_date = card_date(case.issued_on)?;
        let picture = *photo.chip.as_bytes();
        let dg1 = face_items(applicant, case.organ, issue_date, picture, random.bytes())?
            .encode()
            .map_err(|_| ContentError::Form { what: "a face item" })?;
        let dg3 = Dg3 {
            permit_id: *case.permit.id().as_bytes(),
            tier: grant.tier,
            issued: issue_date,
            endorsed_until: card_date(grant.valid_to)?,
            rule_set: &grant.rule_set,
            state_counter: case.state_counter,
            salt: random.bytes(),
        }
        .encode()
        .map_err(|_| ContentError::Form {
            what: "the permit block",
        })?;
        let certificate_to = case
            .made_on
            .checked_add(jiff::Span::new().years(CARD_YEARS))
            .map_err(|_| ContentError::Form {
                what: "the certificate's last day",
            })?;
        Ok(Self {
            version: VERSION,
            division: applicant.residence.division.clone(),
            dg1: hex::encode(&dg1),
            dg3: hex::encode(&dg3),
            portrait_salt: hex::encode(random.bytes::<16>()),
            photo,
            entitlements: decision.entitlements.clone(),
            tier: grant.tier,
            rule_set: grant.rule_set.clone(),
            valid_from: grant.valid_from,
            valid_to: grant.valid_to,
            certificate_from: case.made_on,
            certificate_to,
            purse_cap: case.purse_cap,
            signed: None,
        })
    }

    /// The same as two people signed it.
    pub(crate) fn signed(self, signed: Signed) -> Self {
        Self {
            signed: Some(signed),
            ..self
        }
    }

    /// Whether this is the front that was signed, as a file. An order of before fronts were signed tells nothing apart.
    ///
    /// # Errors
    /// [`ContentError::OtherFace`].
    pub fn check_front(&self, png: &[u8]) -> Result<(), ContentError> {
        match self.signed {
            Some(signed) if signed.front != Digest::of(png) => Err(ContentError::OtherFace),
            _ => Ok(()),
        }
    }

    /// SHA-256 of the frozen case that two people signed; none for an order of before that.
    #[must_use]
    pub fn signed_content(&self) -> Option<Digest> {
        self.signed.map(|signed| signed.content)
    }

    /// The same card after a new decision: another permit block and other records.
    ///
    /// # Errors
    /// [`ContentError::NothingGranted`], [`ContentError::RoleTaken`], [`ContentError::NoPurseRules`],
    /// [`ContentError::Unreadable`], [`ContentError::Form`].
    pub fn regranted(
        &self,
        grant: &Grant,
        decision: &Decision,
        purse_cap: Option<u32>,
        state_counter: u32,
        random: &Random,
    ) -> Result<Self, ContentError> {
        if decision.tier != Some(grant.tier) {
            return Err(ContentError::NothingGranted);
        }
        check_purse(&decision.entitlements, purse_cap, &self.division)?;
        let granted = |role| decision.entitlements.iter().any(|e| e.role == role);
        if !self.roles().all(granted) {
            return Err(ContentError::RoleTaken);
        }
        let before = self.parts()?.dg3;
        let before = Dg3::parse(&before).map_err(|_| ContentError::Unreadable)?;
        let dg3 = Dg3 {
            permit_id: before.permit_id,
            tier: grant.tier,
            issued: before.issued,
            endorsed_until: card_date(grant.valid_to)?,
            rule_set: &grant.rule_set,
            state_counter,
            salt: random.bytes(),
        }
        .encode()
        .map_err(|_| ContentError::Form {
            what: "the permit block",
        })?;
        Ok(Self {
            dg3: hex::encode(&dg3),
            entitlements: decision.entitlements.clone(),
            tier: grant.tier,
            rule_set: grant.rule_set.clone(),
            valid_to: grant.valid_to,
            purse_cap,
            signed: None,
            ..self.clone()
        })
    }

    /// The same card after its holder moved: DG1 with the new address and organ, and the photo that the new face shows.
    ///
    /// # Errors
    /// [`ContentError::Unreadable`], [`ContentError::Form`].
    pub fn moved(
        &self,
        applicant: &Applicant,
        organ: &str,
        photo: FrozenPhoto,
        random: &Random,
    ) -> Result<Self, ContentError> {
        let before = self.parts()?.dg1;
        let before = Dg1::parse(&before).map_err(|_| ContentError::Unreadable)?;
        let dg1 = Dg1 {
            photo: *photo.chip.as_bytes(),
            residence_address: applicant.residence.address.as_str(),
            issuing_organ: organ,
            salt: random.bytes(),
            ..before
        }
        .encode()
        .map_err(|_| ContentError::Form { what: "a face item" })?;
        Ok(Self {
            division: applicant.residence.division.clone(),
            dg1: hex::encode(&dg1),
            portrait_salt: hex::encode(random.bytes::<16>()),
            photo,
            signed: None,
            ..self.clone()
        })
    }

    /// Whether the card's certificates hold on this day: another card has to be made of one that is older.
    ///
    /// # Errors
    /// [`ContentError::CardTooOld`].
    pub(crate) fn check_certificates(&self, on: Date) -> Result<(), ContentError> {
        if on <= self.certificate_to {
            Ok(())
        } else {
            Err(ContentError::CardTooOld {
                to: self.certificate_to,
            })
        }
    }

    /// The same with what this other content says of person and residence.
    pub(crate) fn with_person_of(self, other: Self) -> Self {
        Self {
            division: other.division,
            dg1: other.dg1,
            portrait_salt: other.portrait_salt,
            photo: other.photo,
            ..self
        }
    }

    /// The same with what this other content grants.
    pub(crate) fn with_grant_of(self, other: Self) -> Self {
        Self {
            dg3: other.dg3,
            entitlements: other.entitlements,
            tier: other.tier,
            rule_set: other.rule_set,
            valid_from: other.valid_from,
            valid_to: other.valid_to,
            purse_cap: other.purse_cap,
            ..self
        }
    }

    /// Tag 86 of DG3.
    ///
    /// # Errors
    /// [`ContentError::Unreadable`].
    pub fn state_counter(&self) -> Result<u32, ContentError> {
        let dg3 = self.parts()?.dg3;
        Dg3::parse(&dg3)
            .map(|dg3| dg3.state_counter)
            .map_err(|_| ContentError::Unreadable)
    }

    /// What the vault writes to a card in use. `chip` is the photo's rendition, for a rewrite of the person's groups.
    ///
    /// # Errors
    /// [`ContentError::OtherPhoto`], [`ContentError::Unreadable`], [`ContentError::Form`].
    pub fn rewrite(
        &self,
        what: Rewritten,
        chip: Option<&[u8]>,
        loaded: Option<u32>,
    ) -> Result<vault::RewriteContent, ContentError> {
        let Parts { dg1, dg3, salt } = self.parts()?;
        let dg2 = match chip.filter(|_| what.has_person()) {
            Some(chip) => {
                self.photo.check_chip(chip)?;
                Some(encode_portrait(chip, salt)?)
            }
            None if what.has_person() => return Err(ContentError::OtherPhoto),
            None => None,
        };
        let entitlements = self
            .entitlements
            .iter()
            .zip(self.vault_entitlements()?)
            .filter(|(ordered, _)| what.has_record(ordered.role))
            .map(|(_, written)| written)
            .collect();
        Ok(vault::RewriteContent {
            dg1: what.has_person().then_some(dg1),
            dg2,
            dg3: what.has_permit().then_some(dg3),
            entitlements,
            loaded,
        })
    }

    /// What a mandate says of this card, computed from what is written.
    ///
    /// # Errors
    /// [`ContentError::Unreadable`], [`ContentError::Form`].
    pub(crate) fn items(&self) -> Result<CardItems, ContentError> {
        let Parts { dg1, dg3, .. } = self.parts()?;
        let dg1 = Dg1::parse(&dg1).map_err(|_| ContentError::Unreadable)?;
        let dg3 = Dg3::parse(&dg3).map_err(|_| ContentError::Unreadable)?;
        let day = |day| {
            let day = day::from_card(day).ok_or(ContentError::Unreadable)?;
            Ok::<_, ContentError>(day.to_string())
        };
        Ok(CardItems {
            person: PersonItems {
                name: dg1.name.to_owned(),
                sex: dg1.sex.to_string(),
                nation: format!("{:02}", dg1.nation),
                born: day(dg1.birth_date)?,
                citizen_number: dg1.citizen_number.to_owned(),
                hukou_address: dg1.hukou_address.to_owned(),
                residence_address: dg1.residence_address.to_owned(),
                organ: dg1.issuing_organ.to_owned(),
                issued_on: day(dg1.issue_date)?,
            },
            portrait: dg1.photo,
            permit: PermitItems {
                id: dg3.permit_id,
                tier: dg3.tier.to_string(),
                rule_set: dg3.rule_set.to_owned(),
                valid_from: self.valid_from.to_string(),
                valid_to: day(dg3.endorsed_until)?,
            },
            entitlements: self
                .vault_entitlements()?
                .into_iter()
                .map(|one| mandate::Entitlement {
                    role: one.role.to_string(),
                    class: one.class,
                    services: one.services,
                    zones: one.zones,
                    purse_cap: one.purse_cap,
                })
                .collect(),
            loaded: None,
        })
    }

    fn vault_entitlements(&self) -> Result<Vec<vault::Entitlement>, ContentError> {
        let region = self.region()?;
        let cap = self.purse_cap.unwrap_or(OLD_PURSE_CAP_FEN);
        Ok(self
            .entitlements
            .iter()
            .map(|entitlement| vault::Entitlement {
                role: entitlement.role,
                region,
                tier: self.tier,
                class: entitlement.class,
                services: entitlement.services,
                zones: entitlement.zones,
                valid_from: self.valid_from,
                valid_to: self.valid_to,
                rule_set: self.rule_set.clone(),
                purse_cap: if entitlement.role == Role::SmallPayment {
                    cap
                } else {
                    0
                },
            })
            .collect())
    }

    /// The permit's last day on the card.
    pub(crate) const fn valid_to(&self) -> Date {
        self.valid_to
    }

    /// Its tier.
    #[must_use]
    pub const fn tier(&self) -> Tier {
        self.tier
    }

    /// The bytes that the ledger keeps.
    ///
    /// # Errors
    /// [`ContentError::Unreadable`] if they cannot be written as JSON.
    pub fn to_content(&self) -> Result<Content, ContentError> {
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
        // Parsed now, so that a damaged ledger stops an order before a card is touched.
        if read.version == VERSION && read.parts().is_ok() {
            Ok(read)
        } else {
            Err(ContentError::Unreadable)
        }
    }

    fn parts(&self) -> Result<Parts, ContentError> {
        let bytes = |text: &str| hex::decode(text).map_err(|_| ContentError::Unreadable);
        let (dg1, dg3) = (bytes(&self.dg1)?, bytes(&self.dg3)?);
        Dg1::parse(&dg1)
            .and(Dg3::parse(&dg3).map(|_| ()))
            .map_err(|_| ContentError::Unreadable)?;
        let salt = bytes(&self.portrait_salt)?
            .try_into()
            .map_err(|_| ContentError::Unreadable)?;
        Ok(Parts { dg1, dg3, salt })
    }

    /// The photo.
    #[must_use]
    pub const fn photo(&self) -> &FrozenPhoto {
        &self.photo
    }

    /// Division of residence: its templates are printed, and the back's statement names it.
    #[must_use]
    pub const fn division(&self) -> &Division {
        &self.division
    }

    /// Day of issue, as printed.
    ///
    /// # Errors
    /// [`ContentError::Unreadable`].
    pub fn issued_on(&self) -> Result<Date, ContentError> {
        let Parts { dg1, .. } = self.parts()?;
        let dg1 = Dg1::parse(&dg1).map_err(|_| ContentError::Unreadable)?;
        day::from_card(dg1.issue_date).ok_or(ContentError::Unreadable)
    }

    /// The day of its order, from which its certificates count.
    #[must_use]
    pub const fn made_on(&self) -> Date {
        self.certificate_from
    }

    /// The roles that the card gets a record for.
    pub fn roles(&self) -> impl Iterator<Item = Role> {
        self.entitlements.iter().map(|entitlement| entitlement.role)
    }

    /// What the vault writes onto the card of this number; `chip` is the photo's rendition of that name.
    ///
    /// # Errors
    /// [`ContentError::OtherPhoto`], [`ContentError::Unreadable`], [`ContentError::Form`].
    pub fn for_vault(&self, number: &CardNumber, chip: &[u8]) -> Result<vault::CardContent, ContentError> {
        self.photo.check_chip(chip)?;
        let Parts { dg1, dg3, salt } = self.parts()?;
        let dg2 = encode_portrait(chip, salt)?;
        let entitlements = self.vault_entitlements()?;
        Ok(vault::CardContent {
            dg1,
            dg2,
            dg3,
            entitlements,
            certificate_from: self.certificate_from,
            certificate_to: self.certificate_to,
            card_number: number.as_str().to_owned(),
        })
    }

    /// The region of the card's role keys: the prefecture of the residence.
    ///
    /// # Errors
    /// [`ContentError::Form`].
    pub fn region(&self) -> Result<vault::Region, ContentError> {
        let form = ContentError::Form { what: "the division" };
        let prefecture = self.division.as_str().get(..4).ok_or(form.clone())?;
        format!("{prefecture}00").parse().map_err(|_| form)
    }

    /// The front to print, from the same bytes that the chip gets.
    ///
    /// # Errors
    /// [`ContentError::OtherPhoto`] when `print` is not the frozen rendition, [`ContentError::Unreadable`].
    pub fn front(&self, print: Vec<u8>) -> Result<FrontFace, ContentError> {
        self.photo.check_print(&print)?;
        let Parts { dg1, .. } = self.parts()?;
        let dg1 = Dg1::parse(&dg1).map_err(|_| ContentError::Unreadable)?;
        shown(&dg1, print)
    }

    /// Compares groups that were read from a card with what was ordered, byte for byte; names the first that differs.
    #[must_use]
    pub(crate) fn differs(
        &self,
        dg1: Option<&[u8]>,
        dg2: Option<&[u8]>,
        dg3: Option<&[u8]>,
    ) -> Option<&'static str> {
        let Ok(Parts {
            dg1: ordered1,
            dg3: ordered3,
            salt,
        }) = self.parts()
        else {
            return Some("the order");
        };
        let portrait_fits = dg2
            .and_then(|bytes| Dg2::parse(bytes).ok())
            .is_some_and(|portrait| {
                portrait.salt == salt
                    && portrait.format == PortraitFormat::Jpeg
                    && Digest::of(portrait.image) == self.photo.chip
            });
        if dg1 != Some(ordered1.as_slice()) {
            Some("DG1")
        } else if !portrait_fits {
            Some("DG2")
        } else if dg3 != Some(ordered3.as_slice()) {
            Some("DG3")
        } else {
            None
        }
    }

    /// As [`CardContent::differs`], for the groups that were written.
    #[must_use]
    pub fn differs_in(
        &self,
        what: Rewritten,
        dg1: Option<&[u8]>,
        dg2: Option<&[u8]>,
        dg3: Option<&[u8]>,
    ) -> Option<&'static str> {
        let Ok(own) = self.parts() else {
            return Some("the order");
        };
        let person = what.has_person().then(|| self.differs(dg1, dg2, Some(&own.dg3)));
        let permit = what.has_permit() && dg3 != Some(own.dg3.as_slice());
        person.flatten().or(permit.then_some("DG3"))
    }

    /// What was ordered for a role, with the days of its record.
    #[must_use]
    pub fn entitlement(&self, role: Role) -> Option<(&Entitlement, Date, Date)> {
        self.entitlements
            .iter()
            .find(|entitlement| entitlement.role == role)
            .map(|found| (found, self.valid_from, self.valid_to))
    }

    /// Id of the rule set that granted it.
    #[must_use]
    pub fn rule_set(&self) -> &str {
        &self.rule_set
    }
}

/// The front of an applicant's card before there is a photo: the items that the chip would get, as they would be shown.
///
/// # Errors
/// [`ContentError::Form`] for items that the chip does not hold.
pub(crate) fn front_without_photo(
    applicant: &Applicant,
    organ: &str,
    issued_on: Date,
) -> Result<FrontFace, ContentError> {
    let items = face_items(applicant, organ, card_date(issued_on)?, [0; 32], [0; 16])?;
    items
        .encode()
        .map_err(|_| ContentError::Form { what: "a face item" })?;
    shown(&items, Vec::new())
}

/// The items of Decree 663 article 4 as the chip holds them; the picture is bound by its digest.
fn face_items<'a>(
    applicant: &'a Applicant,
    organ: &'a str,
    issue_date: card_applet_spec::date::Date,
    photo: [u8; 32],
    salt: [u8; 16],
) -> Result<Dg1<'a>, ContentError> {
    Ok(Dg1 {
        name: applicant.name.as_str(),
        sex: applicant.sex.number(),
        nation: applicant.nation.number(),
        birth_date: card_date(applicant.birth_date)?,
        citizen_number: applicant.citizen_number.as_str(),
        photo,
        hukou_address: applicant.hukou_address.as_str(),
        residence_address: applicant.residence.address.as_str(),
        issuing_organ: organ,
        issue_date,
        salt,
    })
}

/// The items of the chip as the face shows them: every text character by character.
fn shown(dg1: &Dg1<'_>, print: Vec<u8>) -> Result<FrontFace, ContentError> {
    let sex = Sex::try_from(dg1.sex).map_err(|_| ContentError::Unreadable)?;
    let nation: Nation = format!("{:02}", dg1.nation)
        .parse()
        .map_err(|_| ContentError::Unreadable)?;
    Ok(FrontFace {
        name: dg1.name.to_owned(),
        sex: sex.zh().to_owned(),
        // Identity cards print the nation without its 族.
        nation: nation.zh().trim_end_matches('族').to_owned(),
        birth_date: day::from_card(dg1.birth_date).ok_or(ContentError::Unreadable)?,
        citizen_number: dg1.citizen_number.to_owned(),
        photo: print,
        hukou_address: dg1.hukou_address.to_owned(),
        residence_address: dg1.residence_address.to_owned(),
        issuing_organ: dg1.issuing_organ.to_owned(),
        issue_date: day::from_card(dg1.issue_date).ok_or(ContentError::Unreadable)?,
    })
}

/// Small payment without a cap would be a purse without an end.
fn check_purse(granted: &[Entitlement], cap: Option<u32>, division: &Division) -> Result<(), ContentError> {
    if cap.is_none() && granted.iter().any(|e| e.role == Role::SmallPayment) {
        return Err(ContentError::NoPurseRules {
            division: division.clone(),
        });
    }
    Ok(())
}

fn encode_portrait(image: &[u8], salt: [u8; 16]) -> Result<Vec<u8>, ContentError> {
    let mut out: card_applet_spec::Bytes<MAX_DG2> = card_applet_spec::Bytes::new();
    Dg2 {
        format: PortraitFormat::Jpeg,
        image,
        salt,
    }
    .encode(&mut out)
    .map_err(|_| ContentError::Form { what: "the portrait" })?;
    Ok(out.to_vec())
}

/// A day in the card's form.
///
/// # Errors
/// [`ContentError::Form`] for a year that no card can hold.
pub fn card_date(date: Date) -> Result<card_applet_spec::date::Date, ContentError> {
    day::to_card(date).ok_or(ContentError::Form { what: "a date" })
}

#[cfg(test)]
mod tests {
    use permit_domain::{ApplicantForm, ApplicationId, PermitId, PersonId};
    use permit_rules::RuleSets;
    use photo_store_protocol::PhotoId;
    use rand::SeedableRng as _;

    use super::*;

    const CHIP: &[u8] = b"the rendition for the chip";
    const PRINT: &[u8] = b"the rendition for the face";

    fn number() -> CardNumber {
        CardNumber::new("44".parse().unwrap(), 1).unwrap()
    }

    fn frozen() -> CardContent {
        let today = jiff::civil::date(2026, 11, 21);
        let text = include_str!("../../permit/samples/applicant-li-na.json");
        let applicant = ApplicantForm::from_json(text)
            .unwrap()
            .into_applicant(today)
            .unwrap();
        let rules = RuleSets::embedded().unwrap();
        let set = rules.get(RuleSets::DEFAULT).unwrap();
        let decision = set.decide(&applicant, today, rules.calendar()).unwrap();
        let permit = Permit::granted(
            PermitId::from_bytes([1; 16]),
            PersonId::from_bytes([2; 16]),
            ApplicationId::from_bytes([3; 16]),
            &decision,
        )
        .unwrap();
        let case = Case {
            permit: &permit,
            applicant: &applicant,
            decision: &decision,
            organ: set.organ(&applicant.residence.division).unwrap(),
            issued_on: today,
            made_on: today,
            purse_cap: Some(30_000),
            state_counter: 1,
        };
        let photo = FrozenPhoto::new(PhotoId::from_bytes([4; 16]), "case-1", CHIP, PRINT);
        let random = Random::new(rand::rngs::StdRng::seed_from_u64(9));
        CardContent::freeze(&case, photo, &random).unwrap()
    }

    #[test]
    fn frozen_content_reads_back_from_the_ledger_and_a_damaged_one_stops() {
        let content = frozen();
        let kept = content.to_content().unwrap();
        assert_eq!(CardContent::from_content(&kept).unwrap(), content);
        let damaged = String::from_utf8(kept.bytes().to_vec())
            .unwrap()
            .replace("\"dg1\":\"61", "\"dg1\":\"60");
        let damaged = Content::freeze(damaged.into_bytes());
        assert_eq!(CardContent::from_content(&damaged), Err(ContentError::Unreadable));
        assert_eq!(format!("{content:?}"), "CardContent(personal data)");
    }

    #[test]
    fn the_front_is_printed_from_the_bytes_that_the_chip_gets() {
        let front = frozen().front(PRINT.to_vec()).unwrap();
        assert_eq!(
            (front.name.as_str(), front.sex.as_str(), front.nation.as_str()),
            ("李娜", "女", "汉")
        );
        assert_eq!(front.citizen_number, "440305198511120028");
        assert_eq!(front.issue_date.to_string(), "2026-11-21");
        assert_eq!(
            frozen().front(CHIP.to_vec()).unwrap_err(),
            ContentError::OtherPhoto
        );
        assert_eq!(
            frozen().for_vault(&number(), PRINT).unwrap_err(),
            ContentError::OtherPhoto
        );
    }

    #[test]
    fn any_bit_that_differs_on_the_card_is_noticed() {
        let content = frozen();
        let vault = content.for_vault(&number(), CHIP).unwrap();
        let differs = |dg1: &[u8], dg2: &[u8], dg3: &[u8]| content.differs(Some(dg1), Some(dg2), Some(dg3));
        assert_eq!(differs(&vault.dg1, &vault.dg2, &vault.dg3), None);
        assert_eq!(
            content.differs(None, Some(&vault.dg2), Some(&vault.dg3)),
            Some("DG1")
        );
        assert_eq!(
            content.differs(Some(&vault.dg1), None, Some(&vault.dg3)),
            Some("DG2")
        );
        assert_eq!(
            content.differs(Some(&vault.dg1), Some(&vault.dg2), None),
            Some("DG3")
        );
        let flipped = |bytes: &[u8], bit: usize| {
            let mut bytes = bytes.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes
        };
        for bit in 0..vault.dg1.len() * 8 {
            assert_eq!(
                differs(&flipped(&vault.dg1, bit), &vault.dg2, &vault.dg3),
                Some("DG1")
            );
        }
        for bit in 0..vault.dg2.len() * 8 {
            assert_eq!(
                differs(&vault.dg1, &flipped(&vault.dg2, bit), &vault.dg3),
                Some("DG2")
            );
        }
        for bit in 0..vault.dg3.len() * 8 {
            assert_eq!(
                differs(&vault.dg1, &vault.dg2, &flipped(&vault.dg3, bit)),
                Some("DG3")
            );
        }
    }

    #[test]
    fn the_card_gets_the_roles_of_the_decision_for_the_city_of_the_residence() {
        let card = frozen().for_vault(&number(), CHIP).unwrap();
        assert!(
            card.entitlements
                .iter()
                .all(|entitlement| entitlement.region.to_string() == "440300")
        );
        assert!(
            card.entitlements
                .iter()
                .any(|entitlement| entitlement.role == vault::Role::Transit)
        );
        assert!(card.entitlements.iter().all(|entitlement| {
            (entitlement.purse_cap > 0) == (entitlement.role == vault::Role::SmallPayment)
        }));
        assert_eq!(card.certificate_to.to_string(), "2036-11-21");
    }
}
