//! The day's closing: the report of what was done since the last one, signed off as it was read; and the days that were closed, to be
//! printed.

use askama::Template;
use axum::extract::{Path, State};
use issuer_office::closing::{Closed, DayReport};
use issuer_office::error::OfficeError;
use issuer_office::staff::StaffRole;
use jiff::civil::Date;
use permit_domain::Refusal;

use crate::answer::{self, Answer, Problem, Told};
use crate::case::action_words;
use crate::counter::Counter;
use crate::form::Fields;
use crate::frame::Frame;
use crate::person::Person;
use crate::roles::SEES;
use crate::stands::minute;

#[derive(Template)]
#[template(path = "day.html")]
struct DayPage {
    frame: Frame,
    report: DayReport,
    /// Figures that everybody asks for first.
    figures: Vec<(&'static str, i64)>,
    /// What was done, in words, in all and by whom.
    done: Vec<(String, i64, String)>,
    /// Stands for all that the page says.
    digest: String,
    may_close: bool,
    /// Whether today was closed, and this is the next day's.
    is_next: bool,
    /// By whom and when, of a day that was closed.
    closed: Option<(String, String)>,
    days: Vec<Date>,
    told: Option<Told>,
}

/// `GET /counter/day`: the day that is open.
pub(crate) async fn page(State(counter): State<Counter>, person: Person) -> Answer {
    shown(&counter, person, None).await
}

async fn shown(counter: &Counter, person: Person, problem: Option<Problem>) -> Answer {
    person.acting_as_any(&SEES)?;
    let office = counter.office();
    let found = async { Ok((office.open_day().await?, office.closed_days().await?)) };
    let (report, days) = found.await.map_err(|error: OfficeError| person.refused(error))?;
    let is_next = report.day != office.clock().today();
    let may_close = person.may(StaffRole::Chief) && !is_next;
    let (status, told) = Problem::said(problem, &person.frame);
    let days = days.iter().map(|closed| closed.report.day).collect();
    let page = DayPage {
        may_close,
        is_next,
        days,
        told,
        ..of(person.frame, report, None)
    };
    Ok(answer::page(status, &page))
}

/// `POST /counter/day`: closes today, up to the entry and with the report that were read.
pub(crate) async fn close(State(counter): State<Counter>, person: Person, fields: Fields) -> Answer {
    let by = person.acting_as(StaffRole::Chief)?;
    let closed = async {
        // What is no number or no digest stands for nothing that was read.
        let unread = || OfficeError::from(Refusal::ReportMoved);
        let to = fields.text("to").parse().map_err(|_| unread())?;
        let read = fields.text("report").parse().map_err(|_| unread())?;
        counter.office().close_day(to, read, &by).await
    };
    let done = closed.await.map(|report| format!("/counter/days/{}", report.day));
    answer::after(done, |problem| shown(&counter, person, Some(problem))).await
}

/// `GET /counter/days/{day}`: the report of a day that was closed.
pub(crate) async fn day(State(counter): State<Counter>, person: Person, Path(day): Path<String>) -> Answer {
    person.acting_as_any(&SEES)?;
    let office = counter.office();
    let found = async {
        let day = day
            .parse()
            .map_err(|_| OfficeError::NotFound { what: "closed day" })?;
        office.closed_day(day).await
    };
    let Closed { report, by, at } = found.await.map_err(|error| person.refused(error))?;
    let closed = Some((by.to_string(), minute(at)));
    let page = of(person.frame, report, closed);
    Ok(answer::page(axum::http::StatusCode::OK, &page))
}

fn of(frame: Frame, report: DayReport, closed: Option<(String, String)>) -> DayPage {
    let figures = vec![
        (frame.t("受理", "accepted"), report.count("application ACCEPTED")),
        (frame.t("批准", "approved"), report.count("permit APPROVED")),
        (
            frame.t("制成的卡", "cards made"),
            report.count("production VERIFIED"),
        ),
        (
            frame.t("发放", "handed over"),
            report.count("production HANDED_OVER"),
        ),
        (frame.t("已销毁的卡", "cards destroyed"), report.scrapped),
        (
            frame.t("用去空白卡", "blanks used"),
            report.count("production ALLOCATED"),
        ),
        (
            frame.t("存疑未决", "in doubt"),
            i64::try_from(report.in_doubt.len()).unwrap_or(i64::MAX),
        ),
        (frame.t("剩余空白卡", "blanks left"), report.blanks_left),
    ];
    let done = report
        .done
        .chunk_by(|a, b| a.action == b.action)
        .filter_map(|of| {
            let by: Vec<String> = of
                .iter()
                .map(|done| format!("{} {}", done.by, done.count))
                .collect();
            let action = &of.first()?.action;
            Some((
                action_words(&frame, action),
                of.iter().map(|done| done.count).sum(),
                by.join(frame.t("，", ", ")),
            ))
        })
        .collect();
    DayPage {
        figures,
        done,
        digest: report.digest().to_string(),
        may_close: false,
        is_next: false,
        days: Vec::new(),
        told: None,
        closed,
        report,
        frame,
    }
}
