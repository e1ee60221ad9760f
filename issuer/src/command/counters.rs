//! `issuer counters`: terminals' counts come in, and what may be told of them goes out.

use std::path::PathBuf;

use issuer_office::counters::{CountersFile, MAX_FILE};
use issuer_office::random::Random;
use issuer_office::staff::StaffRole;
use jiff::civil::Date;
use permit_domain::counting::{Answer, Row, SMALLEST, Told};
use program_contract::language::{Line, Words};
use program_contract::{Clock, Failure, Language, Outcome, line};
use serde::Serialize;

use crate::command::failure;
use crate::command::place::{Context, Place};
use crate::command::session::Person;
use crate::command::settlement::read;

/// Arguments of `counters`.
#[derive(Debug, clap::Args)]
pub(super) struct CountersCommand {
    #[command(subcommand)]
    step: Step,
}

#[derive(Debug, clap::Subcommand)]
enum Step {
    /// Take counters files of terminals; a terminal's day counts once.
    Import(Import),
    /// How often cards were accepted and refused, by operator, line and day; of doors by operator and month.
    Report(Report),
}

#[derive(Debug, clap::Args)]
struct Import {
    #[command(flatten)]
    place: Place,
    /// Counters files (`counters-*.yztc`).
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    person: Person,
}

#[derive(Debug, clap::Args)]
struct Report {
    #[command(flatten)]
    place: Place,
    /// First day: periods that end on it or later.
    #[arg(long, value_name = "DATE")]
    from: Date,
    /// Last day: periods that end on it or before.
    #[arg(long, value_name = "DATE")]
    to: Date,
    #[command(flatten)]
    person: Person,
}

#[derive(Serialize)]
struct OneFile {
    file: String,
    outcome: &'static str,
    code: Option<&'static str>,
    message: Option<String>,
    action: Option<&'static str>,
    terminal: Option<String>,
    day: Option<Date>,
    booked_on: Option<Date>,
}

#[derive(Serialize)]
struct Imported {
    files: Vec<OneFile>,
}

#[derive(Serialize)]
struct OnePeriod {
    from: Date,
    to: Date,
    count: u64,
}

#[derive(Serialize)]
struct OneRow {
    operator: String,
    line: Option<String>,
    role: &'static str,
    answer: &'static str,
    periods: Vec<OnePeriod>,
    below_from: Option<Date>,
}

#[derive(Serialize)]
struct Reported {
    from: Date,
    to: Date,
    closed_to: Date,
    smallest: u64,
    rows: Vec<OneRow>,
}

impl CountersCommand {
    /// Whether the result is wanted as JSON.
    pub(super) const fn json(&self) -> bool {
        match &self.step {
            Step::Import(it) => it.place.json,
            Step::Report(it) => it.place.json,
        }
    }

    /// The schema of its objects.
    pub(super) const fn schema(&self) -> &'static str {
        match &self.step {
            Step::Import(_) => IMPORT,
            Step::Report(_) => REPORT,
        }
    }

    /// Imports or reports.
    pub(super) async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        match &self.step {
            Step::Import(it) => it.run(clock, random).await,
            Step::Report(it) => it.run(clock, random).await,
        }
    }
}

const IMPORT: &str = "yzt.counters_import/1";
const REPORT: &str = "yzt.counters_report/1";

impl Import {
    /// Exit code 1 when a file was refused; the others are taken.
    async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        let context = Context::open(&self.place, clock, random).await?;
        let by = self.person.settlement_officer(&context).await?;
        let mut files = Vec::new();
        for path in &self.files {
            files.push(read(path, MAX_FILE)?);
        }
        let done = context.office.import_counters(&files, &by).await?;
        let named = self.files.iter().zip(&done);
        let (files, lines): (Vec<OneFile>, Vec<Line>) = named
            .map(|(path, file)| one_file(path.display().to_string(), file))
            .unzip();
        let refused = files.iter().filter(|file| file.code.is_some()).count();
        let all = files.len();
        let report = Imported { files };
        if refused == 0 {
            return Outcome::done(IMPORT, &report, lines);
        }
        let mut failure = failure::files_refused(refused, all);
        failure.lines = lines;
        if let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(&report) {
            failure.fields = fields;
        }
        Err(failure)
    }
}

