//! The terminals, for who administers them: what each can do until when, what is due, and what they counted, by line.
//!
//! Left out: making a bundle and enrolling a terminal, which key officers do with the vault's own commands.

use askama::Template;
use axum::extract::State;
use issuer_office::counters::CountersReport;
use issuer_office::error::OfficeError;
use issuer_office::terminals::{Due, TerminalStanding};
use jiff::ToSpan as _;
use permit_domain::counting::{Answer as Answered, SMALLEST};
use program_contract::Failure;

use crate::answer::{self, Answer, Problem, Told};
use crate::counter::Counter;
use crate::form::Fields;
use crate::frame::Frame;
use crate::person::Person;
use crate::roles::ADMINISTERS;

#[derive(Template)]
#[template(path = "terminals.html")]
struct TerminalsPage {
    frame: Frame,
    terminals: Vec<Row>,
    /// Why the vault does not say.
    away: Option<Told>,
    from: String,
    to: String,
    counted: Option<Counted>,
    smallest: u64,
    told: Option<Told>,
}

struct Row {
    name: String,
    kind: &'static str,
    regions: String,
    sequence: u32,
    until: String,
    enrolled_until: String,
    due: &'static str,
    /// `over`, `near`, `good`: said in words too.
    light: &'static str,
    counted_to: String,
    line: String,
}

/// What the terminals counted.
struct Counted {
    closed_to: String,
    rows: Vec<CountedRow>,
}

struct CountedRow {
    place: String,
    role: &'static str,
    answer: &'static str,
    /// First day, last day, how often.
    periods: Vec<(String, String, u64)>,
    below_from: Option<String>,
}

/// `GET /counter/terminals`.
pub(crate) async fn page(State(counter): State<Counter>, person: Person) -> Answer {
    shown(&counter, person, None, None).await
}

/// `POST /counter/terminals`: what was counted in the periods that end in `from` to `to`; the ledger has who asked.
pub(crate) async fn counters(State(counter): State<Counter>, person: Person, fields: Fields) -> Answer {
    let by = person.acting_as_any(&ADMINISTERS)?;
    let asked = async {
        let day = |name: &str| {
            let wrong = |_| OfficeError::from(permit_domain::Error::Identifier { what: "a date" });
            fields.day(name).parse().map_err(wrong)
        };
        counter
            .office()
            .counters_report(day("from")?, day("to")?, &by)
            .await
    };
    match asked.await {
        Ok(report) => shown(&counter, person, Some((report, &fields)), None).await,
        Err(error) => shown(&counter, person, None, Some(error.into())).await,
    }
}

async fn shown(
    counter: &Counter,
    person: Person,
    report: Option<(CountersReport, &Fields)>,
    problem: Option<Problem>,
) -> Answer {
    person.acting_as_any(&ADMINISTERS)?;
    let office = counter.office();
    let (terminals, away) = match office.terminals().await {
        Ok(terminals) => (terminals, None),
        // Without the vault nobody knows what it gave out; what was counted is the office's own.
        Err(error @ OfficeError::Vault(_)) => {
            (Vec::new(), Some(Told::of(&Failure::from(error), &person.frame)))
        }
        Err(error) => return Err(person.refused(error)),
    };
    let (status, told) = Problem::said(problem, &person.frame);
    let frame = person.frame;
    let today = office.clock().today();
    let month_ago = today.checked_sub(30.days()).unwrap_or(today);
    let asked = |name: &str, other: String| match &report {
        Some((_, fields)) => fields.text(name).to_owned(),
        None => other,
    };
    let page = TerminalsPage {
        from: asked("from", month_ago.to_string()),
        to: asked("to", today.to_string()),
        terminals: terminals
            .into_iter()
            .map(|terminal| row(&frame, terminal))
            .collect(),
        counted: report.as_ref().map(|(report, _)| counted(&frame, report)),
        smallest: SMALLEST,
        away,
        told,
        frame,
    };
    Ok(answer::page(status, &page))
}

fn row(frame: &Frame, terminal: TerminalStanding) -> Row {
    let day = |day: Option<jiff::civil::Date>| day.map(|day| day.to_string()).unwrap_or_default();
    let (due, light) = match terminal.due {
        Due::Over => (
            frame.t("凭证包已过期：不能读卡", "bundle over: it reads no card"),
            "over",
        ),
        Due::Bundle => (frame.t("须换发凭证包", "bundle due"), "near"),
        Due::Enrolment => (
            frame.t(
                "登记将到期：须两名密钥官员续登",
                "enrolment due: two key officers",
            ),
            "near",
        ),
        Due::Nothing => (frame.t("正常", "good"), "good"),
        Due::Revoked => (frame.t("已吊销", "revoked"), "over"),
    };
    Row {
        kind: kind(frame, terminal.kind),
        regions: terminal.regions.join(" "),
        sequence: terminal.sequence,
        until: day(terminal.until),
        enrolled_until: day(terminal.enrolled_until),
        counted_to: day(terminal.counted_to),
        line: terminal.line.unwrap_or_default(),
        name: terminal.name,
        due,
        light,
    }
}

fn kind(frame: &Frame, kind: &'static str) -> &'static str {
    match kind {
        "bus" => frame.t("公交", "bus"),
        "clinic" => frame.t("医疗", "clinic"),
        "door" => frame.t("门禁", "door"),
        "counter" => frame.t("窗口", "counter"),
        "social-insurance" => frame.t("社保", "social insurance"),
        "shop" => frame.t("小额消费", "shop"),
        other => other,
    }
}

fn counted(frame: &Frame, report: &CountersReport) -> Counted {
    let rows = report.rows.iter().map(|(row, told)| {
        let place = [Some(&row.operator), row.line.as_ref()];
        CountedRow {
            place: place.into_iter().flatten().cloned().collect::<Vec<_>>().join(" "),
            role: match row.role.as_str() {
                "TRANSIT" => frame.t("公交", "transit"),
                "SOCIAL_INSURANCE" => frame.t("社保", "social insurance"),
                "SMALL_PAYMENT" => frame.t("小额消费", "payments"),
                "CLINIC" => frame.t("医疗", "clinic"),
                "DOOR" => frame.t("门禁", "doors"),
                other => other,
            },
            answer: match row.answer {
                Answered::Accepted => frame.t("通过", "accepted"),
                Answered::Refused => frame.t("未通过", "refused"),
            },
            periods: told
                .periods
                .iter()
                .map(|period| (period.from.to_string(), period.to.to_string(), period.count))
                .collect(),
            below_from: told.below_from.map(|day| day.to_string()),
        }
    });
    Counted {
        closed_to: report.closed_to.to_string(),
        rows: rows.collect(),
    }
}
