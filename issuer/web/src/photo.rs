//! The photo of a case: taken from a file, looked at, its warnings confirmed by a colleague who looked.

use axum::body::Bytes;
use axum::extract::{Multipart, Path, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::IntoResponse as _;
use issuer_office::error::OfficeError;
use issuer_office::photo::{CONFIRMS, Novelty, TAKES, Taken, looks};
use permit_domain::{ApplicationId, StaffId};
use photo_store_protocol as photo;
use program_contract::Failure;

use crate::answer::{self, Answer, Refused};
use crate::case;
use crate::counter::Counter;
use crate::failure;
use crate::form::Fields;
use crate::person::Person;

/// `POST /counter/cases/{application}/photos`: the field `file` of a form with parts.
pub(crate) async fn take(
    State(counter): State<Counter>,
    person: Person,
    Path(application): Path<String>,
    form: Multipart,
) -> Answer {
    let by = person.acting_as_any(TAKES)?;
    let Some(file) = file_of(form).await else {
        return Err(Refused::with(
            StatusCode::BAD_REQUEST,
            person.frame,
            &failure::no_photo(),
        ));
    };
    let taken = async {
        let id: ApplicationId = application.parse()?;
        let taken = submitted(&counter, id, file, &by).await?;
        Ok::<_, OfficeError>((id, taken))
    };
    let address = match taken.await {
        Ok((id, taken)) => match nothing_new(taken.novelty) {
            None => Ok(format!("{}#photo", case::address(id))),
            Some(told) => return case::shown(&counter, person, &application, Some(told.into())).await,
        },
        Err(error) => Err(error),
    };
    match address {
        Err(error) if !matches!(error, OfficeError::PhotoRefused(_) | OfficeError::Photo(_)) => {
            Err(person.refused(error))
        }
        // What is wrong with the picture is said beside it.
        done => {
            answer::after(done, |problem| {
                case::shown(&counter, person, &application, Some(problem))
            })
            .await
        }
    }
}

/// The file as a photo of the case, whose pictures may be looked at from then on. First the photo: while its case is closed, the file of
/// an earlier card is a new photo, with a receipt of its own.
pub(crate) async fn submitted(
    counter: &Counter,
    application: ApplicationId,
    file: Bytes,
    by: &StaffId,
) -> Result<Taken, OfficeError> {
    let office = counter.office();
    let taken = office.submit_photo(application, file.to_vec(), by).await?;
    office.open_photo_case(application, by).await?;
    Ok(taken)
}

/// What is said where no photo came of a file.
pub(crate) fn nothing_new(novelty: Novelty) -> Option<Failure> {
    match novelty {
        Novelty::New => None,
        Novelty::Known => Some(failure::known_photo()),
        Novelty::Used => Some(failure::used_photo()),
    }
}

/// The bytes of the field `file`; nothing where it is empty or too large.
pub(crate) async fn file_of(mut form: Multipart) -> Option<Bytes> {
    while let Ok(Some(field)) = form.next_field().await {
        if field.name() == Some("file") {
            return field.bytes().await.ok().filter(|bytes| !bytes.is_empty());
        }
    }
    None
}

/// `GET /counter/cases/{application}/photos/{photo}`: on record before a byte leaves.
pub(crate) async fn look(
    State(counter): State<Counter>,
    person: Person,
    Path((application, id)): Path<(String, String)>,
) -> Answer {
    let purpose = if person.may(issuer_office::staff::StaffRole::HandOverClerk) {
        photo::Purpose::HandOver
    } else {
        photo::Purpose::Review
    };
    let by = person.acting_as_any(looks(purpose))?;
    let picture = async {
        let id = id.parse().map_err(photo::Error::Failed)?;
        let application = application.parse()?;
        counter
            .office()
            .look_at_photo(application, id, photo::Profile::Print, purpose, &by)
            .await
    };
    let mut picture = picture.await.map_err(|error| person.refused(error))?;
    let headers = [(CONTENT_TYPE, "image/jpeg"), (CONTENT_DISPOSITION, "inline")];
    Ok((headers, std::mem::take(&mut picture.jpeg)).into_response())
}

/// `POST /counter/cases/{application}/photos/{photo}/confirm`: each warning by its own tick, after a look.
pub(crate) async fn confirm(
    State(counter): State<Counter>,
    person: Person,
    Path((application, id)): Path<(String, String)>,
    fields: Fields,
) -> Answer {
    let by = person.acting_as_any(CONFIRMS)?;
    let confirmed = async {
        let id = id.parse().map_err(photo::Error::Failed)?;
        let application: ApplicationId = application.parse()?;
        let warnings = fields
            .all("warning")
            .filter_map(photo::CheckCode::from_code)
            .collect();
        counter
            .office()
            .confirm_photo(application, id, warnings, &by)
            .await?;
        Ok::<_, OfficeError>(application)
    };
    match confirmed.await.map(|id| format!("{}#photo", case::address(id))) {
        Err(error) if !matches!(error, OfficeError::Photo(_) | OfficeError::Domain(_)) => {
            Err(person.refused(error))
        }
        done => {
            answer::after(done, |problem| {
                case::shown(&counter, person, &application, Some(problem))
            })
            .await
        }
    }
}
