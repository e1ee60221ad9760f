//! The papers of a case (材料) as its page shows them: what the application names, with the days that were typed, and the pages that were
//! scanned of each.

use issuer_office::scans::SEES;
use issuer_store::StoredApplication;
use photo_store_protocol as photo;
use program_contract::Failure;

use crate::answer::Told;
use crate::counter::Counter;
use crate::frame::Frame;
use crate::person::Person;
use crate::stands::minute;

/// The papers of a case, or why they are not shown.
pub(crate) enum Papers {
    /// Whoever looks does not see papers.
    Hidden,
    There(Vec<PaperShown>),
    Away(Told),
}

/// A paper that the application names.
pub(crate) struct PaperShown {
    pub(crate) code: &'static str,
    pub(crate) name: &'static str,
    /// Its days as they were typed; empty where there are none.
    pub(crate) days: String,
    pub(crate) pages: Vec<PageShown>,
}

/// A page. Its picture is fetched when it is opened, and that is on record.
pub(crate) struct PageShown {
    pub(crate) id: String,
    pub(crate) at: String,
    pub(crate) by: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// The papers of a case for whoever looks at its page.
pub(crate) async fn papers(counter: &Counter, person: &Person, case: &StoredApplication) -> Papers {
    if !SEES.iter().any(|role| person.may(*role)) {
        return Papers::Hidden;
    }
    let frame = &person.frame;
    match counter.office().pages_of(case.application.id()).await {
        Ok(pages) => Papers::There(
            case.applicant
                .evidence
                .iter()
                .map(|named| PaperShown {
                    code: named.code.code(),
                    name: frame.t(named.code.zh(), named.code.en()),
                    days: days(frame, named.validity.from(), named.validity.to()),
                    pages: pages
                        .iter()
                        .filter(|page| page.paper.as_str() == named.code.code())
                        .map(shown)
                        .collect(),
                })
                .collect(),
        ),
        Err(error) => Papers::Away(Told::of(&Failure::from(error), frame)),
    }
}

fn shown(page: &photo::PageStatus) -> PageShown {
    PageShown {
        id: page.page.to_string(),
        at: jiff::Timestamp::from_second(page.received_at)
            .map(minute)
            .unwrap_or_default(),
        by: page.by.to_string(),
        width: page.width,
        height: page.height,
    }
}

fn days(frame: &Frame, from: Option<jiff::civil::Date>, to: Option<jiff::civil::Date>) -> String {
    match (from, to) {
        (Some(from), Some(to)) => format!("{from} {} {to}", frame.t("至", "to")),
        (Some(from), None) => format!("{} {from}", frame.t("自", "from")),
        (None, Some(to)) => format!("{} {to}", frame.t("至", "until")),
        (None, None) => String::new(),
    }
}
