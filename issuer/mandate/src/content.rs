//! What a mandate says of a card: the items that whoever writes the card can compute again from what is written.
//!
//! Not in here, because they come later: salts, card number, chip, keys, and the counter of a permit block.

use minicbor::{Decode, Encode};

/// Longest text of an item, bytes: an address of the card has 210.
const TEXT: usize = 256;

/// The items of the card.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct CardItems {
    /// Who: DG1.
    #[n(1)]
    pub person: PersonItems,
    /// SHA-256 of the portrait on the chip.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub portrait: [u8; 32],
    /// What is permitted: DG3.
    #[n(3)]
    pub permit: PermitItems,
    /// What terminals grant, in the order of the rule set.
    #[n(4)]
    pub entitlements: Vec<Entitlement>,
    /// The sum that a purse was loaded with in its life, fen; absent where no money moves.
    #[n(5)]
    pub loaded: Option<u32>,
}

/// The items of DG1. Dates are `YYYY-MM-DD`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PersonItems {
    /// Name, in the spelling of the register.
    #[n(1)]
    pub name: String,
    /// GB/T 2261.1.
    #[n(2)]
    pub sex: String,
    /// GB/T 3304.
    #[n(3)]
    pub nation: String,
    /// Day of birth.
    #[n(4)]
    pub born: String,
    /// 18 characters, GB 11643.
    #[n(5)]
    pub citizen_number: String,
    /// Address of the permanent registration.
    #[n(6)]
    pub hukou_address: String,
    /// Address of residence.
    #[n(7)]
    pub residence_address: String,
    /// Issuing organ, as printed.
    #[n(8)]
    pub organ: String,
    /// Day of issue.
    #[n(9)]
    pub issued_on: String,
}

/// The items of DG3. Dates are `YYYY-MM-DD`.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PermitItems {
    /// The permit.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub id: [u8; 16],
    /// `TEMP`, `EMPLOYMENT` or `TALENT`.
    #[n(2)]
    pub tier: String,
    /// The rule set that granted it.
    #[n(3)]
    pub rule_set: String,
    /// First day.
    #[n(4)]
    pub valid_from: String,
    /// Last day, included.
    #[n(5)]
    pub valid_to: String,
}

/// What terminals of a role may grant.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Entitlement {
    /// The role, such as `TRANSIT`.
    #[n(1)]
    pub role: String,
    /// Fare or service class.
    #[n(2)]
    pub class: u8,
    /// Bit mask over the services of the rule set.
    #[n(3)]
    pub services: u64,
    /// Bit mask over the zones of the jurisdiction.
    #[n(4)]
    pub zones: u64,
    /// Largest single amount of the purse, fen; 0 without one.
    #[n(5)]
    pub purse_cap: u32,
}

/// Roles on one card at most.
const ROLES: usize = 8;

impl CardItems {
    /// Whether every text is as long as one can be.
    pub(crate) fn is_bounded(&self) -> bool {
        let (person, permit) = (&self.person, &self.permit);
        let texts = [
            &person.name,
            &person.sex,
            &person.nation,
            &person.born,
            &person.citizen_number,
            &person.hukou_address,
            &person.residence_address,
            &person.organ,
            &person.issued_on,
            &permit.tier,
            &permit.rule_set,
            &permit.valid_from,
            &permit.valid_to,
        ];
        self.entitlements.len() <= ROLES
            && texts.into_iter().all(|it| text(it, TEXT))
            && self.entitlements.iter().all(|it| text(&it.role, TEXT))
    }
}

/// Whether this is a text that a person can read, of at most so many bytes.
fn text(text: &str, most: usize) -> bool {
    text.len() <= most && !text.chars().any(char::is_control)
}
