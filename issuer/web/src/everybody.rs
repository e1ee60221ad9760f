//! What the pages for everybody share: how this browser shows them, without a cookie (language and letters stand in the address), and where
//! people reach them.

use axum::http::HeaderMap;
use axum::http::header::HOST;
use program_contract::language::Language;

use crate::counter::Counter;
use crate::form::Fields;
use crate::frame::{Frame, View};

/// The frame of a page that nobody signs in to.
pub(crate) fn frame_of(counter: &Counter, headers: &HeaderMap, fields: &Fields) -> Frame {
    let mut view = View::of(headers);
    match fields.text("lang") {
        "en" => view.language = Language::English,
        "zh-CN" => view.language = Language::Chinese,
        _ => {}
    }
    view.large = fields.text("letters") == "large";
    Frame::of_nobody(view, counter.office().founded().is_rehearsal())
}

/// The address of a page for everybody, as it stands on paper.
pub(crate) fn address(counter: &Counter, headers: &HeaderMap, page: &str) -> String {
    let host = || headers.get(HOST).and_then(|host| host.to_str().ok());
    match (&counter.public().address, host()) {
        (Some(address), _) => format!("{}{page}", address.trim_end_matches('/')),
        (None, Some(host)) => format!("http://{host}{page}"),
        (None, None) => page.to_owned(),
    }
}
