//! Key files with which the sample staff of a rehearsal sign, in the installation's folder: made and enrolled at the first need.

use std::os::unix::fs::DirBuilderExt as _;

use issuer_mandate::SignerRole;
use issuer_office::error::OfficeError;
use issuer_office::office::Office;
use issuer_office::signing_keys::Signer;
use issuer_signing::{REHEARSAL_ORIGIN, RehearsalKey, RehearsalKeys};
use permit_domain::StaffId;
use program_contract::Failure;
use program_contract::language::Words;

use crate::installation::Installation;

/// The organ of sample staff: the whole country (GB/T 2260).
const COUNTRY: &str = "100000";

/// The key file of a person in a role, enrolled.
///
/// # Errors
/// `REHEARSAL_KEY` in an office that is no rehearsal, of which nothing is made; the folder; the ledger.
pub async fn key_of(
    installation: &Installation,
    office: &Office,
    account: &StaffId,
    role: SignerRole,
) -> Result<RehearsalKey, Failure> {
    let signer = Signer {
        account: account.clone(),
        role,
        organ: COUNTRY.parse().map_err(OfficeError::from)?,
    };
    office.check_rehearsal_keys()?;
    let folder = installation.rehearsal_keys();
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(|error| Failure::file(Words("建立", "make"), &folder, &error))?;
    let keys = RehearsalKeys::at(folder.clone());
    let key = keys.of_or_new(account.as_str(), role, &office.random().bytes());
    let key =
        key.map_err(|error| Failure::file(Words("建立演练密钥", "make the key file"), &folder, &error))?;
    let ids = (&key.credential()[..], &key.public_key());
    office.enrol_rehearsal_key(signer, REHEARSAL_ORIGIN, ids).await?;
    Ok(key)
}
