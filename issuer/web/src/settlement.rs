//! Settlement: the terminals that take payments, and what each is owed, as the office has it: without any card. Left out: the payment,
//! and days of single payments, which the ledger does not keep.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use issuer_office::error::OfficeError;
use issuer_office::staff::StaffRole;
use issuer_store::TerminalReport;
use permit_domain::payment::{Registration, TerminalNumber};
use program_contract::money::yuan;

use crate::answer::{self, Answer};
use crate::counter::Counter;
use crate::frame::Frame;
use crate::person::Person;
use crate::stands::minute;

#[derive(Template)]
#[template(path = "settlement.html")]
struct TerminalsPage {
    frame: Frame,
    terminals: Vec<Row>,
    /// Sum of all, yuan, and how many debits.
    owed: (String, u64),
    today: String,
}

struct Row {
    tid: String,
    registration: Registration,
    owed: String,
    debits: u64,
    waiting: String,
    missing: usize,
}

/// `GET /counter/settlement`.
pub(crate) async fn terminals(State(counter): State<Counter>, person: Person) -> Answer {
    person.acting_as(StaffRole::SettlementOfficer)?;
    let office = counter.office();
    let found = async {
        let mut reports = Vec::new();
        for terminal in office.payment_terminals().await? {
            reports.push(office.terminal_report(terminal.tid).await?);
        }
        Ok::<_, OfficeError>(reports)
    };
    let reports = found.await.map_err(|error| person.refused(error))?;
    let all: Vec<_> = reports.iter().map(TerminalReport::owed).collect();
    let fen = all.iter().map(|sum| sum.fen).sum();
    let page = TerminalsPage {
        frame: person.frame,
        owed: (yuan(fen), all.iter().map(|sum| sum.count).sum()),
        terminals: reports.into_iter().map(row).collect(),
        today: office.clock().today().to_string(),
    };
    Ok(answer::page(StatusCode::OK, &page))
}

fn row(report: TerminalReport) -> Row {
    let owed = report.owed();
    Row {
        tid: TerminalNumber(report.registration.tid).to_string(),
        owed: yuan(owed.fen),
        debits: owed.count,
        waiting: yuan(report.waiting.fen),
        missing: report.missing.len(),
        registration: report.registration,
    }
}

#[derive(Template)]
#[template(path = "settlement_report.html")]
struct ReportPage {
    frame: Frame,
    tid: String,
    report: TerminalReport,
    today: String,
}

impl ReportPage {
    #[expect(
        clippy::unused_self,
        clippy::trivially_copy_pass_by_ref,
        reason = "templates reach it so"
    )]
    fn yuan(&self, fen: &u64) -> String {
        yuan(*fen)
    }

    #[expect(clippy::unused_self, reason = "templates reach it so")]
    fn minute(&self, at: &jiff::Timestamp) -> String {
        minute(*at)
    }
}

/// `GET /counter/settlement/{tid}`: what a terminal is owed, to be printed.
pub(crate) async fn report(
    State(counter): State<Counter>,
    person: Person,
    Path(tid): Path<String>,
) -> Answer {
    person.acting_as(StaffRole::SettlementOfficer)?;
    let office = counter.office();
    let found = async {
        let number = TerminalNumber::read(&tid).ok_or(OfficeError::NotFound { what: "terminal" })?;
        Ok((number, office.terminal_report(number.0).await?))
    };
    let (number, report) = found.await.map_err(|error: OfficeError| person.refused(error))?;
    let page = ReportPage {
        frame: person.frame,
        tid: number.to_string(),
        report,
        today: office.clock().today().to_string(),
    };
    Ok(answer::page(StatusCode::OK, &page))
}
