//! A case that is looked for by a number that the applicant brings, for a purpose that is kept.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use issuer_office::error::OfficeError;
use issuer_office::find_case::{FINDS, Shown, Wanted};

use crate::answer::{self, Answer, Told};
use crate::case;
use crate::counter::Counter;
use crate::failure;
use crate::form::Fields;
use crate::frame::Frame;
use crate::person::Person;
use crate::typed;

/// Digits of a receipt number; all else is a citizen number, or is told not to be one.
const RECEIPT: usize = 12;

#[derive(Template)]
#[template(path = "cases.html")]
struct SearchPage {
    frame: Frame,
    number: String,
    why: String,
    told: Option<Told>,
}

impl SearchPage {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "templates lend what they have")]
    fn purpose(&self, why: &Wanted) -> &'static str {
        match why {
            Wanted::Work => self.frame.t("继续办理", "To go on with it"),
            Wanted::Slip => self.frame.t("补打受理回执", "To print the slip again"),
            Wanted::Enquiry => self
                .frame
                .t("申请人询问办理进度", "The applicant asks how it stands"),
        }
    }
}

/// `GET /counter/cases`.
pub(crate) async fn search(person: Person) -> Answer {
    person.acting_as_any(FINDS)?;
    let page = SearchPage {
        frame: person.frame,
        number: String::new(),
        why: String::new(),
        told: None,
    };
    Ok(answer::page(StatusCode::OK, &page))
}

/// `POST /counter/cases`: `number` is of the slip or the citizen; `why` is kept.
pub(crate) async fn find(State(counter): State<Counter>, person: Person, fields: Fields) -> Answer {
    let by = person.acting_as_any(FINDS)?;
    let (number, why) = (fields.text("number"), fields.text("why"));
    let purpose = Wanted::ALL.into_iter().find(|purpose| purpose.name() == why);
    let found = async {
        let shown = shown(number)?;
        match purpose {
            Some(purpose) => Ok(counter.office().find_case(&shown, purpose, &by).await?),
            // Without a purpose nobody's case is looked for.
            None => Err(failure::no_purpose()),
        }
    };
    match found.await {
        Ok(application) => Ok(answer::to(&case::address(application))),
        Err(failure) => {
            let page = SearchPage {
                told: Some(Told::of(&failure, &person.frame)),
                frame: person.frame,
                number: number.to_owned(),
                why: why.to_owned(),
            };
            Ok(answer::page(StatusCode::NOT_FOUND, &page))
        }
    }
}

/// Which number it is, by its shape.
fn shown(number: &str) -> Result<Shown, OfficeError> {
    let plain = typed::number(number);
    Ok(match plain.len() {
        RECEIPT => Shown::Receipt(plain),
        _ => Shown::Citizen(plain.to_ascii_uppercase().parse()?),
    })
}
