//! The papers of a case (材料): scanned or photographed beside the original, seen beside the checks, taken away again while intake lasts.

use axum::body::Bytes;
use axum::extract::{Multipart, Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::IntoResponse as _;
use issuer_office::error::OfficeError;
use issuer_office::scans::{SCANS, SEES};
use permit_domain::{ApplicationId, EvidenceCode};
use photo_store_protocol as photo;

use crate::answer::{self, Answer, Problem};
use crate::case;
use crate::counter::Counter;
use crate::failure;
use crate::person::Person;

/// What a form with parts brought.
struct Scanned {
    paper: String,
    files: Vec<Bytes>,
}

/// `POST /counter/cases/{application}/papers`: the paper `paper`, and a page of it in each `file`. Pages before one that is refused are
/// kept.
pub(crate) async fn keep(
    State(counter): State<Counter>,
    person: Person,
    Path(application): Path<String>,
    form: Multipart,
) -> Answer {
    let by = person.acting_as_any(SCANS)?;
    let Some(scanned) = scanned(form).await else {
        let told = Problem::incomplete(failure::no_scan());
        return case::shown(&counter, person, &application, Some(told)).await;
    };
    let kept = async {
        let id: ApplicationId = application.parse()?;
        let paper: EvidenceCode = scanned.paper.parse().map_err(|_| OfficeError::PaperNotNamed)?;
        for file in scanned.files {
            counter.office().keep_page(id, paper, file.to_vec(), &by).await?;
        }
        Ok::<_, OfficeError>(format!("{}#papers", case::address(id)))
    };
    followed(&counter, person, &application, kept.await).await
}

/// The fields of the form; nothing where no file is in it, or it is too large.
async fn scanned(mut form: Multipart) -> Option<Scanned> {
    let mut scanned = Scanned {
        paper: String::new(),
        files: Vec::new(),
    };
    while let Some(field) = form.next_field().await.ok()? {
        match field.name() {
            Some("paper") => scanned.paper = field.text().await.ok()?,
            Some("file") => {
                let file = field.bytes().await.ok()?;
                if !file.is_empty() {
                    scanned.files.push(file);
                }
            }
            _ => {}
        }
    }
    (!scanned.files.is_empty()).then_some(scanned)
}

/// `GET /counter/cases/{application}/papers/{page}`: on record before a byte leaves.
pub(crate) async fn look(
    State(counter): State<Counter>,
    person: Person,
    Path((application, page)): Path<(String, String)>,
) -> Answer {
    let by = person.acting_as_any(SEES)?;
    let picture = async {
        let page = page.parse().map_err(photo::Error::Failed)?;
        counter
            .office()
            .look_at_page(application.parse()?, page, &by)
            .await
    };
    let mut picture = picture.await.map_err(|error| person.refused(error))?;
    let headers = [(CONTENT_TYPE, "image/jpeg"), (CONTENT_DISPOSITION, "inline")];
    Ok((headers, std::mem::take(&mut picture.jpeg)).into_response())
}

/// `POST /counter/cases/{application}/papers/{page}/remove`.
pub(crate) async fn remove(
    State(counter): State<Counter>,
    person: Person,
    Path((application, page)): Path<(String, String)>,
) -> Answer {
    let by = person.acting_as_any(SCANS)?;
    let removed = async {
        let id: ApplicationId = application.parse()?;
        let page = page.parse().map_err(photo::Error::Failed)?;
        counter.office().remove_page(id, page, &by).await?;
        Ok::<_, OfficeError>(format!("{}#papers", case::address(id)))
    };
    followed(&counter, person, &application, removed.await).await
}

/// On to the papers; else what is wrong with a page is said in its case, and all else by itself.
async fn followed(
    counter: &Counter,
    person: Person,
    application: &str,
    done: Result<String, OfficeError>,
) -> Answer {
    match done {
        Err(
            error @ (OfficeError::PageRefused(_)
            | OfficeError::PaperNotNamed
            | OfficeError::Photo(_)
            | OfficeError::Domain(_)),
        ) => case::shown(counter, person, application, Some(Problem::from(error))).await,
        Err(error) => Err(person.refused(error)),
        Ok(address) => Ok(answer::to(&address)),
    }
}
