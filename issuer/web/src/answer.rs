//! A page as an answer; what follows a form; and what a page says when something was refused: what happened and what to do, in the frame
//! of whoever asked.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use issuer_office::error::OfficeError;
use issuer_office::fault::Fault;
use program_contract::Failure;

use crate::frame::Frame;
use crate::page_words::{self, InTheWay};

/// What a request gets: a page or the way to one, or why not.
pub(crate) type Answer = Result<Response, Refused>;

/// A page.
pub(crate) fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, Html(of_its_person(html))).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Every form of a page says whose page it is, so that nothing is done in the name of whoever signed in beside it since ([`seated`]).
/// Here and not in each template: a form that forgot it would be taken from anybody.
///
/// [`seated`]: crate::person::seated
fn of_its_person(html: String) -> String {
    const WHOSE: &str = "<body data-account=\"";
    const LEADS_TO: [&str; 3] = ["method=\"post\" action=\"", "formaction=\"", "data-draft=\""];
    let Some(account) = html.split(WHOSE).nth(1).and_then(|rest| rest.split('"').next()) else {
        return html;
    };
    let account = account.to_owned();
    let mut marked = String::with_capacity(html.len() + 1024);
    let mut rest = html.as_str();
    while let Some(ends) = LEADS_TO
        .iter()
        .filter_map(|lead| rest.find(lead).map(|at| at + lead.len()))
        .min()
    {
        let (before, address) = rest.split_at(ends);
        let (address, after) = address.split_at(address.find('"').unwrap_or(address.len()));
        marked.push_str(before);
        marked.push_str(address);
        marked.push(if address.contains('?') { '&' } else { '?' });
        marked.push_str("as=");
        marked.push_str(&account);
        rest = after;
    }
    marked.push_str(rest);
    marked
}

/// On to a page of ours.
pub(crate) fn to(address: &str) -> Response {
    Redirect::to(address).into_response()
}

/// What follows a form: on to the address where it was done; else its page again, with what was refused at the top.
pub(crate) async fn after<E, F>(done: Result<String, E>, again: impl FnOnce(Problem) -> F) -> Answer
where
    Problem: From<E>,
    F: Future<Output = Answer>,
{
    match done {
        Ok(address) => Ok(to(&address)),
        Err(error) => again(Problem::from(error)).await,
    }
}

/// What was refused of a form that a page shows again.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    failure: Box<Failure>,
    in_the_way: Option<InTheWay>,
}

impl Problem {
    /// What was sent is not enough.
    pub(crate) fn incomplete(failure: Failure) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            failure: Box::new(failure),
            in_the_way: None,
        }
    }

    /// The status and the words of a page that has this problem, or none.
    pub(crate) fn said(problem: Option<Self>, frame: &Frame) -> (StatusCode, Option<Told>) {
        match problem {
            Some(problem) => {
                let told = Told::of(&problem.failure, frame).with(problem.in_the_way, frame);
                (problem.status, Some(told))
            }
            None => (StatusCode::OK, None),
        }
    }
}

/// The page was right and the state of things was not.
impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self {
            status: StatusCode::CONFLICT,
            failure: Box::new(failure),
            in_the_way: None,
        }
    }
}

impl From<OfficeError> for Problem {
    fn from(error: OfficeError) -> Self {
        let in_the_way = InTheWay::of(&error);
        Self {
            in_the_way,
            ..Failure::from(error).into()
        }
    }
}

/// What was refused, in words.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) code: String,
    pub(crate) what: String,
    pub(crate) action: String,
    /// The page of what stands in the way, and its name.
    pub(crate) link: Option<(String, &'static str)>,
}

impl Told {
    /// In the language of the frame and the words of a page.
    pub(crate) fn of(failure: &Failure, frame: &Frame) -> Self {
        let (what, action) = page_words::said(failure, frame);
        Self {
            code: failure.code.to_string(),
            what,
            action,
            link: None,
        }
    }

    /// In the office's own words, for whoever has a shell.
    pub(crate) fn to_administrators(failure: &Failure, frame: &Frame) -> Self {
        let (what_zh, action_zh) = &failure.chinese;
        Self {
            what: frame.t(what_zh, &failure.message).to_owned(),
            action: frame.t(action_zh, &failure.action).to_owned(),
            ..Self::of(failure, frame)
        }
    }

    /// With the way to what stands in it.
    fn with(self, in_the_way: Option<InTheWay>, frame: &Frame) -> Self {
        let link = in_the_way.map(|page| page.link(frame));
        Self { link, ..self }
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
    /// Whether something that all work needs cannot be reached.
    away: bool,
}

impl Refused {
    pub(crate) fn office(frame: Frame, error: OfficeError) -> Self {
        let (status, in_the_way) = (status(error.fault()), InTheWay::of(&error));
        let told = Told::of(&Failure::from(error), &frame).with(in_the_way, &frame);
        Self::told(status, frame, told)
    }

    pub(crate) fn with(status: StatusCode, frame: Frame, failure: &Failure) -> Self {
        let told = Told::of(failure, &frame);
        Self::told(status, frame, told)
    }

    fn told(status: StatusCode, frame: Frame, told: Told) -> Self {
        Self {
            status,
            page: Box::new(RefusedPage {
                frame,
                told,
                away: status == StatusCode::SERVICE_UNAVAILABLE,
            }),
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
