//! Whether the vault takes orders of this issuer.

use issuer_office::error::OfficeError;
use issuer_office::office::Office;
use issuer_office::readiness::Check;
use jiff::Timestamp;
use keyvault_protocol as vault;
use keyvault_protocol::RefusalCode;

use crate::service_key::ServiceKey;

/// The check `enrolment`: passed where the vault knows the issuer's service key. It is shown an order that was over in 1970: a
/// vault that knows the key says so, and nothing is accepted or written.
pub async fn check_enrolment(office: &Office, key: &ServiceKey, issuer: &str) -> Check {
    match asked(office, key, issuer).await {
        Err(error) if error.is(RefusalCode::OrderExpired) => Check::passed("enrolment"),
        Err(error) => Check::failed("enrolment", OfficeError::from(error)),
        Ok(()) => Check::failed("enrolment", OfficeError::Internal),
    }
}

async fn asked(office: &Office, key: &ServiceKey, issuer: &str) -> Result<(), vault::Error> {
    let order = vault::Order {
        order: [0; 16],
        issuer: issuer.to_owned(),
        profile: "doctor".to_owned(),
        cards: 1,
        tasks: vec![vault::TaskKind::Inspect],
        station: "doctor".to_owned(),
        from: Timestamp::UNIX_EPOCH,
        until: Timestamp::from_second(1).unwrap_or(Timestamp::MAX),
    };
    let signed = order.sign(key.signer())?;
    office.vault_client().await?.open_order(&signed).await.map(drop)
}