/// A file for programs and for people.
fn one_file(file: String, became: &CountersFile) -> (OneFile, Line) {
    let mut one = OneFile {
        file,
        outcome: "REFUSED",
        code: None,
        message: None,
        action: None,
        terminal: None,
        day: None,
        booked_on: None,
    };
    let told = match became {
        CountersFile::Refused(refusal) => {
            let code = refusal.code();
            let (message_zh, action_zh) = refusal.chinese();
            let (message, action) = (refusal.to_string(), refusal.action());
            let told = line!(
                &one.file,
                ": ",
                (&message_zh, &message),
                " [",
                code,
                "] ",
                Words(action_zh, action)
            );
            let language = Language::of_process();
            one.code = Some(code);
            one.message = Some(language.one(message_zh, message));
            one.action = Some(language.one(action_zh, action));
            told
        }
        CountersFile::Taken {
            terminal,
            day,
            booked_on,
        } => {
            one.outcome = if booked_on.is_some() { "IMPORTED" } else { "KNOWN" };
            (one.terminal, one.day) = (Some(terminal.clone()), Some(*day));
            one.booked_on = *booked_on;
            match booked_on {
                None => line!(&one.file, ": ", known(terminal, day)),
                Some(on) if on == day => line!(&one.file, ": ", imported(terminal, day)),
                Some(on) => line!(&one.file, ": ", imported_onto(terminal, day, on)),
            }
        }
    };
    (one, told)
}

program_contract::sentences! {
    fn imported(terminal, day) = "已计入 {terminal} 的 {day}", "{terminal}, {day} is counted";
    fn imported_onto(terminal, day, on) =
        "{terminal} 的 {day} 已计入 {on}", "{terminal}, {day} is counted on {on}";
    fn known(terminal, day) = "{terminal} 的 {day} 此前已计入", "{terminal}, {day} was counted before";
    fn closed(day) =
        "截至 {day} 的日期已结清，其后的尚不公布", "days up to {day} are closed; later ones are not told yet";
    fn below(day, smallest) =
        "自 {day} 起不足 {smallest}，与其后各期合并公布", "from {day} below {smallest}: told with what comes next";
}

impl Report {
    async fn run(&self, clock: &Clock, random: &Random) -> Result<Outcome, Failure> {
        let context = Context::open(&self.place, clock, random).await?;
        let readers = [StaffRole::SettlementOfficer, StaffRole::Auditor];
        let by = self.person.acting_as_any(&context, &readers).await?;
        let report = context.office.counters_report(self.from, self.to, &by).await?;
        let mut lines = vec![line!(closed(report.closed_to))];
        for (row, told) in &report.rows {
            lines.extend(table_of(row, told));
        }
        let rows = report.rows.into_iter().map(one_row).collect();
        let reported = Reported {
            from: self.from,
            to: self.to,
            closed_to: report.closed_to,
            smallest: SMALLEST,
            rows,
        };
        Outcome::done(REPORT, &reported, lines)
    }
}

fn one_row((row, told): (Row, Told)) -> OneRow {
    OneRow {
        operator: row.operator,
        line: row.line,
        role: row.role.as_str(),
        answer: row.answer.as_str(),
        periods: told
            .periods
            .iter()
            .map(|period| OnePeriod {
                from: period.from,
                to: period.to,
                count: period.count,
            })
            .collect(),
        below_from: told.below_from,
    }
}

/// A row for people: a line for what it is, and one for each period.
fn table_of(row: &Row, told: &Told) -> Vec<Line> {
    let place = [Some(&row.operator), row.line.as_ref()];
    let place: Vec<&str> = place.into_iter().flatten().map(String::as_str).collect();
    let answer = match row.answer {
        Answer::Accepted => Words("通过", "accepted"),
        Answer::Refused => Words("未通过", "refused"),
    };
    let mut lines = vec![line!(place.join(", "), ", ", row.role.as_str(), ", ", answer)];
    for period in &told.periods {
        let numbers = format!("    {} .. {} {:>10}", period.from, period.to, period.count);
        lines.push(line!(numbers));
    }
    if let Some(day) = told.below_from {
        lines.push(line!("    ", below(day, SMALLEST)));
    }
    lines
}
