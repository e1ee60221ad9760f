//! A page as an answer, and what a page says when something was refused: what happened and what to do, in the frame of whoever asked.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use issuer_office::error::OfficeError;
use issuer_office::fault::Fault;
use program_contract::Failure;

use crate::frame::Frame;

/// A page.
pub(crate) fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// What was refused, in words.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) code: String,
    pub(crate) what: String,
    pub(crate) action: String,
}

impl Told {
    /// In the language of the frame.
    pub(crate) fn of(failure: &Failure, frame: &Frame) -> Self {
        let (what_zh, action_zh) = &failure.chinese;
        Self {
            code: failure.code.to_string(),
            what: frame.t(what_zh, &failure.message).to_owned(),
            action: frame.t(action_zh, &failure.action).to_owned(),
        }
    }
}

/// A page that says why something was not done.
#[derive(Debug)]
pub(crate) struct Refused {
    status: StatusCode,
    page: Box<RefusedPage>,
}

#[derive(Debug, Template)]
#[template(path = "refused.html")]
struct RefusedPage {
    frame: Frame,
    told: Told,
}

impl Refused {
    pub(crate) fn office(frame: Frame, error: OfficeError) -> Self {
        let status = status(error.fault());
        Self::with(status, frame, &Failure::from(error))
    }

    pub(crate) fn with(status: StatusCode, frame: Frame, failure: &Failure) -> Self {
        let told = Told::of(failure, &frame);
        Self {
            status,
            page: Box::new(RefusedPage { frame, told }),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        page(self.status, &*self.page)
    }
}

fn status(fault: Fault) -> StatusCode {
    match fault {
        Fault::Absent => StatusCode::NOT_FOUND,
        Fault::Stranger => StatusCode::UNAUTHORIZED,
        Fault::Person => StatusCode::FORBIDDEN,
        Fault::State => StatusCode::CONFLICT,
        Fault::Caller => StatusCode::UNPROCESSABLE_ENTITY,
        Fault::Service | Fault::Unknown | Fault::Storage => StatusCode::SERVICE_UNAVAILABLE,
        Fault::Machine => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
