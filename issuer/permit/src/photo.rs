//! The applicant's photo, taken as at every counter: a clerk submits it, a colleague confirms its warnings, the applicant
//! carries the receipt.

use issuer_office::error::OfficeError;
use issuer_office::staff::StaffRole;
use issuer_store::StoredApplication;
use permit_domain::StaffId;
use photo_store_protocol as photo;
use program_contract::Failure;
use program_contract::language::Words;
use serde_json::json;

use crate::installation::{Installation, account};
use crate::report::Steps;
use crate::{failure, report};

/// Photo: submitted, judged, warnings confirmed by a colleague of the clerk if somebody looked at it and said so; gives the
/// receipt that the applicant carries.
pub(crate) async fn take_photo(
    installation: &Installation,
    steps: &mut Steps,
    case: &StoredApplication,
    picture: &[u8],
    confirm: bool,
) -> Result<photo::ReceiptNumber, Failure> {
    let (office, application) = (installation.office(), case.application.id());
    let clerk = staff(StaffRole::IntakeClerk)?;
    let judging = steps.begin(
        Words("照片检验、规格化并密封", "judge, normalise and seal the photo"),
        clerk.to_string(),
    );
    let taken = office.submit_photo(application, picture.to_vec(), &clerk).await;
    let taken = steps.end(judging, taken.map(|taken| taken.photo).map_err(told))?;
    let receipt = if taken.receipt.is_some() {
        taken.receipt
    } else {
        let warnings = taken
            .judgement
            .as_ref()
            .map(photo::Judgement::warnings)
            .unwrap_or_default();
        if !confirm {
            return Err(photo_warned(&warnings));
        }
        let colleague = staff(StaffRole::Reviewer)?;
        let confirming = steps.begin(
            Words("逐项确认照片警告", "confirm the photo's warnings by name"),
            colleague.to_string(),
        );
        for code in &warnings {
            let texts = code.texts();
            report::say_of((
                format!("      ! {} · {}", code.as_str(), texts.message_zh),
                format!("      ! {} · {}", code.as_str(), texts.message),
            ));
        }
        let confirmed = office
            .confirm_photo(application, taken.photo, warnings, &colleague)
            .await;
        steps.end(confirming, confirmed.map_err(told))?.receipt
    };
    receipt
        .map(|receipt| receipt.number)
        .ok_or_else(failure::no_receipt)
}

fn staff(role: StaffRole) -> Result<StaffId, Failure> {
    Ok(account(role).parse().map_err(OfficeError::from)?)
}

/// A refusal of the office; one of the photo with every check that refused it.
fn told(error: OfficeError) -> Failure {
    let checks = match &error {
        OfficeError::PhotoRefused(judgement) => judgement.refusals(),
        _ => Vec::new(),
    };
    let failure = Failure::from(error);
    if checks.is_empty() {
        failure
    } else {
        failure.with("photo_checks", names(&checks))
    }
}

/// A person has to look before the photo is taken.
fn photo_warned(warnings: &[photo::CheckCode]) -> Failure {
    let texts = |of: fn(photo::Texts) -> &'static str, between: &str| {
        let texts: Vec<&str> = warnings.iter().map(|code| of(code.texts())).collect();
        texts.join(between)
    };
    failure::photo_warned((
        texts(|texts| texts.message_zh, "；"),
        texts(|texts| texts.message, "; "),
    ))
    .with("photo_checks", names(warnings))
}

fn names(checks: &[photo::CheckCode]) -> serde_json::Value {
    json!(checks.iter().map(|code| code.as_str()).collect::<Vec<_>>())
}
