//! How the office stands, for whoever answers for it: the way of cases, how long each step takes, what is late by the law, what ends soon,
//! what nobody picked up, and whether everything can be reached. Plots are SVG from here; nothing on the page runs.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use issuer_office::dashboard::{AGES, Dashboard, Funnel, Wait};
use issuer_office::staff::StaffRole;
use jiff::civil::Date;

use crate::answer::{self, Answer};
use crate::chart::{self, Bar};
use crate::counter::Counter;
use crate::doctor::{Found, found};
use crate::frame::Frame;
use crate::person::Person;
use crate::roles::SEES;

#[derive(Template)]
#[template(path = "dashboard.html")]
struct DashboardPage {
    frame: Frame,
    now: Dashboard,
    at: String,
    funnel: String,
    waits: Option<String>,
    ending: String,
    ending_all: i64,
    /// Cards that wait longer than so many days.
    ages: Vec<(i64, usize)>,
    /// Late cases, the longest first: address, last day of the law, days since.
    late: Vec<(String, String, i32)>,
    opens_cases: bool,
    checks: Vec<Found>,
}

/// The most late cases that the page names.
const NAMED: usize = 12;

/// `GET /counter/dashboard`.
pub(crate) async fn page(State(counter): State<Counter>, person: Person) -> Answer {
    person.acting_as_any(&SEES)?;
    let office = counter.office();
    let (now, checks) = tokio::join!(office.dashboard(), office.checks());
    let now = now.map_err(|error| person.refused(error))?;
    let opens_cases = person.may(StaffRole::Approver);
    let frame = person.frame;
    let today = office.clock().today();
    let late = now.late.iter().take(NAMED);
    let page = DashboardPage {
        at: crate::stands::minute(office.clock().now()),
        funnel: funnel(&frame, now.day, now.week),
        waits: (!now.waits.is_empty()).then(|| waits(&frame, &now.waits)),
        ending: ending(&frame, &now.ending),
        ending_all: now.ending.iter().map(|(_, count)| count).sum(),
        ages: AGES.into_iter().zip(now.not_picked_up.1).collect(),
        late: late
            .map(|(id, last)| {
                (
                    format!("/counter/cases/{id}"),
                    last.to_string(),
                    days_since(*last, today),
                )
            })
            .collect(),
        checks: checks.iter().map(|check| found(&frame, check)).collect(),
        opens_cases,
        frame,
        now,
    };
    Ok(answer::page(StatusCode::OK, &page))
}

fn days_since(last: Date, today: Date) -> i32 {
    today.since(last).map_or(0, |age| age.get_days())
}

fn funnel(frame: &Frame, day: Funnel, week: Funnel) -> String {
    let steps = [
        frame.t("收到", "Received"),
        frame.t("受理", "Accepted"),
        frame.t("审核", "Reviewed"),
        frame.t("批准", "Approved"),
        frame.t("下单制证", "Ordered"),
        frame.t("发放", "Handed over"),
    ];
    let bars: Vec<Bar> = steps
        .iter()
        .zip(day.into_iter().zip(week))
        .map(|(label, (day, week))| Bar {
            label: (*label).to_owned(),
            outer: week,
            inner: day,
            says: format!("{day} / {week}"),
        })
        .collect();
    chart::bars(
        frame.t("办件流程：今日与近七日", "The way of cases: today and seven days"),
        &bars,
    )
}

fn waits(frame: &Frame, waits: &[Wait]) -> String {
    let bars: Vec<Bar> = waits
        .iter()
        .map(|wait| Bar {
            label: step(frame, wait.step).to_owned(),
            outer: wait.p90,
            inner: wait.p50,
            says: format!("{} / {}", lasted(frame, wait.p50), lasted(frame, wait.p90)),
        })
        .collect();
    chart::bars(
        frame.t(
            "各环节用时：中位数与九成",
            "Time of each step: half and nine tenths",
        ),
        &bars,
    )
}

fn step(frame: &Frame, step: &str) -> &'static str {
    match step {
        "REVIEW" => frame.t("受理至审核", "To review"),
        "SIGN_OFF" => frame.t("审核至批准", "To sign-off"),
        "ORDER" => frame.t("批准至下单", "To order"),
        "MAKE" => frame.t("下单至制成", "To a made card"),
        "HAND_OVER" => frame.t("制成至发放", "To hand-over"),
        _ => frame.t("全程", "All of it"),
    }
}

/// A time as people say it: minutes, hours, days.
fn lasted(frame: &Frame, millis: i64) -> String {
    let minutes = millis / 60_000;
    match minutes {
        ..1 => frame.t("不足1分", "<1 min").to_owned(),
        1..60 => format!("{minutes}{}", frame.t("分", " min")),
        60..1_440 => format!("{:.1}{}", tenths(minutes, 60), frame.t("时", " h")),
        _ => format!("{:.1}{}", tenths(minutes, 1_440), frame.t("天", " d")),
    }
}

#[expect(clippy::cast_precision_loss, reason = "below some years of minutes")]
fn tenths(minutes: i64, of: i64) -> f64 {
    minutes as f64 / of as f64
}

fn ending(frame: &Frame, weeks: &[(Date, i64)]) -> String {
    let columns: Vec<(String, i64)> = weeks
        .iter()
        .map(|(day, count)| (day.strftime("%m-%d").to_string(), *count))
        .collect();
    chart::columns(frame.t("每周到期的居住证", "Permits that end, by week"), &columns)
}

#[cfg(test)]
mod tests {
    use program_contract::language::Language;

    use super::*;
    use crate::frame::View;

    #[test]
    fn a_time_is_said_in_minutes_hours_or_days() {
        let view = View {
            language: Language::English,
            large: false,
            contrast: false,
        };
        let frame = Frame::of_nobody(view, false);
        let said = |minutes: i64| lasted(&frame, minutes * 60_000);
        assert_eq!(said(0), "<1 min");
        assert_eq!(said(59), "59 min");
        assert_eq!(said(90), "1.5 h");
        assert_eq!(said(2_160), "1.5 d");
    }
}
