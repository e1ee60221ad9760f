//! The applicant's photo: submitted, judged, its warnings confirmed by a person, its receipt taken.

use issuer_office::error::OfficeError;
use issuer_office::staff::StaffRole;
use issuer_store::StoredApplication;
use photo_store_protocol as photo;
use program_contract::{Exit, Failure};
use serde_json::json;

use crate::installation::{Installation, account};
use crate::report::Steps;

/// Photo: submitted, judged, warnings confirmed by a named person if that person said so; gives the receipt that the
/// applicant carries.
pub(crate) async fn take_photo(
    installation: &Installation,
    steps: &mut Steps,
    case: &StoredApplication,
    picture: &[u8],
    confirm: bool,
) -> Result<photo::ReceiptNumber, Failure> {
    let operator: photo::Actor = account(StaffRole::IntakeClerk)
        .parse()
        .map_err(photo::Error::Failed)
        .map_err(OfficeError::from)?;
    let judging = steps.begin("judge, normalise and seal the photo", operator.to_string());
    let submit = photo::Submit {
        person: photo::PersonId::from_bytes(*case.application.person().as_bytes()),
        by: operator.clone(),
        period: photo::ReceiptPeriod::Days30,
        file: picture.to_vec(),
    };
    let submission = async {
        Ok(installation
            .photos()
            .await?
            .submit(submit)
            .await
            .map_err(OfficeError::from)?)
    }
    .await;
    let held = match steps.end(judging, submission)? {
        photo::Submission::Held { photo, .. } => photo,
        photo::Submission::Refused(judgement) => return Err(photo_refused(&judgement)),
    };
    let held = if held.receipt.is_some() {
        held
    } else {
        let warnings = held
            .judgement
            .as_ref()
            .map(photo::Judgement::warnings)
            .unwrap_or_default();
        if !confirm {
            return Err(photo_warned(&warnings));
        }
        let confirming = steps.begin("confirm the photo's warnings by name", operator.to_string());
        for code in &warnings {
            eprintln!("      ! {} · {}", code.as_str(), code.texts().message);
        }
        let confirm = photo::Confirm {
            photo: held.photo,
            by: operator,
            warnings,
        };
        let confirmed = async {
            Ok(installation
                .photos()
                .await?
                .confirm(confirm)
                .await
                .map_err(OfficeError::from)?)
        }
        .await;
        steps.end(confirming, confirmed)?
    };
    held.receipt.map(|receipt| receipt.number).ok_or_else(|| {
        Failure::new(
            Exit::Refused,
            "PHOTO_PENDING",
            "the photo has no receipt",
            "Confirm its warnings, or take another photo.",
        )
    })
}

/// A person has to look before the photo is taken.
fn photo_warned(warnings: &[photo::CheckCode]) -> Failure {
    let texts: Vec<&str> = warnings.iter().map(|code| code.texts().message).collect();
    let mut failure = Failure::new(
        Exit::Refused,
        "PHOTO_PENDING",
        format!("the photo has warnings: {}", texts.join("; ")),
        "Look at the photo. Take another, or run the same command with --confirm.",
    );
    failure.fields.insert(
        "photo_checks".into(),
        json!(warnings.iter().map(|code| code.as_str()).collect::<Vec<_>>()),
    );
    failure
}

fn photo_refused(judgement: &photo::Judgement) -> Failure {
    let refusals = judgement.refusals();
    let texts: Vec<&str> = refusals.iter().map(|code| code.texts().message).collect();
    let action = refusals
        .first()
        .map_or("Take another photo.", |code| code.texts().action);
    let code = refusals.first().map_or("PHOTO_REFUSED", |code| code.as_str());
    let mut failure = Failure::new(
        Exit::Refused,
        code,
        format!("the photo is refused: {}", texts.join("; ")),
        action,
    );
    failure.fields.insert(
        "photo_checks".into(),
        json!(refusals.iter().map(|code| code.as_str()).collect::<Vec<_>>()),
    );
    failure
}
