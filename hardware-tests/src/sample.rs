//! A person who does not exist, as a card's content. The number is of the form of GB 11643 with a right check digit; the
//! division 440305 exists, the person does not.

use card_applet_spec::bytes::SliceWriter;
use card_applet_spec::codes::Tier;
use card_applet_spec::crypto::sha256;
use card_applet_spec::data_group::{Dg1, Dg2, Dg3, MAX_DG2, PortraitFormat};
use card_applet_spec::date::Date;
use jiff::civil;
use keyvault_protocol::{CardContent, Entitlement, Region, Role};
use rand_core::CryptoRng;

use crate::error::Error;

/// The day on which every scene plays.
pub const TODAY: civil::Date = civil::date(2026, 11, 21);
/// The division of the sample, GB/T 2260: Nanshan, Shenzhen.
pub const REGION: u32 = 440_305;
/// Permit id of the sample.
pub const PERMIT: [u8; 16] = [0x26; 16];
/// Length of the sample's portrait, bytes: that of an ordinary one (at most 6144).
const PORTRAIT: usize = 5500;
/// Rule set that decided the sample's case.
const RULE_SET: &str = "cn-440300-2026.1";

/// The day as a card writes it.
///
/// # Errors
///
/// [`Error::Form`]: never for [`TODAY`].
pub fn today() -> Result<Date, Error> {
    card_date(TODAY)
}

/// A year's permit for work, with bus, clinic, door and social insurance.
///
/// # Errors
///
/// [`Error::Form`]: never for this content.
pub fn content(rng: &mut impl CryptoRng) -> Result<CardContent, Error> {
    let mut salt = || {
        let mut salt = [0; 16];
        rng.fill_bytes(&mut salt);
        salt
    };
    let last = TODAY.saturating_add(jiff::Span::new().years(1));
    // No picture: the card does not look at it, and the photo store is tested elsewhere.
    let portrait: Vec<u8> = (0..PORTRAIT).map(|at| at.to_le_bytes()[0]).collect();
    let dg1 = Dg1 {
        name: "测试一号",
        sex: 2,
        nation: 1,
        birth_date: Date::new(1990, 3, 7)?,
        citizen_number: "440305199003070029",
        photo: sha256(&[&portrait]),
        hukou_address: "湖南省长沙市岳麓区示例路1号",
        residence_address: "广东省深圳市南山区示例街2号",
        issuing_organ: "深圳市公安局南山分局",
        issue_date: today()?,
        salt: salt(),
    }
    .encode()?
    .to_vec();
    let mut room = [0; MAX_DG2];
    let mut writer = SliceWriter::new(&mut room);
    Dg2 {
        format: PortraitFormat::Jpeg,
        image: &portrait,
        salt: salt(),
    }
    .encode(&mut writer)?;
    let used = writer.len();
    let dg2 = room.get(..used).unwrap_or_default().to_vec();
    let dg3 = Dg3 {
        permit_id: PERMIT,
        tier: Tier::Employment,
        issued: today()?,
        endorsed_until: card_date(last)?,
        rule_set: RULE_SET,
        state_counter: 1,
        salt: salt(),
    }
    .encode()?
    .to_vec();
    let entitlements = [Role::Transit, Role::Clinic, Role::Door, Role::SocialInsurance]
        .map(|role| {
            Ok::<_, Error>(Entitlement {
                role,
                region: region()?,
                tier: Tier::Employment,
                class: 1,
                services: 0b11,
                zones: 0b1,
                valid_from: TODAY,
                valid_to: last,
                rule_set: RULE_SET.to_owned(),
                purse_cap: 0,
            })
        })
        .into_iter()
        .collect::<Result<_, _>>()?;
    let mut drawn = [0; 8];
    rng.fill_bytes(&mut drawn);
    let ten_years = TODAY.saturating_add(jiff::Span::new().years(10));
    Ok(CardContent {
        dg1,
        dg2,
        dg3,
        entitlements,
        certificate_from: TODAY,
        certificate_to: ten_years,
        card_number: format!("SAMPLE-{}", hex::encode(drawn)),
    })
}

/// The sample's division.
///
/// # Errors
///
/// [`Error::VaultClient`]: never for [`REGION`].
pub fn region() -> Result<Region, Error> {
    Ok(Region::try_from(REGION)?)
}

/// A day as a card writes it.
///
/// # Errors
///
/// [`Error::Form`]: a day outside of the years 1 to 9999.
pub fn card_date(date: civil::Date) -> Result<Date, Error> {
    let year = u16::try_from(date.year()).unwrap_or_default();
    Ok(Date::new(
        year,
        date.month().unsigned_abs(),
        date.day().unsigned_abs(),
    )?)
}
